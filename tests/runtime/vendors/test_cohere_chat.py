"""Cohere's chat: its official SDK sends the same requests and reads the same answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cohere
import pytest

from infrai_runtime.vendors.base import Chats, Embeds, Reranks, Sees
from infrai_runtime.vendors.cohere import make
from infrai_runtime.vendors.http import Pool
from tests.core.wall import Play, Wall
from tests.runtime.vendors.gemini_answers import PNG
from tests.runtime.vendors.oracle import (
    DELIVERIES,
    KEY,
    call_of,
    chat,
    cut_at,
    entry,
    failure_of,
    finish_of,
    in_one_segment,
    parts_of,
    says,
    user,
    warnings_of,
    whole,
)

Json = dict[str, Any]

MODEL = "command-a-03-2025"
ASK: Json = {"messages": [user("Hello!")]}
WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Gets the weather.",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
    },
}
OTHER: Json = {"type": "function", "function": {"name": "other", "parameters": {"type": "object", "properties": {}}}}
CALLED = {"id": "get_weather_1byjy32y4hvq", "type": "function"} | {
    "function": {"name": "get_weather", "arguments": '{"location":"Toronto"}'}
}
USAGE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 418},
    "tokens": {"input_tokens": 71, "output_tokens": 418},
}


def answer(message: Json, reason: str = "COMPLETE") -> Json:
    # https://docs.cohere.com/reference/chat (response)
    head = {"id": "c14c80c3-18eb-4519-9460-6c92edd8cfb4", "finish_reason": reason, "usage": USAGE}
    return head | {"message": {"role": "assistant", **message}}


TEXT = answer({"content": [{"type": "text", "text": "Hi there."}]})
TOOL = answer({"tool_plan": "I will look up the weather.", "tool_calls": [CALLED]}, "TOOL_CALL")
THOUGHT = answer({"content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "42"}]})
CITED = answer(
    {
        "content": [{"type": "text", "text": "It is 20 C in Toronto."}],
        "citations": [{"start": 6, "end": 10, "text": "20 C", "sources": [{"type": "tool", "id": "t:0"}]}],
    }
)


def event(kind: str, message: Json | None = None, **more: Any) -> Json:
    return {"type": kind, **more, **({} if message is None else {"delta": {"message": message}})}


def end(reason: str) -> Json:
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": USAGE}}


# https://docs.cohere.com/v2/docs/streaming
START = event("message-start", {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []})
TEXT_EVENTS = [
    START,
    event("content-start", {"content": {"type": "text", "text": ""}}, index=0),
    event("content-delta", {"content": {"text": "Hi "}}, index=0),
    event("content-delta", {"content": {"text": "there."}}, index=0),
    event("content-end", index=0),
    end("COMPLETE"),
]
TOOL_EVENTS = [
    START,
    event("tool-plan-delta", {"tool_plan": "I will look "}),
    event("tool-plan-delta", {"tool_plan": "up the weather."}),
    event(
        "tool-call-start",
        {"tool_calls": {**CALLED, "function": {"name": "get_weather", "arguments": ""}}},
        index=0,
    ),
    event("tool-call-delta", {"tool_calls": {"function": {"arguments": '{"location":'}}}, index=0),
    event("tool-call-delta", {"tool_calls": {"function": {"arguments": '"Toronto"}'}}}, index=0),
    event("tool-call-end", index=0),
    end("TOOL_CALL"),
]
# https://docs.cohere.com/v2/docs/parallel-tool-calling-example
NOW = {"id": "now_6df1sjzzt0vh", "type": "function", "function": {"name": "now", "arguments": "{}"}}
PARALLEL = answer({"tool_plan": "I will look up both.", "tool_calls": [CALLED, NOW]}, "TOOL_CALL")
PARALLEL_EVENTS = [
    START,
    event("tool-plan-delta", {"tool_plan": "I will look up both."}),
    *TOOL_EVENTS[3:7],
    event("tool-call-start", {"tool_calls": {**NOW, "function": {"name": "now", "arguments": ""}}}, index=1),
    event("tool-call-delta", {"tool_calls": {"function": {"arguments": "{}"}}}, index=1),
    event("tool-call-end", index=1),
    end("TOOL_CALL"),
]
THOUGHT_EVENTS = [
    START,
    event("content-start", {"content": {"type": "thinking", "thinking": ""}}, index=0),
    event("content-delta", {"content": {"thinking": "Hm."}}, index=0),
    event("content-end", index=0),
    event("content-start", {"content": {"type": "text", "text": ""}}, index=1),
    event("content-delta", {"content": {"text": "42"}}, index=1),
    event("content-end", index=1),
    end("COMPLETE"),
]
CITED_EVENTS = [
    START,
    event("content-start", {"content": {"type": "text", "text": ""}}, index=0),
    event("content-delta", {"content": {"text": "It is 20 C in Toronto."}}, index=0),
    event("citation-start", {"citations": CITED["message"]["citations"][0]}, index=0),
    event("citation-end", index=0),
    event("content-end", index=0),
    end("COMPLETE"),
]


def sent(events: list[Json]) -> bytes:
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events).encode()


def asked(request: Json, plays: list[Play], **more: Any) -> tuple[list[Any], Wall]:
    return chat(make, "cohere", plays, request, call_of(MODEL, **more))


def sdk(wall: Wall) -> cohere.ClientV2:
    return cohere.ClientV2(KEY, base_url=wall.url)


def flat(message: Any) -> tuple[str, str, list[tuple[str, str, str]]]:
    """(reasoning, text, calls) of a message as the SDK reads it."""
    blocks = message.content or []
    thought = (message.tool_plan or "") + "".join(getattr(block, "thinking", None) or "" for block in blocks)
    text = "".join(getattr(block, "text", None) or "" for block in blocks)
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    return thought, text, calls


def flat_parts(parts: list[Json]) -> tuple[str, str, list[tuple[str, str, str]]]:
    texts = {kind: "".join(p["text"] for p in parts if p["type"] == kind) for kind in ("reasoning", "text")}
    calls = [(p["id"], p["name"], p["arguments"]) for p in parts if p["type"] == "tool_call"]
    return texts["reasoning"], texts["text"], calls


CASES = {
    "text": (TEXT, TEXT_EVENTS),
    "tool": (TOOL, TOOL_EVENTS),
    "parallel tools, one without arguments": (PARALLEL, PARALLEL_EVENTS),
    "thought": (THOUGHT, THOUGHT_EVENTS),
    "cited": (CITED, CITED_EVENTS),
}


@pytest.mark.parametrize("name", CASES)
def test_an_answer_is_the_one_that_the_sdk_reads_whole_and_streamed(name: str) -> None:
    answered, events = CASES[name]
    made, _ = asked(ASK, [whole(answered)])
    with Wall([whole(answered)]) as wall:
        theirs = sdk(wall).chat(model=MODEL, messages=[cohere.UserChatMessageV2(content="Hello!")])
    assert flat_parts(parts_of(made)) == flat(theirs.message)
    for deliver in DELIVERIES.values():
        streamed, _ = asked(ASK, [deliver(sent(events))], stream=True)
        assert parts_of(streamed) == parts_of(made)
        assert finish_of(streamed) == finish_of(made)
    finish = finish_of(made)
    assert theirs.usage is not None
    assert theirs.usage.billed_units is not None
    assert finish.usage == {
        "prompt_tokens": theirs.usage.billed_units.input_tokens,
        "completion_tokens": theirs.usage.billed_units.output_tokens,
        "total_tokens": 423,
    }
    assert finish.reason == ("tool_calls" if "tool" in name else "stop")


@pytest.mark.parametrize("name", CASES)
def test_a_stream_is_the_one_that_the_sdk_reads(name: str) -> None:
    _, events = CASES[name]
    with Wall([in_one_segment(sent(events))]) as wall:
        theirs = list(sdk(wall).chat_stream(model=MODEL, messages=[cohere.UserChatMessageV2(content="Hello!")]))
    assert [one.type for one in theirs] == [one["type"] for one in events]


def test_a_request_is_the_one_that_the_sdk_sends() -> None:
    history = {
        "messages": [
            {"role": "system", "parts": [{"type": "text", "text": "Be brief."}]},
            user("Weather in Toronto?"),
            says({"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": '{"location":"Toronto"}'}),
            user({"type": "tool_result", "tool_call_id": "c1", "parts": [{"type": "text", "text": "20 C"}]}),
        ],
        "tools": [WEATHER],
        "tool_choice": "required",
        "max_tokens": 99,
        "temperature": 0.3,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 7,
    }
    _, wall = asked(history, [whole(TEXT)])
    call = cohere.ToolCallV2(
        id="c1",
        type="function",
        function=cohere.ToolCallV2Function(name="get_weather", arguments='{"location":"Toronto"}'),
    )
    with Wall([whole(TEXT)]) as other:
        sdk(other).chat(
            model=MODEL,
            messages=[
                cohere.SystemChatMessageV2(content="Be brief."),
                cohere.UserChatMessageV2(content="Weather in Toronto?"),
                cohere.AssistantChatMessageV2(tool_calls=[call]),
                cohere.ToolChatMessageV2(tool_call_id="c1", content="20 C"),
            ],
            tools=[cohere.ToolV2(**WEATHER)],
            tool_choice="REQUIRED",
            max_tokens=99,
            temperature=0.3,
            p=0.9,
            stop_sequences=["END"],
            seed=7,
        )
    (mine,), (theirs,) = wall.requests, other.requests
    assert (mine.path, mine.headers["authorization"]) == (theirs.path, f"Bearer {KEY}")
    assert without_nothing(mine.body) == without_nothing({n: v for n, v in theirs.body.items() if n != "stream"})


def without_nothing(value: Any) -> Any:
    """JSON without fields that are null."""
    if isinstance(value, list):
        return [without_nothing(item) for item in value]
    if isinstance(value, dict):
        return {name: without_nothing(inner) for name, inner in value.items() if inner is not None}
    return value


def body_of(**request: Any) -> Json:
    _, wall = asked(ASK | request, [whole(TEXT)])
    body: Json = wall.requests[0].body
    return body


def test_options_are_said_in_coheres_words() -> None:
    assert body_of(reasoning_effort="low")["thinking"] == {"type": "enabled", "token_budget": 1024}
    assert body_of(reasoning_effort="none")["thinking"] == {"type": "disabled"}
    one = body_of(tools=[WEATHER, OTHER], tool_choice={"type": "function", "function": {"name": "other"}})
    assert ([tool["function"]["name"] for tool in one["tools"]], one["tool_choice"]) == (["other"], "REQUIRED")
    strict = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}
    body = body_of(tools=[strict])
    assert (body["strict_tools"], "strict" in body["tools"][0]["function"]) == (True, False)


def test_a_schema_is_held_to_and_beside_tools_it_is_an_instruction() -> None:
    shape = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": shape}}
    assert body_of(response_format=form)["response_format"] == {"type": "json_object", "json_schema": shape}
    beside = body_of(response_format=form, tools=[WEATHER])
    assert "response_format" not in beside
    assert json.dumps(shape, separators=(",", ":")) in beside["messages"][0]["content"]


def shaped(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


# https://docs.cohere.com/docs/structured-outputs ("Unsupported schema features")
@pytest.mark.parametrize(
    ("given", "held"),
    [
        (shaped(n={"type": "integer", "minimum": 1}), shaped(n={"type": "integer", "description": "minimum: 1"})),
        (
            shaped(a={"type": "array", "items": {"type": "string", "minLength": 2}, "uniqueItems": True}),
            shaped(
                a={
                    "type": "array",
                    "items": {"type": "string", "description": "minLength: 2"},
                    "description": "uniqueItems: true",
                }
            ),
        ),
        (
            shaped(p={"type": "string", "pattern": "[A-Z]{3}"}, q={"type": "string", "pattern": "^a"}),
            shaped(p={"type": "string", "pattern": "[A-Z]{3}"}, q={"type": "string", "description": 'pattern: "^a"'}),
        ),
        (
            shaped(d={"type": "string", "format": "date"}, e={"type": "string", "format": "email"}),
            shaped(d={"type": "string", "format": "date"}, e={"type": "string", "description": 'format: "email"'}),
        ),
        (shaped(c={"const": "k"}) | {"additionalProperties": False}, shaped(c={"const": "k"})),
        (
            shaped(r={"$ref": "#/$defs/Road"}, anyOf={"allOf": [{"$ref": "#/$defs/Road"}], "description": "a way"})
            | {"$defs": {"Road": shaped(length={"type": "number"})}},
            shaped(
                r=shaped(length={"type": "number"}),
                anyOf=shaped(length={"type": "number"}) | {"description": "a way"},
            ),
        ),
    ],
)
def test_a_schema_is_cut_down_to_what_cohere_reads(given: Json, held: Json) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": given}}
    body = body_of(response_format=form)
    assert body["response_format"] == {"type": "json_object", "json_schema": held}
    assert len(body["messages"]) == len(body_of()["messages"])


@pytest.mark.parametrize(
    "given",
    [
        shaped(x={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        shaped(x={"type": "object", "additionalProperties": {"type": "number"}}),
        {"type": "object", "properties": {"x": {"type": "string"}}},
        shaped(x={"$ref": "#/$defs/N"}) | {"$defs": {"N": shaped(next={"$ref": "#/$defs/N"})}},
        shaped(x={"$ref": "https://example.com/other.json"}),
        {"type": "array", "items": {"type": "string"}},
    ],
)
def test_a_schema_that_cohere_cannot_say_is_an_instruction_in_json_mode(given: Json) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": given, "strict": True}}
    made, wall = asked(ASK | {"response_format": form}, [whole(TEXT)])
    body = wall.requests[0].body
    assert body["response_format"] == {"type": "json_object"}
    assert json.dumps(given, separators=(",", ":")) in body["messages"][0]["content"]
    assert warnings_of(made) == ["response_format: Cohere cannot be held to this schema; it is an instruction"]


def test_tools_that_cannot_be_strict_are_not_and_say_so() -> None:
    free = {"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}}
    made, wall = asked(ASK | {"tools": [free]}, [whole(TEXT)])
    assert "strict_tools" not in wall.requests[0].body
    assert warnings_of(made) == ["tools: Cohere cannot hold every call to its schema; none is strict here"]


def test_an_image_goes_along_as_a_data_url() -> None:
    image = {"type": "image", "base64": PNG, "mime": "image/png"}
    _, wall = asked({"messages": [user("What is it?", image)]}, [whole(TEXT)])
    content = wall.requests[0].body["messages"][0]["content"]
    assert content[1] == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


def test_what_cohere_has_no_option_for_is_told() -> None:
    made, _ = asked(ASK | {"user": "u", "choices": 2, "parallel_tool_calls": False}, [whole(TEXT)])
    assert [warning.partition(":")[0] for warning in warnings_of(made)] == ["user", "choices", "parallel_tool_calls"]


@pytest.mark.parametrize("place", [5, 3, 1])
def test_a_cut_stream_raises(place: int) -> None:
    data = sent(TEXT_EVENTS[:place])
    failure = failure_of(lambda: asked(ASK, [cut_at(data, len(data))], stream=True))
    assert (failure.code, "ended before its end mark" in failure.message) == ("VENDOR_ERROR", True)


ENDED_BADLY = sent([START, {"type": "message-end", "delta": {"error": "boom", "finish_reason": "ERROR"}}])
BROKEN: dict[str, Callable[[], Any]] = {
    "an error at the end": lambda: asked(ASK, [whole(answer({"content": []}, "ERROR"))]),
    "an error in the stream": lambda: asked(ASK, [in_one_segment(ENDED_BADLY)], stream=True),
    "another shape": lambda: asked(ASK, [whole({"id": "x"})]),
    "no JSON in the stream": lambda: asked(ASK, [in_one_segment(b"data: {oops\n\n")], stream=True),
    "its own refusal": lambda: asked(ASK, [whole({"id": "x", "message": "model overloaded"}, 503)]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_answer_is_the_vendors_failure(name: str) -> None:
    assert failure_of(BROKEN[name]).code == "VENDOR_ERROR"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_REQUEST"),
        (401, "UNAUTHORIZED"),
        (402, "INSUFFICIENT_CREDIT"),
        (404, "VENDOR_ERROR"),
        (422, "INVALID_REQUEST"),
        (429, "RATE_LIMITED"),
        (500, "VENDOR_ERROR"),
        (503, "VENDOR_ERROR"),
    ],
)
def test_an_error_is_the_one_that_the_sdk_raises(status: int, code: str) -> None:
    # https://docs.cohere.com/reference/errors
    body = {"id": "e", "message": "what went wrong"}
    failure = failure_of(lambda: asked(ASK, [whole(body, status)]))
    with Wall([whole(body, status)]) as wall, pytest.raises(cohere.core.ApiError) as raised:
        sdk(wall).chat(
            model=MODEL,
            messages=[cohere.UserChatMessageV2(content="Hello!")],
            request_options={"max_retries": 0},
        )
    assert (failure.code, raised.value.status_code) == (code, status)
    assert body["message"] in failure.message
    assert body["message"] in str(raised.value.body)


def test_cohere_alone_of_the_rerankers_answers_messages() -> None:
    with Wall([]) as wall:
        made = make(entry("cohere", wall), Pool())
        assert all(isinstance(made, kind) for kind in (Chats, Sees, Embeds, Reranks))
        assert not isinstance(make(entry("jina", wall), Pool()), Chats)
