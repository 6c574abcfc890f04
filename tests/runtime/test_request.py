from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infrai_core.models import PART_TYPES
from infrai_core.params import CHOICES, RANGES
from infrai_runtime import message
from infrai_runtime.body import FIELDS
from infrai_runtime.cache import key_of
from infrai_runtime.failure import Failure
from infrai_runtime.message import messages
from infrai_runtime.openai_surface import chat_ask
from infrai_runtime.request import Ask, parse_json, read
from infrai_runtime.runtime import Runtime
from infrai_runtime.service import LONG, Incoming

from .api import settings
from .fake import FakeChat, catalogue, model, says

PNG = "iVBORw0KGgo="


def refusal(capability: str, body: dict[str, Any], key: str | None = None) -> Failure:
    with pytest.raises(Failure) as caught:
        read(capability, body, key)
    return caught.value


@pytest.mark.parametrize(
    ("capability", "body", "param", "says"),
    [
        ("chat", {}, "messages", "missing"),
        ("chat", {"messages": []}, "messages", "a list of 0"),
        ("chat", {"messages": 3}, "messages", "came 3"),
        (
            "chat",
            {"messages": [{"role": "robot", "content": "x"}]},
            "messages.0.role",
            "came 'robot', allowed is one of",
        ),
        ("chat", {"messages": [{"role": "user"}]}, "messages.0.content", "a string or a list of parts"),
        ("chat", {"messages": [{"role": "user", "content": "x", "colour": 1}]}, "messages.0.colour", "unknown field"),
        (
            "chat",
            {"messages": ["x", {"role": "user", "content": "x"}]},
            "messages.0",
            "an object with role and content or parts",
        ),
        (
            "chat",
            {
                "messages": [{"role": "user", "content": "a"}] * 2
                + [{"role": "user", "content": [{"type": "hologram"}]}]
            },
            "messages.2.content.0.type",
            "came 'hologram', allowed is one of audio",
        ),
        (
            "chat",
            {
                "messages": [
                    {"role": "user", "parts": [{"type": "tool_result", "tool_call_id": "c", "parts": [{"type": "?"}]}]}
                ]
            },
            "messages.0.parts.0.parts.0.type",
            "came '?'",
        ),
        (
            "chat",
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "messages.0.content.0",
            "url or base64",
        ),
        (
            "chat",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages.0.content.0.text",
            "a string",
        ),
        ("chat", {"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id", "came None"),
        ("chat", {"messages": "x", "temperature": 3}, "temperature", "came 3, allowed is a number from 0 to 2"),
        ("chat", {"messages": "x", "temperature": True}, "temperature", "came True"),
        ("chat", {"messages": "x", "max_tokens": 0}, "max_tokens", "a whole number of at least 1"),
        ("chat", {"messages": "x", "max_tokens": 1.5}, "max_tokens", "came 1.5"),
        ("chat", {"messages": "x", "max_tokens": 1e30}, "max_tokens", "of 64 bits"),
        ("chat", {"messages": "x", "seed": 1e30}, "seed", "of 64 bits"),
        ("chat", {"messages": "x", "max_cost_multiplier": float("inf")}, "max_cost_multiplier", "came inf"),
        ("chat", {"messages": "x", "task": "poetry"}, "task", "general, reasoning, coding, long_context"),
        ("chat", {"messages": "x", "tempratur": 1}, "tempratur", "did you mean 'temperature'?"),
        (
            "chat",
            {"messages": "x", "tools": [{"type": "web"}]},
            "tools.0.type",
            "came 'web', allowed is one of function",
        ),
        (
            "chat",
            {"messages": "x", "tools": [{"type": "function", "function": {}}]},
            "tools.0.function.name",
            "missing",
        ),
        ("chat", {"messages": "x", "tool_choice": "some"}, "tool_choice", "auto, none, required"),
        ("chat", {"messages": "x", "tool_choice": 1}, "tool_choice", "auto, none, required or"),
        ("chat", {"messages": "x", "response_format": {"type": "yaml"}}, "response_format.type", "came 'yaml'"),
        (
            "chat",
            {"messages": "x", "response_format": {"type": "json_schema"}},
            "response_format.json_schema",
            "missing",
        ),
        ("chat", {"messages": "x", "stop": [1]}, "stop.0", "came 1"),
        ("chat", {"messages": "x", "vendor_options": {"a": 1}}, "vendor_options.a", "an object"),
        ("chat", {"messages": "x", "stream": "yes"}, "stream", "true or false"),
        ("chat", {"messages": "x", "stream": True, "batch_mode": True}, "batch_mode", "exclude"),
        ("embed", {"input": []}, "input", "a list of 1 to 2048 members"),
        ("embed", {"input": [1, 2]}, "input", "token ids are not taken"),
        ("embed", {"input": [[1], [2]]}, "input", "token ids are not taken"),
        ("embed", {"input": ["a", None]}, "input.1", "came None"),
        ("embed", {"input": "a", "encoding_format": "int8"}, "encoding_format", "float, base64"),
        ("image", {"prompt": "a", "size": "big"}, "size", "WIDTHxHEIGHT"),
        ("image", {"prompt": "a", "n": 11}, "n", "from 1 to 10"),
        ("vision", {"prompt": "a", "images": []}, "images", "came a list of 0"),
        ("vision", {"prompt": "a", "images": [{"url": "http://x", "base64": PNG}]}, "images.0", "exactly one"),
        ("vision", {"prompt": "a", "images": [{"link": "http://x"}]}, "images.0.link", "unknown field"),
        ("tts", {"input": ""}, "input", "non-empty"),
        ("tts", {"input": "a", "format": "flac"}, "format", "mp3, wav, ogg, pcm"),
        ("asr", {"audio": 5}, "audio", "came 5"),
        ("rerank", {"query": "a", "candidates": ["x", 2]}, "candidates.1", "came 2"),
        ("realtime", {"ttl_seconds": 4000}, "ttl_seconds", "from 1 to 3600"),
    ],
)
def test_bad_input_is_refused_with_the_field_what_came_and_what_is_allowed(
    capability: str, body: dict[str, Any], param: str, says: str
) -> None:
    failure = refusal(capability, body)
    assert failure.code == "INVALID_REQUEST"
    assert failure.param == param
    assert says in failure.message


def test_batch_mode_keeps_the_request_as_it_came_for_the_batch() -> None:
    ask = read("chat", {"messages": "x", "batch_mode": True, "idempotency_key": "k", "top_p": 0.5})
    assert ask.as_batch == {"messages": "x", "top_p": 0.5}
    assert read("chat", {"messages": "x", "batch_mode": False}).as_batch is None


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'"x"', b'{"a": NaN}', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(Failure) as caught:
        parse_json(raw)
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "body")


@pytest.mark.parametrize("field", ["messages", "tools"])
def test_a_body_nested_too_deeply_is_refused(field: str) -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = [{"role": "tool", "type": "tool_result", "tool_call_id": "c", "parts": deep, "parameters": deep}]
    assert refusal("chat", {"messages": "x", field: deep}).param == "body"


def test_null_means_not_set() -> None:
    ask = read("chat", {"messages": "x", "model": None, "temperature": None})
    assert (ask.model, ask.body) == (None, {"messages": messages("x")})


def test_a_long_value_is_not_repeated_whole_in_the_message() -> None:
    assert len(refusal("chat", {"messages": "x", "task": "x" * 10_000}).message) < 300


def test_a_prompt_string_is_one_user_message() -> None:
    assert messages("hi") == [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]


def test_openai_parts_become_wire_parts() -> None:
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": "https://example.com/a.png"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}},
        {"type": "file", "base64": "aGk=", "mime": "text/plain"},
        "and a string",
    ]
    [message] = messages([{"role": "user", "content": content, "name": "ann"}])
    assert message == {
        "role": "user",
        "name": "ann",
        "parts": [
            {"type": "text", "text": "look"},
            {"type": "image", "base64": PNG, "mime": "image/png", "detail": "low"},
            {"type": "image", "url": "https://example.com/a.png"},
            {"type": "audio", "base64": "AAAA", "mime": "audio/mp3"},
            {"type": "video", "url": "https://example.com/a.mp4"},
            {"type": "file", "base64": "aGk=", "mime": "text/plain", "filename": "a.txt"},
            {"type": "file", "base64": "aGk=", "mime": "text/plain"},
            {"type": "text", "text": "and a string"},
        ],
    }


def test_tool_calls_and_results_become_parts_and_a_developer_is_a_system() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    found = messages(
        [
            {"role": "developer", "content": "be brief"},
            {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ]
    )
    assert found == [
        {"role": "system", "parts": [{"type": "text", "text": "be brief"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"a"'}]},
        {
            "role": "tool",
            "parts": [{"type": "tool_result", "tool_call_id": "c1", "parts": [{"type": "text", "text": "42"}]}],
        },
    ]


def test_native_parts_win_over_their_flat_views() -> None:
    reply = {
        "role": "assistant",
        "parts": [{"type": "reasoning", "opaque": "sig"}],
        "content": "flat",
        "tool_calls": None,
    }
    assert messages([reply])[0]["parts"] == [{"type": "reasoning", "text": "", "opaque": "sig"}]


def test_media_in_what_a_tool_gave_back_are_read_as_those_of_a_message() -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    result = {"type": "tool_result", "tool_call_id": "c", "parts": [picture]}
    [message] = messages([{"role": "user", "parts": [picture, result]}])
    assert message["parts"][1]["parts"] == message["parts"][:1]


def test_media_in_messages_say_what_a_model_must_be_able_to_read() -> None:
    parts = [{"type": "image", "url": "https://x/y"}, {"type": "file", "base64": "AA==", "mime": "application/pdf"}]
    inside = {"type": "tool_result", "tool_call_id": "c", "parts": [{"type": "audio", "base64": "AA=="}]}
    assert read("chat", {"messages": [{"role": "user", "parts": [*parts, inside]}]}).needs == {"vision", "pdf", "audio"}


def test_options_that_filter_models_are_needs() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    body = {"messages": "x", "tools": [tool], "tool_choice": "required", "response_format": {"type": "json_object"}}
    assert read("chat", body).needs == {"tools", "tool_choice", "json"}
    assert read("chat", {"messages": "x", "tools": [], "tool_choice": "auto"}).needs == set()


@pytest.mark.parametrize(
    ("alias", "prefer"), [("auto", "balanced"), ("cheapest", "cheapest"), ("smartest", "smartest")]
)
def test_an_alias_is_a_preference_and_no_model(alias: str, prefer: str) -> None:
    ask = read("chat", {"messages": "x", "model": alias})
    assert (ask.model, ask.prefer) == (None, prefer)


def test_a_fingerprint_ignores_key_and_timeout_and_key_order_and_nothing_else() -> None:
    one = read("chat", {"messages": "x", "seed": 1, "idempotency_key": "k", "timeout_seconds": 5})
    same = read("chat", {"seed": 1, "messages": "x", "timeout_seconds": 9})
    assert one.fingerprint == same.fingerprint
    assert read("chat", {"messages": "x", "seed": 2}).fingerprint != one.fingerprint


def test_a_key_of_32_hex_digits_in_the_header_alone_is_the_clients_own() -> None:
    made = "0123456789abcdef" * 2
    assert not read("chat", {"messages": "x"}, made).key_is_given
    assert read("chat", {"messages": "x", "idempotency_key": made}, made).key_is_given
    assert read("chat", {"messages": "x"}, "order-7").key_is_given


def test_two_different_keys_are_refused() -> None:
    assert refusal("chat", {"messages": "x", "idempotency_key": "a"}, "b").param == "idempotency_key"


def test_the_tables_hold_the_choices_and_ranges_of_the_client() -> None:
    for fields in FIELDS.values():
        for name, field in fields.items():
            if name in CHOICES:
                assert field.kind.schema["enum"] == list(CHOICES[name])
            if name in RANGES:
                low, high = RANGES[name]
                assert field.kind.schema["minimum"] == low
                assert field.kind.schema.get("maximum", math.inf) == high


def test_every_part_type_of_the_client_is_known() -> None:
    assert message.PART_FIELDS.keys() == PART_TYPES


@pytest.mark.parametrize("name", ["", "a\r\nX-Evil: 1", "模型", "a" * 257, 5])
@pytest.mark.parametrize("capability", ["chat", "embed", "realtime"])
def test_a_name_of_a_model_is_one_that_a_header_can_hold(capability: str, name: Any) -> None:
    """It is told in ``X-Infrai-Model``: a line break would end the header, a Chinese letter the whole answer."""
    needed = {"chat": {"messages": "hi"}, "embed": {"input": "hi"}, "realtime": {}}[capability]
    found = refusal(capability, {**needed, "model": name})
    assert (found.param, "1 to 256 printable ASCII characters" in found.message) == ("model", True)


ANOTHER: dict[str, Any] = {
    "messages": "Who is there?",
    "model": "m",
    "vendor": "v",
    "prefer": "smartest",
    "task": "coding",
    "vendor_options": {"v": {"effort": "low"}},
    "temperature": 0.5,
    "max_tokens": 5,
    "top_p": 0.5,
    "stop": ["x"],
    "seed": 5,
    "tools": [{"type": "function", "function": {"name": "g"}}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
    "reasoning_effort": "low",
    "user": "u",
}
"""Another value of every field of a chat that shapes its answer."""
UNSHAPING = {
    *("idempotency_key", "timeout_seconds", "stream", "session_id"),
    *("tags", "max_cost_multiplier", "cache_strategy", "batch_mode"),
}


@pytest.mark.parametrize("field", sorted(FIELDS["chat"].keys() - UNSHAPING))
def test_no_request_gets_the_cached_answer_of_one_that_differs(field: str) -> None:
    usual = {"messages": "hi", "tools": [{"type": "function", "function": {"name": "f"}}]}
    one, other = read("chat", usual), read("chat", usual | {field: ANOTHER[field]})
    assert key_of("p", one) != key_of("p", other)


@pytest.mark.parametrize("field", ["tools", "response_format"])
def test_schemas_whose_properties_come_in_another_order_have_their_own_cached_answers(field: str) -> None:
    def ask(*properties: str) -> Ask:
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in properties}}
        tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
        form = {"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}
        return read("chat", {"messages": "hi", field: {"tools": tools, "response_format": form}[field]})

    assert key_of("p", ask("why", "answer")) != key_of("p", ask("answer", "why"))
    assert key_of("p", ask("why", "answer")) == key_of("p", ask("why", "answer"))


def test_options_that_only_the_vendor_knows_and_other_projects_have_their_own_cached_answers() -> None:
    asked = {"messages": [{"role": "user", "content": "hi"}]}
    asks = [chat_ask(asked | more, None) for more in ({}, {"top_k": 1}, {"top_k": 2}, {"n": 2}, {"logprobs": True})]
    assert len({key_of(project, one) for one in asks for project in ("p", "q")}) == 10


def test_a_long_request_is_read_where_it_holds_up_nobody(tmp_path: Path) -> None:
    """A body of a million messages takes seconds, and the loop of all callers would stand still for them."""

    async def where(content: str) -> bool:
        threads: list[threading.Thread] = []

        def reading(fields: Mapping[str, Any], key: str | None) -> Ask:
            threads.append(threading.current_thread())
            return read("chat", fields, key)

        runtime = Runtime(settings(tmp_path), [FakeChat("a", says("hi"))], catalogue(model("a")))
        service = await runtime.service()

        async def body() -> bytes:
            return b""

        incoming = Incoming("chat", reading, None, "way", body, "", None, None, False)
        try:
            ask = await service.validate(incoming, json.dumps({"messages": content}).encode())
        finally:
            await runtime.close()
        assert ask.prompt.in_bytes == len(content)
        return threads == [threading.current_thread()]

    assert asyncio.run(where("short"))
    assert not asyncio.run(where("long " * LONG))
