"""One-way letter boxes out of the owner's event loop: into a thread, or into another event loop."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import anyio
from anyio.lowlevel import current_token

T = TypeVar("T")


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


class LoopBox(Generic[T]):
    """Carries items to a task of the asyncio or trio loop it was made in."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._waiting: anyio.Event | None = None
        self._run_soon = _run_soon()

    def put(self, item: T) -> None:
        """Adds an item from any thread; never waits. An item for a loop that has ended is dropped with the loop."""
        self._items.append(item)
        # The reader publishes its event first and looks at the items after, so one of the two always sees the other.
        waiting = self._waiting
        if waiting is not None:
            try:
                self._run_soon(waiting.set)
            except RuntimeError:
                return

    async def get(self, timeout_s: float | None) -> T:
        """The next item. Raises ``TimeoutError`` when none came in time."""
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


def _run_soon() -> Callable[..., Any]:
    """How another thread gets a function called in the running loop."""
    token: Any = current_token()
    native = getattr(token, "native_token", token)  # before anyio 4.11 the token is the native one itself
    run_soon: Callable[..., Any] = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
    return run_soon
