"""The synchronous transport against real sockets: what httpx's own transport promises, and beside it as an oracle."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from infrai_core import ConfigError, Infrai, ProtocolError, Retry, Timeout
from infrai_core.socket_http import SocketTransport
from infrai_core.transport import CONNECT_TIMEOUT_S, SyncPool, _tls
from tests.core.talking import (
    BADLY_PACKED,
    FAULTS,
    OK,
    PACKED,
    TOO_LARGE,
    Talk,
    Threads,
    listening,
    request,
    saying,
    silent,
)

Make = Callable[[], httpx.BaseTransport]
TRANSPORTS: list[Make] = [
    lambda: Threads(SocketTransport(httpx.create_ssl_context(), httpx.Limits())),
    httpx.HTTPTransport,
]
both = pytest.mark.parametrize("make", TRANSPORTS, ids=["ours", "httpx"])


def ask(transport: httpx.BaseTransport, sent: httpx.Request) -> bytes:
    response = transport.handle_request(sent)
    try:
        return response.read()
    finally:
        response.close()


def against(
    talk: Talk, make: Make, use: Callable[[httpx.BaseTransport, int], None], tls: ssl.SSLContext | None
) -> None:
    """Runs ``use`` in a thread, with a transport and the port of a server that answers so."""

    def whole(port: int) -> None:
        with make() as transport:
            use(transport, port)

    async def body() -> None:
        async with listening(talk, tls) as port:
            await asyncio.to_thread(whole, port)

    asyncio.run(body())


def test_a_request_leaves_in_one_piece_and_its_connection_is_kept() -> None:
    heard: list[bytes] = []

    def use(transport: httpx.BaseTransport, port: int) -> None:
        for content in (b"hello", b"", b"hello"):
            assert ask(transport, request(f"http://127.0.0.1:{port}/x", content)) == b"ok"

    against(saying(OK, heard), TRANSPORTS[0], use, None)
    assert [piece.partition(b"\r\n\r\n")[2] for piece in heard] == [b"hello", b"", b"hello"]
    assert all(piece.startswith(b"POST /x HTTP/1.1\r\n") for piece in heard)


@both
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_raised_as_httpx_raises_it(make: Make, fault: str) -> None:
    talk, error = FAULTS[fault]

    def use(transport: httpx.BaseTransport, port: int) -> None:
        with pytest.raises(error) as raised:
            ask(transport, request(f"http://127.0.0.1:{port}", read=0.05 if fault == "silence" else 5.0))
        assert type(raised.value) is error

    against(talk, make, use, None)


@both
@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://nowhere.invalid"])
def test_who_cannot_be_reached_is_a_connect_error(make: Make, url: str) -> None:
    with make() as transport, pytest.raises(httpx.ConnectError, match=r"\w"):
        ask(transport, request(url))


@both
def test_a_handshake_that_does_not_end_is_a_connect_timeout(make: Make) -> None:
    def use(transport: httpx.BaseTransport, port: int) -> None:
        with pytest.raises(httpx.ConnectTimeout):
            ask(transport, request(f"https://127.0.0.1:{port}", connect=0.05))

    against(silent, make, use, None)


@both
def test_a_server_that_takes_nothing_is_a_write_timeout(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, make() as transport:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(httpx.WriteTimeout):
            transport.handle_request(request(url, bytes(30_000_000), write=0.05))


@both
def test_an_answer_that_comes_before_the_whole_request_was_sent_is_read(make: Make) -> None:
    early = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 8\r\n\r\ntoo long"

    async def impatient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(early)
        await writer.drain()
        while await reader.read(1_000_000):
            pass

    def pieces() -> Iterator[bytes]:
        for _ in range(50):
            yield bytes(100_000)

    def use(transport: httpx.BaseTransport, port: int) -> None:
        sent = request(f"http://127.0.0.1:{port}")
        sent.headers["transfer-encoding"] = "chunked"
        sent.headers.pop("content-length", None)
        sent.stream = httpx.Request("POST", sent.url, content=pieces()).stream
        response = transport.handle_request(sent)
        assert (response.status_code, response.read()) == (413, b"too long")
        response.close()

    against(impatient, make, use, None)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_of_a_server_that_reads_no_more_is_read(tls: ssl.SSLContext, scheme: str, chunked: bool) -> None:
    """As HAProxy does with what a server behind it refused early. httpx's own transport runs into its write timeout."""
    read = threading.Event()

    def unwilling(server: socket.socket) -> None:
        taken, _ = server.accept()
        with tls.wrap_socket(taken, server_side=True) if scheme == "https" else taken as connection:
            connection.recv(1_000)
            connection.sendall(TOO_LARGE)
            read.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as server, TRANSPORTS[0]() as transport:
        thread = threading.Thread(target=unwilling, args=(server,))
        thread.start()
        sent = request(f"{scheme}://localhost:{server.getsockname()[1]}", bytes(30_000_000))
        if chunked:
            sent.headers["transfer-encoding"] = "chunked"
            sent.headers.pop("content-length", None)
            sent.stream = httpx.Request("POST", sent.url, content=iter([bytes(100_000)] * 300)).stream
        response = transport.handle_request(sent)
        assert (response.status_code, response.read()) == (413, b"too long")
        response.close()
        read.set()
        thread.join()


def test_a_compressed_answer_is_read() -> None:
    def use(_: httpx.BaseTransport, port: int) -> None:
        with Infrai("k", base_url=f"http://127.0.0.1:{port}") as client:
            assert client.chat("hello").content == "hi"

    against(saying(PACKED, []), TRANSPORTS[0], use, None)


def test_an_answer_that_cannot_be_decoded_is_refused() -> None:
    def use(_: httpx.BaseTransport, port: int) -> None:
        with (
            Infrai("k", base_url=f"http://127.0.0.1:{port}") as client,
            pytest.raises(ProtocolError, match="cannot be decoded"),
        ):
            client.chat("hello")

    against(saying(BADLY_PACKED, []), TRANSPORTS[0], use, None)


def test_a_large_body_arrives_whole_in_both_directions() -> None:
    sent = bytes(range(256)) * 40_000

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        came = await reader.readexactly(len(sent))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(came) + came)
        await writer.drain()

    def use(transport: httpx.BaseTransport, port: int) -> None:
        assert ask(transport, request(f"http://127.0.0.1:{port}", sent)) == sent

    against(echo, TRANSPORTS[0], use, None)


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    closed = threading.Event()

    def use(transport: httpx.BaseTransport, port: int) -> None:
        for _ in range(3):
            closed.clear()
            assert ask(transport, request(f"http://127.0.0.1:{port}")) == b"ok"
            assert closed.wait(5)

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    against(once, TRANSPORTS[0], use, None)


def test_leaving_an_answer_closes_its_connection() -> None:
    gone = threading.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
        await writer.drain()
        await reader.read()
        gone.set()

    def use(transport: httpx.BaseTransport, port: int) -> None:
        response = transport.handle_request(request(f"http://127.0.0.1:{port}"))
        assert next(response.iter_raw()) == b"ok"
        response.close()
        assert gone.wait(5)

    against(endless, TRANSPORTS[0], use, None)


def test_tls_carries_a_large_answer(tls: ssl.SSLContext) -> None:
    heard: list[bytes] = []
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + bytes(3_000_000)

    def use(transport: httpx.BaseTransport, port: int) -> None:
        for _ in range(2):
            assert len(ask(transport, request(f"https://localhost:{port}", b"{}"))) == 3_000_000

    against(saying(large, heard), TRANSPORTS[0], use, tls)
    assert len(heard) == 2


@both
def test_a_certificate_for_another_name_is_a_connect_error(make: Make, tls: ssl.SSLContext) -> None:
    def use(transport: httpx.BaseTransport, port: int) -> None:
        with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
            ask(transport, request(f"https://127.0.0.1:{port}"))

    against(saying(OK, []), make, use, tls)


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    heard: list[bytes] = []

    def use(_: httpx.BaseTransport, port: int) -> None:
        monkeypatch.setenv("http_proxy", f"{scheme}127.0.0.1:{port}")
        pool = SyncPool("http://ai.example.com")
        assert ask(Threads(pool.get()), request("http://ai.example.com/x")) == b"ok"
        pool.close()

    against(saying(OK, heard), TRANSPORTS[0], use, None)
    assert heard[0].startswith(b"POST http://ai.example.com/x HTTP/1.1\r\n")


@pytest.mark.parametrize("exception", ["127.0.0.1", "127.0.0.1:{port}", "*"])
def test_a_host_that_the_environment_excepts_is_reached_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, exception: str
) -> None:
    def use(_: httpx.BaseTransport, port: int) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", exception.format(port=port))
        pool = SyncPool(f"http://127.0.0.1:{port}")
        assert ask(Threads(pool.get()), request(f"http://127.0.0.1:{port}")) == b"ok"
        pool.close()

    against(saying(OK, []), TRANSPORTS[0], use, None)


@pytest.mark.parametrize("proxy", ["foo://u:secret@a.example", "http://u:secret@a.example:abc"])
def test_a_proxy_that_cannot_be_used_is_a_mistake_of_the_settings(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(ConfigError, match="proxy") as caught:
        Infrai("k", base_url="http://unused.example", allow_plain_http=True).chat("hi")
    assert "secret" not in str(caught.value)


def test_a_certificate_file_that_is_not_there_is_a_mistake_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    _tls.cache_clear()
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        Infrai("k", base_url="https://unused.example").chat("hi")


def test_a_handshake_is_waited_for_no_longer_than_the_call_may_take() -> None:
    def use(_: httpx.BaseTransport, port: int) -> None:
        client = Infrai("k", base_url=f"https://127.0.0.1:{port}", timeout_s=0.05, retry=Retry(attempts=0))
        with pytest.raises(Timeout):
            client.chat("hi")

    before = time.monotonic()
    against(silent, TRANSPORTS[0], use, None)
    assert time.monotonic() - before < CONNECT_TIMEOUT_S
