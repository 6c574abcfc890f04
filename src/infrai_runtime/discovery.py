"""What this runtime can do, told by the tables that do it: routes, parameters, errors, examples.

``GET /v1/discovery`` lists the capabilities, ``GET /v1/discovery/{id}`` shows one (docs/protocol.md, section 7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infrai_core.errors import CODES
from infrai_runtime.batch.job import CAPABILITIES as CAPABILITIES_OF_A_BATCH
from infrai_runtime.batch.job import SUBMISSION
from infrai_runtime.body import FIELDS
from infrai_runtime.catalogue import Catalogue, listed
from infrai_runtime.failure import Failure
from infrai_runtime.field import Fields, schema_of
from infrai_runtime.request import ALIASES
from infrai_runtime.vendors.base import CAPABILITIES, Vendor
from infrai_runtime.wire import Json

BILLING = {
    "chat": "tokens",
    "vision": "tokens",
    "embed": "tokens",
    "image": "images",
    "tts": "characters",
    "asr": "audio_seconds",
    "rerank": "search_units",
    "realtime": "audio_seconds",
    "batch": "requests",
}

_COMMON = (
    *("INVALID_REQUEST", "UNAUTHORIZED", "FORBIDDEN", "INSUFFICIENT_CREDIT", "PAYLOAD_TOO_LARGE"),
    *("UNSUPPORTED_MEDIA_TYPE", "RATE_LIMITED", "IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_CONFLICT"),
    *("REQUEST_TIMEOUT", "INTERNAL_ERROR", "SHUTTING_DOWN"),
)
_ROUTED = (
    *("MODEL_NOT_FOUND", "VENDOR_NOT_FOUND", "UNSUPPORTED_CAPABILITY", "NO_VENDOR_AVAILABLE"),
    *("COST_CAP_REACHED", "VENDOR_ERROR", "VENDOR_TIMEOUT"),
)
_WORDS = ("CONTEXT_LENGTH_EXCEEDED", "CONTENT_FILTERED")

_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass(frozen=True, slots=True)
class Described:
    """One capability as discovery tells it."""

    id: str
    path: str
    about: str
    fields: Fields
    examples: Sequence[Json]
    result: Json


def _text(*names: str) -> Json:
    return {name: {"type": "string"} for name in names}


_USAGE = {"usage": {"type": "object"}, "model": {"type": "string"}}
_CHAT_RESULT = (
    _text("id", "content", "reasoning", "refusal", "finish_reason")
    | _USAGE
    | {
        "parts": {"type": "array"},
        "tool_calls": {"type": "array"},
    }
)

ALL: dict[str, Described] = {
    row.id: row
    for row in (
        Described(
            "chat",
            "/v1/ai/chat",
            "Answers messages; with stream:true as server-sent events.",
            FIELDS["chat"],
            [
                {"messages": "Tell me a 50-word story about a curious raccoon.", "prefer": "balanced"},
                {"messages": [{"role": "user", "content": "What is 2 + 2?"}], "max_tokens": 50, "stream": True},
            ],
            _CHAT_RESULT,
        ),
        Described(
            "vision",
            "/v1/ai/vision",
            "Answers a prompt about images.",
            FIELDS["vision"],
            [{"prompt": "What is in this image?", "images": [{"base64": _PIXEL, "mime": "image/png"}]}],
            _CHAT_RESULT,
        ),
        Described(
            "embed",
            "/v1/ai/embed",
            "Makes one vector per text, in order.",
            FIELDS["embed"],
            [{"input": "What animal has clever paws?"}, {"input": ["one", "two"], "dimensions": 256}],
            {"embeddings": {"type": "array"}, "dimensions": {"type": "integer"}} | _USAGE,
        ),
        Described(
            "image",
            "/v1/ai/image",
            "Makes images from a text.",
            FIELDS["image"],
            [{"prompt": "A watercolor raccoon reading a book under a maple tree", "size": "1024x1024", "n": 1}],
            {"images": {"type": "array"}} | _USAGE,
        ),
        Described(
            "tts",
            "/v1/ai/tts",
            "Speaks a text.",
            FIELDS["tts"],
            [{"input": "Hello from Infrai.", "voice": "alloy", "format": "mp3"}],
            _text("audio_url", "format", "b64") | _USAGE,
        ),
        Described(
            "asr",
            "/v1/ai/asr",
            "Writes down what is said.",
            FIELDS["asr"],
            [{"audio": {"url": "https://example.com/clip.mp3"}, "language": "en"}],
            _text("text", "language") | {"segments": {"type": "array"}} | _USAGE,
        ),
        Described(
            "rerank",
            "/v1/ai/rerank",
            "Orders texts by their fit to a query.",
            FIELDS["rerank"],
            [{"query": "clever paws", "candidates": ["A raccoon opens doors.", "Rain is wet."], "top_k": 1}],
            {"results": {"type": "array"}} | _USAGE,
        ),
        Described(
            "realtime",
            "/v1/ai/realtime/token",
            "Makes a short-lived token for a realtime session.",
            FIELDS["realtime"],
            [{"ttl_seconds": 300}],
            _text("session_id", "token", "expires_at") | {"ice_servers": {"type": "array"}},
        ),
        Described(
            "batch",
            "/v1/ai/batch/submit",
            "Takes many requests in; GET /v1/ai/batch/status/{id} tells how far they are, and results/{id} what came.",
            SUBMISSION,
            [{"requests": [{"capability": "chat", "body": {"messages": "What is 2 + 2?"}}], "batch_timeout": "1h"}],
            _text("batch_id", "state", "created_at", "expires_at", "results_until", "estimated_eta")
            | {name: {"type": "integer"} for name in ("total_count", "completed_count", "failed_count")}
            | {"estimated_cost_usd": {"type": ["number", "null"]}, "metadata": {"type": "object"}},
        ),
    )
}
"""What discovery tells: of every capability, and of batches of them."""


def errors_of(capability: str) -> list[Json]:
    """The errors that a route may answer with, and whether the same call may succeed later."""
    routed = () if capability == "batch" else _ROUTED
    codes = _COMMON + routed + (_WORDS if capability in ("chat", "vision") else ())
    return [{"code": code, "status": CODES[code].status, "retryable": CODES[code].retryable} for code in codes]


def able(capability: str, vendors: Mapping[str, Vendor]) -> list[str]:
    """The configured vendors that have a capability."""
    return sorted(name for name, vendor in vendors.items() if isinstance(vendor, CAPABILITIES[capability]))


def _asked(name: str, vendors: Mapping[str, Vendor]) -> list[str]:
    """Who may answer: a batch is asked of every vendor, whether it has a batch service of its own or not."""
    capabilities = CAPABILITIES_OF_A_BATCH if name == "batch" else (name,)
    return sorted({vendor for capability in capabilities for vendor in able(capability, vendors)})


def row(described: Described, vendors: Mapping[str, Vendor]) -> Json:
    """A capability as the list shows it."""
    names = _asked(described.id, vendors)
    return {
        "id": described.id,
        "method": "POST",
        "path": described.path,
        "description": described.about,
        "available": bool(names),
        "vendors": names,
        "billing": {"unit": BILLING[described.id], "currency": "USD"},
    }


def index(vendors: Mapping[str, Vendor]) -> Json:
    """``GET /v1/discovery``."""
    rows = [row(described, vendors) for described in ALL.values()]
    return {"object": "list", "count": len(rows), "data": rows}


def detail(capability: str, vendors: Mapping[str, Vendor]) -> Json:
    """``GET /v1/discovery/{id}``. Raises NOT_FOUND."""
    described = ALL.get(capability)
    if described is None:
        raise Failure("NOT_FOUND", f"there is no capability {capability!r}; there are {', '.join(ALL)}", param="id")
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema_of(described.fields)
    return row(described, vendors) | {
        "parameters": schema,
        "result": {"type": "object", "properties": described.result},
        "errors": errors_of(capability),
        "examples": [{"request": example} for example in described.examples],
    }


def models(catalogue: Catalogue, vendors: Mapping[str, Vendor], capability: str | None, available_only: bool) -> Json:
    """``GET /v1/ai/models``. Raises INVALID_REQUEST for an unknown capability."""
    if capability is not None and capability not in FIELDS:
        message = f"capability: came {capability!r}, allowed are {', '.join(FIELDS)}"
        raise Failure("INVALID_REQUEST", message, param="capability")
    there = {name: set(able(name, vendors)) for name in FIELDS}
    missing = {name: unavailable_models(vendor) for name, vendor in vendors.items()}
    rows = [
        listed(model, model.vendor in there[model.capability] and model.id not in missing[model.vendor])
        for model in catalogue.models
        if capability in (None, model.capability)
    ]
    shown = [found for found in rows if found["available"] or not available_only]
    return {
        "object": "list",
        "capability": capability,
        "available_only": available_only,
        "count": len(shown),
        "data": shown,
    }


def unavailable_models(vendor: Vendor) -> frozenset[str]:
    """Models that a configured vendor lists but cannot run now (on-machine weights that were not pulled)."""
    found: frozenset[str] = vendor.unavailable() if hasattr(vendor, "unavailable") else frozenset()
    return found


def openai_models(catalogue: Catalogue, vendors: Mapping[str, Vendor]) -> list[Json]:
    """Rows of ``GET /v1/models``: the names that are routed, then every model that is there, once.

    Programs let their users choose from this list only.
    """
    rows = models(catalogue, vendors, None, True)["data"]
    by_id: dict[str, dict[str, Any]] = {found["id"]: found for found in reversed(rows)}
    routed = [{"id": name, "owned_by": "infrai"} for name in ALIASES]
    return [{"object": "model", "created": 0, **found} for found in (*routed, *reversed(by_id.values()))]


def openai_model(catalogue: Catalogue, vendors: Mapping[str, Vendor], model_id: str) -> Json:
    """``GET /v1/models/{id}``. Raises MODEL_NOT_FOUND."""
    found = next((model for model in openai_models(catalogue, vendors) if model["id"] == model_id), None)
    if found is None:
        raise Failure("MODEL_NOT_FOUND", f"there is no model {model_id!r}", param="model")
    return found
