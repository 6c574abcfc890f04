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
from .doubt import DOUBTS
from .kind import aged, alone
from .name import introduced, opens, person, placed, quoted, subject
from .named import done, holds, job, labelled, named, owned, sized, told_cjk, told_of

__all__ = ["Claim", "doubted", "speaks"]


def speaks(claim: Claim) -> bool:
    """Whether a form of evidence says that the value is that of the field."""
    forms = _FORMS.get("enum" if "enum" in claim.slot.schema else claim.slot.kind, ())
    return "const" in claim.slot.schema or any(form(claim) for form in forms)


def doubted(claim: Claim) -> bool:
    """Whether something about the value, or about what is said of it, outweighs all evidence."""
    return "const" not in claim.slot.schema and any(doubt(claim) for doubt in DOUBTS)


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
