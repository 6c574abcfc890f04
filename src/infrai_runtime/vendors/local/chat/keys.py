"""The keys that a prompt asks for in words or by an example: what an answer in free JSON is to have."""

from __future__ import annotations

import re
from typing import Any

from .table import words

_MOST_KEYS = 40
_NAME = r"[A-Za-z_][\w-]{0,39}"
_QUOTED = rf"(?:'{_NAME}'|\"{_NAME}\"|`{_NAME}`)"
_AND = r"\s*(?:,\s*(?:and\s+|or\s+)?|\s(?:and|or|&)\s|[、和与及])\s*"
_KEYS = r"(?:(?:keys?|fields?|propert(?:y|ies)|attributes?)\b|字段|键)"
_SHAPE = re.compile(
    r"\b(?:json|object|form|format|shape|structure|schema|template|like|as)\b[^{}\n]{0,60}\s*$", re.IGNORECASE
)
_EXAMPLE = re.compile(r"\{[^{}]{3,2000}\}")
_PAIR = re.compile(rf"[\"']?({_NAME})[\"']?\s*:\s*([^,\n}}]*)")
_BEFORE = re.compile(rf"({_QUOTED}(?:{_AND}{_QUOTED})*)\s*(?:as\s+)?(?:the\s+)?{_KEYS}", re.I)
_AFTER = re.compile(
    rf"{_KEYS}(?:\s+(?:named|called|are|is|of)\b)?\s*[:：]?\s*"
    rf"((?:{_QUOTED}|{_NAME})(?:{_AND}(?:{_QUOTED}|{_NAME}))*)(?=\s*(?:[.;:。；：)\n]|$))",
    re.I,
)
_NO_KEY = frozenset(words("a an the and or of for with that in to it no any each all only exactly"))


def wanted(prompt: str) -> dict[str, Any] | None:
    """A JSON schema of the keys that ``prompt`` names, all required; None where it names none."""
    properties = _by_example(prompt) or {name: {"type": "string"} for name in _by_name(prompt)}
    if not properties:
        return None
    return {"type": "object", "properties": properties, "required": list(properties)}


def without_keys(prompt: str) -> str:
    """The prompt without the words and the example that name the keys: they are no facts."""
    found = _example(prompt)
    rest = prompt[: found.start()] + prompt[found.end() :] if found else prompt
    return _AFTER.sub("", _BEFORE.sub("", rest))


def _example(prompt: str) -> re.Match[str] | None:
    """An object that is shown as a form to fill: the words before it say so, and it is not itself the data."""
    return next((m for m in _EXAMPLE.finditer(prompt) if _SHAPE.search(prompt[: m.start()])), None)


def _by_example(prompt: str) -> dict[str, Any]:
    found = _example(prompt)
    pairs = _PAIR.findall(found.group()[1:]) if found else []
    return {name: {"type": _type_of(sample.strip())} for name, sample in pairs[:_MOST_KEYS]}


def _type_of(sample: str) -> str:
    word = sample.strip("\"'<>[] ").lower()
    if word in ("number", "float", "int", "integer") or re.fullmatch(r"-?\d+(?:\.\d+)?", sample):
        return "number"
    return "boolean" if word in ("true", "false", "bool", "boolean") else "string"


def _by_name(prompt: str) -> list[str]:
    lists = [match.group(1) for pattern in (_BEFORE, _AFTER) for match in pattern.finditer(prompt)]
    names = [name for text in lists for name in re.findall(_NAME, text) if name.lower() not in _NO_KEY]
    return list(dict.fromkeys(names))[:_MOST_KEYS]
