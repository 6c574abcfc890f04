"""A served runtime that plays contract cases, one of three processes.

::

    python -m tests.contract.replica --port 0 --home DIRECTORY

takes the options of ``infrai serve`` and is what that would be, until ``/stage/begin`` names a case: from then to
``/stage/end`` all requests go to the case's runtime.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infrai_runtime import logs, serve
from infrai_runtime.app import create_app
from infrai_runtime.lifespan import App, Hosted, Receive, Send
from infrai_runtime.settings import Settings

from .case import cases
from .stage import Stage


class Replica:
    """The application of such a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._usual: App = create_app(settings)
        self._app = self._usual
        self._control = Starlette(
            routes=[
                Route("/stage/begin", self._begin, methods=["POST"]),
                Route("/stage/comment", self._comment, methods=["POST"]),
                Route("/stage/begun", self._begun),
                Route("/stage/seen", self._seen),
                Route("/stage/end", self._end, methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        # The proxy asks whether the process is ready, which has nothing to do with the case.
        always = scope["type"] == "lifespan" or scope["path"] == "/readyz"
        app = self._control if scope.get("path", "").startswith("/stage/") else self._usual if always else self._app
        await app(scope, receive, send)

    async def _begin(self, request: Request) -> Response:
        """``{"case": its id, "settings": those of three processes}``."""
        asked = await request.json()
        (case,) = (case for case in cases() if case.id == asked["case"])
        self._stage = Stage(case, home=self._settings.home, public_url=self._settings.public_url, **asked["settings"])
        self._hosted = Hosted(lambda: self._stage.app)
        self._app = await self._hosted.begun()
        return Response()

    async def _comment(self, request: Request) -> Response:
        self._stage.comment()
        return Response()

    async def _begun(self, request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(self._stage.begun))

    async def _seen(self, request: Request) -> Response:
        return JSONResponse(self._stage.seen())

    async def _end(self, request: Request) -> Response:
        """Answers when the case's runtime has written what it had to write, and is closed."""
        self._app = self._usual
        await self._hosted.stop()
        return Response()


def main() -> None:
    """Serves."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.replica", description=__doc__)
    serve.add_options(parser)
    options = parser.parse_args()
    logs.configure(options.log_level, options.log_format)
    serve.serve(serve.settings_from(options), Replica)


if __name__ == "__main__":
    main()
