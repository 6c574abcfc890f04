"""What models there are: one frozen row per (vendor, model, capability), read from data, never from code.

Prices are integer nano-USD per unit of ``Prices``; a missing price is unknown. An on-machine model costs nothing:
its machine is the operator's.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from typing import Any

import orjson

NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Nano-USD per million tokens (``*_mtok``), image, million characters, audio minute, search unit.

    None is unknown; a reply with a used unit of unknown price has an unknown cost.
    """

    input_mtok: int | None = None
    output_mtok: int | None = None
    cached_input_mtok: int | None = None
    image: int | None = None
    mcharacter: int | None = None
    audio_minute: int | None = None
    search_unit: int | None = None
    free: bool = False

    @classmethod
    def of_usd(cls, usd: Mapping[str, Any]) -> Prices:
        """From a table of USD amounts as numbers or decimal strings."""
        nano: dict[str, Any] = {name: int(Decimal(str(amount)) * NANO) for name, amount in usd.items()}
        return cls(**nano)


@dataclass(frozen=True, slots=True)
class Model:
    """One row: a model of a vendor, for one capability."""

    id: str
    vendor: str
    capability: str
    prices: Prices = Prices()
    context_window: int | None = None
    max_output_tokens: int | None = None
    abilities: frozenset[str] = frozenset()
    modalities: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tiers: Mapping[str, int] = field(default_factory=lambda: {"general": 50})
    """Task -> quality from 0 to 100, an estimate of this project; ``general`` stands in for a missing task."""
    effort: int = 1
    """What it takes where price does not tell (on-machine models): orders equal prices, fast first."""
    dimensions: int | None = None
    dimension_range: tuple[int, int] | None = None
    on_machine: bool = False
    default: bool = False
    """An unpinned ``embed`` goes to a default model and to no other."""
    pinned_only: bool = False

    def quality(self, task: str) -> int:
        """The tier for a task."""
        return self.tiers.get(task, self.tiers.get("general", 0))

    def makes(self, dimensions: int) -> bool:
        """Whether its vectors can have this length."""
        low, high = self.dimension_range or (self.dimensions, self.dimensions)
        return low is not None and high is not None and low <= dimensions <= high


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All rows, in the order of the data."""

    models: tuple[Model, ...]

    def of(self, capability: str) -> tuple[Model, ...]:
        """The rows of a capability."""
        return tuple(model for model in self.models if model.capability == capability)

    def named(self, model_id: str) -> tuple[Model, ...]:
        """The rows of a model, over vendors and capabilities."""
        return tuple(model for model in self.models if model.id == model_id)

    def nearest(self, model_id: str) -> str | None:
        """The known model id that looks most like this one."""
        near = difflib.get_close_matches(model_id, [model.id for model in self.models], 1, 0.5)
        return near[0] if near else None

    def with_models(self, more: Iterable[Model]) -> Catalogue:
        """These rows and more."""
        return Catalogue((*self.models, *more))


@lru_cache(maxsize=1)
def builtin() -> Catalogue:
    """The catalogue that comes with the package."""
    data = orjson.loads(resources.files("infrai_runtime").joinpath("data/catalogue.json").read_bytes())
    return Catalogue(tuple(model_of(row) for row in data["models"]))


def model_of(row: Mapping[str, Any]) -> Model:
    """A row of the data file as a ``Model``."""
    changed = {name: _READ.get(name, _as_is)(value) for name, value in row.items() if name != "prices"}
    prices = Prices(free=True) if row.get("on_machine") else Prices.of_usd(row.get("prices", {}))
    return Model(**changed, prices=prices)


def _as_is(value: Any) -> Any:
    return value


_READ: dict[str, Any] = {"abilities": frozenset, "dimension_range": tuple}


def listed(model: Model, available: bool) -> dict[str, Any]:
    """A row as ``GET /v1/ai/models`` shows it (docs/protocol.md, section 7)."""
    row = {
        "id": model.id,
        "owned_by": model.vendor,
        "capability": model.capability,
        "available": available,
        "modalities": model.modalities,
        "abilities": sorted(model.abilities),
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "price_input_per_mtok": _usd(model.prices, model.prices.input_mtok),
        "price_output_per_mtok": _usd(model.prices, model.prices.output_mtok),
    }
    return row | ({"dimensions": model.dimensions} if model.dimensions else {})


def _usd(prices: Prices, nano: int | None) -> float | None:
    if prices.free:
        return 0.0
    return None if nano is None else nano / NANO
