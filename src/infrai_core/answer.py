"""Answers that came over HTTP, as their callers read them. A body that is not compressed skips httpx's decoding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from types import AsyncGeneratorType
from typing import Any

import anyio
import httpx

from infrai_core.loop import asyncio_loop

RawHeaders = Iterable[tuple[bytes, bytes]]


class HttpAnswer:
    """What such answers have in common, whether they are httpx's or httpcore's."""

    def __init__(self, sent: Any, response: Any, status: int, headers: Mapping[str, str]) -> None:
        self._sent = sent
        self._response = response
        self.status = status
        self.headers = headers

    @property
    def socket(self) -> Any:
        """What its body comes through, where that can be waited for; else None."""
        network = self._response.extensions.get("network_stream")
        return network.get_extra_info("socket") if network is not None else None

    def loosen(self, read_timeout_s: float) -> None:
        """From here on each read may wait so long."""
        self._sent.extensions["timeout"]["read"] = read_timeout_s

    def whole(self) -> bytes | None:
        """None: its body comes after its head."""
        return None


class TasksAnswer(HttpAnswer, ABC):
    """One that a task reads."""

    _pieces: AsyncIterator[bytes] | None = None

    @abstractmethod
    def _body(self) -> AsyncIterator[bytes]:
        """The decoded body."""

    @abstractmethod
    async def _end(self) -> None:
        """Closes the response."""

    def pieces(self) -> AsyncIterator[bytes]:
        """The decoded body."""
        self._pieces = self._body()
        return self._pieces

    async def drain(self, limit_s: float) -> None:
        """Reads the next piece, which is to be the end of the body, where it comes within ``limit_s``."""
        if self._pieces is not None:
            with anyio.move_on_after(limit_s), suppress(httpx.HTTPError):
                await anext(self._pieces, None)

    async def aclose(self) -> None:
        """Ends it now."""
        await self._end()
        if self._pieces is not None:
            await _end_pieces(self._pieces)


def is_coded(headers: RawHeaders) -> bool:
    """Whether a body is compressed."""
    return any(name.lower() == b"content-encoding" for name, _ in headers)


async def _end_pieces(found: AsyncIterator[bytes]) -> None:
    """Ends an iteration of a closed body that was left before its end: trio warns of generators that are dropped.

    httpcore has them inside each other, and ``aclose`` ends the outermost only. Reading on in a scope that is cancelled
    ends them all, after the few pieces that were read from the connection already."""
    if asyncio_loop() is not None or not isinstance(found, AsyncGeneratorType) or found.ag_running:
        return
    with anyio.move_on_after(0), suppress(httpx.HTTPError, StopAsyncIteration):
        for _ in range(_MOST_PIECES_LEFT):
            await anext(found)
    await found.aclose()


_MOST_PIECES_LEFT = 10_000
"""More than one read from a connection can hold."""
