from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Any, Generic, TypeVar

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from infrai_core import ModelInfo, facts
from infrai_core.testing import Answer, Script, reply, streamed
from llama_index_infrai import Infrai

Make = Callable[..., tuple[Infrai, Script]]


class Song(BaseModel):
    """A song."""

    title: str
    seconds: int


class Album(BaseModel):
    """An album."""

    name: str
    songs: list[Song]


PROMPT = PromptTemplate("An album by {artist}")
ALBUM = Album(name="Kind", songs=[Song(title="So", seconds=562), Song(title="Blue", seconds=337)])
TEXT = ALBUM.model_dump_json()
PIECES = [TEXT[i : i + 5] for i in range(0, len(TEXT), 5)]


@pytest.fixture(params=["schema", "tool"], autouse=True)
def way(request: pytest.FixtureRequest) -> str:
    """Each test runs with a model that takes a JSON schema and with one that only takes tools."""
    abilities = {"schema": ["tools", "structured"], "tool": ["tools"]}
    rows = [
        ModelInfo(id=f"test-{name}", capability="test", context_window=9000, abilities=a)
        for name, a in abilities.items()
    ]
    facts.learn(rows)
    return str(request.param)


def whole(way: str, text: str = TEXT) -> Answer:
    call = {"type": "tool_call", "id": "c1", "name": "Album", "arguments": text}
    return reply(text) if way == "schema" else reply(parts=[call])


def pieces(way: str, cut: list[str] = PIECES, **options: Any) -> Answer:
    if way == "schema":
        return streamed(cut, **options)
    head = {"index": 0, "type": "tool_call", "id": "c1", "name": "Album", "arguments": cut[0]}
    return streamed([head, *[{"index": 0, "type": "tool_call", "arguments": text} for text in cut[1:]]], **options)


def predicted(llm: Infrai, **options: Any) -> Any:
    return llm.structured_predict(Album, PROMPT, artist="Miles", **options)


def apredicted(llm: Infrai, **options: Any) -> Any:
    return asyncio.run(llm.astructured_predict(Album, PROMPT, artist="Miles", **options))


def streamed_objects(llm: Infrai, **options: Any) -> list[Any]:
    return list(llm.stream_structured_predict(Album, PROMPT, artist="Miles", **options))


def astreamed_objects(llm: Infrai, **options: Any) -> list[Any]:
    async def collect() -> list[Any]:
        stream = await llm.astream_structured_predict(Album, PROMPT, artist="Miles", **options)
        return [item async for item in stream]

    return asyncio.run(collect())


both_whole = pytest.mark.parametrize("predict", [predicted, apredicted], ids=["sync", "async"])
both_streams = pytest.mark.parametrize("stream", [streamed_objects, astreamed_objects], ids=["sync", "async"])


def check_request(way: str, body: dict[str, Any]) -> None:
    if way == "schema":
        assert body["response_format"]["json_schema"]["schema"] == Album.model_json_schema()
        assert "tools" not in body
    else:
        assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
        assert [tool["function"]["name"] for tool in body["tools"]] == ["Album"]
        assert "response_format" not in body


@both_whole
def test_an_object_comes_validated(scripted: Make, way: str, predict: Any) -> None:
    llm, script = scripted(whole(way), model=f"test-{way}", system_prompt="Be exact.")
    assert predict(llm) == ALBUM
    body = script.requests[0].body
    check_request(way, body)
    assert [(m["role"], m["parts"][0]["text"]) for m in body["messages"]] == [
        ("system", "Be exact."),
        ("user", "An album by Miles"),
    ]


@both_streams
def test_an_object_grows_and_ends_whole(scripted: Make, way: str, stream: Any) -> None:
    llm, script = scripted(pieces(way), model=f"test-{way}", system_prompt="Be exact.")
    found = stream(llm)
    check_request(way, script.requests[0].body)
    assert script.requests[0].body["messages"][0]["role"] == "system"
    assert found[-1] == ALBUM
    names = [item.name for item in found]
    assert "K" in names
    counts = [len(item.songs or []) for item in found]
    assert counts == sorted(counts)
    assert {0, 1, 2} <= set(counts)


@both_whole
def test_an_answer_that_does_not_fit_raises(scripted: Make, way: str, predict: Any) -> None:
    llm, _ = scripted(whole(way, '{"name": 1}'), model=f"test-{way}")
    with pytest.raises(ValidationError, match="songs"):
        predict(llm)


@both_streams
def test_a_streamed_answer_that_does_not_fit_raises_at_the_end(scripted: Make, way: str, stream: Any) -> None:
    llm, _ = scripted(pieces(way, ['{"name": ', '"Kind"', "}"]), model=f"test-{way}")
    with pytest.raises(ValidationError, match="songs"):
        stream(llm)


@both_whole
def test_options_of_the_call_are_sent_and_stay_the_callers(scripted: Make, way: str, predict: Any) -> None:
    llm, script = scripted(whole(way), model=f"test-{way}")
    options = {"temperature": 0.2, "tool_required": False, "allow_parallel_tool_calls": True}
    before = dict(options)
    predict(llm, llm_kwargs=options)
    assert script.requests[0].body["temperature"] == 0.2
    check_request(way, script.requests[0].body)
    assert options == before


def test_leaving_a_stream_of_objects_closes_the_response(scripted: Make, way: str) -> None:
    llm, script = scripted(pieces(way), model=f"test-{way}")
    for _ in llm.stream_structured_predict(Album, PROMPT, artist="Miles"):
        break
    assert script.closed == 1


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_structured_llm_answers_with_the_object(scripted: Make, way: str, is_async: bool) -> None:
    llm, _ = scripted(whole(way), model=f"test-{way}")
    structured = llm.as_structured_llm(Album)
    messages = [ChatMessage(content="An album")]
    response = asyncio.run(structured.achat(messages)) if is_async else structured.chat(messages)
    assert response.raw == ALBUM
    assert llm.ledger.total.calls == 1


def test_text_where_a_call_was_due_is_an_error_that_shows_it(scripted: Make, way: str) -> None:
    llm, _ = scripted(reply("I would rather not"), model=f"test-{way}")
    with pytest.raises(ValueError, match="I would rather not"):
        predicted(llm)


def test_the_text_mode_of_llama_index_is_left_to_it(scripted: Make, way: str) -> None:
    llm, script = scripted(reply(TEXT), model=f"test-{way}", pydantic_program_mode=PydanticProgramMode.LLM)
    assert predicted(llm) == ALBUM
    assert not {"tools", "response_format"} & script.requests[0].body.keys()


def test_a_tool_choice_of_the_caller_is_kept(scripted: Make, way: str) -> None:
    llm, script = scripted(whole("tool"), model="test-tool")
    predicted(llm, llm_kwargs={"tool_choice": "auto"})
    assert script.requests[0].body["tool_choice"] == "auto"


def test_the_usage_of_a_streamed_object_is_booked(scripted: Make, way: str) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    llm, _ = scripted(pieces(way, usage=usage), model=f"test-{way}")
    streamed_objects(llm)
    assert llm.ledger.total.total_tokens == 10
    assert json.loads(TEXT)["name"] == "Kind"


# -- classes of every kind -----------------------------------------------------------------------------------------

T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    item: T


class Tree(BaseModel):
    """A tree."""

    value: int
    children: list[Tree] = []


class Colour(Enum):
    RED = "red"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    day: date
    colour: Colour


def form_of(way: str, script: Script) -> dict[str, Any]:
    """Name and schema as they were sent."""
    body = script.requests[0].body
    if way == "schema":
        sent = body["response_format"]["json_schema"]
        return {"name": sent["name"], "schema": sent["schema"]}
    sent = body["tools"][0]["function"]
    return {"name": sent["name"], "schema": sent["parameters"]}


def test_the_name_of_a_generic_class_is_one_that_vendors_allow(scripted: Make, way: str) -> None:
    llm, script = scripted(whole(way, '{"item": 3}'), model=f"test-{way}")
    assert llm.structured_predict(Box[int], PROMPT, artist="Miles") == Box[int](item=3)
    assert form_of(way, script)["name"] == "Box_int_"


def test_a_class_that_holds_itself_is_described_whole(scripted: Make, way: str) -> None:
    llm, script = scripted(whole(way, '{"value": 1, "children": [{"value": 2}]}'), model=f"test-{way}")
    assert llm.structured_predict(Tree, PROMPT, artist="Miles") == Tree(value=1, children=[Tree(value=2)])
    schema = form_of(way, script)["schema"]
    assert (schema["type"], sorted(schema["properties"])) == ("object", ["children", "value"])
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    assert schema["$defs"]["Tree"]["properties"].keys() == schema["properties"].keys()


class Titles(RootModel[list[str]]):
    """Titles of songs."""


def test_a_class_that_is_no_object_is_asked_for_inside_of_one(scripted: Make, way: str) -> None:
    said = '{"root": ["So", "Blue"]}'
    llm, script = scripted(whole(way, said), pieces(way, [said[:14], said[14:]]), model=f"test-{way}")
    assert llm.structured_predict(Titles, PROMPT, artist="Miles") == Titles(["So", "Blue"])
    assert list(llm.stream_structured_predict(Titles, PROMPT, artist="Miles"))[-1] == Titles(["So", "Blue"])
    body = script.requests[0].body
    asked = body["response_format"]["json_schema"]["schema"] if way == "schema" else described(body)["parameters"]
    assert (asked["type"], asked["required"], asked["properties"]["root"]["type"]) == ("object", ["root"], "array")
    assert asked["description"] == "Titles of songs."


def described(body: Any) -> Any:
    return body["tools"][0]["function"]


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
def test_a_strict_class_takes_dates_and_enumerations(scripted: Make, way: str, streaming: bool) -> None:
    text, expected = '{"day": "2024-01-02", "colour": "red"}', Strict(day=date(2024, 1, 2), colour=Colour.RED)
    cut = [text[:9], text[9:20], text[20:]]
    llm, _ = scripted(pieces(way, cut) if streaming else whole(way, text), model=f"test-{way}")
    if streaming:
        assert list(llm.stream_structured_predict(Strict, PROMPT, artist="Miles"))[-1] == expected
    else:
        assert llm.structured_predict(Strict, PROMPT, artist="Miles") == expected


def test_a_tool_is_described_by_the_words_of_the_class(scripted: Make, way: str) -> None:
    llm, script = scripted(whole(way), model=f"test-{way}")
    predicted(llm)
    body = script.requests[0].body
    described = body["tools"][0]["function"] if way == "tool" else form_of(way, script)["schema"]
    assert described["description"] == "An album."


class Note(BaseModel):
    text: str = ""


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("output_cls", "text"), [(Album, TEXT[:30]), (Note, "")])
def test_an_answer_that_was_cut_off_is_no_object(
    scripted: Make, way: str, streaming: bool, output_cls: Any, text: str
) -> None:
    part = {"index": 0, "type": "tool_call", "id": "c1", "name": "f", "arguments": text}
    if way == "schema":
        part = {"index": 0, "type": "text", "text": text}
    answer = streamed([part], finish_reason="length") if streaming else reply(parts=[part], finish_reason="length")
    llm, _ = scripted(answer, model=f"test-{way}")
    ask: Callable[..., Any] = llm.stream_structured_predict if streaming else llm.structured_predict
    with pytest.raises(ValueError, match="the answer was cut off, at max_tokens"):
        list(ask(output_cls, PROMPT, artist="Miles"))
