"""How many tokens a text has, estimated without a vocabulary.

Byte-pair vocabularies of current vendors differ by some ten percent from each other, so a table of weights per
kind of character is close enough for limits and budgets. Latin text comes out near four characters per token;
CJK near one token per character; digits, punctuation and other scripts are heavier than Latin letters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from math import ceil
from typing import Any, NamedTuple


class _Weight(NamedTuple):
    """For one kind of run: characters per token, as estimated and as the careful upper bound."""

    usual: float
    careful: float


_WEIGHT = {
    "latin": _Weight(6, 3),
    "digit": _Weight(3, 1),
    "cjk": _Weight(1, 0.5),
    "newline": _Weight(2, 1),
    "punctuation": _Weight(1.5, 1),
    "letter": _Weight(2.5, 1),
    "other": _Weight(0.5, 0.25),
}


def estimate(text: str) -> int:
    """The likely number of tokens of ``text``; 0 for an empty text, at least 1 for any other."""
    return _count(text, 0)


def estimate_upper(text: str) -> int:
    """A number of tokens that ``text`` will hardly exceed: for context limits and for budget reserves.

    Never below :func:`estimate`, and never above the number of UTF-8 bytes, which no byte-level vocabulary exceeds.
    """
    careful = _count(text, 1)
    in_bytes = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    # No run's careful number is below its usual one, so the usual one is only needed where the bytes are fewer.
    return careful if careful <= in_bytes else max(_count(text, 0), in_bytes)


PIECE = 1 << 16
"""Characters that are looked at at once: the runs of a long text at once take twenty times its memory."""
_MEDIA = frozenset({"base64", "url", "data", "b64_json", "file_data"})
_SILENT = frozenset({"type", "role", "id", "tool_call_id", "mime", "format", "detail", "opaque", "model", "vendor"})
_MEDIUM_TOKENS = 512
"""What an image, sound or file is taken for; vendors count from some hundred to some thousand."""


def estimate_request(body: Mapping[str, Any]) -> int:
    """The likely number of tokens that a request uses: its texts and tools, each medium as a flat number, and
    ``max_tokens`` where given."""
    asked = ("messages", "tools", "input", "prompt", "images", "query", "candidates")
    return sum(_tokens_in(body.get(name)) for name in asked) + int(body.get("max_tokens") or 0)


def _tokens_in(value: Any) -> int:
    if isinstance(value, str):
        return estimate(value)
    if isinstance(value, Mapping):
        return sum(_field_tokens(name, inner) for name, inner in value.items())
    return sum(map(_tokens_in, value)) if isinstance(value, list | tuple) else 0


def _field_tokens(name: str, value: Any) -> int:
    if name in _SILENT:
        return 0
    return _MEDIUM_TOKENS if name in _MEDIA and isinstance(value, str) else _tokens_in(value)


def _count(text: str, column: int) -> int:
    if len(text) <= PIECE:
        return _count_piece(text, column) or int(bool(text))
    return sum(_count_piece(text[place : place + PIECE], column) for place in range(0, len(text), PIECE)) or 1


def _count_any(text: str, column: int) -> int:
    matches = _runs().finditer(text)
    return sum(_run_tokens(str(match.lastgroup), match.end() - match.start(), column) for match in matches)


def _count_piece(text: str, column: int) -> int:
    """``_count_any``; of ASCII in a fraction of the time: every character becomes one that stands for its kind, and the
    runs of those are few different ones, so that their tokens can be looked up."""
    if not text.isascii():
        return _count_any(text, column)
    return sum(map(_ASCII_TOKENS[column].__getitem__, _ascii_runs().findall(text.translate(_STANDS_FOR))))


class _RunTokens(dict[str, int]):
    """Run of one stand-in -> its tokens; for runs as long as words and lines are, worked out once."""

    def __init__(self, column: int) -> None:
        self._column = column

    def __missing__(self, run: str) -> int:
        tokens = _run_tokens(_STAND_INS[run[0]], len(run), self._column)
        if len(run) <= _LONGEST_KEPT:
            self[run] = tokens
        return tokens


_LONGEST_KEPT = 64
_STAND_INS = {"a": "latin", "0": "digit", " ": "blank", "\n": "newline", "!": "punctuation", "\0": "other"}


def _stand_in(character: str) -> str:
    if character.isalpha():
        return "a"
    if character.isdigit():
        return "0"
    if character in " \t":
        return " "
    if character in "\r\n":
        return "\n"
    return "!" if character.isprintable() else "\0"


_STANDS_FOR = "".join(map(_stand_in, map(chr, range(128))))
_ASCII_TOKENS = (_RunTokens(0), _RunTokens(1))


@cache
def _ascii_runs() -> re.Pattern[str]:
    return re.compile("a+|0+| +|\n+|!+|\0")


@cache
def _runs() -> re.Pattern[str]:
    # Compiled at the first estimate: it takes as long as importing half of this package.
    return re.compile(
        r"(?P<latin>[A-Za-z\u00c0-\u024f]+)"
        r"|(?P<digit>\d+)"
        r"|(?P<cjk>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+)"
        r"|(?P<blank>[ \t]+)"
        r"|(?P<newline>[\r\n]+)"
        r"|(?P<punctuation>[!-/:-@\[-`{-~\u2000-\u206f\u3000-\u303f\uff00-\uffef]+)"
        r"|(?P<letter>[^\W\d_]+)"
        r"|(?P<other>.)",
        re.DOTALL,
    )


def _run_tokens(kind: str, length: int, column: int) -> int:
    if kind == "blank":
        return _blank_tokens(length, column)
    return ceil(length / _WEIGHT[kind][column])


def _blank_tokens(length: int, column: int) -> int:
    """One blank belongs to the word after it; more of them are an indent, which costs a token or more."""
    if length == 1:
        return 0
    return ceil(length / 2) if column else 1
