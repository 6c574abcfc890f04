"""Candidates for one slot: values in a text with how well each fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from . import polarity, summary, unit
from .concept import related, vocabulary
from .mention import CURRENCY, Mention, clock, iso_date
from .number import json_number, numbers
from .role import NUMBER_UNITS, RELATIONS, Role
from .scene import MARKERS, Scene
from .slot import Slot
from .table import words
from .word import STOP, has_cjk, name_words, stem, tokens


@dataclass(frozen=True)
class Candidate:
    """A value for a slot, how well it fits (0..1), and the stretch of text it uses up."""

    value: Any
    fit: float
    start: int
    end: int

    def overlaps(self, other: Candidate) -> bool:
        """Whether both use a stretch of the text."""
        return self.start < other.end and other.start < self.end


def candidates(slot: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    """What could fill ``slot``. With ``free_text`` whole phrases of a request count too, not only typed mentions."""
    if "const" in slot.schema:
        return [Candidate(slot.schema["const"], 1.0, 0, 0)]
    if "enum" in slot.schema:
        return [*_enum(slot, scene)]
    finder = _FINDERS.get(slot.kind)
    return [*finder(slot, scene, free_text)] if finder else []


def _field_fits(slot: Slot, scene: Scene) -> Iterable[tuple[str, float, int, int]]:
    """Labelled values whose label names the slot."""
    for field in scene.fields:
        if slot.words and slot.words <= field.key:
            yield field.value, 1.0 - 0.02 * len(field.key - slot.words), field.start, field.end
        elif field.key and field.key <= slot.words | _parent_words(slot) and field.key & slot.words:
            yield field.value, 0.9, field.start, field.end
        elif field.key and len(field.key) == 1 and any(related(key, word) for key in field.key for word in slot.words):
            yield field.value, 0.75, field.start, field.end


def _parent_words(slot: Slot) -> frozenset[str]:
    return frozenset(stem(word) for parent in slot.parents for word in name_words(parent))


# -- enums


def _enum(slot: Slot, scene: Scene) -> Iterable[Candidate]:
    text = scene.text.lower()
    for option in slot.schema["enum"]:
        found = _option(str(option).lower(), text) if isinstance(option, str) else _number_option(option, scene)
        if found:
            fit = found[0] + _marked(slot, scene, found[1]) + _cue(slot, scene, found[1], found[2])
            yield Candidate(option, min(1.0, fit), found[1], found[2])
        elif isinstance(option, str):
            yield from _meant(slot, option, scene)


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
    for token in scene.tokens:
        base = stem(token.low)
        if base in wanted and len(wanted) <= 2 and len(base) > 2:
            yield Candidate(option, 0.72, token.start, token.end)
        elif measure and len(token.low) > 1 and unit.named(token.low) == measure:
            yield Candidate(option, 0.7, token.start, token.end)
        elif CURRENCY.get(token.low, "") == option.upper():
            yield Candidate(option, 0.75 + _marked(slot, scene, token.start), token.start, token.end)
        elif len(base) > 2 and any(related(base, word) for word in wanted if len(word) > 2):
            yield Candidate(option, 0.52, token.start, token.end)
    if measure and any(m.unit and unit.named(m.unit) == measure for m in scene.mentions):
        yield Candidate(option, 0.7, 0, 0)
    yield from _by_sign(slot, option, scene)
    yield from _by_mood(option, scene)


def _by_sign(slot: Slot, option: str, scene: Scene) -> Iterable[Candidate]:
    for mention in scene.mentions:
        if mention.kind == "money" and mention.unit == option.upper():
            yield Candidate(option, 0.7 + _marked(slot, scene, mention.start), mention.start, mention.start)


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


# -- numbers


def _numbers(slot: Slot, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for value, fit, start, end in _field_fits(slot, scene):
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


# -- booleans


def _booleans(slot: Slot, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for value, fit, start, end in _field_fits(slot, scene):
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


# -- strings


def _strings(slot: Slot, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for value, fit, start, end in _field_fits(slot, scene):
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


def _iso_time(value: str) -> str | None:
    found = clock(value)
    return f"{found}:00" if found else None


def _iso_datetime(value: str) -> str | None:
    return (
        value.replace(" ", "T") + ("" if value.endswith("Z") else "Z")
        if re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d$", value)
        else value
        if "T" in value
        else None
    )


_SHAPES: dict[str, Callable[[str], str | None]] = {"date": iso_date, "time": _iso_time, "date-time": _iso_datetime}


def _by_role(slot: Slot, role: Role, sure: float, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for rank, kind in enumerate(role.kinds):
        base = (0.7 - 0.08 * rank) * min(1.0, sure)
        if kind in _PHRASES:
            yield from _PHRASES[kind](slot, role, base, scene, free_text)
            continue
        for mention in scene.mentions:
            if mention.kind == kind or (role.name == kind == "code" and _is_acronym(mention)):
                fit = _fit(slot, role, base, scene, mention)
                start = mention.end if kind == "money" else mention.start
                text, at, end = (
                    _name_part(slot, _text_of(slot, mention), start, mention.end)
                    if kind == "name"
                    else (_text_of(slot, mention), start, mention.end)
                )
                yield from _shaped(slot, text, min(0.99, fit), at, end)


def _fit(slot: Slot, role: Role, base: float, scene: Scene, mention: Mention) -> float:
    """How well a mention of a fitting kind fits, by the words around it."""
    way = _marked(slot, scene, mention.start) + _cue(slot, scene, mention.start, mention.end)
    marked = _role_marker(role, scene, mention)
    if mention.kind == "number" and way <= 0 and marked <= 0:
        return min(base, _GUESS)
    if mention.kind == "name" and role.name in _THINGS and way <= 0 and marked <= 0 and not _subject(scene, mention):
        return min(base, _GUESS)
    if role.name == "person" and slot.words & RELATIONS and not _spoken_of(slot, scene, mention):
        return min(base, _GUESS)
    return base + marked + way


_GUESS = 0.45


def _is_acronym(mention: Mention) -> bool:
    return mention.kind == "name" and mention.text.isupper() and mention.text.isalpha() and len(mention.text) > 1


def _subject(scene: Scene, mention: Mention) -> bool:
    """Whether a name is surely one: it has more words, stands inside a sentence, or a verb follows it."""
    if has_cjk(mention.text):
        return bool(_CJK_FIRM.search(mention.text) or _CJK_STATES.match(scene.text, mention.end))
    after = scene.after(mention.end, 1)
    return " " in mention.text or bool(scene.before(mention.start, 1)) or (bool(after) and _inflected(after[0]))


_CJK_FIRM = re.compile(r"(?:公司|科技|集团|银行|大学|学院|医院|酒店|餐厅|书店|工厂)$")
_CJK_STATES = re.compile(r"成立|创立|创办|是|有|现有|拥有|位于|发布|推出")


def _inflected(word: str) -> bool:
    if word in ("is", "was", "has", "had", "will", "are"):
        return True
    return word.isalpha() and not word.endswith("ing") and stem(word) != word


def _spoken_of(slot: Slot, scene: Scene, mention: Mention) -> bool:
    """Whether the text speaks of what makes somebody the author, the sender, the winner: 'by Ann', 'Ann won'."""
    if scene.marker(mention.start) in ("by", "由"):
        return True
    after = [stem(word) for word in scene.after(mention.end, 1)]
    if after and any(own.startswith(after[0]) and own[-2:] in ("er", "or") for own in slot.words):
        return True
    said = vocabulary(scene.text)
    return any(related(word, own) for word in said for own in slot.words & RELATIONS)


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


def _role_marker(role: Role, scene: Scene, mention: Mention) -> float:
    mention = _first_of_list(scene, mention)
    marker = scene.marker(mention.start) if mention.start else ""
    if role.name in ("place", "company") and (placed := _cjk_place(role, scene, mention)):
        return placed
    if not marker.isascii() or not scene.text[max(0, mention.start - 1) : mention.start].isascii():
        marker = scene.text[max(0, mention.start - 1) : mention.start]
    if marker in role.markers:
        return 0.08 if role.name == "place" and marker in ("for", "of", "to", "is") else 0.2
    if role.name == "person":
        return -0.25 if marker in _NOT_PERSON else 0.22 if not marker or marker in _HARD_STOPS else 0.05
    if not marker:
        return -0.12 if role.name == "place" else 0.0
    if marker in _NOT_PLACE and role.name == "place":
        return -0.25
    return -0.25 if marker in _NOT_PERSON and role.name in _THINGS else -0.1 if marker in _ALL_MARKERS else -0.02


def _first_of_list(scene: Scene, mention: Mention) -> Mention:
    """The first of 'ann@a.example or bob@b.example': what stands before it speaks for all."""
    joined = _AND if mention.kind == "name" else _JOINED
    for other in reversed(scene.mentions):
        if other.end <= mention.start and other.kind == mention.kind:
            if not joined.fullmatch(scene.text, other.end, mention.start):
                break
            mention = other
    return mention


_AND = re.compile(r"\s*(?:\bor\b|\band\b|或者?|和)\s*")
_JOINED = re.compile(r"\s*(?:,|、|，|\bor\b|\band\b|或者?|和)\s*")


def _cjk_place(role: Role, scene: Scene, mention: Mention) -> float:
    """Where somebody lives is a place; where somebody works is a company."""
    before = scene.text[max(0, mention.start - 2) : mention.start]
    after = scene.text[mention.end : mention.end + 4]
    if before in ("住在", "位于", "来自", "居住"):
        return 0.25 if role.name == "place" else -0.3
    if any(word in after for word in ("担任", "工作", "上班", "任职", "做")):
        return 0.25 if role.name == "company" else -0.2
    return 0.0


_NOT_PLACE = frozenset(words("beside behind above below with by about against after before like"))
_THINGS = frozenset(words("title product company"))
_NOT_PERSON = frozenset(words("in at near from to into of on since 在 于 去 到 从"))
_HARD_STOPS = frozenset(words(", . ; ! ? : and ( - 。 ， ； ！"))
_ALL_MARKERS = frozenset(words("in at on for from to with by about of near as is 在 从 到 给 和"))


_FROM_WORDS = frozenset(map(stem, words("from source base origin src start")))
_TO_WORDS = frozenset(map(stem, words("to target destination dest quote end")))
_FROM_MARKERS = frozenset(("from", "从", "由"))
_TO_MARKERS = frozenset(("to", "into", "in", "到", "成", "为", "是", "至", "少"))


def _marked(slot: Slot, scene: Scene, start: int) -> float:
    """'from' speaks for a source and against a target, 'to' and 'in' the other way round."""
    words = {stem(word) for word in name_words(slot.name)}
    side = bool(words & _TO_WORDS) - bool(words & _FROM_WORDS)
    if not side or not start:
        return 0.0
    marker = scene.marker(start)
    written = scene.text[start - 1]
    way = bool({marker, written} & _TO_MARKERS) - bool({marker, written} & _FROM_MARKERS)
    return 0.15 * side * way


def _cue(slot: Slot, scene: Scene, start: int, end: int) -> float:
    """More where a word of the slot's name stands beside the value."""
    near = {stem(word) for word in (*scene.before(start, 3), *scene.after(end, 1))}
    if slot.words & near:
        return 0.15
    return 0.08 if _parent_words(slot) & near else 0.0


def _phrase_candidates(slot: Slot, role: Role, base: float, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    """Lower-case values after one of the role's markers: 'in paris'."""
    if not free_text:
        return
    for phrase in scene.phrases:
        if phrase.marker in role.markers - _IS and len(phrase.text.split()) <= 4:
            text = _without_article(phrase.text)
            if text and not any(
                m.start < phrase.end and phrase.start < m.end
                for m in scene.mentions
                if m.kind not in ("name", "colour")
            ):
                yield Candidate(text, base - 0.05, phrase.end - len(text), phrase.end)


_IS = frozenset({"", "is", "am", "of"})


def _rest(slot: Slot, role: Role, base: float, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    """The rest of the sentence after a marker: 'about the history of tea'."""
    for token in scene.tokens:
        if token.low in role.markers & _TELLING:
            yield from _until_end(scene, token.end, base, role)
    if not free_text:
        return
    for token in scene.tokens:
        if token.low in (":", "：", *(role.markers - _TELLING)) and token.low not in ("is", "to", "for", "of"):
            yield from _until_end(scene, token.end, base, role)
    for token in scene.tokens:
        if token.low in role.markers and token.low in ("for", "to", "of"):
            yield from _until_end(scene, token.end, base - 0.12, role)


_TELLING = frozenset(words("about regarding because"))
_END = re.compile(r"[.!?;\n。！？；]|,? and then |$")


def _until_end(scene: Scene, start: int, fit: float, role: Role) -> Iterable[Candidate]:
    end = _END.search(scene.text, start)
    stop = end.start() if end else len(scene.text)
    text = scene.text[start:stop].strip(" ,:：，\"'")
    text = text if role.name in ("message", "heading") else _without_article(text)
    if text and text.lower() not in _PRONOUNS:
        at = scene.text.find(text, start)
        yield Candidate(text, fit, at, at + len(text))


_JOB = re.compile(
    r"\b(?:as an?|as the|is an?|is the|was an?|am an?|became an?|becomes an?|i'm an?|working as"
    r"|our|the new|, an?|an?)\s+"
    r"(?P<job>(?:[a-z][\w-]*\s+){0,3}?[a-z]+(?:er|or|ist|ian|eer|ant|ent|man|woman|nurse|chef|cook"
    r"|clerk|pilot|judge|ect|yst|ic))\b"
    r"|\b(?:is|was|as|became)\s+(?:the|an?|our)\s+(?P<post>[a-z][\w-]*(?:\s[a-z][\w-]*){0,2}?)"
    r"(?=[,.;]|\s(?:of|at|and|in|for|from|with)\b|\s*$)"
    r"|(?:是一?[名位个]?|担任|当|做)(?P<cjk>[\u3400-\u9fff]{2,8}?(?:师|员|生|家|长|人|官|手|匠"
    r"|经理|主管|教授|司机|护士|总监))",
    re.IGNORECASE,
)


def _occupation(slot: Slot, role: Role, base: float, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for match in _JOB.finditer(scene.text):
        group = str(match.lastgroup)
        yield Candidate(match.group(group), base + 0.15, match.start(group), match.end(group))


def _head(slot: Slot, role: Role, base: float, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    """What the text opens with: 'Team offsite on …', 'Desk lamp, 3 pieces'."""
    opening = _OPENING.match(scene.text) if scene.piece else None
    if opening and _is_thing(opening["head"]):
        fit = 0.5 if scene.text[opening.end() : opening.end() + 1] in _AMOUNT else 0.55
        yield Candidate(opening["head"].strip(), fit, opening.start("head"), opening.end("head"))
    first = scene.phrases[0] if scene.phrases and not free_text else None
    words = first.text.lower().split() if first else []
    if first and not first.marker and 1 <= len(words) <= 6 and words[0] not in _PRONOUNS:
        text = _without_article(first.text)
        yield Candidate(text, 0.38, first.end - len(text), first.end)


def _is_thing(head: str) -> bool:
    """Whether the opening of an item can name it; 'Total: 39' and 'It closes at six' are no items."""
    words = head.lower().split()
    return len(words) <= 5 and words[0] not in _PRONOUNS and not any(stem(word) in NUMBER_UNITS for word in words)


_AMOUNT = frozenset("0123456789$€£¥￥")
_OPENING = re.compile(
    r"[^\w\n]*(?P<head>(?![我你您他她它这那请])[^\W\d_](?:[^\d,:：;；(（|=\n–—]*[^\W\d_])?)[\s\"'*]*(?=[,:：;(（|=–—\d$€£¥￥]|\s-\s|$)"
)
_PRONOUNS = frozenset(
    words(
        """
    i you he she it we they them there this that please who what when where how my
    """
    )
)


def _counted(slot: Slot, role: Role, base: float, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    """What a number counts: '3 jars of honey' gives 'jars of honey'."""
    for mention in scene.mentions:
        start = _after_unit(scene, mention)
        if mention.kind == "number" and start and not _after_is_break(scene, start):
            end = _COUNTED_END.search(scene.text, start)
            stop = end.start() if end else len(scene.text)
            text = _MEASURE.sub("", scene.text[start:stop]).strip()
            if text and len(text.split()) <= 5 and not _is_list_name(text, slot):
                at = scene.text.find(text, start)
                yield Candidate(text, base + 0.1, at, at + len(text))


def _is_list_name(text: str, slot: Slot) -> bool:
    """'2 items' counts the list itself."""
    words = vocabulary(text)
    return bool(words) and words <= _UNITLESS | _parent_words(slot)


_UNITLESS = vocabulary("item items piece pieces pcs thing things unit units product products entries rows")
_COUNTED_END = re.compile(r"[,.;!?\n，。；、和]|\s(?:and|for|at|from|with|on|in|to|by)\s|$")


_MEASURE = re.compile(r"^\s*(?:of\s+|[个瓶本张台件斤箱盒杯只条双包袋块支把份])")


def _after_unit(scene: Scene, mention: Mention) -> int:
    """Where the counted thing starts: after '3' or, in an item of a list, after '300 g'; 0 for a mere measure."""
    if not mention.unit:
        return mention.end
    at = scene.text.lower().find(mention.unit, mention.end)
    return at + len(mention.unit) if scene.piece and at >= 0 else 0


def _after_is_break(scene: Scene, start: int) -> bool:
    after = scene.after(start, 1)
    return not after or not after[0].isalpha() or after[0] in STOP


_PHRASES: dict[str, Callable[[Slot, Role, float, Scene, bool], Iterable[Candidate]]] = {
    "phrase": _phrase_candidates,
    "rest": _rest,
    "occupation": _occupation,
    "head": _head,
    "counted": _counted,
}


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
            text = _without_article(scene.text[max(start, phrase.start) : phrase.end].strip())
            if 0 < len(text.split()) <= 6:
                yield from _shaped(slot, text, fit, phrase.end - len(text), phrase.end)
            return


def _without_article(text: str) -> str:
    return re.sub(r"^(?:the|a|an|my|our|some|any)\s+", "", text, flags=re.IGNORECASE)


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
                fit + _cue(slot, scene, mention.start, mention.end),
                mention.start,
                mention.end,
            )


_SUMMARY = frozenset(map(stem, words("summary abstract gist overview synopsis 摘要 总结 概要")))
_LOOSE = {"quoted": 0.55, "name": 0.52, "code": 0.5}


def _any(slot: Slot, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    for value, fit, start, end in _field_fits(slot, scene):
        yield Candidate(value, fit, start, end)


_FINDERS: dict[str, Callable[[Slot, Scene, bool], Iterable[Candidate]]] = {
    "number": _numbers,
    "integer": _numbers,
    "boolean": _booleans,
    "string": _strings,
    "any": _any,
}
