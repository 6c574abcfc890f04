"""Puts candidate texts in the order of their fit to a query, by the words and letters they share.

Two variants: ``rerank_fast`` is BM25 alone; ``rerank`` adds letter n-grams, so that a misspelt or inflected
word still counts, and a similarity of meaning where the caller has a model for it. English and Chinese.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.keyword import grams, is_cjk, terms, weight

Similarity = Callable[[str, Sequence[str]], Sequence[float]]
"""``similarity(query, candidates)``: one cosine per candidate, -1 to 1."""

_SATURATION, _LENGTH = 1.2, 0.75  # BM25's k1 and b, at their textbook values
_GRAM_SHARE, _MEANING_SHARE = 0.4, 0.6


def rerank(
    query: str, candidates: Sequence[str], *, top_k: int | None, similarity: Similarity | None = None
) -> list[tuple[int, float]]:
    """The best ``top_k`` candidates (None: all) as (index, score 0 to 1), best first, ties by index.

    Words count for more than letter n-grams; with ``similarity`` its part is the larger one. Raises
    ``Failure`` INVALID_REQUEST for an empty query, no candidates or ``top_k`` < 1.
    """
    _check(query, candidates, top_k)
    scores = _mix(_bm25(query, candidates), _shared_grams(query, candidates), _GRAM_SHARE)
    if similarity is not None:
        scores = _mix(scores, _clamped(similarity(query, candidates)), _MEANING_SHARE)
    return _best(scores, top_k)


def rerank_fast(query: str, candidates: Sequence[str], *, top_k: int | None) -> list[tuple[int, float]]:
    """``rerank`` by BM25 alone: about five times as fast, blind to misspelt words."""
    _check(query, candidates, top_k)
    return _best(_bm25(query, candidates), top_k)


MODELS = {"infrai-rerank": rerank, "infrai-rerank-fast": rerank_fast}
"""Model id -> variant. The first is the default."""


def _check(query: str, candidates: Sequence[str], top_k: int | None) -> None:
    if not query.strip():
        raise Failure("INVALID_REQUEST", "query is empty: there is nothing to rank by", param="query")
    if not candidates:
        raise Failure("INVALID_REQUEST", "candidates is empty: give at least one text", param="candidates")
    if top_k is not None and top_k < 1:
        raise Failure("INVALID_REQUEST", f"top_k must be at least 1, got {top_k}", param="top_k")


def _bm25(query: str, candidates: Sequence[str]) -> list[float]:
    """The part of the query's weight that each candidate covers; a term says more the fewer texts have it."""
    counted = [Counter(terms(candidate)) for candidate in candidates]
    lengths = [count.total() for count in counted]
    usual = sum(lengths) / len(lengths) or 1.0
    wanted = {term: weight(term) for term in terms(query)}
    weights = _rarity(wanted, counted)
    return [
        _covered(weights, {term: _saturated(count[term], length / usual) for term in weights.keys() & count})
        for count, length in zip(counted, lengths, strict=True)
    ]


def _saturated(times: int, relative_length: float) -> float:
    """0 to 1: the second mention adds less than the first, and a mention in a long text says less."""
    return times / (times + _SATURATION * (1 - _LENGTH + _LENGTH * relative_length))


def _shared_grams(query: str, candidates: Sequence[str]) -> list[float]:
    found = [_all_grams(candidate) for candidate in candidates]
    wanted = {gram: weight(gram) if is_cjk(gram) else 1.0 for gram in _all_grams(query)}
    weights = _rarity(wanted, found)
    return [_covered(weights, dict.fromkeys(weights.keys() & have, 1.0)) for have in found]


def _all_grams(text: str) -> set[str]:
    words = set(terms(text))
    telling = {word for word in words if weight(word) >= _TELLING} or words
    return {gram for word in telling for gram in grams(word)}


_TELLING = 0.3  # leaves out stop words: their letters are in every text


def _rarity(wanted: Mapping[str, float], documents: Sequence[Collection[str]]) -> Mapping[str, float]:
    """What each wanted term says by itself, times how well it tells these documents apart (never nothing)."""
    having = {term: sum(term in document for document in documents) for term in wanted}
    return {term: says * _idf(having[term], len(documents)) for term, says in wanted.items()}


def _idf(having: int, of: int) -> float:
    return math.log(1 + (of - having + 0.5) / (having + 0.5))


def _covered(weights: Mapping[str, float], shares: Mapping[str, float]) -> float:
    total = math.fsum(weights.values())
    return math.fsum(weights[term] * share for term, share in shares.items()) / total if total else 0.0


def _mix(first: Sequence[float], second: Sequence[float], share: float) -> list[float]:
    return [(1 - share) * a + share * b for a, b in zip(first, second, strict=True)]


def _clamped(cosines: Sequence[float]) -> list[float]:
    return [min(1.0, max(0.0, float(cosine))) for cosine in cosines]


def _best(scores: Sequence[float], top_k: int | None) -> list[tuple[int, float]]:
    ranked = sorted(enumerate(scores), key=lambda each: (-each[1], each[0]))
    return ranked[:top_k]
