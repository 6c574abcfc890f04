"""What shows that a value belongs to its field. A value that nothing here shows is declared, however well it fits.

There are few forms of evidence: the field's own label or word beside the value, a kind of value that the field asks
for and of which the text has only one, an option said word for word, a preposition or a verb that belongs to such a
field. Each counts only in a statement: a question, a condition, a denial, what is over and a part of something longer
show nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from ..schema import settled
from .choice import affirmed, mood, said_option, unit_option
from .claim import Claim
from .command import commanded
from .doubt import DENIED, DOUBTS, MISREAD
from .kind import aged, alone, counted_out, sized
from .likely import behind, beside, bounds, counts, first, only, ordered, spelt
from .name import led_to, opens, person, quoted
from .named import done, job, labelled, named, told_of

__all__ = ["Claim", "doubted", "likely", "speaks"]


def speaks(claim: Claim) -> bool:
    """Whether a form of evidence says that the value is that of the field."""
    forms = _FORMS.get("enum" if "enum" in claim.slot.schema else claim.slot.kind, ())
    return bool(settled(claim.slot.schema)) or any(form(claim) for form in forms)


def doubted(claim: Claim) -> bool:
    """Whether something about the value, or about what is said of it, outweighs all evidence."""
    return not settled(claim.slot.schema) and any(doubt(claim) for doubt in DOUBTS)


def likely(claim: Claim) -> int:
    """How likely a value is that of a required field where no evidence gives it: 3 where evidence for it is doubted, 2
    where it stands as a value of the field stands, 1 where it is only the sole or foremost one of its kind, else 0."""
    if any(misread(claim) for misread in MISREAD) or claim.slot.kind == "boolean":
        return 0
    kind = "enum" if "enum" in claim.slot.schema else claim.slot.kind
    if speaks(claim):
        return 3
    open_ = not any(denies(claim) for denies in DENIED)
    if open_ and any(form(claim) for form in _WEAK.get(kind, ())):
        return 2
    return int(only(claim) or (open_ and first(claim)))


_WEAK: dict[str, tuple[Callable[[Claim], bool], ...]] = {
    "enum": (spelt,),
    "number": (beside, counts, ordered),
    "integer": (beside, counts, ordered),
    "string": (beside, behind, bounds),
}

_WORDS: tuple[Callable[[Claim], bool], ...] = (labelled, named, told_of, done)
_TEXT = (*_WORDS, alone, person, led_to, job, opens, quoted, unit_option, commanded)
_NUMBER = (*_WORDS, aged, sized, counted_out, alone, commanded)
_FORMS: dict[str, tuple[Callable[[Claim], bool], ...]] = {
    "enum": (labelled, said_option, unit_option, mood),
    "boolean": (affirmed,),
    "number": _NUMBER,
    "integer": _NUMBER,
    "array": (labelled,),
    "string": _TEXT,
    "any": (labelled,),
}
