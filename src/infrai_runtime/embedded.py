"""The runtime inside the caller's process.

One thread per process, the owner, has an event loop that runs the application and holds its connections, stores and
workers. Callers in any thread, in several ``asyncio.run`` calls and on trio reach it through transports that stream
both ways: httpx's, which take the client's own requests as well. After a fork the child gets an owner of its own; at
exit the application's lifespan is ended.

There is one application per settings. A client takes those of the environment with its first call. An httpx transport
that was given none reads ``INFRAI_HOME`` and ``INFRAI_DATABASE`` again with every request, so that a changed
environment gets an application with its own stores; all live until ``shutdown``. What an application reads when it is
made, as the keys of vendors, it does not read again.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401  its exit hook must be registered before ours, see below
import contextvars
import logging
import os
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar

import httpx

from infrai_core.direct import Answer, AsyncAnswer, AsyncDirect, Direct, Headers, Request
from infrai_core.errors import ConfigError
from infrai_runtime.exchange import (
    Box,
    Broken,
    Event,
    Exchange,
    Head,
    Piece,
    Wanted,
    address,
    http_scope,
)
from infrai_runtime.lifespan import App, Hosted, Scope
from infrai_runtime.mailbox import TaskBox, TaskBoxes, ThreadBox
from infrai_runtime.settings import Settings

Body = TypeVar("Body", httpx.SyncByteStream, httpx.AsyncByteStream)

log = logging.getLogger("infrai_runtime")

STOP_S = 10.0
_PLACE = ("INFRAI_HOME", "INFRAI_DATABASE", "HOME", "INFRAI_VENDORS", "INFRAI_VENDORS_FILE")
"""The variables that say which stores and vendors the embedded runtime has. The vendors' keys are read when it starts:
looking all of them up again before every request would cost more than the request."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Which application a transport speaks to; transports with equal ``key`` share one."""

    key: Hashable
    make: Callable[[], App]


Chooser = Callable[[], Source]
"""Says, for each request, where it goes."""


# -- the owner -----------------------------------------------------------------------------------------------------


class Owner:
    """A thread with an event loop, and the applications that run on it. Raises ``httpx.ConnectError`` when the
    process can have no more threads or loops."""

    def __init__(self) -> None:
        self.ended = False
        self._ready = threading.Event()
        self._hosted: dict[Hashable, Hosted] = {}
        self._exchanges: set[Exchange] = set()
        self._context = contextvars.Context()
        self._stop_s = STOP_S
        self._problem: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="infrai-embedded", daemon=True)
        self._start()

    def _start(self) -> None:
        try:
            self.thread.start()
        except RuntimeError as error:
            raise httpx.ConnectError(f"the embedded runtime did not start: {error}") from error
        self._ready.wait()
        if self._problem is not None:
            raise httpx.ConnectError(f"the embedded runtime did not start: {self._problem}") from self._problem

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                self._run_in(runner)
        except BaseException as error:
            self._problem = error
            log.error("the embedded runtime broke", exc_info=error)
        finally:
            self._ready.set()
            # Under the lock, so that every exchange is either told here or begun on the next owner.
            with _lock:
                self.ended = True
                self._tell_all()

    def _run_in(self, runner: asyncio.Runner) -> None:
        try:
            runner.run(self._live())
        finally:
            # Before the runner cancels the tasks: whoever hears of that and calls again gets the next owner.
            self.ended = True

    async def _live(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._ready.set()
        await self._over.wait()
        tasks = {exchange.task for exchange in list(self._exchanges) if exchange.task is not None}
        for task in tasks:
            task.cancel()
        await self._settled(tasks)
        await self._settled({asyncio.create_task(hosted.stop()) for hosted in self._hosted.values()})
        self._tell_all()

    async def _settled(self, tasks: set[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=self._stop_s / 2)

    def _tell_all(self) -> None:
        """Nobody waits for an answer that no longer comes."""
        while self._exchanges:
            self._exchanges.pop().broken(httpx.ConnectError("the embedded runtime has ended"))

    def begin(self, exchange: Exchange, source: Source) -> None:
        """Starts an exchange, from any thread, under the lock."""
        self._exchanges.add(exchange)
        try:
            # In a context of the owner's own: its tasks outlive the call and would keep the caller's context alive.
            self.loop.call_soon_threadsafe(self._begin, exchange, source, context=self._context)
        except RuntimeError:
            log.debug("the loop is closed already; the caller is told by the end of the thread")

    def _begin(self, exchange: Exchange, source: Source) -> None:
        hosted = self._hosted.get(source.key)
        if hosted is None or hosted.failed:
            hosted = self._hosted[source.key] = Hosted(source.make)
        exchange.start(hosted, self._exchanges.discard)

    def stop(self, timeout_s: float) -> None:
        """Cancels what runs, ends the applications' lifespans, and waits for the thread."""
        self._stop_s = timeout_s
        with suppress(RuntimeError):  # it has ended by itself
            self.loop.call_soon_threadsafe(self._over.set)
        if threading.current_thread() is not self.thread:
            self.thread.join(timeout_s)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where there is one: a call waits several times for a socket and for the caller's thread."""
    try:
        import uvloop
    except ImportError:  # there is none for Windows and PyPy
        return None
    make: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return make


_lock = threading.Lock()
_owner: Owner | None = None
_inherited: list[Owner] = []
"""A parent's owner: kept, so that collecting it does not close what the child shares with its parent."""


def _begin(scope: Scope, body: bytes | None, box: Box, source: Source, own_key: bool) -> Exchange:
    """Starts an exchange on this process's owner, made if there is none."""
    global _owner
    # Under the lock, so that it is either before a shutdown, which then ends it, or on the next owner.
    with _lock:
        if _owner is None or _owner.ended:
            _owner = Owner()
        if isinstance(box, ThreadBox) and threading.get_ident() == _owner.thread.ident:
            raise RuntimeError("the embedded runtime cannot wait for itself: use the async client on its own thread")
        exchange = Exchange(scope, body, box, _owner.loop, own_key)
        _owner.begin(exchange, source)
        return exchange


def shutdown(timeout_s: float = STOP_S) -> None:
    """Ends the embedded runtime of this process: running calls fail, the stores are written and closed.

    The next call starts a new one. Waits at most ``timeout_s`` seconds. Called by itself when the process ends.
    """
    global _owner
    with _lock:
        owner, _owner = _owner, None
    if owner is not None:
        owner.stop(timeout_s)


def _after_fork() -> None:
    global _lock, _owner
    _lock = threading.Lock()
    if _owner is not None:
        _inherited.append(_owner)
    _owner = None


os.register_at_fork(after_in_child=_after_fork)
# `atexit` is too late: by then the thread pools that the stores write through take no more work. The hook that those
# pools use themselves runs in reverse order of registration, so ours comes before theirs.
getattr(threading, "_register_atexit", atexit.register)(shutdown)


# -- transports ------------------------------------------------------------------------------------------------------


def transport(app: App | None = None, *, settings: Settings | None = None) -> httpx.BaseTransport:
    """A transport for threads, to the embedded runtime with these settings (default: those of the environment at each
    request), or to another ASGI application.

    Of ``request.extensions["timeout"]`` the ``read`` seconds are honoured, for the head and for every piece of the
    body. Raises ``httpx.ReadTimeout``, ``httpx.RemoteProtocolError`` when the application breaks inside its answer,
    ``httpx.ConnectError`` when it does not start or its thread has ended, ``ConfigError`` when its settings are wrong.
    Closing the transport does not end the runtime; ``shutdown`` does.
    """
    return _Transport(_chooser(app, settings))


def async_transport(app: App | None = None, *, settings: Settings | None = None) -> httpx.AsyncBaseTransport:
    """As ``transport``, for asyncio and trio. It belongs to no loop: one may serve several ``asyncio.run`` calls."""
    return _AsyncTransport(_chooser(app, settings))


def _chooser(app: App | None, settings: Settings | None) -> Chooser:
    if app is not None:
        given = Source(app, lambda: app)
    elif settings is not None:
        given = _runtime(settings)
    else:
        return source_of_environment
    return lambda: given


def client_transport(kind: str, source: Source) -> _Transport | _AsyncTransport:
    """A transport to one application, for clients in threads (``sync``) or in tasks (``async``)."""
    return _Transport(lambda: source) if kind == "sync" else _AsyncTransport(lambda: source)


def source_of_environment() -> Source:
    """The application that the environment names right now. Raises ``ConfigError``."""
    return _at_place(*map(os.environ.get, _PLACE))


@lru_cache(maxsize=64)
def _at_place(*values: str | None) -> Source:
    return _runtime(Settings.from_environment(embedded=True, public_url=None))


@cache
def _runtime(settings: Settings) -> Source:
    try:
        # Late, and in the caller's thread: it takes a while, and the loop is others' too.
        from infrai_runtime.app import create_app
    except ImportError as error:
        raise ConfigError(
            f'the embedded runtime needs the package {error.name}: pip install "infrai-integrations[runtime]"'
        ) from error
    # One key for equal settings, and not these: hashing them for every request takes a while.
    return Source(object(), lambda: create_app(settings))


class _Answer:
    """An exchange as its caller sees it: first the head, then the pieces of the body."""

    status: int
    headers: Headers
    socket: Any = None
    _first: Head | Piece | None = None
    """What is to be read next, where that is here."""
    _open = False

    def __init__(self, exchange: Exchange, timeout: dict[str, Any]) -> None:
        self._exchange = exchange
        self._timeout = timeout
        """Looked up before every wait: a caller may loosen it once the head has come."""
        self._open = True

    def loosen(self, read_timeout_s: float) -> None:
        """From here on each read may wait so long."""
        self._timeout["read"] = read_timeout_s

    def whole(self) -> bytes | None:
        """The whole body where it came with the head: the answer is then read and closed. Else None."""
        if self._first is None or not self._first.last:
            return None
        self._open = False
        return self._first.data

    def _late(self) -> httpx.ReadTimeout:
        return httpx.ReadTimeout(f"nothing came for {self._timeout['read']} s")

    def _checked(self, event: Head | Piece | Broken) -> Head | Piece:
        """The event. Raises what broke the exchange."""
        if isinstance(event, Broken):
            self._open = False
            raise event.error
        return event

    def _headed(self, head: Head | Piece) -> None:
        assert isinstance(head, Head)
        self.status, self.headers = head.status, Headers(head.headers)
        if head.data or head.last:
            self._first = head

    def _taken(self, piece: Head | Piece) -> bytes:
        self._first = None
        self._exchange.take()
        self._open = not piece.last
        return piece.data

    def _check_process(self) -> None:
        if not self._exchange.mine:
            raise httpx.ReadError("this response belongs to the process that this one was forked from")

    def _end(self) -> None:
        """Ends the exchange at once where it still runs."""
        if self._open:
            self._open = False
            self._exchange.disconnect()

    def __del__(self) -> None:
        # A response that nobody closed must not keep the application waiting for a reader.
        self._end()


class _ThreadsAnswer(_Answer, httpx.SyncByteStream):
    def __init__(
        self,
        source: Source,
        scope: Scope,
        body: bytes | Iterable[bytes],
        timeout: dict[str, Any],
        own_key: bool = False,
    ) -> None:
        self._box: ThreadBox[Event] = ThreadBox()
        self._upload = iter(()) if isinstance(body, bytes) else iter(body)
        known = body if isinstance(body, bytes) else None
        super().__init__(_begin(scope, known, self._box, source, own_key), timeout)

    def begun(self) -> _ThreadsAnswer:
        """Itself, once its head came."""
        try:
            self._headed(self._next())
        except BaseException:
            self.close()
            raise
        return self

    def _next(self) -> Head | Piece:
        """The next event that is the caller's, after handing over what the application wants of the body."""
        while True:
            try:
                event = self._box.get(self._timeout.get("read"))
            except TimeoutError:
                raise self._late() from None
            if not isinstance(event, Wanted):
                return self._checked(event)
            self._exchange.supply(next(self._upload, None))

    def pieces(self) -> Iterator[bytes]:
        """The body."""
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while self._open:
            self._check_process()
            if data := self._taken(self._first or self._next()):
                return data
        raise StopIteration

    def close(self) -> None:
        """Ends the exchange at once where it still runs."""
        self._end()


class _Transport(httpx.BaseTransport, Direct):
    """Takes httpx's requests, and the client's own as they are."""

    def __init__(self, choose: Chooser) -> None:
        self._choose = choose

    def open(self, request: Request) -> Answer:
        """As ``Direct`` says."""
        at = address(request.url)
        scope = http_scope(request.method, at, request.all_headers(at.host))
        body = request.content if request.upload is None else request.upload
        timeout = {"read": request.read_timeout_s}
        return _ThreadsAnswer(self._choose(), scope, body, timeout, request.own_key).begun()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx says."""
        stream = request.stream
        assert isinstance(stream, httpx.SyncByteStream), "an asynchronous body needs the asynchronous transport"
        answer = _ThreadsAnswer(self._choose(), _scope(request), _known(stream), _timeout(request)).begun()
        return httpx.Response(answer.status, headers=_own(answer.headers), stream=answer, request=request)


def _own(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The headers as httpx takes them, whatever kind of bytes the application gave."""
    return [(bytes(name), bytes(value)) for name, value in headers.raw()]


def _timeout(request: httpx.Request) -> dict[str, Any]:
    timeout: dict[str, Any] = request.extensions.get("timeout", {})
    return timeout


def _scope(request: httpx.Request) -> Scope:
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    return http_scope(request.method, address(str(request.url)), headers)


def _known(stream: Body) -> bytes | Body:
    """The body as a whole where it is known."""
    return b"".join(stream) if isinstance(stream, httpx.ByteStream) else stream


class _TasksAnswer(_Answer, httpx.AsyncByteStream):
    def __init__(
        self,
        source: Source,
        scope: Scope,
        body: bytes | AsyncIterable[bytes],
        timeout: dict[str, Any],
        box: TaskBox[Event],
        own_key: bool = False,
    ) -> None:
        self._box = box
        self._upload = None if isinstance(body, bytes) else aiter(body)
        known = body if isinstance(body, bytes) else None
        super().__init__(_begin(scope, known, box, source, own_key), timeout)

    async def begun(self) -> _TasksAnswer:
        """Itself, once its head came."""
        try:
            self._headed(await self._next())
        except BaseException:
            self._end()
            raise
        return self

    async def _next(self) -> Head | Piece:
        """As ``_ThreadsAnswer._next``."""
        while True:
            try:
                event = await self._box.get(self._timeout.get("read"))
            except TimeoutError:
                raise self._late() from None
            if not isinstance(event, Wanted):
                return self._checked(event)
            assert self._upload is not None
            self._exchange.supply(await anext(self._upload, None))

    def pieces(self) -> AsyncIterator[bytes]:
        """The body."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while self._open:
            self._check_process()
            if data := self._taken(self._first or await self._next()):
                return data
        raise StopAsyncIteration

    async def drain(self, limit_s: float) -> None:
        """As ``AsyncAnswer`` says."""
        self.loosen(limit_s)
        with suppress(httpx.HTTPError):
            await anext(self, None)

    async def aclose(self) -> None:
        """Ends the exchange at once where it still runs; waits for nothing."""
        self._end()


class _AsyncTransport(httpx.AsyncBaseTransport, AsyncDirect):
    """As ``_Transport``, for tasks."""

    def __init__(self, choose: Chooser) -> None:
        self._choose = choose
        self._boxes = TaskBoxes()

    def open(self, request: Request) -> Coroutine[Any, Any, AsyncAnswer]:
        """As ``AsyncDirect`` says."""
        at = address(request.url)
        scope = http_scope(request.method, at, request.all_headers(at.host))
        body = request.content if request.upload is None else request.upload
        timeout = {"read": request.read_timeout_s}
        return _TasksAnswer(self._choose(), scope, body, timeout, self._boxes.box(), request.own_key).begun()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx says."""
        stream = request.stream
        assert isinstance(stream, httpx.AsyncByteStream), "a synchronous body needs the synchronous transport"
        source, box = self._choose(), self._boxes.box()
        answer = await _TasksAnswer(source, _scope(request), _known(stream), _timeout(request), box).begun()
        return httpx.Response(answer.status, headers=_own(answer.headers), stream=answer, request=request)
