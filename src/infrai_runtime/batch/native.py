"""Vendors' own batch services: half the price, up to a day.

Requests of a shard that the same model of such a vendor would answer become one job there. What is known of the jobs is
noted in the shard (``Group``) before each step that cannot be taken back: the claims of the requests are made to last
until the batch's deadline, so any worker may look after the job and book what came of it, once. When the answer that
told the job's id is lost, or the worker dies over it, the job is looked for at the vendor by the key that it carries.
Where it is not found, or the vendor's jobs carry none, the requests are `unknown` outcomes and are run again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from infrai_runtime import identity
from infrai_runtime.admission import refusal_of, scopes_of
from infrai_runtime.assembly import Assembly
from infrai_runtime.batch.job import ask_at
from infrai_runtime.booking import outcome_of
from infrai_runtime.catalogue import Model
from infrai_runtime.failover import as_vendors, row_of
from infrai_runtime.failure import Failure
from infrai_runtime.keys import Caller
from infrai_runtime.ledger import rows_of
from infrai_runtime.opaque import marked, without_foreign
from infrai_runtime.pricing import cost_nano, expected_usage
from infrai_runtime.request import Ask
from infrai_runtime.routing import Candidate
from infrai_runtime.service import Service
from infrai_runtime.store.batch import JOB_GRACE_S, Shard, row_key
from infrai_runtime.store.durable import UNKNOWN, Admission, Booking, LedgerRow
from infrai_runtime.trace import Place, Trace
from infrai_runtime.vendors.base import Batches, Call, Result
from infrai_runtime.vendors.bill import Bill
from infrai_runtime.vendors.vision import as_chat
from infrai_runtime.wire import Native, dumps, envelope
from infrai_runtime.work import chat_outcome

log = logging.getLogger("infrai_runtime")

WINDOW_S = 24 * 3600.0
"""What the vendors' services may take (https://platform.openai.com/docs/guides/batch,
https://platform.claude.com/docs/en/build-with-claude/batch-processing, https://ai.google.dev/gemini-api/docs/batch-api)."""
LATEST_S = 3600.0
"""How long after a batch was handed in a vendor's job may still begin."""
CALL_S = 120.0
HARVEST_S = 3600.0
"""What reading the results of a job may take: its rows are booked while they come."""
LOST_S = 600.0
"""How long a job whose id was lost is looked for at a vendor that cannot be reached, and how old a job is that cannot
be too new for a vendor to know it."""
MOST_HARVESTS = 3
"""How often results are read that are fewer than the vendor counts."""
FULL_PAUSE_S = 60.0
"""Before a vendor that takes no more jobs is asked again."""
LONGEST_POLL_S = 300.0
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
NATIVE = Native()


@dataclass
class Row:
    """A request in a vendor's job."""

    place: int
    request_id: str
    reserve_nano: int | None = None


@dataclass
class Group:
    """Requests for one model of a vendor. ``job`` is the vendor's name of the job, ``sent`` that it may have it,
    ``key`` what the job carries to be known by, ``harvests`` how often its results came cut."""

    vendor: str
    model: str
    options: Mapping[str, Any]
    mark_cache: bool
    at_s: float
    rows: list[Row] = field(default_factory=list)
    job: str | None = None
    sent: bool = False
    cancelled: bool = False
    key: str = ""
    harvests: int = 0


def read_note(note: str | None) -> list[Group]:
    """The groups that a shard's note tells of."""
    found = [] if note is None else orjson.loads(note)
    return [Group(**{**group, "rows": [Row(**row) for row in group["rows"]]}) for group in found]


def written(groups: Sequence[Group]) -> str | None:
    """The note of these groups."""
    return orjson.dumps([asdict(group) for group in groups]).decode() if groups else None


class Jobs:
    """The vendors' jobs of one shard. ``wake_s`` says when to look at them again."""

    def __init__(self, service: Service, shard: Shard, lines: Mapping[int, bytes], now: Callable[[], float]) -> None:
        self._service = service
        self._durable = service.durable
        self._shard = shard
        self._batch = shard.batch
        self._lines = lines
        self._now = now
        self._groups = read_note(shard.job)
        self.here = shard.here
        self.wake_s = 0.0
        self._not_before_s = 0.0

    @property
    def places(self) -> set[int]:
        """The requests that vendors' jobs have."""
        return {row.place for group in self._groups for row in group.rows}

    async def tended(self, caller: Caller | Failure, left: Sequence[tuple[int, bytes]], closed: bool) -> set[int]:
        """Looks after the jobs that there are, and hands in new ones of what is ``left`` where that makes sense. The
        places of requests that are with vendors. Raises ``Lost``."""
        for group in list(self._groups):
            await (self._abandoned(group) if group.job is None else self._polled(group, closed))
        if not closed and isinstance(caller, Caller) and self._may_begin():
            await self._hand_in(caller, left)
        return self.places

    async def _note(self) -> None:
        if not await self._durable.note_job(self._shard, written(self._groups)):
            raise Lost

    async def _drop(self, group: Group) -> None:
        self._groups.remove(group)
        await self._note()

    # -- handing in ------------------------------------------------------------------------------------------------

    def _may_begin(self) -> bool:
        batch, now = self._batch, self._now()
        long_enough = batch.deadline_s - batch.created_s >= WINDOW_S and now - batch.created_s <= LATEST_S
        there = any(isinstance(vendor, Batches) for vendor in self._service.vendors.values())
        return long_enough and there and not self.here and not self._groups

    async def _hand_in(self, caller: Caller, left: Sequence[tuple[int, bytes]]) -> None:
        asks = await self._grouped(caller, left)
        if not self._groups:
            return
        await self._note()
        for group in list(self._groups):
            await self._admit(group, caller, asks)
            if group.rows:
                await self._submit(group, asks)
            else:
                await self._drop(group)

    async def _grouped(self, caller: Caller, left: Sequence[tuple[int, bytes]]) -> dict[int, Ask]:
        """Puts the requests into groups; those that no vendor's batch service takes are left out."""
        asks: dict[int, Ask] = {}
        groups: dict[bytes, Group] = {}
        for place, line in left:
            trace = self._trace(place, caller, line)
            model = await self._model_of(trace) if trace is not None else None
            if trace is None or model is None:
                continue
            ask = asks[place] = trace.ask
            options = ask.vendor_options.get(model.vendor, {})
            facts = (model.vendor, model.id, options, ask.cache_strategy == "vendor")
            key = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
            group = groups.setdefault(key, Group(*facts, at_s=self._now(), key=identity.request_id()))
            if self._vendor(group).takes(_body_of(ask, group), self._call(group)):
                group.rows.append(Row(place, identity.request_id(), _reserve_nano(ask, model)))
        self._groups = [group for group in groups.values() if group.rows]
        return asks

    def _trace(self, place: int, caller: Caller, line: bytes) -> Trace | None:
        trace = self._service.begin(NATIVE)
        try:
            trace.caller, trace.ask = caller, ask_at(self._batch, place, line)
        except Failure:
            return None  # it fails on the usual way
        trace.capability = trace.ask.capability
        trace.place = Place(self._batch.batch_id, self._shard.number, place)
        return trace

    async def _model_of(self, trace: Trace) -> Model | None:
        """The model that would answer, where its vendor has a batch service for such a request."""
        if trace.capability not in ("chat", "vision"):
            return None
        ready = await self._service.prepare(trace)
        model = ready.plan.candidates[0].model if ready.plan is not None else None
        return model if model and isinstance(self._service.vendors[model.vendor], Batches) else None

    async def _admit(self, group: Group, caller: Caller, asks: Mapping[int, Ask]) -> None:
        """Claims the requests until the batch's deadline, and sets their money aside. Refused ones leave the group."""
        for row in list(group.rows):
            admission = self._admission(row, caller, asks[row.place])
            admitted = await self._durable.admit(admission)
            if admitted.state == "new":
                continue
            group.rows.remove(row)
            if admitted.state == "refused":
                trace = self._trace(row.place, caller, self._lines[row.place])
                assert trace is not None
                outcome = outcome_of(trace, b"", refusal_of(admitted, admission))
                assert outcome is not None
                await self._durable.put_outcome(outcome)

    def _admission(self, row: Row, caller: Caller, ask: Ask) -> Admission:
        now = self._now()
        return Admission(
            caller.project_id,
            row_key(self._batch.batch_id, row.place),
            ask.fingerprint,
            row.request_id,
            f"job:{self._batch.batch_id}",
            now,
            reserve_nano=row.reserve_nano,
            scopes=scopes_of(caller, ask),
            key_id=caller.key_id,
            capability=ask.capability,
            lease_s=self._batch.deadline_s + JOB_GRACE_S - now,
        )

    async def _submit(self, group: Group, asks: Mapping[int, Ask]) -> None:
        vendor = self._vendor(group)
        group.sent = True
        await self._note()
        try:
            bodies = [_body_of(asks[row.place], group) for row in group.rows]
            group.job = await vendor.submit(bodies, self._call(group))
        except Failure as failure:
            await self._refused(group, failure)
            return
        self._wake(group)
        await self._note()

    async def _refused(self, group: Group, failure: Failure) -> None:
        """The job could not be handed in, as far as is known: one that was too much waits, others' requests are run
        here, once it is known that the vendor does not have the job."""
        log.warning("%s took no batch job (%s): %s", group.vendor, failure.code, failure.message)
        lost = failure.code in ("VENDOR_ERROR", "VENDOR_TIMEOUT") and not failure.says_no
        self.here = self.here or failure.code != "RATE_LIMITED"
        if lost:
            return self._wake(group, failure)
        await self._give_back(group, unknown=False)
        if failure.code != "RATE_LIMITED":
            return await self._drop(group)
        group.sent = False
        self._wait(failure.retry_after_s or FULL_PAUSE_S)
        await self._note()

    async def _abandoned(self, group: Group) -> None:
        """A group without a job: whoever handed it in has died over it, its answer was lost, or the vendor took no
        more."""
        try:
            group.job = await self._vendor(group).find(self._call(group)) if group.sent else None
        except Failure as failure:
            log.warning("a job of %s was looked for: %s: %s", group.vendor, failure.code, failure.message)
            if self._now() - group.at_s < LOST_S:
                return self._wake(group, failure)
        if group.job is not None:
            log.info("%s has the job whose id was lost: %s", group.vendor, group.job)
            self._wake(group)
            return await self._note()
        await self._give_back(group, unknown=group.sent)
        await self._drop(group)

    async def _give_back(self, group: Group, *, unknown: bool) -> None:
        for row in group.rows:
            admission = self._admission(row, *self._known(row))
            now = self._now()
            told = LedgerRow(
                "attempt",
                now,
                admission.project_id,
                admission.key_id,
                row.request_id,
                admission.capability,
                group.vendor,
                group.model,
                UNKNOWN,
                0.0,
                reserved_nano=row.reserve_nano or 0,
                idempotency_key=admission.key,
                batch_id=self._batch.batch_id,
            )
            await self._durable.book(Booking(admission, now, 0, [told] if unknown else [], shared=True))

    def _known(self, row: Row) -> tuple[Caller, Ask]:
        """Whose request it is, whatever the key may do by now, and the request."""
        caller = Caller(self._batch.project_id, self._batch.key_id)
        return caller, ask_at(self._batch, row.place, self._lines[row.place])

    # -- looking after -----------------------------------------------------------------------------------------------

    def _vendor(self, group: Group) -> Batches:
        vendor = self._service.vendors.get(group.vendor)
        if not isinstance(vendor, Batches):
            raise Failure("NO_VENDOR_AVAILABLE", f"{group.vendor} is not configured here any more")
        return vendor

    def _call(self, group: Group, deadline_s: float = CALL_S) -> Call:
        return Call(
            group.model,
            deadline_s,
            self._service.fetcher,
            options=group.options,
            mark_cache=group.mark_cache,
            idle_s=CALL_S,
            idempotency_key=lambda: group.key or None,
        )

    def _wake(self, group: Group, failure: Failure | None = None) -> None:
        """The longer a job has run, the longer it is left alone; never asked sooner than the vendor says."""
        now, least = self._now(), self._service.settings.batch_poll_s
        pause_s = min(LONGEST_POLL_S, max(least, (now - group.at_s) / 10))
        if failure is not None and failure.retry_after_s:
            self._wait(failure.retry_after_s)
        self.wake_s = max(self._not_before_s, min(self.wake_s or now + pause_s, now + pause_s))

    def _wait(self, pause_s: float) -> None:
        self._not_before_s = max(self._not_before_s, self._now() + pause_s)
        self.wake_s = max(self.wake_s, self._not_before_s)

    async def _polled(self, group: Group, closed: bool) -> None:
        assert group.job is not None
        if self._now() > self._batch.deadline_s + JOB_GRACE_S:
            return await self._drop(group)  # the claims have run out, and with them the outcomes are unknown
        try:
            vendor, call = self._vendor(group), self._call(group)
            if closed and not group.cancelled:
                await self._cancel(group, vendor, call)
            progress = await vendor.poll(group.job, call)
            if progress["state"] == "failed" and not closed:
                log.warning("job %s of %s failed as a whole; its requests are run here", group.job, group.vendor)
                await self._give_back(group, unknown=False)
            elif progress["state"] in ENDED:
                await self._harvest(group, vendor, progress["completed_count"], closed)
            else:
                return self._wake(group)
        except Failure as failure:
            log.warning("job %s of %s: %s: %s", group.job, group.vendor, failure.code, failure.message)
            if not (failure.says_no and self._may_be_gone(group)):
                return self._wake(group, failure)
            await self._give_back(group, unknown=True)
        self.here = True  # what it did not answer is run here
        await self._drop(group)

    def _may_be_gone(self, group: Group) -> bool:
        """Whether a job that the vendor does not know is no longer there, and not yet: it was to be stopped, which some
        do by deleting it, or is old enough to have been deleted by somebody. What it has cost is not known."""
        return group.cancelled or self._now() - group.at_s > LOST_S

    async def _cancel(self, group: Group, vendor: Batches, call: Call) -> None:
        """Asks the vendor to stop; until it has heard, it is asked again beside each look at the job, which may have
        ended by then."""
        try:
            await vendor.cancel(group.job or "", call)
        except Failure as failure:
            log.warning("job %s of %s could not be cancelled: %s", group.job, group.vendor, failure.message)
            return
        group.cancelled = True
        await self._note()

    async def _harvest(self, group: Group, vendor: Batches, completed: int, closed: bool) -> None:
        """Books what came of every request. May be done again by somebody else: nothing is booked twice."""
        known = await self._durable.known_places(self._batch.batch_id, self._shard.first, self._shard.rows)
        candidate = await self._candidate(group)
        left = dict(enumerate(group.rows))
        answered = 0
        results = vendor.results(group.job or "", self._call(group, HARVEST_S))
        async with aclosing(results) as found:
            async for result in found:
                row = left.pop(result.place, None)
                if row is None:
                    log.warning("job %s of %s: a result for no request of it", group.job, group.vendor)
                    continue
                answered += result.failure is None
                if row.place not in known:
                    await self._booked(group, row, candidate, result, closed)
                await asyncio.sleep(0)
        if answered < completed:
            await self._cut(group, f"{answered} of {completed} results came")
        missing = Failure("VENDOR_ERROR", f"{group.vendor}: no result came for this request")
        for place, row in left.items():
            if row.place not in known:
                await self._booked(group, row, candidate, Result(place, failure=missing), closed)

    async def _cut(self, group: Group, why: str) -> None:
        """Fewer results came than the vendor counts: they are read again, though not for ever."""
        group.harvests += 1
        if group.harvests < MOST_HARVESTS:
            await self._note()
            raise Failure("VENDOR_ERROR", f"{group.vendor}: {why}")

    async def _candidate(self, group: Group) -> Candidate:
        """The model with the prices of the vendor's batch service."""
        models = (await self._service.catalogues.current()).models
        found = (m for m in models if (m.vendor, m.id, m.capability) == (group.vendor, group.model, "chat"))
        model = next(found, Model(group.model, group.vendor, "chat"))
        return Candidate(replace(model, prices=model.prices.batched()), None)

    async def _booked(self, group: Group, row: Row, candidate: Candidate, result: Result, closed: bool) -> None:
        caller, ask = self._known(row)
        trace = self._trace(row.place, caller, self._lines[row.place])
        assert trace is not None
        trace.request_id, trace.route = row.request_id, f"{candidate.name}: the vendor's batch service"
        trace.started = trace.attempt_started = trace.started - (self._now() - group.at_s)
        trace.bills.append(Bill())
        failure, body = _answered(self._service, trace, candidate, result)
        outcome = outcome_of(trace, body, failure)
        if failure is not None and failure.code in _NOT_DONE:
            outcome = None  # it is run here, unless the batch is closed
        now, admission = self._now(), self._admission(row, caller, ask)
        cost, told = trace.cost_nano or 0, rows_of(trace, now)
        await self._service.books.book(Booking(admission, now, cost, told, outcome=outcome, shared=True))
        if outcome is not None or closed:
            self._service.tell(trace, failure)


_NOT_DONE = frozenset({"VENDOR_ERROR", "VENDOR_TIMEOUT", "RATE_LIMITED", "NO_VENDOR_AVAILABLE"})
"""Failures of a row that are the vendor's own: it was not begun, expired, or broke there."""


class Lost(Exception):
    """The shard is somebody else's by now."""


def _reserve_nano(ask: Ask, model: Model) -> int | None:
    """What is set aside: by the usual price where that of the batch service is not known. None for a free model."""
    if model.prices.free:
        return None
    usage = expected_usage(ask.prompt, upper=True)
    costs = (cost_nano(usage, prices) for prices in (model.prices.batched(), model.prices))
    return next((cost for cost in costs if cost is not None), 0)


def _body_of(ask: Ask, group: Group) -> Mapping[str, Any]:
    """The request as a chat, without what other vendors have signed."""
    body = as_chat(ask.body) if ask.capability == "vision" else ask.body
    return without_foreign(body, group.vendor, group.model)[0]


def _answered(service: Service, trace: Trace, candidate: Candidate, result: Result) -> tuple[Failure | None, bytes]:
    """The failure, or the body of the answer; notes both in the trace."""
    failure = result.failure
    assembly = Assembly()
    for event in result.events:
        assembly.add(marked(event, candidate.model.vendor, candidate.model.id))
    if failure is None and assembly.finish is None:
        failure = Failure("VENDOR_ERROR", f"{candidate.name}: its answer has no end")
    if failure is not None:
        failure = as_vendors(failure, candidate)
        seconds = trace.latency_ms() / 1000
        cost = trace.bills[-1].fail(failure, candidate.model.prices, lambda: 0)
        trace.rows.append(row_of(candidate, failure.code, seconds, cost))
        return failure, b""
    outcome = chat_outcome(assembly, trace.ask, candidate.model.id)
    service.answers.price(trace, candidate, outcome, "ok")
    data = outcome.data | {"id": trace.request_id}
    return None, dumps(envelope(data, trace.metadata()))
