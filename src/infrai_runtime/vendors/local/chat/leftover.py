"""What a command is about: its words without its opening, its verb, the tool's own words and what is used already."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .choose import Tool
from .concept import chinese_words, related
from .scene import MARKERS, Scene, Token
from .table import words
from .verb import VERB_STEMS, VERBS
from .word import STOP, stem

_POLITE = STOP | frozenset(
    words(
        """
    please could would want need like about let lets i'd i'll we you kindly hey now just quick quickly
    try some any more
    """
    )
)
_PARTICLE = frozenset(words("up down off on out for over in to of the a an me us my about"))
_SEARCHING = frozenset(
    map(
        stem,
        words(
            """
    search look find google browse web internet online check fetch get query
    """
        ),
    )
)
_TAIL = frozenset(words("online please now today tomorrow tonight right here me again"))
_NOTHING = frozenset(words("something anything everything somebody someone one by"))
_CJK_HEAD = "请帮我把给将的一下查搜索找播放打开关掉关闭"


def leftover(clause: str, tool: Tool, used: Sequence[tuple[int, int]], keep: frozenset[str]) -> str:
    """The stretch of ``clause`` that tells what the command is about; empty where nothing is left.

    A last word of the tool's own is dropped ('kitchen lights') unless it is one of ``keep`` ('front door').
    """
    scene = Scene(clause)
    kept = [token for token in scene.tokens if not any(a <= token.start < b for a, b in used)]
    kept = _without_opening(kept, tool)
    kept = _first_stretch(kept, clause, used, tool)
    kept = _without_tail(kept, tool, keep)
    kept = kept[1:] if len(kept) > 1 and stem(kept[0].low) in keep else kept
    if all(token.low in _NOTHING for token in kept):
        return ""
    if all(_of_tool(token, tool) and stem(token.low) not in keep for token in kept):
        return ""
    return clause[kept[0].start : kept[-1].end].strip(" ,.?!:;\"'。？！，：") if kept else ""


def tells_which(clause: str, phrase: str, tool: Tool, keep: frozenset[str]) -> bool:
    """Whether ``phrase`` tells which of the tool's things is meant: 'kitchen' in 'the kitchen lights'."""
    end = clause.find(phrase) + len(phrase)
    found = [token for token in Scene(clause).tokens if token.end >= end and token.low != "的"]
    return any(_named(token, tool) or _cjk_of_tool(token, tool) or stem(token.low) in keep for token in found[:2])


def _cjk_of_tool(token: Token, tool: Tool) -> bool:
    return not token.low.isascii() and _of_tool(token, tool)


def is_object(clause: str, phrase: str, tool: Tool, used: Sequence[tuple[int, int]]) -> bool:
    """Whether ``phrase`` is what the tool's own verb is to be done to: at most a name stands between the two."""
    start = clause.find(phrase)
    lead = [token for token in Scene(clause).tokens if token.end <= start]
    if any(b <= start and not clause[a].isupper() for a, b in used) or _BROKEN.search(phrase):
        return False
    if lead and all(_named(token, tool) for token in lead):
        return not clause[start + len(phrase) :].strip()
    passed = any(b <= start for _, b in used) and lead[-1].low in MARKERS | _COMMA
    if passed or clause[:start][-1:] in _CJK_LINK:
        return False
    return _is_opening([token for token in lead if not any(a <= token.start < b for a, b in used)], tool)


_BROKEN = re.compile(r"[,，;；]|不是")
"""What shows that a phrase is of more than one thing."""


def _is_verb(token: Token, tool: Tool) -> bool:
    """Whether a word is a verb, or means that of the tool: 'forget' for 'remind'."""
    base = stem(token.low)
    return base in VERB_STEMS | _SEARCHING or (base not in tool.own and _of_tool(token, tool))


_CJK_LINK = ("给", "把", "将", "的")
_COMMA = frozenset(words(", ，"))


def _is_opening(lead: list[Token], tool: Tool) -> bool:
    """Whether words hold the tool's verb and nothing else that tells something."""
    opening = _cjk_opening(lead, tool)
    content = [t for t in lead[opening:] if t.low[0].isalnum() and t.low not in _CJK_HEAD]
    said = [t for t in content if t.low not in _POLITE | _PARTICLE and not t.low.endswith(("n't", "n\u2019t"))]
    verb = opening or any(_is_verb(token, tool) for token in said)
    return bool(verb) and all(_of_tool(token, tool) or stem(token.low) in _SEARCHING for token in said)


def _without_opening(found: list[Token], tool: Tool) -> list[Token]:
    """Drops polite words, one verb, its particles and, for a search, the words of searching."""
    at = _skip(found, _cjk_opening(found, tool), _POLITE)
    if at < len(found) and (found[at].low in VERBS or _of_tool(found[at], tool) or stem(found[at].low) in _SEARCHING):
        at = _skip(found, at + 1, _PARTICLE)
        while at < len(found) and (
            stem(found[at].low) in _SEARCHING or found[at].low in _POLITE or _named(found[at], tool)
        ):
            at += 1
    return found[at:]


def _cjk_opening(found: list[Token], tool: Tool) -> int:
    """The number of tokens of a Chinese verb of the tool's at the beginning, with its object: 提醒我."""
    text = "".join(token.low for token in found)
    word, start, end = next(iter(chinese_words(text)), ("", 9, 0))
    if start > 2 or any(len(token.low) > 1 for token in found[:end]) or not any(related(word, own) for own in tool.own):
        return 0
    return end + (text[end : end + 1] == "我")


def _skip(found: list[Token], at: int, words: frozenset[str]) -> int:
    while at < len(found) and (found[at].low in words or not found[at].low[0].isalnum() or found[at].low in _CJK_HEAD):
        at += 1
    return at


def _of_tool(token: Token, tool: Tool) -> bool:
    base = stem(token.low)
    return any(base == word or related(base, word) for word in tool.own)


def _named(token: Token, tool: Tool) -> bool:
    return stem(token.low) in tool.own


def _first_stretch(found: list[Token], clause: str, used: Sequence[tuple[int, int]], tool: Tool) -> list[Token]:
    """Up to the first marked phrase that only speaks of the tool, or the first stretch that is used already."""
    kept: list[Token] = []
    for at, token in enumerate(found):
        if kept and any(kept[-1].end <= a and b <= token.start for a, b in used):
            break
        if kept and token.low in MARKERS and _only_tool(found[at + 1 :], tool):
            break
        kept.append(token)
    return kept


def _only_tool(rest: list[Token], tool: Tool) -> bool:
    """Whether the phrase that follows a marker has no word beside the tool's own: 'to my to-do list'."""
    content = []
    for token in rest:
        if token.low in MARKERS or not token.low[0].isalnum():
            break
        if token.low not in STOP:
            content.append(token)
    return bool(content) and all(_of_tool(token, tool) or stem(token.low) in tool.told for token in content)


def _without_tail(found: list[Token], tool: Tool, keep: frozenset[str]) -> list[Token]:
    while found and (
        found[-1].low in _TAIL or found[-1].low in MARKERS or not found[-1].low[0].isalnum() or found[-1].low in STOP
    ):
        found = found[:-1]
    while len(found) > 1 and _of_tool(found[-1], tool) and not _marked(found) and stem(found[-1].low) not in keep:
        found = found[:-1]
    return found[:-1] if found and found[-1].low == "的" else found


def _marked(found: list[Token]) -> bool:
    return found[-2].low in MARKERS if len(found) > 1 else False
