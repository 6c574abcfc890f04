"""Whether the statement that a value stands in is claimed at all: questions, conditions, guesses, denials, bygones."""

from __future__ import annotations

import re

from ..concept import akin
from ..offer import Offer
from ..scene import Scene
from ..slot import Slot
from ..word import stem

_OPEN = re.compile(
    r"\b(?:if|unless|whether|in case|maybe|perhaps|possibly|probably|presumably|apparently|allegedly|supposedly|likely"
    r"|either|might|could|would(?! like)|guess|think|believe|suppose|assume|assuming|wonder|wondering|hope|hopes|hoping"
    r"|doubt|doubts|unlikely|not sure|uncertain|denies|deny"
    r"|wish|wishes|imagine|unsure|unknown|unclear|rumou?red|as if|as though)\b|(?-i:\bmay\s+[a-z])"
    r"|如果|要是|假如|假设|倘若|万一|除非|也许|可能|大概|或许|说不定|是否|是不是|不确定|不知道|希望|考虑|听说|好像",
    re.IGNORECASE,
)
"""What leaves a whole sentence open."""
_NOT = re.compile(
    r"\b(?:not|never|neither|nor|without|cannot|unlike|except|instead|rather than|than|hardly|nobody|none|no longer"
    r"|(?-i:[Nn]o(?=\s+[a-z]))|\w+n['\u2019]t)\b|(?<!(?:分|特|区|类|级|个))[不没未无](?![锈限])|否认|并非|而非|除了",
    re.IGNORECASE,
)
"""What denies the clause that it stands in."""
_BYGONE = re.compile(
    r"\b(?:used to|formerly|previously|former|earlier|originally|initially|ex-|back then|once|until recently)"
    r"|以前|原来|曾经?|之前|过去|本来",
    re.IGNORECASE,
)
"""What moves the clause that it stands in into the past."""
_ENDED = re.compile(
    r"\b(?:cancell?ed|cancell?ation|called off|postponed|withdrawn|revoked|resigned|retired|quit|stepped down|fired"
    r"|dismissed|rejected|refused|declined|turned down"
    r"|replaced|(?:has|have|had|who) left|left the|died|void|obsolete|outdated|fell through)\b"
    r"|取消|推迟|延期|作废|离职|辞职|退休|卸任|辞去|原定|停办|去世",
    re.IGNORECASE,
)
"""What ends the thing that it is said of."""
_REQUEST = re.compile(r"\b(?:can|could) (?:you|we)\b|\bwould you (?:please|mind|kindly)\b", re.IGNORECASE)
_TURN = re.compile(r";|；|\b(?:but|however|though|although|whereas)\b|但是?|不过|然而|而是")
_COMMA = re.compile(r"[,，(（)）:：]\s|[，（）：]|\band (?=\w+ (?:is|are|was|were|has|had)\b)|\bwhile\b")
_ASKED = re.compile(r"[?？]|[吗呢](?=[。，！\s]|$)")


def unclaimed(chosen: Offer, slot: Slot, scene: Scene, command: bool) -> bool:
    """Whether what is said of ``chosen`` is no fact. In a ``command`` only a condition or a denial counts."""
    sentence, at = around(scene, chosen.start)
    part, place = piece(_TURN, sentence, at)
    if _meant(_OPEN, _REQUEST.sub("", part), slot):
        return True
    if command:
        return _denied(chosen, scene)
    if _ASKED.search(sentence, at) and not _REQUEST.search(sentence):
        return True
    clause, _ = piece(_COMMA, part, place)
    if _meant(_ENDED, part, slot):
        return True
    return (slot.kind != "boolean" and _meant(_NOT, clause, slot)) or _meant(_BYGONE, clause, slot)


def _meant(words: re.Pattern[str], text: str, slot: Slot) -> bool:
    """Whether one of the words stands in a text, and the field does not ask for just that: 'previous_employer'."""
    return any(
        not any(akin(stem(word), own) for word in found.group().lower().split() for own in slot.words)
        for found in words.finditer(text)
    )


def _denied(chosen: Offer, scene: Scene) -> bool:
    """Whether a denial stands right before a value: 'not Friday', 'instead of Ann'."""
    return chosen.end > chosen.start and any(_NOT.fullmatch(word) for word in scene.before(chosen.start, 2))


def turn(scene: Scene, place: int) -> tuple[str, int]:
    """The part of a sentence that holds a place, up to the next 'but', and the place in it."""
    return piece(_TURN, *around(scene, place))


def around(scene: Scene, place: int) -> tuple[str, int]:
    """The sentence that holds a place, and the place in it."""
    for sentence in scene.sentences:
        if sentence.start <= place <= sentence.end:
            return sentence.text, place - sentence.start
    return scene.text, place


def piece(cut: re.Pattern[str], text: str, at: int) -> tuple[str, int]:
    """The piece of a text between two cuts that holds a place, and the place in it."""
    cuts = [*cut.finditer(text)]
    start = max((found.end() for found in cuts if found.end() <= at), default=0)
    end = min((found.start() for found in cuts if found.start() >= at), default=len(text))
    return text[start:end], at - start
