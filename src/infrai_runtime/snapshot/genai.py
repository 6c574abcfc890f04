"""Prices of ``genai-prices``: its data module is parsed, not run, and its matching rules are applied to model ids."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

Node = dict[str, Any]

PRICES = {
    "input_mtok": "input_mtok",
    "output_mtok": "output_mtok",
    "cache_read_mtok": "cached_input_mtok",
    "cache_write_mtok": "cache_write_mtok",
    "input_audio_mtok": "audio_input_mtok",
    "output_audio_mtok": "audio_output_mtok",
    "input_mchars": "mcharacter",
}
"""Their name of a price -> ours, for prices of the same unit."""


class Prices:
    """The prices of one day, by vendor and model id."""

    def __init__(self, module: bytes, today: date) -> None:
        tree = ast.parse(module)
        listed = next(node.value for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) and node.value)
        self._providers: dict[str, Node] = {row["id"]: row for row in _value(listed)}
        self._today = today

    def of(self, provider: str, model_id: str) -> Node | None:
        """USD prices of a model under our names, with ``long`` where longer prompts cost more; None when unknown."""
        found = self._found(provider, model_id)
        if found is None:
            return None
        prices = _priced(self._in_force(found["prices"]))
        return prices | {f"batch_{name}": prices_of for name, prices_of in self._batch(found)} if prices else None

    def context(self, provider: str, model_id: str) -> int | None:
        """The context window, where it is known."""
        found = self._found(provider, model_id)
        return found.get("context_window") if found else None

    def _found(self, provider: str, model_id: str) -> Node | None:
        return next((m for m in self.models(provider) if _matches(m["match"], model_id.lower())), None)

    def models(self, provider: str) -> Sequence[Node]:
        """A vendor's models as the package describes them."""
        models: Sequence[Node] = self._providers.get(provider, {}).get("models", ())
        return models

    def _in_force(self, prices: Any) -> Node:
        """Of several prices the one of today; by time of day, the dearest."""
        if not isinstance(prices, list):
            return prices if isinstance(prices, dict) else {}
        dated = [row for row in prices if not _hours(row) and self._begun(row.get("constraint"))]
        today = max(dated, key=lambda row: (row.get("constraint") or {}).get("start_date", date.min))
        there = [today, *(row for row in prices if _hours(row))]
        return dict(max(there, key=lambda row: _base(row["prices"].get("input_mtok")) or 0)["prices"])

    def _begun(self, constraint: Node | None) -> bool:
        start = (constraint or {}).get("start_date")
        return start is None or start <= self._today

    def _batch(self, model: Node) -> list[tuple[str, str]]:
        for variant in model.get("price_variants", ()):
            if variant["when"] == {"processing": "batch"} and self._begun(variant.get("constraint")):
                prices = _priced(self._in_force(variant["prices"]))
                return [(name, prices[name]) for name in _BATCHED if name in prices]
        return []


_BATCHED = ("input_mtok", "output_mtok", "cached_input_mtok", "cache_write_mtok")


def _hours(row: Node) -> bool:
    """Whether a price is for some hours of the day only."""
    return "start_time" in (row.get("constraint") or {})


def _priced(prices: Node) -> Node:
    named = {ours: prices[theirs] for theirs, ours in PRICES.items() if theirs in prices}
    usd: Node = {name: str(_base(price)) for name, price in named.items()}
    starts = sorted({tier["start"] for price in named.values() for tier in _tiers(price)})
    long = [{"above_tokens": start} | _at(named, start) for start in starts]
    hours = prices.get("input_audio_hours", prices.get("audio_hours"))
    usd |= {"audio_minute": str(_base(hours) / 60)} if hours is not None else {}
    return usd | ({"long": long} if long else {})


def _at(named: Mapping[str, Any], start: int) -> Node:
    """The prices of a prompt of more than ``start`` tokens."""
    pairs = ((name, [t for t in _tiers(price) if t["start"] <= start]) for name, price in named.items())
    return {name: str(tiers[-1]["price"]) for name, tiers in pairs if tiers}


def _base(price: Any) -> Any:
    return price["base"] if isinstance(price, dict) else price


def _tiers(price: Any) -> list[Node]:
    return sorted(price["tiers"], key=lambda tier: int(tier["start"])) if isinstance(price, dict) else []


# -- matching ---------------------------------------------------------------------------------------------------------

_CLAUSES: dict[str, Callable[[Any, str], bool]] = {
    "ClauseEquals": lambda clause, text: text == clause["equals"],
    "ClauseStartsWith": lambda clause, text: text.startswith(clause["starts_with"]),
    "ClauseEndsWith": lambda clause, text: text.endswith(clause["ends_with"]),
    "ClauseContains": lambda clause, text: clause["contains"] in text,
    "ClauseRegex": lambda clause, text: re.search(clause["regex"], text) is not None,
    "ClauseOr": lambda clause, text: any(_matches(inner, text) for inner in clause["or_"]),
    "ClauseAnd": lambda clause, text: all(_matches(inner, text) for inner in clause["and_"]),
}


def _matches(clause: Node, text: str) -> bool:
    return _CLAUSES[clause["type"]](clause, text)


# -- the module's syntax as plain values ------------------------------------------------------------------------------


def _value(node: ast.expr) -> Any:
    return _READ.get(type(node), _unread)(node)


def _unread(node: Any) -> Any:
    return ast.unparse(node)


def _call(node: ast.Call) -> Any:
    """``Decimal`` and ``date`` as themselves; any other constructor as a dictionary of its keywords."""
    name = ast.unparse(node.func)
    if name == "Decimal":
        return Decimal(_value(node.args[0]))
    if name == "datetime.date":
        return date(*map(_value, node.args))
    return {"type": name} | {word.arg: _value(word.value) for word in node.keywords if word.arg}


_READ: dict[type, Callable[[Any], Any]] = {
    ast.Constant: lambda node: node.value,
    ast.List: lambda node: [_value(item) for item in node.elts],
    ast.Dict: lambda node: {_value(k): _value(v) for k, v in zip(node.keys, node.values, strict=True)},
    ast.Call: _call,
}
