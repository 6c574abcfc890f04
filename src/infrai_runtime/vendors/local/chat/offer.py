"""What a text offers a slot: every stretch of a kind that the slot takes, with how well it fits.

An offer is no answer: whether the text means it, or may mean it, is for ``evidence`` to show. Among offers that are
shown alike the fit decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from . import polarity
from .concept import related
from .measure import Unit, clock, converted, is_either_half, iso_date, iso_datetime, iso_time, json_number, unit_of
from .mention import CURRENCY, Mention
from .phrase import PHRASES
from .scene import MARKERS, Field, Scene
from .schema import settled
from .slot import INTRODUCES, KIND, Slot
from .word import STOP, name_words, stem, stems, tokens, words


@dataclass(frozen=True)
class Offer:
    """A value for a slot, its stretch of the text, and how well it fits (0..1). What is concluded from the whole text
    has no stretch of its own."""

    value: Any
    start: int
    end: int
    fit: float

    @property
    def is_number(self) -> bool:
        """Whether it is a number, and no yes or no."""
        return isinstance(self.value, int | float) and not isinstance(self.value, bool)

    def overlaps(self, other: Offer) -> bool:
        """Whether both use a stretch of the text."""
        return self.start < other.end and other.start < self.end


def offers(slot: Slot, scene: Scene, command: bool) -> Iterator[Offer]:
    """What ``scene`` offers a slot of one value. A ``command`` also offers phrases and figures that nothing names."""
    if only := settled(slot.schema):
        yield Offer(only[0], 0, 0, 1.0)
    elif "enum" in slot.schema:
        yield from (found for option in slot.schema["enum"] for found in _option(slot, option, scene))
    elif slot.kind in _OFFERS:
        yield from _OFFERS[slot.kind](slot, scene, command)


def reads(value: Any, slot: Slot, scene: Scene) -> bool:
    """Whether a few words, which may be just those of the value, say an option or answer yes or no."""
    if isinstance(value, bool) and scene.text.strip().lower() in (_TRUE if value else _FALSE):
        return True
    if isinstance(value, str) and any(said_option(value, scene)):
        return True
    return any(one.value == value for command in (False, True) for one in offers(slot, scene, command))


# -- labels


def labels(slot: Slot, scene: Scene) -> list[Field]:
    """The labels of the text that name the slot, neither less nor more."""
    place = (slot.parents, slot.path)
    if place not in scene.named:
        scene.named[place] = [field for field in scene.fields if _is_label(slot, field)]
    return scene.named[place]


PLAIN = stems("at on in by to until till from since for around be been will full exact our your my now total")
PLAIN |= stems("overall it its please")
"""What a name may also hold without telling more."""


def _is_label(slot: Slot, field: Field) -> bool:
    around = parent_words(slot)
    if not field.key & (slot.words | around):
        return len(field.key) == 1 and _means(slot, *field.key)
    told = slot.words <= field.key or (field.key & slot.words and slot.specific <= field.key | around)
    return bool(told) and field.key <= slot.own | around | KIND | PLAIN


def _means(slot: Slot, label: str) -> bool:
    """Whether a label of one word says no less than the slot's name: its preposition, its translation, its kind."""
    introduced = INTRODUCES.get(label, frozenset())
    if slot.words & introduced and slot.specific <= introduced:
        return True
    same = {word for word in slot.words if related(label, word)}
    return not slot.specific - same and any(label.isascii() != one.isascii() or {label, one} <= KIND for one in same)


def parent_words(slot: Slot) -> frozenset[str]:
    """The stems of the names of the objects around a slot."""
    return frozenset(stem(word) for parent in slot.parents for word in name_words(parent))


def _labelled(slot: Slot, scene: Scene, command: bool) -> Iterator[Offer]:
    named = not slot.roles or any("name" in role.kinds for role, _ in slot.roles)
    for field in scene.fields:
        value = _CLAUSE.split(field.value)[0] if named else field.value
        if _is_label(slot, field):
            yield from shaped(slot, value, field.start, 0.9)


_CLAUSE = re.compile(r"，|,\s(?=\d)|\s\(")
"""What ends a name behind a label."""


# -- texts


def _texts(slot: Slot, scene: Scene, command: bool) -> Iterator[Offer]:
    yield from _labelled(slot, scene, command)
    for rank, role in enumerate(role for role, _ in slot.roles):
        for at, kind in enumerate(role.kinds):
            found = (
                PHRASES[kind](role, scene, command)
                if kind in PHRASES
                else (m for m in scene.mentions if m.kind == kind)
            )
            for mention in found:
                fit = 0.5 - 0.03 * rank - 0.04 * at + side(slot, scene.marker(mention.start))
                yield from _told(slot, mention, fit)
    if not slot.roles:
        loose = (mention for mention in scene.mentions if mention.kind in _LOOSE)
        yield from (offer for mention in loose for offer in _told(slot, mention, 0.4 if command else 0.2))
    elif _NAMES & set(name_words(slot.name)):
        quoted = (m for m in scene.mentions if m.kind == "quoted" and scene.marker(m.start) in NAMING)
        yield from (offer for mention in quoted for offer in _told(slot, mention, 0.9))


_LOOSE = words("name number code handle quoted")
_NAMES = words("name title 名称 名字 标题")
NAMING = words("named called titled name title 叫 名为")


def _told(slot: Slot, mention: Mention, fit: float) -> Iterator[Offer]:
    """A mention as a value of the slot, in the form that it asks for."""
    text, start = mention.value if isinstance(mention.value, str) else mention.text, mention.start
    if mention.kind in ("currency", "money") and any(role.name == "currency" for role, _ in slot.roles):
        text = mention.unit or CURRENCY.get(mention.text.lower(), mention.text)
        start = mention.end if mention.kind == "money" else start
    if mention.kind == "name":
        text, start = _name_part(slot, text, mention)
    yield from shaped(slot, text, start, fit, mention.end)


def _name_part(slot: Slot, text: str, mention: Mention) -> tuple[str, int]:
    """The given or the family name where the slot asks for a part of a full name."""
    asked = set() if slot.specific else set(name_words(slot.name))
    first, _, rest = text.partition(" ")
    if rest and (asked & _FAMILY_NAME or (stem(first) in slot.words and slot.role == "person")):
        return rest, mention.end - len(rest)
    if rest and asked & _GIVEN_NAME:
        return first, mention.start
    return text, mention.end - len(text) if mention.text.endswith(text) else mention.start


_GIVEN_NAME = words("first given forename firstname")
_FAMILY_NAME = words("last family surname lastname")


def shaped(slot: Slot, value: str, start: int, fit: float, end: int = 0) -> Iterator[Offer]:
    """``value`` in the form that the slot's schema asks for."""
    value = value.strip().rstrip(".,;，。；").strip()
    form = str(slot.schema.get("format"))
    made = _FORMS[form](value) if form in _FORMS else (iso_date(value) or value) if slot.wants_iso else value
    if slot.wants_clock and form not in _FORMS and not is_either_half(value):
        made = clock(value) or value
    if made:
        yield Offer(made, start, end or start + len(value), fit)


_FORMS: dict[str, Callable[[str], str | None]] = {"date": iso_date, "time": iso_time, "date-time": iso_datetime}


FROM_WORDS, _TO = stems("from source base origin src start begin"), stems("to target destination dest quote end until")
_TOWARDS, _AWAY = words("to into in until till through 到 成 为 是 至 少 去 往 飞往"), words("from since 从 由")


def side(slot: Slot, marker: str) -> float:
    """'from' speaks for a source and against a target, 'to' and 'in' the other way round."""
    asked = {stem(word) for word in name_words(slot.name)}
    return 0.15 * (bool(asked & _TO) - bool(asked & FROM_WORDS)) * ((marker in _TOWARDS) - (marker in _AWAY))


# -- numbers


def _numbers(slot: Slot, scene: Scene, command: bool) -> Iterator[Offer]:
    for mention in scene.mentions:
        value = _amount(slot, scene, mention) if isinstance(mention.value, Fraction) else None
        if value is not None and not (slot.kind == "integer" and value.denominator != 1):
            yield Offer(json_number(value), mention.start, mention.end, _number_fit(slot, scene, mention, command))


def _amount(slot: Slot, scene: Scene, mention: Mention) -> Fraction | None:
    """A number in the unit that the slot asks for; None for one of another kind."""
    value, source = Fraction(mention.value), unit_of(mention.unit)
    named = any(field.holds(mention.start) for field in labels(slot, scene))
    own = own_unit(slot, source) if source and mention.kind == "number" else None
    if own and source:
        far = max(source.factor, own.factor) > 1000 * min(source.factor, own.factor)
        return None if far else converted(value, source, own)
    after = scene.after(mention.end, 1)
    if named or wants_count(slot) or (after and stem(after[0]) in slot.words):
        return value
    if mention.kind in ("money", "percent"):
        return None if slot.units and mention.kind not in slot.units else value
    counts = counted(after) and after[0] not in CURRENCY
    if slot.units and slot.units <= {"money", "percent"} and counts:
        return None
    other = source and source.kind not in slot.units and (slot.units or slot.specific)
    return None if other else value


def own_unit(slot: Slot, source: Unit) -> Unit | None:
    """The unit that the slot's name or description asks for, of the same kind as ``source``."""
    said = [word for word in (*name_words(slot.name), *tokens(slot.description[:200])) if len(word) > 1]
    said += [word for word in name_words(slot.name)[1:] if len(word) == 1]
    return next((found for word in said if (found := unit_of(word)) and found.kind == source.kind), None)


def in_unit(slot: Slot, mention: Mention) -> bool:
    """Whether a number is measured as the slot asks for: in money, in percent, in a unit of its kind."""
    source = unit_of(mention.unit)
    measured = source is not None and (source.kind in slot.units or own_unit(slot, source) is not None)
    return mention.kind in slot.units or (mention.kind == "number" and measured)


def wants_count(slot: Slot) -> bool:
    """Whether a slot asks for just a count: a quantity."""
    return not slot.specific and any(stem(word) in _COUNTS for word in name_words(slot.name)[-1:])


_COUNTS = stems("qty quantity count number amount limit piece units 数量 个数")


def counted(after: list[str]) -> bool:
    """Whether the words after a number are a thing that it counts."""
    return bool(after) and after[0].isalpha() and after[0] not in STOP | MARKERS


def _number_fit(slot: Slot, scene: Scene, mention: Mention, command: bool) -> float:
    """Most for what stands behind a label of the slot, more for what counts its thing or is in its unit."""
    if any(field.holds(mention.start) for field in labels(slot, scene)):
        return 0.9
    if in_unit(slot, mention):
        return 0.5
    if any(related(stem(word), own) for word in scene.after(mention.end, 2) for own in slot.words | slot.units):
        return 0.5
    return 0.4 if command else 0.3


# -- options, yes or no


def _option(slot: Slot, option: object, scene: Scene) -> Iterator[Offer]:
    """Where a text says an option or means it: by its word, its unit or currency, a mood."""
    if not isinstance(option, str):
        values = (m for m in scene.mentions if isinstance(m.value, Fraction) and not isinstance(option, bool))
        yield from (Offer(option, m.start, m.end, 0.45) for m in values if m.value == option)
        return
    for match in said_option(option, scene):
        paid = next((m for m in scene.mentions if m.kind == "money" and m.start <= match.start() < m.end), None)
        start, end = (paid.end, paid.end) if paid else match.span()
        if len(option) > 1 or slot.words & {stem(word) for word in scene.before(start, 2)}:
            yield Offer(option, start, end, 0.8 + side(slot, scene.marker(paid.start if paid else start)))
    yield from _measure(slot, option, scene)
    if polarity.means(option, scene.text):
        yield Offer(option, 0, 0, 0.45)


def _measure(slot: Slot, option: str, scene: Scene) -> Iterator[Offer]:
    """An option that is the unit or the currency of an amount."""
    measure = unit_of(option.lower())
    for mention in scene.mentions:
        coin = CURRENCY.get(mention.text.lower(), "") if mention.kind == "currency" else mention.unit
        if option.upper() in CURRENCY.values() and coin == option.upper():
            yield Offer(option, mention.end, mention.end, 0.5 + side(slot, scene.marker(mention.start)))
        elif measure and mention.unit and unit_of(mention.unit) == measure:
            yield Offer(option, mention.end, mention.end, 0.5)
    for token in scene.tokens:
        if measure and len(token.low) > 1 and unit_of(token.low) == measure:
            yield Offer(option, token.start, token.end, 0.6)


def said_option(option: str, scene: Scene) -> Iterator[re.Match[str]]:
    """The places where an option is said word for word, maybe in the plural."""
    edge = r"(?<![A-Za-z\d])" if option.isascii() else ""
    body = re.escape(option.replace("_", " ").replace("-", " ").strip()).replace(r"\ ", r"[\s_-]")
    if body:
        yield from re.finditer(f"{edge}{body}(?:s?(?![A-Za-z\\d]))" if edge else body, scene.text, re.IGNORECASE)


def _answers(slot: Slot, scene: Scene, command: bool) -> Iterator[Offer]:
    for field in labels(slot, scene):
        low = field.value.strip().lower()
        if low in _TRUE | _FALSE:
            yield Offer(low in _TRUE, field.start, field.end, 0.9)
    yield from (Offer(value, at, at, 0.8) for value, at in polarity.said_of(slot, scene, command))


_TRUE, _FALSE = words("yes true y on 是 有 需要 对"), words("no false n off none 否 无 没有 不需要 不")
_OFFERS: dict[str, Callable[[Slot, Scene, bool], Iterable[Offer]]] = {
    "number": _numbers,
    "integer": _numbers,
    "boolean": _answers,
    "string": _texts,
    "any": _labelled,
}
