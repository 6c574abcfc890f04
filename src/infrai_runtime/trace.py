"""The facts of one call, as they become known on its way through the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from infrai_runtime.breaker import Breaker
from infrai_runtime.keys import Caller
from infrai_runtime.limits import Held
from infrai_runtime.pricing import usd, usd_text
from infrai_runtime.request import Ask
from infrai_runtime.routing import Plan
from infrai_runtime.vendors.base import Origins
from infrai_runtime.vendors.bill import Bill
from infrai_runtime.wire import Frames, Json, Surface


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call stands that is a request of a batch."""

    batch_id: str
    shard: int
    number: int


class Trace:
    """Starts with an id and a clock; the steps of the service fill in the rest. What the class itself has stands for
    calls that have not come so far."""

    ask: Ask
    caller: Caller
    """The request and its caller, which the first steps set; ``reached`` is for who looks at a call that may have ended
    before."""
    breaker: Breaker
    """The breakers as this call's plan saw them."""
    capability: str = ""
    attempt_started: float = 0.0
    route: str | None = None
    cost_nano: int | None = None
    cache_hit: bool = False
    held: Held | None = None
    vendor: str | None = None
    model: str | None = None
    parent: Mapping[str, str] | None = None
    """The caller's ``traceparent`` and ``tracestate``, where it sent them."""
    _latency_ms: float | None = None
    first_s: float | None = None
    """When a stream's first content came, in seconds after the call did."""
    data: Mapping[str, Any] = MappingProxyType({})
    """What the vendor answered."""
    origins: Origins | None = None
    """Where the values of the answer come from, where the vendor says it."""
    place: Place | None = None
    """Set where the call is a request of a batch."""
    told: bool = False
    """Whether the observers know that it has ended."""

    def __init__(self, request_id: str, surface: Surface, clock: Callable[[], float], started: float) -> None:
        self.request_id = request_id
        self.surface = surface
        self.clock = clock
        self.started = started
        self.rows: list[Json] = []
        self.warnings: list[Any] = []
        self.usage: Json = {}
        self.limits: dict[str, str] = {}
        """Headers that say what is left of the key's limits."""
        self.bills: list[Bill] = []
        """What each attempt cost; the last is that of the attempt that is being made."""
        self.starts: list[float] = []
        """When each attempt began, like ``first_s``."""

    def reached(self) -> tuple[Ask | None, Caller | None]:
        """The request and its caller, as far as the call came."""
        return getattr(self, "ask", None), getattr(self, "caller", None)

    @property
    def batch_id(self) -> str | None:
        """The batch that the call is a request of."""
        return None if self.place is None else self.place.batch_id

    def note(self, plan: Plan) -> None:
        """The call is routed by this plan."""
        self.route = plan.reason
        self.warnings += plan.warnings

    def tried(self) -> list[Json]:
        """The rows of attempts, without those of candidates that were passed over."""
        return [row for row in self.rows if not row["outcome"].startswith("skipped:")]

    def attempt(self) -> Bill:
        """Begins an attempt, whose row follows when it has ended; its bill."""
        self.attempt_started = self.clock()
        self.starts.append(self.attempt_started - self.started)
        self.bills.append(Bill())
        return self.bills[-1]

    def spent_nano(self) -> int:
        """What all attempts cost, as far as it is known; also those that failed."""
        spent = 0
        for bill in self.bills:
            spent += bill.cost_nano or 0
        return spent

    def left_s(self) -> float:
        """Seconds to the caller's deadline."""
        return self.ask.timeout_s - (self.clock() - self.started)

    def writer(self) -> Frames:
        """A writer of frames for this call."""
        return self.surface.frames(self.request_id, self.model or "", self.ask.include_usage)

    def answered(self) -> None:
        """The whole answer is there: its latency is told to all alike."""
        self._latency_ms = self.latency_ms()

    def latency_ms(self) -> float:
        """Milliseconds since the call came in, to its whole answer once that is there."""
        return round((self.clock() - self.started) * 1000, 3) if self._latency_ms is None else self._latency_ms

    def first_chunk_ms(self) -> float | None:
        """Milliseconds to a stream's first content; None for an answer that came whole."""
        return None if self.first_s is None else round(self.first_s * 1000, 3)

    def metadata(self) -> Json:
        """The ``metadata`` block (docs/protocol.md, section 2)."""
        block: Json = {
            "cost_usd": usd(self.cost_nano),
            "latency_ms": self.latency_ms(),
            "vendor": self.vendor,
            "model": self.model,
            "cache_hit": self.cache_hit,
            "request_id": self.request_id,
            "attempts": self.rows,
            "warnings": self.warnings,
        }
        if self.origins:
            block |= self.origins
        if self.route:
            block["route"] = self.route
        if self.place is not None:
            block["batch_id"] = self.place.batch_id
        return block

    def headers(self) -> dict[str, str]:
        """``X-Infrai-*`` headers of what is known by now."""
        headers = {"X-Infrai-Request-Id": self.request_id}
        if self.surface.name == "openai":
            headers["X-Request-Id"] = self.request_id
        if self.vendor is not None:
            headers["X-Infrai-Vendor"] = self.vendor
        if self.model is not None:
            headers["X-Infrai-Model"] = self.model
        if self.cost_nano is not None:
            headers["X-Infrai-Cost-Usd"] = usd_text(self.cost_nano)
        headers["X-Infrai-Latency-Ms"] = str(self.latency_ms())
        return headers | self.limits
