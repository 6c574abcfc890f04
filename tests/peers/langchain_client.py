"""``langchain-openai`` on a runtime: run by test_clients.py in an environment of its own; prints JSON."""

import asyncio
import json
import sys

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


async def asked() -> str:
    return (await chat.ainvoke("What is 2+2?")).content


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
try:
    ChatOpenAI(model="auto", base_url=BASE, api_key="wrong", max_retries=0).invoke("hi")
    refused = None
except Exception as error:
    refused = type(error).__mro__[0].__name__

print(
    json.dumps(
        {
            "answer": reply.content,
            "usage": reply.usage_metadata["total_tokens"],
            "streamed": whole.content,
            "streamed_usage": whole.usage_metadata["total_tokens"],
            "async": asyncio.run(asked()),
            "call": called.tool_calls[0]["name"],
            "argument": called.tool_calls[0]["args"]["city"],
            "streamed_call": [streamed.tool_calls[0]["name"], streamed.tool_calls[0]["args"]],
            "told": told.content,
            "parsed": [
                chat.with_structured_output(Person, method=method).invoke("My name is Ada.").name
                for method in ("json_schema", "function_calling")
            ],
            "vectors": [len(vector) for vector in vectors],
            "refused": refused,
        }
    )
)
