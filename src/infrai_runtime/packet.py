"""uvicorn's HTTP protocol, with the head of a response in one packet with what follows it at once, and with bounds.

uvicorn writes head and body apart: two system calls, and a client that is woken twice for one answer. It takes heads of
any length, copied anew with every packet, waits for their end for ever, and tells nobody that a caller has gone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from infrai_runtime.lifespan import LEAVE

MOST_HEAD_BYTES = 64 * 1024
"""Of a request's head, or of what follows its body, that have not ended."""
HEAD_S = 30.0
"""How long a head may take, from its first byte or from the connection's beginning."""
_HEAD = b"HTTP/1.1 "
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 34\r\nconnection: close\r\n\r\nThe head of the request is too big."
)


class Protocol(HttpToolsProtocol):
    """For ``uvicorn.Config(http=…)``."""

    head_s = HEAD_S
    _open_bytes = 0
    """How much came that is neither a whole head nor a part of a body."""
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Joining(transport, self.loop))  # type: ignore[arg-type]
        self._late = self.loop.call_later(self.head_s, self._end_late, True)

    def data_received(self, data: bytes) -> None:
        """Reads what came; ends a connection whose head has no end."""
        self._open_bytes += len(data)
        super().data_received(data)
        if self._open_bytes > MOST_HEAD_BYTES:
            self._refuse()
        elif self._late is None and self._is_behind():
            self._late = self.loop.call_later(self.head_s, self._end_late)

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._open_bytes = 0
        self._on_time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._open_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._open_bytes = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone: whoever waits for the answer on its behalf hears of it."""
        self._on_time()
        super().connection_lost(exc)
        if self.cycle is not None and (leave := self.cycle.scope["state"].get(LEAVE)) is not None:
            leave()

    def _is_behind(self) -> bool:
        """Whether a head has begun, or a body still comes that nobody reads any more."""
        cycle = self.cycle
        return self._open_bytes > 0 or (cycle is not None and cycle.response_complete and cycle.more_body)

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end_late(self, silent: bool = False) -> None:
        self._late = None
        if silent or self._is_behind():
            self.transport.abort()

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_TOO_LARGE)
        self.transport.close()


class Server(uvicorn.Server):
    """A server that, told to stop, lets answers end for ``grace_s`` and has ``end`` break off the rest: each caller
    hears why. uvicorn would cancel its own tasks, which is a 500 without a word, and a stream without an end."""

    def __init__(self, config: uvicorn.Config, grace_s: float, end: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._grace_s = grace_s
        self._end = end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes nothing more, and ends what runs."""
        ending = asyncio.create_task(self._end_late())
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()

    async def _end_late(self) -> None:
        await asyncio.sleep(self._grace_s)
        await self._end()


class _Joining:
    """A transport that keeps a head until something follows it, at most to the end of the loop's turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Sends data, behind the head that waits."""
        if data.startswith(_HEAD) and not self._head:
            self._head = data
            self._loop.call_soon(self._send_head)
            return
        head, self._head = self._head, b""
        self._transport.write(head + data if head else data)

    def _send_head(self) -> None:
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Sends what waits, and closes."""
        self._send_head()
        self._transport.close()
