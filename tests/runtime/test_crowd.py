"""More connections than a server takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from infrai_runtime.crowd import SPARE, WARN_EVERY_S, Crowd
from infrai_runtime.http11 import Protocol
from infrai_runtime.response import Head, Whole

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Caller:
    """A connection. ``takes``: some of an answer is still on its way."""

    def __init__(self, takes: bool = False) -> None:
        self.rests = not takes
        self.ended = False

    def make_room(self) -> None:
        self.ended = True


def come(crowd: Crowd, count: int, **how: Any) -> list[Caller]:
    callers = [Caller(**how) for _ in range(count)]
    for caller in callers:
        crowd.enter(caller)
    return callers


def test_who_comes_when_there_are_enough_takes_the_place_of_who_waited_longest() -> None:
    crowd = Crowd(100)
    callers = come(crowd, 100)
    crowd.begin(callers[0], "/v1/ai/chat")
    crowd.wait(callers[0])  # its answer has come: now it has waited the shortest
    callers += come(crowd, 2)
    assert [caller for caller in callers if caller.ended] == callers[1:3]


def test_no_answer_that_is_on_its_way_is_cut_while_others_only_wait() -> None:
    crowd = Crowd(100)
    taking, waiting = come(crowd, 10, takes=True), come(crowd, 90)
    come(crowd, 1)
    assert not any(caller.ended for caller in taking)
    assert [caller.ended for caller in waiting] == [True, *[False] * 89]


def test_who_cannot_be_answered_is_kept_for_a_moment_to_be_told() -> None:
    crowd = Crowd(10)
    for caller in come(crowd, 10):
        assert crowd.begin(caller, "/v1/ai/chat")
    more = come(crowd, SPARE + 1)
    assert [caller.ended for caller in more] == [True, *[False] * SPARE]
    assert not crowd.begin(more[-1], "/v1/ai/chat")
    assert crowd.begin(more[-1], "/readyz")


def test_an_operator_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    times = iter((0.0, 1.0, WARN_EVERY_S))
    crowd = Crowd(1, lambda: next(times))
    for caller in come(crowd, 4):
        crowd.begin(caller, "/v1/ai/chat")
    assert caplog.messages == ["there are more connections than max_connections=1: requests are refused with 503"] * 2


# -- over sockets ------------------------------------------------------------------------------------------------------

_SERVES: Any = {"interface": "asgi3", "lifespan": "off", "log_config": None, "proxy_headers": False, "port": 0}
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """A server of so many callers, whose application answers ``/slow`` when it is told to."""

    def __init__(self, most: int) -> None:
        self.crowd = Crowd(most)
        self.slow, self.go = asyncio.Event(), asyncio.Event()
        self.lines: list[Line] = []

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            self.slow.set()
            await self.go.wait()
        await Whole(Head(200, "text/plain"), b"hello")(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        http: Any = partial(Protocol, crowd=self.crowd)
        server = uvicorn.Server(uvicorn.Config(self.answer, **_SERVES, http=http))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0)
        self.port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield
        finally:
            self.go.set()
            for _, writer in self.lines:
                writer.close()
            server.should_exit = True
            await serving

    async def connected(self, sent: bytes = b"") -> asyncio.StreamReader:
        self.lines.append(line := await asyncio.open_connection("127.0.0.1", self.port))
        line[1].write(sent)
        return line[0]

    async def asked(self, path: str) -> asyncio.StreamReader:
        return await self.connected(b"GET %b HTTP/1.1\r\nhost: here\r\n\r\n" % path.encode())


async def answered(reader: asyncio.StreamReader) -> tuple[bytes, dict[bytes, bytes], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
    first, *rows = head.split(b"\r\n")
    headers = dict(row.split(b": ", 1) for row in rows)
    return first.split(b" ")[1], headers, await reader.readexactly(int(headers[b"content-length"]))


async def test_a_request_that_is_too_many_is_refused_in_words_and_health_is_told_all_the_same() -> None:
    server = Server(1)
    async with server.running():
        slow = await server.asked("/slow")
        await server.slow.wait()
        refused = await server.asked("/v1/ai/chat")
        status, headers, body = await answered(refused)
        assert (status, headers[b"retry-after"], headers[b"connection"]) == (b"503", b"1", b"close")
        assert json.loads(body)["error"]["code"] == "OVERLOADED"
        assert json.loads(body)["error"]["retryable"]
        assert await refused.read() == b""
        assert (await answered(await server.asked("/v1/healthz")))[0] == b"200"
        server.go.set()
        assert (await answered(slow))[2] == b"hello"
        assert (await answered(await server.asked("/v1/ai/chat")))[0] == b"200"


async def test_a_caller_that_has_begun_its_request_is_told_why_its_place_is_taken() -> None:
    server = Server(1)
    async with server.running():
        begun = await server.connected(b"GET / HTTP/1.1\r\nho")
        idle = await server.connected()
        await answered(await server.asked("/"))
        for _ in range(SPARE):
            await server.connected()
        assert (await answered(begun))[0] == b"503"
        assert await begun.read() == await idle.read() == b""
        assert (await answered(await server.asked("/")))[0] == b"200"
