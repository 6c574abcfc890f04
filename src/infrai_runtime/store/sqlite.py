"""The durable state in one SQLite file (WAL), shared by all processes of a machine; or, without a path, in memory.

A transaction of a call takes some 20 microseconds, less than handing it to a thread, so it runs on the event loop
itself: nothing can interleave with it, and a cancelled caller cannot leave half of it. What can take long does not:
a file that another process is writing to is waited for with the loop free, reports read on a thread with a connection
of their own, and the WAL is brought home by ``tend``, never by a call.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import orjson

from infrai_core.errors import ConfigError
from infrai_runtime.store.durable import LEASE_S, UNKNOWN, Admission, Admitted, Booking, LedgerRow, window
from infrai_runtime.store.sql import BOOKED, INSERT_LEDGER, SqlDurable, Statement, ledger_values

T = TypeVar("T")

BUSY_S = 30.0
"""How long a file that others write to is waited for."""
SWEPT_AT_ONCE = 500

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
    """
    CREATE TABLE budget (
      scope TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES project, limit_nano INTEGER NOT NULL,
      period TEXT NOT NULL, spent_in TEXT NOT NULL DEFAULT '', spent_nano INTEGER NOT NULL DEFAULT 0,
      reserved_nano INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX budget_project ON budget (project_id);
    INSERT INTO budget (scope, project_id, limit_nano, period)
      SELECT 'project:' || project_id, project_id, left_nano, 'total' FROM project;
    ALTER TABLE project DROP COLUMN left_nano;
    ALTER TABLE project DROP COLUMN reserved_nano;
    ALTER TABLE key ADD COLUMN name TEXT NOT NULL DEFAULT '';
    ALTER TABLE key ADD COLUMN expires_s REAL;
    ALTER TABLE key ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
    DROP TABLE claim;
    CREATE TABLE call (
      project_id TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, request_id TEXT NOT NULL,
      owner TEXT NOT NULL, lease_s REAL NOT NULL, expires_s REAL NOT NULL, reserved_nano INTEGER NOT NULL,
      scopes TEXT NOT NULL, key_id TEXT, capability TEXT NOT NULL, answer BLOB,
      PRIMARY KEY (project_id, key)
    ) STRICT;
    CREATE INDEX call_running ON call (owner) WHERE answer IS NULL;
    CREATE INDEX call_expiry ON call (expires_s) WHERE answer IS NOT NULL;
    ALTER TABLE ledger ADD COLUMN reserved_nano INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE ledger ADD COLUMN idempotency_key TEXT;
    ALTER TABLE ledger ADD COLUMN batch_id TEXT;
    ALTER TABLE ledger ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
    CREATE INDEX ledger_request ON ledger (request_id);
    """,
)
"""Forward only: entry N brings a file of version N to version N + 1. Landed entries never change."""

_FIND_CALL = (
    "SELECT fingerprint, answer, lease_s, expires_s, request_id, reserved_nano, scopes, key_id, capability"
    " FROM call WHERE project_id = ? AND key = ?"
)
_PUT_CALL = "INSERT OR REPLACE INTO call VALUES (?,?,?,?,?,?,?,?,?,?,?,NULL)"
_NOW_IN = "CASE period WHEN 'total' THEN '' WHEN 'month' THEN :month ELSE :day END"
_SPENT = f"CASE WHEN spent_in = {_NOW_IN} THEN spent_nano ELSE 0 END"
_SHORT = (
    "SELECT scope FROM budget WHERE scope IN (SELECT value FROM json_each(:scopes))"
    f" AND limit_nano - {_SPENT} - reserved_nano < :least ORDER BY scope LIMIT 1"
)
_RESERVE = (
    "UPDATE budget SET reserved_nano = reserved_nano + :nano WHERE scope IN (SELECT value FROM json_each(:scopes))"
)
_SETTLE = (
    f"UPDATE budget SET reserved_nano = reserved_nano - :nano, spent_nano = {_SPENT} + :cost, spent_in = {_NOW_IN}"
    " WHERE scope IN (SELECT value FROM json_each(:scopes))"
)

_RENEW = (
    "UPDATE call SET lease_s = max(lease_s, ?) WHERE owner = ? AND answer IS NULL"
    " AND request_id IN (SELECT value FROM json_each(?))"
)


@lru_cache(maxsize=256)
def _own(sql: str) -> str:
    """The statement with SQLite's numbered parameters."""
    return sql.replace("$", "?")


_INSERT_LEDGER = _own(INSERT_LEDGER)
_BOOKED = _own(BOOKED)


class SqliteDurable(SqlDurable):
    """``Durable`` in a file. The file is made, readable by its owner only, when it is not there.

    Raises ``ConfigError`` for a file whose schema is newer than this version knows.
    """

    DAY = "date(at_s, 'unixepoch')"

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._path = path
        self._db = _open(path)

    # -- running statements

    async def _do(self, work: Callable[[], T]) -> T:
        """Runs ``work`` in one transaction, as soon as no other process writes."""
        return await self._patient(lambda: self._once(work))

    async def _patient(self, work: Callable[[], T]) -> T:
        give_up, wait_s = time.monotonic() + BUSY_S, 0.001
        while True:
            try:
                return work()
            except sqlite3.OperationalError as error:
                if not _busy(error) or time.monotonic() > give_up:
                    raise
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, 0.05)

    def _once(self, work: Callable[[], T]) -> T:
        # Takes the write lock at once, so that a read-then-write cannot be overtaken.
        self._db.execute("BEGIN IMMEDIATE")
        try:
            result = work()
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return result

    async def _write(self, *statements: Statement) -> int:
        return await self._do(lambda: [self._db.execute(_own(sql), values).rowcount for sql, values in statements][-1])

    async def _fetch(self, sql: str, *values: Any) -> Sequence[Sequence[Any]]:
        if self._path is None or " FROM ledger" not in sql:
            return await self._patient(lambda: self._db.execute(_own(sql), values).fetchall())
        return await asyncio.to_thread(self._report, _own(sql), values)

    def _report(self, sql: str, values: Sequence[Any]) -> list[Any]:
        with closing(sqlite3.connect(self._path or "", timeout=BUSY_S)) as db:
            return db.execute(sql, values).fetchall()

    # -- a call

    async def _admit_once(self, admission: Admission) -> Admitted:
        return await self._do(lambda: self._admit(admission))

    def _admit(self, a: Admission) -> Admitted:
        found = self._db.execute(_FIND_CALL, (a.project_id, a.key)).fetchone()
        if found is not None:
            standing = self._standing(a, found)
            if standing is not None:
                return standing
        if (short := self._reserve(a)) is not None:
            return Admitted("refused", short=short)
        scopes = _json_list(a.scopes if a.reserve_nano else ())
        when = (a.now + LEASE_S, a.now + a.ttl_s)
        about = (a.reserve_nano or 0, scopes, a.key_id, a.capability)
        self._db.execute(_PUT_CALL, (a.project_id, a.key, a.fingerprint, a.request_id, a.owner, *when, *about))
        return Admitted("new")

    def _standing(self, a: Admission, found: Sequence[Any]) -> Admitted | None:
        """What a call with the same key leads to; None when it no longer counts."""
        fingerprint, answer, lease_s, expires_s = found[:4]
        running = answer is None and lease_s > a.now
        if not running and expires_s <= a.now and answer is not None:
            return None
        if fingerprint != a.fingerprint and (running or expires_s > a.now):
            return Admitted("conflict")
        if answer is not None:
            return Admitted("done", answer)
        if running:
            return Admitted("running")
        self._bury(a.project_id, a.key, found[4:], a.now)
        return None

    def _reserve(self, a: Admission) -> str | None:
        """Sets the money aside under all scopes, or names the first that does not cover it."""
        if a.reserve_nano is None:
            return None
        values = _budget_values(a.scopes, a.reserve_nano, a.now) | {"least": max(1, a.reserve_nano)}
        short = self._db.execute(_SHORT, values).fetchone()
        if short is not None:
            return str(short[0])
        self._db.execute(_RESERVE, values)
        return None

    def _settle(self, scopes: str, reserved_nano: int, cost_nano: int, now: float) -> None:
        self._db.execute(_SETTLE, _budget_values(scopes, reserved_nano, now) | {"cost": cost_nano})

    def _drop(self, a: Admission) -> bool:
        sql = "DELETE FROM call WHERE project_id = ? AND key = ? AND request_id = ? AND answer IS NULL"
        return self._db.execute(sql, (a.project_id, a.key, a.request_id)).rowcount > 0

    async def _book_once(self, booking: Booking, doubtful: bool) -> None:
        await self._do(lambda: self._book(booking, doubtful))

    def _book(self, booking: Booking, doubtful: bool) -> None:
        a = booking.admission
        if doubtful and self._db.execute(_BOOKED, (a.request_id,)).fetchone():
            return
        ours = self._keep_answer(a, booking.answer) if booking.answer is not None and a.ttl_s else self._drop(a)
        reserved = (a.reserve_nano or 0) if ours else 0
        if a.scopes and (reserved or booking.cost_nano):
            self._settle(_json_list(a.scopes), reserved, booking.cost_nano, booking.now)
        self._db.executemany(_INSERT_LEDGER, map(ledger_values, booking.rows))

    def _keep_answer(self, a: Admission, answer: bytes) -> bool:
        sql = (
            "UPDATE call SET answer = ?, reserved_nano = 0"
            " WHERE project_id = ? AND key = ? AND request_id = ? AND answer IS NULL"
        )
        return self._db.execute(sql, (answer, a.project_id, a.key, a.request_id)).rowcount > 0

    def _bury(self, project_id: str, key: str, found: Sequence[Any], now: float) -> None:
        """Ends a call that nobody vouches for: the money comes back, a row says that its outcome is unknown."""
        request_id, reserved_nano, scopes, key_id, capability = found
        if reserved_nano:
            self._settle(scopes, reserved_nano, 0, now)
        told = unknown_row(project_id, request_id, key_id, capability, now)
        kept = None if key == request_id else key
        told = replace(told, reserved_nano=reserved_nano, idempotency_key=kept)
        self._db.execute(_INSERT_LEDGER, ledger_values(told))
        self._db.execute("DELETE FROM call WHERE project_id = ? AND key = ?", (project_id, key))

    # -- in the background

    async def _tend_once(self, owner: str, now: float, running: Collection[str]) -> None:
        await self._do(lambda: self._tend(owner, now, running))
        if self._path is not None:
            await asyncio.to_thread(self._checkpoint)

    def _tend(self, owner: str, now: float, running: Collection[str]) -> None:
        self._db.execute(_RENEW, (now + LEASE_S, owner, orjson.dumps(tuple(running)).decode()))
        dead = self._db.execute(
            "SELECT project_id, key, request_id, reserved_nano, scopes, key_id, capability FROM call"
            " WHERE answer IS NULL AND lease_s <= ? LIMIT ?",
            (now, SWEPT_AT_ONCE),
        ).fetchall()
        for row in dead:
            self._bury(row[0], row[1], row[2:], now)
        self._db.execute(
            "DELETE FROM call WHERE rowid IN"
            " (SELECT rowid FROM call WHERE answer IS NOT NULL AND expires_s <= ? LIMIT ?)",
            (now, SWEPT_AT_ONCE),
        )

    def _checkpoint(self) -> None:
        with closing(sqlite3.connect(self._path or "", timeout=0)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    async def close(self) -> None:
        """Closes the file."""
        self._db.close()


def unknown_row(project_id: str, request_id: str, key_id: str | None, capability: str, now: float) -> LedgerRow:
    """The ledger row of a call whose process died."""
    return LedgerRow("attempt", now, project_id, key_id, request_id, capability, None, None, UNKNOWN, 0.0)


def _json_list(scopes: Sequence[str]) -> str:
    return orjson.dumps(list(scopes)).decode()


def _budget_values(scopes: Sequence[str] | str, nano: int, now: float) -> dict[str, Any]:
    listed = scopes if isinstance(scopes, str) else _json_list(scopes)
    return {"scopes": listed, "nano": nano, "month": window("month", now), "day": window("day", now)}


def _busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


# -- opening ---------------------------------------------------------------------------------------------------------


def _open(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path or ":memory:", timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        _migrate(db, path.name if path else "memory")
        db.execute("PRAGMA busy_timeout = 0")  # from here on the loop waits, not the statement
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, name: str) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise ConfigError(
                f"{name} has schema version {version}, this package knows up to {len(MIGRATIONS)}; upgrade it"
            )
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            for statement in filter(str.strip, script.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
