"""Whether a clause wants something done: a refusal, thanks and a tale of what was done do not."""

from __future__ import annotations

import re

from .word import is_past

_REFUSES = re.compile(
    r"^\W*(?:(?:please|just|oh|no|and|but|ok|okay)\W+)*"
    r"(?:(?:(?:i|we|you) )?(?:do not|don['\u2019]?t|needn['\u2019]?t)|never|no need to)\b"
    r"(?!\s+(?:let me |let us )?forget)"
    r"|^(?:请|先|千万)*(?:不用|不要|别|不必|无需|不需要)(?!忘)",
    re.IGNORECASE,
)
_THANKS = re.compile(r"^\W*(?:many )?thank(?:s| you)\b(?: so much| a lot)? for\b|^谢谢你?(?:帮|的)", re.IGNORECASE)
_TOLD = re.compile(
    r"^\W*(?:\w+,\s+)?(?:i|we|he|she|they)(?:['\u2019]ve|['\u2019]d)?\s+(?:(?:already|just|finally|have|also)\s+)*(?P<verb>[a-z]+)",
    re.IGNORECASE,
)
_TOLD_CJK = re.compile(r"^我们?(?:已经?|刚刚?|刚才|昨天|早就)")


def refuses(clause: str) -> bool:
    """Whether ``clause`` asks for something not to be done; 'don't forget to …' asks for it."""
    return bool(_REFUSES.match(clause))


def idle(clause: str) -> bool:
    """Whether ``clause`` wants nothing done."""
    told = _TOLD.match(clause)
    if told and is_past(told["verb"]) and not clause.rstrip().endswith(("?", "？")):
        return True
    return any(form.match(clause) for form in (_REFUSES, _THANKS, _TOLD_CJK))
