"""One-way letter boxes out of the owner's event loop: into a thread, or into another event loop."""

from __future__ import annotations

import asyncio
import logging
import math
import queue
from collections import deque
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

import anyio
from anyio.lowlevel import current_token

from infrai_core.loop import asyncio_loop

log = logging.getLogger("infrai_runtime")

T = TypeVar("T")


class TaskBox(Protocol[T]):
    """Carries items to a task of an event loop."""

    def put(self, item: T) -> None:
        """Adds an item from any thread; never waits. An item for a loop that has ended is dropped with the loop."""

    async def get(self, timeout_s: float | None) -> T:
        """The next item. Raises ``TimeoutError`` when none came in time."""
        ...


class TaskBoxes:
    """Makes boxes for tasks; those of one loop share what ends waits that take too long."""

    _limits: _Limits | None = None

    def box(self) -> TaskBox[Any]:
        """A box for tasks of the running loop."""
        loop = asyncio_loop()
        if loop is None:
            return _AnyioBox()
        limits = self._limits
        if limits is None or limits.loop is not loop:
            limits = self._limits = _Limits(loop)
        return _AsyncioBox(limits)


class ThreadBox(Generic[T]):
    """Carries items to the thread that waits in ``get``."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[T] = queue.SimpleQueue()

    def put(self, item: T) -> None:
        """Adds an item; never waits."""
        self._items.put(item)

    def get(self, timeout_s: float | None) -> T:
        """The next item. Raises ``TimeoutError`` when none came in time."""
        try:
            return self._items.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError from None


class _AsyncioBox(Generic[T]):
    """For asyncio: AnyIO's events and timeouts cost as much as the rest of a call."""

    def __init__(self, limits: _Limits) -> None:
        self._loop = limits.loop
        self._limits = limits
        self._items: deque[T] = deque()
        self._waiting: asyncio.Future[None] | None = None

    def put(self, item: T) -> None:
        self._items.append(item)
        # The reader first publishes that it waits, and then looks at the items: one of the two always sees the other.
        waiting = self._waiting
        if waiting is not None:
            try:
                self._loop.call_soon_threadsafe(_wake, waiting)
            except RuntimeError:
                log.debug("the loop of a caller has ended, and the caller with it")

    async def get(self, timeout_s: float | None) -> T:
        if not self._items:
            waiting = self._waiting = self._loop.create_future()
            if timeout_s is not None:
                self._limits.limit(waiting, timeout_s)
            try:
                if not self._items:
                    await waiting
            finally:
                self._waiting = None
                self._limits.lift(waiting)
        return self._items.popleft()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


class _Limits:
    """Ends the waits of a loop that take too long. Nearly all end long before, so that one timer, for the first that
    would be late, serves them all: one for each would cost as much as the rest of the waiting."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._until: dict[asyncio.Future[None], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf

    def limit(self, waiting: asyncio.Future[None], timeout_s: float) -> None:
        """From now on it may wait so long."""
        until = self._until[waiting] = self.loop.time() + timeout_s
        if until < self._due:
            self._look_at(until)

    def lift(self, waiting: asyncio.Future[None]) -> None:
        """It waits no more."""
        self._until.pop(waiting, None)

    def _look_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self.loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer, self._due = None, math.inf
        now = self.loop.time()
        for waiting, until in self._until.items():
            if until <= now:
                _too_late(waiting)
        if later := [until for until in self._until.values() if until > now]:
            self._look_at(min(later))


def _too_late(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError("nothing came in time"))


class _AnyioBox(Generic[T]):
    """For trio."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._waiting: anyio.Event | None = None
        token: Any = current_token()
        native = getattr(token, "native_token", token)  # before anyio 4.11 the token is the native one itself
        self._run_soon = native.run_sync_soon

    def put(self, item: T) -> None:
        self._items.append(item)
        waiting = self._waiting
        if waiting is not None:
            with suppress(RuntimeError):
                self._run_soon(waiting.set)

    async def get(self, timeout_s: float | None) -> T:
        if not self._items:
            with anyio.fail_after(timeout_s):
                await self._arrival()
        return self._items.popleft()

    async def _arrival(self) -> None:
        while not self._items:
            event = self._waiting = anyio.Event()
            if not self._items:
                await event.wait()
        self._waiting = None
