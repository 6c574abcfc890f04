"""The addresses of vendors' names, looked up so that a name whose resolver hangs keeps nobody else waiting.

An event loop looks names up on a few threads that it shares with everything else (uvloop has four), and such a look-up
cannot be broken off: four calls of one vendor whose name servers are silent, and no other vendor's name is found.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from functools import partial
from typing import Any, TypeAlias

Rows: TypeAlias = list[Any]
"""As ``socket.getaddrinfo`` gives them."""


class Names:
    """Looks each name up once at a time, on a thread of its own; whoever wants it meanwhile gets the same answer. There
    are never more threads than names, and these are the operator's."""

    def __init__(self, look_up: Callable[..., Rows] = socket.getaddrinfo) -> None:
        self._look_up = partial(look_up, type=socket.SOCK_STREAM)
        self._loop = asyncio.get_running_loop()
        self._asked: dict[tuple[str, int], asyncio.Future[Rows | Exception]] = {}

    async def rows(self, host: str, port: int) -> Rows:
        """The addresses of a name or of an address. Raises what the resolver raises."""
        with suppress(socket.gaierror):
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        found = await asyncio.shield(self._asked.get((host, port)) or self._ask(host, port))
        if isinstance(found, Exception):
            raise copy(found)  # others wait for it too
        return found

    def _ask(self, host: str, port: int) -> asyncio.Future[Rows | Exception]:
        threading.Thread(target=self._answer, args=(host, port), daemon=True, name=f"name of {host}").start()
        asked = self._asked[host, port] = self._loop.create_future()
        return asked

    def _answer(self, host: str, port: int) -> None:
        try:
            found: Rows | Exception = self._look_up(host, port)
        except Exception as error:
            found = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._told, (host, port), found)

    def _told(self, name: tuple[str, int], found: Rows | Exception) -> None:
        self._asked.pop(name).set_result(found)
