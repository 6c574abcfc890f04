"""JSON Schemas made plain, whether a value satisfies one, and the smallest value that does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from infrai_runtime.failure import Failure

from .word import in_order

MAX_DEPTH = 24
MAX_NODES = 3_000
Node = Mapping[str, Any]


_KEYWORDS: dict[str, tuple[type, ...]] = {
    "properties": (Mapping,),
    "required": (list, tuple),
    "enum": (list, tuple),
    "anyOf": (list, tuple),
    "oneOf": (list, tuple),
    "allOf": (list, tuple),
    "prefixItems": (list, tuple),
    "type": (str, list, tuple),
    **dict.fromkeys(("minItems", "maxItems", "minLength", "maxLength"), (int,)),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), (int, float)),
}


class Schema:
    """A root schema and the budget for walking it. ``param`` is the request field named in failures."""

    def __init__(self, root: Node, param: str) -> None:
        self.root = root
        self.param = param
        self._visited = 0

    def plain(self, node: Any, depth: int) -> dict[str, Any]:
        """``node`` with its references followed and its allOf merged. Raises INVALID_REQUEST past the bounds."""
        self._visited += 1
        if depth > MAX_DEPTH:
            raise self.failure(f"the schema needs values nested more than {MAX_DEPTH} levels deep")
        if self._visited > MAX_NODES:
            raise self.failure(f"the schema has more than {MAX_NODES} parts")
        if node is True or node is None:
            return {}
        if not isinstance(node, Mapping):
            raise self.failure(f"a schema must be an object, not {type(node).__name__}")
        self._check(node)
        return self._merged(self._followed(node), depth)

    def _check(self, node: Node) -> None:
        """Refuses a keyword whose value has the wrong type, before anything trips over it."""
        for keyword, allowed in _KEYWORDS.items():
            if keyword in node and (not isinstance(node[keyword], allowed) or node[keyword] is False):
                raise self.failure(f"{keyword} may not be {node[keyword]!r:.60}")
        if any(not isinstance(name, str) for name in node.get("required", ())):
            raise self.failure("required must be a list of names")

    def variants(self, node: Node, depth: int) -> list[dict[str, Any]]:
        """The alternatives of a plain node: its anyOf or oneOf members with the node's own keywords, or itself."""
        options = node.get("anyOf") or node.get("oneOf")
        if not options:
            return self._types(node)
        own = {key: value for key, value in node.items() if key not in ("anyOf", "oneOf", "default")}
        return [v for option in options for v in self.variants(join(own, self.plain(option, depth + 1)), depth + 1)]

    def _types(self, node: Node) -> list[dict[str, Any]]:
        kinds = node.get("type")
        if not isinstance(kinds, list):
            return [dict(node)]
        return [{**node, "type": kind} for kind in kinds]

    def _followed(self, node: Node) -> Node:
        seen = 0
        while "$ref" in node:
            seen += 1
            if seen > MAX_DEPTH:
                raise self.failure("a $ref of the schema leads back to itself")
            siblings = {key: value for key, value in node.items() if key != "$ref"}
            node = join(self._target(node["$ref"]), siblings)
        return node

    def _target(self, reference: Any) -> Node:
        target: Any = self.root
        steps = str(reference).removeprefix("#").strip("/").split("/") if reference != "#" else []
        for step in steps:
            step = step.replace("~1", "/").replace("~0", "~")
            target = target.get(step) if isinstance(target, Mapping) else None
        if not isinstance(target, Mapping) or not str(reference).startswith("#"):
            raise self.failure(f"the $ref {str(reference)[:80]!r} points to nothing in the schema")
        return target

    def _merged(self, node: Node, depth: int) -> dict[str, Any]:
        merged = {key: value for key, value in node.items() if key != "allOf"}
        for part in node.get("allOf", ()):
            merged = join(merged, self.plain(part, depth + 1))
        return merged

    def failure(self, message: str) -> Failure:
        """The failure for a schema that this model cannot fill."""
        return Failure("INVALID_REQUEST", f"{self.param}: {message}", param=self.param)


def join(one: Node, other: Node) -> dict[str, Any]:
    """Both schemas as one: properties and required are united, other keywords of ``other`` win."""
    joined = {**one, **other}
    if "properties" in one and "properties" in other:
        joined["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        joined["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    return joined


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
_SAMPLES = ("", *in_order("a A 0 aa AA 00 000 0000 00000 A0 a0 AAA aaa A-0 1 +10000000000 a@a.aa"))


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


def settled(schema: Mapping[str, Any]) -> Sequence[Any]:
    """The value of a resolved schema that allows only one; empty where it leaves a choice."""
    if "const" in schema:
        return [schema["const"]]
    options = [None] if schema.get("type") == "null" else schema.get("enum", ())
    return options if len(options) == 1 else ()


def kind_of(schema: Mapping[str, Any]) -> str:
    """The one type of a resolved schema; "any" for one that is not JSON Schema's."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str) and kind in _BY_KIND:
        return kind
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "any"
