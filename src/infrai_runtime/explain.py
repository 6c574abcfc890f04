"""A plan in words and numbers: what ``POST /v1/ai/route/explain`` and ``infrai route`` show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infrai_runtime.body import FIELDS
from infrai_runtime.catalogue import Catalogue
from infrai_runtime.eligible import EVERYTHING, Allowed, Fleet, nothing_left
from infrai_runtime.failover import beyond_cap
from infrai_runtime.field import Field, Table, check_table, choice
from infrai_runtime.health import Health
from infrai_runtime.pricing import cost_nano, expected_usage, usd
from infrai_runtime.request import Ask
from infrai_runtime.request import read as read_native
from infrai_runtime.routing import QUALITY_OF_TEN_TIMES_THE_PRICE, Candidate, Plan, surveyed, worth

Json = dict[str, Any]

FORMULAS = {
    "cheapest": "lowest expected cost; then speed class, quality, latency seen, name",
    "smartest": "highest quality tier for the task; then expected cost, speed class, latency seen, name",
    "balanced": f"highest quality - {QUALITY_OF_TEN_TIMES_THE_PRICE:g} * log10(expected cost in nano-USD, at least "
    "1000); then expected cost, latency seen, name",
}

_CAPABILITY = Table({"capability": Field(choice(FIELDS), "which route the request is for, default chat")})


def read(given: Mapping[str, Any]) -> Ask:
    """The ask of an explain body: the body of a native route, and ``capability``. Raises INVALID_REQUEST."""
    named = check_table(_CAPABILITY, {name: value for name, value in given.items() if name == "capability"})
    capability = named.get("capability", "chat")
    return read_native(capability, {name: value for name, value in given.items() if name != "capability"})


def explained(
    ask: Ask,
    catalogue: Catalogue,
    fleet: Fleet,
    health: Health,
    *,
    last: str | None = None,
    allowed: Allowed = EVERYTHING,
) -> Json:
    """The plan of a request: every candidate with its place, cost and reason, and every model that was dropped.

    Without a candidate, ``error`` says what the request itself would be answered with. Raises MODEL_NOT_FOUND and
    VENDOR_NOT_FOUND.
    """
    made = surveyed(ask, catalogue, fleet, health, last=last, allowed=allowed)
    failure = None if made.candidates else nothing_left(ask, made.dropped)
    return {
        "capability": ask.capability,
        "task": ask.task,
        "prefer": ask.prefer,
        "reason": made.reason,
        "order": FORMULAS[ask.prefer],
        "estimate": estimate(ask, made.token_ratio),
        "max_cost_multiplier": ask.max_cost_multiplier,
        "candidates": [_row(ask, made, place, health) for place in range(len(made.candidates))],
        "dropped": [{"name": row.name, "reason": row.reason} for row in made.dropped],
        "warnings": [*ask.warnings, *made.warnings],
        "error": None if failure is None else {"code": failure.code, "message": failure.message},
    }


def estimate(ask: Ask, ratio: float) -> Json:
    """What the request is expected to use, and the careful number of prompt tokens that limits are held against, as
    the model that would answer counts them."""
    careful = expected_usage(ask.prompt, upper=True, ratio=ratio)
    return expected_usage(ask.prompt) | {"prompt_tokens_careful": careful.get("prompt_tokens")}


def _row(ask: Ask, made: Plan, place: int, health: Health) -> Json:
    candidate = made.candidates[place]
    model = candidate.model
    ratio = health.token_ratio.get(candidate.name, 1.0)
    usage = expected_usage(ask.prompt, upper=True, ratio=ratio)
    careful = cost_nano(usage, model.prices)
    return {
        "rank": place + 1,
        "name": candidate.name,
        "vendor": model.vendor,
        "model": model.id,
        "role": _role(ask, made, place),
        "expected_cost_usd": usd(candidate.expected_nano),
        "careful_cost_usd": usd(careful),
        "quality": model.quality(ask.task),
        "quality_reason": model.reason or None,
        "balance": _balance(ask, candidate),
        "latency_ms": health.latency_ms.get(candidate.name),
        "token_ratio": round(ratio, 3),
        "cooling_s": round(candidate.cooling_s, 3) or None,
        "price_source": model.source or None,
        "price_date": model.date or None,
        "why": _why(ask, made, candidate, place),
    }


def _balance(ask: Ask, candidate: Candidate) -> float | None:
    if candidate.expected_nano is None:
        return None
    return round(worth(candidate.model.quality(ask.task), candidate.expected_nano), 2)


def _role(ask: Ask, made: Plan, place: int) -> str:
    if place == 0:
        return "first"
    beyond = beyond_cap(made.candidates[place], made.candidates[0], ask.max_cost_multiplier)
    return f"skipped:{beyond}" if beyond else "failover"


def _why(ask: Ask, made: Plan, candidate: Candidate, place: int) -> str:
    said = [_WHY[ask.prefer](ask, candidate)]
    if place == 0 and not made.reason.endswith(f"{ask.prefer} for {ask.task}"):
        said.insert(0, made.reason.partition(": ")[2])
    if candidate.cooling_s > 0:
        said.append(f"rests for {candidate.cooling_s:.0f} s after failures")
    if place and _role(ask, made, place) != "failover":
        said.append("its price is unknown" if candidate.expected_nano is None else "dearer than the cap allows")
    return "; ".join(said)


def _cost(candidate: Candidate) -> str:
    return "an unknown price" if candidate.expected_nano is None else f"about {usd(candidate.expected_nano):.9f} USD"


_WHY: dict[str, Callable[[Ask, Candidate], str]] = {
    "cheapest": lambda ask, c: _cost(c),
    "smartest": lambda ask, c: f"tier {c.model.quality(ask.task)} for {ask.task}",
    "balanced": lambda ask, c: f"tier {c.model.quality(ask.task)} for {_cost(c)}",
}
