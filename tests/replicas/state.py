"""The store of a test's runtimes, looked into from outside: projects, keys, ledger, money, leases."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from infrai_runtime.keys import hash_key, mint_key
from infrai_runtime.store.durable import KeyRow, LedgerRow, Policy, project_scope
from infrai_runtime.store.postgres import PostgresDurable
from infrai_runtime.store.sql import SqlDurable
from infrai_runtime.store.sqlite import SqliteDurable

T = TypeVar("T")

CREDIT_NANO = 10**12


@dataclass(frozen=True)
class Key:
    """A key of a project of its own."""

    secret: str = field(repr=False)
    key_id: str
    project_id: str


class State:
    """What ``opened`` opens. ``running`` says, in its words, which of the rows of ``call`` are of running calls."""

    def __init__(self, opened: Callable[[], Coroutine[Any, Any, SqlDurable]], running: str) -> None:
        self._opened = opened
        self._running = running

    def on_store(self, work: Callable[[SqlDurable], Awaitable[T]]) -> T:
        """What ``work`` returns for a store of this test's own."""

        async def run() -> T:
            store = await self._opened()
            try:
                return await work(store)
            finally:
                await store.close()  # type: ignore[attr-defined]

        return asyncio.run(run())

    def key(self, credit_nano: int = CREDIT_NANO, **policy: Any) -> Key:
        """A new project with this credit and a key with this policy."""
        made = Key(mint_key(), f"key_{secrets.token_hex(4)}", f"proj_{secrets.token_hex(4)}")

        async def add(store: SqlDurable) -> None:
            await store.add_project(made.project_id, "acct", credit_nano, time.time())
            await store.add_key(hash_key(made.secret), KeyRow(made.key_id, made.project_id, policy=Policy(**policy)))

        self.on_store(add)
        return made

    def ledger(self, key: Key) -> list[LedgerRow]:
        """The ledger of a key's project."""

        async def rows(store: SqlDurable) -> list[LedgerRow]:
            sql = "SELECT DISTINCT request_id FROM ledger WHERE project_id = $1"
            ids = [row[0] for row in await store._fetch(sql, key.project_id)]
            return [row for name in ids for row in await store.rows(name)]

        return self.on_store(rows)

    def money(self, key: Key) -> tuple[int, int]:
        """What the project of a key has spent, and what is set aside."""

        async def budget(store: SqlDurable) -> tuple[int, int]:
            budgets = await store.budgets(key.project_id, time.time())
            (found,) = (budget for budget in budgets if budget.scope == project_scope(key.project_id))
            return found.spent_nano, found.reserved_nano

        return self.on_store(budget)

    def running(self, key: Key) -> int:
        """How many calls of the key's project the store has as running."""
        sql = f"SELECT count(*) FROM call WHERE project_id = $1 AND {self._running}"
        return int(self.on_store(lambda store: store._fetch(sql, key.project_id))[0][0])

    def owner(self, key: Key) -> str:
        """The name in the store of the process that makes the running call of a project."""
        sql = f"SELECT owner FROM call WHERE project_id = $1 AND {self._running}"
        return str(self.on_store(lambda store: store._fetch(sql, key.project_id))[0][0])

    def leases_are_over(self, owner: str) -> None:
        """The calls of a process that has died are as old as they are half a minute later."""
        sql = f"UPDATE call SET lease_s = 0 WHERE owner = $1 AND {self._running}"
        shards = "UPDATE batch_shard SET lease_s = 0 WHERE owner = $1"
        self.on_store(lambda store: store._write((sql, (owner,)), (shards, (owner,))))


def on_postgres(url: str) -> State:
    """The state in a PostgreSQL database."""
    return State(lambda: PostgresDurable.connect(url), "answer IS NULL")


def on_sqlite(path: Path) -> State:
    """The state in a file."""

    async def opened() -> SqliteDurable:
        return SqliteDurable(path)

    return State(opened, "TRUE")
