"""What is known of how vendors' models do right now: which rest after failures, and how fast they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Health:
    """A moment's view, by ``vendor/model``."""

    cooling_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds until a model that failed lately may be tried again."""
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    """A moving mean of the time to the first content, or to the whole answer."""


class Latency:
    """Moving means, one per model that has answered; one process's own."""

    def __init__(self) -> None:
        self.seen_ms: dict[str, float] = {}

    def note(self, name: str, ms: float) -> None:
        """Takes the latency of an answer into its mean."""
        before = self.seen_ms.get(name)
        self.seen_ms[name] = ms if before is None else before + _WEIGHT * (ms - before)
