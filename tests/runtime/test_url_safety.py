"""Every route that takes a URL, and every known way to make it point at this machine or its network.

A server on loopback counts who comes: nobody may. The on-machine vendor reads URLs itself, so the whole way is gone.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest

from infrai_core.fetch import Fetcher, connect_by_tcp
from infrai_runtime.vendors.local import Local

from .api import client

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Canary:
    """Listens on loopback and remembers that somebody came."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret") -> None:
        self.visits = 0
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            with connection:
                connection.recv(4096)
                connection.sendall(self._answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@contextmanager
def listening(answer: bytes | None = None) -> Iterator[Canary]:
    canary = Canary(answer) if answer else Canary()
    try:
        yield canary
    finally:
        canary.close()


HOSTS = (
    *("127.0.0.1", "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "0"),
    *("0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    *("localhost", "LOCALHOST.", "a.localhost", "x.internal", "printer.local", "127.0.0.1.nip.io"),
    *("10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "169.254.169.254", "[fd00:ec2::254]", "[fe80::1%25lo]"),
    *("metadata.google.internal", "100.100.100.200", "168.63.129.16", "192.0.0.192", "１２７.0.0.1", "127。0。0。1"),
)
URLS = (
    *(f"http://{host}:{{port}}/a.png" for host in HOSTS),
    *("http://user@127.0.0.1:{port}/a.png", "http://example.com@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@a.b/"),
    *("file:///etc/passwd", "gopher://127.0.0.1:{port}/_x", "ftp://127.0.0.1:{port}/x", "//127.0.0.1:{port}/x"),
    *("http:///127.0.0.1:{port}/x", "http://127.0.0.1:{port}\t/x", "http://[::1", "http://127.0.0.1:22/x"),
)


async def resolved(host: str, port: int) -> Sequence[str]:
    """What a name server of the internet would say of a name that means loopback; offline, and the same everywhere."""
    return ["127.0.0.1"]


FETCHER = Fetcher(resolve=resolved)


def runtime(home: Path, fetcher: Fetcher) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """The on-machine vendor alone, over this fetcher."""
    return client(home, [Local(home)], fetcher=fetcher)


def said(url: str) -> list[tuple[str, dict[str, Any]]]:
    """A request to every route that takes a URL."""
    see: list[dict[str, Any]] = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]
    read = [{"type": "file", "url": url, "mime": "application/pdf"}]
    hear = [{"type": "audio", "url": url, "mime": "audio/wav"}]
    return [
        ("/ai/vision", {"prompt": "?", "images": [url]}),
        ("/ai/asr", {"audio": {"url": url}}),
        ("/ai/chat", {"messages": [{"role": "user", "content": see}]}),
        ("/ai/chat", {"messages": [{"role": "user", "parts": read}], "stream": True}),
        ("/ai/chat", {"messages": [{"role": "user", "parts": hear}]}),
        ("/chat/completions", {"model": "auto", "messages": [{"role": "user", "content": see}]}),
    ]


async def test_no_form_of_a_local_address_is_fetched_on_any_route(tmp_path: Path) -> None:
    with listening() as canary:
        async with runtime(tmp_path, FETCHER) as api:
            for url in (url.format(port=canary.port) for url in URLS):
                for route, body in said(url):
                    answer = await api.post(route, json=body)
                    assert answer.status_code == 400, (route, url, answer.text)
                    assert "secret" not in answer.text
        assert canary.visits == 0


async def test_a_redirect_to_this_machine_is_not_followed(tmp_path: Path) -> None:
    with listening() as canary:
        answer = f"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{canary.port}/x\r\ncontent-length: 0\r\n\r\n"
        with listening(answer.encode()) as outside:

            async def resolve(host: str, port: int) -> Sequence[str]:
                return ["93.184.216.34"]

            async def connect(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
                assert ip == "93.184.216.34"
                return await connect_by_tcp("127.0.0.1", outside.port, timeout_s)

            async with runtime(tmp_path, Fetcher(resolve=resolve, connect=connect)) as api:
                for route, body in said("http://pictures.example/a.png"):
                    assert (await api.post(route, json=body)).status_code == 400
            assert outside.visits == len(said(""))
        assert canary.visits == 0


async def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked(tmp_path: Path) -> None:
    asked: list[str] = []
    connected: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) % 2 else ["127.0.0.1"]

    async def connect(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        connected.append(ip)
        raise OSError("nobody there")

    async with runtime(tmp_path, Fetcher(resolve=resolve, connect=connect)) as api:
        for route, body in said("http://rebound.example/a.png"):
            assert (await api.post(route, json=body)).status_code >= 400
    assert set(connected) == {"93.184.216.34"}


async def test_a_name_with_one_bad_address_among_good_ones_is_refused(tmp_path: Path) -> None:
    connected: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", "10.0.0.1"]

    async def connect(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        connected.append(ip)
        raise OSError("nobody there")

    async with runtime(tmp_path, Fetcher(resolve=resolve, connect=connect)) as api:
        for route, body in said("http://mixed.example/a.png"):
            assert (await api.post(route, json=body)).status_code == 400
    assert connected == []


@pytest.mark.parametrize("options", [{"base_url": "http://evil.example"}, {"api_key": "x"}, {"headers": {"a": "b"}}])
async def test_vendor_options_cannot_name_another_host_or_key(tmp_path: Path, options: dict[str, Any]) -> None:
    async with runtime(tmp_path, FETCHER) as api:
        for route in ("/ai/chat", "/chat/completions"):
            answer = await api.post(route, json={"messages": "hi", "vendor_options": {"local": options}})
            assert answer.status_code == 400
            assert f"vendor_options.local.{next(iter(options))}" in answer.text
