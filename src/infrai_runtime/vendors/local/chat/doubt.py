"""What speaks against a value that something ties to its field. One doubt is enough to have the value declared.

A value may be no fact (``statement.py``), a part of something longer, a value of another thing, or one of several
that the field could as well take. What stands behind the field's own label is beyond doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from .candidate import TIED, Candidate, field_fits
from .mention import Mention
from .said import akin, alike, beside
from .scene import MARKERS, Scene
from .slot import Slot
from .statement import turn, unclaimed
from .table import words
from .tie import side
from .word import STOP, has_cjk, is_past, name_words, stem


@dataclass(frozen=True)
class Claim:
    """A value chosen for a slot. ``taken`` are the values of all slots that something ties to them, so that what
    stands in one of them is spoken for; in a ``command`` names and numbers are meant for the call."""

    chosen: Candidate
    slot: Slot
    scene: Scene
    taken: Collection[Candidate]
    command: bool

    @property
    def start(self) -> int:
        return self.chosen.start

    @property
    def end(self) -> int:
        return self.chosen.end

    @cached_property
    def text(self) -> str:
        """The value as it is written; empty where it is concluded from the whole text."""
        return self.scene.text[self.start : self.end]

    @cached_property
    def mention(self) -> Mention | None:
        return next((m for m in self.scene.mentions if m.start <= self.start < m.end), None)

    @property
    def is_number(self) -> bool:
        return isinstance(self.chosen.value, int | float) and not isinstance(self.chosen.value, bool)

    def asks_for(self, *roles: str) -> bool:
        """Whether the field is first of all one of these."""
        return any(role.name in roles for role, _ in self.slot.roles[:1])

    def left(self, others: Iterable[Mention]) -> bool:
        """Whether one of these mentions belongs to no field."""
        return any(not any(m.start < one.end and one.start < m.end for one in self.taken) for m in others)


def doubtful(claim: Claim) -> bool:
    """Whether a value may be no fact about its field."""
    return not _labelled(claim) and any(doubt(claim) for doubt in _DOUBTS)


def _labelled(claim: Claim) -> bool:
    """Whether a value stands behind the field's own label: a number right behind it, as 'seniors 4' is of seniors."""
    fits = field_fits(claim.slot, claim.scene)
    places = [start for _, fit, start, end in fits if start <= claim.start < end and fit >= TIED]
    return any(not (claim.is_number and _NOUN.search(claim.scene.text, start, claim.start)) for start in places)


_NOUN = re.compile(r"[a-z]{4}|[\u3400-\u9fff]{2}")


def _unclaimed(claim: Claim) -> bool:
    return unclaimed(claim.chosen, claim.slot, claim.scene, claim.command)


def _on_the_other_side(claim: Claim) -> bool:
    """'to' before a value that a field of the source would take."""
    return side(claim.slot, claim.scene, claim.start) < 0


# -- a part of something longer

_GLUED = re.compile(r"[-_/]?(?=[A-Za-z\d])")
_WORD_BEFORE = re.compile(r"([A-Za-z\d&\u00c0-\u024f]+)[ \-]\Z")
_WORD_AFTER = re.compile(r"[ \-/]?((?:[A-Z]|\d)[A-Za-z\d\u00c0-\u024f]*)(?![\d:.,]*\d)(?:\s+([a-z]+|%))?")


def _cut(claim: Claim) -> bool:
    """A part of a name: 'Kestrel' of 'Kestrel 5', '286' of 'BA 286', '5.0.2' of '5.0.2-rc1'."""
    text, where = claim.text, claim.scene.text
    if not isinstance(claim.chosen.value, str) or not text[-1:].isalnum() or has_cjk(text):
        return False
    after = _WORD_AFTER.match(where, claim.end)
    if _GLUED.match(where, claim.end) or (after and not text[0].islower() and not _counts(after)):
        return True
    before = _WORD_BEFORE.search(where, 0, claim.start)
    code = before[1] if before and text[0].isdigit() else ""
    return code.isupper() and stem(code) not in claim.slot.words


def _counts(after: re.Match[str]) -> bool:
    """Whether a number after a name counts something: 'Asha 12 points'."""
    return after[1].isdigit() and bool(after[2]) and after[2].endswith(("s", "%"))


def _in_compound(claim: Claim) -> bool:
    """What tells which thing is meant, or opens with the thing itself: 'Visa' in 'Visa card' is no number of a card."""
    if not isinstance(claim.chosen.value, str) or not claim.text or has_cjk(claim.text):
        return False
    if claim.text[0].islower() and stem(claim.text.split()[0]) in claim.slot.words:
        return True
    after = [stem(word) for word in claim.scene.after(claim.end, 1)]
    return after != [stem(word) for word in name_words(claim.slot.name)[-1:]] and bool(claim.slot.specific & {*after})


_MOMENT = frozenset({"day", "date", "time"})


def _part_of_moment(claim: Claim) -> bool:
    """A day where the text adds an hour that no other field takes: 'Friday 8 pm'."""
    if claim.asks_for("date") or not isinstance(claim.chosen.value, str):
        return False
    moments = (m for m in claim.scene.mentions if m.kind in _MOMENT)
    near = [m for m in moments if m.start <= claim.end + 1 and claim.start <= m.end + 1]
    return len(near) > 1 and claim.left(near)


def _no_code(claim: Claim) -> bool:
    """A mere word where a number or a code is wanted."""
    value = str(claim.chosen.value)
    return claim.asks_for("code", "phone", "zip") and not any(map(str.isdigit, value)) and not value.isupper()


# -- a value of another thing


def _of_another_label(claim: Claim) -> bool:
    """What another label names: '40 minutes' in 'Baking: 40 minutes'."""
    return not claim.scene.piece and any(
        field.start <= claim.start < field.end
        and not field.key & _OF_ALL
        and not claim.scene.text[field.start : claim.start].strip(" $€£¥￥\"'")
        for field in claim.scene.fields
    )


def _behind_a_noun(claim: Claim) -> bool:
    """One of the amounts behind the field's label: 4 of 'Fee: seniors 4, pupils 2'."""
    return claim.is_number and any(
        field.start <= claim.start < field.end
        and bool(claim.slot.words & field.key)
        and bool(_NOUN.search(claim.scene.text, field.start, claim.start))
        for field in claim.scene.fields
    )


_OF_ALL = frozenset(map(stem, words("re fwd subject note info update ps hi hello")))
"""Labels of a whole text."""
_KIN = re.compile(
    r"\b(?:my|your|his|her|their|our|[A-Z][a-z]+['\u2019]s)\s+(?:\w+\s)?(mother|father|mum|mom|dad|parents|sister"
    r"|brother|son|daughter|wife|husband|partner|uncle|aunt|cousin|grandma|grandpa|grandmother|grandfather|friend"
    r"|colleague|boss|neighbou?r|flatmate|roommate|teacher|manager|landlord)s?\b"
    r"|([我你他她]?的?(?:妈妈|爸爸|母亲|父亲|姐姐|妹妹|哥哥|弟弟|丈夫|妻子|同事|朋友|邻居))",
    re.IGNORECASE,
)


def _of_kin(claim: Claim) -> bool:
    """What is said of somebody's relative or friend, where the field does not ask for such."""
    part, place = turn(claim.scene, claim.start)
    own = claim.slot.words | claim.slot.owner
    found = [match for match in _KIN.finditer(part) if match.end() <= place]
    return any(not any(akin(stem(word), one) for word in match.groups() if word for one in own) for match in found[-1:])


_DIFFERENCE = re.compile(
    r"\s*\S*\s*(?:\b(?:more|less|fewer|extra|off|cheaper|dearer|higher|lower|older|younger|longer|shorter|taller"
    r"|faster|slower|heavier|lighter|bigger|smaller|earlier|later|better|worse|ahead|behind|short"
    r"|too (?:much|many|few))\b|以上|以下|左右折)"
)
_COMPARED = re.compile(r"比[^，。；！？\n]{1,16}[快慢多少高低早晚贵宜重轻长短大小]了?\Z")


def _difference(claim: Claim) -> bool:
    """What something is more or less than something else: '20 euros cheaper'."""
    where = claim.scene.text
    return claim.is_number and bool(_DIFFERENCE.match(where, claim.end) or _COMPARED.search(where, 0, claim.start))


_SUMS = frozenset(
    map(
        stem,
        words(
            """
    rent wage salary bonus fine refund deposit fee tax vat tip discount budget shipping delivery revenue profit debt
    loan grant donation balance total subtotal price cost income payment credit toll fare tuition
    押金 租金 工资 税 费 折扣 定金 奖金
    """
        ),
    )
)


def _another_sum(claim: Claim) -> bool:
    """A sum that the text names otherwise: 350 of 'the deposit is 350 euros' for a price."""
    if _is_free(claim) or not claim.mention or claim.mention.kind != "money":
        return False
    before = _words_before(claim)
    return bool(_SUMS & before) and not claim.slot.words & before


def _measure_of_another(claim: Claim) -> bool:
    """A measure of a thing that the field is not named for: '200 ml milk' for an amount of cream."""
    if _is_free(claim) or not claim.slot.specific or not claim.mention or not claim.mention.unit:
        return False
    found = _THING.match(claim.scene.text, claim.mention.end) if claim.mention.kind == "number" else None
    if not found or found[1] in STOP | MARKERS | _SAID_OF_MEASURES or is_past(found[1]):
        return False
    named = any(akin(stem(found[1]), own) for own in claim.slot.words)
    return not named and not claim.slot.specific & _words_before(claim, 1)


def _is_free(claim: Claim) -> bool:
    """Whether a number needs no word: in a command, in an item of a list."""
    return claim.command or claim.scene.piece or not claim.is_number


def _words_before(claim: Claim, count: int = 4) -> set[str]:
    return {stem(word) for word in [w for w in claim.scene.before(claim.start, 4) if w not in _LINKS][:count]}


_LINKS = frozenset(words(": = , is was are of about to at a an the"))
_THING = re.compile(r"\s*[^\s\d,.;]+\s+(?:of\s+)?([a-z]+)")
_SAID_OF_MEASURES = frozenset(words("long wide high tall deep thick old ago late away each per every daily twice once"))


# -- one of several

_END = re.compile(r"\s*(?:-|–|to|or|至|到|或)\s*[$€£¥]?\d")
_START = re.compile(
    r"(?:\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten))\S*\s*(?:-|–|to|or|(?:out )?of|至|到|或)\s*\Z"
    r"|\bbetween\s+(?:\S+\s+and\s+)?\S*\Z",
    re.IGNORECASE,
)
_ENDS = frozenset(
    map(stem, words("min max minimum maximum from to start end least most lower upper low high range until"))
)


def _of_a_range(claim: Claim) -> bool:
    """One end of a range, or the whole of 'three of five'."""
    if not claim.is_number or not claim.text or claim.slot.words & _ENDS:
        return False
    return bool(_END.match(claim.scene.text, claim.end) or _START.search(claim.scene.text, 0, claim.start))


def _of_two_amounts(claim: Claim) -> bool:
    """A number of an item of a list behind another bare amount, so that it may be of a second item."""
    amounts = (m for m in claim.scene.mentions if m.kind == "number" and "." in m.text and m.end <= claim.start)
    return claim.is_number and claim.scene.piece and any(not m.unit for m in amounts)


def _of_many(claim: Claim) -> bool:
    """One of several values of a kind, for a field that asks for no more than the kind."""
    here, slot = claim.mention, claim.slot
    if claim.command or claim.scene.piece or slot.specific or not here or here.kind == "name":
        return False
    beside = {stem(word) for word in (*claim.scene.before(here.start, 2), *claim.scene.after(here.end, 1))}
    if (here.kind == "number" and not here.unit) or slot.words & beside:
        return False
    return claim.left(m for m in claim.scene.mentions if alike(m, here) and m.value != here.value)


_INTRODUCED = re.compile(
    r"(?:\b(?:i['\u2019]m|i am|name is|named|called|this is|mrs?|ms|dr|prof)\.?|[叫是为名])\s*[\"'“]?\Z", re.IGNORECASE
)


def _of_two_names(claim: Claim) -> bool:
    """A name where another name of the text could be meant as well."""
    here, slot = claim.mention, claim.slot
    if not here or here.kind != "name" or slot.owner or claim.scene.piece:
        return False
    if not claim.asks_for("person", "company", "product", "title"):
        return False
    if beside(slot.words, claim.scene, here.start, here.end) or _INTRODUCED.search(claim.scene.text, 0, claim.start):
        return False
    names = (m for m in claim.scene.mentions if m.kind == "name" and not m.text.isupper())
    return claim.left(m for m in names if m.text != here.text)


_DOUBTS: tuple[Callable[[Claim], bool], ...] = (
    _no_code,
    _cut,
    _in_compound,
    _on_the_other_side,
    _of_another_label,
    _behind_a_noun,
    _difference,
    _of_a_range,
    _of_two_amounts,
    _another_sum,
    _measure_of_another,
    _of_kin,
    _part_of_moment,
    _of_two_names,
    _of_many,
    _unclaimed,
)
