"""The words that a value was read from. What cannot be read from words of the input is listed, whatever found it."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from .measure import (
    UNIT,
    clock,
    converted,
    iso_date,
    iso_datetime,
    iso_time,
    json_number,
    numbers,
    plain,
    unit_after,
    unit_of,
)
from .mention import CURRENCY, Mention
from .offer import Offer, reads
from .scene import Scene
from .schema import kind_of, settled
from .slot import Slot
from .summary import readable

Path = tuple[str, ...]


@dataclass(frozen=True)
class Proof:
    """The words of the input, ``quote``, from which the value of ``slot`` was read."""

    slot: Slot
    quote: str

    def shows(self, value: Any) -> bool:
        """Whether ``value`` can be read from the quote. The only value that a schema allows needs no words."""
        schema = self._item.schema
        if only := settled(schema):
            return bool(value == only[0])
        if "enum" in schema:
            return value in self._options
        if isinstance(value, bool):
            return reads(value, self._item, self._scene)
        if isinstance(value, str):
            return self._spells(value)
        return isinstance(value, int | float) and value in self._amounts

    def stands_in(self, heard: str) -> bool:
        """Whether the quote is one of an input (:func:`folded`); texts that were put together end at a line."""
        return all(folded(line) in heard for line in self.quote.splitlines())

    def _spells(self, value: str) -> bool:
        """Whether a text stands in the quote, as it is or in the form of a moment, a currency or a number."""
        bare = folded(value)
        return (any(map(str.isalnum, bare)) and any(bare in text for text in self._texts)) or value in self._forms

    @cached_property
    def _item(self) -> Slot:
        """The slot, or that of what it lists, at any depth."""
        schema = self.slot.schema
        while kind_of(schema) == "array":
            items = schema.get("items")
            schema = items if isinstance(items, Mapping) else {}
        return Slot(self.slot.path, schema, True, self.slot.parents)

    @cached_property
    def _scene(self) -> Scene:
        return Scene(self.quote)

    @cached_property
    def _options(self) -> list[Any]:
        return [option for option in self._item.schema["enum"] if reads(option, self._item, self._scene)]

    @cached_property
    def _texts(self) -> tuple[str, str]:
        return folded(self.quote), folded(readable(self.quote))

    @cached_property
    def _forms(self) -> frozenset[str | None]:
        inside = self._scene.mentions
        texts = [text for text in (self.quote, *(one.text for one in inside)) if len(text) < 60]
        written = {form(text) for text in texts for form in _MOMENTS}
        coins = {CURRENCY.get(one.text.lower(), one.unit) for one in inside if one.kind in ("money", "currency")}
        return frozenset(written | coins | {plain(number.value) for number in numbers(self.quote)})

    @cached_property
    def _amounts(self) -> frozenset[int | float]:
        measured = (number for one in self._scene.mentions for number in _amounts(one))
        return frozenset(map(json_number, (*measured, *(number.value for number in numbers(self.quote)))))


_MOMENTS = (iso_date, iso_time, iso_datetime, clock)


def _amounts(mention: Mention) -> list[Fraction]:
    """The number of a mention, as it is and then in each unit of its kind."""
    number, source = mention.value, unit_of(mention.unit)
    if not isinstance(number, Fraction):
        return []
    return [number, *(converted(number, source, to) for to in UNIT.values() if source and to.kind == source.kind)]


def folded(text: str) -> str:
    """A text without differences of width, case and blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def proven(slot: Slot, offer: Offer, scene: Scene) -> Proof:
    """The proof of what a text gives a slot: its stretch with the unit behind it, else the sentence that it ends in."""
    if offer.start == offer.end:
        sentence = next((one for one in scene.sentences if one.start <= offer.end <= one.end), None)
        return Proof(slot, sentence.text if sentence and offer.end else scene.text)
    measure = unit_after(scene.text, offer.end)
    end = scene.text.index(measure[0], offer.end) + len(measure[0]) if measure else offer.end
    return Proof(slot, scene.text[offer.start : end])


@dataclass(frozen=True)
class Held:
    """A value of an answer, the paths in it that are ``declared``, and the ``proofs`` of what stands under others."""

    value: Any
    declared: Sequence[str] = ()
    proofs: Mapping[Path, Proof] = field(default_factory=dict)

    def listed(self, prompt: str) -> list[str]:
        """The paths that no words of ``prompt`` show to be true: those declared, and each leaf without a proof."""
        heard = folded(prompt)
        proofs = {path: proof for path, proof in self.proofs.items() if proof.stands_in(heard)}
        nodes = dict(_nodes(self.value, ()))
        there = {".".join(path) for path in nodes}
        declared = dict.fromkeys(path for path in self.declared if path in there)
        left = [(at, value) for at, value in nodes.items() if at and _is_leaf(value) and not _is_within(at, declared)]
        return [*declared, *(".".join(at) for at, value in left if not _is_shown(at, value, proofs))]


def _is_leaf(value: Any) -> bool:
    return not (value and isinstance(value, Mapping | list))


def _is_within(path: Path, declared: Collection[str]) -> bool:
    return any(".".join(whole) in declared for whole in _wholes(path))


def _is_shown(path: Path, value: Any, proofs: Mapping[Path, Proof]) -> bool:
    proof = next((proofs[whole] for whole in _wholes(path) if whole in proofs), None)
    return proof is not None and proof.shows(value)


def _wholes(path: Path) -> list[Path]:
    """A path and all that it lies in, nearest first."""
    return [path[:size] for size in range(len(path), -1, -1)]


def _nodes(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """All that a value holds, with its path, from the whole down to the leaves."""
    yield path, value
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inside:
        yield from _nodes(one, (*path, str(name)))
