"""Numbers for a field: by its label, its unit, the words of its name, or because nothing else is meant."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from . import unit
from .candidate import Candidate, field_fits
from .concept import related, vocabulary
from .mention import Mention
from .number import json_number, numbers
from .scene import Scene
from .slot import Slot
from .table import words
from .word import STOP, name_words, stem, tokens


def quantities(slot: Slot, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for value, fit, start, end in field_fits(slot, scene):
        found = numbers(value)
        if found and (checked := _checked(slot, found[0].value)) is not None:
            yield Candidate(checked, fit, start, end)
    for mention in scene.mentions:
        if isinstance(mention.value, Fraction):
            yield from _number(slot, scene, mention, free_text)


def _number(slot: Slot, scene: Scene, mention: Mention, free_text: bool) -> Iterable[Candidate]:
    value, fit = _by_unit(slot, mention)
    fit = max(fit, _number_cue(slot, scene, mention)) if fit >= 0 else 0.0
    fit = max(fit, _YEAR_FIT if "year" in slot.words and 1000 <= mention.value <= 2200 and not mention.unit else 0)
    if fit == 0 and mention.kind == "number" and not _foreign(slot, mention):
        fit = 0.55 if free_text else _bare(slot, scene, mention)
    checked = _checked(slot, value)
    if fit > 0 and checked is not None:
        yield Candidate(checked, fit, mention.start, mention.end)


_COUNTS = frozenset(map(stem, words("qty quantity count number amount unit piece 数量 个数")))


def _bare(slot: Slot, scene: Scene, mention: Mention) -> float:
    """A number that stands alone may be meant ('Ana, 34,'); one that counts a noun only fits a quantity."""
    after = scene.after(mention.end, 1)
    counts = bool(after) and after[0].isalpha() and after[0] not in STOP
    if counts or mention.unit:
        return 0.6 if slot.words & _COUNTS else 0.0
    if "age" in slot.words:
        return 0.55 if mention.value <= 120 and _beside_name(scene, mention) else 0.0
    return 0.0 if 1900 <= mention.value <= 2100 and len(mention.text) == 4 else 0.35


def _beside_name(scene: Scene, mention: Mention) -> bool:
    """'Ana, 34,' and 'Ana (34)' and 'Ana is 34' tell an age."""
    before = scene.before(mention.start, 1)
    return bool(before) and before[0] in (",", "，", "(", "（", "is", "turns", "aged")


_YEAR_FIT = 0.85


def _by_unit(slot: Slot, mention: Mention) -> tuple[Fraction, float]:
    """(value in the slot's own unit, fit); the fit is below zero where the mention's unit speaks against the slot."""
    value = Fraction(mention.value)
    if mention.kind in ("money", "percent"):
        return value, 0.85 if mention.kind in slot.units else (-1 if slot.units and mention.kind == "money" else 0)
    source = unit.named(mention.unit)
    if source is None:
        return value, 0.0
    own = _own_unit(slot, source)
    if own and own != source:
        return unit.change(value, source, own), 0.85
    if source.kind in slot.units or own == source:
        return value, 0.9
    if source.kind == "time" and "year" in slot.units:
        return value, -1
    return value, 0.0


def _own_unit(slot: Slot, source: unit.Unit) -> unit.Unit | None:
    """The unit that the slot's name or description asks for, of the same kind as ``source``."""
    words = [*name_words(slot.name), *tokens(slot.description[:200])]
    named = [found for word in words if len(word) > 1 and (found := unit.named(word))]
    return next((found for found in named if found.kind == source.kind), None)


def _number_cue(slot: Slot, scene: Scene, mention: Mention) -> float:
    """How near the words of the slot stand to the number."""
    after = [stem(word) for word in scene.after(mention.end, 3)]
    before = [stem(word) for word in scene.before(mention.start, 4)]
    chinese = scene.text[mention.end : mention.end + 3]
    best = 0.0
    for word in slot.words | slot.units:
        best = max(best, _near(word, after, (0.9, 0.75, 0.6)), _near(word, before, (0.88, 0.85, 0.75, 0.6)))
        if not word.isascii() and chinese.startswith(word):
            best = max(best, 0.9)
    if not best and _hinted(slot, chinese, scene.text[max(0, mention.start - 6) : mention.start]):
        best = 0.7
    if best and "age" in slot.words and after[:1] == ["year"] and "old" not in after[:3]:
        best = 0.5
    return best


def _near(word: str, words: list[str], fits: tuple[float, ...]) -> float:
    for other, fit in zip(words, fits, strict=False):
        if other in (",", "，", "and"):
            return 0.0
        if other == word or related(other, word):
            return fit
    return 0.0


def _hinted(slot: Slot, after: str, before: str) -> bool:
    near = vocabulary(after) | vocabulary(before)
    return any(not word.isascii() and any(related(word, own) for own in slot.words) for word in near)


def _foreign(slot: Slot, mention: Mention) -> bool:
    """Whether the number's unit speaks of something else than the slot."""
    return bool(mention.unit and slot.units and not slot.words & _COUNTS and unit.named(mention.unit))


def _checked(slot: Slot, value: Fraction) -> int | float | None:
    if slot.kind == "integer" and value.denominator != 1:
        return None
    return json_number(value)
