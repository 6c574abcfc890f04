"""The durable state in one SQLite file (WAL), shared by all processes of a machine.

SQLite takes one writer at a time; processes wait for each other at the file.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import orjson

from infrai_core.errors import ConfigError
from infrai_runtime.store.durable import RUNNING_LEASE_S, Begun, KeyRow, LedgerRow, UsageRow

T = TypeVar("T")

MIGRATIONS = (
    """
    CREATE TABLE project (
      project_id TEXT PRIMARY KEY, account_id TEXT NOT NULL, created_s REAL NOT NULL,
      left_nano INTEGER NOT NULL, reserved_nano INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE key (
      key_hash TEXT PRIMARY KEY, key_id TEXT NOT NULL UNIQUE, project_id TEXT NOT NULL REFERENCES project,
      trial INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0, created_s REAL NOT NULL
    ) STRICT;
    CREATE TABLE claim (
      project_id TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, owner TEXT NOT NULL,
      fence INTEGER NOT NULL, begun_s REAL NOT NULL, expires_s REAL NOT NULL, answer BLOB,
      PRIMARY KEY (project_id, key)
    ) STRICT;
    CREATE INDEX claim_expiry ON claim (expires_s);
    CREATE TABLE ledger (
      kind TEXT NOT NULL, at_s REAL NOT NULL, project_id TEXT NOT NULL, key_id TEXT, request_id TEXT NOT NULL,
      capability TEXT NOT NULL, vendor TEXT, model TEXT, outcome TEXT NOT NULL, latency_ms REAL NOT NULL,
      prompt_tokens INTEGER, completion_tokens INTEGER, cost_nano INTEGER,
      cache_hit INTEGER NOT NULL, estimated INTEGER NOT NULL, usage TEXT NOT NULL
    ) STRICT;
    CREATE INDEX ledger_project ON ledger (project_id, at_s);
    """,
)
"""Forward only: entry N brings a file of version N to version N + 1. Landed entries never change."""

_RESERVE = (
    "UPDATE project SET reserved_nano = reserved_nano + ?1 WHERE project_id = ?2 AND left_nano - reserved_nano >= ?1"
)
_SETTLE = "UPDATE project SET reserved_nano = reserved_nano - ?, left_nano = left_nano - ? WHERE project_id = ?"
_ABANDON = "DELETE FROM claim WHERE project_id = ? AND key = ? AND fence = ? AND answer IS NULL"
_CLAIM = (
    "INSERT OR REPLACE INTO claim (project_id, key, fingerprint, owner, fence, begun_s, expires_s)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_ROW = "INSERT INTO ledger VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"

WAIT_S = 30.0
"""How long a statement waits for another process that writes."""
CHECKPOINT_EVERY = 1000
"""Transactions between two checkpoints."""

Work: TypeAlias = Callable[[sqlite3.Connection], T]


class SqliteDurable:
    """``Durable`` in a file. The file is made, readable by its owner only, when it is not there.

    A transaction of a request runs at once, on the event loop: in WAL mode it writes some pages into the system's
    cache (about 20 µs), less than handing it to a thread costs. What may take long runs on a thread with a connection
    of its own: waiting for another process that writes, checkpoints (the only time the disk is waited for), totals.

    Raises ``ConfigError`` for a file whose schema is newer than this version knows.
    """

    def __init__(self, path: Path) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="infrai-sqlite")
        self._line: Future[Any] = self._executor.submit(int)
        self._written = 0
        try:
            self._patient = self._executor.submit(_open, path).result()
        except BaseException:
            self._executor.shutdown()
            raise
        self._db = _connected(path, wait_s=0)
        self._db.execute("PRAGMA wal_autocheckpoint = 0")

    async def _run(self, work: Work[T], undo: Callable[[T], Work[Any]] | None = None) -> T:
        """What ``work`` returns, run now or, while another process writes, in line on the thread. A caller that is
        cancelled in the meantime gives back what it claimed, by the work that ``undo`` names."""
        if self._line.done():  # else it would overtake those who wait
            try:
                return work(self._db)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
        running = self._wait_in_line(work)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if undo is not None:
                self._wait_in_line(lambda db: _undone(running, undo, db))
            raise

    def _wait_in_line(self, work: Work[T]) -> Future[T]:
        self._line = line = self._executor.submit(work, self._patient)
        return line

    async def _apart(self, work: Work[T]) -> T:
        """What a work returns that only reads, and may take its time."""
        return await asyncio.wrap_future(self._executor.submit(work, self._patient))

    async def _write(self, sql: str, *values: Any) -> int:
        """Runs one statement; how many rows it changed."""
        self._count_writes()
        return await self._run(lambda db: db.execute(sql, values).rowcount)

    async def _row(self, sql: str, *values: Any) -> Any:
        return await self._run(lambda db: db.execute(sql, values).fetchone())

    def _count_writes(self) -> None:
        """Has the log written back into the file now and then."""
        self._written += 1
        if self._written % CHECKPOINT_EVERY == 0:
            self._executor.submit(self._patient.execute, "PRAGMA wal_checkpoint(PASSIVE)")

    async def add_project(self, project_id: str, account_id: str, credit_nano: int, now: float) -> None:
        sql = "INSERT INTO project (project_id, account_id, created_s, left_nano) VALUES (?, ?, ?, ?)"
        await self._write(sql, project_id, account_id, now, credit_nano)

    async def add_key(self, key_hash: str, key_id: str, project_id: str, trial: bool, now: float) -> None:
        sql = "INSERT INTO key (key_hash, key_id, project_id, trial, created_s) VALUES (?, ?, ?, ?, ?)"
        await self._write(sql, key_hash, key_id, project_id, int(trial), now)

    async def find_key(self, key_hash: str) -> KeyRow | None:
        row = await self._row("SELECT key_id, project_id, trial, revoked FROM key WHERE key_hash = ?", key_hash)
        return None if row is None else KeyRow(row[0], row[1], bool(row[2]), bool(row[3]))

    async def revoke_key(self, key_id: str) -> bool:
        return await self._write("UPDATE key SET revoked = 1 WHERE key_id = ?", key_id) > 0

    async def balance_nano(self, project_id: str) -> int | None:
        row = await self._row("SELECT left_nano - reserved_nano FROM project WHERE project_id = ?", project_id)
        return None if row is None else int(row[0])

    async def reserve(self, project_id: str, nano: int) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            return db.execute(_RESERVE, (nano, project_id)).rowcount > 0

        def undo(granted: bool) -> Work[Any]:
            return lambda db: db.execute(_SETTLE, (nano if granted else 0, 0, project_id))

        self._count_writes()
        return await self._run(work, undo)

    async def begin(self, project_id: str, key: str, fingerprint: str, owner: str, ttl_s: float, now: float) -> Begun:
        def work(db: sqlite3.Connection) -> Begun:
            with _transaction(db):
                db.execute("DELETE FROM claim WHERE expires_s <= ?", (now,))
                found = "SELECT fingerprint, answer, fence, begun_s FROM claim WHERE project_id = ? AND key = ?"
                begun = _begun(db.execute(found, (project_id, key)).fetchone(), fingerprint, now)
                if begun.state == "new":
                    db.execute(_CLAIM, (project_id, key, fingerprint, owner, begun.fence, now, now + ttl_s))
                return begun

        def undo(begun: Begun) -> Work[Any]:
            return lambda db: begun.state == "new" and db.execute(_ABANDON, (project_id, key, begun.fence))

        self._count_writes()
        return await self._run(work, undo)

    async def finish(self, project_id: str, key: str, fence: int, answer: bytes) -> None:
        sql = "UPDATE claim SET answer = ? WHERE project_id = ? AND key = ? AND fence = ?"
        await self._write(sql, answer, project_id, key, fence)

    async def abandon(self, project_id: str, key: str, fence: int) -> None:
        await self._write(_ABANDON, project_id, key, fence)

    async def book(
        self, project_id: str, rows: Sequence[LedgerRow], reserved_nano: int = 0, actual_nano: int = 0
    ) -> None:
        values = [_values(row) for row in rows]

        def work(db: sqlite3.Connection) -> None:
            with _transaction(db):
                if reserved_nano or actual_nano:
                    db.execute(_SETTLE, (reserved_nano, actual_nano, project_id))
                db.executemany(_ROW, values)

        self._count_writes()
        await self._run(work)

    async def usage(self, project_id: str, axes: Sequence[str], since_s: float) -> list[UsageRow]:
        chosen = [_AXIS[axis] for axis in axes]  # our own expressions only: no caller's text gets into the SQL
        groups = f" GROUP BY {', '.join(chosen)} ORDER BY {', '.join(chosen)}" if chosen else ""
        sql = (
            f"SELECT {''.join(f'{axis}, ' for axis in chosen)}count(*), ifnull(sum(prompt_tokens), 0),"
            " ifnull(sum(completion_tokens), 0), ifnull(sum(cost_nano), 0), count(*) - count(cost_nano)"
            f" FROM ledger WHERE kind = 'answer' AND project_id = ? AND at_s >= ?{groups}"
        )
        rows = await self._apart(lambda db: db.execute(sql, (project_id, since_s)).fetchall())
        n = len(axes)
        return [UsageRow(dict(zip(axes, row[:n], strict=True)), *row[n:]) for row in rows if row[n]]

    async def close(self) -> None:
        self._db.close()
        await self._apart(sqlite3.Connection.close)
        self._executor.shutdown()


def _undone(running: Future[T], undo: Callable[[T], Work[Any]], db: sqlite3.Connection) -> None:
    """Takes back what a work did, unless it was cancelled with its caller or failed."""
    if not running.cancelled() and running.exception() is None:
        undo(running.result())(db)


def _begun(row: Any, fingerprint: str, now: float) -> Begun:
    """What the stored claim means for a call with this fingerprint."""
    if row is not None and row[0] != fingerprint:
        return Begun("conflict")
    if row is not None and row[1] is not None:
        return Begun("done", row[1], row[2])
    if row is not None and now - row[3] < RUNNING_LEASE_S:
        return Begun("running", fence=row[2])
    return Begun("new", fence=row[2] + 1 if row else 1)


_AXIS = {
    "day": "date(at_s, 'unixepoch')",
    "vendor": "vendor",
    "model": "model",
    "capability": "capability",
}


def _values(row: LedgerRow) -> tuple[Any, ...]:
    return (
        row.kind,
        row.at_s,
        row.project_id,
        row.key_id,
        row.request_id,
        row.capability,
        row.vendor,
        row.model,
        row.outcome,
        row.latency_ms,
        row.prompt_tokens,
        row.completion_tokens,
        row.cost_nano,
        int(row.cache_hit),
        int(row.estimated),
        orjson.dumps(dict(row.usage)).decode(),
    )


class _transaction:
    """``BEGIN IMMEDIATE`` … ``COMMIT``: takes the write lock at once, so that a read-then-write cannot be overtaken."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = _connected(path, wait_s=WAIT_S)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        _migrate(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _connected(path: Path, *, wait_s: float) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")
    return db


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    with _transaction(db):
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise ConfigError(
                f"{path.name} has schema version {version}, this package knows up to {len(MIGRATIONS)}; upgrade it"
            )
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            for statement in filter(str.strip, script.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
