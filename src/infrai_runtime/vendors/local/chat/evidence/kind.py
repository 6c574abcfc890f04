"""Evidence: the value is of a kind that the field asks for, no more than the kind, and the only one in the text."""

from __future__ import annotations

import re

from ..measure import unit_after
from ..mention import Mention
from ..offer import counted, in_unit, wants_count
from ..scene import MARKERS
from ..word import STOP, name_words, stem, stems, words
from .claim import PRECISE, Claim


def alone(claim: Claim) -> bool:
    """A kind that the field asks for, no more than the kind, and the text has only one: an e-mail address, a date."""
    here, slot = claim.mention, claim.slot
    if not here or claim.kin:
        return False
    if claim.scene.piece and here.kind == "money" and claim.is_number:
        return "money" in slot.units
    if slot.specific or (slot.owner and not claim.command):
        return False
    if claim.is_number:
        return _alone_number(claim, here)
    if not claim.command and (here.kind not in _TELLING or (here.kind == "day" and "day" not in slot.words)):
        return False
    return here.kind in PRECISE and here.kind in claim.slot.kinds and not _is_any_code(claim, here)


def _is_any_code(claim: Claim, here: Mention) -> bool:
    """Whether a code could be that of another field as well: nothing of its form says what it is a code of."""
    return here.kind == "code" and any(here.kind in slot.kinds for slot in claim.slots if slot is not claim.slot)


_TELLING = words("email url ip phone code datetime date day time street")
"""Kinds of mention that say by their form alone what they are."""


def _alone_number(claim: Claim, here: Mention) -> bool:
    """Whether a number has the unit that its field asks for, or the age or the year that it is."""
    if "year" in claim.slot.words:
        return 1000 <= here.value <= 2200 and claim.scene.marker(here.start) in ("in", "since", "of", "(")
    per = "per" in name_words(claim.slot.name) or _AWAY.match(claim.scene.text, here.end)
    return in_unit(claim.slot, here) and not _another_sum(claim) and (here.kind == "money" or not per)


_AWAY = re.compile(
    r"\s*\S+\s+(?:from|ago|away|late|later|early|earlier|before|after|old|walk|drive|each|per|every|more|less)\b|\S{0,3}[前后内远]"
)


def aged(claim: Claim) -> bool:
    """'aged 34', 'I am 34', 'Ana (34)', '34 years old', '34岁'."""
    if claim.slot.specific or claim.slot.owner or not ("age" in claim.slot.words or claim.slot.name == "年龄"):
        return False
    after, before = claim.scene.after(claim.end, 3), claim.scene.before(claim.start, 1)
    if after[:2] in (["years", "old"], ["year", "old"]) or before in (["aged"], ["age"], ["am"]):
        return True
    people = [m for m in claim.scene.mentions if m.kind == "name" and m.end <= claim.start]
    bare = not after or not after[0].isalpha() or after[0] in STOP | MARKERS
    touching = bool(people) and bool(_AGE_LINK.fullmatch(claim.scene.text, people[-1].end, claim.start))
    return bare and claim.is_number and claim.chosen.value <= 120 and touching


_AGE_LINK = re.compile(r"\s*[,(，（]\s*|\s+(?:is|was|turns|turned)\s+|今年")


def counted_out(claim: Claim) -> bool:
    """The count that an item of a list begins with: 3 of '3 apples' for a quantity."""
    here = claim.mention
    if not claim.scene.piece or not claim.is_number or not here or here.start or here.unit or claim.kin:
        return False
    return wants_count(claim.slot) and claim.chosen.value < 1000 and counted(claim.scene.after(here.end, 1))


def sized(claim: Claim) -> bool:
    """'8 m wide' for a width, '宽12米'."""
    here, where = claim.mention, claim.scene.text
    if not claim.is_number or not here or not unit_after(where, here.end):
        return False
    around = (*claim.scene.after(here.end, 2)[1:], where[: here.start][-1:])
    return any(_SIZES.get(word) in claim.slot.words for word in around)


_SIZES = {
    word: stem(noun)
    for noun, said in (
        ("length", "long 长"),
        ("width", "wide broad across 宽"),
        ("height", "high tall 高"),
        ("depth", "deep 深"),
        ("thickness", "thick 厚"),
    )
    for word in said.split()
}
_SUMS = stems("""
    rent wage salary bonus fine refund deposit fee tax vat tip discount budget shipping delivery revenue profit debt
    loan grant donation balance total subtotal price cost income payment credit toll fare tuition instalment
    押金 租金 工资
    税 费 折扣 定金 奖金
""")


def _another_sum(claim: Claim) -> bool:
    """A sum that the text names otherwise: 350 of 'the deposit is 350 euros' for a price."""
    spoken = {stem(word) for word in (*claim.scene.before(claim.start, 7), *claim.scene.after(claim.end, 4))}
    spoken |= {word for word, start, _ in claim.scene.chinese if abs(start - claim.start) < 12}
    return bool(_SUMS & spoken) and not claim.slot.words & spoken
