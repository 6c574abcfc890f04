"""``langchain-openai`` on a runtime: run by test_clients.py in an environment of its own; prints JSON."""

import asyncio
import json
import sys

import openai
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

BASE, KEY = sys.argv[1:]


class Person(BaseModel):
    name: str


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"18 degrees in {city}"


chat = ChatOpenAI(
    model="auto", base_url=BASE, api_key=KEY, max_retries=0, stream_usage=True, extra_body={"prefer": "cheapest"}
)
reply = chat.invoke("What is 2+2?")
chunks = list(chat.stream("What is 2+2?"))
whole = chunks[0]
for chunk in chunks[1:]:
    whole += chunk


async def asked() -> dict:
    """All in one loop, which the client's connections belong to."""
    deltas = [chunk.content async for chunk in chat.astream("What is 2+2?")]
    return {"async": (await chat.ainvoke("What is 2+2?")).content, "async_streamed": "".join(deltas)}


question = "What is the weather in Paris?"
bound = chat.bind_tools([get_weather], tool_choice="any")
called = bound.invoke(question)
streamed = None
for chunk in bound.stream(question):
    streamed = chunk if streamed is None else streamed + chunk
result = get_weather.invoke(called.tool_calls[0])
told = chat.invoke([("user", question), called, result])
vectors = OpenAIEmbeddings(
    model="auto", base_url=BASE, api_key=KEY, max_retries=0, check_embedding_ctx_length=False
).embed_documents(["one", "two"])


def raised(key: str = KEY, **more) -> list:
    """The official SDK's class of the error of a call, of which langchain-openai's is one, and its code."""
    try:
        ChatOpenAI(**{"model": "auto", "base_url": BASE, "api_key": key, "max_retries": 0, **more}).invoke("hi")
    except openai.APIStatusError as error:
        kind = next(kind for kind in type(error).__mro__ if kind.__module__.startswith("openai"))
        return [kind.__name__, error.code]
    return []


def left_early() -> str:
    """A stream that is closed after its first words."""
    stream = chat.stream("Say the numbers from one to twenty.")
    first = next(chunk.content for chunk in stream if chunk.content)
    stream.close()
    return first


with_headers = ChatOpenAI(model="auto", base_url=BASE, api_key=KEY, max_retries=0, include_response_headers=True)
headers = with_headers.invoke("What is 2+2?").response_metadata["headers"]
json_mode = chat.bind(response_format={"type": "json_object"}).invoke(
    "My name is Ada. Answer as JSON with the key name."
)

print(
    json.dumps(
        {
            "answer": reply.content,
            "usage": reply.usage_metadata["total_tokens"],
            "streamed": whole.content,
            "streamed_usage": whole.usage_metadata["total_tokens"],
            **asyncio.run(asked()),
            "call": called.tool_calls[0]["name"],
            "argument": called.tool_calls[0]["args"]["city"],
            "streamed_call": [streamed.tool_calls[0]["name"], streamed.tool_calls[0]["args"]],
            "told": told.content,
            "parsed": [
                chat.with_structured_output(Person, method=method).invoke("My name is Ada.").name
                for method in ("json_schema", "function_calling")
            ],
            "vectors": [len(vector) for vector in vectors],
            "refused": raised("wrong"),
            "unknown": raised(model="nothing"),
            "wrong": raised(temperature=5),
            "batched": [reply.content for reply in chat.batch(["What is 2+2?", "What is 2+3?"])],
            "left": left_early(),
            "vendor": headers["x-infrai-vendor"],
            "json": json.loads(json_mode.content),
            "finish": reply.response_metadata["finish_reason"],
        }
    )
)
