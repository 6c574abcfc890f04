"""What a runtime needs to know is checked when it is said, not when it is used."""

from __future__ import annotations

import math
import pwd
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from infrai_core.errors import ConfigError
from infrai_runtime.settings import Settings

NO_TIME = (math.nan, math.inf, 0, -1, "5", True, None)
NO_COUNT = (math.nan, math.inf, -1, "5", 2.5, True, None)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *((name, NO_TIME) for name in ("first_token_timeout_s", "idle_timeout_s", "connect_timeout_s", "media_ttl_s")),
        *((name, NO_TIME) for name in ("batch_poll_s", "first_delta_wait_s", "keep_alive_s")),
        *((name, NO_COUNT) for name in ("port", "retries", "batch_concurrency", "activations_per_minute")),
        *((name, (0, *NO_COUNT)) for name in ("max_body_bytes", "max_batch_bytes")),
        *((name, ("yes", 1, None)) for name in ("no_auth", "embedded", "telemetry", "telemetry_content")),
        ("max_connections", (0, *(value for value in NO_COUNT if value is not None))),
        ("retry_pause_s", (math.nan, math.inf, -1, "5", None)),
        ("trial_credit_usd", (Decimal("nan"), Decimal("inf"), Decimal(-1), "5")),
        ("port", (65536,)),
        ("host", ("", " ", None)),
        ("vendors", ("openai",)),
        ("public_url", ("infrai.example", "ftp://infrai.example", "https://infrai.example:99999", 5)),
    ],
)
def test_a_value_that_cannot_be_meant_is_named(name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(ConfigError, match=f"^{name}=.*: allowed is "):
            Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INFRAI_PUBLIC_URL", "infrai.example"),
        ("INFRAI_PUBLIC_URL", "https://user:hunter2@infrai.example"),
        ("INFRAI_VENDORS", " , "),
        ("INFRAI_DATABASE", "mysql://user:hunter2@db/infrai"),
        ("INFRAI_BATCH_CONCURRENCY", "many"),
        ("INFRAI_MAX_CONNECTIONS", "many"),
        ("INFRAI_BODY_TIMEOUT", "0"),
        ("INFRAI_BODY_TIMEOUT", "nan"),
        ("INFRAI_TELEMETRY", "yes"),
    ],
)
def test_a_wrong_variable_is_named_and_no_password_is_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}.*: allowed ") as caught:
        Settings.from_environment({name: value})
    assert "hunter2" not in str(caught.value)


def test_the_time_that_a_body_may_stand_still_is_in_the_environment() -> None:
    assert Settings.from_environment({"INFRAI_BODY_TIMEOUT": "1.5"}).body_timeout_s == 1.5
    assert Settings.from_environment({}).body_timeout_s == 60


def test_the_own_address_of_a_server_is_a_url_for_ipv6_too() -> None:
    assert Settings(host="::1", port=9).own_url == "http://[::1]:9"
    assert Settings.from_environment({"INFRAI_PUBLIC_URL": "https://infrai.example/ai/"}).public_url == (
        "https://infrai.example/ai"
    )


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a number that no list of users has."""

    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("INFRAI_HOME", raising=False)
    with pytest.raises(ConfigError, match=r"^INFRAI_HOME: it is not set, and this user has no home"):
        Settings.from_environment({})
    assert Settings.from_environment({"INFRAI_HOME": "/srv/infrai"}).home == Path("/srv/infrai")
