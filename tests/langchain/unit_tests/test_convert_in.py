"""LangChain messages -> wire messages."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from infrai_core import UnsupportedContent
from langchain_infrai._convert import wire_messages

TEXT = {"type": "text", "text": "hi"}


def parts_of(message: BaseMessage) -> list[dict[str, Any]]:
    [found] = wire_messages([message])
    parts: list[dict[str, Any]] = found["parts"]
    return parts


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (SystemMessage("hi"), {"role": "system", "parts": [TEXT]}),
        (HumanMessage("hi", name="bob"), {"role": "user", "name": "bob", "parts": [TEXT]}),
        (AIMessage("hi"), {"role": "assistant", "parts": [TEXT]}),
        (AIMessageChunk(content="hi"), {"role": "assistant", "parts": [TEXT]}),
        (ChatMessage(content="hi", role="developer"), {"role": "developer", "parts": [TEXT]}),
    ],
)
def test_each_kind_of_message_has_its_role(message: BaseMessage, expected: dict[str, Any]) -> None:
    assert wire_messages([message]) == [expected]


def test_an_empty_message_is_an_empty_text() -> None:
    assert parts_of(HumanMessage("")) == [{"type": "text", "text": ""}]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "image", "url": "https://a/b.png"}, {"type": "image", "url": "https://a/b.png"}),
        (
            {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
            {"type": "image", "base64": "AAAA", "mime": "image/png"},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            {"type": "image", "base64": "AAAA", "mime": "image/png", "detail": "low"},
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "image", "base64": "AAAA", "mime": "image/png"},
        ),
        (
            {"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": "image/png"},
            {"type": "image", "base64": "AAAA", "mime": "image/png"},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "audio", "base64": "AAAA", "mime": "audio/wav"},
        ),
        (
            {"type": "audio", "base64": "AAAA", "mime_type": "audio/mpeg", "extras": {"transcript": "hello"}},
            {"type": "audio", "base64": "AAAA", "mime": "audio/mpeg", "transcript": "hello"},
        ),
        ({"type": "video", "url": "https://a/b.mp4"}, {"type": "video", "url": "https://a/b.mp4"}),
        (
            {"type": "file", "base64": "AAAA", "mime_type": "application/pdf", "filename": "a.pdf"},
            {"type": "file", "base64": "AAAA", "mime": "application/pdf", "filename": "a.pdf"},
        ),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}},
            {"type": "file", "base64": "AAAA", "mime": "application/pdf"},
        ),
        (
            {"type": "text-plain", "mime_type": "text/plain", "title": "Notes", "text": "buy milk"},
            {"type": "text", "text": "Notes\nbuy milk"},
        ),
        (
            {"type": "text-plain", "mime_type": "text/plain", "url": "https://a/b.txt"},
            {"type": "file", "url": "https://a/b.txt", "mime": "text/plain"},
        ),
        ("a string in a list", {"type": "text", "text": "a string in a list"}),
    ],
)
def test_content_of_a_user_in_any_known_dialect_becomes_one_part(block: Any, expected: dict[str, Any]) -> None:
    assert parts_of(HumanMessage([block])) == [expected]


def test_cache_control_is_a_cache_point_after_its_block() -> None:
    cached = {**TEXT, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert parts_of(HumanMessage([cached, TEXT])) == [TEXT, {"type": "cache_point", "ttl": "1h"}, TEXT]


def test_tool_arguments_are_json_text_with_readable_characters() -> None:
    message = AIMessage("", tool_calls=[{"name": "f", "args": {"city": "東京"}, "id": "call_1"}])
    expected = {"type": "tool_call", "id": "call_1", "name": "f", "arguments": '{"city": "東京"}'}
    assert parts_of(message) == [expected]


def test_an_invalid_tool_call_goes_back_as_the_model_wrote_it() -> None:
    broken = {"name": "f", "args": '{"a": ', "id": "call_1", "error": "no JSON"}
    message = AIMessage("hi", invalid_tool_calls=[broken])
    assert parts_of(message)[1] == {"type": "tool_call", "id": "call_1", "name": "f", "arguments": '{"a": '}


@pytest.mark.parametrize("provider", [None, "anthropic", "openai", "infrai"])
def test_a_call_that_stands_in_content_and_in_tool_calls_is_sent_once(provider: str | None) -> None:
    content: list[str | dict[Any, Any]] = [TEXT, {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}]
    metadata = {"model_provider": provider} if provider else {}
    calls = [{"name": "f", "args": {"a": 1}, "id": "call_1"}]
    message = AIMessage(content, tool_calls=calls, response_metadata=metadata)
    expected = {"type": "tool_call", "id": "call_1", "name": "f", "arguments": '{"a": 1}'}
    assert [part for part in parts_of(message) if part["type"] == "tool_call"] == [expected]


def test_a_tool_message_is_a_tool_result_with_its_media_and_its_error() -> None:
    content: list[str | dict[Any, Any]] = ["no luck", {"type": "image", "url": "https://a/b.png"}]
    [message] = wire_messages([ToolMessage(content, tool_call_id="call_1", status="error", name="f")])
    parts = [{"type": "text", "text": "no luck"}, {"type": "image", "url": "https://a/b.png"}]
    result = {"type": "tool_result", "tool_call_id": "call_1", "parts": parts, "is_error": True}
    assert message == {"role": "tool", "parts": [result]}


def test_an_anthropic_tool_result_in_a_human_message_is_a_tool_result() -> None:
    block = {"type": "tool_result", "tool_use_id": "call_1", "content": [TEXT], "is_error": True}
    expected = {"type": "tool_result", "tool_call_id": "call_1", "parts": [TEXT], "is_error": True}
    assert parts_of(HumanMessage([block])) == [expected]


@pytest.mark.parametrize("kind", [HumanMessage, lambda content: ToolMessage(content, tool_call_id="1")])
def test_a_search_result_is_its_title_its_source_and_its_text(kind: Any) -> None:
    found = {
        "type": "search_result",
        "title": "Ferry",
        "source": "https://a",
        "content": [{"type": "text", "text": "x"}],
    }
    [part] = parts_of(kind([found]))
    [text] = part.get("parts", [part])
    assert text == {"type": "text", "text": "Ferry\nhttps://a\nx"}


def test_the_output_of_a_custom_tool_is_its_text() -> None:
    [part] = parts_of(ToolMessage([{"type": "custom_tool_call_output", "output": "done"}], tool_call_id="1"))
    assert part["parts"] == [{"type": "text", "text": "done"}]


def test_what_only_another_provider_can_read_stays_behind() -> None:
    blocks: list[Any] = [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "hi"}]
    assert parts_of(AIMessage(blocks, response_metadata={"model_provider": "anthropic"})) == [TEXT]


def test_an_answer_in_sound_of_openai_goes_on_as_its_words() -> None:
    sound = {"id": "a1", "data": "QUFB", "transcript": "hi", "expires_at": 1}
    message = AIMessage("", additional_kwargs={"audio": sound}, response_metadata={"model_provider": "openai"})
    assert parts_of(message) == [TEXT]


def test_a_json_result_of_a_tool_is_its_text() -> None:
    [result] = parts_of(ToolMessage([{"type": "json", "json": {"a": "ü"}}], tool_call_id="call_1"))
    assert result["parts"] == [{"type": "text", "text": '{"a": "ü"}'}]


def test_reasoning_keeps_our_signature_and_drops_that_of_another_provider() -> None:
    ours = {"type": "reasoning", "reasoning": "so", "extras": {"opaque": "sig", "vendor": "v", "model": "m"}}
    theirs = {"type": "reasoning", "reasoning": "so", "extras": {"signature": "sig"}}
    first, second = parts_of(AIMessage(content_blocks=[ours, theirs]))  # type: ignore[list-item]  # a plain dict
    assert first == {"type": "reasoning", "text": "so", "opaque": "sig", "vendor": "v", "model": "m"}
    assert second == {"type": "reasoning", "text": "so"}


def test_thinking_of_anthropic_is_reasoning() -> None:
    content: list[str | dict[Any, Any]] = [{"type": "thinking", "thinking": "so", "signature": "sig"}, TEXT]
    message = AIMessage(content, response_metadata={"model_provider": "anthropic"})
    assert parts_of(message) == [{"type": "reasoning", "text": "so"}, TEXT]


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (HumanMessage([{"type": "hologram", "data": 1}]), "'hologram'"),
        (HumanMessage([{"type": "image", "file_id": "file_1"}]), "'image' by file_id"),
        (HumanMessage([{"type": "image", "url": ""}]), "'image': allowed is one of url and base64"),
        (HumanMessage([{"type": "text"}]), "'text': its text is None"),
        (HumanMessage([{"type": "text", "text": 3}]), "'text': its text is 3"),
        (ToolMessage([{"type": "hologram", "title": "a"}], tool_call_id="1"), "'hologram'"),
        (FunctionMessage(content="hi", name="f"), "'function'"),
        (RemoveMessage(id="1"), "'remove'"),
        (AIMessage([{"type": "server_tool_call", "id": "1", "name": "web", "args": {}}]), "'server_tool_call'"),
    ],
)
def test_what_no_row_knows_is_refused_by_its_name_and_place(message: BaseMessage, named: str) -> None:
    with pytest.raises(UnsupportedContent, match=rf"messages\.1: .*{named}"):
        wire_messages([HumanMessage("hi"), message])
