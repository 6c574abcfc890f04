"""The official SDK of the OpenAI surface is the oracle: what it reads without complaint is shaped right."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infrai_runtime.app import create_app

from .api import served, settings
from .fake import FakeChat, catalogue, fails, model

openai: Any = pytest.importorskip("openai", reason="the SDK is a development tool")

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def sdk(tmp_path: Path) -> Iterator[Any]:
    with (
        served(create_app(settings(tmp_path))) as url,
        openai.OpenAI(api_key="x", base_url=url, max_retries=0) as client,
    ):
        yield client


def test_a_completion_whole_and_streamed(sdk: Any) -> None:
    messages = [{"role": "user", "content": "What is 2+2?"}]
    whole = sdk.chat.completions.create(model="auto", messages=messages)
    chunks = list(
        sdk.chat.completions.create(
            model="auto", messages=messages, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "4" in whole.choices[0].message.content
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens > 0
    assert whole.infrai["vendor"] == "local"


def test_a_tool_is_called_and_its_result_is_told(sdk: Any) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    asked = sdk.chat.completions.create(model="auto", messages=messages, tools=[WEATHER], tool_choice="required")
    [call] = asked.choices[0].message.tool_calls
    assert (asked.choices[0].finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert "city" in json.loads(call.function.arguments)
    messages += [asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and rain"}]
    told = sdk.chat.completions.create(model="auto", messages=messages, tools=[WEATHER])
    assert "18" in told.choices[0].message.content


def test_a_schema_is_followed(sdk: Any) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    messages = [{"role": "user", "content": "My name is Ada."}]
    made = sdk.chat.completions.create(model="auto", messages=messages, response_format=wanted)
    assert isinstance(json.loads(made.choices[0].message.content)["name"], str)


def test_embeddings_which_the_sdk_asks_for_as_base64(sdk: Any) -> None:
    made = sdk.embeddings.create(model="auto", input=["one", "two"])
    assert [len(row.embedding) for row in made.data] == [1024, 1024]
    assert all(isinstance(number, float) for number in made.data[0].embedding)


def test_models_images_and_transcripts(sdk: Any) -> None:
    assert "infrai-offline" in [found.id for found in sdk.models.list()]
    assert sdk.models.retrieve("infrai-offline").owned_by == "local"
    image = sdk.images.generate(prompt="a red circle", size="64x64", response_format="b64_json")
    assert base64.b64decode(image.data[0].b64_json).startswith(b"\x89PNG")
    pytest.importorskip("pocketsphinx", reason="transcription is an optional extra")
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
        file.writeframes(b"\0\0" * 3200)
    assert sdk.audio.transcriptions.create(model="auto", file=("a.wav", held.getvalue())).text == ""


def test_errors_are_the_sdks_own_classes(sdk: Any, tmp_path: Path) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        sdk.chat.completions.create(model="auto", messages=[{"role": "user", "content": "x"}], temperature=5)
    assert (bad.value.code, bad.value.param) == ("INVALID_REQUEST", "temperature")
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.create(model="nothing", messages=[{"role": "user", "content": "x"}])


def test_an_error_inside_a_stream_is_raised(tmp_path: Path) -> None:
    from infrai_runtime.failure import Failure

    vendor = FakeChat("a", fails(Failure("VENDOR_ERROR", "cut"), after=("half",)))
    app = create_app(settings(tmp_path), vendors=[vendor], catalogue=catalogue(model("a")))
    with served(app) as url, openai.OpenAI(api_key="x", base_url=url, max_retries=0) as client:
        stream = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "x"}], stream=True)
        assert next(stream).choices[0].delta.content == "half"
        with pytest.raises(openai.APIError, match="cut"):
            next(stream)
