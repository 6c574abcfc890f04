"""What ties a mention to a field: the words that stand around it."""

from __future__ import annotations

import re

from .candidate import GUESS, parent_words
from .concept import related, vocabulary
from .mention import Mention
from .role import RELATIONS, Role
from .scene import Scene
from .slot import Slot
from .table import words
from .word import has_cjk, name_words, stem


def strength(slot: Slot, role: Role, base: float, scene: Scene, mention: Mention) -> float:
    """How well a mention of a fitting kind fits, by the words around it."""
    way = side(slot, scene, mention.start) + cue(slot, scene, mention.start, mention.end)
    marked = _role_marker(role, scene, mention)
    if mention.kind == "number" and way <= 0 and marked <= 0:
        return min(base, GUESS)
    if mention.kind == "name" and role.name in _THINGS and way <= 0 and marked <= 0 and not _subject(scene, mention):
        return min(base, GUESS)
    if role.name == "person" and slot.words & RELATIONS and not _spoken_of(slot, scene, mention):
        return min(base, GUESS)
    return base + marked + way


def _subject(scene: Scene, mention: Mention) -> bool:
    """Whether a name is surely one: it has more words, stands inside a sentence, or a verb follows it."""
    if has_cjk(mention.text):
        return bool(_CJK_FIRM.search(mention.text) or _CJK_STATES.match(scene.text, mention.end))
    after = scene.after(mention.end, 1)
    return " " in mention.text or bool(scene.before(mention.start, 1)) or (bool(after) and _inflected(after[0]))


_CJK_FIRM = re.compile(r"(?:公司|科技|集团|银行|大学|学院|医院|酒店|餐厅|书店|工厂)$")
_CJK_STATES = re.compile(r"成立|创立|创办|是|有|现有|拥有|位于|发布|推出")


def _inflected(word: str) -> bool:
    if word in ("is", "was", "has", "had", "will", "are"):
        return True
    return word.isalpha() and not word.endswith("ing") and stem(word) != word


def _spoken_of(slot: Slot, scene: Scene, mention: Mention) -> bool:
    """Whether the text speaks of what makes somebody the author, the sender, the winner: 'by Ann', 'Ann won'."""
    if scene.marker(mention.start) in ("by", "由"):
        return True
    after = [stem(word) for word in scene.after(mention.end, 1)]
    if after and any(own.startswith(after[0]) and own[-2:] in ("er", "or") for own in slot.words):
        return True
    said = vocabulary(scene.text)
    return any(related(word, own) for word in said for own in slot.words & RELATIONS)


def _role_marker(role: Role, scene: Scene, mention: Mention) -> float:
    mention = _first_of_list(scene, mention)
    marker = scene.marker(mention.start) if mention.start else ""
    if role.name in ("place", "company") and (placed := _cjk_place(role, scene, mention)):
        return placed
    if not marker.isascii() or not scene.text[max(0, mention.start - 1) : mention.start].isascii():
        marker = scene.text[max(0, mention.start - 1) : mention.start]
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
    """Where somebody lives is a place; where somebody works is a company."""
    before = scene.text[max(0, mention.start - 2) : mention.start]
    after = scene.text[mention.end : mention.end + 4]
    if before in ("住在", "位于", "来自", "居住"):
        return 0.25 if role.name == "place" else -0.3
    if any(word in after for word in ("担任", "工作", "上班", "任职", "做")):
        return 0.25 if role.name == "company" else -0.2
    return 0.0


_NOT_PLACE = frozenset(words("beside behind above below with by about against after before like"))
_THINGS = frozenset(words("title product company"))
_NOT_PERSON = frozenset(words("in at near from to into of on since 在 于 去 到 从"))
_HARD_STOPS = frozenset(words(", . ; ! ? : and ( - 。 ， ； ！"))
_ALL_MARKERS = frozenset(words("in at on for from to with by about of near as is 在 从 到 给 和"))
_FROM_WORDS = frozenset(map(stem, words("from source base origin src start")))
_TO_WORDS = frozenset(map(stem, words("to target destination dest quote end")))
_FROM_MARKERS = frozenset(("from", "从", "由"))
_TO_MARKERS = frozenset(("to", "into", "in", "到", "成", "为", "是", "至", "少"))


def side(slot: Slot, scene: Scene, start: int) -> float:
    """'from' speaks for a source and against a target, 'to' and 'in' the other way round."""
    words = {stem(word) for word in name_words(slot.name)}
    side = bool(words & _TO_WORDS) - bool(words & _FROM_WORDS)
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
