"""Who is told of calls that have ended: the log, the metrics, traces.

An observer gets the finished ``Trace`` once per call, after the answer was booked, and never changes anything; what it
raises is logged and forgotten. Nothing is measured for an observer that is not there.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from infrai_runtime.failure import Failure
from infrai_runtime.trace import Trace

log = logging.getLogger("infrai_runtime")
calls = logging.getLogger("infrai_runtime.call")


class Observer(Protocol):
    """What is told of calls."""

    def ended(self, trace: Trace, failure: Failure | None) -> None:
        """A call has ended, with ``failure`` where there is no whole answer."""


class CallLog:
    """One line per call on the logger ``infrai_runtime.call``: at INFO, and at WARNING where the runtime or every
    vendor failed. The facts are the record's ``facts``; no line holds what was asked or answered."""

    def ended(self, trace: Trace, failure: Failure | None) -> None:
        level = logging.WARNING if failure is not None and failure.code in _ALARMING else logging.INFO
        if calls.isEnabledFor(level):
            facts = facts_of(trace, failure)
            calls.log(level, "%s %s", facts["capability"], facts["outcome"], extra={"facts": facts})


_ALARMING = frozenset({"INTERNAL_ERROR", "VENDOR_ERROR", "VENDOR_TIMEOUT", "NO_VENDOR_AVAILABLE", "OVERLOADED"})


def outcome_of(failure: Failure | None) -> str:
    """``ok``, or the failure's code."""
    return "ok" if failure is None else failure.code


def facts_of(trace: Trace, failure: Failure | None) -> dict[str, Any]:
    """What a log line says of a call; unknown facts are left out."""
    ask, caller = trace.reached()
    facts = {
        "request_id": trace.request_id,
        "project": caller and caller.project_id,
        "surface": trace.surface.name,
        "capability": trace.capability,
        "stream": ask and ask.stream,
        "outcome": outcome_of(failure),
        "message": failure and failure.message,
        "vendor": trace.vendor,
        "model": trace.model,
        "latency_ms": trace.latency_ms(),
        "first_chunk_ms": trace.first_chunk_ms(),
        "cost_nano_usd": trace.cost_nano,
        "prompt_tokens": trace.usage.get("prompt_tokens"),
        "completion_tokens": trace.usage.get("completion_tokens"),
        "cache_hit": trace.cache_hit or None,
        "attempts": [f"{row['vendor']}/{row['model']}: {row['outcome']}" for row in trace.rows],
    }
    return {name: value for name, value in facts.items() if value is not None}
