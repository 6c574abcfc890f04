"""Stretches of text that fill a field without being a typed mention: phrases, rests of sentences, openings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .candidate import GUESS, Candidate, parent_words
from .concept import vocabulary
from .mention import Mention
from .role import NUMBER_UNITS, Role
from .scene import MARKERS, Scene
from .slot import Slot
from .table import words
from .word import STOP, stem


def _after_marker(slot: Slot, role: Role, base: float, scene: Scene, free_text: bool) -> Iterable[Candidate]:
    """Lower-case values after one of the role's markers: 'in paris'."""
    if not free_text or role.name == "person":
        return
    for phrase in scene.phrases:
        if (
            phrase.marker in role.markers - _IS
            and len(phrase.text.split()) <= 4
            and not (phrase.marker == "to" and is_deed(phrase.text))
        ):
            text = without_article(phrase.text)
            if text and not any(
                m.start < phrase.end and phrase.start < m.end
                for m in scene.mentions
                if m.kind not in ("name", "colour")
            ):
                yield Candidate(text, base - 0.05, phrase.end - len(text), phrase.end)


_IS = frozenset({"", "is", "am", "of"})


def is_deed(text: str) -> bool:
    """Whether what follows a 'to' is a deed and no place: its object is a name or has an article, 'mow the lawn'."""
    head, *rest = text.split() or [""]
    return head.islower() and any(word[0].isupper() or word.lower() in STOP for word in rest)


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
    text = text if role.name in ("message", "heading") else without_article(text)
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
        text = without_article(first.text)
        yield Candidate(text, 0.38, first.end - len(text), first.end)


def _is_thing(head: str) -> bool:
    """Whether words can name an item: no 'Total', no 'It closes', nothing that a measure is in, as stars."""
    words = head.lower().split()
    return (
        0 < len(words) <= 5
        and words[0] not in _PRONOUNS
        and words[-1] not in MARKERS
        and not any(stem(word) in _MEASURES for word in words)
    )


_MEASURES = NUMBER_UNITS.keys() | {stem(unit) for units in NUMBER_UNITS.values() for unit in units}


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
            if _is_thing(text) and not _is_list_name(text, slot):
                at = scene.text.find(text, start)
                meant = scene.piece or free_text or not slot.specific
                yield Candidate(text, base + 0.1 if meant else GUESS, at, at + len(text))


def _is_list_name(text: str, slot: Slot) -> bool:
    """'2 items' counts the list itself."""
    words = vocabulary(text)
    return bool(words) and words <= _UNITLESS | parent_words(slot)


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


PHRASES: dict[str, Callable[[Slot, Role, float, Scene, bool], Iterable[Candidate]]] = {
    "phrase": _after_marker,
    "rest": _rest,
    "occupation": _occupation,
    "head": _head,
    "counted": _counted,
}


def without_article(text: str) -> str:
    return re.sub(r"^(?:the|a|an|my|our|some|any)\s+", "", text, flags=re.IGNORECASE)
