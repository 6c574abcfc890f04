"""Candidates for one slot: values in a text with how well each fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from dataclasses import replace

from . import polarity, summary
from .candidate import GUESS, Candidate, field_fits
from .concept import related, vocabulary
from .mention import CURRENCY, Mention
from .option import options
from .phrase import PHRASES, without_article
from .quantity import quantities
from .role import UNKNOWN, Role
from .said import akin, derived, is_label, possesses, translated
from .scene import Scene
from .slot import Slot
from .table import words
from .tie import cue, strength
from .when import iso_date, iso_datetime, iso_time
from .word import STOP, is_past, name_words, stem


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
        fit = 0.6 + 0.2 * said[1]
        sure = free_text or _is_told(scene, words, said, slot.name)
        yield Candidate(said[0] != inverse, fit if sure else min(fit, GUESS), said[2], said[2])


def _is_told(scene: Scene, words: frozenset[str], said: tuple[bool, float, int, int], name: str) -> bool:
    """Whether a statement speaks of all that a yes or no is about; a question tells nothing."""
    if _QUESTION.match(scene.text, said[3]) or not _affirms(scene, words, said[3], name):
        return False
    return all(
        any(translated(word, own) or derived(word, own) for word in vocabulary(scene.text))
        for own in words - polarity.SWITCH
    )


def _affirms(scene: Scene, words: frozenset[str], end: int, name: str) -> bool:
    """Whether what is said of a thing is that it is there: 'the rash is gone' and 'the lift is old' do not."""
    said = _PREDICATE.match(scene.text, end)
    if not said and not _is_there(scene, end):
        return False
    if not any(_same_form(token.low, word) for token in scene.tokens if token.end == end for word in name_words(name)):
        return False
    return not said or said[1].lower() in _THERE or any(akin(stem(said[1]), word) for word in words)


def _same_form(said: str, own: str) -> bool:
    """Whether a word is that of the name, or not of its language: a transfer does not say that it was transferred."""
    return said.removesuffix("s") == own.removesuffix("s") or said.isascii() != own.isascii() or said == f"un{own}"


def _is_there(scene: Scene, end: int) -> bool:
    """Whether a word opens what is said, is said of something, or is had: 'Wifi', 'is confirmed', 'has a pool'."""
    at = next((at for at, token in enumerate(scene.tokens) if token.end == end), None)
    if at is None or not scene.text[scene.tokens[at].start].isascii():
        return True
    before = [word for word in scene.before(scene.tokens[at].start, 4) if word not in _DETERMINERS]
    if not before or not before[0].isalpha() or before[0] in _HAVING:
        return True
    start = scene.tokens[at].start
    return is_past(scene.tokens[at].low) or any(m.kind == "name" and m.end + 1 == start for m in scene.mentions)


_DETERMINERS = frozenset(words("a an the any own also free private very fully not yet been being"))
_HAVING = frozenset(
    words(
        """
    has have had having with without no not never is are was were be and or but include includes included including
    offers offer plus comes come there i we he she they who already just n't isn't aren't wasn't don't doesn't didn't
    """
    )
)
_PREDICATE = re.compile(
    r"\s+(?:is|are|was|were|has been|have been|did|does|do|has|had|have|can|could|will)"
    r"(?:\s+(?:also|not|never)|n['\u2019]t)*\s+([a-z]+)",
    re.IGNORECASE,
)
_THERE = frozenset(words("available included present provided there on enabled possible allowed confirmed offered yes"))
_QUESTION = re.compile(r"[^.!;\n。！；]*[?？]")
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
        value = _CLAUSE.split(value)[0] if not slot.roles or any("name" in r.kinds for r, _ in slot.roles) else value
        yield from _shaped(slot, value, fit, start, min(end, start + len(value)))
    for role, sure in slot.roles:
        yield from _by_role(slot, role, sure, scene, free_text)
    if not slot.roles and not free_text:
        yield from (replace(c, fit=_FAINT) for c in _by_role(slot, UNKNOWN, 1.0, scene, False))
    yield from _called(slot, scene)
    yield from _named_by_cue(slot, scene)
    if slot.words & _SUMMARY and not free_text:
        yield Candidate(summary.short(scene.text), 0.5, 0, 0)
    if free_text:
        yield from _loose(slot, scene)


_FAINT = 0.2
"""Too little to be a guess: such a value is taken only on evidence."""
_CLAUSE = re.compile(r"，|,\s(?=\d)")
"""What ends a name behind a label."""


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
            if mention.kind == kind or (role.name == kind == "code" and _is_acronym(scene, mention)):
                fit = strength(slot, role, base, scene, mention)
                start = mention.end if kind == "money" else mention.start
                text, at, end = (
                    _name_part(slot, _text_of(slot, mention), start, mention.end)
                    if kind == "name"
                    else (_text_of(slot, mention), start, mention.end)
                )
                yield from _shaped(slot, text, min(0.99, fit), at, end)


def _is_acronym(scene: Scene, mention: Mention) -> bool:
    """Whether a name is a code of letters; one before a number ('AB 12') is only a part of it."""
    if scene.after(mention.end, 1)[:1] and scene.after(mention.end, 1)[0].isdigit():
        return False
    return mention.kind == "name" and mention.text.isupper() and mention.text.isalpha() and len(mention.text) > 1


_GIVEN_NAME = frozenset({"first", "given", "forename"})
_FAMILY_NAME = frozenset({"last", "family", "surname", "lastname"})


def _name_part(slot: Slot, text: str, start: int, end: int) -> tuple[str, int, int]:
    """The given or the family name where the slot asks for a part of a full name."""
    words = frozenset() if slot.specific else frozenset(name_words(slot.name))
    first, _, rest = text.partition(" ")
    if rest and stem(first) in slot.words and slot.roles[:1] and slot.roles[0][0].name == "person":
        return rest, end - len(rest), end
    if words & _GIVEN_NAME or "firstname" in words:
        return first, start, start + len(first)
    if words & _FAMILY_NAME and rest:
        return rest, end - len(rest), end
    return text, start, end


def _text_of(slot: Slot, mention: Mention) -> str:
    if mention.kind in ("currency", "money") and any(role.name == "currency" for role, _ in slot.roles):
        return mention.unit or CURRENCY.get(mention.text.lower(), mention.text)
    return mention.value if isinstance(mention.value, str) else mention.text


def _named_by_cue(slot: Slot, scene: Scene) -> Iterable[Candidate]:
    """'the cuisine is Italian', 'brand Acme', 'Acme brand': what the field's own word names."""
    kinds = {kind for role, _ in slot.roles for kind in role.kinds} or _NAMED
    person = any(role.name == "person" for role, _ in slot.roles[:1])
    for at, token in enumerate(scene.tokens):
        word = stem(token.low)
        if word not in slot.words:
            if "name" in kinds and any(related(word, own) for own in slot.words) and _is_verb(scene, at):
                yield from _object(slot, scene, token.end)
            continue
        for text, fit, start, end in _beside(scene, at, kinds):
            if person and text.lower().startswith(f"{token.low} "):
                text, start = text[len(token.low) + 1 :], start + len(token.low) + 1
            yield from _shaped(slot, text, fit, start, end)


def _is_verb(scene: Scene, at: int) -> bool:
    """Whether a word is surely a verb: it is in the past, or somebody's name stands before its -s."""
    low, start = scene.tokens[at].low, scene.tokens[at].start
    return is_past(low) or (low.endswith("s") and any(m.kind == "name" and m.end == start - 1 for m in scene.mentions))


def _object(slot: Slot, scene: Scene, start: int) -> Iterable[Candidate]:
    """What something was done to, by a verb of the field: 'quinine' in 'prescribed quinine' for a medicine."""
    for text, fit, at, end in _until_phrase_end(scene, start, 0.52):
        if text[:1].isalpha() and text.split()[0].lower() not in STOP:
            yield from _shaped(slot, text, fit, at, end)


def _beside(scene: Scene, at: int, kinds: Container[str]) -> Iterable[tuple[str, float, int, int]]:
    """What the word at a place of the text names: what follows it, or the name before it."""
    following = scene.tokens[at + 1].low if at + 1 < len(scene.tokens) else ""
    start = scene.tokens[at + 1].end + 1 if following else 0
    if following in _SAYS or (following == "of" and scene.text[start : start + 1].isupper()):
        yield from _until_phrase_end(scene, scene.tokens[at + 1].end, 0.72)
    elif following and (mention := _mention_at(scene, scene.tokens[at + 1].start, kinds)):
        yield _written(mention), 0.7, mention.start, mention.end
    elif (
        at and (mention := _mention_at(scene, scene.tokens[at - 1].start, kinds)) and not possesses(scene, mention.end)
    ):
        yield _written(mention), 0.66, mention.start, mention.end


_SAYS = frozenset(words("is was : = named called"))


def _written(mention: Mention) -> str:
    return str(mention.value) if mention.kind in ("code", "quoted") else mention.text


def _called(slot: Slot, scene: Scene) -> Iterable[Candidate]:
    """A name is what stands in quotes after 'named' and its kin; a gloss behind it in brackets is none."""
    if _NAMES & set(name_words(slot.name)):
        for mention in scene.mentions:
            if mention.kind == "quoted" and scene.marker(mention.start) in _NAMING:
                yield from _shaped(slot, str(mention.value), 0.97, mention.start, mention.end)


_NAMES = frozenset(words("name title 名称 名字 标题"))
_NAMING = frozenset(words("named called titled name title 叫 名为"))


_NAMED = frozenset(words("code name quoted number"))


def _mention_at(scene: Scene, start: int, kinds: Container[str]) -> Mention | None:
    here = (m for m in scene.mentions if m.start <= start < m.end and m.kind in kinds and m.kind in _NAMED)
    return next((m for m in here if m.kind != "number" or is_label(scene, m)), None)


def _until_phrase_end(scene: Scene, start: int, fit: float) -> Iterable[tuple[str, float, int, int]]:
    for phrase in scene.phrases:
        if phrase.end > start:
            text = without_article(scene.text[max(start, phrase.start) : phrase.end].strip())
            if 0 < len(text.split()) <= 6:
                yield text, fit, phrase.end - len(text), phrase.end
            return


def _loose(slot: Slot, scene: Scene) -> Iterable[Candidate]:
    """For requests only: a quoted text, a name, or a marked phrase, with low confidence."""
    kinds = {kind for role, _ in slot.roles for kind in role.kinds}
    wide = any(role.name in ("query", "title", "message") for role, _ in slot.roles[:1])
    for mention in scene.mentions:
        fit = None if kinds and slot.specific and mention.kind == "name" else _LOOSE.get(mention.kind)
        if fit and not (wide and mention.kind != "quoted") and (not kinds or mention.kind in kinds):
            yield from _shaped(
                slot,
                str(mention.value),
                fit + cue(slot, scene, mention.start, mention.end),
                mention.start,
                mention.end,
            )


_SUMMARY = frozenset(map(stem, words("summary abstract gist overview synopsis 摘要 总结 概要")))
_LOOSE = {"quoted": 0.55, "name": GUESS, "code": GUESS}


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
