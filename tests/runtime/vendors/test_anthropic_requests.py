"""What the adapter sends is what the official SDK's own parameter types take, field by field."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import TypeAdapter

from infrai_runtime.request import read
from infrai_runtime.vendors.anthropic import make
from infrai_runtime.vendors.anthropic.request import ALLOWED_OPTIONS, INTERLEAVED, drafted
from infrai_runtime.vendors.anthropic.schema import held_to
from tests.core.wall import Play, Wall, http
from tests.runtime.vendors.claude_answers import ANSWERS, MODEL, message, stream_of, text, tool_use
from tests.runtime.vendors.oracle import (
    KEY,
    call_of,
    chat,
    failure_of,
    finish_of,
    in_one_segment,
    parts_of,
    says,
    user,
    whole,
)

Json = dict[str, Any]

NEWEST, BUDGETED, OLD = "claude-opus-5-5", "claude-sonnet-4-20250514", "claude-3-haiku-20240307"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n%%EOF").decode()
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a place",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
    },
}
_TAKEN_BY_OLDER_MODELS = {"temperature", "top_p"}
"""Not in the newest SDK's types any more: newer models refuse them (and the adapter does not send them there)."""
_PARAMS = TypeAdapter(MessageCreateParamsNonStreaming)


def understood(value: Any) -> Any:
    """What the SDK's types keep of a value; they read lists lazily."""
    if isinstance(value, anthropic.BaseModel):
        return understood(value.to_dict())
    if isinstance(value, Mapping):
        return {name: understood(inner) for name, inner in value.items()}
    if isinstance(value, list | Iterator):
        return [understood(item) for item in value]
    return value


def body_of(given: Json, model: str = MODEL, *, mark_cache: bool = False, **options: Any) -> Json:
    """The body for a native request, which the SDK's types must take without losing a field."""
    body = drafted(read("chat", given).body, model, options, mark_cache=mark_cache).body
    kept = {name: value for name, value in body.items() if name not in _TAKEN_BY_OLDER_MODELS}
    assert understood(_PARAMS.validate_python(kept)) == kept
    return body


def warned(given: Json, model: str = MODEL) -> list[str]:
    return drafted(read("chat", given).body, model, {}, mark_cache=False).warnings


def asked(**more: Any) -> Json:
    return {"messages": "hi", **more}


# -- messages ----------------------------------------------------------------------------------------------------------


def test_a_prompt_is_one_user_message() -> None:
    assert body_of(asked(max_tokens=5)) == {
        "model": MODEL,
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }


def test_the_system_prompt_stands_apart() -> None:
    given = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]}
    assert body_of(given)["system"] == [{"type": "text", "text": "Be brief."}]


def test_a_late_system_message_stays_where_the_model_takes_it_and_is_moved_and_told_elsewhere() -> None:
    given = {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "Be brief."}]}
    assert [turn["role"] for turn in body_of(given, NEWEST)["messages"]] == ["user", "system"]
    assert body_of(given, "claude-sonnet-4-5")["system"] == [{"type": "text", "text": "Be brief."}]
    assert warned(given, "claude-sonnet-4-5") == [
        "messages.1: Claude takes this system message before all others only; it was moved there"
    ]


def test_results_of_parallel_tools_share_one_user_turn_and_stand_first_in_it() -> None:
    given = {
        "messages": [
            {"role": "user", "content": "go"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                    {"id": "functions.g:1", "type": "function", "function": {"name": "g", "arguments": ""}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "user", "content": "and?"},
            {"role": "tool", "tool_call_id": "functions.g:1", "content": "2"},
        ]
    }
    turns = body_of(given)["messages"]
    assert [block["type"] for block in turns[1]["content"]] == ["tool_use", "tool_use"]
    assert [block["input"] for block in turns[1]["content"]] == [{"x": 1}, {}]
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]},
        {"type": "tool_result", "tool_use_id": "functions_g_1", "content": [{"type": "text", "text": "2"}]},
        {"type": "text", "text": "and?"},
    ]
    assert turns[1]["content"][1]["id"] == "functions_g_1"


def test_broken_arguments_of_an_earlier_turn_stay_readable() -> None:
    call = {"type": "tool_call", "id": "a", "name": "f", "arguments": '{"x": '}
    given = {"messages": [user("go"), says(call), {"role": "tool", "tool_call_id": "a", "content": "not JSON"}]}
    assert body_of(given)["messages"][1]["content"][0]["input"] == {"INVALID_JSON": '{"x": '}


def test_a_failed_tool_and_its_picture_arrive() -> None:
    result = {"type": "tool_result", "tool_call_id": "a", "is_error": True}
    shown = [{"type": "text", "text": "no"}, {"type": "image", "base64": PNG, "mime": "image/png"}]
    given = {"messages": [says({"type": "tool_call", "id": "a", "name": "f"}), user({**result, "parts": shown})]}
    assert body_of(given)["messages"][1]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [
                {"type": "text", "text": "no"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            ],
            "is_error": True,
        }
    ]


def test_blank_text_is_left_out_because_the_api_refuses_it() -> None:
    call = {"type": "tool_call", "id": "a", "name": "f"}
    given = {"messages": [user("go"), says(" \n", call), user({"type": "tool_result", "tool_call_id": "a"}, "")]}
    turns = body_of(given)["messages"]
    assert [block["type"] for turn in turns for block in turn["content"]] == ["text", "tool_use", "tool_result"]


@pytest.mark.parametrize(
    "name",
    [
        *("redacted and interleaved thinking with tools", "web search", "text"),
        *("a file that code made", "a call that code made"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_goes_back_as_the_blocks_that_it_came_as(name: str, stream: bool) -> None:
    """Signatures, redacted thinking, their order, citations and the vendor's own tools survive the round trip."""
    play = in_one_segment(stream_of(ANSWERS[name])) if stream else whole(ANSWERS[name])
    events, _ = chat(make, "anthropic", [play], {"messages": [user("hi")]}, call_of(MODEL, stream=stream))
    reply = {"role": "assistant", "parts": parts_of(events)}
    sent = body_of({"messages": [user("hi"), reply, user("go on")]})["messages"][1]["content"]
    direct = {"type": "direct"}  # which is what a call without a caller is
    came = [{key: v for key, v in block.items() if v != direct} for block in ANSWERS[name]["content"]]
    assert sent == came


def test_reasoning_without_a_signature_is_left_out_and_told() -> None:
    given = {"messages": [user("hi"), says({"type": "reasoning", "text": "Hm"}, "ok"), user("go on")]}
    assert body_of(given)["messages"][1]["content"] == [{"type": "text", "text": "ok"}]
    assert warned(given) == ["messages.1.parts.0: reasoning without a signature of this vendor; it was left out"]


def test_only_results_of_server_tools_go_in_as_they_are() -> None:
    part = {"type": "server_tool_result", "vendor": "anthropic", "native": {"type": "image", "source": {}}}
    failure = failure_of(lambda: body_of({"messages": [says(part), user("x")]}))
    assert (failure.code, failure.param) == ("INVALID_REQUEST", "messages.0.parts.0.native")


# -- media -------------------------------------------------------------------------------------------------------------


def media_sent(part: Json, plays: list[Play] | None = None) -> tuple[Json, Wall]:
    """The block that a part becomes on its way through the adapter, media fetched."""
    request = read("chat", {"messages": [user(part, "what is it?")]}).body
    _, wall = chat(make, "anthropic", [whole(message(text("ok")))], request, call_of(MODEL))
    block: Json = wall.requests[0].body["messages"][0]["content"][0]
    return block, wall


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image", "base64": PNG},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        (
            {"type": "image", "url": "https://example.com/a.png"},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        ),
        (
            {"type": "file", "base64": PDF, "filename": "a.pdf"},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "url": "https://example.com/a.pdf", "mime": "application/pdf"},
            {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        ),
        (
            {"type": "file", "base64": base64.b64encode(b"a,b\n1,2").decode(), "mime": "text/csv"},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b\n1,2"}},
        ),
        ({"type": "audio", "base64": "AAAA", "mime": "audio/wav", "transcript": "hello"}, text("hello")),
    ],
)
def test_media_go_as_the_blocks_that_claude_reads(part: Json, block: Json) -> None:
    sent, wall = media_sent(part)
    assert sent == block
    kept = wall.requests[0].body
    assert understood(_PARAMS.validate_python(kept)) == kept


def test_a_url_that_claude_does_not_fetch_is_fetched_here_by_the_guarded_fetcher() -> None:
    with Wall([Play([http(base64.b64decode(PNG), kind="image/png")])]) as media:
        block, _ = media_sent({"type": "image", "url": f"{media.url}/a.png"})
    assert block["source"] == {"type": "base64", "media_type": "image/png", "data": PNG}


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_what_claude_cannot_hear_or_watch_is_refused_by_name_before_it_is_asked(kind: str) -> None:
    part = {"type": kind, "base64": "AAAA", "mime": f"{kind}/x"}
    failure = failure_of(lambda: body_of({"messages": [user(part)]}))
    assert (failure.code, failure.param) == ("UNSUPPORTED_CAPABILITY", "messages.0.parts.0")


def test_an_image_type_that_claude_does_not_read_is_refused_with_those_it_reads() -> None:
    part = {"type": "image", "base64": "AAAA", "mime": "image/tiff"}
    failure = failure_of(lambda: body_of({"messages": [user(part)]}))
    assert "image/webp, came image/tiff" in failure.message


def test_a_vision_request_is_a_chat_with_the_images_first() -> None:
    request = {"prompt": "what?", "images": [{"base64": PNG}], "max_tokens": 9}
    events, wall = chat(make, "anthropic", [whole(message(text("A cat.")))], request, call_of(MODEL), method="see")
    assert [block["type"] for block in wall.requests[0].body["messages"][0]["content"]] == ["image", "text"]
    assert (parts_of(events)[0]["text"], wall.requests[0].body["max_tokens"]) == ("A cat.", 9)


# -- tools -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
            {"type": "tool", "name": "get_weather"},
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ],
)
def test_every_tool_choice_has_its_form(given: Json, sent: Json | None) -> None:
    body = body_of(asked(tools=[WEATHER], **given))
    assert body.get("tool_choice") == sent
    assert body["tools"] == [
        {
            "name": "get_weather",
            "description": "Weather of a place",
            "input_schema": WEATHER["function"]["parameters"],  # type: ignore[index]
        }
    ]


def test_a_tool_without_parameters_takes_an_empty_object() -> None:
    tool = {"type": "function", "function": {"name": "now"}}
    assert body_of(asked(tools=[tool]))["tools"] == [
        {"name": "now", "input_schema": {"type": "object", "properties": {}}}
    ]


def test_strict_tools_are_held_to_a_schema_that_the_api_takes() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1, "description": "How many"}},
        "required": ["n"],
    }
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}
    assert body_of(asked(tools=[tool]))["tools"][0] == {
        "name": "f",
        "input_schema": {
            "type": "object",
            "properties": {"n": {"type": "integer", "description": "How many (minimum: 1)"}},
            "required": ["n"],
            "additionalProperties": False,
        },
        "strict": True,
    }


@pytest.mark.parametrize("model", [OLD, MODEL])
def test_a_strict_tool_that_cannot_be_held_is_asked_nicely_and_told(model: str) -> None:
    free = {"type": "object", "properties": {"tags": {"type": "object"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": free, "strict": True}}
    assert "strict" not in body_of(asked(tools=[tool]), model)["tools"][0]
    assert warned(asked(tools=[tool]), model)[0].startswith("tools.f.strict: ")


# -- structured answers ------------------------------------------------------------------------------------------------

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
FORM = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}


def test_a_schema_is_the_output_format_where_the_model_has_one() -> None:
    body = body_of(asked(response_format=FORM))
    assert body["output_config"] == {
        "format": {"type": "json_schema", "schema": PERSON | {"additionalProperties": False}}
    }
    assert "tools" not in body


def test_a_schema_is_a_forced_tool_where_the_model_has_no_output_format() -> None:
    body = body_of(asked(response_format=FORM), BUDGETED)
    assert body["tool_choice"] == {"type": "tool", "name": "give_answer"}
    assert body["tools"][0]["input_schema"] == PERSON


def test_beside_other_tools_the_answer_tool_is_one_of_several_and_has_a_name_of_its_own() -> None:
    taken = {"type": "function", "function": {"name": "give_answer"}}
    body = body_of(asked(response_format=FORM, tools=[WEATHER, taken]), BUDGETED)
    assert [tool["name"] for tool in body["tools"]] == ["get_weather", "give_answer", "give_answer_"]
    assert body["tool_choice"] == {"type": "any"}
    none = body_of(asked(response_format=FORM, tools=[WEATHER], tool_choice="none"), BUDGETED)
    assert [tool["name"] for tool in none["tools"]] == ["give_answer"]


@pytest.mark.parametrize("form", [{"type": "json_object"}, FORM | {"json_schema": {"schema": {"type": "object"}}}])
def test_free_form_json_is_an_answer_tool_too(form: Json) -> None:
    body = body_of(asked(response_format=form))
    assert body["tools"][0]["input_schema"]["type"] == "object"
    assert "output_config" not in body


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_tools_arguments_come_out_as_text_and_its_call_is_no_tool_call(stream: bool) -> None:
    answer = message(tool_use("toolu_1", "give_answer", {"name": "Ada"}), stop="tool_use")
    play = in_one_segment(stream_of(answer)) if stream else whole(answer)
    request = {"messages": [user("who?")], "response_format": FORM}
    events, _ = chat(make, "anthropic", [play], request, call_of(BUDGETED, stream=stream))
    (part,) = parts_of(events)
    assert (part["type"], json.loads(part["text"])) == ("text", {"name": "Ada"})
    assert finish_of(events).reason == "stop"


@pytest.mark.parametrize(
    ("schema", "held"),
    [
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"type": "string", "format": "uuid", "title": "Id"}, {"type": "string", "format": "uuid"}),
        ({"type": "string", "format": "iban"}, {"type": "string", "description": "format: iban"}),
        ({"type": "string", "maxLength": 3}, {"type": "string", "description": "maxLength: 3"}),
        (
            {"type": "array", "items": {"type": "number"}, "minItems": 2},
            {"type": "array", "items": {"type": "number"}, "description": "minItems: 2"},
        ),
        (
            {"$ref": "#/$defs/A", "description": "x", "$defs": {"A": {"enum": [1, 2]}}},
            {"$ref": "#/$defs/A", "$defs": {"A": {"enum": [1, 2]}}},
        ),
        ({"type": "object", "properties": {}}, {"type": "object", "properties": {}, "additionalProperties": False}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, None),
        ({"type": "object"}, None),
        (
            {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}}},
            None,
        ),
    ],
)
def test_a_schema_is_cut_down_to_what_claude_can_be_held_to(schema: Json, held: Json | None) -> None:
    assert held_to(schema) == held


# -- reasoning and sampling --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "output"),
    [
        (MODEL, "high", {"type": "adaptive", "display": "summarized"}, {"effort": "high"}),
        (MODEL, "minimal", {"type": "adaptive", "display": "summarized"}, {"effort": "low"}),
        (MODEL, "none", {"type": "disabled"}, None),
        (NEWEST, "xhigh", {"type": "adaptive", "display": "summarized"}, {"effort": "xhigh"}),
        ("claude-fable-5", "none", {"type": "adaptive", "display": "summarized"}, {"effort": "low"}),
        (BUDGETED, "low", {"type": "enabled", "budget_tokens": 2048}, None),
        (BUDGETED, "none", None, None),
        ("claude-3-7-sonnet-latest", "medium", {"type": "enabled", "budget_tokens": 8192}, None),
        (OLD, "high", None, None),
    ],
)
def test_reasoning_effort_is_said_in_each_models_words(
    model: str, effort: str, thinking: Json | None, output: Json | None
) -> None:
    body = body_of(asked(reasoning_effort=effort), model)
    assert (body.get("thinking"), body.get("output_config")) == (thinking, output)


def test_an_unknown_effort_is_refused_with_those_that_are_known() -> None:
    failure = failure_of(lambda: body_of(asked(reasoning_effort="enormous")))
    assert (failure.code, failure.param) == ("INVALID_REQUEST", "reasoning_effort")
    assert "medium" in failure.message


def test_a_thinking_budget_fits_into_the_answer_or_is_left_out() -> None:
    assert body_of(asked(reasoning_effort="high", max_tokens=3000), BUDGETED)["thinking"]["budget_tokens"] == 2999
    assert "thinking" not in body_of(asked(reasoning_effort="high", max_tokens=500), BUDGETED)
    forced = asked(reasoning_effort="high", tools=[WEATHER], tool_choice="required")
    assert "thinking" not in body_of(forced, BUDGETED)
    assert warned(forced, BUDGETED) == ["reasoning_effort: not used, a forced tool call leaves no room for it"]


def test_models_with_budgets_are_asked_to_think_between_tool_calls() -> None:
    request = read("chat", asked(reasoning_effort="low", tools=[WEATHER])).body
    _, wall = chat(make, "anthropic", [whole(message(text("ok")))], request, call_of(BUDGETED))
    assert wall.requests[0].headers["anthropic-beta"] == INTERLEAVED


@pytest.mark.parametrize(
    ("model", "given", "sent", "told"),
    [
        (OLD, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}, []),
        (MODEL, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ["top_p"]),
        (MODEL, {"top_p": 0.9}, {"top_p": 0.9}, []),
        (MODEL, {"temperature": 1.5}, {"temperature": 1}, ["temperature"]),
        (NEWEST, {"temperature": 0.5, "top_p": 0.9}, {}, ["temperature", "top_p"]),
        (MODEL, {"temperature": 0, "reasoning_effort": "low"}, {}, ["temperature"]),
    ],
)
def test_sampling_is_sent_where_the_model_takes_it_and_told_where_not(
    model: str, given: Json, sent: Json, told: list[str]
) -> None:
    body = body_of(asked(**given), model)
    assert {name: body[name] for name in ("temperature", "top_p") if name in body} == sent
    assert sorted(warning.partition(":")[0] for warning in warned(asked(**given), model)) == told


def test_stop_user_and_missing_options() -> None:
    given = asked(stop=["END", "\n"], user="u-1", seed=3)
    body = body_of(given)
    assert (body["stop_sequences"], body["metadata"]) == (["END"], {"user_id": "u-1"})
    assert [warning.partition(":")[0] for warning in warned(given)] == ["stop", "seed"]


# -- prompt cache, options, headers ------------------------------------------------------------------------------------


def test_a_conversation_is_marked_for_the_cache_and_a_lone_question_is_not() -> None:
    system = {"messages": [{"role": "system", "content": "Long."}, {"role": "user", "content": "hi"}]}
    assert body_of(system, mark_cache=True)["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in body_of(asked(), mark_cache=True)
    assert "cache_control" not in body_of(system, mark_cache=False)


def test_a_cache_point_marks_what_stands_before_it_with_its_time() -> None:
    point = {"type": "cache_point", "ttl": "1h"}
    given = {"messages": [{"role": "system", "parts": [{"type": "text", "text": "Long."}, point]}, user("a", "b")]}
    assert body_of(given)["system"] == [
        {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]


def test_of_many_cache_points_the_last_are_kept() -> None:
    point = {"type": "cache_point"}
    given = {"messages": [user(*(part for n in range(6) for part in (f"part {n}", point)))]}
    blocks = body_of(given, mark_cache=False)["messages"][0]["content"]
    assert ["cache_control" in block for block in blocks] == [False, False, True, True, True, True]
    assert warned(given) == ["cache_point: Claude takes 4; the first 2 were left out"]


def test_a_callers_options_join_the_request_and_win() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    body = body_of(
        asked(tools=[WEATHER], reasoning_effort="low", response_format=FORM),
        tools=[search],
        output_config={"effort": "max"},
        service_tier="auto",
    )
    assert body["tools"][1] == search
    assert (body["output_config"]["effort"], "format" in body["output_config"]) == ("max", True)
    assert body["service_tier"] == "auto"


def test_no_option_of_a_caller_names_hosts_or_other_keys() -> None:
    assert not ALLOWED_OPTIONS & {"mcp_servers", "model", "messages", "stream", "system", "base_url", "user_profile_id"}
    for tools in ([{"type": "mcp_toolset", "mcp_server_name": "x"}], ["x"], "x", [{"name": "f", "input_schema": {}}]):
        assert failure_of(lambda tools=tools: body_of(asked(), tools=tools)).code == "INVALID_REQUEST"  # type: ignore[misc]


def test_the_key_and_the_version_are_headers_and_no_url_has_the_key() -> None:
    play = in_one_segment(stream_of(ANSWERS["text"]))
    _, wall = chat(make, "anthropic", [play], {"messages": [user("hi")]}, call_of(MODEL, stream=True))
    (seen,) = wall.requests
    assert (seen.headers["x-api-key"], seen.headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert (seen.method, seen.path, seen.body["stream"]) == ("POST", "/v1/messages", True)
    assert "authorization" not in seen.headers
