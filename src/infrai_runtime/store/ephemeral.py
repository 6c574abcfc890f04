"""The ephemeral state's protocol: cache, rate limits, breaker. Losing it costs time or money, never correctness."""

from __future__ import annotations

from typing import Protocol


class Ephemeral(Protocol):
    """What an ephemeral store can do."""

    async def get(self, key: str) -> bytes | None:
        """A stored value that has not expired."""

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Stores a value for ``ttl_s`` seconds; older ones make room."""

    async def take(self, bucket: str, amount: float, per_minute: float) -> float | None:
        """Takes from a bucket that refills ``per_minute``; None when granted, else the seconds until it would be."""

    async def failures(self, name: str) -> int:
        """How often in a row something failed (the breaker's count)."""

    async def record(self, name: str, ok: bool) -> None:
        """Notes a success (the count goes to 0) or a failure."""

    async def close(self) -> None:
        """Frees the store."""
