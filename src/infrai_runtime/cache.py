"""The exact cache: the stored answer to the same request of the same project (``cache_strategy: "infrai"``)."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

import orjson

from infrai_runtime.failure import Failure
from infrai_runtime.live import Live
from infrai_runtime.request import Ask
from infrai_runtime.store.ephemeral import Ephemeral
from infrai_runtime.trace import Trace
from infrai_runtime.vendors.base import Origins
from infrai_runtime.wire import Json

TTL_S = 3600.0
MOST_READ = 256
LONGEST_READ = 32 * 1024
"""Requests that were answered from the cache are known by their bytes: so many, of at most so many bytes."""

_WITH_LINKS = frozenset({"image", "tts"})
_NEVER = frozenset({"realtime"})


def wanted(ask: Ask) -> bool:
    """Whether the caller wants this request cached."""
    return ask.cache_strategy == "infrai" and ask.capability not in _NEVER


def key_of(project: str, ask: Ask) -> str:
    """The name of an answer: the project that asked, and everything that shapes it."""
    return f"answer:{project}:{ask.digest}"


class Cache:
    """Answers of calls that ended, and calls whose answer will be stored when they end."""

    def __init__(self, ephemeral: Ephemeral, media_ttl_s: float) -> None:
        self._ephemeral = ephemeral
        self._media_ttl_s = media_ttl_s
        self._filling: dict[str, Live] = {}
        self._read: dict[Hashable, Ask] = {}

    def read(self, way: Hashable, raw: bytes, header_key: str | None) -> Ask | None:
        """A request as it was read before, where the same bytes were answered from the cache. ``way`` is how bytes are
        read."""
        known = self._read.get((way, raw)) if self._read else None
        return None if known is None else known.keyed(header_key)

    def know(self, way: Hashable, raw: bytes, ask: Ask) -> None:
        """Remembers how bytes were read that have just been answered from the cache. Not where they hold a key: another
        key in the header must be refused."""
        if ask.key_is_given or len(raw) > LONGEST_READ or (way, raw) in self._read:
            return
        if len(self._read) >= MOST_READ:
            del self._read[next(iter(self._read))]
        self._read[way, raw] = ask

    async def find(self, trace: Trace) -> Json | None:
        """The stored answer to the same request of the same project, for a caller who wants that: ``data``, ``vendor``,
        ``model``, ``warnings``, and what :func:`origins_of` reads. One that is being made is waited for, so that the
        same question at the same time is paid once."""
        ask, caller = trace.ask, trace.caller
        key = key_of(caller.project_id, ask)
        if (filling := self._filling.get(key)) is not None:
            await _read(filling, ask.timeout_s)
        found = await self._ephemeral.get(key)
        stored: Json | None = None if found is None else orjson.loads(found)
        return stored if stored and caller.allowed.has(stored["vendor"], stored["model"]) else None

    async def keep(self, key: str, trace: Trace, data: Json) -> None:
        """Stores an answer under its name. Links to media die, so answers with links are kept for half their life."""
        facts = {"vendor": trace.vendor, "model": trace.model, "warnings": trace.warnings}
        # Processes of an older version read ``invented`` also where it is empty.
        entry = {"data": data, **facts, "invented": (), **(trace.origins or {})}
        ttl_s = min(TTL_S, self._media_ttl_s / 2) if trace.ask.capability in _WITH_LINKS else TTL_S
        await self._ephemeral.put(key, orjson.dumps(entry), ttl_s)

    def fill(self, trace: Trace, live: Live) -> None:
        """Others wait for this answer, which will be stored, from now on."""
        live.fills = key_of(trace.caller.project_id, trace.ask)
        self._filling.setdefault(live.fills, live)

    def filled(self, live: Live) -> None:
        """The answer has ended, stored or not."""
        if live.fills is not None and self._filling.get(live.fills) is live:
            del self._filling[live.fills]


def origins_of(stored: Json) -> Origins:
    """Where the values of a stored answer come from; older entries have no quotes."""
    found: Origins = {}
    if stored["invented"]:
        found["invented"] = stored["invented"]
    if stored.get("quotes"):
        found["quotes"] = stored["quotes"]
    return found


async def _read(filling: Live, wait_s: float) -> None:
    """Returns when an answer has ended, or after ``wait_s``. It is read to its end meanwhile, so that one whose own
    reader is slow or gone is made all the same."""
    filling.join()
    try:
        async with asyncio.timeout(wait_s):
            await filling.whole()
    except (Failure, TimeoutError):
        pass
    finally:
        filling.leave()
