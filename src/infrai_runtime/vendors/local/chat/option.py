"""Which of a field's options a text names or means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

from . import polarity, unit
from .candidate import GUESS, Candidate
from .concept import related, vocabulary
from .mention import CURRENCY, Mention
from .said import beside
from .scene import Scene
from .slot import Slot
from .table import words
from .tie import cue, side
from .word import name_words, stem


def options(slot: Slot, scene: Scene) -> Iterable[Candidate]:
    text = scene.text.lower()
    for option in slot.schema["enum"]:
        found = _found(slot, option, scene, text)
        if found and (money := _in_money(found[1], scene)):
            fit = found[0] if _asks_unit(slot) else GUESS
            yield Candidate(option, fit + side(slot, scene, money.start), money.end, money.end)
        elif found:
            fit = found[0] + side(slot, scene, found[1]) + cue(slot, scene, found[1], found[2])
            yield Candidate(option, min(1.0, fit), found[1], found[2])
        elif isinstance(option, str):
            yield from _meant(slot, option, scene)


def _found(slot: Slot, option: object, scene: Scene, text: str) -> tuple[float, int, int] | None:
    if not isinstance(option, str):
        return _number_option(option, scene)
    return _letter(slot, option, scene) if len(option) == 1 else _option(option.lower(), text)


def _option(option: str, text: str) -> tuple[float, int, int] | None:
    words = option.replace("_", " ").replace("-", " ").strip()
    if not words:
        return None
    edge = r"(?<![a-z0-9])" if words.isascii() else ""
    body = re.escape(words).replace(r"\ ", r"[\s_-]")
    match = re.search(edge + body + (r"(?![a-z0-9])" if edge else ""), text)
    if match and len(words) > 1:
        return 0.85, match.start(), match.end()
    return None


def _letter(slot: Slot, option: str, scene: Scene) -> tuple[float, int, int] | None:
    """An option of one letter or figure, which stands for it only behind the field's own word: 'size M'."""
    for match in re.finditer(rf"(?<![\w-]){re.escape(option)}(?![\w-])", scene.text):
        if beside(slot.words, scene, match.start(), match.end()):
            return 0.85, match.start(), match.end()
    return None


def _in_money(start: int, scene: Scene) -> Mention | None:
    """The amount that an option is the currency of: it uses up none of the text."""
    return next((m for m in scene.mentions if m.kind == "money" and m.start <= start < m.end), None)


def _number_option(option: object, scene: Scene) -> tuple[float, int, int] | None:
    if isinstance(option, bool) or not isinstance(option, int | float):
        return None
    for mention in scene.mentions:
        if isinstance(mention.value, Fraction) and mention.value == Fraction(str(option)):
            return 0.7, mention.start, mention.end
    return None


def _meant(slot: Slot, option: str, scene: Scene) -> Iterable[Candidate]:
    """An option that the text means without its word: by a related word, a unit, a currency, a mood."""
    wanted = {stem(word) for word in name_words(option)} | vocabulary(option)
    measure = unit.named(option.lower())
    sure = 0.75 if _asks_unit(slot) else GUESS
    known = measure or option.upper() in CURRENCY.values()
    for token in scene.tokens:
        base = stem(token.low)
        if base in wanted and len(wanted) <= 2 and len(base) > 2:
            yield Candidate(option, 0.72, token.start, token.end)
        elif measure and len(token.low) > 1 and unit.named(token.low) == measure:
            yield Candidate(option, sure, token.start, token.end)
        elif CURRENCY.get(token.low, "") == option.upper():
            yield Candidate(option, sure + side(slot, scene, token.start), token.start, token.end)
        elif not known and len(base) > 2 and any(related(base, word) for word in wanted if len(word) > 2):
            yield Candidate(option, GUESS, token.start, token.end)
    if measure and any(m.unit and unit.named(m.unit) == measure for m in scene.mentions):
        yield Candidate(option, sure, 0, 0)
    yield from _by_sign(slot, option, scene)
    yield from _by_mood(option, scene)


_UNITS = frozenset(map(stem, words("unit units currency scale measure from to source target into 单位 货币 币种")))


def _asks_unit(slot: Slot) -> bool:
    """Whether a field asks for a unit, as a currency is one: the unit of an amount is nothing else."""
    return bool(slot.words & _UNITS) or any(role.name == "currency" for role, _ in slot.roles)


def _by_sign(slot: Slot, option: str, scene: Scene) -> Iterable[Candidate]:
    for mention in scene.mentions:
        if mention.kind == "money" and mention.unit == option.upper():
            fit = 0.7 if _asks_unit(slot) else GUESS
            yield Candidate(option, fit + side(slot, scene, mention.start), mention.start, mention.start)


_MOODS = {
    "positive": 1,
    "good": 1,
    "happy": 1,
    "negative": -1,
    "bad": -1,
    "unhappy": -1,
    "正面": 1,
    "积极": 1,
    "负面": -1,
    "消极": -1,
}


def _by_mood(option: str, scene: Scene) -> Iterable[Candidate]:
    sign = _MOODS.get(option.lower())
    if sign and polarity.mood(scene.text) * sign > 0:
        yield Candidate(option, 0.6, 0, 0)
