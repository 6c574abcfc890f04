"""Gives the values of one text to the slots that want them: the surest pair first, no stretch of text twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .find import Candidate, candidates
from .listing import listed
from .scene import Scene
from .slot import Slot
from .valid import valid

Path = tuple[str, ...]
_LEAST = 0.3
_MOST_SLOTS = 300


def assign(slots: Sequence[Slot], scene: Scene, *, free_text: bool = False, root: Any = None) -> dict[Path, Candidate]:
    """The best value per slot path; slots without a supported value are absent."""
    pairs = [
        (candidate, place, slot)
        for place, slot in enumerate(slots[:_MOST_SLOTS])
        for candidate in _offers(slot, scene, free_text)
        if candidate.fit >= _LEAST and valid(candidate.value, slot.schema)
    ]
    pairs.sort(key=lambda pair: (-round(pair[0].fit, 3), _turn(pair[0], pair[1], scene), pair[1]))
    given: dict[Path, Candidate] = {}
    used: list[tuple[int, int]] = []
    for candidate, _, slot in pairs:
        if slot.path not in given and not _overlaps(candidate, used):
            given[slot.path] = candidate
            used.append((candidate.start, candidate.end))
    return given


def _offers(slot: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    return listed(slot, scene, free_text) if slot.kind == "array" else candidates(slot, scene, free_text)


def _turn(candidate: Candidate, place: int, scene: Scene) -> int:
    """Equal fits go by order in the text; 'subtract 4 from 10' names its first operand last."""
    backwards = scene.marker(candidate.start) == "from" and scene.text[:24].lower().lstrip().startswith(_BACKWARDS)
    return -1 if backwards else candidate.start


_BACKWARDS = ("subtract", "take", "deduct", "remove", "then subtract", "and subtract", "now subtract", "then take")


def _overlaps(candidate: Candidate, used: list[tuple[int, int]]) -> bool:
    return any(candidate.start < end and start < candidate.end for start, end in used)
