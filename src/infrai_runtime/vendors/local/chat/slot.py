"""A value that is wanted: one leaf of a JSON schema, with all that its schema tells about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .measure import UNIT, unit_of
from .role import NUMBER_UNITS, Role, roles_within
from .schema import kind_of
from .word import STOP, name_words, stem, stems

_GENERIC = stems("the a an is has have should value of in be to for if whether string number list name with")

KIND = stems("""
    name full fullname first last given family forename surname person people who title heading headline label subject
    topic theme company organization organisation firm business city town country nation region state province
    district area location place address where email mail phone telephone mobile tel fax url uri link website host
    hostname ip version release path file filename date day month year time datetime timestamp when clock language
    lang locale color colour currency street road zip postal postcode code id identifier no reference ref key product
    item thing object what good price cost amount value quantity qty count money duration distance mileage weight mass
    area size temperature speed volume age number list text type kind percent percentage rate rating score per main
    primary current overall role job occupation profession position
""")
"""Words that only ask for a kind of value; every other word of a name says which value of that kind is meant."""
_CJK_KIND = re.compile(
    r"姓名|名字|名称|人名|标题|公司|城市|国家|地区|地点|地址|位置|邮箱|电话|手机|号码|编号|单号|网址|链接|版本|文件|路径|日期|日子"
    r"|时间|语言|颜色|货币|币种|街道|邮编|代码|产品|商品|物品|价格|金额|总价|总额|数量|个数|时长|距离|重量|体重|温度|气温|速度"
    r"|面积|年龄|年份|职业|职位|(?<!目)的|[人者数号量名年月日]|地$"
)


def _specific(name: str) -> frozenset[str]:
    parts = [part for part in name_words(name) if not part.isdigit() and part not in STOP]
    english = {stem(part) for part in parts if part.isascii() and len(part) > 1 and not unit_of(part)}
    return frozenset(english - KIND) | {
        left for part in parts if part not in UNIT and not part.isascii() and (left := _bare(part))
    }


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
    def owner(self) -> frozenset[str]:
        """What the object around the field is, where the field's own name tells only a kind: the sender of its name."""
        around = _specific(self.path[-2]) if len(self.path) > 1 else frozenset()
        return self.specific or around

    @cached_property
    def own(self) -> frozenset[str]:
        """The words that name the value: the field's own, and those of the record whose name it is."""
        around = self.parents[-1] if self.parents and self.name == "name" else ""
        return self.words | self.owner | {stem(word) for word in name_words(around)}

    @cached_property
    def role(self) -> str:
        """What the field is first of all."""
        return self.roles[0][0].name if self.roles else ""

    @cached_property
    def roles(self) -> list[tuple[Role, float]]:
        return roles_within(self.name, self.description, self.parents[-1] if self.parents else "")

    @cached_property
    def units(self) -> frozenset[str]:
        """The kinds of unit and the unit words that a number for this slot may carry."""
        named = [NUMBER_UNITS[word] for word in self.words if word in NUMBER_UNITS]
        return frozenset().union(*named) if named else frozenset()

    @cached_property
    def wants_iso(self) -> bool:
        """Whether a date must be written as YYYY-MM-DD."""
        text = self.description.lower()
        return self.schema.get("format") in ("date", "date-time") or bool(re.search(r"yyyy|iso", text))
