"""What both SQL stores say in the same words: keys, budgets, usage. ``admit``, ``book`` and ``tend`` are their own.

Batches are in ``batch_sql``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import orjson

from infrai_runtime.failure import Failure
from infrai_runtime.store.batch_sql import SqlBatches
from infrai_runtime.store.durable import (
    UNKNOWN,
    USAGE_AXES,
    Budget,
    KeyRow,
    LedgerRow,
    Period,
    Policy,
    UsageRow,
    project_scope,
    window,
)
from infrai_runtime.store.statement import Statement
from infrai_runtime.store.vouch import Vouching

REPORTS = 2
"""How many reports are made at a time: each reads for as long as the ledger is, on a thread or a connection that calls
need too."""
MOST_REPORTS = 20
"""How many may be asked for at a time."""
REPORT_S = 5.0
KNOWN_S = 1.0
"""How long a key is taken as it was when it was last looked for: a call then asks the store once before its vendor."""
MOST_KNOWN = 10_000

KEY_COLUMNS = "key_id, project_id, name, trial, created_s, expires_s, revoked, policy"
LEDGER_COLUMNS = (
    "kind, at_s, project_id, key_id, request_id, capability, vendor, model, outcome, latency_ms, prompt_tokens,"
    " completion_tokens, cost_nano, cache_hit, estimated, usage, reserved_nano, idempotency_key, batch_id, tags"
)
LEDGER_VALUES = 20
INSERT_LEDGER = (
    f"INSERT INTO ledger ({LEDGER_COLUMNS}) VALUES ({', '.join(f'${n}' for n in range(1, LEDGER_VALUES + 1))})"
)
BOOKED = f"SELECT 1 FROM ledger WHERE request_id = $1 AND outcome <> '{UNKNOWN}' LIMIT 1"
"""Whether a call has been booked."""
_KEYLESS_PROJECT = (
    "INSERT INTO project (project_id, account_id, created_s) VALUES ($1, '', 0) ON CONFLICT (project_id) DO NOTHING"
)
"""Those of calls without a key were never made, and may have budgets all the same."""
_SET_BUDGET = (
    "INSERT INTO budget (scope, project_id, {limit}, reserved_nano) SELECT $1, $2, $3,"
    " (SELECT coalesce(sum(reserved_nano), 0) FROM call WHERE reserved_nano > 0 AND {under}) WHERE true"
    " ON CONFLICT (scope) DO UPDATE SET {limit} = excluded.{limit},"
    " {spent} = CASE WHEN budget.{limit} IS NULL THEN 0 ELSE budget.{spent} END"
)
"""A new limit knows what the calls that are running set aside: it is given back when they end."""
_BUDGET_COLUMNS = (
    "limit_nano, spent_nano, month_limit_nano, month_spent_nano, month, day_limit_nano, day_spent_nano, day"
)
_COPY_BUDGET = (
    f"INSERT INTO budget (scope, project_id, {_BUDGET_COLUMNS})"
    f" SELECT CAST($1 AS TEXT), project_id, {_BUDGET_COLUMNS} FROM budget WHERE scope = $2"
)


def _limit_of(period: Period) -> str:
    return "limit_nano" if period == "total" else f"{period}_limit_nano"


class SqlDurable(Vouching, SqlBatches):
    """The part of ``Durable`` that is one statement or a few."""

    DAY: str
    """The day of ``at_s`` in UTC, in the store's own words."""
    UNDER: str
    """Whether a call set money aside under the scope that is the first parameter, in the store's own words."""
    TAGS: str
    """Joins each row with its tags, in the store's own words."""
    SINCE = "at_s >= $1"
    """Whether a row of the ledger is not older than the first parameter."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, tuple[KeyRow, float]] = {}
        self._reports = asyncio.Semaphore(REPORTS)
        self._asked_reports = 0

    async def add_project(self, project_id: str, account_id: str, credit_nano: int, now: float) -> None:
        """Makes a project with this much credit."""
        project = "INSERT INTO project (project_id, account_id, created_s) VALUES ($1, $2, $3)"
        credit = Budget(project_scope(project_id), project_id, credit_nano)
        await self._write((project, (project_id, account_id, now)), self._limit(credit))

    async def add_key(self, key_hash: str, row: KeyRow) -> None:
        """Stores the hash of a project's key."""
        values = (key_hash, *key_values(row))
        await self._write(
            (f"INSERT INTO key (key_hash, {KEY_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", values)
        )

    async def find_key(self, key_hash: str) -> KeyRow | None:
        """The key with this hash, as it was at most ``KNOWN_S`` ago. An unknown one is always looked for."""
        known = self._known.get(key_hash)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        rows = await self._fetch(f"SELECT {KEY_COLUMNS} FROM key WHERE key_hash = $1", key_hash)
        if not rows:
            self._known.pop(key_hash, None)
            return None
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        found = key_of(rows[0])
        self._known[key_hash] = (found, time.monotonic() + KNOWN_S)
        return found

    async def keys(self, project_id: str | None = None) -> list[KeyRow]:
        """The keys of a project, or of all, oldest first."""
        where, values = ("", ()) if project_id is None else (" WHERE project_id = $1", (project_id,))
        rows = await self._fetch(f"SELECT {KEY_COLUMNS} FROM key{where} ORDER BY created_s, key_id", *values)
        return [key_of(row) for row in rows]

    async def end_key(self, key_id: str, at_s: float | None = None) -> bool:
        """Revokes a key, or lets it end at a time; False when there is no such key. Other processes hear of it within
        ``KNOWN_S``."""
        self._known.clear()
        if at_s is None:
            return await self._write(("UPDATE key SET revoked = 1 WHERE key_id = $1", (key_id,))) > 0
        return await self._write(("UPDATE key SET expires_s = $1 WHERE key_id = $2", (at_s, key_id))) > 0

    async def set_budget(self, budget: Budget) -> None:
        """Makes or changes a scope's limit for a period; what was spent under one that was there stays."""
        await self._write((_KEYLESS_PROJECT, (budget.project_id,)), self._limit(budget))

    def _limit(self, budget: Budget) -> Statement:
        limit = _limit_of(budget.period)
        sql = _SET_BUDGET.format(limit=limit, spent=limit.replace("limit", "spent"), under=self.UNDER)
        return sql, (budget.scope, budget.project_id, budget.limit_nano)

    async def copy_budget(self, scope: str, to: str) -> None:
        """Gives a scope the limits of another, with what was spent under them."""
        await self._write((_COPY_BUDGET, (to, scope)))

    async def drop_budget(self, scope: str, period: Period = "total") -> bool:
        """Takes a limit away; False when there is none."""
        limit = _limit_of(period)
        sql = f"UPDATE budget SET {limit} = NULL WHERE scope = $1 AND {limit} IS NOT NULL"
        return await self._write((sql, (scope,))) > 0

    async def budgets(self, project_id: str, now: float) -> list[Budget]:
        """The budgets of a project, as they stand in this period."""
        sql = f"SELECT scope, reserved_nano, {_BUDGET_COLUMNS} FROM budget WHERE project_id = $1 ORDER BY scope"
        return [budget for row in await self._fetch(sql, project_id) for budget in _budgets(project_id, row, now)]

    async def balance_nano(self, project_id: str) -> int | None:
        """Credit that is left, reservations taken off; None for a project without."""
        sql = "SELECT limit_nano - spent_nano - reserved_nano FROM budget WHERE scope = $1 AND limit_nano IS NOT NULL"
        rows = await self._fetch(sql, project_scope(project_id))
        return int(rows[0][0]) if rows else None

    async def usage(self, project_id: str | None, axes: Sequence[str], since_s: float) -> list[UsageRow]:
        """Totals by ``USAGE_AXES``, of one project or all. By ``tag``, a call counts under each of its tags. Raises
        OVERLOADED while too many are asked for."""
        columns = {"day": self.DAY, "key": "key_id", "tag": _TAG}
        chosen = [columns.get(axis, axis) for axis in axes if axis in USAGE_AXES]
        groups = f" GROUP BY {', '.join(chosen)} ORDER BY {', '.join(chosen)}" if chosen else ""
        where, values = ("", ()) if project_id is None else (" AND project_id = $2", (project_id,))
        rows_of = f"(SELECT * FROM ledger WHERE {self.SINCE}{where}) AS spent{self.TAGS if 'tag' in axes else ''}"
        sql = f"SELECT {''.join(f'{column}, ' for column in chosen)}{_SUMS} FROM {rows_of}{groups}"
        await self._write_noted()
        n = len(chosen)
        async with self._reporting():
            rows = [tuple(row) for row in await self._fetch(sql, since_s, *values)]
        return [UsageRow(dict(zip(axes, row[:n], strict=True)), *map(int, row[n:])) for row in rows if any(row[n:])]

    @asynccontextmanager
    async def _reporting(self) -> AsyncIterator[None]:
        if self._asked_reports >= MOST_REPORTS:
            raise Failure("OVERLOADED", "too many reports are being made", retry_after_s=REPORT_S)
        self._asked_reports += 1
        try:
            async with self._reports:
                yield
        finally:
            self._asked_reports -= 1

    async def rows(self, request_id: str) -> list[LedgerRow]:
        """The ledger's rows of one call."""
        sql = f"SELECT {LEDGER_COLUMNS} FROM ledger WHERE request_id = $1"
        await self._write_noted()
        return [ledger_of(row) for row in await self._fetch(sql, request_id)]

    async def ping(self) -> None:
        """Raises when the store cannot be used."""
        await self._fetch("SELECT 1")


_TAG = "tag.key || '=' || tag.value"
_ANSWERS, _ATTEMPTS = "FILTER (WHERE kind = 'answer')", "FILTER (WHERE kind = 'attempt')"
_SUMS = (
    f"count(*) {_ANSWERS}, coalesce(sum(prompt_tokens) {_ANSWERS}, 0), coalesce(sum(completion_tokens) {_ANSWERS}, 0),"
    f" coalesce(sum(cost_nano) {_ATTEMPTS}, 0), count(*) {_ANSWERS} - count(cost_nano) {_ANSWERS},"
    f" coalesce(sum(cache_hit) {_ANSWERS}, 0), coalesce(sum(reserved_nano) {_ATTEMPTS}, 0)"
)
"""Of ``UsageRow``: answers tell what was used, attempts what it cost, since some fail and cost all the same."""


def key_values(row: KeyRow) -> tuple[Any, ...]:
    """A key's values in the order of ``KEY_COLUMNS``."""
    policy = json.dumps(asdict(row.policy))
    when = (row.created_s, row.expires_s)
    return (row.key_id, row.project_id, row.name, int(row.trial), *when, int(row.revoked), policy)


def key_of(row: Sequence[Any]) -> KeyRow:
    """The key of a row of ``KEY_COLUMNS``."""
    facts = json.loads(row[7])
    policy = Policy(**facts | {name: tuple(facts.get(name, ())) for name in ("models", "vendors")})
    return KeyRow(row[0], row[1], row[2], bool(row[3]), row[4], row[5], bool(row[6]), policy)


def _budgets(project_id: str, row: Sequence[Any], now: float) -> Iterator[Budget]:
    """The limits that a scope has."""
    scope, reserved_nano, limit, spent, month_limit, month_spent, month, day_limit, day_spent, day = row
    each: tuple[tuple[Period, int | None, int, str], ...]
    each = (("total", limit, spent, ""), ("month", month_limit, month_spent, month), ("day", day_limit, day_spent, day))
    for period, limit_nano, spent_nano, spent_in in each:
        if limit_nano is not None:
            counted = spent_nano if spent_in >= window(period, now) else 0
            yield Budget(scope, project_id, limit_nano, period, counted, reserved_nano)


def ledger_values(row: LedgerRow) -> list[Any]:
    """A row's values in the order of ``LEDGER_COLUMNS``."""
    values: list[Any] = list(row)
    values[13:16] = int(row.cache_hit), int(row.estimated), _text(row.usage)
    values[19] = _text(row.tags) if row.tags else "{}"
    return values


def _text(facts: Mapping[str, Any]) -> str:
    return orjson.dumps(facts, default=dict).decode()


def ledger_of(row: Sequence[Any]) -> LedgerRow:
    """The ledger row of a row of ``LEDGER_COLUMNS``."""
    values = list(row)
    values[13:16] = bool(row[13]), bool(row[14]), json.loads(row[15])
    values[19] = json.loads(row[19])
    return LedgerRow(*values)
