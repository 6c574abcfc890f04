"""What is sent to an OpenAI-like vendor: the same JSON as the official SDK sends, and each vendor's differences."""

from __future__ import annotations

import base64
from typing import Any

import openai
import pytest

from infrai_core.fetch import stand_in
from infrai_runtime import message
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import CAPABILITIES, Call, Event
from infrai_runtime.vendors.openai_like import make
from infrai_runtime.vendors.openai_like.message import short_id
from infrai_runtime.vendors.openai_like.rows import ROWS
from infrai_runtime.vendors.openai_like.schema import strict
from tests.vendors.fake import (
    KEY,
    Fake,
    call_of,
    entry,
    events_of,
    says,
    serving,
    streams,
    unlike,
    warnings_of,
    with_vendor,
)
from tests.vendors.openai_answers import OPENAI

CHAT = "/v1/chat/completions"
ANSWER = says(OPENAI["text"].completion)
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n0000").decode()
WAV = base64.b64encode(b"RIFF\x00\x00\x00\x00WAVEfmt ").decode()
PDF = base64.b64encode(b"%PDF-1.7 ...").decode()


def sent(request: dict[str, Any], vendor: str = "openai", call: Call | None = None) -> dict[str, Any]:
    return sent_and_told(request, vendor, call)[0]


def sent_and_told(
    request: dict[str, Any], vendor: str = "openai", call: Call | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The body that goes out, and the warnings."""
    given = call or call_of("gpt-5.2")
    said = streams(OPENAI["text"].chunks) if given.stream else ANSWER
    with serving(Fake({CHAT: said if vendor == "openai" else unlike(said)})) as fake:  # what is asked matters here

        async def body(made: Any) -> list[Event]:
            return await events_of(made.chat(request, given))

        events = with_vendor(make, entry(vendor, f"{fake.url}/v1"), body)
        return fake.last.body, warnings_of(events)


def asked(messages: Any = "hi", **more: Any) -> dict[str, Any]:
    """A canonical request, as validation makes it of OpenAI's messages."""
    return {"messages": message.messages(messages), **more}


def sent_by_the_sdk(**request: Any) -> dict[str, Any]:
    with (
        serving(Fake({CHAT: ANSWER})) as fake,
        openai.OpenAI(api_key=KEY, base_url=f"{fake.url}/v1", max_retries=0) as sdk,
    ):
        sdk.chat.completions.create(model="gpt-5.2", **request)
        body: dict[str, Any] = fake.last.body
        return body


TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}, "s": {"type": "string"}},
    "required": ["n", "s"],
    "additionalProperties": False,
}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
        ],
        "name": "ada",
    },
    {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}},
            {"id": "call_2", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    {"role": "tool", "tool_call_id": "call_2", "content": "rain"},
    {"role": "user", "content": "Thanks. And now?"},
]
OPTIONS: list[dict[str, Any]] = [
    {"top_p": 0.5, "temperature": 0.1, "reasoning_effort": "none"},
    {"stop": ["a", "b"], "reasoning_effort": "none", "seed": 7, "user": "u1"},
    {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
    {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
    {"reasoning_effort": "low"},
    {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "pair", "schema": SCHEMA, "strict": True, "description": "two"},
        }
    },
    {"response_format": {"type": "json_object"}},
    {"logprobs": True, "top_logprobs": 2},
    {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options))
def test_the_body_is_what_the_sdk_sends(options: dict[str, Any]) -> None:
    theirs = sent_by_the_sdk(messages=CONVERSATION, **options)
    assert sent(asked(CONVERSATION, **options)) == theirs


def test_names_that_differ_are_written_as_the_vendor_has_them() -> None:
    assert sent(asked(max_tokens=5, choices=2)) == sent_by_the_sdk(
        messages=[{"role": "user", "content": "hi"}], max_completion_tokens=5, n=2
    )
    assert sent(asked(max_tokens=5), "deepseek")["max_tokens"] == 5
    assert sent(asked(seed=3), "mistral")["random_seed"] == 3
    assert sent(asked(user="u"), "zhipu")["user_id"] == "u"


def test_a_stream_asks_for_its_usage_where_that_is_known() -> None:
    call = call_of("m", stream=True)
    assert sent(asked(), call=call)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent(asked(), "mistral", call)
    assert "stream" not in sent(asked())


def test_what_a_vendor_lacks_is_left_out_and_told() -> None:
    body, warnings = sent_and_told(asked(seed=1, user="u"), "deepseek")
    assert not body.keys() & {"seed", "user"}
    assert [warning.partition(":")[0] for warning in warnings] == ["seed", "user"]


# https://docs.ollama.com/api/openai-compatibility: tool_choice is not supported
def test_a_vendor_without_a_choice_of_tools_is_shown_those_that_may_be_called() -> None:
    other: Any = {"type": "function", "function": {"name": "other"}}
    tools = [TOOL, other]
    body, told = sent_and_told(asked(tools=tools, tool_choice="none"), "ollama")
    assert (body.keys() & {"tools", "tool_choice"}, told) == (set(), [])
    chosen = {"type": "function", "function": {"name": "other"}}
    body, told = sent_and_told(asked(tools=tools, tool_choice=chosen), "ollama")
    assert ([tool["function"]["name"] for tool in body["tools"]], "tool_choice" in body) == (["other"], False)
    assert [warning.partition(":")[0] for warning in told] == ["tool_choice"]


@pytest.mark.parametrize(("model", "kept"), [("gpt-5.2", False), ("o4-mini", False), ("gpt-4.1", True)])
def test_sampling_options_go_only_to_models_that_take_them(model: str, kept: bool) -> None:
    body, warnings = sent_and_told(asked(temperature=0), call=call_of(model))
    assert ("temperature" in body, bool(warnings)) == (kept, not kept)


@pytest.mark.parametrize(
    ("vendor", "model", "more", "kept"),
    [
        ("openai", "gpt-6-sol", {}, False),
        ("azure-like", "gpt-6-sol", {}, True),  # nothing is known of such a server
        ("openai", "o3", {}, False),
        ("openai", "gpt-6-sol", {"reasoning_effort": "none"}, True),
        ("openai", "gpt-4.1", {}, True),
        ("xai", "grok-4.20-reasoning", {}, False),
        ("xai", "grok-4.20-non-reasoning", {}, True),
        ("groq", "openai/gpt-oss-120b", {}, True),
    ],
)
def test_stops_and_penalties_are_kept_from_models_that_refuse_them_while_they_think(
    vendor: str, model: str, more: dict[str, Any], kept: bool
) -> None:
    request = asked(stop=["END"], passthrough={"presence_penalty": 1}, **more)
    body, told = sent_and_told(request, vendor, call_of(model))
    assert ("stop" in body, "presence_penalty" in body) == (kept, kept)
    assert [warning.partition(":")[0] for warning in told] == ([] if kept else ["stop", "presence_penalty"])


@pytest.mark.parametrize(
    ("vendor", "effort", "expected"),
    [
        ("openai", "none", {"reasoning_effort": "none"}),
        ("openrouter", "low", {"reasoning": {"effort": "low"}}),
        ("deepseek", "high", {"reasoning_effort": "high"}),
        ("deepseek", "none", {"thinking": {"type": "disabled"}}),
        ("zhipu", "high", {"thinking": {"type": "enabled"}}),
        ("zhipu", "none", {"thinking": {"type": "disabled"}}),
    ],
)
def test_the_reasoning_effort_goes_where_the_vendor_has_it(vendor: str, effort: str, expected: dict[str, Any]) -> None:
    body = sent(asked(reasoning_effort=effort), vendor)
    assert {name: body[name] for name in body.keys() & {"reasoning_effort", "reasoning", "thinking"}} == expected


def test_the_callers_own_options_reach_the_vendor_but_no_protected_field() -> None:
    call = call_of("m", options={"logit_bias": {"1": 2}})
    body = sent(asked(passthrough={"store": True, "model": "dearer", "stream": True}), call=call)
    assert (body["logit_bias"], body["store"], body["model"], "stream" in body) == ({"1": 2}, True, "m", False)
    _, told = sent_and_told(asked(passthrough={"api_key": "x", "base_url": "http://elsewhere"}))
    assert told == [f"{name}: not a caller's to set; not used" for name in ("api_key", "base_url")]
    for row in ROWS.values():
        assert row.allowed_options.isdisjoint({"model", "messages", "base_url", "api_key", "stream"})


# -- schemas -----------------------------------------------------------------------------------------------------------


def form(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"schema": schema, **more}}


def test_a_schema_is_strict_where_that_changes_nothing() -> None:
    open_object = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    made = sent(asked(response_format=form(open_object)))["response_format"]["json_schema"]
    assert (made["strict"], made["schema"]["additionalProperties"], made["name"]) == (True, False, "answer")


def test_a_schema_with_an_optional_property_is_followed_loosely_and_that_is_told() -> None:
    optional = {"type": "object", "properties": {"a": {"type": "string"}}}
    body, warnings = sent_and_told(asked(response_format=form(optional, strict=True)))
    assert body["response_format"]["json_schema"] == {"name": "answer", "schema": optional, "strict": False}
    assert "without strict" in warnings[0]
    assert sent_and_told(asked(response_format=form(optional)))[1] == []


def test_what_strict_mode_cannot_read_moves_into_the_description() -> None:
    made = strict({"type": "object", "properties": {"a": {"type": "string", "minLength": 2}}, "required": ["a"]})
    assert made is not None
    assert made["properties"]["a"] == {"type": "string", "description": "minLength: 2"}
    assert strict({"type": "array", "items": {"type": "string"}}) is None
    assert strict({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}) is None


def test_a_vendor_without_schemas_gets_json_mode_and_the_schema_in_its_instructions() -> None:
    body = sent(asked([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"}],
                      response_format=form(SCHEMA)), "deepseek")  # fmt: skip
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["content"].startswith("Be brief.\n\nAnswer with one JSON object")
    assert '"minimum":1' in body["messages"][0]["content"]
    plain = sent(asked("x", response_format={"type": "json_object"}), "deepseek")
    assert "JSON" in plain["messages"][0]["content"]
    kept = sent(asked("as json please", response_format={"type": "json_object"}), "deepseek")
    assert [m["role"] for m in kept["messages"]] == ["user"]


def test_tools_are_strict_where_the_vendor_knows_that() -> None:
    tool = {"type": "function", "function": TOOL["function"] | {"strict": True}}
    assert sent(asked(tools=[tool]))["tools"][0]["function"]["strict"] is True
    body, warnings = sent_and_told(asked(tools=[tool]), "deepseek")
    assert "strict" not in body["tools"][0]["function"]
    assert warnings == ["tools: get_weather is not strict here"]
    loose = {
        "type": "function",
        "function": {"name": "f", "strict": True, "parameters": {"type": "object", "properties": {"a": {}}}},
    }
    assert sent_and_told(asked(tools=[loose]))[1] == ["tools: f is not strict here"]


# -- messages ------------------------------------------------------------------------------------------------------


def test_mistral_has_its_own_word_ids_and_no_names() -> None:
    body = sent(
        asked([m for m in CONVERSATION if m["role"] != "user"], tools=[TOOL], tool_choice="required"), "mistral"
    )
    assert body["tool_choice"] == "any"
    calls = body["messages"][1]["tool_calls"]
    results = [row["tool_call_id"] for row in body["messages"] if row["role"] == "tool"]
    assert [call["id"] for call in calls] == results
    assert all(len(call["id"]) == 9 and call["id"].isalnum() for call in calls)
    assert short_id("abc123XYZ") == "abc123XYZ"
    assert "name" not in sent(asked([CONVERSATION[1]]), "mistral")["messages"][0]


def history(*parts: dict[str, Any]) -> dict[str, Any]:
    user = {"role": "user", "parts": [{"type": "text", "text": "x"}]}
    return {"messages": [user, {"role": "assistant", "parts": [*parts, {"type": "text", "text": "42."}]}, user]}


THOUGHT = {"type": "reasoning", "text": "So.", "opaque": [{"type": "reasoning.text", "text": "So.", "signature": "s"}]}


@pytest.mark.parametrize(
    ("vendor", "expected"),
    [
        ("openai", {"content": "42."}),
        ("deepseek", {"content": "42.", "reasoning_content": "So."}),
        ("moonshot", {"content": "42.", "reasoning_content": "So."}),
        ("ollama", {"content": "42.", "reasoning": "So."}),
        ("openrouter", {"content": "42.", "reasoning_details": THOUGHT["opaque"]}),
        (
            "mistral",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "So."}]},
                    {"type": "text", "text": "42."},
                ]
            },
        ),
    ],
)
def test_reasoning_goes_back_where_the_vendor_wants_it(vendor: str, expected: dict[str, Any]) -> None:
    assert sent(history(THOUGHT), vendor)["messages"][1] == {"role": "assistant", **expected}


def test_cache_points_are_marked_where_the_vendor_reads_them() -> None:
    parts = [{"type": "text", "text": "long"}, {"type": "cache_point", "ttl": "1h"}, {"type": "text", "text": "q"}]
    request = {"messages": [{"role": "user", "parts": parts}]}
    marked = [
        {"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "q"},
    ]
    assert sent(request, "openrouter")["messages"][0]["content"] == marked
    assert sent(request, "openrouter", call_of("m", mark_cache=False))["messages"][0]["content"] == "long\nq"
    assert sent(request, "openai")["messages"][0]["content"] == "long\nq"


def test_media_of_a_tool_follow_its_text() -> None:
    inner = [{"type": "text", "text": "a plot"}, {"type": "image", "base64": PNG, "mime": "image/png"}]
    result = {"type": "tool_result", "tool_call_id": "call_1", "parts": inner}
    failed = {
        "type": "tool_result",
        "tool_call_id": "call_2",
        "parts": [{"type": "text", "text": "no"}],
        "is_error": True,
    }
    body = sent({"messages": [{"role": "tool", "parts": [result, failed]}]})
    assert [(row["role"], row["content"]) for row in body["messages"][:2]] == [
        ("tool", "a plot"),
        ("tool", "Error: no"),
    ]
    assert body["messages"][2]["role"] == "user"
    assert body["messages"][2]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")


def test_a_file_that_is_text_is_read_by_every_model() -> None:
    part = {"type": "file", "base64": base64.b64encode(b"a,b\n1,2").decode(), "mime": "text/csv", "filename": "t.csv"}
    body = sent({"messages": [{"role": "user", "parts": [part]}]}, "deepseek")
    assert body["messages"][0]["content"] == [{"type": "text", "text": "t.csv:\na,b\n1,2"}]


def test_a_medium_that_the_vendor_does_not_read_is_refused_before_anything_is_sent() -> None:
    part = {"type": "audio", "base64": WAV, "mime": "audio/wav"}
    with pytest.raises(Failure, match=r"messages\.0\.parts\.0: this vendor does not read audio") as caught:
        sent({"messages": [{"role": "user", "parts": [part]}]}, "deepseek")
    assert caught.value.code == "UNSUPPORTED_CAPABILITY"


def test_an_images_url_goes_to_a_hosted_vendor_and_is_fetched_for_a_server_of_the_operator() -> None:
    image = says({})
    image.pieces, image.mime = [base64.b64decode(PNG)], "image/png"
    part = {"type": "image", "url": "https://example.com/a.png"}
    request = {"messages": [{"role": "user", "parts": [part]}]}
    assert sent(request)["messages"][0]["content"][0]["image_url"] == {"url": "https://example.com/a.png"}
    with serving(Fake({"/a.png": image}, auth=("host", "example.com"))) as pictures:
        port = int(pictures.url.rpartition(":")[2])
        call = Call("m", 10.0, stand_in({"example.com": ("127.0.0.1", port)}))
        request["messages"][0]["parts"][0]["url"] = "http://example.com/a.png"  # type: ignore[index]
        body = sent(request, "vllm", call)
    assert body["messages"][0]["content"][0]["image_url"] == {"url": f"data:image/png;base64,{PNG}"}


# -- what a vendor can do ------------------------------------------------------------------------------------------

ABILITIES = {
    "openai": {"chat", "vision", "embed", "image", "tts", "asr", "realtime", "batch"},
    "deepseek": {"chat", "vision"},
    "mistral": {"chat", "vision", "embed", "tts", "asr", "batch"},
    "groq": {"chat", "vision", "tts", "asr", "batch"},
    "xai": {"chat", "vision", "image", "tts", "asr", "realtime", "batch"},
    "dashscope": {"chat", "vision", "embed", "image", "tts", "batch"},
    "together": {"chat", "vision", "embed", "image", "tts", "asr", "rerank", "batch"},
    "moonshot": {"chat", "vision", "batch"},
    "zhipu": {"chat", "vision", "embed", "image", "asr", "rerank", "batch"},
    "openrouter": {"chat", "vision", "embed", "batch"},
    "fireworks": {"chat", "vision", "embed", "rerank", "batch"},
    "perplexity": {"chat", "vision", "embed"},
    "ollama": {"chat", "vision", "embed"},
    "vllm": {"chat", "vision", "embed", "asr", "rerank"},
    "my-server": {"chat", "vision", "embed"},
}


@pytest.mark.parametrize("name", ABILITIES)
def test_a_vendor_has_the_methods_of_what_it_can_do_and_no_other(name: str) -> None:
    async def body(made: Any) -> set[str]:
        return {capability for capability, protocol in CAPABILITIES.items() if isinstance(made, protocol)}

    assert with_vendor(make, entry(name, "http://127.0.0.1:1"), body) == ABILITIES[name]


def test_a_server_can_be_like_a_known_vendor() -> None:
    async def body(made: Any) -> bool:
        return isinstance(made, CAPABILITIES["tts"])

    assert with_vendor(make, entry("mine", "http://127.0.0.1:1", like="openai"), body)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_names_its_page(name: str) -> None:
    assert ROWS[name].page.startswith("https://")


@pytest.mark.parametrize(
    ("options", "path", "query"),
    [
        ({}, "/openai/v1/chat/completions", ""),
        (
            {"api_version": "2024-10-21", "deployments": {"gpt-5.2": "my deployment"}},
            "/openai/deployments/my%20deployment/chat/completions",
            "api-version=2024-10-21",
        ),
    ],
)
def test_azure_is_asked_at_its_resource_with_its_own_header(options: dict[str, Any], path: str, query: str) -> None:
    with serving(Fake({path: ANSWER}, auth=("api-key", KEY))) as fake:

        async def body(made: Any) -> list[Event]:
            return await events_of(made.chat(asked(), call_of("gpt-5.2")))

        with_vendor(make, entry("azure", fake.url, **options), body)
        assert (fake.last.path, fake.last.query) == (path, query)
        assert fake.last.body["model"] == ("my deployment" if options else "gpt-5.2")
