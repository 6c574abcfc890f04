"""Whether a text speaks of a field beside a value: what ties the two where the kind of the value alone does not."""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import unit
from .concept import related
from .mention import Mention
from .scene import MARKERS, Scene
from .table import words
from .word import STOP, is_past, stem


def akin(said: str, own: str) -> bool:
    """Whether a stem of a text means a word of a field: the same, of one line of the thesaurus, or its verb."""
    return related(said, own) or derived(said, own)


def derived(said: str, own: str) -> bool:
    """Whether a field is named after a verb: paint for painter, expire for expiry; and what an author does is write."""
    made = len(said) > 2 and own.startswith(said) and len(own) - len(said) < 6
    return made or said in _DOING.get(own, ())


_DOING = {
    stem(own): frozenset(map(stem, words(verbs)))
    for own, verbs in (
        ("author", "write"),
        ("winner", "beat defeat"),
        ("artist", "paint draw"),
        ("recipient", "receive get"),
    )
}


def alike(one: Mention, other: Mention) -> bool:
    """Whether two mentions are of one kind: two dates, two lengths."""
    kinds = [unit.named(mention.unit) for mention in (one, other)]
    measured = [kind.kind if kind else "" for kind in kinds]
    return one.kind == other.kind and measured[0] == measured[1]


def beside(own: Iterable[str], scene: Scene, start: int, end: int) -> bool:
    """Whether one of the words stands beside a stretch as its name: 'cook Ada', 'the cook is Ada', 'Ada, the cook'."""
    before = _first(scene.before(start, 5), _NAMING)
    after = "" if possesses(scene, end) else _first(scene.after(end, 5), _TELLING)
    return any(translated(one, word) for word in own for one in (before, after) if one) or _cjk_beside(
        own, scene, start, end
    )


def translated(said: str, own: str) -> bool:
    """Whether a stem is a field's word or its translation; one that is only related may name another thing."""
    return said == own or (said.isascii() != own.isascii() and related(said, own))


def _first(found: list[str], links: frozenset[str]) -> str:
    """The stem of the first word that does not merely link."""
    return next((stem(word) for word in found if word not in links), "")


_NAMING = frozenset(
    words(": , = ( \" ' “ the a an is was are named called mr mrs ms dr . number no no. nr nr. id # 是 为 叫 ：")
)
_TELLING = frozenset(words(", ( ) is was are became as the a an our my his her their new 是 ， （"))


def _cjk_beside(own: Iterable[str], scene: Scene, start: int, end: int) -> bool:
    before, after = scene.text[max(0, start - 8) : start].rstrip("人者是为叫：: "), scene.text[end:]
    return any(not word.isascii() and (before.endswith(word) or after.startswith(word)) for word in own)


def is_label(scene: Scene, mention: Mention) -> bool:
    """Whether a number is just figures that may name a thing: it counts and measures nothing."""
    after = scene.after(mention.end, 1)
    counts = bool(after) and after[0].isalpha() and after[0] not in STOP | MARKERS and not is_past(after[0])
    return mention.text.isdigit() and not mention.unit and not counts


def possesses(scene: Scene, end: int) -> bool:
    """Whether what ends here owns what follows: "Ann's", '安的'."""
    return bool(_POSSESSIVE.match(scene.text, end))


_POSSESSIVE = re.compile(r"['\u2019]s\b|['\u2019](?=\s)|的")


def does(own: Iterable[str], scene: Scene, mention: Mention) -> bool:
    """Whether somebody does what a word of the field is named for: 'won by Ann' and 'Ann won' make a winner."""
    if _BYLINE & set(own) and scene.marker(mention.start) == "by" and not _done_by(scene, mention):
        return True
    after = [] if possesses(scene, mention.end) else scene.after(mention.end, 2)
    after = [word for word in after if word not in _AUXILIARY and (is_past(word) or word.endswith("s"))]
    verbs = [stem(verb) for verb in (*_done_by(scene, mention), *after[:1])]
    return any(verb == word or derived(verb, word) for verb in verbs for word in own)


_AUXILIARY = frozenset(words("has have had also just"))


def _done_by(scene: Scene, mention: Mention) -> list[str]:
    """The verb of 'painted by Ann', 'painted in May by Ann'."""
    before = scene.before(mention.start, 6)
    if "by" not in before[:2]:
        return []
    return [word for word in before[before.index("by") + 1 :] if is_past(word)][:1]


_BYLINE = frozenset(map(stem, words("author artist composer painter photographer designer director editor creator")))
"""Who is meant by a bare 'by', without a verb."""
