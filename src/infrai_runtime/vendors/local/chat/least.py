"""The smallest value that satisfies a schema, for required fields that the text says nothing about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .schema import Schema
from .slot import kind_of
from .valid import valid

_MOST_ITEMS = 64
_FORMAT = {
    "date": "1970-01-01",
    "time": "00:00:00Z",
    "date-time": "1970-01-01T00:00:00Z",
    "email": "unknown@example.invalid",
    "uri": "about:blank",
    "url": "about:blank",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "ipv4": "0.0.0.0",
    "ipv6": "::",
    "hostname": "example.invalid",
    "duration": "PT0S",
}
_SAMPLES = (
    "",
    "a",
    "A",
    "0",
    "aa",
    "AA",
    "00",
    "000",
    "0000",
    "00000",
    "A0",
    "a0",
    "AAA",
    "aaa",
    "A-0",
    "1",
    "+10000000000",
    "a@a.aa",
)


def least(schema: Schema, node: Any, depth: int = 0) -> Any:
    """Null where it is allowed, else the default, else the smallest valid value; a Failure where none is known."""
    variants = schema.variants(schema.plain(node, depth), depth)
    if any(kind_of(variant) == "null" for variant in variants):
        return None
    if isinstance(node, Mapping) and "default" in node:
        return node["default"]
    return _one(schema, variants[0], depth)


def _one(schema: Schema, node: dict[str, Any], depth: int) -> Any:
    if "const" in node:
        return node["const"]
    if node.get("enum"):
        return None if None in node["enum"] else node["enum"][0]
    if "default" in node:
        return node["default"]
    return _BY_KIND[kind_of(node)](schema, node, depth)


def _object(schema: Schema, node: dict[str, Any], depth: int) -> dict[str, Any]:
    properties = node.get("properties", {})
    return {name: least(schema, properties.get(name, {}), depth + 1) for name in node.get("required", ())}


def _array(schema: Schema, node: dict[str, Any], depth: int) -> list[Any]:
    prefix = node.get("prefixItems", [])
    size = node.get("minItems", 0)
    if size > _MOST_ITEMS:
        raise schema.failure(f"minItems may be at most {_MOST_ITEMS} for values that the text does not give")
    return [least(schema, prefix[i] if i < len(prefix) else node.get("items", {}), depth + 1) for i in range(size)]


def _string(schema: Schema, node: dict[str, Any], depth: int) -> str:
    size = node.get("minLength", 0)
    options = [_FORMAT.get(str(node.get("format")), ""), *_SAMPLES, "x" * min(size, 10_000), "0" * min(size, 10_000)]
    return str(_first_valid(schema, options, node))


def _number(schema: Schema, node: dict[str, Any], depth: int) -> Any:
    step = node.get("multipleOf") or 1
    edges = [node.get("minimum"), node.get("maximum"), node.get("exclusiveMinimum"), node.get("exclusiveMaximum")]
    near = [edge + shift for edge in edges if isinstance(edge, int | float) for shift in (0, step, -step, 0.5, -0.5)]
    aligned = [step * round(value / step) for value in near]
    return _first_valid(schema, [0, *near, *aligned, *(int(value) for value in near)], node)


def _first_valid(schema: Schema, options: list[Any], node: dict[str, Any]) -> Any:
    for option in options:
        if valid(option, node):
            return option
    told = {
        key: value for key, value in node.items() if key in ("pattern", "minLength", "minimum", "maximum", "multipleOf")
    }
    raise schema.failure(f"no value is known that satisfies {told!r} and the text gives none")


_BY_KIND: dict[str, Callable[[Schema, dict[str, Any], int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _number,
    "boolean": lambda schema, node, depth: False,
    "null": lambda schema, node, depth: None,
    "any": lambda schema, node, depth: None,
}
