"""The ephemeral state in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from infrai_runtime.store.ephemeral import Failing, Taken

MAX_FAILING = 10_000


class MemoryEphemeral:
    """``Ephemeral`` in memory, bounded by ``max_bytes``: the values used longest ago go first."""

    def __init__(self, max_bytes: int = 64 * 1024 * 1024, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._values: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._held = 0
        self._buckets: dict[str, tuple[float, float]] = {}
        self._failures: OrderedDict[str, tuple[int, float, float]] = OrderedDict()
        self._leases: dict[str, float] = {}
        self._rooms: dict[str, set[str]] = {}

    async def get(self, key: str) -> bytes | None:
        found = self._values.get(key)
        if found is None:
            return None
        if found[1] <= self._clock():
            self._drop(key)
            return None
        self._values.move_to_end(key)
        return found[0]

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        self._drop(key)
        if len(value) > self._max_bytes:
            return
        self._values[key] = (value, self._clock() + ttl_s)
        self._held += len(value)
        while self._held > self._max_bytes:
            self._drop(next(iter(self._values)))

    def _drop(self, key: str) -> None:
        value, _ = self._values.pop(key, (b"", 0.0))
        self._held -= len(value)

    async def take(self, bucket: str, amount: float, per_minute: float, *, owe: bool = False) -> Taken:
        now, rate = self._clock(), per_minute / 60
        level, then = self._buckets.get(bucket, (per_minute, now))
        level = min(per_minute, level + (now - then) * rate)
        granted = owe or level >= amount
        left = level - amount if granted else level
        self._buckets[bucket] = (left, now)
        if len(self._buckets) > 100_000:  # a full bucket says nothing that a new one would not
            self._buckets = {name: held for name, held in self._buckets.items() if held[0] < per_minute}
        return Taken(None if granted else (amount - level) / rate, left)

    async def enter(self, room: str, holder: str, most: int, lease_s: float) -> bool:
        inside = self._rooms.setdefault(room, set())  # ends with this process, so no place needs a lease
        if len(inside) < most:
            inside.add(holder)
        return holder in inside

    async def leave(self, room: str, holder: str) -> None:
        inside = self._rooms.get(room, set())
        inside.discard(holder)
        if not inside:
            self._rooms.pop(room, None)

    async def failing(self) -> Mapping[str, Failing]:
        if not self._failures:
            return {}
        now = self._clock()
        return {name: Failing(count, now - at_s, asked) for name, (count, at_s, asked) in self._failures.items()}

    async def record(self, name: str, ok: bool, asked_s: float = 0.0) -> None:
        count, _, _ = self._failures.pop(name, (0, 0.0, 0.0))
        self._leases.pop(f"probe:{name}", None)
        if not ok:
            self._failures[name] = (count + 1, self._clock(), asked_s)
            if len(self._failures) > MAX_FAILING:
                self._failures.popitem(last=False)

    async def lease(self, name: str, ttl_s: float) -> bool:
        now = self._clock()
        if self._leases.get(name, now) > now:
            return False
        self._leases = {held: until for held, until in self._leases.items() if until > now} | {name: now + ttl_s}
        return True

    async def tend(self) -> None:
        return None

    async def ping(self) -> None:
        return None

    async def close(self) -> None:
        self._values.clear()
