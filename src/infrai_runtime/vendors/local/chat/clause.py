"""A request cut into the single things that it asks for."""

from __future__ import annotations

import re

from .sentence import sentences
from .table import words
from .verb import VERBS
from .word import stem

_SURE = re.compile(
    r"\s*(?:[;；]|,?\s*(?:and\s+)?(?:then|after that|afterwards|finally|next)[,\s]\s*|，?(?:然后"
    r"|接着|之后|最后|再)|(?:另外|同时|还有)，?)\s*",
    re.I,
)
_MAYBE = re.compile(
    r"\s*(?:,\s*(?:and\s+)?(?:also\s+)?|\s+and\s+(?:also\s+)?|\s+plus\s+|\s+as well as\s+|，(?:并且?|也)?|并且?|和)\s*",
    re.I,
)
_ASKS = frozenset(
    words(
        """
    what what's whats how who where when which is are will can could please tell give show also let
    """
    )
)
_NOT_VERB = frozenset(
    map(
        stem,
        words(
            """
    email message weather time date news file note price person name flight hotel music song
    """
        ),
    )
)


def clauses(request: str) -> list[str]:
    """The clauses of a request, in order. A cut at a mere 'and' or comma is made only before a new command."""
    found: list[str] = []
    for sentence in sentences(request[:4_000], 60):
        for piece in _SURE.split(sentence.text):
            found += _commands(piece)
    return [piece for piece in found if piece.strip(" ,.")]


def _commands(piece: str) -> list[str]:
    """``piece`` cut before each further command."""
    if _quoted(piece):
        return [piece]
    cuts = [0]
    for match in _MAYBE.finditer(piece):
        if match.start() and _starts_command(piece[match.end() :]):
            cuts.append(match.end())
    ends = [*cuts[1:], len(piece)]
    return [_MAYBE_END.sub("", piece[a:b]) for a, b in zip(cuts, ends, strict=True)]


_MAYBE_END = re.compile(r"(?:,|\s+and|\s+plus|，|并且?|和|\s+also)*\s*$", re.I)


def _quoted(text: str) -> bool:
    return any(mark in text for mark in '"\u201c:：')


def _starts_command(text: str) -> bool:
    word = re.match(r"[A-Za-z']+", text)
    if not word:
        return text[:1] > "\u3400" and any(text.startswith(verb) for verb in _CJK_VERBS)
    low = word.group().lower()
    base = stem(low)
    if low in _ASKS:
        return True
    return word.group().islower() and base not in _NOT_VERB and low in VERBS


_CJK_VERBS = (
    "查",
    "发",
    "订",
    "打开",
    "关",
    "播放",
    "设置",
    "提醒",
    "翻译",
    "计算",
    "告诉",
    "搜索",
    "创建",
    "删除",
    "给",
    "把",
    "帮",
    "预订",
    "添加",
    "换算",
    "乘",
    "除",
    "加",
    "减",
    "通知",
    "写",
)
