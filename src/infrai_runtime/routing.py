"""Which model answers, which take over when it fails, and why: a pure function of the request and what is known.

The rules are section 9 of docs/protocol.md: an on-machine model answers only when pinned or when no other vendor is
there for the capability; an unpinned ``embed`` has one default model; a pinned vendor never fails over, a pinned
model only to another vendor of the same model. docs/routing.md has the whole of it in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import orjson

from infrai_runtime.catalogue import Catalogue, Model, Prices
from infrai_runtime.eligible import (
    EVERYTHING,
    Allowed,
    Dropped,
    Fleet,
    Sifted,
    Wanted,
    nothing_left,
    sifted,
)
from infrai_runtime.health import Health
from infrai_runtime.pricing import cost_nano, dearest, expected_usage
from infrai_runtime.request import Ask

__all__ = ["Candidate", "Dropped", "Plan", "plan", "surveyed", "worth"]


class Candidate(NamedTuple):
    """A model that may answer, and what that is expected to cost (None: unknown).

    ``cooling_s`` is how long it still rests after failures. It keeps its place, so that what stands first, and with it
    the limit on what a failover may cost, does not depend on who happens to be ill.
    """

    model: Model
    expected_nano: int | None
    cooling_s: float = 0.0

    @property
    def name(self) -> str:
        """``vendor/model``."""
        return self.model.name


class Plan(NamedTuple):
    """The candidates in the order to try them; ``reason`` says how that order came about, ``token_ratio`` how the
    first one's own count of tokens compares to the estimate; ``within_cap`` holds the prices of those that may answer,
    as far as they can decide what that costs at the most; ``followed`` says whether another one than the first may,
    None where that depends on who rests."""

    candidates: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]
    reason: str
    warnings: tuple[str, ...] = ()
    token_ratio: float = 1.0
    within_cap: tuple[Prices, ...] = ()
    followed: bool | None = None


def plan(
    ask: Ask,
    catalogue: Catalogue,
    fleet: Fleet,
    health: Health = Health(),  # noqa: B008  # frozen, and shared on purpose
    *,
    last: str | None = None,
    allowed: Allowed = EVERYTHING,
) -> Plan:
    """The plan for a request.

    ``last`` is the ``vendor/model`` that served the session before; the one that signed parts of the history stands in
    for it. It goes first while it is healthy. Raises MODEL_NOT_FOUND, VENDOR_NOT_FOUND, UNSUPPORTED_CAPABILITY,
    CONTEXT_LENGTH_EXCEEDED, FORBIDDEN or NO_VENDOR_AVAILABLE when nothing is left.
    """
    made = surveyed(ask, catalogue, fleet, health, last=last, allowed=allowed)
    if not made.candidates:
        raise nothing_left(ask, made.dropped)
    return made


def surveyed(
    ask: Ask,
    catalogue: Catalogue,
    fleet: Fleet,
    health: Health,
    *,
    last: str | None = None,
    allowed: Allowed = EVERYTHING,
) -> Plan:
    """As ``plan``, but also without a candidate. Raises MODEL_NOT_FOUND and VENDOR_NOT_FOUND."""
    found = sifted(ask, catalogue, fleet, health, allowed)
    if not found.kept:
        return Plan((), found.dropped, "no model can answer")
    stay = last or maker_of(ask)
    ranked = _ranked(ask, found, None if stay in health.cooling_s else stay)
    made, candidates = ranked.plan, _as_they_do(ranked, health)
    if candidates is not ranked.candidates:
        reason = _reason(found, ask.prefer, ask.task, candidates[0].name, stay)
        made = made._replace(candidates=_tried(found, candidates), reason=reason, followed=None)
    ratio = health.token_ratio.get(made.candidates[0].model.name, 1.0)
    return made if ratio == 1.0 else made._replace(token_ratio=ratio)


def maker_of(ask: Ask) -> str | None:
    """The ``vendor/model`` that signed the latest signed part of the history: only it can read that part again."""
    if not ask.prompt.signed:
        return None
    for message in reversed(ask.body.get("messages", ())):
        for part in message["parts"] if message["role"] == "assistant" else ():
            if part.get("vendor") and part.get("model"):
                return f"{part['vendor']}/{part['model']}"
    return None


# -- order ------------------------------------------------------------------------------------------------------------


Key = Callable[[Candidate], tuple[float, ...]]


class Ranked(NamedTuple):
    """Candidates by preference, equals by name. ``ties`` are the places, from and to, of each one's equals; ``plan`` is
    that of this order, for a model that counts tokens as they are estimated."""

    candidates: tuple[Candidate, ...]
    ties: Mapping[str, tuple[int, int]]
    plan: Plan


def _ranked(ask: Ask, found: Sifted, stay: str | None) -> Ranked:
    usage = orjson.dumps(expected_usage(ask.prompt))
    return _ranked_once(found, ask.prefer, ask.task, ask.max_cost_multiplier, stay, usage)


@lru_cache(maxsize=256)
def _ranked_once(found: Sifted, prefer: str, task: str, cap: float, stay: str | None, usage: bytes) -> Ranked:
    """Requests of about one length that want the same have one ranking (``Sifted`` is that of all of them). The one to
    ``stay`` with comes first. ``usage`` is JSON, because a dictionary cannot be a key."""
    order, used = _ORDERS[prefer](task), orjson.loads(usage)
    candidates = (Candidate(model, cost_nano(used, model.prices)) for model in found.kept)
    rows = sorted((((c.name != stay, *order(c)), c.name, c) for c in candidates), key=lambda row: row[:2])
    ranked = tuple(candidate for _, _, candidate in rows)
    tried = _tried(found, ranked)
    able = _within_cap(tried, cap)
    made = Plan(
        tried,
        found.dropped,
        _reason(found, prefer, task, tried[0].name, stay),
        _warnings(found.kept),
        within_cap=() if found.wanted.vendor is not None else dearest(candidate.model.prices for candidate in able),
        followed=len(able) > 1,
    )
    return Ranked(ranked, _ties([key for key, _, _ in rows], ranked), made)


def _tried(found: Sifted, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Those that are tried in turn: a pinned vendor is followed by none."""
    return candidates if found.wanted.vendor is None else candidates[:1]


def _ties(keys: Sequence[tuple[float, ...]], ranked: Sequence[Candidate]) -> dict[str, tuple[int, int]]:
    ties: dict[str, tuple[int, int]] = {}
    for _, group in groupby(range(len(keys)), key=keys.__getitem__):
        places = list(group)
        if len(places) > 1:
            ties |= dict.fromkeys([ranked[place].name for place in places], (places[0], places[-1] + 1))
    return ties


def _within_cap(candidates: Sequence[Candidate], cap: float) -> list[Candidate]:
    most = most_nano(candidates[0], cap)
    return [candidates[0], *(c for c in candidates[1:] if c.expected_nano is not None and c.expected_nano <= most)]


def most_nano(first: Candidate, cap: float) -> float:
    """What a failover may cost."""
    return cap * (first.expected_nano or 0)


def _as_they_do(ranked: Ranked, health: Health) -> tuple[Candidate, ...]:
    """The candidates as they do right now: who rests, and among equals the one first that answered faster so far."""
    seen, cooling = health.latency_ms, health.cooling_s
    candidates = ranked.candidates
    tied = ranked.ties.keys() & seen.keys()
    if not tied and not cooling:
        return candidates
    for start, end in {ranked.ties[name] for name in tied}:
        equals = sorted(candidates[start:end], key=lambda candidate: seen.get(candidate.name, math.inf))
        candidates = (*candidates[:start], *equals, *candidates[end:])
    if not cooling:
        return candidates
    return tuple(c._replace(cooling_s=cooling[c.name]) if c.name in cooling else c for c in candidates)


def _price(candidate: Candidate) -> float:
    return math.inf if candidate.expected_nano is None else candidate.expected_nano


def _cheapest(task: str) -> Key:
    return lambda c: (_price(c), c.model.effort, -c.model.quality(task))


def _smartest(task: str) -> Key:
    return lambda c: (-c.model.quality(task), _price(c), c.model.effort)


FLOOR_NANO = 1000.0
QUALITY_OF_TEN_TIMES_THE_PRICE = 25.0


def worth(quality: float, expected_nano: float) -> float:
    """Quality per cost: ``quality - 25 * log10(cost)``, cost in nano-USD and at least 1000 of them.

    A model that costs ten times as much must be 25 points better, whatever the two cost.
    """
    return quality - QUALITY_OF_TEN_TIMES_THE_PRICE * math.log10(max(expected_nano, FLOOR_NANO))


def _balanced(task: str) -> Key:
    def key(c: Candidate) -> tuple[float, ...]:
        if c.expected_nano is None:
            return (1.0, -float(c.model.quality(task)), 0.0)
        return (0.0, -worth(c.model.quality(task), c.expected_nano), c.expected_nano)

    return key


_ORDERS: dict[str, Callable[[str], Key]] = {"cheapest": _cheapest, "smartest": _smartest, "balanced": _balanced}


# -- words ------------------------------------------------------------------------------------------------------------


def _reason(found: Sifted, prefer: str, task: str, first: str, stay: str | None) -> str:
    wanted = found.wanted
    if wanted.model or wanted.vendor:
        return f"{first}: pinned {_pins(wanted)}"
    if first == stay:
        return f"{first}: served this session before"
    if wanted.capability == "embed":
        why = next((row.reason for row in found.dropped if row.reason.startswith("an unpinned embed")), None)
        if why is not None:
            return f"{first}: {why}"
    return f"{first}: {prefer} for {task}"


def _pins(wanted: Wanted) -> str:
    pins = (("model", wanted.model), ("vendor", wanted.vendor))
    return " and ".join([f"{name} {value}" for name, value in pins if value])


def _warnings(models: Sequence[Model]) -> tuple[str, ...]:
    assumed = [model for model in models if model.assumed]
    return tuple(
        f"model: {m.name} is not in the catalogue; its price is unknown and its abilities are assumed" for m in assumed
    )
