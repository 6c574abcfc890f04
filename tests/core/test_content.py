"""Messages with parts, in the shape that OpenAI's surface takes."""

from __future__ import annotations

from typing import Any

import pytest

from infrai_core import UnsupportedContent
from infrai_core.content import openai_messages

TEXT = {"type": "text", "text": "look"}
CALL = {"type": "tool_call", "id": "c1", "name": "f", "arguments": "{}"}
THOUGHT = {"type": "reasoning", "text": "Hm"}


def shaped(*parts: dict[str, Any], role: str = "assistant") -> dict[str, Any]:
    (message,) = openai_messages([{"role": role, "parts": list(parts)}])
    return message


def test_text_alone_is_a_string() -> None:
    assert shaped(TEXT, role="user") == {"role": "user", "content": "look"}


def test_an_image_keeps_its_detail() -> None:
    image = {"type": "image", "url": "https://x.invalid/a.png", "detail": "low"}
    assert shaped(TEXT, image, role="user")["content"][1] == {
        "type": "image_url",
        "image_url": {"url": "https://x.invalid/a.png", "detail": "low"},
    }


def test_thoughts_go_back_with_the_calls_that_they_led_to_and_not_otherwise() -> None:
    assert shaped(THOUGHT, CALL)["reasoning_content"] == "Hm"
    assert "reasoning_content" not in shaped(THOUGHT, TEXT)
    assert "reasoning_content" not in shaped(CALL)


@pytest.mark.parametrize(
    "part", [{**THOUGHT, "opaque": "sig", "vendor": "v"}, {"type": "cache_point"}], ids=["signature", "cache point"]
)
def test_what_no_flat_field_holds_goes_in_parts(part: dict[str, Any]) -> None:
    message = shaped(part, TEXT)
    assert message["parts"] == [part, TEXT]
    assert message["content"] == "look"
    assert "parts" not in shaped(THOUGHT, TEXT, CALL)


@pytest.mark.parametrize("kind", ["cache_point", "reasoning", "video", "server_tool_call"])
def test_what_has_no_place_in_a_tool_result_is_refused_by_name(kind: str) -> None:
    result = {"type": "tool_result", "tool_call_id": "c1", "parts": [{"type": kind, "text": ""}]}
    with pytest.raises(UnsupportedContent, match=kind):
        openai_messages([{"role": "tool", "parts": [result]}])


def test_texts_side_by_side_keep_their_boundaries_except_the_model_s_own() -> None:
    texts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    result = {"type": "tool_result", "tool_call_id": "c1", "parts": texts}
    messages = [{"role": role, "parts": texts} for role in ("system", "user", "assistant")]
    shaped = openai_messages([*messages, {"role": "tool", "parts": [result]}])
    assert [message["content"] for message in shaped] == ["one\ntwo", "one\ntwo", "onetwo", "one\ntwo"]
