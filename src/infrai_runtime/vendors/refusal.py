"""A vendor's error answer as a ``Failure``. Pure: status, headers and body in, failure out.

Vendors write errors in a few shapes; one tolerant reader knows them all:

- ``{"error": {"message", "type", "code", "param"}}``: OpenAI and most that follow it
- ``{"type": "error", "error": {"type", "message"}}``: Anthropic
- ``{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [...]}}``, also in a list: Gemini
- ``{"error": "text"}`` (Ollama, llama.cpp), with ``code`` beside it (xAI); ``{"message"}`` (Cohere, Mistral)
- ``{"detail": "text" | [{"loc", "msg"}]}``: servers made with FastAPI (vLLM, Mistral)
- ``{"error": {"code": 403, "message", "metadata": {"error_type", "flagged_input", ...}}}``: OpenRouter

The status decides; the vendor's own word for the error is more exact and goes before it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

import orjson

from infrai_core.retry import parse_retry_after
from infrai_runtime.failure import Failure
from infrai_runtime.redact import redacted

MAX_MESSAGE_CHARACTERS = 400

_BY_STATUS = {
    400: "INVALID_REQUEST",
    401: "UNAUTHORIZED",
    402: "INSUFFICIENT_CREDIT",
    403: "FORBIDDEN",
    408: "VENDOR_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    422: "INVALID_REQUEST",
    429: "RATE_LIMITED",
    498: "RATE_LIMITED",  # Groq: flex capacity
    504: "VENDOR_TIMEOUT",
    524: "VENDOR_TIMEOUT",  # Cloudflare, before Together and OpenRouter
}
"""Everything else is a VENDOR_ERROR: also 404 (the vendor does not have the model), which another vendor may have."""

_BY_WORD = {
    # OpenAI and its followers: https://platform.openai.com/docs/guides/error-codes
    "context_length_exceeded": "CONTEXT_LENGTH_EXCEEDED",
    "string_above_max_length": "CONTEXT_LENGTH_EXCEEDED",
    "content_filter": "CONTENT_FILTERED",
    "content_policy_violation": "CONTENT_FILTERED",
    "moderation_blocked": "CONTENT_FILTERED",
    "responsibleaipolicyviolation": "CONTENT_FILTERED",  # Azure, in `innererror`
    "data_inspection_failed": "CONTENT_FILTERED",  # DashScope
    "datainspectionfailed": "CONTENT_FILTERED",
    "insufficient_quota": "INSUFFICIENT_CREDIT",
    "billing_hard_limit_reached": "INSUFFICIENT_CREDIT",
    "billing_not_active": "INSUFFICIENT_CREDIT",
    "exceeded_current_quota_error": "INSUFFICIENT_CREDIT",  # Moonshot
    "arrearage": "INSUFFICIENT_CREDIT",  # DashScope
    "rate_limit_exceeded": "RATE_LIMITED",
    "rate_limit_reached_error": "RATE_LIMITED",
    "rate_limit_error": "RATE_LIMITED",
    "invalid_api_key": "UNAUTHORIZED",
    "invalid_authentication_error": "UNAUTHORIZED",
    "model_not_found": "VENDOR_ERROR",
    "server_error": "VENDOR_ERROR",
    # Anthropic: https://docs.anthropic.com/en/api/errors
    "authentication_error": "UNAUTHORIZED",
    "permission_error": "FORBIDDEN",
    "billing_error": "INSUFFICIENT_CREDIT",
    "not_found_error": "VENDOR_ERROR",
    "request_too_large": "PAYLOAD_TOO_LARGE",
    "timeout_error": "VENDOR_TIMEOUT",
    "overloaded_error": "VENDOR_ERROR",
    "api_error": "VENDOR_ERROR",
    # Gemini: https://ai.google.dev/gemini-api/docs/troubleshooting
    "api_key_invalid": "UNAUTHORIZED",
    "unauthenticated": "UNAUTHORIZED",
    "permission_denied": "FORBIDDEN",
    "resource_exhausted": "RATE_LIMITED",
    "deadline_exceeded": "VENDOR_TIMEOUT",
    "unavailable": "VENDOR_ERROR",
    "internal": "VENDOR_ERROR",
    # OpenRouter, in `metadata`: https://openrouter.ai/docs/api/reference/errors-and-debugging
    "refusal": "CONTENT_FILTERED",
    "invalid_request": "INVALID_REQUEST",
    "invalid_prompt": "INVALID_REQUEST",
    "string_too_long": "CONTEXT_LENGTH_EXCEEDED",
    "authentication": "UNAUTHORIZED",
    "payment_required": "INSUFFICIENT_CREDIT",
    "payload_too_large": "PAYLOAD_TOO_LARGE",
    "timeout": "VENDOR_TIMEOUT",
    # Mistral's guardrails: https://docs.mistral.ai/studio-api/safety-moderation
    "guardrail_triggered": "CONTENT_FILTERED",
}

_TOO_LONG = re.compile(
    r"(?i)context (?:length|window|size)|maximum context|too many (?:input )?tokens"
    r"|prompt (?:is )?too long|too long for"
    r"|input token count|exceeds? the (?:model'?s )?max(?:imum)?(?: input)? (?:length|tokens)|reduce the length"
    r"|range of input length"
)
_SUSPENDED = re.compile(r"(?i)account .{0,100}suspended|spending limit")
_ONLY_IN_WORDS: tuple[tuple[Set[int], re.Pattern[str], str], ...] = (
    # 403 is Together's: https://docs.together.ai/docs/error-codes
    (frozenset({400, 403, 413, 422}), _TOO_LONG, "CONTEXT_LENGTH_EXCEEDED"),
    # Fireworks: https://docs.fireworks.ai/guides/inference-error-codes
    (frozenset({412}), _SUSPENDED, "INSUFFICIENT_CREDIT"),
    # Zhipu, whose own words are numbers: https://docs.z.ai/api-reference/api-code
    (frozenset({429}), re.compile(r"(?i)insufficient balance|余额不足"), "INSUFFICIENT_CREDIT"),
    (frozenset({400}), re.compile(r"(?i)unsafe or sensitive content|不安全或敏感内容"), "CONTENT_FILTERED"),
)
"""What some say in the message alone: statuses, words, our code."""

_OF_A_MINUTE = re.compile(r"#token-limit")
"""DashScope says ``insufficient_quota`` for its limit of tokens in a minute too, and links to that
(https://www.alibabacloud.com/help/en/model-studio/error-code#token-limit)."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an error body says."""

    message: str
    words: tuple[str, ...] = ()
    """The vendor's own words for the error, the most exact first."""
    retry_after_s: float | None = None
    status: int | None = None
    """The status that stands in the body: what counts where HTTP said 200."""


def failure_of(
    vendor: str, status: int, body: bytes | Any, headers: Mapping[str, str] | None = None, secrets: Iterable[str] = ()
) -> Failure:
    """The failure for an error answer. ``body`` are its bytes, or what was parsed of them; an error with status 200
    has the status that its body names, else 502."""
    found = said(body)
    status = status if status >= 300 else found.status or 502
    headers = headers or {}
    wait_s = _retry_after_s(headers)
    text = redacted(" ".join(found.message.split()), secrets)
    short = text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"
    request_id = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
    facts = [f"HTTP {status}", *([f"request {redacted(request_id[:80])}"] if request_id else [])]
    return Failure(
        code_of(status, found),
        f"{vendor}: {short or 'no reason given'} ({', '.join(facts)})",
        retry_after_s=found.retry_after_s if wait_s is None else wait_s,
        transient=status >= 500 or status in (408, 409, 425),
    )


_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "cf-ray")


def code_of(status: int, found: Said) -> str:
    """The wire's error code of an answer."""
    named = next((_BY_WORD[word] for word in found.words if word in _BY_WORD), None)
    if named == "INSUFFICIENT_CREDIT" and _OF_A_MINUTE.search(found.message):
        return "RATE_LIMITED"
    return named or _in_words(status, found.message) or _BY_STATUS.get(status, "VENDOR_ERROR")


def _in_words(status: int, message: str) -> str | None:
    told = (code for statuses, words, code in _ONLY_IN_WORDS if status in statuses and words.search(message))
    return next(told, None)


def said(body: bytes | Any) -> Said:
    """What a body says, in whichever of the known shapes; a page of HTML says nothing."""
    if isinstance(body, bytes):
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError:
            return Said("" if body.lstrip()[:1] == b"<" else body[:2000].decode("utf-8", "replace"))
    if isinstance(body, list):
        body = body[0] if body else {}
    return _of_object(body) if isinstance(body, dict) else Said(str(body))


def _of_object(body: Mapping[str, Any]) -> Said:
    error = body.get("error", body)
    if not isinstance(error, dict):
        return Said(str(error), _words(body))
    inner = error.get("innererror") or error.get("inner_error") or {}
    details = [row for row in error.get("details") or () if isinstance(row, dict)]
    rows = [*details, inner if isinstance(inner, dict) else {}, error]
    message = error.get("message") or error.get("msg") or error.get("detail") or body.get("message") or ""
    code = error.get("code")
    inner_status = code if isinstance(code, int) and 400 <= code <= 599 else None
    words = (*_routed(error.get("metadata")), *(word for row in rows for word in _words(row)))
    wait_s = _retry_delay_s(details)
    return Said(_text(message), words, _routed_wait_s(error) if wait_s is None else wait_s, inner_status)


def _routed(metadata: Any) -> tuple[str, ...]:
    """OpenRouter's words; what its moderation flagged has none but the input itself."""
    if not isinstance(metadata, dict):
        return ()
    kind = metadata.get("error_type")
    flagged = ("content_policy_violation",) if "flagged_input" in metadata else ()
    return (*flagged, kind) if isinstance(kind, str) else flagged


def _routed_wait_s(error: Mapping[str, Any]) -> float | None:
    """OpenRouter's seconds until its free models answer again. Its pages do not name the field; its 429s have it, also
    those that come inside of an answer, without a header."""
    metadata = error.get("metadata")
    wait_s = metadata.get("retry_after_seconds") if isinstance(metadata, dict) else None
    known = isinstance(wait_s, int | float) and not isinstance(wait_s, bool)
    return parse_retry_after(str(wait_s), time.time()) if known else None


def _words(row: Mapping[str, Any]) -> tuple[str, ...]:
    found = (row.get(name) for name in ("error_type", "reason", "code", "type", "status"))
    return tuple(word.lower() for word in found if isinstance(word, str))


def _text(message: Any) -> str:
    """A message, also FastAPI's list of ``{"loc", "msg"}``."""
    if isinstance(message, str):
        return message
    if isinstance(message, dict) and "detail" in message:
        return _text(message["detail"])
    if isinstance(message, list):
        return "; ".join(_located(row) if isinstance(row, dict) else str(row) for row in message)
    return orjson.dumps(message, default=str).decode()


def _located(row: Mapping[str, Any]) -> str:
    where = ".".join(map(str, row.get("loc", ())))
    return f"{where}: {row.get('msg', '')}" if where else str(row.get("msg", ""))


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """``retry-after-ms`` (OpenAI, Azure), else ``Retry-After`` as seconds or a date."""
    milliseconds = headers.get("retry-after-ms", "")
    if milliseconds.replace(".", "", 1).isdecimal():
        return parse_retry_after(str(float(milliseconds) / 1000), time.time())
    return parse_retry_after(headers.get("retry-after"), time.time())


def _retry_delay_s(details: Iterable[Mapping[str, Any]]) -> float | None:
    """Gemini's ``RetryInfo``: ``{"retryDelay": "32s"}``."""
    delays = (str(row["retryDelay"]).removesuffix("s") for row in details if "retryDelay" in row)
    return next((float(delay) for delay in delays if delay.replace(".", "", 1).isdigit()), None)
