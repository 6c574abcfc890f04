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
    in_bytes = len(text.encode("utf-8", "surrogatepass"))
    return max(_count(text, 0), min(in_bytes, _count(text, 1)))


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
    return sum(_run_tokens(match, column) for match in _runs().finditer(text)) or int(bool(text))


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


def _run_tokens(match: re.Match[str], column: int) -> int:
    kind = str(match.lastgroup)
    length = match.end() - match.start()
    if kind == "blank":
        return _blank_tokens(length, column)
    return ceil(length / _WEIGHT[kind][column])


def _blank_tokens(length: int, column: int) -> int:
    """One blank belongs to the word after it; more of them are an indent, which costs a token or more."""
    if length == 1:
        return 0
    return ceil(length / 2) if column else 1
