"""A batch as its project sees it: its record, and its results in order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from typing import Any

import orjson

from infrai_runtime.failure import Failure
from infrai_runtime.pricing import usd
from infrai_runtime.store.batch import Batch, BatchStore
from infrai_runtime.wire import Json, dumps, failed

FRAME_BYTES = 64 * 1024
PAGE = 32
"""How many results are read at once: each may hold an image."""


def record_of(batch: Batch, now: float) -> Json:
    """The record of docs/protocol.md, section 5."""
    record: dict[str, Any] = {
        "batch_id": batch.batch_id,
        "state": batch.state(now),
        "total_count": batch.total or 0,
        "completed_count": batch.completed,
        "failed_count": batch.lost(now),
        "created_at": moment(batch.created_s),
        "expires_at": moment(batch.deadline_s),
        "results_until": moment(batch.purge_s),
        "estimated_cost_usd": usd(batch.estimated_nano),
        "metadata": orjson.loads(batch.metadata),
    }
    eta_s = None if batch.ended(now) else _eta_s(batch, now)
    return record if eta_s is None else record | {"estimated_eta": moment(eta_s)}


def _eta_s(batch: Batch, now: float) -> float | None:
    """When it will be done if it goes on as it went so far."""
    done = batch.completed + batch.failed
    if not done:
        return None
    left = (batch.total or 0) - done
    return min(batch.deadline_s, now + (now - batch.created_s) * left / done)


def moment(at_s: float) -> str:
    """RFC 3339, UTC."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


async def results_of(store: BatchStore, batch: Batch, now: float) -> AsyncIterator[bytes]:
    """One envelope per request, in order; for those that were not begun, the failure that says why."""
    missing = dumps(failed(_not_begun(batch, now), {"cost_usd": None, "batch_id": batch.batch_id}))
    place, total = 0, batch.total or 0
    while place < total:
        page = await store.outcomes(batch.batch_id, place, PAGE)
        for at, answer in page:
            for _ in range(place, at):
                yield missing
            yield answer
            place = at + 1
        if len(page) < PAGE:
            for _ in range(place, total):
                yield missing
            return


def _not_begun(batch: Batch, now: float) -> Failure:
    if batch.closed(now) == "cancelled":
        return Failure("BATCH_CANCELLED", "the batch was cancelled before this request was begun")
    return Failure("BATCH_EXPIRED", "the batch was over its batch_timeout before this request was begun")


async def as_json(rows: AsyncIterator[bytes], head: Json) -> AsyncIterator[bytes]:
    """The whole answer with all results, piece by piece. ``head`` is its envelope without them."""
    before, _, after = dumps(head).partition(b'"results":[]')
    yield before + b'"results":['
    comma = b""
    async for row in rows:
        yield comma + row
        comma = b","
    yield b"]" + after


async def in_frames(pieces: AsyncIterator[bytes]) -> AsyncGenerator[tuple[bytes, bool], None]:
    """The pieces put together to frames of a size that is worth a write, none of them the last."""
    ready: list[bytes] = []
    size = 0
    async for piece in pieces:
        ready.append(piece)
        size += len(piece)
        if size >= FRAME_BYTES:
            yield b"".join(ready), False
            ready, size = [], 0
    if ready:
        yield b"".join(ready), False


async def as_lines(rows: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A line per result: its ``index`` and its envelope."""
    index = 0
    async for row in rows:
        yield b'{"index":%d,%b\n' % (index, row[1:])
        index += 1
