"""What is known of how vendors' models do right now: which rest after failures, how fast they answer, and how their
count of tokens compares to ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_WEIGHT = 0.2


_NOTHING: Mapping[str, float] = {}


class Health(NamedTuple):
    """A moment's view, by ``vendor/model``."""

    cooling_s: Mapping[str, float] = _NOTHING
    """Seconds until a model that failed lately may be tried again."""
    latency_ms: Mapping[str, float] = _NOTHING
    """A moving mean of the time to the first content, or to the whole answer."""
    token_ratio: Mapping[str, float] = _NOTHING
    """A moving mean of the prompt tokens that a vendor reported to those that were estimated; without one, 1."""


class Latency:
    """Moving means, one per model that has answered; one process's own."""

    def __init__(self) -> None:
        self.seen_ms: dict[str, float] = {}

    def note(self, name: str, ms: float) -> None:
        """Takes the latency of an answer into its mean."""
        before = self.seen_ms.get(name)
        self.seen_ms[name] = ms if before is None else before + _WEIGHT * (ms - before)


LEAST_RATIO, MOST_RATIO = 0.5, 2.0
"""What is further off than this says that something else was counted."""
_SURE_AFTER = 5
_EVERY = 32


class TokenRatio:
    """How a model's own count of tokens compares to the estimate: a moving mean per model; one process's own.

    Estimating costs as much as routing, so once a mean is settled only every 32nd answer is looked at.
    """

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self._answers: dict[str, int] = {}

    def wanted(self, name: str) -> bool:
        """Whether the next answer of a model is worth an estimate."""
        count = self._answers[name] = self._answers.get(name, 0) + 1
        return count <= _SURE_AFTER or count % _EVERY == 0

    def note(self, name: str, reported: int, estimated: int) -> None:
        """Takes an answer into its model's mean; the first ones count alike."""
        ratio = min(max(reported / estimated, LEAST_RATIO), MOST_RATIO)
        before = self.seen.get(name, 1.0)
        self.seen[name] = before + max(_WEIGHT, 1 / self._answers.get(name, 1)) * (ratio - before)
