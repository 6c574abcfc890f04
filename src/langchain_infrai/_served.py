"""Who served a call and what it cost, for artifacts and documents."""

from __future__ import annotations

from typing import Any

from infrai_core.models import Reply


def served(reply: Reply) -> dict[str, Any]:
    """The facts of a reply under the names of ``response_metadata``; ``cost_usd`` is decimal text. JSON can carry it.

    What is unknown is absent.
    """
    meta, used = reply.metadata, getattr(reply, "usage", None)
    found = {
        "model_name": meta.model or getattr(reply, "model", None),
        "vendor": meta.vendor,
        "cost_usd": None if meta.cost_usd is None else format(meta.cost_usd, "f"),
        "latency_ms": meta.latency_ms,
        "cache_hit": meta.cache_hit,
        "request_id": meta.request_id,
        "usage": None if used is None else used.model_dump(mode="json", exclude_none=True),
        "warnings": meta.warnings or None,
        "invented": meta.invented or None,
    }
    return {name: value for name, value in found.items() if value is not None}
