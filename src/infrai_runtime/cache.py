"""The exact cache: the stored answer to the same request of the same project (``cache_strategy: "infrai"``)."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from infrai_runtime.request import Ask
from infrai_runtime.store.ephemeral import Ephemeral
from infrai_runtime.trace import Trace
from infrai_runtime.wire import Json

TTL_S = 3600.0

_FIELDS = ("capability", "body", "model", "vendor", "task", "prefer", "vendor_options", "inline", "encoding_format")
_WITH_LINKS = frozenset({"image", "tts"})
_NEVER = frozenset({"realtime"})


def wanted(ask: Ask) -> bool:
    """Whether the caller wants this request cached."""
    return ask.cache_strategy == "infrai" and ask.capability not in _NEVER


def key_of(project: str, ask: Ask) -> str:
    """A hash of everything that shapes the answer, and of the project that asked."""
    facts: list[Any] = [project, *(getattr(ask, name) for name in _FIELDS)]
    return "answer:" + hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def find(ephemeral: Ephemeral, project: str, ask: Ask) -> Json | None:
    """The stored answer: ``data``, ``vendor``, ``model``, ``warnings``, ``invented``."""
    stored = await ephemeral.get(key_of(project, ask)) if wanted(ask) else None
    return None if stored is None else orjson.loads(stored)


async def keep(ephemeral: Ephemeral, project: str, ask: Ask, trace: Trace, data: Json, media_ttl_s: float) -> None:
    """Stores an answer. Links to media die, so answers with links are kept for half their life."""
    if not wanted(ask):
        return
    facts = {"vendor": trace.vendor, "model": trace.model, "warnings": trace.warnings, "invented": trace.invented}
    ttl_s = min(TTL_S, media_ttl_s / 2) if ask.capability in _WITH_LINKS else TTL_S
    await ephemeral.put(key_of(project, ask), orjson.dumps({"data": data} | facts), ttl_s)
