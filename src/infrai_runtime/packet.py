"""uvicorn's HTTP protocol, with the head of a response in one packet with what follows it at once, and with bounds.

uvicorn writes head and body apart: two system calls, and a client that is woken twice for one answer. It takes heads of
any length, copied anew with every packet, waits for their end for ever, also for callers that read nothing of their
answer, and tells nobody that a caller has gone. A caller that still sends when its answer is there it cuts off, which
may cost that caller the answer too, to callers of HTTP/1.0 it sends chunks, which they do not know, and of callers that
offer another protocol it loses the body.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from infrai_runtime import identity
from infrai_runtime.failure import Failure
from infrai_runtime.lifespan import CAME, LEAVE, App, Message, Receive, Send
from infrai_runtime.wire import dumps, failed

log = logging.getLogger("infrai_runtime")

MOST_HEAD_BYTES = 64 * 1024
"""Of a request's head, or of what follows its body, that have not ended."""
HEAD_S = 30.0
"""How long a head may take, from its first byte or from the connection's beginning."""
SEND_S = 60.0
"""How long a caller may take nothing of an answer that waits for it."""
LINGER_S = 30.0
"""How long a caller is heard out that still sends when its answer has ended the connection."""
_HEAD = b"HTTP/1.1 "
_AT_ONCE = struct.pack("ii", 1, 0)
"""``SO_LINGER``: to close is to reset."""


class Protocol(HttpToolsProtocol):
    """For ``uvicorn.Config(http=…)``."""

    head_s = HEAD_S
    send_s = SEND_S
    linger_s = LINGER_S
    _open_bytes = 0
    """How much came that is neither a whole head nor a part of a body."""
    _late: asyncio.TimerHandle | None = None
    _deaf: asyncio.TimerHandle | None = None
    _stops = False
    """The server was told to stop."""
    _way: _Joining

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._way = _Joining(transport, self.loop, self._still_sends)
        super().connection_made(self._way)  # type: ignore[arg-type]
        self._late = self.loop.call_later(self.head_s, self._end_late, True)

    def data_received(self, data: bytes) -> None:
        """Reads what came; ends a connection whose head has no end."""
        if self._way.is_closing():
            return
        self._open_bytes += len(data)
        self._unset_keepalive_if_required()
        self._read(data)
        if self._way.is_closing():
            return
        if self._open_bytes > MOST_HEAD_BYTES:
            message = f"the head of the request is larger than the {MOST_HEAD_BYTES} bytes allowed"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, Failure("INVALID_REQUEST", message))
        elif self._late is None and self._is_behind():
            self._late = self.loop.call_later(self.head_s, self._end_late)

    def _read(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self.parser.get_method() == b"CONNECT":
                return self.send_400_response("")
            self._decline(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def _decline(self, rest: bytes) -> None:
        """Reads a request that offers another protocol once more, as one that does not: the parser takes its body, and
        what follows it, for that protocol."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        headers = b"".join(b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade")
        self.parser = httptools.HttpRequestParser(self)
        with suppress(AttributeError):  # before httptools 0.6.3
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._read(b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, self.url, version, headers, rest))

    def on_headers_complete(self) -> None:
        """A head is whole."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return  # it is read again
        self._open_bytes = 0
        self._on_time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._open_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        if not self.parser.should_upgrade():
            self._open_bytes = 0
            self.scope["state"][CAME] = True
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone: whoever waits for the answer on its behalf hears of it."""
        self._on_time()
        self._hears()
        super().connection_lost(exc)
        if self.cycle is not None and (waits := self.cycle.scope["state"].pop(LEAVE, None)) is not None:
            waits.cancel()
        # Each of these leads back here: a connection is to be freed when it ends, not when the collector comes.
        self.cycle = None  # type: ignore[assignment]  # as uvicorn has it before the first request
        self._way.still_sends = _never

    def pause_writing(self) -> None:
        """The caller takes less than it is sent: the answer waits for it, and not for ever."""
        super().pause_writing()
        self._wait_for_reader(self._way.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The caller has taken what waited."""
        self._hears()
        super().resume_writing()

    def _wait_for_reader(self, waiting_bytes: int) -> None:
        self._hears()
        self._deaf = self.loop.call_later(self.send_s, self._end_deaf, waiting_bytes)

    def _end_deaf(self, waited_bytes: int) -> None:
        waiting_bytes = self._way.get_write_buffer_size()
        if waiting_bytes < waited_bytes:
            self._wait_for_reader(waiting_bytes)
        else:
            log.info("a caller took nothing of its answer for %g seconds", self.send_s)
            self._way.abort()

    def _hears(self) -> None:
        if self._deaf is not None:
            self._deaf.cancel()
            self._deaf = None

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no request."""
        self._refuse(HTTPStatus.BAD_REQUEST, Failure("INVALID_REQUEST", "this is no HTTP request that is served here"))

    def shutdown(self) -> None:
        """Ends the connection once it has answered; nobody is heard out any more."""
        if self._way.lingers:
            self._way.close()
        self._stops = True
        super().shutdown()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        sending: Any = _Unchunked(app, cycle) if cycle.scope["http_version"] < "1.1" else _Brief(app, cycle)
        super()._start_asgi_task(cycle, sending)

    def _is_behind(self) -> bool:
        """Whether a head has begun, or a body still comes that nobody reads any more."""
        cycle = self.cycle
        return self._open_bytes > 0 or (cycle is not None and cycle.response_complete and cycle.more_body)

    def _still_sends(self) -> bool:
        """Whether the caller of a connection that is to be closed may not have sent everything; then it goes on."""
        sends = self._open_bytes > 0 or (self.cycle is not None and self.cycle.more_body)
        if sends and not self._stops:
            self.flow.resume_reading()
            self._on_time()
            self._late = self.loop.call_later(self.linger_s, self._way.abort)
        return sends and not self._stops

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end_late(self, silent: bool = False) -> None:
        self._late = None
        if self._open_bytes > 0:
            self._open_bytes = 0  # nothing is on its way that could be waited for
            message = f"the head of the request did not come in {self.head_s:g} seconds"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, Failure("REQUEST_TIMEOUT", message))
        elif silent or self._is_behind():
            self._way.abort()

    def _refuse(self, status: HTTPStatus, failure: Failure) -> None:
        """Ends the connection, with the reason unless another answer has begun."""
        cycle = self.cycle
        if self.pipeline or (cycle is not None and cycle.response_started and not cycle.response_complete):
            self._way.abort()
            return
        request_id = identity.request_id()
        log.info("request %s was refused: %s", request_id, failure.message)
        self._way.write(_refusal(status, failure, request_id))
        self._way.close()
        if cycle is not None and not cycle.response_complete:  # it waits for a body that was none
            cycle.disconnected = True
            cycle.message_event.set()


def _refusal(status: HTTPStatus, failure: Failure, request_id: str) -> bytes:
    """A whole answer to what did not become a request."""
    body = dumps(failed(failure, {"request_id": request_id}))
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"x-infrai-request-id: {request_id}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


class _Brief:
    """An application of whose answers the head is written at once where the connection is kept. uvicorn goes through a
    head header by header, which is half of its own work for a call."""

    def __init__(self, app: App, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._cycle = cycle

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, self._send)

    def _send(self, message: Message) -> Awaitable[None]:
        if self._cycle.response_started or not self._begin(message):
            return self._cycle.send(message)  # type: ignore[arg-type]  # uvicorn has a type for each message
        return _done()

    def _begin(self, message: Message) -> bool:
        """Writes the head; False where it is uvicorn's."""
        cycle, headers = self._cycle, message.get("headers", ())
        named = dict(headers)
        if not cycle.keep_alive or cycle.disconnected or cycle.flow.write_paused or cycle.access_log:
            return False
        length, chunked = named.get(b"content-length", b"0"), b"content-length" not in named
        if chunked and (cycle.scope["method"] == "HEAD" or message["status"] in _EMPTY):
            return False
        lines = b"".join(map(b"%b: %b\r\n".__mod__, [*cycle.default_headers, *headers]))
        if not _SPECIAL.isdisjoint(named) or not _PLAIN.fullmatch(lines):
            return False
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        cycle.expected_content_length, cycle.chunked_encoding = int(length), chunked
        how = b"transfer-encoding: chunked\r\n" if chunked else b""
        cycle.transport.write(b"%b%b%b\r\n" % (STATUS_LINE[message["status"]], lines, how))
        return True


async def _done() -> None:
    """What is left to wait for once it is written."""


_EMPTY = frozenset({204, 304})
"""Statuses of answers that have no body."""
_SPECIAL = frozenset({b"connection", b"transfer-encoding"})
"""Headers that say how the connection goes on."""
_PLAIN = re.compile(rb"(?:[a-z0-9_-]++: [^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+")
"""Lines of headers in which nothing is that could end one or begin another."""


class _Unchunked:
    """An application whose answer to a request of HTTP/1.0 ends with its connection where it has no length. One that is
    cut ends in a reset instead: there is nothing else to tell it from a whole one."""

    def __init__(self, app: App, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._cycle = cycle

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        cycle, has_length = self._cycle, True

        async def sending(message: Message) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = any(name == b"content-length" for name, _ in message["headers"])
                cycle.chunked_encoding = None if has_length else False
            elif not has_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, sending)
        if cycle.response_started and not cycle.response_complete:
            cycle.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            cycle.transport.abort()


def _never() -> bool:
    return False


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
    """A transport that keeps a head until something follows it, at most to the end of the loop's turn, and that, to be
    closed, waits until a caller that ``still_sends`` has ended: a connection with something unread in it ends in a
    reset, which may overtake the answer."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, still_sends: Callable[[], bool]
    ) -> None:
        self._transport = transport
        self._loop = loop
        self.still_sends = still_sends
        self._head = b""
        self.lingers = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Sends data, behind the head that waits."""
        if self.lingers:
            return
        if data.startswith(_HEAD) and not self._head:
            self._head = data
            self._loop.call_soon(self._send_head)
            return
        head, self._head = self._head, b""
        self._transport.write(head + data if head else data)

    def _send_head(self) -> None:
        if self._head:
            self.write(b"")

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self.lingers or self._transport.is_closing()

    def close(self) -> None:
        """Sends what waits, and closes; asked twice, at once."""
        self._send_head()
        if self.is_closing() or not self.still_sends():
            return self._transport.close()
        self.lingers = True
        self._transport.write_eof()
