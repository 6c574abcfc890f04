"""Whether a scalar or a list satisfies the part of JSON Schema that values of this model can break."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: (isinstance(v, int) and not isinstance(v, bool)) or (isinstance(v, float) and v.is_integer()),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}
_FORMATS = {
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "time": re.compile(r"\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+\-]\d{2}:\d{2})?"),
    "date-time": re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+\-]\d{2}:\d{2})?"),
    "uri": re.compile(r"[a-zA-Z][\w+.\-]*:\S+"),
    "uuid": re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
}


def valid(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether ``value`` satisfies the type, options, bounds, pattern and format of a resolved schema."""
    return all(check(value, schema) for check in _CHECKS)


def _typed(value: Any, schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return not kinds or any(kind in _TYPES and _TYPES[kind](value) for kind in kinds)


def _listed(value: Any, schema: Mapping[str, Any]) -> bool:
    if "const" in schema and not _equal(schema["const"], value):
        return False
    return "enum" not in schema or any(_equal(option, value) for option in schema["enum"])


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _bounded(value: Any, schema: Mapping[str, Any]) -> bool:
    if not _TYPES["number"](value):
        return True
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf")
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or isinstance(above, bool) or value > above)
        and (below is None or isinstance(below, bool) or value < below)
        and (not step or abs(value / step - round(value / step)) < 1e-9)
    )


def _worded(value: Any, schema: Mapping[str, Any]) -> bool:
    if not isinstance(value, str):
        return True
    size = len(value)
    return (
        size >= schema.get("minLength", 0)
        and size <= schema.get("maxLength", size)
        and matches(schema.get("pattern"), value)
        and _formatted(value, schema.get("format"))
    )


def matches(pattern: Any, value: str) -> bool:
    """Whether ``value`` (its first 500 characters) matches. A pattern that Python cannot read, or that could take
    time without bound because a repeated group repeats inside, matches nothing."""
    if not isinstance(pattern, str):
        return True
    if _explosive(pattern):
        return False
    try:
        return bool(re.search(pattern, value[:500]))
    except re.error:
        return False


def _explosive(pattern: str) -> bool:
    """Whether a repeated group holds a repetition or a choice, as in (a+)+, or the pattern is very long."""
    inner = [False]
    bare = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "x", pattern)
    for at, letter in enumerate(bare):
        if letter == "(":
            inner.append(False)
        elif letter == ")" and len(inner) > 1:
            repeats = inner.pop()
            if repeats and bare[at + 1 : at + 2] in ("*", "+", "{"):
                return True
            inner[-1] |= repeats
        elif letter in "*+{|":
            inner[-1] = True
    return len(pattern) > 1_000 or bare.count("*") + bare.count("+") > 8


def _formatted(value: str, name: Any) -> bool:
    known = _FORMATS.get(name)
    if known and not known.fullmatch(value):
        return False
    return name != "date" or _real_date(value)


def _real_date(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _sized(value: Any, schema: Mapping[str, Any]) -> bool:
    if not isinstance(value, list):
        return True
    unique = not schema.get("uniqueItems") or len({repr(item) for item in value}) == len(value)
    return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)) and unique


_CHECKS = (_typed, _listed, _bounded, _worded, _sized)
