"""Whether a runtime can answer: what it stands on, one by one, with the time each took."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Collection
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.store.durable import Durable
from infrai_runtime.store.ephemeral import Ephemeral

LIMIT_S = 2.0
"""A store that takes longer is as good as down."""

SPARED = frozenset({"cache"})
"""Without its shared cache and limits a runtime goes on by itself."""

log = logging.getLogger("infrai_runtime")

Check = dict[str, Any]


async def checks(durable: Durable, ephemeral: Ephemeral, vendors: Collection[str]) -> dict[str, Check]:
    """``{"ok", "latency_ms"}`` per dependency, with ``error`` where it is down."""
    stores = await asyncio.gather(_asked("store", durable.ping()), _asked("cache", ephemeral.ping()))
    return {"store": stores[0], "cache": stores[1], "vendors": _configured(vendors)}


def word_of(found: dict[str, Check]) -> str:
    """``ok``; ``degraded`` where only what the runtime can do without is down; else ``unavailable``."""
    down = {name for name, check in found.items() if not check["ok"]}
    return "ok" if not down else "degraded" if down <= SPARED else "unavailable"


async def _asked(name: str, question: Awaitable[Any]) -> Check:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(LIMIT_S):
            await question
    except Exception as error:
        log.warning("%s is not ready", name, exc_info=error)
        return {"ok": False, "error": error.message if isinstance(error, Failure) else type(error).__name__}
    return {"ok": True, "latency_ms": round((time.perf_counter() - began) * 1000, 3)}


def _configured(vendors: Collection[str]) -> Check:
    return {"ok": True} if vendors else {"ok": False, "error": "no vendor is configured"}
