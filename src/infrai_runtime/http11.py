"""HTTP/1.1 as our server speaks it, for uvicorn to listen with: one write for a whole answer, and bounds on everything.

A protocol of our own and not uvicorn's: that takes heads of any length and waits for their end for ever, also for
callers that read nothing of their answer; it tells nobody that a caller has gone, cuts off callers that still send when
their answer is there, sends chunks to callers of HTTP/1.0, which do not know them, loses the body where another
protocol is offered, and takes connections until there are no files left. A whole answer of the application is taken as
the value that it is (``response.Whole``); everything else goes through ASGI.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import socket
import struct
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from infrai_runtime import identity
from infrai_runtime.crowd import Crowd
from infrai_runtime.failure import Failure
from infrai_runtime.lifespan import ASGI, CAME, LEAVE, App, Endpoint, Message, Scope, no_endpoint
from infrai_runtime.response import RawHeaders, Whole
from infrai_runtime.wire import dumps, failed

log = logging.getLogger("infrai_runtime")
server_log = logging.getLogger("uvicorn.error")
"""Where operators of other applications look for what one did wrong."""

MOST_HEAD_BYTES = 64 * 1024
"""Of a request's head, or of what follows its body, that have not ended."""
HEAD_S = 30.0
"""How long a head may take, from its first byte or from the connection's beginning."""
SEND_S = 60.0
"""How long a caller may take nothing of an answer that waits for it."""
LINGER_S = 30.0
"""How long a caller is heard out that still sends when its answer has ended the connection."""
CROWDED_S = 1.0
"""When a caller may ask again that was refused because there are too many."""
_AT_ONCE = struct.pack("ii", 1, 0)
"""``SO_LINGER``: to close is to reset."""


class Protocol(asyncio.Protocol):
    """A connection, whose requests are answered one after the other; for ``uvicorn.Config(http=…)``. ``crowd``: all of
    its server's, where these are bounded."""

    head_s = HEAD_S
    send_s = SEND_S
    linger_s = LINGER_S
    flow: FlowControl
    _transport: asyncio.Transport
    _scope: Scope
    """What all requests of the connection have in common."""
    _open_bytes = 0
    """How much came that is neither a whole head nor a part of a body."""
    _url = b""
    _headers: RawHeaders
    _last: _Exchange
    """Of the last request whose head has come; before the first, and after the connection, one that is over."""
    _late: asyncio.TimerHandle | None = None
    _deaf: asyncio.TimerHandle | None = None
    _idle: asyncio.TimerHandle | None = None
    _idle_since = 0.0
    _lingers = False
    """It is to be closed, once the caller has sent everything."""
    _stops = False
    """The server was told to stop."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: Any,  # uvicorn's, which takes its own protocols only
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        crowd: Crowd | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.app: App = config.loaded_app
        self.endpoint: Callable[[Scope], Endpoint | None] = getattr(self.app, "endpoint", no_endpoint)
        self.loop = _loop or asyncio.get_running_loop()
        self.server = server_state
        self._crowd = crowd or Crowd(sys.maxsize)
        self._app_state = app_state
        self._keep_alive_s = config.timeout_keep_alive
        self._waiting: deque[_Exchange] = deque()
        """Of requests that came before others were answered."""
        self._parser: Any = _parser(self)
        self._last = _OVER

    # -- the connection ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller has come."""
        self._transport = transport
        self.flow = FlowControl(transport)
        self.server.connections.add(self)
        self._scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": "1.1",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "scheme": "http",
            "root_path": "",
        }
        self._late = self.loop.call_later(self.head_s, self._end_late, True)
        self._crowd.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone: whoever waits for the answer on its behalf hears of it."""
        self.server.connections.discard(self)
        self._crowd.leave(self)
        self._on_time()
        self._hears()
        if self._idle is not None:
            self._idle.cancel()
        self.flow.resume_writing()
        self._last.leave()
        # These lead back here: a connection is to be freed when it ends, not when the collector comes.
        self._last, self._parser = _OVER, None

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._lingers or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Sends data."""
        if not self._lingers:
            self._transport.write(data)

    def close(self) -> None:
        """Closes once the caller has sent everything: a connection with something unread in it ends in a reset, which
        may overtake the answer. Asked twice, at once."""
        if self.is_closing() or self._stops or not self._still_sends():
            return self._transport.close()
        self._lingers = True
        self.flow.resume_reading()
        self._on_time()
        self._late = self.loop.call_later(self.linger_s, self._transport.abort)
        self._transport.write_eof()

    def reset(self) -> None:
        """Ends in a way that no caller takes for the end of an answer."""
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._transport.abort()

    def shutdown(self) -> None:
        """Ends the connection once it has answered; nobody is heard out any more."""
        self._stops = True
        if self._lingers or self._last.complete:
            self._transport.close()
        else:
            self._last.keep_alive = False

    def break_off(self) -> None:
        """Refuses a request whose body has not come by now: nobody waits for it any more."""
        last = self._last
        if last.more_body and not last.begun:
            failure = Failure("SHUTTING_DOWN", "the runtime was told to stop before the request had come")
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, failure)

    def _still_sends(self) -> bool:
        return self._open_bytes > 0 or self._last.more_body

    # -- what comes ----------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Reads what came; ends a connection whose head has no end."""
        if self.is_closing():
            return
        self._open_bytes += len(data)
        self._parse(data)
        if self._is_behind() and not self.is_closing():
            self._await_rest()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse_nonsense()

    def _decline(self, rest: bytes) -> None:
        """Reads a request that offers another protocol once more, as one that does not: the parser takes its body, and
        what follows it, for that protocol."""
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        if method == b"CONNECT":
            return self._refuse_nonsense()
        headers = b"".join(b"%b: %b\r\n" % header for header in self._headers if header[0] != b"upgrade")
        self._parser = _parser(self)
        self._parse(b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, self._url, version, headers, rest))

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """A head is whole."""
        parser = self._parser
        if parser.should_upgrade():
            return  # it is read again
        self._open_bytes = 0
        self._on_time()
        url = httptools.parse_url(self._url)
        path, version = url.path.decode("ascii"), parser.get_http_version()
        scope = {
            **self._scope,
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": self._headers,
            "state": self._app_state.copy(),
        }
        before, self._last = self._last, _Exchange(self, scope, version >= "1.1" and parser.should_keep_alive())
        if before.complete:
            self._start(self._last)
        else:
            self.flow.pause_reading()
            self._waiting.append(self._last)

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._open_bytes = 0
        self._last.add(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        if not self._parser.should_upgrade():
            self._open_bytes = 0
            self._last.came()

    def _start(self, exchange: _Exchange) -> None:
        if not self._crowd.begin(self, exchange.path):
            self._refuse_for_room()
            return self._crowd.wait(self)
        exchange.task = self.loop.create_task(exchange.run())
        self.server.tasks.add(exchange.task)

    def answered(self) -> None:
        """A request has its answer: the next one has its turn."""
        self.server.total_requests += 1
        if self.is_closing():
            return self._crowd.wait(self)
        self.flow.resume_reading()
        if self._waiting:
            return self._start(self._waiting.popleft())
        self._crowd.wait(self)
        self._idle_since = self.loop.time()
        if self._idle is None:
            self._idle = self.loop.call_later(self._keep_alive_s, self._end_idle)

    # -- others that come ----------------------------------------------------------------------------------------------

    @property
    def rests(self) -> bool:
        """Whether nothing is on its way to the caller."""
        return not self._transport.get_write_buffer_size()

    def make_room(self) -> None:
        """Ends the connection for another; nothing is asked on it."""
        if self._open_bytes > 0 and not self.is_closing():
            self._open_bytes = 0  # nothing is on its way that could be waited for
            self._refuse_for_room()
        else:
            self._transport.abort()

    def _refuse_for_room(self) -> None:
        failure = Failure("OVERLOADED", "the runtime has too many connections", retry_after_s=CROWDED_S)
        self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, failure)

    # -- callers that keep others waiting ------------------------------------------------------------------------------

    def _end_idle(self) -> None:
        """Closes a connection that has stood idle for so long. One timer serves many requests: it looks at the time of
        the last one, and a request that runs sets it again."""
        self._idle = None
        if self._open_bytes > 0 or not self._last.complete:
            return
        left_s = self._idle_since + self._keep_alive_s - self.loop.time()
        if left_s > 0:
            self._idle = self.loop.call_later(left_s, self._end_idle)
        else:
            self.close()

    def _is_behind(self) -> bool:
        """Whether a head has begun, or a body still comes that nobody reads any more."""
        last = self._last
        return self._open_bytes > 0 or (last.complete and last.more_body)

    def _await_rest(self) -> None:
        if self._open_bytes > MOST_HEAD_BYTES:
            message = f"the head of the request is larger than the {MOST_HEAD_BYTES} bytes allowed"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, Failure("INVALID_REQUEST", message))
        elif self._late is None:
            self._late = self.loop.call_later(self.head_s, self._end_late)

    def _end_late(self, silent: bool = False) -> None:
        self._late = None
        if self._open_bytes > 0:
            self._open_bytes = 0  # nothing is on its way that could be waited for
            message = f"the head of the request did not come in {self.head_s:g} seconds"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, Failure("REQUEST_TIMEOUT", message))
        elif silent or self._is_behind():
            self._transport.abort()

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse_nonsense(self) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, Failure("INVALID_REQUEST", "this is no HTTP request that is served here"))

    def _refuse(self, status: HTTPStatus, failure: Failure) -> None:
        """Ends the connection, with the reason unless another answer has begun."""
        last = self._last
        if self._waiting or (last.begun and not last.complete):
            self._transport.abort()
            return
        request_id = identity.request_id()
        log.info("request %s was refused: %s", request_id, failure.message)
        self.write(_refusal(status, failure, request_id))
        self.close()
        last.end()  # it may wait for a body that was none

    def pause_writing(self) -> None:
        """The caller takes less than it is sent: the answer waits for it, and not for ever."""
        self.flow.pause_writing()
        self._wait_for_reader(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The caller has taken what waited."""
        self._hears()
        self.flow.resume_writing()

    def _wait_for_reader(self, waiting_bytes: int) -> None:
        self._hears()
        self._deaf = self.loop.call_later(self.send_s, self._end_deaf, waiting_bytes)

    def _end_deaf(self, waited_bytes: int) -> None:
        waiting_bytes = self._transport.get_write_buffer_size()
        if waiting_bytes < waited_bytes:
            self._wait_for_reader(waiting_bytes)
        else:
            log.info("a caller took nothing of its answer for %g seconds", self.send_s)
            self._transport.abort()

    def _hears(self) -> None:
        if self._deaf is not None:
            self._deaf.cancel()
            self._deaf = None


def _parser(protocol: Protocol) -> Any:
    parser = httptools.HttpRequestParser(protocol)
    with suppress(AttributeError):  # before httptools 0.6.3
        # The first of several requests may say that the connection ends, and is answered all the same.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _refusal(status: HTTPStatus, failure: Failure, request_id: str) -> bytes:
    """A whole answer to what did not become a request."""
    body = dumps(failed(failure, {"request_id": request_id}))
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"x-infrai-request-id: {request_id}\r\n{_when_again(failure)}connection: close\r\n\r\n"
    )
    return head.encode() + body


def _when_again(failure: Failure) -> str:
    return "" if failure.retry_after_s is None else f"retry-after: {math.ceil(failure.retry_after_s)}\r\n"


class _Exchange:
    """A request and its answer."""

    task: asyncio.Task[None] | None = None
    """Answers, once it has its turn."""
    more_body = True
    """The end of the request has not come."""
    begun = False
    complete = False
    gone = False
    """The caller is."""
    _is_whole = True
    """Nothing of the body was received yet."""
    _held_bytes = 0
    _news = False
    _heard: asyncio.Event | None = None
    _invited = False
    _head = b""
    """Waits for what follows it, at most to the end of the loop's turn: both leave in one packet."""
    _chunked = False
    _left_bytes: int | None = 0
    """What is to come of an answer whose length is known; None where it ends with its connection."""

    def __init__(self, connection: Protocol, scope: Scope, keep_alive: bool) -> None:
        self._connection = connection
        self._scope = scope
        self.path: str = scope["path"]
        self.keep_alive = keep_alive
        self._pieces: list[bytes] = []

    # -- what comes ----------------------------------------------------------------------------------------------------

    def add(self, piece: bytes) -> None:
        """A piece of the body has come."""
        if self.complete:
            return
        self._pieces.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > HIGH_WATER_LIMIT:
            self._connection.flow.pause_reading()
        self._tell()

    def came(self) -> None:
        """The body has come."""
        self.more_body = False
        self._scope["state"][CAME] = b"".join(self._pieces) if self._is_whole else None
        self._tell()

    def leave(self) -> None:
        """The caller has gone."""
        self.end()
        if self._scope["state"].get(LEAVE) and self.task is not None:
            self.task.cancel()

    def end(self) -> None:
        """Nothing more comes of the request, and nobody takes more of an answer."""
        self.gone = not self.complete
        self._tell()

    def _tell(self) -> None:
        self._news = True
        if self._heard is not None:
            self._heard.set()

    async def receive(self) -> Message:
        """As ASGI has it."""
        if self.more_body and not self._invited:
            self._invite()
        if not (self.gone or self.complete):
            self._connection.flow.resume_reading()
            if not self._news:
                await self._hear()
            self._news = False
        if self.gone or self.complete:
            return {"type": "http.disconnect"}
        pieces, self._pieces, self._held_bytes, self._is_whole = self._pieces, [], 0, False
        return {"type": "http.request", "body": b"".join(pieces), "more_body": self.more_body}

    def _invite(self) -> None:
        """Asks for the body where the caller waits for that."""
        self._invited = True
        expected = dict(self._scope["headers"]).get(b"expect", b"")
        if expected.lower() == b"100-continue" and not (self.begun or self._connection.is_closing()):
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _hear(self) -> None:
        if self._heard is None:
            self._heard = asyncio.Event()
        self._heard.clear()
        await self._heard.wait()

    # -- what is answered ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Answers, whatever the application does."""
        connection, scope = self._connection, self._scope
        try:
            endpoint = connection.endpoint(scope)
            response = connection.app if endpoint is None else await endpoint.answer(scope, self.receive)
            if isinstance(response, Whole):
                await self._answer(response.head.status, response.raw_headers(), response.body)
            else:
                await response(scope, self.receive, self.send)
        except BaseException as error:
            if self.gone and isinstance(error, asyncio.CancelledError):
                return  # with its caller
            server_log.error("Exception in ASGI application\n", exc_info=error)
            await self._break_off()
        else:
            if not (self.complete or self.gone):
                how = "completing" if self.begun else "starting"
                server_log.error("ASGI callable returned without %s response.", how)
                await self._break_off()
        finally:
            connection.server.tasks.discard(self.task)
            # The connection may stand idle for long: it is not to hold the body meanwhile.
            self._pieces.clear()
            scope["state"].clear()

    async def _break_off(self) -> None:
        if not self.begun:
            await self._answer(500, _BROKEN_HEADERS, b"Internal Server Error")
        elif self._left_bytes is None and not self.complete:
            self._connection.reset()
        else:
            self._send_head()
            self._connection.close()

    async def _answer(self, status: int, headers: RawHeaders, body: bytes) -> None:
        """Sends a whole answer, of whose headers one says how long it is."""
        if self._connection.flow.write_paused:
            await self._connection.flow.drain()
        if not self.gone:
            head = self._begin(status, headers)
            self._connection.write(head if self._is_bare else head + body)
            self._end()

    async def send(self, message: Message) -> None:
        """As ASGI has it."""
        if self._connection.flow.write_paused:
            await self._connection.flow.drain()
        if self.gone:
            return
        expected = "http.response.body" if self.begun else "http.response.start"
        if self.complete or message["type"] != expected:
            raise RuntimeError(f"the message {message['type']!r} is out of its turn")
        if self.begun:
            self._send_body(message.get("body", b""), last=not message.get("more_body", False))
        else:
            self._hold_head(message["status"], [(name.lower(), value) for name, value in message.get("headers", ())])

    def _hold_head(self, status: int, headers: RawHeaders) -> None:
        """Makes the head of an answer whose body follows, with the names that any application may have given."""
        self.begun = True
        named = dict(headers)
        if not _NAMES.fullmatch(b"".join(named)):
            raise RuntimeError("a header has a name that is none")
        self._head = self._begin(status, headers, self._framing(status, named))
        self._connection.loop.call_soon(self._send_head)

    def _begin(self, status: int, headers: RawHeaders, framing: RawHeaders | None = None) -> bytes:
        """The head of the answer, and with it whether the connection is kept."""
        self.begun = True
        all_headers = [*self._connection.server.default_headers, *headers]
        connection = dict(headers).get(b"connection")
        if connection is not None and b"close" in connection.lower():
            self.keep_alive = False
        elif not self.keep_alive:
            all_headers.append((b"connection", b"close"))
        if framing:
            all_headers += framing
        lines = b"\r\n".join([*map(b": ".join, all_headers), b""])
        if not _are_lines(lines, len(all_headers)):
            raise RuntimeError("a header would end its line or begin another")
        return b"%b%b\r\n" % (_status_line(status), lines)

    def _framing(self, status: int, headers: dict[bytes, bytes]) -> RawHeaders | None:
        """Decides where the body ends; what says so, unless that is among the headers already."""
        if self._is_bare or status in _EMPTY:
            return None
        if b"content-length" in headers:
            self._left_bytes = int(headers[b"content-length"])
            return None
        if self._scope["http_version"] < "1.1":
            self._left_bytes = None
            return None
        self._chunked = True
        return None if b"transfer-encoding" in headers else _CHUNKED

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._connection.write(head)

    def _send_body(self, body: bytes, *, last: bool) -> None:
        data = self._framed(body, last)
        head, self._head = self._head, b""
        self._connection.write(head + data)
        if last:
            if self._left_bytes:
                raise RuntimeError("the answer is shorter than its Content-Length")
            self._end()

    def _framed(self, body: bytes, last: bool) -> bytes:
        if self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk + b"0\r\n\r\n" if last else chunk
        if self._is_bare:
            return b""
        if self._left_bytes is not None:
            self._left_bytes -= len(body)
            if self._left_bytes < 0:
                raise RuntimeError("the answer is longer than its Content-Length")
        return body

    @property
    def _is_bare(self) -> bool:
        """Whether only the head of the answer is wanted."""
        return bool(self._scope["method"] == "HEAD")

    def _end(self) -> None:
        self.complete = True
        self._tell()
        if not self.keep_alive:
            self._connection.close()
        self._connection.answered()


_OVER = _Exchange(None, {"path": "", "state": {}}, keep_alive=False)  # type: ignore[arg-type]  # it asks for none
_OVER.more_body, _OVER.complete = False, True
"""Stands for the last request of a connection on which none has come, or that has ended: whole, and answered."""


def _are_lines(data: bytes, number: int) -> bool:
    """Whether this is so many lines, and nothing in them that could be taken for the end of one."""
    return data.count(b"\n") == data.count(b"\r") == number and 0 not in data


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_NAMES = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]*")
_EMPTY = frozenset({204, 304})
"""Statuses of answers that have no body."""
_CHUNKED = [(b"transfer-encoding", b"chunked")]
_BROKEN_HEADERS = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"21"),
    (b"connection", b"close"),
]


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
        for connection in list(self.server_state.connections):
            connection.break_off()  # type: ignore[union-attr]  # uvicorn takes its own protocols for all there are
        await self._end()
