from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage
from pydantic import ValidationError

from infrai_core import ConfigError, Ledger
from infrai_core.testing import Script, envelope, reply
from llama_index_infrai import Infrai, InfraiEmbedding

KEY = "ifr_secret_key"
KINDS = pytest.mark.parametrize("kind", [Infrai, InfraiEmbedding])


@KINDS
def test_the_key_is_in_nothing_that_is_written_down(kind: Any) -> None:
    made = kind(api_key=KEY, headers={"x-token": "hidden-token"}, model="m")
    for shown in (repr(made), str(made), str(made.to_dict()), made.to_json(), str(made.to_payload())):
        assert KEY not in shown
        assert "hidden-token" not in shown
        assert "m" in shown


@KINDS
def test_what_was_written_down_can_be_read_again(kind: Any) -> None:
    made = kind(api_key=KEY, model="m", vendor="v", timeout_s=5)
    again = kind.from_dict(made.to_dict(), api_key=KEY)
    assert again.to_dict() == made.to_dict()


@KINDS
def test_a_pickle_keeps_every_setting_and_works(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    given = {"api_key": KEY, "pickle_key": True, "transport": Script([])}
    made = kind(model="m", vendor="v", timeout_s=5, tags={"team": "a"}, **given)
    with caplog.at_level(logging.WARNING):
        again = pickle.loads(pickle.dumps(made))
    assert caplog.records == []
    assert again.to_dict() == made.to_dict()
    assert again.api_key.get_secret_value() == KEY
    assert again.client.config.timeout_s == 5


@KINDS
def test_a_pickle_without_key_reads_it_where_it_is_opened(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickle.dumps(kind(api_key=KEY, model="m"))
    assert KEY.encode() not in data
    keyless = pickle.loads(data)  # an error here would leave a pool of processes waiting for ever
    with pytest.raises(ConfigError, match=r"INFRAI_API_KEY.*pickle_key=True"):
        _ = keyless.client.config
    monkeypatch.setenv("INFRAI_API_KEY", "from_here")
    assert pickle.loads(data).client.config.api_key.get_secret_value() == "from_here"


@KINDS
def test_a_pickle_without_key_drops_headers_that_carry_secrets(kind: Any) -> None:
    sent = {"X-Api-Key": "s3cr3t", "x-team": "a"}
    data = pickle.dumps(kind(base_url="embedded", headers=sent))
    assert b"s3cr3t" not in data
    assert pickle.loads(data).headers == {"x-team": "a"}
    assert pickle.loads(pickle.dumps(kind(base_url="embedded", headers=sent, pickle_key=True))).headers == sent


def test_a_pickled_embedding_stays_with_its_model() -> None:
    script = Script([envelope({"embeddings": [[1.0, 2.0]], "model": "m-1"})])
    made = InfraiEmbedding(api_key=KEY, transport=script)
    made.get_text_embedding("a")
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert (again.pinned_model, again.pinned_dimensions) == ("m-1", 2)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_after_calls_answers_into_the_same_ledger(copied: Any) -> None:
    script = Script([reply(str(i)) for i in range(4)])
    llm = Infrai(api_key=KEY, transport=script, stop=["x"])
    messages = [ChatMessage(content="hi")]
    llm.chat(messages)
    asyncio.run(llm.achat(messages))
    twin = copied(llm)
    assert twin.chat(messages).message.content == "2"
    assert asyncio.run(twin.achat(messages)).message.content == "3"
    assert twin.ledger is llm.ledger
    assert llm.ledger.total.calls == 4


def test_a_deep_copy_has_its_own_settings() -> None:
    llm = Infrai(api_key=KEY, stop=["x"])
    twin = copy.deepcopy(llm)
    assert isinstance(twin.stop, list)
    twin.stop.append("y")
    twin.temperature = 1.0
    assert (llm.stop, llm.temperature) == (["x"], None)


@KINDS
def test_a_ledger_can_be_shared(kind: Any) -> None:
    ledger = Ledger()
    assert kind(api_key=KEY, ledger=ledger).ledger is ledger
    assert kind(api_key=KEY, ledger=ledger).client.ledger is ledger


@KINDS
def test_connections_can_be_let_go_and_used_again(kind: Any) -> None:
    made = kind(api_key=KEY)
    made.close()
    asyncio.run(made.aclose())
    made.close()


@KINDS
def test_embedded_needs_no_key(kind: Any) -> None:
    made = kind.embedded(model="m")
    assert (made.base_url, made.model) == ("embedded", "m")
    assert made.client.config.embedded


def test_a_copy_with_other_fields_uses_them(scripted: Any) -> None:
    llm, _ = scripted(reply("from the first"))
    elsewhere = Script([reply("from the second")])
    copied = llm.model_copy(update={"transport": elsewhere, "prefer": "cheapest"})
    assert (copied.complete("Hi").text, elsewhere.requests[0].body["prefer"]) == ("from the second", "cheapest")
    assert (llm.complete("Hi").text, llm.prefer) == ("from the first", None)


@pytest.mark.parametrize("update", [{"temperature": 9}, {"temprature": 1}])
def test_the_fields_of_a_copy_are_checked(scripted: Any, update: dict[str, Any]) -> None:
    llm, _ = scripted()
    with pytest.raises(ValidationError, match=next(iter(update))):
        llm.model_copy(update=update)


def test_a_copy_of_an_embedding_model_with_another_model_is_pinned_anew(scripted_embedding: Any) -> None:
    def vectors(sent: Any) -> Any:
        return envelope({"embeddings": [[1.0, 2.0]], "model": sent.body["model"]})

    first, script = scripted_embedding(vectors, vectors, vectors, model="m-1")
    first.get_text_embedding("a")
    second = first.model_copy(update={"model": "m-2"})
    second.get_text_embedding("a")
    first.model_copy().get_text_embedding("a")
    assert [request.body["model"] for request in script.requests] == ["m-1", "m-2", "m-1"]
    assert (first.pinned_model, second.pinned_model, second.model_name) == ("m-1", "m-2", "m-2")
