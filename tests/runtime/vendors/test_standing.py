"""How vendors are right now, as a served runtime tells it: keys that rest, models that rest, and never a key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from infrai_core import AsyncInfrai, Infrai
from tests.cli.command import infrai
from tests.serving import ServedProcess, served_process
from tests.vendors.fake import KEY, Fake, says, serving
from tests.vendors.openai_answers import completion

ASKED = {"messages": "hi", "vendor": "mine", "model": "good"}
DOWN = {"messages": "hi", "vendor": "broken", "model": "ill"}
REVOKED = "sk-revoked-0123456789"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    """A runtime with a vendor of two keys, the first of which was revoked, and a vendor that asks for a pause."""
    home = tmp_path_factory.mktemp("standing") / "home"
    home.mkdir()
    good = Fake({"/v1/chat/completions": says(completion({"content": "Hi."}))})
    ill = Fake({"/v1/chat/completions": says({"error": {"message": "slower"}}, 429, retry_after="30")})
    with serving(good), serving(ill):
        (home / "vendors.toml").write_text(
            f'[mine]\ndialect = "openai"\nbase_url = "{good.url}/v1"\nkeys = ["{REVOKED}", "{KEY}"]\n'
            f'[broken]\ndialect = "openai"\nbase_url = "{ill.url}/v1"\nkey = "{KEY}"\n'
        )
        (home / "vendors.toml").chmod(0o600)
        with served_process(home, "--no-auth") as served:
            assert post(served, ASKED).status_code == 200
            assert post(served, DOWN).status_code == 429
            yield served


def post(served: ServedProcess, body: Any) -> httpx.Response:
    return httpx.post(f"{served.base_url}/ai/chat", json=body, trust_env=False)


def test_a_refused_key_is_shown_with_its_reason_and_its_rest(server: ServedProcess) -> None:
    with Infrai(base_url=server.base_url, api_key="none") as client:
        listed = {row.id: row for row in client.vendors().data}
    mine = listed["mine"]
    assert [(key.label, key.healthy) for key in mine.keys] == [("#1", False), ("#2", True)]
    [rest] = mine.keys[0].rests
    assert (rest.model, rest.code) == (None, "UNAUTHORIZED")
    assert 0 < rest.rest_s <= 60
    assert (mine.healthy, listed["local"].healthy, listed["local"].keys) == (False, True, [])
    assert "chat" in mine.capabilities


def test_a_model_that_rests_is_shown_with_its_breaker(server: ServedProcess) -> None:
    async def asked() -> Any:
        async with AsyncInfrai(base_url=server.base_url, api_key="none") as client:
            return await client.vendors()

    listed = {row.id: row for row in asyncio.run(asked()).data}
    [ill] = listed["broken"].models
    assert (ill.id, ill.breaker, ill.failures) == ("ill", "open", 1)
    assert ill.rest_s is not None
    assert 0 < ill.rest_s <= 30
    [limited] = listed["broken"].keys[0].rests
    assert (limited.model, limited.code) == ("ill", "RATE_LIMITED")
    [good] = listed["mine"].models
    assert (good.id, good.breaker, good.rest_s) == ("good", "closed", None)
    assert good.latency_ms is not None


def test_the_same_stands_in_the_metrics(server: ServedProcess) -> None:
    text = httpx.get(server.base_url.removesuffix("/v1") + "/metrics", trust_env=False).text
    families = {family.name: family for family in text_string_to_metric_families(text)}

    def number(name: str, **labels: str) -> float:
        return next(s.value for s in families[name].samples if labels.items() <= s.labels.items())

    assert number("infrai_vendor_keys", vendor="mine") == 2
    assert number("infrai_vendor_keys_resting", vendor="mine") == 1
    assert number("infrai_vendor_keys_resting", vendor="broken") == 1
    assert number("infrai_breaker_open", vendor="broken", model="ill") == 1
    assert 0 < number("infrai_breaker_rest_seconds", vendor="broken", model="ill") <= 30
    assert not [s for s in families["infrai_breaker_open"].samples if s.labels["vendor"] == "mine"]


def test_no_key_is_shown(server: ServedProcess) -> None:
    shown = httpx.get(f"{server.base_url}/ai/vendors", trust_env=False).text
    assert "mine" in shown
    assert REVOKED not in shown
    assert KEY not in shown


def test_only_who_has_a_key_is_told_and_only_of_vendors_that_it_may_use(tmp_path: Path) -> None:
    home = tmp_path / "home"
    narrow = infrai(home, "keys", "create", "--vendor", "local").stdout.split()[1]
    wide = infrai(home, "keys", "create").stdout.split()[1]
    with served_process(home, environ={"OPENAI_API_KEY": KEY}) as served:
        assert httpx.get(f"{served.base_url}/ai/vendors", trust_env=False).status_code == 401
        assert _vendors(served, narrow) == ["local"]
        assert _vendors(served, wide) == ["openai", "local"]


def _vendors(served: ServedProcess, key: str) -> list[str]:
    with Infrai(base_url=served.base_url, api_key=key) as client:
        return [row.id for row in client.vendors().data]


def test_the_command_tells_what_rests_and_until_when(server: ServedProcess, tmp_path: Path) -> None:
    told = infrai(tmp_path, "vendors", "--base-url", server.base_url, INFRAI_API_KEY="none")
    lines = told.stdout.splitlines()
    assert next(line for line in lines if line.startswith("mine")).split()[1:6] == ["1", "of", "2", "used", "resting"]
    assert any("-> mine key #1 rests for all models until " in line and "(UNAUTHORIZED)" in line for line in lines)
    assert any("-> broken/ill rests until " in line and "after 1 failure in a row" in line for line in lines)
    assert (told.returncode, told.stderr) == (1, "")


def test_the_embedded_runtime_tells_it_too() -> None:
    with Infrai(base_url="embedded") as client:
        assert "local" in [row.id for row in client.vendors().data]
