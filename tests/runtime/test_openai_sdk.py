"""The official SDK of the OpenAI surface is the oracle: what it reads without complaint is shaped right.

One body runs on both of its clients, against a real server.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pydantic
import pytest
from starlette.types import ASGIApp

from infrai_runtime.app import create_app
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Request

from .api import served, settings
from .fake import USAGE, FakeChat, catalogue, fails, model

openai: Any = pytest.importorskip("openai", reason="the SDK is a development tool")

Ask = Callable[[Callable[[Any], Any]], Any]
"""``ask(lambda sdk: sdk.….create(…))``: what either client gives; a stream as the list of its chunks."""

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SUM: Any = [{"role": "user", "content": "What is 2+2?"}]


@contextmanager
def sync_client(url: str, **more: Any) -> Iterator[Ask]:
    with openai.OpenAI(**{"api_key": "x", "base_url": url, "max_retries": 0, **more}) as client:

        def ask(make: Callable[[Any], Any]) -> Any:
            made = make(client)
            return list(made) if isinstance(made, openai.Stream) else made

        yield ask


@contextmanager
def async_client(url: str, **more: Any) -> Iterator[Ask]:
    with asyncio.Runner() as runner:
        client = openai.AsyncOpenAI(**{"api_key": "x", "base_url": url, "max_retries": 0, **more})

        async def answer(make: Callable[[Any], Any]) -> Any:
            made = make(client)
            made = await made if hasattr(made, "__await__") else made
            return [chunk async for chunk in made] if hasattr(made, "__aiter__") else made

        yield lambda make: runner.run(answer(make))
        runner.run(client.close())


CLIENTS = {"sync": sync_client, "async": async_client}
Opened = Callable[[ASGIApp], Any]


@contextmanager
def client_of(kind: str, app: ASGIApp, **more: Any) -> Iterator[Ask]:
    """A client of this application, of one of the two kinds."""
    with served(app) as url, CLIENTS[kind](url, **more) as ask:
        yield ask


@pytest.fixture(params=CLIENTS)
def on(request: pytest.FixtureRequest) -> Opened:
    """``with on(app) as ask``: a client of this application."""
    return partial(client_of, request.param)


@pytest.fixture
def ask(on: Opened, tmp_path: Path) -> Iterator[Ask]:
    """A client of the runtime with its on-machine models."""
    with on(create_app(settings(tmp_path))) as opened:
        yield opened


def fake(home: Path, *events: Event, **more: Any) -> tuple[ASGIApp, FakeChat]:
    """The runtime over a vendor that answers with these events."""

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        for event in events:
            yield event

    vendor = FakeChat("a", play)
    return create_app(settings(home, **more), vendors=[vendor], catalogue=catalogue(model("a"))), vendor


def test_a_completion_whole_and_streamed(ask: Ask) -> None:
    whole = ask(lambda sdk: sdk.chat.completions.create(model="auto", messages=SUM))
    usage = {"include_usage": True}
    chunks = ask(lambda sdk: sdk.chat.completions.create(model="auto", messages=SUM, stream=True, stream_options=usage))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "4" in whole.choices[0].message.content
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens > 0
    assert whole.infrai["vendor"] == "local"


def test_a_tool_is_called_and_its_result_is_told(ask: Ask) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    asked = ask(
        lambda sdk: sdk.chat.completions.create(
            model="auto", messages=messages, tools=[WEATHER], tool_choice="required"
        )
    )
    [call] = asked.choices[0].message.tool_calls
    assert (asked.choices[0].finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert "city" in json.loads(call.function.arguments)
    messages += [asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and rain"}]
    told = ask(lambda sdk: sdk.chat.completions.create(model="auto", messages=messages, tools=[WEATHER]))
    assert "18" in told.choices[0].message.content


CALLS = (
    Fragment(0, {"type": "text", "text": "I look."}),
    Fragment(1, {"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": '{"city":'}),
    Fragment(2, {"type": "tool_call", "id": "c2", "name": "get_weather", "arguments": ""}),
    Fragment(1, {"type": "tool_call", "arguments": '"Paris"}'}),
    Fragment(2, {"type": "tool_call", "arguments": '{"city":"Rome"}', "done": True}),
    Fragment(1, {"type": "tool_call", "done": True}),
    Finish("tool_calls", USAGE),
)


def test_parallel_calls_whose_arguments_come_interleaved_are_told_apart(on: Opened, tmp_path: Path) -> None:
    wanted: Any = {"model": "big", "messages": SUM, "tools": [WEATHER]}
    app, vendor = fake(tmp_path, *CALLS)
    with on(app) as ask:
        whole = ask(lambda sdk: sdk.chat.completions.create(**wanted, parallel_tool_calls=True))
        chunks = ask(lambda sdk: sdk.chat.completions.create(**wanted, stream=True))
    assert vendor.requests[0]["parallel_tool_calls"] is True
    streamed: dict[int, list[str]] = {}
    for call in (call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()):
        place = streamed.setdefault(call.index, [call.id, ""])
        place[1] += call.function.arguments  # a string in every delta, as everybody's code has it
    calls = whole.choices[0].message.tool_calls
    assert [[c.id, c.function.arguments] for c in calls] == [streamed[0], streamed[1]]
    assert streamed == {0: ["c1", '{"city":"Paris"}'], 1: ["c2", '{"city":"Rome"}']}
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "tool_calls"


def test_the_sdks_own_stream_reader_puts_parallel_calls_together(tmp_path: Path) -> None:
    app, _ = fake(tmp_path, *CALLS)
    with (
        served(app) as url,
        openai.OpenAI(api_key="x", base_url=url, max_retries=0) as sdk,
        sdk.chat.completions.stream(model="big", messages=SUM, tools=[WEATHER]) as stream,
    ):
        kinds = {event.type for event in stream}
        final = stream.get_final_completion().choices[0]
    assert [json.loads(call.function.arguments)["city"] for call in final.message.tool_calls] == ["Paris", "Rome"]
    assert {"content.delta", "tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds


class Person(pydantic.BaseModel):
    name: str


def test_an_answer_is_parsed_into_a_class(ask: Ask) -> None:
    messages: Any = [{"role": "user", "content": "My name is Ada."}]
    made = ask(lambda sdk: sdk.chat.completions.parse(model="auto", messages=messages, response_format=Person))
    assert isinstance(made.choices[0].message.parsed, Person)


def test_embeddings_which_the_sdk_asks_for_as_base64(ask: Ask) -> None:
    made = ask(lambda sdk: sdk.embeddings.create(model="auto", input=["one", "two"]))
    plain = ask(lambda sdk: sdk.embeddings.create(model="auto", input=["one"], encoding_format="float"))
    assert [len(row.embedding) for row in made.data] == [1024, 1024]
    assert made.data[0].embedding == pytest.approx(plain.data[0].embedding)


def test_token_ids_are_refused_with_the_way_out(ask: Ask) -> None:
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False") as bad:
        ask(lambda sdk: sdk.embeddings.create(model="auto", input=[[1, 2], [3]]))
    assert bad.value.param == "input"


def test_models_are_listed_and_found_by_name(ask: Ask) -> None:
    listed = ask(lambda sdk: sdk.models.list())
    rows = listed if isinstance(listed, list) else list(listed)
    assert {"auto", "cheapest", "infrai-offline"} <= {found.id for found in rows}
    assert ask(lambda sdk: sdk.models.retrieve("auto")).owned_by == "infrai"
    assert ask(lambda sdk: sdk.models.retrieve("infrai-offline")).owned_by == "local"
    with pytest.raises(openai.NotFoundError) as missing:
        ask(lambda sdk: sdk.models.retrieve("nothing"))
    assert missing.value.code == "MODEL_NOT_FOUND"


def test_images_speech_and_transcripts(ask: Ask) -> None:
    image = ask(lambda sdk: sdk.images.generate(prompt="a red circle", size="64x64", response_format="b64_json"))
    assert base64.b64decode(image.data[0].b64_json).startswith(b"\x89PNG")
    pytest.importorskip("pocketsphinx", reason="transcription is an optional extra")
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
        file.writeframes(b"\0\0" * 3200)
    heard = ask(lambda sdk: sdk.audio.transcriptions.create(model="auto", file=("a.wav", held.getvalue())))
    assert heard.text == ""
    pytest.importorskip("espeakng_loader", reason="speech is an optional extra")
    spoken = ask(
        lambda sdk: sdk.audio.speech.create(model="auto", voice="alloy", input="one two", response_format="wav")
    )
    assert spoken.content.startswith(b"RIFF")
    assert spoken.response.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure("INVALID_REQUEST", "no"), openai.BadRequestError),
        (Failure("RATE_LIMITED", "slower", retry_after_s=7), openai.RateLimitError),
        (Failure("VENDOR_ERROR", "broken"), openai.InternalServerError),
        (Failure("VENDOR_TIMEOUT", "late"), openai.InternalServerError),
    ],
)
def test_a_vendors_failure_is_the_sdks_own_class(on: Opened, tmp_path: Path, failure: Failure, kind: Any) -> None:
    app = create_app(settings(tmp_path), vendors=[FakeChat("a", fails(failure))], catalogue=catalogue(model("a")))
    with on(app) as ask, pytest.raises(kind) as raised:
        ask(lambda sdk: sdk.chat.completions.create(model="big", messages=SUM))
    assert raised.value.code == failure.code
    assert raised.value.response.headers.get("retry-after") == ("7" if failure.retry_after_s else None)


def test_a_wrong_request_is_the_sdks_own_class_and_names_the_field(ask: Ask) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        ask(lambda sdk: sdk.chat.completions.create(model="auto", messages=SUM, temperature=5))
    assert (bad.value.code, bad.value.param) == ("INVALID_REQUEST", "temperature")
    with pytest.raises(openai.NotFoundError):
        ask(lambda sdk: sdk.chat.completions.create(model="nothing", messages=SUM))


def test_the_sdk_knows_the_id_of_every_request(ask: Ask) -> None:
    answer = ask(lambda sdk: sdk.chat.completions.create(model="auto", messages=SUM))
    assert answer._request_id == answer.infrai["request_id"]
    with pytest.raises(openai.BadRequestError) as raised:
        ask(lambda sdk: sdk.chat.completions.create(model="auto", messages=[]))
    assert raised.value.request_id == raised.value.response.json()["infrai"]["request_id"]


def test_a_path_that_is_not_here_says_what_is(ask: Ask) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/responses: use /v1/chat/completions"):
        ask(lambda sdk: sdk.responses.create(model="auto", input="hi"))
    with pytest.raises(openai.NotFoundError, match="POST /v1/ai/batch/submit"):
        ask(lambda sdk: sdk.batches.create(completion_window="24h", endpoint="/v1/responses", input_file_id="f"))


def test_functions_of_the_old_form_are_refused_and_not_lost(ask: Ask) -> None:
    with pytest.raises(openai.BadRequestError, match="functions: is not taken any more; send tools") as raised:
        ask(lambda sdk: sdk.chat.completions.create(model="auto", messages=SUM, functions=[WEATHER["function"]]))
    assert raised.value.param == "functions"


def test_a_missing_key_is_the_sdks_own_class(on: Opened, tmp_path: Path) -> None:
    app, _ = fake(tmp_path, Finish("stop", USAGE), no_auth=False)
    with on(app) as ask, pytest.raises(openai.AuthenticationError):
        ask(lambda sdk: sdk.chat.completions.create(model="big", messages=SUM))


def test_an_error_inside_a_stream_is_raised(tmp_path: Path) -> None:
    vendor = FakeChat("a", fails(Failure("VENDOR_ERROR", "cut"), after=("half",)))
    app = create_app(settings(tmp_path), vendors=[vendor], catalogue=catalogue(model("a")))
    with served(app) as url, openai.OpenAI(api_key="x", base_url=url, max_retries=0) as client:
        stream = client.chat.completions.create(model="auto", messages=SUM, stream=True)
        assert next(stream).choices[0].delta.content == "half"
        with pytest.raises(openai.APIError, match="cut"):
            next(stream)


def test_the_sdks_retries_of_one_call_are_made_once(tmp_path: Path) -> None:
    """The SDK sends no idempotency key by itself; with one, its second try finds the first one's answer."""
    app, vendor = fake(tmp_path, Fragment(0, {"type": "text", "text": "x"}), Finish("stop", USAGE))
    with served(app) as url, openai.OpenAI(api_key="x", base_url=url) as client:
        again: Any = {"model": "big", "messages": SUM, "extra_headers": {"Idempotency-Key": "one"}}
        first, second = (client.chat.completions.with_raw_response.create(**again) for _ in range(2))
    assert len(vendor.requests) == 1
    assert second.headers["idempotent-replay"] == "true"
    assert first.parse().id == second.parse().id
