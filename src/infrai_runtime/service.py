"""The service: one pipeline for every capability and both surfaces.

authenticate → validate → cache → plan → admit (idempotency and budgets) → limits → walk → price → settle

Each step is a method of ``Service``. Up to ``admit`` they run in the caller's task; the rest makes the answer in a
task of its own (``Live``), because a second caller with the same key may join it and because a stream must notice
that its reader is gone. Cache and plan cost no request to the durable store, so the whole admission is one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, TypeVar

from infrai_core.fetch import Fetcher
from infrai_core.retry import Retry
from infrai_runtime import cache, identity, keys, limits
from infrai_runtime.admission import kept_s, may_cost_nano, refusal_of, scopes_of
from infrai_runtime.assembly import Assembly
from infrai_runtime.breaker import Breaker
from infrai_runtime.catalogue_file import Catalogues
from infrai_runtime.explain import explained
from infrai_runtime.failover import Terms, Walk, as_vendors, broken, row_of
from infrai_runtime.failure import Failure
from infrai_runtime.field import unknown_field
from infrai_runtime.health import Health, Latency
from infrai_runtime.keys import Caller
from infrai_runtime.ledger import rows_of
from infrai_runtime.live import Head, Live, packed, unpacked
from infrai_runtime.media import keep
from infrai_runtime.metrics import Metrics
from infrai_runtime.observe import Observer
from infrai_runtime.pricing import cost_nano
from infrai_runtime.realtime import session_data
from infrai_runtime.request import Ask
from infrai_runtime.routing import Candidate, Plan, plan
from infrai_runtime.settings import Settings
from infrai_runtime.sign import Signer
from infrai_runtime.store.blob import Blobs
from infrai_runtime.store.durable import Admission, Booking, Durable
from infrai_runtime.store.ephemeral import Ephemeral
from infrai_runtime.trace import Trace
from infrai_runtime.vendors.base import Call, Fragment, Vendor
from infrai_runtime.wire import Frames, Json, Surface
from infrai_runtime.work import WORK, Opened, Outcome, Silence, chat_outcome, open_stream

T = TypeVar("T")
Told: TypeAlias = AsyncGenerator[tuple[bytes, bool], None]
"""Frames of a stream, each with whether it is the last."""
Run: TypeAlias = Callable[[Trace, Candidate, float], Awaitable[T]]

log = logging.getLogger("infrai_runtime")

REJOIN_GRACE_S = 5.0
SESSION_TTL_S = 3600


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as HTTP brought it. ``body`` is read only after the key was checked."""

    capability: str
    surface: Surface
    read: Callable[[Mapping[str, Any], str | None], Ask]
    body: Callable[[], Awaitable[Mapping[str, Any]]]
    authorization: str | None = None
    idempotency_key: str | None = None
    traceparent: str | None = None
    embedded: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """An answer: ``body`` when it is whole, else ``frames``. The one who takes the frames calls ``release`` when done
    with them, also when none was read."""

    head: Head
    body: bytes = b""
    frames: Told | None = None
    release: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Ready:
    """How a call would be answered: from the cache, by a plan, or not at all."""

    cached: Json | None = None
    plan: Plan | None = None
    problem: Failure | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """What the store says about a call: a stored answer, a running one to join, or the right to make it."""

    admission: Admission
    stored: bytes | None = None
    running: Live | None = None


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
        self.metrics = Metrics(lambda: len(self._lives))
        self.observers = tuple(observers) if settings.embedded else (*observers, self.metrics)
        self._fetcher = fetcher or Fetcher()
        self._requests_per_minute = requests_per_minute
        self._clock = clock
        self._now = now
        self._running: dict[tuple[str, str], Live] = {}
        self._filling: dict[str, Live] = {}
        self._lives: set[Live] = set()
        self._unbooked: deque[Booking] = deque()
        self.owner = identity.request_id()
        self._latency = Latency()

    async def close(self) -> None:
        """Cancels what runs and waits until it has been settled, then frees the vendors."""
        for live in list(self._lives):
            live.cancel()
        await asyncio.gather(*(live.ended() for live in list(self._lives)))
        await asyncio.gather(*(vendor.close() for vendor in self.vendors.values()))

    def begin(self, surface: Surface) -> Trace:
        """The trace of a call that has just come in."""
        return Trace(identity.request_id(), surface, self._clock, self._clock())

    async def serve(self, incoming: Incoming, trace: Trace) -> Served:
        """Answers a request. Raises ``Failure`` before the first byte; later failures are frames of the stream."""
        trace.capability, trace.parent = incoming.capability, incoming.traceparent
        trace.caller = await self.authenticate(incoming)
        trace.ask = await self.validate(incoming)
        ready = await self.prepare(trace)
        slot = await self.admit(trace, ready)
        if slot.stored is not None:
            trace.route = "replay"
            self.tell(trace, None)
            return _replayed(slot.stored, trace.caller)
        live = slot.running or self.start(trace, slot.admission, ready)
        return await self.deliver(live, trace)

    # -- authenticate, validate, admit -----------------------------------------------------------------------------

    async def authenticate(self, incoming: Incoming) -> Caller:
        """Who calls. Raises UNAUTHORIZED."""
        return await self.caller(incoming.authorization, incoming.embedded)

    async def caller(self, authorization: str | None, embedded: bool) -> Caller:
        """The caller of a header; the embedded runtime and ``no_auth`` need no key."""
        return await keys.authenticate(self.durable, authorization, self.settings, embedded=embedded)

    async def validate(self, incoming: Incoming) -> Ask:
        """The request as an ``Ask``. Raises INVALID_REQUEST and the like."""
        ask = incoming.read(await incoming.body(), incoming.idempotency_key)
        check_options(self.vendors, ask.vendor_options)
        return ask

    async def prepare(self, trace: Trace) -> Ready:
        """cache → plan. A request that cannot be planned may still be a repetition of one that could."""
        try:
            stored = await self.cached(trace)
            return Ready(stored) if stored is not None else Ready(plan=await self.plan(trace))
        except Failure as failure:
            return Ready(problem=failure)

    async def admit(self, trace: Trace, ready: Ready) -> Slot:
        """Claims the idempotency key and sets aside what the call may cost. Raises IDEMPOTENCY_CONFLICT,
        IDEMPOTENCY_IN_PROGRESS, INSUFFICIENT_CREDIT, BUDGET_EXCEEDED, and what made a plan impossible."""
        ask, caller = trace.known()
        admission = self._admission(trace, ready)
        if ask.idempotency_key is None and ready.problem is not None:
            raise ready.problem
        if ask.idempotency_key is None and admission.reserve_nano is None:
            return Slot(admission)
        admitted = await self.durable.admit(admission)
        if admitted.state == "done":
            return Slot(admission, stored=admitted.answer)
        if admitted.state == "running" and (running := self._running.get((caller.project_id, admission.key))):
            return Slot(admission, running=running)
        if admitted.state == "refused" and ready.plan is not None:
            self._note_plan(trace, ready.plan)
        if admitted.state != "new":
            raise refusal_of(admitted, admission)
        if ready.problem is not None:
            await self.durable.release(admission)
            raise ready.problem
        return Slot(admission)

    def _admission(self, trace: Trace, ready: Ready) -> Admission:
        ask, caller = trace.known()
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

    # -- the answer in the making ----------------------------------------------------------------------------------

    def start(self, trace: Trace, admission: Admission, ready: Ready) -> Live:
        """Starts making the answer."""
        ask, caller = trace.known()
        live = Live(cancel_after_s=_grace_s(ask))
        if ask.stream:
            live.head = Head(200, "text/event-stream", trace.headers())
        self._lives.add(live)
        place = (caller.project_id, admission.key)
        self._running[place] = live
        wanted = cache.key_of(caller.project_id, ask) if cache.wanted(ask) and ready.cached is None else None
        if wanted is not None:
            self._filling.setdefault(wanted, live)
        live.start(self._make(trace, live, admission, ready), partial(self._forget, live, place, wanted))
        return live

    def _forget(self, live: Live, place: tuple[str, str], wanted: str | None) -> None:
        self._lives.discard(live)
        self._running.pop(place, None)
        if wanted is not None and self._filling.get(wanted) is live:
            del self._filling[wanted]

    async def deliver(self, live: Live, trace: Trace) -> Served:
        """The answer as the caller wants it: whole, or as frames once there is something to send."""
        ask, _ = trace.known()
        live.join()
        try:
            if not ask.stream:
                return Served(live.head, await live.whole())
            await live.opened(self.settings.first_delta_wait_s)
        except BaseException:
            live.leave()
            raise
        return Served(live.head, frames=self._frames(live, trace), release=live.leave)

    async def _frames(self, live: Live, trace: Trace) -> Told:
        """The frames, each with whether it is the last; a failure becomes the last of them."""
        try:
            async for frame, last in live.read(self.settings.keep_alive_s):
                yield frame, last
        except Failure as failure:
            yield trace.writer().error(failure, trace.metadata()), True

    async def _make(self, trace: Trace, live: Live, admission: Admission, ready: Ready) -> None:
        """Makes the answer and settles it, whatever happens; only then the readers hear that it has ended."""
        failure: Failure | None = Failure("SHUTTING_DOWN", "the answer was cancelled")
        try:
            await self._answer(trace, live, ready)
            failure = None
        except Failure as raised:
            failure = raised
        except Exception as error:
            log.exception("request %s broke", trace.request_id)
            failure = Failure("INTERNAL_ERROR", f"the runtime failed ({type(error).__name__}); see its log")
        finally:
            live.seal()
            await self.settle(trace, live, admission, failure is None)
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

    async def _answer(self, trace: Trace, live: Live, ready: Ready) -> None:
        """limits → walk → price"""
        ask, _ = trace.known()
        await self.limit(trace)
        if ready.cached is not None:
            await self._send_stored(trace, live, ready.cached)
            return
        assert ready.plan is not None
        self._note_plan(trace, ready.plan)
        await (self._stream if ask.stream else self._whole)(trace, live, ready.plan)

    async def _whole(self, trace: Trace, live: Live, plan: Plan) -> None:
        candidate, outcome = await self.walk(trace, plan, self._attempt)
        self.price(trace, candidate, outcome, "ok")
        await trace.known_breaker().worked(candidate.name)
        data = await self._dressed(trace, outcome)
        await self.remember(trace, data)
        await self._send(trace, live, data)

    async def _stream(self, trace: Trace, live: Live, plan: Plan) -> None:
        ask, _ = trace.known()
        candidate, opened = await self.walk(trace, plan, self._open)
        trace.first_s = self._clock() - trace.started
        trace.vendor, trace.model = candidate.model.vendor, candidate.model.id
        live.head.headers.update(trace.headers())
        writer, assembly, word = trace.writer(), Assembly(), "cancelled"
        early: Failure | None = None
        try:
            await self._pump(trace, live, candidate, opened, writer, assembly)
            word = "ok"
            await trace.known_breaker().worked(candidate.name)
        except Failure as failure:
            word, early = as_vendors(failure, candidate).code, failure
        finally:
            outcome = chat_outcome(assembly, ask, candidate.model.id)
            self.price(trace, candidate, outcome, word)
        if early is not None:
            raise await self._ended_early(trace, candidate, early) from early
        data = outcome.data | {"id": trace.request_id}
        await self.remember(trace, data)
        await live.put(writer.end(data, trace.metadata()))

    async def _pump(
        self, trace: Trace, live: Live, candidate: Candidate, opened: Opened, writer: Frames, assembly: Assembly
    ) -> None:
        """Moves events from the vendor into frames until the vendor is done or time is up."""
        try:
            async with asyncio.timeout(None) as limit, aclosing(opened.events()) as events:
                silence = Silence(limit, trace.left_s(), self.settings.idle_timeout_s)
                async for event in events:
                    silence.broken()
                    assembly.add(event)
                    if isinstance(event, Fragment):
                        await live.put(writer.fragment(event))
        except Failure:
            raise
        except Exception as error:
            if limit.expired():
                raise Failure("VENDOR_TIMEOUT", f"{candidate.name} {silence.why()}") from error
            raise broken(candidate, error) from error

    async def _ended_early(self, trace: Trace, candidate: Candidate, failure: Failure) -> Failure:
        """A failure after the first content: nobody can take over. It counts for the vendor's health, unless it was the
        caller's deadline."""
        if trace.left_s() > 0:
            await trace.known_breaker().failed(candidate.name, failure)
        told = as_vendors(failure, candidate)
        return Failure(told.code, told.message, hint=told.hint, attempts=trace.rows)

    async def _dressed(self, trace: Trace, outcome: Outcome) -> Json:
        """The reply's data with what only the runtime can add: the id, links to files, a session token."""
        ask, caller = trace.known()
        if ask.capability == "realtime":
            return session_data(self.signer, ask, trace, outcome.data, self._now())
        if ask.capability in ("image", "tts"):
            return outcome.data | await keep(self.blobs, ask, caller.project_id, outcome.files)
        return outcome.data | ({"id": trace.request_id} if "id" in outcome.data else {})

    async def _send(self, trace: Trace, live: Live, data: Json) -> None:
        ask, _ = trace.known()
        live.head.headers.update(trace.headers())
        live.head.media_type, body = trace.surface.reply(ask, data, trace.metadata())
        await live.put(body)

    # -- limits, cache ---------------------------------------------------------------------------------------------

    async def limit(self, trace: Trace) -> None:
        """Takes the call from the limits of its key. Raises RATE_LIMITED with the time to wait."""
        ask, caller = trace.known()
        trace.held = await limits.take(
            self.ephemeral, caller, ask, trace.request_id, self._requests_per_minute, trace.limits
        )

    async def cached(self, trace: Trace) -> Json | None:
        """The stored answer to the same request of the same project, where the caller wants that. One that is being
        made is waited for, so that the same question at the same time is paid once."""
        ask, caller = trace.known()
        if not cache.wanted(ask):
            return None
        filling = self._filling.get(cache.key_of(caller.project_id, ask))
        if filling is not None:
            await filling.ended()
        stored = await cache.find(self.ephemeral, caller.project_id, ask)
        return stored if stored and caller.allowed.has(stored["vendor"], stored["model"]) else None

    async def remember(self, trace: Trace, data: Json) -> None:
        """Stores an answer for ``cached``."""
        ask, caller = trace.known()
        await cache.keep(self.ephemeral, caller.project_id, ask, trace, data, self.settings.media_ttl_s)

    async def _send_stored(self, trace: Trace, live: Live, stored: Json) -> None:
        """A cache hit, whole or as a stream. It costs nothing."""
        ask, _ = trace.known()
        trace.cache_hit, trace.cost_nano, trace.route = True, 0, "cache"
        trace.vendor, trace.model = stored["vendor"], stored["model"]
        trace.warnings, trace.invented = stored["warnings"], stored["invented"]
        data = stored["data"] | ({"id": trace.request_id} if "id" in stored["data"] else {})
        trace.usage = data.get("usage") or {}
        if not ask.stream:
            return await self._send(trace, live, data)
        live.head.headers.update(trace.headers())
        writer = trace.writer()
        for choice, answer in enumerate(data.get("choices") or [data]):
            for index, part in enumerate(answer["parts"]):
                await live.put(writer.fragment(Fragment(index, part | {"done": True}, choice)))
        await live.put(writer.end(data, trace.metadata()))

    # -- plan, walk, price, settle --------- ------------------------------------------------------------------------

    async def plan(self, trace: Trace) -> Plan:
        """Which models may answer. Raises what ``routing.plan`` raises."""
        ask, caller = trace.known()
        last = await self._last_of_session(caller, ask)
        catalogue = await self.catalogues.current()
        trace.breaker = await Breaker.read(self.ephemeral)
        health = self.health(trace.breaker)
        return plan(self._embedding(ask), catalogue, self.vendors, health, last=last, allowed=caller.allowed)

    def _note_plan(self, trace: Trace, plan: Plan) -> None:
        ask, _ = trace.known()
        trace.route = plan.reason
        trace.warnings += [*ask.warnings, *plan.warnings]
        idle = sorted(ask.vendor_options.keys() - self.vendors.keys())
        trace.warnings += [f"vendor_options.{name}: this vendor is not configured; not used" for name in idle]

    async def explain(self, caller: Caller, ask: Ask) -> Json:
        """The plan that a request of this caller would get, in words and numbers. Nothing is called."""
        last = await self._last_of_session(caller, ask)
        health = self.health(await Breaker.read(self.ephemeral))
        catalogue = await self.catalogues.current()
        return explained(self._embedding(ask), catalogue, self.vendors, health, last=last, allowed=caller.allowed)

    def _embedding(self, ask: Ask) -> Ask:
        """An unpinned ``embed`` with the operator's choice of its model: vectors of two models do not mix, and the
        catalogue's own default may be another one after a vendor was added."""
        free = ask.capability == "embed" and ask.model is None and ask.vendor is None
        return replace(ask, model=self.settings.embed_model) if free and self.settings.embed_model else ask

    def health(self, breaker: Breaker) -> Health:
        """How vendors' models do right now."""
        return Health(breaker.cooling_s(), self._latency.seen_ms)

    async def _last_of_session(self, caller: Caller, ask: Ask) -> str | None:
        if ask.session_id is None:
            return None
        stored = await self.ephemeral.get(_session_key(caller, ask))
        return stored.decode() if stored else None

    async def walk(self, trace: Trace, plan: Plan, run: Run[T]) -> tuple[Candidate, T]:
        """The first candidate that answers, and its answer. The session stays with it."""
        ask, caller = trace.known()
        terms = Terms(
            cap=ask.max_cost_multiplier,
            deadline=trace.started + ask.timeout_s,
            patience_s=partial(self._patience_s, ask),
            retry=Retry(self.settings.retries, self.settings.retry_pause_s),
        )
        walk = Walk(plan, partial(run, trace), trace.rows, terms, trace.known_breaker(), self._clock)
        candidate, answer = await walk.answer()
        self._latency.note(candidate.name, (self._clock() - trace.attempt_started) * 1000)
        if ask.session_id is not None:
            await self.ephemeral.put(_session_key(caller, ask), candidate.name.encode(), SESSION_TTL_S)
        return candidate, answer

    def _patience_s(self, ask: Ask, candidate: Candidate) -> float | None:
        """How long a stream may take to its first content while others could follow. A model that reasons is silent
        for long, and a whole answer takes its time: both have their share of the time left."""
        thinks = "reasoning" in candidate.model.abilities
        return self.settings.first_token_timeout_s if ask.stream and not thinks else None

    def _call(self, trace: Trace, candidate: Candidate, left_s: float) -> tuple[Vendor, Ask, Call]:
        ask, _ = trace.known()
        trace.attempt_started = self._clock()
        trace.starts.append(trace.attempt_started - trace.started)
        vendor = self.vendors[candidate.model.vendor]
        options = ask.vendor_options.get(vendor.name, {})
        return (
            vendor,
            ask,
            Call(
                candidate.model.id,
                left_s,
                self._fetcher,
                options=options,
                stream=ask.stream,
                mark_cache=ask.cache_strategy == "vendor",
                connect_s=self.settings.connect_timeout_s,
                idle_s=self.settings.idle_timeout_s if ask.stream else None,
            ),
        )

    async def _attempt(self, trace: Trace, candidate: Candidate, left_s: float) -> Outcome:
        vendor, ask, call = self._call(trace, candidate, left_s)
        return await WORK[ask.capability](vendor, ask, call)

    async def _open(self, trace: Trace, candidate: Candidate, left_s: float) -> Opened:
        return await open_stream(*self._call(trace, candidate, left_s))

    def price(self, trace: Trace, candidate: Candidate, outcome: Outcome, word: str) -> None:
        """Notes what the answering attempt used and cost; ``word`` is how it ended."""
        reported = outcome.reported_nano
        cost = cost_nano(outcome.usage, candidate.model.prices) if reported is None else reported
        seconds = self._clock() - trace.attempt_started
        trace.rows.append(row_of(candidate, word, seconds, cost))
        trace.vendor, trace.model = candidate.model.vendor, candidate.model.id
        trace.usage, trace.cost_nano = outcome.usage, cost
        trace.finish_reason, trace.parts = outcome.data.get("finish_reason"), outcome.data.get("parts", ())
        trace.warnings += outcome.warnings
        trace.invented += outcome.invented

    async def settle(self, trace: Trace, live: Live, admission: Admission, whole: bool) -> None:
        """Books the call: money, ledger, and the answer for its idempotency key (only a whole one is kept).

        A store that fails does not take the answer away from the caller: it is asked again until it works.
        """
        now = self._now()
        answer = packed(live.head, live.body) if whole and admission.ttl_s else None
        booking = Booking(admission, now, trace.cost_nano or 0, rows_of(trace, now), answer)
        try:
            await self.durable.book(booking)
        except Exception:
            log.exception("request %s could not be booked; it is tried again", trace.request_id)
            self._unbooked.append(booking)
        if trace.held is not None:
            await limits.give_back(self.ephemeral, trace.held, trace.request_id, _tokens(trace.usage))

    async def tend(self) -> None:
        """What the runtime does now and then: books what could not be booked, and lets the store look after itself."""
        while self._unbooked:
            await self.durable.book(self._unbooked[0])
            self._unbooked.popleft()
        await self.durable.tend(self.owner, self._now())


def check_options(vendors: Mapping[str, Vendor], options: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses a vendor option that is not on the vendor's own list (``allowed_options``)."""
    for name in options.keys() & vendors.keys():
        allowed: frozenset[str] = getattr(vendors[name], "allowed_options", frozenset())
        unknown = next((option for option in options[name] if option not in allowed), None)
        if unknown is not None:
            raise unknown_field(f"vendor_options.{name}.{unknown}", unknown, allowed)


def _session_key(caller: Caller, ask: Ask) -> str:
    return f"session:{caller.project_id}:{ask.capability}:{ask.session_id}"


def _grace_s(ask: Ask) -> float | None:
    """How long an answer is made on without a reader: a keyed whole answer to its end, because the retry finds it."""
    if ask.idempotency_key is None:
        return 0.0
    if not ask.stream:
        return None
    return REJOIN_GRACE_S if ask.key_is_given else 0.0


def _tokens(usage: Json) -> int | None:
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _replayed(stored: bytes, caller: Caller) -> Served:
    """A stored answer, for a caller that may still use the model that gave it."""
    head, body = unpacked(stored)
    vendor, model = (head.headers.get(f"X-Infrai-{name}", "") for name in ("Vendor", "Model"))
    if not caller.allowed.has(vendor, model):
        raise Failure("FORBIDDEN", f"this key may not use {vendor}/{model}, which gave the answer")
    head.headers = {name: value for name, value in head.headers.items() if not name.startswith("X-RateLimit")}
    head.headers["Idempotent-Replay"] = "true"
    return Served(head, body)
