"""The ledger: what all calls of a client used and cost, in total and by vendor, model, capability or tag."""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from infrai_core.models import Metadata, Usage

Axis = Literal["vendor", "model", "capability"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered or aborted call. ``cost_usd`` is None when unknown; ``estimated`` marks guessed token counts."""

    capability: str
    vendor: str | None
    model: str | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None
    latency_ms: float | None
    cache_hit: bool
    request_id: str | None
    outcome: Literal["ok", "aborted"] = "ok"
    estimated: bool = False
    usage: Usage | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over calls. ``cost_usd`` is the sum of known costs; ``unpriced_calls`` counts the calls without one."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced_calls: int = 0
    cache_hits: int = 0
    aborted_calls: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


class _Sums:
    """Totals in the making."""

    __slots__ = ("aborted", "cache_hits", "calls", "completion", "cost", "prompt", "unpriced")

    def __init__(self) -> None:
        self.calls = self.prompt = self.completion = self.unpriced = self.cache_hits = self.aborted = 0
        self.cost = Decimal(0)

    def add(self, entry: Entry) -> None:
        self.calls += 1
        self.prompt += entry.prompt_tokens
        self.completion += entry.completion_tokens
        self.cache_hits += entry.cache_hit
        self.aborted += entry.outcome == "aborted"
        if entry.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost += entry.cost_usd

    def totals(self) -> Totals:
        return Totals(self.calls, self.prompt, self.completion, self.cost, self.unpriced, self.cache_hits, self.aborted)


class Ledger:
    """Totals of tokens and cost over all calls of the clients it is given to. Thread-safe.

    Keeps running totals for ever and the last ``keep`` entries as ``rows``. A call is booked once, when its answer is
    complete; a stream that was broken off is booked as ``aborted`` with estimated tokens and no cost.
    """

    def __init__(self, keep: int = 10_000) -> None:
        self._lock = threading.Lock()
        self._rows: deque[Entry] = deque(maxlen=keep)
        self._sums: dict[tuple[str, str], _Sums] = {}

    def record(self, entry: Entry) -> None:
        """Books one call."""
        keys = [("", ""), ("vendor", entry.vendor or "unknown"), ("model", entry.model or "unknown")]
        keys.append(("capability", entry.capability))
        keys += [(f"tag:{name}", value) for name, value in entry.tags.items()]
        with self._lock:
            self._rows.append(entry)
            for key in keys:
                sums = self._sums.get(key)
                if sums is None:
                    sums = self._sums[key] = _Sums()
                sums.add(entry)

    @property
    def total(self) -> Totals:
        """Totals over all calls."""
        with self._lock:
            sums = self._sums.get(("", ""))
            return sums.totals() if sums else Totals()

    def by(self, axis: Axis | str) -> dict[str, Totals]:
        """Totals by ``vendor``, ``model``, ``capability``, or ``tag:<name>``."""
        with self._lock:
            return {value: sums.totals() for (kind, value), sums in self._sums.items() if kind == axis}

    @property
    def rows(self) -> list[Entry]:
        """The last entries, oldest first."""
        with self._lock:
            return list(self._rows)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._rows.clear()
            self._sums.clear()

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {"rows": deque(self._rows, self._rows.maxlen), "sums": copy.deepcopy(self._sums)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._lock = threading.Lock()
        self._rows, self._sums = state["rows"], state["sums"]

    def __repr__(self) -> str:
        total = self.total
        return f"Ledger(calls={total.calls}, tokens={total.total_tokens}, cost_usd={total.cost_usd})"


def entry_of(
    capability: str,
    usage: Usage | None,
    metadata: Metadata | None,
    *,
    model: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Entry:
    """The ledger entry of a complete answer."""
    usage = usage or Usage()
    metadata = metadata or Metadata()
    return Entry(
        capability=capability,
        vendor=metadata.vendor,
        model=metadata.model or model,
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cost_usd=metadata.cost_usd,
        latency_ms=metadata.latency_ms,
        cache_hit=bool(metadata.cache_hit),
        request_id=metadata.request_id,
        estimated=bool(usage.estimated),
        usage=usage,
        tags=dict(tags or {}),
    )
