"""How long a prompt is taken to be: all that a model reads of a request counts."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from infrai_core.tokens import estimate_upper
from infrai_runtime.prompt import MEDIUM_TOKENS, MESSAGE_TOKENS, TOOLS_TOKENS, Prompt
from infrai_runtime.request import read

Json = dict[str, Any]

ROAD = {
    "type": "object",
    "properties": {"from": {"type": "string", "description": "where it begins: Portland, Oregon, or an address there"}},
    "required": ["from"],
}
TOOL: Json = {"type": "function", "function": {"name": "road", "description": "Finds a road.", "parameters": ROAD}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "road", "schema": ROAD}}


def prompt(capability: str = "chat", **body: Any) -> Prompt:
    return read(capability, {"messages": "Hello"} | body if capability == "chat" else body).prompt


def test_tools_are_read_too() -> None:
    tools = [TOOL | {"function": TOOL["function"] | {"name": f"road{number:02}"}} for number in range(40)]
    few, many = prompt(tools=tools[:1]), prompt(tools=tools)
    schema = estimate_upper(orjson.dumps(tools[0]).decode())
    assert few.careful >= prompt().careful + TOOLS_TOKENS + schema - 1
    assert many.careful - few.careful == pytest.approx(39 * schema, rel=0.05)
    assert many.in_bytes > 40 * len(orjson.dumps(TOOL))
    assert many.rough > 20 * prompt().rough


def test_the_schema_of_an_answer_is_read_too() -> None:
    assert prompt(response_format=SCHEMA).careful > prompt().careful + estimate_upper(orjson.dumps(ROAD).decode())


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "image"),
        ({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}, "audio"),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg=="}}, "file"),
    ],
)
def test_a_medium_counts_whatever_its_bytes_are(part: Json, kind: str) -> None:
    one = prompt(messages=[{"role": "user", "content": [part]}])
    two = prompt(messages=[{"role": "user", "content": [part, part]}])
    assert (one.careful, two.careful - one.careful) == (MEDIUM_TOKENS[kind] + MESSAGE_TOKENS, MEDIUM_TOKENS[kind])
    assert one.in_bytes == 0


@pytest.mark.parametrize("kind", ["image", "audio", "video", "file"])
@pytest.mark.parametrize("place", ["said", "answered", "found"])
def test_a_medium_is_known_of_wherever_it_stands_in_a_history(kind: str, place: str) -> None:
    medium, text = {"type": kind, "base64": "UklGRg=="}, {"type": "text", "text": "Look."}
    found = {"type": "tool_result", "tool_call_id": "c", "parts": [text, medium]}
    roles = {"said": ("user", medium), "answered": ("assistant", medium), "found": ("tool", found)}
    role, part = roles[place]
    history = [{"role": "user", "parts": [text]}, {"role": role, "parts": [part]}, {"role": "user", "parts": [text]}]
    (demanding,) = prompt(messages=history).demanding
    assert demanding["type"] == kind
    assert prompt(messages=[history[0]]).demanding == []


def test_images_to_look_at_count() -> None:
    seen = prompt("vision", prompt="What?", images=["https://example.com/a.png"] * 3)
    assert seen.careful > 3 * MEDIUM_TOKENS["image"]


def test_how_a_model_has_counted_words_says_nothing_of_what_stands_beside_them() -> None:
    seen = prompt("vision", prompt="What is this? " * 50, images=["https://example.com/a.png"])
    beside = MEDIUM_TOKENS["image"] + MESSAGE_TOKENS
    assert seen.careful_for(0.5) - beside == pytest.approx((seen.careful - beside) / 2, abs=1)


@pytest.mark.parametrize(
    ("capability", "body", "longest"),
    [
        ("embed", {"input": ["short", "a long text " * 50, "short"]}, "a long text " * 50),
        ("rerank", {"query": "q: ", "candidates": ["short", "a long text " * 50]}, "q: " + "a long text " * 50),
    ],
)
def test_texts_that_are_read_one_by_one_need_room_for_the_longest(capability: str, body: Json, longest: str) -> None:
    made = prompt(capability, **body)
    assert made.longest.text == longest
    assert made.in_bytes > made.longest.in_bytes


def test_a_query_is_read_with_every_text_that_is_ranked() -> None:
    few, many = (prompt("rerank", query="clever paws " * 20, candidates=["x"] * n).careful for n in (1, 11))
    assert many - few > 10 * estimate_upper("clever paws " * 20)


def test_a_chat_is_read_at_once() -> None:
    messages = [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]
    made = prompt(messages=messages)
    assert made.longest is made
