"""Schemas that Cohere can be held to (https://docs.cohere.com/docs/structured-outputs, "Specifying a schema").

It reads no composition, no ranges and lengths, a part of regular expressions, four formats, and wants a required
property in every object. References are written out, as its page does not speak of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infrai_runtime.vendors.schema import Inexpressible, Rules, Schema, described, downgraded, is_recursive

_KEYWORDS = frozenset(
    {"type", "properties", "required", "items", "enum", "const", "pattern", "format", "title", "description"}
)
_COMPOSED = frozenset({"anyOf", "oneOf", "allOf", "not", "if", "then", "else", "patternProperties"})
_FORMATS = frozenset({"date-time", "uuid", "date", "time"})
_NO_PATTERN = re.compile(r"[\^$]|\?[=!]")


def held_to(schema: Mapping[str, Any]) -> Schema | None:
    """The schema as the API takes it; None where it cannot say it."""
    try:
        if is_recursive(schema):
            return None
        made: Schema = downgraded(_written_out(schema, schema), Rules(_KEYWORDS, _finished))
    except Inexpressible:
        return None
    return made if made.get("type") == "object" else None


def _finished(schema: Schema) -> Schema:
    if schema.get("type") == "object" and not schema.get("required"):
        raise Inexpressible("an object without a required property")
    lost = dict(_lost(schema))
    return described({name: value for name, value in schema.items() if name not in lost}, lost)


def _lost(schema: Schema) -> Iterator[tuple[str, str]]:
    """What is told in the description only."""
    if schema.get("format", "date") not in _FORMATS:
        yield "format", schema["format"]
    if _NO_PATTERN.search(schema.get("pattern", "")):
        yield "pattern", schema["pattern"]


def _written_out(value: Any, root: Mapping[str, Any]) -> Any:
    """The schema without references and without what is closed anyway. Raises Inexpressible for a composed one."""
    if isinstance(value, list):
        return [_written_out(item, root) for item in value]
    if not isinstance(value, Mapping):
        return value
    if isinstance(value.get("$ref"), str):
        beside = {name: inner for name, inner in value.items() if name != "$ref"}
        return _written_out({**_at(value["$ref"], root), **beside}, root)
    if not _COMPOSED.isdisjoint(value):
        return _alone(value, root)
    kept = {name: inner for name, inner in value.items() if name not in ("$defs", "definitions")}
    if kept.get("additionalProperties") is False:
        del kept["additionalProperties"]
    return {
        name: {key: _written_out(inner, root) for key, inner in made.items()}
        if name == "properties"
        else _written_out(made, root)
        for name, made in kept.items()
    }


def _alone(value: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """A composition of one member, as pydantic writes a described reference, is that member."""
    name = next(word for word in value if word in _COMPOSED)
    if name not in ("allOf", "anyOf", "oneOf") or len(value[name]) != 1:
        raise Inexpressible(name)
    beside = {word: inner for word, inner in value.items() if word != name}
    return _written_out({**value[name][0], **beside}, root)


def _at(pointer: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to. Raises Inexpressible for one that leads out of the schema."""
    found: Any = root
    for step in pointer.removeprefix("#").split("/")[1:]:
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    if not pointer.startswith("#/") or not isinstance(found, Mapping):
        raise Inexpressible(f"$ref {pointer}")
    return found
