"""Where batches are handed in, asked for, and cancelled. Who works on them is ``worker``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import orjson

from infrai_runtime import identity
from infrai_runtime.batch import census
from infrai_runtime.batch.job import Checked, Job, Requests
from infrai_runtime.batch.record import record_of, results_of
from infrai_runtime.failure import Failure
from infrai_runtime.field import refuse
from infrai_runtime.keys import Caller
from infrai_runtime.metrics import Gauge
from infrai_runtime.request import Ask
from infrai_runtime.store.batch import LOADING_S, Batch, BatchStore
from infrai_runtime.wire import Json

log = logging.getLogger("infrai_runtime")

SHARD_REQUESTS = 500
SHARD_BYTES = 4 * 1024 * 1024
KEPT_S = 7 * 24 * 3600.0
"""How long results are kept after a batch's deadline."""
IN_PROGRESS_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A batch that was taken in, now or by an earlier call with the same key."""

    record: Json
    again: bool = False


Estimate: TypeAlias = Callable[[Caller, Ask], Awaitable[int | None]]
"""What a call of somebody is expected to cost."""


class Desk:
    """Batches of projects. ``news`` is set when there may be work, ``cancels`` when a batch was cancelled."""

    keep_open_every_s = LOADING_S / 5

    def __init__(
        self, store: BatchStore, vendors: Mapping[str, object], estimate: Estimate, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._vendors = vendors
        self._estimate = estimate
        self._now = now
        self.news, self.cancels = asyncio.Event(), asyncio.Event()

    async def submit(self, caller: Caller, job: Job, requests: Requests) -> HandedIn:
        """Takes a batch in. Memory is bounded by one shard, whatever its length.

        Raises INVALID_REQUEST with the place and the field of the first wrong request, PAYLOAD_TOO_LARGE,
        IDEMPOTENCY_CONFLICT where the key came with other requests, IDEMPOTENCY_IN_PROGRESS where those are still
        being handed in. What raised left nothing behind.
        """
        batch, checked = self._begun(caller, job), Checked(self._vendors, job)
        standing = await self._store.open_batch(batch, batch.created_s)
        if standing is not None:
            return await self._again(standing, checked, requests)
        keeping = asyncio.create_task(self._keep_open(batch))
        try:
            await self._load(batch.batch_id, checked, requests)
            if not await self._store.seal_batch(await self._sealed(batch, caller, checked)):
                raise Failure("OVERLOADED", "the batch was given up while it was handed in; hand it in again")
        except BaseException:
            await asyncio.shield(self._store.drop_batch(batch.batch_id))
            raise
        finally:
            keeping.cancel()
        self.news.set()
        return HandedIn(await self.record(caller, batch.batch_id))

    async def _keep_open(self, batch: Batch) -> None:
        """Who hands in what it makes meanwhile may be silent for long, up to the batch's own deadline."""
        while self._now() < batch.deadline_s:
            await asyncio.sleep(self.keep_open_every_s)
            try:
                await self._store.keep_open(batch.batch_id, self._now())
            except Exception as error:
                log.warning("a batch could not be kept open (%s); it is tried again", type(error).__name__)

    async def _sealed(self, batch: Batch, caller: Caller, checked: Checked) -> Batch:
        """The batch as it was handed in; what it may cost is worked out from its first requests."""
        costs = [await self._estimate(caller, ask) for ask in checked.first]
        known = [cost for cost in costs if cost is not None]
        estimated = sum(known) * checked.count // len(costs) if len(known) == len(costs) else None
        facts: dict[str, Any] = {
            "total": checked.count,
            "fingerprint": checked.fingerprint,
            "estimated_nano": estimated,
        }
        return replace(batch, **facts, purge_s=batch.deadline_s + KEPT_S)

    def _begun(self, caller: Caller, job: Job) -> Batch:
        now = self._now()
        return Batch(
            f"batch_{identity.request_id()}",
            caller.project_id,
            caller.key_id,
            now,
            now + job.timeout_s,
            job.idempotency_key,
            orjson.dumps(job.metadata).decode(),
        )

    async def _load(self, batch_id: str, checked: Checked, requests: Requests) -> None:
        lines: list[bytes] = []
        number = first = size = 0
        async for where, request in requests:
            line = checked.line(where, request)
            if len(lines) == SHARD_REQUESTS or size + len(line) > SHARD_BYTES:
                await self._store.add_shard(batch_id, number, first, lines, self._now())
                number, first, size, lines = number + 1, first + len(lines), 0, []
                await asyncio.sleep(0)  # checking thousands of requests must not hold up everybody else
            lines.append(line)
            size += len(line)
        if not checked.count:
            raise Failure("INVALID_REQUEST", "the batch has no request", param="requests")
        await self._store.add_shard(batch_id, number, first, lines, self._now())

    async def _again(self, standing: Batch, checked: Checked, requests: Requests) -> HandedIn:
        """What the key's first call made, when this one brings the same."""
        if standing.total is None:
            message = "the batch of this idempotency key is still being handed in"
            raise Failure("IDEMPOTENCY_IN_PROGRESS", message, retry_after_s=IN_PROGRESS_RETRY_S)
        async for where, request in requests:
            checked.line(where, request)
        if checked.fingerprint != standing.fingerprint:
            message = "this key was used with another batch"
            raise Failure(
                "IDEMPOTENCY_CONFLICT", message, param="idempotency_key", hint="use a new key for a new batch"
            )
        return HandedIn(record_of(standing, self._now()), again=True)

    async def gauges(self) -> list[Gauge]:
        """The batches of all projects as numbers."""
        return await census.gauges(self._store, self._now())

    # -- asking ----------------------------------------------------------------------------------------------------

    async def record(self, caller: Caller, batch_id: str) -> Json:
        """How far a batch is. Raises NOT_FOUND."""
        return record_of(await self._found(caller, batch_id), self._now())

    async def _found(self, caller: Caller, batch_id: str) -> Batch:
        known = _may_be_id(batch_id)
        found = await self._store.find_batch(caller.project_id, batch_id, self._now()) if known else None
        if found is None:
            raise Failure("NOT_FOUND", f"there is no batch {batch_id[:80]!r}", param="batch_id")
        return found

    async def listed(self, caller: Caller, limit: int, after: str | None) -> Json:
        """The project's batches, newest first: ``limit`` of them, from the one after ``after``."""
        if after is not None and not _may_be_id(after):
            raise refuse("after", after, "the batch_id of a batch")
        now = self._now()
        found = await self._store.batches(caller.project_id, limit + 1, after, now)
        return {"data": [record_of(batch, now) for batch in found[:limit]], "has_more": len(found) > limit}

    async def cancel(self, caller: Caller, batch_id: str) -> Json:
        """No further request of the batch is begun; what is done stays done."""
        found = await self._found(caller, batch_id)
        if not found.ended(self._now()):
            await self._store.cancel_batch(batch_id, self._now())
            self.news.set()
            self.cancels.set()
        return await self.record(caller, batch_id)

    async def results(self, caller: Caller, batch_id: str) -> tuple[Json, AsyncIterator[bytes]]:
        """The record of a batch that has ended, and its results in order. Raises BATCH_NOT_DONE before that."""
        found, now = await self._found(caller, batch_id), self._now()
        record = record_of(found, now)
        if not found.ended(now):
            done = f"{found.completed + found.failed} of {found.total}"
            message = f"the batch is {record['state']}: {done} requests are done"
            raise Failure("BATCH_NOT_DONE", message, hint="ask for its status until it is done", retry_after_s=1.0)
        return record, results_of(self._store, found, now)


def _may_be_id(text: str) -> bool:
    """A database is not asked for what it may not be able to read."""
    return text.isascii() and text.isprintable()
