"""Servers on real sockets that answer as they are told, for what tests of transports ask of them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx

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


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1000)
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 8\r\n\r\ntoo long"


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
