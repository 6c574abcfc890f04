"""Connections to a database, taken and given back without asking it anything: no statement of a store leaves something
behind that would have to be reset.

A connection on which a statement was broken off (its caller left, its time was over) is not used again: it is closed
once the server has heard that, and its place is free then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any


class Connections:
    """At most ``most`` of them; the one that was used last is taken first. ``kept`` are errors after which a connection
    is as good as before, since the server itself has told them."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        most: int,
        wait_s: float,
        kept: type[Exception] | tuple[type[Exception], ...],
    ) -> None:
        self._connect = connect
        self._wait_s = wait_s
        self._kept = kept
        self._places = asyncio.Semaphore(most)
        self._idle: list[Any] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def take(self) -> Any:
        """A connection. Raises ``TimeoutError`` when none is free within ``wait_s``, and what keeps a new one from
        being made."""
        if self._places.locked():
            await asyncio.wait_for(self._places.acquire(), self._wait_s)
        else:
            await self._places.acquire()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        try:
            return await self._connect()
        except BaseException:
            self._places.release()
            raise

    def give_back(self, connection: Any, error: BaseException | None = None) -> None:
        """Ends the use of a connection; ``error`` is what it ended with."""
        if error is None or isinstance(error, self._kept):
            self._idle.append(connection)
            self._places.release()
            return
        task = asyncio.create_task(self._end(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _end(self, connection: Any) -> None:
        try:
            with suppress(Exception):
                await connection.close(timeout=self._wait_s)
        finally:
            self._places.release()

    async def close(self) -> None:
        """Closes those that are not in use."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.close(timeout=self._wait_s) for connection in idle), return_exceptions=True)
        await asyncio.gather(*self._closing)
