"""One behaviour suite over every durable store."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from infrai_core import ConfigError
from infrai_runtime.store.durable import RUNNING_LEASE_S, Durable, LedgerRow
from infrai_runtime.store.memory import SWEEP_EVERY_S, MemoryDurable, MemoryEphemeral
from infrai_runtime.store.sqlite import SqliteDurable

Body = Callable[[Durable], Awaitable[None]]


@pytest.fixture(params=["memory", "sqlite"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Body], None]:
    """Runs a body on a fresh store."""

    async def on_store(body: Body) -> None:
        store: Durable = MemoryDurable() if request.param == "memory" else SqliteDurable(tmp_path / "state" / "x.db")
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


def test_a_key_is_found_by_its_hash_until_it_is_revoked(run: Callable[[Body], None]) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 5, 0)
        await store.add_key("hash", "k1", "p", True, 0)
        assert await store.find_key("other") is None
        found = await store.find_key("hash")
        assert found is not None
        assert (found.key_id, found.project_id, found.trial, found.revoked) == ("k1", "p", True, False)
        assert await store.revoke_key("k1")
        assert not await store.revoke_key("nobody")
        found = await store.find_key("hash")
        assert found is not None
        assert found.revoked

    run(body)


def test_concurrent_reservations_never_overspend(run: Callable[[Body], None]) -> None:
    async def body(store: Durable) -> None:
        await store.add_project("p", "a", 100, 0)
        granted = await asyncio.gather(*(store.reserve("p", 30) for _ in range(10)))
        assert sum(granted) == 3
        assert await store.balance_nano("p") == 10
        await store.book("p", [], 30, 12)
        assert await store.balance_nano("p") == 28
        await store.book("p", [], 30, 0)
        assert await store.balance_nano("p") == 58
        assert await store.reserve("nobody", 1) is False
        assert await store.balance_nano("nobody") is None

    run(body)


def test_a_claim_goes_from_new_to_running_to_done(run: Callable[[Body], None]) -> None:
    async def body(store: Durable) -> None:
        first = await store.begin("p", "k", "f", "me", 100, 0)
        assert (first.state, first.fence) == ("new", 1)
        assert (await store.begin("p", "k", "f", "you", 100, 1)).state == "running"
        assert (await store.begin("p", "k", "other body", "you", 100, 1)).state == "conflict"
        assert (await store.begin("another project", "k", "x", "you", 100, 1)).state == "new"
        await store.finish("p", "k", first.fence, b"answer")
        again = await store.begin("p", "k", "f", "you", 100, 2)
        assert (again.state, again.answer) == ("done", b"answer")
        assert (await store.begin("p", "k", "other body", "you", 100, 2)).state == "conflict"
        assert (await store.begin("p", "k", "other body", "you", 100, 100)).state == "new"  # its time was over

    run(body)


def test_only_one_of_many_concurrent_claims_is_new(run: Callable[[Body], None]) -> None:
    async def body(store: Durable) -> None:
        begun = await asyncio.gather(*(store.begin("p", "k", "f", str(n), 100, 0) for n in range(10)))
        assert sorted(b.state for b in begun) == ["new"] + ["running"] * 9

    run(body)


def test_an_abandoned_claim_is_free_again(run: Callable[[Body], None]) -> None:
    async def body(store: Durable) -> None:
        begun = await store.begin("p", "k", "f", "me", 100, 0)
        await store.abandon("p", "k", begun.fence)
        assert (await store.begin("p", "k", "other", "me", 100, 0)).state == "new"

    run(body)


def test_a_dead_owners_claim_is_taken_over_and_its_late_answer_is_ignored(run: Callable[[Body], None]) -> None:
    async def body(store: Durable) -> None:
        dead = await store.begin("p", "k", "f", "dead", 10_000, 0)
        taken = await store.begin("p", "k", "f", "alive", 10_000, RUNNING_LEASE_S)
        assert (taken.state, taken.fence) == ("new", 2)
        await store.finish("p", "k", dead.fence, b"late")
        await store.abandon("p", "k", dead.fence)
        assert (await store.begin("p", "k", "f", "x", 10_000, RUNNING_LEASE_S)).state == "running"
        await store.finish("p", "k", taken.fence, b"right")
        assert (await store.begin("p", "k", "f", "x", 10_000, RUNNING_LEASE_S)).answer == b"right"

    run(body)


def test_usage_adds_up_answers_and_keeps_unknown_costs_apart(run: Callable[[Body], None]) -> None:
    async def body(store: Durable) -> None:
        await store.book(
            "p",
            [
                row(prompt_tokens=3, completion_tokens=2, cost_nano=10),
                row(prompt_tokens=1, cost_nano=None, usage={"images": 1}),
                row(kind="attempt", cost_nano=99, outcome="VENDOR_ERROR"),
                row(vendor=None, model="n", cost_nano=5, at_s=90_000.0, capability="embed"),
                row(project_id="other", cost_nano=7),
                row(at_s=1.0, cost_nano=1000),
            ],
        )
        (total,) = await store.usage("p", [], 500)
        assert (total.calls, total.prompt_tokens, total.completion_tokens) == (3, 4, 2)
        assert (total.cost_nano, total.unpriced_calls) == (15, 1)
        by = await store.usage("p", ["day", "vendor"], 500)
        assert [(u.group["day"], u.group["vendor"], u.calls) for u in by] == [
            ("1970-01-01", "v", 2),
            ("1970-01-02", None, 1),
        ]
        assert await store.usage("nobody", [], 0) == []

    run(body)


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


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "x.db")
    db.execute("PRAGMA user_version = 999")
    db.close()
    with pytest.raises(ConfigError, match="999"):
        SqliteDurable(tmp_path / "x.db")


@pytest.mark.parametrize(
    "call", [lambda store: store.reserve("p", 30), lambda store: store.begin("p", "k", "f", "me", 9, 0)]
)
def test_a_caller_cancelled_while_the_file_is_busy_leaves_nothing_behind(
    tmp_path: Path, call: Callable[[Durable], Awaitable[object]]
) -> None:
    async def body() -> None:
        store = SqliteDurable(tmp_path / "x.db")
        await store.add_project("p", "a", 100, 0)
        with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first, second = (asyncio.ensure_future(call(store)) for _ in range(2))
            while store._executor._work_queue.qsize() != 1:  # until the first waits for the file, the second in line
                await asyncio.sleep(0)
            for task in (first, second):
                task.cancel()
            ends = await asyncio.gather(first, second, return_exceptions=True)
            assert [type(end) for end in ends] == [asyncio.CancelledError] * 2
            other.execute("COMMIT")
        assert await store.balance_nano("p") == 100
        assert (await store.begin("p", "k", "f", "me", 9, 0)).state == "new"
        await store.close()

    asyncio.run(body())


def test_memory_does_not_keep_claims_whose_time_is_over() -> None:
    async def body() -> None:
        store = MemoryDurable()
        for number in range(100):
            await store.begin("p", str(number), "f", "me", 10, number * SWEEP_EVERY_S)
        assert len(store._claims) == 1

    asyncio.run(body())


WRITER = """
import asyncio, sys
from pathlib import Path
from infrai_runtime.store.sqlite import SqliteDurable

async def main():
    store = SqliteDurable(Path(sys.argv[1]))
    granted = [await store.reserve("p", 1) for _ in range(200)]
    print(sum(granted))
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


# -- ephemeral -----------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_cached_values_expire_and_the_oldest_make_room() -> None:
    async def body() -> None:
        clock = Clock()
        store = MemoryEphemeral(max_bytes=10, clock=clock)
        await store.put("a", b"12345", 10)
        await store.put("b", b"12345", 20)
        assert await store.get("a") == b"12345"  # used: b is now the oldest
        await store.put("c", b"1", 20)
        assert await store.get("b") is None
        await store.put("huge", b"x" * 11, 20)
        assert await store.get("huge") is None
        clock.now = 10
        assert await store.get("a") is None
        assert await store.get("c") == b"1"

    asyncio.run(body())


def test_a_rate_limit_says_how_long_to_wait() -> None:
    async def body() -> None:
        clock = Clock()
        store = MemoryEphemeral(clock=clock)
        assert [await store.take("x", 1, 2) for _ in range(3)] == [None, None, 30.0]
        clock.now = 30
        assert await store.take("x", 1, 2) is None
        assert await store.take("y", 1, 2) is None

    asyncio.run(body())


def test_failures_count_until_a_success() -> None:
    async def body() -> None:
        store = MemoryEphemeral()
        await store.record("v", False)
        await store.record("v", False, 7.0)
        failing = (await store.failing())["v"]
        assert (failing.count, failing.asked_s) == (2, 7.0)
        await store.record("v", True)
        assert await store.failing() == {}

    asyncio.run(body())


def test_a_failure_has_an_age_and_a_lease_has_one_owner_until_it_ends() -> None:
    async def body() -> None:
        clock = Clock()
        store = MemoryEphemeral(clock=clock)
        await store.record("v", False)
        clock.now = 3
        assert (await store.failing())["v"].age_s == 3
        assert [await store.lease("probe:v", 10) for _ in range(2)] == [True, False]
        clock.now = 13
        assert await store.lease("probe:v", 10)
        await store.record("v", False)  # the probe has reported
        assert await store.lease("probe:v", 10)

    asyncio.run(body())
