"""A value for a field, and the values that a text labels with the field's own name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .concept import related, vocabulary
from .role import INTRODUCES, roles_of
from .scene import Field, Scene
from .slot import KIND, Slot
from .word import name_words, stem

TIED = 0.5
"""The least fit of a value that something ties to its field: its label, a word of its name, its unit, its kind."""
GUESS = 0.45
"""The fit of a value of the right kind that nothing ties to the field."""


@dataclass(frozen=True)
class Candidate:
    """A value for a slot, how well it fits (0..1), and the stretch of text it uses up."""

    value: Any
    fit: float
    start: int
    end: int

    def overlaps(self, other: Candidate) -> bool:
        """Whether both use a stretch of the text."""
        return self.start < other.end and other.start < self.end


def field_fits(slot: Slot, scene: Scene) -> Iterable[tuple[str, float, int, int]]:
    """Labelled values whose label names the slot."""
    for field, fit in labels(slot, scene):
        yield field.value, fit, field.start, field.end


def labels(slot: Slot, scene: Scene) -> Iterable[tuple[Field, float]]:
    """The labels that name the slot, with how well; from `TIED` on they name neither more nor less."""
    for field in scene.fields:
        if slot.words and slot.words <= field.key:
            sure = field.key <= slot.words | KIND | parent_words(slot) or field.head in slot.words
            yield field, 1.0 - 0.02 * len(field.key - slot.words) if sure else GUESS
        elif field.key and field.key <= slot.words | parent_words(slot) and field.key & slot.words:
            told = slot.specific <= field.key | vocabulary(scene.text)
            yield field, 0.9 if told else GUESS
        elif len(field.key) == 1 and _means(slot, *field.key):
            yield field, 0.75 if _names(slot, *field.key) else GUESS


def _means(slot: Slot, label: str) -> bool:
    """Whether a label of one word is another word for the slot: its preposition ('From:'), or a related word that
    names no other kind of thing."""
    if slot.words & INTRODUCES.get(label, frozenset()):
        return True
    other = {role.name for role, _ in roles_of(label, "")} - {role.name for role, _ in slot.roles}
    return not other and any(related(label, word) for word in slot.words)


def _names(slot: Slot, label: str) -> bool:
    """Whether such a label is no broader than the slot: its preposition, its translation, another word of its kind."""
    if slot.words & INTRODUCES.get(label, frozenset()):
        return True
    same = [word for word in slot.words if related(label, word)]
    return not slot.specific - {*same} and any(label.isascii() != one.isascii() or {label, one} <= KIND for one in same)


def parent_words(slot: Slot) -> frozenset[str]:
    return frozenset(stem(word) for parent in slot.parents for word in name_words(parent))
