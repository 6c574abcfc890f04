"""What a model reads of a request, and how long that is: the one place that estimates are made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from infrai_core.tokens import estimate, estimate_upper
from infrai_runtime.message import all_parts

_READ_FIELD = {"chat": "messages", "vision": "prompt", "embed": "input", "image": "prompt", "rerank": "candidates"}
_READ_ONE_BY_ONE = frozenset({"embed", "rerank"})
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
TOOLS_TOKENS = 346
"""What a vendor adds to a prompt with tools beside their schemas, carefully: Claude's instructions for them
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview#pricing); other vendors add less."""
MEDIUM_TOKENS = {"image": 1600, "audio": 1920, "video": 18_000, "file": 3000}
"""What a medium is counted for, carefully, as long as nobody knows how long it is: a large image
(https://platform.claude.com/docs/en/build-with-claude/vision#image-costs), a minute of sound, a minute of video
(https://ai.google.dev/gemini-api/docs/tokens), a page of a document
(https://platform.claude.com/docs/en/build-with-claude/pdf-support)."""


def text_alone(capability: str, body: Mapping[str, Any]) -> bool:
    """Whether a vendor's count of a request's tokens is that of its text, and nothing else is in it."""
    if capability not in ("chat", "embed") or not _COUNTED_TOO.isdisjoint(body):
        return False
    parts = (part for message in body.get("messages", ()) for part in message["parts"])
    return all(part["type"] in ("text", "cache_point") for part in parts)


class Prompt:
    """What a model reads of a request: its texts, tools and schema. Each number is worked out when first asked for,
    and once."""

    __slots__ = ("_careful", "_longest", "_of", "in_bytes", "text")

    def __init__(self, capability: str, body: Mapping[str, Any]) -> None:
        found: list[str] = []
        _gather(body.get(_READ_FIELD.get(capability, "input"), ""), found)
        self._longest = max(found, key=len) if capability in _READ_ONE_BY_ONE and len(found) > 1 else None
        found += [orjson.dumps(body[name]).decode() for name in _COUNTED_TOO if name in body]
        self.text = "\n".join(found)
        self.in_bytes = len(self.text) if self.text.isascii() else len(self.text.encode("utf-8", "surrogatepass"))
        self._of = capability, body
        self._careful: tuple[int, int] | None = None

    @property
    def longest(self) -> Prompt:
        """What a model has to have room for at once: of texts that are read one by one, the longest; what is ranked is
        read beside the query."""
        if self._longest is None:
            return self
        return Prompt("embed", {"input": f"{self._of[1].get('query', '')}{self._longest}"})

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
        """A number of tokens that the text, what stands around it and its media hardly exceed."""
        return self.careful_for(1.0)

    def measure(self) -> None:
        """Works out what ``careful`` needs, which takes seconds for megabytes of text."""
        _ = self.careful

    def careful_for(self, ratio: float) -> int:
        """``careful`` for a model whose own count of tokens is ``ratio`` times the estimate; no text has more tokens
        than bytes."""
        if self._careful is None:
            self._careful = estimate_upper(self.text), _beside(*self._of)
        words, beside = self._careful
        return beside + (words if ratio == 1.0 else min(math.ceil(words * ratio), max(self.in_bytes, words)))


def _beside(capability: str, body: Mapping[str, Any]) -> int:
    """What is counted beside the text, carefully: borders of messages, instructions for tools, media; and where texts
    are ranked, the query, which is read with each of them."""
    messages = body.get("messages") if capability in _CHATS else ()
    borders = MESSAGE_TOKENS * (len(messages) if isinstance(messages, list | tuple) else 1)
    media = MEDIUM_TOKENS["image"] * len(body.get("images", ())) + sum(map(_media_tokens, messages or ()))
    asked = estimate_upper(body["query"]) * len(body["candidates"]) if capability == "rerank" else 0
    return borders + media + asked + (TOOLS_TOKENS if body.get("tools") else 0)


def _media_tokens(message: Any) -> int:
    return sum([MEDIUM_TOKENS.get(part["type"], 0) for part in all_parts(message)]) if isinstance(message, dict) else 0


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
