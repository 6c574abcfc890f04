"""Weak evidence: what makes a value the likely one of a required field, though nothing says that it is meant.

Such a value is of the kind that the field asks for, and it is the only one of that kind, or it stands where a value of
the field stands: beside the field's own word, behind its preposition, on its side of a range, at the head of an item.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..concept import akin, chinese_words
from ..measure import unit_of
from ..mention import MOMENT, Mention
from ..offer import counted, in_unit, wants_count
from ..word import has_cjk, is_past, name_words, stem, words
from .choice import words_of
from .claim import PRECISE, PROPER, Claim, possesses
from .doubt import around, piece
from .name import CJK_PERSON
from .named import is_label


def only(claim: Claim) -> bool:
    """The text's only value of a kind that the field asks for: a date, an amount in the field's unit, a name."""
    if _is_name(claim) and _asks_for_name(claim):
        return {m.text for m in claim.names} == {claim.text}
    return _is_of_kind(claim) and not claim.kin and (not claim.is_number or len(claim.slot.specific) < 2)


def _is_of_kind(claim: Claim) -> bool:
    """Whether a value is of a kind that few things are of, and that the field asks for first of all."""
    here, slot = claim.mention, claim.slot
    if not here:
        return False
    if claim.is_number:
        return in_unit(slot, here)
    figures = here.kind == "number" and len(here.text) > 4
    return here.kind in slot.kinds and (here.kind in PRECISE or figures)


def _is_name(claim: Claim) -> bool:
    """Whether a value is a proper name: it has two words, or does not just open a sentence."""
    here = claim.mention
    if not here or here.kind != "name" or here.text != claim.text:
        return False
    if has_cjk(claim.text):
        return bool(CJK_PERSON.fullmatch(claim.text)) == (claim.slot.role == "person") or claim.slot.role in _PLACES
    if possesses(claim.scene, claim.end):
        return False
    if claim.text.isupper():
        return claim.slot.role in ("company", "product", "title")
    before, after = claim.scene.before(claim.start, 1), claim.scene.after(claim.end, 1)
    inside = bool(before) and before[0] not in (",", "，", "-")
    return " " in claim.text or inside or bool(after and (is_past(after[0]) or after[0] in _SAID))


_PLACES = words("place origin destination recipient")
_SAID = words("is was has had will")


def _asks_for_name(claim: Claim) -> bool:
    """Whether a field wants no more than a name of somebody, or that of the one party that the text may be of."""
    named = claim.slot.role in PROPER | {"product", "title"}
    party = claim.slot.party
    chinese = (word for word, _, _ in chinese_words(claim.slot.name))
    told = claim.slot.specific <= party or any(akin(word, own) for word in chinese for own in party)
    return named and len(claim.slot.specific) < 2 and told


def first(claim: Claim) -> bool:
    """The first full name of a text for the person whom it is of; a greeting names somebody else."""
    if not _is_name(claim) or not _asks_for_name(claim):
        return False
    before = claim.scene.before(claim.start, 1)
    full = [m for m in claim.names if " " in m.text or CJK_PERSON.fullmatch(m.text)]
    return claim.slot.role == "person" and full[:1] == [claim.mention] and before not in _GREETING


_GREETING = (["hi"], ["hello"], ["dear"], ["hey"], ["dr"])


def beside(claim: Claim) -> bool:
    """The value of the field's kind that is nearest to the field's own words, in one clause with them."""
    if not claim.slot.specific or not (_is_of_kind(claim) or claim.is_number or _is_name(claim)):
        return False
    sentence, at = around(claim.scene, claim.start)
    clause, place = piece(_BREAK, sentence, at)
    start = claim.start - place
    said = [*_said(claim, start, start + len(clause))]
    asked = claim.slot.specific - claim.slot.party or claim.slot.specific
    if not all(any(akin(word, own) for word, _ in said) for own in asked):
        return False
    places = [place for word, place in said if any(akin(word, own) for own in asked)]
    inside = [m for m in claim.kin if start <= m.start < start + len(clause)]
    return not any(abs(m.start - at) < abs(claim.start - at) for m in inside for at in places)


_BREAK = re.compile(r"[,，;；\n]|\s(?:and|but|plus|then)\s|、")


def _said(claim: Claim, start: int, end: int) -> Iterator[tuple[str, int]]:
    yield from ((stem(token.low), token.start) for token in claim.scene.tokens if start <= token.start < end)
    yield from ((word, at) for word, at, _ in claim.scene.chinese if start <= at < end)


def counts(claim: Claim) -> bool:
    """A number that counts the thing of the field, or the only one that counts anything for a quantity."""
    after = claim.scene.after(claim.end, 2)
    if any(akin(stem(word), own) for word in after for own in claim.slot.words | claim.slot.units):
        return claim.is_number
    return wants_count(claim.slot) and [m for m in claim.scene.mentions if _counts(claim, m)] == [claim.mention]


def _counts(claim: Claim, mention: Mention) -> bool:
    after = claim.scene.after(mention.end, 1)
    thing = after[:1] in _CLASSIFIER or (after[:1] and after[0].isascii() and counted(after))
    return mention.kind == "number" and not unit_of(mention.unit) and bool(thing)


_CLASSIFIER = [[one] for one in "个件箱台张本份盒瓶袋只条套间名位人"]


def ordered(claim: Claim) -> bool:
    """A number of a command, or a bare one for a field without a unit, where there are as many as are asked for."""
    measured = claim.slot.units or any(unit_of(word) for word in name_words(claim.slot.name))
    bare = claim.mention and not measured and is_label(claim.scene, claim.mention)
    return claim.is_number and bool(claim.command or bare) and bool(claim.in_order)


def behind(claim: Claim) -> bool:
    """A name behind a preposition of such a field: 'in Minsk', 'from Acme'."""
    plain = claim.command and claim.text.isascii() and claim.text.islower()
    if claim.slot.role == "person" or not (_is_name(claim) or plain):
        return False
    return any(claim.marker in role.markers - _PLAIN for role, _ in claim.slot.roles[:1])


_PLAIN = words("of is am the a an")


def bounds(claim: Claim) -> bool:
    """A side of a range: '4 to 8 August' for a start and an end."""
    first, last = claim.scene.after(claim.end, 1) in _TO, claim.scene.before(claim.start, 1) in _TO
    asked = (first and claim.slot.words & _FIRST) or (last and claim.slot.words & _LAST)
    return bool(asked and claim.mention and claim.mention.kind in MOMENT)


_TO = (["to"], ["until"], ["till"], ["-"], ["–"], ["到"], ["至"])
_FIRST, _LAST = words("start begin from"), words("end until to finish")


def spelt(claim: Claim) -> bool:
    """An option that the text says word for word."""
    return words_of(claim.text) == words_of(str(claim.chosen.value))
