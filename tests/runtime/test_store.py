"""One behaviour suite over every durable store."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infrai_core import ConfigError
from infrai_runtime.failure import Failure
from infrai_runtime.identity import made_s, request_id
from infrai_runtime.store import vouch
from infrai_runtime.store.durable import (
    LEASE_S,
    UNKNOWN,
    Admission,
    Booking,
    Budget,
    Durable,
    KeyRow,
    LedgerRow,
    Policy,
    key_scope,
    project_scope,
    tag_scope,
)
from infrai_runtime.store.postgres import PostgresDurable
from infrai_runtime.store.sql import MOST_REPORTS, REPORT_S, REPORTS
from infrai_runtime.store.sqlite import PAGE_BYTES, SqliteDurable
from tests.relay import Relay
from tests.servers import Postgres

Body = Callable[[Durable], Awaitable[None]]
Run = Callable[[Body], None]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    with server.up():
        yield server
    server.close()


_TABLES = ("ledger", "call", "key", "budget", "project")


async def emptied(url: str) -> PostgresDurable:
    """A store whose tables are empty."""
    store = await PostgresDurable.connect(url)
    await store._write(*((f"DELETE FROM {table}", ()) for table in ("batch_row", "batch_shard", "batch", *_TABLES)))
    return store


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a body on a fresh store."""
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None

    async def opened() -> Durable:
        if server is not None:
            return await emptied(server.url())
        return SqliteDurable(None if request.param == "memory" else tmp_path / "state" / "x.db")

    async def on_store(body: Body) -> None:
        store = await opened()
        try:
            await body(store)
        finally:
            await store.close()

    return lambda body: asyncio.run(on_store(body))


def row(**more: object) -> LedgerRow:
    facts = {
        "kind": "answer",
        "at_s": 1000.0,
        "project_id": "p",
        "key_id": None,
        "request_id": "r",
        "capability": "chat",
    }
    facts |= {"vendor": "v", "model": "m", "outcome": "ok", "latency_ms": 1.5}
    return LedgerRow(**(facts | more))  # type: ignore[arg-type]  # a test's table of fields


def call(key: str = "k", **more: Any) -> Admission:
    facts: dict[str, Any] = {"fingerprint": "f", "request_id": uuid.uuid4().hex, "owner": "me", "now": 0.0}
    return Admission("p", key, **(facts | {"ttl_s": 100.0} | more))


def paid(nano: int | None, *scopes: str, **more: Any) -> Admission:
    request_id = uuid.uuid4().hex
    return call(
        request_id, request_id=request_id, ttl_s=0.0, reserve_nano=nano, scopes=(project_scope("p"), *scopes), **more
    )


def end(
    admission: Admission, cost_nano: int = 0, *rows: LedgerRow, answer: bytes | None = None, now: float = 0
) -> Booking:
    return Booking(admission, now, cost_nano, rows, answer)


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_key_is_found_by_its_hash_with_its_policy_until_it_is_revoked(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 5, 0)
        made = KeyRow("k1", "p", "ci", True, 7.0, policy=Policy(models=("m",), requests_per_minute=3))
        await store.add_key("hash", made)
        assert await store.find_key("other") is None
        assert await store.find_key("hash") == made
        assert await store.end_key("k1")
        assert not await store.end_key("nobody")
        found = await store.find_key("hash")
        assert found is not None
        assert found.revoked
        assert found.ended(0)

    run(body)


def test_a_key_that_another_process_revokes_is_known_for_a_second_at_most(tmp_path: Path) -> None:
    from infrai_runtime.store.sql import KNOWN_S

    async def body() -> None:
        store, other = SqliteDurable(tmp_path / "x.db"), SqliteDurable(tmp_path / "x.db")
        await store.add_project("p", "a", 5, 0)
        assert await store.find_key("hash") is None
        await other.add_key("hash", KeyRow("k1", "p"))
        assert await store.find_key("hash") == KeyRow("k1", "p")  # an unknown key is not taken for unknown later
        await other.end_key("k1")
        found = await other.find_key("hash")
        assert found is not None
        assert found.revoked  # at once where it was revoked
        assert KNOWN_S <= 1.0
        store._known = {name: (row, until - KNOWN_S) for name, (row, until) in store._known.items()}
        found = await store.find_key("hash")
        assert found is not None
        assert found.revoked
        for opened in (store, other):
            await opened.close()

    asyncio.run(body())


def test_a_key_may_end_at_a_time(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 5, 0)
        await store.add_key("hash", KeyRow("k1", "p"))
        assert await store.end_key("k1", 50.0)
        found = await store.find_key("hash")
        assert found is not None
        assert (found.ended(49), found.ended(50)) == (False, True)

    run(body)


def test_keys_are_listed_by_project_oldest_first(run: Run) -> None:
    async def body(store: Durable) -> None:
        for project in ("p", "q"):
            await store.add_project(project, "a", 5, 0)
        await store.add_key("h2", KeyRow("new", "p", created_s=2))
        await store.add_key("h1", KeyRow("old", "p", created_s=1))
        await store.add_key("h3", KeyRow("other", "q", created_s=0))
        assert [key.key_id for key in await store.keys("p")] == ["old", "new"]
        assert [key.key_id for key in await store.keys()] == ["other", "old", "new"]

    run(body)


# -- money -------------------------------------------------------------------------------------------------------------


def test_concurrent_calls_never_overspend(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        calls = [paid(30) for _ in range(10)]
        states = [(await done).state for done in asyncio.as_completed([store.admit(a) for a in calls])]
        assert sorted(states) == ["new"] * 3 + ["refused"] * 7
        assert await store.balance_nano("p") == 10
        assert await store.balance_nano("nobody") is None

    run(body)


def test_what_was_set_aside_is_settled_with_what_it_cost(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        first, second, third = (paid(30) for _ in range(3))
        for admission in (first, second, third):
            await store.admit(admission)
        await store.book(end(first, 12))
        assert await store.balance_nano("p") == 28
        await store.book(end(second, 40))  # dearer than expected: it was spent all the same
        assert await store.balance_nano("p") == 18
        await store.release(third)
        assert await store.balance_nano("p") == 48
        await store.release(third)  # once is enough
        assert await store.balance_nano("p") == 48

    run(body)


def test_a_call_is_paid_by_every_scope_and_refused_by_the_one_that_is_short(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 1000, 0)
        tag = tag_scope("p", "team", "red")
        await store.set_budget(Budget(key_scope("k1"), "p", 100))
        await store.set_budget(Budget(tag, "p", 50))
        admission = paid(40, key_scope("k1"), tag, key_scope("without a budget"))
        assert (await store.admit(admission)).state == "new"
        await store.book(end(admission, 40))
        refused = await store.admit(paid(20, key_scope("k1"), tag))
        assert (refused.state, refused.short) == ("refused", tag)
        assert (await store.admit(paid(20, key_scope("k1")))).state == "new"
        left = {budget.scope: budget.left_nano for budget in await store.budgets("p", 0)}
        assert left == {project_scope("p"): 940, key_scope("k1"): 40, tag: 10}

    run(body)


def test_a_spent_budget_refuses_a_call_of_unknown_price_and_not_one_that_is_free(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 0, 0)
        assert (await store.admit(paid(0))).state == "refused"
        assert (await store.admit(paid(None))).state == "new"

    run(body)


def test_a_copied_budget_goes_on_with_what_was_spent_in_its_period(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 1000, 0)
        await store.set_budget(Budget(key_scope("old"), "p", 50, "day"))
        assert (await store.admit(paid(10, key_scope("new")))).state == "new"  # without a budget there is no limit
        today = paid(40, key_scope("old"))
        await store.admit(today)
        await store.book(end(today, 40))
        await store.copy_budget(key_scope("old"), key_scope("new"))
        await store.copy_budget(key_scope("none"), key_scope("other"))
        assert (await store.admit(paid(11, key_scope("new")))).state == "refused"
        assert (await store.admit(paid(50, key_scope("new"), now=86_400.0))).state == "new"
        assert [b.scope for b in await store.budgets("p", 0)] == [
            key_scope("new"),
            key_scope("old"),
            project_scope("p"),
        ]

    run(body)


def test_a_period_starts_with_nothing_spent(run: Run) -> None:
    async def body(store: Durable) -> None:
        day = 86_400.0
        await store.add_project("p", "a", 1000, 0)
        await store.set_budget(Budget(key_scope("k"), "p", 50, "day"))
        today = paid(50, key_scope("k"))
        await store.admit(today)
        await store.book(end(today, 50))
        assert (await store.admit(paid(1, key_scope("k")))).state == "refused"
        tomorrow = paid(50, key_scope("k"), now=day)
        assert (await store.admit(tomorrow)).state == "new"
        await store.book(end(tomorrow, 30, now=day))
        assert [b.spent_nano for b in await store.budgets("p", day)] == [30, 80]
        assert [b.spent_nano for b in await store.budgets("p", 2 * day)] == [0, 80]

    run(body)


def test_a_refusal_tells_what_is_spent_from_what_other_calls_have_set_aside(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        await store.set_budget(Budget(key_scope("k"), "p", 50))
        await store.set_budget(Budget(key_scope("l"), "p", 5))
        running = paid(80)
        await store.admit(running)
        refused = await store.admit(paid(30, key_scope("k")))
        assert (refused.state, refused.short, refused.held) == ("refused", project_scope("p"), True)
        assert not (await store.admit(paid(101))).held  # more than there ever was
        assert not (await store.admit(paid(30, key_scope("l")))).held  # of two that are short, one is spent
        await store.book(end(running, 60))
        assert (await store.admit(paid(30, key_scope("k")))).state == "new"
        refused = await store.admit(paid(41))
        assert (refused.state, refused.held) == ("refused", False)

    run(body)


JANUARY, FEBRUARY = 1_704_067_200.0, 1_706_745_600.0
"""The first second of two months of 2024."""


def test_a_credit_and_a_monthly_limit_stand_side_by_side(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        await store.set_budget(Budget(project_scope("p"), "p", 30, "month"))
        first = paid(20, now=JANUARY)
        assert (await store.admit(first)).state == "new"
        reserved = [(b.period, b.left_nano) for b in await store.budgets("p", JANUARY)]
        assert reserved == [("total", 80), ("month", 10)]
        refused = await store.admit(paid(11, now=JANUARY))
        assert (refused.state, refused.short, refused.period) == ("refused", project_scope("p"), "month")
        await store.book(end(first, 25, now=JANUARY))
        assert (await store.admit(paid(6, now=JANUARY))).state == "refused"
        third = paid(30, now=FEBRUARY)
        assert (await store.admit(third)).state == "new"
        await store.book(end(third, 30, now=FEBRUARY))
        assert [b.left_nano for b in await store.budgets("p", FEBRUARY)] == [45, 0]
        assert await store.drop_budget(project_scope("p"), "month")
        refused = await store.admit(paid(46, now=FEBRUARY))
        assert (refused.state, refused.period) == ("refused", "total")
        assert (await store.admit(paid(45, now=FEBRUARY))).state == "new"

    run(body)


def test_each_limit_counts_from_when_it_was_made(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)

        async def spend(nano: int) -> None:
            one = paid(nano, now=JANUARY)
            assert (await store.admit(one)).state == "new"
            await store.book(end(one, nano, now=JANUARY))

        await spend(40)
        for period in ("month", "day"):
            await store.set_budget(Budget(project_scope("p"), "p", 30, period))
        await spend(10)
        await store.set_budget(Budget(project_scope("p"), "p", 20, "day"))  # a change: what was spent stays
        assert [b.left_nano for b in await store.budgets("p", JANUARY)] == [50, 20, 10]
        assert await store.drop_budget(project_scope("p"))
        assert await store.balance_nano("p") is None
        await spend(10)
        await store.set_budget(Budget(project_scope("p"), "p", 5))
        assert [b.left_nano for b in await store.budgets("p", JANUARY)] == [5, 10, 0]
        assert (await store.admit(paid(1, now=JANUARY))).period == "day"

    run(body)


def test_a_period_does_not_begin_again_when_a_clock_goes_back(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.set_budget(Budget(project_scope("p"), "p", 50, "month"))
        for now in (FEBRUARY, FEBRUARY - 1, FEBRUARY + 1):
            one = paid(20, now=now)
            states = [(await store.admit(one)).state]
            await store.book(end(one, 20, now=now))
        assert states == ["refused"]
        assert [b.spent_nano for b in await store.budgets("p", FEBRUARY)] == [60]

    run(body)


def test_a_limit_may_change_and_keeps_what_was_spent(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        admission = paid(60)
        await store.admit(admission)
        await store.book(end(admission, 60))
        await store.set_budget(Budget(project_scope("p"), "p", 70))
        assert await store.balance_nano("p") == 10
        assert await store.drop_budget(project_scope("p"))
        assert not await store.drop_budget(project_scope("p"))
        assert (await store.admit(paid(10**9))).state == "new"

    run(body)


def test_a_limit_that_is_made_while_calls_run_knows_what_they_set_aside(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 1000, 0)
        running, other, done = (
            paid(nano, scope)._replace(key=key)
            for nano, scope, key in ((60, key_scope("k"), "1"), (7, key_scope("l"), "2"), (5, key_scope("k"), "3"))
        )
        for admission in (running, other, done):
            await store.admit(admission)
        await store.book(end(done, 5))
        for _ in range(2):  # also after it was dropped
            await store.set_budget(Budget(key_scope("k"), "p", 100))
            assert next((b.reserved_nano, b.left_nano) for b in await store.budgets("p", 0)) == (60, 40)
            assert (await store.admit(paid(41, key_scope("k"))._replace(key="4"))).state == "refused"
            dropped = await store.drop_budget(key_scope("k"))
            assert dropped
        await store.set_budget(Budget(key_scope("k"), "p", 100))
        await store.book(end(running, 50))
        assert next((b.reserved_nano, b.spent_nano) for b in await store.budgets("p", 0)) == (0, 50)

    run(body)


# -- idempotency -------------------------------------------------------------------------------------------------------


def test_a_call_goes_from_new_to_running_to_done(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        first = call()
        assert (await store.admit(first)).state == "new"
        assert (await store.admit(call(now=1.0))).state == "running"
        assert (await store.admit(call(fingerprint="other body", now=1.0))).state == "conflict"
        assert (await store.admit(call()._replace(project_id="another project"))).state == "new"
        await store.book(end(first, answer=b"answer"))
        again = await store.admit(call(now=2.0))
        assert (again.state, again.answer) == ("done", b"answer")
        assert (await store.admit(call(fingerprint="other body", now=2.0))).state == "conflict"
        assert (await store.admit(call(fingerprint="other body", now=100.0))).state == "new"  # its time was over

    run(body)


def test_only_one_of_many_concurrent_calls_is_new(run: Run) -> None:
    async def body(store: Durable) -> None:
        admitted = await asyncio.gather(*(store.admit(call()) for _ in range(10)))
        assert sorted(a.state for a in admitted) == ["new"] + ["running"] * 9

    run(body)


def test_a_repetition_needs_no_money(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 10, 0)
        first = call(reserve_nano=10, scopes=(project_scope("p"),))
        await store.admit(first)
        await store.book(end(first, 10, answer=b"x"))
        assert (await store.admit(call(reserve_nano=10, scopes=(project_scope("p"),)))).state == "done"
        assert await store.balance_nano("p") == 0

    run(body)


def test_a_refused_call_leaves_its_key_free(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 10, 0)
        assert (await store.admit(call(reserve_nano=11, scopes=(project_scope("p"),)))).state == "refused"
        assert (await store.admit(call(fingerprint="other"))).state == "new"

    run(body)


def test_a_call_that_the_store_can_never_take_holds_up_nothing_else(run: Run) -> None:
    async def body(store: Durable) -> None:
        for _ in range(2):
            with pytest.raises(Exception, match=r"int|range|large"):
                await store.admit(call("never", reserve_nano=1 << 70))
        dead = call("dead", lease_s=10.0)
        await store.admit(dead)
        await store.tend("another", 20.0)
        assert [row.outcome for row in await store.rows(dead.request_id)] == [UNKNOWN]

    run(body)


@pytest.mark.parametrize("take_back", ["release", "book"])
def test_a_call_without_an_answer_leaves_its_key_free(run: Run, take_back: str) -> None:
    async def body(store: Durable) -> None:
        admission = call()
        await store.admit(admission)
        await (store.release(admission) if take_back == "release" else store.book(end(admission)))
        assert (await store.admit(call(fingerprint="other"))).state == "new"

    run(body)


# -- death -------------------------------------------------------------------------------------------------------------


def test_a_dead_owners_call_is_taken_over_and_its_late_answer_is_ignored(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        money: dict[str, Any] = {"reserve_nano": 40, "scopes": (project_scope("p"),), "ttl_s": 10_000.0}
        dead = call(owner="dead", **money)
        await store.admit(dead)
        assert (await store.admit(call(owner="alive", now=LEASE_S - 1, **money))).state == "running"
        taken = call(owner="alive", now=LEASE_S, **money)
        assert (await store.admit(taken)).state == "new"
        assert await store.balance_nano("p") == 60  # only one reservation stands
        await store.book(end(dead, 33, row(), answer=b"late"))
        assert await store.balance_nano("p") == 27  # what it spent is spent
        assert (await store.admit(call(now=LEASE_S))).state == "running"
        await store.book(end(taken, 10, answer=b"right"))
        assert (await store.admit(call(now=LEASE_S))).answer == b"right"
        assert await store.balance_nano("p") == 57

    run(body)


def test_an_outcome_that_nobody_knows_is_written_down(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        tags = (tag_scope("p", "team", "red"), tag_scope("p", "job", "a=b"))
        lost = paid(40, *tags, owner="dead", key_id="k1", capability="chat")
        kept = call("given", owner="dead", reserve_nano=5, scopes=(project_scope("p"),))
        for admission in (lost, kept):
            await store.admit(admission)
        await store.tend("alive", LEASE_S)
        assert await store.balance_nano("p") == 100
        (told,) = await store.rows(lost.request_id)
        assert (told.outcome, told.cost_nano, told.reserved_nano) == (UNKNOWN, None, 40)
        assert (told.key_id, told.capability, told.idempotency_key) == ("k1", "chat", None)
        assert told.tags == {"team": "red", "job": "a=b"}
        (told,) = await store.rows(kept.request_id)
        assert (told.idempotency_key, told.reserved_nano) == ("given", 5)
        await store.tend("alive", LEASE_S)
        assert len(await store.rows(lost.request_id)) == 1

    run(body)


def test_an_owner_that_lives_keeps_its_calls(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.admit(call(owner="me"))
        await store.tend("me", LEASE_S - 1)
        await store.tend("other", LEASE_S + 1)
        assert (await store.admit(call(now=LEASE_S + 1, ttl_s=1000.0))).state == "running"

    run(body)


def test_answers_whose_time_is_over_are_forgotten(run: Run) -> None:
    async def body(store: Durable) -> None:
        for number in range(3):
            admission = call(str(number), ttl_s=10.0 * number + 5)
            await store.admit(admission)
            await store.book(end(admission, answer=b"x"))
        await store.tend("me", 16.0)
        states = [(await store.admit(call(str(number), now=0.0))).state for number in range(3)]
        assert states == ["new", "new", "done"]

    run(body)


def test_answers_of_a_busy_time_are_forgotten_in_time(run: Run) -> None:
    async def body(store: Durable) -> None:
        asked = [call(str(number), ttl_s=5.0) for number in range(vouch.SWEPT_AT_ONCE + 1)]
        kept = call("kept for a day", ttl_s=86_400.0)
        for admission in (*asked, kept):
            await store.admit(admission)
            await store.book(end(admission, answer=b"x"))
        await store.tend("me", 7.0)
        later = [admission._replace(now=1.0, fingerprint="other") for admission in (*asked, kept)]
        states = [(await store.admit(admission)).state for admission in later]
        assert states == ["new"] * len(asked) + ["conflict"]
        await store.tend("me", 86_402.0)
        assert (await store.admit(kept._replace(fingerprint="other"))).state == "new"

    run(body)


# -- answers of the database that were lost ---------------------------------------------------------------------------


async def lost(relay: Relay, ask: Callable[[], Awaitable[object]]) -> AsyncIterator[bool]:
    """Asks again and again, with the first answer lost, the second, and so on; each time whether one was."""
    for answers in range(100):
        relay.cut_after(answers)
        with suppress(Failure):
            await ask()
        whole = relay.whole
        yield not whole
        if whole:
            return


def test_an_admission_whose_answer_was_lost_gives_its_money_back(postgres: Postgres) -> None:
    async def body() -> None:
        await (await emptied(postgres.url())).close()
        async with Relay(postgres) as relay:
            store = await PostgresDurable.connect(relay.url)
            await store.add_project("p", "a", 1000, 0)
            cut = 0
            async for was_lost in lost(relay, lambda: store.admit(paid(40, owner="me"))):
                await store.tend("me", 1.0)
                cut += was_lost
                assert await store.balance_nano("p") == (1000 if was_lost else 960)
            assert cut > 0
            assert await store.usage(None, [], 0) == []
            await store.close()

    asyncio.run(body())


def test_a_booking_whose_answer_was_lost_is_paid_once(postgres: Postgres) -> None:
    async def body() -> None:
        await (await emptied(postgres.url())).close()
        async with Relay(postgres) as relay:
            store = await PostgresDurable.connect(relay.url)
            await store.add_project("p", "a", 1000, 0)
            booked: list[Booking] = []

            async def book() -> None:
                asked = call(uuid.uuid4().hex, reserve_nano=40, scopes=(project_scope("p"),))
                await store.admit(asked)
                booked.append(end(asked, 30, row(request_id=asked.request_id), answer=b"answer"))
                await store.book(booked[-1])

            async for was_lost in lost(relay, book):
                await store.tend("me", 1.0)
                if was_lost and booked:
                    await store.book(booked[-1])
                for booking in booked:
                    assert len(await store.rows(booking.admission.request_id)) == 1
                    again = await store.admit(booking.admission._replace(request_id=uuid.uuid4().hex))
                    assert again.answer == b"answer"
                assert await store.balance_nano("p") == 1000 - 30 * len(booked)
            assert len(booked) > 1  # a booking is one question: once its answer was lost
            await store.close()

    asyncio.run(body())


def test_a_call_asks_the_database_once_before_its_vendor_and_once_after_it(postgres: Postgres) -> None:
    async def body() -> None:
        await (await emptied(postgres.url())).close()
        async with Relay(postgres) as relay:
            store = await PostgresDurable.connect(relay.url)
            await store.add_project("p", "a", 1000, 0)
            await store.add_key("hash", KeyRow("k1", "p"))
            await store.set_budget(Budget(key_scope("k1"), "p", 500))

            async def trips(ask: Awaitable[object]) -> int:
                before = relay.answers
                await ask
                return relay.answers - before

            async def one() -> list[int]:
                asked = paid(4, key_scope("k1"))
                rows = [row(kind=kind, request_id=asked.request_id) for kind in ("attempt", "answer")]
                steps = (store.find_key("hash"), store.admit(asked), store.book(end(asked, 4, *rows)))
                return [await trips(step) for step in steps]

            await one()  # a statement is prepared when it is first used
            assert await one() == [0, 1, 1]
            kept = call(reserve_nano=4, scopes=(project_scope("p"),))
            assert await trips(store.admit(kept)) == 1
            assert await trips(store.admit(kept._replace(request_id="again"))) == 1
            await store.release(paid(None))
            assert await trips(store.release(kept)) == 1
            assert await store.balance_nano("p") == 992
            await store.close()

    asyncio.run(body())


def test_a_caller_that_leaves_while_the_database_works_takes_no_connection_with_it(postgres: Postgres) -> None:
    from infrai_runtime.store.postgres import POOL

    async def body() -> None:
        store, other = await emptied(postgres.url()), await PostgresDurable.connect(postgres.url())
        await store.add_project("p", "a", 10**6, 0)
        async with other._transaction() as holding:
            await holding.execute("SELECT 1 FROM budget FOR UPDATE")
            tasks = [asyncio.ensure_future(store.admit(paid(4))) for _ in range(2 * POOL)]
            while not await holding.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                await asyncio.sleep(0)  # until at least one waits for the budget
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(error) for error in ended} == {asyncio.CancelledError}
        admitted = await asyncio.gather(*(store.admit(paid(4)) for _ in range(2 * POOL)))
        assert {one.state for one in admitted} == {"new"}
        await store.tend("me", 1.0)
        assert await store.balance_nano("p") == 10**6 - 4 * 2 * POOL
        await store.close()
        await other.close()

    asyncio.run(body())


def test_connections_that_the_database_has_ended_are_not_used_again(postgres: Postgres) -> None:
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    async def body() -> None:
        store, other = await emptied(postgres.url()), await PostgresDurable.connect(postgres.url())
        await store.add_project("p", "a", 1000, 0)
        await asyncio.gather(*(store.admit(paid(4)) for _ in range(5)))
        assert await other._fetch(f"SELECT pg_terminate_backend(pid) {others}")
        while await other._fetch(f"SELECT pid {others}"):
            await asyncio.sleep(0)

        async def asked() -> str:
            while True:
                try:
                    return (await store.admit(paid(4))).state
                except Failure as failure:  # in the moment in which a connection ends; a client asks again
                    if failure.code != "OVERLOADED":
                        raise

        assert set(await asyncio.gather(*(asked() for _ in range(20)))) == {"new"}
        await store.close()
        await other.close()

    asyncio.run(body())


def test_a_database_of_the_second_schema_goes_on_with_its_calls_and_money(postgres: Postgres) -> None:
    from infrai_runtime.store.postgres import MIGRATIONS

    async def body() -> None:
        import asyncpg

        made = await asyncpg.connect(postgres.url())
        await made.execute("CREATE DATABASE second")
        await made.close()
        old = await asyncpg.connect(postgres.url("second"))
        for script in MIGRATIONS[:2]:
            await old.execute(script)
        await old.execute("CREATE TABLE schema_version (version INT NOT NULL); INSERT INTO schema_version VALUES (2)")
        await old.execute("INSERT INTO project VALUES ('p', 'a', 1)")
        await old.execute("INSERT INTO budget VALUES ('project:p', 'p', 100, 'total', '', 10, 40)")
        await old.execute(
            "INSERT INTO call VALUES ('p', 'running', 'f', 'r1', 'me', 30, 900, 40, '{project:p}', NULL, 'chat')"
        )
        await old.close()
        with pytest.raises(ConfigError, match="infrai db upgrade"):
            await PostgresDurable.connect(postgres.url("second"))
        store = await PostgresDurable.connect(postgres.url("second"), upgrade=True)
        assert (await store.admit(call("running", now=1.0))).state == "running"
        assert (await store.admit(paid(51))).state == "refused"
        assert (await store.admit(paid(50))).state == "new"
        await store.tend("other", 30.0)  # both calls are dead by then
        assert await store.balance_nano("p") == 90
        await store.close()

    asyncio.run(body())


def test_a_call_that_this_process_does_not_make_is_not_vouched_for(postgres: Postgres, tmp_path: Path) -> None:
    async def body(one: Durable, other: Durable) -> None:
        await other.admit(call(owner="me"))
        await one.tend("me", LEASE_S - 1)
        assert (await one.admit(call(now=LEASE_S, ttl_s=1000.0))).state == "new"
        await one.close()
        await other.close()

    async def on_both() -> None:
        await body(SqliteDurable(tmp_path / "x.db"), SqliteDurable(tmp_path / "x.db"))
        await body(await emptied(postgres.url()), await PostgresDurable.connect(postgres.url()))

    asyncio.run(on_both())


# -- the ledger --------------------------------------------------------------------------------------------------------


def test_noted_rows_are_there_for_who_reads_here_and_in_a_moment_for_others(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.note([row(), row(request_id="s")])
        (total,) = await store.usage("p", [], 0)
        assert (total.calls, store.noted) == (2, 0)
        await store.note([row(request_id="t")])
        assert [told.request_id for told in await store.rows("t")] == ["t"]
        await store.note([row(request_id="u")])
        while store.noted:
            await asyncio.sleep(0.01)
        for number in range(vouch.MOST_NOTED):
            await store.note([row(request_id=str(number))])
        assert store.noted == 0

    run(body)


def test_noted_rows_are_written_when_the_file_is_closed(tmp_path: Path) -> None:
    async def body() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        await store.note([row(request_id="r")])
        await store.close()
        again = SqliteDurable(tmp_path / "x.db")
        assert len(await again.rows("r")) == 1
        await again.close()

    asyncio.run(body())


def test_noted_rows_are_written_once_when_an_answer_is_lost(postgres: Postgres) -> None:
    async def body() -> None:
        await (await emptied(postgres.url())).close()
        async with Relay(postgres) as relay:
            store = await PostgresDurable.connect(relay.url)
            cut = noted = 0

            async def note() -> None:
                nonlocal noted
                noted += 1
                await store.note([row(request_id=uuid.uuid4().hex)])
                await store.usage("p", [], 0)

            async for was_lost in lost(relay, note):
                cut += was_lost
                (total,) = await store.usage("p", [], 0)
                assert total.calls == noted
            assert cut > 0
            await store.close()

    asyncio.run(body())


def test_usage_adds_up_answers_and_the_cost_of_all_attempts_and_keeps_unknown_costs_apart(run: Run) -> None:
    async def body(store: Durable) -> None:
        rows = [
            row(prompt_tokens=3, completion_tokens=2, cost_nano=10, key_id="k1"),
            row(prompt_tokens=1, cost_nano=None, usage={"images": 1}, cache_hit=True),
            row(kind="attempt", cost_nano=10),
            row(kind="attempt", cost_nano=99, outcome="VENDOR_ERROR"),
            row(kind="attempt", cost_nano=None, outcome="VENDOR_TIMEOUT", reserved_nano=20),
            row(vendor=None, model="n", cost_nano=5, at_s=90_000.0, capability="embed"),
            row(kind="attempt", vendor=None, model="n", cost_nano=5, at_s=90_000.0, capability="embed"),
            row(project_id="other", cost_nano=7),
            row(at_s=1.0, cost_nano=1000),
        ]
        await store.book(end(call(), 0, *rows))
        (total,) = await store.usage("p", [], 500)
        assert (total.calls, total.prompt_tokens, total.completion_tokens) == (3, 4, 2)
        assert (total.cost_nano, total.open_nano, total.unpriced_calls, total.cache_hits) == (114, 20, 1, 1)
        by = await store.usage("p", ["day", "vendor"], 500)
        assert sorted((u.group["day"], str(u.group["vendor"]), u.calls) for u in by) == [
            ("1970-01-01", "v", 2),
            ("1970-01-02", "None", 1),
        ]
        assert {u.group["key"]: u.calls for u in await store.usage("p", ["key"], 500)} == {"k1": 1, None: 2}
        assert await store.usage("nobody", [], 0) == []
        (everyone,) = await store.usage(None, [], 500)
        assert everyone.calls == 4

    run(body)


def test_reports_leave_the_threads_of_calls_alone_and_only_so_many_wait(tmp_path: Path) -> None:
    class Slow(SqliteDurable):
        """Tells how many reports it has made at a time."""

        now = most = 0

        async def _fetch(self, sql: str, *values: Any) -> Any:
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                return await super()._fetch(sql, *values)
            finally:
                self.now -= 1

    async def body() -> None:
        store = Slow(tmp_path / "runtime.db")
        await store.book(end(call(), 0, row(cost_nano=10)))
        asked = (store.usage("p", [], 0) for _ in range(MOST_REPORTS + 5))
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert store.most == REPORTS
        refused = [answer for answer in told if isinstance(answer, Failure)]
        assert [(failure.code, failure.retry_after_s) for failure in refused] == [("OVERLOADED", REPORT_S)] * 5
        assert {answer[0].calls for answer in told if isinstance(answer, list)} == {1}
        assert len(await store.usage("p", [], 0)) == 1
        await store.close()

    asyncio.run(body())


def test_a_call_counts_under_each_of_its_tags_and_calls_without_one_stay_apart(run: Run) -> None:
    async def body(store: Durable) -> None:
        tagged = [
            ("v", 10, {"team": "red", "job": 'it\'s "x" = 1'}),
            ("v", 5, {"team": "red"}),
            ("w", 7, {"team": "blue"}),
            ("w", 1, {}),
        ]
        for vendor, cost, tags in tagged:
            rows = [row(kind=kind, vendor=vendor, cost_nano=cost, tags=tags) for kind in ("attempt", "answer")]
            await store.book(end(call(), 0, *rows))
        await store.book(end(call(), 0, row(kind="attempt", project_id="q", cost_nano=9, tags={"team": "red"})))
        by_tag = {u.group["tag"]: (u.calls, u.cost_nano) for u in await store.usage("p", ["tag"], 0)}
        assert by_tag == {'job=it\'s "x" = 1': (1, 10), "team=blue": (1, 7), "team=red": (2, 15), None: (1, 1)}
        both = [(u.group["vendor"], u.group["tag"], u.cost_nano) for u in await store.usage("p", ["vendor", "tag"], 0)]
        assert sorted(both, key=str) == [
            ("v", 'job=it\'s "x" = 1', 10),
            ("v", "team=red", 15),
            ("w", "team=blue", 7),
            ("w", None, 1),
        ]
        assert await store.usage("p", ["tag"], 1001) == []

    run(body)


def test_text_of_a_caller_is_never_read_as_a_query(run: Run) -> None:
    async def body(store: Durable) -> None:
        words = "x'); DELETE FROM ledger; --"
        anything = "' OR '1'='1"
        await store.add_project("p", "a", 100, 0)
        await store.add_key("hash", KeyRow("key_1", "p"))
        await store.set_budget(Budget(tag_scope("p", words, anything), "p", 50))
        said = row(idempotency_key=words, tags={words: anything}, model=words)
        admission = call(words, reserve_nano=10, scopes=(project_scope("p"), tag_scope("p", words, anything)))
        assert (await store.admit(admission)).state == "new"
        await store.book(end(admission, 10, said, answer=b"kept"))
        assert (await store.admit(call(words))).answer == b"kept"
        for guess in (words, anything, "% OR 1=1"):
            assert await store.find_key(guess) is None
            assert not await store.end_key(guess)
            assert await store.rows(guess) == await store.usage(guess, ["tag"], 0) == []
        assert (await store.rows(said.request_id))[0].tags == {words: anything}
        assert {u.group["tag"]: u.calls for u in await store.usage("p", ["tag"], 0)} == {f"{words}={anything}": 1}
        assert await store.balance_nano("p") == 90

    run(body)


def test_a_row_comes_back_as_it_was_written(run: Run) -> None:
    async def body(store: Durable) -> None:
        written = row(
            usage={"images": 2},
            cost_nano=12,
            cache_hit=True,
            estimated=True,
            idempotency_key="k",
            batch_id="b",
            tags={"team": "red"},
        )
        await store.book(end(call(), 0, written))
        assert await store.rows("r") == [written]

    run(body)


# -- SQLite's own ------------------------------------------------------------------------------------------------------


def test_the_file_is_its_owners_and_outlives_the_process(tmp_path: Path) -> None:
    async def write() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        await store.add_project("p", "a", 42, 0)
        await store.close()

    async def read() -> int | None:
        store = SqliteDurable(tmp_path / "x.db")
        try:
            return await store.balance_nano("p")
        finally:
            await store.close()

    asyncio.run(write())
    assert stat.S_IMODE((tmp_path / "x.db").stat().st_mode) == 0o600
    assert asyncio.run(read()) == 42


@pytest.mark.parametrize("ttl_s", [600.0, 86_400.0])
def test_answers_of_one_moment_stand_side_by_side_whichever_process_keeps_them(tmp_path: Path, ttl_s: float) -> None:
    async def body() -> None:
        stores = [SqliteDurable(tmp_path / "x.db") for _ in range(2)]
        asked = [call(str(number), ttl_s=ttl_s, now=1e9) for number in range(40)]
        for number, admission in enumerate(asked):
            await stores[number % 2].admit(admission)
            await stores[number % 2].book(end(admission, answer=admission.key.encode(), now=1e9))
        for store in stores:
            assert [(await store.admit(admission)).answer for admission in asked] == [a.key.encode() for a in asked]
        await stores[0].tend("me", 1e9 + ttl_s + 2)
        assert {(await stores[1].admit(admission)).state for admission in asked} == {"new"}
        for store in stores:
            await store.close()

    asyncio.run(body())


class Kept(sqlite3.Connection):
    """A connection whose cursors live on, as where a debugger or the garbage collector's lists hold them."""

    def execute(self, *given: Any) -> sqlite3.Cursor:
        kept = self.__dict__.setdefault("kept", [])
        kept.append(super().execute(*given))
        return kept[-1]


def test_a_database_is_made_also_where_something_holds_its_cursors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqlite3.connect", partial(sqlite3.connect, factory=Kept))
    asyncio.run(SqliteDurable(tmp_path / "x.db").close())


def test_an_old_file_gets_new_pages_when_it_is_upgraded_and_nobody_else_has_it_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def pages() -> int:
        with closing(sqlite3.connect(tmp_path / "x.db")) as db:
            return int(db.execute("PRAGMA page_size").fetchone()[0])

    async def in_use() -> None:
        with closing(sqlite3.connect(tmp_path / "x.db")) as db:
            db.execute("PRAGMA page_size = 1024")
            db.execute("PRAGMA journal_mode = WAL")
        store = SqliteDurable(tmp_path / "x.db")
        await store.add_project("p", "a", 42, 0)
        await store.book(end(call("k"), 0, row(cost_nano=3)))
        await SqliteDurable(tmp_path / "x.db", upgrade=True).close()
        assert pages() == 1024
        assert "another process has it open" in caplog.text
        await store.close()

    async def body() -> None:
        await in_use()
        again = SqliteDurable(tmp_path / "x.db", upgrade=True)
        assert pages() == PAGE_BYTES
        assert await again.balance_nano("p") == 42
        assert len(await again.rows("r")) == 1
        await again.close()
        assert (tmp_path / "x.db").read_bytes()[18:20] == b"\2\2"  # the log is back

    asyncio.run(body())


def test_rows_of_a_call_are_found_by_the_time_in_its_name(tmp_path: Path) -> None:
    from infrai_runtime.store.sqlite import since

    async def body() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        early, late = "018cc251-f400-7000-8000-000000000000", "018cc288-e280-7000-8000-000000000001"
        assert made_s(early) == 1_704_067_200.0  # the first second of 2024
        assert 0 == since("r") < since(early) < since(late)
        for name, at_s in ((early, 1_704_067_200.5), (late, 1_704_070_801.0), ("r", 5.0), (late, 1_704_070_000.0)):
            await store.book(end(call(), 0, row(request_id=name, at_s=at_s)))
        assert [found.at_s for found in await store.rows(early)] == [1_704_067_200.5]
        assert len(await store.rows(late)) == 2  # the clock went back before it was booked
        assert len(await store.rows("r")) == 1
        await store.close()

    asyncio.run(body())


def test_a_booking_that_may_have_been_made_by_another_process_is_made_once(run: Run) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        asked = paid(40)._replace(request_id=request_id())
        await store.admit(asked)
        booking = replace(end(asked, 30, row(request_id=asked.request_id, at_s=time.time())), shared=True)
        for _ in range(2):
            await store.book(booking)
        assert len(await store.rows(asked.request_id)) == 1
        assert await store.balance_nano("p") == 70

    run(body)


def test_budgets_that_another_process_changes_count_at_once(tmp_path: Path) -> None:
    async def body() -> None:
        one, two = SqliteDurable(tmp_path / "x.db"), SqliteDurable(tmp_path / "x.db")
        await one.add_project("p", "a", 100, 0)
        first, second = paid(30), paid(30)
        for store, admission in ((one, first), (two, second)):
            assert (await store.admit(admission)).state == "new"
        assert (await one.admit(paid(41))).state == "refused"
        await two.set_budget(Budget(key_scope("k"), "p", 5))
        assert (await one.admit(paid(6, key_scope("k")))).short == key_scope("k")
        await two.book(end(second, 10))
        assert (await one.admit(paid(60))).state == "new"
        assert await two.drop_budget(project_scope("p"))
        assert (await one.admit(paid(10**9))).state == "new"
        for opened in (one, two):
            await opened.close()

    asyncio.run(body())


def test_a_budget_that_changes_in_the_moment_of_a_call_keeps_what_the_call_set_aside(tmp_path: Path) -> None:
    async def body() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        await store.add_project("p", "a", 100, 0)
        changed = store.set_budget(Budget(project_scope("p"), "p", 50))
        states = await asyncio.gather(*map(store.admit, [paid(20), paid(20)]), changed, store.admit(paid(20)))
        assert [state and state.state for state in states] == ["new", "new", None, "refused"]
        assert await store.balance_nano("p") == 10
        await store.close()

    asyncio.run(body())


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "x.db")
    db.execute("PRAGMA user_version = 999")
    db.close()
    with pytest.raises(ConfigError, match="999"):
        SqliteDurable(tmp_path / "x.db")


def test_a_file_of_the_second_schema_keeps_its_calls_answers_and_ledger(tmp_path: Path) -> None:
    from infrai_runtime.store.sqlite import MIGRATIONS

    facts = "'fp', 'request', 'me', 30.0, 900.0, 5, '[\"project:p\"]', 'k1', 'chat'"
    old = "'answer', 100.5, 'p', 'k1', 'request', 'chat', 'v', 'm', 'ok', 1.5, 3, 2, 7, 0, 0, '{}', 0, NULL, NULL, '{}'"
    with closing(sqlite3.connect(tmp_path / "x.db")) as db:
        for script in MIGRATIONS[:2]:
            db.executescript(script)
        db.execute("INSERT INTO project VALUES ('p', 'a', 1)")
        db.execute("INSERT INTO budget VALUES ('project:p', 'p', 100, 'total', '', 0, 5)")
        db.execute(f"INSERT INTO call VALUES ('p', 'running', {facts}, NULL)")
        db.execute(f"INSERT INTO call VALUES ('p', 'ended', {facts.replace('5,', '0,', 1)}, x'61')")
        for _ in range(2):
            db.execute(f"INSERT INTO ledger VALUES ({old})")
        db.execute("PRAGMA user_version = 2")
        db.commit()

    async def body() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        assert (await store.admit(call("running", fingerprint="fp", now=1.0))).state == "running"
        assert (await store.admit(call("ended", fingerprint="fp", now=1.0))).state == "done"
        assert len(await store.rows("request")) == 2
        assert [used.calls for used in await store.usage("p", [], 100)] == [2]
        assert await store.usage("p", [], 101) == []
        await store.tend("other", 31.0)
        assert await store.balance_nano("p") == 100
        await store.close()

    asyncio.run(body())


_OLD_BUDGETS = (
    "('project:p', 'p', 100, 'total', '', 60, 5)",
    "('key:k', 'p', 50, 'month', '2024-01', 20, 1)",
    "('tag:p:team=red', 'p', 9, 'day', '2024-01-01', 7, 2)",
)


async def check_old_budgets(store: Durable) -> None:
    """That they go on as they were, and take what the call that was running gives back."""
    found = [(b.period, b.limit_nano, b.spent_nano, b.reserved_nano) for b in await store.budgets("p", JANUARY)]
    assert found == [("month", 50, 20, 1), ("total", 100, 60, 5), ("day", 9, 7, 2)]
    assert [b.spent_nano for b in await store.budgets("p", FEBRUARY)] == [0, 60, 0]
    assert (await store.admit(paid(30, key_scope("k"), now=JANUARY))).period == "month"
    await store.set_budget(Budget(key_scope("k"), "p", 29))
    await store.tend("me", JANUARY)
    assert await store.balance_nano("p") == 40


def test_a_file_of_the_fifth_schema_keeps_its_budgets(tmp_path: Path) -> None:
    from infrai_runtime.store.sqlite import MIGRATIONS

    with closing(sqlite3.connect(tmp_path / "x.db")) as db:
        for script in MIGRATIONS[:5]:
            db.executescript(script)
        db.execute("INSERT INTO project VALUES ('p', 'a', 1)")
        for values in _OLD_BUDGETS:
            db.execute(f"INSERT INTO budget VALUES {values}")
        db.execute("INSERT INTO call VALUES ('p', 'k', 'f', 'r', 'x', 1, 1, 5, '[\"project:p\"]', NULL, 'chat')")
        db.execute("PRAGMA user_version = 5")
        db.commit()

    async def body() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        await check_old_budgets(store)
        await store.close()

    asyncio.run(body())


def test_a_database_of_an_older_schema_is_brought_up_to_date_and_keeps_its_budgets(postgres: Postgres) -> None:
    async def body() -> None:
        import asyncpg

        from infrai_runtime.store.postgres import MIGRATIONS

        connection = await asyncpg.connect(postgres.url())
        await connection.execute("CREATE DATABASE older")
        await connection.close()
        older = await asyncpg.connect(postgres.url("older"))
        for script in ("CREATE TABLE schema_version (version INT)", *MIGRATIONS[:3]):
            await older.execute(script)
        await older.execute("INSERT INTO schema_version VALUES (3); INSERT INTO project VALUES ('p', 'a', 1)")
        for values in _OLD_BUDGETS:
            await older.execute(f"INSERT INTO budget VALUES {values}")
        await older.execute(
            "INSERT INTO call VALUES ('p', 'k', 'f', 'r', 'x', 1, 1, 5, ARRAY['project:p'], NULL, 'chat', NULL)"
        )
        await older.close()
        with pytest.raises(ConfigError, match="infrai db upgrade"):
            await PostgresDurable.connect(postgres.url("older"))
        store = await PostgresDurable.connect(postgres.url("older"), upgrade=True)
        await check_old_budgets(store)
        await store.close()

    asyncio.run(body())


def test_calls_of_one_moment_are_committed_together_and_one_that_fails_harms_no_other(tmp_path: Path) -> None:
    async def body() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        await store.add_project("p", "a", 100, 0)
        calls = [paid(10) for _ in range(5)]
        states = [admitted.state for admitted in await asyncio.gather(*map(store.admit, calls))]
        assert states == ["new"] * 5
        broken = end(calls[0], 1, row(at_s="no time", request_id=calls[0].request_id))
        whole = [end(admission, 10, row(request_id=admission.request_id)) for admission in calls[1:]]
        ended = await asyncio.gather(*(store.book(booking) for booking in [*whole, broken]), return_exceptions=True)
        assert [type(error) for error in ended if error is not None] == [ValueError]
        assert await store.balance_nano("p") == 100 - 4 * 10 - 10  # what the broken one set aside is still set aside
        assert len(await store.rows(calls[1].request_id)) == 1
        await store.release(calls[0])
        assert await store.balance_nano("p") == 60
        await store.close()

    asyncio.run(body())


def test_a_kept_answer_is_in_the_file_when_its_caller_hears_of_it(tmp_path: Path) -> None:
    async def body() -> None:
        store, reader = SqliteDurable(tmp_path / "x.db"), SqliteDurable(tmp_path / "x.db")
        await store.add_project("p", "a", 100, 0)
        asked = [call(str(number), reserve_nano=1, scopes=(project_scope("p"),)) for number in range(20)]

        async def one(admission: Admission) -> None:
            await store.admit(admission)
            assert (await reader.admit(admission._replace(request_id="other"))).state == "running"
            await store.book(end(admission, 1, answer=b"x"))
            assert (await reader.admit(admission._replace(request_id="other"))).answer == b"x"

        await asyncio.gather(*map(one, asked))
        assert await reader.balance_nano("p") == 80
        for opened in (store, reader):
            await opened.close()

    asyncio.run(body())


def test_a_file_of_the_first_schema_keeps_its_credit_and_keys(tmp_path: Path) -> None:
    from infrai_runtime.store.sqlite import MIGRATIONS

    with closing(sqlite3.connect(tmp_path / "x.db")) as db:
        db.executescript(MIGRATIONS[0])
        db.execute("INSERT INTO project VALUES ('p', 'a', 1, 42, 7)")
        db.execute("INSERT INTO key VALUES ('hash', 'k1', 'p', 1, 0, 3)")
        db.execute("PRAGMA user_version = 1")
        db.commit()

    async def body() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        assert await store.balance_nano("p") == 42
        assert await store.find_key("hash") == KeyRow("k1", "p", trial=True, created_s=3)
        await store.close()

    asyncio.run(body())


async def fill(store: Durable) -> None:
    for _ in range(100):
        made = call(uuid.uuid4().hex)
        assert (await store.admit(made)).state == "new"
        await store.book(end(made, answer=b"x" * 10_000))


FULL, ROOM = "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000"
CLOSED, OPEN = "PRAGMA query_only = ON", "PRAGMA query_only = OFF"


@pytest.mark.parametrize(
    ("ends", "begins", "why"), [(FULL, ROOM, "full"), (CLOSED, OPEN, "written")], ids=["full", "read-only"]
)
def test_a_file_that_cannot_be_written_is_a_503_and_written_again_once_it_can(
    tmp_path: Path, ends: str, begins: str, why: str
) -> None:
    async def body() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        await store.ping()
        store._db.execute(ends)  # as the disk may do at any time
        with pytest.raises(Failure, match=why) as refused:
            await fill(store)
        assert (refused.value.code, refused.value.retry_after_s) == ("OVERLOADED", 5.0)
        if ends == CLOSED:
            with pytest.raises(Failure, match=why):
                await store.ping()
        store._db.execute(begins)
        await store.ping()
        await store.tend("me", 1.0)
        assert (await store.admit(call("later"))).state == "new"
        await store.close()

    asyncio.run(body())


def test_nothing_is_written_to_a_file_that_was_taken_away_until_it_is_back(tmp_path: Path) -> None:
    async def body() -> None:
        path, elsewhere = tmp_path / "x.db", tmp_path / "moved.db"
        store = SqliteDurable(path)
        path.rename(elsewhere)
        with pytest.raises(Failure, match="taken away"):
            await store.tend("me", 0.0)
        with pytest.raises(Failure, match="taken away"):
            await store.admit(call("k"))
        with pytest.raises(Failure, match="cannot be opened"):
            await store.usage(None, ("day",), 0.0)
        with pytest.raises(Failure, match="taken away"):
            await store.ping()
        assert not path.exists()
        elsewhere.rename(path)
        await store.ping()
        assert (await store.admit(call("k"))).state == "new"
        await store.close()

    asyncio.run(body())


def test_a_caller_cancelled_while_the_file_is_busy_leaves_nothing_behind(tmp_path: Path) -> None:
    async def body() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        await store.add_project("p", "a", 100, 0)
        waiting = call(reserve_nano=30, scopes=(project_scope("p"),))
        with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            task = asyncio.ensure_future(store.admit(waiting))
            await asyncio.sleep(0)  # it has met the lock and waits
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            other.execute("COMMIT")
        assert await store.balance_nano("p") == 100
        assert (await store.admit(waiting)).state == "new"
        await store.close()

    asyncio.run(body())


WRITER = """
import asyncio, sys, uuid
from pathlib import Path
from infrai_runtime.store.durable import Admission, project_scope
from infrai_runtime.store.sqlite import SqliteDurable

async def main():
    store = SqliteDurable(Path(sys.argv[1]))
    ids = [uuid.uuid4().hex for _ in range(200)]
    calls = [Admission("p", i, "f", i, "me", 0.0, reserve_nano=1, scopes=(project_scope("p"),)) for i in ids]
    print(sum([(await store.admit(call)).state == "new" for call in calls]))
    await store.close()

asyncio.run(main())
"""


def test_processes_that_share_the_file_lose_nothing_and_never_overspend(tmp_path: Path) -> None:
    async def prepare() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        await store.add_project("p", "a", 300, 0)
        await store.close()

    asyncio.run(prepare())
    command = [sys.executable, "-c", WRITER, str(tmp_path / "x.db")]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    granted = [int(writer.communicate()[0]) for writer in writers]
    assert sum(granted) == 300


# -- PostgreSQL's own --------------------------------------------------------------------------------------------------


def test_a_database_with_a_newer_schema_is_refused(postgres: Postgres) -> None:
    async def body() -> None:
        import asyncpg

        connection = await asyncpg.connect(postgres.url())
        await connection.execute("CREATE DATABASE newer")
        await (await PostgresDurable.connect(postgres.url("newer"))).close()
        newer = await asyncpg.connect(postgres.url("newer"))
        await newer.execute("UPDATE schema_version SET version = 999")
        with pytest.raises(ConfigError, match="999"):
            await PostgresDurable.connect(postgres.url("newer"), upgrade=True)
        await newer.close()
        await connection.close()

    asyncio.run(body())


def test_an_address_that_does_not_answer_is_a_configuration_error_without_the_password() -> None:
    async def body() -> None:
        with pytest.raises(ConfigError) as raised:
            await PostgresDurable.connect("postgresql://me:secret@127.0.0.1:1/x")
        assert "secret" not in str(raised.value)

    asyncio.run(body())
