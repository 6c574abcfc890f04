from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from infrai_core.retry import Retry
from infrai_runtime.breaker import FIRST_REST_S, THRESHOLD, Breaker, wait_s
from infrai_runtime.failover import MOST_CANDIDATES, Terms, Walk
from infrai_runtime.failure import Failure
from infrai_runtime.routing import Candidate, Plan
from infrai_runtime.store.ephemeral import Failing
from infrai_runtime.store.memory import MemoryEphemeral

from .fake import model

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def candidates(*costs: int | None) -> Plan:
    rows = [Candidate(model(f"v{place}"), cost) for place, cost in enumerate(costs)]
    return Plan(tuple(rows), (), "test")


async def tried(
    plan: Plan,
    outcomes: dict[str, Any],
    *,
    clock: Callable[[], float] = lambda: 0.0,
    store: MemoryEphemeral | None = None,
    **terms: Any,
) -> tuple[Any, Any]:
    rows: list[dict[str, Any]] = []

    async def run(candidate: Candidate, left_s: float) -> Any:
        outcome = outcomes[candidate.model.vendor]
        outcome = outcome.pop(0) if isinstance(outcome, list) else outcome
        if isinstance(outcome, BaseException):
            raise outcome
        return await outcome() if callable(outcome) else outcome

    breaker = await Breaker.read(store or MemoryEphemeral())
    walk = Walk(plan, run, rows, Terms(**({"cap": 1.5, "deadline": 10.0} | terms)), breaker, clock)
    try:
        candidate, answer = await walk.answer()
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


async def test_an_unknown_price_is_not_told_as_a_high_one() -> None:
    failure, rows = await tried(candidates(100, 151, None), {"v0": vendor_error()}, cap=1.5)
    assert [row["outcome"] for row in rows] == ["VENDOR_ERROR", "skipped:cost_cap", "skipped:unknown_price"]
    assert "above max_cost_multiplier or of unknown price" in failure.message
    unpriced, rows = await tried(candidates(100, None), {"v0": vendor_error()}, cap=1000)
    assert [row["outcome"] for row in rows] == ["VENDOR_ERROR", "skipped:unknown_price"]
    assert "max_cost_multiplier" not in f"{unpriced.message} {unpriced.hint}"


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

    breaker = await Breaker.read(MemoryEphemeral())
    with pytest.raises(Failure) as caught:
        await Walk(candidates(1), run, rows, Terms(1.5, 0.01), breaker, lambda: 0.0).answer()
    assert (caught.value.code, ended) == ("VENDOR_TIMEOUT", ["v0"])


async def test_a_cancelled_attempt_leaves_its_row() -> None:
    rows: list[dict[str, Any]] = []
    begun = asyncio.Event()

    async def run(candidate: Candidate, left_s: float) -> None:
        begun.set()
        await asyncio.Event().wait()

    breaker = await Breaker.read(MemoryEphemeral())
    walk = Walk(candidates(1), run, rows, Terms(1.5, 9), breaker, lambda: 0.0)
    task = asyncio.create_task(walk.answer())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row["outcome"] for row in rows] == ["cancelled"]


# -- the retry loop ---------------------------------------------------------------------------------------------------


def retrying(attempts: int, **more: Any) -> dict[str, Any]:
    """Terms with pauses that take no time; ``waited`` takes them."""
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    return {"retry": Retry(attempts, first_s=0.5), "pause": pause, "chance": lambda: 0.0, "waited": waited} | more


async def retried(plan: Plan, outcomes: dict[str, Any], attempts: int = 2, **more: Any) -> tuple[Any, Any, list[float]]:
    terms = retrying(attempts, **more)
    waited = terms.pop("waited")
    return *await tried(plan, outcomes, **terms), waited


async def test_who_failed_for_a_moment_is_asked_again_after_all_others_were() -> None:
    outcomes = {"v0": [vendor_error(), vendor_error(), "hello"], "v1": [vendor_error(), vendor_error()]}
    found, rows, waited = await retried(candidates(1, 1), outcomes)
    assert found == ("v0", "hello")
    assert [row["vendor"] for row in rows] == ["v0", "v1", "v0", "v1"]
    assert waited == [0.5, 1.0]


@pytest.mark.parametrize(
    "failure",
    [
        Failure("VENDOR_TIMEOUT", "slow"),
        Failure("RATE_LIMITED", "later", retry_after_s=1),
        Failure("UNAUTHORIZED", "no"),
        Failure("VENDOR_ERROR", "no such model", transient=False),
        Failure("INVALID_REQUEST", "wrong"),
        ValueError("a mistake"),
    ],
)
async def test_what_would_fail_again_is_not_asked_again(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    _, rows, waited = await retried(candidates(1), {"v0": failure})
    assert (len(rows), waited) == (1, [])


async def test_a_pause_that_would_outlast_the_deadline_is_not_made() -> None:
    failure, rows, waited = await retried(candidates(1), {"v0": vendor_error()}, deadline=0.4)
    assert (failure.code, len(rows), waited) == ("VENDOR_ERROR", 1, [])


async def test_other_vendors_are_asked_before_more_models_of_one_that_failed() -> None:
    rows = (model("a", "1"), model("a", "2"), model("b", "1"))
    plan = Plan(tuple(Candidate(row, 1) for row in rows), (), "test")
    _, tries = await tried(plan, {"a": vendor_error(), "b": vendor_error()})
    assert [(row["vendor"], row["model"]) for row in tries] == [("a", "1"), ("b", "1"), ("a", "2")]


async def test_a_walk_ends_after_some_candidates() -> None:
    many = MOST_CANDIDATES + 3
    _, rows = await tried(candidates(*[1] * many), {f"v{n}": vendor_error() for n in range(many)})
    assert len(rows) == MOST_CANDIDATES


async def test_a_slow_attempt_is_ended_when_another_could_follow() -> None:
    found, rows = await tried(candidates(1, 1), {"v0": asyncio.Event().wait, "v1": "hello"}, patience_s=0.01)
    assert (found, [row["outcome"] for row in rows]) == (("v1", "hello"), ["VENDOR_TIMEOUT"])


async def test_a_model_that_reasons_may_be_silent_for_its_share_of_the_time() -> None:
    async def slow() -> str:
        await asyncio.sleep(0.02)
        return "hello"

    thinker = Candidate(model("v0", abilities=frozenset({"reasoning"})), 1)
    plan = Plan((thinker, Candidate(model("v1"), 1)), (), "test")
    found, _ = await tried(plan, {"v0": slow, "v1": "hi"}, patience_s=0.001)
    assert found == ("v0", "hello")


async def test_the_only_candidate_has_all_the_time_there_is() -> None:
    async def slow() -> str:
        await asyncio.sleep(0.02)
        return "hello"

    found, _ = await tried(candidates(1, 100), {"v0": slow}, patience_s=0.001)
    assert found == ("v0", "hello")


# -- the breaker ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failing", "wait"),
    [
        (Failing(THRESHOLD - 1, 0.0), None),
        (Failing(THRESHOLD, 1.0), FIRST_REST_S - 1.0),
        (Failing(THRESHOLD + 1, 1.0), 2 * FIRST_REST_S - 1.0),
        (Failing(THRESHOLD + 99, 10.0), 50.0),
        (Failing(THRESHOLD, 9.0), FIRST_REST_S - 9.0),
        (Failing(1, 1.0, asked_s=7.0), 6.0),
        (Failing(1, 0.0, asked_s=9999.0), 60.0),
    ],
)
def test_a_rest_grows_with_the_failures_and_is_at_least_what_was_asked_for(
    failing: Failing, wait: float | None
) -> None:
    assert wait_s(failing) == wait


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def failed(store: MemoryEphemeral, name: str, failure: Failure, times: int = 1) -> None:
    for _ in range(times):
        await (await Breaker.read(store)).failed(name, failure)


async def test_a_model_that_rests_is_passed_over_and_then_probed_by_one() -> None:
    clock = Clock()
    store = MemoryEphemeral(clock=clock)
    await failed(store, "v0/big", vendor_error(), THRESHOLD)
    found, rows = await tried(candidates(1, 1), {"v0": "well", "v1": "hello"}, store=store)
    assert (found, rows[0]["outcome"]) == (("v1", "hello"), "skipped:cooling")
    clock.now = FIRST_REST_S
    one, other = await Breaker.read(store), await Breaker.read(store)
    assert [await one.admits("v0/big"), await other.admits("v0/big")] == [True, False]
    await one.worked("v0/big")
    assert await store.failing() == {}


async def test_a_failed_probe_opens_it_again_for_longer() -> None:
    clock = Clock()
    store = MemoryEphemeral(clock=clock)
    await failed(store, "v0/big", vendor_error(), THRESHOLD)
    clock.now = FIRST_REST_S
    assert await (await Breaker.read(store)).admits("v0/big")
    await failed(store, "v0/big", vendor_error())
    assert (await Breaker.read(store)).cooling_s() == {"v0/big": 2 * FIRST_REST_S}


async def test_when_all_rest_they_are_tried_all_the_same_and_only_once() -> None:
    store = MemoryEphemeral()
    for name in ("v0/big", "v1/big"):
        await failed(store, name, vendor_error(), THRESHOLD)
    terms = retrying(2)
    terms.pop("waited")
    found, rows = await tried(candidates(1, 1), {"v0": vendor_error(), "v1": "hello"}, store=store, **terms)
    assert (found, [row["outcome"] for row in rows]) == (("v1", "hello"), ["VENDOR_ERROR"])


async def test_the_cap_is_that_of_the_first_choice_also_while_it_rests() -> None:
    store = MemoryEphemeral()
    await failed(store, "v0/big", vendor_error(), THRESHOLD)
    found, rows = await tried(candidates(100, 1000), {"v0": "well", "v1": "dear"}, store=store)
    assert (found, [row["outcome"] for row in rows]) == (("v0", "well"), ["skipped:cost_cap"])


@pytest.mark.parametrize(
    ("failure", "counted"),
    [
        (vendor_error(), True),
        (Failure("VENDOR_TIMEOUT", "slow"), True),
        (Failure("RATE_LIMITED", "later"), True),
        (Failure("UNAUTHORIZED", "no"), True),
        (Failure("INVALID_REQUEST", "wrong"), False),
        (Failure("CONTENT_FILTERED", "no"), False),
        (Failure("CONTEXT_LENGTH_EXCEEDED", "long"), False),
        (Failure("PAYLOAD_TOO_LARGE", "large"), False),
        (Failure("UNSUPPORTED_CAPABILITY", "cannot"), False),
    ],
)
async def test_what_the_caller_got_wrong_never_counts(failure: Failure, counted: bool) -> None:
    store = MemoryEphemeral()
    await tried(candidates(1), {"v0": failure}, store=store)
    assert bool(await store.failing()) == counted


async def test_a_deadline_of_the_callers_own_does_not_count() -> None:
    store = MemoryEphemeral()
    failure, _ = await tried(candidates(1), {"v0": asyncio.Event().wait}, store=store, deadline=0.01)
    assert (failure.code, await store.failing()) == ("VENDOR_TIMEOUT", {})


async def test_a_vendor_that_asks_for_a_pause_rests_that_long() -> None:
    store = MemoryEphemeral(clock=Clock())
    await failed(store, "v0/big", Failure("RATE_LIMITED", "later", retry_after_s=12))
    assert (await Breaker.read(store)).cooling_s() == {"v0/big": 12.0}
