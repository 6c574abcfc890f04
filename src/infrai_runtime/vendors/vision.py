"""A vision request as the chat that says the same, for vendors that see in their chats."""

from __future__ import annotations

from typing import Any

from infrai_runtime.vendors.base import Request

_SHARED = ("temperature", "max_tokens", "passthrough")


def as_chat(request: Request) -> dict[str, Any]:
    """One user message: the images, then the prompt."""
    images = [{"type": "image", **image} for image in request["images"]]
    parts = [*images, {"type": "text", "text": request["prompt"]}]
    options = {name: request[name] for name in _SHARED if name in request}
    return {"messages": [{"role": "user", "parts": parts}], **options}
