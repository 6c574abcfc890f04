"""What a model reads of a request, and how long that is: the one place that estimates are made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from infrai_core.tokens import estimate, estimate_upper
from infrai_runtime.message import Contents, contents

_READ_FIELD = {"vision": "prompt", "embed": "input", "image": "prompt", "rerank": "candidates"}
_READ_ONE_BY_ONE = frozenset({"embed", "rerank"})
_DIGITS = 6
"""Binary digits of a rounded estimate: at most 3 % too much, far less than a token per four bytes may be wrong."""
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


class Prompt:
    """What a model reads of a request: its texts, tools and schema. ``demanding`` are the parts of messages that not
    every model reads; ``signed`` says that some parts may tell who made them. Each number is worked out when first
    asked for."""

    __slots__ = ("_careful", "_longest", "_of_text", "body", "capability", "demanding", "in_bytes", "signed", "text")

    def __init__(self, capability: str, body: Mapping[str, Any]) -> None:
        held = contents(body["messages"]) if capability == "chat" else _read(capability, body)
        texts, others, self.demanding, signed = held
        self._of_text, self.signed = not others, bool(signed)
        self._longest = max(texts, key=len) if capability in _READ_ONE_BY_ONE and len(texts) > 1 else None
        if not _COUNTED_TOO.isdisjoint(body):
            texts += [orjson.dumps(body[name]).decode() for name in _COUNTED_TOO if name in body]
        self.text = text = "\n".join(texts)
        self.in_bytes = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        self.capability, self.body = capability, body
        self._careful: tuple[int, int] | None = None

    @property
    def longest(self) -> Prompt:
        """What a model has to have room for at once: of texts that are read one by one, the longest; what is ranked is
        read beside the query."""
        if self._longest is None:
            return self
        return Prompt("embed", {"input": f"{self.body.get('query', '')}{self._longest}"})

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
        """Whether a vendor's count of its tokens is that of its text, which has a length at which the estimate says
        something of how a model counts."""
        if len(self.text) not in _COMPARABLE or not self._of_text:
            return False
        return self.capability in ("chat", "embed") and _COUNTED_TOO.isdisjoint(self.body)

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
            self._careful = estimate_upper(self.text), self._beside()
        words, beside = self._careful
        return beside + (words if ratio == 1.0 else min(math.ceil(words * ratio), max(self.in_bytes, words)))

    def _beside(self) -> int:
        """What is counted beside the text, carefully: borders of messages, instructions for tools, media; and where
        texts are ranked, the query, which is read with each of them."""
        body = self.body
        if self.capability == "chat":
            beside = MESSAGE_TOKENS * len(body["messages"]) + (TOOLS_TOKENS if body.get("tools") else 0)
            return beside + sum([MEDIUM_TOKENS.get(part["type"], 0) for part in self.demanding])
        if self.capability == "vision":
            return MESSAGE_TOKENS + MEDIUM_TOKENS["image"] * len(body["images"])
        return estimate_upper(body["query"]) * len(body["candidates"]) if self.capability == "rerank" else 0


def _read(capability: str, body: Mapping[str, Any]) -> Contents:
    """What a model reads of a request without messages: one text, or a list of them."""
    read = body.get(_READ_FIELD.get(capability, "input"), "")
    return Contents([read] if isinstance(read, str) else list(read), [], [], [])
