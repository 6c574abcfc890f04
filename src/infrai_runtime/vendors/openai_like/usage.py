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
    usage: Json = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    into = {
        "cached_tokens": reads["cached_tokens"] if "cached_tokens" in reads else _cached_elsewhere(given),
        "audio_tokens": reads.get("audio_tokens"),
        "cache_write_tokens": reads.get("cache_write_tokens", reads.get("cache_creation_input_tokens")),
    }
    out = {"reasoning_tokens": reasoning, "audio_tokens": writes.get("audio_tokens")}
    for name, details in (("prompt_tokens_details", into), ("completion_tokens_details", out)):
        if said := {kind: count for kind, count in details.items() if count is not None}:
            usage[name] = said
    if (searches := _count(given, "num_search_queries")) is not None:
        usage["search_units"] = searches
    if heard := _count(given, "prompt_audio_seconds"):  # Mistral bills sound by the minute, beside the tokens
        usage["audio_seconds"] = heard
    return usage


def cost_of(given: Any, place: tuple[str, ...], units: int = 1) -> float | None:
    """The price that the vendor itself reports, in USD; ``units`` of its own make one."""
    if not place:
        return None
    for name in place:
        given = given.get(name) if isinstance(given, Mapping) else None
    return given / units if isinstance(given, int | float) and not isinstance(given, bool) else None


def _cached_elsewhere(given: Mapping[str, Any]) -> int | None:
    """Cached tokens where DeepSeek and Moonshot tell them."""
    hit = _count(given, "prompt_cache_hit_tokens")
    return _count(given, "cached_tokens") if hit is None else hit


def _count(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None or isinstance(value, bool) or not isinstance(value, _NUMBER):
        return None
    return int(value) if value >= 0 else None


_NUMBER = (int, float)


def _details(given: Mapping[str, Any], name: str) -> dict[str, int]:
    inner = given.get(name)
    if not isinstance(inner, dict):
        return {}
    return {key: count for key in inner if (count := _count(inner, key)) is not None}
