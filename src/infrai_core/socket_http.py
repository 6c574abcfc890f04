"""The synchronous transport: httpcore over plain blocking sockets, and what the asynchronous one shares with it.

httpcore reaches the network through a backend that may be replaced (``network_backend``). With its usual one the head
and the body of a request leave in two packets, and each read or write sets the socket's mode anew. Pool, HTTP/1.1 and
TLS settings stay httpcore's, and so does the way through an ``http://`` proxy; through others httpx's own transport is
used.
"""

from __future__ import annotations

import select
import selectors
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from infrai_core.answer import HttpAnswer, is_coded
from infrai_core.direct import Answer, Direct, Headers, Request
from infrai_core.renamed import Renamed


class SocketTransport(Direct):
    """Sends requests from threads. Raises the exceptions of ``httpx.HTTPTransport``."""

    def __init__(self, verify: ssl.SSLContext | None, limits: httpx.Limits, proxy: httpx.Proxy | None = None) -> None:
        kind = httpcore.ConnectionPool if proxy is None else httpcore.HTTPProxy
        self._pool = kind(network_backend=_Backend(), **pool_options(verify, limits, proxy))

    def open(self, request: Request) -> Answer:
        """As ``Direct`` says."""
        sent = core_request(request)
        try:
            return _Answer(sent, self._pool.handle_request(sent))
        except ERRORS as error:
            raise as_httpx(error) from error

    def close(self) -> None:
        self._pool.close()


class _Answer(HttpAnswer, httpx.SyncByteStream):
    """An answer, and its body as it came."""

    def __init__(self, sent: httpcore.Request, came: httpcore.Response) -> None:
        super().__init__(sent, came, came.status, Headers(lambda: came.headers))

    def pieces(self) -> Iterator[bytes]:
        raw = self._response.headers
        return httpx.Response(self.status, headers=raw, stream=self).iter_bytes() if is_coded(raw) else iter(self)

    def __iter__(self) -> Iterator[bytes]:
        stream = self._response.stream
        assert isinstance(stream, Iterable)
        try:
            yield from stream
        except ERRORS as error:
            raise as_httpx(error) from error

    def close(self) -> None:
        try:
            self._response.close()
        except ERRORS as error:
            raise as_httpx(error) from error


class _Backend(httpcore.NetworkBackend):
    """Opens blocking sockets."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        local = None if local_address is None else (local_address, 0)
        with CONNECTING:
            made = socket.create_connection((host, port), timeout, local)
            for option in (*(socket_options or ()), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)):
                made.setsockopt(*option)
        return _Socket(made)


_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_PIECE_BYTES = 64 * 1024


class _Socket(httpcore.NetworkStream):
    """One connection. It is read or written by one thread at a time, as HTTP/1.1 goes."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._timeout_s = sock.gettimeout()
        self._unsent: bytes | None = None
        """The head of a request waits for what follows it at once: they leave together. None before a request."""
        self._early = b""
        """What was received while a request was still being sent."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._unsent:
            self.write(b"", timeout)
        self._unsent = None
        if self._early:
            piece, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return piece
        try:  # no context manager: a stream reads for each of its chunks
            self._wait_at_most(timeout)
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._unsent is None:
            self._unsent = buffer
            return
        head, self._unsent = self._unsent, b""
        rest = memoryview(head + buffer)
        with _WRITING:
            if head:
                self._wait_at_most(timeout)
                rest = rest[self._sock.send(rest[:_PIECE_BYTES]) :]
            if rest:
                self._send_on(rest, timeout)

    def _send_on(self, rest: memoryview, timeout_s: float | None) -> None:
        """Sends what the system did not take at once, as long as there is no answer. Who answers before it has read a
        whole request, as with "too large", may never read on: httpcore reads the answer after a ``WriteError``."""
        self._wait_at_most(0)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except _NOT_NOW:
                if self._waited_for_answer(timeout_s):
                    raise httpcore.WriteError("the answer came before the whole request was sent") from None

    def _waited_for_answer(self, timeout_s: float | None) -> bool:
        """Waits until more can be sent, or something was received that is part of an answer: then True."""
        with selectors.DefaultSelector() as ready:
            ready.register(self._sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
            found = ready.select(timeout_s)
        if not found:
            raise TimeoutError("timed out")
        if not found[0][1] & selectors.EVENT_READ:
            return False
        try:
            self._early = self._sock.recv(_PIECE_BYTES)
        except _NOT_NOW:  # TLS's own messages
            return False
        return True

    def _wait_at_most(self, timeout_s: float | None) -> None:
        if timeout_s != self._timeout_s:
            self._sock.settimeout(timeout_s)
            self._timeout_s = timeout_s

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            with CONNECTING:
                self._wait_at_most(timeout)
                return _Socket(ssl_context.wrap_socket(self._sock, server_hostname=server_hostname))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        told = _INFO.get(info)
        return None if told is None else told(self._sock)


_INFO: dict[str, Callable[[Any], Any]] = {
    "socket": lambda sock: sock,
    "ssl_object": lambda sock: sock if isinstance(sock, ssl.SSLSocket) else None,
    "client_addr": socket.socket.getsockname,
    "server_addr": socket.socket.getpeername,
    "is_readable": lambda sock: is_readable(sock),
}


def _as(late: type[Exception], broken: type[Exception]) -> Renamed:
    """The exceptions of sockets as httpcore's."""

    def named(error: Exception) -> Exception | None:
        if isinstance(error, OSError):
            return (late if isinstance(error, TimeoutError) else broken)(str(error))
        return None

    return Renamed(named)


_WRITING = _as(httpcore.WriteTimeout, httpcore.WriteError)


# -- shared with asyncio_http --------------------------------------------------------------------------------------

CONNECTING = _as(httpcore.ConnectTimeout, httpcore.ConnectError)


def pool_options(
    verify: ssl.SSLContext | None, limits: httpx.Limits, proxy: httpx.Proxy | None = None
) -> dict[str, Any]:
    """httpx's limits and proxy as options of httpcore's pools."""
    way = {} if proxy is None else {"proxy_url": _core_url(proxy.url), "proxy_auth": proxy.raw_auth}
    return {
        **way,
        "ssl_context": verify,
        "max_connections": limits.max_connections,
        "max_keepalive_connections": limits.max_keepalive_connections,
        "keepalive_expiry": limits.keepalive_expiry,
    }


def core_request(request: Request) -> httpcore.Request:
    """The request as httpcore's."""
    url, host = _place(request.url)
    content: Any = request.content if request.upload is None else request.upload
    headers = request.all_headers(host)
    return httpcore.Request(request.method, url, headers=headers, content=content, extensions=request.extensions())


@lru_cache(maxsize=256)
def _place(url: str) -> tuple[httpcore.URL, bytes]:
    """A URL as httpcore's, and the host as its header has it. A client uses few of them."""
    parsed = httpx.URL(url)
    return _core_url(parsed), parsed.netloc


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


def as_httpx(error: Exception) -> httpx.TransportError:
    """One of httpcore's ``ERRORS`` as httpx's of the same name."""
    named: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
    return named(str(error))


def is_readable(sock: socket.socket) -> bool:
    """Whether the other side said something, such as goodbye, that nobody has read yet."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
