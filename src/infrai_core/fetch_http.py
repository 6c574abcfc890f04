"""How ``fetch`` speaks HTTP: httpcore, with the connecting left to checked addresses. Imported for the first URL."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import httpcore
from httpx import URL, InvalidURL

__all__ = [
    "NETWORK_ERRORS",
    "TIMEOUTS",
    "URL",
    "CheckedBackend",
    "InvalidURL",
    "PlainStream",
    "answered",
    "connect_by_tcp",
]

Connect: TypeAlias = Callable[[str, int, float], Awaitable[httpcore.AsyncNetworkStream]]

CONNECT_TIMEOUT_S = 5.0
TIMEOUTS = (TimeoutError, httpcore.TimeoutException)
NETWORK_ERRORS = (OSError, zlib.error, httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
_HEADERS = (("Accept", "*/*"), ("Accept-Encoding", "identity"), ("User-Agent", "infrai-fetch"))


async def connect_by_tcp(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
    """A plain TCP connection to one address."""
    return await httpcore.AnyIOBackend().connect_tcp(ip, port, timeout=timeout_s)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that passed, whatever the name means by now; Host and SNI keep the name."""

    def __init__(self, addresses: Sequence[str], connect: Connect) -> None:
        self._addresses = addresses
        self._connect = connect

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        for address in self._addresses[:-1]:
            try:
                return await self._connect(address, port, CONNECT_TIMEOUT_S)
            except NETWORK_ERRORS:
                continue
        return await self._connect(self._addresses[-1], port, CONNECT_TIMEOUT_S)


class PlainStream(httpcore.AsyncNetworkStream):
    """A stream whose other end plays an https server without TLS."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return self


@asynccontextmanager
async def answered(url: URL, host: str, backend: CheckedBackend) -> AsyncIterator[httpcore.Response]:
    """The response to a GET, its body still to be read."""
    context = _tls() if url.scheme == "https" else None
    asked = httpcore.URL(scheme=url.scheme, host=host, port=url.port, target=url.raw_path)
    async with (
        httpcore.AsyncConnectionPool(ssl_context=context, network_backend=backend) as pool,
        pool.stream("GET", asked, headers=_HEADERS) as response,
    ):
        yield response


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpcore.default_ssl_context()
