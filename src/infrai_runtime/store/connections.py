"""Connections to a database, taken and given back without asking it anything: no statement of a store leaves something
behind that would have to be reset.

A connection on which a statement was broken off (its caller left, its time was over) is not used again: it is closed
once the server has heard that, and its place is free then. Nor is one that nobody has used for long, which something
between here and the server may have forgotten.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

IDLE_S = 300.0


class Connections:
    """At most ``most`` of them; the one that was used last is taken first. ``kept`` are errors after which a connection
    is as good as before, since the server itself has told them."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        most: int,
        wait_s: float,
        kept: type[Exception] | tuple[type[Exception], ...],
        idle_s: float = IDLE_S,
    ) -> None:
        self._connect = connect
        self._wait_s = wait_s
        self._kept = kept
        self._places = asyncio.Semaphore(most)
        self._idle_s = idle_s
        self._idle: list[tuple[Any, float]] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def take(self) -> Any:
        """A connection. Raises ``TimeoutError`` when none is free within ``wait_s``, and what keeps a new one from
        being made."""
        if self._places.locked():
            async with asyncio.timeout(self._wait_s):
                await self._places.acquire()
        else:
            await self._places.acquire()
        try:
            return self._kept_one() or await self._connect()
        except BaseException:
            self._places.release()
            raise

    def _kept_one(self) -> Any:
        oldest = time.monotonic() - self._idle_s
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_closed():
                continue
            if since > oldest:
                return connection
            self._close(connection)
        return None

    def give_back(self, connection: Any, error: BaseException | None = None) -> None:
        """Ends the use of a connection; ``error`` is what it ended with."""
        if error is None or isinstance(error, self._kept):
            self._idle.append((connection, time.monotonic()))
            self._places.release()
        else:
            self._close(connection, self._places.release)

    def _close(self, connection: Any, then: Callable[[], None] = lambda: None) -> None:
        task = asyncio.create_task(self._end(connection, then))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _end(self, connection: Any, then: Callable[[], None]) -> None:
        try:
            with suppress(Exception):
                await connection.close(timeout=self._wait_s)
        finally:
            then()

    async def close(self) -> None:
        """Closes those that are not in use."""
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            self._close(connection)
        await asyncio.gather(*self._closing)
