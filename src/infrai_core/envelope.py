"""Answers as they come over HTTP -> plain data with metadata, or the error they mean. The only place that reads
envelopes, bare bodies and error bodies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from infrai_core.errors import CODES, InfraiError, ProtocolError, StatusError, error_class
from infrai_core.parse import parsed
from infrai_core.retry import parse_retry_after

Headers = Mapping[str, str]
"""Header names in lower case."""


def opened(content: bytes, headers: Headers, what: str) -> dict[str, Any]:
    """The data of a successful answer with its ``metadata``; the envelope and a bare body are both read.

    Raises ``ProtocolError`` for what is not a JSON object, ``StatusError`` for an envelope with ``ok: false`` and for a
    bare error object.
    """
    body = _json_object(content, what)
    enveloped = "ok" in body
    if body["ok"] is False if enveloped else body.get("error"):
        raise error_from(200, content, headers)
    if not enveloped or "data" not in body:
        return {**body, "metadata": _header_metadata(body, headers)}
    found = body["data"]
    data: dict[str, Any] = found if isinstance(found, dict) else {"data": found}
    data["metadata"] = body.get("metadata") or {}
    return data


def _json_object(content: bytes, what: str) -> dict[str, Any]:
    try:
        body = parsed(content)
    except ValueError:
        raise ProtocolError(f"the answer to {what} is not JSON") from None
    if isinstance(body, list):
        return {"data": body}
    if not isinstance(body, dict):
        raise ProtocolError(f"the answer to {what} is not a JSON object")
    return body


_FROM_HEADERS = {
    "x-infrai-cost-usd": "cost_usd",
    "x-infrai-vendor": "vendor",
    "x-infrai-model": "model",
    "x-infrai-latency-ms": "latency_ms",
    "x-infrai-request-id": "request_id",
}


def _header_metadata(body: Mapping[str, Any], headers: Headers) -> dict[str, Any]:
    given = {_FROM_HEADERS[name]: value for name, value in headers.items() if value and name in _FROM_HEADERS}
    return {**given, **(body.get("metadata") or body.get("_metadata") or {}), **(body.get("infrai") or {})}


def header_metadata(headers: Headers) -> dict[str, Any]:
    """What the headers alone say about how a call was served."""
    return _header_metadata({}, headers)


def error_from(status: int, content: bytes | str, headers: Headers) -> InfraiError:
    """The error that an answer means. Reads envelopes, OpenAI-shaped errors and plain bodies.

    An answer that tells nothing but its status still has a class and a message; the body itself is not repeated in
    the message, except the words of the service's own ``message``.
    """
    body = _maybe_object(content)
    error = _error_object(body)
    code = _text(error.get("code"))
    known = CODES.get(code or "")
    if status < 400:
        status = known.status if known else 502
    metadata = body.get("metadata") if isinstance(body.get("metadata"), dict) else {}
    assert isinstance(metadata, dict)
    retry_after = parse_retry_after(headers.get("retry-after"), time.time())
    retryable = error.get("retryable")
    kind = error_class(status, code)
    return kind(
        _text(error.get("message")) or f"the service answered with status {status}",
        status=status,
        code=code,
        hint=_text(error.get("hint")),
        param=_text(error.get("param")),
        request_id=_text(metadata.get("request_id")) or headers.get("x-infrai-request-id"),
        retry_after_s=retry_after,
        vendor=_text(metadata.get("vendor")) or headers.get("x-infrai-vendor"),
        attempts=metadata.get("attempts") or (),
        retryable=retryable if isinstance(retryable, bool) else None,
    )


def _maybe_object(content: bytes | str) -> dict[str, Any]:
    try:
        body = parsed(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _error_object(body: Mapping[str, Any]) -> dict[str, Any]:
    """The error in any of the shapes seen: an object, a string, or FastAPI's ``detail``."""
    error = body.get("error", body.get("detail", body.get("message")))
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else {}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def missing_route(error: StatusError, content: bytes) -> StatusError:
    """A 404 that did not come from an Infrai service gets the hint to try the other dialect."""
    if error.status == 404 and "ok" not in _maybe_object(content) and not error.hint:
        error.hint = 'The service has no such native route; if it speaks only the OpenAI surface, use dialect="openai"'
    return error
