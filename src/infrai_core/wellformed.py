"""Whether a JSON Schema is one, said before anybody takes it apart. Pure.

By a table of words: each request with tools is looked at, and holding a schema against the meta-schema with a library
takes some hundred times as long.
"""

from __future__ import annotations

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


class Malformed(NamedTuple):
    """What in a schema is wrong: its place in there, what came, and what is allowed."""

    place: str
    came: Any
    allowed: str


def malformed(schema: Any) -> Malformed | None:
    """The first word of a schema whose value is of the wrong kind (https://json-schema.org/draft/2020-12/schema, and
    ``items`` as draft 7 has it), or None. Words that are not known here may have any value."""
    todo: list[tuple[Place, Any]] = [((), schema)]
    while todo:
        place, one = todo.pop()
        if isinstance(one, bool):
            continue
        if not isinstance(one, Mapping):
            return Malformed(_dotted(place), one, "a schema: an object, true or false")
        for name, value in one.items():
            word = _WORDS.get(name)
            if word is None:
                continue
            if not word.fits(value):
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


class _Word(NamedTuple):
    allowed: str
    fits: Callable[[Any], bool]
    inner: Callable[[Place, Any], list[tuple[Place, Any]]] | None = None
    """The schemas in its value."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _is_type(value: Any) -> bool:
    return bool(value) and (isinstance(value, str) or _are_texts(value))


def _has_items(value: Any) -> bool:
    return _is_list(value) and len(value) > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _any(value: Any) -> bool:
    return True


def _of_map(place: Place, value: Any) -> list[tuple[Place, Any]]:
    return [((place, name), inner) for name, inner in value.items()]


def _of_list(place: Place, value: Any) -> list[tuple[Place, Any]]:
    return [((place, index), inner) for index, inner in enumerate(value)]


def _itself(place: Place, value: Any) -> list[tuple[Place, Any]]:
    return [(place, value)]


def _of_items(place: Place, value: Any) -> list[tuple[Place, Any]]:
    return _of_list(place, value) if _is_list(value) else _itself(place, value)


_WORDS: dict[Any, _Word] = {
    **dict.fromkeys(MAPS, _Word("an object of schemas", _is_map, _of_map)),
    **dict.fromkeys(LISTS, _Word("a list of at least one schema", _has_items, _of_list)),
    **dict.fromkeys(ONES, _Word("a schema", _any, _itself)),
    "items": _Word("a schema", _any, _of_items),
    "type": _Word("the name of a type, or a list of such names", _is_type),
    "required": _Word("a list of names", _are_texts),
    "enum": _Word("a list", _is_list),
    **dict.fromkeys(
        (
            *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
            *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        ),
        _Word("a number", _is_number),
    ),
    **dict.fromkeys(("$ref", "description", "title", "format", "pattern"), _Word("a string", _is_text)),
}
