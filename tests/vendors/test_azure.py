"""Azure OpenAI: ``openai``'s own client for it, ``AzureOpenAI``, sends the same to the same deployments and understands
the same of the answers.

https://learn.microsoft.com/azure/foundry/openai/reference (the dated interface: ``/openai/deployments/{name}/...``)
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Event
from infrai_runtime.vendors.openai_like import make
from tests.vendors.fake import (
    KEY,
    Fake,
    Said,
    assembled,
    call_of,
    entry,
    events_of,
    finish_of,
    says,
    serving,
    streams,
    with_vendor,
)
from tests.vendors.openai_answers import OPENAI
from tests.vendors.test_openai_media import IMAGES, PNG, SOUND, TRANSCRIPT, embedding, fields

VERSION = "2024-10-21"
MODEL, DEPLOYMENT = "gpt-4.1", "my-deployment"
Sdk = Callable[[Fake], Any]


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    """The client, pointed at a service."""
    with openai.DefaultHttpxClient() as connections:
        yield lambda service: openai.AzureOpenAI(
            azure_endpoint=service.url,
            api_key=KEY,
            api_version=VERSION,
            max_retries=0,
            http_client=connections,
        )


def azure(path: str, said: Said) -> Fake:
    return Fake({f"/openai/deployments/{DEPLOYMENT}{path}": said}, auth=("api-key", KEY))


def ours(method: str, request: Any, service: Fake) -> Any:
    async def body(made: Any) -> Any:
        return await getattr(made, method)(request, call_of(MODEL))

    return with_vendor(make, at(service), body)


def at(service: Fake) -> Any:
    return entry("azure", service.url, api_version=VERSION, deployments={MODEL: DEPLOYMENT})


def same(service: Fake) -> bool:
    """Whether both asked the same at the same place."""
    mine, theirs = service.requests
    asked = [
        {n: v for n, v in seen.body.items() if n != "model"} if seen.headers["content-type"].startswith("app") else 0
        for seen in (mine, theirs)
    ]
    return (mine.path, mine.query, asked[0]) == (theirs.path, theirs.query, asked[1])


def chatted(service: Fake, stream: bool) -> list[Event]:
    async def body(made: Any) -> list[Event]:
        request = {"messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]}
        return await events_of(made.chat(request, call_of(MODEL, stream=stream)))

    return with_vendor(make, at(service), body)


ASKED: Any = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("name", ["text", "refusal", "filtered", "parallel tool calls, one without arguments"])
def test_an_answer_is_that_of_its_client(name: str, sdk: Sdk) -> None:
    with serving(azure("/chat/completions", says(OPENAI[name].completion))) as service:
        events = chatted(service, False)
        theirs = sdk(service).chat.completions.create(model=DEPLOYMENT, messages=ASKED)
        assert same(service)
    choice, parts = theirs.choices[0], assembled(events).parts
    assert text_of(parts, "text") == (choice.message.content or "")
    assert text_of(parts, "refusal") == (choice.message.refusal or "")
    assert [p["name"] for p in parts if p["type"] == "tool_call"] == [
        call.function.name for call in choice.message.tool_calls or ()
    ]
    assert finish_of(events).reason == choice.finish_reason
    assert (finish_of(events).usage or {})["total_tokens"] == theirs.usage.total_tokens


@pytest.mark.parametrize("name", ["text", "refusal", "filtered"])
def test_a_stream_is_that_of_its_client(name: str, sdk: Sdk) -> None:
    with serving(azure("/chat/completions", streams(OPENAI[name].chunks))) as service:
        events = chatted(service, True)
        usage: Any = {"include_usage": True}
        chunks = list(
            sdk(service).chat.completions.create(model=DEPLOYMENT, messages=ASKED, stream=True, stream_options=usage)
        )
        assert same(service)
    choices, parts = [choice for chunk in chunks for choice in chunk.choices], assembled(events).parts
    assert text_of(parts, "text") == "".join(choice.delta.content or "" for choice in choices)
    assert text_of(parts, "refusal") == "".join(choice.delta.refusal or "" for choice in choices)
    assert finish_of(events).reason == choices[-1].finish_reason
    assert (finish_of(events).usage or {})["total_tokens"] == chunks[-1].usage.total_tokens


def text_of(parts: list[Any], kind: str) -> str:
    return "".join(part["text"] for part in parts if part["type"] == kind)


def test_vectors_are_those_of_its_client(sdk: Sdk) -> None:
    with serving(azure("/embeddings", says(embedding([0.25, -1.5], [3.0, 0.1])))) as service:
        made = ours("embed", {"input": ["a", "b"], "dimensions": 2}, service)
        theirs = sdk(service).embeddings.create(model=DEPLOYMENT, input=["a", "b"], dimensions=2)
        assert same(service)
    by_index = {row.index: row.embedding for row in theirs.data}
    assert made.vectors == [pytest.approx(by_index[0]), pytest.approx(by_index[1])]
    assert made.usage["total_tokens"] == theirs.usage.total_tokens


def test_pictures_are_those_of_its_client(sdk: Sdk) -> None:
    with serving(azure("/images/generations", says(IMAGES))) as service:
        made = ours("draw", {"prompt": "a fox", "size": "1024x1024", "n": 1}, service)
        theirs = sdk(service).images.generate(model=DEPLOYMENT, prompt="a fox", size="1024x1024", n=1)
        assert same(service)
    assert made.files[0].data == base64.b64decode(theirs.data[0].b64_json) == PNG
    assert made.usage["prompt_tokens"] == theirs.usage.input_tokens


def test_speech_is_that_of_its_client(sdk: Sdk) -> None:
    asked: Any = {"input": "Hello", "voice": "nova", "speed": 1.5}
    with serving(azure("/audio/speech", Said([b"ID3sound"], "audio/mpeg"))) as service:
        made = ours("speak", {**asked, "format": "mp3"}, service)
        theirs = sdk(service).audio.speech.create(model=DEPLOYMENT, response_format="mp3", **asked)
        assert same(service)
    assert made.files[0].data == theirs.content == b"ID3sound"


def test_a_transcript_is_that_of_its_client(sdk: Sdk) -> None:
    with serving(azure("/audio/transcriptions", says(TRANSCRIPT))) as service:
        heard = ours("listen", {**SOUND, "language": "en"}, service)
        file = ("audio.wav", io.BytesIO(b"RIFF0000WAVEfmt "), "audio/wav")
        theirs = sdk(service).audio.transcriptions.create(
            model=DEPLOYMENT, file=file, language="en", response_format="json"
        )
        assert same(service)
        mine, sdks = ({n: v for n, v in fields(seen).items() if n != "model"} for seen in service.requests)
    assert mine == sdks
    assert (heard.text, len(heard.segments)) == (theirs.text, len(theirs.segments))


FILTER = {  # https://learn.microsoft.com/azure/foundry/openai/concepts/content-filter
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
}


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, FILTER, "CONTENT_FILTERED"),
        (401, {"code": "401", "message": "Access denied due to invalid subscription key."}, "UNAUTHORIZED"),
        (404, {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}, "VENDOR_ERROR"),
        (429, {"code": "429", "message": "Requests have exceeded the rate limit. Retry after 6 s."}, "RATE_LIMITED"),
        (500, {"code": "InternalServerError", "message": "Backend returned an error."}, "VENDOR_ERROR"),
    ],
)
def test_an_error_is_the_one_that_its_client_raises(status: int, error: Any, code: str, sdk: Sdk) -> None:
    with serving(azure("/chat/completions", says({"error": error}, status, retry_after="6"))) as service:
        with pytest.raises(openai.APIStatusError) as raised:
            sdk(service).chat.completions.create(model=DEPLOYMENT, messages=ASKED)
        with pytest.raises(Failure) as caught:
            chatted(service, False)
    assert (raised.value.status_code, caught.value.code) == (status, code)
    assert str(raised.value.code) == error["code"]
    assert error["message"] in caught.value.message
    assert caught.value.retry_after_s == 6
