"""A worker in a process of its own: a runtime without HTTP."""

from __future__ import annotations

import asyncio
import signal

from infrai_core.errors import ConfigError
from infrai_runtime.runtime import Runtime
from infrai_runtime.settings import Settings


def work(settings: Settings, grace_s: float) -> None:
    """Works on batches until SIGINT, SIGTERM or SIGHUP, then lets running requests end for ``grace_s`` seconds; what is
    left is taken up by other workers.

    Prints one line once it has begun, and one when it was told to end. Raises ``ConfigError`` for a database that other
    processes cannot see.
    """
    if settings.database is None:
        raise ConfigError("a worker needs a database that it shares with the serving processes, not memory")
    asyncio.run(_work(settings, grace_s))


async def _work(settings: Settings, grace_s: float) -> None:
    over = asyncio.Event()
    hangs_up = signal.getsignal(signal.SIGHUP) == signal.SIG_DFL  # under nohup it is ignored
    for name in (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])):
        asyncio.get_running_loop().add_signal_handler(name, over.set)
    runtime = Runtime(settings, None, None)
    try:
        await runtime.service()
        print(f"infrai worker: {settings.batch_concurrency} requests at a time", flush=True)
        await over.wait()
        runtime.begin_no_more()
        print(f"infrai worker: ending; what runs has {grace_s:g} s", flush=True)
    finally:
        await runtime.close(grace_s)
