"""Requests to write something: a short text from a fixed grammar, labelled as what it is."""

from __future__ import annotations

import hashlib
import re

from .answer import Draft, say
from .number import numbers
from .word import has_cjk

_ASKED = re.compile(
    r"\b(?:write|tell|compose|create|make|give|generate|draft|invent)\b.{0,60}?\b(?P<kind>story|tale|poem|haiku|joke|limerick|"
    r"paragraph|essay|slogan|verse|description|post|tweet)\b(?P<rest>.*)"
    r"|(?:写|讲|编|来).{0,12}?(?P<kind_cjk>故事|诗|笑话|短文|作文|段落|文章|标语)",
    re.IGNORECASE | re.DOTALL,
)
_TOPIC = re.compile(r"\b(?:about|on|of|for|featuring|with|describing)\s+(?P<topic>[^.?!\n,;]{1,80})", re.IGNORECASE)
_TOPIC_CJK = re.compile(
    r"(?:关于|有关|以)(?P<topic>[^的为，。！？\n]{1,20})|(?:写|讲|编)[一个篇首段]*(?P<other>[^的，。！？\n]{1,12})的(?:故事|诗|笑话|短文)"
)
_LENGTH = re.compile(r"(\S+?)[\s-]?(?:words?|字)", re.IGNORECASE)

_OPENING = (
    "Early one morning, {topic} came into view and the street went quiet.",
    "Nobody in the valley had thought much about {topic} until that autumn.",
    "It began on a plain grey day, with {topic} and an open window.",
)
_MIDDLE = (
    "At first there was only a small sign of change.",
    "An old neighbour stopped, looked twice, and smiled.",
    "Questions were asked, and few of them had answers.",
    "The rain came, and then the sun, and the day went on.",
    "Somebody fetched a lamp, and somebody else made tea.",
    "Step by step, the strange became familiar.",
    "A door was opened that had long been shut.",
    "Slowly, people began to gather and to listen.",
    "There was a little fear, and then a little courage.",
    "No map showed the way, so they made one.",
)
_CLOSING = (
    "In the end it was simple, and everybody went home content.",
    "When evening came, one thing was clear: it had been worth the while.",
    "And that is how the day is still remembered.",
)
_PAD = ("Time passed.", "They waited and watched.", "Then, without any hurry, morning came again.", "Quiet.")
_CHINESE = (
    ("一天清晨，{topic}出现在巷口，四周一下子安静了。", "那年秋天以前，没有人认真想过{topic}。"),
    (
        "邻居停下脚步，看了又看，笑了。",
        "雨停了，太阳出来，日子照常往前走。",
        "大家提了许多问题，答案却很少。",
        "陌生的事，一步一步变得熟悉。",
    ),
    ("最后事情很简单，大家都高兴地回家了。", "天黑的时候，人人都觉得这一天很值得。"),
)


def asked(text: str) -> bool:
    """Whether ``text`` asks for something to be made up."""
    return len(text) < 400 and bool(_ASKED.search(text))


def write(text: str) -> Draft:
    """A template text on the topic of ``text``, of about the asked length; the same text gives the same story."""
    seed = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])
    if has_cjk(text):
        return say(_chinese(text, seed), False)
    count = _asked_length(text)
    note = "(A fixed template, not a language model's text.)"
    return say(f"{_english(_topic(text), count, seed)}\n\n{note}", False)


def _asked_length(text: str) -> int:
    match = _LENGTH.search(text)
    named = numbers(match.group(1)) if match else []
    return max(10, min(int(named[0].value), 120)) if named else 40


def _topic(text: str) -> str:
    match = _ASKED.search(text)
    rest = (match.group("rest") if match else "") or text
    topic = _TOPIC.search(rest)
    return topic.group("topic").strip() if topic else "something small"


def _english(topic: str, count: int, seed: int) -> str:
    """Opening, as many middles as fit, closing; cut or padded at sentence ends to come near ``count`` words."""
    opening = _pick(_OPENING, seed).format(topic=topic)
    closing = _pick(_CLOSING, seed >> 8)
    lines = [opening]
    for step in range(len(_MIDDLE)):
        line = _MIDDLE[(seed + step * 3) % len(_MIDDLE)]
        if _length([*lines, line, closing]) <= count:
            lines.append(line)
    if _length([*lines, closing]) <= count or len(lines) == 1:
        lines.append(closing)
    for line in sorted(_PAD, key=lambda text: -len(text.split())):
        if _length([*lines, line]) <= count:
            lines.insert(-1, line)
    return " ".join(lines)


def _length(lines: list[str]) -> int:
    return sum(len(line.split()) for line in lines)


def _pick(lines: tuple[str, ...], seed: int) -> str:
    return lines[seed % len(lines)]


def _chinese(text: str, seed: int) -> str:
    match = _TOPIC_CJK.search(text)
    topic = (match.group("topic") or match.group("other")) if match else "一件小事"
    opening, middle, closing = _CHINESE
    parts = [_pick(opening, seed).format(topic=topic), _pick(middle, seed >> 8), _pick(middle, (seed >> 8) + 1)]
    return "".join([*parts, _pick(closing, seed >> 16)]) + "\n\n（固定模板，并非语言模型所写。）"
