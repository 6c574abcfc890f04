"""The LiteLLM SDK on a runtime: run by test_clients.py; prints what it got as JSON."""

import asyncio
import io
import json
import os
import sys
import wave

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


async def asked() -> dict:
    """All in one loop, which the client's connections belong to."""
    stream = await litellm.acompletion("openai/auto", SUM, stream=True, **TO)
    return {
        "async": (await litellm.acompletion("openai/auto", SUM, **TO)).choices[0].message.content,
        "async_streamed": "".join([c.choices[0].delta.content or "" async for c in stream if c.choices]),
        "async_vectors": [len(r["embedding"]) for r in (await litellm.aembedding("openai/auto", ["one"], **TO)).data],
    }


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


def raised(model: str = "openai/auto", key: str = KEY, **more) -> list:
    """The class of the error of a call, and its status."""
    try:
        litellm.completion(model, SUM, api_base=BASE, api_key=key, max_retries=0, **more)
    except Exception as error:
        return [type(error).__name__, getattr(error, "status_code", None)]
    return []


def left_early() -> str:
    """A stream that is left after its first words."""
    stream = litellm.completion("openai/auto", SUM, stream=True, **TO)
    return next(chunk.choices[0].delta.content for chunk in stream if chunk.choices[0].delta.content)


image = litellm.image_generation("a red circle", "openai/auto", size="64x64", **TO)

spoken = litellm.speech("openai/auto", input="one two", voice="alloy", response_format="wav", **TO)
silence = io.BytesIO()
with wave.open(silence, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
    file.writeframes(b"\0\0" * 3200)
heard = litellm.transcription("openai/auto", file=("a.wav", silence.getvalue()), **TO)
FORM = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
parsed = litellm.completion(
    "openai/auto",
    [{"role": "user", "content": "My name is Ada."}],
    response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": FORM, "strict": True}},
    **TO,
)

print(
    json.dumps(
        {
            "answer": whole.choices[0].message.content,
            "usage": whole.usage.total_tokens,
            "streamed": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
            "rebuilt": litellm.stream_chunk_builder(chunks, SUM).choices[0].message.content,
            **asyncio.run(asked()),
            "call": call.function.name,
            "told": told.choices[0].message.content,
            "narrowed": narrowed.choices[0].message.tool_calls[0].function.name,
            "argument": json.loads(call.function.arguments)["city"],
            "vectors": [len(row["embedding"]) for row in litellm.embedding("openai/auto", ["one", "two"], **TO).data],
            "image": image.data[0].url.startswith(BASE),
            "refused": raised(key="wrong"),
            "unknown": raised("openai/nothing"),
            "wrong": raised(temperature=5),
            "left": left_early(),
            "sound": spoken.content[:4].decode("latin-1"),
            "heard": heard.text,
            "parsed": json.loads(parsed.choices[0].message.content)["name"],
        }
    )
)
