"""The floor: the least that a Python gateway can do. Raw ASGI on uvicorn, aiohttp to the upstream, JSON parsed and
written again both ways, every chunk of a stream too; no keys, no routing, no books.

``python -m benchmarks.pass_through PORT UPSTREAM``
"""

from __future__ import annotations

import sys
from typing import Any

import aiohttp
import orjson
import uvicorn

Scope = Any


class PassThrough:
    """The application."""

    def __init__(self, upstream: str) -> None:
        self._url = f"{upstream}/v1/chat/completions"
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        body = orjson.loads((await receive())["body"] or b"{}")
        headers = {"content-type": "application/json", "authorization": "Bearer sk-upstream-key"}
        async with self._session.post(self._url, data=orjson.dumps(body), headers=headers) as response:
            await (self._stream if body.get("stream") else self._whole)(response, send)

    async def _whole(self, response: aiohttp.ClientResponse, send: Any) -> None:
        data = orjson.dumps(orjson.loads(await response.read()))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    async def _stream(self, response: aiohttp.ClientResponse, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        rest = b""
        async for piece in response.content.iter_any():
            *events, rest = (rest + piece).split(b"\n\n")
            await send({"type": "http.response.body", "body": b"".join(map(_again, events)), "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _again(event: bytes) -> bytes:
    data = event[6:]
    return b"data: " + (data if data == b"[DONE]" else orjson.dumps(orjson.loads(data))) + b"\n\n"


if __name__ == "__main__":
    uvicorn.run(PassThrough(sys.argv[2]), port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off")
