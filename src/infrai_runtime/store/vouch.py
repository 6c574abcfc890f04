"""Which calls a process vouches for, and what it still owes the store because an answer of the store was lost.

A database that goes away while it is asked leaves open whether it did what it was asked. So a call that may have been
admitted is taken back as soon as the store answers again, and a booking that may have been written is looked for before
it is written again: neither leaves money set aside for ever nor is anything paid twice. Only calls that this process
really makes are vouched for, not all that carry its name.

Rows of calls that no money and no key hangs on (hits of the cache) are owed for a moment too: they are written
together.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Sequence

from infrai_runtime.failure import Failure
from infrai_runtime.store.durable import LEASE_S, Admission, Admitted, Booking, LedgerRow

NOTE_S = 0.05
"""How long a row that is only noted may wait for others."""
MOST_NOTED = 1000
SWEPT_AT_ONCE, MOST_SWEEPS = 500, 40
"""What has expired is forgotten in so many rows, so many times: no call waits for all of them, and no lease."""

log = logging.getLogger("infrai_runtime")


class Vouching(ABC):
    """``admit``, ``release``, ``book`` and ``tend`` of a durable store, over what a store can do at once."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._doubtful: set[str] = set()
        self._taken_back: deque[Admission] = deque()
        self._noted: list[LedgerRow] = []
        self._owed: deque[list[LedgerRow]] = deque()
        self._notes_failed = False
        self._at_notes = asyncio.Lock()
        self._noting: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    @abstractmethod
    async def _admit_once(self, admission: Admission) -> Admitted:
        """Claims the key and sets money aside in one transaction."""

    @abstractmethod
    async def _book_once(self, booking: Booking, doubtful: bool) -> None:
        """Books in one transaction; a ``doubtful`` booking may be there already and is then left as it is."""

    @abstractmethod
    async def _tend_once(self, owner: str, now: float, running: Collection[str]) -> None:
        """Renews the leases of the owner's calls with these request ids, buries the dead, forgets what has expired."""

    @abstractmethod
    async def _note_once(self, rows: Sequence[LedgerRow], doubtful: bool) -> None:
        """Writes rows in one transaction; ``doubtful`` ones may be there already and are then left as they are."""

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

    @property
    def noted(self) -> int:
        """How many rows wait to be written."""
        return len(self._noted) + sum(map(len, self._owed))

    async def note(self, rows: Sequence[LedgerRow]) -> None:
        """Writes rows within ``NOTE_S``, with those of other calls; at once when many wait."""
        self._noted += rows
        if len(self._noted) >= MOST_NOTED:
            await self._write_noted()
        elif self._noting is None:
            self._noting = asyncio.get_running_loop().call_later(NOTE_S, self._begin_to_write)

    def _begin_to_write(self) -> None:
        self._noting = None
        self._writing = asyncio.get_running_loop().create_task(self._write_or_wait())

    async def _write_or_wait(self) -> None:
        try:
            await self._write_noted()
        except Exception:
            log.exception("rows of the ledger could not be written; it is tried again")

    async def _write_noted(self) -> None:
        """Writes what was noted so far; whoever reads the ledger has it written first. What failed is written again as
        it was, since it may be there already."""
        if self._noting is not None:
            self._noting.cancel()
            self._noting = None
        async with self._at_notes:
            if self._noted:
                self._owed.append(self._noted)
                self._noted = []
            while self._owed:
                doubtful, self._notes_failed = self._notes_failed, True
                await self._note_once(self._owed[0], doubtful)
                self._notes_failed = False
                self._owed.popleft()

    async def tend(self, owner: str, now: float) -> None:
        """Renews leases, buries the dead, forgets what has expired, takes back what was given up."""
        await self._write_noted()
        await self._tend_once(owner, now, tuple(self._running))
        for _ in range(len(self._taken_back)):
            await self._take_back(self._taken_back[0], now)
            self._taken_back.popleft()

    async def _take_back(self, admission: Admission, now: float) -> None:
        """Each once: one that the store will never take holds up nothing else. A store that does not answer is asked
        again with the next ``tend``."""
        try:
            await self._book_once(Booking(admission, now, 0, ()), False)
        except Failure:
            raise
        except Exception:
            log.exception("request %s could not be taken back; it is tried again", admission.request_id)
            self._taken_back.append(admission)
