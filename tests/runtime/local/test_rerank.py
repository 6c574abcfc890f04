"""Putting texts in order: by shared words, by shared letters, and by meaning where a model is at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.rerank import MODELS, rerank, rerank_fast

Variant = Callable[..., list[tuple[int, float]]]
TEXTS = (
    "The train leaves at nine.",
    "Refunds are paid within thirty days of the request.",
    "A cat sleeps on the refund form.",
    "退款将在三十天内退回原来的银行卡。",
    "火车九点出发。",
    "Nothing here.",
)

both = pytest.mark.parametrize("variant", MODELS.values())


@both
@pytest.mark.parametrize(
    ("query", "first"),
    [("How do I request a refund?", 1), ("cats", 2), ("退款要几天", 3), ("火车几点出发", 4), ("train", 0)],
)
def test_the_fitting_text_comes_first(variant: Variant, query: str, first: int) -> None:
    assert variant(query, TEXTS, top_k=None)[0][0] == first


@both
def test_scores_fall_from_at_most_one_to_at_least_zero(variant: Variant) -> None:
    ranked = variant("refund request thirty days 退款", TEXTS, top_k=None)
    scores = [score for _, score in ranked]
    assert sorted(index for index, _ in ranked) == list(range(len(TEXTS)))
    assert scores == sorted(scores, reverse=True)
    assert 1 >= scores[0] > scores[-1] >= 0


@both
def test_equal_scores_keep_the_order_of_the_candidates(variant: Variant) -> None:
    ranked = variant("zebra", ["one", "two", "a zebra", "three", "a zebra"], top_k=None)
    assert [index for index, _ in ranked] == [2, 4, 0, 1, 3]
    assert [score for _, score in ranked[2:]] == [0, 0, 0]


@both
@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (3, 3), (99, 6), (None, 6)])
def test_top_k_bounds_the_answer(variant: Variant, top_k: int | None, count: int) -> None:
    assert len(variant("refund", TEXTS, top_k=top_k)) == count


@both
def test_a_rare_word_counts_for_more_than_a_common_one(variant: Variant) -> None:
    candidates = ["report report report", "report on zinc", "report on tin", "zinc"]
    assert variant("zinc report", candidates, top_k=1)[0][0] == 1
    assert [index for index, _ in variant("zinc report", candidates, top_k=2)] == [1, 3]


@both
def test_a_mention_in_a_short_text_says_more(variant: Variant) -> None:
    long = "zinc " + " ".join(f"word{n}" for n in range(80))
    assert [index for index, _ in variant("zinc", [long, "zinc mine", "coal"], top_k=2)] == [1, 0]


def test_misspelt_words_are_found_by_their_letters_alone_in_the_better_variant() -> None:
    assert rerank("acommodation in Lisbon", ["hotel food", "accommodation"], top_k=1)[0][0] == 1
    assert [score for _, score in rerank_fast("acommodation", ["hotel food", "accommodation"], top_k=None)] == [0, 0]


def test_a_model_of_meaning_lifts_a_text_without_a_shared_word() -> None:
    asked: list[tuple[str, Sequence[str]]] = []

    def similarity(query: str, candidates: Sequence[str]) -> list[float]:
        asked.append((query, candidates))
        return [0.1, 0.9, -0.5]

    candidates = ["my back hurts", "customers are reimbursed", "the lamp"]
    ranked = rerank("money back", candidates, top_k=None, similarity=similarity)
    assert [index for index, _ in ranked] == [1, 0, 2]
    assert asked == [("money back", candidates)]
    assert ranked[-1][1] == 0


def test_a_cosine_a_little_over_one_gives_no_score_over_one() -> None:
    ((_, score),) = rerank("a b", ["a b"], top_k=1, similarity=lambda query, candidates: [1.0000002])
    assert score <= 1


@both
@pytest.mark.parametrize(
    ("bad", "param"),
    [
        ({"query": " "}, "query"),
        ({"candidates": []}, "candidates"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": -1}, "top_k"),
    ],
)
def test_what_cannot_be_ranked_is_refused_by_name(variant: Variant, bad: dict[str, Any], param: str) -> None:
    given: dict[str, Any] = {"query": "q", "candidates": ["c"], "top_k": None, **bad}
    with pytest.raises(Failure) as caught:
        variant(given["query"], given["candidates"], top_k=given["top_k"])
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", param)


@both
def test_texts_without_words_rank_without_harm(variant: Variant) -> None:
    assert [score for _, score in variant("?!", ["...", "", "🙂"], top_k=None)] == [0, 0, 0]
    assert variant("the", ["of", "the"], top_k=None)[0][0] == 1
