"""Schemas that Gemini can be held to (``responseJsonSchema``, ``parametersJsonSchema``).

https://ai.google.dev/api/generate-content#FIELDS.response_json_schema lists the keywords; a ``$ref`` stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infrai_runtime.vendors.schema import Rules, Schema, downgraded

_KEYWORDS = frozenset(
    {
        *("type", "format", "title", "description", "enum", "items", "prefixItems", "minItems", "maxItems"),
        *("minimum", "maximum", "anyOf", "properties", "additionalProperties", "required", "propertyOrdering"),
        *("$ref", "$defs"),
    }
)
_FORMATS = frozenset({"date-time", "date", "time"})


def held_to(schema: Mapping[str, Any]) -> Schema:
    """The schema as the API takes it."""
    said: Schema = downgraded(_merged(_defined(schema)), Rules(_KEYWORDS, _finished))
    return said


def _finished(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {name: value for name, value in schema.items() if name.startswith("$")}
    if "format" in schema and schema["format"] not in _FORMATS:
        rest = {name: value for name, value in schema.items() if name != "format"}
        fact = f"format: {schema['format']}"
        return rest | {"description": f"{rest['description']} ({fact})" if rest.get("description") else fact}
    return schema


def _defined(value: Any) -> Any:
    """``definitions`` under their newer name, and references to them."""
    if isinstance(value, list):
        return [_defined(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    renamed = {("$defs" if name == "definitions" else name): _defined(inner) for name, inner in value.items()}
    if isinstance(renamed.get("$ref"), str):
        renamed["$ref"] = renamed["$ref"].replace("#/definitions/", "#/$defs/")
    return renamed


def _merged(value: Any) -> Any:
    """``allOf`` with one member, as pydantic writes a described reference, is that member."""
    if isinstance(value, list):
        return [_merged(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    inner = {name: _merged(item) for name, item in value.items()}
    alone = inner.get("allOf")
    if isinstance(alone, list) and len(alone) == 1 and isinstance(alone[0], dict):
        del inner["allOf"]
        return alone[0] | inner
    return inner
