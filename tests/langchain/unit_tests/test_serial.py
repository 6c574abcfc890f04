"""``dumpd`` and ``load`` of a model."""

from __future__ import annotations

import json

import pytest
from langchain_core.load import dumpd, dumps, load

from langchain_infrai import ChatInfrai

pytestmark = pytest.mark.filterwarnings("ignore:The function `load` is in beta")  # so says LangChain of its own load


def test_a_model_goes_through_dumpd_and_load_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRAI_API_KEY", "from-env")
    model = ChatInfrai(api_key="ifr_secret", model="m", temperature=0, stop=["x"], base_url="https://a.example/v1")
    dumped = dumpd(model)
    assert "ifr_secret" not in json.dumps(dumped)
    loaded = load(dumped, allowed_objects=[ChatInfrai], valid_namespaces=["langchain_infrai"], secrets_from_env=True)
    assert isinstance(loaded, ChatInfrai)
    assert loaded.api_key is not None
    assert loaded.api_key.get_secret_value() == "from-env"
    assert (loaded.model, loaded.temperature, loaded.stop, loaded.base_url) == (
        "m",
        0,
        ["x"],
        "https://a.example/v1",
    )


def test_what_belongs_to_the_process_is_not_serialised() -> None:
    model = ChatInfrai(api_key="k", client_options={"tags": {"team": "a"}})
    assert {"ledger", "client_options", "http_client", "http_async_client"}.isdisjoint(dumpd(model)["kwargs"])


def test_messages_of_a_model_are_serialisable() -> None:
    from infrai_core.testing import Script, reply

    script = Script([reply(parts=[{"type": "reasoning", "text": "So."}, {"type": "text", "text": "hi"}], cost_usd=0.1)])
    message = ChatInfrai(api_key="k", client_options={"transport": script}).invoke("x")
    assert load(json.loads(dumps(message)), allowed_objects="messages") == message
