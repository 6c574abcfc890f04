"""The service: one pipeline for every capability and both surfaces.

authenticate → validate → cache → plan → admit (idempotency and budgets) → limits → walk → price → settle

===========================  ========================================================================
authenticate                 ``keys``
validate                     ``request`` and ``openai_surface``, whose readers come with the request
cache                        ``cache.Cache``
plan                         ``router.Router`` around the pure ``routing``
admit, settle                ``booking.Books`` around the durable store
batches                      ``batch.desk.Desk`` takes them in; ``batch.worker`` sends each request through here
limits, walk, price          ``answer.Answers``, with ``limits``, ``failover``, ``work`` and ``pricing``
===========================  ========================================================================

Up to ``admit`` the steps run in the caller's task. The rest makes the answer in a task of its own (``Live``) where a
second caller may join it (the same key, or the same question of the cache), and for a stream, which must notice that
its reader is gone; else in the caller's task too. A keyed answer is made to its end also when its caller leaves: where
the caller's task goes on then, as it does in our own server and embedded, that makes it. Cache and plan cost no request
to the durable store, so the whole admission is one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from infrai_core.fetch import Fetcher
from infrai_runtime import identity, keys
from infrai_runtime.answer import Answers
from infrai_runtime.batch.desk import Desk
from infrai_runtime.batch.job import Job, one
from infrai_runtime.booking import Books, Ready, Slot
from infrai_runtime.cache import Cache, wanted
from infrai_runtime.catalogue_file import Catalogues
from infrai_runtime.eligible import EVERYTHING
from infrai_runtime.failure import Failure
from infrai_runtime.keys import Caller
from infrai_runtime.live import Live, Lives, unpacked
from infrai_runtime.metrics import Metrics
from infrai_runtime.observe import Observer
from infrai_runtime.request import Ask, check_options, parse_json
from infrai_runtime.response import Head, Stream, Told, Whole
from infrai_runtime.router import Router
from infrai_runtime.settings import Settings
from infrai_runtime.sign import Signer
from infrai_runtime.store.blob import Blobs
from infrai_runtime.store.durable import Admission, Durable
from infrai_runtime.store.ephemeral import Ephemeral
from infrai_runtime.trace import Trace
from infrai_runtime.vendors.base import Vendor
from infrai_runtime.wire import Json, Surface, dumps, envelope

log = logging.getLogger("infrai_runtime")

REJOIN_GRACE_S = 5.0
LONG = 1 << 20
"""Bytes of a body that is read on a thread, and of a prompt whose tokens are estimated there."""


class Incoming(NamedTuple):
    """A request as HTTP brought it. ``body`` is read only after the key was checked. Where that is a form, ``form``
    makes fields of it, and ``read`` the request of these. ``way`` says how bytes are read: the same bytes the same way
    are the same. Once ``stay`` was called, where there is one, the task that serves is not cancelled when the caller
    leaves. ``awaited`` tells whether a caller that alone has its idempotency key still waits, and takes the answer."""

    capability: str
    read: Callable[[Mapping[str, Any], str | None], Ask]
    form: Callable[[bytes], Awaitable[Mapping[str, Any]]] | None
    way: Hashable
    body: Callable[[], Awaitable[bytes]]
    authorization: str
    idempotency_key: str | None
    trace_context: Mapping[str, str] | None
    embedded: bool
    stay: Callable[[], None] | None = None
    awaited: Callable[[], bool] | None = None


class Service:
    """Everything between HTTP and the vendors."""

    def __init__(
        self,
        settings: Settings,
        vendors: Sequence[Vendor],
        catalogues: Catalogues,
        durable: Durable,
        ephemeral: Ephemeral,
        blobs: Blobs,
        signer: Signer,
        *,
        fetcher: Fetcher | None = None,
        observers: Sequence[Observer] = (),
        requests_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.vendors = {vendor.name: vendor for vendor in vendors}
        self.catalogues = catalogues
        self.durable = durable
        self.ephemeral = ephemeral
        self.blobs = blobs
        self.signer = signer
        self.fetcher = fetcher or Fetcher()
        self._clock = clock
        self._lives = Lives()
        self.metrics = Metrics(lambda: len(self._lives))
        self.observers = tuple(observers) if settings.embedded else (*observers, self.metrics)
        self._cache = Cache(ephemeral, settings.media_ttl_s)
        self._router = Router(settings, self.vendors, catalogues, ephemeral)
        self.books = Books(durable, self._lives, identity.request_id(), now)
        self.batches = Desk(durable, self.vendors, self._router.expected_nano, now)
        self.answers = Answers(
            settings,
            self.vendors,
            self._router,
            self._cache,
            ephemeral,
            blobs,
            signer,
            self.fetcher,
            requests_per_minute=requests_per_minute,
            clock=clock,
            now=now,
        )

    @property
    def running(self) -> int:
        """How many answers are made right now."""
        return len(self._lives)

    async def end_calls(self) -> None:
        """Cancels what runs and waits until it has been settled."""
        await self._lives.close()

    async def close(self) -> None:
        """Ends what runs, then frees the vendors."""
        await self.end_calls()
        await asyncio.gather(*(vendor.close() for vendor in self.vendors.values()))

    async def tend(self) -> None:
        """Done now and then: books what could not be booked, and lets the stores look after themselves."""
        await self.ephemeral.tend()
        await self.books.tend()

    # -- the pipeline ----------------------------------------------------------------------------------------------

    def begin(self, surface: Surface) -> Trace:
        """The trace of a call that has just come in."""
        return Trace(identity.request_id(), surface, self._clock, self._clock())

    async def serve(self, incoming: Incoming, trace: Trace) -> Whole | Stream:
        """Answers a request. Raises ``Failure`` before the first byte; later failures are frames of the stream."""
        trace.capability, trace.parent = incoming.capability, incoming.trace_context
        trace.caller = await self.caller(incoming.authorization, incoming.embedded)
        raw = await incoming.body()
        trace.ask = ask = await self.validate(incoming, raw)
        if ask.as_batch is not None:
            return await self._handed_in(trace, ask.as_batch)
        ready = await self.prepare(trace)
        slot = await self.books.admit(trace, ready)
        if slot.stored is not None:
            trace.route = "replay"
            self.tell(trace, None)
            return _replayed(slot.stored, trace.caller)
        if slot.running is not None:
            return await self._joined(slot.running, trace)
        if ready.cached is not None and not ask.stream:
            self._cache.know(incoming.way, raw, ask)
            return await self._alone(trace, slot, ready, incoming.awaited)
        if _leads(trace, incoming):
            if incoming.stay is not None and ask.idempotency_key is not None:
                incoming.stay()
            return await self._alone(trace, slot, ready, incoming.awaited)
        return await self.deliver(self.start(trace, slot, ready), trace)

    async def _joined(self, running: Live, trace: Trace) -> Whole | Stream:
        """An answer that another call is making. That one is paid; this one is told of all the same."""
        await _check_joins(running, trace.caller)
        served = await self.deliver(running, trace)
        trace.route = "joined"
        self.tell(trace, None)
        return served

    async def _handed_in(self, trace: Trace, request: Mapping[str, Any]) -> Whole:
        """A call that is to run as a batch of one: 202 and the record of the batch."""
        ask, caller = trace.ask, trace.caller
        made = await self.batches.submit(caller, Job(idempotency_key=ask.idempotency_key), one(ask.capability, request))
        self.tell(trace, None)
        return Whole(Head(202, headers=trace.headers()), dumps(envelope(made.record, trace.metadata())))

    def caller(self, authorization: str | None, embedded: bool) -> Awaitable[Caller]:
        """The caller of a header; the embedded runtime and ``no_auth`` need no key. Raises UNAUTHORIZED."""
        return keys.authenticate(self.durable, authorization, self.settings, embedded=embedded)

    async def validate(self, incoming: Incoming, raw: bytes) -> Ask:
        """The request as an ``Ask``. Raises INVALID_REQUEST and the like."""
        if known := self._cache.read(incoming.way, raw, incoming.idempotency_key):
            return known
        if incoming.form is not None:
            ask = incoming.read(await incoming.form(raw), incoming.idempotency_key)
        elif len(raw) > LONG:  # everybody else would wait for seconds
            ask = await asyncio.to_thread(_read_long, incoming, raw)
        else:
            ask = _read(incoming, raw)
        if ask.vendor_options:
            check_options(self.vendors, ask.vendor_options)
        return ask

    async def prepare(self, trace: Trace) -> Ready:
        """cache → plan. A request that cannot be planned may still be a repetition of one that could."""
        try:
            stored = await self._cache.find(trace) if wanted(trace.ask) else None
            return Ready(stored) if stored is not None else Ready(plan=await self._router.plan(trace))
        except Failure as failure:
            return Ready(problem=failure.again())

    async def explain(self, caller: Caller, ask: Ask) -> Json:
        """The plan that a request of this caller would get, in words and numbers. Nothing is called."""
        return await self._router.explain(caller, ask)

    async def standing(self, caller: Caller) -> Json:
        """How the vendors that this caller may use are right now: keys, breakers, latencies."""
        return await self._router.standing(caller)

    # -- the answer's own task -------------------------------------------------------------------------------------

    def start(self, trace: Trace, slot: Slot, ready: Ready) -> Live:
        """Starts making the answer."""
        live = self._begun(trace, slot, ready)
        live.start(self._make(trace, live, slot.admission, ready), self._ended)
        return live

    async def _alone(self, trace: Trace, slot: Slot, ready: Ready, awaited: Callable[[], bool] | None) -> Whole:
        """A whole answer that the caller's own task makes."""
        live = self._begun(trace, slot, ready)
        live.awaited = awaited
        live.lead()
        try:
            await self._make(trace, live, slot.admission, ready)
        except asyncio.CancelledError:
            if not live.outlived():
                raise
        finally:
            live.end()
            self._ended(live)
        body = live.made()
        keep = partial(self.books.keep, slot.admission, live.head, body) if live.handed_over else None
        return Whole(live.head, body, keep)

    def _begun(self, trace: Trace, slot: Slot, ready: Ready) -> Live:
        """An answer that others may join until it has ended."""
        ask = trace.ask
        live = Live((trace.caller.project_id, slot.admission.key), cancel_after_s=_grace_s(ask))
        if ask.stream:
            live.head = Head(200, "text/event-stream", trace.headers())
        self._lives.add(live)
        if ready.cached is None and wanted(ask):
            self._cache.fill(trace, live)
        return live

    def _ended(self, live: Live) -> None:
        self._lives.drop(live)
        if live.fills is not None:
            self._cache.filled(live)

    async def _make(self, trace: Trace, live: Live, admission: Admission, ready: Ready) -> None:
        """Makes the answer and settles it, whatever happens; only then the readers hear that it has ended."""
        failure: Failure | None = None
        try:
            await self.answers.make(trace, live, ready)
        except Failure as raised:
            failure = raised.again()
        except Exception as error:
            log.exception("request %s broke", trace.request_id)
            failure = Failure("INTERNAL_ERROR", f"the runtime failed ({type(error).__name__}); see its log")
        except BaseException:
            failure = Failure("SHUTTING_DOWN", "the answer was cancelled")
            raise
        finally:
            live.seal()
            settling = self.books.settle(trace, live, admission, failure)
            try:
                if trace.held is None:
                    await settling
                else:  # two stores, which are asked at the same time
                    await asyncio.gather(settling, self.answers.give_back(trace))
            finally:  # also where the caller's own task was cancelled meanwhile: the books keep what is not booked yet
                self.tell(trace, failure)
                live.finish(failure)

    def tell(self, trace: Trace, failure: Failure | None) -> None:
        """Tells the observers, once, that a call has ended."""
        if trace.told:
            return
        trace.told = True
        for observer in self.observers:
            try:
                observer.ended(trace, failure)
            except Exception:
                log.exception("%s broke", type(observer).__name__)

    # -- its readers -----------------------------------------------------------------------------------------------

    async def deliver(self, live: Live, trace: Trace) -> Whole | Stream:
        """The answer as the caller wants it: whole, or as frames once there is something to send."""
        live.join()
        try:
            if not trace.ask.stream:
                return Whole(live.head, await live.whole())
            await live.opened(math.inf if trace.ask.capability == "tts" else self.settings.first_delta_wait_s)
        except BaseException:
            live.leave()
            raise
        return Stream(live.head, self._frames(live, trace), live.leave)

    def _frames(self, live: Live, trace: Trace) -> Told:
        """The frames. Bytes of a file have none for a failure: they end without a last one."""
        if trace.ask.raw:
            return live.read(None)
        return live.read(self.settings.keep_alive_s, lambda failure: trace.writer().error(failure, trace.metadata()))


def _read(incoming: Incoming, raw: bytes) -> Ask:
    return incoming.read(parse_json(raw), incoming.idempotency_key)


def _read_long(incoming: Incoming, raw: bytes) -> Ask:
    ask = _read(incoming, raw)
    if ask.prompt.in_bytes > LONG:
        ask.prompt.measure()
    return ask


def _leads(trace: Trace, incoming: Incoming) -> bool:
    """Whether the caller's own task makes the answer. It does where that is whole, nothing but its booking follows, and
    nobody else can wait for it, or the task goes on for them."""
    ask, policy = trace.ask, trace.caller.policy
    if ask.stream or policy.tokens_per_minute is not None or policy.concurrency is not None:
        return False
    return not wanted(ask) if ask.idempotency_key is None else incoming.stay is not None


def _grace_s(ask: Ask) -> float | None:
    """How long an answer is made on without a reader: a keyed whole answer to its end, because the retry finds it."""
    if ask.idempotency_key is None:
        return 0.0
    if not ask.stream:
        return None
    return REJOIN_GRACE_S if ask.key_is_given else 0.0


def _replayed(stored: bytes, caller: Caller) -> Whole:
    """A stored answer, for a caller that may still use the model that gave it."""
    head, body = unpacked(stored)
    _check_may_have(head, caller)
    headers = {name: value for name, value in head.headers.items() if not name.startswith("X-RateLimit")}
    return Whole(Head(head.status, head.media_type, headers | {"Idempotent-Replay": "true"}), body)


async def _check_joins(running: Live, caller: Caller) -> None:
    """Returns when the caller may have an answer that is being made. One whose key has limits waits until it is known
    which model gives it. Raises FORBIDDEN, and what the answer failed with before that."""
    if caller.allowed is EVERYTHING:
        return
    running.join()
    try:
        await running.opened(math.inf)
    finally:
        running.leave()
    _check_may_have(running.head, caller)


def _check_may_have(head: Head, caller: Caller) -> None:
    vendor, model = (head.headers.get(f"X-Infrai-{name}", "") for name in ("Vendor", "Model"))
    if not caller.allowed.has(vendor, model):
        raise Failure("FORBIDDEN", f"this key may not use {vendor}/{model}, which gave the answer")
