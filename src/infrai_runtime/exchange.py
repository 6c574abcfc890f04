"""One request on its way through an ASGI application that runs in another thread's event loop.

The application's side lives on that loop; the caller's side takes ``Event`` values out of a letter box. The body of
the request is pulled (the application asks, the caller answers), the body of the response is pushed through a
bounded window, so neither side can run away from the other.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import httpx

from infrai_runtime.lifespan import ASGI, AWAITED, CAME, EMBEDDED, LEAVE, Hosted, Message, Scope
from infrai_runtime.response import RawHeaders, Whole

log = logging.getLogger("infrai_runtime")

WINDOW = 16
"""How many pieces of a response may wait for the caller."""


class Piece(NamedTuple):
    """A piece of the response's body; ``last`` ends it."""

    data: bytes
    last: bool


class Head(NamedTuple):
    """Status and headers came, and with them what of the body was there at once. Most headers are read by nobody, so
    that they are made when they are."""

    status: int
    headers: Callable[[], RawHeaders]
    data: bytes = b""
    last: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """The application wants the next piece of the request's body."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Nothing more comes, and this is why."""

    error: Exception


_PLAIN_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]
Event = Head | Piece | Wanted | Broken
WANTED = Wanted()


class Box(Protocol):
    """Where events for the caller go."""

    def put(self, item: Event) -> None:
        """Adds an event from any thread."""


class Address(NamedTuple):
    """What a URL says to an application: the host that was asked for, and its part of the scope."""

    host: bytes
    scope: Mapping[str, Any]


@lru_cache(maxsize=256)
def address(url: str) -> Address:
    """Read once: a client uses few URLs."""
    read = httpx.URL(url)
    scope = {
        "scheme": read.scheme,
        "path": read.path,
        "raw_path": read.raw_path.partition(b"?")[0],
        "query_string": read.query,
        "server": (read.host, read.port),
    }
    return Address(read.netloc, scope)


_EVERY_SCOPE = {
    "type": "http",
    "asgi": ASGI,
    "http_version": "1.1",
    "root_path": "",
    "client": None,
    EMBEDDED: True,
}


def http_scope(method: str, at: Address, headers: RawHeaders) -> Scope:
    """The ASGI scope of a request that is made inside this process."""
    return {**_EVERY_SCOPE, **at.scope, "method": method, "headers": headers}


class Exchange:
    """A request and its response. ``body`` is the whole request body, or None when the caller hands it over in
    pieces. ``own_key``: nobody else has its idempotency key."""

    task: asyncio.Task[None] | None = None
    """What runs the application, once it has begun."""
    _put = _taken = 0
    _crowded = _begun = _finished = _body_read = False
    _gone = False
    """The caller has left, or has all of its answer."""
    _parting: asyncio.Event | None = None
    """Of that, where somebody waits for it."""
    _head: tuple[int, Callable[[], RawHeaders]] | None = None
    """Waits for the body, at most to the end of the loop's turn: a caller is woken once for a whole answer."""
    _keep: Callable[[], None] | None = None
    """Keeps the answer for a repetition, should the caller not have taken it."""

    def __init__(
        self, scope: Scope, body: bytes | None, box: Box, loop: asyncio.AbstractEventLoop, own_key: bool = False
    ) -> None:
        self._scope = scope
        self._body = body
        self._box = box
        self._loop = loop
        self._own_key = own_key
        self._pid = os.getpid()

    # -- the caller's side, in any thread ------------------------------------------------------------------------------

    def take(self) -> None:
        """The caller has taken a piece out of the window."""
        self._taken += 1
        if self._crowded:
            self._soon(self._room.set)

    def supply(self, data: bytes | None) -> None:
        """Hands over the next piece of the request's body; None ends it."""
        self._soon(self._supplied.put_nowait, data)

    def disconnect(self) -> None:
        """The caller has gone: the application hears ``http.disconnect`` and its task is cancelled, unless that is to
        go on without a caller."""
        if self.mine:
            self._soon(self._disconnected)

    @property
    def mine(self) -> bool:
        """Whether this process made the request, not one that it was forked from."""
        return self._pid == os.getpid()

    def _soon(self, function: Callable[..., Any], *values: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *values)
        except RuntimeError:
            log.debug("the loop has ended, and with it the application")

    # -- the application's side, on its loop ---------------------------------------------------------------------------

    def start(self, hosted: Hosted, over: Callable[[Exchange], None]) -> None:
        """Runs the application, and tells when it has ended."""
        if self._body is None:
            self._supplied: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._over = over
        self.task = self._loop.create_task(self._run(hosted))
        self.task.add_done_callback(self._ended)

    async def _run(self, hosted: Hosted) -> None:
        app = hosted.app or await hosted.begun()
        scope, state = self._scope, dict(hosted.state)
        scope["state"] = state
        try:
            endpoint = hosted.endpoint(scope)
            if endpoint is not None and self._body is not None:
                state[CAME] = self._body
            if self._own_key:
                state[AWAITED] = self._is_awaited
            response = app if endpoint is None else await endpoint.answer(scope, self._receive)
            if isinstance(response, Whole):
                self._keep = response.keep
                if self._gone:
                    self._not_taken()
                self._answer(response.head.status, response.raw_headers, response.body)
            else:
                await response(scope, self._receive, self._send)
        except Exception:
            if self._finished:
                log.exception("the application failed after its answer")
                return
            log.exception("the application failed")
            await self._fail("the application failed; see its log")
        else:
            if not self._finished:
                await self._fail("the application ended before its answer did")

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Whatever happened, the caller hears of the end. Told from outside of the task: one that is cancelled before
        its first step runs nothing of its body."""
        self._over(self)
        # The state may lead back here: what is over is to be freed at once, not when the collector comes.
        self._scope.pop("state", None)
        if task.cancelled():
            self.broken(httpx.RemoteProtocolError("the embedded runtime was shut down"))
        elif isinstance(error := task.exception(), Exception):
            self.broken(error)
        elif error is not None:
            self.broken(httpx.RemoteProtocolError(f"the embedded runtime ended: {error!r}"))

    def broken(self, why: Exception) -> None:
        """Nothing more comes."""
        self._box.put(Broken(why))

    def _answer(self, status: int, headers: Callable[[], RawHeaders], body: bytes) -> None:
        """The head with the whole body."""
        self._begun = self._finished = True
        self._box.put(Head(status, headers, body, True))
        self._part()

    async def _fail(self, why: str) -> None:
        """What a server does: 500 while there is no head yet, else a broken connection."""
        if self._begun:
            self._send_head()
            self.broken(httpx.RemoteProtocolError(why))
            return
        self._answer(500, lambda: _PLAIN_TEXT, b"Internal Server Error")

    def _is_awaited(self) -> bool:
        """Whether the caller still waits for the answer."""
        return not self._gone

    def _part(self) -> None:
        self._gone = True
        if self._parting is not None:
            self._parting.set()

    def _not_taken(self) -> None:
        """The caller went away without the answer, and may come back for it with the same key."""
        if self._keep is not None:
            self._keep()

    def _disconnected(self) -> None:
        self._part()
        self._not_taken()
        goes_on = self._scope.get("state", {}).get(LEAVE, True) is None
        if self.task is not None and not self._finished and not goes_on:
            self.task.cancel()

    async def _receive(self) -> Message:
        if self._body_read or self._gone:
            return await self._disconnection()
        if self._body is not None:
            return self._read(self._body, more=False)
        self._box.put(WANTED)
        data = await self._supplied.get()
        return self._read(data or b"", more=data is not None)

    async def _disconnection(self) -> Message:
        if not self._gone:
            self._parting = self._parting or asyncio.Event()
            await self._parting.wait()
        return {"type": "http.disconnect"}

    def _read(self, data: bytes, *, more: bool) -> Message:
        self._body_read = not more
        return {"type": "http.request", "body": data, "more_body": more}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            headers = list(message.get("headers", ()))
            self._head = message["status"], lambda: headers
            self._loop.call_soon(self._send_head)
        elif message["type"] == "http.response.body":
            await self._send_body(bytes(message.get("body", b"")), last=not message.get("more_body", False))
        else:
            raise RuntimeError(f"the embedded transport does not know the message {message['type']!r}")

    async def _send_body(self, data: bytes, *, last: bool) -> None:
        if not self._begun or self._finished:
            raise RuntimeError("a body outside of the answer")
        if not data and not last:
            return
        if self._is_full():
            await self._window()
        self._put += 1
        self._finished = last
        head, self._head = self._head, None
        self._box.put(Piece(data, last) if head is None else Head(*head, data, last))
        if last:
            self._part()

    def _send_head(self) -> None:
        head, self._head = self._head, None
        if head is not None:
            self._box.put(Head(*head))

    def _is_full(self) -> bool:
        return self._put - self._taken >= WINDOW

    async def _window(self) -> None:
        while self._is_full():
            self._room = asyncio.Event()
            self._crowded = True
            # Looked at again: the caller may have taken a piece before it could see that somebody waits.
            if self._is_full():
                await self._room.wait()
        self._crowded = False
