"""Numbers, units and moments: how they are written, what they are worth, and in which form a schema wants them."""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from .word import NUMBER_WORD, in_order, words


class Number(NamedTuple):
    """A number found in a text: its exact value and its place."""

    value: Fraction
    start: int
    end: int


_CJK_DIGIT = {letter: value for value, letter in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_CJK_UNIT = {"十": 10, "百": 100, "千": 1000}
_CJK_BIG = {"万": 10_000, "亿": 100_000_000}
_SCALE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "k": 1000, "m": 10**6, "bn": 10**9}
_WORDS = "|".join(sorted([*NUMBER_WORD, *(s for s in _SCALE if len(s) > 2)], key=len, reverse=True))
_MEASURE = r"(?:[€£$%°]|(?:kg|mg|g|t|km|cm|mm|m|ml|l|kwh|h|eur|usd|gbp|chf|sek|nok|dkk|pln|czk|euros?|dollars?)\b)"
_SPACE = "\u00a0\u202f\u2009"
_DIGITS = (
    r"\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)"  # 1.234,50
    r"|\d{1,3}(?:,\d{3})+(?:\.\d+)?"  # 1,234.50
    rf"|\d{{1,3}}(?:[{_SPACE}]\d{{3}})+(?:[.,]\d+)?(?!\d)"
    # Between two numbers a blank or a comma is more often just that, so these need a measure or a coin beside them.
    rf"|\d{{1,3}}(?: \d{{3}})+(?:[.,]\d+)?(?=\s?{_MEASURE})"
    rf"|\d+,\d{{1,2}}(?=\s?{_MEASURE})|(?<=[€£])\d+,\d\d(?!\d)|(?<=[€£] )\d+,\d\d(?!\d)"
    r"|\d+(?:\.\d+)?"
)
_CJK = "零一二两三四五六七八九十百千万亿〇"
_FIND = re.compile(
    rf"(?P<coins>(?<![A-Za-z\d.,])\d+|[{_CJK}]+)[块元](?P<tenths>[1-9一二三四五六七八九])"
    r"(?:[毛角]|(?<=块.)(?=钱|[^\w.,%]|[.,](?!\d)|$))"
    rf"|(?P<digits>(?<![A-Za-z\d.])(?:[-\u2212](?=\d))?(?:{_DIGITS}))"
    rf"(?:\s?(?P<scale>hundred|thousand|million|billion|bn|(?-i:[kKM])(?![a-zA-Z]))|(?P<big>[万亿]))?"
    rf"|\b(?P<words>(?:{_WORDS})(?:(?:[\s-]|\sand\s)(?:{_WORDS}))*)\b"
    rf"|(?P<cjk>[{_CJK}]+)",
    re.IGNORECASE,
)
_ENGLISH = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")


def numbers(text: str) -> list[Number]:
    """Every number in ``text``, in order."""
    return [Number(value, m.start(), m.end()) for m in _FIND.finditer(text) if (value := _value(m)) is not None]


def _value(match: re.Match[str]) -> Fraction | None:
    if match.group("coins"):
        coins, tenths = (_of_either(match.group(name)) for name in ("coins", "tenths"))
        return None if coins is None or tenths is None else coins + tenths / 10
    if match.group("digits"):
        value = Fraction(_decimal(match.group("digits"))[:60])
        scale = (match.group("scale") or "").lower()
        return value * _SCALE.get(scale, 1) * _CJK_BIG.get(match.group("big") or "", 1)
    if match.group("words"):
        return _from_words(re.split(r"[\s-]+", match.group("words").lower()))
    return _from_cjk(match.group("cjk"))


def _of_either(run: str) -> Fraction | None:
    return Fraction(run[:60]) if run.isdecimal() else _from_cjk(run)


def _decimal(written: str) -> str:
    """Digits with a point before the decimals: a comma stands there in much of Europe, where points or blanks part
    the thousands."""
    bare = re.sub(r"\s", "", written).replace("\u2212", "-")
    if "," not in bare or _ENGLISH.fullmatch(bare.lstrip("-")):
        return bare.replace(",", "")
    return bare.replace(".", "").replace(",", ".")


def _from_words(words: list[str]) -> Fraction | None:
    """'two hundred and five thousand' and the like; a scale word alone is no number."""
    if words[0] in _SCALE:
        return None
    total = group = 0
    for word in words:
        scale = _SCALE.get(word)
        if scale is None:
            group += NUMBER_WORD.get(word, 0)
        elif scale == 100:
            group *= 100
        else:
            total, group = total + group * scale, 0
    return Fraction(total + group)


def _from_cjk(run: str) -> Fraction | None:
    """'三百二十' and the like; a last digit counts tenths of the unit before it: 一千八 is 1800."""
    if all(letter in _CJK_DIGIT for letter in run):
        return Fraction(int("".join(str(_CJK_DIGIT[letter]) for letter in run[:40])))
    total = group = digit = 0
    if len(run) > 2 and run[-1] in _CJK_DIGIT and (unit := (_CJK_UNIT | _CJK_BIG).get(run[-2], 0)) > 10:
        whole = _from_cjk(run[:-1])
        return whole + _CJK_DIGIT[run[-1]] * unit // 10 if whole else None
    for letter in run[:40]:
        if letter in _CJK_DIGIT:
            digit = _CJK_DIGIT[letter]
        elif letter in _CJK_UNIT:
            group, digit = group + (digit or 1) * _CJK_UNIT[letter], 0
        else:
            total, group, digit = (total + group + digit) * _CJK_BIG[letter], 0, 0
    return Fraction(total + group + digit) or None


def plain(value: Fraction, places: int = 10) -> str:
    """``value`` as a decimal text; exact where it terminates within ``places``, else rounded and cut of zeros."""
    if value.denominator == 1:
        return str(value.numerator)
    scaled = round(value * 10**places)
    sign, digits = ("-" if scaled < 0 else ""), str(abs(scaled)).rjust(places + 1, "0")
    return (sign + digits[:-places] + "." + digits[-places:]).rstrip("0").rstrip(".")


def json_number(value: Fraction) -> int | float:
    """``value`` as a JSON number: an int where it is whole."""
    return value.numerator if value.denominator == 1 else float(value)


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


def unit_of(word: str) -> Unit | None:
    """The unit that ``word`` begins with, or None."""
    word = word.lower().replace("sq.", "sq")
    word = word if word.startswith("sq") else word.replace(" ", "")
    if word and "\u3400" <= word[0] <= "\u9fff":
        return next((UNIT[word[:size]] for size in range(min(len(word), 6), 0, -1) if word[:size] in UNIT), None)
    return UNIT.get(word)


def unit_after(text: str, at: int) -> tuple[str, Unit] | None:
    """The unit that stands right after position ``at``, with its word as written."""
    match = _AFTER.match(text, at)
    unit = unit_of(match.group(1)) if match else None
    return (match.group(1), unit) if match and unit else None


def converted(value: Fraction, source: Unit, target: Unit) -> Fraction:
    """``value`` of ``source`` in ``target``; both of one kind."""
    return (value * source.factor + source.offset - target.offset) / target.factor


def convert(text: str) -> str | None:
    """The answer to '5 km in miles' and the like; None where ``text`` asks no conversion."""
    found = numbers(text)
    if len(found) != 1 or len(text) > 120:
        return None
    source = unit_after(text, found[0].end)
    targets = [unit for match in _TARGET.finditer(text) if (unit := unit_of(match.group(1)))]
    if not source or not targets or not _only_conversion(text):
        return None
    target = targets[-1]
    if target.kind != source[1].kind or target == source[1]:
        return None
    value = converted(found[0].value, source[1], target)
    about = "≈" if (value * 10**6).denominator != 1 else "="
    return f"{plain(found[0].value)} {source[1].short} {about} {plain(value, 6)} {target.short}"


_CONVERSION_WORDS = words("""
    what what's is are how many much in into to convert please equal equals the a an of there do does make you tell me
    can could would be as degrees degree it get i change calculate
""")


def _only_conversion(text: str) -> bool:
    words = re.findall(r"[a-zA-Z/]+(?:'[a-z]+)?", text.lower())
    return all(word in _CONVERSION_WORDS or word in UNIT for word in words)


MONTHS = in_order(
    """
    january february march april may june july august september october november december
    """
)
_MONTH = {name: i for i, name in enumerate(MONTHS, 1)} | {name[:3]: i for i, name in enumerate(MONTHS, 1)} | {"sept": 9}


def iso_date(written: str, year: int | None = None) -> str | None:
    """A written date as YYYY-MM-DD; None where the year is not known or the date does not exist."""
    written = _HOUR.sub("", written)
    parts = [int(part) for part in re.findall(r"\d+", written)]
    month = next((_MONTH[w] for w in re.findall(r"[a-z]+", written.lower()) if w in _MONTH), None)
    if month:
        day = next((part for part in parts if part <= 31), 1)
        years = [part for part in parts if part > 31]
        return _iso(years[0] if years else year, month, day)
    if len(parts) == 3 and parts[0] > 31:
        return _iso(*parts)
    if len(parts) == 3:
        return _iso(parts[2] + (2000 if parts[2] < 100 else 0), *(parts[:2] if parts[0] <= 12 else parts[1::-1]))
    return _iso(year, *parts) if len(parts) == 2 and "月" in written else None


_HOUR = re.compile(r"(?<=\d)[T ]\d{1,2}:\d{2}\S*$")
"""The hour behind a date."""


def _iso(year: int | None, month: int, day: int) -> str | None:
    try:
        return date(year or 0, month, day).isoformat()
    except ValueError:
        return None


def clock(written: str) -> str | None:
    """A written time of day as HH:MM; None where it is not one."""
    lower = written.lower().replace(".", "")
    if lower in _NAMED:
        return _NAMED[lower]
    parts = [int(n.value) for n in numbers(lower.replace("点", " 点 ").replace(":", " "))]
    if not parts or parts[0] > 24:
        return None
    part = _PART_OF_DAY.search(lower)
    hour = parts[0] % 12 + 12 * bool(part and part["late"]) if part else parts[0]
    minute = 30 if "半" in lower or "half past" in lower else parts[1] if len(parts) > 1 else 0
    quarter = 15 * ("quarter past" in lower) - 15 * ("quarter to" in lower)
    at = 60 * hour + minute + quarter
    return f"{at // 60 % 24:02d}:{at % 60:02d}" if minute < 60 else None


_NAMED = {"noon": "12:00", "midnight": "00:00"}
_PART_OF_DAY = re.compile(r"am\b|morning|早|上午|凌晨|(?P<late>pm|afternoon|evening|night|下午|晚|中午)")


def is_either_half(written: str) -> bool:
    """Whether a written time may be one of the morning or one of the evening: 'five o'clock', '六点半'."""
    found, lower = clock(written), written.lower().replace(".", "")
    told = ":" in written or lower in _NAMED or _PART_OF_DAY.search(lower)
    return found is not None and not told and "00:59" < found < "13:00"


def iso_time(value: str) -> str | None:
    """A written time of day as HH:MM:SS; None where it is not one."""
    found = clock(value)
    return f"{found}:00" if found else None


def iso_datetime(value: str) -> str | None:
    """A written date and time as RFC 3339, UTC where it names no zone; None where it is not one."""
    return (
        value.replace(" ", "T") + ("" if value.endswith("Z") else "Z")
        if re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d$", value)
        else value
        if "T" in value
        else None
    )
