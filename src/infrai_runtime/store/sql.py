"""What both SQL stores say in the same words: keys, budgets, usage. ``admit``, ``book`` and ``tend`` are their own.

Batches are in ``batch_sql``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from infrai_runtime.store.batch_sql import SqlBatches
from infrai_runtime.store.durable import (
    UNKNOWN,
    USAGE_AXES,
    Budget,
    KeyRow,
    LedgerRow,
    Policy,
    UsageRow,
    project_scope,
    window,
)
from infrai_runtime.store.vouch import Vouching

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
    "INSERT INTO budget (scope, project_id, limit_nano, period, reserved_nano) SELECT $1, $2, $3, $4,"
    " (SELECT coalesce(sum(reserved_nano), 0) FROM call WHERE reserved_nano > 0 AND {}) WHERE true"
    " ON CONFLICT (scope) DO UPDATE SET limit_nano = excluded.limit_nano, period = excluded.period"
)
"""A new limit knows what the calls that are running set aside: it is given back when they end."""
_COPY_BUDGET = (
    "INSERT INTO budget (scope, project_id, limit_nano, period, spent_in, spent_nano)"
    " SELECT CAST($1 AS TEXT), project_id, limit_nano, period, spent_in, spent_nano FROM budget WHERE scope = $2"
)


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

    async def add_project(self, project_id: str, account_id: str, credit_nano: int, now: float) -> None:
        """Makes a project with this much credit."""
        project = "INSERT INTO project (project_id, account_id, created_s) VALUES ($1, $2, $3)"
        budget = (project_scope(project_id), project_id, credit_nano, "total")
        await self._write((project, (project_id, account_id, now)), self._limit(*budget))

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
        """Makes or changes the limit and period of a scope; what was spent stays."""
        limit = self._limit(budget.scope, budget.project_id, budget.limit_nano, budget.period)
        await self._write((_KEYLESS_PROJECT, (budget.project_id,)), limit)

    def _limit(self, *values: Any) -> tuple[str, tuple[Any, ...]]:
        return _SET_BUDGET.format(self.UNDER), values

    async def copy_budget(self, scope: str, to: str) -> None:
        """Gives a scope the limit of another, where that has one, with what was spent under it."""
        await self._write((_COPY_BUDGET, (to, scope)))

    async def drop_budget(self, scope: str) -> bool:
        """Takes a limit away; False when there is none."""
        return await self._write(("DELETE FROM budget WHERE scope = $1", (scope,))) > 0

    async def budgets(self, project_id: str, now: float) -> list[Budget]:
        """The budgets of a project, as they stand in this period."""
        sql = (
            "SELECT scope, project_id, limit_nano, period, spent_nano, reserved_nano, spent_in"
            " FROM budget WHERE project_id = $1 ORDER BY scope"
        )
        return [_budget(row, now) for row in await self._fetch(sql, project_id)]

    async def balance_nano(self, project_id: str) -> int | None:
        """Credit that is left, reservations taken off; None for an unknown project."""
        sql = "SELECT limit_nano - spent_nano - reserved_nano FROM budget WHERE scope = $1"
        rows = await self._fetch(sql, project_scope(project_id))
        return int(rows[0][0]) if rows else None

    async def usage(self, project_id: str | None, axes: Sequence[str], since_s: float) -> list[UsageRow]:
        """Totals by ``USAGE_AXES``, of one project or all. By ``tag``, a call counts under each of its tags."""
        columns = {"day": self.DAY, "key": "key_id", "tag": _TAG}
        chosen = [columns.get(axis, axis) for axis in axes if axis in USAGE_AXES]
        groups = f" GROUP BY {', '.join(chosen)} ORDER BY {', '.join(chosen)}" if chosen else ""
        where, values = ("", ()) if project_id is None else (" AND project_id = $2", (project_id,))
        rows_of = f"(SELECT * FROM ledger WHERE {self.SINCE}{where}) AS spent{self.TAGS if 'tag' in axes else ''}"
        sql = f"SELECT {''.join(f'{column}, ' for column in chosen)}{_SUMS} FROM {rows_of}{groups}"
        await self._write_noted()
        n = len(chosen)
        rows = [tuple(row) for row in await self._fetch(sql, since_s, *values)]
        return [UsageRow(dict(zip(axes, row[:n], strict=True)), *map(int, row[n:])) for row in rows if any(row[n:])]

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


def _budget(row: Sequence[Any], now: float) -> Budget:
    scope, project_id, limit_nano, period, spent_nano, reserved_nano, spent_in = row
    spent = spent_nano if spent_in == window(period, now) else 0
    return Budget(scope, project_id, limit_nano, period, spent, reserved_nano)


def ledger_values(row: LedgerRow) -> tuple[Any, ...]:
    """A row's values in the order of ``LEDGER_COLUMNS``."""
    return (*row[:13], int(row[13]), int(row[14]), _text(row[15]), *row[16:19], _text(row[19]))


def _text(facts: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(facts)).decode() if facts else "{}"


def ledger_of(row: Sequence[Any]) -> LedgerRow:
    """The ledger row of a row of ``LEDGER_COLUMNS``."""
    values = list(row)
    values[13:16] = bool(row[13]), bool(row[14]), json.loads(row[15])
    values[19] = json.loads(row[19])
    return LedgerRow(*values)
