from __future__ import annotations

import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_core import AsyncInfrai, ConfigError, Infrai
from infrai_core.config import HOSTED, read_profile, resolve, write_profile

SECRET = "ifr_pk_proj_very_secret"


def key_of(**options: object) -> str | None:
    key = resolve(**options).api_key  # type: ignore[arg-type]  # the options are what is under test
    return key.get_secret_value() if key else None


def test_the_key_comes_from_argument_then_environment_then_profile(own_home: Path) -> None:
    write_profile({"api_key": "stored", "base_url": HOSTED})
    assert key_of(environ={"INFRAI_HOME": str(own_home)}) == "stored"
    assert key_of(environ={"INFRAI_HOME": str(own_home), "INFRAI_API_KEY": "env"}) == "env"
    assert key_of(api_key="arg", environ={"INFRAI_API_KEY": "env"}) == "arg"


def test_the_base_url_comes_from_argument_then_environment_then_profile_then_the_hosted_one(own_home: Path) -> None:
    write_profile({"api_key": "k", "base_url": "https://mine.example/v1"})
    env = {"INFRAI_HOME": str(own_home)}
    assert resolve(environ=env).base_url == "https://mine.example/v1"
    assert (
        resolve(api_key="k", environ={**env, "INFRAI_BASE_URL": "https://e.example"}).base_url == "https://e.example/v1"
    )
    assert resolve(api_key="k", base_url="https://a.example/", environ=env).base_url == "https://a.example/v1"
    assert resolve(api_key="k", environ={"INFRAI_HOME": "/nowhere"}).base_url == HOSTED


def test_a_stored_key_goes_only_to_the_base_url_it_belongs_to(own_home: Path) -> None:
    write_profile({"api_key": "stored", "base_url": "https://mine.example/v1"})
    assert key_of(base_url="https://mine.example") == "stored"
    assert key_of(base_url="https://other.example") is None


@pytest.mark.parametrize("elsewhere", [{}, {"INFRAI_BASE_URL": "https://other.example"}])
def test_the_key_of_the_environment_goes_to_the_base_url_that_the_code_names(
    own_home: Path, elsewhere: dict[str, str]
) -> None:
    """As OpenAI's and Anthropic's clients do: the environment says who calls, the code whom. A stored one was made by a
    service, and stays with it."""
    write_profile({"api_key": "stored", "base_url": "https://mine.example/v1"})
    environ = {"INFRAI_HOME": str(own_home), "INFRAI_API_KEY": "env", **elsewhere}
    assert key_of(base_url="https://named.example", environ=environ) == "env"
    del environ["INFRAI_API_KEY"]
    assert key_of(base_url="https://named.example", environ=environ) is None
    assert key_of(base_url="embedded", environ={**environ, "INFRAI_API_KEY": "env"}) is None


def test_no_key_and_no_base_url_says_the_ways_out() -> None:
    with pytest.raises(ConfigError, match="INFRAI_API_KEY") as caught:
        Infrai()
    assert "embedded" in str(caught.value)


@pytest.mark.parametrize("url", ["http://example.com", "ftp://x", "example.com", "https://u:p@x", "https://x?k=1"])
def test_a_base_url_that_a_key_must_not_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        Infrai("k", base_url=url)


@pytest.mark.parametrize(
    "place", ["localhost:abc", "localhost:99999", "[::1", "[zz]", "a..example", "xn--a", f"{'a' * 64}.example"]
)
def test_a_base_url_that_can_be_no_address_is_refused_before_anything_is_sent(place: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        Infrai("k", base_url=f"https://{place}")


def test_a_refused_base_url_does_not_show_the_password_in_it() -> None:
    with pytest.raises(ConfigError, match="base_url") as caught:
        Infrai("k", base_url=f"https://u:{SECRET}@localhost:abc")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["https://bücher.example", "https://[::1]:8443", "https://a.example."])
def test_a_base_url_may_name_a_host_in_any_form(url: str) -> None:
    assert Infrai("k", base_url=url).config.base_url == f"{url}/v1"


def test_plain_http_is_for_this_machine_unless_allowed() -> None:
    for url in ("http://127.0.0.1:8000", "http://localhost:1/v1", "http://[::1]:9"):
        assert Infrai("k", base_url=url).config.base_url.endswith("/v1")
    assert Infrai("k", base_url="http://infrai:8080", allow_plain_http=True).config.base_url == "http://infrai:8080/v1"


@pytest.mark.parametrize("key", ["a b", "a\nb", "schlüssel", "\x00"])
def test_a_key_that_cannot_be_a_header_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(ConfigError, match="api_key") as caught:
        Infrai(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout_s", 0),
        ("timeout_s", math.nan),
        ("timeout_s", math.inf),
        ("timeout_s", 10**10),
        ("idle_timeout_s", "5"),
        ("dialect", "klingon"),
        ("base_url", 8402),
        ("retry", 5),
        ("ledger", {}),
        ("tags", {"team": 1}),
        ("hooks", 3),
        ("hooks", [print]),
        ("observers", ["log"]),
        ("limiter", 3),
        ("error_classes", []),
        ("transport", 3),
        ("transport", ""),
    ],
)
@pytest.mark.parametrize("kind", [Infrai, AsyncInfrai])
def test_a_wrong_option_names_itself_what_came_and_what_is_allowed(kind: Any, name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{name}={value!r}: allowed is")):
        kind("k", **{name: value})


@pytest.mark.parametrize(
    ("kind", "other"),
    [(Infrai, httpx.AsyncClient), (AsyncInfrai, httpx.Client), (Infrai, httpx.HTTPTransport), (AsyncInfrai, list)],
)
def test_an_http_client_of_another_kind_is_refused(kind: Any, other: Any) -> None:
    with pytest.raises(ConfigError, match=f"http_client: came an object of type {other.__name__}; allowed is an httpx"):
        kind("k", http_client=other())


@pytest.mark.parametrize("key", [3, b"secret"])
def test_a_key_that_is_no_text_is_refused_without_being_repeated(key: Any) -> None:
    with pytest.raises(ConfigError, match=f"api_key: came {type(key).__name__}, allowed is a text"):
        Infrai(key)


@pytest.mark.parametrize("name", ["Content-Length", "host", "Transfer-Encoding"])
def test_a_header_that_the_request_itself_makes_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"headers: '{name}' is made by the client"):
        Infrai("k", headers={name: "3"})


def test_a_named_profile_that_does_not_exist_is_not_taken_for_the_hosted_service(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFRAI_API_KEY", "k")
    with pytest.raises(ConfigError, match="profile='wrok': the credentials file has none of that name"):
        Infrai(profile="wrok")
    assert Infrai("k", profile="wrok", base_url="https://x.example").config.base_url == "https://x.example/v1"


def test_no_secret_stands_in_any_repr() -> None:
    for client in (Infrai(SECRET), AsyncInfrai(SECRET, headers={"x-token": "hidden"})):
        shown = repr(client) + repr(client.config) + str(client.config)
        assert SECRET not in shown
        assert "hidden" not in shown


def test_credentials_are_readable_by_their_owner_only_and_keep_other_profiles(own_home: Path) -> None:
    write_profile({"api_key": "a", "base_url": "x"}, "work")
    path = write_profile({"api_key": "b", "base_url": "y"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_profile("work")["api_key"] == "a"
    assert read_profile()["api_key"] == "b"
    assert set(json.loads(path.read_text())) == {"work", "default"}


def test_what_a_process_that_died_left_makes_no_credentials_readable(own_home: Path) -> None:
    own_home.mkdir()
    left = own_home / f"credentials.{os.getpid()}"
    left.write_text("")
    left.chmod(0o644)
    assert stat.S_IMODE(write_profile({"api_key": "a"}).stat().st_mode) == 0o600
    assert sorted(path.name for path in own_home.iterdir()) == ["credentials", left.name]


def test_a_broken_credentials_file_is_an_error_and_not_no_key(own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "credentials").write_text("{")
    with pytest.raises(ConfigError, match="credentials"):
        Infrai()


def test_an_unknown_option_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match="'bas_url'; did you mean 'base_url'"):
        Infrai("k", bas_url="https://x.example")  # type: ignore[call-arg]  # the typo is what is under test
    with pytest.raises(ConfigError, match="colour"):
        Infrai("k").with_options(colour="red")  # type: ignore[call-arg]  # the same
