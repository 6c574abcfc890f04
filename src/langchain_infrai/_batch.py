"""Many runs as one native batch job.

``abatch`` starts a run per input, as LangChain does; with ``batch_mode`` each of them stops where it would send its
request, and waits for its row of the one job that is made of all. So callbacks, traces, caches and budgets see ordinary
runs, which begin before anything is sent. ``batch`` does the same in a thread with an event loop of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from infrai_core import AsyncInfrai, Infrai
from infrai_core.service import BATCH_DONE, BatchRecord
from langchain_infrai._bar import bar
from langchain_infrai.errors import InfraiConfigError

Row: TypeAlias = dict[str, Any]
Progress: TypeAlias = Callable[[BatchRecord], None]

OPTIONS = ("batch_id", "batch_timeout", "batch_poll_s", "batch_progress", "idempotency_key")
"""Arguments of ``batch`` that are the job's, not the runs'."""


@dataclass(frozen=True)
class JobOptions:
    """How a job is handed in and waited for."""

    batch_id: str | None = None
    batch_timeout: str | None = None
    batch_poll_s: float = 2.0
    batch_progress: bool | Progress = False
    idempotency_key: str | None = None

    @classmethod
    def taken(cls, kwargs: dict[str, Any]) -> JobOptions:
        """The job's options, taken out of the arguments of a call. Raises ``InfraiConfigError`` for a wrong one."""
        given = {name: kwargs.pop(name) for name in OPTIONS if name in kwargs}
        options = cls(**{name: value for name, value in given.items() if value is not None})
        poll_s, progress = options.batch_poll_s, options.batch_progress
        if isinstance(poll_s, bool) or not isinstance(poll_s, int | float) or poll_s <= 0:
            raise InfraiConfigError(f"batch_poll_s={poll_s!r}: allowed is a number of seconds above 0")
        if not isinstance(progress, bool) and not callable(progress):
            raise InfraiConfigError(f"batch_progress={progress!r}: allowed are True, False or a function")
        return options

    @property
    def submission(self) -> Any:
        """Arguments of ``batch_submit``."""
        return {"batch_timeout": self.batch_timeout, "idempotency_key": self.idempotency_key}


@dataclass
class Job:
    """One job in the making. ``run`` hands the requests in and gives their rows back."""

    total: int
    run: Callable[[list[Row]], Awaitable[list[Row]]]
    _asked: dict[int, Row] = field(default_factory=dict)
    _rows: dict[int, asyncio.Future[Row]] = field(default_factory=dict)
    _gone: set[int] = field(default_factory=set)
    _task: asyncio.Task[None] | None = None

    async def row(self, place: int, request: Row) -> Row:
        """The row of a request, once the job has ended."""
        self._asked[place] = request
        future: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
        self._rows[place] = future
        self._check()
        return await future

    def ended(self, place: int) -> None:
        """A run has ended; the others do not wait for it, also where it has asked for nothing."""
        self._gone.add(place)
        self._check()

    def _check(self) -> None:
        if self._task is None and self._asked and len(self._asked.keys() | self._gone) == self.total:
            self._task = asyncio.create_task(self._answer())

    async def _answer(self) -> None:
        places = sorted(self._asked)
        try:
            rows = await self.run([self._asked[place] for place in places])
        except BaseException as error:
            for future in self._rows.values():
                _fail(future, error)
            if not isinstance(error, Exception):
                raise
            return
        for place, row in zip(places, rows, strict=True):
            if not self._rows[place].done():
                self._rows[place].set_result(row)

    async def close(self) -> None:
        """Waits for nothing more. A job that was handed in goes on at the service."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])


def _fail(future: asyncio.Future[Row], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # seen, also where its run has ended


_place: ContextVar[tuple[Job, int] | None] = ContextVar("infrai_batch", default=None)


@contextmanager
def placed(job: Job, place: int) -> Iterator[None]:
    """Inside, the run of a model gets its answer from this job."""
    token = _place.set((job, place))
    try:
        yield
    finally:
        _place.reset(token)
        job.ended(place)


def current() -> tuple[Job, int] | None:
    """The job that the running run belongs to, and its place there."""
    return _place.get()


# -- a job at the service ----------------------------------------------------------------------------------------------


def _checked(record: BatchRecord, requests: list[Row], options: JobOptions) -> BatchRecord:
    """Refuses a job that was made of other inputs."""
    if options.batch_id is not None and record.total_count not in (None, len(requests)):
        raise InfraiConfigError(
            f"batch_id={options.batch_id!r}: that job has {record.total_count} requests, here are {len(requests)}; "
            "give the inputs that it was made of"
        )
    return record


def run_job(client: Infrai, options: JobOptions, requests: list[Row]) -> list[Row]:
    """Hands the requests in, or finds the job again, and waits for the rows."""
    with shown(options.batch_progress, len(requests)) as progress:
        if options.batch_id is None:
            record = client.batch_submit(requests, **options.submission)
        else:
            record = _checked(client.batch_status(options.batch_id), requests, options)
        progress(record)
        if record.state not in BATCH_DONE:
            client.batch_wait(record.batch_id, poll_s=options.batch_poll_s, progress=progress)
        return list(client.batch_rows(record.batch_id))


async def arun_job(client: AsyncInfrai, options: JobOptions, requests: list[Row]) -> list[Row]:
    """The same from an event loop."""
    with shown(options.batch_progress, len(requests)) as progress:
        if options.batch_id is None:
            record = await client.batch_submit(requests, **options.submission)
        else:
            record = _checked(await client.batch_status(options.batch_id), requests, options)
        progress(record)
        if record.state not in BATCH_DONE:
            await client.batch_wait(record.batch_id, poll_s=options.batch_poll_s, progress=progress)
        return [row async for row in client.batch_rows(record.batch_id)]


async def run_job_aside(client: Infrai, options: JobOptions, requests: list[Row]) -> list[Row]:
    """``run_job`` on a thread."""
    return await asyncio.to_thread(partial(run_job, client, options), requests)


@contextmanager
def shown(progress: bool | Progress, total: int) -> Iterator[Progress]:
    """What to call with every record of a job. Raises ``InfraiConfigError`` for a bar without tqdm."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda record: None
        return
    with bar("batch_progress", total, "request", "batch") as drawn:
        yield lambda record: drawn.update((record.completed_count or 0) + (record.failed_count or 0) - drawn.n)
