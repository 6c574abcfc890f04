"""Gives the values of one text to the slots that want them: the surest pair first, no stretch of text twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .candidate import TIED, Candidate
from .doubt import Claim, doubtful
from .find import candidates
from .listing import listed
from .scene import Scene
from .slot import Slot
from .support import supported
from .valid import valid

Path = tuple[str, ...]
_LEAST = 0.3
_MOST_SLOTS = 300


@dataclass(frozen=True)
class Assigned:
    """The values that the text supports for each path, and the best guesses for paths where it supports none."""

    given: dict[Path, Candidate]
    guessed: dict[Path, Candidate]


def assign(slots: Sequence[Slot], scene: Scene, *, free_text: bool = False) -> Assigned:
    """The best value per slot path; a slot that nothing in the text fits is in neither part."""
    wanted = {slot.path: slot for slot in slots[:_MOST_SLOTS]}
    offers = {path: _valid(slot, scene, free_text) for path, slot in wanted.items()}
    chosen = _chosen(offers, scene)
    taken = [c for c in chosen.values() if c.fit >= TIED]
    given = {
        path: c
        for path, c in chosen.items()
        if supported(c, offers[path], taken) and not doubtful(Claim(c, wanted[path], scene, taken, free_text))
    }
    return Assigned(given, {path: c for path, c in chosen.items() if path not in given})


def _chosen(offers: Mapping[Path, Sequence[Candidate]], scene: Scene) -> dict[Path, Candidate]:
    places = {path: place for place, path in enumerate(offers)}
    pairs = [(candidate, path) for path, found in offers.items() for candidate in found]
    pairs.sort(key=lambda pair: (-round(pair[0].fit, 3), _turn(pair[0], scene), places[pair[1]]))
    chosen: dict[Path, Candidate] = {}
    for candidate, path in pairs:
        if path not in chosen and not any(candidate.overlaps(other) for other in chosen.values()):
            chosen[path] = candidate
    return chosen


def _valid(slot: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    return [c for c in _offers(slot, scene, free_text) if c.fit >= _LEAST and valid(c.value, slot.schema)]


def _offers(slot: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    return listed(slot, scene, free_text) if slot.kind == "array" else candidates(slot, scene, free_text)


def _turn(candidate: Candidate, scene: Scene) -> int:
    """Equal fits go by order in the text; 'subtract 4 from 10' names its first operand last."""
    backwards = scene.marker(candidate.start) == "from" and scene.text[:24].lower().lstrip().startswith(_BACKWARDS)
    return -1 if backwards else candidate.start


_BACKWARDS = ("subtract", "take", "deduct", "remove", "then subtract", "and subtract", "now subtract", "then take")
