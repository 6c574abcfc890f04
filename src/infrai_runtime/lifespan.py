"""An ASGI application and its lifespan, run in a task of their own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from infrai_core.errors import ConfigError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

log = logging.getLogger("infrai_runtime")
ASGI = {"version": "3.0", "spec_version": "2.3"}
LEAVE = "infrai.leave"
"""In the ``state`` of a request's scope: True where the task that answers only does so on the caller's behalf, None
where it goes on without a caller. Our server cancels it in the one case when the caller has gone, the embedded runtime
in all but the other."""
CAME = "infrai.came"
"""There too, once the whole body has come: the body, or None where a part of it was received before. Our server says
so, and the embedded runtime to an endpoint that it asks itself; both see for themselves that a caller has gone."""
AWAITED = "infrai.awaited"
"""There too, from a caller of this process whose idempotency key nobody else has: tells whether it still waits for the
answer. One that it takes need not be kept for a repetition; ``response.Whole.keep`` keeps one that it did not take."""


EMBEDDED = "infrai.embedded"
"""In the scope of a request that is one of this process's own."""


class Endpoint(Protocol):
    """What an application may have for a request, and tell by its method ``endpoint``: it answers with a value."""

    heeds_client: bool
    """Whether the answer depends on who asks, which behind a proxy only the proxy's headers tell."""

    def answer(self, scope: Scope, receive: Receive) -> Awaitable[App]:
        """The response: one that is ``response.Whole`` can be taken as it is, others send themselves."""


def no_endpoint(scope: Scope) -> None:
    """The application only sends."""


class Hosted:
    """Makes an application, starts it, and stops it. Everything happens on the running loop."""

    endpoint: Callable[[Scope], Endpoint | None] = staticmethod(no_endpoint)
    app: App | None = None
    """The application, once it has started."""
    failed = False
    """Whether the application could not be started."""

    def __init__(self, make: Callable[[], App]) -> None:
        self._make = make
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._begun: asyncio.Future[App] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live())
        self.state: dict[str, Any] = {}

    async def begun(self) -> App:
        """The started application. Raises what kept it from starting: ``ConfigError``, or ``httpx.ConnectError``."""
        return await asyncio.shield(self._begun)

    async def stop(self) -> None:
        """Ends the lifespan and waits until the application has cleaned up."""
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        await asyncio.wait([self._task])

    async def _live(self) -> None:
        self._inbox.put_nowait({"type": "lifespan.startup"})
        try:
            app = self._make()
            await self._lifespan(app)
        except Exception as error:
            self._fail(error)
        else:
            self._begin(app)  # it returned without a word: it has no lifespan

    async def _lifespan(self, app: App) -> None:
        problem = None

        async def send(message: Message) -> None:
            nonlocal problem
            if message["type"] == "lifespan.startup.complete":
                self._begin(app)
            elif message["type"] == "lifespan.startup.failed":
                problem = message.get("message") or "no reason given"

        try:
            await app({"type": "lifespan", "asgi": ASGI, "state": self.state}, self._inbox.get, send)
        except Exception as error:
            if problem is not None or self._begun.done():
                raise
            log.debug("the application has no lifespan: %s", error)
        if problem is not None:
            raise RuntimeError(problem)

    def _begin(self, app: App) -> None:
        if not self._begun.done():
            self.endpoint = getattr(app, "endpoint", self.endpoint)
            self.app = app
            self._begun.set_result(app)

    def _fail(self, error: Exception) -> None:
        if self._begun.done():
            log.error("the embedded runtime did not end cleanly", exc_info=error)
            return
        self.failed = True
        self._begun.set_exception(_why(error))
        self._begun.exception()  # seen, also when the caller who started it has gone


def _why(error: Exception) -> Exception:
    if isinstance(error, ConfigError):
        return error
    import httpx

    return httpx.ConnectError(f"the embedded runtime did not start: {type(error).__name__}: {error}")
