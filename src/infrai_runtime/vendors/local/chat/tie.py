"""What ties a mention to a field: the words that stand around it.

A precise kind, such as a date, is enough where the field's name asks for no more than the kind. Where the name says
more, as in due date, the text must speak of that beside the value. A capitalised name is of no precise kind: it needs
the field's own word, a preposition or a verb that fits the field, or, for a field that wants just a name, the place of
a subject. What a command says is meant for its call.
"""

from __future__ import annotations

import re

from .candidate import GUESS, TIED, parent_words
from .concept import vocabulary
from .mention import Mention
from .role import INTRODUCES, Role
from .said import beside, does, is_label, near, owns, possesses
from .scene import Scene
from .slot import Slot
from .table import words
from .verb import VERB_STEMS
from .word import has_cjk, is_past, name_words, stem


def strength(slot: Slot, role: Role, base: float, scene: Scene, mention: Mention, command: bool) -> float:
    """How well a mention of a fitting kind fits, by the words around it; a guess at most where nothing ties it."""
    way = side(slot, scene, mention.start) + cue(slot, scene, mention.start, mention.end)
    fit = base + _role_marker(role, scene, mention) + way
    tied = _TIES.get(mention.kind, _by_kind)(slot, role, scene, mention, command)
    return max(fit, TIED) if tied else min(fit, GUESS)


def _by_kind(slot: Slot, role: Role, scene: Scene, mention: Mention, command: bool) -> bool:
    """A precise kind ties a value, and what the field's name says beyond it must be said of the value."""
    return command or not slot.specific or _introduced(slot.specific, scene, mention) or _spoken(slot, scene, mention)


def _spoken(slot: Slot, scene: Scene, mention: Mention) -> bool:
    sided = _SIDES if side(slot, scene, mention.start) > 0 else frozenset()
    return near(slot.specific - sided, scene, mention)


def _by_label(slot: Slot, role: Role, scene: Scene, mention: Mention, command: bool) -> bool:
    """A number is a text only where the field's own word names it: 'room 12'."""
    if command and _marker(scene, mention) in role.markers:
        return True
    return is_label(scene, mention) and beside(_own(slot), scene, mention.start, mention.end)


def _by_code(slot: Slot, role: Role, scene: Scene, mention: Mention, command: bool) -> bool:
    """A code belongs to the word before it; one without such a word ('#12') to any field that wants a code."""
    if beside(_own(slot), scene, mention.start, mention.end):
        return True
    return _by_kind(slot, role, scene, mention, command) or (
        mention.text.startswith("#") and not _labelled(scene, mention)
    )


def _runs_on(role: Role, mention: Mention) -> bool:
    """Whether a Chinese run is no name by its family name, or longer than the names of people and places are."""
    text = mention.text
    if has_cjk(text) and role.name in ("person", "recipient") and not _CJK_PERSON.fullmatch(text):
        return True
    if has_cjk(text) and role.name in ("place", "origin", "destination"):
        return len(text) > 2 and text[-1] not in _CJK_PLACE and text not in _LONG_PLACES
    return has_cjk(text) and len(text) > 3 and text[-1] not in _CJK_PLACE and role.name not in _TALK.keys() - {"place"}


_LONG_PLACES = frozenset(
    words(
        """
    哈尔滨 石家庄 连云港 张家界 秦皇岛 呼和浩特 乌鲁木齐 齐齐哈尔 马鞍山 景德镇 西双版纳 九寨沟 黑龙江 内蒙古 葡萄牙
    西班牙 意大利 新加坡 墨西哥 加拿大 俄罗斯 马来西亚 洛杉矶 旧金山 华盛顿 莫斯科 悉尼 阿姆斯特丹
    """
    )
)
"""Names of places of more than two characters that do not say so at their end."""
_SURNAME = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦"
    "付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞"
    "左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦"
    "褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
)
_CJK_PERSON = re.compile(
    rf"(?:[小老阿][{_SURNAME}]|[{_SURNAME}][\u3400-\u9fff]{{1,2}}|(?:欧阳|上官|司马|诸葛|东方|皇甫|尉迟|公孙|令狐|慕容|司徒|夏侯)[\u3400-\u9fff]{{1,2}})"
)
"""A Chinese name of a person, by the common family names."""


def _own(slot: Slot) -> frozenset[str]:
    """The words that name a value of the slot where they stand beside it: its own, and those of the record it is in."""
    record = parent_words(slot) if slot.path[-1:] == ("name",) else frozenset()
    return slot.words | slot.owner | record


def _labelled(scene: Scene, mention: Mention) -> bool:
    before = scene.before(mention.start, 1)
    return bool(before) and before[0].isalpha()


def _by_words(slot: Slot, role: Role, scene: Scene, mention: Mention, command: bool) -> bool:
    """A name is what the words around it make of it."""
    if _runs_on(role, mention) or {stem(word) for word in mention.text.split()} <= slot.words:
        return False
    if beside(_own(slot), scene, mention.start, mention.end):
        return True
    marker = _marker(scene, mention)
    if command and (marker in role.markers or stem(marker) in VERB_STEMS):
        return True
    if command and has_cjk(mention.text) and not slot.specific and _only_name(scene):
        return True
    own = slot.owner if role.name in ("person", "company", "product", "title") else slot.specific
    if own:
        if does(own, scene, mention) or owns(own, scene, mention) or _introduced(own, scene, mention):
            return True
        return role.name == "place" and _placed(role, scene, mention, marker) and near(own, scene, mention)
    return _PLAIN.get(role.name, _marked)(role, scene, mention, marker)


def _only_name(scene: Scene) -> bool:
    return sum(mention.kind == "name" for mention in scene.mentions) == 1


_TIES = {"name": _by_words, "number": _by_label, "code": _by_code}


def _introduced(own: frozenset[str], scene: Scene, mention: Mention) -> bool:
    """Whether the preposition before a value is the one that such a field is spoken of with: 'from' for a supplier."""
    marker = _marker(scene, mention)
    return bool(INTRODUCES.get(marker, frozenset()) & own) and not (own & _PARTIES and _moves(scene, mention))


def _moves(scene: Scene, mention: Mention) -> bool:
    """Whether somebody goes 'to' or comes 'from' here, so that it is a place."""
    return any(stem(word) in _MOTION for word in scene.before(mention.start, 4)[1:])


def _marked(role: Role, scene: Scene, mention: Mention, marker: str) -> bool:
    return marker in role.markers and not (role.name == "recipient" and _moves(scene, mention))


def _placed(role: Role, scene: Scene, mention: Mention, marker: str) -> bool:
    """'in Graz', and the town that follows a street."""
    if _cjk_place(role, scene, mention) > 0:
        return True
    if marker in (_GOING if _moves(scene, mention) else _STAYING) or _follows_street(scene, mention):
        return True
    return not marker and bool(_TALK["place"] & vocabulary(scene.text))


_STAYING = frozenset(words("in at near around 在 于 住 来自 从 到"))
_GOING = _STAYING | {"to", "from"}
_CJK_PLACE = "市省县区国镇村州站"


def _follows_street(scene: Scene, mention: Mention) -> bool:
    return any(m.kind == "street" and scene.text[m.end : mention.start].strip() == "," for m in scene.mentions)


def _personal(role: Role, scene: Scene, mention: Mention, marker: str) -> bool:
    """Who is named, who is introduced, and whom a sentence begins with."""
    if possesses(scene, mention.end) or (mention.text.isupper() and " " not in mention.text):
        return False
    if _TITLED.search(scene.text, 0, mention.start) or mention.text != mention.value:
        return True
    return marker in role.markers or marker in _HARD_STOPS or (not marker and _whole_name(scene, mention))


def _whole_name(scene: Scene, mention: Mention) -> bool:
    """Whether what a sentence begins with is a name: not one word that any noun may be ('Error 4 …')."""
    after = scene.after(mention.end, 1)
    if has_cjk(mention.text) or " " in mention.text or not after:
        return True
    return after[0] in _AFTER_NAME or _inflected(after[0])


_TITLED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|Miss|Sir)\.?\s*\Z")
_AFTER_NAME = frozenset(words(", ( and & 's -"))


def _subject(role: Role, scene: Scene, mention: Mention, marker: str) -> bool:
    """A thing or a company is what is called so, or what a verb follows in a text that speaks of such things."""
    if marker in role.markers - _LOOSE and not _moves(scene, mention):
        return not _CJK_STAY.match(marker) or bool(_FIRM.search(mention.text)) or _cjk_place(role, scene, mention) > 0
    if _FIRM.search(mention.text) and role.name == "company":
        return True
    talk = _TALK.get(role.name)
    return _opens_clause(scene, mention) and (talk is None or bool(talk & vocabulary(scene.text)))


_CJK_STAY = re.compile("[在于]")
"""What introduces a place as well as a company."""


def _opens_clause(scene: Scene, mention: Mention) -> bool:
    """Whether a verb follows a name."""
    if has_cjk(mention.text):
        return bool(_CJK_STATES.match(scene.text, mention.end))
    after = scene.after(mention.end, 1)
    return bool(after) and _inflected(after[0])


_TALK = {
    role: frozenset(map(stem, words(talk)))
    for role, talk in (
        ("place", "population inhabitant resident people capital city town country 人口 首都 城市 居民"),
        (
            "company",
            "company firm business founded employee staff hire customer revenue profit share 公司 企业 成立 创立 员工",
        ),
        ("product", "product price cost sell buy order stock model weigh 产品 价格 售价"),
    )
}
"""What a text speaks of that makes the name that it begins with a place, a company, a product."""
_PLAIN = {"place": _placed, "person": _personal, "company": _subject, "product": _subject, "title": _subject}
_LOOSE = frozenset(words("the of for to about in"))
_MOTION = frozenset(
    map(stem, words("fly travel move come go live drive walk arrive leave depart land head return sail"))
)
_PARTIES = frozenset(map(stem, words("vendor supplier seller merchant sender recipient manufacturer brand client")))
_FIRM = re.compile(
    r"\b(?:Inc|Ltd|LLC|GmbH|AG|SA|Corp|Corporation|Company|Group|Bank|Partners|Labs|University|College|Institute)\.?$"
    r"|(?:公司|科技|集团|银行|大学|学院|医院|酒店|餐厅|书店|工厂)$"
)
_CJK_STATES = re.compile(r"成立|创立|创办|是|有|现有|拥有|位于|发布|推出")


def _inflected(word: str) -> bool:
    if word in ("is", "was", "has", "had", "will", "are"):
        return True
    return is_past(word) or (word.isalpha() and word.endswith("s") and not word.endswith(("ss", "us", "is")))


def _marker(scene: Scene, mention: Mention) -> str:
    """The word or the Chinese letter that introduces a mention, or the list that it is in."""
    mention = _first_of_list(scene, mention)
    marker = scene.marker(mention.start) if mention.start else ""
    written = scene.text[max(0, mention.start - 1) : mention.start]
    return marker if marker.isascii() and written.isascii() else written


def _role_marker(role: Role, scene: Scene, mention: Mention) -> float:
    mention = _first_of_list(scene, mention)
    if role.name in ("place", "company") and (placed := _cjk_place(role, scene, mention)):
        return placed
    marker = _marker(scene, mention)
    if marker in role.markers:
        return 0.08 if role.name == "place" and marker in ("for", "of", "to", "is") else 0.2
    if role.name == "person":
        return -0.25 if marker in _NOT_PERSON else 0.22 if not marker or marker in _HARD_STOPS else 0.05
    if not marker:
        return -0.12 if role.name == "place" else 0.0
    if marker in _NOT_PLACE and role.name == "place":
        return -0.25
    return -0.25 if marker in _NOT_PERSON and role.name in _THINGS else -0.1 if marker in _ALL_MARKERS else -0.02


def _first_of_list(scene: Scene, mention: Mention) -> Mention:
    """The first of 'ann@a.example or bob@b.example': what stands before it speaks for all."""
    joined = _AND if mention.kind == "name" else _JOINED
    for other in reversed(scene.mentions):
        if other.end <= mention.start and other.kind == mention.kind:
            if not joined.fullmatch(scene.text, other.end, mention.start):
                break
            mention = other
    return mention


_AND = re.compile(r"\s*(?:\bor\b|\band\b|或者?|和)\s*")
_JOINED = re.compile(r"\s*(?:,|、|，|\bor\b|\band\b|或者?|和)\s*")


def _cjk_place(role: Role, scene: Scene, mention: Mention) -> float:
    """Where somebody lives is a place; where somebody has a post is a company, but to work in may be either."""
    before = scene.text[max(0, mention.start - 2) : mention.start]
    after = scene.text[mention.end : mention.end + 4]
    if before in ("住在", "位于", "来自", "居住"):
        return 0.25 if role.name == "place" else -0.3
    if any(word in after for word in ("担任", "任职")):
        return 0.25 if role.name == "company" else -0.2
    return 0.0


_NOT_PLACE = frozenset(words("beside behind above below with by about against after before like"))
_THINGS = frozenset(words("title product company"))
_NOT_PERSON = frozenset(words("in at near from to into of on since 在 于 去 到 从"))
_HARD_STOPS = frozenset(words(", . ; ! ? : and ( - 。 ， ； ！"))
_ALL_MARKERS = frozenset(words("in at on for from to with by about of near as is 在 从 到 给 和"))
_FROM_WORDS = frozenset(map(stem, words("from source base origin src start begin")))
_TO_WORDS = frozenset(map(stem, words("to target destination dest quote end until")))
_SIDES = _FROM_WORDS | _TO_WORDS
_FROM_MARKERS = frozenset(("from", "since", "从", "由"))
_TO_MARKERS = frozenset(words("to into in until till through 到 成 为 是 至 少"))


def side(slot: Slot, scene: Scene, start: int) -> float:
    """'from' speaks for a source and against a target, 'to' and 'in' the other way round."""
    words = {stem(word) for word in name_words(slot.name)}
    side = bool(words & _TO_WORDS) - bool(words & _FROM_WORDS)
    if not side or not start:
        return 0.0
    marker = scene.marker(start)
    written = scene.text[start - 1]
    way = bool({marker, written} & _TO_MARKERS) - bool({marker, written} & _FROM_MARKERS)
    return 0.15 * side * way


def cue(slot: Slot, scene: Scene, start: int, end: int) -> float:
    """More where a word of the slot's name stands beside the value."""
    near = {stem(word) for word in (*scene.before(start, 3), *scene.after(end, 1))}
    if slot.words & near:
        return 0.15
    return 0.08 if parent_words(slot) & near else 0.0
