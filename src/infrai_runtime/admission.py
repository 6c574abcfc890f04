"""What is asked of the durable store before a call is made, and what its answer means: pure functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from infrai_runtime.failure import Failure
from infrai_runtime.keys import Caller
from infrai_runtime.pricing import cost_nano, expected_usage, usd_text
from infrai_runtime.request import Ask
from infrai_runtime.routing import Plan
from infrai_runtime.store.durable import Admission, Admitted, Period, key_scope, project_scope, tag_scope

GIVEN_KEY_TTL_S = 24 * 3600
MADE_KEY_TTL_S = 600
IN_PROGRESS_RETRY_S = 1.0
HELD_RETRY_S = 0.5
MOST_NANO = 10**16
"""What is set aside for a call at the most, 10 million USD: a database's sums stay within 64 bits."""


def may_cost_nano(ask: Ask, plan: Plan) -> int | None:
    """What is set aside for a call: the careful estimate of the dearest candidate that may answer, at most that of the
    first one times the cap. None for a free model, 0 where the price is not known."""
    prices = plan.candidates[0].model.prices
    if prices.free:
        return None
    usage = expected_usage(ask.prompt, upper=True, ratio=plan.token_ratio)
    least = dearest = cost_nano(usage, prices) or 0
    for others in plan.within_cap:
        if others is not prices:
            dearest = max(dearest, cost_nano(usage, others) or 0)
    return int(min(dearest, least * ask.max_cost_multiplier, MOST_NANO))


def scopes_of(caller: Caller, ask: Ask) -> tuple[str, ...]:
    """Whose budgets pay for a call: the project's, its key's, those of its tags."""
    scopes = _scopes_of_key(caller.project_id, caller.key_id)
    if not ask.tags:
        return scopes
    return (*scopes, *(tag_scope(caller.project_id, name, value) for name, value in sorted(ask.tags.items())))


@lru_cache(maxsize=1024)
def _scopes_of_key(project_id: str, key_id: str | None) -> tuple[str, ...]:
    return (project_scope(project_id), key_scope(key_id)) if key_id else (project_scope(project_id),)


def kept_s(ask: Ask) -> float:
    """How long the answer is kept for a repetition."""
    if ask.idempotency_key is None:
        return 0.0
    return GIVEN_KEY_TTL_S if ask.key_is_given else MADE_KEY_TTL_S


def refusal_of(admitted: Admitted, admission: Admission) -> Failure:
    """The failure of a call that was not admitted."""
    if admitted.state == "refused":
        return _too_dear(admitted, admission.reserve_nano or 0)
    return _CLAIM_FAILURES[admitted.state]()


def _too_dear(refused: Admitted, nano: int) -> Failure:
    kind, _, name = (refused.short or "").partition(":")
    period = refused.period or "total"
    shown = name.partition(":")[2] if kind == "tag" else name
    code, what = "BUDGET_EXCEEDED", f"the {_BUDGETS[period]} of {kind} {shown}"
    if (kind, period) == ("project", "total"):
        code, what = "INSUFFICIENT_CREDIT", "the credit"
    wanted = f"the {usd_text(nano)} USD that this call may cost" if nano else "another call"
    hint, retry_s = (_HELD, HELD_RETRY_S) if refused.held else (None, None)
    return Failure(code, f"{what} does not cover {wanted}", hint=hint, retry_after_s=retry_s)


def comes_back(failure: Failure) -> bool:
    """Whether a call was refused only because of money that other calls have set aside and may not need."""
    return failure.code in ("INSUFFICIENT_CREDIT", "BUDGET_EXCEEDED") and failure.retry_after_s is not None


_HELD = "other calls have set money aside; some of it comes back when they end"
_BUDGETS: dict[Period, str] = {"total": "budget", "month": "monthly budget", "day": "daily budget"}
_CLAIM_FAILURES: dict[str, Callable[[], Failure]] = {
    "running": lambda: Failure(
        "IDEMPOTENCY_IN_PROGRESS", "the first call with this key is still running", retry_after_s=IN_PROGRESS_RETRY_S
    ),
    "conflict": lambda: Failure(
        "IDEMPOTENCY_CONFLICT",
        "this key was used with another body",
        param="idempotency_key",
        hint="use a new idempotency key for a new request",
    ),
}
