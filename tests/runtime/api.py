"""The application of a test, over in-process ASGI or a real server on a free port."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from infrai_core.fetch import Fetcher
from infrai_runtime.app import create_app
from infrai_runtime.catalogue import Catalogue
from infrai_runtime.http11 import Protocol, Server
from infrai_runtime.observe import Observer
from infrai_runtime.runtime import Stores
from infrai_runtime.settings import Settings
from infrai_runtime.vendors.base import Vendor


def settings(home: Path, **more: Any) -> Settings:
    """Settings of a runtime with state in memory and without keys."""
    return Settings(**({"home": home, "database": None, "no_auth": True, "retries": 0} | more))


@asynccontextmanager
async def client(
    home: Path,
    vendors: Sequence[Vendor] | None = None,
    catalogue: Catalogue | None = None,
    *,
    observers: Sequence[Observer] = (),
    stores: Stores | None = None,
    fetcher: Fetcher | None = None,
    **more: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose lifespan runs in a task of its own, as a server runs it."""
    seams: dict[str, Any] = {"vendors": vendors, "catalogue": catalogue, "stores": stores, "fetcher": fetcher}
    app = create_app(settings(home, **more), observers=observers, **seams)
    begun, over = asyncio.Event(), asyncio.Event()
    messages = iter(({"type": "lifespan.startup"},))

    async def receive() -> Any:
        message = next(messages, None)
        if message is None:
            await over.wait()
            return {"type": "lifespan.shutdown"}
        return message

    async def send(message: Any) -> None:
        assert not message["type"].endswith("failed"), message
        begun.set()

    async def live() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    lifespan = asyncio.create_task(live())
    await begun.wait()
    try:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/v1") as made:
            yield made
    finally:
        over.set()
        await lifespan


@contextmanager
def served(app: ASGIApp, grace_s: float = 5.0) -> Iterator[str]:
    """The base URL of a real server that runs in a thread of its own, and lets answers end for ``grace_s``."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Protocol, log_config=None, lifespan="on", timeout_graceful_shutdown=10)
    server = Server(config, grace_s, getattr(app, "end_calls", _nothing))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


async def _nothing() -> None:
    """What an application ends that has no calls."""


def events(text: str) -> list[Any]:
    """The data of server-sent events: JSON, or the end mark as it is. An event's name stands before its data."""
    found: list[Any] = []
    for block in text.strip().split("\n\n"):
        fields = [line.partition(": ") for line in block.split("\n") if not line.startswith(":")]
        named = [value for name, _, value in fields if name == "event"]
        data = [value for name, _, value in fields if name == "data"]
        found += named + [value if value == "[DONE]" else json.loads(value) for value in data]
    return found
