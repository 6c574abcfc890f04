"""When two values, an answer's text and an expectation count as the same. Pure functions, no files."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ANY = "$any"  # {"$any": [a, b, null]}: one of these; null means that the value may be missing

_EDGES = " \t\n.,;:!?'\"“”‘’。，；：！？、"
_NUMBER = re.compile(r"(?<![\d.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_INDEX = re.compile(r"\[(\w+)\]")
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])")

_VERBS_OF_SAYING = (
    "answer|say|tell|mention|contain|state|give|include|cover|hold|know|have|see|find|help|determine|"
    "calculate|compute|evaluate|work|read|parse|understand|make|solve|provide|specify"
)
_NEGATIONS = "can ?not|can't|could not|couldn't|unable to|not able to|do not|don't|does not|doesn't|did not|didn't"
_ABSTAINS = re.compile(
    rf"(?:{_NEGATIONS})(?:\W+\w+){{0,2}}?\W+(?:{_VERBS_OF_SAYING})(?:e?d|s)?\b"
    r"|\b(?:is|are|was)(?: not|n't) (?:\w+ )?"
    r"(?:in|stated|given|mentioned|found|available|covered|said|answered)\b"
    r"|\bnot (?:an?|something) (?:[\w-]+ ){0,3}(?:expression|calculation|sum|calculate|compute|number)\b"
    r"|\bnot (?:sure|enough|valid|well[- ]formed)\b|\b(?:insufficient|malformed|invalid|lack)\b"
    r"|\b(?:no|nothing)\b[^.]{0,40}\b(?:answer|answers|information|mention|mentions|says|found|knowledge)\b"
    r"|不知道|不清楚|不确定|无法|不能|回答不了|算不了|找不到|没找到|没有(?:找到|提到|提及|说明|相关|写|关于|[^。]{0,12}(?:答案|信息|内容|资料))|未(?:提及|提到|找到|说明)"
)
_UNDEFINED = re.compile(
    r"undefined|not defined|indeterminate|no (?:value|result|answer)\b"
    r"|(?:by|through) (?:zero|0)\b.*(?:impossible|not (?:possible|allowed))"
    r"|(?:can ?not|can't|impossible to|not possible to|may not|do not) (?:be )?divid"
    r"|(?:不能|无法|不可)(?:除以|被)|除数不能|没有意义|无意义|未定义"
)


def folded(text: str) -> str:
    """The text without differences of width, case, space and quote style."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").replace("−", "-")
    return " ".join(plain.casefold().split())


def contains(text: str, part: str) -> bool:
    """Whether the part occurs in the text, both folded."""
    return folded(part) in folded(text)


def same(expected: Any, got: Any) -> bool:
    """Whether a value is the expected one. Types count: "36" is not 36, and True is not 1.

    Strings are compared folded and without punctuation at their edges, numbers with a relative tolerance of
    1e-6, lists in any order. ``{"$any": [...]}`` accepts each of its values.
    """
    if isinstance(expected, Mapping) and ANY in expected:
        return any(same(choice, got) for choice in expected[ANY])
    if isinstance(expected, str) and isinstance(got, str):
        return folded(expected).strip(_EDGES) == folded(got).strip(_EDGES)
    if isinstance(expected, list) and isinstance(got, list):
        return _same_items(expected, got)
    if _is_number(expected) and _is_number(got):
        return math.isclose(expected, got, rel_tol=1e-6)
    return type(expected) is type(got) and bool(expected == got)


def _same_items(expected: Sequence[Any], got: Sequence[Any]) -> bool:
    left = list(got)
    for item in expected:
        found = next((index for index, value in enumerate(left) if same(item, value)), None)
        if found is None:
            return False
        del left[found]
    return not left


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of an object as (dotted path, value). A list of plain values is one field.

    >>> dict(leaves({"a": {"b": 1}, "c": [{"d": 2}], "e": ["x", "y"]}))
    {'a.b': 1, 'c.0.d': 2, 'e': ['x', 'y']}
    """
    inner = _inner(value)
    if inner is None:
        yield path, value
        return
    for key, item in inner.items():
        yield from leaves(item, f"{path}.{key}" if path else key)


def _inner(value: Any) -> dict[str, Any] | None:
    if isinstance(value, Mapping) and ANY not in value:
        return dict(value)
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return {str(index): item for index, item in enumerate(value)}
    return None


def dotted(path: str) -> str:
    """The one form of a path: ``items[0].name`` and ``$.items.0.name`` become ``items.0.name``."""
    return _INDEX.sub(r".\1", path).removeprefix("$").strip(".")


def covered(path: str, declared: set[str]) -> bool:
    """Whether the path or an object around it is among the declared ones."""
    steps = path.split(".")
    return any(".".join(steps[:length]) in declared for length in range(1, len(steps) + 1))


def numbers(text: str) -> list[float]:
    """The numbers written in digits, in order; ``1,776`` is one, and the minus of ``9-4`` is not a sign."""
    return [float(found) for found in _NUMBER.findall(_THOUSANDS.sub("", folded(text)))]


def sentences(passage: str) -> list[str]:
    """The passage cut after each mark that ends a sentence."""
    return [part.strip() for part in _SENTENCE_END.split(passage) if part.strip()]


def abstains(text: str) -> bool:
    """Whether the text says in English or Chinese that there is no answer."""
    return bool(_ABSTAINS.search(folded(text)))


def says_undefined(text: str) -> bool:
    """Whether the text says that the result is not defined."""
    return bool(_UNDEFINED.search(folded(text)))
