"""What cannot be meant is refused before anything is sent, by an error that says what came and what is allowed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, ValidationError

from infrai_core import ConfigError
from infrai_core.testing import Script, reply
from llama_index_infrai import Infrai, InfraiAudioReader, InfraiBudgetHandler, InfraiEmbedding, InfraiToolSpec

Refused = tuple[Callable[[Any], Any], str]


class Person(BaseModel):
    name: str


def multiply(a: int, b: int) -> int:
    """Multiply two whole numbers."""
    return a * b


TOOL = FunctionTool.from_defaults(multiply)
ENDLESS = FunctionTool.from_defaults(multiply, name="x" * 129)
NAMELESS = FunctionTool.from_defaults(lambda a: a, description="The same.")
TEMPLATE = PromptTemplate("Extract: {text}")
MESSAGES: Any = {
    "a string": ("hi", "messages: came an object of type str; allowed is a sequence of ChatMessage"),
    "one message": (ChatMessage(content="hi"), "messages: came an object of type ChatMessage"),
    "nothing": (None, "messages: came None"),
    "dictionaries": ([{"role": "user", "content": "hi"}], r"messages\[0\]: came an object of type dict"),
}


def run(awaitable: Any) -> Any:
    async def awaited() -> Any:
        return await awaitable

    return asyncio.run(awaited())


CHATS: dict[str, Callable[[Infrai, Any], Any]] = {
    "chat": lambda llm, messages: llm.chat(messages),
    "achat": lambda llm, messages: run(llm.achat(messages)),
    "stream_chat": lambda llm, messages: llm.stream_chat(messages),
    "astream_chat": lambda llm, messages: run(llm.astream_chat(messages)),
}
COMPLETIONS: dict[str, Callable[[Infrai, Any], Any]] = {
    "complete": lambda llm, prompt: llm.complete(prompt),
    "acomplete": lambda llm, prompt: run(llm.acomplete(prompt)),
    "stream_complete": lambda llm, prompt: llm.stream_complete(prompt),
    "astream_complete": lambda llm, prompt: run(llm.astream_complete(prompt)),
}


@pytest.mark.parametrize("endpoint", CHATS)
@pytest.mark.parametrize("given", MESSAGES)
def test_what_is_no_list_of_messages_is_refused(scripted: Any, endpoint: str, given: str) -> None:
    llm, script = scripted()
    messages, expected = MESSAGES[given]
    with pytest.raises(ConfigError, match=expected):
        CHATS[endpoint](llm, messages)
    assert script.requests == []


@pytest.mark.parametrize("endpoint", COMPLETIONS)
def test_a_prompt_that_is_no_text_is_refused(scripted: Any, endpoint: str) -> None:
    llm, script = scripted()
    with pytest.raises(ConfigError, match="prompt: came None; allowed is a string"):
        COMPLETIONS[endpoint](llm, None)
    assert script.requests == []


TOOLS: dict[str, Refused] = {
    "a function": (lambda llm: llm.chat_with_tools([multiply], "hi"), r"tools\[0\]: came an object of type function"),
    "one name twice": (
        lambda llm: llm.chat_with_tools([TOOL, TOOL], "hi"),
        "tools.1.function.name='multiply': came twice",
    ),
    "a lambda": (lambda llm: llm.chat_with_tools([NAMELESS], "hi"), r"tools\.0\.function\.name='<lambda>': allowed"),
    "a name that no vendor takes": (
        lambda llm: llm.chat_with_tools([ENDLESS], "hi"),
        r"tools.0.function.name='.*': allowed is a name of 1 to 128 letters",
    ),
    "a choice of none of them": (
        lambda llm: llm.chat_with_tools([TOOL], "hi", tool_choice="divide"),
        "tool_choice='divide': allowed are auto, none, required, multiply",
    ),
    "a choice that is a number": (lambda llm: llm.chat_with_tools([TOOL], "hi", tool_choice=3), "tool_choice=3"),
    "a message that is a number": (lambda llm: llm.chat_with_tools([TOOL], 3), r"messages\[0\]: came an .* int"),
    "a class that is no model": (lambda llm: llm.structured_predict(dict, TEMPLATE), "output_cls=<class 'dict'>"),
    "a prompt that is no template": (lambda llm: llm.structured_predict(Person, "hi"), "prompt: .*str; allowed is a"),
}


@pytest.mark.parametrize("case", TOOLS)
def test_tools_and_classes_that_cannot_be_meant_are_refused(scripted: Any, case: str) -> None:
    llm, script = scripted()
    call, expected = TOOLS[case]
    with pytest.raises(ConfigError, match=expected):
        call(llm)
    assert script.requests == []


EMBEDDINGS: dict[str, Refused] = {
    "nothing": (lambda model: model.get_text_embedding(None), "text: came None; allowed is a text that is not empty"),
    "a query that is nothing": (lambda model: model.get_query_embedding(None), "text: came None"),
    "a number among texts": (lambda model: model.get_text_embedding_batch(["a", 3]), r"texts\[1\]: came 3; allowed"),
    "an empty text": (lambda model: run(model.aget_text_embedding("")), "text: came ''"),
    "an empty text in the second batch": (
        lambda model: model.get_text_embedding_batch([*"a" * 150, ""]),
        r"texts\[150\]: came ''; allowed is a text that is not empty",
    ),
    "one text for a list": (
        lambda model: model.get_text_embedding_batch("hello"),
        "texts: came a string; allowed is a list of strings",
    ),
    "one text for a list, async": (lambda model: run(model.aget_text_embedding_batch("hello")), "texts: came a string"),
}


@pytest.mark.parametrize("case", EMBEDDINGS)
def test_what_is_no_text_is_not_embedded(scripted_embedding: Any, case: str) -> None:
    model, script = scripted_embedding()
    call, expected = EMBEDDINGS[case]
    with pytest.raises(ConfigError, match=expected):
        call(model)
    assert script.requests == []


@pytest.mark.parametrize("kind", [Infrai, InfraiEmbedding])
def test_a_rate_limiter_that_cannot_be_asked_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"rate_limiter=3: allowed is .* acquire and async_acquire"):
        kind(api_key="k", rate_limiter=3)
    component = kind(api_key="k")
    with pytest.raises(ConfigError, match="rate_limiter='slow'"):
        component.rate_limiter = "slow"


@pytest.mark.parametrize("file", [3, None, ["talk.mp3", 3]])
def test_what_is_no_recording_is_refused(file: Any) -> None:
    script = Script([])
    reader = InfraiAudioReader(api_key="k", transport=script)
    with pytest.raises(ConfigError, match=r"file: came .*; allowed are a path, an http"):
        reader.load_data(file)
    with pytest.raises(ConfigError, match="file: came"):
        run(reader.aload_data(file))
    assert script.requests == []


def test_a_budget_of_something_without_a_total_is_refused() -> None:
    with pytest.raises(ConfigError, match="ledger: came an object of type int; allowed is what has a total"):
        InfraiBudgetHandler(1, 3)  # type: ignore[arg-type]  # the point


def test_one_name_where_a_tool_takes_several_is_a_list_of_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    script = Script([reply("a dot")])
    tools = InfraiToolSpec(tmp_path, api_key="k", transport=script)
    assert tools.look_at_images("What is it?", "a.png") == "a dot"  # type: ignore[arg-type]  # models do that
    assert len(script.requests[0].body["images"]) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("api_base", "here it is base_url"),
        ("timeout", "here it is timeout_s"),
        ("is_function_calling_model", "here it is function_calling"),
        ("is_chat_model", "it is not needed here"),
        ("temprature", r"did you mean 'temperature'\?"),
        ("logprobs", "allowed are .*base_url, batch_mode, cache_strategy"),
    ],
)
def test_an_argument_that_does_not_exist_is_refused_with_what_does(name: str, expected: str) -> None:
    with pytest.raises(ValidationError, match=f"unknown argument '{name}'; {expected}"):
        Infrai(**{"api_key": "k", name: 1})


def test_the_error_of_a_misspelt_key_does_not_show_the_key() -> None:
    with pytest.raises(ValidationError, match=r"unknown argument 'apikey'; did you mean 'api_key'\?") as caught:
        Infrai(apikey="ifr_secret_key", headers={"x-token": "hidden-token"})  # type: ignore[call-arg]  # the point
    assert not [secret for secret in ("ifr_secret_key", "hidden-token") if secret in str(caught.value)]


def test_a_component_says_what_its_own_arguments_are() -> None:
    with pytest.raises(ValidationError, match=r"unknown argument 'vendr'; did you mean 'vendor'\?"):
        InfraiToolSpec(api_key="k", vendr="x")
    with pytest.raises(ValidationError, match=r"unknown argument 'dimension'; did you mean 'dimensions'\?"):
        InfraiEmbedding(api_key="k", dimension=3)  # type: ignore[call-arg]  # the point


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("api_key", b"hidden-key", "api_key: came an object of type bytes; allowed is a string"),
        ("headers", "hidden-key", "headers: came str, allowed is a mapping of names to texts"),
        ("headers", {"x-token": b"hidden-key"}, "headers: 'x-token' cannot be sent"),
        ("headers", {"x-token": "hidden-key\n"}, "headers: 'x-token' cannot be sent"),
    ],
)
@pytest.mark.parametrize("kind", [Infrai, InfraiEmbedding])
def test_a_secret_of_a_wrong_kind_is_refused_and_not_shown(kind: Any, name: str, value: Any, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        kind(**{"api_key": "k", name: value})
    assert "hidden-key" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("api_key", "hidden-key"), ("headers", {"x-token": "hidden-key"})])
@pytest.mark.parametrize("kind", [Infrai, InfraiEmbedding])
def test_a_secret_that_is_set_later_is_refused_and_not_shown(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} is frozen: it cannot change later; model_copy") as caught:
        setattr(kind(api_key="k"), name, value)
    assert "hidden-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("generate_image", {"prompt": "x", "count": 99}, "count=99: allowed is a whole number from 1 to 10"),
        ("generate_image", {"prompt": "x", "count": "2"}, "count='2': allowed is a whole number"),
        ("look_at_images", {"question": "x", "images": None}, "images=None: allowed is a list of http"),
        ("look_at_images", {"question": "x", "images": []}, r"images=\[\]: allowed is a list of http"),
        ("look_at_images", {"question": "x", "images": [5]}, "5: allowed are http"),
        ("transcribe", {"audio": 5}, "5: allowed are http"),
    ],
)
def test_a_tool_tells_a_model_what_it_takes(tool: str, arguments: dict[str, Any], said: str) -> None:
    script = Script([])
    tools = InfraiToolSpec(api_key="k", transport=script)
    with pytest.raises(ValueError, match=said):
        getattr(tools, tool)(**arguments)
    with pytest.raises(ValueError, match=said):
        asyncio.run(getattr(tools, f"a{tool}")(**arguments))
    assert script.requests == []


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Infrai, "model", ""),
        (Infrai, "vendor", ""),
        (Infrai, "max_cost_multiplier", math.inf),
        (Infrai, "transport", 3),
        (Infrai, "http_client", 3),
        (InfraiEmbedding, "model", ""),
        (InfraiEmbedding, "model", 0),
        (InfraiEmbedding, "model_name", ""),
        (InfraiEmbedding, "dimensions", 70_000),
        (InfraiEmbedding, "pinned_dimensions", -1),
        (InfraiAudioReader, "passage_s", math.nan),
        (InfraiToolSpec, "root_dir", ""),
    ],
)
def test_a_setting_that_no_call_could_use_is_refused(kind: Any, name: str, value: Any) -> None:
    with pytest.raises((ValidationError, ConfigError), match=name.removesuffix("_name")):
        kind(api_key="k", **{name: value})


def test_a_copy_may_have_another_key() -> None:
    copied = Infrai(api_key="k").model_copy(update={"api_key": "another"})
    key = copied.client.config.api_key
    assert (key and key.get_secret_value(), copied.aclient.config.api_key) == ("another", key)
