"""Batches as they are stored: a batch, its requests in shards of a few hundred, and an outcome per request.

Workers take shards with a lease and a fencing number; when a worker dies its shards are taken by another. What keeps a
request from being run twice is not the shard: it is the call's own claim (``Admission.key`` is ``row_key``) and that
its outcome is written by ``book``, in the same transaction as the money and the end of the claim. So a request has its
outcome, or its claim stands, or it was never begun. An outcome that is there is never changed.

One behaviour suite runs over every implementation (tests/runtime/test_batch_store.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

JOB_GRACE_S = 3600.0
"""How long after a batch's deadline a vendor's job is still waited for."""
LOADING_S = 300.0
"""After this long without a sign of life, a batch that is still being handed in is given up."""
PURGED_AT_ONCE = 1000
STATES = ("queued", "running", "completed", "failed", "cancelled", "expired")
"""The states of a batch in the wire's words."""
UNDER_WAY = frozenset({"queued", "running"})


def row_key(batch_id: str, place: int) -> str:
    """The idempotency key of a request of a batch."""
    return f"{batch_id}:{place}"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch and how far it is. ``total`` is None while it is being handed in: nobody sees it then."""

    batch_id: str
    project_id: str
    key_id: str | None
    created_s: float
    deadline_s: float
    idempotency_key: str | None = None
    metadata: str = "{}"
    total: int | None = None
    fingerprint: str = ""
    estimated_nano: int | None = None
    purge_s: float = 0.0
    cancelled_s: float | None = None
    completed: int = 0
    failed: int = 0
    open_shards: int = 0
    busy_shards: int = 0
    """Open shards that a worker holds, or whose vendor job is not done."""
    begun: bool = False

    def closed(self, now: float) -> str | None:
        """``cancelled`` or ``expired``: no further request is begun."""
        if self.cancelled_s is not None:
            return "cancelled"
        return "expired" if now >= self.deadline_s else None

    def state(self, now: float) -> str:
        """The state in the wire's words."""
        closed = self.closed(now)
        if self.open_shards and not (closed and not self.busy_shards):
            return "running" if self.begun else "queued"
        if closed and self.completed + self.failed < (self.total or 0):
            return closed
        return "completed" if self.completed or not self.total else "failed"

    def ended(self, now: float) -> bool:
        """Whether nothing changes any more."""
        return self.state(now) not in UNDER_WAY

    def lost(self, now: float) -> int:
        """The requests without an answer: those that failed, and when it has ended also those that were not begun."""
        return (self.total or 0) - self.completed if self.ended(now) else self.failed


@dataclass(frozen=True, slots=True)
class Alike:
    """Batches in one state: how many, and how many requests they have, done and failed so far."""

    state: str
    batches: int
    total: int
    completed: int
    failed: int

    @property
    def lost(self) -> int:
        """``Batch.lost`` of all of them."""
        return self.failed if self.state in UNDER_WAY else self.total - self.completed


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a batch that its holder works on. ``requests`` are lines of JSON; ``job`` is what the holder noted of
    the vendor's own jobs; ``here``: no vendor's batch service is asked (again)."""

    batch: Batch
    number: int
    first: int
    rows: int
    fence: int
    requests: bytes = field(repr=False)
    job: str | None = None
    here: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A shard that is still its owner's after the lease was renewed."""

    batch_id: str
    number: int
    fence: int
    closed: bool
    """Its batch was cancelled or is over its deadline."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request of a batch: an envelope as bytes."""

    batch_id: str
    shard: int
    place: int
    ok: bool
    answer: bytes = field(repr=False)


class BatchStore(Protocol):
    """What a durable store can do with batches."""

    async def open_batch(self, batch: Batch, now: float) -> Batch | None:
        """Begins to take a batch in; the one that has its idempotency key already, where there is one."""

    async def add_shard(self, batch_id: str, number: int, first: int, requests: Sequence[bytes], now: float) -> None:
        """Adds the next requests, one line of JSON each."""

    async def keep_open(self, batch_id: str, now: float) -> None:
        """A batch is still being handed in, also where nothing of it has come for a while."""

    async def seal_batch(self, batch: Batch) -> bool:
        """The batch is whole, with its total, fingerprint, estimate and time to be purged: from now on it is worked
        on. False where it was given up meanwhile."""

    async def drop_batch(self, batch_id: str) -> None:
        """Forgets a batch and everything of it."""

    async def find_batch(self, project_id: str, batch_id: str, now: float) -> Batch | None:
        """A batch of a project."""

    async def batches(self, project_id: str, limit: int, before: str | None, now: float) -> list[Batch]:
        """The batches of a project, newest first, from the one after ``before``."""

    async def alike_batches(self, now: float) -> list[Alike]:
        """The batches of all projects, those together that are in the same state. No batch is in two of them."""

    async def cancel_batch(self, batch_id: str, now: float) -> None:
        """No further request of it is begun."""

    async def take_shard(self, owner: str, now: float) -> Shard | None:
        """The next shard that waits for a worker, or whose worker has died, now with a lease of ``owner``. Batches take
        turns: the later a shard stands in its batch, the longer it waits."""

    async def hold_shards(self, owner: str, now: float) -> list[Held]:
        """Renews the leases of an owner; what is not told is no longer its own."""

    async def note_job(self, shard: Shard, job: str | None) -> bool:
        """Keeps what the holder knows of a vendor's job; False when the shard is no longer the holder's."""

    async def leave_shard(self, shard: Shard, wake_s: float, *, here: bool = False) -> None:
        """Gives a shard back, to be taken again from ``wake_s`` on."""

    async def finish_shard(self, shard: Shard) -> None:
        """Nothing of the shard is left to do."""

    async def known_places(self, batch_id: str, first: int, rows: int) -> set[int]:
        """The places in this range that have their outcome."""

    async def put_outcome(self, outcome: Outcome) -> None:
        """Writes the outcome of a request that no call was made for; ``book`` writes the others."""

    async def outcomes(self, batch_id: str, first: int, limit: int) -> list[tuple[int, bytes]]:
        """(place, envelope) of the outcomes from a place on, in order."""

    async def purge_batches(self, now: float) -> None:
        """Removes some of what is kept for longer than promised, and batches that were not handed in to their end."""
