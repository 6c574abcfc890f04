"""Python values to JSON text, and the place of what cannot be written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from infrai_core.errors import ConfigError

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def written(value: Any, field: str, *, sort_fields: bool = False) -> bytes:
    """A line of JSON: no spaces, UTF-8, a newline at the end. ``field`` is where the value stands; empty for a whole
    body. ``sort_fields``: the value is an object, whose own fields are sorted.

    Raises ``ConfigError`` for what JSON cannot carry: foreign objects, NaN and, by its place, half of a surrogate pair.
    """
    try:
        ordered = dict(sorted(value.items())) if sort_fields else value
        return _encode(ordered).encode() + b"\n"
    except UnicodeEncodeError:  # its own text would repeat the whole prompt
        where = broken_text(value, field) or field or "the request"
        raise ConfigError(f"{where} is half of a surrogate pair, which UTF-8 cannot carry") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{field or 'the request'} cannot be written as JSON: {error}") from None


def broken_text(value: Any, field: str) -> str | None:
    """Where the first text stands that UTF-8 cannot carry, with the place in that text."""
    if isinstance(value, str):
        at = next((place for place, letter in enumerate(value) if _is_half(letter)), None)
        return None if at is None else f"{field}: character {at} (U+{ord(value[at]):04X})"
    if isinstance(value, Mapping):
        if any(map(_is_half, "".join(map(str, value)))):
            return f"the name of a field of {field or 'the request'}: a character"
        members: Iterable[tuple[Any, Any]] = value.items()
    else:
        members = enumerate(value) if isinstance(value, list | tuple) else ()
    inside = (broken_text(member, f"{field}.{name}" if field else str(name)) for name, member in members)
    return next((found for found in inside if found), None)


def _is_half(letter: str) -> bool:
    return "\ud800" <= letter <= "\udfff"
