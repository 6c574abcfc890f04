"""Ways to cut a text into pieces that may each hold one record of a list."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .sentence import sentences

_CLAUSE = re.compile(
    r"[;；\n]|[.!?。！？](?=\s|$|[\u3400-\u9fff])|,\s*(?:and\s+|while\s+|but\s+|plus\s+)?|，|、|\s(?:and|while|plus)\s|和"
)
_BIG_CLAUSE = re.compile(r"[;；\n]|[.!?。！？](?=\s|$|[\u3400-\u9fff])|,?\s(?:and|while|plus|but)\s|,\s+(?=[A-Z])|，")
_LINE = re.compile(r"^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]*", re.MULTILINE)
_MOST = 200


def segmentations(text: str) -> list[list[str]]:
    """The text as blocks, lines, sentences, clauses and finest pieces; those that do not differ are given once."""
    ways = [
        _pieces(re.split(r"\n\s*\n", text)),
        _pieces(_LINE.sub("", line) for line in text.splitlines()),
        [sentence.text for sentence in sentences(text, _MOST)],
        _pieces(_BIG_CLAUSE.split(text)),
        _pieces(_CLAUSE.split(text)),
        [text],
    ]
    distinct: list[list[str]] = []
    for way in ways:
        if way and way not in distinct:
            distinct.append(way)
    return distinct


def _pieces(parts: Iterable[str | None]) -> list[str]:
    return [part.strip() for part in list(parts)[:_MOST] if part and part.strip()]
