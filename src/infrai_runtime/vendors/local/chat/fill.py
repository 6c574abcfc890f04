"""Fills a JSON schema from a text: evidence first. What nothing shows is left out, or stands in its place declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .evidence import Claim, doubted, likely, speaks
from .excerpt import Place
from .lists import listed, segmentations
from .offer import Offer, offers
from .proof import Held, Path, Proof, proven
from .scene import Scene
from .schema import Schema, kind_of, least, valid
from .slot import Slot

Known = tuple[Any, str]
_NESTED_OPTIONAL = 6
_MOST_RECORDS = 200
_MOST_SLOTS = 300


@dataclass
class Filled:
    """``value`` satisfies the schema; ``declared`` are the paths in it that no evidence in the text shows to be true,
    and ``missing`` those of them that nothing in the text even suits.

    ``given`` is what the text gives, with the ``proofs``, the words that it was read from. ``likely`` is what stands,
    declared, in a required place to which it gives nothing, and ``offered`` all that the text has of the kinds that are
    asked for.
    """

    value: Any
    declared: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    given: dict[Path, Offer] = field(default_factory=dict)
    likely: dict[Path, Offer] = field(default_factory=dict)
    offered: dict[Path, Offer] = field(default_factory=dict)
    proofs: dict[Path, Proof] = field(default_factory=dict)

    @property
    def held(self) -> Held:
        """The value with all that is needed to list what nothing shows."""
        return Held(self.value, self.declared, self.proofs)

    @property
    def worth(self) -> float:
        """How much of a record stands in the text: what is given, half of what is likely, less what is missing."""
        return len(self.given) + 0.5 * len(self.likely) - 1.5 * len(self.missing)


def fill(
    node: Any,
    text: str,
    *,
    param: str,
    command: bool = False,
    known: Mapping[Path, Known] | None = None,
    about: str = "",
) -> Filled:
    """The value of the JSON schema ``node`` that ``text`` supports.

    A ``command`` is meant for the fields, a text need not be; ``about`` tells what all fields are about. ``known``
    values win over those of the text; each comes with the words that it was read from.
    Raises ``Failure("INVALID_REQUEST", param=param)`` for a schema that is too deep, too large or cannot be satisfied.
    """
    if not isinstance(node, Mapping):
        raise Schema({}, param).failure(f"a schema must be an object, not {type(node).__name__}")
    return _Filling(Schema(node, param), command, (about,) if about else ()).whole(node, text, known or {})


# -- which value for which slot


@dataclass(frozen=True)
class Assigned:
    """The values of slots: what the text has ``given`` them, what it has ``likely`` for required ones to which it gives
    nothing, and what it has ``offered`` of their kinds, whether it means it or not."""

    given: dict[Path, Offer]
    likely: dict[Path, Offer]
    offered: dict[Path, Offer]


def assign(slots: Sequence[Slot], scene: Scene, command: bool) -> Assigned:
    """Which value goes where. The strongest pair goes first; no stretch of the text is used twice."""
    wanted = {slot.path: slot for slot in slots[:_MOST_SLOTS]}
    found = [(one, slot) for slot in wanted.values() for one in _offers(slot, scene, command)]

    def claims(pairs: Sequence[_Pair], offered: Mapping[Path, Offer]) -> list[Claim]:
        others = [(wanted[path], one) for path, one in offered.items()]
        return [Claim(*pair, scene, others, command, wanted.values()) for pair in pairs]

    backed = [claim for claim in claims(found, _offered(found, scene)) if speaks(claim)]
    raised = [(replace(claim.chosen, fit=max(claim.chosen.fit, _BACKED)), claim.slot) for claim in backed]
    offered = _offered([*raised, *found], scene)
    seen = [(claim.chosen, claim.slot) for claim in claims(raised, offered) if not doubted(claim)]
    given = _chosen([pair for pair in seen if not _disputed(*pair, seen, command)], scene, {})
    open_ = [(one, to) for one, to in (*raised, *found) if to.required and to.path not in given]
    weighed = [(claim, likely(claim)) for claim in claims(open_, offered)]
    wished = [(replace(claim.chosen, fit=claim.chosen.fit + weight), claim.slot) for claim, weight in weighed if weight]
    stands = _chosen(wished, scene, given)
    return Assigned(given, {path: one for path, one in stands.items() if path not in given}, offered)


_BACKED = 0.6
"""The least fit of what evidence speaks for, even where it is doubted."""


def _offered(found: Sequence[_Pair], scene: Scene) -> dict[Path, Offer]:
    """Which slot would take what: what evidence speaks for, then required slots, then the others."""
    offered = _chosen([pair for pair in found if pair[0].fit >= _BACKED], scene, {})
    for required in (True, False):
        pairs = [(one, to) for one, to in found if to.required >= required]
        offered = _chosen([pair for pair in pairs if pair[1].path not in offered], scene, offered)
    return offered


def _offers(slot: Slot, scene: Scene, command: bool) -> Iterator[Offer]:
    found = listed(slot, scene, command) if slot.kind == "array" else offers(slot, scene, command)
    return (one for one in found if valid(one.value, slot.schema))


_Pair = tuple[Offer, Slot]


def _disputed(one: Offer, slot: Slot, seen: Sequence[_Pair], command: bool) -> bool:
    """Whether as much shows that another value elsewhere in the text is that of the slot; the numbers of a command
    go to its slots in their order."""
    if isinstance(one.value, list) or (command and one.is_number):
        return False
    others = (other for other, to in seen if to is slot and other.end > other.start and one.end > one.start)
    return any(other.value != one.value and not other.overlaps(one) for other in others)


def _chosen(found: Sequence[_Pair], scene: Scene, taken: Mapping[Path, Offer]) -> dict[Path, Offer]:
    """``taken`` and the best of what was found: no path twice, no stretch of text twice."""
    places = {slot.path: place for place, (_, slot) in enumerate(found)}
    order = sorted(found, key=lambda pair: (-round(pair[0].fit, 3), _turn(pair[0], scene), places[pair[1].path]))
    chosen = dict(taken)
    for one, slot in order:
        if slot.path not in chosen and not any(one.overlaps(other) for other in chosen.values()):
            chosen[slot.path] = one
    return chosen


def _turn(one: Offer, scene: Scene) -> int:
    """Equal fits go by order in the text; 'subtract 4 from 10' names its first operand last."""
    backwards = scene.marker(one.start) == "from" and scene.before(one.start, 4)[-1:] in _BACKWARDS
    return -1 if backwards else one.start


_BACKWARDS = (["subtract"], ["take"], ["deduct"], ["remove"])


# -- the shape of the value


@dataclass
class _Shape:
    """A plain node with its place; objects have members, everything else is a slot or a list of objects."""

    path: Path
    node: dict[str, Any]
    required: bool
    source: Any
    members: list[_Shape] = field(default_factory=list)
    nullable: bool = False

    @property
    def kind(self) -> str:
        return kind_of(self.node)

    def leaves(self) -> Iterator[_Shape]:
        """The shapes without members."""
        if self.kind == "object":
            for member in self.members:
                yield from member.leaves()
        else:
            yield self


class _Filling:
    """One run over one schema; holds the budget and the mode."""

    def __init__(self, schema: Schema, command: bool, parents: Path = (), piece: bool = False) -> None:
        self._schema = schema
        self._command = command
        self._parents = parents
        self._piece = piece

    def whole(self, node: Any, text: str, known: Mapping[Path, Known], depth: int = 0) -> Filled:
        """The best filled of the schema's alternatives."""
        variants = self._schema.variants(self._schema.plain(node, depth), depth)
        tried = [self._variant(v, node, text, known, depth) for v in variants if kind_of(v) != "null"]
        return max(tried, key=lambda filled: filled.worth, default=Filled(None))

    def _variant(self, node: dict[str, Any], source: Any, text: str, known: Mapping[Path, Known], depth: int) -> Filled:
        shape = self._shape((), node, True, depth, source)
        scene = Scene(text, piece=self._piece)
        title = str(node.get("title") or "")
        slots = [*self._slots(shape, (*self._parents, title) if title else self._parents)]
        assigned = assign([slot for slot in slots if slot.path not in known], scene, self._command)
        left = _blanked(text, assigned.given)
        given = assigned.given | {path: Offer(value, 0, 0, 1.0) for path, (value, _) in known.items()}
        proofs = {
            slot.path: Proof(slot, known[slot.path][1]) if slot.path in known else proven(slot, given[slot.path], scene)
            for slot in slots
            if slot.path in given
        }
        for lists in shape.leaves():
            if _holds_objects(lists.node, self._schema):
                given.update(self._records(lists, left, depth))
        filled = Filled(None, given=given, likely=assigned.likely, offered=assigned.offered, proofs=proofs)
        filled.value = self._built(shape, filled, depth, scene)
        return filled

    # -- reading the schema

    def _shape(self, path: Path, node: dict[str, Any], required: bool, depth: int, source: Any) -> _Shape:
        shape = _Shape(path, node, required, source)
        if shape.kind != "object":
            return shape
        wanted = node.get("required", ())
        properties = node.get("properties", {})
        for name, member in {**properties, **{name: {} for name in wanted if name not in properties}}.items():
            if name in wanted or len(path) < _NESTED_OPTIONAL:
                shape.members.append(self._member((*path, name), member, name in wanted, depth + 1))
        return shape

    def _member(self, path: Path, node: Any, required: bool, depth: int) -> _Shape:
        variants = self._schema.variants(self._schema.plain(node, depth), depth)
        real = [variant for variant in variants if kind_of(variant) != "null"]
        chosen = next((one for one in real if kind_of(one) == "object"), (real or variants)[0])
        nullable = len(real) < len(variants)
        ends = nullable and len(path) > _NESTED_OPTIONAL  # nodes that lead to their own kind or to null end somewhere
        shape = _Shape(path, chosen, required, node) if ends else self._shape(path, chosen, required, depth, node)
        shape.nullable = nullable
        return shape

    def _slots(self, shape: _Shape, parents: Path) -> Iterator[Slot]:
        if shape.kind == "object":
            own = (*parents, shape.path[-1]) if shape.path else parents
            for member in shape.members:
                yield from self._slots(member, own)
        elif not _holds_objects(shape.node, self._schema):
            yield Slot(shape.path, self._item_plain(shape.node), shape.required, parents)

    def _item_plain(self, node: dict[str, Any]) -> dict[str, Any]:
        """An array's node with its item schema made plain."""
        if kind_of(node) != "array" or "items" not in node:
            return node
        variants = self._schema.variants(self._schema.plain(node["items"], 1), 1)
        return {**node, "items": next((v for v in variants if kind_of(v) != "null"), variants[0])}

    # -- lists of objects

    def _records(self, shape: _Shape, text: str, depth: int) -> dict[Path, Offer]:
        """The records of the best way to cut the text; fewer than ``minItems`` are left to the minimal value."""
        level = depth + len(shape.path) + 1
        if level > _NESTED_OPTIONAL:
            return {}
        best: list[Filled] = []
        inner = _Filling(self._schema, self._command, shape.path[-1:], piece=True)
        for pieces in segmentations(text):
            kept = _kept([inner.whole(shape.node["items"], piece, {}, level) for piece in pieces[:_MOST_RECORDS]])
            best = max(best, kept, key=_worth)
        best = best[: shape.node.get("maxItems", _MOST_RECORDS)]
        enough = len(best) >= max(1, shape.node.get("minItems", 0))
        return {shape.path: Offer(_Records(best), 0, 0, 1.0)} if enough else {}

    # -- building the value

    def _built(self, shape: _Shape, filled: Filled, depth: int, scene: Scene) -> Any:
        if shape.path in filled.given:
            return _given(shape.path, filled)
        any_given = any(path[: len(shape.path)] == shape.path for path in filled.given)
        if shape.kind == "object" and (any_given or (shape.required and not shape.nullable)):
            if not shape.members and isinstance(shape.node.get("additionalProperties"), Mapping):
                return self._mapping(shape, filled, scene)
            wanted = [m for m in shape.members if m.required or _has_any(m, filled)]
            return {member.path[-1]: self._built(member, filled, depth, scene) for member in wanted}
        filled.declared.append(_dotted(shape.path))
        if shape.path in filled.likely and not shape.nullable:
            return filled.likely[shape.path].value
        filled.missing.append(_dotted(shape.path))
        return least(self._schema, shape.source, depth)

    def _mapping(self, shape: _Shape, filled: Filled, scene: Scene) -> dict[str, Any]:
        """Free keys: the labelled fields of the text whose values are of the wanted kind."""
        wanted = self._schema.variants(self._schema.plain(shape.node["additionalProperties"], 1), 1)[0]
        found: dict[str, Any] = {}
        for label in scene.fields:
            inside = list(offers(Slot((label.label,), wanted, True), Scene(label.value), True))
            fitting = [one for one in inside if valid(one.value, wanted)]
            if wanted.get("type") == "string" and valid(label.value, wanted):
                found[label.label] = label.value
            elif fitting:
                found[label.label] = max(fitting, key=lambda offer: offer.fit).value
            place = Place(scene, label.start, label.end)
            filled.proofs[*shape.path, label.label] = Proof(Slot((label.label,), wanted, True), label.value, place)
        if not found:
            filled.declared.append(_dotted(shape.path))
            filled.missing.append(_dotted(shape.path))
        return found


class _Records(list[Filled]):
    """The filled records of one list of objects."""


def _given(path: Path, filled: Filled) -> Any:
    value = filled.given[path].value
    if not isinstance(value, _Records):
        return value
    if len(value) == 1:
        filled.declared.append(_dotted(path))
    for at, record in enumerate(value):
        inside = _dotted((*path, str(at)))
        filled.declared += [f"{inside}.{name}".rstrip(".") for name in record.declared]
        filled.missing += [f"{inside}.{name}".rstrip(".") for name in record.missing]
        filled.proofs |= {(*path, str(at), *within): proof for within, proof in record.proofs.items()}
    return [record.value for record in value]


def _has_any(shape: _Shape, filled: Filled) -> bool:
    return any(path[: len(shape.path)] == shape.path for path in filled.given)


def _blanked(text: str, given: Mapping[Path, Offer]) -> str:
    """The text without the values that surely belong to single fields: no record of a list holds them."""
    for one in given.values():
        if not isinstance(one.value, list):
            text = text[: one.start] + " " * (one.end - one.start) + text[one.end :]
    return text


def _kept(found: list[Filled]) -> list[Filled]:
    """Those that are records; where some are complete, a half empty one is something else."""
    kept = [filled for filled in found if filled.given | filled.likely and _size(filled) >= len(filled.missing)]
    if any(not filled.missing for filled in kept):
        return [filled for filled in kept if len(filled.missing) < _size(filled)]
    return kept


def _size(filled: Filled) -> int:
    return len(filled.given) + len(filled.likely)


def _worth(records: list[Filled]) -> float:
    return sum(record.worth for record in records) - 0.01 * len(records)


def _holds_objects(node: Mapping[str, Any], schema: Schema) -> bool:
    if kind_of(node) != "array" or not isinstance(node.get("items"), Mapping):
        return False
    return any(kind_of(v) == "object" for v in schema.variants(schema.plain(node["items"], 1), 1))


def _dotted(path: Path) -> str:
    return ".".join(path)
