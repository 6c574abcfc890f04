"""Schemas that Claude can be held to (``output_config.format``, strict tools).

Objects are closed, numbers and lengths are not bounded, nothing refers to itself:
https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infrai_runtime.vendors.schema import Inexpressible, Rules, Schema, downgraded, is_recursive

_KEYWORDS = frozenset(
    {
        *(
            "type",
            "description",
            "enum",
            "const",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "minItems",
        ),
        *("anyOf", "allOf", "$ref", "$defs", "definitions", "format"),
    }
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})


def held_to(schema: Mapping[str, Any]) -> Schema | None:
    """The schema as the API takes it; None when it has no way to say it (free-form objects, recursion)."""
    if is_recursive(schema):
        return None
    try:
        said: Schema = downgraded(schema, Rules(_KEYWORDS, _finished))
    except Inexpressible:
        return None
    return said


def _finished(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {name: value for name, value in schema.items() if name in ("$ref", "$defs", "definitions")}
    if schema.get("type") == "object" or "properties" in schema:
        return _closed(schema)
    for name, allowed in _VALUES.items():
        if name in schema and not allowed(schema[name]):
            schema = _told(schema, name)
    return schema


def _closed(schema: Schema) -> Schema:
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping) or ("properties" not in schema and others is not False):
        raise Inexpressible
    return schema | {"additionalProperties": False}


_VALUES: dict[str, Any] = {"minItems": lambda count: count in (0, 1), "format": lambda name: name in _FORMATS}


def _told(schema: Schema, name: str) -> Schema:
    """The schema with a keyword in its description instead."""
    rest = {key: value for key, value in schema.items() if key != name}
    before = rest.get("description")
    fact = f"{name}: {schema[name]}"
    return rest | {"description": f"{before} ({fact})" if before else fact}
