"""Servers on real sockets that answer as they are told, for what tests of transports ask of them."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from infrai_core.direct import Answer, AsyncAnswer, Request

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of one answer after the other; leaving it waits until each of its connections is closed."""
    talking: set[asyncio.Task[None]] = set()

    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        await talk(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(whole, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*talking)


def saying(answer: bytes, heard: list[bytes], then: Callable[[asyncio.StreamWriter], None] | None = None) -> Talk:
    """Answers every request on a connection; ``then`` is what it does with the connection afterwards."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1_000_000):
            heard.append(piece)
            writer.write(answer)
            await writer.drain()
            if then is not None:
                then(writer)

    return talk


def request(url: str, content: bytes = b"", **timeout_s: float) -> httpx.Request:
    limits = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0} | timeout_s
    return httpx.Request("POST", url, content=content, extensions={"timeout": limits})


def _own(sent: httpx.Request) -> Request:
    """The request as the client makes it."""
    framing = (b"host", b"content-length", b"transfer-encoding")
    headers = tuple((name, value) for name, value in sent.headers.raw if name.lower() not in framing)
    whole = "transfer-encoding" not in sent.headers
    content, upload = (sent.content, None) if whole else (b"", sent.stream)
    limit_s = min(sent.extensions["timeout"].values())
    return Request(sent.method, str(sent.url), headers, content, limit_s, 5.0, upload=upload)  # type: ignore[arg-type]


class Threads(httpx.BaseTransport):
    """One of our transports as one of httpx's, so that both can be asked the same."""

    def __init__(self, ours: Any) -> None:
        self.ours = ours

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.ours.open(_own(request))
        return httpx.Response(answer.status, headers=dict(answer.headers), stream=ThreadsBody(answer))

    def close(self) -> None:
        self.ours.close()


class ThreadsBody(httpx.SyncByteStream):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.pieces()

    def close(self) -> None:
        self._answer.close()


class Tasks(httpx.AsyncBaseTransport):
    """The same for tasks."""

    def __init__(self, ours: Any) -> None:
        self.ours = ours

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.ours.open(_own(request))
        return httpx.Response(answer.status, headers=dict(answer.headers), stream=TasksBody(answer))

    async def aclose(self) -> None:
        await self.ours.aclose()


class TasksBody(httpx.AsyncByteStream):
    def __init__(self, answer: AsyncAnswer) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._answer.pieces()

    async def aclose(self) -> None:
        await self._answer.aclose()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1000)
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 8\r\n\r\ntoo long"


def _packed(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body


PACKED = _packed(gzip.compress(b'{"ok": true, "data": {"content": "hi"}}'))
BADLY_PACKED = _packed(b"\x1f\x8bno gzip")


def closing(answer: bytes) -> Talk:
    return saying(answer, [], lambda writer: writer.close())


FAULTS: dict[str, tuple[Talk, type[httpx.HTTPError]]] = {
    "reset": (reset, httpx.ReadError),
    "no word": (closing(b""), httpx.RemoteProtocolError),
    "half a head": (closing(OK[:20]), httpx.RemoteProtocolError),
    "half a body": (closing(OK[:-1]), httpx.RemoteProtocolError),
    "half a chunk": (
        closing(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"),
        httpx.RemoteProtocolError,
    ),
    "no HTTP": (closing(b"SSH-2.0-OpenSSH\r\n"), httpx.RemoteProtocolError),
    "silence": (silent, httpx.ReadTimeout),
}
