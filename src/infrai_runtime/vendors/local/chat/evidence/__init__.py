"""What shows that a value belongs to its field. A value that nothing here shows is declared, however well it fits.

There are few forms of evidence: the field's own label or word beside the value, a kind of value that the field asks
for and of which the text has only one, an option said word for word, a preposition or a verb that belongs to such a
field. Each counts only in a statement: a question, a condition, a denial, what is over and a part of something longer
show nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from .choice import affirmed, mood, said_option, unit_option
from .claim import Claim
from .command import commanded
from .doubt import (
    another_left,
    before_a_noun,
    cut,
    either_way,
    half_address,
    no_code,
    of_another_kind,
    of_another_label,
    of_kin,
    of_no_kind,
    one_of_a_label,
    own_label,
    part_of_moment,
    relative,
    runs_on,
    unclaimed,
)
from .kind import aged, alone
from .name import introduced, opens, person, placed, quoted, subject
from .named import done, holds, job, labelled, named, owned, sized, told_cjk, told_of

__all__ = ["Claim", "speaks", "vetoed"]


def speaks(claim: Claim) -> bool:
    """Whether a form of evidence says that the value is that of the field."""
    forms = _FORMS.get("enum" if "enum" in claim.slot.schema else claim.slot.kind, ())
    return "const" in claim.slot.schema or any(form(claim) for form in forms)


def vetoed(claim: Claim) -> bool:
    """Whether something about the value, or about what is said of it, outweighs all evidence."""
    return "const" not in claim.slot.schema and any(veto(claim) for veto in _VETOES)


def _claimed_by_nobody(claim: Claim) -> bool:
    return unclaimed(claim.chosen, claim.slot, claim.scene, claim.command)


_VETOES: tuple[Callable[[Claim], bool], ...] = (
    no_code,
    either_way,
    half_address,
    own_label,
    of_no_kind,
    cut,
    runs_on,
    before_a_noun,
    part_of_moment,
    of_another_kind,
    relative,
    another_left,
    one_of_a_label,
    of_another_label,
    of_kin,
    _claimed_by_nobody,
)
_WORDS: tuple[Callable[[Claim], bool], ...] = (labelled, named, told_of, told_cjk, done)
_TEXT = (*_WORDS, holds, alone, person, placed, introduced, owned, job, subject, opens, quoted, unit_option, commanded)
_NUMBER = (*_WORDS, sized, aged, alone, commanded)
_FORMS: dict[str, tuple[Callable[[Claim], bool], ...]] = {
    "enum": (labelled, said_option, unit_option, mood),
    "boolean": (affirmed,),
    "number": _NUMBER,
    "integer": _NUMBER,
    "array": (labelled,),
    "string": _TEXT,
    "any": (labelled,),
}
