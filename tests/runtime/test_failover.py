from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from infrai_runtime.failover import walk
from infrai_runtime.failure import Failure
from infrai_runtime.routing import Candidate, Plan

from .fake import model

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def candidates(*costs: int | None) -> Plan:
    rows = [Candidate(model(f"v{place}"), cost) for place, cost in enumerate(costs)]
    return Plan(tuple(rows), (), "test")


async def tried(
    plan: Plan, outcomes: dict[str, Any], *, cap: float = 1.5, clock: Callable[[], float] = lambda: 0.0
) -> tuple[Any, Any]:
    rows: list[dict[str, Any]] = []

    async def run(candidate: Candidate, left_s: float) -> Any:
        outcome = outcomes[candidate.model.vendor]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    try:
        candidate, answer = await walk(plan, run, rows, cap=cap, deadline=10.0, clock=clock)
    except Failure as failure:
        return failure, rows
    return (candidate.model.vendor, answer), rows


def vendor_error() -> Failure:
    return Failure("VENDOR_ERROR", "down")


async def test_the_next_candidate_answers_when_the_first_fails() -> None:
    found, rows = await tried(candidates(100, 120), {"v0": vendor_error(), "v1": "hello"})
    assert found == ("v1", "hello")
    assert [(row["vendor"], row["outcome"]) for row in rows] == [("v0", "VENDOR_ERROR")]


async def test_a_wrong_request_is_not_tried_elsewhere() -> None:
    failure, rows = await tried(
        candidates(1, 1), {"v0": Failure("INVALID_REQUEST", "no", param="messages"), "v1": "hello"}
    )
    assert (failure.code, failure.param, len(rows)) == ("INVALID_REQUEST", "messages", 1)


async def test_a_dearer_candidate_is_passed_over_and_said_so() -> None:
    found, rows = await tried(candidates(100, 151, 150), {"v0": vendor_error(), "v2": "hello"})
    assert found == ("v2", "hello")
    assert [row["outcome"] for row in rows] == ["VENDOR_ERROR", "skipped:cost_cap"]


@pytest.mark.parametrize(("costs", "cap"), [((100, 151), 1.5), ((100, None), 1000), ((0, 1), 1000), ((None, 1), 1000)])
async def test_only_dear_or_unpriced_candidates_left_is_the_cost_cap(costs: tuple[int | None, ...], cap: float) -> None:
    failure, rows = await tried(candidates(*costs), {"v0": vendor_error(), "v1": "hello"}, cap=cap)
    assert failure.code == "COST_CAP_REACHED"
    assert failure.attempts == tuple(rows)


async def test_after_a_free_candidate_a_free_one_may_answer() -> None:
    found, _ = await tried(candidates(0, 0), {"v0": vendor_error(), "v1": "hello"})
    assert found == ("v1", "hello")


async def test_failures_with_one_code_keep_it_and_the_shortest_wait() -> None:
    waits = {f"v{i}": Failure("RATE_LIMITED", "slow", retry_after_s=s) for i, s in enumerate((7.0, 3.0))}
    failure, _ = await tried(candidates(1, 1), waits)
    assert (failure.code, failure.retry_after_s) == ("RATE_LIMITED", 3.0)


async def test_different_failures_are_a_vendor_error_that_lists_them() -> None:
    failure, _ = await tried(candidates(1, 1), {"v0": vendor_error(), "v1": Failure("RATE_LIMITED", "slow")})
    assert failure.code == "VENDOR_ERROR"
    assert "v0/big: VENDOR_ERROR, v1/big: RATE_LIMITED" in failure.message


async def test_a_missing_package_keeps_its_hint() -> None:
    missing = Failure("NO_VENDOR_AVAILABLE", "no package", hint='pip install "x[y]"')
    failure, _ = await tried(candidates(0), {"v0": missing})
    assert (failure.code, failure.hint) == ("NO_VENDOR_AVAILABLE", 'pip install "x[y]"')


async def test_what_a_vendor_thinks_of_the_operators_key_is_no_401_for_the_caller() -> None:
    failure, _ = await tried(candidates(1), {"v0": Failure("UNAUTHORIZED", "bad key sk-123")})
    assert failure.code == "VENDOR_ERROR"
    assert "sk-123" not in failure.message


async def test_a_broken_vendor_fails_over_and_its_text_stays_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    found, rows = await tried(candidates(1, 1), {"v0": ValueError("secret detail"), "v1": "hello"})
    assert found == ("v1", "hello")
    assert rows[0]["outcome"] == "VENDOR_ERROR"
    assert "secret detail" in caplog.text


async def test_no_candidate_is_started_after_the_deadline() -> None:
    times = iter([0.0, 0.0, 11.0, 11.0])
    failure, rows = await tried(candidates(1, 1), {"v0": Failure("VENDOR_TIMEOUT", "slow")}, clock=lambda: next(times))
    assert failure.code == "VENDOR_TIMEOUT"
    assert len(rows) == 1


async def test_a_candidate_that_hangs_is_ended_at_the_deadline() -> None:
    rows: list[dict[str, Any]] = []
    ended = []

    async def run(candidate: Candidate, left_s: float) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(candidate.model.vendor)

    with pytest.raises(Failure) as caught:
        await walk(candidates(1), run, rows, cap=1.5, deadline=0.01, clock=lambda: 0.0)
    assert (caught.value.code, ended) == ("VENDOR_TIMEOUT", ["v0"])


async def test_a_cancelled_attempt_leaves_its_row() -> None:
    rows: list[dict[str, Any]] = []
    begun = asyncio.Event()

    async def run(candidate: Candidate, left_s: float) -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(walk(candidates(1), run, rows, cap=1.5, deadline=9, clock=lambda: 0.0))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row["outcome"] for row in rows] == ["cancelled"]
