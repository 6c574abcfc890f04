"""The operator's own changes to the catalogue: ``<home>/catalogue.toml``.

::

    [[model]]                      # changes a row: only what is given
    vendor = "openai"
    id = "gpt-6-sol"
    tiers = { coding = 98 }
    prices = { input_mtok = 1.5 }  # USD; see catalogue.Prices for the names

    [[model]]                      # adds one: a capability is needed
    vendor = "vllm"
    id = "our-model"
    capability = "chat"
    context_window = 32768
    abilities = ["tools", "json"]

    [[drop]]                       # takes rows away; * and ? are wildcards
    vendor = "openrouter"
    id = "*"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from infrai_core.errors import ConfigError
from infrai_core.params import CHOICES
from infrai_runtime.catalogue import ABILITIES, MODALITIES, Catalogue, Model, Prices
from infrai_runtime.failure import Failure
from infrai_runtime.field import (
    Field,
    Fields,
    Kind,
    Table,
    check_table,
    choice,
    flag,
    integer,
    list_of,
    model_id,
    number,
    refuse,
    table,
    text,
)
from infrai_runtime.tier import tiers_of
from infrai_runtime.vendors.base import CAPABILITIES

Row = dict[str, Any]


def _range_of_lengths() -> Kind:
    pair = list_of(integer(1), low=2, high=2)

    def check(value: Any, path: str) -> list[int]:
        low, high = pair.check(value, path)
        if low > high:
            raise refuse(f"{path}.1", high, f"a whole number of at least {low}, the shortest")
        return [low, high]

    return Kind(check, pair.schema)


_USD = Field(number(0, 1_000_000), "USD; far below what 64 bits of nano-USD hold")
_LONG: Fields = {"above_tokens": Field(integer(1), "the prompt has more tokens than this", required=True)}
_NAMES = [f.name for f in fields(Prices) if f.name not in ("free", "long")]
_PRICES: Fields = dict.fromkeys(_NAMES, _USD) | {
    "free": Field(flag(), "it costs nothing"),
    "long": Field(list_of(table(_LONG | dict.fromkeys(_NAMES, _USD))), "prices of long prompts"),
}
_TIERS: Fields = {task: Field(integer(0, 100), "tier from 0 to 100") for task in CHOICES["task"]}
_MODEL: Fields = {
    "vendor": Field(text(empty=False), "name of the vendor", required=True),
    "id": Field(model_id(), "the vendor's id of the model", required=True),
    "capability": Field(choice(CAPABILITIES), "what the model is for"),
    "context_window": Field(integer(1), "tokens"),
    "max_output_tokens": Field(integer(1), "tokens"),
    "abilities": Field(list_of(choice(ABILITIES)), "what it can do"),
    "modalities": Field(
        table({end: Field(list_of(choice(kinds)), end) for end, kinds in MODALITIES.items()}),
        "kinds of input and output",
    ),
    "prices": Field(table(_PRICES), "prices in USD"),
    "tiers": Field(table(_TIERS), "quality per task"),
    "reason": Field(text(), "why it has these tiers"),
    "dimensions": Field(integer(1), "length of its vectors"),
    "dimension_range": Field(_range_of_lengths(), "shortest and longest vectors"),
    "default": Field(flag(), "the model of an unpinned embed call"),
    "pinned_only": Field(flag(), "only for calls that name it"),
}
_DROP: Fields = {
    "vendor": Field(text(empty=False), "name of the vendor, wildcards allowed", required=True),
    "id": Field(text(empty=False), "id of the model, wildcards allowed", required=True),
}
_FILE = {"model": Table(_MODEL), "drop": Table(_DROP)}


@dataclass(frozen=True, slots=True)
class Overrides:
    """Checked changes, in the order of the file."""

    models: tuple[Row, ...] = ()
    drops: tuple[Row, ...] = ()

    def applied(self, catalogue: Catalogue) -> Catalogue:
        """The catalogue with these changes. Raises ``ConfigError`` for a new model without a capability."""
        rows = [model for model in catalogue.models if not any(_dropped(drop, model) for drop in self.drops)]
        for row in self.models:
            rows = _with(rows, row)
        return Catalogue(tuple(rows))

    def idle(self, catalogue: Catalogue) -> list[str]:
        """Drops that match nothing: likely a misspelt name."""
        rows = [drop for drop in self.drops if not any(_dropped(drop, model) for model in catalogue.models)]
        return [f"{row['vendor']}/{row['id']}" for row in rows]


def read(path: Path) -> Overrides:
    """The changes of a file. Raises ``ConfigError`` that lists everything that is wrong with it."""
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    problems: list[str] = [f"unknown table {name!r}; allowed are model, drop" for name in given.keys() - _FILE.keys()]
    checked = {name: _rows(name, given.get(name, []), problems) for name in _FILE}
    if problems:
        raise ConfigError(f"{path}: " + "; ".join(problems))
    return Overrides(tuple(checked["model"]), tuple(checked["drop"]))


def _rows(name: str, given: Any, problems: list[str]) -> list[Row]:
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        problems.append(f"{name}: write [[{name}]], once per entry")
        return []
    found: list[Row] = []
    for place, row in enumerate(given):
        try:
            found.append(check_table(_FILE[name], row, f"{name}.{place}."))
        except Failure as failure:
            problems.append(failure.message)
    return found


def _dropped(drop: Mapping[str, Any], model: Model) -> bool:
    return fnmatchcase(model.vendor, drop["vendor"]) and fnmatchcase(model.id, drop["id"])


def _with(rows: Sequence[Model], change: Row) -> list[Model]:
    touched = [model for model in rows if _is_of(change, model)]
    if touched:
        return [_changed(model, change) if model in touched else model for model in rows]
    if "capability" not in change:
        name = f"{change['vendor']}/{change['id']}"
        raise ConfigError(f"catalogue.toml: {name} is not in the catalogue; a new model needs capability")
    return [*rows, _added(change)]


def _is_of(change: Row, model: Model) -> bool:
    same = (model.vendor, model.id) == (change["vendor"], change["id"])
    return same and change.get("capability", model.capability) == model.capability


def _changed(model: Model, change: Row) -> Model:
    kept: Row = {name: value for name, value in change.items() if name not in ("vendor", "id", "capability")}
    if "prices" in kept:
        kept["prices"] = _repriced(model.prices, kept["prices"])
    if "tiers" in kept:
        kept = {"reason": "set by the operator"} | kept | {"tiers": {**model.tiers, **kept["tiers"]}}
    return replace(model, **_typed(kept), source="catalogue.toml" if "prices" in kept else model.source)


def _repriced(prices: Prices, usd: Row) -> Prices:
    named = Prices.of_usd({name: amount for name, amount in usd.items() if name != "free"})
    given = {name: getattr(named, name) for name in usd if name != "free"}
    return replace(prices, **given, free=usd.get("free", prices.free))


def _added(change: Row) -> Model:
    tiers, reason = tiers_of(change["capability"], change["id"])
    facts: Row = {"tiers": tiers, "reason": reason} | change
    facts["prices"] = _repriced(Prices(), change.get("prices", {}))
    return Model(**_typed(facts), source="catalogue.toml")


def _typed(facts: Row) -> Row:
    kinds = {"abilities": frozenset, "dimension_range": tuple}
    return {name: kinds[name](value) if name in kinds else value for name, value in facts.items()}
