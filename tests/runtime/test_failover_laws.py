"""Laws of a walk that hold whatever the vendors do."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infrai_core.retry import Retry
from infrai_runtime.breaker import THRESHOLD, Breaker
from infrai_runtime.failover import MOST_CANDIDATES, REQUEST_IS_WRONG, Terms, Walk
from infrai_runtime.failure import Failure
from infrai_runtime.routing import Candidate, Plan
from infrai_runtime.store.memory import MemoryEphemeral

from .fake import model

CODES = ["VENDOR_ERROR", "VENDOR_TIMEOUT", "RATE_LIMITED", "UNAUTHORIZED", "INVALID_REQUEST", "CONTENT_FILTERED"]
RETRIES = 2

costs = st.lists(st.none() | st.sampled_from([0, 10, 14, 15, 16, 1000]), min_size=1, max_size=9)
outcomes = st.lists(st.sampled_from([*CODES, "ok"]), min_size=30, max_size=30)
ill = st.sets(st.integers(0, 8))


async def walked(given_costs: list[int | None], said: list[str], resting: set[int]) -> tuple[list[int], list[Any], Any]:
    """The candidates that were asked, the rows, and the answer's place or the failure."""
    store, asked, rows = MemoryEphemeral(), [], []
    for place in resting:
        for _ in range(THRESHOLD):
            await store.record(f"v{place}/big", False)
    plan = Plan(tuple(Candidate(model(f"v{place}"), cost) for place, cost in enumerate(given_costs)), (), "test")

    async def run(candidate: Candidate, left_s: float) -> int:
        place = int(candidate.model.vendor[1:])
        asked.append(place)
        code = said[len(asked) - 1]
        if code != "ok":
            raise Failure(code, "so")
        return place

    async def pause(seconds: float) -> None:
        return None

    terms = Terms(1.5, 10.0, retry=Retry(RETRIES), pause=pause)
    try:
        _, place = await Walk(plan, run, rows, terms, await Breaker.read(store), lambda: 0.0).answer()
    except Failure as failure:
        return asked, rows, failure
    return asked, rows, place


@settings(max_examples=150)
@given(costs, outcomes, ill)
def test_a_walk_keeps_to_its_terms(given_costs: list[int | None], said: list[str], resting: set[int]) -> None:
    asked, rows, end = asyncio.run(walked(given_costs, said, resting))
    first = given_costs[0]
    for place in {*asked} - {0}:
        cost = given_costs[place]
        assert cost is not None, "an unknown price is no failover"
        assert cost <= 1.5 * (first or 0), "dearer than the cap"
    codes = said[: len(asked)]
    assert "ok" not in codes[:-1], "an answer ends the walk"
    assert not REQUEST_IS_WRONG & {*codes[:-1]}, "what the caller got wrong ends the walk"
    assert len({*asked}) <= MOST_CANDIDATES
    assert max(map(asked.count, asked)) <= 1 + RETRIES
    again = {place for place in asked if asked.count(place) > 1}
    assert all(codes[asked.index(place)] == "VENDOR_ERROR" for place in again), "only a moment's failure is retried"
    tried = [row for row in rows if not row["outcome"].startswith("skipped:")]
    assert len(tried) == len(asked) - (codes[-1] == "ok"), "every failed attempt has its row"
    assert isinstance(end, Failure) == (codes[-1] != "ok")
    well = [place for place in range(len(given_costs)) if place not in resting]
    if resting & {*asked} and codes[-1] not in REQUEST_IS_WRONG:
        reachable = [p for p in well if p == 0 or (given_costs[p] is not None and given_costs[p] <= 1.5 * (first or 0))]
        assert not reachable, "who rests is asked only when all rest"
