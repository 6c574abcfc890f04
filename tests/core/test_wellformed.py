from __future__ import annotations

import sys
from collections import UserDict
from typing import Any

import pytest
from pydantic import BaseModel, Field

from infrai_core.errors import ConfigError
from infrai_core.schema import check_tools
from infrai_core.wellformed import malformed

A_SCHEMA = "a schema: an object, true or false"


class Leaf(BaseModel):
    required: str = Field(min_length=1, pattern="x", description="a field that is called as a word is")
    items: list[int] | None = None


class Tree(BaseModel):
    leaves: dict[str, Leaf]
    pair: tuple[Leaf, int]
    next: Tree | None = None


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        Tree.model_json_schema(),
        {"type": ["string", "null"], "enum": ["a", None], "default": {"type": 7}, "x-mine": 3},
        {"properties": {"type": {"type": "string"}, "required": True}, "required": ["type"]},
        {"items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False},
        {"type": "STRING", "nullable": True},
    ],
)
def test_schemas_that_people_have_are_well_formed(schema: Any) -> None:
    assert malformed(schema) is None


@pytest.mark.parametrize(
    ("schema", "place", "allowed"),
    [
        ({"type": 1}, "type", "the name of a type, or a list of such names"),
        ({"type": []}, "type", "the name of a type, or a list of such names"),
        ({"type": ["string", None]}, "type", "the name of a type, or a list of such names"),
        ({"properties": []}, "properties", "an object of schemas"),
        ({"properties": {"a": "string"}}, "properties.a", A_SCHEMA),
        ({"properties": {"a": {"required": True}}}, "properties.a.required", "a list of names"),
        ({"required": ["a", 1]}, "required", "a list of names"),
        ({"anyOf": []}, "anyOf", "a list of at least one schema"),
        ({"anyOf": [{}, None]}, "anyOf.1", A_SCHEMA),
        ({"items": {"enum": "a"}}, "items.enum", "a list"),
        ({"items": [{}, {"not": 1}]}, "items.1.not", A_SCHEMA),
        ({"$defs": {"A": {"description": {}}}}, "$defs.A.description", "a string"),
        ({"minItems": "1"}, "minItems", "a number"),
        ({"additionalProperties": "no"}, "additionalProperties", A_SCHEMA),
    ],
)
def test_what_is_wrong_in_a_schema_is_told_with_its_place(schema: Any, place: str, allowed: str) -> None:
    found = malformed(schema)
    assert found is not None
    assert (found.place, found.allowed) == (place, allowed)


def many(kind: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {f"field_{n}": {"type": kind} for n in range(300)}}


def steps(schema: Any) -> int:
    """How many Python functions look at a schema."""
    seen = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal seen
        seen += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        assert malformed(schema) is None
    finally:
        sys.setprofile(before)
    return seen


def test_a_schema_that_was_right_is_not_taken_apart_again() -> None:
    first, again = steps(many("a-kind-of-its-own")), steps(many("a-kind-of-its-own"))
    assert first > 300
    assert again < 10


def test_a_schema_that_was_changed_is_looked_at_again() -> None:
    schema = many("string")
    assert malformed(schema) is None
    schema["properties"]["field_7"]["type"] = 7
    found = malformed(schema)
    assert found is not None
    assert found.place == "properties.field_7.type"
    schema["properties"]["field_7"]["type"] = "7"
    assert malformed(schema) is None


def test_a_schema_of_values_that_are_no_json_is_looked_at_all_the_same() -> None:
    assert malformed(UserDict({"type": "string", "default": object()})) is None
    assert malformed({"properties": UserDict({"a": UserDict({"required": True})})}) is not None


def test_the_client_refuses_a_malformed_tool_before_it_sends_it() -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "string", "enum": "b"}}}
    with pytest.raises(
        ConfigError, match=r"^tools\.0\.function\.parameters\.properties\.a\.enum='b': allowed is a list$"
    ):
        check_tools([{"type": "function", "function": {"name": "f", "parameters": parameters}}])
