"""Which models may answer a request at all: hard filters, each with the reason that it drops a model for."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from infrai_runtime.catalogue import Catalogue, Model, canonical
from infrai_runtime.failure import Failure
from infrai_runtime.health import Health
from infrai_runtime.prompt import Prompt
from infrai_runtime.request import Ask
from infrai_runtime.vendors.base import CAPABILITIES, Vendor
from infrai_runtime.vendors.configuration import LOCAL


@dataclass(frozen=True, slots=True)
class Dropped:
    """A model that may not answer, and why."""

    name: str
    reason: str


class Allowed(NamedTuple):
    """What a key may use; None is everything. Models are named by id or as ``vendor/model``."""

    models: frozenset[str] | None = None
    vendors: frozenset[str] | None = None

    def permits(self, model: Model) -> bool:
        """Whether the key may use a model."""
        return self.has(model.vendor, model.id)

    def has(self, vendor: str, model_id: str) -> bool:
        """Whether the key may use a vendor's model of that id."""
        by_vendor = self.vendors is None or vendor in self.vendors
        return by_vendor and (self.models is None or not self.models.isdisjoint((model_id, f"{vendor}/{model_id}")))


EVERYTHING = Allowed()

Keep = Callable[[Model], str | None]
"""Says why a model is dropped, or None to keep it."""


class Fleet:
    """The names of the configured vendors, and who of them can do what. It keeps none of them alive."""

    def __init__(self, vendors: Mapping[str, Vendor]) -> None:
        self.names = frozenset(vendors)
        self._kinds = {name: type(vendor) for name, vendor in vendors.items()}

    def able(self, capability: str) -> frozenset[str]:
        """The vendors that have a capability."""
        protocol = CAPABILITIES[capability]
        return frozenset(name for name, kind in self._kinds.items() if issubclass(kind, protocol))


class Wanted(NamedTuple):
    """What of a request decides who may answer it, beside its length. Requests that want the same share the answer.
    ``model`` and ``vendor`` are what it pins, which ``vendor/model`` as its model does with both."""

    capability: str
    model: str | None
    vendor: str | None
    needs: frozenset[str]
    dimensions: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """The models that may answer, and the others with the first reason that speaks against them.

    ``room`` is the smallest context of those that may: what fits into it fits all of them.
    """

    wanted: Wanted
    kept: tuple[Model, ...]
    dropped: tuple[Dropped, ...]
    room: float


def sifted(ask: Ask, catalogue: Catalogue, fleet: Fleet, health: Health, allowed: Allowed = EVERYTHING) -> Sifted:
    """Who may answer a request. The same object for requests that want the same, as long as all fit. Raises
    MODEL_NOT_FOUND and VENDOR_NOT_FOUND."""
    dimensions = ask.body.get("dimensions") if ask.capability == "embed" else None
    found = _sifted(Wanted(ask.capability, ask.model, ask.vendor, ask.needs, dimensions), catalogue, fleet, allowed)
    if ask.prompt.longest.in_bytes + ask.body.get("max_tokens", 1) <= found.room:
        return found
    return _fitting(ask, found, health)


@lru_cache(maxsize=256)
def _sifted(asked: Wanted, catalogue: Catalogue, fleet: Fleet, allowed: Allowed) -> Sifted:
    wanted = _pinned_apart(asked, catalogue, fleet)
    serving = fleet.able(wanted.capability)
    there, elsewhere = catalogue.served(wanted.capability, serving)
    there = (*there, *_assumed(wanted, catalogue, serving))
    rules = _rules(wanted, catalogue, there, allowed)
    verdicts = [(model, next((why for rule in rules if (why := rule(model))), None)) for model in there]
    kept = tuple(model for model, why in verdicts if why is None)
    dropped = [Dropped(model.name, why) for model, why in verdicts if why is not None]
    dropped += _elsewhere(elsewhere, fleet.names, wanted.capability)
    return Sifted(wanted, kept, tuple(dropped), _room(kept))


def _room(models: Iterable[Model]) -> float:
    return min((m.context_window for m in models if m.context_window is not None), default=math.inf)


NOT_CONFIGURED = "vendor not configured"


@lru_cache(maxsize=64)
def _elsewhere(names: tuple[str, ...], configured: frozenset[str], capability: str) -> tuple[Dropped, ...]:
    """The models that no vendor serves here; most of the catalogue, so the rows are made once."""
    cannot = f"the vendor's adapter cannot do {capability}"
    return tuple(Dropped(name, cannot if name.partition("/")[0] in configured else NOT_CONFIGURED) for name in names)


def _assumed(ask: Wanted, catalogue: Catalogue, serving: Collection[str]) -> list[Model]:
    """The pinned model of a pinned vendor that the catalogue does not know there: it is taken at the caller's word."""
    if ask.model is None or ask.vendor is None or ask.vendor not in serving or ask.vendor == LOCAL:
        return []
    if any(model.vendor == ask.vendor for model in catalogue.named(ask.model)):
        return []
    return [Model(ask.model, ask.vendor, ask.capability, assumed=True, reason="not in the catalogue")]


def _fitting(ask: Ask, found: Sifted, health: Health) -> Sifted:
    """Without the models whose context is too small."""
    ratio, prompt = health.token_ratio, ask.prompt.longest
    verdicts = [(model, _too_small(ask, prompt, model, ratio.get(model.name, 1.0))) for model in found.kept]
    small = (Dropped(model.name, why) for model, why in verdicts if why is not None)
    kept = tuple(model for model, why in verdicts if why is None)
    return Sifted(found.wanted, kept, (*small, *found.dropped), _room(kept))


def _too_small(ask: Ask, prompt: Prompt, model: Model, ratio: float) -> str | None:
    """No text has more tokens than bytes, so one that fits by its bytes is not estimated."""
    wanted = ask.body.get("max_tokens", 1)
    answer = min(wanted, model.max_output_tokens or wanted)
    if model.context_window is None or prompt.in_bytes + answer <= model.context_window:
        return None
    needed = prompt.careful_for(ratio) + answer
    if needed <= model.context_window:
        return None
    return f"context of {model.context_window} tokens is too small for about {needed}"


def _rules(ask: Wanted, catalogue: Catalogue, there: Sequence[Model], allowed: Allowed) -> list[Keep]:
    real = any(not model.on_machine for model in there)
    pinned = ask.model is not None or ask.vendor is not None
    rules = [
        _unless("not allowed for this key", allowed.permits) if allowed != EVERYTHING else None,
        _another_model(ask.model) if ask.model else None,
        _unless("another vendor is pinned", lambda model: model.vendor == ask.vendor) if ask.vendor else None,
        _unless("only when pinned", lambda model: not model.pinned_only) if ask.model is None else None,
        _unless(_ON_MACHINE, lambda model: not model.on_machine) if real and not pinned else None,
        _default_only(ask, there, real) if ask.capability == "embed" and ask.model is None else None,
        _lacking(ask),
    ]
    return [rule for rule in rules if rule is not None]


_ON_MACHINE = "on-machine, and another vendor is configured"


def _unless(reason: str, keeps: Callable[[Model], bool]) -> Keep:
    return lambda model: None if keeps(model) else reason


def _another_model(pinned: str) -> Keep:
    name = canonical(pinned)
    return _unless("another model is pinned", lambda model: model.id == pinned or canonical(model.id) == name)


def _default_only(ask: Wanted, there: Iterable[Model], real: bool) -> Keep:
    """An unpinned embed: the first default model, whoever serves it."""
    eligible = [m for m in there if ask.vendor in (None, m.vendor) and not m.pinned_only]
    wanted = [m for m in eligible if ask.vendor or m.on_machine != real]
    chosen = next((canonical(m.id) for m in sorted(wanted, key=lambda m: not m.default)), None)
    return _unless(f"an unpinned embed is served by {chosen}", lambda model: canonical(model.id) == chosen)


def _lacking(ask: Wanted) -> Keep:
    dimensions = ask.dimensions

    def why(model: Model) -> str | None:
        if model.assumed or (dimensions is None and ask.needs <= model.abilities):
            return None
        if dimensions is not None and not model.makes(dimensions):
            return f"has no vectors of {dimensions} dimensions"
        lacks = sorted(ask.needs - model.abilities)
        return f"lacks {', '.join(lacks)}" if lacks else None

    return why


# -- pins -------------------------------------------------------------------------------------------------------------


def _pinned_apart(asked: Wanted, catalogue: Catalogue, fleet: Fleet) -> Wanted:
    """What is wanted with the model and the vendor that it pins; ``vendor/model`` in its model is both, unless some
    model has that very id. Refuses a vendor or model that nobody knows, by name."""
    model, vendor = asked.model, asked.vendor
    if model is not None and vendor is None and "/" in model:
        model, vendor = _two_pins(model, catalogue, fleet)
    if vendor is not None and vendor not in fleet.names:
        raise Failure(
            "VENDOR_NOT_FOUND",
            f"vendor: came {vendor!r}, configured are {', '.join(sorted(fleet.names))}",
            param="vendor",
        )
    if model is not None and vendor in (None, LOCAL) and not catalogue.knows(model):
        near = catalogue.nearest(model)
        hint = f"did you mean {near!r}?" if near else _UNKNOWN_MODEL
        raise Failure("MODEL_NOT_FOUND", f"model: there is no model {model!r}", hint=hint, param="model")
    return asked._replace(model=model, vendor=vendor)


def _two_pins(name: str, catalogue: Catalogue, fleet: Fleet) -> tuple[str, str | None]:
    vendor, _, model = name.partition("/")
    if not model or vendor not in fleet.names or any(row.id == name for row in catalogue.named(name)):
        return name, None
    return model, vendor


_UNKNOWN_MODEL = "GET /v1/ai/models lists the models; one that is not listed can be used together with its vendor"


def nothing_left(ask: Ask, dropped: Sequence[Dropped]) -> Failure:
    """The failure for a request that no model can answer, by the reason that dropped the last of them."""
    reasons = {row.reason for row in dropped} - {NOT_CONFIGURED}
    small = [row for row in dropped if row.reason.startswith("context of")]
    if small:
        return Failure(
            "CONTEXT_LENGTH_EXCEEDED", f"messages: too long: {small[-1].name}: {small[-1].reason}", param="messages"
        )
    lacking = [row for row in dropped if row.reason.startswith(("lacks", "has no vectors"))]
    if lacking:
        return _unsupported(ask, lacking)
    if "not allowed for this key" in reasons and reasons <= {"not allowed for this key", *_PINS}:
        pin = "model" if ask.model else "vendor" if ask.vendor else None
        return Failure("FORBIDDEN", f"this key may not use {_pinned(ask)}", param=pin)
    return _cannot(ask, dropped)


_PINS = ("another model is pinned", "another vendor is pinned")


def _pinned(ask: Ask) -> str:
    pins = [f"{name} {value!r}" for name, value in (("model", ask.model), ("vendor", ask.vendor)) if value]
    return " of ".join(pins) or f"any model that can do {ask.capability}"


def _cannot(ask: Ask, dropped: Sequence[Dropped]) -> Failure:
    pinned_rows = [row.reason for row in dropped if ask.model and _is_named(row.name, ask.model)]
    if ask.model is not None and pinned_rows != [NOT_CONFIGURED] * max(1, len(pinned_rows)):
        return Failure("UNSUPPORTED_CAPABILITY", f"model: {ask.model!r} cannot do {ask.capability}", param="model")
    if ask.vendor is not None:
        return Failure("UNSUPPORTED_CAPABILITY", f"vendor: {ask.vendor!r} cannot do {ask.capability}", param="vendor")
    return Failure(
        "NO_VENDOR_AVAILABLE",
        f"no vendor is configured for {ask.capability}",
        hint="configure a vendor's key, or install the on-machine models",
    )


def _is_named(name: str, model_id: str) -> bool:
    return canonical(name) == canonical(model_id)


def _unsupported(ask: Ask, lacking: Sequence[Dropped]) -> Failure:
    rows = "; ".join(f"{row.name} {row.reason}" for row in lacking[:_SHOWN])
    more = f"; and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
    message = f"no model can serve this {ask.capability} request: {rows}{more}"
    return Failure("UNSUPPORTED_CAPABILITY", message, param=_field_of(lacking[0].reason))


def _field_of(reason: str) -> str | None:
    """The field of a request that asks for what a model lacks."""
    first = reason.removeprefix("lacks ").partition(",")[0]
    return "dimensions" if "vectors" in reason else _ASKED_BY.get(first)


_ASKED_BY = {
    **dict.fromkeys(("tools", "custom_tools"), "tools"),
    **dict.fromkeys(("structured", "json", "diarize"), "response_format"),
    **dict.fromkeys(("vision", "audio", "video", "pdf"), "messages"),
    **{name: name for name in ("tool_choice", "n", "logprobs")},
    "audio_output": "modalities",
}
"""Ability -> the field that needs it."""


_SHOWN = 10
