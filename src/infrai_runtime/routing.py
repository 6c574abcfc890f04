"""Which model answers, which take over when it fails, and why: a pure function of the request and what is known.

The rules are section 9 of docs/protocol.md: an on-machine model answers only when pinned or when no other vendor is
there for the capability; an unpinned ``embed`` has one default model; a pinned vendor never fails over, a pinned
model only to another vendor of the same model. docs/routing.md has the whole of it in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

import orjson

from infrai_runtime.catalogue import Catalogue, Model
from infrai_runtime.eligible import EVERYTHING, Allowed, Dropped, Sifted, check_pins, named_vendor, nothing_left, sifted
from infrai_runtime.health import Health
from infrai_runtime.pricing import cost_nano, expected_usage
from infrai_runtime.request import Ask
from infrai_runtime.vendors.base import Vendor

__all__ = ["Candidate", "Dropped", "Plan", "plan", "surveyed", "worth"]


@dataclass(frozen=True, slots=True)
class Candidate:
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


@dataclass(frozen=True, slots=True)
class Plan:
    """The candidates in the order to try them; ``reason`` says how that order came about, ``token_ratio`` how the
    first one's own count of tokens compares to the estimate."""

    candidates: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]
    reason: str
    warnings: tuple[str, ...] = ()
    token_ratio: float = 1.0


def plan(
    ask: Ask,
    catalogue: Catalogue,
    vendors: Mapping[str, Vendor],
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
    made = surveyed(ask, catalogue, vendors, health, last=last, allowed=allowed)
    if not made.candidates:
        raise nothing_left(ask, made.dropped)
    return made


def surveyed(
    ask: Ask,
    catalogue: Catalogue,
    vendors: Mapping[str, Vendor],
    health: Health,
    *,
    last: str | None = None,
    allowed: Allowed = EVERYTHING,
) -> Plan:
    """As ``plan``, but also without a candidate. Raises MODEL_NOT_FOUND and VENDOR_NOT_FOUND."""
    ask = pinned(ask, catalogue, vendors)
    check_pins(ask, catalogue, vendors)
    found = sifted(ask, catalogue, vendors, health, allowed)
    candidates = _as_they_do(_ranked(ask, found), health)
    stay = last or maker_of(ask)
    if stay is not None:
        candidates = tuple(sorted(candidates, key=lambda other: other.name != stay or other.cooling_s > 0))
    tried = candidates[:1] if ask.vendor else candidates
    ratio = health.token_ratio.get(tried[0].name, 1.0) if tried else 1.0
    return Plan(tried, found.dropped, _reason(ask, tried, found.dropped, stay), _warnings(tried), ratio)


def pinned(ask: Ask, catalogue: Catalogue, vendors: Mapping[str, Vendor]) -> Ask:
    """The request with ``vendor/model`` in its model read as two pins."""
    vendor, model = named_vendor(ask, catalogue, vendors)
    return ask if vendor == ask.vendor else ask._replace(vendor=vendor, model=model)


def maker_of(ask: Ask) -> str | None:
    """The ``vendor/model`` that signed the latest signed part of the history: only it can read that part again."""
    for message in reversed(ask.body.get("messages", ())):
        for part in message["parts"] if message["role"] == "assistant" else ():
            if part.get("vendor") and part.get("model"):
                return f"{part['vendor']}/{part['model']}"
    return None


# -- order ------------------------------------------------------------------------------------------------------------


Key = Callable[[Candidate], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates by preference, equals by name. ``ties`` are the places, from and to, of equals, and their names."""

    candidates: tuple[Candidate, ...]
    ties: tuple[tuple[int, int, frozenset[str]], ...]


def _ranked(ask: Ask, found: Sifted) -> Ranked:
    usage = expected_usage(ask.capability, ask.body, prompt=ask.prompt)
    return _ranked_once(found, ask.prefer, ask.task, orjson.dumps(usage))


@lru_cache(maxsize=128)
def _ranked_once(found: Sifted, prefer: str, task: str, usage: bytes) -> Ranked:
    """Requests of about one length that want the same have one ranking (``Sifted`` is that of all of them).
    ``usage`` is JSON, because a dictionary cannot be a key."""
    first, used = _ORDERS[prefer](task), orjson.loads(usage)
    candidates = (Candidate(model, cost_nano(used, model.prices)) for model in found.kept)
    rows = sorted(((first(candidate), candidate.name, candidate) for candidate in candidates), key=lambda row: row[:2])
    places = [list(group) for _, group in groupby(range(len(rows)), key=lambda place: rows[place][0])]
    ties = tuple(
        (group[0], group[-1] + 1, frozenset(rows[place][1] for place in group)) for group in places if len(group) > 1
    )
    return Ranked(tuple(candidate for _, _, candidate in rows), ties)


def _as_they_do(ranked: Ranked, health: Health) -> tuple[Candidate, ...]:
    """The candidates as they do right now: who rests, and among equals the one first that answered faster so far."""
    seen, cooling = health.latency_ms, health.cooling_s
    candidates = ranked.candidates
    for start, end, names in ranked.ties:
        if not names.isdisjoint(seen):
            equals = sorted(candidates[start:end], key=lambda candidate: seen.get(candidate.name, math.inf))
            candidates = (*candidates[:start], *equals, *candidates[end:])
    if not cooling:
        return candidates
    return tuple(replace(c, cooling_s=cooling[c.name]) if c.name in cooling else c for c in candidates)


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


def _reason(ask: Ask, tried: Sequence[Candidate], dropped: Sequence[Dropped], stay: str | None) -> str:
    if not tried:
        return "no model can answer"
    first = tried[0]
    if ask.model or ask.vendor:
        pins = [f"{name} {value}" for name, value in (("model", ask.model), ("vendor", ask.vendor)) if value]
        return f"{first.name}: pinned {' and '.join(pins)}"
    if first.name == stay:
        return f"{first.name}: served this session before"
    told = dropped if ask.capability == "embed" else ()
    why = next((row.reason for row in told if row.reason.startswith("an unpinned embed")), None)
    return f"{first.name}: {why or f'{ask.prefer} for {ask.task}'}"


def _warnings(tried: Sequence[Candidate]) -> tuple[str, ...]:
    assumed = [c for c in tried if c.model.assumed]
    return tuple(
        f"model: {c.name} is not in the catalogue; its price is unknown and its abilities are assumed" for c in assumed
    )
