"""A value that is wanted: one leaf of a JSON schema, with all that its names and its schema tell about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from .concept import akin
from .measure import UNIT, unit_of
from .schema import kind_of
from .word import STOP, VERB_STEMS, name_words, stem, stems, tokens, words


@dataclass(frozen=True)
class Role:
    """``kinds`` of mentions that can fill it, best first; ``markers`` are words that stand before such a value."""

    name: str
    words: frozenset[str]
    kinds: tuple[str, ...]
    markers: frozenset[str]


_TABLE = """\
    email: email mail e-mail 邮箱 邮件地址 | email | to at
    url: url uri link website site homepage webpage 网址 链接 | url | at from
    host: host ip server hostname 主机 服务器 | ip url | on at to for
    version: version release 版本 | version number | version to
    phone: phone telephone mobile tel fax 电话 手机 | phone number | at on
    path: path file filename filepath folder directory document image picture photo audio recording video attachment \
        文件 路径 图片 照片 录音 音频 视频 附件 | path quoted url | in to from named called
    datetime: datetime timestamp 时间 | datetime date day time | on at by for
    end: end until finish checkout return | date datetime day time | until to through till and ending 到 至
    date: date day month deadline due when birthday dob birthdate checkin arrival departure_date 日期 日子 截止 \
        生日 | date datetime day | on by for until till through from to since due before 在
    start: start begin open 开始 | time datetime date day | from at on since 从
    time: time hour clock at 时刻 | time datetime | at by from 在
    language: language lang locale 语言 语种 | language | into to in from 成 为
    color: color colour 颜色 | colour | in
    currency: currency 货币 币种 | currency money | in to into from 成
    street: street address road 街道 地址 | street | at on in
    zip: zip zipcode postal postcode 邮编 | zip code number
    code: id identifier number code sku ref reference no tracking serial ticker symbol isbn key uuid 编号 单号 代码 \
        号码 | code quoted number | number id order ticket #
    origin: origin source departure from depart 出发 起点 始发 | name phrase | from leaving 从 由
    destination: destination target arrival to dest goal 目的地 终点 到达 | name phrase | to into for reach 到 去 \
        飞往 至
    recipient: recipient to receiver addressee whom 收件人 接收人 | email name phone phrase | to for tell message \
        email text notify ping call ask remind 给 向 跟
    place: city location place town country region state area venue address destination where hometown birthplace \
        nation street district province airport station headquarters headquarter based residence 城市 地点 位置 \
        地址 国家 地区 出生地 | name phrase | in at near around for to from of is 在 于 住 来自
    company: company organization organisation employer firm business vendor brand manufacturer publisher \
        university school institution team merchant store restaurant supplier 公司 机构 单位 学校 品牌 店 | name \
        phrase | at for with by from joined of named called 在 于
    person: name person author customer user patient employee student attendee speaker artist owner assignee \
        contact guest passenger participant manager player actor director sender doctor recipient who username \
        fullname first last 姓名 名字 人名 联系人 作者 客户 姓 名 | name phrase | am i'm name named called with by \
        for meet and dear 叫 和 跟 与 给 名叫 我是
    heading: description summary | quoted head rest | about
    message: message body text content note comment reminder sentence input prompt 内容 消息 正文 文本 信息 备注 | \
        quoted rest | saying that says say to about 说 内容
    reason: reason cause why rationale justification 原因 理由 | rest | because 因为 由于
    title: title subject headline label heading task event meeting topic theme 标题 主题 题目 任务 名称 活动 | \
        quoted head name rest | called titled named about to for 叫 名为
    product: product item model device vehicle car good ingredient book movie dish object thing what 产品 商品 物品 \
        菜 | quoted name counted head | the of buy order bought ordered for 买 订
    query: query topic question search keyword term keywords q phrase about theme word expression 关键词 查询 问题 \
        主题 搜索 | quoted rest | for about on regarding 关于 搜索 查找
    occupation: job occupation profession role position title work 职业 职位 岗位 工作 | occupation | as a an is 是 \
        担任 当
"""
"""A role per line: its name, the words of fields that ask for it, the kinds of mention that can fill it, best first,
and the words that stand before such a value."""


def _role(row: str) -> Role:
    name, _, rest = row.partition(":")
    said, kinds, markers, *_ = [*rest.split("|"), ""]
    return Role(name.strip(), stems(said), tuple(kinds.split()), words(markers))


ROLES = tuple(map(_role, _TABLE.splitlines()))
_UNIT_TABLE = """\
    year old years yo 岁 aged: age 年龄
    money: price 价格 单价 售价 cost 费用 amount 金额 total 总价 总额 subtotal shipping deposit budget salary fee \
        balance revenue income payment
    percent money: vat tip discount tax
    percent: rate percentage percent interest brightness level
    temperature degree 度: temperature 温度 气温
    mass: weight 重量 体重 mass
    length: height 高度 身高 width 宽度 length 长度 distance 距离 depth 深度 mileage
    time: duration 时长 minute second hour day week
    speed: speed
    volume percent: volume
    people person guest adult: guest
    people person guest: party people
    ticket people person seat passenger adult: passenger
    adult people: adult
    people person inhabitant resident: population
    ticket seat people: ticket
    people person guest attendee: attendee
    point: rating_scale
    people person: seat
    star point: rating
    point star: score
    year: year experience
    data mass length area: size
    area: area 面积
"""
NUMBER_UNITS = {
    stem(word): words(units)
    for units, _, names in (row.partition(":") for row in _UNIT_TABLE.splitlines())
    for word in names.split()
}
"""The kinds of unit and the unit words that the number of a field may carry."""


@lru_cache(maxsize=4_000)
def roles_of(name: str, description: str) -> list[tuple[Role, float]]:
    """The roles of a parameter, best first, with how sure they are: the name counts most, its last word above all."""
    words = [stem(word) for word in name_words(name)]
    if words[1:] and words[-1] in _ENDINGS:
        return _ENDINGS[words[-1]]
    named = [
        (role, 1.0 + 0.2 * _last_of(words, role) - 0.01 * at)
        for at, role in enumerate(ROLES)
        if any(_names(word, role) for word in words)
    ]
    heads = frozenset() if named else _head_words(description)
    told = [(role, 0.6 - 0.01 * at) for at, role in enumerate(ROLES) if role.words & heads]
    return sorted(named or told, key=lambda pair: -pair[1])[:4]


def _last_of(words: Sequence[str], role: Role) -> bool:
    """Whether the last word of a name, which says what it is, is one of the role's."""
    return any(words[-1].endswith(own) if not own.isascii() else words[-1] == own for own in role.words)


def _names(word: str, role: Role) -> bool:
    """Whether a word of a name is one of the role's; a Chinese name is one word that may hold several."""
    return word in role.words or (not word.isascii() and any(own in word for own in role.words if not own.isascii()))


_PERSON = next(role for role in ROLES if role.name == "person")
_DATE = next(role for role in ROLES if role.name == "date")
_ENDINGS = {"by": [(_PERSON, 1.0), (_DATE, 0.9)], "on": [(_DATE, 1.0)]}
"""What 'opened_by', 'ship_by' and 'closed_on' ask for."""
INTRODUCES = {
    marker: frozenset(map(stem, fields.split()))
    for markers, fields in (
        (
            "from 从",
            "vendor supplier seller merchant sender manufacturer origin source departure depart start begin 出发",
        ),
        ("since", "start"),
        ("to 到 给 去", "recipient destination target arrival arrive school end 收件 收款 收货 目的 到达"),
        ("for", "employer recipient client destination"),
        ("at", "restaurant store shop school university hotel employer venue museum hospital clinic 餐厅 学校 酒店"),
        ("飞往 往", "destination arrival 目的 到达"),
        ("by until till before", "deadline due until end"),
        ("in", "language venue"),
    )
    for marker in markers.split()
}
"""The prepositions, and after each the fields whose value it introduces."""


def roles_within(name: str, description: str, parent: str) -> list[tuple[Role, float]]:
    """The roles of a parameter inside an object: the name or title of an item is an item's, not a person's."""
    found = roles_of(name, description)
    if parent and set(name_words(name)) <= _SIDES and not _MOMENT.search(description):
        return [(role, 1.0) for role, _ in roles_of("", parent) if role.name not in _WRITTEN][:2] + found
    if parent and name_words(name) in (("name",), ("title",), ("label",)):
        of_parent = [(role, sure) for role, sure in roles_of(parent, "") if role.name in _NAMED]
        rest = [pair for pair in found if pair[0].name != "person"]
        return of_parent[:1] + rest if of_parent else found
    return found


_WRITTEN = words("message title query heading reason")
"""What has no sides."""
_SIDES = words("from to source target start end")
"""Names that say only on which side of something the value stands."""
_MOMENT = re.compile(r"hh:mm|yyyy|\b(?:time|date|day)\b", re.IGNORECASE)
"""What tells of itself that it is the side of a time."""
_NAMED = frozenset({"product", "company", "title", "place", "person"})


def _head_words(description: str) -> frozenset[str]:
    """The first words of a description, which say what it is."""
    english = {stem(word) for word in description.lower().replace(",", " ").split()[:6]}
    return frozenset(english | {word for word in _CHINESE if word in description[:16]})


_CHINESE = frozenset(word for role in ROLES for word in role.words if not word.isascii())


_GENERIC = stems("the a an is has have should value of in be to for if whether string number list name with")

KIND = stems("""
    name full fullname given family forename surname person people who title heading headline label subject
    topic theme company organization organisation firm business city town country nation region state province
    district area location place address where email mail phone telephone mobile tel fax url uri link website host
    hostname ip version path file filename date day month year time datetime timestamp when clock language
    lang locale color colour currency street road zip postal postcode code id identifier no reference ref key product
    item thing object what good price cost amount value quantity qty count money duration distance mileage weight mass
    area size temperature speed volume age number list text type kind percent percentage rate rating score per role job
    occupation profession position
""")
"""Words that only ask for a kind of value; every other word of a name says which value of that kind is meant."""
_EXAMPLE = re.compile(r"\be\.g\.|\bfor example\b|\bsuch as\b|\blike\b|[(;]")
_ASKING = stems("""
    state print write record give mention know show appear find contain exact full whole required optional null empty
    format example iso yyyy mm dd hh digit string unit unknown available missing otherwise
""").union(KIND, _GENERIC, map(stem, STOP))
"""What descriptions say of the form of a value, and not of the value."""
_CJK_KIND = re.compile(
    r"姓名|名字|名称|人名|标题|公司|城市|国家|地区|地点|地址|位置|邮箱|电话|手机|号码|编号|单号|网址|链接|版本|文件|路径|日期|日子"
    r"|时间|语言|颜色|货币|币种|街道|邮编|代码|产品|商品|物品|价格|金额|总价|总额|数量|个数|时长|距离|重量|体重|温度|气温|速度"
    r"|面积|年龄|年份|职业|职位|(?<!目)的|[人者数号量名年月日]|地$"
)


def _specific(name: str) -> frozenset[str]:
    parts = [part for part in name_words(name) if not part.isdigit() and part not in STOP]
    if "name" in parts:
        parts = [part for part in parts if part not in _NAME_PART]
    english = {stem(part) for part in parts if part.isascii() and len(part) > 1 and not unit_of(part)}
    return frozenset(english - KIND) | {
        left for part in parts if part not in UNIT and not part.isascii() and (left := _bare(part))
    }


_NAME_PART = words("first last")


def _bare(part: str) -> str:
    return _CJK_KIND.sub("", part)


@dataclass(frozen=True)
class Slot:
    """``path`` is where the value goes, ``schema`` its resolved schema, ``parents`` the names of objects around it."""

    path: tuple[str, ...]
    schema: Mapping[str, Any]
    required: bool
    parents: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path[-1] if self.path else ""

    @property
    def kind(self) -> str:
        """string, number, integer, boolean, array, null or any."""
        return kind_of(self.schema)

    @cached_property
    def description(self) -> str:
        return f"{self.schema.get('description') or ''} {self.schema.get('title') or ''}".strip()

    @cached_property
    def words(self) -> frozenset[str]:
        """The stems of the name that tell something."""
        own = {stem(word) for word in name_words(self.name)}
        return frozenset(own - _GENERIC) or frozenset(own)

    @cached_property
    def specific(self) -> frozenset[str]:
        """The words of the name that tell more than a kind: a value belongs here only if the text speaks of them."""
        return _specific(self.name)

    @cached_property
    def told(self) -> frozenset[str]:
        """The words of the description that tell more than the name, the kind and what all fields are about."""
        plain = _EXAMPLE.split(self.description.lower())[0]
        said = {stem(word) for word in tokens(plain) if word.isascii() and len(word) > 2 and not unit_of(word)}
        known = self.own | self.party
        known |= {stem(word) for parent in self.parents for word in tokens(parent.replace("_", " "))}
        telling = said - _ASKING
        return frozenset(word for word in telling if not any(akin(own, word) or akin(word, own) for own in known))

    @cached_property
    def owner(self) -> frozenset[str]:
        """What the object around the field is, where the field's own name tells only a kind: the sender of its name."""
        around = _specific(self.path[-2]) if len(self.path) > 1 else frozenset()
        return self.specific or around

    @cached_property
    def own(self) -> frozenset[str]:
        """The words that name the value: the field's own, and those of the record whose name it is."""
        around = self.parents[-1] if self.parents and self.name == "name" else ""
        return self.words | self.owner | ({stem(word) for word in name_words(around)} - VERB_STEMS)

    @cached_property
    def role(self) -> str:
        """What the field is first of all."""
        return self.roles[0][0].name if self.roles else ""

    @cached_property
    def roles(self) -> list[tuple[Role, float]]:
        return roles_within(self.name, self.description, self.parents[-1] if self.parents else "")

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of mention that can fill the field as what it is first of all."""
        return frozenset(kind for role, _ in self.roles[:1] for kind in role.kinds)

    @cached_property
    def party(self) -> frozenset[str]:
        """The words of fields that are the same first of all."""
        return frozenset(own for role, _ in self.roles[:1] for own in role.words)

    @property
    def is_free(self) -> bool:
        """Whether any text will do."""
        return self.kind == "string" and not {"enum", "format"} & set(self.schema)

    @cached_property
    def units(self) -> frozenset[str]:
        """The kinds of unit and the unit words that a number for this slot may carry."""
        named = [NUMBER_UNITS[word] for word in self.words if word in NUMBER_UNITS]
        if "percent" in self.words:
            return frozenset({"percent"})
        return frozenset().union(*named) if named else frozenset()

    @cached_property
    def wants_clock(self) -> bool:
        """Whether a time of day must be written as HH:MM."""
        return "hh:mm" in self.description.lower()

    @cached_property
    def wants_iso(self) -> bool:
        """Whether a date must be written as YYYY-MM-DD."""
        text = self.description.lower()
        return self.schema.get("format") in ("date", "date-time") or bool(re.search(r"yyyy|iso", text))
