"""Which tools may be called: ``allowed_tools`` said to every vendor, custom tools where a vendor has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from infrai_runtime import openai_surface, request
from infrai_runtime.app import create_app
from infrai_runtime.failure import Failure
from infrai_runtime.request import Ask
from infrai_runtime.vendors import anthropic, cohere, gemini, openai_like
from tests.vendors.fake import (
    Fake,
    Said,
    Seen,
    assembled,
    call_of,
    entry,
    events_of,
    says,
    serving,
    streams,
    with_vendor,
)
from tests.vendors.openai_answers import chunk, completion

from .api import served, settings
from .fake import catalogue, model

ASKED: Any = [{"role": "user", "content": "Weather in Paris?"}]


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


def named(name: str, kind: str = "function") -> dict[str, Any]:
    return {"type": kind, kind: {"name": name}}


def allowed(mode: str, *tools: dict[str, Any]) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


# https://platform.openai.com/docs/guides/function-calling#custom-tools
GRAMMAR = {"type": "grammar", "grammar": {"syntax": "lark", "definition": 'start: "SELECT" /.+/'}}
SQL = {"type": "custom", "custom": {"name": "sql", "description": "Runs a query", "format": GRAMMAR}}
TOOLS = [function("weather"), function("time"), function("news")]


def native(**fields: Any) -> Ask:
    return request.read("chat", {"messages": "hi", **fields})


def openai_shaped(**fields: Any) -> Ask:
    return openai_surface.chat_ask({"model": "auto", "messages": ASKED, **fields}, None)


@pytest.mark.parametrize("read", [native, openai_shaped])
@pytest.mark.parametrize(("mode", "needs"), [("auto", {"tools"}), ("required", {"tools", "tool_choice"})])
def test_allowed_tools_are_the_only_tools_that_a_vendor_sees(read: Any, mode: str, needs: set[str]) -> None:
    ask = read(tools=TOOLS, tool_choice=allowed(mode, named("news"), named("weather")))
    assert [tool["function"]["name"] for tool in ask.body["tools"]] == ["weather", "news"]
    assert (ask.body["tool_choice"], ask.needs) == (mode, needs)


@pytest.mark.parametrize("read", [native, openai_shaped])
@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        (
            {"tools": TOOLS, "tool_choice": allowed("auto", named("weather"), named("sports"))},
            "tool_choice.allowed_tools.tools.1.function.name",
            "came 'sports', allowed is a function of tools: weather, time, news",
        ),
        ({"tools": TOOLS, "tool_choice": named("sports")}, "tool_choice.function.name", "came 'sports'"),
        ({"tool_choice": "required"}, "tools", "tools is missing: tool_choice 'required' needs it"),
        ({"tool_choice": named("weather")}, "tools", "tools is missing: tool_choice 'function' needs it"),
        ({"tools": [], "tool_choice": allowed("auto", named("weather"))}, "tools", "tool_choice 'allowed_tools'"),
        (
            {"tools": TOOLS, "tool_choice": allowed("none", named("weather"))},
            "tool_choice.allowed_tools.mode",
            "came 'none', allowed is one of auto, required",
        ),
        ({"tools": TOOLS, "tool_choice": allowed("auto")}, "tool_choice.allowed_tools.tools", "a list of 1 to 128"),
        ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools", "is missing"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "some"}},
            "tool_choice.type",
            "came 'some', allowed is one of function",
        ),
        ({"tools": [{"type": "mcp"}]}, "tools.0.type", "came 'mcp', allowed is one of function"),
        ({"tools": [function("<lambda>")]}, "tools.0.function.name", "came '<lambda>', allowed is a name of 1 to 128"),
        (
            {"tools": [*TOOLS, function("time")]},
            "tools.3.function.name",
            "came 'time', allowed is a name that no other",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
            "tools.0.function.parameters.type",
            "came 'array', allowed is 'object'",
        ),
    ],
)
def test_a_wrong_choice_is_refused_by_field_what_came_and_what_is_allowed(
    read: Any, fields: dict[str, Any], param: str, says: str
) -> None:
    with pytest.raises(Failure) as caught:
        read(**fields)
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", param)
    assert says in caught.value.message


def test_custom_tools_are_of_the_openai_surface_and_need_a_model_that_has_them() -> None:
    ask = openai_shaped(tools=[SQL], tool_choice=named("sql", "custom"))
    assert ask.body["tools"] == [SQL]
    assert ask.needs == {"custom_tools", "tool_choice"}
    with pytest.raises(Failure, match=r"tools\.0\.type: came 'custom', allowed is one of function"):
        native(tools=[SQL])


def test_a_grammar_needs_its_definition() -> None:
    with pytest.raises(Failure) as caught:
        openai_shaped(tools=[{"type": "custom", "custom": {"name": "sql", "format": {"type": "grammar"}}}])
    assert caught.value.param == "tools.0.custom.format.grammar"


def test_a_choice_tells_functions_and_custom_tools_apart() -> None:
    with pytest.raises(Failure, match="a custom of tools: there is none"):
        openai_shaped(tools=TOOLS, tool_choice=named("weather", "custom"))


# -- what vendors get -------------------------------------------------------------------------------------------------

CUSTOM: Any = {"messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}], "tools": [SQL]}


@pytest.mark.parametrize(
    ("make", "vendor", "dialect"),
    [
        (anthropic.make, "anthropic", "anthropic"),
        (gemini.make, "gemini", "gemini"),
        (cohere.make, "cohere", "cohere"),
        (openai_like.make, "groq", "openai"),
    ],
)
def test_a_vendor_without_custom_tools_refuses_them_by_name_before_it_is_asked(
    make: Any, vendor: str, dialect: str
) -> None:
    async def body(made: Any) -> Any:
        return await events_of(made.chat(CUSTOM, call_of("some-model")))

    with serving(Fake({})) as service, pytest.raises(Failure, match=r"tools\.0\.type: came 'custom'") as caught:
        with_vendor(make, entry(vendor, service.url, dialect), body)
    assert (caught.value.code, service.requests) == ("UNSUPPORTED_CAPABILITY", [])


# https://platform.openai.com/docs/guides/function-calling#custom-tools; types: openai 3.57,
# ChatCompletionMessageCustomToolCall. The SDK has no type for the pieces of a stream, which it keeps as they come.
CALL = {"id": "call_1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
WHOLE = completion({"content": None, "tool_calls": [CALL]}, "tool_calls")
PIECES = [
    chunk({"role": "assistant", "content": None}),
    chunk({"tool_calls": [{"index": 0, **CALL, "custom": {"name": "sql", "input": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "custom": {"input": "SELECT"}}]}),
    chunk({"tool_calls": [{"index": 0, "custom": {"input": " 1"}}]}),
    chunk({}, "tool_calls"),
]


class Asked(Fake):
    """Answers whole or streamed, as it was asked."""

    def answer(self, seen: Seen) -> Said:
        self.requests.append(seen)
        return streams(PIECES) if seen.body.get("stream") else says(WHOLE)


@pytest.mark.parametrize("stream", [False, True])
def test_a_custom_call_is_read_whole_and_streamed_alike(stream: bool) -> None:
    async def body(made: Any) -> Any:
        return await events_of(made.chat(CUSTOM, call_of("gpt-6-sol", stream=stream)))

    with serving(Asked({})) as service:
        events = with_vendor(openai_like.make, entry("openai", f"{service.url}/v1"), body)
    [part] = assembled(events).parts
    assert part == {"type": "tool_call", "custom": True, "id": "call_1", "name": "sql", "arguments": "SELECT 1"}


def test_the_sdk_gets_custom_calls_from_us_as_from_the_vendor_and_hands_them_back(tmp_path: Path) -> None:
    with serving(Asked({})) as service:
        vendor = openai_like.make(entry("openai", f"{service.url}/v1"), openai_like.Pool())
        able = model("openai", "gpt-6-sol", abilities=frozenset({"tools", "tool_choice", "custom_tools"}))
        app = create_app(settings(tmp_path), vendors=[vendor], catalogue=catalogue(able))
        asked: Any = {"model": "gpt-6-sol", "messages": ASKED, "tools": [SQL]}
        theirs = openai.OpenAI(api_key="k", base_url=f"{service.url}/v1", max_retries=0)
        with served(app) as url, theirs, openai.OpenAI(api_key="k", base_url=url, max_retries=0) as ours:
            want, got = (sdk.chat.completions.create(**asked).choices[0] for sdk in (theirs, ours))
            assert got.message.tool_calls == want.message.tool_calls
            assert got.finish_reason == want.finish_reason == "tool_calls"
            streamed = [list(sdk.chat.completions.create(**asked, stream=True)) for sdk in (theirs, ours)]
            assert len({json.dumps(_joined(chunks)) for chunks in streamed}) == 1
            told = [*ASKED, got.message, {"role": "tool", "tool_call_id": "call_1", "content": "1"}]
            ours.chat.completions.create(**{**asked, "messages": told})
    sent = service.requests[-1].body
    assert sent["messages"][1]["tool_calls"] == [CALL]
    assert sent["tools"] == [SQL]


def _joined(chunks: list[Any]) -> Any:
    calls = [call for c in chunks if c.choices for call in c.choices[0].delta.tool_calls or ()]
    pieces = [call.to_dict().get("custom") or {} for call in calls]
    return [calls[0].id, calls[0].type, pieces[0]["name"], "".join(piece.get("input", "") for piece in pieces)]


def test_no_model_with_custom_tools_is_an_error_that_names_them(tmp_path: Path) -> None:
    vendor = openai_like.make(entry("groq", "http://127.0.0.1:9/v1"), openai_like.Pool())
    app = create_app(settings(tmp_path), vendors=[vendor], catalogue=catalogue(model("groq")))
    with served(app) as url:
        body = {"model": "auto", "messages": ASKED, "tools": [SQL]}
        reply = httpx.post(f"{url}/chat/completions", json=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "UNSUPPORTED_CAPABILITY", "tools")
    assert "groq/big lacks custom_tools" in error["message"]
