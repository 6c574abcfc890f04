"""Rows of the ledger: one per attempt at a vendor, and one per call that something was delivered for."""

from __future__ import annotations

from typing import Any

from infrai_runtime.store.durable import UNKNOWN, Admission, LedgerRow
from infrai_runtime.trace import Trace
from infrai_runtime.vendors.bill import Bill


def rows_of(trace: Trace, now: float) -> list[LedgerRow]:
    """What a call adds to the ledger. A call that only failed has attempts and no answer."""
    attempts = [_attempt(trace, row, bill, now) for row, bill in zip(trace.tried(), trace.bills, strict=False)]
    return [*attempts, _answer(trace, now)] if trace.vendor is not None else attempts


def lost_rows(trace: Trace, admission: Admission, now: float) -> list[LedgerRow]:
    """The row of an attempt that the runtime itself broke off by an error: what the vendor charged is not known."""
    if len(trace.bills) <= len(trace.tried()):
        return []
    a = admission
    row = LedgerRow("attempt", now, a.project_id, a.key_id, a.request_id, a.capability, None, None, UNKNOWN, 0.0)
    return [row._replace(reserved_nano=a.reserve_nano or 0, tags=trace.ask.tags)]


def _attempt(trace: Trace, row: dict[str, Any], bill: Bill, now: float) -> LedgerRow:
    ask, caller = trace.ask, trace.caller
    return LedgerRow(
        kind="attempt",
        at_s=now,
        project_id=caller.project_id,
        key_id=caller.key_id,
        request_id=trace.request_id,
        capability=ask.capability,
        vendor=row["vendor"],
        model=row["model"],
        outcome=row["outcome"],
        latency_ms=row["latency_ms"],
        prompt_tokens=bill.usage.get("prompt_tokens"),
        completion_tokens=bill.usage.get("completion_tokens"),
        cost_nano=bill.cost_nano,
        estimated=bool(bill.usage.get("estimated")),
        usage=bill.usage,
        reserved_nano=bill.open_nano,
        idempotency_key=ask.idempotency_key,
        batch_id=trace.batch_id,
        tags=ask.tags,
    )


def _answer(trace: Trace, now: float) -> LedgerRow:
    ask, caller = trace.ask, trace.caller
    return LedgerRow(
        kind="answer",
        at_s=now,
        project_id=caller.project_id,
        key_id=caller.key_id,
        request_id=trace.request_id,
        capability=ask.capability,
        vendor=trace.vendor,
        model=trace.model,
        outcome=trace.rows[-1]["outcome"] if trace.rows else "ok",
        latency_ms=trace.latency_ms(),
        prompt_tokens=trace.usage.get("prompt_tokens"),
        completion_tokens=trace.usage.get("completion_tokens"),
        cost_nano=trace.cost_nano,
        cache_hit=trace.cache_hit,
        estimated=bool(trace.usage.get("estimated")),
        usage=trace.usage,
        idempotency_key=ask.idempotency_key,
        batch_id=trace.batch_id,
        tags=ask.tags,
    )
