"""The durable state in one SQLite file (WAL), shared by all processes of a machine; or, without a path, in memory.

A transaction of a call takes less time than handing it to a thread, so it runs on the event loop itself: nothing can
interleave with it, and calls of the same moment share one (``commit``). Its price is the pages that it changes, so
running calls stand in a small table of their own, and only what is kept for a repetition goes into a large one. What
can take long is not done here: a file that another process is writing to is waited for with the loop free, reports are
read and the WAL is brought home on a thread, with a connection of their own.

A transaction is in the file's log when its caller hears of it: killing the process loses nothing. The log reaches the
disk every few seconds, so a power failure may lose the latest of them (docs/state.md).
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sqlite3
from collections.abc import Collection, Coroutine, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from infrai_core.errors import ConfigError
from infrai_runtime.identity import made_s
from infrai_runtime.store.batch import Outcome
from infrai_runtime.store.commit import BUSY_S, Commits, busy, check_usable, unusable
from infrai_runtime.store.durable import (
    CONFLICT,
    LEASE_S,
    NEW,
    RUNNING,
    UNKNOWN,
    Admission,
    Admitted,
    Booking,
    LedgerRow,
    tags_of,
)
from infrai_runtime.store.forks import USE, apart, open_for_long
from infrai_runtime.store.purse import Purse
from infrai_runtime.store.sql import LEDGER_COLUMNS, LEDGER_VALUES, SqlDurable, ledger_of, ledger_values
from infrai_runtime.store.statement import Statement
from infrai_runtime.store.vouch import MOST_SWEEPS, SWEPT_AT_ONCE

PAGE_BYTES = 2048
"""Of a new file, and of an old one after ``infrai db upgrade``. A call changes a little on many pages, and each is
written whole; but a running call must fit on one."""
CLOCK_S = 3600.0
"""How far the clock may have gone back between a call's coming and its booking."""
LONG, BRIEF, BRIEF_S = 0, 1 << 62, 3600.0
"""Where answers stand in their table. Those that are kept briefly, nearly all, are behind the others: adding at the end
touches the fewest pages."""
LONG_LOG = 4000
"""Transactions after which the log is brought home without waiting for the next ``tend``."""

ROOM_BYTES = 1 << 20
"""What a disk must have left, once it was full, before it is not."""

log = logging.getLogger("infrai_runtime")

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
    """
    ALTER TABLE call RENAME TO call_2;
    CREATE TABLE call (
      project_id TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, request_id TEXT NOT NULL,
      owner TEXT NOT NULL, lease_s REAL NOT NULL, expires_s REAL NOT NULL, reserved_nano INTEGER NOT NULL,
      scopes TEXT NOT NULL, key_id TEXT, capability TEXT NOT NULL, PRIMARY KEY (project_id, key)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO call SELECT project_id, key, fingerprint, request_id, owner, lease_s, expires_s, reserved_nano, scopes,
      key_id, capability FROM call_2 WHERE answer IS NULL;
    CREATE TABLE answer (
      id INTEGER PRIMARY KEY, project_id TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL,
      expires_s REAL NOT NULL, answer BLOB NOT NULL
    ) STRICT;
    INSERT INTO answer (id, project_id, key, fingerprint, expires_s, answer)
      SELECT (CAST(expires_s * 1000 AS INTEGER) << 20) + row_number() OVER (), project_id, key, fingerprint, expires_s,
        answer FROM call_2 WHERE answer IS NOT NULL;
    CREATE UNIQUE INDEX answer_key ON answer (project_id, key);
    DROP TABLE call_2;
    ALTER TABLE ledger RENAME TO ledger_2;
    DROP INDEX ledger_project;
    DROP INDEX ledger_request;
    CREATE TABLE ledger (
      id INTEGER PRIMARY KEY,
      kind TEXT NOT NULL, at_s REAL NOT NULL, project_id TEXT NOT NULL, key_id TEXT, request_id TEXT NOT NULL,
      capability TEXT NOT NULL, vendor TEXT, model TEXT, outcome TEXT NOT NULL, latency_ms REAL NOT NULL,
      prompt_tokens INTEGER, completion_tokens INTEGER, cost_nano INTEGER,
      cache_hit INTEGER NOT NULL, estimated INTEGER NOT NULL, usage TEXT NOT NULL,
      reserved_nano INTEGER NOT NULL, idempotency_key TEXT, batch_id TEXT, tags TEXT NOT NULL
    ) STRICT;
    INSERT INTO ledger SELECT (CAST(at_s * 1000 AS INTEGER) << 20) + row_number() OVER (ORDER BY at_s), * FROM ledger_2;
    CREATE INDEX ledger_request ON ledger (request_id);
    DROP TABLE ledger_2;
    """,
    """
    CREATE TABLE batch (
      batch_id TEXT PRIMARY KEY, project_id TEXT NOT NULL, key_id TEXT, created_s REAL NOT NULL,
      deadline_s REAL NOT NULL, idempotency_key TEXT, metadata TEXT NOT NULL, total INTEGER,
      fingerprint TEXT NOT NULL, estimated_nano INTEGER, purge_s REAL NOT NULL, cancelled_s REAL,
      UNIQUE (project_id, idempotency_key)
    ) STRICT;
    CREATE INDEX batch_project ON batch (project_id, batch_id);
    CREATE INDEX batch_purge ON batch (purge_s);
    CREATE TABLE batch_shard (
      batch_id TEXT NOT NULL, number INTEGER NOT NULL, first INTEGER NOT NULL, rows INTEGER NOT NULL,
      requests BLOB NOT NULL, turn_s REAL NOT NULL, owner TEXT NOT NULL DEFAULT '', lease_s REAL NOT NULL DEFAULT 0,
      fence INTEGER NOT NULL DEFAULT 0, wake_s REAL NOT NULL DEFAULT 0, completed INTEGER NOT NULL DEFAULT 0,
      failed INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0, here INTEGER NOT NULL DEFAULT 0, job TEXT,
      PRIMARY KEY (batch_id, number)
    ) STRICT;
    CREATE INDEX batch_shard_turn ON batch_shard (turn_s) WHERE done = 0;
    CREATE INDEX batch_shard_owner ON batch_shard (owner) WHERE done = 0;
    CREATE TABLE batch_row (
      batch_id TEXT NOT NULL, place INTEGER NOT NULL, ok INTEGER NOT NULL, answer BLOB NOT NULL,
      PRIMARY KEY (batch_id, place)
    ) STRICT;
    """,
    "DROP INDEX ledger_request",
    """
    ALTER TABLE budget RENAME TO budget_5;
    DROP INDEX budget_project;
    CREATE TABLE budget (
      scope TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES project, reserved_nano INTEGER NOT NULL DEFAULT 0,
      limit_nano INTEGER, spent_nano INTEGER NOT NULL DEFAULT 0,
      month_limit_nano INTEGER, month_spent_nano INTEGER NOT NULL DEFAULT 0, month TEXT NOT NULL DEFAULT '',
      day_limit_nano INTEGER, day_spent_nano INTEGER NOT NULL DEFAULT 0, day TEXT NOT NULL DEFAULT ''
    ) STRICT;
    INSERT INTO budget (scope, project_id, reserved_nano, limit_nano, spent_nano)
      SELECT scope, project_id, reserved_nano, limit_nano, spent_nano FROM budget_5 WHERE period = 'total';
    INSERT INTO budget (scope, project_id, reserved_nano, month_limit_nano, month_spent_nano, month)
      SELECT scope, project_id, reserved_nano, limit_nano, spent_nano, spent_in FROM budget_5 WHERE period = 'month';
    INSERT INTO budget (scope, project_id, reserved_nano, day_limit_nano, day_spent_nano, day)
      SELECT scope, project_id, reserved_nano, limit_nano, spent_nano, spent_in FROM budget_5 WHERE period = 'day';
    DROP TABLE budget_5;
    CREATE INDEX budget_project ON budget (project_id);
    """,
)
"""Forward only: entry N brings a file of version N to version N + 1. Landed entries never change."""

_CLAIM = (
    "INSERT INTO call SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11"
    " WHERE NOT EXISTS (SELECT 1 FROM answer WHERE project_id = ?1 AND key = ?2) ON CONFLICT DO NOTHING"
)
_UNCLAIM = "DELETE FROM call WHERE project_id = ? AND key = ? AND request_id = ?"
_CALL = (
    "SELECT fingerprint, lease_s, expires_s, request_id, reserved_nano, scopes, key_id, capability"
    " FROM call WHERE project_id = ? AND key = ?"
)
_ANSWER = "SELECT id, fingerprint, expires_s, answer FROM answer WHERE project_id = ? AND key = ?"
_KEEP = "INSERT INTO answer VALUES (?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING"


@lru_cache(maxsize=256)
def _own(sql: str) -> str:
    """The statement with SQLite's numbered parameters."""
    return sql.replace("$", "?")


def first_id(at_s: float) -> int:
    """The least id of a row of this time. Rows that are read by time have it in their id, which costs no index."""
    return int(at_s * 1000) << 20


def since(request_id: str) -> int:
    """The least id that a row of this call can have, which costs no index: calls are named by the time they came at.
    0 for one that is not."""
    made = made_s(request_id)
    return 0 if made is None else first_id(made - CLOCK_S)


_SWEEP = "DELETE FROM answer WHERE id IN (SELECT id FROM answer WHERE id BETWEEN ? AND ? LIMIT ?)"
_RENEW = "UPDATE call SET lease_s = max(lease_s, ?) WHERE owner = ? AND request_id IN (SELECT value FROM json_each(?))"
_BOOKED = f"SELECT 1 FROM ledger WHERE id >= ? AND request_id = ? AND outcome <> '{UNKNOWN}' LIMIT 1"
_ROWS = f"SELECT {LEDGER_COLUMNS} FROM ledger WHERE id >= $1 AND request_id = $2"
_NOTE = f"INSERT INTO ledger (id, {LEDGER_COLUMNS}) VALUES (?{', ?' * LEDGER_VALUES})"
_LAST = "SELECT coalesce(max(id), 0) FROM ledger"

_PUT_OUTCOME = (
    "INSERT INTO batch_row SELECT $1, $3, $4, $5 FROM batch_shard WHERE batch_id = $1 AND number = $2"
    " ON CONFLICT DO NOTHING"
)
_COUNT_OUTCOME = (  # of the statement before it: 1 where the outcome is new
    "UPDATE batch_shard SET completed = completed + changes() * $3, failed = failed + changes() * (1 - $3)"
    " WHERE batch_id = $1 AND number = $2"
)


class SqliteDurable(SqlDurable):
    """``Durable`` in a file. The file is made, readable by its owner only, when it is not there.

    Raises ``ConfigError`` for a file whose schema is newer than this version knows.
    """

    DAY = "date(at_s, 'unixepoch')"
    UNDER = "$1 IN (SELECT value FROM json_each(scopes))"
    TAGS = " LEFT JOIN json_each(spent.tags) AS tag"
    SKIP = ""
    SINCE = "id >= CAST(min(max($1, 0), 8e9) * 1000 AS INTEGER) << 20 AND at_s >= $1"  # ids have room to the year 2223

    def __init__(self, path: Path | None, *, upgrade: bool = False) -> None:
        """``upgrade`` also writes an old file anew, with the pages that new ones have, where no other process has it
        open."""
        super().__init__()
        self._path = path
        with apart():
            self._use(_open(path, upgrade))
        self._let_go = False
        self._rows: list[LedgerRow] = []
        self._last_id: int | None = None
        self._last_kept = {LONG: 0, BRIEF: 0}
        self._commits = Commits(self._cursor, self._finish, self._forget)
        self._homing: asyncio.Task[None] | None = None
        self._file = _file_of(path)
        if path is not None:
            open_for_long.add(self)

    def _use(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._cursor = db.cursor()  # always the same: making one costs as much as a small statement
        self._execute, self._execute_each = self._cursor.execute, self._cursor.executemany
        self._purse = Purse(self._cursor)

    def let_go(self) -> None:
        """Closes the file for a fork."""
        if not self._let_go:
            self._let_go = True
            self._close()

    def _close(self) -> None:
        self._cursor.close()  # its last statement would keep the file open
        self._db.close()

    def take_up(self) -> None:
        """Opens the file again after a fork. Where another one stands in its place, or it cannot be opened, calls wait
        until ``tend`` finds it."""
        self._look()

    def _look(self) -> None:
        """A file that was taken away or replaced is written to all the same, and lost with this process: calls wait
        until it is back."""
        if self._file != _file_of(self._path):
            self._commits.problem = "its file was taken away; put it back, or restart the runtime"
            return
        if self._let_go:
            self._commits.problem = "it could not be opened again"
            self._use(_open(self._path, False))
            self._commits.use(self._cursor)
            self._let_go = False
        self._commits.problem = None

    async def tend(self, owner: str, now: float) -> None:
        """Looks whether the file is there, renews leases, buries the dead, forgets what has expired."""
        with apart():
            self._look()
        await super().tend(owner, now)

    async def ping(self) -> None:
        """Raises when the store cannot be used: after something could not be written, until there is room and a
        little can be."""
        with apart():
            self._look()
        if self._commits.failed or self._commits.problem:
            _check_room(self._path)
            await self._commits.run(self._execute, f"PRAGMA user_version = {len(MIGRATIONS)}")
            self._commits.failed = False
        await super().ping()

    async def _write(self, *statements: Statement) -> int:
        return await self._commits.run(self._run_other, statements)

    def _run_other(self, statements: Sequence[Statement]) -> int:
        """Statements that may be about budgets: they find what calls of this moment did with them, and what is known of
        them ends."""
        self._purse.write()
        self._purse.forget()
        return self._run(statements)

    def _run(self, statements: Sequence[Statement]) -> int:
        return [self._db.execute(_own(sql), values).rowcount for sql, values in statements][-1]

    async def _change(self, sql: str, *values: Any) -> Sequence[Sequence[Any]]:
        return await self._commits.run(self._changed, (sql, values))

    def _changed(self, statement: Statement) -> Sequence[Sequence[Any]]:
        sql, values = statement
        return self._db.execute(_own(sql), values).fetchall()

    async def _fetch(self, sql: str, *values: Any) -> Sequence[Sequence[Any]]:
        if self._path is None or " FROM ledger" not in sql:
            return await self._commits.read(lambda: self._db.execute(_own(sql), values).fetchall())
        return await asyncio.to_thread(self._report, _own(sql), values)

    def _report(self, sql: str, values: Sequence[Any]) -> list[Any]:
        assert self._path is not None
        try:
            with apart(), closing(_again(self._path, BUSY_S)) as db:
                return db.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            check_usable(error)
            raise

    def _finish(self) -> None:
        """The end of every transaction: what its calls share is written once."""
        self._purse.write()
        if self._rows:
            last = self._execute(_LAST).fetchone()[0] if self._last_id is None else self._last_id
            notes = []
            for row in self._rows:
                last = max(first_id(row.at_s), last + 1)
                notes.append((last, *ledger_values(row)))
            self._execute_each(_NOTE, notes)
            self._last_id = last
            self._rows.clear()

    def _forget(self) -> None:
        self._purse.forget()
        self._rows.clear()
        self._last_id = None

    # -- a call

    def _admit_once(self, admission: Admission) -> Coroutine[Any, Any, Admitted]:
        return self._commits.run(self._admit, admission, alone=len(self._running) < 2)

    def _admit(self, a: Admission) -> Admitted:
        if not self._claim(a):
            standing = self._standing(a)
            if standing is not None:
                return standing
            self._claim(a)
        if a.reserve_nano is None or (refusal := self._purse.reserve(a.scopes, a.reserve_nano, a.now)) is None:
            return NEW
        self._execute(_UNCLAIM, (a.project_id, a.key, a.request_id))
        return refusal

    def _claim(self, a: Admission) -> bool:
        """Writes the call down; False where one with its key stands."""
        values = (
            a.project_id,
            a.key,
            a.fingerprint,
            a.request_id,
            a.owner,
            a.now + a.lease_s,
            a.now + a.ttl_s,
            a.reserve_nano or 0,
            _text_of(a.scopes if a.reserve_nano else ()),
            a.key_id,
            a.capability,
        )
        return self._execute(_CLAIM, values).rowcount > 0

    def _standing(self, a: Admission) -> Admitted | None:
        """What the call with the same key that stands leads to; None when it no longer counted, and is gone."""
        found = self._db.execute(_CALL, (a.project_id, a.key)).fetchone()
        if found is None:
            return self._stored(a)
        fingerprint, lease_s, expires_s = found[:3]
        running = lease_s > a.now
        if fingerprint != a.fingerprint and (running or expires_s > a.now):
            return CONFLICT
        if running:
            return RUNNING
        self._bury(a.project_id, a.key, found[3:], a.now)
        return None

    def _stored(self, a: Admission) -> Admitted | None:
        id_, fingerprint, expires_s, answer = self._db.execute(_ANSWER, (a.project_id, a.key)).fetchone()
        if expires_s > a.now:
            return Admitted("done", answer) if fingerprint == a.fingerprint else CONFLICT
        self._db.execute("DELETE FROM answer WHERE id = ?", (id_,))
        return None

    def _book_once(self, booking: Booking, doubtful: bool) -> Coroutine[Any, Any, None]:
        if self._commits.count > LONG_LOG:
            self._bring_home()
        return self._commits.run(self._book_again if doubtful else self._book, booking, alone=len(self._running) < 2)

    def _note_once(self, rows: Sequence[LedgerRow], doubtful: bool) -> Coroutine[Any, Any, None]:
        return self._commits.run(self._rows.extend, rows, alone=len(self._running) < 2)  # all of them, or rolled back

    def _book_again(self, booking: Booking) -> None:
        a = booking.admission
        if self._stands(a) or not self._is_booked(a):  # a call that still stands is not booked
            self._book(booking)

    def _book(self, booking: Booking) -> None:
        a = booking.admission
        ours = self._execute(_UNCLAIM, (a.project_id, a.key, a.request_id)).rowcount > 0
        if ours and booking.answer is not None and a.ttl_s:
            self._keep(a, booking.now, booking.answer)
        reserved = (a.reserve_nano or 0) if ours else 0
        if a.scopes and (reserved or booking.cost_nano):
            self._purse.settle(a.scopes, reserved, booking.cost_nano, booking.now)
        self._rows += booking.rows
        if booking.outcome is not None:
            self._run(self._outcome(booking.outcome))

    def _stands(self, a: Admission) -> bool:
        found = self._execute(_CALL, (a.project_id, a.key)).fetchone()
        return found is not None and found[3] == a.request_id

    def _is_booked(self, a: Admission) -> bool:
        return self._db.execute(_BOOKED, (since(a.request_id), a.request_id)).fetchone() is not None

    def _outcome(self, outcome: Outcome) -> tuple[Statement, ...]:
        ours = (outcome.batch_id, outcome.shard)
        put = (_PUT_OUTCOME, (*ours, outcome.place, int(outcome.ok), outcome.answer))
        return put, (_COUNT_OUTCOME, (*ours, int(outcome.ok)))

    def _keep(self, a: Admission, now: float, answer: bytes) -> None:
        where = BRIEF if a.ttl_s <= BRIEF_S else LONG
        first, last = where + first_id(now + a.ttl_s), self._last_kept[where]
        id_ = last + 1 if first <= last < first + first_id(1.0) else first
        about = (a.project_id, a.key, a.fingerprint, a.now + a.ttl_s, answer)
        while not self._execute(_KEEP, (id_, *about)).rowcount:
            id_ += 1 + random.getrandbits(20)  # another process has kept one of this millisecond
        self._last_kept[where] = id_

    def _bury(self, project_id: str, key: str, found: Sequence[Any], now: float) -> None:
        """Ends a call that nobody vouches for: the money comes back, a row says that its outcome is unknown."""
        request_id, reserved_nano, scopes, key_id, capability = found
        paying = tuple(orjson.loads(scopes))
        if reserved_nano:
            self._purse.settle(paying, reserved_nano, 0, now)
        told = unknown_row(project_id, request_id, key_id, capability, now)
        kept, tags = None if key == request_id else key, tags_of(project_id, paying)
        self._rows.append(told._replace(reserved_nano=reserved_nano, idempotency_key=kept, tags=tags))
        self._db.execute(_UNCLAIM, (project_id, key, request_id))

    async def rows(self, request_id: str) -> list[LedgerRow]:
        """The ledger's rows of one call."""
        await self._write_noted()
        return [ledger_of(row) for row in await self._fetch(_ROWS, since(request_id), request_id)]

    # -- in the background

    async def _tend_once(self, owner: str, now: float, running: Collection[str]) -> None:
        await self._commits.run(self._tend, (owner, now, running))
        for _ in range(MOST_SWEEPS):
            if not await self._commits.run(self._sweep, now):
                break
        await self._bring_home()

    def _tend(self, tending: tuple[str, float, Collection[str]]) -> None:
        owner, now, running = tending
        self._db.execute(_RENEW, (now + LEASE_S, owner, _json_list(running)))
        dead = self._db.execute(
            "SELECT project_id, key, request_id, reserved_nano, scopes, key_id, capability FROM call"
            " WHERE lease_s <= ? LIMIT ?",
            (now, SWEPT_AT_ONCE),
        ).fetchall()
        for row in dead:
            self._bury(row[0], row[1], row[2:], now)

    def _sweep(self, now: float) -> bool:
        """Forgets answers whose time is over; whether there may be more of them."""
        ranges = ((first, first + first_id(now), SWEPT_AT_ONCE) for first in (LONG, BRIEF))
        return max(self._db.execute(_SWEEP, some).rowcount for some in ranges) == SWEPT_AT_ONCE

    def _bring_home(self) -> asyncio.Task[None]:
        """Copies the log into the file, on a thread, so that it does not grow."""
        if self._homing is None or self._homing.done():
            self._commits.count = 0
            self._homing = asyncio.create_task(asyncio.to_thread(_checkpoint, self._path))
        return self._homing

    async def close(self) -> None:
        """Closes the file."""
        try:
            await self._write_noted()
        finally:
            if self._homing is not None and not self._homing.done():
                await asyncio.wait([self._homing])
            open_for_long.discard(self)
            with USE:
                self._close()


def unknown_row(project_id: str, request_id: str, key_id: str | None, capability: str, now: float) -> LedgerRow:
    """The ledger row of a call whose process died."""
    return LedgerRow("attempt", now, project_id, key_id, request_id, capability, None, None, UNKNOWN, 0.0)


@lru_cache(maxsize=1024)
def _text_of(scopes: tuple[str, ...]) -> str:
    return _json_list(scopes)


def _json_list(names: Collection[str]) -> str:
    return orjson.dumps(list(names)).decode()


def _checkpoint(path: Path | None) -> None:
    """Most of the log is copied beside the writers; they wait only for the little that came meanwhile, after which the
    log starts anew."""
    if path is not None:
        with apart(), closing(_again(path, 1.0)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            db.execute("PRAGMA wal_checkpoint(RESTART)")


def _again(path: Path, timeout_s: float) -> sqlite3.Connection:
    """Another connection to the file; one that is gone is not made anew."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=timeout_s, uri=True)


def _file_of(path: Path | None) -> tuple[int, int] | None:
    """Which file stands at a path; None for none."""
    try:
        found = None if path is None else path.stat()
    except FileNotFoundError:
        return None
    return found and (found.st_dev, found.st_ino)


def _check_room(path: Path | None) -> None:
    """A log that is written from its beginning again has room for a little on a disk that has none."""
    if path is None:
        return
    disk = os.statvfs(path.parent)
    if disk.f_bavail * disk.f_frsize < ROOM_BYTES:
        raise unusable("its disk is full")


# -- opening ---------------------------------------------------------------------------------------------------------


def _open(path: Path | None, upgrade: bool) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path or ":memory:", timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        if upgrade:
            _repage(db)
        # Rows that nobody reads are taken too: a statement that has some left keeps tables from being changed.
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        _migrate(db, path.name if path else "memory")
        db.execute("PRAGMA busy_timeout = 0")  # from here on the loop waits, not the statement
    except sqlite3.DatabaseError as error:
        db.close()
        raise ConfigError(f"the database {path or 'memory'} cannot be opened: {error}") from error
    except BaseException:
        db.close()
        raise
    return db


def _repage(db: sqlite3.Connection) -> None:
    """Writes a file of other pages anew. What is interrupted leaves it as it was."""
    if db.execute("PRAGMA page_size").fetchall() == [(PAGE_BYTES,)]:
        return
    db.execute("PRAGMA busy_timeout = 0")
    try:
        db.execute("PRAGMA journal_mode = DELETE")  # pages are fixed while there is a log
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute("VACUUM")
    except sqlite3.OperationalError as error:
        why = "another process has it open" if busy(error) else error
        log.warning("the database keeps its old pages, which cost calls some time: %s", why)
    db.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")


def _migrate(db: sqlite3.Connection, name: str) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        [(version,)] = db.execute("PRAGMA user_version").fetchall()
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
