"""An answer that is being made: one producer, any number of readers, each from the first frame on.

A reader that goes away is noticed; when the last one is gone the producer is cancelled, at once or after a grace in
which the same caller may come back with the same idempotency key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import orjson

from infrai_runtime.failure import Failure
from infrai_runtime.response import Head, Told
from infrai_runtime.wire import KEEP_ALIVE

log = logging.getLogger("infrai_runtime")

BYTES_AHEAD = 64 * 1024
"""How far a producer may be ahead of its fastest reader. A frame may be any size: what comes at once is one."""


class Live:
    """Frames of one answer. The producer calls ``put``, then ``finish``."""

    _done = False
    _sealed = False
    _failure: Failure | None = None
    _room: asyncio.Future[None] | None = None
    _ahead = 0
    """Bytes that no reader has taken; each takes all there are."""
    _readers = 0
    _abandoned = False
    _cancels = 0
    _task: asyncio.Task[Any] | None = None
    fills: str | None = None
    """The key of the cache under which others wait for it, and it is stored."""
    awaited: Callable[[], bool] | None = None
    """Whether the caller still waits, where it alone has the key."""
    handed_over = False
    """Not kept for a repetition, since the caller takes it."""

    def __init__(self, place: tuple[str, str], *, cancel_after_s: float | None) -> None:
        """``place``: the project and the key under which others find it. ``cancel_after_s``: how long the producer goes
        on without a reader; None is to the end."""
        self.place = place
        self.head = Head()
        self._frames: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[bool]] = []
        self._cancel_after_s = cancel_after_s

    def start(self, producer: Coroutine[Any, Any, None], on_end: Callable[[Live], None]) -> None:
        """Runs the producer in a task of its own; ``on_end`` is called when it has ended."""
        self._task = self._loop.create_task(producer)
        self._task.add_done_callback(partial(self._ended, on_end))

    def lead(self) -> None:
        """The running task is the producer, and waits for the answer as its first reader would."""
        self._task = asyncio.current_task()
        self.join()

    def outlived(self) -> bool:
        """Whether the task that leads goes on though it was cancelled, since only the answer was to end."""
        assert self._task is not None
        return self._cancels > 0 and min(self._task.uncancel() for _ in range(self._cancels)) == 0

    def end(self) -> None:
        """The producer has ended, however it did."""
        if not self._done:
            self.finish(Failure("SHUTTING_DOWN", "the answer was cancelled"))

    def _ended(self, on_end: Callable[[Live], None], task: asyncio.Task[None]) -> None:
        self.end()  # it may have been cancelled before its first step
        if task.cancelled():
            _forget(task)
        elif (error := task.exception()) is not None:
            log.error("an answer was not settled", exc_info=error)
        on_end(self)

    # -- producer's side

    def add(self, frame: bytes) -> None:
        """Adds a frame."""
        if frame:
            self._frames.append(frame)
            self._ahead += len(frame)
            self._wake()

    @property
    def is_ahead(self) -> bool:
        """Whether the readers are far behind."""
        return self._ahead > BYTES_AHEAD and not self._abandoned

    async def room(self) -> None:
        """Returns when the readers are not far behind any more."""
        while self.is_ahead:
            self._room = self._loop.create_future()
            await self._room

    async def put(self, frame: bytes) -> None:
        """Adds one of many frames; waits while the readers are far behind."""
        self.add(frame)
        await self.room()

    def seal(self) -> None:
        """From here on the producer only books what it made, and is not cancelled."""
        self._sealed = True

    def finish(self, failure: Failure | None = None) -> None:
        """The answer is whole, or with ``failure`` there will be nothing (more) of it."""
        self._failure = failure
        self._done = True
        self._wake()

    @property
    def body(self) -> bytes:
        """Everything so far."""
        return b"".join(self._frames)

    def _wake(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for reader in waiting:
                _tell(reader, True)

    def _taken(self) -> None:
        """A reader has all there is."""
        self._ahead = 0
        self._make_room()

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # -- readers' side

    async def _news(self, wait_s: float | None = None) -> bool:
        """Waits for the next frame or the end; False when nothing came for ``wait_s``."""
        reader: asyncio.Future[bool] = self._loop.create_future()
        self._waiting.append(reader)
        if wait_s is None:
            return await reader
        late = self._loop.call_later(wait_s, _tell, reader, False)
        try:
            return await reader
        finally:
            late.cancel()

    async def opened(self, wait_s: float) -> None:
        """Returns when there is a first frame or ``wait_s`` have passed. Raises the failure that came first."""
        until = self._loop.time() + wait_s
        while not self._frames and not self._done and self._loop.time() < until:
            await self._news(until - self._loop.time())
        if self._failure is not None and not self._frames:
            raise self._failure.again()

    async def whole(self) -> bytes:
        """The whole body. Raises the failure that ended it."""
        while not self._done:
            self._taken()
            await self._news()
        return self.made()

    def made(self) -> bytes:
        """The whole body of an answer that has ended. Raises the failure that ended it."""
        if self._failure is not None:
            raise self._failure.again()
        return self.body

    def join(self) -> None:
        """Counts a reader, before its first read; ``leave`` takes it away."""
        self._readers += 1
        self._abandoned = False

    def leave(self) -> None:
        """A reader is gone. Without any, the producer ends after the grace."""
        self._readers -= 1
        if self._readers or self._done:
            return
        self._abandoned = True
        self._make_room()
        if self._cancel_after_s is not None:
            self._loop.call_later(self._cancel_after_s, self._cancel_if_alone)

    def _cancel_if_alone(self) -> None:
        if not self._readers:
            self.cancel()

    def cancel(self) -> None:
        """Ends the producer, after its first step: a task that is cancelled before that books nothing."""
        self._loop.call_soon(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None and not self._sealed:
            self._cancels += 1
            self._task.cancel()

    async def ended(self) -> None:
        """Returns when the producer has ended, however it did."""
        while not self._done:
            await self._news()

    async def read(self, keep_alive_s: float | None, said: Callable[[Failure], bytes] | None = None) -> Told:
        """All frames from the first, each with whether it is the last; comments while nothing comes for
        ``keep_alive_s`` (None: no comments) and more is to come. A failure is the last of them, as ``said``; raised
        where it is not to be said."""
        place = 0
        while place < len(self._frames) or not self._done:
            if place < len(self._frames):
                ready = self._frames[place:]
                place += len(ready)
                self._taken()
                yield ready[0] if len(ready) == 1 else b"".join(ready), self._done and self._failure is None
            elif not await self._news(None if self._sealed else keep_alive_s):
                yield KEEP_ALIVE, False
        if self._failure is not None:
            if said is None:
                raise self._failure.again()
            yield said(self._failure), True


class Lives:
    """The answers that this process makes right now; those of a project are found by their idempotency key."""

    def __init__(self) -> None:
        self._all: set[Live] = set()
        self._by_key: dict[tuple[str, str], Live] = {}

    def __len__(self) -> int:
        return len(self._all)

    def running(self, project_id: str, key: str) -> Live | None:
        """The answer that is made for a key."""
        return self._by_key.get((project_id, key))

    def add(self, live: Live) -> None:
        """An answer begins."""
        self._all.add(live)
        self._by_key[live.place] = live

    def drop(self, live: Live) -> None:
        """An answer has ended."""
        self._all.discard(live)
        self._by_key.pop(live.place, None)

    async def close(self) -> None:
        """Cancels all of them, and returns when they have been settled."""
        for live in list(self._all):
            live.cancel()
        await asyncio.gather(*(live.ended() for live in list(self._all)))


def _forget(task: asyncio.Task[None]) -> None:
    """Has a task forget what cancelled it. That holds its frames, these the whole answer and, by a timeout, the task:
    nothing of it would be freed until the collector comes by, which is seldom."""
    with suppress(asyncio.CancelledError):
        task.exception()


def _tell(reader: asyncio.Future[bool], news: bool) -> None:
    if not reader.done():
        reader.set_result(news)


def packed(head: Head, body: bytes) -> bytes:
    """A finished answer as one value for the idempotency store."""
    facts: Mapping[str, Any] = {"status": head.status, "media_type": head.media_type, "headers": head.headers}
    return orjson.dumps(facts) + b"\n" + body


def unpacked(stored: bytes) -> tuple[Head, bytes]:
    """The answer that ``packed`` made."""
    facts, _, body = stored.partition(b"\n")
    return Head(**orjson.loads(facts)), body
