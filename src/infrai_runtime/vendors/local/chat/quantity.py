"""Numbers for a field: by its label, its unit, what it counts, or because nothing else is meant.

What stands beside a number may also speak against the field: a unit or a dimension that it does not ask for, another
thing that is counted, a noun whose number it is ('room 12').
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from . import unit
from .candidate import GUESS, Candidate, field_fits
from .mention import CURRENCY, Mention
from .number import json_number, numbers
from .said import akin
from .scene import MARKERS, Scene
from .slot import Slot
from .table import words
from .word import STOP, is_past, name_words, stem, tokens


def quantities(slot: Slot, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for value, fit, start, end in field_fits(slot, scene):
        found = numbers(value)
        if found and (checked := _checked(slot, found[0].value)) is not None:
            opens = {*tokens(value[: found[0].start])} <= _BEFORE_AMOUNT
            yield Candidate(checked, fit if opens else min(fit, GUESS), start, end)
    for mention in scene.mentions:
        if isinstance(mention.value, Fraction):
            yield from _number(slot, scene, mention, free_text)


_BEFORE_AMOUNT = CURRENCY.keys() | frozenset(words("about approx approximately ca circa around us 约 共"))
"""What may stand between a label and its number; anything else is counted or named by itself."""


def _number(slot: Slot, scene: Scene, mention: Mention, command: bool) -> Iterable[Candidate]:
    if _of_another(slot, scene, mention):
        return
    value, fit = _by_unit(slot, scene, mention)
    fit = max(fit, _by_words(slot, scene, mention))
    if fit == 0 and mention.kind == "number":
        fit = _bare(slot, scene, mention, command)
    checked = _checked(slot, value)
    if fit > 0 and checked is not None:
        yield Candidate(checked, fit, mention.start, mention.end)


# -- what speaks against


def _of_another(slot: Slot, scene: Scene, mention: Mention) -> bool:
    """Whether the words beside a number say that it is something else than what the slot asks for."""
    if _counted_by(slot, scene, mention):
        return False
    return _measures_another(slot, scene, mention)


def _counted_by(slot: Slot, scene: Scene, mention: Mention) -> bool:
    """Whether the number counts what the slot is named for: '3 barns'."""
    after = scene.after(mention.end, 1)
    return bool(after) and any(stem(after[0]) == word for word in slot.words)


def _measures_another(slot: Slot, scene: Scene, mention: Mention) -> bool:
    """Whether the unit is not one that the slot asks for; a mere amount may be of anything."""
    if mention.kind in ("money", "percent"):
        return bool(slot.units) and mention.kind not in slot.units and not _wants_count(slot)
    after = scene.after(mention.end, 1)
    if slot.units and slot.units <= _SUMS and _counts(after) and after[0] not in CURRENCY:
        return True
    source = unit.named(mention.unit)
    if source is None or _wants_count(slot):
        return False
    own = own_unit(slot, source)
    if own and max(source.factor, own.factor) > _FAR * min(source.factor, own.factor):
        return True
    return source.kind not in slot.units and own_unit(slot, source) is None and not _open(slot)


_SUMS = frozenset({"money", "percent"})
_FAR = 1000
"""What is asked for in kilograms is not told in milligrams."""


def _open(slot: Slot) -> bool:
    """Whether a field wants just a number."""
    return not slot.units and not slot.specific


def dimension(scene: Scene, mention: Mention) -> str:
    """The dimension that is said of a measure, as its noun: width for '12 m wide' and '宽12米'; else empty."""
    measured = unit.after(scene.text, mention.end)
    if not measured:
        return ""
    after = scene.after(mention.end, 2)[1:]
    return _DIMENSION.get(
        scene.text[mention.start - 1 : mention.start], _DIMENSION.get(stem(after[0]) if after else "", "")
    )


_DIMENSION = {
    stem(word): stem(noun)
    for noun, said in (
        ("length", "long 长"),
        ("width", "wide broad across 宽"),
        ("height", "high tall 高"),
        ("depth", "deep 深"),
        ("thickness", "thick 厚"),
    )
    for word in said.split()
}


# -- what speaks for


_YEAR_FIT = 0.85


def _by_unit(slot: Slot, scene: Scene, mention: Mention) -> tuple[Fraction, float]:
    """(value in the slot's own unit, fit); the fit is zero where the unit is no reason."""
    value = Fraction(mention.value)
    if mention.kind in ("money", "percent"):
        return value, 0.85 if mention.kind in slot.units else 0.0
    if _wants_year(slot) and 1000 <= value <= 2200 and not mention.unit:
        return value, _YEAR_FIT
    source = unit.named(mention.unit)
    own = own_unit(slot, source) if source else None
    if source and own and own != source:
        return unit.change(value, source, own), 0.85
    return value, 0.9 if source and (source.kind in slot.units or own) else 0.0


def _wants_year(slot: Slot) -> bool:
    return "year" in slot.words or any(word.endswith(("年", "年份")) for word in slot.words)


def own_unit(slot: Slot, source: unit.Unit) -> unit.Unit | None:
    """The unit that the slot's name or description asks for, of the same kind as ``source``."""
    words = [*name_words(slot.name), *tokens(slot.description[:200])]
    named = [found for word in words if len(word) > 1 and (found := unit.named(word))]
    short = [found for word in name_words(slot.name)[1:] if len(word) == 1 and (found := unit.named(word))]
    return next((found for found in (*named, *short) if found.kind == source.kind), None)


def _by_words(slot: Slot, scene: Scene, mention: Mention) -> float:
    """How near the words of the slot stand to the number: what it counts, or what is said to be that much."""
    after, before = scene.after(mention.end, 3), scene.before(mention.start, 4)
    chinese = scene.text[mention.end : mention.end + 3]
    counts = bool(after) and after[0].isalpha() and after[0] not in STOP | MARKERS and not is_past(after[0])
    best = 0.0
    for word in slot.words | slot.units | slot.specific:
        best = max(best, _near(word, _until_of(after), (0.9, 0.75, 0.6)))
        if not word.isascii() and (chinese.startswith(word) or _ends(scene.text[: mention.start], word)):
            best = max(best, 0.9)
    for word in (word for word in slot.words if not unit.named(word)):
        best = max(best, _near(word, _linked(before) if counts else before, (0.88, 0.85, 0.75, 0.6)))
    if "age" in slot.words:
        return _age(best, scene, mention)
    return best


def _ends(text: str, word: str) -> bool:
    """Whether a Chinese word stands right before a value: '押金500', '押金是500'."""
    return text[-12:].rstrip("是为约共达：: ").endswith(word)


def _age(fit: float, scene: Scene, mention: Mention) -> float:
    """'34 years' alone is no age; 'aged 34', 'I am 34', 'Ana, 34,' and 'Ana (34)' are."""
    after, before = scene.after(mention.end, 3), scene.before(mention.start, 1)
    if after[:1] in (["years"], ["year"]) and "old" not in after and before[:1] != ["aged"]:
        return 0.0
    if mention.value <= 120 and before and before[0] in _AGED and not _counts(after):
        return max(fit, 0.6)
    return fit


_AGED = frozenset(words(", ， ( （ is am are was turns turned aged 'm"))


def _counts(after: list[str]) -> bool:
    return bool(after) and after[0].isalpha() and after[0] not in STOP | MARKERS


def _until_of(after: list[str]) -> list[str]:
    """What a number counts, without what that is made of: '40 boxes of tiles' counts boxes."""
    return after[: next((at for at, word in enumerate(after) if at and word in STOP | MARKERS), len(after))]


def _linked(before: list[str]) -> list[str]:
    """The words before a number that counts something, as far as only links stand between: 'a capacity of 40 seats'."""
    links = next((at for at, word in enumerate(before) if word not in STOP | MARKERS), len(before))
    return before[: links + 1]


def _near(word: str, words: list[str], fits: tuple[float, ...]) -> float:
    for other, fit in zip(words, fits, strict=False):
        if other in (",", "，", "and"):
            return 0.0
        if akin(stem(other), word):
            return fit
    return 0.0


_COUNTS = frozenset(map(stem, words("qty quantity count number amount limit piece units 数量 个数")))


def _wants_count(slot: Slot) -> bool:
    return not slot.specific and any(stem(word) in _COUNTS for word in name_words(slot.name)[-1:])


def _bare(slot: Slot, scene: Scene, mention: Mention, command: bool) -> float:
    """A number that nothing speaks of is meant in a command; one that counts a thing is a quantity."""
    counts = mention.unit or _counts(scene.after(mention.end, 1))
    if command and (_open(slot) or not counts):
        return 0.55
    if counts:
        return 0.6 if _wants_count(slot) and (command or "money" not in slot.units) else 0.0
    return 0.0 if 1900 <= mention.value <= 2100 and len(mention.text) == 4 else 0.35


def _checked(slot: Slot, value: Fraction) -> int | float | None:
    if slot.kind == "integer" and value.denominator != 1:
        return None
    return json_number(value)
