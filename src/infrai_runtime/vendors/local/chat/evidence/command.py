"""Evidence in a command: a value behind the preposition of its field, or the only one that the call asks for."""

from __future__ import annotations

from collections.abc import Mapping

from ..concept import akin
from ..mention import CURRENCY
from ..offer import FROM_WORDS, counted, wants_count
from ..slot import INTRODUCES, Slot
from ..word import has_cjk, name_words, stem, stems, words
from .claim import MOMENT, Claim


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
    if here and here.kind in MOMENT | {"email", "url", "path", "phone", "ip"}:
        return any(here.kind in role.kinds for role, _ in claim.slot.roles[:1]) and not claim.slot.specific
    return _behind_marker(claim)


_SAYING = (["saying"], ["that"], ["says"], ["说"])


def _behind_marker(claim: Claim) -> bool:
    """Whether the preposition of a field stands before a name, and before no other one."""
    if not claim.mention or claim.mention.kind not in ("name", "language"):
        return False
    own = {marker for marker, fields in INTRODUCES.items() if fields & claim.slot.own}
    markers = (
        own if claim.slot.specific and claim.slot.role not in _FREE_ROLES else own | _MARKERS.get(claim.slot.role, own)
    )
    if claim.slot.words <= _NAME:
        markers &= _CALLING
    names = (m for m in claim.scene.mentions if m.kind == "name" and m.text != claim.text)
    return claim.marker in markers and not any(claim.scene.marker(m.start) == claim.marker for m in names)


_FREE_ROLES = words("recipient origin destination language")
_MARKERS: Mapping[str, frozenset[str]] = {
    "place": words("in at for near around 在 去 到"),
    "origin": words("from 从"),
    "destination": words("to into 到 去 往 至"),
    "language": words("into to in from 成 为"),
    "recipient": words("to for tell message email text notify ping ask 给 向"),
    "person": words("with named called 和 跟 叫"),
    "company": words("at with from 在"),
}
_NAME, _CALLING = stems("name fullname 姓名 名字"), words("named called 叫")
"""A field for just a name is of who asks, and not of whom something is done with."""


def _all_numbers(claim: Claim) -> bool:
    """Whether a command has as many numbers as its call takes, and each has its place: the only one, or operands. Of
    numbers with names of their own the order says nothing."""
    numbers = [m for m in claim.scene.mentions if m.kind in ("number", "money", "percent")]
    taken = [to for to, one in claim.others if isinstance(one.value, int | float) and not isinstance(one.value, bool)]
    alone = len(taken) < 2 and _is_of_field(claim)
    return len(numbers) == len(taken) and (alone or all(map(_is_operand, taken)))


def _is_of_field(claim: Claim) -> bool:
    """Whether a number counts or measures what its field speaks of, or nothing: 2 of 'a 2 bedroom flat' is no night."""
    slot, after = claim.slot, claim.scene.after(claim.end, 3)
    if slot.units & _MONEY:
        return bool({*after} & set(CURRENCY)) or not counted(after[:1])
    if wants_count(slot):
        return not (claim.mention and claim.mention.unit)
    said = {stem(word) for word in after} | {word for word, at, _ in claim.scene.chinese if 0 <= at - claim.end < 3}
    things = counted(after[:1]) or has_cjk(claim.scene.text[claim.end : claim.end + 1])
    if not things and not (claim.mention and claim.mention.unit) and slot.specific and claim.marker not in _SETTING:
        return False
    return not things or any(akin(word, own) for word in said for own in slot.own | slot.units)


_SETTING = words("to by at for")
"""What leads to a bare number that something is set to."""


_MONEY = words("money")


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
