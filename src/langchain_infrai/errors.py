"""The client's errors as LangChain knows them: every class here is both ours and one of LangChain's.

::

    InfraiConfigError            ConfigError            ModelInvalidRequestError
    InfraiUnsupportedContent     UnsupportedContent     ModelInvalidRequestError
    InfraiStatusError            StatusError            ModelError
    InfraiAuthenticationError    AuthenticationError    ModelAuthenticationError
    InfraiPermissionDenied       PermissionDenied       ModelPermissionDeniedError
    InfraiInsufficientCredit     InsufficientCredit     ModelError
    InfraiNotFound               NotFound               ModelNotFoundError
    InfraiInvalidRequest         InvalidRequest         ModelInvalidRequestError
    InfraiContextLengthExceeded  ContextLengthExceeded  ContextOverflowError, ModelInvalidRequestError
    InfraiContentFiltered        ContentFiltered        ModelInvalidRequestError
    InfraiConflict               Conflict               ModelError
    InfraiBudgetSpent            BudgetSpent            ModelError
    InfraiRateLimited            RateLimited            ModelRateLimitError
    InfraiServerError            ServerError            ModelAPIError
    InfraiConnectionFailed       ConnectionFailed       ModelConnectionError
    InfraiTimeout                Timeout                ModelTimeoutError
    InfraiProtocolError          ProtocolError          ModelAPIError
    InfraiStreamInterrupted      StreamInterrupted      ModelConnectionError

``is_retryable`` is what the service said of this very failure, not a property of the class: LangChain's retry
middleware reads it. ``ModelRefusalError`` is LangChain's where it has one (from 1.7.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from langchain_core import exceptions as lc
from langchain_core.messages import BaseMessage

import infrai_core as core
from infrai_core.errors import twin_of
from infrai_core.renamed import Renamed


class _Twin(lc.ModelError):
    """Gives LangChain's ``is_retryable`` the answer of this failure."""

    if not TYPE_CHECKING:  # LangChain declares a class attribute; ours differs from error to error

        @property
        def is_retryable(self) -> bool:
            """Whether the same call may succeed when made again."""
            return self.retryable


class InfraiConfigError(core.ConfigError, _Twin, lc.ModelInvalidRequestError):
    """A setting or an argument is missing or wrong; raised before anything is sent."""


class InfraiUnsupportedContent(core.UnsupportedContent, _Twin, lc.ModelInvalidRequestError):
    """A message or content block that has no place on the wire; raised before anything is sent."""


class InfraiStatusError(core.StatusError, _Twin):
    """The service answered with an error that has no class of its own."""


class InfraiAuthenticationError(core.AuthenticationError, _Twin, lc.ModelAuthenticationError):
    """401: the key is missing, unknown or revoked."""


class InfraiPermissionDenied(core.PermissionDenied, _Twin, lc.ModelPermissionDeniedError):
    """403: the key may not do this."""


class InfraiInsufficientCredit(core.InsufficientCredit, _Twin):
    """402: no credit, or a budget is spent. LangChain has no class for it."""


class InfraiNotFound(core.NotFound, _Twin, lc.ModelNotFoundError):
    """404: no such route, model, vendor or object."""


class InfraiInvalidRequest(core.InvalidRequest, _Twin, lc.ModelInvalidRequestError):
    """400 and other 4xx: the request itself is wrong."""


class InfraiContextLengthExceeded(
    core.ContextLengthExceeded, _Twin, lc.ContextOverflowError, lc.ModelInvalidRequestError
):
    """The messages do not fit into the model's context; LangChain's middleware shortens them and tries again."""


class InfraiContentFiltered(core.ContentFiltered, _Twin, lc.ModelInvalidRequestError):
    """A vendor's safety filter refused the request."""


class InfraiConflict(core.Conflict, _Twin):
    """409: the same idempotency key is in use."""


class InfraiBudgetSpent(core.BudgetSpent, _Twin):
    """A budget of the program's own is used up: the call was not made."""


class InfraiRateLimited(core.RateLimited, _Twin, lc.ModelRateLimitError):
    """429: too many requests; ``retry_after_s`` says how long to wait where the service told."""


class InfraiServerError(core.ServerError, _Twin, lc.ModelAPIError):
    """5xx: the service or every vendor behind it failed; ``attempts`` says how."""


class InfraiConnectionFailed(core.ConnectionFailed, _Twin, lc.ModelConnectionError):
    """The service could not be reached."""


class InfraiTimeout(core.Timeout, _Twin, lc.ModelTimeoutError):
    """No answer, or no further chunk of a stream, came in time."""


class InfraiProtocolError(core.ProtocolError, _Twin, lc.ModelAPIError):
    """The answer is not what the protocol allows."""


class InfraiStreamInterrupted(core.StreamInterrupted, _Twin, lc.ModelConnectionError):
    """A stream ended before its end mark; ``partial`` is what came.

    The client does not send it again, but a caller may: that is a new, paid call, and so it is for LangChain.
    """

    if not TYPE_CHECKING:
        is_retryable = True


ERROR_CLASSES: Mapping[type[core.InfraiError], type[core.InfraiError]] = {
    core.ConfigError: InfraiConfigError,
    core.UnsupportedContent: InfraiUnsupportedContent,
    core.StatusError: InfraiStatusError,
    core.AuthenticationError: InfraiAuthenticationError,
    core.PermissionDenied: InfraiPermissionDenied,
    core.InsufficientCredit: InfraiInsufficientCredit,
    core.NotFound: InfraiNotFound,
    core.InvalidRequest: InfraiInvalidRequest,
    core.ContextLengthExceeded: InfraiContextLengthExceeded,
    core.ContentFiltered: InfraiContentFiltered,
    core.Conflict: InfraiConflict,
    core.BudgetSpent: InfraiBudgetSpent,
    core.RateLimited: InfraiRateLimited,
    core.ServerError: InfraiServerError,
    core.ConnectionFailed: InfraiConnectionFailed,
    core.Timeout: InfraiTimeout,
    core.ProtocolError: InfraiProtocolError,
    core.StreamInterrupted: InfraiStreamInterrupted,
}
"""Our class -> its twin, for the ``error_classes`` of a client."""


def _twin(error: Exception) -> core.InfraiError | None:
    if not isinstance(error, core.InfraiError) or (twin := twin_of(error, ERROR_CLASSES)) is error:
        return None
    twin.__cause__ = error.__cause__
    return twin


AS_LANGCHAIN = Renamed(_twin)
"""Raises errors that arise before a client is asked as their twins too."""


class _RefusalStandIn(lc.ModelError):
    """What LangChain's ``ModelRefusalError`` is, for versions that have none: ``raw_message`` is the answer."""

    def __init__(self, message: str = "the model refused", *, raw_message: BaseMessage | None = None) -> None:
        super().__init__(message)
        self.raw_message = raw_message


HAS_REFUSAL_ERROR = hasattr(lc, "ModelRefusalError")
"""Whether LangChain's own parsers raise on a refusal (from 1.7.5)."""
ModelRefusalError: type[_RefusalStandIn] = getattr(lc, "ModelRefusalError", _RefusalStandIn)
"""Raised by ``with_structured_output`` when the model declined: LangChain's class, or its stand-in before 1.7.5."""
