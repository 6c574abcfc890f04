"""How well a mention of a fitting kind fits a field, by the words around it: this only ranks guesses."""

from __future__ import annotations

import re

from .candidate import parent_words
from .mention import Mention
from .role import Role
from .scene import Scene
from .slot import Slot
from .table import words
from .word import name_words, stem


def strength(slot: Slot, role: Role, base: float, scene: Scene, mention: Mention) -> float:
    """``base``, with more or less for the words beside the mention."""
    way = side(slot, scene, mention.start) + cue(slot, scene, mention.start, mention.end)
    return base + _role_marker(role, scene, mention) + way


def _marker(scene: Scene, mention: Mention) -> str:
    """The word or the Chinese letter that introduces a mention, or the list that it is in."""
    mention = _first_of_list(scene, mention)
    marker = scene.marker(mention.start) if mention.start else ""
    written = scene.text[max(0, mention.start - 1) : mention.start]
    return marker if marker.isascii() and written.isascii() else written


def _role_marker(role: Role, scene: Scene, mention: Mention) -> float:
    mention = _first_of_list(scene, mention)
    if role.name in ("place", "company") and (placed := _cjk_place(role, scene, mention)):
        return placed
    marker = _marker(scene, mention)
    if marker in role.markers:
        return 0.08 if role.name == "place" and marker in ("for", "of", "to", "is") else 0.2
    if role.name == "person":
        return -0.25 if marker in _NOT_PERSON else 0.22 if not marker or marker in _HARD_STOPS else 0.05
    if not marker:
        return -0.12 if role.name == "place" else 0.0
    if marker in _NOT_PLACE and role.name == "place":
        return -0.25
    return -0.25 if marker in _NOT_PERSON and role.name in _THINGS else -0.1 if marker in _ALL_MARKERS else -0.02


def _first_of_list(scene: Scene, mention: Mention) -> Mention:
    """The first of 'ann@a.example or bob@b.example': what stands before it speaks for all."""
    joined = _AND if mention.kind == "name" else _JOINED
    for other in reversed(scene.mentions):
        if other.end <= mention.start and other.kind == mention.kind:
            if not joined.fullmatch(scene.text, other.end, mention.start):
                break
            mention = other
    return mention


_AND = re.compile(r"\s*(?:\bor\b|\band\b|或者?|和)\s*")
_JOINED = re.compile(r"\s*(?:,|、|，|\bor\b|\band\b|或者?|和)\s*")


def _cjk_place(role: Role, scene: Scene, mention: Mention) -> float:
    """Where somebody lives is a place; where somebody has a post is a company, but to work in may be either."""
    before = scene.text[max(0, mention.start - 2) : mention.start]
    after = scene.text[mention.end : mention.end + 4]
    if before in ("住在", "位于", "来自", "居住"):
        return 0.25 if role.name == "place" else -0.3
    if any(word in after for word in ("担任", "任职")):
        return 0.25 if role.name == "company" else -0.2
    return 0.0


_NOT_PLACE = frozenset(words("beside behind above below with by about against after before like"))
_THINGS = frozenset(words("title product company"))
_NOT_PERSON = frozenset(words("in at near from to into of on since 在 于 去 到 从"))
_HARD_STOPS = frozenset(words(", . ; ! ? : and ( - 。 ， ； ！"))
_ALL_MARKERS = frozenset(words("in at on for from to with by about of near as is 在 从 到 给 和"))
FROM_WORDS = frozenset(map(stem, words("from source base origin src start begin")))
_TO_WORDS = frozenset(map(stem, words("to target destination dest quote end until")))
_FROM_MARKERS = frozenset(("from", "since", "从", "由"))
_TO_MARKERS = frozenset(words("to into in until till through 到 成 为 是 至 少"))


def side(slot: Slot, scene: Scene, start: int) -> float:
    """'from' speaks for a source and against a target, 'to' and 'in' the other way round."""
    words = {stem(word) for word in name_words(slot.name)}
    side = bool(words & _TO_WORDS) - bool(words & FROM_WORDS)
    if not side or not start:
        return 0.0
    marker = scene.marker(start)
    written = scene.text[start - 1]
    way = bool({marker, written} & _TO_MARKERS) - bool({marker, written} & _FROM_MARKERS)
    return 0.15 * side * way


def cue(slot: Slot, scene: Scene, start: int, end: int) -> float:
    """More where a word of the slot's name stands beside the value."""
    near = {stem(word) for word in (*scene.before(start, 3), *scene.after(end, 1))}
    if slot.words & near:
        return 0.15
    return 0.08 if parent_words(slot) & near else 0.0
