"""Letter boxes out of the runtime's loop into another one: what waits too long is told so, by one timer for all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from infrai_runtime.mailbox import TaskBoxes

pytestmark = pytest.mark.anyio
LONG_S = 60.0
SHORT_S = 0.01


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def _waiting(coroutine: Coroutine[Any, Any, str]) -> asyncio.Task[str]:
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    return task


async def test_who_may_wait_less_long_is_late_first_and_who_may_wait_longer_goes_on() -> None:
    boxes = TaskBoxes()
    patient = boxes.box()
    waits = await _waiting(patient.get(LONG_S))
    with pytest.raises(TimeoutError):
        await boxes.box().get(SHORT_S)
    assert not waits.done()
    patient.put("here")
    assert await waits == "here"


async def test_each_of_many_is_late_in_its_own_time() -> None:
    boxes = TaskBoxes()
    late = await asyncio.gather(*(boxes.box().get(n * SHORT_S) for n in (3, 1, 2)), return_exceptions=True)
    assert [type(error) for error in late] == [TimeoutError] * 3
    with pytest.raises(TimeoutError):
        await boxes.box().get(SHORT_S)


async def test_what_came_in_time_is_never_late() -> None:
    boxes = TaskBoxes()
    box = boxes.box()
    first = await _waiting(box.get(SHORT_S))
    box.put("in time")
    assert await first == "in time"
    second = await _waiting(box.get(LONG_S))
    with pytest.raises(TimeoutError):
        await boxes.box().get(2 * SHORT_S)  # by then the first's time is over
    assert not second.done()
    box.put("also")
    assert await second == "also"


async def test_calls_that_wait_one_after_the_other_make_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, made = asyncio.get_running_loop(), 0
    call_at = loop.call_at

    def counted(*values: Any, **named: Any) -> asyncio.TimerHandle:
        nonlocal made
        made += 1
        return call_at(*values, **named)

    monkeypatch.setattr(loop, "call_at", counted)
    boxes = TaskBoxes()
    for _ in range(10):
        box = boxes.box()
        waits = await _waiting(box.get(LONG_S))
        box.put("here")
        await waits
    assert made == 1


def test_each_loop_has_a_timer_of_its_own() -> None:
    boxes = TaskBoxes()

    async def late() -> None:
        with pytest.raises(TimeoutError):
            await boxes.box().get(SHORT_S)

    asyncio.run(late())
    asyncio.run(late())
