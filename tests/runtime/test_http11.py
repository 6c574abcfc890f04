from __future__ import annotations

import asyncio
import gc
import json
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrai_runtime.http11 import MOST_HEAD_BYTES, Protocol
from infrai_runtime.lifespan import CAME, LEAVE, App
from infrai_runtime.response import Head, Whole

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}
ASKED = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@asynccontextmanager
async def connected(
    app: ASGIApp, protocol: type[Protocol] = Protocol, keep_alive_s: Any = 5
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server with this application."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app, http=protocol, lifespan="off", log_config=None, proxy_headers=False, timeout_keep_alive=keep_alive_s
        )
        server = uvicorn.Server(config)
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


class Knows:
    """An application that answers what it can with a value."""

    heeds_client = False

    def endpoint(self, scope: Scope) -> Knows | None:
        return self if scope["path"] == "/value" else None

    async def answer(self, scope: Scope, receive: Receive) -> App:
        asked = await receive()
        return Whole(Head(201, "text/plain", {"X-Asked": asked["body"].decode()}), b"hello")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await whole(scope, receive, send)


async def test_an_answer_that_is_a_value_is_sent_as_one() -> None:
    async with connected(Knows()) as (reader, writer):
        for _ in range(2):
            writer.write(b"POST /value HTTP/1.1\r\nContent-Length: 3\r\n\r\nwhy")
            packet = await reader.read(1 << 16)
            assert packet.startswith(b"HTTP/1.1 201 Created\r\n")
            assert b"\r\nx-asked: why\r\ncontent-length: 5\r\n\r\nhello" in packet
            writer.write(ASKED)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_requests_that_come_together_are_answered_in_their_order() -> None:
    async def slower_first(scope: Scope, receive: Receive, send: Send) -> None:
        place = scope["query_string"]
        await asyncio.sleep(0.05 if place == b"0" else 0)
        await send({**START, "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": place})

    async with connected(slower_first) as (reader, writer):
        writer.write(b"".join(ASKED.replace(b"/ ", b"/?%d " % place, 1) for place in range(3)))
        for place in (b"0", b"1", b"2"):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(1) == place


async def test_a_caller_that_waits_to_be_asked_for_its_body_is_asked() -> None:
    async with connected(echoes) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"there")
        assert (await reader.readuntil(b"there")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_failure_of_the_application_is_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a secret")

    async with connected(breaks) as (reader, writer):
        writer.write(ASKED)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nInternal Server Error")
    assert "Exception in ASGI application" in caplog.text


@pytest.mark.parametrize(("leave", "end"), [(True, "cancelled"), (None, "made")])
async def test_an_answer_ends_with_its_caller_where_it_is_its_callers_only(
    leave: bool | None, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    ends: list[str] = []

    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"][LEAVE] = leave
        begun.set()
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
            await asyncio.sleep(0.01)
            ends.append("made")
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        finally:
            ended.set()

    async with connected(answers) as (_, writer):
        writer.write(ASKED)
        await begun.wait()
        writer.close()
        await ended.wait()
    assert ends == [end]
    assert not caplog.records


@pytest.mark.parametrize("requests", [1, 3])
async def test_a_connection_that_stands_idle_is_closed(requests: int) -> None:
    async with connected(whole, keep_alive_s=0.05) as (reader, writer):
        for _ in range(requests):
            writer.write(ASKED)
            await reader.readuntil(b"hello")
        assert await reader.read() == b""


async def test_a_connection_is_not_idle_while_its_request_is_answered() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.1)
        await whole(scope, receive, send)

    async with connected(slow, keep_alive_s=0.06) as (reader, writer):
        for _ in range(2):
            writer.write(ASKED)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_connection_is_freed_when_it_ends_without_the_collector() -> None:
    made: list[weakref.ref[Protocol]] = []

    class Seen(Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            made.append(weakref.ref(self))
            super().connection_made(transport)

    gc.collect()
    gc.disable()
    try:
        async with connected(whole, Seen) as (reader, writer):
            writer.write(ASKED)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK\r\n")
        for _ in range(100):
            if made[0]() is None:
                break
            await asyncio.sleep(0.01)
        assert made[0]() is None
    finally:
        gc.enable()


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


async def test_a_body_that_has_come_is_told_with_the_request_unless_a_part_of_it_was_received() -> None:
    told: list[Any] = []

    async def tells(scope: Scope, receive: Receive, send: Send) -> None:
        told.append(scope["state"].get(CAME, "to come"))
        more = True
        while more:
            more = (await receive())["more_body"]
        told.append(scope["state"][CAME])
        await whole(scope, receive, send)

    head, body = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n", b"12345"
    async with connected(tells) as (reader, writer):
        writer.write(head + body)
        await reader.readuntil(b"hello")
        writer.write(head)
        while len(told) < 3:
            await asyncio.sleep(0.001)
        writer.write(body[:1])
        await asyncio.sleep(0.01)
        writer.write(body[1:])
        await reader.readuntil(b"hello")
    assert told == [body, body, "to come", None]


async def test_an_idle_connection_does_not_hold_the_body_of_its_last_request() -> None:
    body = b"a body that is found again"
    async with connected(whole) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await reader.readuntil(b"hello")
        await asyncio.sleep(0.01)
        things = gc.get_objects()
        assert not [thing for thing in things if type(thing) is dict and thing.get(CAME) == body]
        assert not [thing for thing in things if type(thing) is list and thing[:1] == [body]]


async def test_no_header_of_an_answer_ends_its_line_or_begins_another() -> None:
    async def odd(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [*START["headers"], (b"x-told", scope["query_string"].replace(b"+", b"\r\n"))]})
        await send({"type": "http.response.body", "body": b"hello"})

    async with connected(odd) as (reader, writer):
        writer.write(ASKED.replace(b"/ ", b"/?a ", 1))
        assert b"\r\nx-told: a\r\n" in await reader.readuntil(b"hello")
        writer.write(ASKED.replace(b"/ ", b"/?a+b:c ", 1))
        assert await reader.read() == b""


async def test_an_answer_that_ends_its_connection_loses_nothing() -> None:
    async with connected(whole) as (reader, writer):
        writer.write(ASKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert (await reader.read()).endswith(b"hello")


async def test_what_is_no_request_is_refused_in_words() -> None:
    async with connected(whole) as (reader, writer):
        writer.write(b"nonsense\r\n\r\n")
        line, error = await refusal(reader)
        assert (line, error["code"]) == (b"HTTP/1.1 400 Bad Request", "INVALID_REQUEST")


async def echoes(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    await send({**START, "headers": [(b"content-length", b"%d" % len(message["body"]))]})
    await send({"type": "http.response.body", "body": message["body"]})


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
@pytest.mark.parametrize("pause", [False, True], ids=["at once", "in two packets"])
async def test_a_caller_that_offers_another_protocol_is_answered_in_this_one(protocol: bytes, pause: bool) -> None:
    """As Java's HttpClient does with each request over plain http."""
    asked = (
        b"POST / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: %b\r\nContent-Length: 5\r\n\r\n" % protocol
    )
    async with connected(echoes) as (reader, writer):
        for body in (b"first", b"again"):
            if pause:
                writer.write(asked)
                await asyncio.sleep(0.01)
                writer.write(body)
            else:
                writer.write(asked + body)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readexactly(5) == body


async def test_a_caller_that_wants_a_tunnel_is_refused() -> None:
    for target in (b"elsewhere:443", b"/"):
        async with connected(echoes) as (reader, writer):
            writer.write(b"CONNECT %b HTTP/1.1\r\nHost: elsewhere\r\n\r\n" % target)
            assert (await refusal(reader))[0] == b"HTTP/1.1 400 Bad Request"


class Hasty(Protocol):
    """Waits for a head no longer than a test can."""

    head_s = 0.05


ENDLESS = {
    "target": b"GET /",
    "header": b"GET / HTTP/1.1\r\nX-Long: ",
    "trailer": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Long: ",
}


@pytest.mark.parametrize("begun", ENDLESS.values(), ids=ENDLESS)
async def test_a_head_without_an_end_is_refused_before_it_fills_the_memory(begun: bytes) -> None:
    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass

    async with connected(reads) as (reader, writer):
        writer.write(begun)
        with suppress(ConnectionError):
            for _ in range(64):
                writer.write(b"a" * MOST_HEAD_BYTES)
                await writer.drain()
        assert writer.is_closing() or not await _rest(reader)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """What follows a refusal."""
    with suppress(ConnectionError):
        return (await reader.read()).partition(b"}}")[2]
    return b""


async def refusal(reader: asyncio.StreamReader) -> tuple[bytes, Any]:
    """The first line of an answer that ends the connection, and the error in its body."""
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    return head.partition(b"\r\n")[0], json.loads(body)["error"]


async def test_a_head_that_is_too_large_is_refused_in_words() -> None:
    async with connected(whole) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nX-Long: " + b"a" * MOST_HEAD_BYTES)
        line, error = await refusal(reader)
        assert line == b"HTTP/1.1 431 Request Header Fields Too Large"
        assert error["message"] == "the head of the request is larger than the 65536 bytes allowed"


async def test_a_large_body_is_no_large_head() -> None:
    async def counts(scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        await send({**START, "headers": [(b"content-length", b"7")]})
        await send({"type": "http.response.body", "body": b"%7d" % size})

    async with connected(counts) as (reader, writer):
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n")
            for _ in range(3):
                writer.write(b"a" * 1_000_000)
                await writer.drain()
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(7) == b"3000000"


LATE = {
    "nothing": (b"", b""),
    "a body that nobody reads": (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n", b"a"),
}


@pytest.mark.parametrize(("answered", "late"), LATE.values(), ids=LATE)
async def test_a_caller_that_does_not_finish_its_request_loses_its_connection(answered: bytes, late: bytes) -> None:
    async with connected(whole, Hasty) as (reader, writer):
        if answered:
            writer.write(answered)
            await reader.readuntil(b"hello")
        writer.write(late)
        with suppress(ConnectionError):
            assert await reader.read() == b""


@pytest.mark.parametrize("before", [b"", ASKED], ids=["the first", "a second"])
async def test_a_head_that_does_not_come_in_time_is_refused_in_words(before: bytes) -> None:
    async with connected(whole, Hasty) as (reader, writer):
        if before:
            writer.write(before)
            await reader.readuntil(b"hello")
        writer.write(b"GET / HTTP/1.1\r\nHost:")
        line, error = await refusal(reader)
        assert (line, error["code"]) == (b"HTTP/1.1 408 Request Timeout", "REQUEST_TIMEOUT")
        assert error["retryable"] is True


# -- callers that still send when they have their answer ---------------------------------------------------------------


async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers before it has read anything, and takes no other request on the connection."""
    await send({**START, "status": 413, "headers": [(b"content-length", b"5"), (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b"large"})


async def test_a_caller_that_still_sends_hears_why_it_is_refused_and_is_not_cut_off() -> None:
    async with connected(refuses) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n")
        answer = await reader.read()  # to the end: the server sends nothing more
        assert answer.endswith(b"large")
        for _ in range(8):
            writer.write(b"a" * 1_000_000)
            await writer.drain()  # and hears everything
        writer.write_eof()


class Brief(Protocol):
    """Hears nobody out for longer than a test can wait."""

    linger_s = 0.05


async def test_a_caller_that_sends_for_ever_is_not_heard_for_ever() -> None:
    async with connected(refuses, Brief) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await reader.read()).endswith(b"large")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"1\r\na\r\n")
                await writer.drain()
                await asyncio.sleep(0)


# -- callers that do not read ------------------------------------------------------------------------------------------


class Impatient(Protocol):
    """Waits for a reader no longer than a test can."""

    send_s = 0.05


async def test_a_caller_that_reads_nothing_loses_its_connection() -> None:
    gone = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": []})
        waiting = asyncio.create_task(receive())
        await waiting  # the request
        waiting = asyncio.create_task(receive())
        while not waiting.done():
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
            await asyncio.sleep(0)
        gone.set()

    async with connected(endless, Impatient) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(ASKED)
        await gone.wait()


async def test_a_caller_that_reads_slowly_gets_all_of_its_answer() -> None:
    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"content-length", b"20000000")]})
        await send({"type": "http.response.body", "body": bytes(20_000_000)})

    class Patient(Protocol):
        send_s = 0.2

    async with connected(large, Patient) as (reader, writer):
        writer.write(ASKED)
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(20):
            await reader.readexactly(1_000_000)
            await asyncio.sleep(0.02)


# -- HTTP/1.0 ----------------------------------------------------------------------------------------------------------


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    await send({**START, "headers": []})
    await send({"type": "http.response.body", "body": b"one ", "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


async def test_a_caller_of_http_1_0_gets_a_stream_without_chunks_that_ends_with_its_connection() -> None:
    async with connected(streams) as (reader, writer):
        writer.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert b"\r\nconnection: close" in head
        assert body == b"one two"


async def test_a_caller_of_http_1_0_gets_a_whole_answer_with_its_length() -> None:
    async with connected(whole) as (reader, writer):
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert b"content-length: 5" in head
        assert body == b"hello"


async def test_a_stream_that_is_cut_looks_whole_to_no_caller_of_http_1_0() -> None:
    async def cut(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await cut(scope, receive, send)
        raise ValueError

    for app in (cut, broken):
        async with connected(app) as (reader, writer):
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                await reader.read()


async def test_an_answer_may_take_longer_than_a_head() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(3 * Hasty.head_s)
        await whole(scope, receive, send)

    async with connected(slow, Hasty) as (reader, writer):
        for _ in range(2):
            writer.write(ASKED)
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(5) == b"hello"
