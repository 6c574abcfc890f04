"""Lists in a text: what stands after a label, between commas, on lines of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from .candidate import Candidate
from .concept import related
from .find import candidates
from .number import json_number
from .scene import Scene
from .slot import Slot
from .table import words
from .valid import valid
from .verb import VERB_STEMS
from .word import stem

_SEPARATOR = re.compile(r"\s*(?:,\s*(?:and|or|plus)\s+|[,;、，；]\s*|\s+(?:and|or|plus|&)\s+|和|以及|及|与|还有)\s*")
_LINE = re.compile(r"^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+(.+)$", re.MULTILINE)
_CUES = frozenset(
    words(
        """
    are is include includes including : such as like of with 有 是 包括 ： following for contain contains
    need needs use uses
    """
    )
)


def listed(slot: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    """Candidates for an array of scalars."""
    items = slot.schema.get("items")
    item = Slot(
        slot.path,
        {**items, "description": slot.description} if isinstance(items, Mapping) else {"type": "string"},
        True,
        slot.parents,
    )
    found = _by_field(slot, item, scene)
    found += _typed(slot, item, scene, free_text)
    if item.kind == "string" and "enum" not in item.schema:
        found += _coordinated(slot, item, scene, free_text)
    return found


def _by_field(slot: Slot, item: Slot, scene: Scene) -> list[Candidate]:
    found = []
    for field in scene.fields:
        if slot.words and slot.words & field.key:
            values = _shape(item, split_items(field.value))
            if values:
                found.append(Candidate(values, 1.0, field.start, field.end))
    return found


def _typed(slot: Slot, item: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    """All values of the item's own kind: every number, every e-mail address, every matching option."""
    if item.kind == "string" and "enum" not in item.schema and item.roles and item.roles[0][0].name in _WRITTEN_OUT:
        return []
    if item.kind in ("number", "integer"):
        return _all_numbers(slot, item, scene, free_text)
    offers = [c for c in candidates(item, scene, free_text) if c.fit >= 0.55 and valid(c.value, item.schema)]
    if not offers:
        return []
    chosen: list[Candidate] = []
    for offer in sorted(offers, key=lambda c: (-c.fit, c.start)):
        apart = all(
            offer.end <= other.start or other.end <= offer.start or offer.start == offer.end for other in chosen
        )
        if (
            apart and offer.value not in [other.value for other in chosen] and offer.fit >= chosen[0].fit - 0.3
            if chosen
            else True
        ):
            chosen.append(offer)
    chosen.sort(key=lambda c: c.start)
    fit = min(_TYPED, max(c.fit for c in chosen))
    return [Candidate([c.value for c in chosen], fit, chosen[0].start, chosen[-1].end)]


_TYPED = 0.7
"""At most, for values of one kind from all over the text: a list that stands behind the field's name is surer."""


_WRITTEN_OUT = frozenset({"product", "title", "query", "message"})


def _all_numbers(slot: Slot, item: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    values = [m for m in scene.mentions if isinstance(m.value, Fraction) and m.kind in ("number", "money", "percent")]
    whole = [m for m in values if item.kind == "number" or m.value.denominator == 1]
    kept = [m for m in whole if valid(json_number(m.value), item.schema)]
    if not kept or not (free_text or _spoken_of(slot, scene)):
        return []
    return [Candidate([json_number(m.value) for m in kept], 0.6, kept[0].start, kept[-1].end)]


def _spoken_of(slot: Slot, scene: Scene) -> bool:
    return any(stem(t.low) in slot.words for t in scene.tokens)


def _coordinated(slot: Slot, item: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    """'flour, sugar and eggs' after a word of the slot or after its label; else the longest list of a request."""
    found = []
    for at, token in enumerate(scene.tokens):
        if any(stem(token.low) == word or related(stem(token.low), word) for word in slot.words):
            found += _following(item, scene, at, 0.75 if stem(token.low) in slot.words else 0.62)
    bullets = [m.group(1).strip().rstrip(".,;") for m in _LINE.finditer(scene.text)]
    if bullets:
        first, last = scene.text.find(bullets[0]), scene.text.rfind(bullets[-1]) + len(bullets[-1])
        found.append(Candidate(_shape(item, bullets), 0.6, first, last))
    return found + _longest(item, scene)


def _following(item: Slot, scene: Scene, at: int, fit: float) -> list[Candidate]:
    following = scene.tokens[at + 1 : at + 2]
    start = scene.tokens[at].end
    while following and following[0].low in _CUES:
        start = following[0].end
        at += 1
        following = scene.tokens[at + 1 : at + 2]
    text = _sentence_rest(scene.text, start)
    values = _shape(item, split_items(text))
    if not values or max(len(value.split()) for value in map(str, values)) > 5:
        return []
    return [Candidate(values, fit + (0.05 if len(values) > 1 else -0.1), start, start + len(text))]


def _sentence_rest(text: str, start: int) -> str:
    end = re.compile(r"[.!?。！？\n](?=\s|$)|[。！？\n]").search(text, start)
    return text[start : end.start() if end else len(text)]


def _longest(item: Slot, scene: Scene) -> list[Candidate]:
    """The longest written list of a sentence: its items end the sentence part, the first is cut off its verb."""
    best: list[str] = []
    place = 0
    for match in _PART.finditer(scene.text):
        parts = _run(split_items(match.group()))
        if len(parts) > max(1, len(best)):
            best, place = parts, match.start()
    values = _shape(item, best)
    return [Candidate(values, 0.34 + 0.1 * (len(values) > 2), place, place + 1)] if len(values) > 1 else []


_PART = re.compile(r"[^.!?:;\n。！？：]+")


def _run(parts: list[str]) -> list[str]:
    """The items at the end that look alike: short, and after the first one without a number."""
    kept: list[str] = []
    for part in reversed(parts):
        last = _last_words(part)
        if len(last.split()) > 4 or any(letter.isdigit() for letter in last):
            break
        kept.append(last)
        if last != part:
            break
    return kept[::-1]


def _last_words(text: str) -> str:
    """An item without what stands before it: 'please add milk' gives milk."""
    words = text.split()
    verbs = [at for at, word in enumerate(words[:-1]) if stem(word) in VERB_STEMS or word.lower() in _HEADS]
    return " ".join(words[verbs[-1] + 1 :]) if verbs else text


_HEADS = frozenset(
    words(
        """
    for of with to are is include includes need needs like likes between are enjoys loves speaks knows
    has have
    """
    )
)


def split_items(text: str) -> list[str]:
    """The items of a written list, without articles."""
    parts = [re.sub(r"^(?:the|a|an|some|and|or)\s+", "", part.strip(), flags=re.I) for part in _SEPARATOR.split(text)]
    return [part.strip(" .\"'[]()。") for part in parts if part.strip(" .\"'[]()。")]


def _shape(item: Slot, parts: list[str]) -> list[Any]:
    """The parts as valid items of the array; parts that cannot be are left out."""
    if item.kind == "string" and not item.schema.get("format") and "enum" not in item.schema:
        return [part for part in parts if valid(part, item.schema)]
    values = []
    for part in parts:
        offers = [c for c in candidates(item, Scene(part), True) if valid(c.value, item.schema)]
        if offers:
            values.append(max(offers, key=lambda c: c.fit).value)
    return values
