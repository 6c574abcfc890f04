"""Doubts about which of several things is meant: this one or another, who is wanted or who is refused."""

from __future__ import annotations

import re

from ..offer import labels
from ..word import has_cjk
from .claim import Claim


def refused(claim: Claim) -> bool:
    """Who or what is left out: 'any doctor but Dr Pell', 'Dr Pell was rude, so not him'."""
    where = claim.scene.text
    if not claim.text:
        return False
    if _BUT.search(where, 0, claim.start):
        return True
    found = _NOT_THAT.search(where, claim.end)
    return found is not None and not any(claim.end <= m.start < found.start() for m in claim.kin)


_BUT = re.compile(
    r"(?:\b(?:any|all|every|no|who|what|where)\s?(?:one|body|thing|where|ever)?\b[^.;!?\n]{0,40}\bbut"
    r"|\b(?:apart from|aside from|excluding|save for|barring))\s+(?:\w+\.?\s+){0,2}\Z",
    re.IGNORECASE,
)
_NOT_THAT = re.compile(
    r"(?<!if )\b(?:not|never|anyone but|anybody but|instead of|rather than) (?:him|her|them|that one|this one|there)\b"
    r"|(?:别|不要|不想要?|不找|不选|除了)(?:[他她它]|那[个家位]|这[个家位])",
    re.IGNORECASE,
)


def one_of_records(claim: Claim) -> bool:
    """A value behind the field's label where another such label stands with another value: each is of its own thing."""
    own = [] if claim.scene.piece else labels(claim.slot, claim.scene)
    here = {field.key for field in own if field.holds(claim.start)}
    return len({field.value for field in own if field.key in here}) > 1


def of_the_other(claim: Claim) -> bool:
    """What is said of another one: 74 of 'The one on Birch Lane had 74 m²'."""
    sentences = (one for one in claim.scene.sentences if one.start <= claim.start <= one.end)
    return any(_OTHER.search(claim.scene.text, one.start, claim.start) for one in sentences)


_OTHER = re.compile(
    r"\b(?:the (?:one|ones) (?:on|in|at|from|by|of|beside|next)|next door|nearby|neighbou?r(?:'s|ing)?|another"
    r"|(?:the|his|her|their|its) others?|(?:some|every|any)(?:one|body) else)\b|另|其他|别的|隔壁",
    re.IGNORECASE,
)


def ruled_out(claim: Claim) -> bool:
    """What another sentence says to be over, off or left out: 'Then it is 3 June. … 3 June is gone.'"""
    said = claim.text.rstrip(" .,;:!?。，；！？")
    if len(said) < (2 if has_cjk(said) else 3):
        return False
    where = claim.scene.text
    places = [found.span() for found in re.finditer(re.escape(said), where)]
    return any(_OVER.match(where, b) or _LEFT_OUT.search(where, max(0, a - _NEAR), a) for a, b in places)


_NEAR = 40
"""How far before a value the words may begin that leave it out; a value may stand at very many places."""
_LEFT_OUT = re.compile(
    r"\b(?:except|excluding|apart from)\s+(?:on\s+)?\Z|(?:除了|除去|别用|别选|别去|不用|不要)\Z", re.IGNORECASE
)
_OVER = re.compile(
    r"\s+(?:is|are|was|were|has been|have been|got|fell)\s+(?:now\s+)?"
    r"(?:gone|off|out|through|over|dead|cancell?ed|called off|postponed|dropped|scrapped|withdrawn|wrong)\b"
    r"|(?:取消|作废|不行|没了|改期)",
    re.IGNORECASE,
)


def asked_about(claim: Claim) -> bool:
    """A number of a yes-or-no question beside a command: 'Renew it, please. Is 3 weeks the most?'"""
    if not claim.is_number or not claim.text:
        return False
    sentences = [one for one in claim.scene.sentences if one.text.strip()]
    here = next((one.text for one in sentences if one.start <= claim.start <= one.end), "")
    others = any(not _ASKS.search(one.text) for one in sentences if one.text != here)
    return others and bool(_YES_OR_NO.match(here) and _ASKS.search(here))


_ASKS = re.compile(r"[?？]|[吗呢][。，！\s]*$")
_YES_OR_NO = re.compile(
    r"\W*(?:(?:and|but|or|so|oh|also|btw)\W+)*(?:is|are|was|were|does|do|did|will|would|should|has|have)\b(?! like)"
    r"|[^。，？?]*吗",
    re.IGNORECASE,
)
