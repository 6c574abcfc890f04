"""When to try again, and after how long. Pure: no clock, no sleep; the flow in ``protocol`` waits."""

from __future__ import annotations

import email.utils
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC

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
        if not isinstance(self.attempts, int) or self.attempts < 0:
            raise ConfigError(f"attempts={self.attempts!r}: allowed is a whole number of at least 0")
        for name in ("first_s", "max_s", "jitter", "retry_after_max_s"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not value >= 0:
                raise ConfigError(f"{name}={value!r}: allowed is a number of at least 0")
        if self.jitter > 1:
            raise ConfigError(f"jitter={self.jitter!r}: allowed is a number from 0 to 1")

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
        seconds = float(value)
    except ValueError:
        return _seconds_until(value, now_s)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(date: str, now_s: float) -> float | None:
    try:
        when = email.utils.parsedate_to_datetime(date)
        # The oldest of HTTP's three forms (RFC 9110, 5.6.7) names no zone; all three are in UTC.
        return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now_s)
    except (TypeError, ValueError, OverflowError):
        return None
