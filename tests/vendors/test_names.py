"""Looking up vendors' names."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from infrai_runtime.vendors.connection import Connections, Origin, Trouble
from infrai_runtime.vendors.names import Names


class Resolver:
    """Knows ``well.example``; is silent about ``hangs.example`` until it is let go, and then does not know it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []
        self.go = threading.Event()

    def look_up(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        if host == "well.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", self.port))]
        self.go.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")


def test_a_name_whose_resolver_hangs_keeps_no_other_vendor_waiting() -> None:
    async def talk() -> Resolver:
        async with await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0) as server:
            resolver = Resolver(server.sockets[0].getsockname()[1])
            connections = Connections(Names(resolver.look_up))
            hanging = [asyncio.ensure_future(connections.new(Origin.of("http://hangs.example"), 20)) for _ in range(50)]
            try:
                while not resolver.asked:
                    await asyncio.sleep(0)
                await connections.new(Origin.of("http://well.example"), 20)
            finally:
                resolver.go.set()
            why = {str(error) for error in await asyncio.gather(*hanging, return_exceptions=True)}
            await connections.close()
        assert why == {"its name could not be resolved"}
        return resolver

    assert asyncio.run(talk()).asked == ["hangs.example", "well.example"]


def test_who_does_not_wait_for_a_name_any_more_takes_it_from_nobody() -> None:
    async def ask() -> None:
        resolver = Resolver(0)
        names = Names(resolver.look_up)
        waits = asyncio.ensure_future(names.rows("hangs.example", 80))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(names.rows("hangs.example", 80), 0.01)
        assert not waits.done()
        resolver.go.set()
        with pytest.raises(socket.gaierror):
            await waits
        assert resolver.asked == ["hangs.example"]

    asyncio.run(ask())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_is_no_name_to_look_up(address: str) -> None:
    async def ask() -> list[Any]:
        return await Names(Resolver(0).look_up).rows(address, 443)

    assert [row[4][:2] for row in asyncio.run(ask())] == [(address, 443)]


def test_a_vendor_whose_name_nobody_knows_is_said_to_be_so() -> None:
    async def ask() -> None:
        resolver = Resolver(0)
        resolver.go.set()
        with pytest.raises(Trouble, match="its name could not be resolved"):
            await Connections(Names(resolver.look_up)).new(Origin.of("http://hangs.example"), 20)

    asyncio.run(ask())
