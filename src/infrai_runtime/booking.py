"""The two touches of the durable store that a call makes: ``admit`` before any vendor is called, ``settle`` after."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from infrai_runtime.admission import kept_s, may_cost_nano, refusal_of, scopes_of
from infrai_runtime.failure import Failure
from infrai_runtime.ledger import rows_of
from infrai_runtime.live import Live, Lives, packed
from infrai_runtime.response import Head
from infrai_runtime.routing import Plan
from infrai_runtime.store.batch import Outcome
from infrai_runtime.store.durable import CONFLICT, TEND_EVERY_S, Admission, Admitted, Booking, Durable, LedgerRow
from infrai_runtime.trace import Trace
from infrai_runtime.wire import Json, dumps, failed

MOST_UNBOOKED = 10_000
"""How many calls may wait to be booked before no further one is begun."""

log = logging.getLogger("infrai_runtime")


class Ready(NamedTuple):
    """How a call would be answered: from the cache, by a plan, or not at all."""

    cached: Json | None = None
    plan: Plan | None = None
    problem: Failure | None = None


class Slot(NamedTuple):
    """What the store says about a call: a stored answer, a running one to join, or the right to make it."""

    admission: Admission
    stored: bytes | None = None
    running: Live | None = None


class Books:
    """Admits calls and books them. ``owner`` is this process's name in the store."""

    def __init__(self, durable: Durable, lives: Lives, owner: str, now: Callable[[], float]) -> None:
        self._durable = durable
        self._lives = lives
        self.owner = owner
        self._now = now
        self._unbooked: deque[Booking] = deque()
        self._untaken: dict[tuple[str, str], tuple[Admission, bytes]] = {}
        """Answers that their callers, who alone have their keys, did not take."""

    async def admit(self, trace: Trace, ready: Ready) -> Slot:
        """Claims the idempotency key and sets aside what the call may cost. Raises IDEMPOTENCY_CONFLICT,
        IDEMPOTENCY_IN_PROGRESS, INSUFFICIENT_CREDIT, BUDGET_EXCEEDED, OVERLOADED, and what made a plan impossible."""
        if len(self._unbooked) + self._durable.noted >= MOST_UNBOOKED:
            raise Failure("OVERLOADED", "too many calls wait to be booked", retry_after_s=TEND_EVERY_S)
        admission = self._admission(trace, ready)
        if trace.ask.idempotency_key is None and ready.problem is not None:
            raise ready.problem.again()
        if self._untaken and (untaken := self._untaken.get((admission.project_id, admission.key))):
            return self._again(admission, *untaken)
        if not _stands(admission):
            return Slot(admission)
        admitted = await self._durable.admit(admission)
        if admitted.state != "new":
            return self._standing(admitted, admission, trace, ready)
        if ready.problem is not None:
            await self._durable.release(admission)
            raise ready.problem.again()
        return Slot(admission)

    @staticmethod
    def _again(admission: Admission, first: Admission, answer: bytes) -> Slot:
        """The answer that was not taken when it was made."""
        if admission.fingerprint != first.fingerprint:
            raise refusal_of(CONFLICT, admission)
        return Slot(admission, stored=answer)

    def keep(self, admission: Admission, head: Head, body: bytes) -> None:
        """Keeps an answer whose caller waited when it was booked and did not take it. Here, because the key is known to
        this process alone."""
        self._untaken[admission.project_id, admission.key] = admission, packed(head, body)

    def _standing(self, admitted: Admitted, admission: Admission, trace: Trace, ready: Ready) -> Slot:
        """What stands under the key of a call that is not to be made. Raises where that is nothing to answer with."""
        if admitted.state == "done":
            return Slot(admission, stored=admitted.answer)
        if admitted.state == "running" and (running := self._lives.running(admission.project_id, admission.key)):
            return Slot(admission, running=running)
        if admitted.state == "refused" and ready.plan is not None:
            trace.note(ready.plan)
        raise refusal_of(admitted, admission)

    def _admission(self, trace: Trace, ready: Ready) -> Admission:
        ask, caller = trace.ask, trace.caller
        return Admission(
            project_id=caller.project_id,
            key=ask.idempotency_key or trace.request_id,
            fingerprint=ask.fingerprint,
            request_id=trace.request_id,
            owner=self.owner,
            now=self._now(),
            ttl_s=kept_s(ask),
            reserve_nano=None if ready.plan is None else may_cost_nano(ask, ready.plan),
            scopes=scopes_of(caller, ask),
            key_id=caller.key_id,
            capability=ask.capability,
        )

    async def settle(self, trace: Trace, live: Live, admission: Admission, failure: Failure | None) -> None:
        """Books the call: money, ledger, and the answer for its batch or its idempotency key (only a whole one is kept,
        and not where who alone has the key waits for it).

        A store that fails does not take the answer away from the caller: it is asked again until it works.
        """
        now = self._now()
        kept = admission.ttl_s and failure is None and trace.place is None
        if kept and live.awaited is not None and not trace.ask.key_is_given and live.awaited():
            kept, live.handed_over = False, True
        answer = packed(live.head, live.body) if kept else None
        outcome = None if trace.place is None else outcome_of(trace, live.body, failure)
        spent = trace.spent_nano()
        if trace.vendor is None and spent:  # no answer, but not for nothing
            trace.cost_nano = spent
        rows = rows_of(trace, now, admission.reserve_nano)
        if trace.cache_hit and outcome is None and not _stands(admission):
            return await self._note(rows)
        await self.book(Booking(admission, now, spent, rows, answer, outcome))

    async def _note(self, rows: Sequence[LedgerRow]) -> None:
        """Writes the rows of a hit of the cache. It costs nothing and nothing was set aside, so they may wait a moment
        for those of others."""
        try:
            await self._durable.note(rows)
        except Exception:
            log.exception("rows of the ledger could not be written; it is tried again")

    async def book(self, booking: Booking) -> None:
        """Books a call that has ended, now or as soon as the store works again."""
        try:
            await self._durable.book(booking)
        except BaseException as error:
            self._unbooked.append(booking)
            if not isinstance(error, Exception):
                raise
            log.exception("request %s could not be booked; it is tried again", booking.admission.request_id)

    async def tend(self) -> None:
        """Lets the store look after itself, so that what waits to be booked is vouched for; then books that, each once,
        so that one that the store will never take holds up no other."""
        now = self._now()
        self._untaken = {place: kept for place, kept in self._untaken.items() if kept[0].now + kept[0].ttl_s > now}
        await self._durable.tend(self.owner, now)
        for _ in range(len(self._unbooked)):
            await self.book(self._unbooked.popleft())
        await self._durable.purge_batches(now)


def _stands(admission: Admission) -> bool:
    """Whether the store knows of a call while it runs: for its key, or for what was set aside."""
    return admission.ttl_s > 0 or admission.reserve_nano is not None


WAITED_FOR = frozenset({"RATE_LIMITED", "OVERLOADED", "SHUTTING_DOWN", "IDEMPOTENCY_IN_PROGRESS"})
"""What is no outcome of a request of a batch: it is tried again later."""


def outcome_of(trace: Trace, body: bytes, failure: Failure | None) -> Outcome | None:
    """What became of a request of a batch; None where that is not yet known, and for other calls."""
    place = trace.place
    if place is None or (failure is not None and failure.code in WAITED_FOR):
        return None
    answer = body if failure is None else dumps(failed(failure, trace.metadata()))
    return Outcome(place.batch_id, place.shard, place.number, failure is None, answer)
