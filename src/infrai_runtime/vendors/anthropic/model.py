"""What a Claude model takes, by the version in its name; a name without a version is taken for a new model.

https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking,
https://platform.claude.com/docs/en/build-with-claude/structured-outputs,
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages,
https://platform.claude.com/docs/en/about-claude/models/migration-guide (sampling parameters).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Version = tuple[int, int]

_VERSION = re.compile(r"-(\d{1,2})(?:[-.](\d{1,2}))?(?=-|@|$)")
_NEWEST: Version = (99, 0)
_ALWAYS_THINKS = re.compile(r"fable|mythos")


@dataclass(frozen=True, slots=True)
class Traits:
    """``thinking`` is how reasoning is asked for; ``resting``: it can be switched off. ``samplers`` is how many of
    temperature and top_p may be given. ``structured``: answers and tool arguments can be held to a schema."""

    thinking: Literal["none", "budget", "adaptive"]
    resting: bool
    samplers: int
    structured: bool
    late_system: bool
    """System messages may stand between the others."""
    efforts: frozenset[str]
    max_tokens: int
    """What an answer may have when the request does not say: the API wants a number."""


@lru_cache(maxsize=256)
def traits_of(model: str) -> Traits:
    """The traits of a model."""
    version = version_of(model)
    return Traits(
        thinking="adaptive" if version >= (4, 6) else "budget" if version >= (3, 7) else "none",
        resting=not _ALWAYS_THINKS.search(model),
        samplers=0 if version >= (4, 7) else 1 if version >= (4, 1) else 2,
        structured=version >= (4, 5),
        late_system=version >= (4, 8),
        efforts=frozenset({"low", "medium", "high", "max"} | ({"xhigh"} if version >= (4, 7) else set())),
        max_tokens=16_384 if version >= (3, 7) else 8_192 if version >= (3, 5) else 4_096,
    )


def version_of(model: str) -> Version:
    """The version in a name such as ``claude-sonnet-4-5-20250929`` or ``claude-3-7-sonnet-latest``."""
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else _NEWEST
