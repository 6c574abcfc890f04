"""Who served a call, what it used and what it cost: of messages, traces, artifacts and documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from langchain_core.messages.ai import UsageMetadata

from infrai_core import ChatReply, Usage
from infrai_core.models import Reply

PROVIDER = "infrai"
"""``response_metadata["model_provider"]`` and ``ls_provider``; LangChain trusts usage only where both are equal."""


def served(reply: Reply) -> dict[str, Any]:
    """The facts of a reply under the names of ``response_metadata``; ``cost_usd`` is decimal text. JSON can carry it.

    What is unknown is absent.
    """
    meta, used = reply.metadata, getattr(reply, "usage", None)
    found = {
        "model_name": meta.model or getattr(reply, "model", None),
        "vendor": meta.vendor,
        "cost_usd": _usd(meta.cost_usd),
        "latency_ms": meta.latency_ms,
        "cache_hit": meta.cache_hit,
        "request_id": meta.request_id,
        "usage": None if used is None else used.model_dump(mode="json", exclude_none=True),
        "warnings": meta.warnings or None,
        "invented": meta.invented or None,
        "quotes": meta.quotes or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def usage_of(usage: Usage | None) -> UsageMetadata | None:
    """Token counts in LangChain's form; None when the service told none.

    Only integers: LangChain adds these up and fails on anything else, so cost has its place in
    ``response_metadata``. Details that are unknown are absent.
    """
    if usage is None or (usage.prompt_tokens is None and usage.completion_tokens is None):
        return None
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    counted = UsageMetadata(
        input_tokens=prompt,
        output_tokens=completion,
        total_tokens=prompt + completion if usage.total_tokens is None else usage.total_tokens,
    )
    for name, (details, names) in _DETAILS.items():
        found = {name: count for name, count in _dumped(getattr(usage, details)).items() if name in names}
        if found:
            counted[name] = {names[ours]: count for ours, count in found.items()}  # type: ignore[literal-required]
    return counted


_DETAILS: dict[str, tuple[str, dict[str, str]]] = {
    "input_token_details": (
        "prompt_tokens_details",
        {"cached_tokens": "cache_read", "cache_write_tokens": "cache_creation", "audio_tokens": "audio"},
    ),
    "output_token_details": (
        "completion_tokens_details",
        {"reasoning_tokens": "reasoning", "audio_tokens": "audio"},
    ),
}
_UNITS = ("images", "audio_seconds", "characters", "search_units", "estimated")
_FLAT = ("vendor", "request_id", "latency_ms", "cache_hit", "batch_id")


def metadata_of(reply: ChatReply) -> dict[str, Any]:
    """``response_metadata``: who served the call and what it cost.

    ``cost_usd`` is decimal text, absent when unknown; ``infrai`` holds attempts, warnings, values a model invented, the
    quotes that it read others from, and usage in units other than tokens. In a stream all of it stands on one chunk,
    because LangChain joins text and adds numbers when it merges chunks.
    """
    meta = reply.metadata
    served = {"model_name": meta.model or reply.model, "cost_usd": _usd(meta.cost_usd)}
    told = _dumped(meta)
    rest = {name: value for name, value in told.items() if name not in (*_FLAT, "model", "cost_usd")}
    units = {name: value for name, value in _dumped(reply.usage).items() if name in _UNITS}
    own = {name: value for name, value in (rest | units).items() if value not in ([], {})}
    known = {name: told[name] for name in _FLAT if name in told}
    found = {**served, "finish_reason": reply.finish_reason, **known, "infrai": own or None}
    return {"model_provider": PROVIDER, **{name: value for name, value in found.items() if value is not None}}


def traced(reply: ChatReply) -> dict[str, Any] | None:
    """``generation_info`` that tells LangSmith's tracer which vendor and model served a routed call, so that the trace
    shows them and prices them; it stays out of the message. None when the service did not say."""
    meta = reply.metadata
    served = {"provider": meta.vendor, "model": meta.model or reply.model, "request_id": meta.request_id}
    known = {name: value for name, value in served.items() if value}
    return {_SERVED: known} if known else None


def untraced(generation_info: Mapping[str, Any]) -> dict[str, Any]:
    """The same without what is for the tracer alone."""
    return {name: value for name, value in generation_info.items() if name != _SERVED}


def output_of(reply: ChatReply) -> dict[str, Any]:
    """``llm_output``, as LangChain people read it: ``model_name``, ``token_usage`` with OpenAI's names, and
    ``system_fingerprint``; what is unknown is absent. LangChain copies it into ``response_metadata``."""
    fingerprint = (reply.model_extra or {}).get("system_fingerprint")
    used = _dumped(reply.usage)
    found = {
        "model_name": reply.metadata.model or reply.model,
        "token_usage": {name: count for name, count in used.items() if name not in _UNITS} or None,
        "system_fingerprint": fingerprint,
    }
    return {name: value for name, value in found.items() if value is not None}


def outputs_of(outputs: Iterable[Mapping[str, Any] | None], asked: str) -> dict[str, Any]:
    """The ``llm_output`` of several prompts: their tokens added, and the model that was asked where several answered.
    Answers from LangChain's cache and streams have none."""
    known = [output for output in outputs if output]
    names = {name for output in known if (name := output.get("model_name"))}
    used: dict[str, Any] = {}
    for output in known:
        used = _added(used, output.get("token_usage") or {})
    marks = [mark for output in known if (mark := output.get("system_fingerprint"))]
    combined = {"token_usage": used, "model_name": names.pop() if len(names) == 1 else asked}
    return combined | ({"system_fingerprint": marks[0]} if marks else {})


def _added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    sums = dict(one)
    for name, value in other.items():
        sums[name] = _added(sums.get(name, {}), value) if isinstance(value, Mapping) else sums.get(name, 0) + value
    return sums


_SERVED = "lc_gateway_metadata"
"""Where the tracer of langchain-core looks for what a gateway did (``langchain_core.utils._gateway``)."""


def _dumped(value: Any) -> dict[str, Any]:
    return {} if value is None else value.model_dump(mode="json", exclude_none=True)


def _usd(cost: Decimal | None) -> str | None:
    """Decimal text without an exponent, the same for 0 and 0.0."""
    return None if cost is None else format(cost.normalize(), "f")
