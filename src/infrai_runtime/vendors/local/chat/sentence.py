"""Sentences of a text, with their places in it."""

from __future__ import annotations

import re
from typing import NamedTuple

from .table import words
from .word import has_cjk

_ABBREVIATION = frozenset(
    words(
        """
    mr mrs ms dr prof st no vs etc e.g i.e fig inc ltd co corp jr sr approx dept est vol u.s u.k a.m p.m
    """
    )
)
_BREAK = re.compile(r"(?P<stop>[.!?]+[\"')\]\u201d]*)(?=\s|$)|[\u3002\uff01\uff1f]+[\u201d\u300d\uff09]*|\n+")
_BULLET = re.compile(r"(?:[-*\u2022]|\d{1,3}[.)])\s+")
_INSTRUCTION = re.compile(
    r"(?:you are|you're|you must|you should|you will|your (?:task|job|role)|use (?:the|only|these)"
    r"|answer|if (?:you|the answer|it)"
    r"|do not|don't|given the|please|always|never|respond|reply|keep|only|based on|be (?:concise|brief|helpful)"
    r"|you have|cite|think|base your|quote|the following|below (?:is|are)|here (?:is|are)"
    r"|你是|请|如果|不要|根据|只能|回答|使用以下|以下是)",
    re.IGNORECASE,
)
_ABOUT_TASK = re.compile(
    r"\b(?:context|answers?|questions?|users?|assistant|passages?|documents?|sources?|know|concise|brief|helpful|cite"
    r"|conversation|reply|respond|tools?)\b|上下文|回答|问题|用户|助手|资料|引用",
    re.IGNORECASE,
)


class Sentence(NamedTuple):
    """One sentence: its text without surrounding blanks, and where it starts and ends in the whole."""

    text: str
    start: int
    end: int


def sentences(text: str, limit: int = 4_000) -> list[Sentence]:
    """The sentences of ``text`` in order, at most ``limit``; a line break always ends one."""
    found: list[Sentence] = []
    start = 0
    for match in _BREAK.finditer(text):
        if match.group("stop") and not _ends(text, start, match):
            continue
        _add(found, text, start, match.end())
        start = match.end()
        if len(found) >= limit:
            return found
    _add(found, text, start, len(text))
    return found


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether this full stop ends a sentence, and not an abbreviation, an initial or a list number."""
    if match.group()[0] != "." or match.end() >= len(text):
        return True
    before = text[max(start, match.start() - 12) : match.start()].split()
    last = before[-1].lower().lstrip("(\"'") if before else ""
    if last in _ABBREVIATION or (len(last) == 1 and last.isalpha()):
        return False
    return not (last.isdigit() and len(text[start : match.start()].strip()) <= 3)


def _add(found: list[Sentence], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    bullet = _BULLET.match(piece.lstrip())
    start += len(piece) - len(piece.lstrip())
    start += bullet.end() if bullet else 0
    end = start + len(text[start:end].rstrip())
    if any(letter.isalnum() for letter in text[start:end]):
        found.append(Sentence(text[start:end], start, end))


def is_question(text: str) -> bool:
    """Whether ``text`` asks something, by its mark or by how it begins."""
    bare = text.strip().rstrip("\"'\u201d)")
    if bare.endswith(("?", "\uff1f", "吗", "呢")):
        return True
    first = bare.split(maxsplit=1)[0].lower() if bare else ""
    return first in _ASKING or (has_cjk(bare) and any(word in bare for word in _ASKING_CJK))


_ASKING = frozenset(
    words(
        """
    who what when where why how which whose whom is are was were does do did can could
    """
    )
)
_ASKING_CJK = ("什么", "多少", "哪", "谁", "几", "为什么", "怎么", "是否", "如何")


def is_instruction(text: str) -> bool:
    """Whether ``text`` tells the assistant what to do rather than states a fact."""
    return bool(_INSTRUCTION.match(text)) and bool(_ABOUT_TASK.search(text))
