"""The circuit breaker of a vendor's model: when it rests after failures, and who may probe whether it is well again.

Closed: it is used. After ``THRESHOLD`` failures in a row, or when the vendor asks for a pause, it is open: it rests,
for longer after every further failure. When the rest is over it is half-open: one caller at a time may probe it; an
answer closes it, a failure opens it again. What the caller got wrong never counts, nor a deadline of the caller's own
that was too short. Keys have their own rests in ``vendors/keyring.py``: a vendor raises a key's failure only when all
of its keys are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from infrai_runtime.failure import Failure
from infrai_runtime.store.ephemeral import Ephemeral, Failing

THRESHOLD = 5
FIRST_REST_S = 5.0
"""After the failure that reaches the threshold; every further one doubles it."""
LONGEST_REST_S = 60.0
PROBE_LEASE_S = 30.0
"""How long a probe that never reports keeps others from probing."""
LIMITED_REST_S = 1.0
REFUSED_REST_S = 30.0

COUNTS = frozenset({"VENDOR_ERROR", "VENDOR_TIMEOUT"})
"""Failures that open the breaker when there are several in a row."""
REFUSES = frozenset({"UNAUTHORIZED", "FORBIDDEN", "INSUFFICIENT_CREDIT"})
"""Failures that would come again at once: the vendor refuses the runtime's account."""


def wait_s(failing: Failing) -> float | None:
    """Seconds until it may be probed, at most 0 when it may; None while it is closed."""
    many = failing.count - THRESHOLD
    rest = 0.0 if many < 0 else min(FIRST_REST_S * 2.0 ** min(many, 16), LONGEST_REST_S)
    longest = max(rest, min(failing.asked_s, LONGEST_REST_S))
    return longest - failing.age_s if longest else None


def asked_s(failure: Failure) -> float | None:
    """The rest that one failure asks for, 0 when only several in a row count; None when it says nothing of the
    vendor's health."""
    if failure.code == "RATE_LIMITED":
        return LIMITED_REST_S if failure.retry_after_s is None else failure.retry_after_s
    if failure.code in REFUSES:
        return REFUSED_REST_S
    return 0.0 if failure.code in COUNTS else None


@dataclass(frozen=True, slots=True)
class Standing:
    """One breaker: what it is, failures in a row, and the seconds until it may be probed (0 unless open)."""

    word: Literal["closed", "open", "half_open"]
    failures: int
    rest_s: float


def standing_of(failing: Failing) -> Standing:
    """The breaker of something that failed lately."""
    wait = wait_s(failing)
    if wait is None:
        return Standing("closed", failing.count, 0.0)
    return Standing("open", failing.count, wait) if wait > 0 else Standing("half_open", failing.count, 0.0)


class Breaker:
    """All breakers of a runtime, as one request sees them: read once, then asked and told."""

    def __init__(self, store: Ephemeral, failing: Mapping[str, Failing]) -> None:
        self._store = store
        self._failing = failing

    @classmethod
    async def read(cls, store: Ephemeral) -> Breaker:
        """The breakers as they are now."""
        return cls(store, await store.failing())

    def cooling_s(self) -> dict[str, float]:
        """Seconds that those still rest which do."""
        if not self._failing:
            return {}
        waits = ((name, wait_s(failing)) for name, failing in self._failing.items())
        return {name: wait for name, wait in waits if wait is not None and wait > 0}

    def standing(self) -> dict[str, Standing]:
        """The breakers of what failed lately, by ``vendor/model``; all others are closed."""
        return {name: standing_of(failing) for name, failing in self._failing.items()}

    async def admits(self, name: str) -> bool:
        """Whether it may be tried now: it is closed, or half-open and nobody else probes it."""
        failing = self._failing.get(name)
        wait = None if failing is None else wait_s(failing)
        if wait is None:
            return True
        return wait <= 0 and await self._store.lease(f"probe:{name}", PROBE_LEASE_S)

    async def worked(self, name: str) -> None:
        """An answer came: its failures are forgotten."""
        if name in self._failing:
            await self._store.record(name, True)

    async def failed(self, name: str, failure: Failure) -> None:
        """A failure came; one that says nothing of the vendor's health is not counted."""
        asked = asked_s(failure)
        if asked is not None:
            await self._store.record(name, False, asked)
