"""One-way letter boxes out of the owner's event loop: into a thread, or into another event loop."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

import anyio
from anyio.lowlevel import current_token

from infrai_core.loop import asyncio_loop

T = TypeVar("T")


class TaskBox(Protocol[T]):
    """Carries items to a task of an event loop."""

    def put(self, item: T) -> None:
        """Adds an item from any thread; never waits. An item for a loop that has ended is dropped with the loop."""

    async def get(self, timeout_s: float | None) -> T:
        """The next item. Raises ``TimeoutError`` when none came in time."""
        ...


def task_box() -> TaskBox[Any]:
    """A box for tasks of the running loop."""
    loop = asyncio_loop()
    return _AnyioBox() if loop is None else _AsyncioBox(loop)


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

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[T] = deque()
        self._waiting: asyncio.Future[None] | None = None

    def put(self, item: T) -> None:
        self._items.append(item)
        # The reader first publishes that it waits, and then looks at the items: one of the two always sees the other.
        waiting = self._waiting
        if waiting is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_wake, waiting)

    async def get(self, timeout_s: float | None) -> T:
        if not self._items:
            await self._arrival(timeout_s)
        return self._items.popleft()

    async def _arrival(self, timeout_s: float | None) -> None:
        waiting = self._waiting = self._loop.create_future()
        late = None if timeout_s is None else self._loop.call_later(timeout_s, _too_late, waiting)
        try:
            if not self._items:
                await waiting
        finally:
            self._waiting = None
            if late is not None:
                late.cancel()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


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
