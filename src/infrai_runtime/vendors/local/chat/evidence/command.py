"""Evidence in a command: a value behind the preposition of its field, or the only one that the call asks for."""

from __future__ import annotations

from ..concept import akin
from ..mention import CURRENCY, MOMENT
from ..offer import FROM_WORDS, counted, wants_count
from ..slot import Slot
from ..word import has_cjk, name_words, stem, words
from .claim import Claim


def commanded(claim: Claim) -> bool:
    """In a command: a value behind the preposition of its field, or the only number or name that the call asks for."""
    here = claim.mention
    if not claim.command:
        return False
    if claim.is_number:
        return _all_numbers(claim)
    if claim.slot.role == "currency":
        return _exchanged(claim)
    if claim.slot.role == "message" and claim.scene.before(claim.start, 1) in _SAYING:
        return True
    return here is not None and here.kind in claim.slot.kinds & _TELLING and not claim.slot.specific


_TELLING = MOMENT | {"email", "url", "path", "phone", "ip"}


_SAYING = (["saying"], ["that"], ["says"], ["说"])


def _all_numbers(claim: Claim) -> bool:
    """Whether a command has as many numbers as its call takes, and each has its place: the only one, or operands. Of
    numbers with names of their own the order says nothing."""
    alone = len(claim.in_order) == 1 and _is_of_field(claim)
    return alone or (len(claim.in_order) > 1 and all(map(_is_operand, claim.in_order)))


def _is_of_field(claim: Claim) -> bool:
    """Whether a number counts or measures what its field speaks of, or nothing: 2 of 'a 2 bedroom flat' is no night."""
    slot, after = claim.slot, claim.scene.after(claim.end, 3)
    if "money" in slot.units and {*after} & {*CURRENCY}:
        return True
    if wants_count(slot):
        return not (claim.mention and claim.mention.unit)
    said = {stem(word) for word in after} | {word for word, at, _ in claim.scene.chinese if 0 <= at - claim.end < 3}
    things = counted(after[:1]) or has_cjk(claim.scene.text[claim.end : claim.end + 1])
    return not things or any(akin(word, own) for word in said for own in slot.own | slot.units)


def _is_operand(slot: Slot) -> bool:
    return all(len(word) == 1 or word.isdigit() or word in _OPERANDS for word in name_words(slot.name))


_OPERANDS = words("""
    first second third left right number num operand value arg argument term factor addend base exponent
""")


def _exchanged(claim: Claim) -> bool:
    """'80 pounds in dollars': the currency of the amount is what is changed, the other one is what it becomes."""
    here = claim.mention
    coins = [m for m in claim.scene.mentions if m.kind in ("money", "currency")]
    source = bool(FROM_WORDS & {stem(word) for word in name_words(claim.slot.name)})
    if not here or len(coins) != 2:
        return False
    before = claim.scene.before(here.start, 1)
    return (here.kind == "money" or before == ["from"] or any(map(str.isdigit, before))) == source
