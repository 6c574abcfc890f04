"""What a project has left and what it used (docs/protocol.md, section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

from infrai_runtime.failure import Failure
from infrai_runtime.field import refuse
from infrai_runtime.keys import Caller
from infrai_runtime.pricing import usd
from infrai_runtime.store.durable import USAGE_AXES, Durable, UsageRow
from infrai_runtime.wire import Json

DEFAULT_AXES = ("day", "vendor", "model", "capability")


async def balance(durable: Durable, caller: Caller) -> Json:
    """``balance_usd`` is null where calls are not paid from credit: embedded, and without keys."""
    return {"balance_usd": usd(await durable.balance_nano(caller.project_id)), "currency": "USD"}


async def usage(durable: Durable, caller: Caller, query: Mapping[str, str]) -> Json:
    """Totals by day, vendor, model and capability. ``since`` is a day in UTC, ``group_by`` some of ``USAGE_AXES``. A
    call counts under each of its tags, and once in the total."""
    unknown = next((name for name in query if name not in ("since", "group_by")), None)
    if unknown is not None:
        raise Failure("INVALID_REQUEST", f"unknown parameter {unknown!r}; allowed are since, group_by", param=unknown)
    axes = _axes(query.get("group_by", ",".join(DEFAULT_AXES)))
    since_s = _since(query.get("since", "1970-01-01"))
    rows = await durable.usage(caller.project_id, axes, since_s)
    once = await durable.usage(caller.project_id, (), since_s) if "tag" in axes else rows
    return {"group_by": axes, "currency": "USD", "total": _total(once), "data": [_row(row) for row in rows]}


def _axes(text: str) -> list[str]:
    axes = [word for word in text.split(",") if word]
    wrong = next((word for word in axes if word not in USAGE_AXES), None)
    if wrong is not None:
        raise refuse("group_by", wrong, f"some of {', '.join(USAGE_AXES)}, with commas between them")
    return axes


def _since(text: str) -> float:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise refuse("since", text, "a day such as 2026-11-24") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _row(row: UsageRow) -> Json:
    return {
        **row.group,
        "calls": row.calls,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "cost_usd": usd(row.cost_nano),
        "unpriced_calls": row.unpriced_calls,
        "open_usd": usd(row.open_nano),
    }


def _total(rows: list[UsageRow]) -> Json:
    names = ("calls", "prompt_tokens", "completion_tokens", "unpriced_calls")
    sums = {name: sum(getattr(row, name) for row in rows) for name in names}
    nanos = {"cost_usd": sum(row.cost_nano for row in rows), "open_usd": sum(row.open_nano for row in rows)}
    return sums | {name: usd(nano) for name, nano in nanos.items()}
