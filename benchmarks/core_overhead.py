"""What the client costs on top of the transport that it sends with, beside the openai SDK doing the same.

Transports answer at once from memory, so that what is left is the client's own work.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx

from benchmarks.measure import Cost, cpu_costs, import_cost_ms, table
from infrai_core import AsyncInfrai, Infrai

URL = "http://127.0.0.1:9/v1"
MESSAGES: Any = [{"role": "user", "content": "What is the capital of France?"}]
USAGE = {"prompt_tokens": 9, "completion_tokens": 80, "total_tokens": 89}
TEXT = "Paris is the capital of France. " * 12
CHUNKS = 2000
TARGET_CALL_US, TARGET_CHUNK_US = 80.0, 10.0

NATIVE = json.dumps(
    {
        "ok": True,
        "data": {
            "id": "c",
            "model": "m",
            "parts": [{"type": "text", "text": TEXT}],
            "finish_reason": "stop",
            "usage": USAGE,
        },
        "error": None,
        "metadata": {"cost_usd": 0.0001, "latency_ms": 4, "vendor": "v", "model": "m", "request_id": "r"},
    }
).encode()
OPENAI = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
).encode()


def _frames(frames: list[dict[str, Any]]) -> list[bytes]:
    """A stream as a fast service sends it: many frames coalesced into each 64 kB read."""
    body = b"".join(b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames) + b"data: [DONE]\n\n"
    return [body[i : i + 65536] for i in range(0, len(body), 65536)]


def _native_frame(text: str) -> dict[str, Any]:
    delta = {"content": text, "parts": [{"index": 0, "type": "text", "text": text}]}
    return {"delta": delta, "finish_reason": None, "index": 0}


NATIVE_STREAM = _frames(
    [_native_frame("word ") for _ in range(CHUNKS)]
    + [{"delta": {}, "finish_reason": "stop", "index": 0, "usage": USAGE, "metadata": {"vendor": "v"}}]
)
OPENAI_STREAM = _frames(
    [
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
        }
        for _ in range(CHUNKS)
    ]
)


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class Instant(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers at once with the same bytes."""

    def __init__(self, pieces: list[bytes], kind: str = "application/json") -> None:
        self._pieces = pieces
        self._headers = {"content-type": kind}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=self._headers, stream=_Body(self._pieces))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=self._headers, stream=_Body(self._pieces))


def raw_call(transport: Instant) -> None:
    """The floor: a request by hand on the bare transport, and the body parsed."""
    content = json.dumps({"messages": MESSAGES}).encode()
    headers = {"authorization": "Bearer k", "content-type": "application/json"}
    response = transport.handle_request(httpx.Request("POST", f"{URL}/ai/chat", headers=headers, content=content))
    json.loads(b"".join(response.stream))  # type: ignore[arg-type]  # the instant body is a synchronous one
    response.close()


async def raw_async_call(transport: Instant) -> None:
    """The same floor from an event loop."""
    content = json.dumps({"messages": MESSAGES}).encode()
    headers = {"authorization": "Bearer k", "content-type": "application/json"}
    request = httpx.Request("POST", f"{URL}/ai/chat", headers=headers, content=content)
    response = await transport.handle_async_request(request)
    json.loads(b"".join([piece async for piece in response.stream]))  # type: ignore[union-attr]  # an asynchronous body
    await response.aclose()


def raw_stream(transport: Instant) -> None:
    """The floor of a stream: lines split and parsed by hand."""
    response = transport.handle_request(httpx.Request("POST", f"{URL}/ai/chat"))
    rest = b""
    for piece in response.stream:  # type: ignore[union-attr]  # the instant body is a synchronous one
        *lines, rest = (rest + piece).split(b"\n\n")
        for line in lines:
            if line != b"data: [DONE]":
                json.loads(line[6:])


def _drain(stream: Any) -> None:
    for _ in stream:
        pass


def calls(batches: int, count: int) -> dict[str, Cost]:
    """CPU per whole call."""
    from openai import OpenAI

    native, shaped = Instant([NATIVE]), Instant([OPENAI])
    client = Infrai("k", base_url=URL, transport=native)
    client_openai = Infrai("k", base_url=URL, transport=shaped, dialect="openai")
    sdk = OpenAI(api_key="k", base_url=URL, http_client=_sdk_client(OPENAI, "application/json"))
    work = {
        "bare transport": lambda: raw_call(native),
        "infrai_core": lambda: client.chat(MESSAGES),
        "infrai_core, openai dialect": lambda: client_openai.chat(MESSAGES),
        "openai SDK": lambda: sdk.chat.completions.create(model="m", messages=MESSAGES),
    }
    return cpu_costs(work, per_call=1, batches=batches, calls=count) | _async_calls(native, batches, count)


def _sdk_client(content: bytes, kind: str, pieces: list[bytes] | None = None) -> Any:
    """The SDK's own kind of client over a transport that answers at once."""
    import httpx2

    class Body(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(pieces or [content])

    def answer(request: Any) -> Any:
        return httpx2.Response(200, headers={"content-type": kind}, stream=Body())

    return httpx2.Client(transport=httpx2.MockTransport(answer))


def _async_calls(transport: Instant, batches: int, count: int) -> dict[str, Cost]:
    client = AsyncInfrai("k", base_url=URL, transport=transport)

    async def bare() -> None:
        for _ in range(count):
            await raw_async_call(transport)

    async def ours() -> None:
        for _ in range(count):
            await client.chat(MESSAGES)

    work = {"bare transport, async": lambda: anyio.run(bare), "infrai_core, async": lambda: anyio.run(ours)}
    return cpu_costs(work, per_call=count, batches=batches, calls=1)


def chunks(batches: int) -> dict[str, Cost]:
    """CPU per coalesced chunk of a stream."""
    from openai import OpenAI

    native = Instant(NATIVE_STREAM, "text/event-stream")
    client = Infrai("k", base_url=URL, transport=native)
    sdk = OpenAI(api_key="k", base_url=URL, http_client=_sdk_client(b"", "text/event-stream", OPENAI_STREAM))
    work = {
        "bare transport": lambda: raw_stream(native),
        "infrai_core": lambda: _drain(client.stream_chat(MESSAGES)),
        "openai SDK": lambda: _drain(sdk.chat.completions.create(model="m", messages=MESSAGES, stream=True)),
    }
    return cpu_costs(work, per_call=CHUNKS, batches=batches, calls=1)


IMPORTS = {
    "infrai_core": ("from infrai_core import Infrai", "import httpx, pydantic, anyio"),
    "langchain_infrai": (
        "from langchain_infrai import ChatInfrai",
        "import langchain_core.language_models.chat_models",
    ),
    "llama_index_infrai": ("import llama_index_infrai", "import llama_index.core"),
    "openai SDK": ("import openai", "pass"),
}


def imports(runs: int) -> dict[str, dict[str, float]]:
    """CPU milliseconds of an import: all of it, and beyond what it stands on."""
    found = {}
    for name, (code, base) in IMPORTS.items():
        whole, beyond = (min(import_cost_ms(code, after) for _ in range(runs)) for after in ("pass", base))
        found[name] = {"total_ms": whole, "beyond_its_base_ms": beyond}
    return found


def main(quick: bool = False) -> dict[str, Any]:
    """Measures, prints tables, and returns the numbers."""
    batches, count = (2, 5) if quick else (25, 200)
    result: dict[str, Any] = {}
    for title, unit, costs, target in (
        ("whole call", "call", calls(batches, count), TARGET_CALL_US),
        ("coalesced chunk", "chunk", chunks(2 if quick else 15), TARGET_CHUNK_US),
    ):
        rows: list[tuple[object, ...]] = []
        for name, cost in costs.items():
            floor = costs["bare transport, async" if name.endswith("async") else "bare transport"]
            rows.append((name, cost.min_us, cost.median_us, cost.min_us - floor.min_us))
        print(f"\nCPU per {title}; target: at most {target:g} µs over the bare transport")
        print(table(("", "min µs", "median µs", "over bare µs"), rows))
        result[unit] = {name: {"min_us": c.min_us, "median_us": c.median_us} for name, c in costs.items()}
        result[f"{unit}_target_us"] = target
    result["import"] = imports(1 if quick else 5)
    print("\nImport, CPU ms (least of the runs)")
    print(
        table(
            ("", "total", "beyond its base"),
            [(n, v["total_ms"], v["beyond_its_base_ms"]) for n, v in result["import"].items()],
        )
    )
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.core_overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few iterations only: does it run?")
    main(parser.parse_args().quick)
