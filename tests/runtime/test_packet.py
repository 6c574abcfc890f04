from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrai_runtime.packet import Protocol

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}
ASKED = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@asynccontextmanager
async def connected(app: ASGIApp) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server with this application."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, http=Protocol, lifespan="off", log_config=None))
        running = asyncio.create_task(server.serve([listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        yield reader, writer
        writer.close()
        server.should_exit = True
        await running


async def whole(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"hello"})


async def test_a_whole_answer_comes_in_one_packet_on_a_kept_connection() -> None:
    async with connected(whole) as (reader, writer):
        for _ in range(3):
            writer.write(ASKED)
            packet = await reader.read(1 << 16)
            assert packet.startswith(b"HTTP/1.1 200 OK\r\n")
            assert packet.endswith(b"\r\n\r\nhello")


async def test_a_head_does_not_wait_for_a_body_that_comes_later() -> None:
    read = asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await read.wait()
        await send({"type": "http.response.body", "body": b"hello"})

    async with connected(late) as (reader, writer):
        writer.write(ASKED)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        read.set()
        assert await reader.readexactly(5) == b"hello"


async def test_a_body_that_looks_like_a_head_comes_whole() -> None:
    async def odd(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"content-length", b"18")]})
        await send({"type": "http.response.body", "body": b"HTTP/1.1 ", "more_body": True})
        await send({"type": "http.response.body", "body": b"HTTP/1.1 "})

    async with connected(odd) as (reader, writer):
        writer.write(ASKED)
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(18) == b"HTTP/1.1 HTTP/1.1 "


async def test_an_answer_that_ends_its_connection_loses_nothing() -> None:
    async with connected(whole) as (reader, writer):
        writer.write(ASKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert (await reader.read()).endswith(b"hello")


async def test_what_is_no_request_is_refused_in_words() -> None:
    async with connected(whole) as (reader, writer):
        writer.write(b"nonsense\r\n\r\n")
        assert b"400 Bad Request" in await reader.read()
