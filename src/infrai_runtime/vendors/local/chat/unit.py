"""Units of measure: their names, and exact conversion between those of one kind."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from .number import numbers, plain
from .table import words


class Unit(NamedTuple):
    """A unit: its kind, its short name, and value_in_base = factor * value + offset."""

    kind: str
    short: str
    factor: Fraction
    offset: Fraction = Fraction(0)


_ROWS: tuple[tuple[str, str, str, str], ...] = (
    ("length", "mm", "1/1000", "mm millimeter millimetre millimeters millimetres 毫米"),
    ("length", "cm", "1/100", "cm centimeter centimetre centimeters centimetres 厘米 公分"),
    ("length", "m", "1", "m meter metre meters metres 米"),
    ("length", "km", "1000", "km kilometer kilometre kilometers kilometres 公里 千米"),
    ("length", "in", "0.0254", "inch inches 英寸"),
    ("length", "ft", "0.3048", "ft foot feet 英尺"),
    ("length", "yd", "0.9144", "yd yard yards 码"),
    ("length", "mi", "1609.344", "mi mile miles 英里"),
    ("mass", "mg", "1/1000", "mg milligram milligrams 毫克"),
    ("mass", "g", "1", "g gram grams gramme grammes 克"),
    ("mass", "kg", "1000", "kg kilo kilos kilogram kilograms 公斤 千克"),
    ("mass", "jin", "500", "jin 斤"),
    ("mass", "t", "1000000", "t ton tons tonne tonnes 吨"),
    ("mass", "oz", "28.349523125", "oz ounce ounces 盎司"),
    ("mass", "lb", "453.59237", "lb lbs pound pounds 磅"),
    ("time", "s", "1", "s sec secs second seconds 秒 秒钟"),
    ("time", "min", "60", "min mins minute minutes 分钟 分"),
    ("time", "h", "3600", "h hr hrs hour hours 小时 钟头"),
    ("time", "d", "86400", "day days 天 日"),
    ("time", "wk", "604800", "week weeks 周 星期"),
    ("volume", "ml", "1/1000", "ml milliliter millilitre milliliters millilitres 毫升"),
    ("volume", "l", "1", "l liter litre liters litres 升"),
    ("volume", "gal", "3.785411784", "gallon gallons 加仑"),
    ("volume", "cup", "0.2365882365", "cup cups"),
    ("area", "ha", "10000", "ha hectare hectares 公顷"),
    ("area", "acre", "4046.8564224", "acre acres 英亩"),
    ("area", "mu", "2000/3", "亩"),
    ("area", "m²", "1", "sqm 平米"),
    ("data", "B", "1", "byte bytes 字节"),
    ("data", "KB", "1000", "kb kilobyte kilobytes"),
    ("data", "MB", "1000000", "mb megabyte megabytes"),
    ("data", "GB", "1000000000", "gb gigabyte gigabytes"),
    ("speed", "km/h", "5/18", "km/h kph 公里每小时"),
    ("speed", "mph", "0.44704", "mph"),
    ("speed", "m/s", "1", "m/s"),
)
_DEGREES: tuple[tuple[str, str, Fraction, str], ...] = (
    ("°C", "1", Fraction(0), "c °c ℃ celsius centigrade 摄氏度 摄氏"),
    ("°F", "5/9", Fraction(-160, 9), "f °f ℉ fahrenheit 华氏度 华氏"),
    ("K", "1", Fraction(-5463, 20), "k kelvin 开尔文"),
)
UNIT: dict[str, Unit] = {
    name: Unit(kind, short, Fraction(factor)) for kind, short, factor, names in _ROWS for name in names.split()
} | {
    name: Unit("temperature", short, Fraction(factor), offset)
    for short, factor, offset, names in _DEGREES
    for name in names.split()
}
UNIT |= {
    name: Unit("area", unit.short + "²", unit.factor**2)
    for word, unit in list(UNIT.items())
    if unit.kind == "length"
    for name in ([f"平方{word}"] if not word.isascii() else [f"{word}²", f"{word}2", f"square {word}", f"sq {word}"])
}
_AFTER = re.compile(
    r"\s*(?:degrees?\s+|degs?\s+)?((?:square|sq\.?)\s[a-z]+|[a-z]{1,2}[²2](?!\w)|°\s?[cCfF]|[a-zA-Z]+/[a-z]+|[a-zA-Z]+|℃|℉|[\u3400-\u9fff]{1,6})"
)
_TARGET = re.compile(
    r"(?:in|into|to|as|how many|how much is|等于多少|是多少|合多少|转换为|换算成|换成|多少|转为)\s*(?:degrees?\s+)?"
    r"(°\s?[cCfF]|[a-zA-Z]+/[a-z]+|[a-zA-Z]+|℃|℉|[\u3400-\u9fff]{1,6})",
    re.IGNORECASE,
)


def named(word: str) -> Unit | None:
    """The unit that ``word`` begins with, or None."""
    word = word.lower().replace("sq.", "sq")
    word = word if word.startswith("sq") else word.replace(" ", "")
    if word and "\u3400" <= word[0] <= "\u9fff":
        return next((UNIT[word[:size]] for size in range(min(len(word), 6), 0, -1) if word[:size] in UNIT), None)
    return UNIT.get(word)


def after(text: str, at: int) -> tuple[str, Unit] | None:
    """The unit that stands right after position ``at``, with its word as written."""
    match = _AFTER.match(text, at)
    unit = named(match.group(1)) if match else None
    return (match.group(1), unit) if match and unit else None


def change(value: Fraction, source: Unit, target: Unit) -> Fraction:
    """``value`` of ``source`` in ``target``; both of one kind."""
    return (value * source.factor + source.offset - target.offset) / target.factor


def convert(text: str) -> str | None:
    """The answer to '5 km in miles' and the like; None where ``text`` asks no conversion."""
    found = numbers(text)
    if len(found) != 1 or len(text) > 120:
        return None
    source = after(text, found[0].end)
    targets = [unit for match in _TARGET.finditer(text) if (unit := named(match.group(1)))]
    if not source or not targets or not _only_conversion(text):
        return None
    target = targets[-1]
    if target.kind != source[1].kind or target == source[1]:
        return None
    value = change(found[0].value, source[1], target)
    about = "≈" if (value * 10**6).denominator != 1 else "="
    return f"{plain(found[0].value)} {source[1].short} {about} {plain(value, 6)} {target.short}"


_CONVERSION_WORDS = frozenset(
    words(
        """
    what what's is are how many much in into to convert please equal equals the a an of there do does
    make you tell me can could would be as degrees degree it get i change calculate
    """
    )
)


def _only_conversion(text: str) -> bool:
    words = re.findall(r"[a-zA-Z/]+(?:'[a-z]+)?", text.lower())
    return all(word in _CONVERSION_WORDS or word in UNIT for word in words)
