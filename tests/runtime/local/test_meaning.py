from __future__ import annotations

from collections.abc import Sequence

from infrai_runtime.vendors.local.chat import rank
from infrai_runtime.vendors.local.meaning import Meaning


class Letters:
    """A model whose vectors say whether a text has an a and a b."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked += texts
        return [[float("a" in text), float("b" in text)] for text in texts]


def test_texts_are_near_as_their_vectors_are_and_blank_ones_are_far() -> None:
    assert Meaning(Letters())("a", ["a", "b", " ", "ab"]) == [1.0, 0.0, 0.0, 1.0]
    assert Meaning(Letters())(" ", ["a"]) == [0.0]


def test_a_text_is_embedded_once() -> None:
    model = Letters()
    near = Meaning(model)
    near("a", ["x", "y", "x"])
    near("a", ["y", "z"])
    assert model.asked == ["a", "x", "y", "z"]


def test_what_was_used_longest_ago_is_forgotten() -> None:
    model = Letters()
    near = Meaning(model, remembered=2)
    near("a", ["x", "y"])
    near("q", ["y"])
    near("q", ["x"])
    assert model.asked == ["a", "x", "y", "q", "x"]


def test_only_the_best_texts_by_words_are_compared_in_meaning() -> None:
    seen: list[int] = []

    def similarity(query: str, texts: Sequence[str]) -> list[float]:
        seen.append(len(texts))
        return [1.0 if "boat" in text else 0.0 for text in texts]

    texts = [f"sentence {n} about trees" for n in range(200)] + ["the boat sinks"]
    scored = rank.score("where is the boat", texts, [""] * len(texts), similarity=similarity)
    assert max(range(len(texts)), key=lambda i: scored[i].rank) == 200
    assert seen[0] < 50
