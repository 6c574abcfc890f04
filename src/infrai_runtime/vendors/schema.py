"""JSON Schema cut down to what a vendor reads. The rest goes into the description, where the model sees it.

Each vendor has one ``Rules`` value and nothing else to say about schemas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import orjson

from infrai_core.wellformed import LISTS, MAPS, ONES

Schema = dict[str, Any]

_SILENT = frozenset(
    {"$schema", "$id", "$comment", "title", "examples", "default", "readOnly", "writeOnly", "deprecated"}
)


class Inexpressible(Exception):
    """The vendor's schema language has no way to say this."""


def _as_it_is(schema: Schema) -> Schema:
    return schema


@dataclass(frozen=True, slots=True)
class Rules:
    """What a vendor reads: ``keywords``, and ``finish``, which gives each subschema its last touch and may raise
    ``Inexpressible``."""

    keywords: Set[str]
    finish: Callable[[Schema], Schema] = _as_it_is


def downgraded(schema: Any, rules: Rules) -> Any:
    """The schema as the vendor takes it. ``True`` and ``False`` are schemas too."""
    if not isinstance(schema, (dict, Mapping)):
        return schema
    keywords = rules.keywords
    said = schema if "oneOf" not in schema and "const" not in schema else _plainer(schema, keywords)
    kept = {
        name: _nested(name, value, rules) if name in _HOLD_SCHEMAS else value
        for name, value in said.items()
        if name in keywords
    }
    if len(kept) < len(said):
        kept = described(kept, {n: v for n, v in said.items() if n not in keywords and n not in _SILENT})
    return rules.finish(kept)


_HOLD_SCHEMAS = MAPS | LISTS | ONES


def _plainer(schema: Mapping[str, Any], keywords: Set[str]) -> Schema:
    """The same in words that more vendors know: ``oneOf`` as ``anyOf``, ``const`` as ``enum``."""
    return dict(_plain_word(name, value, keywords) for name, value in schema.items())


def _plain_word(name: str, value: Any, keywords: Set[str]) -> tuple[str, Any]:
    if name == "oneOf" and name not in keywords:
        return "anyOf", value
    if name == "const" and name not in keywords:
        return "enum", [value]
    return name, value


def _nested(name: str, value: Any, rules: Rules) -> Any:
    if name in MAPS and isinstance(value, (dict, Mapping)):
        return {key: downgraded(inner, rules) for key, inner in value.items()}
    if name in LISTS and isinstance(value, list):
        return [downgraded(inner, rules) for inner in value]
    return downgraded(value, rules) if name in ONES else value


def described(kept: Schema, lost: Mapping[str, Any]) -> Schema:
    """A schema that tells in its description what it says no more."""
    if not lost:
        return kept
    facts = ", ".join(f"{name}: {orjson.dumps(value, default=str).decode()}" for name, value in lost.items())
    before = kept.get("description")
    return kept | {"description": f"{before} ({facts})" if before else facts}


def is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a definition leads back to itself, or anything to the root."""
    definitions = {
        f"#/{group}/{name}": inner
        for group in ("$defs", "definitions")
        for name, inner in schema.get(group, {}).items()
    }
    uses = {ref: set(_refs(inner)) for ref, inner in definitions.items()}
    return "#" in _refs(schema) or any(ref in _reached(ref, uses) for ref in uses)


def _reached(start: str, uses: Mapping[str, Set[str]]) -> Set[str]:
    seen: set[str] = set()
    todo = list(uses[start])
    while todo:
        ref = todo.pop()
        if ref not in seen:
            seen.add(ref)
            todo += uses.get(ref, ())
    return seen


def _refs(value: Any) -> Iterator[str]:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    if isinstance(value, Mapping) and isinstance(value.get("$ref"), str):
        yield value["$ref"]
    for item in inner:
        yield from _refs(item)
