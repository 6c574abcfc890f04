"""Rows of the ledger: one per attempt at a vendor, and one per call that something was delivered for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from infrai_runtime.store.durable import UNKNOWN, LedgerRow
from infrai_runtime.trace import Trace
from infrai_runtime.vendors.bill import Bill


def rows_of(trace: Trace, now: float, reserved_nano: int | None = None) -> list[LedgerRow]:
    """What a call adds to the ledger. A call that only failed has attempts and no answer. What a vendor charged for an
    attempt that the runtime itself broke off by an error is not known: at most what was set aside."""
    ask, caller, tried = trace.ask, trace.caller, trace.tried()
    about = (now, caller.project_id, caller.key_id, trace.request_id, ask.capability)
    belongs = (ask.idempotency_key, trace.batch_id, ask.tags)
    rows = [_attempt(row, bill, about, belongs) for row, bill in zip(tried, trace.bills, strict=False)]
    if trace.vendor is not None:
        rows.append(_answer(trace, about, belongs))
    if len(trace.bills) > len(tried):
        lost = LedgerRow("attempt", *about, None, None, UNKNOWN, 0.0)
        rows.append(lost._replace(reserved_nano=reserved_nano or 0, tags=ask.tags))
    return rows


_About: TypeAlias = tuple[float, str, str | None, str, str]
"""Time, project, key, request and capability, as all rows of a call have them."""
_Belongs: TypeAlias = tuple[str | None, str | None, Mapping[str, str]]
"""Its idempotency key, batch and tags, likewise."""


def _attempt(row: Mapping[str, Any], bill: Bill, about: _About, belongs: _Belongs) -> LedgerRow:
    usage = bill.usage
    return LedgerRow(
        "attempt",
        *about,
        row["vendor"],
        row["model"],
        row["outcome"],
        row["latency_ms"],
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        bill.cost_nano,
        False,  # a hit of the cache needs no attempt
        bool(usage.get("estimated")),
        usage,
        bill.open_nano,
        *belongs,
    )


def _answer(trace: Trace, about: _About, belongs: _Belongs) -> LedgerRow:
    usage = trace.usage
    return LedgerRow(
        "answer",
        *about,
        trace.vendor,
        trace.model,
        trace.rows[-1]["outcome"] if trace.rows else "ok",
        trace.latency_ms(),
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        trace.cost_nano,
        trace.cache_hit,
        bool(usage.get("estimated")),
        usage,
        0,  # what is open is that of an attempt
        *belongs,
    )
