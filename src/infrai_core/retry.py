"""When to try again, and after how long. Pure: no clock, no sleep; the flow in ``protocol`` waits."""

from __future__ import annotations

import email.utils
import random
from collections.abc import Callable
from dataclasses import dataclass

from infrai_core.errors import ConfigError, InfraiError, StatusError


@dataclass(frozen=True, slots=True)
class Retry:
    """Retry policy: ``delay = min(first_s * 2**tried, max_s)``, less up to ``jitter`` of it by chance.

    ``attempts`` is the number of further tries after the first (0: never). A ``Retry-After`` of the service replaces
    the formula when it is at most ``retry_after_max_s``; a longer one ends the call. Connection failures, 408, 429
    and 5xx are retried, unless the service says ``retryable: false``; nothing is retried after the first byte of a
    streamed answer.
    """

    attempts: int = 2
    first_s: float = 0.5
    max_s: float = 8.0
    jitter: float = 0.25
    retry_after_max_s: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 0 or self.first_s < 0 or not 0 <= self.jitter <= 1:
            raise ConfigError(f"{self}: attempts and first_s must be at least 0, jitter from 0 to 1")

    def delay(self, tried: int, error: InfraiError, chance: Callable[[], float] = random.random) -> float | None:
        """Seconds to wait before the next try, or None to give up. ``tried`` counts the retries already made."""
        if tried >= self.attempts or not error.retryable:
            return None
        asked = error.retry_after_s if isinstance(error, StatusError) else None
        if asked is not None:
            return asked if asked <= self.retry_after_max_s else None
        return min(self.first_s * 2.0**tried, self.max_s) * (1 - self.jitter * chance())


def parse_retry_after(value: str | None, now_s: float) -> float | None:
    """Seconds from a ``Retry-After`` header: a number, or an HTTP date (RFC 9110, 10.2.3). None when unreadable."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now_s)
    except (TypeError, ValueError, OverflowError):
        return None
