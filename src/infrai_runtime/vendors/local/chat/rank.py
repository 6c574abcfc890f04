"""How well sentences support a question: BM25, coverage of the question's terms, character n-grams, embeddings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import log

from .concept import related
from .measure import numbers
from .word import stem, stems, terms, tokens

Similarity = Callable[[str, Sequence[str]], Sequence[float]]

_K1, _B = 1.2, 0.6
_NAME = re.compile(r"(?<![.?!]\s)(?<!^)\b[A-Z][\w]+")
_INTRODUCTION = re.compile(r"\b(?:I am|I'm|I\u2019m|[Cc]all me|[Tt]his is)\s+[A-Z]|我叫|我是|叫我")


class Scored(tuple[float, float]):
    """(rank, support): rank orders sentences; support in 0..1 says how much of the question one sentence covers."""

    __slots__ = ()

    @property
    def rank(self) -> float:
        return self[0]

    @property
    def support(self) -> float:
        return self[1]


def score(
    question: str,
    texts: Sequence[str],
    around: Sequence[str],
    *,
    similarity: Similarity | None = None,
    thorough: bool = True,
) -> list[Scored]:
    """One score per text. ``around[i]`` is the neighbourhood (title, sentence before) that may name what text i
    only refers to. With ``thorough`` word forms and synonyms are compared too; ``similarity`` adds meaning."""
    asked = list(dict.fromkeys(terms(question)))
    bags = [Counter(terms(text) + _said_by_speaker(text)) for text in texts]
    nearby = [set(terms(text)) for text in around]
    weight = _weights(asked, bags, question)
    fit = _Fit(thorough)
    rows = [_row(asked, bag, near, weight, fit) for bag, near in zip(bags, nearby, strict=True)]
    ranked = _bm25(asked, bags, weight)
    bonus = [_type_bonus(question, text) for text in texts]
    scored = [Scored((r + 0.35 * b + extra, r)) for r, b, extra in zip(rows, ranked, bonus, strict=True)]
    return _with_meaning(question, texts, scored, similarity) if similarity and texts else scored


def _said_by_speaker(text: str) -> list[str]:
    """'I am Ada' tells a name without the word."""
    return ["name", "名字"] if _INTRODUCTION.search(text) else []


def _weights(asked: Sequence[str], bags: Sequence[Counter[str]], question: str) -> dict[str, float]:
    """The rarer a term, the more it says; names and numbers say most."""
    size = len(bags)
    named = {stem(word) for match in _NAME.findall(question) for word in tokens(match)}
    weight = {}
    for term in asked:
        seen = sum(term in bag for bag in bags)
        weight[term] = log(2 + (size - seen + 0.5) / (seen + 0.5)) * (1.5 if term in named or term.isdigit() else 1.0)
        weight[term] = min(weight[term], 4.0) * (_SLIGHT if term in _VAGUE else 1.0)
    return weight


_SLIGHT = 0.35
_VAGUE = stems("""
    go use kind sort type thing happen today now currently nowadays remain keep become do need must new still each
    every one time during within inside again often usually work long big far kind people person
""")
"""Words of questions that an answer rarely repeats."""


class _Fit:
    """How well one question term is met by a set of terms, with the comparisons remembered."""

    def __init__(self, thorough: bool) -> None:
        self._thorough = thorough
        self._known: dict[tuple[str, str], float] = {}

    def __call__(self, term: str, bag: Counter[str] | set[str]) -> float:
        if term in bag:
            return 1.0
        if term.isdigit():
            return 0.0
        return max((self._pair(term, other) for other in bag), default=0.0)

    def _pair(self, term: str, other: str) -> float:
        key = (term, other)
        if key not in self._known:
            self._known[key] = self._compare(term, other)
        return self._known[key]

    def _compare(self, term: str, other: str) -> float:
        if related(term, other):
            return 0.75
        return _form(term, other) if self._thorough else 0.0


@lru_cache(maxsize=50_000)
def _form(one: str, other: str) -> float:
    """Likeness of two word forms by their character trigrams; 0 where it is too low to mean anything."""
    if min(len(one), len(other)) < 4 or one[:3] != other[:3] or one.isdigit() or other.isdigit():
        return 0.0
    first, second = _grams(one), _grams(other)
    dice = 2 * len(first & second) / (len(first) + len(second))
    return 0.8 * dice if dice >= 0.5 else 0.0


def _grams(word: str) -> set[str]:
    padded = f"^{word}"
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def _row(asked: Sequence[str], bag: Counter[str], near: set[str], weight: dict[str, float], fit: _Fit) -> float:
    """Coverage: the share of the question's weight that the sentence meets, its neighbourhood counting half."""
    total = sum(weight.values())
    if not total:
        return 0.0
    met = sum(weight[term] * max(fit(term, bag), 0.55 * fit(term, near)) for term in asked)
    own = any(fit(term, bag) >= 0.5 for term in asked)
    return met / total if own else 0.4 * met / total


def _bm25(asked: Sequence[str], bags: Sequence[Counter[str]], weight: dict[str, float]) -> list[float]:
    """BM25 scaled to its own best, 0..1."""
    mean = sum(sum(bag.values()) for bag in bags) / max(1, len(bags)) or 1.0
    raw = []
    for bag in bags:
        length = _K1 * (1 - _B + _B * sum(bag.values()) / mean)
        raw.append(sum(weight[t] * bag[t] * (_K1 + 1) / (bag[t] + length) for t in asked if bag[t]))
    best = max(raw, default=0.0) or 1.0
    return [value / best for value in raw]


_DATE = re.compile(
    r"\b(?:1\d{3}|20\d\d)\b|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)"
    r"[a-z]*\b|\d\s?(?:am|pm|a\.m|p\.m)|\d:\d\d|[年月日点]|\b(?:noon|midnight|morning|evening|yesterday|tomorrow)\b"
)
_CAPITAL = re.compile(r"\b[A-Z][a-z]+|[\u3400-\u9fff]{2}")
_PLACE = re.compile(r"\b(?:in|at|on|near|from|to|inside|behind|under)\s+(?:the\s+)?\w+|[在于位]")
_MONEY = re.compile(r"[$€£¥]\s?\d|\d+(?:\.\d+)?\s?(?:dollars?|euros?|pounds?|yuan|cents?|USD|EUR|GBP|元|块|美元)")
_CAUSE = re.compile(r"\b(?:because|since|due to|so that|in order to|caused|reason|to \w+|owing)\b|因为|由于|为了")
_TYPES: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (
        re.compile(r"\bwhen\b|what (?:year|date|day|time)|which year|什么时候|何时|哪年|哪一年|几点|几号", re.I),
        lambda t: bool(_DATE.search(t)),
    ),
    (re.compile(r"\bhow much\b|price|cost|多少钱", re.I), lambda t: bool(_MONEY.search(t)) or bool(numbers(t))),
    (
        re.compile(
            r"\bhow (?:many|old|long|far|tall|big|often|fast|high|deep|large|heavy)\b|多少|几|多大|多长|多高", re.I
        ),
        lambda t: any(not _is_year(n.value) for n in numbers(t)),
    ),
    (re.compile(r"\bwho(?:se|m)?\b|谁", re.I), lambda t: len(_CAPITAL.findall(t)) > 1 or "\u4e00" <= t[:1] <= "\u9fff"),
    (re.compile(r"\bwhere\b|哪里|哪儿|什么地方", re.I), lambda t: bool(_PLACE.search(t))),
    (re.compile(r"\bwhy\b|为什么|原因", re.I), lambda t: bool(_CAUSE.search(t))),
)


def _is_year(value: Fraction) -> bool:
    """'1932' tells when, and not how long, how many or how far."""
    return value.denominator == 1 and 1000 <= value <= 2100


def _type_bonus(question: str, text: str) -> float:
    """A little more for a sentence that holds the kind of thing asked for, a little less for one that does not."""
    for asks, holds in _TYPES:
        if asks.search(question):
            return 0.12 if holds(text) else -0.12
    return 0.0


_MEANT = 32
"""How many texts are compared in meaning: that costs far more than words, so only the best by words are."""


def _with_meaning(question: str, texts: Sequence[str], scored: list[Scored], similarity: Similarity) -> list[Scored]:
    """Blends in embedding similarity: 0.2 and below means nothing, 0.65 and above is a full match."""
    best = sorted(range(len(texts)), key=lambda i: -scored[i].rank)[:_MEANT]
    cosines = dict(zip(best, similarity(question, [texts[i] for i in best]), strict=True))
    close = [min(1.0, max(0.0, (cosines.get(i, 0.0) - 0.2) / 0.45)) for i in range(len(texts))]
    return [
        Scored((s.rank + 0.8 * c, max(0.5 * s.support + 0.5 * c, s.support if s.support >= 0.75 else 0.0, 0.75 * c)))
        for s, c in zip(scored, close, strict=True)
    ]
