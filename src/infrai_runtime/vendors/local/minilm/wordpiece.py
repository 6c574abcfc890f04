"""BERT's uncased tokenizer: text is cleaned, split into words, and words into the longest pieces it knows."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

MAX_WORD_CHARACTERS = 100

# The ideographs that stand alone; kana and hangul are written into words.
_IDEOGRAPHS = (
    range(0x4E00, 0xA000),
    range(0x3400, 0x4DC0),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2B740),
    range(0x2B740, 0x2B820),
    range(0x2B820, 0x2CEB0),
    range(0xF900, 0xFB00),
    range(0x2F800, 0x2FA20),
)


class WordPiece:
    """Text to token ids by a vocabulary of one piece a line, where "##" marks a piece inside of a word.

    "[SEP]" and the like inside a text are plain words here: a text cannot write control tokens.
    """

    def __init__(self, pieces: list[str]) -> None:
        self._ids = {piece: number for number, piece in enumerate(pieces)}
        self._unknown = self._ids["[UNK]"]
        self._start, self._end = self._ids["[CLS]"], self._ids["[SEP]"]
        self._known_word = lru_cache(maxsize=16384)(self._word)

    @classmethod
    def read(cls, path: Path) -> WordPiece:
        """The tokenizer of a vocab.txt file."""
        return cls(path.read_text(encoding="utf-8").rstrip("\n").split("\n"))

    def encode(self, text: str, most: int) -> list[int]:
        """At most ``most`` ids, the start and end marks among them; what does not fit is cut off."""
        ids: list[int] = []
        for word in words(text):
            ids += self._known_word(word)
            if len(ids) >= most - 2:
                break
        return [self._start, *ids[: most - 2], self._end]

    def _word(self, word: str) -> list[int]:
        if len(word) > MAX_WORD_CHARACTERS:
            return [self._unknown]
        ids: list[int] = []
        while word:
            found = self._longest(word, "##" if ids else "")
            if not found:
                return [self._unknown]
            ids.append(found[0])
            word = word[found[1] :]
        return ids

    def _longest(self, word: str, mark: str) -> tuple[int, int] | None:
        """(id, length) of the longest known piece that ``word`` begins with."""
        for length in range(len(word), 0, -1):
            number = self._ids.get(mark + word[:length])
            if number is not None:
                return number, length
        return None


def words(text: str) -> Iterator[str]:
    """The words of a text in lower case and without accents; each punctuation mark and ideograph is one."""
    word = ""
    for char in _cleaned(text):
        kind = _kind(char)
        if kind == "letter":
            word += char
            continue
        if word:
            yield word
            word = ""
        if kind == "mark":
            yield char
    if word:
        yield word


def _cleaned(text: str) -> str:
    """Lower case goes character by character: a final sigma is a sigma."""
    if text.isascii():
        return "".join(filter(_is_kept, text)).lower()
    bare = unicodedata.normalize("NFD", "".join(filter(_is_kept, text)))
    return "".join(char.lower() for char in bare if unicodedata.category(char) != "Mn")


@lru_cache(maxsize=8192)
def _is_kept(char: str) -> bool:
    return char in "\t\n\r" or (char != "\ufffd" and unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co"))


@lru_cache(maxsize=8192)
def _kind(char: str) -> str:
    if char.isspace():
        return "space"
    if _is_punctuation(char) or any(ord(char) in block for block in _IDEOGRAPHS):
        return "mark"
    return "letter"


def _is_punctuation(char: str) -> bool:
    """ASCII signs such as "$" and "^" count, too."""
    is_ascii_sign = char.isascii() and char.isprintable() and not char.isalnum()
    return is_ascii_sign or unicodedata.category(char).startswith("P")
