"""A value that is wanted: one leaf of a JSON schema, with all that its schema tells about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .concept import vocabulary
from .role import NUMBER_UNITS, Role, roles_within
from .table import words
from .word import name_words, stem

_GENERIC = frozenset(
    map(
        stem,
        words(
            """
    the a an is has have should value of in be to for if whether string number list name with
    """
        ),
    )
)


@dataclass(frozen=True)
class Slot:
    """``path`` is where the value goes, ``schema`` its resolved schema, ``parents`` the names of objects around it."""

    path: tuple[str, ...]
    schema: Mapping[str, Any]
    required: bool
    parents: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path[-1] if self.path else ""

    @property
    def kind(self) -> str:
        """string, number, integer, boolean, array, null or any."""
        return kind_of(self.schema)

    @cached_property
    def description(self) -> str:
        return f"{self.schema.get('description') or ''} {self.schema.get('title') or ''}".strip()

    @cached_property
    def words(self) -> frozenset[str]:
        """The stems of the name that tell something."""
        own = {stem(word) for word in name_words(self.name)}
        return frozenset(own - _GENERIC) or frozenset(own)

    @cached_property
    def hints(self) -> frozenset[str]:
        """The words of name and description."""
        return self.words | (vocabulary(self.description[:300]) - _GENERIC)

    @cached_property
    def roles(self) -> list[tuple[Role, float]]:
        return roles_within(self.name, self.description, self.parents[-1] if self.parents else "")

    @cached_property
    def units(self) -> frozenset[str]:
        """The kinds of unit and the unit words that a number for this slot may carry."""
        named = [NUMBER_UNITS[word] for word in self.words if word in NUMBER_UNITS]
        return frozenset().union(*named) if named else frozenset()

    @cached_property
    def wants_iso(self) -> bool:
        """Whether a date must be written as YYYY-MM-DD."""
        text = self.description.lower()
        return self.schema.get("format") in ("date", "date-time") or bool(re.search(r"yyyy|iso", text))


def kind_of(schema: Mapping[str, Any]) -> str:
    """The one type of a resolved schema."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "any"
