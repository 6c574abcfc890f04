"""Rate limiters that see what is really sent.

LlamaIndex asks a component's ``rate_limiter`` once per call, whatever is sent, and without a token count, so that its
``tokens_per_minute`` never limits anything. Here the client asks it: before every HTTP attempt, with an estimate.
"""

from __future__ import annotations

from typing import Any

from llama_index.core.rate_limiter import BaseRateLimiter

from infrai_core import ConfigError


class Paced(BaseRateLimiter):
    """What LlamaIndex sees of a limiter: its own, early question is let through. Attributes are the limiter's."""

    def __init__(self, limiter: Any) -> None:
        self.limiter = limiter

    def acquire(self, num_tokens: int = 0) -> None:
        """Returns at once; the client asks the limiter."""

    async def async_acquire(self, num_tokens: int = 0) -> None:
        """Returns at once; the client asks the limiter."""

    def __getattr__(self, name: str) -> Any:
        if name == "limiter":  # not there yet, while this is unpickled
            raise AttributeError(name)
        return getattr(self.limiter, name)


class Meter:
    """What the client sees of a limiter. Raises ``ConfigError`` for what is none, and for a request that it could never
    let pass."""

    def __init__(self, limiter: Any) -> None:
        if not (hasattr(limiter, "acquire") and hasattr(limiter, "async_acquire")):
            raise ConfigError(
                f"rate_limiter={limiter!r}: allowed is one of llama_index.core.rate_limiter, or another object with "
                "acquire and async_acquire"
            )
        self._limiter = limiter

    def acquire(self, num_tokens: int = 0) -> None:
        """Asks from a thread."""
        self._check(num_tokens)
        self._limiter.acquire(num_tokens)

    async def async_acquire(self, num_tokens: int = 0) -> None:
        """Asks from an event loop."""
        self._check(num_tokens)
        await self._limiter.async_acquire(num_tokens)

    def _check(self, num_tokens: int) -> None:
        most = getattr(self._limiter, "tokens_per_minute", None)
        if isinstance(most, int | float) and num_tokens > most + (getattr(self._limiter, "token_burst", None) or 0):
            raise ConfigError(
                f"rate_limiter: the request has about {num_tokens} tokens, tokens_per_minute is {most:g}; "
                "LlamaIndex's limiters would wait for ever"
            )
