"""Text that goes on chunk by chunk is one piece where it came at once; none of it is lost or put elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from infrai_runtime.vendors.base import Event, Fragment
from infrai_runtime.vendors.openai_like.answer import Broken, Reader
from infrai_runtime.vendors.openai_like.rows import PLAIN
from tests.vendors.openai_answers import chunk


def written(*texts: str) -> Reader:
    reader = Reader(PLAIN)
    for text in texts:
        given = chunk({"content": text})
        if not reader.hold(given):
            reader.feed(given)
    return reader


def said(text: str, choice: int = 0) -> list[Event]:
    return [Fragment(0, {"type": "text", "text": text}, choice)]


def test_text_that_goes_on_is_held_and_given_out_once() -> None:
    reader = written("Par", "is", " is", " nice")
    assert reader.held() == said("is is nice")  # the first chunk began the text and was no going on
    assert reader.held() == []


def test_the_first_chunk_of_a_text_is_not_held() -> None:
    assert not Reader(PLAIN).hold(chunk({"content": "Par"}))


@pytest.mark.parametrize(
    "other",
    [
        chunk({"content": "x"}, "stop"),
        chunk({"content": "x", "refusal": "no"}),
        chunk({"content": ""}),
        chunk({"content": None}),
        chunk({"content": [{"type": "text", "text": "x"}]}),
        chunk({"reasoning_content": "x"}),
        chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}),
        chunk({"content": "x"}, usage={"prompt_tokens": 1, "completion_tokens": 1}),
        chunk({"content": "x"}, search_results=[{"url": "https://a.example"}]),
        chunk({"content": "x"}) | {"object": "error"},
        chunk({"content": "x"}) | {"choices": [{"index": 1, "delta": {"content": "x"}}]},
        chunk({"content": "x"}) | {"choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": {"content": []}}]},
        chunk(None),
        [],
        None,
        {"choices": [None]},
        {"choices": [{"delta": "x"}]},
    ],
)
def test_a_chunk_that_says_anything_else_is_left_to_be_read(other: Any) -> None:
    reader = written("a", "b")
    assert not reader.hold(other)
    assert reader.held() == said("b")


def test_text_of_another_answer_is_not_put_behind_it() -> None:
    reader = written("a")
    reader.feed(chunk(None) | {"choices": [{"index": 1, "delta": {"content": "A"}}]})
    assert reader.hold(chunk({"content": "b"}))
    assert not reader.hold(chunk(None) | {"choices": [{"index": 1, "delta": {"content": "B"}}]})
    assert reader.held() == said("b")
    assert reader.hold(chunk(None) | {"choices": [{"index": 1, "delta": {"content": "B"}}]})
    assert reader.held() == said("B", choice=1)


def test_what_was_held_survives_a_chunk_that_breaks() -> None:
    reader = written("a", "b")
    with pytest.raises(Broken):
        reader.feed(chunk({}, "error"))
    assert reader.held() == said("b")
