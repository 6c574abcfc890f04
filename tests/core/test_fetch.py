"""The guarded fetcher, on real sockets: what it refuses, what it bounds, and what it brings home."""

from __future__ import annotations

import base64
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import anyio
import anyio.to_thread
import httpcore
import pytest

from infrai_core.fetch import (
    REFUSED_PORTS,
    Fetched,
    Fetcher,
    FetchFailed,
    FetchRefused,
    fetch,
    fetch_sync,
    is_public,
    redacted,
    resolve_by_system,
    stand_in,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(24)
PUBLIC = "93.184.215.14"


class Get(Protocol):
    def __call__(self, fetcher: Fetcher, url: str, **bounds: Any) -> Fetched: ...


@pytest.fixture(params=["sync", "asyncio", "trio"])
def get(request: pytest.FixtureRequest) -> Get:
    """One test body for every way to call: blocking, and on both event loops."""

    def call(fetcher: Fetcher, url: str, **bounds: Any) -> Fetched:
        bounds = {"max_bytes": 10_000, "timeout_s": 5.0, **bounds}
        if request.param == "sync":
            return fetcher.get_sync(url, **bounds)
        return anyio.run(partial(fetcher.get, url, **bounds), backend=request.param)

    return call


# -- a server that says exactly what a test wants ---------------------------------------------------


def answer(body: bytes = b"", *, status: int = 200, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def moved(to: str) -> bytes:
    return answer(status=302, Location=to)


class Server:
    """Answers each path with fixed bytes, keeps what it was sent, holds the line open where ``hang`` says."""

    def __init__(self, answers: Mapping[str, bytes], hang: Sequence[str] = ()) -> None:
        self.answers = answers
        self.hang = hang
        self.requests: list[str] = []
        self._done = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()
        return host, port

    def close(self) -> None:
        self._done.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        with_threads: list[threading.Thread] = []
        while not self._done.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                break
            with_threads.append(threading.Thread(target=self._speak, args=(connection,)))
            with_threads[-1].start()
        for thread in with_threads:
            thread.join()

    def _speak(self, connection: socket.socket) -> None:
        with connection:
            head = connection.recv(65536).decode("latin-1")
            self.requests.append(head)
            path = head.split(" ")[1] if head.startswith("GET ") else ""
            try:
                connection.sendall(self.answers.get(path, b"what?"))
            except OSError:
                return
            if path in self.hang:
                self._done.wait(10)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(answers: Mapping[str, bytes], hang: Sequence[str] = ()) -> Server:
        servers.append(Server(answers, hang))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def playing(server: Server, *hosts: str) -> Fetcher:
    return stand_in(dict.fromkeys(hosts or ("example.com",), server.address))


def resolving(*addresses: str) -> Callable[[str, int], Any]:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


async def never_connects(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
    raise AssertionError(f"connected to {ip}:{port}")


# -- what comes home ------------------------------------------------------------------------------


def test_data_type_and_address_come_back(serve: Callable[..., Server], get: Get) -> None:
    server = serve({"/cat.png?sig=secret": answer(PNG, Content_Type="image/png; q=1")})
    got = get(playing(server), "https://example.com/cat.png?sig=secret")
    assert got == Fetched(PNG, "image/png", "https://example.com/cat.png")


def test_the_host_header_is_the_name_and_no_cookie_or_credential_is_sent(
    serve: Callable[..., Server], get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server = serve({"/": answer(b"x", Set_Cookie="a=b")})
    get(playing(server), "http://example.com/")
    head = server.requests[0].lower()
    assert "host: example.com\r\n" in head
    assert "cookie" not in head
    assert "authorization" not in head


def test_a_redirect_is_followed_without_the_cookie_it_sets(serve: Callable[..., Server], get: Get) -> None:
    to = answer(status=301, Location="/b?x=1", Set_Cookie="session=1")
    server = serve({"/a": to, "/b?x=1": answer(b"there")})
    got = get(playing(server), "http://example.com/a")
    assert (got.data, got.url) == (b"there", "http://example.com/b")
    assert "cookie" not in server.requests[1].lower()


def test_bytes_decide_the_type_when_the_server_lies(serve: Callable[..., Server], get: Get) -> None:
    server = serve({"/": answer(b"<!DOCTYPE html><p>", Content_Type="image/png")})
    with pytest.raises(FetchRefused, match="the data is text/html, wanted is image/"):
        get(playing(server), "http://example.com/", accept=("image/",))


@pytest.mark.parametrize(
    ("data", "declared", "mime"),
    [
        (PNG, "application/octet-stream", "image/png"),
        (b"\xff\xd8\xff\xe0", "", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WAVE", "audio/x-wav", "audio/x-wav"),
        (b"\x1aE\xdf\xa3", "audio/webm", "audio/webm"),
        (b"plain", "text/csv; charset=utf-8", "text/csv"),
        (b"plain", "nonsense", "application/octet-stream"),
        (b"ID3\x04", "", "audio/mpeg"),
    ],
)
def test_the_type_is_named(serve: Callable[..., Server], data: bytes, declared: str, mime: str) -> None:
    server = serve({"/": answer(data, Content_Type=declared)})
    got = playing(server).get_sync("http://example.com/", max_bytes=100, timeout_s=5)
    assert got.mime == mime


def test_the_blocking_call_works_while_a_loop_runs_in_the_same_thread(serve: Callable[..., Server]) -> None:
    server = serve({"/": answer(b"x")})

    async def main() -> Fetched:
        return playing(server).get_sync("http://example.com/", max_bytes=9, timeout_s=5)

    assert anyio.run(main).data == b"x"


# -- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "192.88.99.1",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "100::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "not-an-address",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str, get: Get) -> None:
    assert not is_public(address)
    with pytest.raises(FetchRefused, match="not on the public internet"):
        get(Fetcher(resolve=resolving(address), connect=never_connects), "http://example.com/")


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", PUBLIC, "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
)
def test_a_public_address_passes(address: str) -> None:
    assert is_public(address)


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    fetcher = Fetcher(resolve=resolving(PUBLIC, "10.0.0.1"), connect=never_connects)
    with pytest.raises(FetchRefused, match="not on the public internet"):
        fetcher.get_sync("http://example.com/", max_bytes=9, timeout_s=5)


def test_a_name_server_that_changes_its_answer_changes_nothing(serve: Callable[..., Server], get: Get) -> None:
    """Rebinding: the first answer is public, every later one is this machine."""
    server = serve({"/": answer(b"public")})
    asked: list[str] = []
    dialled: list[tuple[str, int]] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    async def connect(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        dialled.append((ip, port))
        return await httpcore.AnyIOBackend().connect_tcp(*server.address)

    got = get(Fetcher(resolve=resolve, connect=connect), "http://rebind.example/")
    assert (got.data, asked, dialled) == (b"public", ["rebind.example"], [(PUBLIC, 80)])
    with pytest.raises(FetchRefused):
        get(Fetcher(resolve=resolve, connect=connect), "http://rebind.example/")


def test_the_next_address_is_tried_when_the_first_does_not_answer(serve: Callable[..., Server], get: Get) -> None:
    server = serve({"/": answer(b"x")})
    dialled: list[str] = []

    async def connect(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        dialled.append(ip)
        if ip == "2606:4700:4700::1111":
            raise httpcore.ConnectError("unreachable")
        return await httpcore.AnyIOBackend().connect_tcp(*server.address)

    fetcher = Fetcher(resolve=resolving("2606:4700:4700::1111", PUBLIC), connect=connect)
    assert get(fetcher, "http://example.com/").data == b"x"
    assert dialled == ["2606:4700:4700::1111", PUBLIC]


def test_the_default_guard_refuses_a_local_server(serve: Callable[..., Server]) -> None:
    server = serve({"/": answer(b"secret")})
    url = f"http://127.0.0.1:{server.address[1]}/"
    with pytest.raises(FetchRefused):
        fetch_sync(url, max_bytes=9, timeout_s=5)
    with pytest.raises(FetchRefused):
        anyio.run(partial(fetch, url, max_bytes=9, timeout_s=5))
    assert server.requests == []


def test_an_operator_may_admit_one_private_address(serve: Callable[..., Server], get: Get) -> None:
    server = serve({"/": answer(b"mine")})
    port = server.address[1]
    mine = Fetcher(allow=lambda host, ip: (host, ip) == ("127.0.0.1", "127.0.0.1"))
    assert get(mine, f"http://127.0.0.1:{port}/").data == b"mine"
    with pytest.raises(FetchRefused):
        get(mine, f"http://127.0.0.2:{port}/")


# -- URLs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "1.2.3.4.5",
        "0x",
        "example.1",
        "[::1%25lo]",
        "a_b..c",
        "-" * 64 + ".com",
        "ex%61mple.com",
        "",
        "１２７.0.0.1",
        "[127.0.0.1]",
        "a,b.com",
    ],
)
def test_a_host_that_is_not_plainly_written_is_refused(host: str) -> None:
    with pytest.raises(FetchRefused, match=r"not a host name|not a URL"):
        Fetcher(resolve=resolving(PUBLIC), connect=never_connects).get_sync(f"http://{host}/", max_bytes=9, timeout_s=5)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "internal",
        "x.localdomain",
        "nas.home.arpa",
    ],
)
def test_an_internal_name_is_refused_before_anyone_is_asked(host: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise AssertionError(f"asked for {host}")

    with pytest.raises(FetchRefused, match="an internal host name"):
        Fetcher(resolve=resolve).get_sync(f"http://{host}/", max_bytes=9, timeout_s=5)


def test_an_internal_name_with_a_public_address_needs_to_be_admitted_too() -> None:
    fetcher = Fetcher(allow=lambda host, ip: False, resolve=resolving(PUBLIC), connect=never_connects)
    with pytest.raises(FetchRefused, match="not on the public internet"):
        fetcher.get_sync("http://nas.local/", max_bytes=9, timeout_s=5)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "only http, https and data"),
        ("gopher://example.com/", "only http, https and data"),
        ("ftp://example.com/", "only http, https and data"),
        ("//example.com/", "only http, https and data"),
        ("cat.png", "only http, https and data"),
        ("http://user:pw@example.com/", "a user name or password"),
        ("http://example.com\\@evil.example/", "backslash"),
        ("http://example.com/a b", "a space"),
        ("http://example.com/\r\nX: y", "control character"),
        ("http://example.com:99999/", "port 99999 is not for http"),
        ("http://example.com/" + "a" * 9000, "more than 8192 characters"),
        ("http://[::1/", "not a URL"),
    ],
)
def test_a_url_that_breaks_a_rule_is_refused_with_the_rule(url: str, reason: str) -> None:
    with pytest.raises(FetchRefused, match=reason):
        Fetcher(resolve=resolving(PUBLIC), connect=never_connects).get_sync(url, max_bytes=9, timeout_s=5)


@pytest.mark.parametrize("port", [0, 22, 25, 6379, 11211])
def test_a_port_of_another_protocol_is_refused(port: int) -> None:
    assert port in REFUSED_PORTS
    with pytest.raises(FetchRefused, match=f"port {port} is not for http"):
        Fetcher(resolve=resolving(PUBLIC), connect=never_connects).get_sync(
            f"http://example.com:{port}/", max_bytes=9, timeout_s=5
        )


def test_another_http_port_is_dialled_as_written(serve: Callable[..., Server]) -> None:
    server = serve({"/": answer(b"x")})
    dialled: list[int] = []

    async def connect(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        dialled.append(port)
        return await httpcore.AnyIOBackend().connect_tcp(*server.address)

    fetcher = Fetcher(resolve=resolving(PUBLIC), connect=connect)
    fetcher.get_sync("http://example.com:8080/", max_bytes=9, timeout_s=5)
    assert dialled == [8080]
    assert "host: example.com:8080\r\n" in server.requests[0].lower()


# -- redirects --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "//localhost/",
        "http://2130706433/",
        "file:///etc/passwd",
        "data:text/plain,x",
        "http://u:p@example.com/",
    ],
)
def test_a_redirect_passes_the_same_guard(serve: Callable[..., Server], get: Get, to: str) -> None:
    server = serve({"/": moved(to)})
    with pytest.raises(FetchRefused):
        get(playing(server), "http://example.com/")
    assert len(server.requests) == 1


def test_a_redirect_to_a_name_with_a_private_address_is_refused(serve: Callable[..., Server], get: Get) -> None:
    server = serve({"/": moved("http://inside.example/")})

    async def resolve(host: str, port: int) -> Sequence[str]:
        return {"example.com": [PUBLIC], "inside.example": ["10.0.0.7"]}[host]

    async def connect(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        return await httpcore.AnyIOBackend().connect_tcp(*server.address)

    with pytest.raises(FetchRefused, match=r"not on the public internet: http://inside\.example/"):
        get(Fetcher(resolve=resolve, connect=connect), "http://example.com/")


def test_three_redirects_are_followed_and_a_fourth_is_not(serve: Callable[..., Server], get: Get) -> None:
    hops = {f"/{n}": moved(f"/{n + 1}") for n in range(4)}
    server = serve({**hops, "/4": answer(b"end")})
    assert get(playing(server), "http://example.com/1").data == b"end"
    with pytest.raises(FetchRefused, match="more than 3 redirects"):
        get(playing(server), "http://example.com/0")


# -- bounds -----------------------------------------------------------------------------------------


def test_a_declared_size_over_the_bound_is_refused_before_the_body(serve: Callable[..., Server], get: Get) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n"
    server = serve({"/": head}, hang=["/"])
    with pytest.raises(FetchRefused, match="more than 10000 bytes"):
        get(playing(server), "http://example.com/")


def test_a_body_without_a_declared_size_is_cut_at_the_bound(serve: Callable[..., Server], get: Get) -> None:
    server = serve({"/": b"HTTP/1.1 200 OK\r\n\r\n" + bytes(10_001)}, hang=["/"])
    with pytest.raises(FetchRefused, match="more than 10000 bytes"):
        get(playing(server), "http://example.com/")


def test_a_body_of_exactly_the_bound_is_whole(serve: Callable[..., Server], get: Get) -> None:
    server = serve({"/": answer(bytes(10_000))})
    assert len(get(playing(server), "http://example.com/").data) == 10_000


def test_a_compression_bomb_is_refused_at_the_bound(serve: Callable[..., Server], get: Get) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    server = serve({"/": answer(bomb, Content_Encoding="gzip")})
    with pytest.raises(FetchRefused, match="more than 100000 bytes"):
        get(playing(server), "http://example.com/", max_bytes=100_000)


def test_compressed_answers_are_unpacked_though_none_was_asked_for(serve: Callable[..., Server], get: Get) -> None:
    packed = gzip.compress(b"one, ") + gzip.compress(b"two")
    server = serve({"/": answer(packed, Content_Encoding="gzip"), "/br": answer(b"?", Content_Encoding="br")})
    assert get(playing(server), "http://example.com/").data == b"one, two"
    assert "accept-encoding: identity\r\n" in server.requests[0].lower()
    with pytest.raises(FetchFailed, match="compressed the answer as 'br'"):
        get(playing(server), "http://example.com/br")


@pytest.mark.parametrize("body", [gzip.compress(b"x" * 999)[:-9], b"not gzip at all"], ids=["cut", "other"])
def test_a_broken_compressed_answer_is_a_failure(serve: Callable[..., Server], body: bytes) -> None:
    server = serve({"/": answer(body, Content_Encoding="gzip")})
    with pytest.raises(FetchFailed):
        playing(server).get_sync("http://example.com/", max_bytes=9999, timeout_s=5)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_a_server_that_stalls_runs_into_the_time_limit(serve: Callable[..., Server], get: Get, sent: bytes) -> None:
    server = serve({"/": sent}, hang=["/"])
    with pytest.raises(FetchFailed, match="no whole answer in time"):
        get(playing(server), "http://example.com/", timeout_s=0.2)


def test_a_name_server_that_stalls_runs_into_the_time_limit(get: Get) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        await anyio.sleep_forever()
        raise AssertionError

    with pytest.raises(FetchFailed, match="no whole answer in time"):
        get(Fetcher(resolve=resolve), "http://example.com/", timeout_s=0.05)


def test_an_answer_cut_short_is_a_failure_not_a_short_answer(serve: Callable[..., Server], get: Get) -> None:
    server = serve({"/": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"})
    with pytest.raises(FetchFailed, match="RemoteProtocolError"):
        get(playing(server), "http://example.com/")


@pytest.mark.parametrize("status", [204, 304, 404, 500])
def test_only_success_is_an_answer(serve: Callable[..., Server], status: int) -> None:
    server = serve({"/": f"HTTP/1.1 {status} X\r\n\r\n".encode()})
    call = partial(playing(server).get_sync, "http://example.com/", max_bytes=9, timeout_s=5)
    if status == 204:
        assert call().data == b""
        return
    with pytest.raises(FetchFailed, match=f"status {status}"):
        call()


def test_a_closed_port_is_a_failure(get: Get) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(FetchFailed, match="ConnectError"):
        get(stand_in({"example.com": address}), "http://example.com/")


def test_a_name_without_an_address_is_a_failure(get: Get) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(FetchFailed, match="Name or service not known"):
        get(Fetcher(resolve=resolve), "http://example.com/")
    with pytest.raises(FetchFailed, match="no address"):
        get(Fetcher(resolve=resolving()), "http://example.com/")


def test_tls_is_spoken_under_the_name_with_the_checked_address(serve: Callable[..., Server], get: Get) -> None:
    """A plain server behind an https URL must not do: the stand-in alone may skip the handshake."""
    server = serve({"/": answer(b"x")})

    async def connect(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        assert (ip, port) == (PUBLIC, 443)
        return await httpcore.AnyIOBackend().connect_tcp(*server.address)

    with pytest.raises(FetchFailed):
        get(Fetcher(resolve=resolving(PUBLIC), connect=connect), "https://named.example/")
    hello = server.requests[0]
    assert hello.startswith("\x16\x03")
    assert "named.example" in hello


def test_a_blocked_name_server_thread_does_not_hold_the_blocking_call(get: Get) -> None:
    free = threading.Event()

    async def resolve(host: str, port: int) -> Sequence[str]:
        await anyio.to_thread.run_sync(free.wait, 30, abandon_on_cancel=True)
        return []

    begun = time.monotonic()
    try:
        with pytest.raises(FetchFailed, match="no whole answer in time"):
            get(Fetcher(resolve=resolve), "http://example.com/", timeout_s=0.05)
    finally:
        took_s = time.monotonic() - begun
        free.set()
    assert took_s < 10


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_names_that_hang_take_no_threads_from_anything_else(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    free, asked = threading.Event(), threading.Semaphore(0)

    def hang(*_: Any, **__: Any) -> list[Any]:
        asked.release()
        free.wait(30)
        return []

    async def ask() -> None:
        threads = int(anyio.to_thread.current_default_thread_limiter().total_tokens)
        async with anyio.create_task_group() as group:
            for number in range(threads):
                group.start_soon(resolve_by_system, f"h{number}.example", 80)
            try:
                with anyio.fail_after(10):
                    for _ in range(threads):
                        await anyio.to_thread.run_sync(asked.acquire)
            finally:
                free.set()

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    anyio.run(ask, backend=backend)


def test_a_name_in_another_script_is_asked_for_in_its_dns_form(serve: Callable[..., Server]) -> None:
    server = serve({"/": answer(b"x")})
    fetcher = playing(server, "xn--bcher-kva.example")
    assert fetcher.get_sync("http://bücher.example/", max_bytes=9, timeout_s=5).data == b"x"
    assert "host: xn--bcher-kva.example\r\n" in server.requests[0].lower()


def test_a_stand_in_weakens_the_guard_for_its_hosts_only(serve: Callable[..., Server], get: Get) -> None:
    server = serve({"/": answer(b"x")})
    fetcher = playing(server, "example.com", "cdn.example")
    assert get(fetcher, "https://cdn.example/").data == b"x"
    for url in ("http://127.0.0.1/", "http://127.53.0.0/", "http://127.53.0.1/", "http://localhost/"):
        with pytest.raises(FetchRefused):
            get(fetcher, url)


# -- data URLs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "data", "mime"),
    [
        ("data:,a%20b", b"a b", "text/plain"),
        ("data:text/csv;charset=utf-8,a%2Cb", b"a,b", "text/csv"),
        ("DATA:image/png;base64," + base64.b64encode(PNG).decode(), PNG, "image/png"),
        ("data:;base64," + base64.b64encode(PNG).decode().rstrip("="), PNG, "image/png"),
        ("data:a/b;base64,-_8%3D", b"\xfb\xff", "a/b"),
    ],
)
def test_a_data_url_is_decoded_without_a_network(url: str, data: bytes, mime: str) -> None:
    got = Fetcher(connect=never_connects).get_sync(url, max_bytes=99, timeout_s=5)
    assert (got.data, got.mime) == (data, mime)
    assert "," not in got.url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("data:text/plain;base64," + base64.b64encode(bytes(100)).decode(), "more than 99 bytes"),
        ("data:," + "a" * 1000, "more than 99 bytes"),
        ("data:image/png;base64,@@@", "base64 is broken"),
        ("data:image/png;base64,A", "base64 is broken"),
        ("data:nothing", "without a comma"),
    ],
)
def test_a_data_url_is_bounded_and_checked(url: str, reason: str) -> None:
    with pytest.raises(FetchRefused, match=reason):
        Fetcher().get_sync(url, max_bytes=99, timeout_s=5)


# -- secrets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example/p?sig=SECRET",
        "https://h.example/p#SECRET",
        "https://u:SECRET@h.example/p",
        "https://SECRET@h.example/p",
        "https://u:SEC/SECRET@h.example/p",
        "u:SECRET@h.example",
        "data:text/plain,SECRET",
        "https://h.example/p\n?SECRET",
    ],
)
def test_what_is_shown_of_a_url_holds_no_secret(url: str) -> None:
    assert "SECRET" not in redacted(url)
    assert "SEC" not in redacted(url)
    assert "\n" not in redacted(url)


def test_no_error_shows_the_query(serve: Callable[..., Server], get: Get) -> None:
    server = serve({"/a?sig=SECRET": answer(status=404), "/b?sig=SECRET": moved("http://10.0.0.1/?sig=SECRET")})
    for path, kind in (("a", FetchFailed), ("b", FetchRefused)):
        with pytest.raises((FetchFailed, FetchRefused)) as caught:
            get(playing(server), f"http://example.com/{path}?sig=SECRET")
        assert type(caught.value) is kind
        assert "SECRET" not in f"{caught.value} {caught.value.url} {caught.value.__cause__}"
        assert caught.value.reason in str(caught.value)
