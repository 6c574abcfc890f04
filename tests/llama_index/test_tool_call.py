from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.base.llms.types import ChatResponse, ToolCallBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

from infrai_core.testing import Script, reply, streamed
from llama_index_infrai import Infrai

Make = Callable[..., tuple[Infrai, Script]]


def weather(city: str) -> str:
    """Tells the weather.

    Args:
        city (str): where

    """
    return f"rain in {city}"


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


WEATHER = FunctionTool.from_defaults(weather)
ADD = FunctionTool.from_defaults(add)
NAMED = {"type": "function", "function": {"name": "weather"}}


def prepared(*tools: FunctionTool, **options: Any) -> dict[str, Any]:
    return Infrai(api_key="k")._prepare_chat_with_tools(list(tools), **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"tool_required": True}, "required"),
        ({"tool_choice": None, "tool_required": True}, "required"),
        ({"tool_choice": "auto"}, "auto"),
        ({"tool_choice": "none", "tool_required": True}, "none"),
        ({"tool_choice": "weather", "tool_required": True}, NAMED),
        ({"tool_choice": NAMED}, NAMED),
    ],
)
def test_the_tool_choice_of_the_caller_stands_before_tool_required(options: dict[str, Any], expected: Any) -> None:
    assert prepared(WEATHER, **options).get("tool_choice") == expected


@pytest.mark.parametrize(("allowed", "expected"), [(False, False), (True, None)])
def test_parallel_calls_are_forbidden_unless_allowed(allowed: bool, expected: bool | None) -> None:
    assert prepared(WEATHER, allow_parallel_tool_calls=allowed).get("parallel_tool_calls") is expected


def test_without_tools_nothing_about_tools_is_sent() -> None:
    assert prepared(user_msg="hi", tool_required=True, tool_choice="auto").keys() == {"messages"}


def test_tools_are_described_by_name_and_schema() -> None:
    (tool,) = prepared(WEATHER)["tools"]
    assert (tool["type"], tool["function"]["name"]) == ("function", "weather")
    assert tool["function"]["parameters"]["properties"]["city"]["type"] == "string"


def test_a_long_description_is_sent_and_not_refused() -> None:
    tool = FunctionTool.from_defaults(add, name="add", description="x" * 3000)
    assert len(prepared(tool)["tools"][0]["function"]["description"]) == 3000


def test_the_lists_of_the_caller_are_not_changed() -> None:
    history, tools = [ChatMessage(content="before")], [WEATHER]
    options: dict[str, Any] = {"tool_choice": copy.deepcopy(NAMED)}
    found = Infrai(api_key="k")._prepare_chat_with_tools(tools, user_msg="now", chat_history=history, **options)
    assert [message.content for message in found["messages"]] == ["before", "now"]
    assert [message.content for message in history] == ["before"]
    assert (tools, options) == ([WEATHER], {"tool_choice": NAMED})


def test_a_user_message_may_be_a_message() -> None:
    message = ChatMessage(role="user", content="now")
    assert prepared(WEATHER, user_msg=message)["messages"] == [message]


def test_other_options_of_the_call_are_handed_on(scripted: Make) -> None:
    llm, script = scripted(reply("no"))
    llm.chat_with_tools([WEATHER], user_msg="hi", temperature=0.3)
    assert script.requests[0].body["temperature"] == 0.3


TWO = [("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"})]


def called_cities(llm: Infrai, response: ChatResponse) -> list[str]:
    return [selection.tool_kwargs["city"] for selection in llm.get_tool_calls_from_response(response)]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("allowed", "cities"), [(False, ["Rome"]), (True, ["Rome", "Oslo"])])
def test_one_call_is_kept_unless_several_are_allowed(
    scripted: Make, is_async: bool, allowed: bool, cities: list[str]
) -> None:
    llm, _ = scripted(reply("Looking", tool_calls=TWO))
    options: dict[str, Any] = {"user_msg": "hi", "allow_parallel_tool_calls": allowed}
    if is_async:
        response = asyncio.run(llm.achat_with_tools([WEATHER], **options))
    else:
        response = llm.chat_with_tools([WEATHER], **options)
    assert called_cities(llm, response) == cities
    assert len(response.message.additional_kwargs["tool_calls"]) == len(cities)
    assert response.message.content == "Looking"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_predict_and_call_calls_the_tool(scripted: Make, is_async: bool) -> None:
    llm, _ = scripted(reply(tool_calls=[("add", {"a": 2, "b": 40})]))
    if is_async:
        found = asyncio.run(llm.apredict_and_call([ADD, WEATHER], user_msg="add"))
    else:
        found = llm.predict_and_call([ADD, WEATHER], user_msg="add")
    assert found.response == "42"


def test_no_call_is_an_error_only_when_asked_for(scripted: Make) -> None:
    llm, _ = scripted(reply("just text"))
    response = llm.chat([ChatMessage(content="hi")])
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="just text"):
        llm.get_tool_calls_from_response(response)


def test_unreadable_arguments_of_a_whole_reply_stay_as_text(scripted: Make) -> None:
    broken = {"type": "tool_call", "id": "c1", "name": "weather", "arguments": '{"city": "Ro'}
    llm, _ = scripted(reply(parts=[broken]))
    response = llm.chat([ChatMessage(content="hi")])
    (block,) = response.message.blocks
    assert isinstance(block, ToolCallBlock)
    assert block.tool_kwargs == '{"city": "Ro'
    (selection,) = llm.get_tool_calls_from_response(response)
    assert selection.tool_kwargs["unreadable_arguments"] == '{"city": "Ro'


def remove(path: str = "/") -> str:
    """Remove everything below a path."""
    raise AssertionError(f"removed {path}")


@pytest.mark.parametrize("tool", [FunctionTool.from_defaults(remove), FunctionTool.from_defaults(weather)])
def test_a_tool_is_never_run_without_the_arguments_that_were_cut_off(scripted: Make, tool: FunctionTool) -> None:
    broken = {"type": "tool_call", "id": "c1", "name": tool.metadata.name, "arguments": '{"path": "/tmp/o'}
    llm, _ = scripted(*[reply(parts=[broken], finish_reason="length")] * 2)
    for found in (
        llm.predict_and_call([tool], "hi"),
        asyncio.run(llm.apredict_and_call([tool], "hi")),
    ):
        (source,) = found.sources
        assert source.is_error
        assert "unreadable_arguments" in source.content


def test_an_agent_is_told_of_arguments_that_were_cut_off(scripted: Make) -> None:
    broken = [{"index": 0, "type": "tool_call", "id": "c1", "name": "remove", "arguments": '{"path": "/tmp/o'}]
    llm, script = scripted(streamed(broken, finish_reason="length"), streamed(["I was cut off."]))
    answer, _ = asyncio.run(run(FunctionAgent(tools=[FunctionTool.from_defaults(remove)], llm=llm), "Remove /tmp/old"))
    assert answer == "I was cut off."
    told = script.requests[1].body["messages"][-1]
    assert "unexpected keyword argument 'unreadable_arguments'" in json.dumps(told)


# -- agents --------------------------------------------------------------------------------------------------------


def call_fragments(city: str, id: str) -> list[dict[str, Any]]:
    return [
        {"index": 0, "type": "tool_call", "id": id, "name": "weather", "arguments": '{"city": '},
        {"index": 0, "type": "tool_call", "arguments": f'"{city}"}}'},
    ]


async def run(agent: FunctionAgent, question: str) -> tuple[str, list[AgentStream]]:
    handler = agent.run(question)
    seen = [event async for event in handler.stream_events() if isinstance(event, AgentStream)]
    return str(await handler), seen


def test_an_agent_calls_a_tool_and_answers_with_what_it_said(scripted: Make) -> None:
    llm, script = scripted(
        streamed(call_fragments("Rome", "c1"), finish_reason="tool_calls"), streamed(["It ", "rains"])
    )
    agent = FunctionAgent(tools=[WEATHER], llm=llm, system_prompt="Be brief.")
    text, events = asyncio.run(run(agent, "Weather in Rome?"))
    assert text == "It rains"
    assert "".join(event.delta for event in events) == "It rains"
    second = script.requests[1].body["messages"]
    assert [message["role"] for message in second] == ["system", "user", "assistant", "tool"]
    (call,) = second[2]["parts"]
    assert (call["id"], call["arguments"]) == ("c1", '{"city": "Rome"}')
    assert second[3]["parts"] == [
        {"type": "tool_result", "tool_call_id": "c1", "parts": [{"type": "text", "text": "rain in Rome"}]}
    ]
    assert llm.ledger.total.calls == 2


def test_an_agent_shows_what_the_model_thinks(scripted: Make) -> None:
    pieces = [{"index": 0, "type": "reasoning", "text": "Hm"}, {"index": 1, "type": "text", "text": "Yes"}]
    llm, _ = scripted(streamed(pieces))
    _, events = asyncio.run(run(FunctionAgent(tools=[WEATHER], llm=llm), "Sure?"))
    assert [event.thinking_delta for event in events if event.thinking_delta] == ["Hm"]


def test_an_agent_runs_in_a_second_event_loop(scripted: Make) -> None:
    llm, _ = scripted(streamed(["one"]), streamed(["two"]))
    agent = FunctionAgent(tools=[WEATHER], llm=llm)
    assert [asyncio.run(run(agent, "hi"))[0] for _ in range(2)] == ["one", "two"]


def test_an_agent_without_streams_works_too(scripted: Make) -> None:
    llm, _ = scripted(reply(tool_calls=[("weather", {"city": "Rome"})]), reply("It rains"))
    agent = FunctionAgent(tools=[WEATHER], llm=llm, streaming=False)
    assert asyncio.run(run(agent, "Weather?"))[0] == "It rains"


def test_an_agent_sends_a_call_back_with_its_vendors_signature(scripted: Make) -> None:
    signed = {"opaque": "c2ln", "vendor": "gemini", "model": "m"}
    pieces = [
        {"index": 0, "type": "tool_call", "id": "c1", "name": "weather", "arguments": '{"city": "Rome"}'},
        {"index": 0, "type": "tool_call", "done": True, **signed},
    ]
    llm, script = scripted(streamed(pieces), streamed(["Rain."]))
    answer, _ = asyncio.run(run(FunctionAgent(tools=[WEATHER], llm=llm), "Rome?"))
    assert answer == "Rain."
    (call,) = script.requests[1].body["messages"][1]["parts"]
    assert call == {"type": "tool_call", "id": "c1", "name": "weather", "arguments": '{"city": "Rome"}', **signed}
