"""Evidence for names: who is introduced, what a preposition leads to, what a text or an item of a list opens with."""

from __future__ import annotations

import re

from ..mention import Mention
from ..offer import NAMING, side
from ..slot import INTRODUCES
from ..word import has_cjk, is_past, stem, stems, words
from .claim import LOWER, MOMENT, Claim, possesses


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


def placed(claim: Claim) -> bool:
    """'lives in Minsk', '住在成都': the only name that stands after 'in', for a field that wants just a place."""
    if claim.slot.role != "place" or claim.slot.specific or not claim.mention or claim.mention.kind != "name":
        return False
    if has_cjk(claim.text):
        before = claim.scene.text[max(0, claim.start - 2) : claim.start]
        return len(claim.text) < 4 and (
            before in ("住在", "位于", "来自") or (claim.command and before[-1:] in "在到去")
        )
    if any(m.kind == "street" and claim.scene.text[m.end : claim.start].strip() == "," for m in claim.scene.mentions):
        return True
    inside = {m.text for m in claim.names if claim.scene.marker(m.start) in ("in", "near")}
    alone = claim.marker in ("in", "near") and len(inside) == 1 and not LOWER.match(claim.scene.text, claim.end)
    around = {stem(word) for word in claim.scene.before(claim.start, 7)}
    moment = any(m.kind in MOMENT and m.end < claim.start <= m.end + 8 for m in claim.scene.mentions)
    return alone and (moment or claim.scene.piece or claim.command or bool(around & _STAYING))


_STAYING = stems("""
    live born base locate hold stay work meet open office rent move arrive happen grow settle reside headquarters
    travel place meeting conference event flat house shop branch factory study die bury sit lie stand interview build
    spend
""")


def introduced(claim: Claim) -> bool:
    """'from Vienna to Prague', 'sent it to Bruno': the preposition of such a field, and no other name after it."""
    if claim.mention and claim.mention.kind in MOMENT:
        return _bounds(claim)
    if not claim.mention or claim.mention.kind != "name" or claim.marker not in _SIDES:
        return False
    sided = claim.slot.role in _WAYS and side(claim.slot, claim.marker) > 0
    if not sided and not INTRODUCES.get(claim.marker, frozenset()) & (claim.slot.specific or claim.slot.own):
        return False
    beside = [m for m in claim.scene.mentions if m.kind == "name" and m.text != claim.text]
    if any(claim.scene.marker(m.start) == claim.marker for m in beside):
        return False
    sent = _SENDING & {stem(word) for word in claim.scene.before(claim.start, 6)}
    return sided or claim.slot.role in ("origin", "destination") or bool(sent)


def _bounds(claim: Claim) -> bool:
    """'from 3 March to 28 June' for a start and an end."""
    sides = {"start": ("from", "since"), "end": ("to", "until", "till")}
    asked = [markers for word, markers in sides.items() if word in claim.slot.words]
    moments = [m for m in claim.scene.mentions if m.kind in MOMENT]
    ways = [claim.scene.marker(m.start) for m in moments]
    return len(moments) == 2 and len({*ways}) == 2 and any(claim.marker in markers for markers in asked)


_WAYS = words("place origin destination")
_SENDING = stems("send give deliver ship hand post write pay order buy receive get letter parcel")
_SIDES = words("from to 从 到 飞往 至")


def quoted(claim: Claim) -> bool:
    """A name in quotes behind 'called', or the only quotation of a command for its text."""
    if not claim.mention or claim.mention.kind != "quoted":
        return False
    if claim.scene.marker(claim.start) in NAMING and claim.slot.role in (
        "title",
        "person",
        "company",
        "product",
        "place",
    ):
        return True
    if claim.slot.role == "title" and not claim.slot.specific and not claim.kin:
        return True
    if not claim.command or claim.kin or claim.slot.role not in _ANY_TEXT:
        return False
    free = [slot for slot in claim.slots if slot.kind == "string" and "enum" not in slot.schema]
    return bool(claim.slot.role) or len(free) < 2


_ANY_TEXT = ("message", "title", "query", "")


def opens(claim: Claim) -> bool:
    """What an item of a list begins with: 'Oak shelf' in 'Oak shelf, 3 pieces', 'jars' in '3 jars'."""
    if not claim.scene.piece or not claim.text[:1].isalpha() or claim.slot.role not in _ITEMS:
        return False
    return bool(_START_OF_ITEM.fullmatch(claim.scene.text, 0, claim.start))


_START_OF_ITEM = re.compile(r"[^\w]*(?:\d[\d.,]*\s*[x×]?\s*(?:of\s+)?)?")
_ITEMS = words("product title person heading company")
