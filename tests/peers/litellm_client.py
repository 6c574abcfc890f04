"""The LiteLLM SDK on a runtime: run by test_clients.py; prints what it got as JSON."""

import asyncio
import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look at the network

import litellm

BASE, KEY = sys.argv[1:]
litellm.suppress_debug_info = True
TO = {"api_base": BASE, "api_key": KEY, "max_retries": 0}
SUM = [{"role": "user", "content": "What is 2+2?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


async def asked() -> str:
    return (await litellm.acompletion("openai/auto", SUM, **TO)).choices[0].message.content


whole = litellm.completion("openai/auto", SUM, **TO)
chunks = list(litellm.completion("openai/auto", SUM, stream=True, stream_options={"include_usage": True}, **TO))
called = litellm.completion(
    "openai/auto",
    [{"role": "user", "content": "What is the weather in Paris?"}],
    tools=[WEATHER],
    tool_choice="required",
    **TO,
)
call = called.choices[0].message.tool_calls[0]
result = {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": "18 degrees and rain"}
told = litellm.completion(
    "openai/auto",
    [{"role": "user", "content": "What is the weather in Paris?"}, called.choices[0].message.model_dump(), result],
    tools=[WEATHER],
    **TO,
)
allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_weather"}}]}
narrowed = litellm.completion(
    "openai/auto",
    [{"role": "user", "content": "What is the weather in Paris?"}],
    tools=[WEATHER, {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}],
    tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
    **TO,
)
try:
    litellm.completion("openai/auto", SUM, api_base=BASE, api_key="wrong", max_retries=0)
    refused = None
except Exception as error:
    refused = type(error).__name__
image = litellm.image_generation("a red circle", "openai/auto", size="64x64", **TO)

print(
    json.dumps(
        {
            "answer": whole.choices[0].message.content,
            "usage": whole.usage.total_tokens,
            "streamed": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
            "rebuilt": litellm.stream_chunk_builder(chunks, SUM).choices[0].message.content,
            "async": asyncio.run(asked()),
            "call": call.function.name,
            "told": told.choices[0].message.content,
            "narrowed": narrowed.choices[0].message.tool_calls[0].function.name,
            "argument": json.loads(call.function.arguments)["city"],
            "vectors": [len(row["embedding"]) for row in litellm.embedding("openai/auto", ["one", "two"], **TO).data],
            "image": image.data[0].url.startswith(BASE),
            "refused": refused,
        }
    )
)
