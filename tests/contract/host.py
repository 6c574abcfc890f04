"""Where the runtime runs: behind a real server on a socket, embedded in this process, or as three processes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import asyncpg
import httpx
import uvicorn
from redis import Redis
from starlette.types import ASGIApp, Receive, Scope, Send

from infrai_runtime import embedded

from ..replicas.fleet import Fleet, together
from .case import Case, Json
from .stage import Stage

TIMEOUT_S = 20.0


@contextmanager
def serving(app: Any, listener: socket.socket, lifespan: Literal["on", "off"] = "on") -> Iterator[str]:
    """The address of a real server, in a thread of its own, that answers on ``listener``."""
    config = uvicorn.Config(app, log_config=None, lifespan=lifespan, timeout_graceful_shutdown=2)
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


# -- cases -------------------------------------------------------------------------------------------------------------


class Told(Protocol):
    """What a test says to a case's runtime, and asks of it, past its routes: ``Stage`` has the words."""

    def comment(self) -> None: ...

    def begun(self) -> bool: ...

    def seen(self) -> list[Json]: ...


@dataclass(frozen=True)
class Staged:
    """A case's runtime, and a client of it."""

    stage: Told
    client: httpx.Client


class Host(Protocol):
    """One of the ways to run cases."""

    def staged(self, case: Case, home: Path) -> AbstractContextManager[Sequence[Staged]]:
        """The runtime to ask; for a case that needs it, also another process with the same state."""


class Served:
    """Behind one server: each case puts its own application there, whose stores open with the first request."""

    def __init__(self) -> None:
        self._app: ASGIApp
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    @contextmanager
    def staged(self, case: Case, home: Path) -> Iterator[Sequence[Staged]]:
        stage = Stage(case, home=home, database=None, no_auth=True)
        self._app = stage.app
        with httpx.Client(base_url=self.url, timeout=TIMEOUT_S) as client:
            yield (Staged(stage, client),)


class Embedded:
    """In this process, behind a transport. Two of them that share a file are as two processes to each other."""

    @contextmanager
    def staged(self, case: Case, home: Path) -> Iterator[Sequence[Staged]]:
        shared = home / "shared.db" if case.setup.get("elsewhere") else None
        stages = [Stage(case, home=home, database=shared, embedded=True) for _ in range(2 if shared else 1)]
        with ExitStack() as stack:
            yield [Staged(stage, stack.enter_context(self._client(stage.app))) for stage in stages]

    def _client(self, app: Any) -> httpx.Client:
        base_url = "http://embedded.infrai.invalid"
        return httpx.Client(transport=embedded.transport(app), base_url=base_url, timeout=TIMEOUT_S)


class Far:
    """What the stages of some processes are told and asked, all of them, over HTTP."""

    def __init__(self, processes: Sequence[httpx.Client]) -> None:
        self._processes = processes

    def tell(self, word: str, told: Json | None = None) -> None:
        self._all("POST", word, json=told)

    def comment(self) -> None:
        self.tell("comment")

    def begun(self) -> bool:
        return all(answer.json() for answer in self._all("GET", "begun"))

    def seen(self) -> list[Json]:
        return [request for answer in self._all("GET", "seen") for request in answer.json()]

    def _all(self, method: str, word: str, **options: Any) -> list[httpx.Response]:
        asked = [partial(process.request, method, f"/stage/{word}", **options) for process in self._processes]
        return [answer.raise_for_status() for answer in together(asked)]


class Replicas:
    """Three processes behind HAProxy, on a database and a Redis of the cases' own."""

    def __init__(self, three: Fleet, stack: ExitStack) -> None:
        self._proxy, *self._processes = (
            stack.enter_context(httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False))
            for url in (three.proxy, *three.replicas)
        )
        three.on_store(lambda store: store._fetch("CREATE DATABASE cases"))
        database, redis = three.postgres.url("cases"), f"redis://127.0.0.1:{three.redis_port}/1"
        self._settings = {"database": database, "redis": redis, "no_auth": True}
        self._redis = stack.enter_context(Redis.from_url(redis))
        self._runner = stack.enter_context(asyncio.Runner())
        self._database = self._runner.run(asyncpg.connect(database))
        stack.callback(lambda: self._runner.run(self._database.close()))

    @contextmanager
    def staged(self, case: Case, home: Path) -> Iterator[Sequence[Staged]]:
        three = Far(self._processes)
        three.tell("begin", {"case": case.id, "settings": self._settings})
        try:
            if case.setup.get("elsewhere"):  # the case says which process is asked
                yield [Staged(Far([process]), process) for process in self._processes[:2]]
            else:
                yield [Staged(three, self._proxy)]
        finally:
            three.tell("end")
            self._redis.flushdb()
            self._runner.run(emptied(self._database))


async def emptied(connection: asyncpg.Connection) -> None:
    """Removes what calls, keys and batches left: few rows, for which TRUNCATE would take ten times as long."""
    names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    deleted = "; ".join(f"DELETE FROM {name}" for (name,) in names if name != "schema_version")
    await connection.execute(f"SET session_replication_role = replica; {deleted}")  # in any order
