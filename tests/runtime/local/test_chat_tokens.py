from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from infrai_core.tokens import PIECE, estimate, estimate_upper


def test_english_prose_is_about_four_characters_per_token() -> None:
    text = (
        "The council approved a modest increase in funding for the coastal railway, although several members objected."
    )
    assert len(text) / 5.5 < estimate(text) < len(text) / 3.5


def test_chinese_is_about_one_token_per_character() -> None:
    assert estimate("委员会批准了沿海铁路的预算") == 13


def test_digits_and_signs_weigh_more_than_letters() -> None:
    assert estimate("8301947265") > estimate("characters")
    assert estimate("{[(<!?>)]}") > estimate("characters")


def test_an_empty_text_has_no_tokens() -> None:
    assert (estimate(""), estimate_upper("")) == (0, 0)


@given(st.text(max_size=200))
def test_the_upper_bound_is_never_below_the_estimate(text: str) -> None:
    assert estimate_upper(text) >= estimate(text) >= bool(text)


@given(st.text(st.characters(max_codepoint=127), max_size=300))
def test_ascii_counts_the_same_alone_and_beside_another_script(text: str) -> None:
    assert estimate(f"{text}x") + estimate("\u4e2d") == estimate(f"{text}x\u4e2d")


@given(st.text(max_size=80), st.text(max_size=80))
def test_more_text_never_has_fewer_tokens(one: str, other: str) -> None:
    assert estimate(one + "\n" + other) >= max(estimate(one), estimate(other))


def test_a_long_text_has_the_tokens_of_its_words() -> None:
    words = 100_000
    for text in ("paws " * words, "paws " * words + "中"):
        assert words <= estimate(text) <= words + len(text) // PIECE + 2


def test_the_tokens_of_a_long_text_are_estimated_in_little_memory() -> None:
    text = "paws " * 200_000
    tracemalloc.start()
    try:
        estimate_upper(text)
        assert tracemalloc.get_traced_memory()[1] < 5 * len(text)
    finally:
        tracemalloc.stop()
