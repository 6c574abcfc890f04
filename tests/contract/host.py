"""Where the runtime runs: behind a real server on a socket, or embedded in this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from infrai_runtime import embedded

TIMEOUT_S = 20.0


@contextmanager
def serving(app: Any, listener: socket.socket, lifespan: Literal["on", "off"] = "on") -> Iterator[str]:
    """The address of a real server, in a thread of its own, that answers on ``listener``."""
    config = uvicorn.Config(app, log_level="critical", lifespan=lifespan, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive()


def listening() -> socket.socket:
    """A socket on a free port of this machine."""
    return socket.create_server(("127.0.0.1", 0))


def url_of(listener: socket.socket) -> str:
    """Where a client finds the socket."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


class _Switch:
    """One server for all cases; each puts its own application behind it. Its stores open with the first request."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Hosts:
    """Clients of an application, by host."""

    def __enter__(self) -> Hosts:
        self._switch = _Switch()
        self._stack = ExitStack()
        self.url = self._stack.enter_context(serving(self._switch, listening(), "off"))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def client(self, host: str, app: ASGIApp) -> httpx.Client:
        """A client whose requests reach ``app``."""
        return _CLIENTS[host](self, app)

    def _served(self, app: ASGIApp) -> httpx.Client:
        self._switch.app = app
        return httpx.Client(base_url=self.url, timeout=TIMEOUT_S)

    def _embedded(self, app: Any) -> httpx.Client:
        base_url = "http://embedded.infrai.invalid"
        return httpx.Client(transport=embedded.transport(app), base_url=base_url, timeout=TIMEOUT_S)


_CLIENTS: dict[str, Callable[[Hosts, Any], httpx.Client]] = {"served": Hosts._served, "embedded": Hosts._embedded}
