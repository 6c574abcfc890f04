"""The asyncio transport against real sockets: what httpx's own transport promises, and beside it as an oracle."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import httpx
import pytest

from infrai_core import AsyncInfrai, ProtocolError
from infrai_core.asyncio_http import AsyncioTransport, TrioTransport
from infrai_core.transport import AsyncPool, SyncPool, _tls
from tests.core.talking import (
    BADLY_PACKED,
    FAULTS,
    OK,
    PACKED,
    TOO_LARGE,
    Tasks,
    Threads,
    listening,
    request,
    saying,
    silent,
)

TRANSPORTS: list[Callable[[], httpx.AsyncBaseTransport]] = [
    lambda: Tasks(AsyncioTransport(httpx.create_ssl_context(), httpx.Limits())),
    httpx.AsyncHTTPTransport,
]
both = pytest.mark.parametrize("make", TRANSPORTS, ids=["ours", "httpx"])


async def ask(transport: httpx.AsyncBaseTransport, sent: httpx.Request) -> bytes:
    response = await transport.handle_async_request(sent)
    try:
        return await response.aread()
    finally:
        await response.aclose()


Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test's body on a loop."""
    make = None if request.param == "asyncio" else pytest.importorskip("uvloop").new_event_loop

    def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(body())

    return run


def test_a_request_leaves_in_one_piece_and_its_connection_is_kept(run: Run) -> None:
    async def body() -> None:
        heard: list[bytes] = []
        async with listening(saying(OK, heard)) as port, TRANSPORTS[0]() as transport:
            for _ in range(3):
                assert await ask(transport, request(f"http://127.0.0.1:{port}/x", b"hello")) == b"ok"
        assert len(heard) == 3
        assert all(piece.startswith(b"POST /x HTTP/1.1\r\n") and piece.endswith(b"\r\n\r\nhello") for piece in heard)

    run(body)


@both
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_raised_as_httpx_raises_it(
    make: Callable[[], httpx.AsyncBaseTransport], fault: str, run: Run
) -> None:
    async def body() -> None:
        talk, error = FAULTS[fault]
        async with listening(talk) as port, make() as transport:
            with pytest.raises(error) as raised:
                await ask(transport, request(f"http://127.0.0.1:{port}", read=0.05 if fault == "silence" else 5.0))
            assert type(raised.value) is error

    run(body)


@both
@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://nowhere.invalid"])
def test_who_cannot_be_reached_is_a_connect_error(
    make: Callable[[], httpx.AsyncBaseTransport], url: str, run: Run
) -> None:
    async def body() -> None:
        async with make() as transport:
            with pytest.raises(httpx.ConnectError, match=r"\w"):
                await ask(transport, request(url))

    run(body)


@both
def test_a_handshake_that_does_not_end_is_a_connect_timeout(
    make: Callable[[], httpx.AsyncBaseTransport], run: Run
) -> None:
    async def body() -> None:
        async with listening(silent) as port, make() as transport:
            with pytest.raises(httpx.ConnectTimeout):
                await ask(transport, request(f"https://127.0.0.1:{port}", connect=0.05))

    run(body)


@both
def test_a_server_that_takes_nothing_is_a_write_timeout(make: Callable[[], httpx.AsyncBaseTransport], run: Run) -> None:
    async def body() -> None:
        done = asyncio.Event()

        async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await done.wait()

        async with listening(deaf) as port, make() as transport:
            with pytest.raises(httpx.WriteTimeout):
                await ask(transport, request(f"http://127.0.0.1:{port}", bytes(30_000_000), write=0.05))
            done.set()

    run(body)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_of_a_server_that_reads_no_more_is_read(tls: ssl.SSLContext, scheme: str, run: Run) -> None:
    """As HAProxy does with what a server behind it refused early. httpx's own transport runs into its write timeout."""

    async def body() -> None:
        done = asyncio.Event()

        async def unwilling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(TOO_LARGE)
            await done.wait()

        async with listening(unwilling, tls if scheme == "https" else None) as port, TRANSPORTS[0]() as transport:
            response = await transport.handle_async_request(request(f"{scheme}://localhost:{port}", bytes(30_000_000)))
            assert (response.status_code, await response.aread()) == (413, b"too long")
            await response.aclose()
            done.set()

    run(body)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_compressed_answer_is_read(backend: str) -> None:
    async def ask_at(port: int) -> str:
        async with AsyncInfrai("k", base_url=f"http://127.0.0.1:{port}") as client:
            return (await client.chat("hello")).content

    async def body() -> None:
        async with listening(saying(PACKED, [])) as port:
            assert await asyncio.to_thread(lambda: anyio.run(ask_at, port, backend=backend)) == "hi"

    asyncio.run(body())


def test_an_answer_that_cannot_be_decoded_is_refused(run: Run) -> None:
    async def body() -> None:
        async with (
            listening(saying(BADLY_PACKED, [])) as port,
            AsyncInfrai("k", base_url=f"http://127.0.0.1:{port}") as client,
        ):
            with pytest.raises(ProtocolError, match="cannot be decoded"):
                await client.chat("hello")

    run(body)


def test_a_large_body_arrives_whole_in_both_directions(run: Run) -> None:
    async def body() -> None:
        sent = bytes(range(256)) * 40_000

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            came = await reader.readexactly(len(sent))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(came) + came)
            await writer.drain()

        async with listening(echo) as port, TRANSPORTS[0]() as transport:
            assert await ask(transport, request(f"http://127.0.0.1:{port}", sent)) == sent

    run(body)


def test_each_wait_on_a_connection_has_its_own_limit(run: Run) -> None:
    async def slower(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for pause_s in (0.0, 0.8):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(pause_s)
            writer.write(OK)
        await reader.read()

    async def body() -> None:
        async with listening(slower) as port, TRANSPORTS[0]() as transport:
            url = f"http://127.0.0.1:{port}"
            assert await ask(transport, request(url, read=0.5)) == b"ok"
            assert await ask(transport, request(url)) == b"ok"  # though the first limit is over meanwhile
            with pytest.raises(httpx.ReadTimeout):
                await ask(transport, request(url, read=0.05))

    run(body)


def test_a_reader_that_takes_its_time_slows_the_sender_down(run: Run) -> None:
    async def body() -> None:
        sent = 0
        resting = asyncio.Event()
        total = 100_000_000

        async def much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.read(1000)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
            while sent < total:
                writer.write(bytes(1_000_000))
                sent += 1_000_000
                asyncio.get_running_loop().call_later(0.2, rest_if, sent)
                await writer.drain()
            resting.set()

        def rest_if(then: int) -> None:
            if sent == then:
                resting.set()

        async with listening(much) as port, TRANSPORTS[0]() as transport:
            response = await transport.handle_async_request(request(f"http://127.0.0.1:{port}"))
            await resting.wait()
            assert sent < total / 2
            assert len(await response.aread()) == total
            await response.aclose()

    run(body)


def test_a_connection_that_the_server_closed_unnoticed_is_not_used_again(run: Run) -> None:
    """The loop had no turn between the goodbye and the next request."""

    async def body() -> None:
        async with TRANSPORTS[0]() as transport:
            with socket.create_server(("127.0.0.1", 0)) as server:
                url = f"http://127.0.0.1:{server.getsockname()[1]}"
                for _ in range(2):
                    asked = asyncio.create_task(ask(transport, request(url)))
                    connection, _ = await asyncio.to_thread(server.accept)
                    await asyncio.to_thread(connection.recv, 1000)
                    connection.sendall(OK)
                    assert await asked == b"ok"
                    connection.close()

    run(body)


async def _end(scope: anyio.CancelScope, when: asyncio.Event) -> None:
    await when.wait()
    scope.cancel()


def test_a_cancelled_request_closes_its_connection(run: Run) -> None:
    async def body() -> None:
        gone = asyncio.Event()
        came = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            came.set()
            await reader.read()
            gone.set()

        async with listening(wait) as port, TRANSPORTS[0]() as transport:
            asked = asyncio.create_task(ask(transport, request(f"http://127.0.0.1:{port}")))
            await came.wait()
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            await gone.wait()

            came.clear()
            gone.clear()
            with anyio.CancelScope() as scope:
                ended = asyncio.create_task(_end(scope, came))
                await ask(transport, request(f"http://127.0.0.1:{port}"))
            await ended
            assert scope.cancelled_caught
            await gone.wait()

    run(body)


def test_tls_carries_a_large_answer(tls: ssl.SSLContext, run: Run) -> None:
    async def body() -> None:
        heard: list[bytes] = []
        large = b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + bytes(3_000_000)
        async with listening(saying(large, heard), tls) as port, TRANSPORTS[0]() as transport:
            for _ in range(2):
                assert len(await ask(transport, request(f"https://localhost:{port}", b"{}"))) == 3_000_000
        assert len(heard) == 2

    run(body)


@both
def test_a_certificate_for_another_name_is_a_connect_error(
    make: Callable[[], httpx.AsyncBaseTransport], tls: ssl.SSLContext, run: Run
) -> None:
    async def body() -> None:
        async with listening(saying(OK, []), tls) as port, make() as transport:
            with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
                await ask(transport, request(f"https://127.0.0.1:{port}"))

    run(body)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_each_loop_has_sockets_of_its_own(backend: str) -> None:
    async def body() -> str:
        async with AsyncInfrai(api_key="k", base_url="http://127.0.0.1:1"):
            pool = AsyncPool("http://127.0.0.1:1")
            try:
                return type(await pool.get()).__name__
            finally:
                await pool.aclose()

    expected = {"asyncio": "AsyncioTransport", "trio": "TrioTransport"}
    assert anyio.run(body, backend=backend) == expected[backend]


@asynccontextmanager
async def unwilling(tls: ssl.SSLContext | None, tunnels: bool = False) -> AsyncIterator[int]:
    """The port of a server that answers early and reads no more, in a thread of its own; where it ``tunnels``, it first
    plays a proxy that leads to itself."""
    read = threading.Event()

    def serve(server: socket.socket) -> None:
        taken, _ = server.accept()
        if tunnels:
            assert taken.recv(10_000).startswith(b"CONNECT localhost:4443 HTTP/1.1\r\n")
            taken.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with taken if tls is None else tls.wrap_socket(taken, server_side=True) as connection:
            connection.recv(1_000)
            connection.sendall(TOO_LARGE)
            read.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            read.set()
            await anyio.to_thread.run_sync(thread.join)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("chunked", [False, True])
def test_on_trio_an_answer_of_a_server_that_reads_no_more_is_read(
    tls: ssl.SSLContext, scheme: str, chunked: bool
) -> None:
    class Pieces(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(300):
                yield bytes(100_000)

    async def body() -> None:
        trusted = httpx.create_ssl_context()
        async with (
            unwilling(tls if scheme == "https" else None) as port,
            Tasks(TrioTransport(trusted, httpx.Limits())) as ours,
        ):
            sent = request(f"{scheme}://localhost:{port}", bytes(30_000_000))
            if chunked:
                sent.headers["transfer-encoding"] = "chunked"
                sent.headers.pop("content-length", None)
                sent.stream = Pieces()
            assert await ask(ours, sent) == b"too long"

    anyio.run(body, backend="trio")


@pytest.mark.parametrize("content", [b"", b"hello", bytes(300_000)], ids=["nothing", "little", "much"])
def test_on_trio_a_connection_is_kept_for_the_next_request(content: bytes) -> None:
    taken: list[str] = []

    class Echoes(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            taken.append(str(self.client_address))
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    async def body(port: int) -> None:
        async with Tasks(TrioTransport(httpx.create_ssl_context(), httpx.Limits())) as ours:
            for _ in range(3):
                assert await ask(ours, request(f"http://127.0.0.1:{port}", content)) == content

    with ThreadingHTTPServer(("127.0.0.1", 0), Echoes) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        anyio.run(body, server.server_address[1], backend="trio")
        server.shutdown()
        thread.join()
    assert len(set(taken)) == 1


@pytest.mark.parametrize("caller", ["a thread", "asyncio", "trio"])
def test_an_answer_that_comes_early_through_a_proxy_is_read(
    monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext, caller: str
) -> None:
    def send(sent: httpx.Request) -> bytes:
        pool = SyncPool("https://localhost:4443")
        response = Threads(pool.get()).handle_request(sent)
        said = response.read()
        pool.close()
        return said

    async def asend(sent: httpx.Request) -> bytes:
        pool = AsyncPool("https://localhost:4443")
        said = await ask(Tasks(await pool.get()), sent)
        await pool.aclose()
        return said

    async def body() -> None:
        async with unwilling(tls, tunnels=True) as port:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
            sent = request("https://localhost:4443/x", bytes(30_000_000))
            said = await anyio.to_thread.run_sync(send, sent) if caller == "a thread" else await asend(sent)
            assert said == b"too long"

    _tls.cache_clear()  # it trusts this test's authority
    anyio.run(body, backend="trio" if caller == "trio" else "asyncio")
    _tls.cache_clear()


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    async def body() -> None:
        heard: list[bytes] = []
        async with listening(saying(OK, heard)) as port:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
            pool = AsyncPool("http://ai.example.com")
            assert await ask(Tasks(await pool.get()), request("http://ai.example.com/x")) == b"ok"
            await pool.aclose()
        assert heard[0].startswith(b"POST http://ai.example.com/x HTTP/1.1\r\n")

    run(body)
