"""What a request is answered with. A whole answer is a value, which a caller in this process takes as it is; to others
it is sent as ASGI has it, like a stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import lru_cache
from operator import methodcaller
from typing import Any, TypeAlias

from infrai_runtime.failure import Failure
from infrai_runtime.lifespan import CAME, EMBEDDED, LEAVE, Receive, Send

log = logging.getLogger("infrai_runtime")

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]
Told: TypeAlias = AsyncGenerator[tuple[bytes, bool], None]
"""Frames of a stream, each with whether it is the last."""

_NO_STORE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Head:
    """What stands before the body. Headers may become known while the answer is made; those that are set last may be
    made when somebody reads them, which a caller in this process does not."""

    _make: Callable[[], dict[str, str]] | None = None

    def __init__(
        self, status: int = 200, media_type: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self.status = status
        self.media_type = media_type
        self._headers = headers or {}

    def more(self, make: Callable[[], dict[str, str]]) -> None:
        """Adds headers, which are the same whenever they are made."""
        self._make = make

    @property
    def headers(self) -> dict[str, str]:
        """By name."""
        if self._make is not None:
            self._headers |= self._make()
            self._make = None
        return self._headers


class Whole:
    """A response that is known as a whole. ``keep``, where there is one, is to be called where the caller does not take
    it: it is kept for a repetition then."""

    def __init__(self, head: Head, body: bytes, keep: Callable[[], None] | None = None) -> None:
        self.head = head
        self.body = body
        self.keep = keep

    def raw_headers(self) -> RawHeaders:
        """Its headers as HTTP has them."""
        return _raw(self.head, {"content-length": str(len(self.body))})

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.head.status, "headers": self.raw_headers()})
        await send({"type": "http.response.body", "body": self.body})


class Stream:
    """Sends frames as they come; when the client goes away the frames are released at once. Whoever takes it sends it,
    or calls ``release``."""

    def __init__(self, head: Head, frames: Told, release: Callable[[], None]) -> None:
        self._head = head
        self._frames = frames
        self._release = release

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        state, sender = scope.setdefault("state", {}), asyncio.current_task()
        assert sender is not None
        state[LEAVE] = True
        watched = CAME in state or EMBEDDED in scope
        watch = None if watched else asyncio.create_task(_watch(receive, state, sender))
        try:
            await self._send(send)
        except asyncio.CancelledError:
            if LEAVE in state:
                raise
            sender.uncancel()
        except OSError:
            log.debug("a client went away inside its answer")
        except Failure as failure:  # the server sees that the answer has no end, and breaks the connection
            log.warning("an answer was cut: %s", failure)
        finally:
            if watch is not None:
                watch.cancel()
            self._release()

    async def _send(self, send: Send) -> None:
        async with aclosing(self._frames) as frames:
            headers = _raw(self._head, _NO_STORE)
            await send({"type": "http.response.start", "status": self._head.status, "headers": headers})
            last = False
            async for frame, last in frames:
                await send({"type": "http.response.body", "body": frame, "more_body": not last})
            if not last:
                await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _watch(receive: Receive, state: dict[str, Any], sender: asyncio.Task[Any]) -> None:
    """Does for other servers what our own does when the caller has gone: they say so only to who asks."""
    while (await receive())["type"] != "http.disconnect":
        pass
    del state[LEAVE]
    sender.cancel()


def _raw(head: Head, more: Mapping[str, str]) -> RawHeaders:
    headers = {"content-type": head.media_type, **head.headers, **more}
    return list(zip(map(_raw_name, headers), map(_raw_value, headers.values()), strict=True))


_raw_value = methodcaller("encode", "latin-1")


@lru_cache(maxsize=256)
def _raw_name(name: str) -> bytes:
    return name.lower().encode("latin-1")
