"""The asynchronous transport: httpcore with asyncio's own sockets under it, and with trio's.

httpcore reaches the network through a backend that may be replaced (``network_backend``); its usual one is AnyIO, whose
tasks, locks and cancel scopes cost more than the request itself. Here a socket is an ``asyncio.Protocol``. Pool,
HTTP/1.1 and TLS settings stay httpcore's, and so does the way through an ``http://`` proxy. On trio the sockets are
httpcore's too, with an eye on answers that come early. Through other proxies httpx's own transport is used.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import suppress
from types import AsyncGeneratorType
from typing import Any

import anyio
import httpcore
import httpx

from infrai_core.answer import TasksAnswer, is_coded
from infrai_core.direct import AsyncAnswer, AsyncDirect, Headers, Request
from infrai_core.socket_http import CONNECTING, ERRORS, as_httpx, core_request, is_readable, pool_options

_WINDOW_BYTES = 256 * 1024
"""How much of an answer may wait to be read before its sender is slowed down."""
_NEXT_ADDRESS_S = 0.25
"""How long an address of a name is tried alone (RFC 8305, section 5)."""


class AsyncioTransport(AsyncDirect):
    """Sends requests from a running asyncio loop. Raises the exceptions of ``httpx.AsyncHTTPTransport``."""

    def __init__(self, verify: ssl.SSLContext | None, limits: httpx.Limits, proxy: httpx.Proxy | None = None) -> None:
        kind = httpcore.AsyncConnectionPool if proxy is None else httpcore.AsyncHTTPProxy
        self._pool = kind(network_backend=self._backend(), **pool_options(verify, limits, proxy))

    def _backend(self) -> httpcore.AsyncNetworkBackend:
        return _Backend()

    async def open(self, request: Request) -> AsyncAnswer:
        """As ``AsyncDirect`` says."""
        sent = core_request(request)
        return _Answer(sent, await self._answered(sent))

    async def _answered(self, sent: httpcore.Request) -> httpcore.Response:
        try:
            return await self._pool.handle_async_request(sent)
        except ERRORS as error:
            raise as_httpx(error) from error

    async def aclose(self) -> None:
        await self._pool.aclose()


class TrioTransport(AsyncioTransport):
    """The same from a running trio loop."""

    async def _answered(self, sent: httpcore.Request) -> httpcore.Response:
        body = sent.stream = _Sent(sent.stream)
        try:
            return await super()._answered(sent)
        finally:
            await body.aclose()

    def _backend(self) -> httpcore.AsyncNetworkBackend:
        return _TrioBackend()


class _Answer(TasksAnswer):
    def __init__(self, sent: httpcore.Request, came: httpcore.Response) -> None:
        super().__init__(sent, came, came.status, Headers(lambda: came.headers))

    def _body(self) -> AsyncIterator[bytes]:
        raw, body = self._response.headers, _Body(self._response)
        return httpx.Response(self.status, headers=raw, stream=body).aiter_bytes() if is_coded(raw) else aiter(body)

    async def _end(self) -> None:
        await _Body(self._response).aclose()


class _Body(httpx.AsyncByteStream):
    """A body as it came."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        stream = self._response.stream
        assert isinstance(stream, AsyncIterable)
        try:
            async for piece in stream:
                yield piece
        except ERRORS as error:
            raise as_httpx(error) from error

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        except ERRORS as error:
            raise as_httpx(error) from error


class _Backend(httpcore.AsyncNetworkBackend):
    """Opens sockets on the running loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        made = _Socket(loop)
        # Other loops, such as uvloop's, try the addresses one after another.
        race: Any = {"happy_eyeballs_delay": _NEXT_ADDRESS_S} if isinstance(loop, asyncio.BaseEventLoop) else {}
        local = None if local_address is None else (local_address, 0)
        with CONNECTING, anyio.fail_after(timeout):
            await loop.create_connection(lambda: made, host, port, local_addr=local, **race)
        for option in socket_options or ():
            made.get_extra_info("socket").setsockopt(*option)
        return made

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Socket(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection. It is read or written by one task at a time, as HTTP/1.1 goes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: Any = None
        self._received = bytearray()
        self._ended = False
        """Nothing more will be received."""
        self._failure: Exception | None = None
        """Why it ended, when the other side did not end it in good order."""
        self._paused = False
        """The other side is slowed down."""
        self._unsent: list[bytes] = []
        """A first piece waits for a second one in the same round of the loop: head and body leave together."""
        self._full = False
        """What was written waits in this process."""
        self._waiter: asyncio.Future[None] | None = None
        self._until_s = 0.0
        self._late: type[Exception] = httpcore.ReadTimeout
        """When who waits gives up, and with what."""
        self._timer: asyncio.TimerHandle | None = None
        """Rings not later than that. Waits end, and it stays: one for each chunk of a stream would cost more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _WINDOW_BYTES:
            self._pause(True)
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._failure = self._failure or exc
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _change(self, timeout_s: float | None, late: type[Exception]) -> None:
        """Waits until the loop tells something. Raises ``late`` after ``timeout_s``."""
        self._until_s, self._late = math.inf if timeout_s is None else self._loop.time() + timeout_s, late
        waiter = self._waiter = self._loop.create_future()
        self._set_timer()
        try:
            await waiter
        finally:
            self._waiter = None
            del waiter  # it holds an exception, which holds this frame

    def _set_timer(self) -> None:
        if self._timer is not None and self._timer.when() > self._until_s:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and self._until_s < math.inf:
            self._timer = self._loop.call_at(self._until_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._until_s:
            self._set_timer()
        else:
            self._waiter.set_exception(self._late())

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._flush()
        while not self._received:
            if self._failure is not None:
                raise httpcore.ReadError(str(self._failure)) from self._failure
            if self._ended:
                return b""
            await self._change(timeout, httpcore.ReadTimeout)
        piece = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        if not self._received:
            self._pause(False)
        return piece

    def _pause(self, paused: bool) -> None:
        # Loops differ in what they say to a second pause, or to one of a connection that is closing.
        if paused is not self._paused and not self._transport.is_closing():
            self._paused = paused
            (self._transport.pause_reading if paused else self._transport.resume_reading)()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._unsent.append(buffer)
        if len(self._unsent) == 1:
            self._loop.call_soon(self._flush)
        else:
            self._flush()
        while self._full and not self._received and not self._transport.is_closing():
            await self._change(timeout, httpcore.WriteTimeout)
        if self._full and self._received:
            # Who answers before it has read a whole request, as with "too large", may never read on: httpcore reads the
            # answer after this error.
            raise httpcore.WriteError("the answer came before the whole request was sent")
        if self._transport.is_closing():
            raise httpcore.WriteError(str(self._failure or "the connection is closed")) from self._failure

    def _flush(self) -> None:
        if self._unsent and not self._transport.is_closing():
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            with CONNECTING, anyio.fail_after(timeout):
                self._transport = await self._loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except BaseException:
            self._transport.abort()
            raise
        return self

    async def aclose(self) -> None:
        self._failure = self._failure or ConnectionAbortedError("the connection was closed here")
        self._transport.abort()
        # The loop closes the socket in its next round.
        await asyncio.sleep(0)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._ended or bool(self._received) or is_readable(self._transport.get_extra_info("socket"))
        return self._transport.get_extra_info(_INFO.get(info, info))


_INFO = {"client_addr": "sockname", "server_addr": "peername"}


# -- trio ------------------------------------------------------------------------------------------------------------


class _Sent(httpx.AsyncByteStream):
    """A body that may be left before its end: trio warns of generators that are dropped."""

    def __init__(self, stream: Any) -> None:
        self._pieces: AsyncIterator[bytes] = aiter(stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        if isinstance(self._pieces, AsyncGeneratorType):
            await self._pieces.aclose()


class _TrioBackend(httpcore.TrioBackend):
    """Opens sockets on trio."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _TrioSocket(await super().connect_tcp(host, port, timeout, local_address, socket_options))


_SMALL_BYTES = 16 * 1024
"""What systems take at once from whoever has not sent much more."""
_MOST_EARLY_BYTES = 1 << 20
_REST_S = 1.0
"""How long the rest of an early answer may take over TLS, where nothing is read any more once a write was left."""


class _TrioSocket(httpcore.AsyncNetworkStream):
    """One of httpcore's connections, on which an answer may come while the request is still being sent."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._early = bytearray()
        """What was received while a request was still being sent."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._early:
            return await self._stream.read(max_bytes, timeout)
        piece = bytes(self._early[:max_bytes])
        del self._early[:max_bytes]
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if len(buffer) <= _SMALL_BYTES and not self._early:
            return await self._stream.write(buffer, timeout)
        sent, failure = False, None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, tasks.cancel_scope)
            try:
                await self._stream.write(buffer, timeout)
                sent = True
            except (httpcore.TimeoutException, httpcore.NetworkError) as error:
                failure = error
            tasks.cancel_scope.cancel()
        if self._early and not sent:  # as with asyncio's
            raise httpcore.WriteError("the answer came before the whole request was sent")
        if failure is not None:
            raise failure

    async def _listen(self, sending: anyio.CancelScope) -> None:
        """Takes what comes meanwhile, and then ends the sending."""
        tls = self.get_extra_info("ssl_object") is not None
        with suppress(httpcore.TimeoutException, httpcore.NetworkError):
            self._early += await self._stream.read(_SMALL_BYTES)
            more = tls and bool(self._early)
            while more and len(self._early) < _MOST_EARLY_BYTES:
                piece = await self._stream.read(_SMALL_BYTES, _REST_S)
                self._early += piece
                more = bool(piece)
        if self._early:
            sending.cancel()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _TrioSocket(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
