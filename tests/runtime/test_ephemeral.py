"""One behaviour suite over every ephemeral store, and what each has of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from infrai_core import ConfigError
from infrai_runtime.failure import Failure
from infrai_runtime.store.ephemeral import Ephemeral, Failing, Place, Wish
from infrai_runtime.store.memory import VALUE_BYTES, MemoryEphemeral
from infrai_runtime.store.redis import RedisEphemeral
from tests.servers import free_port, redis

Body = Callable[[Ephemeral], Awaitable[None]]
Run = Callable[[Body], None]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["memory", "redis", "redis that is not there"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a body on a fresh store."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else f"redis://127.0.0.1:{free_port()}"

    async def on_store(body: Body) -> None:
        store: Ephemeral = MemoryEphemeral() if request.param == "memory" else RedisEphemeral(url)
        if request.param == "redis":
            await store._redis.flushall()  # type: ignore[attr-defined]  # this test's own server
        try:
            await body(store)
        finally:
            await store.close()

    return lambda body: asyncio.run(on_store(body))


def test_a_stored_value_comes_back(run: Run) -> None:
    async def body(store: Ephemeral) -> None:
        assert await store.get("a") is None
        await store.put("a", b"\x00value", 100)
        assert await store.get("a") == b"\x00value"

    run(body)


def test_a_bucket_grants_what_it_holds_and_says_how_long_to_wait(run: Run) -> None:
    async def body(store: Ephemeral) -> None:
        first, second, third = [await store.take("x", 1, 2) for _ in range(3)]
        assert (first.wait_s, second.wait_s) == (None, None)
        assert first.left == pytest.approx(1, abs=0.2)
        assert third.wait_s == pytest.approx(30, abs=3)
        assert (await store.take("y", 1, 2)).wait_s is None

    run(body)


def test_a_bucket_may_be_owed_to_and_given_back(run: Run) -> None:
    async def body(store: Ephemeral) -> None:
        owed = await store.take("x", 90, 60, owe=True)
        assert (owed.wait_s, owed.left) == (None, pytest.approx(-30, abs=3))
        assert (await store.take("x", 1, 60)).wait_s == pytest.approx(31, abs=3)
        await store.take("x", -90, 60, owe=True)
        assert (await store.take("x", 1, 60)).wait_s is None

    run(body)


def test_a_room_has_so_many_places(run: Run) -> None:
    async def body(store: Ephemeral) -> None:
        entered = [await store.enter("r", holder, 2, 100) for holder in ("a", "b", "c")]
        assert entered == [True, True, False]
        assert await store.enter("another", "c", 2, 100)
        await store.leave("r", "a")
        assert await store.enter("r", "c", 2, 100)
        await store.leave("r", "nobody")
        assert not await store.enter("r", "d", 2, 100)

    run(body)


def test_wishes_are_granted_together_or_not_at_all(run: Run) -> None:
    async def body(store: Ephemeral) -> None:
        few, many = Wish("few", 1, 2), Wish("many", 60, 100)
        first = await store.hold((few, many), Place("r", "a", 1, 100))
        assert first.granted
        assert [taken.left for taken in first.taken] == [pytest.approx(1, abs=0.2), pytest.approx(40, abs=5)]
        second = await store.hold((few, many))
        assert (second.granted, second.entered, second.taken[0].wait_s) == (False, True, None)
        assert second.taken[1].wait_s == pytest.approx(12, abs=5)
        third = await store.hold((few,), Place("r", "b", 1, 100))
        assert (third.granted, third.entered, third.taken[0].wait_s) == (False, False, None)
        assert third.taken[0].left == pytest.approx(1, abs=0.2)  # neither has taken anything
        await store.let_go((many._replace(amount=-60),), Place("r", "a", 1, 100))
        assert (await store.hold((few, many), Place("r", "b", 1, 100))).granted

    run(body)


def test_who_asks_again_for_what_was_granted_pays_once(run: Run) -> None:
    async def body(store: Ephemeral) -> None:
        one, place = Wish("one", 1, 1), Place("r", "a", 1, 100)
        for _ in range(2):
            got = await store.hold((one,), place)
            assert (got.granted, got.entered, got.taken[0].left) == (True, True, pytest.approx(0, abs=0.2))
        assert not (await store.hold((), place._replace(holder="b"))).entered
        await store.let_go((), place)
        assert not (await store.hold((one,), place)).granted

    run(body)


def test_failures_count_until_a_success(run: Run) -> None:
    async def body(store: Ephemeral) -> None:
        assert await store.failing() == {}
        await store.record("v w", False)
        await store.record("v w", False, 7.0)
        ((name, failing),) = (await store.failing()).items()
        assert (name, failing.count, failing.asked_s) == ("v w", 2, 7.0)
        assert 0 <= failing.age_s < 5
        await store.record("v w", True)
        assert await store.failing() == {}

    run(body)


def test_a_later_failure_shortens_no_rest_that_was_asked_for(run: Run) -> None:
    async def body(store: Ephemeral) -> None:
        for asked_s in (60.0, 1.0, 0.0):  # calls that were under way when the first was told to wait
            await store.record("v", False, asked_s)
        failing = (await store.failing())["v"]
        assert failing.count == 3
        assert 55 < failing.asked_s - failing.age_s <= 60
        await store.record("v", False, 90.0)
        assert (await store.failing())["v"].asked_s == 90

    run(body)


def test_a_lease_has_one_owner_until_its_probe_has_reported(run: Run) -> None:
    async def body(store: Ephemeral) -> None:
        assert [await store.lease("probe:v", 10) for _ in range(2)] == [True, False]
        await store.record("v", False)
        assert await store.lease("probe:v", 10)

    run(body)


# -- memory ------------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_cached_values_expire_and_the_oldest_make_room() -> None:
    async def body() -> None:
        clock = Clock()
        store = MemoryEphemeral(max_bytes=2 * VALUE_BYTES + 12, clock=clock)
        await store.put("a", b"12345", 10)
        await store.put("b", b"12345", 20)
        assert await store.get("a") == b"12345"  # used: b is now the oldest
        await store.put("c", b"1", 20)
        assert await store.get("b") is None
        await store.put("huge", b"x" * 2 * VALUE_BYTES, 20)
        assert await store.get("huge") is None
        clock.now = 10
        assert await store.get("a") is None
        assert await store.get("c") == b"1"

    asyncio.run(body())


def test_many_small_values_stay_within_the_bound_too() -> None:
    """A session that stays on its vendor is one: callers name as many as they like."""

    async def kept(named: str) -> list[int]:
        store = MemoryEphemeral(max_bytes=100_000)
        for number in range(2000):
            await store.put(named.format(number), b"v/m", 60)
        return [number for number in range(2000) if await store.get(named.format(number))]

    for named in ("session:{}", "session:{}" + "x" * 1000):
        numbers = asyncio.run(kept(named))
        assert numbers == list(range(2000 - len(numbers), 2000))
        assert 0 < len(numbers) <= 100_000 / (VALUE_BYTES + len(named))


def test_a_bucket_fills_with_time() -> None:
    async def body() -> None:
        clock = Clock()
        store = MemoryEphemeral(clock=clock)
        assert [(await store.take("x", 1, 2)).wait_s for _ in range(3)] == [None, None, 30.0]
        clock.now = 30
        assert (await store.take("x", 1, 2)).wait_s is None

    asyncio.run(body())


def test_a_failure_has_an_age_and_a_lease_an_end() -> None:
    async def body() -> None:
        clock = Clock()
        store = MemoryEphemeral(clock=clock)
        await store.record("v", False)
        clock.now = 3
        assert (await store.failing())["v"].age_s == 3
        await store.record("v", False, 5.0)
        clock.now = 9
        await store.record("v", False)
        assert (await store.failing())["v"] == Failing(3, 0.0)
        assert [await store.lease("probe:v", 10) for _ in range(2)] == [True, False]
        clock.now = 19
        assert await store.lease("probe:v", 10)

    asyncio.run(body())


# -- Redis -------------------------------------------------------------------------------------------------------------


def test_two_runtimes_share_limits_cache_and_breaker(redis_url: str) -> None:
    async def body() -> None:
        one, two = RedisEphemeral(redis_url), RedisEphemeral(redis_url)
        await one.put("shared", b"x", 100)
        assert await two.get("shared") == b"x"
        assert (await one.take("shared", 1, 1)).wait_s is None
        assert (await two.take("shared", 1, 1)).wait_s is not None
        assert await one.enter("shared", "a", 1, 100)
        assert not await two.enter("shared", "b", 1, 100)
        await one.record("shared", False)
        assert (await two.failing())["shared"].count == 1
        await one.close()
        await two.close()

    asyncio.run(body())


def test_the_place_of_a_process_that_died_is_given_away_and_that_of_a_living_one_is_kept(redis_url: str) -> None:
    async def body() -> None:
        dead, alive = RedisEphemeral(redis_url), RedisEphemeral(redis_url)
        for holder, store in (("a", dead), ("b", alive)):
            assert await store.enter("leased", holder, 2, 30)
        await alive._redis.zadd("infrai:room:leased", {"a": 1, "b": 1})  # as if half a minute had gone by
        await alive.tend()
        assert [await alive.enter("leased", holder, 2, 30) for holder in ("c", "d")] == [True, False]
        await alive.leave("leased", "b")
        await alive.tend()
        assert await alive.enter("leased", "d", 2, 30)
        await dead.close()
        await alive.close()

    asyncio.run(body())


def test_a_redis_that_began_anew_learns_who_is_inside(redis_url: str) -> None:
    async def body() -> None:
        store = RedisEphemeral(redis_url)
        assert await store.enter("anew", "a", 1, 30)
        await store._redis.flushall()
        await store.tend()
        assert not await store.enter("anew", "b", 1, 30)
        await store.close()

    asyncio.run(body())


def test_a_runtime_goes_on_by_itself_without_redis_and_comes_back(tmp_path: Path) -> None:
    async def body() -> None:
        clock = Clock()
        with redis(tmp_path / "first") as url:
            store = RedisEphemeral(url, clock=clock)
            await store.put("a", b"shared", 100)
            await store.ping()
        assert await store.get("a") is None
        await store.put("a", b"own", 100)
        assert await store.get("a") == b"own"
        with pytest.raises(Failure, match="redis"):
            await store.ping()
        await store.close()

    asyncio.run(body())


def test_a_redis_that_is_full_is_not_ready_though_it_answers(tmp_path: Path) -> None:
    async def body() -> None:
        with redis(tmp_path / "full") as url:
            store = RedisEphemeral(url, clock=Clock())
            await store.ping()
            await store._redis.config_set("maxmemory", "1")  # as with noeviction, when it is reached
            assert await store._redis.ping()
            with pytest.raises(Failure, match="redis takes nothing"):
                await store.ping()
            assert (await store.hold((Wish("a", 1, 60),))).granted  # by itself
            await store.close()

    asyncio.run(body())


def test_a_redis_that_hangs_is_not_waited_for_again(tmp_path: Path) -> None:
    async def body() -> None:
        with redis(tmp_path / "hung") as url:
            store = RedisEphemeral(url, clock=Clock())
            await store.put("a", b"x", 100)
            pid = int((await store._redis.info("server"))["process_id"])
            os.kill(pid, signal.SIGSTOP)
            try:
                assert await store.get("a") is None
                async with asyncio.timeout(0.4):  # less than one wait for an answer
                    for _ in range(100):
                        await store.get("a")
            finally:
                os.kill(pid, signal.SIGCONT)
            await store.close()

    asyncio.run(body())


def test_all_limits_of_a_call_are_one_command_before_it_and_one_after_it(redis_url: str) -> None:
    async def body() -> None:
        store = RedisEphemeral(redis_url)
        wishes, place = (Wish("requests", 1, 60), Wish("tokens", 50, 1000)), Place("room", "me", 2, 30)

        within = {f"cmdstat_{name}" for name in ("time", "hmget", "hset", "pexpire", "zcard", "zadd", "zrem")}
        within |= {"cmdstat_zscore", "cmdstat_zremrangebyscore", "cmdstat_info", "cmdstat_config|resetstat"}

        async def commands(ask: Awaitable[object]) -> dict[str, int]:
            await store._redis.config_resetstat()
            await ask
            stats = await store._redis.info("commandstats")
            return {name: told["calls"] for name, told in stats.items() if name not in within}

        await store.hold(wishes, place)  # a script is loaded when it is first used
        await store.let_go((), place)
        assert await commands(store.hold(wishes, place)) == {"cmdstat_evalsha": 1}
        assert await commands(store.let_go((wishes[1],), place)) == {"cmdstat_evalsha": 1}
        await store.close()

    asyncio.run(body())


def test_a_wrong_address_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="redis"):
        RedisEphemeral("http://nowhere")
