"""Candidates for one slot: values in a text with how well each fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import polarity, summary
from .candidate import Candidate, field_fits
from .concept import related
from .mention import CURRENCY, Mention
from .option import options
from .phrase import PHRASES, without_article
from .quantity import quantities
from .role import Role
from .scene import MARKERS, Scene
from .slot import Slot
from .table import words
from .tie import cue, strength
from .when import iso_date, iso_datetime, iso_time
from .word import name_words, stem


def candidates(slot: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    """What could fill ``slot``. With ``free_text`` whole phrases of a request count too, not only typed mentions."""
    if "const" in slot.schema:
        return [Candidate(slot.schema["const"], 1.0, 0, 0)]
    if "enum" in slot.schema:
        return [*options(slot, scene)]
    finder = _FINDERS.get(slot.kind)
    return [*finder(slot, scene, free_text)] if finder else []


def _booleans(slot: Slot, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for value, fit, start, end in field_fits(slot, scene):
        low = value.strip().lower()
        if low in _TRUE or low in _FALSE:
            yield Candidate(low in _TRUE, fit, start, end)
    inverse = bool(_WITHOUT & set(name_words(slot.name)))
    words = slot.words - _AUXILIARY - {stem(word) for word in _WITHOUT}
    said = polarity.yes_or_no(scene, words) if words else None
    if said:
        yield Candidate(said[0] != inverse, 0.6 + 0.2 * said[1], said[2], said[2])


_TRUE = frozenset(words("yes true y on 是 有 需要 对"))
_FALSE = frozenset(words("no false n off none 否 无 没有 不需要 不"))
_WITHOUT = frozenset(words("free no non not without"))
_AUXILIARY = frozenset(
    map(
        stem,
        words(
            """
    is has have should include including allow with need needs require required can use in do available
    """
        ),
    )
)


def _strings(slot: Slot, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for value, fit, start, end in field_fits(slot, scene):
        yield from _shaped(slot, value, fit, start, end)
    for role, sure in slot.roles:
        yield from _by_role(slot, role, sure, scene, free_text)
    yield from _called(slot, scene)
    yield from _named_by_cue(slot, scene, free_text)
    if slot.words & _SUMMARY and not free_text:
        yield Candidate(summary.short(scene.text), 0.5, 0, 0)
    if free_text:
        yield from _loose(slot, scene)


def _shaped(slot: Slot, value: str, fit: float, start: int, end: int) -> Iterable[Candidate]:
    """``value`` in the form that the slot's schema asks for."""
    shaped = _SHAPES.get(str(slot.schema.get("format")), _as_is)(value)
    if shaped is not None and slot.wants_iso and slot.schema.get("format") is None:
        shaped = iso_date(value) or shaped
    if shaped:
        yield Candidate(shaped, fit, start, end)


def _as_is(value: str) -> str | None:
    return value.strip().rstrip(".,;，。；").strip() or None


_SHAPES: dict[str, Callable[[str], str | None]] = {"date": iso_date, "time": iso_time, "date-time": iso_datetime}


def _by_role(slot: Slot, role: Role, sure: float, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for rank, kind in enumerate(role.kinds):
        base = (0.7 - 0.08 * rank) * min(1.0, sure)
        if kind in PHRASES:
            yield from PHRASES[kind](slot, role, base, scene, free_text)
            continue
        for mention in scene.mentions:
            if mention.kind == kind or (role.name == kind == "code" and _is_acronym(mention)):
                fit = strength(slot, role, base, scene, mention)
                start = mention.end if kind == "money" else mention.start
                text, at, end = (
                    _name_part(slot, _text_of(slot, mention), start, mention.end)
                    if kind == "name"
                    else (_text_of(slot, mention), start, mention.end)
                )
                yield from _shaped(slot, text, min(0.99, fit), at, end)


def _is_acronym(mention: Mention) -> bool:
    return mention.kind == "name" and mention.text.isupper() and mention.text.isalpha() and len(mention.text) > 1


_GIVEN_NAME = frozenset({"first", "given", "forename"})
_FAMILY_NAME = frozenset({"last", "family", "surname", "lastname"})


def _name_part(slot: Slot, text: str, start: int, end: int) -> tuple[str, int, int]:
    """The given or the family name where the slot asks for a part of a full name."""
    words = set(name_words(slot.name))
    first, _, rest = text.partition(" ")
    if words & _GIVEN_NAME or "firstname" in words:
        return first, start, start + len(first)
    if words & _FAMILY_NAME and rest:
        return rest, end - len(rest), end
    return text, start, end


def _text_of(slot: Slot, mention: Mention) -> str:
    if mention.kind in ("currency", "money") and any(role.name == "currency" for role, _ in slot.roles):
        return mention.unit or CURRENCY.get(mention.text.lower(), mention.text)
    return mention.value if isinstance(mention.value, str) else mention.text


def _named_by_cue(slot: Slot, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    """'Italian cuisine', 'the cuisine is Italian', 'brand Acme': the word beside the slot's own word."""
    for at, token in enumerate(scene.tokens):
        own = stem(token.low) in slot.words
        if len(slot.words) > 3 or not (
            own or (not free_text and any(related(stem(token.low), word) for word in slot.words))
        ):
            continue
        following = scene.tokens[at + 1 : at + 2]
        if own and following and following[0].low in ("is", "was", "of", ":", "=", "named", "called"):
            yield from _until_phrase_end(slot, scene, following[0].end, 0.72)
        elif following and (mention := _mention_at(scene, following[0].start)):
            yield from _shaped(slot, str(mention.text).strip("\"'"), 0.7 if own else 0.52, mention.start, mention.end)
        elif own and at and (mention := _mention_at(scene, scene.tokens[at - 1].start)):
            yield from _shaped(slot, str(mention.text), 0.66, mention.start, mention.end)
        elif not own and following and following[0].low not in MARKERS:
            yield from _until_phrase_end(slot, scene, token.end, 0.52)


def _called(slot: Slot, scene: Scene) -> Iterable[Candidate]:
    """A name is what stands in quotes after 'named' and its kin; a gloss behind it in brackets is none."""
    if _NAMES & set(name_words(slot.name)):
        for mention in scene.mentions:
            if mention.kind == "quoted" and scene.marker(mention.start) in _NAMING:
                yield from _shaped(slot, str(mention.value), 0.97, mention.start, mention.end)


_NAMES = frozenset(words("name title 名称 名字 标题"))
_NAMING = frozenset(words("named called titled name title 叫 名为"))


def _mention_at(scene: Scene, start: int) -> Mention | None:
    return next(
        (m for m in scene.mentions if m.start <= start < m.end and m.kind in ("code", "name", "quoted", "number")), None
    )


def _until_phrase_end(slot: Slot, scene: Scene, start: int, fit: float) -> Iterable[Candidate]:
    for phrase in scene.phrases:
        if phrase.end > start:
            text = without_article(scene.text[max(start, phrase.start) : phrase.end].strip())
            if 0 < len(text.split()) <= 6:
                yield from _shaped(slot, text, fit, phrase.end - len(text), phrase.end)
            return


def _loose(slot: Slot, scene: Scene) -> Iterable[Candidate]:
    """For requests only: a quoted text, a name, or a marked phrase, with low confidence."""
    kinds = {kind for role, _ in slot.roles for kind in role.kinds}
    wide = any(role.name in ("query", "title", "message") for role, _ in slot.roles[:1])
    for mention in scene.mentions:
        fit = _LOOSE.get(mention.kind)
        if fit and not (wide and mention.kind != "quoted") and (not kinds or mention.kind in kinds):
            yield from _shaped(
                slot,
                str(mention.value),
                fit + cue(slot, scene, mention.start, mention.end),
                mention.start,
                mention.end,
            )


_SUMMARY = frozenset(map(stem, words("summary abstract gist overview synopsis 摘要 总结 概要")))
_LOOSE = {"quoted": 0.55, "name": 0.52, "code": 0.5}


def _any(slot: Slot, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for value, fit, start, end in field_fits(slot, scene):
        yield Candidate(value, fit, start, end)


_FINDERS: dict[str, Callable[[Slot, Scene, bool], Iterable[Candidate]]] = {
    "number": quantities,
    "integer": quantities,
    "boolean": _booleans,
    "string": _strings,
    "any": _any,
}
