"""The words that a value was read from. What cannot be read from words of the input is listed, whatever found it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import chain
from typing import Any

from .excerpt import MOST, Heard, Place, folded, pieces
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
    """The ``words`` of the input from which the value of ``slot`` was read, and their ``place`` in a text."""

    slot: Slot
    words: str
    place: Place | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the schema allows only one value, which needs no words."""
        return bool(settled(self._item.schema))

    def shows(self, value: Any) -> bool:
        """Whether ``value`` can be read from the words."""
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

    def stands_in(self, heard: Heard) -> bool:
        """Whether the words are those of an input; texts that were put together end at a line."""
        return all(line in heard for line in self.words.splitlines())

    def quote(self, value: Any, heard: Heard, *, briefly: bool) -> str:
        """A piece of the input that shows ``value``: its words, unless ``briefly`` with those around them. Of words
        that are too long the first piece of them that does, else what is nearest to their place, else their
        beginning."""
        around = self.place.excerpt(heard) if self.place and not briefly else ""
        if around and self.words in around and around in heard:
            return around
        short = [self._of(around), self] if around else [self]
        tried = (one for one in chain(short, self._pieces) if len(one.words) <= MOST)
        shown = next((one.words for one in tried if one.shows(value) and one.words in heard), around)
        return shown or heard.beginning(self.words)

    def _spells(self, value: str) -> bool:
        """Whether a text stands in the words, as it is or in the form of a moment, a currency or a number."""
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

    def _of(self, words: str) -> Proof:
        return Proof(self.slot, words)

    @cached_property
    def _pieces(self) -> Sequence[Proof]:
        return [self._of(one) for one in pieces(self.words)]

    @cached_property
    def _scene(self) -> Scene:
        return Scene(self.words)

    @cached_property
    def _options(self) -> list[Any]:
        return [option for option in self._item.schema["enum"] if reads(option, self._item, self._scene)]

    @cached_property
    def _texts(self) -> tuple[str, str]:
        return folded(self.words), folded(readable(self.words))

    @cached_property
    def _forms(self) -> frozenset[str | None]:
        inside = self._scene.mentions
        texts = [text for text in (self.words, *(one.text for one in inside)) if len(text) < 60]
        written = {form(text) for text in texts for form in _MOMENTS}
        coins = {CURRENCY.get(one.text.lower(), one.unit) for one in inside if one.kind in ("money", "currency")}
        return frozenset(written | coins | {plain(number.value) for number in numbers(self.words)})

    @cached_property
    def _amounts(self) -> frozenset[int | float]:
        measured = (number for one in self._scene.mentions for number in _amounts(one))
        return frozenset(map(json_number, (*measured, *(number.value for number in numbers(self.words)))))


_MOMENTS = (iso_date, iso_time, iso_datetime, clock)


def _amounts(mention: Mention) -> list[Fraction]:
    """The number of a mention, as it is and then in each unit of its kind."""
    number, source = mention.value, unit_of(mention.unit)
    if not isinstance(number, Fraction):
        return []
    return [number, *(converted(number, source, to) for to in UNIT.values() if source and to.kind == source.kind)]


def proven(slot: Slot, offer: Offer, scene: Scene) -> Proof:
    """The proof of what a text gives a slot: its stretch with the unit behind it, else the sentence that it ends in."""
    if offer.start == offer.end:
        sentence = next((one for one in scene.sentences if one.start <= offer.end <= one.end), None)
        point = Place(scene, offer.end, offer.end)
        return Proof(slot, sentence.text, point) if sentence and offer.end else Proof(slot, scene.text)
    measure = unit_after(scene.text, offer.end)
    end = scene.text.index(measure[0], offer.end) + len(measure[0]) if measure else offer.end
    return Proof(slot, scene.text[offer.start : end], Place(scene, offer.start, end))


@dataclass(frozen=True)
class Verdict:
    """What is said of the values of an answer, by their dotted paths: those that nothing shows are ``listed``, for the
    others ``quotes`` has words of the input; one for a whole list or object where it is that of all its values."""

    listed: Sequence[str]
    quotes: Mapping[str, str]


@dataclass(frozen=True)
class Held:
    """A value of an answer, the paths in it that are ``declared``, and the ``proofs`` of what stands under others."""

    value: Any
    declared: Sequence[str] = ()
    proofs: Mapping[Path, Proof] = field(default_factory=dict)

    def judged(self, heard: Heard) -> Verdict:
        """Every value is listed or quoted, but those that alone are allowed. Listed are the declared paths, and each
        leaf without a proof that stands in the input and shows it."""
        proofs = {path: proof for path, proof in self.proofs.items() if proof.stands_in(heard)}
        nodes = dict(_nodes(self.value, ()))
        there = {_dotted(path) for path in nodes}
        declared = dict.fromkeys(path for path in self.declared if path in there)
        left = [(at, value) for at, value in nodes.items() if at and _is_leaf(value) and not _is_within(at, declared)]
        shown = {at: (value, whole) for at, value in left if (whole := _shown_by(at, value, proofs)) is not None}
        listed = dict.fromkeys([*declared, *(_dotted(at) for at, _ in left if at not in shown)])
        quotes: dict[Path, dict[Path, str]] = {}
        for number, (at, (value, whole)) in enumerate(shown.items()):
            if not (proofs[whole].is_settled or _is_within(at, listed)):
                words = proofs[whole].quote(value, heard, briefly=number >= _MANY)
                quotes.setdefault(whole, {})[at] = words
        leaves = [at for at, value in nodes.items() if _is_leaf(value)]
        together = {at: words for whole, inside in quotes.items() for at, words in _together(whole, inside, leaves)}
        return Verdict([*listed], {_dotted(at): words for at, words in together.items()})


_MANY = 200
"""So many values have quotes with what is around them; an answer with more is no longer checked one by one."""


def _together(whole: Path, quotes: Mapping[Path, str], leaves: Sequence[Path]) -> Iterable[tuple[Path, str]]:
    """The quotes of what one proof shows; a single one where it is that of all that the whole holds."""
    words = [*dict.fromkeys(quotes.values())]
    if whole in quotes or len(words) > 1 or any(leaf[: len(whole)] == whole and leaf not in quotes for leaf in leaves):
        return quotes.items()
    return [(whole, words[0])]


def _is_leaf(value: Any) -> bool:
    return not (value and isinstance(value, Mapping | list))


def _is_within(path: Path, listed: Collection[str]) -> bool:
    return any(_dotted(whole) in listed for whole in _wholes(path))


def _shown_by(path: Path, value: Any, proofs: Mapping[Path, Proof]) -> Path | None:
    """The place of the proof that shows a leaf: its own, or that of the nearest whole around it that has one."""
    whole = next((one for one in _wholes(path) if one in proofs), None)
    return whole if whole is not None and proofs[whole].shows(value) else None


def _wholes(path: Path) -> list[Path]:
    """A path and all that it lies in, nearest first."""
    return [path[:size] for size in range(len(path), -1, -1)]


def _dotted(path: Path) -> str:
    return ".".join(path)


def _nodes(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """All that a value holds, with its path, from the whole down to the leaves."""
    yield path, value
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inside:
        yield from _nodes(one, (*path, str(name)))
