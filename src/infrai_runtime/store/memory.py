"""Both stores in the memory of one process: for tests, for throw-away runtimes, and as what the others must equal."""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from infrai_runtime.store.durable import RUNNING_LEASE_S, Begun, KeyRow, LedgerRow, UsageRow
from infrai_runtime.store.ephemeral import Failing

SWEEP_EVERY_S = 10.0
MAX_FAILING = 10_000


@dataclass(slots=True)
class _Credit:
    left_nano: int
    reserved_nano: int = 0


@dataclass(slots=True)
class _Claim:
    fingerprint: str
    fence: int
    begun_s: float
    expires_s: float
    answer: bytes | None = None


class MemoryDurable:
    """``Durable`` in memory. Everything happens in one event loop without a pause, so nothing can interleave."""

    def __init__(self) -> None:
        self._keys: dict[str, KeyRow] = {}
        self._credit: dict[str, _Credit] = {}
        self._claims: dict[tuple[str, str], _Claim] = {}
        self._rows: list[LedgerRow] = []
        self._next_sweep = 0.0

    async def add_project(self, project_id: str, account_id: str, credit_nano: int, now: float) -> None:
        self._credit[project_id] = _Credit(credit_nano)

    async def add_key(self, key_hash: str, key_id: str, project_id: str, trial: bool, now: float) -> None:
        self._keys[key_hash] = KeyRow(key_id, project_id, trial)

    async def find_key(self, key_hash: str) -> KeyRow | None:
        return self._keys.get(key_hash)

    async def revoke_key(self, key_id: str) -> bool:
        for key_hash, row in self._keys.items():
            if row.key_id == key_id:
                self._keys[key_hash] = replace(row, revoked=True)
                return True
        return False

    async def balance_nano(self, project_id: str) -> int | None:
        credit = self._credit.get(project_id)
        return None if credit is None else credit.left_nano - credit.reserved_nano

    async def reserve(self, project_id: str, nano: int) -> bool:
        credit = self._credit.get(project_id)
        if credit is None or credit.left_nano - credit.reserved_nano < nano:
            return False
        credit.reserved_nano += nano
        return True

    async def begin(self, project_id: str, key: str, fingerprint: str, owner: str, ttl_s: float, now: float) -> Begun:
        self._sweep(now)
        claim = self._claims.get((project_id, key))
        if claim is not None and claim.expires_s <= now:
            claim = None
        if claim is not None and claim.fingerprint != fingerprint:
            return Begun("conflict")
        if claim is not None and claim.answer is not None:
            return Begun("done", claim.answer, claim.fence)
        if claim is not None and now - claim.begun_s < RUNNING_LEASE_S:
            return Begun("running", fence=claim.fence)
        fence = claim.fence + 1 if claim else 1
        self._claims[project_id, key] = _Claim(fingerprint, fence, now, now + ttl_s)
        return Begun("new", fence=fence)

    def _sweep(self, now: float) -> None:
        """Drops expired claims, now and then: looking at all of them at every call would grow with the traffic."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_EVERY_S
        for place in [place for place, claim in self._claims.items() if claim.expires_s <= now]:
            del self._claims[place]

    async def finish(self, project_id: str, key: str, fence: int, answer: bytes) -> None:
        claim = self._claims.get((project_id, key))
        if claim is not None and claim.fence == fence:
            claim.answer = answer

    async def abandon(self, project_id: str, key: str, fence: int) -> None:
        claim = self._claims.get((project_id, key))
        if claim is not None and claim.fence == fence and claim.answer is None:
            del self._claims[project_id, key]

    async def book(
        self, project_id: str, rows: Sequence[LedgerRow], reserved_nano: int = 0, actual_nano: int = 0
    ) -> None:
        self._rows.extend(rows)
        if credit := self._credit.get(project_id):
            credit.reserved_nano -= reserved_nano
            credit.left_nano -= actual_nano

    async def usage(self, project_id: str, axes: Sequence[str], since_s: float) -> list[UsageRow]:
        groups: dict[tuple[str | None, ...], list[LedgerRow]] = defaultdict(list)
        for row in self._rows:
            if row.kind == "answer" and row.project_id == project_id and row.at_s >= since_s:
                groups[tuple(_AXIS[axis](row) for axis in axes)].append(row)
        ordered = sorted(groups.items(), key=lambda item: tuple(value or "" for value in item[0]))
        return [_totals(dict(zip(axes, values, strict=True)), rows) for values, rows in ordered]

    async def close(self) -> None:
        return None


_AXIS: dict[str, Callable[[LedgerRow], str | None]] = {
    "day": lambda row: datetime.fromtimestamp(row.at_s, UTC).date().isoformat(),
    "vendor": lambda row: row.vendor,
    "model": lambda row: row.model,
    "capability": lambda row: row.capability,
}


def _totals(group: dict[str, str | None], rows: Sequence[LedgerRow]) -> UsageRow:
    return UsageRow(
        group,
        calls=len(rows),
        prompt_tokens=sum(row.prompt_tokens or 0 for row in rows),
        completion_tokens=sum(row.completion_tokens or 0 for row in rows),
        cost_nano=sum(row.cost_nano or 0 for row in rows),
        unpriced_calls=sum(row.cost_nano is None for row in rows),
    )


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

    async def take(self, bucket: str, amount: float, per_minute: float) -> float | None:
        now, rate = self._clock(), per_minute / 60
        level, then = self._buckets.get(bucket, (per_minute, now))
        level = min(per_minute, level + (now - then) * rate)
        granted = level >= amount
        self._buckets[bucket] = (level - amount if granted else level, now)
        if len(self._buckets) > 100_000:  # a full bucket says nothing that a new one would not
            self._buckets = {name: held for name, held in self._buckets.items() if held[0] < per_minute}
        return None if granted else (amount - level) / rate

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

    async def close(self) -> None:
        self._values.clear()
