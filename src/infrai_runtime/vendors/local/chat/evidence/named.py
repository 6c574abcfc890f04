"""Evidence: the field's own label, word or verb beside the value."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..concept import derived, related, translated
from ..mention import MOMENT, Mention
from ..offer import PLAIN, labels
from ..scene import MARKERS, Scene
from ..slot import KIND, NUMBER_UNITS
from ..word import STOP, has_cjk, is_past, name_words, stem, stems, words
from .claim import LEAD, PROPER, Claim, possesses
from .name import CJK_PERSON


def labelled(claim: Claim) -> bool:
    """'Name: Ada': the value opens what stands behind the field's own label, and no such label names another."""
    found = labels(claim.slot, claim.scene)
    here = [field for field in found if field.holds(claim.start) or _is_whole(claim, field.value)]
    if not here or len({field.value for field in found}) > 1:
        return False
    stretch = claim.scene.text[here[0].start : max(claim.start, here[0].end)]
    lead = _DIGIT.split(stretch)[0] if claim.is_number else stretch[: max(0, claim.start - here[0].start)]
    opens = not claim.text or LEAD.fullmatch(lead) or lead == stretch
    rest = claim.scene.text[claim.end : here[0].end]
    whole = claim.is_number or not claim.text or _is_whole(claim, here[0].value) or not _MORE.match(rest)
    return bool(opens) and whole


def _is_whole(claim: Claim, value: str) -> bool:
    return isinstance(claim.chosen.value, str) and claim.chosen.value == value


_DIGIT = re.compile(r"(?=\d)")
_MORE = re.compile(r"\s*[\w&+@/-]")


def named(claim: Claim) -> bool:
    """'the rent is 640', 'platform 6', 'Passenger Irma Sole', '押金500': the field's whole name, then the value."""
    if has_cjk(claim.scene.text[max(0, claim.start - 1) : claim.start]) or (has_cjk(claim.text) and claim.start):
        return _named_cjk(claim)
    before = claim.scene.before(claim.start, 9)
    ordered = claim.command and bool(before) and stem(before[0]) in claim.slot.own
    if claim.text[:1].islower() and not ordered and (claim.slot.role in PROPER or before[:1] not in _NOUNS):
        return False
    said = {stem(word) for word in _run(before)}
    if claim.mention and is_label(claim.scene, claim.mention) and said == claim.slot.words:
        return True
    at = next((at for at, word in enumerate(before) if word not in _links(claim)), len(before))
    run = [stem(word) for word in _run(before[at:])]
    if claim.command and len(run) > 1 and len(before) == at + len(run):
        run.pop()  # the verb that opens the request: 'book room 214'
    passed = [stem(word) for word in before[:at] if word in _WAYS]
    return bool(run) and is_name_of(claim, [*run, *passed], run[0])


def _links(claim: Claim) -> frozenset[str]:
    """The words that may stand between a field's name and its value."""
    if claim.mention and claim.mention.kind in MOMENT:
        return _LINKS | _WAYS
    return _LINKS | _OF if claim.is_number or claim.slot.role == "place" else _LINKS


def _run(found: Iterable[str]) -> list[str]:
    """The words up to one that only joins."""
    run: list[str] = []
    for word in found:
        if word in STOP | MARKERS or not word[0].isalnum():
            break
        run.append(word)
    return run


def is_name_of(claim: Claim, run: list[str], head: str) -> bool:
    """Whether a run of words is the field's name: its head is the field's, and it tells neither less nor more."""
    if not any(_same(head, own) for own in claim.slot.own):
        return False
    least = claim.slot.specific or claim.slot.owner
    told = all(any(_same(word, own) for word in run) for own in least)
    return told and all(word in KIND | PLAIN or any(_same(word, own) for own in claim.slot.own) for word in run)


def _same(said: str, own: str) -> bool:
    return translated(said, own) or _SHORT.get(own) == said


_SHORT = {stem(short): stem(word) for short, word in (("min", "minimum"), ("max", "maximum"), ("qty", "quantity"))}


_NOUNS = ([":"], ["="], ["a"], ["an"], ["the"], ["named"], ["called"])
"""What stands before a common noun that is a value: 'is lost' names nothing."""
_LINKS = words("""
    : = ( " ' “ a an the is was are were named called titled mr mrs ms dr . no no. nr nr. number # $ € £ ¥ about
""")
_WAYS = words("at on in by to until till from since for around be been will")
_OF = words("of at around exactly approximately")


def _named_cjk(claim: Claim) -> bool:
    """The field's name right before a Chinese value, or its Chinese word for a field with an English name; who owns
    what follows is only told with it."""
    if possesses(claim.scene, claim.end):
        return False
    lead = _CJK_LINK.sub("", claim.scene.text[max(0, claim.start - 14) : claim.start])
    names = [word for word in claim.slot.specific or claim.slot.own if not word.isascii()]
    written = [word for word in (claim.slot.name, *names) if not word.isascii() and len(word) > 1]
    if written:
        return any(lead.endswith(word) and not _CJK_MORE.search(lead[: -len(word)]) for word in written)
    if lead.endswith(claim.scene.text[: claim.start][-1:]) and claim.mention and not _joins(claim, claim.mention):
        return False
    ends = max(0, claim.start - 14) + len(lead)
    said = [word for word, _, end in claim.scene.chinese if end == ends]
    least = claim.slot.specific or claim.slot.own
    return bool(said) and all(any(related(word, own) for word in said) for own in least)


def _joins(claim: Claim, mention: Mention) -> bool:
    """Whether a value may follow its field's word without a link: a figure, a moment, a person, Latin letters."""
    return mention.kind != "name" or not has_cjk(claim.text) or bool(CJK_PERSON.fullmatch(claim.text))


_CJK_LINK = re.compile(r"(?:[是为约共达：:\s\"“（(叫]|名叫|大约)*$")
_CJK_MORE = re.compile(r"(?:旧|前|老|原|副|不是|非|上|下|每|各)的?$")


def told_of(claim: Claim) -> bool:
    """'8 barns': a number, then what the field counts."""
    if not claim.is_number or not claim.text:
        return False
    after = claim.scene.after(claim.end, 8)
    return _counts(claim, after[1:] if after[:1] == ["-"] else after) or _counts_cjk(claim)


def _counts(claim: Claim, after: list[str]) -> bool:
    """Whether a number counts what the field is named for: '8 barns', '3 night shifts' for night_shifts."""
    if (claim.mention and claim.mention.kind != "number") or "per" in name_words(claim.slot.name):
        return False
    run = [stem(word) for word in _run(after)]
    least = claim.slot.specific or claim.slot.words
    size = max((at for at, word in enumerate(run[:4], 1) if word in claim.slot.words), default=0)
    head = next((stem(word) for word in reversed(name_words(claim.slot.name)) if stem(word) not in _COUNT), "")
    named = head in run[:size] and all(word in claim.slot.words for word in run[:size])
    if run[size : size + 1] and run[size][0].isdigit():
        return False
    if run and not claim.kin and claim.slot.units - _OF_UNITS and run[0] in {stem(word) for word in claim.slot.units}:
        return not claim.slot.specific - {stem(word) for word in claim.slot.words if word in NUMBER_UNITS}
    return named and all(any(word == own for word in run[:size]) for own in least - _COUNT)


def _counts_cjk(claim: Claim) -> bool:
    """'7岁', '3名员工': the unit or the thing of the field right behind its number, and behind no other."""
    found = (word for word in claim.slot.units | claim.slot.own if not word.isascii())
    return any(
        re.match(rf"[个名位张间台辆件]?{re.escape(word)}", claim.scene.text[claim.end :])
        and len(re.findall(rf"[\d一二两三四五六七八九十][个名位张间台辆件]?{re.escape(word)}", claim.scene.text)) == 1
        for word in found
    )


_OF_UNITS = words("money percent year point star")
_COUNT = stems("number count qty quantity amount")


def done(claim: Claim) -> bool:
    """'founded in 1998', 'opened by Otis', 'works for Ferro', 'Ann won': a verb of the field's name and the value."""
    measured = claim.measured
    named = claim.mention if claim.mention and claim.mention.kind == "name" and claim.text[:1].isupper() else None
    agent = claim.slot.name.lower().endswith(AGENTS)
    if named and agent and claim.slot.role in _DOERS and does(claim.slot.owner, claim.scene, named):
        return True
    before = claim.scene.before(claim.start, 6)
    if not measured and not _LEADS & {*before[:3]}:
        return False
    verb = next((word for word in before if word not in _LINKS | _WAYS | _LEADS | _HAVING), "")
    if not is_past(verb) and (not verb.endswith(("s", "ing")) or verb in name_words(claim.slot.name)):
        return False
    around = claim.slot.owner if claim.slot.role in _DOERS else frozenset()
    least = claim.slot.specific or around or claim.slot.words
    if "money" in claim.slot.units and claim.kin:
        return False
    return all(stem(verb) in {own, *_VERBS_OF.get(own, ())} or derived(stem(verb), own) for own in least)


AGENTS = ("er", "or", "ist", "ent", "ant", "by")
"""How names of those end who do something: winner, author, opened_by."""
_DOERS = frozenset(["", *words("person company recipient")])
_LEADS = words("by for at with")
_HAVING = words("has have had also already first")
_VERBS_OF = {
    stem(own): stems(said)
    for own, said in (
        ("price", "cost pay sell buy"),
        ("cost", "cost pay"),
        ("departure", "leave depart"),
        ("birth", "born"),
        ("year", "publish release"),
        ("duration", "take last"),
        ("employer", "work"),
        ("company", "work"),
    )
}
"""The verbs that fields are spoken of with, where their name holds none."""


def job(claim: Claim) -> bool:
    """'is the treasurer', 'works as a tailor': the only thing that somebody is said to be."""
    if claim.slot.role != "occupation" or claim.slot.specific or not claim.text:
        return False
    return len(_BEING.findall(claim.scene.text)) == 1 and bool(_BEING.search(claim.scene.text, 0, claim.start))


_BEING = re.compile(r"\b(?:is|am|was|as|became|i['\u2019]m)\s+(?:an?|the|our)\s+|是一?[名位]|担任", re.IGNORECASE)


def is_label(scene: Scene, mention: Mention) -> bool:
    """Whether a number is just figures that may name a thing: it counts and measures nothing."""
    after = scene.after(mention.end, 1)
    counts = bool(after) and after[0].isalpha() and after[0] not in STOP | MARKERS and not is_past(after[0])
    return mention.text.isdigit() and not mention.unit and not counts


def does(own: Iterable[str], scene: Scene, mention: Mention) -> bool:
    """Whether somebody does what a word of the field is named for: 'won by Ann' and 'Ann won' make a winner."""
    if _BYLINE & set(own) and scene.marker(mention.start) == "by" and not _done_by(scene, mention):
        return True
    after = [] if possesses(scene, mention.end) else scene.after(mention.end, 2)
    after = [word for word in after if word not in _AUXILIARY][:1]
    verbs = [stem(verb) for verb in (*_done_by(scene, mention), *after) if is_past(verb) or verb.endswith("s")]
    return any(verb == word or derived(verb, word) for verb in verbs for word in own)


_AUXILIARY = words("has have had also just")


def _done_by(scene: Scene, mention: Mention) -> list[str]:
    """The verb of 'painted by Ann', 'painted in May by Ann'."""
    before = scene.before(mention.start, 6)
    if "by" not in before[:2]:
        return []
    return [word for word in before[before.index("by") + 1 :] if is_past(word)][:1]


_BYLINE = stems("author artist composer painter photographer designer director editor creator")
"""Who is meant by a bare 'by', without a verb."""
