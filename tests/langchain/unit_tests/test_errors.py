"""Every error is ours and LangChain's at once."""

from __future__ import annotations

import pickle

import pytest
from langchain_core import exceptions as lc

import infrai_core as core
from infrai_core.errors import CODES
from infrai_core.testing import Script, failure
from langchain_infrai import ChatInfrai
from langchain_infrai.errors import ERROR_CLASSES, InfraiConnectionFailed, InfraiTimeout

EXPECTED = {
    "INVALID_REQUEST": lc.ModelInvalidRequestError,
    "CONTEXT_LENGTH_EXCEEDED": lc.ContextOverflowError,
    "CONTENT_FILTERED": lc.ModelInvalidRequestError,
    "UNAUTHORIZED": lc.ModelAuthenticationError,
    "FORBIDDEN": lc.ModelPermissionDeniedError,
    "INSUFFICIENT_CREDIT": lc.ModelError,
    "NOT_FOUND": lc.ModelNotFoundError,
    "MODEL_NOT_FOUND": lc.ModelNotFoundError,
    "RATE_LIMITED": lc.ModelRateLimitError,
    "VENDOR_ERROR": lc.ModelAPIError,
    "OVERLOADED": lc.ModelAPIError,
    "VENDOR_TIMEOUT": lc.ModelAPIError,
}


@pytest.mark.parametrize("code", CODES)
def test_each_code_of_the_wire_raises_both_classes_and_says_whether_to_retry(code: str) -> None:
    script = Script([failure(code)])
    model = ChatInfrai(api_key="key", max_retries=0, client_options={"transport": script})
    with pytest.raises(EXPECTED.get(code, lc.ModelError)) as caught:
        model.invoke("hello")
    assert isinstance(caught.value, CODES[code].kind)
    assert caught.value.is_retryable is CODES[code].retryable


@pytest.mark.parametrize("kind", ERROR_CLASSES)
def test_a_twin_is_a_subclass_of_its_original_and_of_a_class_of_langchain(kind: type[core.InfraiError]) -> None:
    assert issubclass(ERROR_CLASSES[kind], kind)
    assert issubclass(ERROR_CLASSES[kind], lc.ModelError)


def test_every_answer_of_the_service_has_a_twin() -> None:
    exported = [getattr(core, name) for name in core.__all__]
    kinds = {kind for kind in exported if isinstance(kind, type) and issubclass(kind, core.StatusError)}
    assert kinds <= set(ERROR_CLASSES)


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [(InfraiConnectionFailed, lc.ModelConnectionError), (InfraiTimeout, lc.ModelTimeoutError)],
)
def test_connection_errors_are_langchains_and_retryable(kind: type[lc.ModelError], theirs: type[lc.ModelError]) -> None:
    error = kind("gone")
    assert isinstance(error, theirs)
    assert error.is_retryable
    assert isinstance(pickle.loads(pickle.dumps(error)), kind)


def test_a_status_error_survives_pickling_with_its_facts() -> None:
    error = ERROR_CLASSES[core.RateLimited]("slow", status=429, code="RATE_LIMITED", retry_after_s=3)  # type: ignore[call-arg]  # the mapping's type hides it
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.retry_after_s, again.is_retryable) == (type(error), 3, True)
