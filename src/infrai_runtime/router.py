"""The plan of a call: ``routing.plan`` with what this runtime knows by now: catalogue, health, latencies, sessions."""

from __future__ import annotations

from collections.abc import Mapping

from infrai_runtime.breaker import Breaker
from infrai_runtime.catalogue_file import Catalogues
from infrai_runtime.eligible import Fleet
from infrai_runtime.explain import explained
from infrai_runtime.failure import Failure
from infrai_runtime.health import Health, Latency, TokenRatio
from infrai_runtime.keys import Caller
from infrai_runtime.request import Ask
from infrai_runtime.routing import Plan, plan
from infrai_runtime.settings import Settings
from infrai_runtime.standing import vendors_of
from infrai_runtime.store.ephemeral import Ephemeral
from infrai_runtime.trace import Trace
from infrai_runtime.vendors.base import Vendor
from infrai_runtime.wire import Json

SESSION_TTL_S = 3600


class Router:
    """Plans calls, and learns from those that were answered."""

    def __init__(
        self, settings: Settings, vendors: Mapping[str, Vendor], catalogues: Catalogues, ephemeral: Ephemeral
    ) -> None:
        self._settings = settings
        self._vendors = vendors
        self._fleet = Fleet(vendors)
        self._catalogues = catalogues
        self._ephemeral = ephemeral
        self._latency = Latency()
        self._token_ratio = TokenRatio()
        self._well = Health({}, self._latency.seen_ms, self._token_ratio.seen)
        """How all do while none of them rests."""

    async def plan(self, trace: Trace) -> Plan:
        """Which models may answer, with all that the caller should know of it. Raises what ``routing.plan`` raises."""
        ask, caller = trace.ask, trace.caller
        last = None if ask.session_id is None else await self._last_of_session(caller, ask)
        catalogue = await self._catalogues.current()
        trace.breaker = await Breaker.read(self._ephemeral)
        health = self._health(trace.breaker)
        made = plan(self._embedding(ask), catalogue, self._fleet, health, last=last, allowed=caller.allowed)
        if not ask.warnings and not ask.vendor_options:
            return made
        return made._replace(warnings=(*ask.warnings, *self._idle_options(ask), *made.warnings))

    def _idle_options(self, ask: Ask) -> list[str]:
        idle = sorted(ask.vendor_options.keys() - self._vendors.keys())
        return [f"vendor_options.{name}: this vendor is not configured; not used" for name in idle]

    async def expected_nano(self, caller: Caller, ask: Ask) -> int | None:
        """What a call is expected to cost by the usual price of the model that would answer; None where that is not
        known, 0 where nobody can answer."""
        health = self._health(await Breaker.read(self._ephemeral))
        catalogue = await self._catalogues.current()
        try:
            made = plan(self._embedding(ask), catalogue, self._fleet, health, allowed=caller.allowed)
        except Failure:
            return 0
        return made.candidates[0].expected_nano

    async def explain(self, caller: Caller, ask: Ask) -> Json:
        """The plan that a request of this caller would get, in words and numbers. Nothing is called."""
        last = None if ask.session_id is None else await self._last_of_session(caller, ask)
        health = self._health(await Breaker.read(self._ephemeral))
        catalogue = await self._catalogues.current()
        return explained(self._embedding(ask), catalogue, self._fleet, health, last=last, allowed=caller.allowed)

    async def standing(self, caller: Caller) -> Json:
        """How the vendors that a caller may use are right now."""
        breaker = await Breaker.read(self._ephemeral)
        return vendors_of(self._vendors, breaker, self._latency.seen_ms, caller.allowed)

    def answered(self, name: str, ms: float) -> None:
        """Learns that ``vendor/model`` answered after so many milliseconds."""
        self._latency.note(name, ms)

    async def stay(self, trace: Trace, name: str) -> None:
        """The session of a call stays with ``vendor/model``."""
        await self._ephemeral.put(_session_key(trace.caller, trace.ask), name.encode(), SESSION_TTL_S)

    def counted(self, ask: Ask, name: str, usage: Json) -> None:
        """Learns from the prompt tokens that ``vendor/model`` reported, where they are those of a text alone."""
        reported = usage.get("prompt_tokens")
        if not reported or usage.get("estimated") or not ask.prompt.comparable:
            return
        if self._token_ratio.wanted(name):
            self._token_ratio.note(name, reported, ask.prompt.likely)

    def _embedding(self, ask: Ask) -> Ask:
        """An unpinned ``embed`` with the operator's choice of its model: vectors of two models do not mix, and the
        catalogue's own default may be another one after a vendor was added."""
        if (
            ask.capability != "embed"
            or not self._settings.embed_model
            or ask.model is not None
            or ask.vendor is not None
        ):
            return ask
        return ask._replace(model=self._settings.embed_model)

    def _health(self, breaker: Breaker) -> Health:
        cooling_s = breaker.cooling_s()
        return self._well._replace(cooling_s=cooling_s) if cooling_s else self._well

    async def _last_of_session(self, caller: Caller, ask: Ask) -> str | None:
        stored = await self._ephemeral.get(_session_key(caller, ask))
        return stored.decode() if stored else None


def _session_key(caller: Caller, ask: Ask) -> str:
    return f"session:{caller.project_id}:{ask.capability}:{ask.session_id}"
