"""Tools and structured output."""

from __future__ import annotations

import json
from typing import Any, Generic, TypedDict, TypeVar

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.tools import tool
from pydantic import BaseModel, ConfigDict, RootModel

from infrai_core import ConfigError
from infrai_core.testing import Answer, Script, envelope, failure, reply, streamed
from langchain_infrai import ChatInfrai, init_chat_model
from langchain_infrai.errors import InfraiConfigError, InfraiInvalidRequest, ModelRefusalError

Thing = TypeVar("Thing")


class Person(BaseModel):
    """A person."""

    name: str
    age: int | None = None


class PersonDict(TypedDict):
    """A person."""

    name: str


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


SCHEMA = Person.model_json_schema()
ADA: dict[str, Any] = {"name": "Ada", "age": 36}


def model_on(*answers: Answer) -> tuple[ChatInfrai, Script]:
    script = Script(answers)
    return ChatInfrai(api_key="key", client_options={"transport": script}), script


def body_of(script: Script) -> dict[str, Any]:
    body: dict[str, Any] = script.requests[0].body
    return body


# -- tools ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configurable", [False, True])
def test_tools_and_structured_output_reach_a_model_and_its_fallbacks(configurable: bool) -> None:
    def model(*answers: Answer) -> tuple[Any, Script]:
        script = Script(answers)
        options: dict[str, Any] = {"api_key": "key", "max_retries": 0, "client_options": {"transport": script}}
        return init_chat_model(configurable_fields="any" if configurable else None, **options), script

    broken, _ = model(failure("INTERNAL_ERROR"), failure("INTERNAL_ERROR"))
    other, script = model(reply(tool_calls=[("weather", {"city": "Oslo"})]), reply(tool_calls=[("Person", ADA)]))
    both = broken.with_fallbacks([other])
    assert both.bind_tools([weather]).invoke("weather?").tool_calls[0]["args"] == {"city": "Oslo"}
    assert both.with_structured_output(Person).invoke("who?") == Person(**ADA)
    assert [sent.body["tools"][0]["function"]["name"] for sent in script.requests] == ["weather", "Person"]


def test_tools_are_sent_and_their_calls_come_back() -> None:
    model, script = model_on(reply(tool_calls=[("weather", {"city": "Oslo"})]))
    message = model.bind_tools([weather, Person], strict=True, parallel_tool_calls=False).invoke("weather?")
    body = body_of(script)
    assert [sent["function"]["name"] for sent in body["tools"]] == ["weather", "Person"]
    assert all(sent["function"]["strict"] for sent in body["tools"])
    assert body["parallel_tool_calls"] is False
    assert "tool_choice" not in body
    assert message.tool_calls[0]["args"] == {"city": "Oslo"}


class Verdict(BaseModel):
    """A verdict."""

    why: str
    answer: bool


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
@pytest.mark.parametrize("dialect", ["native", "openai"])
def test_a_schema_is_sent_with_its_fields_in_their_order(method: Any, dialect: Any) -> None:
    script = Script([failure("INVALID_REQUEST")])
    model = ChatInfrai(api_key="key", dialect=dialect, client_options={"transport": script})
    with pytest.raises(InfraiInvalidRequest):
        model.with_structured_output(Verdict, method=method).invoke("?")
    [sent] = script.requests
    assert sent.content.index(b'"why":') < sent.content.index(b'"answer":')
    assert list(sent.body) == sorted(sent.body)


ALLOWED = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "weather"}}]},
}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("any", "required"),
        ("required", "required"),
        (True, "required"),
        ("auto", "auto"),
        ("none", "none"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"type": "function", "function": {"name": "weather"}},
        ),
        ({"type": "tool", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
        (ALLOWED, ALLOWED),
        ({"type": "any"}, "required"),
        ({"type": "auto"}, "auto"),
        (False, None),
        (None, None),
    ],
)
def test_every_spelling_of_a_tool_choice_has_its_wire_form(choice: Any, sent: Any) -> None:
    model, script = model_on(reply("hi"))
    model.bind_tools([weather], tool_choice=choice).invoke("weather?")
    assert body_of(script).get("tool_choice") == sent


def test_a_choice_that_is_no_tool_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'wether': allowed are any, required, auto, none, weather"):
        ChatInfrai().bind_tools([weather], tool_choice="wether")
    for choice in ({"type": "function", "function": {"name": "wether"}}, {"type": "function"}, 5, ["weather"]):
        with pytest.raises(ConfigError, match=r"tool_choice=.*: allowed are any, required, auto, none, weather"):
            ChatInfrai().bind_tools([weather], tool_choice=choice)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("method", ["xml", ["json_mode"], None])
def test_a_method_that_does_not_exist_is_refused(method: Any) -> None:
    with pytest.raises(ConfigError, match=r"method=.*: allowed are function_calling"):
        ChatInfrai().with_structured_output(Person, method=method)


def test_tools_may_come_from_any_collection() -> None:
    bound: Any = ChatInfrai().bind_tools({"weather": weather}.values())  # type: ignore[arg-type]  # it need not be a list
    assert [tool["function"]["name"] for tool in bound.kwargs["tools"]] == ["weather"]


@pytest.mark.parametrize(
    ("tools", "named"),
    [(["x"], "tools.0: "), ([weather, 5], "tools.1: "), (weather, "tools: "), ({"a": weather}, "tools: ")],
)
def test_what_is_no_tool_is_named_with_its_place(tools: Any, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ChatInfrai().bind_tools(tools)
    assert caught.value.message.startswith(named)


class Cities(RootModel[list[str]]):
    """The cities to look up."""


@pytest.mark.parametrize(
    ("tools", "named"),
    [
        ([lambda city: city], "tools.0"),
        (
            [{"type": "function", "function": {"name": "<lambda>"}}],
            "tools.0.function.name='<lambda>': allowed is a name",
        ),
        ([Cities], "tools.0.function.parameters.type='array': allowed is 'object'"),
    ],
)
def test_tools_that_no_vendor_would_take_are_named_before_they_are_bound(tools: Any, named: str) -> None:
    with pytest.raises(InfraiConfigError) as caught:
        ChatInfrai().bind_tools(tools)
    assert caught.value.message.startswith(named)


def test_one_name_for_two_tools_is_named_before_anything_is_sent() -> None:
    model, script = model_on(reply("hi"))
    with pytest.raises(InfraiConfigError, match=r"tools\.1\.function\.name='weather': came twice"):
        model.bind_tools([weather, weather]).invoke("hi")
    assert script.requests == []


# -- structured output ---------------------------------------------------------------------------------------------

SCHEMAS: dict[str, tuple[Any, Any]] = {
    "pydantic": (Person, Person(**ADA)),
    "typed dict": (PersonDict, ADA),
    "json schema": (SCHEMA, ADA),
}


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS.values(), ids=SCHEMAS)
def test_function_calling_forces_one_call_of_the_schema(schema: Any, expected: Any) -> None:
    name = "PersonDict" if schema is PersonDict else "Person"
    model, script = model_on(reply(tool_calls=[(name, ADA)]))
    assert model.with_structured_output(schema).invoke("who?") == expected
    body = body_of(script)
    assert body["tool_choice"] == {"type": "function", "function": {"name": name}}
    assert "ls_structured_output_format" not in body


class Box(BaseModel, Generic[Thing]):
    """A box."""

    content: Thing


class Titled(BaseModel):
    """A box with a title."""

    model_config = ConfigDict(title="A big box")

    content: int


TITLED = {"title": "A big box", "type": "object", "properties": {"content": {"type": "integer"}}}
NAMED: list[tuple[Any, str, Any]] = [
    (Box[int], "Box_int_", Box[int](content=3)),
    (Titled, "A_big_box", Titled(content=3)),
    (TITLED, "A_big_box", {"content": 3}),
]


@pytest.mark.parametrize(("schema", "name", "expected"), NAMED)
def test_a_schema_is_asked_for_by_a_name_that_vendors_allow(schema: Any, name: str, expected: Any) -> None:
    grown = [
        {"index": 0, "type": "tool_call", "id": "c", "name": name, "arguments": '{"content": '},
        {"index": 0, "type": "tool_call", "arguments": "3}"},
    ]
    answers = [reply(tool_calls=[(name, {"content": 3})]), streamed(grown), reply('{"content": 3}')]
    model, script = model_on(*answers)
    asked = model.with_structured_output(schema, strict=True)
    assert asked.invoke("x") == expected
    assert list(asked.stream("x"))[-1] == expected
    assert model.with_structured_output(schema, method="json_schema").invoke("x") == expected
    called, streaming, formatted = (sent.body for sent in script.requests)
    [tool] = called["tools"]
    assert (tool["function"]["name"], tool["function"]["strict"]) == (name, True)
    assert called["tool_choice"]["function"]["name"] == name
    assert streaming["tools"] == [tool]
    assert formatted["response_format"]["json_schema"]["name"] == name


LIST = {"title": "Cities", "type": "array", "items": {"type": "string"}}
CHOICE = {"title": "Cities", "anyOf": [{"type": "array", "items": {"$ref": "#/$defs/City"}}, {"type": "null"}]}
CHOICE["$defs"] = {"City": {"type": "string"}}
FUNCTION = {"name": "Cities", "description": "Which.", "parameters": {"type": "array", "items": {"type": "string"}}}
LISTS: list[tuple[Any, Any]] = [
    (Cities, Cities(["Rome"])),
    (LIST, ["Rome"]),
    (CHOICE, ["Rome"]),
    (FUNCTION, ["Rome"]),
]


@pytest.mark.parametrize("strict", [None, True])
@pytest.mark.parametrize(("schema", "expected"), LISTS)
def test_a_schema_that_is_no_object_is_asked_for_inside_of_one(schema: Any, expected: Any, strict: bool | None) -> None:
    held = {"root": ["Rome"]}
    model, script = model_on(
        reply(tool_calls=[("Cities", held)]), reply(json.dumps(held)), streamed(['{"root": ["Ro', 'me"]}'])
    )
    assert model.with_structured_output(schema, strict=strict).invoke("?") == expected
    asked = model.with_structured_output(schema, method="json_schema", strict=strict)
    assert asked.invoke("?") == expected
    assert list(asked.stream("?"))[-1] == expected
    called, formatted, _ = (sent.body for sent in script.requests)
    for sent in (called["tools"][0]["function"]["parameters"], formatted["response_format"]["json_schema"]["schema"]):
        assert (sent["type"], sent["required"], list(sent["properties"])) == ("object", ["root"], ["root"])
        assert "string" in json.dumps(sent)


async def test_include_raw_gives_what_stood_in_the_object_asynchronously() -> None:
    model, _ = model_on(reply(tool_calls=[("Cities", {"root": ["Rome"]})]), reply("no call"))
    asked = model.with_structured_output(Cities, include_raw=True)
    good, none = await asked.ainvoke("?"), await asked.ainvoke("?")
    assert (good["parsed"], good["parsing_error"], none["parsed"]) == (Cities(["Rome"]), None, None)


@pytest.mark.parametrize("schema", [Cities, LIST])
def test_json_mode_cannot_answer_with_what_is_no_object(schema: Any) -> None:
    with pytest.raises(InfraiConfigError, match="schema: answers in json_mode are objects"):
        ChatInfrai().with_structured_output(schema, method="json_mode")


@pytest.mark.parametrize("strict", [None, True, False])
@pytest.mark.parametrize(("schema", "expected"), SCHEMAS.values(), ids=SCHEMAS)
def test_json_schema_asks_for_content_in_that_schema(schema: Any, expected: Any, strict: bool | None) -> None:
    model, script = model_on(reply(json.dumps(ADA)))
    made = model.with_structured_output(schema, method="json_schema", strict=strict)
    assert made.invoke("who?") == expected
    sent = body_of(script)["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["name"] in ("Person", "PersonDict")
    assert "name" in sent["json_schema"]["schema"]["properties"]
    assert sent["json_schema"].get("strict") is strict


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_a_tool_in_openais_form_is_a_schema(method: Any) -> None:
    tool = {"type": "function", "function": {"name": "Person", "description": "A person.", "parameters": SCHEMA}}
    model, script = model_on(reply(json.dumps(ADA), tool_calls=[("Person", ADA)]))
    assert model.with_structured_output(tool, method=method).invoke("?") == ADA
    sent = body_of(script).get("response_format", {}).get("json_schema") or body_of(script)["tools"][0]["function"]
    assert (sent["name"], sent["description"]) == ("Person", "A person.")


def test_json_mode_asks_for_any_json_and_reads_it() -> None:
    model, script = model_on(reply(json.dumps(ADA)), reply(json.dumps(ADA)))
    assert model.with_structured_output(Person, method="json_mode").invoke("who?") == Person(name="Ada", age=36)
    assert model.with_structured_output(method="json_mode").invoke("who?") == ADA
    assert body_of(script)["response_format"] == {"type": "json_object"}


async def test_structured_output_works_asynchronously() -> None:
    model, _ = model_on(reply(json.dumps(ADA)))
    assert await model.with_structured_output(Person, method="json_schema").ainvoke("who?") == Person(**ADA)


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
@pytest.mark.parametrize("schema", [Person, SCHEMA], ids=["pydantic", "json schema"])
def test_an_answer_that_was_cut_off_is_no_structured_output(method: Any, schema: Any) -> None:
    cut = '{"name": "Ad'
    call = [{"index": 0, "type": "tool_call", "id": "c", "name": "Person", "arguments": cut}]
    parts = call if method == "function_calling" else [{"type": "text", "text": cut}]
    whole = envelope({"parts": parts, "finish_reason": "length", "model": "m"})
    model, _ = model_on(whole, whole, streamed(cut, finish_reason="length"))
    made = model.with_structured_output(schema, method=method)
    with pytest.raises(OutputParserException, match="cut off at max_tokens"):
        made.invoke("who?")
    raw = model.with_structured_output(schema, method=method, include_raw=True).invoke("who?")
    assert (raw["parsed"], type(raw["parsing_error"])) == (None, OutputParserException)
    with pytest.raises(OutputParserException, match="cut off at max_tokens"):
        list(made.stream("who?"))


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
@pytest.mark.parametrize("schema", [5, "x", int, {"type": "object"}])
def test_what_is_no_schema_is_named(method: Any, schema: Any) -> None:
    with pytest.raises(ConfigError, match=r"schema: \w+"):
        ChatInfrai().with_structured_output(schema, method=method)


def test_a_schema_without_fields_can_be_asked_for() -> None:
    model, script = model_on(reply("{}"))
    assert model.with_structured_output({"title": "Nothing"}, method="json_schema").invoke("x") == {}
    sent = body_of(script)["response_format"]["json_schema"]
    assert sent == {"name": "Nothing", "schema": {"type": "object", "properties": {}}}


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
def test_tools_can_be_offered_beside_a_schema(method: Any) -> None:
    answer = reply(tool_calls=[("Person", ADA)]) if method == "function_calling" else reply(json.dumps(ADA))
    model, script = model_on(answer)
    made = model.with_structured_output(Person, method=method, tools=[weather])
    assert made.invoke("who?") == Person(name="Ada", age=36)
    names = [sent["function"]["name"] for sent in body_of(script)["tools"]]
    assert names == [*(["Person"] if method == "function_calling" else []), "weather"]


def test_json_of_a_stream_grows() -> None:
    model, _ = model_on(streamed(['{"name": ', '"Ada"', ', "age": 36}']))
    seen = list(model.with_structured_output(SCHEMA, method="json_schema").stream("who?"))
    assert seen[-1] == ADA
    assert {"name": "Ada"} in seen


def test_include_raw_gives_the_message_and_the_error() -> None:
    model, _ = model_on(reply(json.dumps(ADA), cost_usd=0.5), reply("no JSON at all"))
    made = model.with_structured_output(Person, method="json_schema", include_raw=True)
    good, bad = made.invoke("who?"), made.invoke("who?")
    assert (good["parsed"], good["parsing_error"]) == (Person(name="Ada", age=36), None)
    assert good["raw"].response_metadata["cost_usd"] == "0.5"
    assert (bad["parsed"], type(bad["parsing_error"])) == (None, OutputParserException)


def call_of(name: str, arguments: str) -> list[dict[str, Any]]:
    return [{"index": 0, "type": "tool_call", "id": "c", "name": name, "arguments": arguments}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("schema", "parts", "says"),
    [
        (Person, [{"index": 0, "type": "text", "text": "Ada."}], "answered with text"),
        (SCHEMA, [{"index": 0, "type": "text", "text": "Ada."}], "answered with text"),
        (Person, call_of("Person", '{"name": '), "arguments are not JSON"),
        (SCHEMA, call_of("Person", '{"name": '), "arguments are not JSON"),
        (SCHEMA, call_of("weather", "{}"), "called weather"),
        (Person, call_of("weather", "{}"), "weather"),
        (Person, call_of("Person", '{"age": "old"}'), "name\n  Field required"),
    ],
)
def test_an_answer_without_a_call_that_fits_raises(schema: Any, parts: Any, says: str, stream: bool) -> None:
    model, _ = model_on(
        streamed(parts, finish_reason="tool_calls") if stream else reply(parts=parts), reply(parts=parts)
    )
    made = model.with_structured_output(schema)
    with pytest.raises(OutputParserException, match=says):
        list(made.stream("who?")) if stream else made.invoke("who?")
    raw = model.with_structured_output(schema, include_raw=True).invoke("who?")
    assert (raw["parsed"], type(raw["parsing_error"])) == (None, OutputParserException)


@pytest.mark.parametrize("schema", [Person, SCHEMA], ids=["pydantic", "json schema"])
def test_the_end_of_a_stream_is_read_as_strictly_as_a_whole_answer(schema: Any) -> None:
    model, _ = model_on(streamed(["no ", "JSON"]))
    with pytest.raises(OutputParserException):
        list(model.with_structured_output(schema, method="json_schema").stream("who?"))


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
@pytest.mark.parametrize("schema", [Person, SCHEMA], ids=["pydantic", "json schema"])
def test_a_refusal_raises_what_langchain_has_for_it(method: Any, schema: Any) -> None:
    model, _ = model_on(reply(parts=[{"type": "refusal", "text": "I will not."}]))
    with pytest.raises(ModelRefusalError, match=r"I will not\.") as caught:
        model.with_structured_output(schema, method=method).invoke("who?")
    assert caught.value.raw_message is not None
    assert not caught.value.is_retryable


async def test_a_refusal_in_a_stream_raises_too() -> None:
    model, _ = model_on(streamed([{"index": 0, "type": "refusal", "text": "No."}]))
    with pytest.raises(ModelRefusalError):
        [part async for part in model.with_structured_output(SCHEMA, method="json_schema").astream("who?")]


def test_an_unknown_method_and_a_missing_schema_are_named() -> None:
    with pytest.raises(ConfigError, match="method='xml': allowed are function_calling, json_schema, json_mode"):
        ChatInfrai().with_structured_output(Person, method="xml")  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ConfigError, match="schema: method='json_schema' needs one"):
        ChatInfrai().with_structured_output(method="json_schema")


class _Options(BaseCallbackHandler):
    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append(kwargs["options"])


@pytest.mark.parametrize("stream", [False, True])
def test_traces_see_the_schema_and_the_wire_does_not(stream: bool) -> None:
    text = json.dumps(ADA)
    model, script = model_on(streamed([text]) if stream else reply(text))
    made = model.with_structured_output(Person, method="json_schema")
    handler = _Options()
    config: Any = {"callbacks": [handler]}
    _ = list(made.stream("who?", config)) if stream else made.invoke("who?", config)
    traced = handler.seen[0]["ls_structured_output_format"]
    assert traced["schema"]["title"] == "Person"
    assert traced["kwargs"] == {"method": "json_schema"}
    assert "ls_structured_output_format" not in body_of(script)
