"""Error bodies of vendors, as their pages show them, and what becomes of them."""

from __future__ import annotations

import email.utils
import time
from typing import Any

import orjson
import pytest

from infrai_runtime.vendors.refusal import failure_of

OPENAI_KEY = {  # https://platform.openai.com/docs/guides/error-codes
    "error": {
        "message": "Incorrect API key provided: sk-abcd*********************wxyz. You can find your API key at x.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
}
OPENAI_LONG = {
    "error": {
        "message": "This model's maximum context length is 8192 tokens. However, your messages have 9000 tokens.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}
OPENAI_QUOTA = {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": None}}
AZURE_FILTER = {  # https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
    }
}
ANTHROPIC_BUSY = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
GEMINI_LIMIT = [  # https://ai.google.dev/gemini-api/docs/troubleshooting
    {
        "error": {
            "code": 429,
            "message": "You exceeded your current quota",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "32.5s"}],
        }
    }
]
GEMINI_KEY = {
    "error": {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
    }
}
OLLAMA = {"error": "model 'nope' not found"}
XAI = {"code": "Client specified an invalid argument", "error": "Model not found: nope"}
MISTRAL = {"object": "error", "message": "Requests rate limit exceeded", "type": "rate_limited", "code": "1300"}
FASTAPI = {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "value_error.missing"}]}
OPENROUTER = {"error": {"code": 402, "message": "Insufficient credits"}}
OPENROUTER_LIMIT = {
    "error": {
        "code": 429,
        "message": "Provider returned error",
        "metadata": {
            "raw": "qwen/qwen3-coder:free is temporarily rate-limited upstream.",
            "provider_name": "Venice",
            "is_byok": False,
            "retry_after_seconds": 26,
            "retry_after_seconds_raw": 25.917,
        },
    }
}
FLAGGED = {  # https://openrouter.ai/docs/api/reference/errors-and-debugging ("Moderation Errors")
    "error": {
        "code": 403,
        "message": "x requires moderation. Your input was flagged for violence.",
        "metadata": {
            "reasons": ["violence"],
            "flagged_input": "how to",
            "provider_name": "OpenAI",
            "model_slug": "openai/gpt-4o",
        },
    }
}
GUARDED = {  # https://docs.mistral.ai/studio-api/safety-moderation
    "error": {
        "code": "guardrail_triggered",
        "message": "Request blocked due to: harassment",
        "details": {"categories": ["harassment"]},
    }
}
LONG_AT_TOGETHER = {  # https://docs.together.ai/docs/error-codes
    "error": {
        "message": "Input token count + max_tokens parameter must be less than the context length of the model.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
}
SUSPENDED = {  # https://docs.fireworks.ai/guides/inference-error-codes
    "error": {
        "message": "Account a is suspended, possibly due to reaching the monthly spending limit.",
        "param": None,
        "code": "PRECONDITION_FAILED",
        "type": "error",
    }
}
MINUTE = {  # https://www.alibabacloud.com/help/en/model-studio/error-code#token-limit
    "error": {
        "message": "You exceeded your current quota. For details, see: https://x.com/model-studio/error-code#token-limit",
        "type": "insufficient_quota",
        "code": "insufficient_quota",
    }
}
GROQ = {"error": {"message": "Request too large for model", "type": "tokens", "code": "rate_limit_exceeded"}}


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (401, OPENAI_KEY, "UNAUTHORIZED", "Incorrect API key provided: ***"),
        (400, OPENAI_LONG, "CONTEXT_LENGTH_EXCEEDED", "8192"),
        (429, OPENAI_QUOTA, "INSUFFICIENT_CREDIT", "quota"),
        (400, AZURE_FILTER, "CONTENT_FILTERED", "content management"),
        (529, ANTHROPIC_BUSY, "VENDOR_ERROR", "Overloaded"),
        (429, GEMINI_LIMIT, "RATE_LIMITED", "quota"),
        (400, GEMINI_KEY, "UNAUTHORIZED", "not valid"),
        (404, OLLAMA, "VENDOR_ERROR", "model 'nope' not found"),
        (400, XAI, "INVALID_REQUEST", "Model not found: nope"),
        (429, MISTRAL, "RATE_LIMITED", "rate limit"),
        (422, FASTAPI, "INVALID_REQUEST", "body.messages: field required"),
        (200, OPENROUTER, "INSUFFICIENT_CREDIT", "Insufficient credits (HTTP 402)"),
        (413, GROQ, "RATE_LIMITED", "too large"),
        (413, {}, "PAYLOAD_TOO_LARGE", "no reason given"),
        (200, {"error": {"message": "x"}}, "VENDOR_ERROR", "x (HTTP 502)"),
        (500, b"<html>oops</html>", "VENDOR_ERROR", "no reason given"),
        (503, b"upstream connect error", "VENDOR_ERROR", "upstream connect error"),
        (504, b"", "VENDOR_TIMEOUT", "no reason given"),
        (408, {}, "VENDOR_TIMEOUT", "no reason"),
        (403, {"error": {"message": "no"}}, "FORBIDDEN", "no"),
        (400, {"message": "prompt is too long: 9 tokens > 8 maximum"}, "CONTEXT_LENGTH_EXCEEDED", "too long"),
        (500, {"message": "maximum context"}, "VENDOR_ERROR", "maximum context"),
        (403, FLAGGED, "CONTENT_FILTERED", "flagged"),
        (
            403,
            {"error": {"code": 403, "message": "no", "metadata": {"error_type": "refusal"}}},
            "CONTENT_FILTERED",
            "no",
        ),
        (403, {"error": {"code": 403, "message": "no", "metadata": ["x"]}}, "FORBIDDEN", "no"),
        (403, GUARDED, "CONTENT_FILTERED", "harassment"),
        (403, LONG_AT_TOGETHER, "CONTEXT_LENGTH_EXCEEDED", "context length"),
        (412, SUSPENDED, "INSUFFICIENT_CREDIT", "suspended"),
        (412, {"error": {"message": "The LoRA could not be loaded."}}, "VENDOR_ERROR", "LoRA"),
        (429, MINUTE, "RATE_LIMITED", "quota"),
    ],
)
def test_an_error_body_becomes_a_failure(status: int, body: Any, code: str, words: str) -> None:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    failure = failure_of("acme", status, raw)
    assert (failure.code, failure.message.startswith("acme: ")) == (code, True)
    assert words in failure.message


@pytest.mark.parametrize(
    "body", [[], "text", 3, None, {"error": None}, {"error": []}, {"error": {"message": {"a": 1}}}]
)
def test_no_shape_of_an_error_body_breaks_the_reader(body: Any) -> None:
    assert failure_of("acme", 500, orjson.dumps(body)).code == "VENDOR_ERROR"


def test_the_wait_comes_from_headers_or_from_the_body() -> None:
    assert failure_of("a", 429, b"", {"retry-after": "3"}).retry_after_s == 3
    assert failure_of("a", 429, b"", {"retry-after-ms": "250", "retry-after": "1"}).retry_after_s == 0.25
    later = failure_of("a", 429, b"", {"retry-after": email.utils.formatdate(time.time() + 90, usegmt=True)})
    assert later.retry_after_s is not None
    assert 80 < later.retry_after_s <= 90
    assert failure_of("a", 429, orjson.dumps(GEMINI_LIMIT)).retry_after_s == 32.5
    assert failure_of("a", 429, OPENROUTER_LIMIT).retry_after_s == 26
    assert failure_of("a", 200, OPENROUTER_LIMIT).retry_after_s == 26
    assert failure_of("a", 429, OPENROUTER_LIMIT, {"retry-after": "3"}).retry_after_s == 3
    assert failure_of("a", 429, b"", {"retry-after": "soon"}).retry_after_s is None


@pytest.mark.parametrize("wait", [None, True, "soon", float("nan"), float("inf"), [], {}])
def test_a_wait_in_the_body_that_is_no_number_is_none(wait: Any) -> None:
    body = {"error": {"code": 429, "message": "slow down", "metadata": {"retry_after_seconds": wait}}}
    assert failure_of("a", 429, body).retry_after_s is None


def test_the_message_is_one_short_line_with_the_request_id_and_without_keys() -> None:
    body = orjson.dumps({"error": {"message": "a\nb " * 400 + "end", "code": "x"}})
    failure = failure_of("acme", 500, body, {"x-request-id": "req_1"})
    assert "\n" not in failure.message
    assert len(failure.message) < 460
    assert failure.message.endswith("… (HTTP 500, request req_1)")
    told = failure_of("acme", 400, b'{"error": "key hunter2-key and Bearer abcdefgh are bad"}', secrets=["hunter2-key"])
    assert "hunter2" not in told.message
    assert "abcdefgh" not in told.message


@pytest.mark.parametrize("header", ["retry-after", "retry-after-ms"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e400", "soon"])
def test_a_wait_that_is_no_number_is_none(header: str, value: str) -> None:
    assert failure_of("v", 429, {"error": {"message": "slow down"}}, {header: value}).retry_after_s is None
