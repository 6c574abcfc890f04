"""Batches in SQL, in the same words for both stores; only how a waiting shard is locked differs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from infrai_runtime.store.batch import JOB_GRACE_S, LOADING_S, PURGED_AT_ONCE, Alike, Batch, Held, Outcome, Shard
from infrai_runtime.store.durable import LEASE_S
from infrai_runtime.store.statement import Sql, Statement

TURN_S = 5.0
"""A shard of an old batch waits as long as one of a batch that came this much later, per place in its batch."""

_BATCH = (
    "b.batch_id, b.project_id, b.key_id, b.created_s, b.deadline_s, b.idempotency_key, b.metadata, b.total,"
    " b.fingerprint, b.estimated_nano, b.purge_s, b.cancelled_s"
)
_HOW_FAR = {
    "done": "coalesce(sum(s.completed), 0)",
    "failed": "coalesce(sum(s.failed), 0)",
    "open": "coalesce(sum(1 - s.done), 0)",
    "busy": "coalesce(sum(CASE WHEN s.done = 0 AND (s.lease_s > $1 OR (s.job IS NOT NULL AND b.deadline_s > $1 - $2))"
    " THEN 1 ELSE 0 END), 0)",
    "fence": "coalesce(max(s.fence), 0)",
}
_COUNTS = ", ".join(f"{count} AS {name}" for name, count in _HOW_FAR.items())
_READ = (
    f"SELECT {_BATCH}, {_COUNTS} FROM (SELECT * FROM batch WHERE {{}}) b"
    f" LEFT JOIN batch_shard s ON s.batch_id = b.batch_id GROUP BY {_BATCH} ORDER BY b.batch_id DESC"
)
_SIGNS = (
    "cancelled_s IS NOT NULL",
    "deadline_s <= $1",
    "open > 0",
    "busy > 0",
    "fence > 0",
    "done > 0",
    "done + failed < total",
    "total = 0",
)
"""What decides the state of a batch."""
_ALIKE = (
    "SELECT "
    + ", ".join(f"CASE WHEN {sign} THEN 1 ELSE 0 END AS sign_{n}" for n, sign in enumerate(_SIGNS))
    + ", count(*), sum(total), sum(done), sum(failed)"
    f" FROM (SELECT b.cancelled_s, b.deadline_s, b.total, {_COUNTS}"
    " FROM batch b LEFT JOIN batch_shard s ON s.batch_id = b.batch_id WHERE b.total IS NOT NULL GROUP BY b.batch_id) t"
    " GROUP BY " + ", ".join(f"sign_{n}" for n in range(len(_SIGNS)))
)
_OPEN = (
    "INSERT INTO batch (batch_id, project_id, key_id, created_s, deadline_s, idempotency_key, metadata, fingerprint,"
    " purge_s) VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8) ON CONFLICT DO NOTHING"
)
_ADD = (
    "INSERT INTO batch_shard (batch_id, number, first, rows, requests, turn_s)"
    " SELECT batch_id, $2, $3, $4, $5, created_s + $6 FROM batch WHERE batch_id = $1 AND total IS NULL"
)
_KEEP_OPEN = "UPDATE batch SET purge_s = $2 WHERE batch_id = $1 AND total IS NULL"
_SEAL = "UPDATE batch SET total = $2, fingerprint = $3, estimated_nano = $4, purge_s = $5 WHERE batch_id = $1"
_TAKE = (
    "UPDATE batch_shard SET owner = $1, lease_s = $3, fence = fence + 1 WHERE (batch_id, number) ="
    " (SELECT s.batch_id, s.number FROM batch_shard s JOIN batch b ON b.batch_id = s.batch_id"
    " WHERE s.done = 0 AND s.lease_s <= $2 AND s.wake_s <= $2 AND b.total IS NOT NULL"
    " AND (s.job IS NOT NULL OR (b.cancelled_s IS NULL AND b.deadline_s > $2))"
    " ORDER BY s.turn_s, s.batch_id LIMIT 1{skip}) RETURNING batch_id, number"
)
_SHARD = (
    f"SELECT s.number, s.first, s.rows, s.fence, s.requests, s.job, s.here, {_BATCH}"
    " FROM batch_shard s JOIN batch b ON b.batch_id = s.batch_id WHERE s.batch_id = $1 AND s.number = $2"
)
_HOLD = (
    "UPDATE batch_shard SET lease_s = $2 WHERE owner = $1 AND done = 0 AND lease_s > 0 RETURNING batch_id, number,"
    " fence, (SELECT CASE WHEN b.cancelled_s IS NOT NULL OR b.deadline_s <= $3 THEN 1 ELSE 0 END FROM batch b"
    " WHERE b.batch_id = batch_shard.batch_id)"
)
_OURS = " WHERE batch_id = $1 AND number = $2 AND fence = $3 AND done = 0"


class SqlBatches(Sql):
    """``BatchStore`` in SQL."""

    SKIP: str
    """What keeps two workers from waiting for each other over the same shard."""

    @abstractmethod
    def _outcome(self, outcome: Outcome) -> tuple[Statement, ...]:
        """The statements that write an outcome, once, and count it."""

    # -- handing in

    async def open_batch(self, batch: Batch, now: float) -> Batch | None:
        """Begins to take a batch in; the one that has its idempotency key already, where there is one."""
        facts = (batch.batch_id, batch.project_id, batch.key_id, batch.created_s, batch.deadline_s)
        while not await self._write((_OPEN, (*facts, batch.idempotency_key, batch.metadata, now + LOADING_S))):
            where = "project_id = $3 AND idempotency_key = $4"
            found = await self._batches(where, now, batch.project_id, batch.idempotency_key)
            if found and (found[0].total is not None or found[0].purge_s > now):
                return found[0]
            for dead in found:
                await self.drop_batch(dead.batch_id)
        return None

    async def add_shard(self, batch_id: str, number: int, first: int, requests: Sequence[bytes], now: float) -> None:
        """Adds the next requests."""
        shard = (batch_id, number, first, len(requests), b"\n".join(requests), TURN_S * number)
        await self._write((_ADD, shard), _still_open(batch_id, now))

    async def keep_open(self, batch_id: str, now: float) -> None:
        """It is still being handed in."""
        await self._write(_still_open(batch_id, now))

    async def seal_batch(self, batch: Batch) -> bool:
        """The batch is whole: from now on it is worked on. False where it was given up meanwhile."""
        facts = (batch.total, batch.fingerprint, batch.estimated_nano, batch.purge_s)
        return await self._write((_SEAL, (batch.batch_id, *facts))) > 0

    async def drop_batch(self, batch_id: str) -> None:
        """Forgets a batch and everything of it."""
        tables = ("batch_row", "batch_shard", "batch")
        await self._write(*((f"DELETE FROM {table} WHERE batch_id = $1", (batch_id,)) for table in tables))

    # -- looking

    async def _batches(self, where: str, now: float, *values: Any) -> list[Batch]:
        return [_batch(row) for row in await self._fetch(_READ.format(where), now, JOB_GRACE_S, *values)]

    async def find_batch(self, project_id: str, batch_id: str, now: float) -> Batch | None:
        """A batch of a project."""
        where = "project_id = $3 AND batch_id = $4 AND total IS NOT NULL"
        return next(iter(await self._batches(where, now, project_id, batch_id)), None)

    async def batches(self, project_id: str, limit: int, before: str | None, now: float) -> list[Batch]:
        """The batches of a project, newest first, from the one after ``before``."""
        older, values = ("", ()) if before is None else (" AND batch_id < $5", (before,))
        where = f"project_id = $3 AND total IS NOT NULL{older} ORDER BY batch_id DESC LIMIT $4"
        return await self._batches(where, now, project_id, limit, *values)

    async def alike_batches(self, now: float) -> list[Alike]:
        """The batches of all projects, those together that are in the same state."""
        return [_alike(row, now) for row in await self._fetch(_ALIKE, now, JOB_GRACE_S)]

    async def outcomes(self, batch_id: str, first: int, limit: int) -> list[tuple[int, bytes]]:
        """(place, envelope) of the outcomes from a place on, in order."""
        sql = "SELECT place, answer FROM batch_row WHERE batch_id = $1 AND place >= $2 ORDER BY place LIMIT $3"
        return [(int(row[0]), bytes(row[1])) for row in await self._fetch(sql, batch_id, first, limit)]

    async def known_places(self, batch_id: str, first: int, rows: int) -> set[int]:
        """The places in this range that have their outcome."""
        sql = "SELECT place FROM batch_row WHERE batch_id = $1 AND place >= $2 AND place < $3"
        return {int(row[0]) for row in await self._fetch(sql, batch_id, first, first + rows)}

    # -- working

    async def cancel_batch(self, batch_id: str, now: float) -> None:
        """No further request of it is begun; its vendor jobs are looked at next."""
        cancel = "UPDATE batch SET cancelled_s = $2 WHERE batch_id = $1 AND cancelled_s IS NULL"
        wake = "UPDATE batch_shard SET wake_s = 0 WHERE batch_id = $1 AND job IS NOT NULL"
        await self._write((cancel, (batch_id, now)), (wake, (batch_id,)))

    async def take_shard(self, owner: str, now: float) -> Shard | None:
        """The next shard that waits for a worker, or whose worker has died."""
        taken = await self._change(_TAKE.format(skip=self.SKIP), owner, now, now + LEASE_S)
        rows = await self._fetch(_SHARD, *taken[0]) if taken else ()
        return _shard(rows[0]) if rows else None

    async def hold_shards(self, owner: str, now: float) -> list[Held]:
        """Renews the leases of an owner."""
        rows = await self._change(_HOLD, owner, now + LEASE_S, now)
        return [Held(row[0], row[1], row[2], bool(row[3])) for row in rows]

    async def note_job(self, shard: Shard, job: str | None) -> bool:
        """Keeps what the holder knows of a vendor's job; False when the shard is no longer the holder's."""
        return await self._write((f"UPDATE batch_shard SET job = $4{_OURS}", (*_ours(shard), job))) > 0

    async def leave_shard(self, shard: Shard, wake_s: float, *, here: bool = False) -> None:
        """Gives a shard back, to be taken again from ``wake_s`` on."""
        sql = f"UPDATE batch_shard SET lease_s = 0, wake_s = $4, here = $5{_OURS}"
        await self._write((sql, (*_ours(shard), wake_s, int(here or shard.here))))

    async def finish_shard(self, shard: Shard) -> None:
        """Nothing of the shard is left to do; its requests are no longer needed."""
        sql = f"UPDATE batch_shard SET done = 1, job = NULL, requests = $4{_OURS}"
        await self._write((sql, (*_ours(shard), b"")))

    async def put_outcome(self, outcome: Outcome) -> None:
        """Writes the outcome of a request that no call was made for."""
        await self._write(*self._outcome(outcome))

    async def purge_batches(self, now: float) -> None:
        """Removes some of what is kept for longer than promised."""
        for (batch_id,) in await self._fetch("SELECT batch_id FROM batch WHERE purge_s <= $1 LIMIT 1", now):
            some = "(SELECT place FROM batch_row WHERE batch_id = $1 LIMIT $2)"
            sql = f"DELETE FROM batch_row WHERE batch_id = $1 AND place IN {some}"
            if await self._write((sql, (batch_id, PURGED_AT_ONCE))) < PURGED_AT_ONCE:
                await self.drop_batch(batch_id)


def _still_open(batch_id: str, now: float) -> Statement:
    return _KEEP_OPEN, (batch_id, now + LOADING_S)


def _ours(shard: Shard) -> tuple[str, int, int]:
    return (shard.batch.batch_id, shard.number, shard.fence)


def _batch(row: Sequence[Any]) -> Batch:
    """The batch of a row of ``_BATCH`` and ``_COUNTS``."""
    completed, failed, opened, busy, fence = map(int, row[12:])
    return replace(
        Batch(*row[:12]), completed=completed, failed=failed, open_shards=opened, busy_shards=busy, begun=fence > 0
    )


def _alike(row: Sequence[Any], now: float) -> Alike:
    """The batches of a row of ``_ALIKE``: all are in the state of one with the same signs."""
    cancelled, expired, opened, busy, begun, done, missing, empty = map(int, row[:8])
    failed = int(not (done or missing or empty))
    one = Batch(
        *("", "", None, 0.0, now if expired else now + 1),
        cancelled_s=now if cancelled else None,
        total=done + failed + missing,
        completed=done,
        failed=failed,
        open_shards=opened,
        busy_shards=busy,
        begun=bool(begun),
    )
    return Alike(one.state(now), *map(int, row[8:]))


def _shard(row: Sequence[Any]) -> Shard:
    number, first, rows, fence, requests, job, here = row[:7]
    return Shard(Batch(*row[7:]), number, first, rows, fence, bytes(requests), job, bool(here))
