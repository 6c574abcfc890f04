"""Sentences of a text, the single things that a request asks for, and whether it wants anything done."""

from __future__ import annotations

import re
from typing import NamedTuple

from .word import VERBS, has_cjk, is_past, stem, stems, words

_ABBREVIATION = words("""
    mr mrs ms dr prof st no vs etc e.g i.e fig inc ltd co corp jr sr approx dept est vol u.s u.k a.m p.m
""")
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


_ASKING = words("who what when where why how which whose whom is are was were does do did can could")
_ASKING_CJK = ("什么", "多少", "哪", "谁", "几", "为什么", "怎么", "是否", "如何")


def is_instruction(text: str) -> bool:
    """Whether ``text`` tells the assistant what to do rather than states a fact."""
    return bool(_INSTRUCTION.match(text)) and bool(_ABOUT_TASK.search(text))


_SURE = re.compile(
    r"\s*(?:[;；]|,?\s*(?:and\s+)?(?:then|after that|afterwards|finally|next)[,\s]\s*|，?(?:然后"
    r"|接着|之后|最后|再)|(?:另外|同时|还有)，?)\s*",
    re.I,
)
_MAYBE = re.compile(
    r"\s*(?:,\s*(?:and\s+)?(?:also\s+)?|\s+and\s+(?:also\s+)?|\s+plus\s+|\s+as well as\s+|，(?:并且?|也)?|并且?|和)\s*",
    re.I,
)
_ASKS = words("""
    what what's whats how who where when which is are will can could please tell give show also let
""")
_NOT_VERB = stems("email message weather time date news file note price person name flight hotel music song")


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


_CJK_VERBS = words("""
    查 发 订 打开 关 播放 设置 提醒 翻译 计算 告诉 搜索 创建 删除 给 把 帮 预订 添加 换算 乘 除 加 减 通知 写
""")


_REFUSES = re.compile(
    r"^\W*(?:(?:please|just|oh|no|and|but|ok|okay)\W+)*"
    r"(?:(?:(?:i|we|you) )?(?:do not|don['\u2019]?t|needn['\u2019]?t)|never|no need to)\b"
    r"(?!\s+(?:let me |let us )?forget)"
    r"|^(?:请|先|千万)*(?:不用|不要|别|不必|无需|不需要)(?!忘)",
    re.IGNORECASE,
)
_THANKS = re.compile(r"^\W*(?:many )?thank(?:s| you)\b(?: so much| a lot)? for\b|^谢谢你?(?:帮|的)", re.IGNORECASE)
_TOLD = re.compile(
    r"^\W*(?:\w+,\s+)?(?:i|we|he|she|they)(?:['\u2019]ve|['\u2019]d)?\s+(?:(?:already|just|finally|have|also)\s+)*(?P<verb>[a-z]+)",
    re.IGNORECASE,
)
_TOLD_CJK = re.compile(r"^我们?(?:已经?|刚刚?|刚才|昨天|早就)")


def refuses(clause: str) -> bool:
    """Whether ``clause`` asks for something not to be done; 'don't forget to …' asks for it."""
    return bool(_REFUSES.match(clause))


def withdraws(clause: str) -> bool:
    """Whether ``clause`` takes back what was asked for before it."""
    return bool(_WITHDRAWS.search(clause))


_WITHDRAWS = re.compile(r"\b(?:forget (?:about )?(?:it|that)|never ?mind|scratch that)\b|算了|当我没说", re.IGNORECASE)


def idle(clause: str) -> bool:
    """Whether ``clause`` wants nothing done."""
    told = _TOLD.match(clause)
    if told and is_past(told["verb"]) and not clause.rstrip().endswith(("?", "？")):
        return True
    return any(form.match(clause) for form in (_REFUSES, _THANKS, _TOLD_CJK))
