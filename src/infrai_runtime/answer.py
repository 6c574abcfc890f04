"""The answer in the making: limits → walk → price, whole or as a stream of frames.

``Answers.make`` puts the answer into a ``Live``, which others read; it knows nothing of who reads.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeAlias, TypeVar

from infrai_core.fetch import Fetcher
from infrai_core.retry import Retry
from infrai_runtime import limits, sound
from infrai_runtime.assembly import Assembly
from infrai_runtime.booking import Ready
from infrai_runtime.cache import Cache, origins_of
from infrai_runtime.failover import Terms, Walk, as_vendors, broken, row_of
from infrai_runtime.failure import Failure
from infrai_runtime.live import Live
from infrai_runtime.media import keep
from infrai_runtime.opaque import marked
from infrai_runtime.pricing import cost_nano, expected_usage
from infrai_runtime.realtime import session_data
from infrai_runtime.request import Ask
from infrai_runtime.router import Router
from infrai_runtime.routing import Candidate, Plan
from infrai_runtime.settings import Settings
from infrai_runtime.sign import Signer
from infrai_runtime.store.blob import Blobs
from infrai_runtime.store.ephemeral import Ephemeral
from infrai_runtime.trace import Trace
from infrai_runtime.vendors.base import Call, Event, Fragment, Vendor
from infrai_runtime.wire import JSON, Frames, Json
from infrai_runtime.work import WORK, Opened, Outcome, Silence, chat_outcome, cut, open_stream

T = TypeVar("T")
Work: TypeAlias = Callable[[Vendor, Ask, Call], Awaitable[T]]
"""What makes an attempt."""
_FINISHED_HERE = frozenset({"image", "tts", "realtime"})
"""Capabilities whose vendors do not give all of the reply."""


class Answers:
    """Makes answers of the vendors, the cache and the blob store."""

    def __init__(
        self,
        settings: Settings,
        vendors: Mapping[str, Vendor],
        router: Router,
        cache: Cache,
        ephemeral: Ephemeral,
        blobs: Blobs,
        signer: Signer,
        fetcher: Fetcher,
        *,
        requests_per_minute: int | None,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._retry = Retry(settings.retries, settings.retry_pause_s)
        self._vendors = vendors
        self._router = router
        self._cache = cache
        self._ephemeral = ephemeral
        self._blobs = blobs
        self._signer = signer
        self._fetcher = fetcher
        self._requests_per_minute = requests_per_minute
        self._clock = clock
        self._now = now

    async def make(self, trace: Trace, live: Live, ready: Ready) -> None:
        """Puts the whole answer into ``live``. Raises ``Failure``."""
        plan, ask = ready.plan, trace.ask
        token_ratio = 1.0 if plan is None else plan.token_ratio
        trace.held = await limits.take(self._ephemeral, trace, self._requests_per_minute, token_ratio)
        if ready.cached is not None:
            return await self._stored(trace, live, ready.cached)
        assert plan is not None
        trace.note(plan)
        make = self._whole if not ask.stream else self._sound if ask.capability == "tts" else self._stream
        await make(trace, live, plan)

    async def give_back(self, trace: Trace) -> None:
        """Ends what the call took from the limits of its key."""
        if trace.held is not None:
            await limits.give_back(self._ephemeral, trace.held, _tokens(trace.usage))

    # -- walk ------------------------------------------------------------------------------------------------------

    async def walk(self, trace: Trace, plan: Plan, work: Work[T]) -> tuple[Candidate, T]:
        """The first candidate that answers, and its answer."""
        ask = trace.ask
        deadline = trace.started + ask.timeout_s
        terms = Terms(ask.max_cost_multiplier, deadline, self._patience_s(ask), self._retry)
        lost = partial(_lost, trace)
        run = partial(self._attempt, trace, work)
        walk = Walk(plan, run, trace.rows, terms, trace.breaker, self._clock, lost)
        candidate, answer = await walk.answer()
        self._router.answered(candidate.name, (self._clock() - trace.attempt_started) * 1000)
        if ask.session_id is not None:
            await self._router.stay(trace, candidate.name)
        return candidate, answer

    def _patience_s(self, ask: Ask) -> float | None:
        """How long a stream may take to its first content while others could follow. A whole answer takes its time."""
        return self._settings.first_token_timeout_s if ask.stream and ask.capability != "tts" else None

    def _attempt(self, trace: Trace, work: Work[T], candidate: Candidate, left_s: float) -> Awaitable[T]:
        """Begins an attempt at a candidate's vendor."""
        ask = trace.ask
        bill = trace.attempt()
        vendor = self._vendors[candidate.model.vendor]
        call = Call(
            candidate.model.id,
            left_s,
            self._fetcher,
            options=ask.vendor_options.get(vendor.name, {}),
            media=ask.capability != "chat" or bool(ask.prompt.demanding),
            stream=ask.stream,
            mark_cache=ask.cache_strategy == "vendor",
            connect_s=self._settings.connect_timeout_s,
            idle_s=self._settings.idle_timeout_s if ask.stream else None,
            idempotency_key=vendor_key(trace, candidate),
            bill=bill,
        )
        return work(vendor, ask, call)

    # -- price -----------------------------------------------------------------------------------------------------

    def price(self, trace: Trace, candidate: Candidate, outcome: Outcome, word: str) -> None:
        """Notes what the answering attempt used and cost; ``word`` is how it ended."""
        model, usage, cost = candidate.model, outcome.usage, outcome.reported_nano
        if cost is None:
            cost = cost_nano(usage, model.prices)
        trace.bills[-1].close(usage, cost, partial(careful_nano, trace, candidate))
        trace.rows.append(row_of(candidate, word, self._clock() - trace.attempt_started, cost))
        trace.vendor, trace.model, trace.usage, trace.data = model.vendor, model.id, usage, outcome.data
        trace.origins = outcome.origins
        trace.cost_nano = None if cost is None else trace.spent_nano()
        if word == "ok":
            self._router.counted(trace.ask, candidate.name, usage)
        trace.warnings += outcome.warnings
        if cost is None and "service_tier" in usage:
            trace.warnings.append(f"cost_usd: the catalogue has no price of the tier {usage['service_tier']!r}")

    # -- a whole answer --------------------------------------------------------------------------------------------

    async def _whole(self, trace: Trace, live: Live, plan: Plan) -> None:
        candidate, outcome = await self.walk(trace, plan, WORK[trace.ask.capability])
        self.price(trace, candidate, outcome, "ok")
        await trace.breaker.worked(candidate.name)
        data = outcome.data
        if trace.ask.capability in _FINISHED_HERE:
            data = await self._finished(trace, outcome)
        elif "id" in data:
            data["id"] = trace.request_id
        if live.fills is not None:
            await self._cache.keep(live.fills, trace, data)
        self._send(trace, live, data)

    async def _finished(self, trace: Trace, outcome: Outcome) -> Json:
        """The reply's data with what only the runtime can add: links to files, a session token."""
        ask = trace.ask
        if ask.capability == "realtime":
            return session_data(self._signer, ask, trace, outcome.data, self._now())
        return outcome.data | await keep(self._blobs, ask, trace.caller.project_id, outcome.files)

    def _send(self, trace: Trace, live: Live, data: Json) -> None:
        head = live.head
        trace.answered()
        head.more(trace.headers)
        head.media_type, body = trace.surface.reply(trace.ask, data, trace.metadata())
        if head.media_type != JSON:
            head.headers.update(_told(trace.warnings))
        live.add(body)

    async def _stored(self, trace: Trace, live: Live, stored: Json) -> None:
        """A cache hit, whole or as a stream. It costs nothing."""
        ask = trace.ask
        trace.cache_hit, trace.cost_nano, trace.route = True, 0, "cache"
        trace.vendor, trace.model = stored["vendor"], stored["model"]
        trace.warnings, trace.origins = stored["warnings"], origins_of(stored)
        data = stored["data"]
        if "id" in data:
            data["id"] = trace.request_id
        trace.usage = data.get("usage") or {}
        if not ask.stream or ask.raw:
            return self._send(trace, live, data)
        live.head.headers.update(trace.headers())
        if ask.capability == "tts":
            await live.put(sound.piece(ask, base64.b64decode(data["b64"])))
            return await live.put(sound.end(ask, trace.usage, trace.metadata()))
        writer = trace.writer()
        for choice, answer in enumerate(data.get("choices") or [data]):
            for index, part in enumerate(answer["parts"]):
                await live.put(writer.fragment(Fragment(index, part | {"done": True}, choice)))
        await live.put(writer.end(data, trace.metadata()))

    # -- a stream --------------------------------------------------------------------------------------------------

    async def _stream(self, trace: Trace, live: Live, plan: Plan) -> None:
        ask = trace.ask
        candidate, opened = await self.walk(trace, plan, open_stream)
        self._begun(trace, live, candidate)
        writer, assembly = trace.writer(), Assembly()
        pumped = self._pump(trace, live, candidate, opened, writer, assembly)

        def made() -> Outcome:
            return chat_outcome(assembly, ask, candidate.model.id, trace.bills[-1])

        outcome = await self._carried(trace, candidate, pumped, made)
        data = outcome.data | {"id": trace.request_id}
        if live.fills is not None:
            await self._cache.keep(live.fills, trace, data)
        await live.put(writer.end(data, trace.metadata()))

    def _begun(self, trace: Trace, live: Live, candidate: Candidate) -> None:
        """The first content is there."""
        trace.first_s = self._clock() - trace.started
        trace.vendor, trace.model = candidate.model.vendor, candidate.model.id
        live.head.headers.update(trace.headers())

    async def _carried(
        self, trace: Trace, candidate: Candidate, pumped: Awaitable[None], made: Callable[[], Outcome]
    ) -> Outcome:
        """Lets a stream run to its end, and prices what came of it, whatever happens."""
        word = "cancelled"
        early: Failure | None = None
        try:
            await pumped
            word = "ok"
            await trace.breaker.worked(candidate.name)
        except Failure as failure:
            word, early = as_vendors(failure, candidate).code, failure.again()
        finally:
            outcome = made()
            self.price(trace, candidate, outcome, word)
        if early is not None:
            raise await self._ended_early(trace, candidate, early) from early
        return outcome

    async def _pump(
        self, trace: Trace, live: Live, candidate: Candidate, opened: Opened, writer: Frames, assembly: Assembly
    ) -> None:
        """Moves events from the vendor into frames until the vendor is done or time is up."""
        vendor, model = self._vendors[candidate.model.vendor], candidate.model.id

        async def moved(event: Event, silence: Silence) -> None:
            silence.broken()
            event = marked(event, vendor.name, model)
            assembly.add(event)
            if isinstance(event, Fragment):
                await _handed_on(live, writer.fragment(event), silence)

        async def pumped(silence: Silence) -> None:
            async with aclosing(opened.rest) as rest:
                for event in opened.first:
                    await moved(event, silence)
                async for event in rest:
                    await moved(event, silence)
                if assembly.finish is None:
                    raise cut(vendor)

        await self._watched(trace, candidate, pumped)

    async def _watched(self, trace: Trace, candidate: Candidate, work: Callable[[Silence], Awaitable[None]]) -> None:
        """Ends work that is silent for too long or beyond the deadline; what breaks in it is the vendor's failure."""
        try:
            async with asyncio.timeout(None) as limit:
                silence = Silence(limit, trace.left_s(), self._settings.idle_timeout_s)
                await work(silence)
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
            await trace.breaker.failed(candidate.name, failure)
        told = as_vendors(failure, candidate)
        return Failure(told.code, told.message, hint=told.hint, attempts=trace.rows)

    # -- speech as it is made --------------------------------------------------------------------------------------

    async def _sound(self, trace: Trace, live: Live, plan: Plan) -> None:
        ask = trace.ask
        candidate, opened = await self.walk(trace, plan, sound.open_sound)
        made = opened.sound
        trace.cost_nano = cost_nano(made.usage, candidate.model.prices)
        self._begun(trace, live, candidate)
        live.head.media_type = sound.head_mime(ask, made)
        if ask.raw:
            live.head.headers.update(_told([*trace.warnings, *made.warnings]))
        data = {"model": candidate.model.id, "usage": made.usage, "mime": made.mime}
        heard: list[bytes] = []
        pumped = self._pass_on(trace, live, candidate, opened, heard)
        await self._carried(trace, candidate, pumped, lambda: Outcome(data, made.usage, (), made.warnings))
        if live.fills is not None:
            await self._cache.keep(live.fills, trace, data | {"b64": base64.b64encode(b"".join(heard)).decode()})
        await live.put(sound.end(ask, made.usage, trace.metadata()))

    async def _pass_on(
        self, trace: Trace, live: Live, candidate: Candidate, opened: sound.OpenedSound, heard: list[bytes]
    ) -> None:
        async def passed_on(silence: Silence) -> None:
            async with aclosing(opened.pieces()) as pieces:
                async for piece in pieces:
                    silence.broken()
                    heard.append(piece)
                    await _handed_on(live, sound.piece(trace.ask, piece), silence)

        await self._watched(trace, candidate, passed_on)


async def _handed_on(live: Live, frame: bytes, silence: Silence) -> None:
    """Adds a frame; how long readers that are far behind take is no silence of the vendor."""
    live.add(frame)
    if live.is_ahead:
        silence.pause()
        await live.room()
        silence.broken()


def vendor_key(trace: Trace, candidate: Candidate) -> Callable[[], str | None]:
    """Makes the vendor's idempotency key of the next attempt at a candidate: the same when a process dies in the middle
    of a keyed call and the call is made again, another for another attempt of one call."""
    ask, caller = trace.ask, trace.caller
    if ask.idempotency_key is None:
        return _none
    model = candidate.model
    before = sum((row["vendor"], row["model"]) == (model.vendor, model.id) for row in trace.rows)
    told = (caller.project_id, ask.idempotency_key, ask.fingerprint, candidate.name, str(before))
    return partial(_key_of, told)  # of these alone: who keeps it does not keep the call


def _none() -> None:
    return None


def _key_of(told: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:40]


def _lost(trace: Trace, candidate: Candidate, failure: Failure | None) -> int | None:
    """What an attempt cost that brought no answer."""
    return trace.bills[-1].fail(failure, candidate.model.prices, partial(careful_nano, trace, candidate))


def careful_nano(trace: Trace, candidate: Candidate) -> int:
    """The most that an attempt is expected to cost; 0 where the price is not known."""
    ask = trace.ask
    prices = candidate.model.prices
    if prices.free:
        return 0
    return cost_nano(expected_usage(ask.prompt, upper=True), prices) or 0


def _told(warnings: Sequence[str]) -> dict[str, str]:
    """Warnings as a header, for answers whose body is a file or a text and has no place for them."""
    return {"X-Infrai-Warnings": json.dumps([text[:200] for text in warnings[:20]])} if warnings else {}


def _tokens(usage: Json) -> int | None:
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
