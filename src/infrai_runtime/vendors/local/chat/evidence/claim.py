"""A value that is claimed for a field, with what the text has around it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..mention import MOMENT, Mention
from ..offer import Offer, labels
from ..scene import Scene
from ..slot import Slot
from ..word import has_cjk, words

PROPER = words("person recipient company place origin destination")
"""Roles of proper names."""
PRECISE = words("""
    email url ip phone datetime date day time street zip path version language colour currency code
""")
"""Kinds of mention that are of few things only."""
LOWER = re.compile(r" (?!(?:and|or|on|at|for|from|with|by|as|is|was|to|in|since|tomorrow|today|next|this)\b)[a-z]")
"""A common noun that a name tells more about."""
LEAD = re.compile(r"[\s$€£¥￥\"'“(#*]*(?:US|about|approx\.?|ca\.?|circa|around|约|共)?[\s$€£¥￥]*", re.IGNORECASE)
"""What may stand between a label and its value."""


@dataclass(frozen=True)
class Claim:
    """A value chosen for a slot. ``others`` are those of all ``slots``; in a ``command`` they are meant for a call."""

    chosen: Offer
    slot: Slot
    scene: Scene
    others: Collection[tuple[Slot, Offer]]
    command: bool
    slots: Collection[Slot] = ()

    @property
    def start(self) -> int:
        return self.chosen.start

    @property
    def end(self) -> int:
        return self.chosen.end

    @cached_property
    def text(self) -> str:
        """The value as it is written; empty where it is concluded from the whole text."""
        return self.scene.text[self.start : self.end]

    @cached_property
    def mention(self) -> Mention | None:
        """The typed mention that the value is of; a currency is that of the amount before it."""
        here = (m for m in self.scene.mentions if m.start <= self.start < m.end)
        coins = ("money", "currency")
        paid = (m for m in self.scene.mentions if m.kind in coins and m.end == self.start == self.end)
        return next(here, next(paid, None))

    @cached_property
    def is_number(self) -> bool:
        return self.chosen.is_number

    @cached_property
    def is_labelled(self) -> bool:
        """Whether the value stands behind a label of its field."""
        return any(field.holds(self.start) for field in labels(self.slot, self.scene))

    @cached_property
    def in_order(self) -> Sequence[Slot]:
        """The slots that take numbers, where the text has just as many; else none."""
        numbers = [m for m in self.scene.mentions if m.kind in ("number", "money", "percent")]
        taken = [to for to, one in self.others if one.is_number]
        return taken if len(numbers) == len(taken) else ()

    @cached_property
    def kin(self) -> list[Mention]:
        """The other mentions of the value's kind."""
        here = self.mention
        return [m for m in self.scene.mentions if here and m is not here and alike(m, here) and m.text != here.text]

    @cached_property
    def marker(self) -> str:
        """The word that introduces the value."""
        if has_cjk(self.text):
            return self.scene.text[self.start - 1 : self.start] if self.start else ""
        return self.scene.marker(self.start)

    @cached_property
    def names(self) -> list[Mention]:
        """The names of the text, without abbreviations."""
        return [m for m in self.scene.mentions if m.kind == "name" and not m.text.isupper()]

    @cached_property
    def measured(self) -> bool:
        """Whether a value is a number or a moment, which a preposition may lead to."""
        return self.is_number or bool(self.mention and self.mention.kind in MOMENT | {"money", "percent", "number"})


def alike(one: Mention, other: Mention) -> bool:
    """Whether two mentions are of one kind: two dates, two lengths."""
    return one.kind == other.kind and one.measures == other.measures


def possesses(scene: Scene, end: int) -> bool:
    """Whether what ends here owns what follows: "Ann's", '安的'."""
    return bool(_POSSESSIVE.match(scene.text, end))


_POSSESSIVE = re.compile(r"['\u2019]s\b|['\u2019](?=\s)|的")
