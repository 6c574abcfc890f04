"""Walks a plan: tries one candidate after the other until one answers, within the cost cap and the deadline.

The only retry loop of the runtime. First every candidate is tried once, in order; those that rest or are dearer
than the cap are passed over. When all have failed, those whose failure may have been a moment's are tried again after a
pause. A failure that another vendor would repeat (the request itself is wrong) ends the walk. What was tried,
and what was passed over and why, is kept in rows that the reply shows as ``metadata.attempts``.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from infrai_core.errors import ConnectionFailed
from infrai_core.retry import Retry
from infrai_runtime.breaker import Breaker
from infrai_runtime.failure import Failure
from infrai_runtime.pricing import cost_nano, usd
from infrai_runtime.routing import Candidate, Plan, most_nano
from infrai_runtime.time_limit import TimeLimit

T = TypeVar("T")
Row = dict[str, Any]
Clock = Callable[[], float]

log = logging.getLogger("infrai_runtime")

REQUEST_IS_WRONG = frozenset({"INVALID_REQUEST", "CONTENT_FILTERED", "PAYLOAD_TOO_LARGE"})
"""What no other vendor would answer differently, so it ends the walk."""

_NOT_THE_CALLERS_FAULT = frozenset({"UNAUTHORIZED", "FORBIDDEN", "INSUFFICIENT_CREDIT", "NOT_FOUND"})
"""Codes that are about the operator's account at a vendor when a vendor raises them."""

MOST_CANDIDATES = 6
"""How many are tried before the walk gives up on the rest."""
SHARE_OF_TIME = 2 / 3
"""Of the time left, for an attempt that others could follow."""


NO_RETRY = Retry(0)


class Terms(NamedTuple):
    """What a walk keeps to. ``cap`` is how many times dearer than the first candidate a failover may be; ``deadline``
    is on the walk's clock. An attempt that others could follow has a share of the time left, and where there is a
    ``patience_s`` no more than that, unless its model reasons: such a one is silent for long. ``retry`` is for
    candidates that have failed for a moment."""

    cap: float
    deadline: float
    patience_s: float | None = None
    retry: Retry = NO_RETRY
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


class Walk(Generic[T]):
    """One walk over a plan. ``run(candidate, seconds_left)`` makes an attempt; every attempt adds a row."""

    def __init__(
        self,
        plan: Plan,
        run: Callable[[Candidate, float], Awaitable[T]],
        rows: list[Row],
        terms: Terms,
        breaker: Breaker,
        clock: Clock,
        lost: Callable[[Candidate, Failure | None], int | None] = lambda candidate, failure: free_or_unknown(candidate),
    ) -> None:
        """``lost`` tells what an attempt cost that brought no answer; None: nobody knows."""
        self._lost = lost
        self._plan = plan
        self._run = run
        self._rows = rows
        self._terms = terms
        self._breaker = breaker
        self._clock = clock
        self._failures: list[Failure] = []
        self._again: list[Candidate] = []
        self._over = False

    async def answer(self) -> tuple[Candidate, T]:
        """The first candidate that answers, and its answer.

        Raises the failure that all share, else VENDOR_ERROR; COST_CAP_REACHED when only candidates beyond the cap were
        left; VENDOR_TIMEOUT when time ran out.
        """
        queue = list(self._plan.candidates)
        while queue and len(self._failures) < MOST_CANDIDATES and not self._ended():
            candidate = queue.pop(0)
            reason = self._beyond_cap(candidate)
            if reason is None and not await self._breaker.admits(candidate.name):
                reason = "cooling"
            if reason is not None:
                self._rows.append(skipped(candidate, reason))
            elif found := await self._try(candidate, queue):
                return found
            else:  # what ails one model of a vendor may ail all of them: other vendors first
                queue.sort(key=lambda other: other.model.vendor == candidate.model.vendor)
        found = await self._last_resort() or await self._further_rounds()
        if found is None:
            raise summed_up(self._failures, self._rows)
        return found

    def _beyond_cap(self, candidate: Candidate) -> str | None:
        """Why a candidate is too dear. The cap is that of the plan's first candidate, also while that one rests."""
        first = self._plan.candidates[0]
        return None if candidate is first else beyond_cap(candidate, first, self._terms.cap)

    async def _last_resort(self) -> tuple[Candidate, T] | None:
        """When nobody was asked because all rest: better a vendor that was ill a moment ago than no answer."""
        if self._failures:
            return None
        self._terms = Terms(self._terms.cap, self._terms.deadline)
        resting = [candidate for candidate in self._plan.candidates if not self._beyond_cap(candidate)][
            :MOST_CANDIDATES
        ]
        self._rows[:] = [row for row in self._rows if row["outcome"] != "skipped:cooling"]
        return await self._try_in_turn(resting)

    async def _further_rounds(self) -> tuple[Candidate, T] | None:
        for tried in range(self._terms.retry.attempts):
            delay = self._terms.retry.delay(tried, ConnectionFailed(""), self._terms.chance)
            if self._ended() or not self._again or delay is None or self._clock() + delay >= self._terms.deadline:
                break
            await self._terms.pause(delay)
            again, self._again = self._again, []
            if found := await self._try_in_turn(again):
                return found
        return None

    async def _try_in_turn(self, candidates: Sequence[Candidate]) -> tuple[Candidate, T] | None:
        for place, candidate in enumerate(candidates):
            if self._ended():
                break
            if found := await self._try(candidate, candidates[place + 1 :]):
                return found
        return None

    def _ended(self) -> bool:
        if not self._over and self._clock() >= self._terms.deadline:
            self._failures.append(Failure("VENDOR_TIMEOUT", "the time limit of the request was reached"))
            self._over = True
        return self._over

    async def _try(self, candidate: Candidate, followers: Sequence[Candidate]) -> tuple[Candidate, T] | None:
        """An attempt and its row; None when it failed."""
        started = self._clock()
        left_s = self._terms.deadline - started
        limit_s = self._limit_s(candidate, left_s, followers)
        limit = TimeLimit(limit_s)
        try:
            with limit:
                return candidate, await self._run(candidate, left_s)
        except asyncio.CancelledError:
            self._note(candidate, "cancelled", started, None)
            raise
        except Failure as failure:
            await self._learn(candidate, started, failure)
        except Exception as error:
            late = isinstance(error, TimeoutError) and limit.expired
            failed = _late(candidate, limit_s >= left_s) if late else broken(candidate, error)
            await self._learn(candidate, started, failed)
        return None

    def _limit_s(self, candidate: Candidate, left_s: float, followers: Sequence[Candidate]) -> float:
        """How long an attempt may take: all the time there is when nobody could follow."""
        if not followers or not self._followed(followers):
            return left_s
        share_s, patience_s = left_s * SHARE_OF_TIME, self._terms.patience_s
        return share_s if patience_s is None or "reasoning" in candidate.model.abilities else min(patience_s, share_s)

    def _followed(self, followers: Sequence[Candidate]) -> bool:
        """Whether one of them could take over now. Asked by every call, and mostly of many that are too dear: what the
        plan knows of all but its first is not found out again."""
        if self._plan.followed is not None and len(followers) == len(self._plan.candidates) - 1:
            return self._plan.followed
        most = most_nano(self._plan.candidates[0], self._terms.cap)
        for other in followers:
            if other.expected_nano is not None and other.expected_nano <= most and not other.cooling_s:
                return True
        return False

    async def _learn(self, candidate: Candidate, started: float, failure: Failure) -> None:
        """What a failure means for the rest of the walk, and for the breaker: a model that the caller's own deadline
        cut short is not ill."""
        self._note(candidate, as_vendors(failure, candidate).code, started, failure)
        if not isinstance(failure, _CutShort):
            await self._breaker.failed(candidate.name, failure)
        self._failures.append(as_vendors(failure, candidate).again())
        self._over = failure.code in REQUEST_IS_WRONG
        if failure.code == "VENDOR_ERROR" and failure.transient:
            self._again.append(candidate)

    def _note(self, candidate: Candidate, outcome: str, started: float, failure: Failure | None) -> None:
        self._rows.append(row_of(candidate, outcome, self._clock() - started, self._lost(candidate, failure)))


def _late(candidate: Candidate, by_deadline: bool) -> Failure:
    kind = _CutShort if by_deadline else Failure
    return kind("VENDOR_TIMEOUT", f"{candidate.name} gave no answer in time")


class _CutShort(Failure):
    """The caller's own deadline ended an attempt."""


def as_vendors(failure: Failure, candidate: Candidate) -> Failure:
    """A vendor's failure as the caller sees it: what is between the operator and the vendor is a VENDOR_ERROR."""
    if failure.code not in _NOT_THE_CALLERS_FAULT:
        return failure
    return Failure(
        "VENDOR_ERROR", f"{candidate.name} refused the runtime's account ({failure.code})", hint=failure.hint
    )


def broken(candidate: Candidate, error: Exception) -> Failure:
    """The failure for an exception that a vendor should not raise; its text stays in the log."""
    log.error("%s broke", candidate.name, exc_info=error)
    return Failure("VENDOR_ERROR", f"{candidate.name} failed ({type(error).__name__})", transient=False)


COST_CAP, UNKNOWN_PRICE = "cost_cap", "unknown_price"


def beyond_cap(candidate: Candidate, first: Candidate, cap: float) -> str | None:
    """Why a failover may not be, as the reason of a skipped row; None when it is cheap enough. An unknown price never
    is; after a free first choice only a free one is."""
    if candidate.expected_nano is None:
        return UNKNOWN_PRICE
    return None if candidate.expected_nano <= most_nano(first, cap) else COST_CAP


def free_or_unknown(candidate: Candidate) -> int | None:
    """The cost of an attempt that reported no usage: nothing for a free model, else unknown."""
    return cost_nano(None, candidate.model.prices)


def row_of(candidate: Candidate, outcome: str, seconds: float, cost: int | None) -> Row:
    """A row of ``metadata.attempts``."""
    return {
        "vendor": candidate.model.vendor,
        "model": candidate.model.id,
        "outcome": outcome,
        "latency_ms": round(seconds * 1000, 3),
        "cost_usd": usd(cost),
    }


def skipped(candidate: Candidate, reason: str) -> Row:
    """The row of a candidate that was passed over."""
    return {"vendor": candidate.model.vendor, "model": candidate.model.id, "outcome": f"skipped:{reason}"} | {
        "latency_ms": None,
        "cost_usd": None,
    }


_BEYOND = {
    f"skipped:{COST_CAP}": ("above max_cost_multiplier", "raise max_cost_multiplier"),
    f"skipped:{UNKNOWN_PRICE}": ("of unknown price", "name a model of unknown price, or its price in catalogue.toml"),
}
"""Outcome of a candidate beyond the cap -> what it is, and what helps."""


def summed_up(failures: list[Failure], rows: list[Row]) -> Failure:
    """One failure for all: the last when it is about the request or all have its code, else VENDOR_ERROR."""
    last = failures[-1]
    beyond = {row["outcome"] for row in rows} & _BEYOND.keys()
    if last.code not in REQUEST_IS_WRONG and beyond:
        left, helps = (" or ".join(_BEYOND[outcome][i] for outcome in sorted(beyond)) for i in range(2))
        message = f"only models {left} are left; before them: {last.message}"
        return Failure("COST_CAP_REACHED", message, attempts=rows, hint=helps)
    if last.code in REQUEST_IS_WRONG or len({failure.code for failure in failures}) == 1:
        waits = [failure.retry_after_s for failure in failures if failure.retry_after_s is not None]
        return Failure(
            last.code,
            last.message,
            hint=last.hint,
            param=last.param,
            attempts=rows,
            retry_after_s=min(waits, default=None),
        )
    tried = ", ".join(f"{row['vendor']}/{row['model']}: {row['outcome']}" for row in rows)
    return Failure("VENDOR_ERROR", f"every vendor failed ({tried})", attempts=rows)
