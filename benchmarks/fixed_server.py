"""A server in a process of its own that answers every call at once with the same bytes, in both dialects.

The first part of a URL's path chooses the answer: ``/plain`` a short reply, or its stream coalesced into one write;
``/text-<n>`` the same with n pieces; ``/paced`` a stream with a millisecond between chunks; ``/args-<n>`` a stream of
one tool call with n argument fragments. Embeddings have 1,536 dimensions, in the encoding that was asked for.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

CHUNKS = 2000
PACED_CHUNKS = 300
PACE_S = 0.001
DIMENSIONS = 1536
USAGE = {"prompt_tokens": 9, "completion_tokens": 80, "total_tokens": 89}
SERVED = {"cost_usd": 0.0001, "latency_ms": 4, "vendor": "v", "model": "m", "request_id": "r", "cache_hit": False}
TEXT = "Paris is the capital of France. " * 12
_VECTOR = [((i * 7919) % 1000 - 500) / 1000 for i in range(DIMENSIONS)]
_PACKED = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *_VECTOR)).decode()

Frames = list[bytes]


# -- what is answered ----------------------------------------------------------------------------------------------


@cache
def native_reply() -> bytes:
    """A whole chat answer of the native surface."""
    data = {"id": "c", "model": "m", "parts": [{"type": "text", "text": TEXT}], "finish_reason": "stop", "usage": USAGE}
    return json.dumps({"ok": True, "data": data, "error": None, "metadata": SERVED}).encode()


@cache
def openai_reply() -> bytes:
    """The same, OpenAI-shaped (https://platform.openai.com/docs/api-reference/chat/object)."""
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({**_openai("chat.completion"), "choices": [choice], "usage": USAGE}).encode()


def _openai(kind: str) -> dict[str, Any]:
    return {"id": "c", "object": kind, "created": 1, "model": "m", "system_fingerprint": "f"}


def _frame(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@cache
def native_stream(count: int, tool: bool) -> Frames:
    """The frames of a native stream with ``count`` pieces of text, or of a tool's arguments."""
    frames = [_native_delta(place, count, tool) for place in range(count)]
    last = {"delta": {}, "finish_reason": "stop", "index": 0, "usage": USAGE, "metadata": SERVED}
    return [*(_frame({"delta": d, "finish_reason": None, "index": 0}) for d in frames), _frame(last), _DONE]


def _native_delta(place: int, count: int, tool: bool) -> dict[str, Any]:
    if not tool:
        return {"content": "word ", "parts": [{"index": 0, "type": "text", "text": "word "}]}
    named = {} if place else {"id": "call_1", "name": "write"}
    return {"parts": [{"index": 0, "type": "tool_call", **named, "arguments": _argument(place, count)}]}


def _argument(place: int, count: int) -> str:
    return {0: '{"text": "', count - 1: '"}'}.get(place, "word ")


@cache
def openai_stream(count: int, tool: bool) -> Frames:
    """The same, OpenAI-shaped; usage rides on a last chunk without choices."""
    kind = _openai("chat.completion.chunk")
    deltas = [_openai_delta(place, count, tool) for place in range(count)]
    chunks = [{**kind, "choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas]
    finish = {**kind, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [*map(_frame, [*chunks, finish, {**kind, "choices": [], "usage": USAGE}]), _DONE]


def _openai_delta(place: int, count: int, tool: bool) -> dict[str, Any]:
    if not tool:
        return {"role": "assistant", "content": "word "}
    named = {} if place else {"id": "call_1", "type": "function"}
    function = {"arguments": _argument(place, count)} | ({} if place else {"name": "write"})
    return {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **named, "function": function}]}


_DONE = b"data: [DONE]\n\n"


@cache
def embeddings(count: int, packed: bool, native: bool) -> bytes:
    """That many vectors, as base64 or as numbers."""
    vector: Any = _PACKED if packed else _VECTOR
    used = {"prompt_tokens": count, "total_tokens": count}
    if native:
        data = {"embeddings": [vector] * count, "model": "m", "usage": used}
        return json.dumps({"ok": True, "data": data, "error": None, "metadata": SERVED}).encode()
    rows = [{"object": "embedding", "index": i, "embedding": vector} for i in range(count)]
    return json.dumps({"object": "list", "model": "m", "data": rows, "usage": used}).encode()


# -- how it is answered --------------------------------------------------------------------------------------------


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, no more of it than clients of a benchmark need."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].decode("latin-1")
            length = re.search(r"(?im)^content-length: *(\d+)", head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            self._answer(head.split(" ", 2)[1], json.loads(body or b"{}"))

    def _answer(self, path: str, body: dict[str, Any]) -> None:
        kind, native = path.split("/")[1], "/ai/" in path
        if "embed" in path:
            count = len(body["input"]) if isinstance(body["input"], list) else 1
            self._whole(embeddings(count, body.get("encoding_format") == "base64", native))
        elif not body.get("stream"):
            self._whole(native_reply() if native else openai_reply())
        else:
            count = (
                PACED_CHUNKS if kind == "paced" else int(kind[5:]) if kind.startswith(("args-", "text-")) else CHUNKS
            )
            frames = (native_stream if native else openai_stream)(count, kind.startswith("args-"))
            self._stream(frames, PACE_S if kind == "paced" else 0)

    def _whole(self, content: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        self._transport.write(head.encode() + content)

    def _stream(self, frames: Frames, pace_s: float) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        if pace_s:
            self._next(iter(frames), pace_s)
        else:
            self._transport.write(_chunk(b"".join(frames)) + _chunk(b""))

    def _next(self, frames: Iterator[bytes], pace_s: float) -> None:
        frame = next(frames, b"")
        self._transport.write(_chunk(frame))
        if frame:
            asyncio.get_running_loop().call_later(pace_s, self._next, frames, pace_s)


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until the parent is gone


@contextmanager
def fixed_server() -> Iterator[str]:
    """The server's address, such as ``http://127.0.0.1:40001``, while the block runs."""
    command = [sys.executable, "-m", "benchmarks.fixed_server"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(_serve())
