"""The reply of the on-machine chat model, and the parts that it is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True)
class Answer:
    """One finished reply.

    ``parts`` are wire parts (text, tool_call). ``invented`` holds dotted paths of values that no input supported,
    such as ``tool_calls.0.arguments.unit`` or ``content.age``. ``grounded`` is True when the text stands in the
    input, False when the model had to say that it does not know, None where the question does not arise.
    Token counts are estimates.
    """

    parts: list[dict[str, Any]]
    finish_reason: FinishReason
    invented: list[str] = field(default_factory=list)
    grounded: bool | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Draft:
    """What one way of answering made, before stop sequences and token limits."""

    parts: list[dict[str, Any]]
    invented: list[str] = field(default_factory=list)
    grounded: bool | None = None


def text_part(text: str, annotations: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A text part of the wire."""
    return {"type": "text", "text": text, "annotations": annotations} if annotations else {"type": "text", "text": text}


def say(text: str, grounded: bool | None = None) -> Draft:
    """A draft of plain text."""
    return Draft([text_part(text)], grounded=grounded)


def call_part(name: str, arguments: Mapping[str, Any], salt: str = "") -> dict[str, Any]:
    """A tool_call part; its id is made from its content and ``salt``, so that the same input gives the same id."""
    text = json.dumps(arguments, ensure_ascii=False)
    digest = hashlib.sha256(f"{salt}\0{name}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
    return {"type": "tool_call", "id": f"call_{digest[:12]}", "name": name, "arguments": text}
