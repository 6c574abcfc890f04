"""Fills a JSON schema from a text. What the text does not support is left out, or made minimal and named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .assign import Path, assign
from .candidate import Candidate
from .find import candidates
from .least import least
from .records import segmentations
from .scene import Scene
from .schema import Schema
from .slot import Slot, kind_of
from .valid import valid

_NESTED_OPTIONAL = 6
_MOST_RECORDS = 200


@dataclass
class Filled:
    """``value`` satisfies the schema; ``declared`` are the paths in it that no evidence in the text shows to be true,
    and ``invented`` those of them that nothing in the text even suits.

    ``given`` is what the text seems to give; ``guessed`` what may stand in a required place for which it gives nothing.
    """

    value: Any
    declared: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    given: dict[Path, Candidate] = field(default_factory=dict)
    guessed: dict[Path, Candidate] = field(default_factory=dict)
    shown: frozenset[Path] = frozenset()

    def invent(self, path: str) -> None:
        """Declares a value that nothing suits."""
        self.invented.append(path)
        self.declared.append(path)


def fill(
    node: Any,
    text: str,
    *,
    param: str,
    free_text: bool = False,
    known: Mapping[Path, Any] | None = None,
    about: str = "",
) -> Filled:
    """The value of the JSON schema ``node`` that ``text`` supports.

    ``free_text`` lets whole phrases of a request fill string fields, ``about`` tells what all fields are about.
    ``known`` values win over those of the text.
    Raises ``Failure("INVALID_REQUEST", param=param)`` for a schema that is too deep, too large or cannot be satisfied.
    """
    if not isinstance(node, Mapping):
        raise Schema({}, param).failure(f"a schema must be an object, not {type(node).__name__}")
    return _Filling(Schema(node, param), free_text, (about,) if about else ()).whole(node, text, known or {})


@dataclass
class _Shape:
    """A plain node with its place; objects have members, everything else is a slot or a list of objects."""

    path: Path
    node: dict[str, Any]
    required: bool
    members: list[_Shape] = field(default_factory=list)
    nullable: bool = False
    source: Any = None


class _Filling:
    """One run over one schema; holds the budget and the mode."""

    def __init__(self, schema: Schema, free_text: bool, parents: tuple[str, ...] = (), piece: bool = False) -> None:
        self._schema = schema
        self._piece = piece
        self._parents = parents
        self._text = ""
        self._free_text = free_text

    def whole(self, node: Any, text: str, known: Mapping[Path, Any], depth: int = 0) -> Filled:
        """The best filled of the schema's alternatives."""
        plain = self._schema.plain(node, depth)
        tried = [
            self._variant(v, node, text, known, depth)
            for v in self._schema.variants(plain, depth)
            if kind_of(v) != "null"
        ]
        if not tried:
            return Filled(None)
        return max(tried, key=lambda filled: len(filled.given) - 2 * len(filled.invented))

    def _variant(self, node: dict[str, Any], source: Any, text: str, known: Mapping[Path, Any], depth: int) -> Filled:
        shape = self._shape((), node, True, depth, source)
        scene = Scene(text, piece=self._piece)
        self._text = text
        about = (*self._parents, str(node.get("title") or ""))
        found = assign(
            [s for s in self._slots(shape, about if about[-1] else self._parents) if s.path not in known],
            scene,
            free_text=self._free_text,
        )
        given = found.given | {path: Candidate(value, 1.0, 0, 0) for path, value in known.items()}
        left = _blanked(text, found.given)
        for lists in self._lists(shape):
            given.update(self._records(lists, left, depth))
        filled = Filled(
            None, given=given, guessed=found.guessed, shown=found.shown | (given.keys() - found.given.keys())
        )
        filled.value = self._built(shape, filled, depth)
        return filled

    # -- reading the schema

    def _shape(self, path: Path, node: dict[str, Any], required: bool, depth: int, source: Any) -> _Shape:
        shape = _Shape(path, node, required, source=source)
        if kind_of(node) != "object":
            return shape
        wanted = set(node.get("required", ()))
        for name, member in node.get("properties", {}).items():
            if name not in wanted and len(path) >= _NESTED_OPTIONAL:
                continue
            shape.members.append(self._member((*path, name), member, name in wanted, depth + 1))
        shape.members += [
            self._member((*path, n), {}, True, depth + 1) for n in wanted - set(node.get("properties", {}))
        ]
        return shape

    def _member(self, path: Path, node: Any, required: bool, depth: int) -> _Shape:
        variants = self._schema.variants(self._schema.plain(node, depth), depth)
        real = [variant for variant in variants if kind_of(variant) != "null"]
        chosen = _joined_scalars(real) if real else variants[0]
        shape = self._shape(path, chosen, required, depth, node)
        shape.nullable = len(real) < len(variants)
        return shape

    def _slots(self, shape: _Shape, parents: tuple[str, ...]) -> list[Slot]:
        if kind_of(shape.node) == "object":
            own = (*parents, shape.path[-1]) if shape.path else parents
            return [slot for member in shape.members for slot in self._slots(member, own)]
        if _holds_objects(shape.node, self._schema):
            return []
        return [Slot(shape.path, self._item_plain(shape.node), shape.required, parents)]

    def _item_plain(self, node: dict[str, Any]) -> dict[str, Any]:
        """An array's node with its item schema made plain."""
        if kind_of(node) != "array" or "items" not in node:
            return node
        variants = self._schema.variants(self._schema.plain(node["items"], 1), 1)
        return {**node, "items": next((v for v in variants if kind_of(v) != "null"), variants[0])}

    def _lists(self, shape: _Shape) -> list[_Shape]:
        if kind_of(shape.node) == "object":
            return [found for member in shape.members for found in self._lists(member)]
        return [shape] if _holds_objects(shape.node, self._schema) else []

    # -- lists of objects

    def _records(self, shape: _Shape, text: str, depth: int) -> dict[Path, Candidate]:
        """The records of the best way to cut the text; fewer than ``minItems`` are left to the minimal value."""
        level = depth + len(shape.path) + 1
        if level > _NESTED_OPTIONAL:
            return {}
        best: list[Filled] = []
        for pieces in segmentations(text):
            inner = _Filling(self._schema, self._free_text, shape.path[-1:], piece=True)
            found = [inner.whole(shape.node["items"], piece, {}, level) for piece in pieces[:_MOST_RECORDS]]
            kept = _records(found)
            if _worth(kept) > _worth(best):
                best = kept
        best = best[: shape.node.get("maxItems", _MOST_RECORDS)]
        if len(best) < max(1, shape.node.get("minItems", 0)):
            return {}
        return {shape.path: Candidate(_Records(best), 1.0, 0, 0)}

    # -- building the value

    def _built(self, shape: _Shape, filled: Filled, depth: int) -> Any:
        if shape.path in filled.given:
            return self._supported(shape.path, filled)
        if kind_of(shape.node) == "object" and (shape.required or self._has_any(shape, filled)):
            if shape.nullable and not self._has_any(shape, filled):
                filled.invent(_dotted(shape.path))
                return None
            if not shape.members and isinstance(shape.node.get("additionalProperties"), Mapping):
                return self._mapping(shape, filled)
            built = {m.path[-1]: self._built(m, filled, depth) for m in shape.members if self._wanted(m, filled)}
            return built
        filled.invent(_dotted(shape.path))
        if shape.path in filled.guessed and not shape.nullable:
            return filled.guessed[shape.path].value
        return least(self._schema, shape.source, depth)

    def _mapping(self, shape: _Shape, filled: Filled) -> dict[str, Any]:
        """Free keys: the labelled fields of the text whose values are of the wanted kind."""
        wanted = self._schema.variants(self._schema.plain(shape.node["additionalProperties"], 1), 1)[0]
        found: dict[str, Any] = {}
        for label in Scene(self._text).fields:
            slot = Slot((label.label,), wanted, True)
            offers = [c for c in candidates(slot, Scene(label.value), True) if valid(c.value, wanted)]
            if wanted.get("type") == "string" and valid(label.value, wanted):
                found[label.label] = label.value
            elif offers:
                found[label.label] = max(offers, key=lambda offer: offer.fit).value
        if not found:
            filled.invent(_dotted(shape.path))
        return found

    def _supported(self, path: Path, filled: Filled) -> Any:
        value = filled.given[path].value
        if not isinstance(value, _Records):
            filled.declared += [] if path in filled.shown else [_dotted(path)]
            return value
        for at, record in enumerate(value):
            inside = _dotted((*path, str(at)))
            filled.invented += [f"{inside}.{name}".rstrip(".") for name in record.invented]
            filled.declared += [f"{inside}.{name}".rstrip(".") for name in record.declared]
        return [record.value for record in value]

    def _wanted(self, shape: _Shape, filled: Filled) -> bool:
        """Whether a member is to be filled: an optional one only on evidence."""
        size = len(shape.path)
        return shape.required or any(path[:size] == shape.path for path in filled.shown)

    def _has_any(self, shape: _Shape, filled: Filled) -> bool:
        size = len(shape.path)
        return any(path[:size] == shape.path for path in filled.given)


class _Records(list[Filled]):
    """The filled records of one list of objects."""


def _blanked(text: str, given: Mapping[Path, Candidate]) -> str:
    """The text without the values that surely belong to single fields: no record of a list holds them."""
    for candidate in given.values():
        if candidate.fit >= _SURE and not isinstance(candidate.value, list):
            text = text[: candidate.start] + " " * (candidate.end - candidate.start) + text[candidate.end :]
    return text


_SURE = 0.75


def _records(found: list[Filled]) -> list[Filled]:
    """Those that are records; where some are complete, a half empty one is something else."""
    kept = [filled for filled in found if _is_record(filled)]
    if any(not filled.invented for filled in kept):
        return [filled for filled in kept if len(filled.invented) < len(filled.given)]
    return kept


def _is_record(filled: Filled) -> bool:
    """Whether enough of a record stands in its piece of text to believe that it is one."""
    supported = [
        path for path, candidate in filled.given.items() if candidate.end > candidate.start or candidate.fit >= 0.5
    ]
    return bool(supported) and len(filled.invented) <= len(supported)


def _worth(records: list[Filled]) -> float:
    return sum(len(r.given) - 1.5 * len(r.invented) for r in records) - 0.01 * len(records)


def _holds_objects(node: Mapping[str, Any], schema: Schema) -> bool:
    if kind_of(node) != "array" or not isinstance(node.get("items"), Mapping):
        return False
    return any(kind_of(v) == "object" for v in schema.variants(schema.plain(node["items"], 1), 1))


def _joined_scalars(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """The alternative to look for: an object or the first one."""
    return next((node for node in nodes if kind_of(node) == "object"), nodes[0])


def _dotted(path: Path) -> str:
    return ".".join(path)
