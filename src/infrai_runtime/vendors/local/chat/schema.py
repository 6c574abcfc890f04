"""JSON Schemas made plain: references followed, allOf merged, depth and size bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infrai_runtime.failure import Failure

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
