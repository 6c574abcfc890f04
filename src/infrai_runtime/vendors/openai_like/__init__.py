"""Vendors that speak OpenAI's dialect: one class per capability, put together by what the vendor's row has."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from infrai_core.errors import ConfigError
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.http import Endpoint, Http, Pool
from infrai_runtime.vendors.keyring import Keyring
from infrai_runtime.vendors.openai_like.batch import Batches, CountedBatches
from infrai_runtime.vendors.openai_like.chat import Chat
from infrai_runtime.vendors.openai_like.dataset import DatasetBatches
from infrai_runtime.vendors.openai_like.inline import InlineBatches
from infrai_runtime.vendors.openai_like.media import (
    Draws,
    DrawsInMessages,
    Embeds,
    Listens,
    Reranks,
)
from infrai_runtime.vendors.openai_like.realtime import Opens
from infrai_runtime.vendors.openai_like.row import Row
from infrai_runtime.vendors.openai_like.rows import PLAIN, ROWS
from infrai_runtime.vendors.openai_like.speech import Speaks, SpeaksByLink, SpeaksInJson

_CLASSES: tuple[tuple[type, Callable[[Row], Any]], ...] = (
    (Embeds, lambda row: row.embed),
    (Draws, lambda row: row.draw and not row.drawn_in_messages),
    (DrawsInMessages, lambda row: row.draw and row.drawn_in_messages),
    (Speaks, lambda row: row.speak and row.speaks_as in ("openai", "xai")),
    (SpeaksInJson, lambda row: row.speak and row.speaks_as == "mistral"),
    (SpeaksByLink, lambda row: row.speak and row.speaks_as == "dashscope"),
    (Listens, lambda row: row.listen),
    (Reranks, lambda row: row.rerank),
    (Opens, lambda row: row.realtime),
    (CountedBatches, lambda row: row.batches and row.batch_words == "xai"),
    (InlineBatches, lambda row: row.batches and row.batch_words == "openrouter"),
    (DatasetBatches, lambda row: row.batches and row.batch_words == "fireworks"),
    (Batches, lambda row: row.batches),
)
"""Class -> whether a row has its capability."""


def make(entry: Entry, pool: Pool) -> Chat:
    """The vendor of an entry. Raises ``ConfigError``."""
    row = row_of(entry)
    kind = _kind(tuple(made for made, has in _CLASSES if has(row)))
    vendor: Chat = kind(entry, row, Http(_endpoint(entry, row), Keyring(entry.name, entry.keys), pool))
    return vendor


def row_of(entry: Entry) -> Row:
    """The row of a vendor: its own, that of the vendor it is ``like``, or the plain one."""
    like = entry.options.get("like", entry.name)
    if like not in ROWS and "like" in entry.options:
        raise ConfigError(f"{entry.source}: [{entry.name}] like: {like!r} is not one of {', '.join(sorted(ROWS))}")
    return ROWS.get(like, PLAIN)


@lru_cache
def _kind(classes: tuple[type, ...]) -> type:
    """The class that has these capabilities and no other; ``isinstance`` tells them."""
    return type("OpenAILike", (*classes, Chat), {})


def _endpoint(entry: Entry, row: Row) -> Endpoint:
    options = entry.options
    named = {"OpenAI-Organization": options.get("organization"), "OpenAI-Project": options.get("project")}
    headers = {name: value for name, value in named.items() if value} | dict(entry.headers)
    version = options.get("api_version")
    return Endpoint(
        entry.name,
        _base_url(entry, row),
        row.auth,
        headers,
        f"api-version={version}" if version else "",
        entry.proxy,
        entry.idempotency_header,
    )


def _base_url(entry: Entry, row: Row) -> str:
    """Azure's endpoint is the resource alone; the interface is under it
    (https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle)."""
    if row is not ROWS["azure"] or "/openai" in entry.base_url:
        return entry.base_url
    return f"{entry.base_url}/openai" if entry.options.get("api_version") else f"{entry.base_url}/openai/v1"
