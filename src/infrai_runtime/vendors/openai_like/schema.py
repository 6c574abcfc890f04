"""Answers by a schema, in OpenAI's terms (https://platform.openai.com/docs/guides/structured-outputs)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from infrai_runtime.tool import is_custom
from infrai_runtime.vendors.schema import Inexpressible, Rules, Schema, downgraded

_KEYWORDS = frozenset(
    {
        *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "description"),
        *("$ref", "$defs", "definitions", "title", "pattern", "format", "multipleOf", "minimum", "maximum"),
        *("exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"),
    }
)
"""What strict mode reads."""


def _closed(schema: Schema) -> Schema:
    """An object of strict mode: closed, with every property required. Closing it is harmless, requiring is not."""
    if schema.get("type") != "object" and "properties" not in schema:
        return schema
    properties = schema.get("properties", {})
    if schema.get("additionalProperties", False) is not False:
        raise Inexpressible("additionalProperties")
    if set(schema.get("required", ())) != set(properties):
        raise Inexpressible("an optional property")
    return schema | {"additionalProperties": False, "properties": properties, "required": list(properties)}


_STRICT = Rules(_KEYWORDS, _closed)


def strict(schema: Any) -> Schema | None:
    """The schema as strict mode takes it; None where strict mode cannot say it (an optional or an open property)."""
    try:
        made = downgraded(schema, _STRICT)
    except Inexpressible:
        return None
    return made if isinstance(made, dict) and made.get("type") == "object" else None


def response_format(form: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """``response_format`` with a schema, strict where that can be, and a warning where it was wanted and cannot."""
    given = form["json_schema"]
    made = strict(given["schema"]) if given.get("strict", True) else None
    body = {"name": given.get("name") or "answer", "schema": made or given["schema"], "strict": made is not None}
    if "description" in given:
        body["description"] = given["description"]
    lost = given.get("strict") and made is None
    warning = (
        "response_format: the schema has optional or open properties; it is followed without strict" if lost else None
    )
    return {"type": "json_schema", "json_schema": body}, warning


def instructions(form: Mapping[str, Any]) -> str:
    """What a model without a mode for schemas is told."""
    given = form.get("json_schema")
    if given is None:
        return "Answer with one JSON object and nothing else."
    about = f" {given['description']}" if given.get("description") else ""
    schema = orjson.dumps(given["schema"]).decode()
    return f"Answer with one JSON object and nothing else.{about} It must follow this JSON Schema: {schema}"


def tools(given: list[Any], allow_strict: bool) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The tools, and a warning for each that cannot be strict as it was asked to be."""
    for tool in given:
        if is_custom(tool):
            yield dict(tool), None
            continue
        function = dict(tool["function"])
        if not function.pop("strict", False):
            yield {"type": "function", "function": function}, None
            continue
        made = strict(function.get("parameters", {"type": "object", "properties": {}})) if allow_strict else None
        if made is None:
            yield {"type": "function", "function": function}, f"tools: {function['name']} is not strict here"
        else:
            yield {"type": "function", "function": function | {"parameters": made, "strict": True}}, None
