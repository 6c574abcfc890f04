"""Every error of the client, in one tree.

::

    InfraiError(.retryable)
      ConfigError                     a setting is missing or wrong; raised before any I/O, says the ways to fix it
      UnsupportedContent              a content part or option that no mapping knows; raised before any I/O
      BudgetSpent                     a budget of the caller's own is used up; raised before any I/O
      ConnectionFailed                the service could not be reached
        Timeout                       ... or not in time
      ProtocolError                   the service answered with something that is not its protocol
        StreamInterrupted             ... a stream that ended before its end mark
        ParseFailed                   ... content that does not fit the class given as ``parse``
      StatusError(.status .code .hint .request_id .retry_after_s .vendor .attempts)
        AuthenticationError PermissionDenied InsufficientCredit NotFound
        InvalidRequest
          ContextLengthExceeded ContentFiltered
        Conflict RateLimited ServerError

You did something wrong: ``ConfigError``, ``UnsupportedContent``, ``InvalidRequest``. They did: ``ServerError``,
``ProtocolError``. No message, attribute or ``repr`` of an error holds an API key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple


class InfraiError(Exception):
    """Base of every error this client raises. ``retryable``: the same call may succeed when made again."""

    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(InfraiError):
    """A setting is missing or wrong. Raised before any I/O."""


class UnsupportedContent(InfraiError):
    """A content part or option that no mapping knows. Raised before any I/O; the message names it."""


class BudgetSpent(InfraiError):
    """A ``Budget`` of the caller's own is used up: the call was not made. The service's own budgets are a 402."""

    def __init__(self, message: str, limit_usd: Decimal | None = None, spent_usd: Decimal | None = None) -> None:
        super().__init__(message)
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd


class ConnectionFailed(InfraiError):
    """The service could not be reached, or the connection broke before the answer began."""

    retryable = True


class Timeout(ConnectionFailed):
    """No answer, or no further chunk of a stream, came in time."""


class ProtocolError(InfraiError):
    """The answer is not what the protocol allows (not JSON, an oversized event, a missing field)."""


class StreamInterrupted(ProtocolError):
    """A stream ended before its end mark. What was received so far is in ``partial`` (a ``ChatReply`` or None)."""

    def __init__(self, message: str, partial: Any = None) -> None:
        super().__init__(message)
        self.partial = partial


class ParseFailed(ProtocolError):
    """The content does not validate against the class given as ``parse``; ``reply`` is the whole ``ChatReply``."""

    def __init__(self, message: str, reply: Any = None) -> None:
        super().__init__(message)
        self.reply = reply


class StatusError(InfraiError):
    """The service answered with an error.

    ``status`` is the HTTP status (also for an error inside a stream, then taken from ``code``), ``code`` the wire's
    error code, ``param`` the request field at fault, ``attempts`` one row per vendor that was tried.
    ``retry_after_s`` is what the service asked for, in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        hint: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        vendor: str | None = None,
        attempts: Sequence[Mapping[str, Any]] = (),
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.hint = hint
        self.param = param
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.vendor = vendor
        self.attempts = tuple(attempts)
        self.retryable = _retryable(status, code, retry_after_s) if retryable is None else retryable

    def __str__(self) -> str:
        facts = [f"HTTP {self.status}", self.code, self.request_id and f"request {self.request_id}"]
        text = f"{self.message} ({', '.join(f for f in facts if f)})"
        return f"{text}. {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception.__reduce__ calls the class with args only and would lose the required keyword `status`.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(kind: type[StatusError], args: tuple[Any, ...], state: dict[str, Any]) -> StatusError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class AuthenticationError(StatusError):
    """401: the key is missing, unknown or revoked."""


class PermissionDenied(StatusError):
    """403: the key may not do this."""


class InsufficientCredit(StatusError):
    """402: no credit, or a budget is spent."""


class NotFound(StatusError):
    """404: no such route, model, vendor or object."""


class InvalidRequest(StatusError):
    """400, 413, 422 and other 4xx: the request itself is wrong; sending it again does not help."""


class ContextLengthExceeded(InvalidRequest):
    """400 CONTEXT_LENGTH_EXCEEDED: the messages do not fit into the model's context."""


class ContentFiltered(InvalidRequest):
    """400 CONTENT_FILTERED: a vendor's safety filter refused the request."""


class Conflict(StatusError):
    """409: the same idempotency key is in use."""


class RateLimited(StatusError):
    """429: too many requests; ``retry_after_s`` says how long to wait where the service told."""


class ServerError(StatusError):
    """5xx: the service or every vendor behind it failed; ``attempts`` says how."""


class CodeRule(NamedTuple):
    """One row of the wire's error table (docs/protocol.md, section 8)."""

    status: int
    retryable: bool
    kind: type[StatusError]


CODES: dict[str, CodeRule] = {
    "INVALID_REQUEST": CodeRule(400, False, InvalidRequest),
    "CONTEXT_LENGTH_EXCEEDED": CodeRule(400, False, ContextLengthExceeded),
    "CONTENT_FILTERED": CodeRule(400, False, ContentFiltered),
    "UNSUPPORTED_CAPABILITY": CodeRule(400, False, InvalidRequest),
    "UNAUTHORIZED": CodeRule(401, False, AuthenticationError),
    "INSUFFICIENT_CREDIT": CodeRule(402, False, InsufficientCredit),
    "BUDGET_EXCEEDED": CodeRule(402, False, InsufficientCredit),
    "FORBIDDEN": CodeRule(403, False, PermissionDenied),
    "NOT_FOUND": CodeRule(404, False, NotFound),
    "MODEL_NOT_FOUND": CodeRule(404, False, NotFound),
    "VENDOR_NOT_FOUND": CodeRule(404, False, NotFound),
    "METHOD_NOT_ALLOWED": CodeRule(405, False, InvalidRequest),
    "REQUEST_TIMEOUT": CodeRule(408, True, InvalidRequest),
    "IDEMPOTENCY_IN_PROGRESS": CodeRule(409, True, Conflict),
    "BATCH_NOT_DONE": CodeRule(409, False, Conflict),
    "BATCH_CANCELLED": CodeRule(409, False, Conflict),
    "BATCH_EXPIRED": CodeRule(409, False, Conflict),
    "PAYLOAD_TOO_LARGE": CodeRule(413, False, InvalidRequest),
    "UNSUPPORTED_MEDIA_TYPE": CodeRule(415, False, InvalidRequest),
    "IDEMPOTENCY_CONFLICT": CodeRule(422, False, InvalidRequest),
    "RATE_LIMITED": CodeRule(429, True, RateLimited),
    "INTERNAL_ERROR": CodeRule(500, True, ServerError),
    "VENDOR_ERROR": CodeRule(502, False, ServerError),
    "NO_VENDOR_AVAILABLE": CodeRule(503, False, ServerError),
    "COST_CAP_REACHED": CodeRule(503, False, ServerError),
    "OVERLOADED": CodeRule(503, True, ServerError),
    "SHUTTING_DOWN": CodeRule(503, True, ServerError),
    "VENDOR_TIMEOUT": CodeRule(504, False, ServerError),
}
"""Code -> status, retryable, class. The client and the runtime both read this table."""

_BY_STATUS: dict[int, type[StatusError]] = {
    401: AuthenticationError,
    402: InsufficientCredit,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
# What OpenAI-compatible services put into `error.code` for conditions that have a class of their own here.
# https://platform.openai.com/docs/guides/error-codes
_FOREIGN_CODES = {
    "context_length_exceeded": ContextLengthExceeded,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "insufficient_quota": InsufficientCredit,
}


def error_class(status: int, code: str | None) -> type[StatusError]:
    """The class for an answer: by its code where the code is known, else by its status."""
    if code in CODES:
        return CODES[code].kind
    if code in _FOREIGN_CODES:
        return _FOREIGN_CODES[code]
    return _BY_STATUS.get(status, ServerError if status >= 500 else InvalidRequest)


def _retryable(status: int, code: str | None, retry_after_s: float | None) -> bool:
    if code in CODES:
        return CODES[code].retryable
    if status == 409:
        return retry_after_s is not None
    return status in (408, 429) or status >= 500


def twin_of(error: InfraiError, twins: Mapping[type[InfraiError], type[InfraiError]]) -> InfraiError:
    """The error as the class that ``twins`` has for it, else the error itself; the most derived entry wins."""
    kinds = (twins[kind] for kind in type(error).__mro__ if kind in twins)
    twin = next(kinds, None)
    if twin is None or isinstance(error, twin):
        return error
    new = twin.__new__(twin)
    new.args = error.args
    new.__dict__.update(error.__dict__)
    return new
