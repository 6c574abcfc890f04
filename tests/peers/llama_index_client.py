"""``llama-index-llms-openai-like`` on a runtime: run by test_clients.py; prints what it got as JSON."""

import asyncio
import json
import sys

import openai
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

BASE, KEY = sys.argv[1:]


class Person(BaseModel):
    """A person."""

    name: str


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"18 degrees in {city}"


llm = OpenAILike(
    model="auto",
    api_base=BASE,
    api_key=KEY,
    max_retries=0,
    is_chat_model=True,
    is_function_calling_model=True,
    should_use_structured_outputs=True,
)
sums = [ChatMessage(role="user", content="What is 2+2?")]
weather = FunctionTool.from_defaults(get_weather)


async def asked() -> dict:
    deltas = [chunk.delta or "" async for chunk in await llm.astream_chat(sums)]
    called = await llm.achat_with_tools([weather], user_msg="What is the weather in Paris?", tool_required=True)
    call = llm.get_tool_calls_from_response(called)[0].tool_name
    answer = (await llm.achat(sums)).message.content
    return {"async": answer, "async_streamed": "".join(deltas), "async_call": call}


def raised(key: str = KEY, **more) -> list:
    """The class of the error of a call, and its code."""
    asked = {"model": "auto", "api_base": BASE, "api_key": key, "max_retries": 0, "is_chat_model": True, **more}
    try:
        OpenAILike(**asked).chat(sums)
    except openai.APIStatusError as error:
        return [type(error).__name__, error.code]
    return []


def left_early() -> str:
    """A stream that is closed after its first words."""
    stream = llm.stream_chat(sums)
    first = next(chunk.delta for chunk in stream if chunk.delta)
    stream.close()
    return first


called = llm.chat_with_tools([weather], user_msg="What is the weather in Paris?", tool_required=True)
calls = llm.get_tool_calls_from_response(called)
streamed = list(llm.stream_chat_with_tools([weather], user_msg="What is the weather in Paris?", tool_required=True))

print(
    json.dumps(
        {
            "answer": llm.chat(sums).message.content,
            "streamed": "".join(chunk.delta or "" for chunk in llm.stream_chat(sums)),
            "completed": llm.complete("What is 2+2?").text,
            **asyncio.run(asked()),
            "call": calls[0].tool_name,
            "argument": calls[0].tool_kwargs["city"],
            "streamed_call": llm.get_tool_calls_from_response(streamed[-1])[0].tool_name,
            "refused": raised("wrong"),
            "unknown": raised(model="nothing"),
            "wrong": raised(additional_kwargs={"top_p": 5}),
            "left": left_early(),
            "usage": llm.chat(sums).raw.usage.total_tokens,
            "parsed": llm.as_structured_llm(Person).complete("My name is Ada.").raw.name,
        }
    )
)
