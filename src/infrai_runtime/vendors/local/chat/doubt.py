"""What speaks against a value that something ties to its field: a statement that claims nothing, a name cut in two,
an amount that belongs to something else. One such doubt is enough to have the value declared."""

from __future__ import annotations

import re
from collections.abc import Collection

from .candidate import TIED, Candidate, field_fits
from .said import akin, alike, beside
from .scene import MARKERS, Scene
from .sentence import sentences
from .slot import Slot
from .table import words
from .tie import side
from .word import STOP, has_cjk, is_past, name_words, stem


def doubtful(chosen: Candidate, slot: Slot, scene: Scene, taken: Collection[Candidate], command: bool) -> bool:
    """Whether ``chosen`` may be no fact about the field. What a ``command`` names is meant, unless it is denied.

    ``taken`` are the values of all fields: a name that stands in one of them is not of another subject.
    """
    if any(start <= chosen.start < end and fit >= TIED for _, fit, start, end in field_fits(slot, scene)):
        return False
    if (
        _is_no_code(chosen, slot)
        or _cut(chosen, slot, scene)
        or _of_another_label(chosen, scene)
        or side(slot, scene, chosen.start) < 0
    ):
        return True
    if (
        _of_two(chosen, slot, scene)
        or _of_another_measure(chosen, slot, scene, command)
        or _of_kin(chosen, slot, scene)
    ):
        return True
    if _of_two_names(chosen, slot, scene, taken) or (not command and _of_many(chosen, slot, scene, taken)):
        return True
    return _unclaimed(chosen, slot, scene, command)


def _is_no_code(chosen: Candidate, slot: Slot) -> bool:
    """Whether a field wants a number or a code, and a mere word is given."""
    wants = any(role.name in ("code", "phone", "zip") for role, _ in slot.roles[:1])
    return wants and not any(letter.isdigit() for letter in str(chosen.value)) and not str(chosen.value).isupper()


# -- statements that claim nothing

_OPEN = re.compile(
    r"\b(?:if|unless|whether|in case|maybe|perhaps|possibly|probably|presumably|apparently|allegedly|supposedly|likely"
    r"|either|might|could|would(?! like)|guess|think|believe|suppose|assume|assuming|wonder|wondering|hope|hopes|hoping"
    r"|wish|wishes|imagine|unsure|unknown|unclear|rumou?red|as if|as though)\b|(?-i:\bmay\s+[a-z])"
    r"|如果|要是|假如|假设|倘若|万一|除非|也许|可能|大概|或许|说不定|是否|是不是|不确定|不知道|希望|考虑|听说|好像",
    re.IGNORECASE,
)
"""What leaves a whole sentence open."""
_NOT = re.compile(
    r"\b(?:not|never|neither|nor|without|cannot|unlike|except|instead|rather than|than|hardly|nobody|none|no longer"
    r"|(?-i:[Nn]o(?=\s+[a-z]))|\w+n['\u2019]t)\b|(?<!(?:分|特|区|类|级|个))[不没未无](?![锈限])|否认|并非|而非|除了",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:used to|formerly|previously|former|earlier|originally|initially|ex-|back then|once|until recently)"
    r"|以前|原来|曾经?|之前|过去|本来",
    re.IGNORECASE,
)
"""What takes back or dates the clause that it stands in."""
_REQUEST = re.compile(r"\b(?:can|could) (?:you|we)\b|\bwould you (?:please|mind|kindly)\b", re.IGNORECASE)
_TURN = re.compile(r";|；|\b(?:but|however|though|although|whereas)\b|但是?|不过|然而|而是")
_COMMA = re.compile(r"[,，(（)）:：]\s|[，（）：]|\band (?=\w+ (?:is|are|was|were|has|had)\b)|\bwhile\b")


def _unclaimed(chosen: Candidate, slot: Slot, scene: Scene, command: bool) -> bool:
    """Whether a value stands in a question, a condition or a guess, or in a clause that denies or is of the past."""
    sentence, at = _around(scene, chosen.start)
    part = _piece(_TURN, sentence, at)
    if any(not _named(slot, found) for found in _OPEN.finditer(_REQUEST.sub("", part[0]))):
        return True
    if command:
        return _denied(chosen, scene)
    if _asks(sentence, at):
        return True
    clause = _piece(_COMMA, *part)[0]
    denials = () if slot.kind == "boolean" else _NOT.finditer(clause)
    return any(not _named(slot, found) for found in (*denials, *_PAST.finditer(clause)))


def _denied(chosen: Candidate, scene: Scene) -> bool:
    """Whether a denial stands right before a value: 'not Friday', 'instead of Ann'."""
    return any(_NOT.fullmatch(word) for word in scene.before(chosen.start, 2) if chosen.end > chosen.start)


def _named(slot: Slot, found: re.Match[str]) -> bool:
    """Whether the field itself asks for what is denied, past or open: 'previous_employer'."""
    return any(akin(stem(word), own) for word in found.group().lower().split() for own in slot.words)


def _around(scene: Scene, place: int) -> tuple[str, int]:
    """The sentence that holds a place, and the place in it."""
    for sentence in sentences(scene.text):
        if sentence.start <= place <= sentence.end:
            return sentence.text, place - sentence.start
    return scene.text, place


def _piece(cut: re.Pattern[str], text: str, at: int) -> tuple[str, int]:
    """The piece of a text between two cuts that holds a place, and the place in it."""
    start, end = 0, len(text)
    for found in cut.finditer(text):
        if found.end() <= at:
            start = found.end()
        elif found.start() >= at:
            end = found.start()
            break
    return text[start:end], at - start


_ASKED = re.compile(r"[?？]|[吗呢](?=[。，！\s]|$)")


def _asks(sentence: str, at: int) -> bool:
    """Whether a sentence asks; a polite request tells what is wanted."""
    return bool(_ASKED.search(sentence, at)) and not _REQUEST.search(sentence)


# -- values of something else

_RANGE_BEFORE = re.compile(
    r"(?:\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten))\S*\s*(?:-|–|to|or|至|到|或)\s*\Z"
)
_RANGE_AFTER = re.compile(r"\s*(?:-|–|to|or|至|到|或)\s*[$€£¥]?\d")
_BETWEEN = re.compile(r"\bbetween\s+(?:\S+\s+and\s+)?\S*\Z", re.IGNORECASE)
_DIFFERENCE = re.compile(
    r"\s*\S*\s*(?:\b(?:more|less|fewer|extra|off|cheaper|dearer|higher|lower|older|younger|longer|shorter|taller|faster|slower"
    r"|heavier|lighter|bigger|smaller|earlier|later|better|worse|ahead|behind|too (?:much|many|few)|short)\b"
    r"|以上|以下|左右折)"
)
_COMPARED = re.compile(r"比[^，。；！？\n]{1,16}[快慢多少高低早晚贵宜重轻长短大小]了?\Z")
_ENDS = frozenset(
    map(stem, words("min max minimum maximum from to start end least most lower upper low high range until"))
)


def _of_two(chosen: Candidate, slot: Slot, scene: Scene) -> bool:
    """Whether a number is one end of a range or only tells a difference: '300 to 400', '20 euros cheaper'."""
    if not isinstance(chosen.value, int | float) or isinstance(chosen.value, bool) or chosen.start == chosen.end:
        return False
    if _DIFFERENCE.match(scene.text, chosen.end) or _COMPARED.search(scene.text, 0, chosen.start):
        return True
    if scene.piece and _between_name_and(chosen, scene):
        return True
    ranged = _RANGE_AFTER.match(scene.text, chosen.end) or _BETWEEN.search(scene.text[: chosen.start])
    ranged = ranged or _RANGE_BEFORE.search(scene.text[: chosen.start])
    return bool(ranged) and not slot.words & _ENDS


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


def _of_another_measure(chosen: Candidate, slot: Slot, scene: Scene, command: bool) -> bool:
    """Whether a number is of another thing than the field: 'the deposit is 350 euros', '200 ml milk'."""
    mention = next((m for m in scene.mentions if m.start == chosen.start and m.end == chosen.end), None)
    if command or scene.piece or mention is None or isinstance(chosen.value, str):
        return False
    before = [stem(word) for word in scene.before(mention.start, 4) if word not in _LINKS]
    if mention.kind == "money" and (_SUMS & set(before)) and not slot.words & set(before):
        return True
    measured = _THING.match(scene.text, mention.end) if mention.unit and mention.kind == "number" else None
    thing = stem(measured[1]) if measured and measured[1] not in STOP | MARKERS | _SAID_OF_MEASURES else ""
    other = (
        bool(thing) and not is_past(measured[1]) and not any(akin(thing, own) for own in slot.words)
        if measured
        else False
    )
    return other and bool(slot.specific) and not slot.specific & set(before[:1])


_LINKS = frozenset(words(": = , is was are of about to at a an the"))
_THING = re.compile(r"\s*[^\s\d,.;]+\s+(?:of\s+)?([a-z]+)")
_SAID_OF_MEASURES = frozenset(words("long wide high tall deep thick old ago late away each per every daily twice once"))


def _between_name_and(chosen: Candidate, scene: Scene) -> bool:
    """Whether another bare amount stands before a number in an item of a list, so that it may be of a second item."""
    before = [m for m in scene.mentions if m.kind == "number" and "." in m.text and m.end <= chosen.start]
    return any(not m.unit for m in before)


def _of_many(chosen: Candidate, slot: Slot, scene: Scene, taken: Collection[Candidate]) -> bool:
    """Whether a field that asks for no more than a kind could as well take another value of that kind."""
    here = next((m for m in scene.mentions if m.start <= chosen.start < m.end and m.kind != "name"), None)
    if here is None or slot.specific or scene.piece or (here.kind == "number" and not here.unit):
        return False
    if slot.words & {stem(word) for word in (*scene.before(here.start, 2), *scene.after(here.end, 1))}:
        return False
    others = [m for m in scene.mentions if alike(m, here) and m.value != here.value]
    return any(not any(m.start < value.end and value.start < m.end for value in taken) for m in others)


_WHO = frozenset({"person", "company", "product", "title"})
_INTRODUCED = re.compile(
    r"(?:\b(?:i['\u2019]m|i am|name is|named|called|this is|mrs?|ms|dr|prof)\.?|[叫是为名])\s*[\"'“]?\Z", re.IGNORECASE
)


def _of_two_names(chosen: Candidate, slot: Slot, scene: Scene, taken: Collection[Candidate]) -> bool:
    """Whether a field that wants just a name could as well take another name of the text."""
    here = next((m for m in scene.mentions if m.kind == "name" and m.start <= chosen.start < m.end), None)
    if here is None or slot.owner or scene.piece or not any(role.name in _WHO for role, _ in slot.roles[:1]):
        return False
    if beside(slot.words, scene, here.start, here.end) or _INTRODUCED.search(scene.text, 0, chosen.start):
        return False
    others = [m for m in scene.mentions if m.kind == "name" and not m.text.isupper()]
    others = [m for m in others if m.text != here.text]
    return any(not any(m.start < value.end and value.start < m.end for value in taken) for m in others)


_KIN = re.compile(
    r"\b(?:my|your|his|her|their|our|[A-Z][a-z]+['\u2019]s)\s+(?:\w+\s)?(mother|father|mum|mom|dad|parents|sister|brother|son|daughter"
    r"|wife|husband|partner|uncle|aunt|cousin|grandma|grandpa|grandmother|grandfather|friend|colleague|boss|neighbou?r"
    r"|flatmate|roommate|teacher|manager|landlord)s?\b|([我你他她]?的?(?:妈妈|爸爸|母亲|父亲|姐姐|妹妹|哥哥|弟弟|丈夫|妻子|同事|朋友|邻居))",
    re.IGNORECASE,
)


def _of_kin(chosen: Candidate, slot: Slot, scene: Scene) -> bool:
    """Whether the clause speaks of somebody's relative or friend, and the field does not."""
    sentence, at = _around(scene, chosen.start)
    clause, at = _piece(_TURN, sentence, at)
    found = [match for match in _KIN.finditer(clause) if match.end() <= at]
    return any(not _about_kin(slot, match) for match in found[-1:])


def _about_kin(slot: Slot, found: re.Match[str]) -> bool:
    return any(akin(stem(word), own) for word in found.groups() if word for own in slot.words | slot.owner)


_WORD_BEFORE = re.compile(r"([A-Za-z\d&\u00c0-\u024f]+)[ \-]\Z")
_WORD_AFTER = re.compile(r"[ \-/]?((?:[A-Z]|\d)[A-Za-z\d\u00c0-\u024f]*)(?![\d:.,]*\d)(?:\s+([a-z]+|%))?")


_GLUED = re.compile(r"[-_/]?(?=[A-Za-z\d])")


def _cut(chosen: Candidate, slot: Slot, scene: Scene) -> bool:
    """Whether a string is only a part of a name: 'Kestrel' of 'Kestrel 5', '286' of 'BA 286'."""
    value = scene.text[chosen.start : chosen.end]
    if not isinstance(chosen.value, str) or not value or not value[-1].isalnum() or has_cjk(value):
        return False
    if _GLUED.match(scene.text, chosen.end) or (value[0].islower() and stem(value.split()[0]) in slot.words):
        return True
    after = _WORD_AFTER.match(scene.text, chosen.end)
    if after and (value[0].isupper() or value[0].isdigit()) and not _counts(after):
        return True
    if _in_compound(chosen, slot, scene):
        return True
    before = _WORD_BEFORE.search(scene.text, 0, chosen.start)
    return bool(before) and value[0].isdigit() and before[1].isupper() and stem(before[1]) not in slot.words


def _in_compound(chosen: Candidate, slot: Slot, scene: Scene) -> bool:
    """Whether a value only tells which thing is meant: 'Visa' in 'Visa card' is no number of a card."""
    after = [stem(word) for word in scene.after(chosen.end, 1)]
    return after != [stem(word) for word in name_words(slot.name)[-1:]] and bool(slot.specific & set(after))


def _counts(after: re.Match[str]) -> bool:
    """Whether a number after a name counts something: 'Asha 12 points'."""
    return after[1].isdigit() and bool(after[2]) and after[2].endswith(("s", "%"))


def _of_another_label(chosen: Candidate, scene: Scene) -> bool:
    """Whether a value is what another label names: '40 minutes' in 'Baking: 40 minutes'."""
    return not scene.piece and any(
        field.start <= chosen.start < field.end
        and not field.key & _OF_ALL
        and not scene.text[field.start : chosen.start].strip(_SIGNS)
        for field in scene.fields
    )


_SIGNS = " $€£¥￥\"'"
_OF_ALL = frozenset(map(stem, words("re fwd subject note info update ps hi hello")))
"""Labels of a whole text."""
