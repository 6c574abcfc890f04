"""A limit of time around what is awaited."""

from __future__ import annotations

import asyncio

import pytest

from infrai_runtime.time_limit import TimeLimit

pytestmark = pytest.mark.anyio

FOREVER = 1000.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_what_takes_too_long_ends_in_a_timeout() -> None:
    limit = TimeLimit(0.001)
    with pytest.raises(TimeoutError), limit:
        await asyncio.Event().wait()
    assert limit.expired
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


async def test_what_ends_in_time_is_left_alone() -> None:
    with TimeLimit(0.001) as limit:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert not limit.expired


async def test_an_error_inside_stays_what_it_is() -> None:
    with pytest.raises(KeyError), TimeLimit(FOREVER):
        raise KeyError


async def test_a_timeout_of_another_is_not_taken_for_its_own() -> None:
    with TimeLimit(FOREVER) as outer, pytest.raises(TimeoutError), TimeLimit(0.001):
        await asyncio.Event().wait()
    assert not outer.expired


async def test_the_outer_of_two_limits_ends_what_the_inner_would_let_go_on() -> None:
    with pytest.raises(TimeoutError), TimeLimit(0.001) as outer, TimeLimit(FOREVER) as inner:
        await asyncio.Event().wait()
    assert (outer.expired, inner.expired) == (True, False)


@pytest.mark.parametrize("seconds", [FOREVER, 0.0])
async def test_a_cancellation_from_elsewhere_stays_one(seconds: float) -> None:
    async def limited() -> None:
        with TimeLimit(seconds):
            task.cancel()
            await asyncio.sleep(0.001)

    task = asyncio.ensure_future(limited())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
