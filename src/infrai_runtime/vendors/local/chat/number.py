"""Numbers written in text: digits, English number words, Chinese numerals."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from .word import NUMBER_WORD


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
_FIND = re.compile(
    rf"(?P<digits>(?<![A-Za-z\d.])(?:[-\u2212](?=\d))?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?)"
    rf"(?:\s?(?P<scale>hundred|thousand|million|billion|bn|(?-i:[kKM])(?![a-zA-Z]))|(?P<big>[万亿]))?"
    rf"|\b(?P<words>(?:{_WORDS})(?:(?:[\s-]|\sand\s)(?:{_WORDS}))*)\b"
    rf"|(?P<cjk>[零一二两三四五六七八九十百千万亿〇]+)",
    re.IGNORECASE,
)


def numbers(text: str) -> list[Number]:
    """Every number in ``text``, in order."""
    return [Number(value, m.start(), m.end()) for m in _FIND.finditer(text) if (value := _value(m)) is not None]


def _value(match: re.Match[str]) -> Fraction | None:
    if match.group("digits"):
        value = Fraction(match.group("digits").replace(",", "").replace("\u2212", "-")[:60])
        scale = (match.group("scale") or "").lower()
        return value * _SCALE.get(scale, 1) * _CJK_BIG.get(match.group("big") or "", 1)
    if match.group("words"):
        return _from_words(re.split(r"[\s-]+", match.group("words").lower()))
    return _from_cjk(match.group("cjk"))


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
