"""What a Gemini model takes, by the version in its name; a name without a version is taken for a new model.

https://ai.google.dev/gemini-api/docs/thinking (levels and budgets),
https://ai.google.dev/gemini-api/docs/thought-signatures (who insists on them),
https://ai.google.dev/gemini-api/docs/gemini-3 (structured answers beside tools, media in results of tools).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

Version = tuple[int, int]

_VERSION = re.compile(r"gemini-(?:[a-z-]+-)?(\d+)(?:\.(\d+))?")
_NEWEST: Version = (99, 0)

_LEVELS = {"none": "minimal", "minimal": "minimal", "low": "low", "medium": "medium", "high": "high"} | {
    "xhigh": "high",
    "max": "high",
}
_BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 24_576, "max": 24_576}
"""Effort -> thinking tokens, for models that want a number: the numbers of Google's own OpenAI-compatible service,
https://ai.google.dev/gemini-api/docs/openai#thinking."""
EFFORTS = tuple(_LEVELS)
_LEAST_OF_PRO = 128


@dataclass(frozen=True, slots=True)
class Traits:
    """``thinking``: the field of ``thinkingConfig`` for an effort, or None. ``modern``: structured answers go beside
    tools, results of tools carry media, and a function call has to come back signed."""

    thinking: str | None
    modern: bool
    pro: bool

    def thinking_of(self, effort: str) -> Mapping[str, str | int]:
        """An effort in the model's words; a pro model does not stop thinking."""
        if self.thinking == "thinkingLevel":
            level = _LEVELS[effort]
            return {"thinkingLevel": "low" if self.pro and level == "minimal" else level}
        return {"thinkingBudget": max(_BUDGETS[effort], _LEAST_OF_PRO if self.pro else 0)}


@lru_cache(maxsize=256)
def traits_of(model: str) -> Traits:
    """The traits of a model."""
    found = _VERSION.search(model)
    version = (int(found[1]), int(found[2] or 0)) if found else _NEWEST
    modern = version >= (3, 0)
    thinking = "thinkingLevel" if modern else "thinkingBudget" if version >= (2, 5) else None
    return Traits(thinking, modern, "-pro" in model)
