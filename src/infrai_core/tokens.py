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
from typing import Any


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
"""Characters that are looked at at once: what is made of a long text at once takes several times its memory."""
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


def _count_piece(text: str, column: int) -> int:
    return _OF_ASCII[column](text) if text.isascii() else _count_any(text, column)


def _count_any(text: str, column: int) -> int:
    """The tokens of runs that ASCII has no kind for, and of the rest as ASCII."""
    apart = 0

    def in_ascii(run: re.Match[str]) -> str:
        nonlocal apart
        kind, length = str(run.lastgroup), run.end() - run.start()
        if kind in _IN_ASCII:
            return _IN_ASCII[kind] * length
        apart += _run_tokens(kind, length, column) - _run_tokens("other", 1, column)
        return _IN_ASCII["other"]

    return _OF_ASCII[column](_foreign().sub(in_ascii, text)) + apart


# Every character of ASCII becomes one that stands for its kind, and of these as many are left as their run has tokens.
# One blank belongs to the word after it; more of them are an indent.


def _usual_of_ascii(text: str) -> int:
    """6 letters, 3 digits, 2 line ends, 1.5 marks or half of another character for a token; an indent is one."""
    kinds = text.translate(_STANDS_FOR)
    words = kinds.replace("aaaaaa", "1").replace("aaa", "a").replace("aa", "a").replace("aa", "a")
    left = words.replace("000", "1").replace("00", "0").replace("\n\n", "1").replace("!!!", "11").replace("\0", "11")
    left = left.replace("  ", "b").replace("b ", "b")
    while "bb" in left:
        left = left.replace("bb", "b")
    return len(left) - left.count(" ")


def _careful_of_ascii(text: str) -> int:
    """3 letters, 1 digit, line end or mark, or a quarter of another character for a token; 2 blanks of an indent."""
    kinds = text.translate(_STANDS_FOR)
    words = kinds.replace("aaa", "1").replace("aa", "1")
    left = words.replace("\0", "1111").replace("  ", "b").replace("b ", "bb")
    return len(left) - left.count(" ")


_OF_ASCII = (_usual_of_ascii, _careful_of_ascii)


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
_IN_ASCII = {"latin": "a", "digit": "0", "punctuation": "!", "other": "\0"}
"""Kind of a run -> an ASCII character of that kind."""


@cache
def _foreign() -> re.Pattern[str]:
    """Runs that begin outside ASCII. Compiled at the first one: it takes as long as importing half of this package."""
    return re.compile(
        r"(?=[^\x00-\x7f])(?:"
        r"(?P<latin>[\u00c0-\u024f]+)"
        r"|(?P<digit>\d+)"
        r"|(?P<cjk>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+)"
        r"|(?P<punctuation>[\u2000-\u206f\u3000-\u303f\uff00-\uffef]+)"
        r"|(?P<letter>[^\W\d_]+)"
        r"|(?P<other>.))",
        re.DOTALL,
    )


def _run_tokens(kind: str, length: int, column: int) -> int:
    return ceil(length / _PER_TOKEN[kind][column])


_PER_TOKEN = {"cjk": (1, 0.5), "letter": (2.5, 1), "other": (0.5, 0.25)}
"""Kind of a run that begins outside ASCII -> its characters per token, as estimated and as the careful upper bound."""
