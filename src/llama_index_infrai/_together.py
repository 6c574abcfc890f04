"""The batches of one asynchronous call, which end together when one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any


class Batches:
    """The batches of one asynchronous call. LlamaIndex lets those that are left go on when one has failed, to be paid
    for though nobody waits for them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any] | None] = set()
        self._failed = False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Around a batch in a task of its own."""
        if self._failed:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            yield
        except BaseException:
            self._fail(task)
            raise
        finally:
            self._tasks.discard(task)

    def _fail(self, task: asyncio.Task[Any] | None) -> None:
        if self._failed:
            return
        self._failed = True
        for other in self._tasks:
            if other is not None and other is not task:
                other.cancel()


_current: ContextVar[Batches | None] = ContextVar("infrai_batches", default=None)


@asynccontextmanager
async def batch() -> AsyncIterator[None]:
    """Around one batch, in a task of its own when there are several."""
    batches = _current.get()
    if batches is None:
        yield
        return
    async with batches.one():
        yield


@contextmanager
def together() -> Iterator[None]:
    """Batches that are begun in this block end together."""
    token = _current.set(Batches())
    try:
        yield
    finally:
        _current.reset(token)
