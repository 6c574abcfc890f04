"""The ephemeral state in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from infrai_runtime.store.ephemeral import Failing, Held, Place, Taken, Wish, held, taken

MAX_FAILING = 10_000
VALUE_BYTES = 256
"""What a value takes beside itself and its name: most are names of vendors, which are shorter than that."""


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
        if _size(key, value) > self._max_bytes:
            return
        self._values[key] = (value, self._clock() + ttl_s)
        self._held += _size(key, value)
        while self._held > self._max_bytes:
            self._drop(next(iter(self._values)))

    def _drop(self, key: str) -> None:
        found = self._values.pop(key, None)
        if found is not None:
            self._held -= _size(key, found[0])

    async def take(self, bucket: str, amount: float, per_minute: float, *, owe: bool = False) -> Taken:
        level = self._level(bucket, per_minute)
        granted = owe or level >= amount
        if granted:
            level -= amount
            self._fill(bucket, level, per_minute)
        return taken(granted, level, amount, per_minute)

    async def hold(self, wishes: Sequence[Wish], place: Place | None = None) -> Held:
        levels = [self._level(wish.bucket, wish.per_minute) for wish in wishes]
        if place is not None and place.holder in self._rooms.get(place.room, ()):
            return held(True, True, levels, wishes)  # asked again
        entered = place is None or self._has_room(place)
        granted = entered and all(level >= wish.amount for level, wish in zip(levels, wishes, strict=True))
        if granted:
            levels = [level - wish.amount for level, wish in zip(levels, wishes, strict=True)]
            for level, wish in zip(levels, wishes, strict=True):
                self._fill(wish.bucket, level, wish.per_minute)
            if place is not None:
                self._rooms.setdefault(place.room, set()).add(place.holder)
        return held(granted, entered, levels, wishes)

    async def let_go(self, debts: Sequence[Wish], place: Place | None = None) -> None:
        for debt in debts:
            await self.take(*debt, owe=True)
        if place is not None:
            await self.leave(place.room, place.holder)

    def _level(self, bucket: str, per_minute: float) -> float:
        now = self._clock()
        level, then = self._buckets.get(bucket, (per_minute, now))
        return min(per_minute, level + (now - then) * per_minute / 60)

    def _fill(self, bucket: str, level: float, per_minute: float) -> None:
        self._buckets[bucket] = (level, self._clock())
        if len(self._buckets) > 100_000:  # a full bucket says nothing that a new one would not
            self._buckets = {name: held for name, held in self._buckets.items() if held[0] < per_minute}

    def _has_room(self, place: Place) -> bool:
        return len(self._rooms.get(place.room, ())) < place.most  # they end with this process and need no lease

    async def enter(self, room: str, holder: str, most: int, lease_s: float) -> bool:
        return (await self.hold((), Place(room, holder, most, lease_s))).entered

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
        count, at_s, asked = self._failures.pop(name, (0, 0.0, 0.0))
        self._leases.pop(f"probe:{name}", None)
        if not ok:
            now = self._clock()
            self._failures[name] = (count + 1, now, max(asked_s, at_s + asked - now))
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


def _size(key: str, value: bytes) -> int:
    return VALUE_BYTES + len(key) + len(value)
