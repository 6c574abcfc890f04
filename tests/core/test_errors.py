from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest

from infrai_core import Infrai
from infrai_core import errors as e
from infrai_core.envelope import error_from
from infrai_core.params import CHOICES, ChatParams, checked


def test_every_code_of_the_table_makes_its_class_and_retryability() -> None:
    for code, rule in e.CODES.items():
        body = json.dumps({"ok": False, "data": None, "error": {"code": code, "message": "m"}}).encode()
        error = error_from(rule.status, body, {})
        assert type(error) is rule.kind
        assert (error.retryable, error.code, error.status) == (rule.retryable, code, rule.status)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, e.InvalidRequest, False),
        (401, e.AuthenticationError, False),
        (402, e.InsufficientCredit, False),
        (403, e.PermissionDenied, False),
        (404, e.NotFound, False),
        (408, e.InvalidRequest, True),
        (409, e.Conflict, False),
        (418, e.InvalidRequest, False),
        (429, e.RateLimited, True),
        (500, e.ServerError, True),
        (529, e.ServerError, True),
    ],
)
def test_an_answer_without_a_code_is_judged_by_its_status(status: int, kind: type, retryable: bool) -> None:
    error = error_from(status, b"<html>oops</html>", {})
    assert type(error) is kind
    assert error.retryable is retryable
    assert "oops" not in str(error)


def test_an_unknown_code_keeps_its_statuss_class() -> None:
    assert type(error_from(429, b'{"ok":false,"error":{"code":"NEW"}}', {})) is e.RateLimited


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "openai", "type": "t", "code": None, "param": "model"}}, "openai"),
        ({"error": "plain"}, "plain"),
        ({"detail": "fastapi"}, "fastapi"),
        ({"message": "bare"}, "bare"),
    ],
)
def test_other_services_error_bodies_are_read(body: object, message: str) -> None:
    assert error_from(400, json.dumps(body).encode(), {}).message == message


def test_openais_code_for_a_full_context_has_its_class() -> None:
    body = json.dumps({"error": {"code": "context_length_exceeded", "message": "too long"}})
    assert type(error_from(400, body, {})) is e.ContextLengthExceeded


def test_an_error_tells_request_vendor_attempts_hint_and_wait() -> None:
    attempts = [{"vendor": "a", "outcome": "VENDOR_TIMEOUT"}]
    metadata = {"request_id": "r", "vendor": "a", "attempts": attempts}
    body = {"ok": False, "error": {"code": "RATE_LIMITED", "message": "m", "hint": "wait"}, "metadata": metadata}
    error = error_from(429, json.dumps(body).encode(), {"retry-after": "3"})
    assert isinstance(error, e.StatusError)
    assert (error.request_id, error.vendor, error.hint, error.retry_after_s) == ("r", "a", "wait", 3)
    assert error.attempts == tuple(attempts)
    assert str(error) == "m (HTTP 429, RATE_LIMITED, request r). wait"


def test_errors_survive_pickling_with_all_they_know() -> None:
    error = e.RateLimited("m", status=429, code="RATE_LIMITED", retry_after_s=3, attempts=[{"vendor": "a"}])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is e.RateLimited
    assert (str(copy), copy.retry_after_s, copy.attempts) == (str(error), 3, ({"vendor": "a"},))


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = e.__doc__ or ""
    for name, kind in vars(e).items():
        if isinstance(kind, type) and issubclass(kind, e.InfraiError):
            assert name in drawn


def test_parameters_are_checked_before_any_io() -> None:
    assert checked(ChatParams, {"task": "coding", "model": None}) == {"task": "coding"}
    for name, allowed in CHOICES.items():
        if name in ChatParams.__annotations__:
            with pytest.raises(e.ConfigError, match=f"{name}='x': allowed are {', '.join(allowed)}"):
                checked(ChatParams, {name: "x"})
    with pytest.raises(e.ConfigError, match="temperature=3: allowed is a number from 0 to 2"):
        checked(ChatParams, {"temperature": 3})
    with pytest.raises(e.ConfigError, match="max_cost_multiplier=inf: allowed is a number at least 1"):
        checked(ChatParams, {"max_cost_multiplier": math.inf})
    with pytest.raises(e.ConfigError, match="did you mean 'max_tokens'"):
        checked(ChatParams, {"max_token": 3})
    with pytest.raises(e.ConfigError, match="max_tokens=True"):
        checked(ChatParams, {"max_tokens": True})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("model", "", "a text that is not empty"),
        ("user", 5, "a text"),
        ("seed", "x", "a whole number"),
        ("stop", 5, "a text or a list of texts"),
        ("stop", [1], "a text or a list of texts"),
        ("tools", "x", "a list of mappings"),
        ("tools", [1], "a list of mappings"),
        ("tool_choice", 5, "a text or a mapping"),
        ("parallel_tool_calls", 1, "True or False"),
        ("response_format", "x", "a mapping"),
        ("extra_body", [1], "a mapping"),
        ("vendor_options", {"anthropic": 1}, "a mapping of vendors to mappings"),
        ("idempotency_key", 5, "1 to 256 printable ASCII"),
        ("idempotency_key", "订单-17", "1 to 256 printable ASCII"),
    ],
)
def test_a_parameter_of_another_kind_is_named_with_what_came_and_what_is_allowed(
    name: str, value: Any, allowed: str
) -> None:
    with pytest.raises(e.ConfigError) as caught:
        checked(ChatParams, {name: value})
    assert str(caught.value).startswith(f"{name}={value!r}: allowed is ")
    assert allowed in str(caught.value)


@pytest.mark.parametrize("headers", [{"x-a": "s3cret\n"}, {"x-a": 5}, {"x-a": "é"}, {"x a": "s3cret"}, [("x-a", "b")]])
def test_what_cannot_be_a_header_is_named_without_its_value(headers: Any) -> None:
    with pytest.raises(e.ConfigError, match=r"extra_headers: .*allowed") as of_call:
        checked(ChatParams, {"extra_headers": headers})
    with pytest.raises(e.ConfigError, match=r"headers: .*allowed") as of_client:
        Infrai("key", base_url="http://127.0.0.1", headers=headers)
    assert "s3cret" not in f"{of_call.value} {of_client.value}"
