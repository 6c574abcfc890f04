"""Whether a JSON Schema is one, said before anybody takes it apart. Pure.

By a table of words: each request with tools is looked at, and holding a schema against the meta-schema with a library
takes some hundred times as long. An agent sends the same tools with each of its steps, so schemas that were found to be
right are known again.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Words whose values are schemas by name."""
LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
"""Words whose values are lists of schemas."""
ONES = frozenset(
    {
        *("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"),
        "unevaluatedProperties",
    }
)
"""Words whose value is a schema."""

Place = tuple[Any, ...]
"""``(place, name)``, and ``()`` for the root: no text is made of a place that nothing is wrong with."""


MOST_KNOWN = 4096
"""Schemas that are known again, by a hash of each."""
_right: set[bytes] = set()


class Malformed(NamedTuple):
    """What in a schema is wrong: its place in there, what came, and what is allowed."""

    place: str
    came: Any
    allowed: str


def malformed(schema: Any) -> Malformed | None:
    """The first word of a schema whose value is of the wrong kind (https://json-schema.org/draft/2020-12/schema, and
    ``items`` as draft 7 has it), or None. Words that are not known here may have any value."""
    mark = _mark_of(schema)
    if mark is not None and mark in _right:
        return None
    wrong = _first_wrong(schema)
    if wrong is None and mark is not None:
        if len(_right) >= MOST_KNOWN:
            _right.clear()
        _right.add(mark)
    return wrong


def _mark_of(schema: Any) -> bytes | None:
    """A hash of a schema as it is, types and all; None for one that holds what JSON has not."""
    try:
        return hashlib.sha256(marshal.dumps(schema, _EACH_VALUE_BY_ITSELF)).digest()
    except ValueError:
        return None


_EACH_VALUE_BY_ITSELF = 2
"""The version of marshal's format: later ones also tell which values are one object."""


def _first_wrong(schema: Any) -> Malformed | None:
    todo: list[tuple[Place, Any]] = [((), schema)]
    while todo:
        place, one = todo.pop()
        if isinstance(one, bool):
            continue
        if not isinstance(one, (dict, Mapping)):
            return Malformed(_dotted(place), one, "a schema: an object, true or false")
        for name, value in one.items():
            word = _WORDS.get(name)
            if word is None:
                continue
            if not isinstance(value, word.kinds) or (word.fits is not None and not word.fits(value)):
                return Malformed(_dotted((place, name)), value, word.allowed)
            if word.inner is not None:
                todo += word.inner((place, name), value)
    return None


def _dotted(place: Place) -> str:
    names: list[str] = []
    while place:
        place, name = place
        names.append(str(name))
    return ".".join(reversed(names))


Kinds = tuple[type, ...]


class _Word(NamedTuple):
    allowed: str
    kinds: Kinds
    fits: Callable[[Any], bool] | None = None
    """What a value of these kinds must be beside."""
    inner: Callable[[Place, Any], list[tuple[Place, Any]]] | None = None
    """The schemas in its value."""


_TEXT: Kinds = (str,)
_LIST: Kinds = (list, tuple)
_MAP: Kinds = (dict, Mapping)
_NUMBER: Kinds = (int, float)
_ANY: Kinds = (object,)


def _are_texts(value: Any) -> bool:
    return all(isinstance(item, str) for item in value)


def _is_type(value: Any) -> bool:
    return bool(value) and (isinstance(value, str) or _are_texts(value))


def _of_map(place: Place, value: Any) -> list[tuple[Place, Any]]:
    return [((place, name), inner) for name, inner in value.items()]


def _of_list(place: Place, value: Any) -> list[tuple[Place, Any]]:
    return [((place, index), inner) for index, inner in enumerate(value)]


def _itself(place: Place, value: Any) -> list[tuple[Place, Any]]:
    return [(place, value)]


def _of_items(place: Place, value: Any) -> list[tuple[Place, Any]]:
    return _of_list(place, value) if isinstance(value, _LIST) else _itself(place, value)


_WORDS: dict[Any, _Word] = {
    **dict.fromkeys(MAPS, _Word("an object of schemas", _MAP, inner=_of_map)),
    **dict.fromkeys(LISTS, _Word("a list of at least one schema", _LIST, bool, _of_list)),
    **dict.fromkeys(ONES, _Word("a schema", _ANY, inner=_itself)),
    "items": _Word("a schema", _ANY, inner=_of_items),
    "type": _Word("the name of a type, or a list of such names", (*_TEXT, *_LIST), _is_type),
    "required": _Word("a list of names", _LIST, _are_texts),
    "enum": _Word("a list", _LIST),
    **dict.fromkeys(
        (
            *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
            *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        ),
        _Word("a number", _NUMBER),
    ),
    **dict.fromkeys(("$ref", "description", "title", "format", "pattern"), _Word("a string", _TEXT)),
}
