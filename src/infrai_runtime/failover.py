"""Walks a plan: tries one candidate after the other until one answers, within the cost cap and the deadline.

A failure that another vendor would repeat (the request itself is wrong) ends the walk. What was tried, and what was
passed over and why, is kept in rows that the reply shows as ``metadata.attempts``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from infrai_runtime.failure import Failure
from infrai_runtime.pricing import cost_nano, usd
from infrai_runtime.routing import Candidate, Plan

T = TypeVar("T")
Row = dict[str, Any]
Clock = Callable[[], float]

log = logging.getLogger("infrai_runtime")

REQUEST_IS_WRONG = frozenset({"INVALID_REQUEST", "CONTENT_FILTERED", "PAYLOAD_TOO_LARGE"})
"""What no other vendor would answer differently, so it ends the walk."""

_NOT_THE_CALLERS_FAULT = frozenset({"UNAUTHORIZED", "FORBIDDEN", "INSUFFICIENT_CREDIT", "NOT_FOUND"})
"""Codes that are about the operator's account at a vendor when a vendor raises them."""


async def walk(
    plan: Plan,
    run: Callable[[Candidate, float], Awaitable[T]],
    rows: list[Row],
    *,
    cap: float,
    deadline: float,
    clock: Clock,
) -> tuple[Candidate, T]:
    """The first candidate that answers, and its answer. ``run(candidate, seconds_left)`` makes an attempt.

    ``cap`` is how many times dearer than the first candidate a failover may be; ``deadline`` is on ``clock``. Every
    attempt adds a row to ``rows``. Raises the failure that they share, else VENDOR_ERROR; COST_CAP_REACHED when only
    candidates above the cap were left; VENDOR_TIMEOUT when time ran out.
    """
    failures: list[Failure] = []
    for candidate in plan.candidates:
        if clock() >= deadline:
            failures.append(Failure("VENDOR_TIMEOUT", "the time limit of the request was reached"))
            break
        if failures and not within_cap(candidate, plan.candidates[0], cap):
            rows.append(skipped(candidate, "cost_cap"))
            continue
        started = clock()
        try:
            answer = await _bounded(run, candidate, deadline - started)
        except asyncio.CancelledError:
            rows.append(row_of(candidate, "cancelled", clock() - started, free_or_unknown(candidate)))
            raise
        except Failure as failure:
            rows.append(row_of(candidate, failure.code, clock() - started, free_or_unknown(candidate)))
            failures.append(failure)
            if failure.code in REQUEST_IS_WRONG:
                break
        else:
            return candidate, answer
    raise summed_up(failures, rows)


async def _bounded(run: Callable[[Candidate, float], Awaitable[T]], candidate: Candidate, left_s: float) -> T:
    try:
        async with asyncio.timeout(left_s) as limit:
            return await run(candidate, left_s)
    except TimeoutError as error:
        if limit.expired():
            raise Failure("VENDOR_TIMEOUT", f"{candidate.name} gave no answer in time") from error
        raise broken(candidate, error) from error
    except Failure as failure:
        raise as_vendors(failure, candidate) from failure
    except Exception as error:
        raise broken(candidate, error) from error


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
    return Failure("VENDOR_ERROR", f"{candidate.name} failed ({type(error).__name__})")


def within_cap(candidate: Candidate, first: Candidate, cap: float) -> bool:
    """Whether a failover is cheap enough. An unknown price never is; after a free first choice only a free one is."""
    if candidate.expected_nano is None:
        return False
    return candidate.expected_nano <= cap * (first.expected_nano or 0)


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


def summed_up(failures: list[Failure], rows: list[Row]) -> Failure:
    """One failure for all: the last when it is about the request or all have its code, else VENDOR_ERROR."""
    last = failures[-1]
    if last.code not in REQUEST_IS_WRONG and any(row["outcome"] == "skipped:cost_cap" for row in rows):
        return Failure(
            "COST_CAP_REACHED",
            "only vendors above max_cost_multiplier are left",
            attempts=rows,
            hint="raise max_cost_multiplier to use them",
        )
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
