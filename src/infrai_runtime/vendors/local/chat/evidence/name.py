"""Evidence for names: who is introduced, what a preposition leads to, what a text or an item of a list opens with."""

from __future__ import annotations

import re

from ..mention import MOMENT, Mention
from ..offer import NAMING, side
from ..slot import INTRODUCES
from ..word import has_cjk, is_past, stem, stems, words
from .claim import PROPER, Claim, possesses


def person(claim: Claim) -> bool:
    """Who is introduced, or the only name of a text that opens it as a subject, for a field that wants just a name."""
    if claim.slot.role != "person" or claim.slot.owner or possesses(claim.scene, claim.end):
        return False
    others = [m for m in claim.names if m.text != claim.text and not _is_place(claim, m)]
    titled = not claim.command and not others and claim.scene.before(claim.start, 1) in _TITLES
    if titled or _INTRODUCED.search(claim.scene.text, 0, claim.start):
        return True
    if others and not claim.scene.piece:
        return False
    opens = claim.start == next((m.start for m in claim.names), -1)
    return opens and not claim.scene.before(claim.start, 1) and _is_subject(claim)


_INTRODUCED = re.compile(
    r"(?:\b(?:i['\u2019]m|i am|(?:my|his|her|the|full) name is|(?:in|under) the name of|(?:named|called) "
    r"|this is)"
    r"|我叫|我是|名叫|名字[叫是]|姓名[是为])\s*\Z",
    re.IGNORECASE,
)


_TITLES = (["mr"], ["mrs"], ["ms"])


def _is_place(claim: Claim, mention: Mention) -> bool:
    return claim.scene.marker(mention.start) in ("in", "at", "from", "to", "near", "for", "of")


def _is_subject(claim: Claim) -> bool:
    """Whether what follows a name is said of it."""
    if has_cjk(claim.text):
        return bool(CJK_PERSON.fullmatch(claim.text) and _CJK_SAID.match(claim.scene.text, claim.end))
    after = claim.scene.after(claim.end, 1)
    return bool(after) and (after[0] in _SAID or is_past(after[0]) or (len(after[0]) > 3 and after[0].endswith("s")))


_SAID = words("is was has had will came , ( enjoys")
_CJK_SAID = re.compile(r"今年|\d|住|在|是|来自|，|,|说|毕业|有")
_SURNAME = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦"
    "付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞"
)
CJK_PERSON = re.compile(rf"[{_SURNAME}][\u3400-\u9fff]{{1,2}}")


def led_to(claim: Claim) -> bool:
    """'from Vienna to Prague', 'lives in Minsk', 'until 9 May': behind the field's preposition, and no like one is."""
    here = claim.mention
    if not here or here.kind not in MOMENT | {"name", "language"}:
        return False
    if possesses(claim.scene, claim.end) and not has_cjk(claim.text):
        return False
    like = (m for m in claim.scene.mentions if m.kind == here.kind and m.text != claim.text)
    return claim.marker in _markers(claim, here) and not any(claim.scene.marker(m.start) == claim.marker for m in like)


def _markers(claim: Claim, here: Mention) -> frozenset[str]:
    """The prepositions that introduce a value of the field; in a statement that is to whom or from whom is sent."""
    slot, asked = claim.slot, _ASKED if claim.command else _TOLD
    markers = {word for word, fields in INTRODUCES.items() if fields & (slot.specific or slot.words)}
    if here.kind == "name" and not claim.command and slot.role not in ("origin", "destination"):
        markers &= _SENT if _SENDING & {stem(word) for word in claim.scene.before(claim.start, 6)} else set()
    if slot.role in _WAYS and side(slot, claim.marker) > 0:
        markers.add(claim.marker)
    if not slot.specific or slot.role in _SIDED:
        markers |= asked.get(slot.role, frozenset())
    opens = claim.command and not claim.start and has_cjk(claim.text) and not slot.specific
    if slot.role == "place" and (opens or _STREET.search(claim.scene.text, 0, claim.start)):
        markers.add(claim.marker)
    return frozenset(markers)


_STREET = re.compile(r"\b(?:Street|St|Avenue|Ave|Road|Rd|Lane|Drive|Square)\.?, \Z")
_WAYS, _SENT = words("place origin destination"), words("from to 从 到")
_SENDING = stems("send give deliver ship hand post write pay order buy receive get letter parcel")
_SIDED = words("origin destination recipient language")
"""Roles of which a word more changes nothing: a city to come from is what is behind 'from'."""
_TOLD = {
    "place": words("in near 在 于 到"),
    "origin": words("from 从"),
    "destination": words("to 到 去 往 至"),
}
_ASKED = {
    **_TOLD,
    "place": words("in at for near around 在 去 到"),
    "language": words("into to in from 成 为"),
    "recipient": words("to for tell message email text notify ping ask 给 向"),
    "person": words("with 和 跟"),
    "company": words("at with from 在"),
}
"""What stands before a value of a role, in a statement and in a request."""


def quoted(claim: Claim) -> bool:
    """The only quotation for a title, one behind 'called' for a name, or that of a command for its text."""
    if not claim.mention or claim.mention.kind != "quoted" or claim.kin:
        return False
    called = claim.scene.marker(claim.start) in NAMING and claim.slot.role in PROPER
    return called or (claim.slot.role == "title" and not claim.slot.specific) or (claim.command and _is_text(claim))


def _is_text(claim: Claim) -> bool:
    """Whether a field is for a text, or the only one of its call that a text fits."""
    free = [slot for slot in claim.slots if slot.kind == "string" and "enum" not in slot.schema]
    return claim.slot.role in ("message", "title", "query") or (not claim.slot.role and len(free) < 2)


def opens(claim: Claim) -> bool:
    """What an item of a list begins with: 'Oak shelf' in 'Oak shelf, 3 pieces', 'jars' in '3 jars'."""
    if not claim.scene.piece or not claim.text[:1].isalpha() or claim.slot.role not in _ITEMS:
        return False
    return bool(_START_OF_ITEM.fullmatch(claim.scene.text, 0, claim.start))


_START_OF_ITEM = re.compile(r"[^\w]*(?:\d[\d.,]*\s*[x×]?\s*(?:of\s+)?)?")
_ITEMS = words("product title person heading company")
