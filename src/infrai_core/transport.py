"""Connection pools, shared by all clients of the process and counted, and the two ways to send a request on them.

``httpx.Client`` costs about 0.1 ms CPU per call on top of its transport, so requests are handed to the transport
itself; our own, over sockets and to a service in this process, take them as they are (``direct``). Synchronous pools
are shared by threads; asynchronous ones belong to one event loop and are closed when that loop ends. Closing the last
client of a base URL closes its connections; a client that is merely dropped leaves them for a while to the next one. A
forked child never uses its parent's pools.
"""

from __future__ import annotations

import atexit
import importlib
import os
import ssl
import threading
import time
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, Protocol

import httpx
from anyio.lowlevel import current_token

from infrai_core.answer import HttpAnswer, TasksAnswer, is_coded
from infrai_core.config import EMBEDDED_ORIGIN
from infrai_core.direct import CONNECT_TIMEOUT_S as CONNECT_TIMEOUT_S
from infrai_core.direct import Answer, AsyncAnswer, AsyncDirect, Direct, Request
from infrai_core.errors import ConfigError, ConnectionFailed, InfraiError, ProtocolError, Timeout
from infrai_core.lines import NDJSON
from infrai_core.loop import asyncio_loop
from infrai_core.protocol import Response
from infrai_core.renamed import Renamed

LINGER_S = 60.0
"""How long the connections of dropped clients wait for another client of the same base URL."""
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30.0)


class Transport(Protocol):
    """What sends requests: httpx's two transport methods. The embedded runtime and ``testing`` provide it too."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends from a thread."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends from an event loop."""


# -- pools ---------------------------------------------------------------------------------------------------------


class _Pool:
    """A transport and how many clients use it."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.users = 0
        self.left_s = 0.0
        self.keeper: AsyncGenerator[None, None] | None = None


_pools: dict[tuple[Any, ...], _Pool] = {}
_lock = threading.RLock()
"""Reentrant: a client may be collected, and lets go of its pool, at any moment, also inside this lock."""


def _forget_pools() -> None:
    """In a forked child: the parent's sockets are not ours to use or to close politely."""
    global _lock
    _lock = threading.RLock()
    _inherited.append(dict(_pools))
    _pools.clear()


_inherited: list[dict[tuple[Any, ...], _Pool]] = []
"""Keeps a parent's pools alive in the child, so that collecting them does not shut the shared TLS sessions."""
os.register_at_fork(after_in_child=_forget_pools)


@atexit.register
def _close_kept() -> None:
    """The connections that dropped clients left to the next one are closed politely when the program ends."""
    for (kind, root, *_), pool in list(_pools.items()):
        if kind == "sync" and root != EMBEDDED_ORIGIN:
            pool.transport.close()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """One TLS context for the process: making one costs about 20 ms."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:  # ssl's own is one
        raise ConfigError(f"SSL_CERT_FILE or SSL_CERT_DIR: no certificates can be read there: {error}") from None


def _proxy_for(root: str) -> str | None:
    """The proxy that the environment names for this base URL; one without a scheme speaks plain http."""
    url = httpx.URL(root)
    if any(map(urllib.request.proxy_bypass, (url.host, url.netloc.decode()))):
        return None
    proxies = urllib.request.getproxies()
    named = proxies.get(url.scheme) or proxies.get("all")
    return named if not named or "://" in named else f"http://{named}"


def _make(kind: str, root: str, source: Any) -> Any:
    if root == EMBEDDED_ORIGIN:
        return _embedded().client_transport(kind, source)
    transport = httpx.HTTPTransport if kind == "sync" else httpx.AsyncHTTPTransport
    tls = _tls() if root.startswith("https") else None
    named = _proxy_for(root)
    try:
        proxy = None if named is None else httpx.Proxy(named)
        if proxy is not None and proxy.url.scheme != "http":
            return transport(verify=tls or False, limits=_LIMITS, proxy=proxy)
    except (ValueError, ImportError, httpx.InvalidURL):  # their texts may show the proxy's password
        raise ConfigError(
            "the proxy that the environment names cannot be used: allowed are http, https and, "
            "with the package socksio, socks5 URLs"
        ) from None
    # The two modules are imported late: httpcore imports trio, where it is installed, which takes 0.2 s.
    if kind == "sync":
        from infrai_core.socket_http import SocketTransport

        return SocketTransport(tls, _LIMITS, proxy)
    from infrai_core.asyncio_http import AsyncioTransport, TrioTransport

    return (TrioTransport if asyncio_loop() is None else AsyncioTransport)(tls, _LIMITS, proxy)


def _embedded() -> Any:
    try:
        # By name and late: core does not depend on the runtime.
        return importlib.import_module("infrai_runtime.embedded")
    except ImportError as error:
        raise ConfigError(
            f'base_url="embedded" needs the runtime ({error.name} is missing): '
            'pip install "infrai-integrations[runtime]"'
        ) from error


def _acquire(key: tuple[Any, ...]) -> _Pool:
    with _lock:
        pool = _pools.get(key)
        if pool is None:
            pool = _pools[key] = _Pool(_make(*key[:3]))
        pool.users += 1
        left = [old for other in stale(_pools, time.monotonic()) if (old := _pools.pop(other, None))]
    for unused in left:
        unused.transport.close()
    return pool


def stale(pools: Mapping[tuple[Any, ...], _Pool], now_s: float) -> list[tuple[Any, ...]]:
    """The synchronous pools that have had no user for ``LINGER_S``; a loop closes its own when it ends."""
    return [
        key
        for key, pool in dict(pools).items()  # loops that end in other threads take theirs out meanwhile
        if key[0] == "sync" and pool.users <= 0 and now_s - pool.left_s > LINGER_S and hasattr(pool.transport, "close")
    ]


def _release(key: tuple[Any, ...]) -> _Pool | None:
    """The pool to close when this was its last user."""
    with _lock:
        pool = _pools.get(key)
        if pool is None:
            return None
        pool.users -= 1
        return _pools.pop(key) if pool.users <= 0 else None


def _let_go(key: tuple[Any, ...]) -> None:
    """One user less; the pool stays."""
    with _lock:
        if (pool := _pools.get(key)) is not None:
            pool.users -= 1
            pool.left_s = time.monotonic()


def _source(root: str) -> Any:
    """What tells pools of one base URL apart: the embedded runtimes of several environments. A client stays with that
    of its first call: to look for changes would take a tenth of each call's time in the caller's thread."""
    return _embedded().source_of_environment() if root == EMBEDDED_ORIGIN else None


class SyncPool:
    """A client's hold on the shared synchronous pool of its base URL."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._held: tuple[int, _Pool] | None = None

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        return ("sync", self._root, _source(self._root))

    def get(self) -> Direct | httpx.BaseTransport:
        """The transport; taken at first use, and anew in a forked child."""
        held = self._held
        if held is None or held[0] != os.getpid():
            held = self._held = (os.getpid(), _acquire(self._key))
        transport: Direct | httpx.BaseTransport = held[1].transport
        return transport

    def close(self) -> None:
        """Lets go; the last client to do so closes the connections."""
        held, self._held = self._held, None
        if held is None or held[0] != os.getpid():
            return
        pool = _release(self._key)
        if pool is not None and hasattr(pool.transport, "close"):
            pool.transport.close()

    def forget(self) -> None:
        """Lets go without closing: the next client of the base URL goes on with the same connections, so that a client
        per request costs no new connection."""
        held, self._held = self._held, None
        if held is not None and held[0] == os.getpid():
            _let_go(self._key)


class AsyncPool:
    """A client's hold on the shared asynchronous pools of its base URL, one per event loop."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._held: dict[tuple[Any, ...], _Pool] = {}

    @cached_property
    def _of_every_loop(self) -> tuple[Any, ...]:
        return ("async", self._root, _source(self._root))

    def _key(self) -> tuple[Any, ...]:
        return (*self._of_every_loop, os.getpid(), asyncio_loop() or current_token())

    async def get(self) -> AsyncDirect | httpx.AsyncBaseTransport:
        """The transport of the running loop."""
        key = self._key()
        pool = self._held.get(key)
        if pool is None or key not in _pools:
            pool = self._held[key] = _acquire(key)
            if pool.keeper is None:
                await _keep(key, pool)
        transport: AsyncDirect | httpx.AsyncBaseTransport = pool.transport
        return transport

    async def aclose(self) -> None:
        """Lets go of the running loop's pool; the last client to do so closes its connections."""
        if not self._held or self._held.pop(key := self._key(), None) is None:
            return
        pool = _release(key)
        if pool is not None and pool.keeper is not None:
            await pool.keeper.aclose()

    def forget(self) -> None:
        """Lets go of all loops' pools without closing: each loop closes its own when it ends."""
        for key in list(self._held):
            self._held.pop(key)
            _let_go(key)


async def _keep(key: tuple[Any, ...], pool: _Pool) -> None:
    """Ties the pool to the running loop: loops finalise their asynchronous generators when they end, which closes
    the connections there, in their own loop, also when nobody closed the client."""

    async def keeper() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            _pools.pop(key, None)
            if hasattr(pool.transport, "aclose"):
                await pool.transport.aclose()

    pool.keeper = keeper()
    await anext(pool.keeper)


# -- sending -------------------------------------------------------------------------------------------------------


_url = lru_cache(maxsize=256)(httpx.URL)
"""Parsing a URL costs as much as building the rest of the request; a client uses few of them."""


def http_request(request: Request) -> httpx.Request:
    """The request for httpx. Given a stream, httpx adds no header of its own."""
    url = _url(request.url)
    headers = request.all_headers(url.netloc)
    stream = request.upload or httpx.ByteStream(request.content)
    return httpx.Request(request.method, url, headers=headers, stream=stream, extensions=request.extensions())


_TRANSPORT_ERRORS = (httpx.TransportError, httpx.DecodingError)


def _mapped(error: Exception) -> InfraiError:
    """The error as ours. Its text holds no header and no body."""
    if isinstance(error, httpx.TimeoutException):
        return Timeout(f"no answer in time ({type(error).__name__})")
    if isinstance(error, httpx.DecodingError):
        return ProtocolError(f"the answer cannot be decoded: {error}")
    if isinstance(error, httpx.RemoteProtocolError):
        return ConnectionFailed(f"the connection broke: {error}")
    return ConnectionFailed(f"the service cannot be reached: {error or type(error).__name__}")


MAPPED_ERRORS = Renamed(lambda error: _mapped(error) if isinstance(error, _TRANSPORT_ERRORS) else None)
"""httpx's transport errors as ours."""


class _ThreadsAnswer(HttpAnswer):
    def __init__(self, sent: httpx.Request, response: httpx.Response) -> None:
        super().__init__(sent, response, response.status_code, response.headers)

    def pieces(self) -> Iterator[bytes]:
        stream = self._response.stream
        if isinstance(stream, httpx.SyncByteStream) and not is_coded(self._response.headers.raw):
            return iter(stream)
        pieces: Iterator[bytes] = self._response.iter_bytes()
        return pieces

    def close(self) -> None:
        self._response.close()


class _TasksAnswer(TasksAnswer):
    def __init__(self, sent: httpx.Request, response: httpx.Response) -> None:
        super().__init__(sent, response, response.status_code, response.headers)

    def _body(self) -> AsyncIterator[bytes]:
        stream = self._response.stream
        if isinstance(stream, httpx.AsyncByteStream) and not is_coded(self._response.headers.raw):
            return aiter(stream)
        pieces: AsyncIterator[bytes] = self._response.aiter_bytes()
        return pieces

    async def _end(self) -> None:
        await self._response.aclose()


class _Taking:
    """A whole body on its way. However its pieces drip in, it may take no longer than its head might have."""

    def __init__(self, request: Request) -> None:
        self._until = time.monotonic() + request.read_timeout_s
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Takes the next piece. Raises ``Timeout``."""
        if time.monotonic() > self._until:
            raise Timeout("no whole answer in time (its pieces came too slowly)")
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


def _stays_open(request: Request, answer: Answer | AsyncAnswer) -> bool:
    """Whether the body is to be read piece by piece. Then each read waits as long as the stream may idle."""
    if not request.stream or answer.status >= 300:
        return False
    if not answer.headers.get("content-type", "").startswith(("text/event-stream", NDJSON)):
        return False
    answer.loosen(request.idle_timeout_s)
    return True


def send(transport: Direct | Transport | httpx.BaseTransport | httpx.Client, request: Request) -> Response:
    """Sends from a thread. An injected ``httpx.Client`` keeps its own hooks, proxies and mounts."""
    try:
        answer = transport.open(request) if isinstance(transport, Direct) else _opened(transport, request)
        if _stays_open(request, answer):
            return Response(answer.status, answer.headers, None, answer)
        content = answer.whole()
        if content is None:
            content = _taken(request, answer)
        return Response(answer.status, answer.headers, content)
    except _TRANSPORT_ERRORS as error:
        raise _mapped(error) from error


def _opened(transport: Transport | httpx.BaseTransport | httpx.Client, request: Request) -> Answer:
    sent = http_request(request)
    if isinstance(transport, httpx.Client):
        return _ThreadsAnswer(sent, transport.send(sent, stream=True, follow_redirects=False))
    return _ThreadsAnswer(sent, transport.handle_request(sent))


def _taken(request: Request, answer: Answer) -> bytes:
    try:
        taking = _Taking(request)
        for piece in answer.pieces():
            taking.add(piece)
        return taking.whole()
    finally:
        answer.close()


async def asend(
    transport: AsyncDirect | Transport | httpx.AsyncBaseTransport | httpx.AsyncClient, request: Request
) -> Response:
    """Sends from an event loop."""
    try:
        if isinstance(transport, AsyncDirect):
            answer = await transport.open(request)
        else:
            answer = await _aopened(transport, request)
        if _stays_open(request, answer):
            return Response(answer.status, answer.headers, None, answer)
        content = answer.whole()
        if content is None:
            content = await _ataken(request, answer)
        return Response(answer.status, answer.headers, content)
    except _TRANSPORT_ERRORS as error:
        raise _mapped(error) from error


async def _aopened(
    transport: Transport | httpx.AsyncBaseTransport | httpx.AsyncClient, request: Request
) -> AsyncAnswer:
    sent = http_request(request)
    if isinstance(transport, httpx.AsyncClient):
        return _TasksAnswer(sent, await transport.send(sent, stream=True, follow_redirects=False))
    return _TasksAnswer(sent, await transport.handle_async_request(sent))


async def _ataken(request: Request, answer: AsyncAnswer) -> bytes:
    try:
        taking = _Taking(request)
        async for piece in answer.pieces():
            taking.add(piece)
        return taking.whole()
    finally:
        await answer.aclose()
