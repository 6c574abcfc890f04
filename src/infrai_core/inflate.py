"""Bytes out of compressed ones, a little at a time: what came over a network is not trusted to be small."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_PIECE_BYTES = 256 * 1024


class Inflater:
    """Unpacks gzip and zlib, a little at a time."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=47)

    @property
    def complete(self) -> bool:
        return self._stream.eof

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What a chunk unpacks to, in pieces so small that who counts them stops a bomb before it takes memory."""
        full = False
        while chunk or full:
            if self._stream.eof:
                self._stream = zlib.decompressobj(wbits=47)
            data = self._stream.decompress(chunk, _PIECE_BYTES)
            full = len(data) == _PIECE_BYTES and not self._stream.eof
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if data:
                yield data
