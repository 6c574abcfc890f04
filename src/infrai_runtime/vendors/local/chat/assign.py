"""Gives the values of one text to the slots that want them: the surest pair first, no stretch of text twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .candidate import TIED, Candidate
from .evidence import Claim, shown
from .find import candidates
from .listing import listed
from .scene import Scene
from .slot import Slot
from .valid import valid

Path = tuple[str, ...]
_LEAST = 0.3
_MOST_SLOTS = 300


@dataclass(frozen=True)
class Assigned:
    """The values that the text gives to each path, and the best guesses for paths to which it gives none.

    ``shown`` are the paths whose value stands on evidence: every other value must be declared.
    """

    given: dict[Path, Candidate]
    guessed: dict[Path, Candidate]
    shown: frozenset[Path]


def assign(slots: Sequence[Slot], scene: Scene, *, free_text: bool = False) -> Assigned:
    """The best value per slot path, evidence before fit; a slot that nothing in the text fits is in no part."""
    wanted = {slot.path: slot for slot in slots[:_MOST_SLOTS]}
    offers = [(one, path) for path, slot in wanted.items() for one in _valid(slot, scene, free_text)]
    first = _chosen([offer for offer in offers if offer[0].fit >= _LEAST], scene)
    others = [(wanted[path], one) for path, one in first.items()]
    every = wanted.values()
    seen = [offer for offer in offers if shown(Claim(offer[0], wanted[offer[1]], scene, others, free_text, every))]
    sure = _chosen([(one, path) for one, path in seen if not _disputed(one, path, seen, free_text)], scene)
    rest = [(one, path) for one, path in offers if path not in sure and one.fit >= _LEAST]
    chosen = _chosen(rest, scene, sure)
    given = {path: one for path, one in chosen.items() if path in sure or _clear(one, path, rest, chosen)}
    return Assigned(given, {path: one for path, one in chosen.items() if path not in given}, frozenset(sure))


def _disputed(one: Candidate, path: Path, seen: Sequence[_Offer], free_text: bool) -> bool:
    """Whether as much shows that another value elsewhere in the text is that of the field; the numbers of a command
    go to its fields in their order."""
    others = (other for other, to in seen if to == path and other.end > other.start and one.end > one.start)
    if isinstance(one.value, list) or (free_text and isinstance(one.value, int | float)):
        return False
    return any(o.value != one.value and not o.overlaps(one) for o in others)


_CLEAR = 0.1
_Offer = tuple[Candidate, Path]


def _clear(one: Candidate, path: Path, offers: Sequence[_Offer], chosen: Mapping[Path, Candidate]) -> bool:
    """Whether a value fits its field well, and no other as well that no field takes."""
    near = (offer for offer, to in offers if to == path and offer.fit > one.fit - _CLEAR and offer.value != one.value)
    taken = [other for other in chosen.values() if other.fit >= TIED]
    return one.fit >= TIED and all(any(rival.overlaps(other) for other in taken) for rival in near)


def _chosen(
    offers: Sequence[_Offer], scene: Scene, taken: Mapping[Path, Candidate] | None = None
) -> dict[Path, Candidate]:
    """``taken`` and the best of the offers: no path twice, no stretch of text twice."""
    places = {path: place for place, path in enumerate(dict.fromkeys(path for _, path in offers))}
    order = sorted(offers, key=lambda pair: (-round(pair[0].fit, 3), _turn(pair[0], scene), places[pair[1]]))
    chosen = dict(taken or {})
    for candidate, path in order:
        if path not in chosen and not any(candidate.overlaps(other) for other in chosen.values()):
            chosen[path] = candidate
    return chosen


def _valid(slot: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    return [one for one in _offers(slot, scene, free_text) if valid(one.value, slot.schema)]


def _offers(slot: Slot, scene: Scene, free_text: bool) -> list[Candidate]:
    return listed(slot, scene, free_text) if slot.kind == "array" else candidates(slot, scene, free_text)


def _turn(candidate: Candidate, scene: Scene) -> int:
    """Equal fits go by order in the text; 'subtract 4 from 10' names its first operand last."""
    backwards = scene.marker(candidate.start) == "from" and scene.text[:24].lower().lstrip().startswith(_BACKWARDS)
    return -1 if backwards else candidate.start


_BACKWARDS = ("subtract", "take", "deduct", "remove", "then subtract", "and subtract", "now subtract", "then take")
