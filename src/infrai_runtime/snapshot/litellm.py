"""Rows of ``litellm``'s model table under our names. Its prices are USD per token, second, character, image, query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

Row = dict[str, Any]

CAPABILITY = {
    "chat": "chat",
    "embedding": "embed",
    "image_generation": "image",
    "audio_speech": "tts",
    "audio_transcription": "asr",
    "rerank": "rerank",
    "realtime": "realtime",
}
"""Their mode -> our capability; other modes are not ours."""

_ABILITIES = {
    "supports_function_calling": "tools",
    "supports_tool_choice": "tool_choice",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_response_schema": "structured",
    "supports_vision": "vision",
    "supports_audio_input": "audio",
    "supports_audio_output": "audio_output",
    "supports_video_input": "video",
    "supports_pdf_input": "pdf",
    "supports_reasoning": "reasoning",
    "supports_prompt_caching": "prompt_cache",
}
_MILLION = 1_000_000
_PER_TOKEN = {
    "input_cost_per_token": "input_mtok",
    "output_cost_per_token": "output_mtok",
    "cache_read_input_token_cost": "cached_input_mtok",
    "cache_creation_input_token_cost": "cache_write_mtok",
    "input_cost_per_audio_token": "audio_input_mtok",
    "output_cost_per_audio_token": "audio_output_mtok",
    "input_cost_per_token_batches": "batch_input_mtok",
    "output_cost_per_token_batches": "batch_output_mtok",
}
_LONG = {name: ours for name, ours in _PER_TOKEN.items() if not name.endswith("_batches") and "audio" not in name}


_ENDPOINTS = {
    "chat": ("/chat/completions", "/messages", "/responses", "generateContent"),
    "asr": ("/audio/transcriptions",),
    "tts": ("/audio/speech",),
}
"""The ends of the paths by which a capability is asked for, where the table tells a model's paths."""


def capability(entry: Mapping[str, Any]) -> str | None:
    """What the model is for; None for what we do not route, such as a transcription that is there in realtime only."""
    ours = CAPABILITY.get(entry.get("mode", ""))
    paths = entry.get("supported_endpoints")
    ends = _ENDPOINTS.get(ours or "")
    reached = not paths or ends is None or any(path.endswith(ends) for path in paths)
    return ours if reached else None


def facts(entry: Mapping[str, Any]) -> Row:
    """Context, output limit, abilities and modalities."""
    abilities = {ours for theirs, ours in _ABILITIES.items() if entry.get(theirs)}
    abilities |= {"json"} if abilities & {"tools", "structured"} and entry.get("mode") == "chat" else set()
    row = {
        "context_window": _whole(entry.get("max_input_tokens")),
        "max_output_tokens": _whole(entry.get("max_output_tokens")) if entry.get("mode") == "chat" else None,
        "abilities": sorted(abilities),
        "modalities": _modalities(entry, abilities),
        "dimensions": _whole(entry.get("output_vector_size")),
        "retires": entry.get("deprecation_date"),
    }
    return {name: value for name, value in row.items() if value is not None}


def plain(kind: str) -> Row:
    """Abilities and modalities of a model of a capability of which nothing more is known."""
    mode = next(mode for mode, ours in CAPABILITY.items() if ours == kind)
    return {"abilities": [], "modalities": _modalities({"mode": mode}, set())}


def _whole(number: Any) -> int | None:
    return int(number) if isinstance(number, int | float) and number > 0 else None


_OUT = {"embed": "embedding", "image": "image", "tts": "audio", "rerank": "ranking", "realtime": "audio"}
_IN = {"asr": "audio", "realtime": "audio"}


def _modalities(entry: Mapping[str, Any], abilities: set[str]) -> Row:
    kind = capability(entry) or "chat"
    seen = [
        word for ability, word in (("vision", "image"), ("audio", "audio"), ("video", "video")) if ability in abilities
    ]
    said = ["text", "audio"] if "audio_output" in abilities else [_OUT.get(kind, "text")]
    return {"input": [_IN.get(kind, "text"), *(word for word in seen if word != _IN.get(kind))], "output": said}


def prices(kind: str, entry: Mapping[str, Any], sized: Mapping[str, Any] | None) -> Row:
    """USD prices. A 0 is taken as unknown: the table has it for models whose price it does not know.

    ``sized`` is the entry of the usual size of an image, where the table has one per size.
    """
    return _PRICES.get(kind, _by_token)(entry, sized or {})


def _by_token(entry: Mapping[str, Any], sized: Mapping[str, Any]) -> Row:
    tiers = entry.get("tiered_pricing")
    if tiers:
        first, *rest = [_named(tier, _PER_TOKEN, _MILLION) for tier in tiers]
        starts = [int(tier["range"][0]) for tier in tiers[1:]]
        return first | {"long": [{"above_tokens": s} | t for s, t in zip(starts, rest, strict=True)]}
    usual = _named(entry, _PER_TOKEN, _MILLION)
    long = list(_above(entry))
    return usual | ({"long": long} if long and usual else {})


def _by_token_and_search(entry: Mapping[str, Any], sized: Mapping[str, Any]) -> Row:
    """With what one web search costs, where that is one price: what depends on how much is searched is unknown."""
    words = _by_token(entry, sized)
    by_size = set((entry.get("search_context_cost_per_query") or {}).values())
    if not words or len(by_size) != 1:
        return words
    return words | _named({"search": by_size.pop()}, {"search": "search_unit"}, 1)


def _above(entry: Mapping[str, Any]) -> Iterator[Row]:
    marks = {name.rpartition("_above_")[2] for name in entry if name.startswith("input_cost_per_token_above_")}
    for mark in sorted((m for m in marks if m.endswith("k_tokens")), key=lambda m: int(m.removesuffix("k_tokens"))):
        named = {f"{theirs}_above_{mark}": ours for theirs, ours in _LONG.items()}
        yield {"above_tokens": int(mark.removesuffix("k_tokens")) * 1000} | _named(entry, named, _MILLION)


def _by_image(entry: Mapping[str, Any], sized: Mapping[str, Any]) -> Row:
    for name in ("output_cost_per_image", "output_cost_per_image_1K", "input_cost_per_image"):
        for table in (sized, entry):
            if price := _named(table, {name: "image"}, 1):
                return price
    words = _named(entry, {"input_cost_per_token": "input_mtok"}, _MILLION)
    return words | _named(entry, {"output_cost_per_image_token": "output_mtok"}, _MILLION)


def _by_speech(entry: Mapping[str, Any], sized: Mapping[str, Any]) -> Row:
    letters = _named(entry, {"input_cost_per_character": "mcharacter"}, _MILLION)
    return letters or _named(entry, {"output_cost_per_second": "audio_minute"}, 60) or _by_token(entry, sized)


def _by_minute(entry: Mapping[str, Any], sized: Mapping[str, Any]) -> Row:
    seconds = _named(entry, {"input_cost_per_second": "audio_minute"}, 60)
    return seconds or _named(entry, {"output_cost_per_second": "audio_minute"}, 60) or _by_token(entry, sized)


def _by_search(entry: Mapping[str, Any], sized: Mapping[str, Any]) -> Row:
    return _named(entry, {"input_cost_per_query": "search_unit"}, 1) or _by_token(entry, sized)


def _embedded(entry: Mapping[str, Any], sized: Mapping[str, Any]) -> Row:
    return _named(
        entry, {"input_cost_per_token": "input_mtok", "input_cost_per_token_batches": "batch_input_mtok"}, _MILLION
    )


_PRICES: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Row]] = {
    "chat": _by_token_and_search,
    "embed": _embedded,
    "image": _by_image,
    "tts": _by_speech,
    "asr": _by_minute,
    "realtime": _by_minute,
    "rerank": _by_search,
}


def _named(entry: Mapping[str, Any], names: Mapping[str, str], times: int) -> Row:
    found = ((ours, entry.get(theirs)) for theirs, ours in names.items())
    return {ours: _usd(price, times) for ours, price in found if isinstance(price, int | float) and price > 0}


def _usd(price: float, times: int) -> str:
    """A decimal string; the table's floats have digits that nobody set (0.000833333333333 a second)."""
    return f"{(Decimal(repr(price)) * times).quantize(Decimal('1e-6')).normalize():f}"
