"""Thoughts between marks at the beginning of a text come out the same however the text is cut."""

from __future__ import annotations

from itertools import groupby

import pytest

from infrai_runtime.vendors.openai_like.thought import Marked


def told(*pieces: str) -> list[tuple[str, str]]:
    marked = Marked()
    said = [*(one for piece in pieces for one in marked.feed(piece)), *marked.end()]
    return [(kind, "".join(text for _, text in group)) for kind, group in groupby(said, key=lambda one: one[0])]


TEXTS = {
    "<think>So.</think>\n\n42 < 43": [("reasoning", "So."), ("text", "42 < 43")],
    "\n<think>a </thin b</think>c </think> d": [("reasoning", "a </thin b"), ("text", "c </think> d")],
    "no <think>thoughts</think>": [("text", "no <think>thoughts</think>")],
    "<thin": [("text", "<thin")],
    "<b>": [("text", "<b>")],
    "<think>cut </th": [("reasoning", "cut </th")],
    "<think>only</think> \n": [("reasoning", "only")],
    "": [],
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.items())
def test_the_pieces_do_not_matter(text: str, expected: list[tuple[str, str]]) -> None:
    assert told(text) == told(*text) == expected
    for place in range(len(text)):
        assert told(text[:place], text[place:]) == expected
