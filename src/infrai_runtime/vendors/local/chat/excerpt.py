"""The words of an input that show where a value comes from, few enough to be checked with one look."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from .scene import Scene
from .sentence import sentences
from .word import has_cjk

MOST_AROUND = 200
MOST = 300
"""The most characters of a stretch with what is around it, and of any excerpt."""
_ONE_LOOK = 80
"""How long a text may be of which nothing is left out; one in Chinese says as much with half the characters."""


@dataclass(frozen=True)
class Heard:
    """All that the model was given to read, in which words are looked up without differences of width, case, blanks."""

    text: str

    def __contains__(self, words: str) -> bool:
        return folded(words) in self._folded

    def only(self, words: str, key: str) -> Place | None:
        """The place of words that stand there once, or once behind the key of a JSON object."""
        text = re.escape(words)
        forms = [f"({text})", *([rf"\b{re.escape(key)}\W{{1,9}}({text})(?!\w)"] if key else [])]
        places = ([*re.finditer(form, self.scene.text)] for form in forms)
        return next((Place(self.scene, *found[0].span(1)) for found in places if len(found) == 1), None)

    def beginning(self, words: str) -> str:
        """As much of the beginning of a text as stands there in one piece, and makes an excerpt."""
        text = words[next((at for at, one in enumerate(words) if one.isalnum()), 0) :]
        sizes = range(min(MOST, len(text)), 0, -1)
        return text[: next((size for size in sizes if text[:size] in self), 0)].rstrip()

    @cached_property
    def _folded(self) -> str:
        return folded(self.text)

    @cached_property
    def scene(self) -> Scene:
        """The text with what can be found in it."""
        return Scene(self.text)


@dataclass(frozen=True)
class Place:
    """A stretch of a text. One without words of its own is a point in the sentence that says something."""

    scene: Scene
    start: int
    end: int

    @property
    def text(self) -> str:
        """Its words."""
        return self._text(self.start, self.end)

    def excerpt(self, heard: Heard) -> str:
        """The stretch with what its sentence or its label has around it, as far as that was heard in one piece; empty
        where the stretch itself was not, or is too long."""
        if self.end - self.start > MOST_AROUND or self.text not in heard:
            return ""
        low, high = self._around
        is_alone = (low, high) == (self.start, self.end)
        if (is_alone or self._text(low, high) not in heard) and (there := self._in_input(heard)):
            return there.excerpt(heard)
        if self._text(low, high) not in heard:
            low += bisect_left(range(low, self.start), True, key=lambda at: self._text(at, self.end) in heard)
            high -= bisect_left(range(high, self.end, -1), True, key=lambda at: self._text(low, at) in heard)
        return self._whole_words(low, high).strip().rstrip(_COMMAS)

    def _in_input(self, heard: Heard) -> Place | None:
        """Where the words of a text that was made (of a result in JSON, of several clauses) stand, if that is sure."""
        if self.scene is heard.scene or self.start == self.end:
            return None
        label = next((one.label for one in self.scene.fields if one.start <= self.start and self.end <= one.end), "")
        return heard.only(self.text, label.rpartition(" ")[2])

    @property
    def _around(self) -> tuple[int, int]:
        """Its sentence up to the next label, or for words behind a label these two; of a long one what is nearest."""
        begin = min(self.start, self.end - 1)
        inside = [one for one in self.scene.sentences if one.start < self.end and begin < one.end]
        low = min([self.start, *(one.start for one in inside)])
        high = max([self.end, *(one.end for one in inside)])
        for field in self.scene.fields if self.start < self.end else ():
            if low <= field.at <= self.start and self.end <= field.end:
                low, high = self._with_marks(field.at, min(field.end, high))
            elif self.end <= field.at < high:
                high = field.at
        low, high = self._clauses(max(low, self.start - MOST_AROUND), min(high, self.end + MOST_AROUND))
        room = MOST_AROUND - (self.end - self.start)
        before = min(self.start - low, max(room // 2, room - (high - self.end)))
        return self.start - before, min(high, self.end + room - before)

    def _clauses(self, low: int, high: int) -> tuple[int, int]:
        """The clause that holds the stretch, with as many of those before and behind it as can be read at one look."""
        cuts = [low, *(found.end() for found in _COMMA.finditer(self.scene.text, low, high)), high]
        before, behind = [at for at in cuts if at <= self.start], [at for at in cuts if at >= self.end]
        most = _ONE_LOOK // 2 if has_cjk(self._text(low, high)) else _ONE_LOOK
        low, high = before.pop(), behind.pop(0)
        while True:
            if before and high - before[-1] <= most:
                low = before.pop()
            elif behind and behind[0] - low <= most:
                high = behind.pop(0)
            else:
                return low, high

    def _with_marks(self, low: int, high: int) -> tuple[int, int]:
        """With the quotation marks that open and close there."""
        while self._text(low - 1, low) in _MARKS:
            low -= 1
        while self._text(high, high + 1) in _MARKS:
            high += 1
        return low, high

    def _whole_words(self, low: int, high: int) -> str:
        """A text around the stretch without parts of words at its edges."""
        while low < self.start and _is_in_word(self.scene.text, low):
            low += 1
        while high > self.end and _is_in_word(self.scene.text, high):
            high -= 1
        return self._text(low, high)

    def _text(self, start: int, end: int) -> str:
        return self.scene.text[start:end]


_MARKS = frozenset("\"'“”「」*")


def pieces(text: str) -> Iterator[str]:
    """The sentences of a text that make excerpts; of those that are too long a few of their parts at a time."""
    for sentence in sentences(text):
        parts = (sentence.text,) if len(sentence.text) <= MOST_AROUND else _parts(sentence.text)
        yield from (part for part in parts if len(part) <= MOST)


def _parts(text: str) -> Iterator[str]:
    start = end = 0
    for found in _COMMA.finditer(text):
        if found.end() - start > _ONE_LOOK and end > start:
            yield text[start:end].rstrip(_COMMAS)
            start = end
        end = found.end()
    yield text[start:]


_COMMA = re.compile(r"[,;](?:\s|(?=[\u3400-\u9fff]))|[，、；]")
_COMMAS = " ,;，、；"


def _is_in_word(text: str, at: int) -> bool:
    return all(one.isalnum() and one < "\u3400" for one in (text[at - 1 : at] or " ", text[at : at + 1] or " "))


def folded(text: str) -> str:
    """A text without differences of width, case and blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
