"""Group commit for SQLite: what is asked for in one turn of the event loop is committed in one transaction.

A transaction costs locks and pages of the log whatever it holds, so calls that run at the same time share one. Each
waits for the commit that holds its own work. Work that fails does not harm the rest: the transaction is rolled back and
all of it is done again, each in a transaction of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from infrai_runtime.failure import Failure
from infrai_runtime.store.forks import USE

A = TypeVar("A")
T = TypeVar("T")

BUSY_S = 30.0
"""How long a file that other processes write to is waited for."""
RETRY_S = 5.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.001, 0.05
_VERSION = "PRAGMA data_version"
"""Changes whenever another connection has committed."""


@dataclass(eq=False, slots=True)
class _Job:
    work: Callable[[Any], Any]
    about: Any
    done: asyncio.Future[Any]
    since: float

    def tell(self, result: Any, error: BaseException | None = None) -> None:
        if self.done.done():
            return
        self.done.set_result(result) if error is None else self.done.set_exception(error)


class Commits:
    """Transactions of one connection. ``finish`` is called before each commit; ``forget`` when what is known of the
    file may no longer be so: one was rolled back, or another connection has written."""

    def __init__(self, cursor: sqlite3.Cursor, finish: Callable[[], None], forget: Callable[[], None]) -> None:
        self._finish = finish
        self._forget = forget
        self.use(cursor)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs: list[_Job] = []
        self._wait_s = FIRST_WAIT_S
        self.problem: str | None = None
        """Why nothing is to be written: whoever knows sets it, and takes it away again."""
        self.failed = False
        """Whether something could not be written; whoever has seen that it can takes it away again."""
        self.count = 0
        """Transactions so far; whoever reads it may start again from 0."""

    def use(self, cursor: sqlite3.Cursor) -> None:
        """Goes on with this connection."""
        self._db = cursor.connection
        self._execute = cursor.execute
        self._version: Any = None

    async def run(self, work: Callable[[A], T], about: A, *, alone: bool = False) -> T:
        """The result of ``work(about)``, once it is committed. Raises what it raises, and OVERLOADED for a file that
        cannot be used: full, not writable, damaged, or held by other processes for longer than ``BUSY_S``.

        Work whose caller is gone before its turn is not done. ``alone``: nobody else is expected in this turn, so it is
        done at once.
        """
        if self.problem is not None:
            raise unusable(self.problem)
        try:
            if alone and not self._jobs:
                try:
                    return self._at_once(work, about)
                except sqlite3.OperationalError as error:
                    if not busy(error):
                        raise
            result: T = await self._add(work, about)
            return result
        except sqlite3.DatabaseError as error:
            self.failed = True
            check_usable(error)
            raise

    def _at_once(self, work: Callable[[A], T], about: A) -> T:
        with USE:
            execute = self._execute
            execute("BEGIN IMMEDIATE")  # takes the write lock at once, so that a read-then-write cannot be overtaken
            try:
                version = execute(_VERSION).fetchone()
                if version != self._version:
                    self._forget()
                    self._version = version
                result = work(about)
                self._finish()
                execute("COMMIT")
            except BaseException:
                self._forget()
                if self._db.in_transaction:
                    execute("ROLLBACK")
                raise
        self.count += 1
        return result

    async def read(self, work: Callable[[], T]) -> T:
        """The result of work that only reads; the file may be busy for a moment after another process has died."""
        give_up, wait_s = time.monotonic() + BUSY_S, FIRST_WAIT_S
        while True:
            try:
                with USE:
                    return work()
            except sqlite3.DatabaseError as error:
                if not busy(error) or time.monotonic() > give_up:
                    check_usable(error)
                    raise
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _add(self, work: Callable[[Any], Any], about: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # what waited for a loop that has ended is gone with its callers
            self._loop, self._jobs = loop, []
        job = _Job(work, about, loop.create_future(), time.monotonic())
        self._jobs.append(job)
        if len(self._jobs) == 1:
            loop.call_soon(self._commit)
        return job.done

    def _commit(self) -> None:
        jobs = [job for job in self._jobs if not job.done.cancelled()]
        self._jobs = []
        try:
            results = self._at_once(_each, jobs) if jobs else []
        except Exception as error:
            self._later(jobs, error) if busy(error) else self._one_by_one(jobs, error)
        else:
            self._wait_s = FIRST_WAIT_S
            for job, result in zip(jobs, results, strict=True):
                job.tell(result)

    def _one_by_one(self, jobs: Sequence[_Job], error: Exception) -> None:
        if len(jobs) == 1:
            return jobs[0].tell(None, error)
        for job in jobs:
            try:
                result = self._at_once(job.work, job.about)
            except Exception as its:
                self._later([job], its) if busy(its) else job.tell(None, its)
            else:
                job.tell(result)

    def _later(self, jobs: Sequence[_Job], error: Exception) -> None:
        """Another process writes: what has waited long enough fails, the rest is tried again."""
        give_up = time.monotonic() - BUSY_S
        for job in jobs:
            if job.since < give_up:
                job.tell(None, error)
        waits = bool(self._jobs)
        self._jobs += [job for job in jobs if job.since >= give_up]
        if self._jobs and not waits and self._loop is not None:
            self._loop.call_later(self._wait_s, self._commit)
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)


def _each(jobs: Sequence[_Job]) -> list[Any]:
    return [job.work(job.about) for job in jobs]


def busy(error: Exception) -> bool:
    """Whether another process holds the file."""
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


_UNUSABLE = {
    sqlite3.SQLITE_FULL: "its disk is full",
    sqlite3.SQLITE_IOERR: "its disk fails",
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_NOTADB: "it is damaged",
    sqlite3.SQLITE_BUSY: "other processes hold it",
    sqlite3.SQLITE_LOCKED: "other processes hold it",
}


def check_usable(error: sqlite3.Error) -> None:
    """Raises OVERLOADED where an error says that the file cannot be used, whatever it is used for."""
    why = _UNUSABLE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if why is not None:
        raise unusable(why) from error


def unusable(why: str) -> Failure:
    """What a call is told: no vendor was asked, nothing was billed."""
    return Failure("OVERLOADED", f"the runtime's database cannot be used: {why}", retry_after_s=RETRY_S)
