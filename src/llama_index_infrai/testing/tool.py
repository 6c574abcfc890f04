"""Tests of tool calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, ToolCallBlock
from llama_index.core.tools import FunctionTool

from llama_index_infrai.testing.endpoint import CHATS, WITH_TOOLS, Endpoint, run, text_of
from llama_index_infrai.testing.subject import LLMSuite

every_way = pytest.mark.parametrize("way", WITH_TOOLS, ids=str)


def _weather(city: str) -> str:
    """Tells the weather in a city.

    Args:
        city (str): name of the city

    """
    return f"It is raining in {city} at 7 degrees."


def _time() -> str:
    """Tells what time it is."""
    return "12:30"


def _broken(city: str) -> str:
    """Tells the weather in a city.

    Args:
        city (str): name of the city

    """
    raise RuntimeError(f"no station in {city}")


WEATHER = FunctionTool.from_defaults(_weather, name="weather")
TIME = FunctionTool.from_defaults(_time, name="current_time")
BROKEN = FunctionTool.from_defaults(_broken, name="weather")


class ToolTests(LLMSuite):
    """Tool calls: asked for, read, streamed, answered."""

    @property
    def tool_question(self) -> str:
        """A prompt about the weather in Paris, for a tool ``weather(city)``."""
        return "What is the weather in Paris?"

    @property
    def two_calls_question(self) -> str:
        """A prompt that needs two calls of ``weather``."""
        return "What is the weather in Paris and in Rome?"

    @property
    def time_question(self) -> str:
        """A prompt for a tool ``current_time`` without arguments."""
        return "What time is it?"

    @pytest.fixture
    def tool_llm(self, llm: Any) -> Any:
        """The LLM, where it calls tools."""
        if not self.has_tool_calling:
            pytest.skip("the model calls no tools (has_tool_calling)")
        return llm

    # -- the request -----------------------------------------------------------------------------------------------

    def test_a_request_with_tools_has_history_message_and_options(self, tool_llm: Any) -> None:
        history = [ChatMessage(content="before")]
        made = tool_llm._prepare_chat_with_tools([WEATHER], user_msg="now", chat_history=history, stop=["x"])
        assert [message.content for message in made["messages"]] == ["before", "now"]
        assert made.get("tools")
        assert made.get("stop") == ["x"], "an option of the call got lost"

    def test_a_request_without_tools_asks_for_none(self, tool_llm: Any) -> None:
        made = tool_llm._prepare_chat_with_tools([], user_msg="now")
        assert not made.get("tools")
        assert not made.get("tool_choice")

    def test_a_required_tool_changes_the_request(self, tool_llm: Any) -> None:
        def made(required: bool) -> dict[str, Any]:
            found = tool_llm._prepare_chat_with_tools([WEATHER], user_msg="now", tool_required=required)
            return {name: value for name, value in found.items() if name != "messages"}

        assert made(True) != made(False)

    def test_the_lists_of_the_caller_are_not_changed(self, tool_llm: Any) -> None:
        history, tools = [ChatMessage(content="before")], [WEATHER]
        tool_llm._prepare_chat_with_tools(tools, user_msg="now", chat_history=history)
        assert [message.content for message in history] == ["before"]
        assert tools == [WEATHER]

    # -- the calls -------------------------------------------------------------------------------------------------

    @every_way
    def test_a_required_tool_is_called(self, tool_llm: Any, way: Endpoint) -> None:
        last = _asked(tool_llm, way, self.tool_question, [WEATHER], tool_required=True)
        (selection,) = tool_llm.get_tool_calls_from_response(last)
        assert selection.tool_name == "weather"
        assert selection.tool_id
        assert set(selection.tool_kwargs) == {"city"}
        assert "paris" in selection.tool_kwargs["city"].lower()

    @every_way
    def test_a_tool_without_arguments_is_called(self, tool_llm: Any, way: Endpoint) -> None:
        last = _asked(tool_llm, way, self.time_question, [TIME], tool_required=True)
        (selection,) = tool_llm.get_tool_calls_from_response(last)
        assert (selection.tool_name, selection.tool_kwargs) == ("current_time", {})

    @every_way
    def test_two_calls_are_two_calls(self, tool_llm: Any, way: Endpoint) -> None:
        if not self.has_parallel_tool_calls:
            pytest.skip("the model calls one tool at a time (has_parallel_tool_calls)")
        last = _asked(tool_llm, way, self.two_calls_question, [WEATHER], allow_parallel_tool_calls=True)
        found = tool_llm.get_tool_calls_from_response(last)
        assert sorted(selection.tool_kwargs["city"] for selection in found) == ["Paris", "Rome"]
        assert len({selection.tool_id for selection in found}) == 2

    @pytest.mark.parametrize("way", WITH_TOOLS[:2], ids=str)
    def test_one_call_is_kept_unless_several_are_allowed(self, tool_llm: Any, way: Endpoint) -> None:
        last = _asked(tool_llm, way, self.two_calls_question, [WEATHER], tool_required=True)
        assert len(tool_llm.get_tool_calls_from_response(last)) == 1

    @every_way
    def test_a_call_stands_in_a_block_and_where_older_code_looks(self, tool_llm: Any, way: Endpoint) -> None:
        last = _asked(tool_llm, way, self.tool_question, [WEATHER], tool_required=True)
        (block,) = _call_blocks(last)
        assert block.tool_name == "weather"
        older = last.message.additional_kwargs.get("tool_calls")
        assert older, "LlamaIndex's structured streaming and chat engines read additional_kwargs['tool_calls']"
        assert len(older) == 1

    @pytest.mark.parametrize("way", WITH_TOOLS[2:], ids=str)
    def test_calls_can_be_read_on_every_chunk(self, tool_llm: Any, way: Endpoint) -> None:
        for response in way.ask(tool_llm, [WEATHER], user_msg=self.tool_question, tool_required=True):
            for selection in tool_llm.get_tool_calls_from_response(response, error_on_no_tool_call=False):
                assert isinstance(selection.tool_kwargs, dict)

    def test_no_call_is_an_error_only_when_asked_for(self, tool_llm: Any) -> None:
        response = ChatResponse(message=ChatMessage(role="assistant", content="just text"))
        assert tool_llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
        with pytest.raises(ValueError, match=r"(?i)tool"):
            tool_llm.get_tool_calls_from_response(response)

    # -- the results -----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("endpoint", CHATS, ids=str)
    def test_the_result_of_a_call_is_answered(self, tool_llm: Any, endpoint: Endpoint) -> None:
        asked = _asked(tool_llm, WITH_TOOLS[0], self.tool_question, [WEATHER], tool_required=True)
        (selection,) = tool_llm.get_tool_calls_from_response(asked)
        result = ChatMessage(
            role=MessageRole.TOOL,
            content=_weather(**selection.tool_kwargs),
            additional_kwargs={"tool_call_id": selection.tool_id},
        )
        history = [ChatMessage(content=self.tool_question), asked.message, result]
        assert text_of(endpoint.ask(tool_llm, history)[-1]).strip()

    @pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
    def test_predict_and_call_gives_what_the_tool_said(self, tool_llm: Any, is_async: bool) -> None:
        assert _predicted(tool_llm, WEATHER, self.tool_question, is_async).response == _weather("Paris")

    @pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
    def test_the_error_of_a_tool_is_told_or_raised(self, tool_llm: Any, is_async: bool) -> None:
        told = _predicted(tool_llm, BROKEN, self.tool_question, is_async)
        assert told.sources[0].is_error
        with pytest.raises(ValueError, match="no station"):
            _predicted(tool_llm, BROKEN, self.tool_question, is_async, error_on_tool_error=True)

    @pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "whole"])
    def test_an_agent_calls_the_tool_and_answers(self, tool_llm: Any, streaming: bool) -> None:
        async def ask() -> Any:
            agent = FunctionAgent(tools=[WEATHER], llm=tool_llm, streaming=streaming)
            return await agent.run(self.tool_question)

        output = run(ask())
        assert [call.tool_name for call in output.tool_calls] == ["weather"]
        assert str(output).strip()


def _predicted(llm: Any, tool: FunctionTool, question: str, is_async: bool, **options: Any) -> Any:
    if is_async:
        return run(llm.apredict_and_call([tool], user_msg=question, tool_required=True, **options))
    return llm.predict_and_call([tool], user_msg=question, tool_required=True, **options)


def _asked(llm: Any, way: Endpoint, text: str, tools: Sequence[Any], **options: Any) -> ChatResponse:
    last: ChatResponse = way.ask(llm, tools, user_msg=text, **options)[-1]
    return last


def _call_blocks(response: ChatResponse) -> list[ToolCallBlock]:
    return [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
