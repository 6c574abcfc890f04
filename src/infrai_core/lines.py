"""Lines of JSON (``application/x-ndjson``), sent and read piece by piece, so that memory does not grow with them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

import httpx

from infrai_core.errors import ConfigError, ProtocolError
from infrai_core.parse import parsed
from infrai_core.written import written

NDJSON = "application/x-ndjson"
PIECE_BYTES = 64 * 1024
PIECE_S = 1.0
"""How long lines are gathered: a service ends an upload that stands still."""

Rows = Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]]


class Upload(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Objects as lines, made while they are sent. Raises ``ConfigError`` for what JSON cannot carry."""

    def __init__(self, rows: Rows, clock: Callable[[], float] = time.monotonic) -> None:
        self._rows = rows
        self._clock = clock
        self._begun = False

    @property
    def spent(self) -> bool:
        """Whether it cannot be sent again: an iterator gives its objects once."""
        return self._begun and isinstance(self._rows, Iterator | AsyncIterator)

    def __iter__(self) -> Iterator[bytes]:
        if not isinstance(self._rows, Iterable):
            raise ConfigError("an asynchronous iterable of requests needs the asynchronous client")
        self._begun = True
        piece, sent_s = bytearray(), self._clock()
        for number, row in enumerate(self._rows):
            piece += written(row, f"requests.{number}")
            if len(piece) >= PIECE_BYTES or self._clock() - sent_s >= PIECE_S:
                yield bytes(piece)
                piece.clear()
                sent_s = self._clock()
        yield bytes(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._rows, Iterable):
            for piece in self:
                yield piece
            return
        self._begun = True
        number = 0
        async for row in self._rows:
            yield written(row, f"requests.{number}")
            number += 1


class LineReader:
    """Bytes -> the objects of the lines that they complete. ``expected`` is how many were promised."""

    def __init__(self, expected: str | None) -> None:
        self._expected = int(expected) if expected and expected.isdigit() else None
        self._count = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The objects that these bytes complete. Raises ``ProtocolError`` for a line that is none."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = [_object(line) for line in lines if line.strip()]
        self._count += len(found)
        return found

    def end(self) -> list[dict[str, Any]]:
        """The last object, at the end of the bytes. Raises ``ProtocolError`` when some are missing."""
        found = self.feed(b"\n")
        if self._expected is not None and self._count != self._expected:
            raise ProtocolError(f"the answer was cut: {self._count} of {self._expected} lines came")
        return found


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = parsed(line)
    except ValueError:
        raise ProtocolError("a line of the answer is not JSON") from None
    if not isinstance(value, dict):
        raise ProtocolError("a line of the answer is not a JSON object")
    return value
