"""Evidence for options, a yes or no, and lists."""

from __future__ import annotations

import re

from .. import offer, polarity
from ..concept import akin
from ..measure import unit_of
from ..mention import CURRENCY
from ..word import name_words, stem, stems, words
from .claim import LOWER, Claim


def said_option(claim: Claim) -> bool:
    """An option said word for word, where no other option is said, of nothing else than the field's thing."""
    said = [
        option
        for option in claim.slot.schema["enum"]
        if isinstance(option, str) and any(offer.said_option(option, claim.scene))
    ]
    if said != [claim.chosen.value] or not claim.text:
        return False
    if words_of(claim.text) != words_of(str(claim.chosen.value)):
        return False
    beside = [*claim.scene.before(claim.start, 6), *claim.scene.after(claim.end, 2)]
    spoken = {stem(word) for word in beside}
    if any(akin(word, own) for word in spoken for own in claim.slot.own):
        return True
    alone = claim.command or _apart(claim)
    return alone and not LOWER.match(claim.scene.text, claim.end) and not words_of(claim.text) <= _GRADES


def _apart(claim: Claim) -> bool:
    """Whether an option stands for itself, between commas or brackets, or as a noun."""
    lead, rest = claim.scene.text[: claim.start].rstrip(" "), claim.scene.text[claim.end :].lstrip(" ")
    thing = re.search(r"\b(?:the|an?)$", lead, re.IGNORECASE)
    return (not lead or lead[-1] in _EDGE or bool(thing)) and (not rest or rest[0] in _EDGE)


_EDGE = frozenset(",.;()\n-–|/，。；（）、")


def words_of(text: str) -> frozenset[str]:
    return frozenset(word.removesuffix("s") for word in name_words(text.replace("-", " ")))


_GRADES = words("""
    low medium high small large big new old open closed good bad fair normal urgent critical active inactive on off
    one two first second fast slow short long other none yes no minor major early late hot cold full free public
    private
""")
"""Options that may be said of anything."""


def unit_option(claim: Claim) -> bool:
    """The unit or the currency of the text's only amounts, for a field that asks for such."""
    if claim.slot.role != "currency" and not claim.slot.words & _UNITS:
        return False
    moneys = {m.unit for m in claim.scene.mentions if m.kind == "money"}
    coins = {CURRENCY.get(m.text.lower(), "") for m in claim.scene.mentions if m.kind == "currency"}
    if moneys | coins:
        return moneys | coins == {claim.chosen.value}
    measure = unit_of(str(claim.chosen.value).lower())
    said = {m.unit for m in claim.scene.mentions if m.unit and m.kind == "number"}
    return bool(measure) and {unit_of(one) for one in said} == {measure}


_UNITS = stems("unit units currency scale measure 单位 货币 币种")


def mood(claim: Claim) -> bool:
    """Praise alone, or blame alone, for good or bad."""
    return not claim.text and polarity.means(claim.chosen.value, claim.scene.text)


def affirmed(claim: Claim) -> bool:
    """A yes or no that the text speaks out, and a no without limits."""
    return claim.chosen.value is True or claim.command or not _LIMITED.match(claim.scene.text, claim.start)


_LIMITED = re.compile(r"\S+\s+(?:after|before|until|in|on|at|for|with|from|near|unless|except)\b", re.IGNORECASE)
"""What limits a no: 'no water after noon'."""
