"""Which calls a process vouches for, and what it still owes the store because an answer of the store was lost.

A database that goes away while it is asked leaves open whether it did what it was asked. So a call that may have been
admitted is taken back as soon as the store answers again, and a booking that may have been written is looked for before
it is written again: neither leaves money set aside for ever nor is anything paid twice. Only calls that this process
really makes are vouched for, not all that carry its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection

from infrai_runtime.store.durable import LEASE_S, Admission, Admitted, Booking


class Vouching(ABC):
    """``admit``, ``release``, ``book`` and ``tend`` of a durable store, over what a store can do at once."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._doubtful: set[str] = set()
        self._taken_back: deque[Admission] = deque()

    @abstractmethod
    async def _admit_once(self, admission: Admission) -> Admitted:
        """Claims the key and sets money aside in one transaction."""

    @abstractmethod
    async def _book_once(self, booking: Booking, doubtful: bool) -> None:
        """Books in one transaction; a ``doubtful`` booking may be there already and is then left as it is."""

    @abstractmethod
    async def _tend_once(self, owner: str, now: float, running: Collection[str]) -> None:
        """Renews the leases of the owner's calls with these request ids, buries the dead, forgets what has expired."""

    async def admit(self, admission: Admission) -> Admitted:
        """Claims the idempotency key and sets money aside."""
        if admission.lease_s <= LEASE_S:  # else it is vouched for already, and for longer than this process may live
            self._running.add(admission.request_id)
        try:
            admitted = await self._admit_once(admission)
        except BaseException:
            self._give_up(admission)
            raise
        if admitted.state != "new":
            self._running.discard(admission.request_id)
        return admitted

    async def release(self, admission: Admission) -> None:
        """Takes an admission back, now or as soon as the store answers again."""
        try:
            await self._book_once(Booking(admission, admission.now, 0, ()), False)
        except BaseException:
            self._give_up(admission)
            raise
        self._running.discard(admission.request_id)

    def _give_up(self, admission: Admission) -> None:
        self._running.discard(admission.request_id)
        self._taken_back.append(admission)

    async def book(self, booking: Booking) -> None:
        """Ends an admitted call. May be asked again after it failed."""
        name = booking.admission.request_id
        try:
            await self._book_once(booking, booking.shared or name in self._doubtful)
        except BaseException:
            self._doubtful.add(name)
            raise
        self._doubtful.discard(name)
        self._running.discard(name)

    async def tend(self, owner: str, now: float) -> None:
        """Renews leases, buries the dead, forgets what has expired, takes back what was given up."""
        await self._tend_once(owner, now, tuple(self._running))
        while self._taken_back:
            await self._book_once(Booking(self._taken_back[0], now, 0, ()), False)
            self._taken_back.popleft()
