"""Stretches of text that fill a slot without being a typed mention: phrases, rests of sentences, openings, jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from .concept import vocabulary
from .mention import Mention
from .scene import MARKERS, Scene
from .slot import Role
from .word import STOP, stem, stems, words


def _after_marker(role: Role, scene: Scene, command: bool) -> Iterator[Mention]:
    """Lower-case values after one of the role's markers: 'in paris'."""
    if not command or role.name == "person":
        return
    for found in scene.phrases:
        if found.marker in role.markers - _IS and len(found.text.split()) <= 4:
            typed = (m for m in scene.mentions if m.kind not in ("name", "colour"))
            if not any(m.start < found.end and found.start < m.end for m in typed):
                yield phrase(scene, found.start, found.end)


_IS = words("is am of") | {""}


def phrase(scene: Scene, start: int, end: int) -> Mention:
    text = re.sub(r"^(?:the|a|an|my|our|some|any)\s+", "", scene.text[start:end], flags=re.IGNORECASE)
    return Mention("phrase", text, text, end - len(text), end)


def _rest(role: Role, scene: Scene, command: bool) -> Iterator[Mention]:
    """The rest of the sentence after a marker: 'about the history of tea'."""
    allowed = role.markers | words(": ：") if command else role.markers & _TELLING
    for token in scene.tokens:
        end = _END.search(scene.text, token.end) if token.low in allowed - _IS else None
        text = scene.text[token.end : end.start()].strip(" ,:：，\"'") if end else ""
        if text and text.lower() not in PRONOUNS:
            at = scene.text.find(text, token.end)
            whole = role.name in ("message", "heading")
            yield Mention("rest", text, text, at, at + len(text)) if whole else phrase(scene, at, at + len(text))


_TELLING = words("about regarding because")
_END = re.compile(r"[.!?;\n。！？；]|,? and then |$")
_JOB = re.compile(
    r"\b(?:as an?|as the|is an?|is the|was an?|am an?|became an?|i'm an?|working as|our|the new|, an?|an?)\s+"
    r"(?P<job>(?:[a-z][\w-]*\s+){0,3}?[a-z]+(?:er|or|ist|ian|eer|ant|ent|man|woman|nurse|chef|cook"
    r"|clerk|pilot|judge|ect|yst|ic))\b"
    r"|\b(?:is|was|as|became)\s+(?:the|an?|our)\s+(?P<post>[a-z][\w-]*(?:\s[a-z][\w-]*){0,2}?)"
    r"(?=[,.;]|\s(?:of|at|and|in|for|from|with)\b|\s*$)"
    r"|(?:是一?[名位个]?|担任|当|做)(?P<cjk>[\u3400-\u9fff]{2,8}?(?:师|员|生|家|长|人|官|手|匠|经理|主管|教授|司机|护士|总监))",
    re.IGNORECASE,
)


def _jobs(role: Role, scene: Scene, command: bool) -> Iterator[Mention]:
    for match in _JOB.finditer(scene.text):
        group = str(match.lastgroup)
        yield Mention("job", match[group], match[group], match.start(group), match.end(group))


def _opening(role: Role, scene: Scene, command: bool) -> Iterator[Mention]:
    """What an item of a list opens with: 'Desk lamp, 3 pieces'."""
    opening = _OPENING.match(scene.text) if scene.piece else None
    if opening and _is_thing(opening["head"]):
        yield Mention("head", opening["head"], opening["head"].strip(), opening.start("head"), opening.end("head"))


_OPENING = re.compile(
    r"[^\w\n]*(?P<head>(?![我你您他她它这那请])[^\W\d_](?:[^\d,:：;；(（|=\n–—]*[^\W\d_])?)[\s\"'*]*(?=[,:：;(（|=–—\d$€£¥￥]|\s-\s|$)"
)
PRONOUNS = words("i you he she it we they them there this that please who what when where how my")


def _is_thing(head: str) -> bool:
    """Whether words can name an item: no 'Total', no 'It closes', nothing that a measure is in, as stars."""
    said = head.lower().split()
    plain = bool(said) and len(said) <= 5 and said[0] not in PRONOUNS and said[-1] not in MARKERS
    return plain and not any(stem(word) in MEASURES for word in said)


MEASURES = stems("age price cost amount total vat shipping deposit budget fee rating score star point year people")


def _counted(role: Role, scene: Scene, command: bool) -> Iterator[Mention]:
    """What a number counts: '3 jars of honey' gives 'jars of honey'."""
    for mention in scene.mentions:
        start = _after_unit(scene, mention) if mention.kind == "number" else 0
        after = scene.after(start, 1) if start else []
        if after and after[0].isalpha() and after[0] not in STOP:
            end = _COUNTED_END.search(scene.text, start)
            text = _OF.sub("", scene.text[start : end.start() if end else None]).strip()
            if _is_thing(text) and not vocabulary(text) <= _UNITLESS:
                at = scene.text.find(text, start)
                yield Mention("counted", text, text, at, at + len(text))


def _after_unit(scene: Scene, mention: Mention) -> int:
    """Where the counted thing starts: after '3' or, in an item of a list, after '300 g'; 0 for a mere measure."""
    if not mention.unit:
        return mention.end
    at = scene.text.lower().find(mention.unit, mention.end)
    return at + len(mention.unit) if scene.piece and at >= 0 else 0


_UNITLESS = vocabulary("item items piece pieces pcs thing things unit units product products entries rows")
_COUNTED_END = re.compile(r"[,.;!?\n，。；、和]|\s(?:and|for|at|from|with|on|in|to|by)\s|$")
_OF = re.compile(r"^\s*(?:of\s+|[个瓶本张台件斤箱盒杯只条双包袋块支把份])")
PHRASES: dict[str, Callable[[Role, Scene, bool], Iterable[Mention]]] = {
    "phrase": _after_marker,
    "rest": _rest,
    "occupation": _jobs,
    "head": _opening,
    "counted": _counted,
}
