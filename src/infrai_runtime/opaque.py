"""Reasoning belongs to the vendor and model that made it: its signature goes back to them and to nobody else.

See docs/protocol.md, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infrai_runtime.vendors.base import Event, Fragment

Body = dict[str, Any]


def marked(event: Event, vendor: str, model: str) -> Event:
    """A fragment of reasoning with its maker's name; other events as they are."""
    if not isinstance(event, Fragment) or event.part.get("type") != "reasoning":
        return event
    return Fragment(event.index, event.part | {"vendor": vendor, "model": model})


def without_foreign(body: Mapping[str, Any], vendor: str, model: str) -> tuple[Mapping[str, Any], int]:
    """The body without other makers' reasoning, and how many parts were left out."""
    messages = body.get("messages", ())
    foreign = sum(_is_foreign(part, vendor, model) for message in messages for part in message["parts"])
    if not foreign:
        return body, 0
    kept = [
        {**message, "parts": [part for part in message["parts"] if not _is_foreign(part, vendor, model)]}
        for message in messages
    ]
    return {**body, "messages": [message for message in kept if message["parts"]]}, foreign


def _is_foreign(part: Mapping[str, Any], vendor: str, model: str) -> bool:
    """Reasoning that names another maker, or none although it is signed."""
    if part["type"] != "reasoning":
        return False
    maker = (part.get("vendor"), part.get("model"))
    return maker != (vendor, model) and (maker != (None, None) or "opaque" in part)
