"""The ephemeral state's protocol: cache, rate limits, breaker. Losing it costs time or money, never correctness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Failing:
    """Failures in a row of one thing."""

    count: int
    age_s: float
    """Seconds since the latest of them."""
    asked_s: float = 0.0
    """The longest rest that one of them asked for, in seconds from the latest on."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a wish to take from a bucket: ``wait_s`` is None when it was granted, else the seconds until it
    would be; ``left`` is what the bucket holds now (below 0 after a debt)."""

    wait_s: float | None
    left: float


class Wish(NamedTuple):
    """So much of a bucket that refills ``per_minute``."""

    bucket: str
    amount: float
    per_minute: float


class Place(NamedTuple):
    """One of ``most`` places in a room. Where others share the room, it is kept for ``lease_s`` seconds after the last
    ``tend``, should this process die."""

    room: str
    holder: str
    most: int
    lease_s: float


class Held(NamedTuple):
    """What became of wishes that are granted together or not at all: of each in turn, and of the place."""

    taken: Sequence[Taken] = ()
    entered: bool = True

    @property
    def granted(self) -> bool:
        """Whether everything was granted."""
        return self.entered and all(taken.wait_s is None for taken in self.taken)


class Ephemeral(Protocol):
    """What an ephemeral store can do."""

    async def get(self, key: str) -> bytes | None:
        """A stored value that has not expired."""

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Stores a value for ``ttl_s`` seconds; older ones make room."""

    async def take(self, bucket: str, amount: float, per_minute: float, *, owe: bool = False) -> Taken:
        """Takes from a bucket that refills ``per_minute``, if it holds enough. ``owe`` takes in any case, also below
        zero; a negative amount gives back."""

    async def hold(self, wishes: Sequence[Wish], place: Place | None = None) -> Held:
        """Takes from each bucket and the place, in one step; nothing at all unless everything is granted. A holder who
        has the place already is granted everything, and nothing is taken again."""

    async def let_go(self, debts: Sequence[Wish], place: Place | None = None) -> None:
        """Takes from each bucket in any case, as ``take`` does with ``owe``, and gives the place back, in one step."""

    async def enter(self, room: str, holder: str, most: int, lease_s: float) -> bool:
        """Gives ``holder`` one of ``most`` places; False when all are taken. Where others share the room, the place is
        kept for ``lease_s`` seconds after the last ``tend``, should this process die."""

    async def leave(self, room: str, holder: str) -> None:
        """Gives a place back."""

    async def failing(self) -> Mapping[str, Failing]:
        """Everything whose latest attempt failed, by name."""

    async def record(self, name: str, ok: bool, asked_s: float = 0.0) -> None:
        """Notes a success, which forgets the failures, or one more failure in a row. ``asked_s`` is the rest that this
        failure asks for; it does not shorten what an earlier one asked for."""

    async def lease(self, name: str, ttl_s: float) -> bool:
        """Takes a name for ``ttl_s`` seconds; False while somebody else has it."""

    async def tend(self) -> None:
        """Keeps the places that were given here. Raises nothing."""

    async def ping(self) -> None:
        """Raises when the store cannot be used."""

    async def close(self) -> None:
        """Frees the store."""


def taken(granted: bool, level: float, amount: float, per_minute: float) -> Taken:
    """The outcome for a bucket that now holds ``level``."""
    return Taken(None if granted else (amount - level) * 60 / per_minute, level)


def held(granted: bool, entered: bool, levels: Sequence[float], wishes: Sequence[Wish]) -> Held:
    """The outcome of wishes for buckets that now hold these levels. Of those that were not granted, it names those that
    stood in the way."""
    pairs = zip(levels, wishes, strict=True)
    return Held([taken(granted or level >= w.amount, level, w.amount, w.per_minute) for level, w in pairs], entered)
