"""What a model reads of a request, and how long that is: the one place that estimates are made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from infrai_core.tokens import estimate, estimate_upper

_READ_FIELD = {"chat": "messages", "vision": "prompt", "embed": "input", "image": "prompt", "rerank": "candidates"}
_READ_OF_PART = ("parts", "text", "name", "arguments")
_DIGITS = 6
"""Binary digits of a rounded estimate: at most 3 % too much, far less than a token per four bytes may be wrong."""
_CHATS = frozenset({"chat", "vision"})
MESSAGE_TOKENS = 8
"""What a vendor counts for the borders and role of a message, carefully: OpenAI's chat format takes 3, and 3 more for
the answer's beginning (https://cookbook.openai.com, "How to count tokens with tiktoken"); other formats take more."""
_COMPARABLE = range(1000, 16_001)
"""Characters of a prompt whose estimate is worth comparing: a shorter one is mostly what frames it, and a longer one
takes long to estimate."""
_COUNTED_TOO = frozenset({"tools", "response_format"})


def text_alone(capability: str, body: Mapping[str, Any]) -> bool:
    """Whether a vendor's count of a request's tokens is that of its text, and nothing else is in it."""
    if capability not in ("chat", "embed") or not _COUNTED_TOO.isdisjoint(body):
        return False
    parts = (part for message in body.get("messages", ()) for part in message["parts"])
    return all(part["type"] in ("text", "cache_point") for part in parts)


class Prompt:
    """A request's text. Each number is worked out when first asked for, and once."""

    __slots__ = ("_borders", "_careful", "in_bytes", "text")

    def __init__(self, capability: str, body: Mapping[str, Any]) -> None:
        found: list[str] = []
        _gather(body.get(_READ_FIELD.get(capability, "input"), ""), found)
        self.text = "\n".join(found)
        self.in_bytes = len(self.text) if self.text.isascii() else len(self.text.encode("utf-8", "surrogatepass"))
        messages = body.get("messages") if capability in _CHATS else ()
        self._borders = MESSAGE_TOKENS * (len(messages) if isinstance(messages, list | tuple) else 1)
        self._careful: int | None = None

    @property
    def rough(self) -> int:
        """A token per four bytes, rounded up so that requests of about one length are the same to a comparison."""
        tokens = self.in_bytes // 4 + 1
        step = 1 << max(0, tokens.bit_length() - _DIGITS)
        return -(-tokens // step) * step

    @property
    def likely(self) -> int:
        """The script-aware estimate."""
        return estimate(self.text)

    @property
    def comparable(self) -> bool:
        """Whether it has a length at which its estimate says something of how a model counts."""
        return len(self.text) in _COMPARABLE

    @property
    def careful(self) -> int:
        """A number of tokens that the text and what stands around its messages hardly exceed."""
        if self._careful is None:
            self._careful = estimate_upper(self.text) + self._borders
        return self._careful

    def careful_for(self, ratio: float) -> int:
        """``careful`` for a model whose own count of tokens is ``ratio`` times the estimate; no text has more tokens
        than bytes."""
        return (
            self.careful
            if ratio == 1.0
            else min(math.ceil(self.careful * ratio), max(self.in_bytes + self._borders, self.careful))
        )


def _gather(value: Any, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, list):
        for item in value:
            _gather(item, found)
    elif isinstance(value, dict):
        for name in _READ_OF_PART:
            if name in value:
                _gather(value[name], found)
