"""Usage and cost as vendors of this dialect report them, in the wire's shape (docs/protocol.md, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def usage_of(given: Any) -> Json | None:
    """The usage, or None where the vendor did not say: nothing, null, or zero tokens for something.

    Cached tokens count into ``prompt_tokens`` and reasoning into ``completion_tokens``, as OpenAI has it; a vendor that
    counts reasoning apart (its sum tells) is brought to that.
    """
    if not isinstance(given, Mapping):
        return None
    prompt, completion = _count(given, "prompt_tokens"), _count(given, "completion_tokens") or 0
    if prompt is None or not (prompt or completion):
        return None
    reads, writes = _details(given, "prompt_tokens_details"), _details(given, "completion_tokens_details")
    reasoning = writes.get("reasoning_tokens", _count(given, "reasoning_tokens"))
    total = _count(given, "total_tokens")
    if reasoning and total == prompt + completion + reasoning:
        completion += reasoning
    cached = next((c for c in (reads.get("cached_tokens"), *_elsewhere(given)) if c is not None), None)
    usage: Json = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    written = reads.get("cache_write_tokens", reads.get("cache_creation_input_tokens"))
    return usage | _said(
        prompt_tokens_details=_said(
            cached_tokens=cached, audio_tokens=reads.get("audio_tokens"), cache_write_tokens=written
        ),
        completion_tokens_details=_said(reasoning_tokens=reasoning, audio_tokens=writes.get("audio_tokens")),
        search_units=_count(given, "num_search_queries"),
    )


def cost_of(given: Any, place: tuple[str, ...]) -> float | None:
    """The price that the vendor itself reports, in USD."""
    if not place:
        return None
    for name in place:
        given = given.get(name) if isinstance(given, Mapping) else None
    return float(given) if isinstance(given, int | float) and not isinstance(given, bool) else None


def _elsewhere(given: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Cached tokens where DeepSeek and Moonshot tell them."""
    return _count(given, "prompt_cache_hit_tokens"), _count(given, "cached_tokens")


def _count(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _details(given: Mapping[str, Any], name: str) -> dict[str, int]:
    inner = given.get(name)
    rows = inner if isinstance(inner, dict) else {}
    return {key: count for key in rows if (count := _count(rows, key)) is not None}


def _said(**facts: Any) -> Json:
    return {name: value for name, value in facts.items() if value not in (None, {})}
