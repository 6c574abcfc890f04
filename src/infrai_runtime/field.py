"""Kinds of request fields: one table per route checks the body and also becomes discovery's JSON Schema.

A ``Kind`` is a check and the JSON Schema that says the same. A check returns the value (objects and lists may come
back converted) or raises ``Failure`` INVALID_REQUEST with the path of the field in ``param`` and a message that says
what came and what is allowed. ``null`` stands for "not set" everywhere.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infrai_core.params import CHOICES, RANGES
from infrai_core.wellformed import malformed
from infrai_runtime.failure import Failure

Check = Callable[[Any, str], Any]
Schema = dict[str, Any]

_SHOWN_CHARACTERS = 80
_BITS_64 = 2**63
"""Neither JSON writers nor databases take whole numbers beyond."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value must be: ``check(value, path)`` and the same as JSON Schema."""

    check: Check
    schema: Schema


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request body."""

    kind: Kind
    about: str
    required: bool = False


Fields = dict[str, Field]


class Table(Fields):
    """The fields that an object may have, and by name those that it must have."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        super().__init__(fields)
        self.required = tuple([name for name, field in fields.items() if field.required])


def refuse(path: str, came: Any, allowed: str) -> Failure:
    """The failure for a wrong value at ``path``."""
    return Failure("INVALID_REQUEST", f"{path}: came {shown(came)}, allowed is {allowed}", param=path)


def shown(value: Any) -> str:
    """A value as an error message shows it: its type, and its beginning where that helps."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"


def text(*, empty: bool = True, max_length: int | None = None) -> Kind:
    """A string."""
    allowed = f"a {'' if empty else 'non-empty '}string" + (
        f" of at most {max_length} characters" if max_length else ""
    )

    def check(value: Any, path: str) -> str:
        if not isinstance(value, str) or (not empty and not value) or (max_length and len(value) > max_length):
            raise refuse(path, value, allowed)
        return value

    limits = {"minLength": 0 if empty else 1, "maxLength": max_length}
    return Kind(check, {"type": "string"} | {name: limit for name, limit in limits.items() if limit})


MAX_ID = 256


def model_id() -> Kind:
    """The name of a model. It also stands in headers, which hold nothing but printable ASCII."""

    def check(value: Any, path: str) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not (value.isascii() and value.isprintable()):
            raise refuse(path, value, f"a name of 1 to {MAX_ID} printable ASCII characters")
        return value

    return Kind(check, {"type": "string", "pattern": f"^[ -~]{{1,{MAX_ID}}}$"})


def choice(names: Iterable[str]) -> Kind:
    """One of some words."""
    known = tuple(names)

    def check(value: Any, path: str) -> str:
        if not isinstance(value, str) or value not in known:
            raise refuse(path, value, f"one of {', '.join(known)}")
        return value

    return Kind(check, {"type": "string", "enum": list(known)})


def number(low: float = -math.inf, high: float = math.inf) -> Kind:
    """A number within limits, both included."""
    return _numeric((int, float), "number", low, high)


def integer(low: float = -math.inf, high: float = math.inf) -> Kind:
    """A whole number within limits, both included, of 64 bits. ``3.0`` is one, as in JSON Schema."""
    return _numeric((int,), "integer", low, high)


def _numeric(types: tuple[type, ...], word: str, low: float, high: float) -> Kind:
    allowed = f"{'a whole number' if word == 'integer' else 'a number'}{_limits(low, high)}"

    def check(value: Any, path: str) -> Any:
        number: Any = int(value) if word == "integer" and isinstance(value, float) and value.is_integer() else value
        if isinstance(number, bool) or not isinstance(number, types) or not _within(number, low, high):
            raise refuse(path, value, allowed)
        if isinstance(number, int) and not -_BITS_64 <= number < _BITS_64:
            raise refuse(path, value, f"{allowed}, of 64 bits")
        return number

    bounds = {"minimum": low, "maximum": high}
    return Kind(check, {"type": word} | {name: bound for name, bound in bounds.items() if math.isfinite(bound)})


def _within(number: Any, low: float, high: float) -> bool:
    return bool(low <= number <= high) and abs(number) != math.inf


def _limits(low: float, high: float) -> str:
    if low == -math.inf and high == math.inf:
        return ""
    return f" from {low:g} to {high:g}" if high < math.inf else f" of at least {low:g}"


def flag() -> Kind:
    """true or false."""

    def check(value: Any, path: str) -> bool:
        if not isinstance(value, bool):
            raise refuse(path, value, "true or false")
        return value

    return Kind(check, {"type": "boolean"})


def list_of(item: Kind, *, low: int = 0, high: int | None = None) -> Kind:
    """A list whose members are all of one kind."""
    size = f" of {low} to {high} members" if high else f" of at least {low}" if low else ""

    def check(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list) or len(value) < low or (high and len(value) > high):
            raise refuse(path, value, f"a list{size}")
        return [item.check(member, f"{path}.{index}") for index, member in enumerate(value)]

    limits = {"minItems": low, "maxItems": high}
    return Kind(check, {"type": "array", "items": item.schema} | {n: limit for n, limit in limits.items() if limit})


def table(fields: Fields) -> Kind:
    """An object with known fields only."""
    known = Table(fields)

    def check(value: Any, path: str) -> dict[str, Any]:
        return check_table(known, _object(value, path), f"{path}.")

    return Kind(check, schema_of(fields))


def anything(about: str = "an object") -> Kind:
    """An object whose fields are not ours to know."""
    return Kind(_object, {"type": "object", "description": about})


def json_schema(about: str) -> Kind:
    """A JSON Schema: an object whose words have values of their kinds, so that whoever takes it apart finds them."""

    def check(value: Any, path: str) -> Any:
        if (wrong := malformed(_object(value, path))) is not None:
            raise refuse(f"{path}.{wrong.place}", wrong.came, wrong.allowed)
        return value

    return Kind(check, {"type": "object", "description": about})


def either(*kinds: Kind, allowed: str) -> Kind:
    """One of several kinds. ``allowed`` is what the message says when the JSON type of none of them came."""

    def check(value: Any, path: str) -> Any:
        for kind in kinds:
            if _same_json_type(value, kind.schema.get("type")):
                return kind.check(value, path)
        raise refuse(path, value, allowed)

    return Kind(check, {"anyOf": [kind.schema for kind in kinds]})


def one_of_types(types: Mapping[str, Fields]) -> Kind:
    """An object whose ``type`` says which of the tables its other fields are."""
    word = choice(types)
    tables = {kind: Table(fields) for kind, fields in types.items()}

    def check(value: Any, path: str) -> dict[str, Any]:
        kind = word.check(_object(value, path).get("type"), f"{path}.type")
        return {"type": kind} | check_table(tables[kind], {n: v for n, v in value.items() if n != "type"}, f"{path}.")

    def schema(kind: str, fields: Fields) -> Schema:
        return schema_of({"type": Field(choice((kind,)), "which kind", required=True), **fields})

    schemas = [schema(kind, fields) for kind, fields in types.items()]
    return Kind(check, schemas[0] if len(schemas) == 1 else {"type": "object", "oneOf": schemas})


_JSON_TYPES: dict[Any, tuple[type, ...]] = {
    "string": (str,),
    "object": (dict,),
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def _same_json_type(value: Any, word: Any) -> bool:
    return isinstance(value, _JSON_TYPES[word])


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refuse(path, value, "an object")
    return value


def check_table(fields: Table, given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The set fields of ``given``, checked and converted. An unknown or a missing field is refused by name."""
    if not given.keys() <= fields.keys():
        unknown = next(name for name in given if name not in fields)
        raise unknown_field(prefix + unknown, unknown, fields)
    checked = {
        name: fields[name].kind.check(value, prefix + name) for name, value in given.items() if value is not None
    }
    for name in fields.required:
        if name not in checked:
            path = prefix + name
            raise Failure("INVALID_REQUEST", f"{path} is missing: {fields[name].about}", param=path)
    return checked


def unknown_field(path: str, name: str, known: Iterable[str]) -> Failure:
    """The failure for a field that a route does not have; it names the nearest one that the route has."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    ask = f"did you mean {near[0]!r}?" if near else f"allowed are {', '.join(names) or 'none'}"
    return Failure("INVALID_REQUEST", f"unknown field {path!r}; {ask}", param=path)


def schema_of(fields: Fields) -> Schema:
    """The JSON Schema (2020-12) of an object with these fields."""
    required = [name for name, field in fields.items() if field.required]
    properties = {name: field.kind.schema | {"description": field.about} for name, field in fields.items()}
    shape: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return shape | ({"required": required} if required else {})


def known_choice(name: str) -> Kind:
    """The kind of a parameter with fixed choices, from the table that the client checks too."""
    return choice(CHOICES[name])


def known_number(name: str) -> Kind:
    """The kind of a number with a range, from the table that the client checks too."""
    return number(*RANGES[name])


def known_integer(name: str) -> Kind:
    """As ``known_number``, for whole numbers."""
    return integer(*RANGES[name])
