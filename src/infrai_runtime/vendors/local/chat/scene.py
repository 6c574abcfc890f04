"""A text made ready for finding values in it: mentions, phrases with the word before them, labelled fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from .concept import chinese_words
from .mention import MOST_TEXT, Mention, mentions
from .sentence import Sentence, sentences
from .word import name_words, stem, words

MARKERS = words("""
    in at on for from to with by about near into onto as saying that titled called named regarding under over via
    using between until through of is are am was were : =
""")
_CJK_MARKERS = "给从到去在于跟和把叫是为向对由往至用说成"
_TOKEN = re.compile(
    r"\b[Nn][or]\.(?=\s?[A-Z#\d])|[A-Za-z\u00c0-\u024f]+(?:['\u2019\-][A-Za-z\u00c0-\u024f]+)*|\d+(?:[.,]\d+)*|[\u3400-\u9fff]|[^\w\s]"
)
_FIELD = re.compile(
    r"(?:^|[\n;,|，；。？！{(]|[.?!]\s)[ \t\"'*-]*(?P<key>[A-Za-z][\w \-/]{0,39}?|[\u3400-\u9fff]{1,10})[\"'*]*[ "
    r"\t]*(?<!\d(?=:\d))(?:[:：]|(?<=\s)=|(?<=[A-Za-z]\s)是(?=\s?[A-Za-z\d]))\**[ \t]*(?![ \t{])"
    r"(?P<value>[^\n;|；]{1,500})"
)
_FIELD_END = re.compile(
    r"(?:[,，。？！]\s*|[.?!]\s+)[\"'*]*[A-Za-z\u3400-\u9fff][\w \-\u3400-\u9fff]{0,30}[\"'*]*\s*[:：=]"
)

_SENTENCE_END = re.compile(r"(?<=[^\W_]{3})(?<!Prof)\.\s+(?=[A-Z])|(?<=[^\W_]{5})\.\s+(?=\d)")
"""What ends the value of a label that stands inside a line."""
_PAIR = re.compile(r"(?<!\S)(?P<key>[A-Za-z_][\w.-]*)=(?P<value>\"[^\"\n]*\"|\S+(?:[ \t]+(?![\w.-]+=)\S+)*)")


@dataclass(frozen=True)
class Token:
    """A token with its place; ``low`` is its lower-case form."""

    low: str
    start: int
    end: int


@dataclass(frozen=True)
class Phrase:
    """The words after a marker up to the next one; ``marker`` is empty for the head of a clause."""

    marker: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Field:
    """A 'key: value' pair; ``key`` holds the stems of ``label``, which stands ``at`` a place of the text."""

    label: str
    at: int
    key: frozenset[str]
    value: str
    start: int
    end: int

    def holds(self, place: int) -> bool:
        """Whether a place is inside its value."""
        return self.start <= place < self.end


class Scene:
    """One text with what can be found in it, each part worked out when it is first asked for."""

    def __init__(self, text: str, piece: bool = False) -> None:
        """``piece`` says that the text was cut out as one item of a list."""
        self.text = text[:MOST_TEXT]
        self.piece = piece
        self.named: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Field]] = {}
        """The labels that name a slot, by its parents and its path, as far as asked for: each value is held to them."""

    @cached_property
    def mentions(self) -> list[Mention]:
        """All typed mentions; a name inside a label is none."""
        labels = [(field.at, field.at + len(field.label)) for field in self.fields]
        return [m for m in mentions(self.text) if m.kind != "name" or not any(a <= m.start < b for a, b in labels)]

    @cached_property
    def tokens(self) -> list[Token]:
        return [Token(m.group().lower(), m.start(), m.end()) for m in _TOKEN.finditer(self.text)]

    @cached_property
    def sentences(self) -> list[Sentence]:
        return sentences(self.text)

    @cached_property
    def chinese(self) -> list[tuple[str, int, int]]:
        """The Chinese words of the thesaurus, with their places."""
        return chinese_words(self.text)

    @cached_property
    def fields(self) -> list[Field]:
        return _fields(self.text)

    @cached_property
    def phrases(self) -> list[Phrase]:
        return _phrases(self)

    def said(self, start: int, end: int) -> frozenset[str]:
        """The stems and the Chinese words of a stretch."""
        english = (stem(token.low) for token in self.tokens if start <= token.start < end)
        return frozenset({*english, *(word for word, at, _ in self.chinese if start <= at < end)})

    def before(self, start: int, count: int = 3) -> list[str]:
        """The last ``count`` tokens before a position, nearest first, of the same sentence."""
        at = self._index(start)
        return _nearest(self.tokens[max(0, at - count) : at][::-1])

    def after(self, end: int, count: int = 3) -> list[str]:
        """The first ``count`` tokens after a position, of the same sentence and line."""
        at, line = self._index(end), self.text.find("\n", end)
        return _nearest([token for token in self.tokens[at : at + count] if line < 0 or token.start < line])

    def marker(self, start: int) -> str:
        """The word that introduces what starts here, articles and titles skipped."""
        for word in self.before(start, 3):
            if word not in _SKIPPED:
                return word
        return ""

    def _index(self, place: int) -> int:
        low, high = 0, len(self.tokens)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.tokens[middle].start < place else (low, middle)
        return low


_SKIPPED = words("the a an my our his her their your mr mrs ms dr . \" “ ' $ € £ ( city town")
_HARD = words(". ; ! ? 。 ； ！ ？")


def _nearest(found: list[Token]) -> list[str]:
    return [token.low for token in takewhile(lambda token: token.low not in _HARD, found)]


_MOST_LABEL = 4
"""The words of a label at most; more are a sentence that ends in a colon."""


def _fields(text: str) -> list[Field]:
    found = []
    at = 0
    while match := _FIELD.search(text, at):
        value = match.group("value")
        cut = _FIELD_END.search(value)
        value = value[: cut.start()] if cut else value
        if match.start("key") and "\n" not in text[match.start() : match.start("key")]:
            value = _SENTENCE_END.split(value)[0]
        start = match.start("value")
        at = max(start + len(value), match.end("key"))
        key = frozenset(stem(word) for word in name_words(match.group("key").replace(" ", "_")))
        value = value.rstrip(" \t,，.。})\"'")
        end = start + len(value)
        value = value.lstrip("\"'")
        if value and not value.startswith("//") and len(match.group("key").split()) <= _MOST_LABEL:
            found.append(Field(match.group("key").strip(), match.start("key"), key, value, end - len(value), end))
        if len(found) > 200:
            break
    return found + [_pair(match) for match in _PAIR.finditer(text)]


def _pair(match: re.Match[str]) -> Field:
    """One of 'service=billing code=502'."""
    key = frozenset(stem(word) for word in name_words(match["key"]))
    return Field(match["key"], match.start("key"), key, match["value"].strip('"'), match.start("value"), match.end())


def _phrases(scene: Scene) -> list[Phrase]:
    found: list[Phrase] = []
    marker, start = "", 0
    inside = [
        (m.start, m.end) for m in scene.mentions if m.kind in ("quoted", "name", "date", "url", "path", "datetime")
    ]
    for token in scene.tokens:
        if any(a <= token.start < b for a, b in inside):
            continue
        if token.low in MARKERS or token.low in _CJK_MARKERS or token.low in _BREAKS:
            _close(found, scene.text, marker, start, token.start)
            marker, start = ("" if token.low in _BREAKS else token.low), token.end
    _close(found, scene.text, marker, start, len(scene.text))
    return found


_BREAKS = words(", . ; ! ? and then but so because while ， 。 ； ！ ？ 、 please")


def _close(found: list[Phrase], text: str, marker: str, start: int, end: int) -> None:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    piece = piece.strip().strip("\"'\u201c\u201d()")
    if piece:
        found.append(Phrase(marker, piece, start, start + len(piece)))
