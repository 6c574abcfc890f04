"""HTTP/1.1 to vendors: kept connections, one request at a time on each, answers that are read as they come.

httptools reads the bytes, asyncio's transports carry them, and there is no more between the two than a vendor needs: no
redirects, no cookies, no environment. Whatever goes wrong is a ``Trouble`` in words that show no address, or a
``TimeoutError`` in words.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import socket
import ssl
from asyncio.staggered import staggered_race
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from functools import cached_property, partial
from itertools import chain, zip_longest
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import httptools

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.names import Names, Rows

KEEP_S = 15.0
"""How long a connection waits for its next request."""
NEXT_ADDRESS_S = 0.25
"""How long an address of a name is tried alone (RFC 8305, section 5)."""
MAX_HEAD_BYTES = 128 * 1024
WINDOW_BYTES = 256 * 1024
"""How much of an answer may wait to be read."""


class Trouble(Exception):
    """What went wrong, in words for the caller of a vendor."""


class Origin(NamedTuple):
    """Where connections go to. ``proxy`` is the address of an HTTP proxy that they go through."""

    scheme: str
    host: str
    port: int
    proxy: str | None = None

    @classmethod
    def of(cls, url: str, proxy: str | None = None) -> Origin:
        """The origin of an address."""
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme], proxy)

    @property
    def name(self) -> str:
        """``host:port``, as CONNECT names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def header(self) -> str:
        """The ``Host`` header: the port stands there where it is not the usual one."""
        return self.name.removesuffix(f":{_PORTS[self.scheme]}")


_PORTS = {"http": 80, "https": 443}


def head_of(lines: Sequence[str]) -> bytes:
    """The bytes of a request's head. Raises ``Trouble`` for a line that is more than one."""
    together = "".join(lines)
    if "\r" in together or "\n" in together or "\0" in together:
        raise Trouble("a header or path of the request holds a line break")
    return "\r\n".join([*lines, "", ""]).encode()


class Connection(asyncio.Protocol):
    """One connection of a pool. ``ask`` sends a request; the answer tells the rest."""

    origin: Origin
    """Where its requests go to."""

    def __init__(self, pool: Connections) -> None:
        self.pool = pool
        self.loop = pool.loop
        self.lost = self.loop.create_future()
        self.transport: Any = None
        self.idle_since = 0.0
        self.parser: httptools.HttpResponseParser | None = None
        self._answer: Answer | None = None
        """What is being answered, and who reads it; None between two requests."""
        self._watch: asyncio.TimerHandle | None = None
        self._watch_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a connection."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes came; between two requests none may."""
        parser, answer = self.parser, self._answer
        if parser is None or answer is None:
            self.abort()
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            answer.fail(Trouble("its answer is not HTTP"))
            return
        answer.grown(len(data))

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended, and with it an answer that only its end closes."""
        if self._watch is not None:
            self._watch.cancel()
        answer, self.parser, self._answer = self._answer, None, None
        if answer is not None:
            answer.cut(error)
        if not self.lost.done():
            self.lost.set_result(None)

    def ask(self, head: bytes, body: bytes | None, until: float, patience_s: float) -> Answer:
        """Sends a request. Its answer is waited for as long as no silence is longer than ``patience_s``, and not beyond
        ``until`` on the loop's clock."""
        answer = self._answer = Answer(self, until, patience_s)
        self.parser = httptools.HttpResponseParser(answer)
        self.transport.write(head + body if body else head)
        return answer

    def watch(self, at: float) -> None:
        """Looks at the answer at a time on the loop's clock, or before. Mostly an earlier request's timer does that, so
        that there is none for each silence."""
        if self._watch is not None:
            if self._watch_at <= at:
                return
            self._watch.cancel()
        self._watch, self._watch_at = self.loop.call_at(at, self._look), at

    def _look(self) -> None:
        self._watch = None
        if self._answer is not None:
            self._answer.look()

    def rest(self) -> None:
        """Nothing is expected until the next request."""
        self.parser = self._answer = None
        self.idle_since = self.loop.time()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self.transport is not None:
            self.transport.abort()


class Answer:
    """The answer to one request. The parser says what comes; ``head`` and ``chunk`` wait for it. The one who has it
    closes it."""

    status = 0
    began = False
    """The head is there."""
    done = False
    """All of it has come."""
    _closed = False
    _keeps = False
    _trouble: Exception | None = None
    _head_bytes = 0
    _waiting_bytes = 0
    _paused = False
    _reader: asyncio.Future[None] | None = None
    _late_at = 0.0
    """When its reader has waited for too long."""

    def __init__(self, connection: Connection, until: float, patience_s: float) -> None:
        self.connection = connection
        self.patience_s = patience_s
        """The longest silence that is waited for."""
        self.headers: dict[str, str] = {}
        self._until = until
        self._chunks: list[bytes] = []
        self.on_body = self._chunks.append
        """Takes a piece of the body. A stream has many, of which several come at once."""

    @property
    def mime(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() or "application/octet-stream"

    @property
    def reusable(self) -> bool:
        """Whether another request may follow on its connection: the answer is whole, and so is what was sent, and it
        was read."""
        if not self.done or not self._keeps or self._paused:
            return False
        transport = self.connection.transport
        return not transport.is_closing() and transport.get_write_buffer_size() == 0

    async def head(self) -> None:
        """Returns when the head is there. Raises ``Trouble`` and ``TimeoutError``."""
        while not self.began:
            await self._news()

    async def chunk(self) -> bytes:
        """What has come of the body; empty at its end. Raises ``Trouble`` and ``TimeoutError``."""
        while not self._chunks:
            if self.done:
                return b""
            await self._news()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._waiting_bytes = 0
        if self._paused:
            self._paused = False
            self.connection.transport.resume_reading()
        return data

    def close(self) -> None:
        """Gives the connection back, or ends it where the answer is not whole. May be called again."""
        if not self._closed:
            self._closed = True
            self.connection.pool.give_back(self)

    async def _news(self) -> None:
        """Waits until something happens."""
        if self._trouble is not None:
            raise copy(self._trouble)  # what is raised holds its frames, and one of these is this answer's
        loop = self.connection.loop
        now = loop.time()
        if now >= self._until:
            raise TimeoutError("no answer in time")
        reader = self._reader = loop.create_future()
        self._late_at = min(self._until, now + self.patience_s)
        self.connection.watch(self._late_at)
        try:
            await reader
        finally:
            self._reader = None
            del reader  # it holds what is raised here, and that holds this frame

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    def look(self) -> None:
        """Ends a wait that is too long."""
        reader = self._reader
        if reader is None or reader.done():
            return
        if self.connection.loop.time() < self._late_at:
            self.connection.watch(self._late_at)
        else:
            over = self._late_at == self._until
            reader.set_exception(TimeoutError("no answer in time" if over else "it was silent for too long"))

    # -- what the connection tells ---------------------------------------------------------------------------------

    def grown(self, size: int) -> None:
        """So many bytes were parsed. Neither the head nor what waits to be read grows without end."""
        if self._chunks:
            if self._reader is not None:
                self._wake()
            self._waiting_bytes += size
            if self._waiting_bytes > WINDOW_BYTES and not self._paused:
                self._paused = True
                self.connection.transport.pause_reading()
        elif not self.began:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                self.fail(Trouble("its answer is not HTTP"))

    def fail(self, trouble: Exception) -> None:
        """The answer cannot be read; the first reason counts."""
        if self._trouble is None:
            self._trouble = trouble
        self.connection.abort()
        self._wake()

    def cut(self, error: Exception | None) -> None:
        """The connection has ended."""
        if self.began and not self.done and error is None and not self._has_length:
            self.done = True
        self._keeps = False
        if not self.done and self._trouble is None:
            self._trouble = self._why_lost(error)
        self._wake()

    @property
    def _has_length(self) -> bool:
        return "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()

    def _why_lost(self, error: Exception | None) -> Exception:
        if isinstance(error, ssl.SSLError):
            return Trouble("the TLS connection broke")
        if error is not None:
            return Trouble("the connection broke")
        return Trouble("its answer was cut short" if self.began else "it closed the connection before its answer")

    # -- what the parser tells -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """An answer begins. A second one was not asked for: it is not read, and the connection ends."""
        if self.done:
            raise Trouble("more than one answer came")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers are not kept."""
        if not self.began:
            headers, key, said = self.headers, name.decode("latin-1").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {said}" if key in headers else said

    def on_headers_complete(self) -> None:
        """The head is whole. A status below 200 says that the answer comes later."""
        parser = self.connection.parser
        assert parser is not None
        status = parser.get_status_code()
        if status < 200:
            self.headers = {}
            return
        self.status, self.began = status, True
        self._wake()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if not self.began:
            return
        parser = self.connection.parser
        assert parser is not None
        self.done, self._keeps = True, parser.should_keep_alive()
        if self._reader is not None:
            self._wake()


class Connections:
    """The connections of one event loop, by where they go to."""

    def __init__(self, names: Names | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self._names = names or Names()
        self._idle: dict[Origin, list[Connection]] = defaultdict(list)
        self._all: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def idle(self, origin: Origin) -> Connection | None:
        """A connection that waits for its next request."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def new(self, origin: Origin, connect_s: float) -> Connection:
        """A new connection. Raises ``Trouble`` and ``TimeoutError``."""
        try:
            async with asyncio.timeout(connect_s):
                connection = await self._connected(origin)
        except TimeoutError:
            raise TimeoutError("no connection in time") from None
        except (OSError, ssl.CertificateError) as error:
            if error.errno in _NO_FILES:
                raise Failure("OVERLOADED", "the runtime has too many connections", retry_after_s=1.0) from None
            raise Trouble(_why_not_connected(error)) from None
        connection.origin = origin
        return connection

    def give_back(self, answer: Answer) -> None:
        """The request is over: its connection is kept where it can be, else closed."""
        connection = answer.connection
        if not answer.reusable:
            return connection.abort()
        connection.rest()
        self._idle[connection.origin].append(connection)
        if self._sweep is None:
            self._sweep = self.loop.call_later(KEEP_S, self._close_old)

    def _close_old(self) -> None:
        self._sweep = None
        oldest = self.loop.time() - KEEP_S
        for origin, idle in list(self._idle.items()):
            for connection in idle:
                if connection.idle_since <= oldest:
                    connection.abort()
            kept = [c for c in idle if c.idle_since > oldest and not c.transport.is_closing()]
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]
        if self._idle:
            self._sweep = self.loop.call_later(KEEP_S / 3, self._close_old)

    async def close(self) -> None:
        """Ends all of them."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._all:
            connection.abort()
        if self._all:
            await asyncio.wait([connection.lost for connection in self._all], timeout=1)
        self._idle.clear()

    # -- new ones --------------------------------------------------------------------------------------------------

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def _connected(self, origin: Origin) -> Connection:
        if origin.proxy is not None:
            return await self._through(origin.proxy, origin)
        return await self._opened(origin)

    async def _opened(self, origin: Origin) -> Connection:
        sock = await _socket(self.loop, await self._names.rows(origin.host, origin.port))
        tls, name = (self._tls, origin.host) if origin.scheme == "https" else (None, None)
        connection = Connection(self)
        try:
            await self.loop.create_connection(lambda: connection, sock=sock, ssl=tls, server_hostname=name)
        except BaseException:
            sock.close()
            raise
        self._all.add(connection)
        connection.lost.add_done_callback(lambda _: self._all.discard(connection))
        return connection

    async def _through(self, proxy: str, origin: Origin) -> Connection:
        """A connection through a proxy: a tunnel for https, else one that is asked for whole addresses."""
        try:
            connection = await self._opened(Origin.of(proxy))
        except OSError:
            raise Trouble("the configured proxy could not be reached") from None
        if origin.scheme != "https":
            return connection
        try:
            await self._tunnel(connection, proxy, origin)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _tunnel(self, connection: Connection, proxy: str, origin: Origin) -> None:
        lines = [f"CONNECT {origin.name} HTTP/1.1", f"Host: {origin.name}", *proxy_headers(proxy)]
        answer = connection.ask(head_of(lines), None, self.loop.time() + 3600, 3600)
        await answer.head()
        if answer.status != 200:
            raise Trouble(f"the configured proxy refused the connection (HTTP {answer.status})")
        connection.rest()
        connection.transport = await self.loop.start_tls(
            connection.transport, connection, self._tls, server_hostname=origin.host
        )


def proxy_headers(proxy: str) -> list[str]:
    """The header for the user and password that stand in a proxy's address."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return []
    said = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return [f"Proxy-Authorization: Basic {base64.b64encode(said.encode()).decode()}"]


async def _socket(loop: asyncio.AbstractEventLoop, found: Rows) -> socket.socket:
    """A connected socket to the first of a name's addresses that answers; both families in turn."""
    first = [row for row in found if row[0] == found[0][0]]
    others = [row for row in found if row[0] != found[0][0]]
    rows = [row for row in chain.from_iterable(zip_longest(first, others)) if row is not None]
    if len(rows) == 1:
        return await _connect(loop, rows[0])
    made, _, errors = await staggered_race([partial(_connect, loop, row) for row in rows], NEXT_ADDRESS_S, loop=loop)
    if made is None:
        raise next((error for error in errors if error is not None), OSError("no address"))
    connected: socket.socket = made
    return connected


async def _connect(loop: asyncio.AbstractEventLoop, row: Any) -> socket.socket:
    family, kind, protocol, _, address = row
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _why_not_connected(error: Exception) -> str:
    return next((why for kind, why in _NOT_CONNECTED if isinstance(error, kind)), "no connection could be made")


_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE})
"""No fault of the vendor, which is not to rest for it."""
_NOT_CONNECTED: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "its name could not be resolved"),
    (ssl.CertificateError, "its certificate was not accepted"),
    (ssl.SSLError, "no TLS connection could be made"),
)
"""The first that fits says why."""
