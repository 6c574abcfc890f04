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
    counts = _counts(given)
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens", 0)
    if prompt is None or not (prompt or completion):
        return None
    if given.keys() <= _WORDS:
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    reads = _counts(given.get("prompt_tokens_details"))
    writes = _counts(given.get("completion_tokens_details"))
    reasoning = writes.get("reasoning_tokens", counts.get("reasoning_tokens"))
    if reasoning and counts.get("total_tokens") == prompt + completion + reasoning:
        completion += reasoning
    usage: Json = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    # DeepSeek and Moonshot tell cached tokens beside the others
    cached = reads.get("cached_tokens", counts.get("prompt_cache_hit_tokens", counts.get("cached_tokens")))
    cache_write = reads.get("cache_write_tokens", reads.get("cache_creation_input_tokens"))
    into: Json = {}
    if cached is not None:
        into["cached_tokens"] = cached
    if "audio_tokens" in reads:
        into["audio_tokens"] = reads["audio_tokens"]
    if cache_write is not None:
        into["cache_write_tokens"] = cache_write
    out: Json = {}
    if reasoning is not None:
        out["reasoning_tokens"] = reasoning
    if "audio_tokens" in writes:
        out["audio_tokens"] = writes["audio_tokens"]
    if into:
        usage["prompt_tokens_details"] = into
    if out:
        usage["completion_tokens_details"] = out
    if "num_search_queries" in counts:
        usage["search_units"] = counts["num_search_queries"]
    if counts.get("prompt_audio_seconds"):  # Mistral bills sound by the minute, beside the tokens
        usage["audio_seconds"] = counts["prompt_audio_seconds"]
    return usage


def cost_of(given: Any, place: tuple[str, ...], units: int = 1) -> float | None:
    """The price that the vendor itself reports, in USD; ``units`` of its own make one."""
    if not place:
        return None
    for name in place:
        given = given.get(name) if isinstance(given, Mapping) else None
    return given / units if isinstance(given, int | float) and not isinstance(given, bool) else None


def _counts(given: Any) -> dict[str, int]:
    """The fields that count something."""
    if not isinstance(given, dict):
        return {}
    values = given.values()
    if {*map(type, values)} == _COUNTS_ALONE and min(values) >= 0:
        return given
    return {name: int(value) for name, value in given.items() if type(value) in _NUMBER and value >= 0}


_WORDS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_COUNTS_ALONE = {int}
_NUMBER = (int, float)
"""A truth value, which Python takes for one, is none."""
