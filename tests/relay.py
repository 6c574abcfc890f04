"""A relay between a runtime and its database, which counts round trips and loses answers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from tests.servers import Postgres


class Relay:
    """Between a store and its database; ``cut_after(n)`` lets n more answers through and swallows the next.

    ``answers`` counts how often the database has said that it is ready for the next question (ReadyForQuery, "Z":
    https://www.postgresql.org/docs/current/protocol-message-formats.html), which is once per round trip.
    """

    def __init__(self, server: Postgres) -> None:
        self._there = urlsplit(server.url())
        self._left: int | None = None
        self.answers = 0

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = self._there._replace(netloc=f"infrai@127.0.0.1:{self._server.sockets[0].getsockname()[1]}").geturl()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def cut_after(self, answers: int) -> None:
        self._left = answers

    @property
    def whole(self) -> bool:
        """Whether nothing was cut; from here on nothing is."""
        whole, self._left = self._left is not None, None
        return whole

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection(self._there.hostname, self._there.port)
        asking = asyncio.create_task(self._asked(reader, questions))
        unread = b""
        with suppress(OSError):
            while (data := await answers.read(65536)) and not self._cuts():
                unread = self._counted(unread + data)
                writer.write(data)
                await writer.drain()
        writer.close()
        questions.close()
        await asking

    async def _asked(self, reader: asyncio.StreamReader, questions: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                questions.write(data)
                await questions.drain()

    def _counted(self, data: bytes) -> bytes:
        """Counts in the messages that have come whole; what is left of the last."""
        if data == b"N":  # no TLS here: the one answer that is no message
            return b""
        while len(data) >= 5 and len(data) > (size := int.from_bytes(data[1:5], "big")):
            self.answers += data[:1] == b"Z"
            data = data[1 + size :]
        return data

    def _cuts(self) -> bool:
        if self._left is None:
            return False
        self._left -= 1
        if self._left >= 0:
            return False
        self._left = None
        return True
