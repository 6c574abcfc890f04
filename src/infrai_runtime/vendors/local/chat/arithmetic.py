"""Sums asked in words or signs, worked out exactly. A recursive-descent parser over a closed vocabulary; no eval."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from math import isqrt

from .measure import convert, numbers, plain
from .word import has_cjk, words

_MAX_TOKENS = 80
_MAX_POWER = 512
_MAX_BITS = 4096

_FILLER = words("""
    what what's whats is are the a an of result value please calculate compute evaluate work out how much many does do
    equal equals make you tell me can could answer to solve find i get if number when just exact
""")
_LEAD_CJK = re.compile(r"请问|请|计算|一下|等于|是多少|多少|结果|算|帮我|的值|吗|呢|[?？。!！=＝]|是")
_PHRASE: tuple[tuple[str, str], ...] = (
    (r"divided by|除以", " / "),
    (r"multiplied by|times|乘以|乘|×|(?<=\d)\s*x\s*(?=\d)", " * "),
    (r"(?:raised )?to the power of|to the|\*\*", " ^ "),
    (r"square root of|根号|√", " sqrt "),
    (r"cube root of", " cbrt "),
    (r"平方根", " rootof "),
    (r"squared|平方|²", " ^ 2 "),
    (r"cubed|立方|³", " ^ 3 "),
    (r"次方|次幂|\bpower\b|(?<=\d)(?:st|nd|rd|th)\b", " "),
    (r"plus|加上|加|＋", " + "),
    (r"minus|减去|减|−|－", " - "),
    (r"÷|\bover\b|／", " / "),
    (r"percent of|% of|per cent of|[%％]的", " share "),
    (r"percent|per cent|[%％]", " percent "),
    (r"half of|half", " 1/2 * "),
    (r"double|twice", " 2 * "),
    (r"triple", " 3 * "),
    (r"a third of|one third of", " 1/3 * "),
    (r"a quarter of|one quarter of", " 1/4 * "),
    (r"modulo|mod", " mod "),
    (r"factorial of|factorial", " factorial "),
    (r"and|,|，|和|与", " , "),
)
_PHRASES = tuple((re.compile(pattern, re.IGNORECASE), sign) for pattern, sign in _PHRASE)
_PERCENT_CJK = re.compile(r"百分之\s*([\d.]+|[零一二两三四五六七八九十百]+)")
_SHARE_CJK = re.compile(r"(?<![\d.])(\d{1,20}(?:\.\d{1,20})?)\s*的\s*(?:百分之\s*)?(\d{1,20}(?:\.\d{1,20})?)\s*[%％]")
_POWER_CJK = re.compile(r"(?<=\d)\s*的\s*(?=[\d.]+\s*次)")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[-+*/^(),]|share|percent|[a-z]+|\S")
_LIST = {"sum": "+", "total": "+", "product": "*", "difference": "-", "quotient": "/", "add": "+", "multiply": "*"}
_LIST_MORE = frozenset({"average", "mean"})
_COMMAND = {"subtract": "-", "divide": "/", "take": "-"}
_LINK = frozenset({"between", "numbers", "from", "by", "with", "together", "up"})


class _NotArithmetic(Exception):
    """The text is not a sum, or one too big to work out."""


def solve(text: str) -> str | None:
    """The answer to a sum or a unit conversion asked in ``text``, or None where it asks something else."""
    asked = text.strip()
    if len(asked) > 300:
        return None
    converted = convert(asked)
    if converted:
        return converted
    try:
        expression = _tokens(asked)
        value = _whole(expression)
    except ZeroDivisionError:
        return f"{_shown(expression)} has no value: it divides by zero."
    except _NotArithmetic:
        return None
    return f"{_shown(expression)} = {plain(value)}"


def expression(text: str) -> str | None:
    """The sum asked in ``text``, written in signs; None where it asks no sum."""
    try:
        found = _tokens(text[:300])
        _whole(found)
    except (_NotArithmetic, ZeroDivisionError):
        return None
    return _shown(found)


def _tokens(text: str) -> list[str]:
    if has_cjk(text):
        text = _SHARE_CJK.sub(r" \2 share \1 ", text)
        text = _POWER_CJK.sub(" ^ ", _PERCENT_CJK.sub(r" \1 share ", text))
        text = _LEAD_CJK.sub(" ", text)
    text = _digits(text).lower().replace("?", " ").replace("=", " ").rstrip(". !")
    for pattern, sign in _PHRASES:
        text = pattern.sub(sign, text)
    text = text.replace("的", " ")
    found = [token for token in _TOKEN.findall(text.replace("'", "")) if token not in _FILLER]
    if len(found) > _MAX_TOKENS or not any(token[0].isdigit() for token in found):
        raise _NotArithmetic
    return _trim(found)


def _digits(text: str) -> str:
    """``text`` with every number, also in words, written in digits; signs stay signs."""
    for number in reversed(numbers(text)):
        written = text[number.start : number.end]
        negative = written.startswith(("-", "\u2212"))
        text = text[: number.start] + (" - " if negative else "") + plain(abs(number.value)) + text[number.end :]
    return text


def _trim(found: list[str]) -> list[str]:
    """Drops a comma that the sentence left at either end."""
    while found and found[-1] == ",":
        found.pop()
    while found and found[0] == ",":
        found.pop(0)
    return found


def _whole(found: list[str]) -> Fraction:
    words = [token for token in found if token.isalpha()]
    if words and (words[0] in _LIST or words[0] in _LIST_MORE or words[0] in _COMMAND) and found[0] == words[0]:
        return _listed(found)
    if len(found) < 2 or all(token[0].isdigit() for token in found):
        raise _NotArithmetic
    parser = _Parser(found)
    value = parser.sum()
    if parser.left():
        raise _NotArithmetic
    return value


def _listed(found: list[str]) -> Fraction:
    """'sum of 3, 4 and 5', 'difference between 9 and 4', 'subtract 4 from 10'."""
    head, rest = found[0], [token for token in found[1:] if token not in _LINK]
    values = [Fraction(token) for token in rest if token[0].isdigit()]
    if len(values) < 2 or any(not token[0].isdigit() and token not in (",", "*", "-") for token in rest):
        raise _NotArithmetic
    if "from" in found or head == "take":
        values.reverse()
    if head in _LIST_MORE:
        return sum(values, Fraction(0)) / len(values)
    sign = _LIST.get(head) or _COMMAND[head]
    total = values[0]
    for value in values[1:]:
        total = _OPERATE[sign](total, value)
    return abs(total) if head == "difference" else total


def _shown(found: list[str]) -> str:
    """The sum as it was understood, in signs."""
    if sign := _LIST.get(found[0]) or _COMMAND.get(found[0]):
        values = [token for token in found if token[0].isdigit()]
        found = f" {sign} ".join(values[::-1] if "from" in found else values).split()
    return (
        " ".join(found)
        .replace("( ", "(")
        .replace(" )", ")")
        .replace(" share ", "% of ")
        .replace(" percent", "%")
        .replace(" , ", ", ")
    )


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > _MAX_POWER:
        raise _NotArithmetic
    if base.numerator.bit_length() * abs(exponent.numerator) > _MAX_BITS:
        raise _NotArithmetic
    return Fraction(base**exponent.numerator)


def _root(value: Fraction, degree: int) -> Fraction:
    """The root, exact where it is rational, else to twelve places."""
    if value < 0 or max(value.numerator, value.denominator).bit_length() > _MAX_BITS:
        raise _NotArithmetic
    scale: int = 10**12
    whole = value.numerator * scale**degree // value.denominator
    return Fraction(isqrt(whole) if degree == 2 else _integer_root(whole, degree), scale)


def _integer_root(value: int, degree: int) -> int:
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low


def _factorial(value: Fraction) -> Fraction:
    if value.denominator != 1 or not 0 <= value <= 300:
        raise _NotArithmetic
    total = 1
    for factor in range(2, value.numerator + 1):
        total *= factor
    return Fraction(total)


_OPERATE: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "mod": lambda a, b: a % b,
    "share": lambda a, b: a * b / 100,
}
_BEFORE: dict[str, Callable[[Fraction], Fraction]] = {
    "sqrt": lambda value: _root(value, 2),
    "cbrt": lambda value: _root(value, 3),
    "factorial": _factorial,
    "-": lambda value: -value,
    "+": lambda value: value,
}


class _Parser:
    """sum := product (+|- product)*; product := power (*|/|mod|share power)*; power := atom (^ power)?"""

    def __init__(self, found: list[str]) -> None:
        self._found = found
        self._at = 0
        self._depth = 0

    def left(self) -> bool:
        return self._at < len(self._found)

    def _take(self, *wanted: str) -> str | None:
        if self.left() and self._found[self._at] in wanted:
            self._at += 1
            return self._found[self._at - 1]
        return None

    def sum(self) -> Fraction:
        value = self._product()
        while sign := self._take("+", "-"):
            part = self._product()
            if self._take("percent"):
                part = value * part / 100
            value = _OPERATE[sign](value, part)
        return value

    def _product(self) -> Fraction:
        value = self._powered()
        while sign := self._take("*", "/", "mod", "share"):
            value = _OPERATE[sign](value, self._powered())
        if value.numerator.bit_length() > 4 * _MAX_BITS:
            raise _NotArithmetic
        return value

    def _powered(self) -> Fraction:
        value = self._atom()
        if self._take("^"):
            value = _power(value, self._powered())
        if self._take("rootof"):
            value = _root(value, 2)
        return value

    def _atom(self) -> Fraction:
        self._depth += 1
        if self._depth > 2 * _MAX_TOKENS:
            raise _NotArithmetic
        if before := self._take(*_BEFORE):
            return _BEFORE[before](self._powered())
        if self._take("("):
            value = self.sum()
            if not self._take(")"):
                raise _NotArithmetic
            return value
        return self._number()

    def _number(self) -> Fraction:
        if not self.left() or not self._found[self._at][0].isdigit():
            raise _NotArithmetic
        self._at += 1
        return Fraction(self._found[self._at - 1])
