"""A served runtime that stops for ever at a chosen step of its pipeline, so that a test can kill it there.

::

    python -m infrai_runtime.testing.halt --at admitted --port 0 --home DIRECTORY

takes the options of ``infrai serve``. A call that reaches the step prints ``halted at admitted`` and goes no further.
What happens then is up to who reads the line: usually ``kill -9``, and a look at what another process makes of it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from infrai_core.errors import ConfigError
from infrai_runtime import logs, serve
from infrai_runtime.lifespan import App
from infrai_runtime.runtime import opened
from infrai_runtime.settings import Settings
from infrai_runtime.store.durable import Durable
from infrai_runtime.store.ephemeral import Ephemeral


class Place(NamedTuple):
    """Before or after a method of a store."""

    method: str
    after: bool


STEPS = {
    "authenticated": Place("find_key", True),
    "planned": Place("admit", False),
    "admitted": Place("admit", True),
    "limited": Place("hold", True),
    "answered": Place("book", False),
    "booked": Place("book", True),
}
"""Steps of the pipeline by the touch of a store that ends or begins them. Between ``limited`` and ``answered`` a vendor
is asked, which a vendor that holds its answer shows from its side."""


class Halting:
    """A store that stops for ever at a step."""

    def __init__(self, store: Any, step: str) -> None:
        self._store = store
        self._step = step

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return partial(self._call, found) if name == STEPS[self._step].method else found

    async def _call(self, method: Any, *values: Any, **named: Any) -> Any:
        if not STEPS[self._step].after:
            await self._halt()
        answer = await method(*values, **named)
        await self._halt()
        return answer

    async def _halt(self) -> None:
        print(f"halted at {self._step}", flush=True)
        await asyncio.Event().wait()


def app(step: str, settings: Settings) -> App:
    """A runtime whose calls stop at a step."""
    from infrai_runtime.app import create_app

    async def stores(settings: Settings) -> tuple[Durable, Ephemeral]:
        durable, ephemeral = await opened(settings)
        return cast("Durable", Halting(durable, step)), cast("Ephemeral", Halting(ephemeral, step))

    return create_app(settings, stores=stores)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves; 2 and a line on stderr when it cannot."""
    parser = argparse.ArgumentParser(prog="python -m infrai_runtime.testing.halt", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--at", choices=STEPS, required=True, help="the step at which calls stop")
    serve.add_options(parser)
    options = parser.parse_args(arguments)
    try:
        logs.configure(options.log_level, options.log_format)
        serve.serve(serve.settings_from(options), partial(app, options.at))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
