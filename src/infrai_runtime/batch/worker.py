"""Works on batches: takes shards, sends each request through the service, and lets calls that somebody waits for go
first.

A worker lives in a serving process, in the embedded runtime, or alone (``infrai worker``); they share the work through
the store and know nothing of each other. A request goes the way of every call, under its key's policy and limits, with
its place in the batch as idempotency key.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial

from infrai_runtime.admission import comes_back
from infrai_runtime.batch.job import ask_at
from infrai_runtime.batch.native import Jobs, Lost
from infrai_runtime.booking import WAITED_FOR, outcome_of
from infrai_runtime.failure import Failure
from infrai_runtime.keys import Caller
from infrai_runtime.service import Service
from infrai_runtime.store.batch import Batch, Shard
from infrai_runtime.store.durable import Durable
from infrai_runtime.trace import Place, Trace
from infrai_runtime.wire import Native

log = logging.getLogger("infrai_runtime")

SHARDS = 4
"""How many shards a worker has at a time, so that a small batch need not wait for all of a large one."""
LOOK_AFTER_S, LOOK_EVERY_S = 0.05, 2.0
"""How soon the store is asked again for work where there was none; each time in a row it takes twice as long."""
HOLD_EVERY_S = 5.0
KNOWN_S = 1.0
"""How long a key is taken as it was."""
YIELD_S = 0.02
"""How long a request waits to see whether there is room beside the calls that somebody waits for."""
PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Before a request is tried again that was refused for a moment; every further pause is twice as long."""
MONEY_WAIT_S = 120.0
"""How long a shard waits for money that other calls have set aside: longer than nearly all calls take."""
BROKEN_PAUSE_S = 5.0
"""Before a shard is taken up again that broke."""
NATIVE = Native()


class Gate:
    """Room for ``most`` requests at a time, first come first served. Each call that somebody waits for (``others``)
    takes the place of one, but one always goes on."""

    def __init__(self, most: int, others: Callable[[], int]) -> None:
        self._queue = asyncio.Lock()
        self._room = asyncio.Semaphore(most)
        self._most = most
        self._others = others
        self.inside = 0

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None, None]:
        """A place for one request."""
        async with self._room:
            async with self._queue:
                while self.inside and self.inside + self._others() >= self._most:
                    await asyncio.sleep(YIELD_S)
                self.inside += 1
            try:
                yield
            finally:
                self.inside -= 1


class Worker:
    """Works until it is stopped; ``concurrency`` requests at a time."""

    def __init__(self, service: Service, concurrency: int, now: Callable[[], float]) -> None:
        self.service = service
        self.concurrency = concurrency
        self.now = now
        self.gate = Gate(concurrency, lambda: max(0, service.running - self.gate.inside))
        self._runs: dict[tuple[str, int], ShardRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._working = asyncio.Event()
        self._loops = [asyncio.create_task(self._take()), asyncio.create_task(self._hold())]

    def begin_no_more(self) -> None:
        """Takes no further shard, and begins no further request of those it has."""
        for loop in self._loops:
            loop.cancel()
        for run in self._runs.values():
            run.over = True

    async def stop(self, grace_s: float) -> None:
        """Begins nothing more, lets running requests end for ``grace_s``, and gives its shards back."""
        self.begin_no_more()
        await asyncio.wait(self._loops)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self) -> None:
        """Takes shards while there is room for them."""
        pause_s = LOOK_AFTER_S
        while True:
            shard = None
            try:
                shard = await self.service.durable.take_shard(self.service.books.owner, self.now())
            except Exception as error:
                log.warning("no work could be taken (%s: %s); it is tried again", type(error).__name__, error)
            if shard is None:
                news = await _heard(self.service.batches.news, pause_s)
                pause_s = LOOK_AFTER_S if news else min(2 * pause_s, LOOK_EVERY_S)
                continue
            pause_s = LOOK_AFTER_S
            self._begin(shard)
            while len(self._runs) >= SHARDS:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def _begin(self, shard: Shard) -> None:
        run = ShardRun(self, shard)
        key = (shard.batch.batch_id, shard.number)
        self._runs[key] = run
        self._working.set()
        task = asyncio.create_task(run.run())
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, key, run))

    def _ended(self, key: tuple[str, int], run: ShardRun, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._runs.get(key) is run:  # a shard that was lost may have been taken again meanwhile
            del self._runs[key]

    async def _hold(self) -> None:
        """Renews the leases of its shards, hears of closed batches, and lets go of what is no longer its own."""
        while True:
            await self._working.wait()
            await _heard(self.service.batches.cancels, HOLD_EVERY_S)
            if not self._runs:
                self._working.clear()
                continue
            try:
                held = await self.service.durable.hold_shards(self.service.books.owner, self.now())
            except Exception as error:
                log.warning("leases could not be renewed (%s: %s)", type(error).__name__, error)
                continue
            closed = {(one.batch_id, one.number, one.fence): one.closed for one in held}
            for key, run in self._runs.items():
                run.over = run.over or closed.get((*key, run.shard.fence), True)


class ShardRun:
    """One shard in work. ``over``: nothing more of it is begun."""

    def __init__(self, worker: Worker, shard: Shard) -> None:
        self.shard = shard
        self.over = False
        self._worker = worker
        self._service = worker.service
        self._again = shard.fence > 1
        """Whether somebody may have worked on it before, or still does."""
        self._has_jobs = False
        self._known: Caller | Failure = Caller(shard.batch.project_id)
        self._known_s = -math.inf
        self._short_since: float | None = None

    async def run(self) -> None:
        """Sees to it that every request has its outcome, as far as the batch is open; then the shard is done, else it
        is given back."""
        durable = self._service.durable
        try:
            await self._work()
        except Lost:
            log.info("shard %s of %s is somebody else's now", self.shard.number, self.shard.batch.batch_id)
        except BaseException as error:
            broke = isinstance(error, Exception)
            with suppress(Exception):
                await durable.leave_shard(self.shard, self._worker.now() + BROKEN_PAUSE_S if broke else 0.0)
            if not broke:
                raise
            log.exception("shard %s of %s broke; it is taken up again", self.shard.number, self.shard.batch.batch_id)

    async def _work(self) -> None:
        shard, durable = self.shard, self._service.durable
        lines = dict(enumerate(shard.requests.split(b"\n"), shard.first))
        jobs = Jobs(self._service, shard, lines, self._worker.now)
        away = await jobs.tended(await self._caller(), await self._left(lines), self._batch_closed())
        self._has_jobs = bool(away)
        while (left := [row for row in await self._left(lines) if row[0] not in away]) and not self._closed():
            await self._run_all(left)
            self._again = True
        if away:
            await durable.leave_shard(shard, jobs.wake_s, here=jobs.here)
        elif left and not self._batch_closed():
            await durable.leave_shard(shard, 0.0, here=jobs.here)
        else:
            await durable.finish_shard(shard)

    async def _caller(self) -> Caller | Failure:
        """Whose requests they are, as the key was at most ``KNOWN_S`` ago: a shard may be in work for hours."""
        now = self._worker.now()
        if abs(now - self._known_s) >= KNOWN_S:
            self._known_s = now
            self._known = await caller_of(self._service.durable, self.shard.batch)
        return self._known

    async def _left(self, lines: Mapping[int, bytes]) -> list[tuple[int, bytes]]:
        """The requests that have no outcome, with their places in the batch."""
        shard = self.shard
        known = await self._service.durable.known_places(shard.batch.batch_id, shard.first, shard.rows)
        return [(place, line) for place, line in lines.items() if place not in known]

    def _closed(self) -> bool:
        return self.over or self._batch_closed()

    def _batch_closed(self) -> bool:
        return self.shard.batch.closed(self._worker.now()) is not None

    async def _run_all(self, left: list[tuple[int, bytes]]) -> None:
        rows = iter(left)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._worker.concurrency, len(left))):
                group.create_task(self._run_some(rows))

    async def _run_some(self, rows: Iterator[tuple[int, bytes]]) -> None:
        for place, line in rows:
            pause_s = PAUSE_S
            while not self._closed():
                async with self._worker.gate.place():
                    refused = None if self._closed() else await self._once(place, line)
                if refused is None:
                    break
                await asyncio.sleep(max(refused.retry_after_s or 0.0, pause_s))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            if self._closed():
                return

    async def _once(self, place: int, line: bytes) -> Failure | None:
        """Runs a request to its outcome; the failure where it is to be tried again."""
        shard = self.shard
        trace = self._service.begin(NATIVE)
        trace.place = Place(shard.batch.batch_id, shard.number, place)
        try:
            caller = await self._caller()
            if isinstance(caller, Failure):
                raise caller.again()
            trace.caller, trace.ask = caller, ask_at(shard.batch, place, line)
            trace.capability = trace.ask.capability
            await self._answer(trace, place)
            self._short_since = None
        except Failure as failure:
            if failure.code in WAITED_FOR or self._waits_for_money(failure):
                return failure.again()
            outcome = outcome_of(trace, b"", failure)
            assert outcome is not None
            await self._service.durable.put_outcome(outcome)  # of a call that was made it is there already
            self._service.tell(trace, failure)
        return None

    def _waits_for_money(self, failure: Failure) -> bool:
        """Whether a request waits for what other calls have set aside. A vendor's job holds it for too long, and is
        looked after once the shard is given back."""
        if not comes_back(failure) or self._has_jobs:
            return False
        now = self._worker.now()
        self._short_since = self._short_since or now
        return now - self._short_since < MONEY_WAIT_S

    async def _answer(self, trace: Trace, place: int) -> None:
        service = self._service
        ready = await service.prepare(trace)
        slot = await service.books.admit(trace, ready)
        if self._again and slot.running is None and await self._is_known(place):
            # Somebody who held the shard before wrote it between our look and our claim.
            await service.durable.release(slot.admission)
            return
        await service.deliver(slot.running or service.start(trace, slot, ready), trace)

    async def _is_known(self, place: int) -> bool:
        return bool(await self._service.durable.known_places(self.shard.batch.batch_id, place, 1))


async def _heard(event: asyncio.Event, at_most_s: float) -> bool:
    """Whether the event was set within this time; it is cleared."""
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most_s):
            await event.wait()
    heard = event.is_set()
    event.clear()
    return heard


async def caller_of(durable: Durable, batch: Batch) -> Caller | Failure:
    """Whose request it is, with what the key may do by now. A revoked key's batches do not go on."""
    if batch.key_id is None:
        return Caller(batch.project_id)
    keys = await durable.keys(batch.project_id)
    row = next((row for row in keys if row.key_id == batch.key_id and not row.revoked), None)
    if row is None:
        return Failure("UNAUTHORIZED", "the key that handed this batch in was revoked")
    return Caller(row.project_id, row.key_id, row.trial, row.policy)
