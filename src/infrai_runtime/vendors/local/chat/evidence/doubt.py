"""What no evidence outweighs.

A statement that is not claimed at all: a question, a condition, a guess, a denial, what is over. And a value that is a
part of something longer, of another thing or another kind, a difference, an end of a range.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

from ..concept import akin
from ..measure import is_either_half, unit_of
from ..mention import MOMENT, Mention
from ..offer import Offer, labels, own_unit, side
from ..scene import Scene
from ..slot import Slot
from ..word import STOP, has_cjk, name_words, stem, stems, words
from .claim import LEAD, PROPER, Claim
from .named import is_label
from .which import asked_about, of_the_other, one_of_records, refused, ruled_out

_OPEN = re.compile(
    r"\b(?:if|unless|whether|in case|maybe|perhaps|possibly|probably|presumably|apparently|allegedly|supposedly|likely"
    r"|either|might|could|would(?! like)|guess|think|believe|suppose|assume|assuming|wonder|wondering"
    r"|hope|hopes|hoped|hoping|doubt|doubts|unlikely|not sure|uncertain|denies|deny"
    r"|wish|wishes|imagine|unsure|unknown|unclear|rumou?red|as if|as though)\b|(?-i:\bmay\s+[a-z])"
    r"|如果|要是|假如|假设|倘若|万一|除非|也许|可能|大概|或许|说不定|是否|是不是|不确定|不知道|希望|考虑|听说|好像|的话",
    re.IGNORECASE,
)
"""What leaves a whole sentence open."""
_NOT = re.compile(
    r"\b(?:not|never|neither|nor|without|cannot|unlike|except|instead|rather than|than|hardly|nobody|none|no longer"
    r"|moved (?:off|away from)|(?-i:[Nn]o(?=\s+[a-z]))|\w+n['\u2019]t)\b"
    r"|(?<!(?:分|特|区|类|级|个))[不没未无](?![锈限])|别[用要买去选再给]|否认|并非|而非|除了",
    re.IGNORECASE,
)
"""What denies the clause that it stands in."""
_BYGONE = re.compile(
    r"\b(?:(?<!like )(?<!as )(?:last|previous|the other) time|used to|formerly|previously|former|earlier|originally"
    r"|initially|ex-|back then|once|until recently)"
    r"|上[次回]|以前|原来|曾经?|之前|过去|本来",
    re.IGNORECASE,
)
"""What moves the clause that it stands in into the past."""
_ENDED = re.compile(
    r"\b(?:cancell?ed|cancell?ation|called off|postponed|withdrawn|revoked|resigned|retired|quit|stepped down|fired"
    r"|dismissed|rejected|refused|declined|turned down"
    r"|waived|reversed|lifted|replaced|washed away|destroyed|demolished|torn down|burn(?:ed|t) down"
    r"|(?:has|have|had|who) left|left the|died|void|obsolete|outdated|fell through)\b"
    r"|取消|推迟|延期|作废|离职|辞职|退休|卸任|辞去|原定|停办|去世",
    re.IGNORECASE,
)
"""What ends the thing that it is said of."""
_REQUEST = re.compile(r"\b(?:can|could) (?:you|we)\b|\bwould you (?:please|mind|kindly)\b", re.IGNORECASE)
_TURN = re.compile(r";|；|\b(?:but|however|though|although|whereas)\b|但是?|不过|然而|而是")
_COMMA = re.compile(r"[,，(（)）:：]\s|[，（）：]|\band (?=\w+ (?:is|are|was|were|has|had)\b)|\bwhile\b")
_ASKED = re.compile(r"[?？]|[吗呢](?=[。，！\s]|$)")


def unclaimed(claim: Claim) -> bool:
    """Whether what is said of a value is no fact. In a command only a condition or a denial counts."""
    chosen, slot, scene = claim.chosen, claim.slot, claim.scene
    sentence, at = around(scene, chosen.start)
    part, place = piece(_TURN, sentence, at)
    if _meant(_OPEN, _REQUEST.sub("", part), slot):
        return True
    clause, _ = piece(_COMMA, part, place)
    asked = _ASKED.search(sentence, at) and not _REQUEST.search(sentence)
    if claim.command:
        return _denied(chosen, scene) or (bool(asked) and slot.kind == "boolean") or _meant(_BYGONE, clause, slot)
    if asked:
        return True
    if _meant(_ENDED, part, slot):
        return True
    return (slot.kind != "boolean" and _meant(_NOT, clause, slot)) or _meant(_BYGONE, clause, slot)


def _meant(words: re.Pattern[str], text: str, slot: Slot) -> bool:
    """Whether one of the words stands in a text, and the field does not ask for just that: 'previous_employer'."""
    return any(
        not any(akin(stem(word), own) for word in found.group().lower().split() for own in slot.words)
        for found in words.finditer(text)
    )


def _denied(chosen: Offer, scene: Scene) -> bool:
    """Whether a denial stands right before a value: 'not Friday', 'instead of Ann'."""
    return chosen.end > chosen.start and any(_NOT.fullmatch(word) for word in scene.before(chosen.start, 2))


def turn(scene: Scene, place: int) -> tuple[str, int]:
    """The part of a sentence that holds a place, up to the next 'but', and the place in it."""
    return piece(_TURN, *around(scene, place))


def around(scene: Scene, place: int) -> tuple[str, int]:
    """The sentence that holds a place, and the place in it."""
    for sentence in scene.sentences:
        if sentence.start <= place <= sentence.end:
            return sentence.text, place - sentence.start
    return scene.text, place


def piece(cut: re.Pattern[str], text: str, at: int) -> tuple[str, int]:
    """The piece of a text between two cuts that holds a place, and the place in it."""
    cuts = [*cut.finditer(text)]
    start = max((found.end() for found in cuts if found.end() <= at), default=0)
    end = min((found.start() for found in cuts if found.start() >= at), default=len(text))
    return text[start:end], at - start


_GLUED = re.compile(r"[-_/]?(?=[A-Za-z\d])|[+#*°]|(?<=\b[DMP]r)\.|(?<=\bM[rs])\.|(?<=\bMrs)\.|(?<=\bProf)\.")
_DECIMALS, _DECIMALS_OF = (
    re.compile(r"(?<=\d)[.,]\d|\s*(?:[\u3400-\u9fff]{1,2}半|and a half|½)"),
    re.compile(r"\d[.,]\Z"),
)
_WORD_AFTER = re.compile(r"[ \-/]?((?:[A-Z]|\d)[A-Za-z\d\u00c0-\u024f]*)(?![\d:.,]*\d)(?:\s+([a-z]+|%))?")


def cut(claim: Claim) -> bool:
    """A part of a name or of a number: 'Kestrel' of 'Kestrel 5', '5.0.2' of '5.0.2-rc1', 3 of 3,29."""
    text, where = claim.text, claim.scene.text
    if claim.is_number and (_DECIMALS.match(where, claim.end) or _DECIMALS_OF.search(where, 0, claim.start)):
        return True
    if not isinstance(claim.chosen.value, str) or not text[-1:].isalnum() or has_cjk(text):
        return False
    if claim.mention and claim.mention.kind in MOMENT | {"colour"}:
        return bool(_GLUED.match(where, claim.end))
    after = _WORD_AFTER.match(where, claim.end)
    return bool(_GLUED.match(where, claim.end)) or (after is not None and not text[0].islower())


def no_code(claim: Claim) -> bool:
    """A mere word, a date, a sum or a count where a number or a code is wanted, and a code where that is one of a
    telephone."""
    value, kind = str(claim.chosen.value), claim.mention.kind if claim.mention else ""
    if claim.slot.role == "phone" and _CODED.search(claim.scene.text, 0, claim.start):
        return True
    if claim.slot.role not in ("code", "phone", "zip"):
        return False
    counts = claim.mention and len(claim.text) < 3 and not is_label(claim.scene, claim.mention)
    if kind == "number" and claim.slot.kind == "string" and counts:
        return True
    return (
        kind in _NO_CODES or bool(_DATED.fullmatch(value)) or (not any(map(str.isdigit, value)) and not value.isupper())
    )


_DATED = re.compile(r"\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{4}[-./]\d{1,2}[-./]\d{1,2}")
_NO_CODES = words("date day time datetime money percent")
_CODED = re.compile(
    r"(?:#|\b(?:order|ref|reference|invoice|ticket|case|customer|booking)(?: (?:no|nr|number)\.?)?:?) ?#?\Z", re.I
)


def either_way(claim: Claim) -> bool:
    """A date that another country reads as another day, '02/06/2025', a time without its half of the day."""
    if claim.slot.schema.get("format") == "time" and is_either_half(claim.text):
        return True
    read = _SLASHED.fullmatch(claim.mention.text) if claim.mention else None
    if read is None or claim.chosen.value == read[0]:
        return False
    return read[1] != read[2] and int(read[1]) <= 12 and int(read[2]) <= 12


_SLASHED = re.compile(r"0?(\d{1,2})[/.]0?(\d{1,2})[/.]\d{2,4}")


def on_the_other_side(claim: Claim) -> bool:
    """A place behind 'to' for one to come from, and the other way round."""
    return claim.slot.kind == "string" and claim.slot.role in PROPER and side(claim.slot, claim.marker) < 0


def untold(claim: Claim) -> bool:
    """A value in a statement of which the text does not say what the field's description tells of it."""
    if claim.command or claim.scene.piece or claim.is_labelled:
        return False
    sentence, at = around(claim.scene, claim.start)
    first = claim.start - at
    label = next((field.at for field in claim.scene.fields if field.holds(claim.start)), first)
    said = claim.scene.said(min(first, label), first + len(sentence))
    return not all(any(akin(word, own) for word in said) for own in claim.slot.told)


def calculated(claim: Claim) -> bool:
    """A value in another unit than the text gives it, unless one is a whole number of the other: 71 °F in kelvin."""
    here, source = claim.mention, unit_of(claim.mention.unit) if claim.mention else None
    own = own_unit(claim.slot, source) if source else None
    if not claim.is_number or not here or here.kind != "number" or not source or not own or own == source:
        return False
    ratio = own.factor / source.factor
    return own.offset != source.offset or 1 not in (ratio.numerator, ratio.denominator)


def of_one_of_several(claim: Claim) -> bool:
    """A value of a talk or of a list of records: two labels of the text stand in it several times."""
    if claim.scene.piece or claim.is_labelled:
        return False
    found = Counter(field.label for field in claim.scene.fields)
    return sum(count > 1 for count in found.values()) > 1


def no_term(claim: Claim) -> bool:
    """A clause where a name or a term is wanted: 'the clerk will fill in' for a zone, 'the usual' for a period."""
    typed = claim.mention and claim.mention.kind not in ("name", "quoted")
    if typed or not claim.slot.is_free or not claim.text or claim.slot.role in _LONG:
        return False
    said = [word for word in _WORD.findall(claim.text) if word[0].islower() or claim.text.isupper()]
    return claim.text != claim.text.split()[0] and any(word.lower() in _OF_CLAUSES for word in said)


_WORD = re.compile(r"[^\W\d_]+")
_OF_CLAUSES = STOP - words("of and or in on at with up down over under")
"""Words that hold sentences together, and no names."""
_SENTENCE = re.compile(r"(?<!\b[A-Z])[.!?]\s+[A-Z]|[。！？].")
_LONG = words("message heading reason query title")


def of_no_kind(claim: Claim) -> bool:
    """A value without what the field asks for: no moment for a time, no figure for a telephone, 'to be announced'."""
    if not isinstance(claim.chosen.value, str) or not claim.text:
        return False
    kinds = claim.slot.kinds
    inside = {m.kind for m in claim.scene.mentions if m.start < claim.end and claim.start < m.end}
    said = claim.slot.role in _SAID and " " in claim.text
    none = (not said and _NOTHING.match(claim.text)) or _BRACKETED.match(claim.text)
    return bool(none) or (bool(kinds) and kinds <= _TYPED and not kinds & inside)


_BRACKETED = re.compile(r"[(\[<{（【]")
_TYPED = words("email url ip version phone date datetime day time street zip money currency number")
_NOTHING = re.compile(
    r"\W*(?:(?:n/?a|none|null|nil|nobody|nothing|unknown|vacant|tb[dac]|open|pending|redacted|withheld|masked|hidden"
    r"|confidential|to be|not|no [a-z]+|same|see)\b|(?:待\w?|无|未\w|暂\w?|不详|同上|没有)\W*$)",
    re.IGNORECASE,
)
"""How a place begins that is left open."""
_SAID = words("message query")
"""What somebody says may begin like that: 'See you tomorrow'."""


def runs_on(claim: Claim) -> bool:
    """A value with a comma that is no line of its own, so that it may go on with something else."""
    typed = claim.mention and claim.mention.end == claim.end
    if isinstance(claim.chosen.value, str) and _SENTENCE.search(claim.text) and claim.slot.role not in _LONG:
        return True
    if not isinstance(claim.chosen.value, str) or "," not in claim.text or typed:
        return False
    line = claim.scene.text[: claim.start].rpartition("\n")[2].strip(" -*\"'")
    here = (field for field in claim.scene.fields if field.holds(claim.start))
    return claim.slot.role in PROPER or not any(line.startswith(field.label) for field in here)


_DIFFERENCE = re.compile(
    r"\s*\S*\s*(?:\b(?:more|less|fewer|extra|off|cheaper|dearer|higher|lower|older|younger|longer|shorter|taller"
    r"|faster|slower|heavier|lighter|bigger|smaller|earlier|later|better|worse|ahead|behind|short"
    r"|too (?:much|many|few))\b|以上|以下|左右折)|[余多几]"
)
_COMPARED = re.compile(r"比[^，。；！？\n]{1,16}[快慢多少高低早晚贵宜重轻长短大小]了?\Z")
_END = re.compile(r"\s*(?:-|–|to|or|至|到|或)\s*[$€£¥]?\d")
_START = re.compile(
    r"(?:\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten))\S*\s*(?:-|–|to|or|(?:out )?of|至|到|或)\s*\Z"
    r"|\bbetween\s+(?:\S+\s+and\s+)?\S*\Z"
    r"|\b(?:up to|at least|at most|more than|less than|over|under|nearly|almost)\s*\S?\Z"
    r"|\b(?:max\.|maximum(?: of)?|min\.|minimum(?: of)?)\s*\S?\Z",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"\s*\S*\s*(?:\b(?:tops|max|maximum|at most|at least|or (?:so|less|more|fewer|under|over))\b|[以之]内)"
)
_ENDS = stems("min max minimum maximum from to start end least most lower upper low high range until")


_NOUN = re.compile(r"\s*[A-Za-z]{4,}")


def of_another_kind(claim: Claim) -> bool:
    """A bare number where an amount of money is asked for beside such, or one that counts a thing, for a measure."""
    here = claim.mention
    if not claim.is_number or not here or here.kind != "number" or here.unit:
        return False
    if any(unit_of(word) for word in name_words(claim.slot.name)[1:]) and _NOUN.match(claim.scene.text, claim.end):
        return True
    return claim.slot.units == {"money"} and any(m.kind == "money" for m in claim.scene.mentions)


def one_of_like(claim: Claim) -> bool:
    """One of two like numbers or moments of a sentence of which no other field takes the other: 'A holds 90, B 40'."""
    sentence, place = around(claim.scene, claim.start)
    first = claim.start - place
    return not claim.command and _has_rival(claim, claim.kin, first, first + len(sentence))


def one_of_request(claim: Claim) -> bool:
    """The same in a request, which may take back what it said first: '40 minutes. Actually it is small, so 30.'"""
    bare = [m for m in claim.scene.mentions if claim.is_number and is_label(claim.scene, m) and m.text != claim.text]
    return claim.command and _has_rival(claim, (*claim.kin, *bare), 0, len(claim.scene.text))


def _has_rival(claim: Claim, like: Iterable[Mention], first: int, last: int) -> bool:
    """Whether one of like numbers or moments stands in a stretch, and no other field takes it."""
    number = claim.is_number
    if claim.scene.piece or not (number or (claim.mention and claim.mention.kind in MOMENT)):
        return False
    fields = ((to, one) for to, one in claim.others if to.path != claim.slot.path)
    taken = [one for to, one in fields if number or to.role in MOMENT | {"start", "end"}]
    beside = (m for m in like if first <= m.start < last)
    return any(not any(m.start < one.end and one.start < m.end for one in taken) for m in beside)


def relative(claim: Claim) -> bool:
    """What something is more or less than something else, one end of a range, the whole of 'three of five'."""
    where = claim.scene.text
    if not claim.is_number:
        return False
    if _DIFFERENCE.match(where, claim.end) or _COMPARED.search(where, 0, claim.start):
        return True
    ends = claim.text and not claim.slot.words & _ENDS
    behind = _END.match(where, claim.end) or _BOUND.match(where, claim.end)
    return bool(ends) and bool(behind or _START.search(where, 0, claim.start))


def of_a_subject(claim: Claim) -> bool:
    """In a request, what something else is said to be: seven of "they'll be seven", 5:40 of 'the train is at 5:40'."""
    measured = claim.is_number or (claim.mention and claim.mention.kind in MOMENT)
    found = _SAID_TO_BE.search(claim.scene.text, 0, claim.start) if claim.command and measured else None
    return found is not None and not any(akin(stem(found[1].lower()), own) for own in (*claim.slot.own, *_ASKING))


_SAID_TO_BE = re.compile(
    r"([a-z]+)(?:['\u2019]ll)?\s+(?:is|are|was|were|be)\s+(?:(?:at|on|in|from)\s+)?\Z", re.IGNORECASE
)
_ASKING = stems("what much many when where which it")


def of_another_label(claim: Claim) -> bool:
    """What another label names: '40 minutes' in 'Baking: 40 minutes'."""
    if claim.scene.piece or not claim.text:
        return False
    others = (field for field in claim.scene.fields if field not in labels(claim.slot, claim.scene))
    return any(one.holds(claim.start) and LEAD.fullmatch(claim.scene.text[one.start : claim.start]) for one in others)


_KIN = re.compile(
    r"\b(?:my|your|his|her|their|our|[A-Z][a-z]+['\u2019]s)\s+(?:\w+\s)?(mother|father|mum|mom|dad|parents|sister"
    r"|brother|son|daughter|wife|husband|partner|uncle|aunt|cousin|grandma|grandpa|grandmother|grandfather|friend"
    r"|colleague|boss|neighbou?r|flatmate|roommate|teacher|manager|landlord|predecessor|referee|guarantor)s?\b"
    r"|(?:^|[.,;]\s)(mother|father|mum|mom|dad|parents|sister|brother|wife|husband|daughter|son)\b"
    r"|([我你他她][妈爸姐妹哥弟]|[我你他她]?的?(?:妈妈|爸爸|母亲|父亲|姐姐|妹妹|哥哥|弟弟|丈夫|妻子|同事|朋友|邻居|推荐人|介绍人|担保人|证明人)|[前上]一?任)",
    re.IGNORECASE,
)


def of_kin(claim: Claim) -> bool:
    """What is said of somebody's relative or friend, where the field does not ask for such."""
    part, place = turn(claim.scene, claim.start)
    own = claim.slot.words | claim.slot.owner
    found = [match for match in _KIN.finditer(part) if match.end() <= place]
    return any(not any(akin(stem(word), one) for word in match.groups() if word for one in own) for match in found[-1:])


DOUBTS: tuple[Callable[[Claim], bool], ...] = (
    *(no_code, either_way, of_no_kind, on_the_other_side, cut, runs_on, no_term, untold, calculated),
    *(of_one_of_several, one_of_like, one_of_request, of_another_kind, relative, of_a_subject),
    *(of_another_label, of_kin, refused, asked_about, one_of_records, of_the_other, ruled_out, unclaimed),
)
"""Each of them is enough to doubt a value that evidence speaks for."""


def of_no_named_kind(claim: Claim) -> bool:
    """A value without the kind that the field's own name asks for; a description may tell of several."""
    return bool(claim.slot.roles) and claim.slot.roles[0][1] >= 1 and of_no_kind(claim)


MISREAD = (
    *(no_code, of_no_named_kind, on_the_other_side, cut, runs_on),
    *(no_term, one_of_request, refused, asked_about, ruled_out),
)
"""Those that show that a value is not even the one that the text gives."""
DENIED = (unclaimed, relative, of_kin)
"""Those that outweigh weak evidence."""
