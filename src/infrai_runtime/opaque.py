"""What a vendor signed belongs to the vendor and model that made it, and goes back to them and to nobody else.

Reasoning always has a maker. A signature (``opaque``) may also stand on a text, a tool call or an image (Gemini signs
those); without it such a part is as good for another vendor as any. A call or result of a vendor's own tools means
something to that vendor only. See docs/protocol.md, section 3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from infrai_runtime.message import OWNED
from infrai_runtime.vendors.base import Event, Fragment

Part = Mapping[str, Any]

_SERVER_TOOLS = frozenset({"server_tool_call", "server_tool_result"})
_SIGNATURE = frozenset({"opaque", "vendor", "model"})
_WARNINGS = {
    "reasoning": "messages: {} reasoning part(s) of another vendor or model were left out",
    "server_tool": "messages: {} part(s) of another vendor's own tools were left out",
    "signature": "messages: {} signature(s) of another vendor or model were left out",
}


def marked(event: Event, vendor: str, model: str) -> Event:
    """Reasoning and signed parts with their maker's name; other events as they are."""
    if not isinstance(event, Fragment) or not (event.part.get("type") == "reasoning" or "opaque" in event.part):
        return event
    return Fragment(event.index, event.part | {"vendor": vendor, "model": model}, event.choice)


def without_foreign(body: Mapping[str, Any], vendor: str, model: str) -> tuple[Mapping[str, Any], list[str]]:
    """The body without what other makers signed, and one warning for each kind of what was left out."""
    messages = body.get("messages", ())
    owned = [part for m in messages for part in m["parts"] if part["type"] in OWNED or "opaque" in part]
    foreign = [kind for part in owned if (kind := _foreign(part, vendor, model))]
    if not foreign:
        return body, []
    kept = [{**message, "parts": _own(message["parts"], vendor, model)} for message in messages]
    warnings = [_WARNINGS[kind].format(count) for kind, count in sorted(Counter(foreign).items())]
    return {**body, "messages": [message for message in kept if message["parts"]]}, warnings


def _own(parts: Sequence[Part], vendor: str, model: str) -> list[Part]:
    sorted_out = [(part, _foreign(part, vendor, model)) for part in parts]
    return [_unsigned(part) if kind else part for part, kind in sorted_out if kind in (None, "signature")]


def _unsigned(part: Part) -> Part:
    return {name: value for name, value in part.items() if name not in _SIGNATURE}


def _foreign(part: Part, vendor: str, model: str) -> str | None:
    """Which kind of foreign matter a part is or carries: a key of ``_WARNINGS``, or None."""
    if part["type"] in _SERVER_TOOLS:
        return None if part.get("vendor") == vendor else "server_tool"
    if part["type"] == "reasoning":
        return "reasoning" if _made_elsewhere(part, vendor, model) else None
    return "signature" if "opaque" in part and _made_elsewhere(part, vendor, model) else None


def _made_elsewhere(part: Part, vendor: str, model: str) -> bool:
    """It names another maker, or none although it is signed."""
    maker = (part.get("vendor"), part.get("model"))
    return maker != (vendor, model) and (maker != (None, None) or "opaque" in part)
