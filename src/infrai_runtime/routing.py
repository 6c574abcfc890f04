"""Which models may answer, in which order, and why: a pure function of the request and what is known.

The rules are section 9 of docs/protocol.md: an on-machine model answers only when pinned or when no other vendor is
there for the capability; an unpinned ``embed`` has one default model; a pinned vendor never fails over, a pinned
model only to another vendor of the same model. What was dropped is kept with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from infrai_runtime.catalogue import Catalogue, Model
from infrai_runtime.failure import Failure
from infrai_runtime.pricing import cost_nano, expected_usage, prompt_text
from infrai_runtime.request import Ask
from infrai_runtime.vendors.base import CAPABILITIES, Vendor


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may answer, and what that is expected to cost (None: unknown)."""

    model: Model
    expected_nano: int | None

    @property
    def name(self) -> str:
        """``vendor/model``."""
        return f"{self.model.vendor}/{self.model.id}"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A model that may not answer, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The candidates in the order to try them; ``reason`` says how that order came about."""

    candidates: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]
    reason: str


Keep = Callable[[Model], str | None]
"""Says why a model is dropped, or None to keep it."""


def plan(
    ask: Ask,
    catalogue: Catalogue,
    vendors: Mapping[str, Vendor],
    *,
    cooling: Collection[str] = (),
    last: str | None = None,
) -> Plan:
    """The plan for a request.

    ``cooling`` names ``vendor/model`` pairs that failed lately: they are tried last. ``last`` is the pair that served
    the session before: it goes first while it is not cooling. Raises MODEL_NOT_FOUND, VENDOR_NOT_FOUND,
    UNSUPPORTED_CAPABILITY, CONTEXT_LENGTH_EXCEEDED or NO_VENDOR_AVAILABLE when nothing is left.
    """
    check_pins(ask, catalogue, vendors)
    kept, dropped = _sift(_rules(ask, catalogue, vendors), catalogue.of(ask.capability))
    if not kept:
        raise nothing_left(ask, dropped)
    candidates = [Candidate(model, cost) for model, cost in zip(kept, _costs(ask, kept), strict=True)]
    ordered = sorted(candidates, key=_order(ask, candidates))
    ordered.sort(key=lambda candidate: (candidate.name in cooling, candidate.name != last))
    tried = ordered[:1] if ask.vendor else ordered
    return Plan(tuple(tried), tuple(dropped), _reason(ask, tried[0], dropped, last))


def _costs(ask: Ask, models: Sequence[Model]) -> list[int | None]:
    if all(model.prices.free for model in models):
        return [0] * len(models)
    usage = expected_usage(ask.capability, ask.body)
    return [cost_nano(usage, model.prices) for model in models]


def check_pins(ask: Ask, catalogue: Catalogue, vendors: Mapping[str, Vendor]) -> None:
    """Refuses a vendor or model that nobody knows, by name."""
    if ask.vendor is not None and ask.vendor not in vendors:
        raise Failure(
            "VENDOR_NOT_FOUND",
            f"vendor: came {ask.vendor!r}, configured are {', '.join(sorted(vendors))}",
            param="vendor",
        )
    if ask.model is not None and not catalogue.named(ask.model):
        near = catalogue.nearest(ask.model)
        hint = f"did you mean {near!r}?" if near else "GET /v1/ai/models lists the models"
        raise Failure("MODEL_NOT_FOUND", f"model: there is no model {ask.model!r}", hint=hint, param="model")


# -- filters, in order: the first that objects is the reason -----------------------------------------------------------


def _rules(ask: Ask, catalogue: Catalogue, vendors: Mapping[str, Vendor]) -> list[Keep]:
    protocol = CAPABILITIES[ask.capability]
    able = {name for name, vendor in vendors.items() if isinstance(vendor, protocol)}
    real = any(model.vendor in able and not model.on_machine for model in catalogue.of(ask.capability))
    pinned = ask.model is not None or ask.vendor is not None
    return [
        _unless("vendor not configured", lambda model: model.vendor in able),
        _unless("another model is pinned", lambda model: ask.model in (None, model.id)),
        _unless("another vendor is pinned", lambda model: ask.vendor in (None, model.vendor)),
        _unless("only when pinned", lambda model: not model.pinned_only or ask.model is not None),
        _unless(
            "on-machine, and another vendor is configured", lambda model: pinned or not real or not model.on_machine
        ),
        *([_default_only(ask, catalogue, able, real)] if ask.capability == "embed" and ask.model is None else []),
        lambda model: _lacking(ask, model),
        _fits(ask),
    ]


def _unless(reason: str, keeps: Callable[[Model], bool]) -> Keep:
    return lambda model: None if keeps(model) else reason


def _default_only(ask: Ask, catalogue: Catalogue, able: Collection[str], real: bool) -> Keep:
    """An unpinned embed: the first default model, whoever serves it."""
    there = [
        m for m in catalogue.of("embed") if m.vendor in able and ask.vendor in (None, m.vendor) and not m.pinned_only
    ]
    eligible = [m for m in there if ask.vendor or m.on_machine != real]
    chosen = next((m.id for m in sorted(eligible, key=lambda m: not m.default)), None)
    return _unless(f"an unpinned embed is served by {chosen}", lambda model: model.id == chosen)


def _lacking(ask: Ask, model: Model) -> str | None:
    dimensions = ask.body.get("dimensions") if ask.capability == "embed" else None
    if dimensions is not None and not model.makes(dimensions):
        return f"has no vectors of {dimensions} dimensions"
    lacks = sorted(ask.needs - model.abilities)
    return f"lacks {', '.join(lacks)}" if lacks else None


def _fits(ask: Ask) -> Keep:
    """Drops models whose context is too small. No text has more tokens than bytes, so short ones are not estimated."""
    in_bytes = len(prompt_text(ask.capability, ask.body).encode("utf-8", "surrogatepass"))
    wanted = ask.body.get("max_tokens", 1)
    careful: list[int] = []

    def why(model: Model) -> str | None:
        answer = min(wanted, model.max_output_tokens or wanted)
        if model.context_window is None or in_bytes + answer <= model.context_window:
            return None
        if not careful:
            careful.append(expected_usage(ask.capability, ask.body, upper=True)["prompt_tokens"])
        if careful[0] + answer <= model.context_window:
            return None
        return f"context of {model.context_window} tokens is too small for about {careful[0] + answer}"

    return why


def _sift(rules: Sequence[Keep], models: Sequence[Model]) -> tuple[list[Model], list[Dropped]]:
    verdicts = [(model, next((why for rule in rules if (why := rule(model))), None)) for model in models]
    kept = [model for model, why in verdicts if why is None]
    return kept, [Dropped(f"{model.vendor}/{model.id}", why) for model, why in verdicts if why is not None]


# -- order ----------------------------------------------------------------------------------------------------------


Key = Callable[[Candidate], tuple[float, ...]]


def _order(ask: Ask, candidates: Sequence[Candidate]) -> Key:
    return _ORDERS[ask.prefer](ask, candidates)


def _price(candidate: Candidate) -> float:
    return math.inf if candidate.expected_nano is None else candidate.expected_nano


def _cheapest(ask: Ask, candidates: Sequence[Candidate]) -> Key:
    return lambda c: (_price(c), c.model.effort, -c.model.quality(ask.task))


def _smartest(ask: Ask, candidates: Sequence[Candidate]) -> Key:
    return lambda c: (-c.model.quality(ask.task), _price(c), c.model.effort)


_FLOOR_NANO = 1000.0
_QUALITY_OF_TEN_TIMES_THE_PRICE = 25.0


def _balanced(ask: Ask, candidates: Sequence[Candidate]) -> Key:
    """A model that costs ten times as much must be 25 quality points better."""

    def key(c: Candidate) -> tuple[float, ...]:
        if c.expected_nano is None:
            return (1.0, -float(c.model.quality(ask.task)), 0.0)
        worth = c.model.quality(ask.task) - _QUALITY_OF_TEN_TIMES_THE_PRICE * math.log10(max(_price(c), _FLOOR_NANO))
        return (0.0, -worth, _price(c))

    return key


_ORDERS: dict[str, Callable[[Ask, Sequence[Candidate]], Key]] = {
    "cheapest": _cheapest,
    "smartest": _smartest,
    "balanced": _balanced,
}


# -- words ----------------------------------------------------------------------------------------------------------


def _reason(ask: Ask, first: Candidate, dropped: Sequence[Dropped], last: str | None) -> str:
    if ask.model or ask.vendor:
        pins = [f"{name} {value}" for name, value in (("model", ask.model), ("vendor", ask.vendor)) if value]
        return f"{first.name}: pinned {' and '.join(pins)}"
    if first.name == last:
        return f"{first.name}: served this session before"
    why = next((row.reason for row in dropped if row.reason.startswith("an unpinned embed")), None)
    return f"{first.name}: {why or f'{ask.prefer} for {ask.task}'}"


def nothing_left(ask: Ask, dropped: Sequence[Dropped]) -> Failure:
    """The failure for a request that no model can answer, by the reason that dropped the last of them."""
    small = [row for row in dropped if row.reason.startswith("context of")]
    if small:
        return Failure(
            "CONTEXT_LENGTH_EXCEEDED", f"messages: too long: {small[-1].name}: {small[-1].reason}", param="messages"
        )
    lacking = [row for row in dropped if row.reason.startswith(("lacks", "has no vectors"))]
    if lacking:
        return _unsupported(ask, lacking)
    pinned_rows = [row.reason for row in dropped if row.name.endswith(f"/{ask.model}")]
    if ask.model is not None and pinned_rows != ["vendor not configured"] * max(1, len(pinned_rows)):
        return Failure("UNSUPPORTED_CAPABILITY", f"model: {ask.model!r} cannot do {ask.capability}", param="model")
    if ask.vendor is not None:
        return Failure("UNSUPPORTED_CAPABILITY", f"vendor: {ask.vendor!r} cannot do {ask.capability}", param="vendor")
    return Failure(
        "NO_VENDOR_AVAILABLE",
        f"no vendor is configured for {ask.capability}",
        hint="configure a vendor's key, or install the on-machine models",
    )


def _unsupported(ask: Ask, lacking: Sequence[Dropped]) -> Failure:
    rows = "; ".join(f"{row.name} {row.reason}" for row in lacking)
    param = "dimensions" if "vectors" in lacking[0].reason else None
    return Failure("UNSUPPORTED_CAPABILITY", f"no model can serve this {ask.capability} request: {rows}", param=param)
