"""HTTP/1.1 to vendors, against sockets that answer byte by byte; through proxies and TLS."""

from __future__ import annotations

import asyncio
import math
import os
import resource
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from infrai_core.fetch import Fetcher
from infrai_runtime.breaker import asked_s
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call
from infrai_runtime.vendors.connection import (
    MAX_HEAD_BYTES,
    WINDOW_BYTES,
    Connection,
    Connections,
    Origin,
    Trouble,
    head_of,
)
from infrai_runtime.vendors.http import Endpoint, Http, Pool
from infrai_runtime.vendors.keyring import Keyring
from tests.core.wall import Play, answer, http
from tests.vendors.test_http import call, failed, posted, with_wall

CALL = Call("m", 10.0, Fetcher())
SECRET = "sk-very-secret-key"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = http(b'{"ok":true}')


@asynccontextmanager
async def listening(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that talks so."""
    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def vendor(url: str, **more: Any) -> AsyncIterator[Http]:
    made = Http(Endpoint("acme", url, **more), Keyring("acme", [SECRET]), Pool())
    try:
        yield made
    finally:
        await made.close()


def saying(said: bytes, heard: list[bytes]) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(said)
        await writer.drain()
        writer.close()

    return talk


def test_a_runtime_without_a_free_file_is_overloaded_and_its_vendor_not_ill() -> None:
    async def ask() -> Failure:
        async with vendor("http://127.0.0.1:9/v1") as made:
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            os.close(least := os.dup(0))
            resource.setrlimit(resource.RLIMIT_NOFILE, (least, limits[1]))
            try:
                with pytest.raises(Failure) as caught:
                    await made.post("/x", {"a": 1}, CALL)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return caught.value

    failure = asyncio.run(ask())
    assert (failure.code, failure.retry_after_s) == ("OVERLOADED", 1.0)
    assert asked_s(failure) is None  # the breaker counts nothing


# -- what may be sent -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["X-Team: a\r\nX-More: b", "X-Team: a\nb", "X-Team: a\rb", "X-Team: a\0"])
def test_a_line_break_never_makes_a_header_two(line: str) -> None:
    with pytest.raises(Trouble, match="line break"):
        head_of(["GET / HTTP/1.1", line])


@pytest.mark.parametrize(
    ("url", "named", "shown"),
    [
        ("https://a.example/v1", "a.example:443", "a.example"),
        ("http://a.example:8080", "a.example:8080", "a.example:8080"),
        ("http://a.example:443", "a.example:443", "a.example:443"),
        ("https://[::1]:4430/v1", "[::1]:4430", "[::1]:4430"),
    ],
)
def test_an_origin_has_the_port_in_its_host_where_it_is_not_the_usual_one(url: str, named: str, shown: str) -> None:
    origin = Origin.of(url)
    assert (origin.name, origin.header) == (named, shown)


# -- what may come --------------------------------------------------------------------------------------------------


def test_an_early_hint_is_not_the_answer() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    assert posted([Play([hint + OK])]) == {"ok": True}


def test_an_answer_may_end_with_its_connection() -> None:
    assert posted([Play([b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{"ok":', b"true}"])]) == {
        "ok": True
    }


def test_a_head_that_fills_the_memory_is_stopped() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"x-filler: %b\r\n" % (b"a" * 1000) * (MAX_HEAD_BYTES // 1000 + 1)
    assert "not HTTP" in failed([Play([head], hang=True)]).message


def test_an_upgrade_that_nobody_asked_for_is_an_error() -> None:
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
    assert failed([Play([upgrade], hang=True)], call(deadline_s=1)).code in ("VENDOR_ERROR", "VENDOR_TIMEOUT")


def test_bytes_after_an_answer_never_belong_to_the_next() -> None:
    async def body(made: Http, wall: Any) -> None:
        assert await made.post("/x", {}, call()) == {"ok": True}
        assert await made.post("/x", {}, call()) == {"n": 2}
        assert wall.connections == 2

    with_wall([Play([OK + http(b'{"smuggled":1}')], keep=True), answer({"n": 2})], body)


def test_a_connection_that_the_vendor_closed_while_it_was_idle_is_not_used_again() -> None:
    async def run() -> None:
        heard: list[bytes] = []
        closed = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await saying(OK, heard)(reader, writer)
            await writer.wait_closed()
            closed.set()

        async with listening(talk) as port, vendor(f"http://127.0.0.1:{port}") as made:
            assert await made.get("/x", CALL) == {"ok": True}
            await closed.wait()
            for _ in range(3):  # the loop hears of it
                await asyncio.sleep(0)
            assert await made.get("/x", CALL) == {"ok": True}
            assert len(heard) == 2

    asyncio.run(run())


class Pipe:
    """A transport that notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given: self.done.append(name)


def test_a_connection_that_nobody_reads_is_not_used_again() -> None:
    long = b"x" * (WINDOW_BYTES + 1)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(http(long) if len(heard) == 1 else OK)
        await reader.read()  # until the other side ends it
        writer.close()
        ended.release()

    async def run() -> None:
        async with listening(talk) as port:
            connections, origin = Connections(), Origin.of(f"http://127.0.0.1:{port}")
            first = (await connections.new(origin, 5)).ask(b"GET / HTTP/1.1\r\n\r\n", None, math.inf, 5)
            while not first.done:
                await asyncio.sleep(0)
            first.close()  # with its body
            assert connections.idle(origin) is None
            second = (await connections.new(origin, 5)).ask(b"GET / HTTP/1.1\r\n\r\n", None, math.inf, 5)
            await second.head()
            await connections.close()
            for _ in range(2):
                await ended.acquire()

    heard: list[bytes] = []
    ended = asyncio.Semaphore(0)
    asyncio.run(run())
    assert len(heard) == 2


def test_a_vendor_is_not_read_faster_than_its_answer_is_taken() -> None:
    async def run() -> None:
        connection, pipe = Connection(Connections()), Pipe()
        connection.transport = pipe
        answer = connection.ask(b"GET / HTTP/1.1\r\n\r\n", None, math.inf, 10)
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n")
        for _ in range(3):
            connection.data_received(b"x" * (WINDOW_BYTES // 2 + 1))
        assert pipe.done == ["write", "pause_reading"]
        assert len(await answer.chunk()) > WINDOW_BYTES
        assert pipe.done == ["write", "pause_reading", "resume_reading"]

    asyncio.run(run())


def test_a_request_may_have_less_time_than_the_one_before_on_its_connection() -> None:
    async def body(made: Http, wall: Any) -> None:
        assert await made.post("/x", {}, call(deadline_s=600)) == {"ok": True}
        with pytest.raises(Failure) as caught:
            await made.post("/x", {}, call(deadline_s=0.05))
        assert (caught.value.code, wall.connections) == ("VENDOR_TIMEOUT", 1)

    with_wall([Play([OK], keep=True), Play([], hang=True)], body)


def test_a_request_may_have_more_time_than_the_one_before_on_its_connection() -> None:
    came = threading.Event()

    async def body(made: Http, wall: Any) -> None:
        assert await made.post("/x", {}, call(deadline_s=0.05)) == {"ok": True}
        asking = asyncio.create_task(made.post("/x", {}, call(deadline_s=600)))
        await asyncio.sleep(0.1)  # beyond the time of the first
        came.set()
        assert await asking == {"ok": True}
        assert wall.connections == 1

    with_wall([Play([OK], keep=True), Play([came, OK], keep=True)], body)


# -- TLS and proxies ------------------------------------------------------------------------------------------------


def test_a_vendor_is_asked_by_tls(tls: ssl.SSLContext) -> None:
    async def run() -> None:
        heard: list[bytes] = []
        async with listening(saying(OK, heard), tls) as port, vendor(f"https://localhost:{port}/v1") as made:
            assert await made.get("/x", CALL) == {"ok": True}
        assert heard[0].startswith(b"GET /v1/x HTTP/1.1\r\n")

    asyncio.run(run())


def test_a_certificate_for_another_name_is_not_accepted(tls: ssl.SSLContext) -> None:
    async def run() -> None:
        async with listening(saying(OK, []), tls) as port, vendor(f"https://127.0.0.1:{port}") as made:
            await made.get("/x", CALL)

    with pytest.raises(Failure, match="certificate was not accepted"):
        asyncio.run(run())


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


def tunnel(heard: list[bytes]) -> Talk:
    """A proxy that opens a tunnel to the port that it is asked for."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head)
        port = int(head.split()[1].rpartition(b":")[2])
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copied(reader, back), _copied(there, writer), return_exceptions=True)

    return talk


def test_a_proxy_carries_tls_and_sees_neither_key_nor_path(tls: ssl.SSLContext) -> None:
    async def run() -> None:
        seen: list[bytes] = []
        heard: list[bytes] = []
        async with listening(saying(OK, heard), tls) as port, listening(tunnel(seen)) as proxy_port:
            proxy = f"http://me:p%40ss@127.0.0.1:{proxy_port}"
            async with vendor(f"https://localhost:{port}", proxy=proxy) as made:
                assert await made.get("/x", CALL) == {"ok": True}
        assert seen[0].startswith(f"CONNECT localhost:{port} HTTP/1.1\r\n".encode())
        assert b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in seen[0]
        assert SECRET.encode() not in seen[0]
        assert b"Proxy-Authorization" not in heard[0]
        assert SECRET.encode() in heard[0]

    asyncio.run(run())


def test_a_proxy_is_told_the_whole_address_of_plain_http() -> None:
    async def run() -> None:
        heard: list[bytes] = []
        async with (
            listening(saying(OK, heard)) as port,
            vendor("http://vendor.invalid/v1", proxy=f"http://127.0.0.1:{port}") as made,
        ):
            assert await made.get("/x", CALL) == {"ok": True}
        assert heard[0].startswith(b"GET http://vendor.invalid/v1/x HTTP/1.1\r\nHost: vendor.invalid\r\n")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "refused the connection"),
        (b"", "closed the connection"),
    ],
)
def test_a_proxy_that_opens_no_tunnel_is_a_vendor_error(said: bytes, why: str) -> None:
    async def run() -> None:
        async with (
            listening(saying(said, [])) as port,
            vendor("https://vendor.invalid", proxy=f"http://127.0.0.1:{port}") as made,
        ):
            await made.get("/x", CALL)

    with pytest.raises(Failure, match=why) as caught:
        asyncio.run(run())
    assert caught.value.code == "VENDOR_ERROR"


def test_a_proxy_that_is_not_there_is_said_to_be_so() -> None:
    async def run() -> None:
        async with listening(saying(b"", [])) as port:
            pass
        async with vendor("https://vendor.invalid", proxy=f"http://127.0.0.1:{port}") as made:
            await made.get("/x", CALL)

    with pytest.raises(Failure, match="proxy could not be reached"):
        asyncio.run(run())
