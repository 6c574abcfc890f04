"""Lists in a text: the values behind a label or a word, on lines of their own, and the pieces that may hold records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .offer import Offer, offers
from .scene import Scene
from .schema import valid
from .sentence import sentences
from .slot import Slot
from .word import stem, words

_SEPARATOR = re.compile(r"\s*(?:,\s*(?:and|or|plus)\s+|[,;、，；]\s*|\s+(?:and|or|plus|&)\s+|和|以及|及|与|还有)\s*")
_LINE = re.compile(r"^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+(.+)$", re.MULTILINE)
_ARTICLE = re.compile(r"^(?:the|a|an|some|and|or)\s+", re.IGNORECASE)
_WRITTEN_OUT = words("product title query message")


def listed(slot: Slot, scene: Scene, command: bool) -> Iterator[Offer]:
    """What a text offers a slot of several values of one kind."""
    items = slot.schema.get("items")
    schema = {**items, "description": slot.description} if isinstance(items, Mapping) else {"type": "string"}
    item = Slot(slot.path, schema, True, slot.parents)
    for field in scene.fields:
        if slot.words & field.key and (values := _shape(item, split_items(field.value))):
            yield Offer(values, field.start, field.end, 1.0)
    plain = item.kind == "string" and "enum" not in item.schema
    if plain and (lines := list(_LINE.finditer(scene.text))):
        values = _shape(item, [line[1].strip().rstrip(".,;") for line in lines])
        yield Offer(values, lines[0].start(1), lines[-1].end(1), 0.6)
    if not (plain and item.role in _WRITTEN_OUT):
        yield from _all(slot, item, scene, command)


def _all(slot: Slot, item: Slot, scene: Scene, command: bool) -> Iterator[Offer]:
    """All values of the item's own kind: every number, every e-mail address, every matching option."""
    if item.kind in ("number", "integer") and not command and not any(stem(t.low) in slot.words for t in scene.tokens):
        return
    found: list[Offer] = []
    fitting = [one for one in offers(item, scene, command) if one.fit >= 0.4 and valid(one.value, item.schema)]
    for one in sorted(fitting, key=lambda one: (-one.fit, one.start)):
        apart = not any(one.overlaps(other) or one.value == other.value for other in found)
        if not found or (apart and one.fit >= found[0].fit - 0.3):
            found.append(one)
    found.sort(key=lambda one: one.start)
    if found:
        yield Offer([one.value for one in found], found[0].start, found[-1].end, 0.55)


def split_items(text: str) -> list[str]:
    """The items of a written list, without articles."""
    parts = [_ARTICLE.sub("", part.strip()).strip(" .\"'[]()。") for part in _SEPARATOR.split(text)]
    return [part for part in parts if part]


def _shape(item: Slot, parts: list[str]) -> list[Any]:
    """The parts as valid items of the array; parts that cannot be are left out."""
    if item.kind == "string" and not item.schema.get("format") and "enum" not in item.schema:
        return [part for part in parts if valid(part, item.schema)]
    best = (
        max((o for o in offers(item, Scene(part), True) if valid(o.value, item.schema)), key=_fit, default=None)
        for part in parts
    )
    return [one.value for one in best if one]


def _fit(offer: Offer) -> float:
    return offer.fit


# -- records

_CLAUSE = re.compile(
    r"[;；\n]|[.!?。！？](?=\s|$|[\u3400-\u9fff])|,(?!(?<=\d,)\d)\s*(?:and\s+|while\s+|but\s+|plus\s+)?|，|、"
    r"|\s(?:and|while|plus)\s|和"
)
_BIG_CLAUSE = re.compile(r"[;；\n]|[.!?。！？](?=\s|$|[\u3400-\u9fff])|,?\s(?:and|while|plus|but)\s|,\s+(?=[A-Z])|，")
_MARK = re.compile(r"^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]*", re.MULTILINE)
_MOST = 200


def segmentations(text: str) -> list[list[str]]:
    """The text as blocks, lines, sentences, clauses and finest pieces; those that do not differ are given once."""
    ways = [
        _pieces(re.split(r"\n\s*\n", text)),
        _pieces(_MARK.sub("", line) for line in text.splitlines()),
        [sentence.text for sentence in sentences(text, _MOST)],
        _pieces(_BIG_CLAUSE.split(text)),
        _counted(_pieces(_CLAUSE.split(text))),
        [text],
    ]
    return [way for at, way in enumerate(ways) if way and way not in ways[:at]]


def _counted(pieces: list[str]) -> list[str]:
    """The pieces; the first of several that begin with a count loses what stands before its own: 'I need 3 apples'."""
    counts = [_COUNT.search(piece) for piece in pieces]
    begins = [found is not None and not found.start() for found in counts] + [False]
    cut = [found.start() if found and begins[at + 1] else 0 for at, found in enumerate(counts)]
    return [piece[start:] for piece, start in zip(pieces, cut, strict=True)]


_COUNT = re.compile(r"\b\d{1,4}\s+[a-z]|\d{1,4}[\u3400-\u9fff]")


def _pieces(parts: Iterable[str | None]) -> list[str]:
    return [part.strip() for part in list(parts)[:_MOST] if part and part.strip()]
