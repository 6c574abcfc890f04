"""Settings that are chosen when a model is called."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import ConfigurableField
from pydantic import BaseModel, ValidationError

from infrai_core.testing import Answer, Script, reply, streamed
from langchain_infrai import ChatInfrai, init_chat_model
from langchain_infrai.errors import InfraiConfigError


class City(BaseModel):
    """A city."""

    name: str


def scripted(*answers: Answer) -> tuple[dict[str, Any], Script]:
    script = Script(answers or [reply("hi")], repeat_last=True)
    return {"api_key": "key", "max_retries": 0, "client_options": {"transport": script}}, script


@pytest.mark.parametrize("given", [None, "infrai:", "infrai:cheapest", "cheapest", "llama3:8b"])
def test_a_model_is_made_from_a_string(given: str | None) -> None:
    expected = {None: None, "infrai:": None, "infrai:cheapest": "cheapest"}.get(given, given)
    made = init_chat_model(given, api_key="key", temperature=0.5)
    assert (type(made), made.model, made.temperature) == (ChatInfrai, expected, 0.5)


def test_fields_of_the_configuration_are_read_at_each_call() -> None:
    fields, script = scripted()
    model = init_chat_model("infrai:balanced", configurable_fields="any", config_prefix="first", **fields)
    model.invoke("x")
    model.invoke("x", {"configurable": {"first_model": "m", "first_prefer": "smartest", "first_temperature": 0.5}})
    sent = [tuple(r.body.get(n) for n in ("model", "prefer", "temperature")) for r in script.requests]
    assert sent == [("balanced", None, None), ("m", "smartest", 0.5)]


def test_tools_and_structured_output_stay_configurable() -> None:
    fields, script = scripted(reply(tool_calls=[("City", {"name": "Oslo"})]))
    model = init_chat_model(configurable_fields=["model"], **fields)
    config: Any = {"configurable": {"model": "m"}}
    assert model.with_structured_output(City).invoke("x", config) == City(name="Oslo")
    assert model.bind_tools([City]).invoke("x", config).tool_calls[0]["args"] == {"name": "Oslo"}
    assert [request.body["model"] for request in script.requests] == ["m", "m"]
    assert all(request.body["tools"] for request in script.requests)


def test_a_configured_model_streams() -> None:
    fields, _ = scripted(streamed(["a", "b"]))
    config: Any = {"configurable": {"temperature": 0.5}}
    field = ConfigurableField(id="temperature")
    models = [
        init_chat_model(configurable_fields="any", **fields),
        ChatInfrai(**fields).configurable_fields(temperature=field),
    ]
    for model in models:
        assert [chunk.text for chunk in model.stream("x", config)] == ["a", "b", ""]
        assert [chunk.text for chunk in model.bind_tools([City]).stream("x", config)] == ["a", "b", ""]


def test_a_model_that_must_not_stream_gives_its_answer_whole() -> None:
    fields, _ = scripted(reply("ab"))
    assert [chunk.text for chunk in ChatInfrai(streaming=False, **fields).stream("x")] == ["ab"]


@pytest.mark.parametrize("name", ["api_key", "base_url", "temprature"])
def test_where_the_key_goes_is_not_configurable(name: str) -> None:
    with pytest.raises(InfraiConfigError, match=f"configurable_fields: '{name}'"):
        init_chat_model(api_key="key", configurable_fields=[name])


def test_one_name_is_not_taken_for_its_letters() -> None:
    with pytest.raises(InfraiConfigError, match="configurable_fields: 'all'; allowed are any"):
        init_chat_model(api_key="key", configurable_fields="all")  # type: ignore[arg-type]  # wrong on purpose


def test_another_provider_is_langchains_business() -> None:
    with pytest.raises(ValueError, match="nobody"):
        init_chat_model("m", model_provider="nobody")


def test_configurable_fields_and_alternatives_of_langchain_work() -> None:
    fields, script = scripted()
    model = ChatInfrai(**fields)
    chosen = model.configurable_fields(
        task=ConfigurableField(id="task"), max_cost_multiplier=ConfigurableField(id="dearer")
    )
    chosen.with_config(configurable={"task": "coding", "dearer": 3.0}).invoke("x")
    assert (script.requests[0].body["task"], script.requests[0].body["max_cost_multiplier"]) == ("coding", 3.0)
    either = model.configurable_alternatives(
        ConfigurableField(id="llm"), default_key="infrai", other=FakeListChatModel(responses=["other"])
    )
    assert either.with_config(configurable={"llm": "other"}).invoke("x").text == "other"
    assert either.invoke("x").text == "hi"


def test_calls_that_are_configured_share_the_ledger() -> None:
    fields, _ = scripted()
    model = init_chat_model(configurable_fields=["model"], **fields)
    for name in ("a", "b"):
        model.invoke("x", {"configurable": {"model": name}})
    assert model.default.ledger.total.calls == 2


@pytest.mark.parametrize("given", [{"model": 3}, {"model": ["m"]}, {"configurable_fields": 3}])
def test_what_is_of_a_wrong_kind_is_refused_by_name(given: Any) -> None:
    with pytest.raises((InfraiConfigError, ValidationError), match=next(iter(given))):
        init_chat_model(api_key="key", **given)
