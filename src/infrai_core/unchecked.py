"""Instances of pydantic classes without their checks, for our own values that are made for every chunk of a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

B = TypeVar("B", bound=BaseModel)

_slots = vars(BaseModel)
_SETTERS = {
    "set_values": _slots["__dict__"].__set__,
    "set_fields": _slots["__pydantic_fields_set__"].__set__,
    "set_extra": _slots["__pydantic_extra__"].__set__,
    "set_private": _slots["__pydantic_private__"].__set__,
}
_EMPTY = {list: "[]", dict: "{}"}
"""Usual default factory -> what is the same and needs no call."""


def unchecked(kind: type[B], *given: str) -> Callable[..., B]:
    """A function that makes instances of ``kind`` from these fields, in their order or by their names, as
    ``kind(**values)`` would, but without its checks and validators: for values that are right, and with ``given``
    naming all fields that have no default. The same as pydantic's ``model_construct``, in a fraction of its time. Not
    for classes with private attributes.

    The function is compiled for the class, as the constructors of dataclasses are: all fields in one literal cost less
    than half of a loop over them.
    """
    fields = kind.model_fields
    named: dict[str, Any] = {
        f"default_{name}": field.default_factory or field.default for name, field in fields.items() if name not in given
    }
    values = {name: name if name in given else _default(name, field.default_factory) for name, field in fields.items()}
    code = f"""
def make({", ".join(given)}):
    made = new(kind)
    set_values(made, {{{", ".join(f"{name!r}: {value}" for name, value in values.items())}}})
    set_fields(made, {{{", ".join(map(repr, given))}}})
    set_extra(made, {{}} if keeps_more else None)
    set_private(made, None)
    return made
"""
    known = {"kind": kind, "new": object.__new__, "keeps_more": kind.model_config.get("extra") == "allow"}
    namespace = {**_SETTERS, **named, **known}
    exec(code, namespace)
    make: Callable[..., B] = namespace["make"]
    return make


def _default(name: str, factory: Any) -> str:
    """The source text of a field's default."""
    return _EMPTY.get(factory) or (f"default_{name}()" if factory else f"default_{name}")
