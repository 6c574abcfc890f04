"""One behaviour suite over every store of batches; the stores are those of ``test_store``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from infrai_runtime.batch.desk import Desk
from infrai_runtime.batch.job import Job
from infrai_runtime.keys import Caller
from infrai_runtime.request import Ask
from infrai_runtime.store.batch import JOB_GRACE_S, LOADING_S, Batch, Outcome, Shard, row_key
from infrai_runtime.store.durable import LEASE_S, Durable, project_scope

from .test_store import Run, call, end, paid, postgres, row, run  # noqa: F401  # fixtures

DEADLINE_S = 10_000.0


def batch(batch_id: str = "b1", **more: Any) -> Batch:
    facts: dict[str, Any] = {"key_id": "k1", "created_s": 0.0, "deadline_s": DEADLINE_S, "metadata": '{"a":1}'}
    return Batch(batch_id, "p", **(facts | more))


async def handed_in(store: Durable, made: Batch, *sizes: int) -> Batch:
    """A batch with shards of these sizes."""
    assert await store.open_batch(made, made.created_s) is None
    first = 0
    for number, size in enumerate(sizes):
        requests = [b'{"n":%d}' % (first + n) for n in range(size)]
        await store.add_shard(made.batch_id, number, first, requests, made.created_s)
        first += size
    sealed = replace(made, total=first, fingerprint="f", estimated_nano=7, purge_s=made.deadline_s + 1000)
    await store.seal_batch(sealed)
    return sealed


def outcome(place: int, *, ok: bool = True, shard: int = 0, answer: bytes = b"{}", batch_id: str = "b1") -> Outcome:
    return Outcome(batch_id, shard, place, ok, answer)


async def taken(store: Durable, owner: str = "me", now: float = 1.0) -> Shard:
    shard = await store.take_shard(owner, now)
    assert shard is not None
    return shard


async def seen(store: Durable, now: float = 1.0, batch_id: str = "b1") -> Batch:
    found = await store.find_batch("p", batch_id, now)
    assert found is not None
    return found


def test_batches_of_all_projects_are_counted_by_the_state_that_each_has(run: Run) -> None:  # noqa: F811
    late = DEADLINE_S + 1

    async def body(store: Durable) -> None:
        await store.open_batch(batch("loading"), 0)  # it is still being handed in
        await handed_in(store, batch("half"), 2, 1)
        await store.put_outcome(outcome(0, batch_id="half"))
        await store.put_outcome(outcome(1, ok=False, batch_id="half"))
        await handed_in(store, replace(batch("cancelled"), project_id="q"), 1)
        await store.cancel_batch("cancelled", 1.0)
        for name, ok in (("done", True), ("lost", False)):
            await handed_in(store, batch(name), 1)
            await store.put_outcome(outcome(0, ok=ok, batch_id=name))
        await handed_in(store, batch("empty"))
        for shard in [await taken(store) for _ in range(4)]:
            if shard.batch.batch_id in ("done", "lost"):
                await store.finish_shard(shard)
        for now in (1.0, 2.0, late):
            seen: dict[str, list[int]] = {}
            for project in ("p", "q"):
                for one in await store.batches(project, 100, None, now):
                    row = seen.setdefault(one.state(now), [0, 0, 0, 0])
                    for place, more in enumerate((1, one.total or 0, one.completed, one.lost(now))):
                        row[place] += more
            counted: dict[str, list[int]] = {}
            for alike in await store.alike_batches(now):
                row = counted.setdefault(alike.state, [0, 0, 0, 0])
                for place, more in enumerate((alike.batches, alike.total, alike.completed, alike.lost)):
                    row[place] += more
            assert counted == seen
            assert {"completed", "failed", "cancelled"} <= seen.keys()

    run(body)


def test_a_batch_is_seen_once_it_was_handed_in_and_only_by_its_project(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await store.open_batch(batch(), 0)
        await store.add_shard("b1", 0, 0, [b"1"], 0)
        assert await store.find_batch("p", "b1", 1) is None
        assert await store.take_shard("me", 1) is None
        await store.drop_batch("b1")
        made = await handed_in(store, batch(), 2, 1)
        found = await seen(store)
        assert (found.total, found.estimated_nano, found.metadata, found.state(1)) == (3, 7, '{"a":1}', "queued")
        assert replace(found, open_shards=0) == made
        assert await store.find_batch("other", "b1", 1) is None

    run(body)


def test_batches_are_listed_newest_first_page_by_page(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        for name in ("b1", "b2", "b3"):
            await handed_in(store, batch(name), 1)
        page = await store.batches("p", 2, None, 1)
        assert [found.batch_id for found in page] == ["b3", "b2"]
        assert [found.batch_id for found in await store.batches("p", 2, "b2", 1)] == ["b1"]
        assert await store.batches("other", 2, None, 1) == []

    run(body)


def test_a_key_names_one_batch_and_one_that_was_left_half_makes_room(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        made = await handed_in(store, batch(idempotency_key="k"), 1)
        again = await store.open_batch(batch("b2", idempotency_key="k"), 1)
        assert again is not None
        assert (again.batch_id, again.fingerprint) == ("b1", made.fingerprint)
        await store.open_batch(batch("b3", idempotency_key="half"), 0)
        standing = await store.open_batch(batch("b4", idempotency_key="half"), 1)
        assert standing is not None
        assert (standing.batch_id, standing.total) == ("b3", None)
        assert await store.open_batch(batch("b4", idempotency_key="half"), LOADING_S) is None

    run(body)


def test_a_shard_is_taken_by_one_worker_with_its_requests_and_taken_over_when_it_dies(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await handed_in(store, batch(), 2)
        shard = await taken(store, "dies")
        assert (shard.requests.split(b"\n"), shard.first, shard.rows) == ([b'{"n":0}', b'{"n":1}'], 0, 2)
        assert (shard.batch.project_id, shard.batch.key_id, shard.fence) == ("p", "k1", 1)
        assert await store.take_shard("other", LEASE_S) is None
        held = await store.hold_shards("dies", 20.0)
        assert [(one.batch_id, one.number, one.fence, one.closed) for one in held] == [("b1", 0, 1, False)]
        assert await store.take_shard("other", 20.0 + LEASE_S - 1) is None
        over = await taken(store, "other", 20.0 + LEASE_S)
        assert over.fence == 2
        assert await store.hold_shards("dies", 60.0) == []
        await store.finish_shard(shard)  # fenced: it is no longer his to finish
        assert (await seen(store, 60.0)).open_shards == 1
        await store.finish_shard(over)
        assert (await seen(store, 60.0)).open_shards == 0

    run(body)


def test_workers_at_the_same_time_get_different_shards(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await handed_in(store, batch(), *[1] * 8)
        shards = await asyncio.gather(*(store.take_shard(f"w{n}", 1.0) for n in range(10)))
        assert sorted(shard.number for shard in shards if shard) == list(range(8))

    run(body)


def test_a_small_batch_does_not_wait_for_all_of_a_large_one_nor_the_other_way_round(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await handed_in(store, batch("b1"), *[1] * 4)
        await handed_in(store, batch("b2", created_s=3.0), 1)
        await handed_in(store, batch("b3", created_s=12.0), 1)
        order = [await taken(store, now=20.0) for _ in range(6)]
        names = [(shard.batch.batch_id, shard.number) for shard in order]
        assert names == [("b1", 0), ("b2", 0), ("b1", 1), ("b1", 2), ("b3", 0), ("b1", 3)]

    run(body)


def test_a_shard_given_back_waits_for_its_time_and_keeps_its_notes(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await handed_in(store, batch(), 1)
        shard = await taken(store)
        assert await store.note_job(shard, '{"id":"x"}')
        await store.leave_shard(shard, 50.0, here=True)
        assert await store.hold_shards("me", 2.0) == []
        assert not await store.note_job(replace(shard, fence=9), None)
        assert await store.take_shard("me", 49.0) is None
        again = await taken(store, now=50.0)
        assert (again.job, again.here, again.fence) == ('{"id":"x"}', True, 2)

    run(body)


def test_an_outcome_is_written_once_counted_and_read_in_order(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await handed_in(store, batch(), 2, 2)
        for one in (outcome(3, shard=1), outcome(0, ok=False, answer=b"no"), outcome(0, answer=b"late"), outcome(1)):
            await store.put_outcome(one)
        await store.put_outcome(outcome(0, batch_id="gone"))
        found = await seen(store)
        assert (found.completed, found.failed) == (2, 1)
        assert await store.outcomes("b1", 0, 2) == [(0, b"no"), (1, b"{}")]
        assert await store.outcomes("b1", 2, 2) == [(3, b"{}")]
        assert await store.known_places("b1", 0, 2) == {0, 1}
        assert await store.known_places("b1", 2, 2) == {3}

    run(body)


def test_an_outcome_is_booked_with_the_money_and_the_end_of_the_claim(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        await handed_in(store, batch(), 1)
        admission = call(row_key("b1", 0), reserve_nano=40, scopes=(project_scope("p"),))
        await store.admit(admission)
        assert (await store.admit(admission._replace(request_id="other"))).state == "running"
        booked = end(admission, 30, row(batch_id="b1"))
        await store.book(replace(booked, outcome=outcome(0, answer=b"yes")))
        assert await store.balance_nano("p") == 70
        assert await store.outcomes("b1", 0, 9) == [(0, b"yes")]
        assert (await seen(store)).completed == 1
        assert (await store.admit(admission._replace(request_id="other"))).state == "new"

    run(body)


def test_a_claim_may_be_vouched_for_longer_than_its_process_lives(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await store.admit(call(lease_s=1000.0, owner="job"))
        await store.tend("somebody", 999.0)
        assert (await store.admit(call(now=999.0))).state == "running"
        assert (await store.admit(call(now=1000.0))).state == "new"

    run(body)


def test_the_state_follows_from_the_shards(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await handed_in(store, batch(), 1, 1)
        first = await taken(store)
        assert (await seen(store)).state(1) == "running"
        await store.put_outcome(outcome(0))
        await store.finish_shard(first)
        assert (await seen(store)).state(1) == "running"
        second = await taken(store)
        await store.put_outcome(outcome(1, shard=1, ok=False))
        await store.finish_shard(second)
        assert (await seen(store)).state(1) == "completed"
        await handed_in(store, batch("b2"), 1)
        only = await taken(store)
        await store.put_outcome(outcome(0, ok=False, batch_id="b2"))
        await store.finish_shard(only)
        assert (await seen(store, batch_id="b2")).state(1) == "failed"

    run(body)


def test_a_cancelled_batch_ends_when_its_last_running_shard_does(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await handed_in(store, batch(), 1, 1)
        shard = await taken(store)
        await store.cancel_batch("b1", 2.0)
        assert (await seen(store, 2.0)).state(2) == "running"
        assert [one.closed for one in await store.hold_shards("me", 3.0)] == [True]
        assert await store.take_shard("other", 3.0) is None
        await store.finish_shard(shard)
        assert (await seen(store, 3.0)).state(3) == "cancelled"

    run(body)


def test_a_batch_over_its_deadline_is_expired_and_begins_nothing(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await handed_in(store, batch(), 1)
        assert await store.take_shard("me", DEADLINE_S) is None
        assert (await seen(store, DEADLINE_S)).state(DEADLINE_S) == "expired"

    run(body)


def test_a_vendors_job_is_looked_after_when_its_batch_is_closed_and_not_for_ever(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await handed_in(store, batch(), 1)
        shard = await taken(store)
        await store.note_job(shard, "{}")
        await store.leave_shard(shard, 5000.0)
        await store.cancel_batch("b1", 2.0)
        assert (await seen(store, 2.0)).state(2) == "running"
        assert (await taken(store, now=3.0)).batch.cancelled_s == 2.0
        late = DEADLINE_S + JOB_GRACE_S
        assert (await seen(store, late)).state(late) == "cancelled"

    run(body)


def test_what_is_old_is_purged_and_so_is_what_was_never_handed_in_whole(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await handed_in(store, batch(), 1)
        await store.put_outcome(outcome(0))
        await store.open_batch(batch("half"), 0)
        for _ in range(3):
            await store.purge_batches(LOADING_S)
        assert await store.find_batch("p", "b1", 1) is not None
        assert await store.open_batch(batch("half"), 1) is None
        for _ in range(3):
            await store.purge_batches(DEADLINE_S + 1000)
        assert await store.find_batch("p", "b1", 1) is None
        assert await store.outcomes("b1", 0, 9) == []

    run(body)


def test_who_is_long_silent_while_handing_in_keeps_its_batch(run: Run) -> None:  # noqa: F811
    class Hasty(Desk):
        keep_open_every_s = 0.001

    now = 0.0

    async def estimate(caller: Caller, ask: Ask) -> None: ...

    async def body(store: Durable) -> None:
        async def requests() -> AsyncIterator[tuple[str, Any]]:
            nonlocal now
            for number in range(4):
                yield f"line {number}", {"capability": "chat", "body": {"messages": "hi"}}
                now += 0.9 * LOADING_S
                while (await store._fetch("SELECT purge_s FROM batch"))[0][0] < now + LOADING_S:  # type: ignore[attr-defined]
                    await asyncio.sleep(0)
                await store.purge_batches(now)

        handed_in = await Hasty(store, {}, estimate, lambda: now).submit(Caller("p"), Job(), requests())
        assert (handed_in.record["state"], handed_in.record["total_count"]) == ("queued", 4)

    run(body)


def test_a_batch_that_was_given_up_meanwhile_is_not_sealed(run: Run) -> None:  # noqa: F811
    async def body(store: Durable) -> None:
        await store.open_batch(batch(), 0.0)
        await store.purge_batches(LOADING_S)
        assert not await store.seal_batch(batch(total=1))
        await store.keep_open("b1", LOADING_S)
        await handed_in(store, batch("b2"), 1)
        await store.keep_open("b2", 1.0)  # too late: it is whole, and kept for its own time
        await store.purge_batches(10 * LOADING_S)
        assert (await seen(store, batch_id="b2")).batch_id == "b2"

    run(body)
