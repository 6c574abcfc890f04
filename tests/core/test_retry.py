from __future__ import annotations

import re
import time
from typing import Any

import pytest

from infrai_core import ConfigError, ConnectionFailed, InvalidRequest, RateLimited, Retry, ServerError
from infrai_core.retry import parse_retry_after

DOWN = ConnectionFailed("down")


def rate_limited(after_s: float | None) -> RateLimited:
    return RateLimited("slow down", status=429, code="RATE_LIMITED", retry_after_s=after_s)


def test_delays_double_up_to_the_longest_one() -> None:
    retry = Retry(attempts=9, jitter=0)
    assert [retry.delay(n, DOWN) for n in range(6)] == [0.5, 1, 2, 4, 8, 8]


def test_jitter_only_shortens() -> None:
    assert Retry(jitter=0.25).delay(0, DOWN, chance=lambda: 1.0) == 0.375
    assert Retry(jitter=0.25).delay(0, DOWN, chance=lambda: 0.0) == 0.5


def test_it_gives_up_after_its_attempts_and_for_errors_that_stay() -> None:
    assert Retry(attempts=1).delay(1, DOWN) is None
    assert Retry(attempts=0).delay(0, DOWN) is None
    assert Retry().delay(0, InvalidRequest("no", status=400)) is None


def test_the_services_wait_is_honoured_up_to_its_limit() -> None:
    assert Retry().delay(0, rate_limited(7)) == 7
    assert Retry().delay(0, rate_limited(0)) == 0
    assert Retry().delay(0, rate_limited(61)) is None


def test_a_service_that_says_not_retryable_is_believed() -> None:
    assert Retry().delay(0, ServerError("all vendors failed", status=502, code="VENDOR_ERROR")) is None
    assert Retry().delay(0, ServerError("hm", status=500, retryable=False)) is None
    assert Retry().delay(0, ServerError("hm", status=500)) is not None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2", 2), ("0.5", 0.5), ("-3", 0), ("Wed, 21 Oct 2015 07:28:07 GMT", 7), ("Wed, 21 Oct 2015 07:27:00 GMT", 0)],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(header: str, seconds: float) -> None:
    now_s = 1445412480.0  # Wed, 21 Oct 2015 07:28:00 GMT
    assert parse_retry_after(header, now_s) == seconds


@pytest.mark.parametrize("header", [None, "", "soon", "nan", "inf", "1e400", "Wed, 99 Oct"])
def test_an_unreadable_retry_after_is_no_wait(header: str | None) -> None:
    assert parse_retry_after(header, 0) is None


@pytest.mark.parametrize(
    "date", ["Wed, 21 Oct 2015 07:28:07 GMT", "Wednesday, 21-Oct-15 07:28:07 GMT", "Wed Oct 21 07:28:07 2015"]
)
def test_each_form_of_an_http_date_is_in_utc_wherever_the_client_is(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert parse_retry_after(date, 1445412480.0) == 7
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("name", "value"),
    [("jitter", 2), ("attempts", "2"), ("attempts", -1), ("first_s", float("nan")), ("max_s", -1), ("max_s", None)],
)
def test_a_policy_that_makes_no_sense_is_refused_by_name_and_value(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{name}={value!r}: allowed is")):
        Retry(**{name: value})
