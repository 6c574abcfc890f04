"""The event loop that runs right now."""

from __future__ import annotations

import asyncio


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """asyncio's loop, or one with its interface such as uvloop's; None in a task of trio's, and where no loop runs.

    A task of trio's may run on top of an asyncio loop (guest mode), so a running loop alone says nothing.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return None if asyncio.current_task(loop) is None else loop
