"""Vectors, images, speech, transcripts, rankings, sessions, batches: our requests and the SDK's are the same, and so
is what both make of the answers."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Callable, Iterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import dashscope
import openai
import perplexity
import pytest
from dashscope.audio.http_tts.http_speech_synthesizer import HttpSpeechSynthesizer
from dashscope.audio.qwen_tts.speech_synthesizer import SpeechSynthesizer

from infrai_core.fetch import stand_in
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call
from infrai_runtime.vendors.openai_like import make
from tests.vendors.batch_services import openai_batch, openai_row, stored_file, unreached_row
from tests.vendors.fake import (
    KEY,
    Fake,
    Said,
    Seen,
    assembled,
    call_of,
    entry,
    finish_of,
    results_of,
    says,
    serving,
    unlike,
    with_vendor,
)
from tests.vendors.openai_answers import OPENAI, USAGE, completion

Sdk = Callable[[Fake], openai.OpenAI]
PNG = b"\x89PNG\r\n\x1a\n0000"
PNG_64 = base64.b64encode(PNG).decode()


def fake(path: str, said: Said | list[Said]) -> Fake:
    return Fake({f"/v1{path}": said})


def ours(method: str, request: Any, model: str, service: Fake, vendor: str = "openai", **more: Any) -> Any:
    async def body(made: Any) -> Any:
        return await getattr(made, method)(request, call_of(model, **more))

    return with_vendor(make, entry(vendor, f"{service.url}/v1"), body)


@pytest.fixture(scope="module")
def connections() -> Iterator[Any]:
    """Making a client of its own for every call would take most of the time of these tests."""
    with openai.DefaultHttpxClient() as client:
        yield client


@pytest.fixture
def sdk(connections: Any) -> Sdk:
    """The official SDK, pointed at a service."""
    return lambda service: openai.OpenAI(
        api_key=KEY, base_url=f"{service.url}/v1", max_retries=0, http_client=connections
    )


def form(seen: Seen) -> list[tuple[str, Any]]:
    """A multipart form in order: each name with its text, or with (filename, type, bytes)."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    found: list[tuple[str, Any]] = []
    for part in BytesParser(policy=HTTP).parsebytes(head + seen.content).iter_parts():
        name = part.get_param("name", header="content-disposition")
        data: Any = part.get_payload(decode=True)
        named = part.get_filename()
        found.append((str(name), (named, part.get_content_type(), data) if named else data.decode()))
    return found


def fields(seen: Seen) -> dict[str, Any]:
    """The same by name."""
    return dict(form(seen))


# -- https://platform.openai.com/docs/api-reference/embeddings/create


def embedding(*vectors: list[float], text: bool = True, **more: Any) -> dict[str, Any]:
    rows = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() if text else v,
        }
        for index, v in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return {"object": "list", "data": rows[::-1], "model": "text-embedding-3-small", "usage": usage, **more}


def test_vectors_are_those_of_the_sdk_in_input_order(sdk: Sdk) -> None:
    said = says(embedding([0.25, -1.5], [3.0, 0.1]))
    with serving(fake("/embeddings", said)) as service:
        asked: dict[str, Any] = {"input": ["a", "b"], "dimensions": 2}
        made = ours("embed", asked, "text-embedding-3-small", service)
        theirs = sdk(service).embeddings.create(model="text-embedding-3-small", **asked)
        mine, sdks = (seen.body for seen in service.requests)
    assert mine == sdks
    by_index = {row.index: row.embedding for row in theirs.data}
    assert made.vectors == [pytest.approx(by_index[0]), pytest.approx(by_index[1])]
    assert made.vectors[0] == [0.25, -1.5]
    assert made.usage == {"prompt_tokens": 8, "completion_tokens": 0, "total_tokens": 8}


def test_vectors_of_numbers_are_read_too_and_a_missing_one_is_an_error() -> None:
    said = [says(embedding([1, 2], text=False, id="e1")), says(embedding([1, 2], text=False, id="e2"))]
    with serving(fake("/embeddings", said)) as service:
        assert ours("embed", {"input": ["a"]}, "m", service, "mistral").vectors == [[1.0, 2.0]]
        assert "encoding_format" not in service.last.body
        with pytest.raises(Failure, match="1 vectors came for 2 inputs"):
            ours("embed", {"input": ["a", "b"]}, "m", service, "mistral")


# https://www.alibabacloud.com/help/en/model-studio/text-embedding-synchronous-api: at most 10 rows
def test_more_texts_than_a_vendor_takes_at_once_are_several_calls() -> None:
    said = [says(embedding(*([[float(n)] for n in part]), text=False)) for part in (range(10), range(10, 12))]
    with serving(fake("/embeddings", said)) as service:
        made = ours("embed", {"input": [str(n) for n in range(12)]}, "text-embedding-v4", service, "dashscope")
        assert [seen.body["input"] for seen in service.requests] == [list("0123456789"), ["10", "11"]]
    assert [vector[0] for vector in made.vectors] == list(range(12))
    assert made.usage == {"prompt_tokens": 16, "completion_tokens": 0, "total_tokens": 16}


@pytest.mark.parametrize("vendor", ["openai", "mistral", "perplexity"])
def test_what_texts_are_is_told_as_unused_where_a_vendor_has_no_such_option(vendor: str) -> None:
    path = "/v1/embeddings" if vendor == "perplexity" else "/embeddings"
    said = says(embedding([1, 2], text=False, id="e1"))
    with serving(fake(path, said if vendor == "mistral" else unlike(said))) as service:  # what is asked matters here
        made = ours("embed", {"input": ["a"], "input_type": "query"}, "m", service, vendor)
        assert "input_type" not in service.last.body
    assert made.warnings == [f"input_type: {vendor} has no such option; not used"]


# https://docs.perplexity.ai/api-reference/embeddings-post; the default encoding is base64_int8
def test_vectors_of_perplexity_are_signed_bytes() -> None:
    text = base64.b64encode(struct.pack("4b", -128, -1, 0, 127)).decode()
    usage = {"prompt_tokens": 3, "total_tokens": 3, "cost": {"input_cost": 1e-8, "total_cost": 1e-8, "currency": "USD"}}
    row = {"object": "embedding", "index": 0, "embedding": text}
    body = {"object": "list", "data": [row], "model": "pplx-embed-v1-0.6b", "usage": usage}
    asked: dict[str, Any] = {"input": ["a"], "dimensions": 128}
    with serving(Fake({"/v1/embeddings": says(body)})) as service:

        async def call(made: Any) -> Any:
            return await made.embed(asked, call_of("pplx-embed-v1-0.6b"))

        made = with_vendor(make, entry("perplexity", service.url), call)
        with perplexity.Perplexity(api_key=KEY, base_url=service.url, max_retries=0) as client:
            theirs = client.embeddings.create(model="pplx-embed-v1-0.6b", encoding_format="base64_int8", **asked)
        mine, sdks = (seen.body for seen in service.requests)
    assert mine == sdks
    assert theirs.data is not None
    assert list(struct.unpack("4b", base64.b64decode(theirs.data[0].embedding or ""))) == made.vectors[0]
    assert made.vectors == [[-128.0, -1.0, 0.0, 127.0]]
    assert made.usage["total_tokens"] == 3


# -- https://platform.openai.com/docs/api-reference/images/create

IMAGES: dict[str, Any] = {
    "created": 1713833628,
    "data": [{"b64_json": PNG_64}],
    "usage": {
        "total_tokens": 100,
        "input_tokens": 50,
        "output_tokens": 50,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    },
}


def test_images_are_those_of_the_sdk(sdk: Sdk) -> None:
    with serving(fake("/images/generations", says(IMAGES))) as service:
        made = ours("draw", {"prompt": "a fox", "size": "1024x1024", "n": 1}, "gpt-image-1", service)
        theirs = sdk(service).images.generate(model="gpt-image-1", prompt="a fox", size="1024x1024", n=1)
        mine, sdks = (seen.body for seen in service.requests)
    assert mine == sdks
    assert theirs.data is not None
    assert made.files[0].data == base64.b64decode(theirs.data[0].b64_json or "")
    assert (made.files[0].mime, made.usage["images"], made.usage["prompt_tokens"]) == ("image/png", 1, 50)


@pytest.mark.parametrize(
    ("vendor", "model", "expected", "warned"),
    [
        ("openai", "dall-e-3", {"response_format": "b64_json", "size": "64x32"}, False),
        ("together", "flux", {"response_format": "base64", "width": 64, "height": 32}, False),
        ("xai", "grok-2-image", {"response_format": "b64_json"}, True),
        ("zhipu", "cogview-4", {"size": "64x32"}, False),
    ],
)
def test_a_vendor_is_asked_for_images_in_its_own_words(
    vendor: str, model: str, expected: dict[str, Any], warned: bool
) -> None:
    plain = {name: value for name, value in IMAGES.items() if name != "usage"}  # which OpenAI alone tells
    if vendor == "together":
        row = {"index": 0, "type": "b64_json", "b64_json": PNG_64}
        plain = {"id": "i1", "model": model, "object": "list", "data": [row]}
    with serving(fake("/images/generations", says(plain))) as service:
        made = ours("draw", {"prompt": "p", "size": "64x32"}, model, service, vendor)
        assert service.last.body == {"model": model, "prompt": "p", "n": 1} | expected
    assert bool(made.warnings) == warned


def test_an_image_behind_a_link_is_fetched_at_once_by_the_guarded_fetcher() -> None:
    picture = Said([PNG], "image/png")
    with serving(Fake({"/i.png": picture}, auth=("host", "pictures.example"))) as pictures:
        port = int(pictures.url.rpartition(":")[2])
        row = {"url": "http://pictures.example/i.png", "revised_prompt": "a red fox"}
        said = says({"created": 1760335349, "data": [row]})
        with serving(fake("/images/generations", said)) as service:

            async def body(made: Any) -> Any:
                call = Call("cogview-4", 10.0, stand_in({"pictures.example": ("127.0.0.1", port)}))
                return await made.draw({"prompt": "p"}, call)

            made = with_vendor(make, entry("zhipu", f"{service.url}/v1"), body)
    assert (made.files[0].data, made.files[0].about) == (PNG, {"revised_prompt": "a red fox"})


def test_images_of_xai_cost_what_it_reports() -> None:
    # https://docs.x.ai/developers/cost-tracking ("usage": {"cost_in_usd_ticks": 200000000}: 0.02 USD)
    said = says({"data": [{"b64_json": PNG_64}], "created": 1713833628, "usage": {"cost_in_usd_ticks": 200_000_000}})
    with serving(fake("/images/generations", said)) as service:
        assert ours("draw", {"prompt": "a fox"}, "grok-2-image", service, "xai").cost_usd == 0.02


@pytest.mark.parametrize("body", [{"data": []}, {}, {"data": [{}]}, {"data": [{"b64_json": 3}]}])
def test_an_image_answer_without_images_is_a_vendor_error(body: Any) -> None:
    with serving(fake("/images/generations", unlike(says(body)))) as service, pytest.raises(Failure) as caught:
        ours("draw", {"prompt": "p"}, "gpt-image-1", service)
    assert caught.value.code == "VENDOR_ERROR"


# -- https://www.alibabacloud.com/help/en/model-studio/qwen-image-api ("Synchronous API")

NATIVE = "/api/v1/services/aigc/multimodal-generation/generation"


def qwen(*links: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"image": link} for link in links]}
    return {
        "output": {
            "choices": [{"finish_reason": "stop", "message": message}],
            "task_metric": {"TOTAL": 1, "FAILED": 0, "SUCCEEDED": 1},
        },
        "usage": {"width": 1328, "image_count": len(links), "height": 1328},
        "request_id": "7a270c86-db58-9faf-b403-xxxxxx",
    }


def painted(
    said: Said | list[Said], model: str, base: str = "/compatible-mode/v1", options: Any = None, **asked: Any
) -> tuple[Any, Fake]:
    """What is made of an answer whose links lead to a picture, and the service that was asked."""
    with serving(Fake({"/i.png": Said([PNG], "image/png")}, auth=("host", "pictures.example"))) as pictures:
        place = ("127.0.0.1", int(pictures.url.rpartition(":")[2]))
        with serving(Fake({NATIVE: said})) as service:

            async def body(made: Any) -> Any:
                call = Call(model, 10.0, stand_in({"pictures.example": place}), options or {})
                return await made.draw({"prompt": "a fox", **asked}, call)

            return with_vendor(make, entry("dashscope", f"{service.url}{base}"), body), service


LINK = "http://pictures.example/i.png"


@pytest.mark.parametrize("base", ["/compatible-mode/v1", "/v1"])
def test_images_of_qwen_are_asked_for_as_by_the_sdk_beside_the_compatible_interface(base: str) -> None:
    extras: dict[str, Any] = {"negative_prompt": "blurred", "watermark": False}
    made, service = painted(says(qwen(LINK)), "qwen-image-plus", base, extras, size="1328x1328")
    with serving(Fake({NATIVE: says(qwen(LINK))})) as other:
        theirs: Any = dashscope.MultiModalConversation.call(
            "qwen-image-plus",
            [{"role": "user", "content": [{"text": "a fox"}]}],
            api_key=KEY,
            base_address=f"{other.url}/api/v1",
            n=1,
            size="1328*1328",
            **extras,
        )
    assert service.last.body == other.last.body
    (link,) = [part["image"] for part in theirs.output.choices[0].message.content]
    assert (link, made.files[0].data, made.files[0].mime) == (LINK, PNG, "image/png")
    assert made.usage == {"images": theirs.usage["image_count"]}


@pytest.mark.parametrize(
    ("model", "counts", "answers"),
    [
        ("qwen-image-plus", [1, 1], [qwen(LINK), qwen(LINK)]),
        ("qwen-image-3.0", [2], [qwen(LINK, LINK)]),
        ("qwen-image-2.0-pro", [6, 2], [qwen(*[LINK] * 6), qwen(LINK, LINK)]),
    ],
)
def test_several_images_of_qwen_take_as_few_calls_as_the_model_allows(
    model: str, counts: list[int], answers: list[Any]
) -> None:
    made, service = painted([says(answer) for answer in answers], model, n=sum(counts))
    assert sorted((seen.body["parameters"]["n"] for seen in service.requests), reverse=True) == counts
    assert made.usage == {"images": sum(counts)}


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        # https://www.alibabacloud.com/help/en/model-studio/error-code
        (400, "InvalidParameter", "num_images_per_prompt must be 1", "INVALID_REQUEST"),
        (400, "DataInspectionFailed", "Input data may contain inappropriate content.", "CONTENT_FILTERED"),
        (400, "Arrearage", "Access denied, please make sure your account is in good standing.", "INSUFFICIENT_CREDIT"),
        (401, "InvalidApiKey", "Invalid API-key provided.", "UNAUTHORIZED"),
        (429, "Throttling.RateQuota", "Requests rate limit exceeded.", "RATE_LIMITED"),
        (200, "InternalError", "An internal error has occured.", "VENDOR_ERROR"),
    ],
)
def test_an_error_of_dashscopes_own_interface_has_its_code(status: int, code: str, message: str, expected: str) -> None:
    with pytest.raises(Failure) as caught:
        painted(says({"request_id": "r", "code": code, "message": message}, status), "qwen-image-plus")
    assert caught.value.code == expected
    assert status == 200 or message in caught.value.message


def test_an_answer_of_qwen_without_images_is_a_vendor_error() -> None:
    with pytest.raises(Failure, match="no image came"):
        painted(says(qwen()), "qwen-image-plus")


# -- https://platform.openai.com/docs/api-reference/audio


def test_speech_is_that_of_the_sdk(sdk: Sdk) -> None:
    with serving(fake("/audio/speech", Said([b"ID3sound"], "audio/mpeg"))) as service:
        asked: dict[str, Any] = {"input": "Hello", "voice": "nova", "speed": 1.5}
        made = ours("speak", {**asked, "format": "mp3"}, "gpt-4o-mini-tts", service)
        theirs = sdk(service).audio.speech.create(model="gpt-4o-mini-tts", response_format="mp3", **asked)
        mine, sdks = (seen.body for seen in service.requests)
    assert mine == sdks
    assert made.files[0].data == theirs.content
    assert (made.files[0].mime, made.usage) == ("audio/mpeg", {"characters": 5})
    assert made.files[0].about == {"format": "mp3", "voice": "nova"}


@pytest.mark.parametrize(
    ("vendor", "asked", "got", "warned"), [("groq", "mp3", "wav", True), ("openai", "ogg", "opus", True)]
)
def test_a_sound_format_that_a_vendor_lacks_is_replaced_and_told(
    vendor: str, asked: str, got: str, warned: bool
) -> None:
    with serving(fake("/audio/speech", Said([b"x"], "audio/wav"))) as service:
        made = ours("speak", {"input": "Hi", "format": asked}, "m", service, vendor)
        assert service.last.body["response_format"] == got
    assert bool(made.warnings) == warned


@pytest.mark.parametrize(
    ("vendor", "field", "usual"), [("groq", "voice", "troy"), ("together", "voice", "tara"), ("xai", "voice_id", "eve")]
)
def test_a_voice_of_openai_is_replaced_at_another_vendor_and_told(vendor: str, field: str, usual: str) -> None:
    path = "/tts" if vendor == "xai" else "/audio/speech"
    with serving(fake(path, Said([b"x"], "audio/wav"))) as service:
        made = ours("speak", {"input": "Hi", "voice": "Alloy", "format": "wav"}, "m", service, vendor)
        assert service.last.body[field] == usual
    assert made.warnings == [f"voice: this vendor has no 'Alloy', which is OpenAI's; {usual} was used"]


def test_the_vendors_own_voice_is_asked_for_as_it_is() -> None:
    with serving(fake("/audio/speech", Said([b"x"], "audio/wav"))) as service:
        made = ours("speak", {"input": "Hi", "voice": "hannah", "format": "wav"}, "m", service, "groq")
        assert (service.last.body["voice"], made.warnings) == ("hannah", [])


# -- https://docs.x.ai/developers/model-capabilities/audio/text-to-speech: xAI's SDK, which speaks gRPC, has none


def test_speech_of_xai_is_asked_for_in_its_words() -> None:
    with serving(fake("/tts", Said([b"ID3sound"], "audio/mpeg"))) as service:
        asked = {"input": "Hello", "voice": "ara", "speed": 1.2, "format": "mp3"}
        made = ours("speak", asked, "grok-voice-tts-1.0", service, "xai", options={"language": "en"})
        sent = service.last.body
    wanted = {"text": "Hello", "voice_id": "ara", "language": "en", "output_format": {"codec": "mp3"}, "speed": 1.2}
    assert sent == wanted
    assert (made.files[0].data, made.files[0].mime, made.usage) == (b"ID3sound", "audio/mpeg", {"characters": 5})
    assert (made.files[0].about, made.warnings) == ({"format": "mp3", "voice": "ara"}, [])


def test_what_speech_of_xai_lacks_is_replaced_and_told() -> None:
    with serving(fake("/tts", Said([b"x"], "audio/mpeg"))) as service:
        made = ours("speak", {"input": "Hi", "speed": 4, "format": "opus"}, "grok-voice-tts-1.0", service, "xai")
        sent = service.last.body
    assert (sent["voice_id"], sent["language"], sent["output_format"]) == ("eve", "auto", {"codec": "mp3"})
    assert sent["speed"] == 1.5
    assert [warning.partition(":")[0] for warning in made.warnings] == ["format", "speed"]


# -- https://www.alibabacloud.com/help/en/model-studio/qwen-tts-api and .../qwen-audio-tts-http-api

SPEECHES = {
    "qwen3-tts-flash": NATIVE,
    "qwen-audio-3.1-tts-flash": "/api/v1/services/audio/tts/SpeechSynthesizer",
}


def spoken(model: str, asked: Any, said: Any = None, sound: Said | None = None) -> tuple[Any, Fake]:
    """What is made of an answer whose link leads to a sound, and the service that was asked."""
    with serving(Fake({"/s": sound or Said([b"RIFF"], "audio/wav")}, auth=("host", "sounds.example"))) as sounds:
        place = ("127.0.0.1", int(sounds.url.rpartition(":")[2]))
        with serving(Fake({SPEECHES[model]: says(said or qwen_sound())})) as service:

            async def body(made: Any) -> Any:
                return await made.speak(asked, Call(model, 10.0, stand_in({"sounds.example": place})))

            return with_vendor(make, entry("dashscope", f"{service.url}/compatible-mode/v1"), body), service


def qwen_sound(**usage: Any) -> dict[str, Any]:
    audio = {"data": "", "url": "http://sounds.example/s", "id": "audio_1", "expires_at": 1766113409}
    output = {"text": None, "finish_reason": "stop", "choices": None, "audio": audio}
    return {"request_id": "r", "output": output, "usage": usage or {"characters": 7, "input_tokens": 0}}


def test_speech_of_qwen_is_asked_for_as_by_the_sdk() -> None:
    made, service = spoken("qwen3-tts-flash", {"input": "你好", "voice": "Ethan", "format": "wav"})
    with serving(Fake({NATIVE: says(qwen_sound())})) as other:
        theirs: Any = SpeechSynthesizer.call(
            "qwen3-tts-flash", "你好", api_key=KEY, voice="Ethan", base_address=f"{other.url}/api/v1"
        )
    mine, sdks = service.last.body, other.last.body
    assert mine == {name: value for name, value in sdks.items() if name != "parameters"}
    assert sdks["parameters"] == {}
    assert theirs.output.audio["url"] == qwen_sound()["output"]["audio"]["url"]
    assert (made.files[0].data, made.files[0].mime) == (b"RIFF", "audio/wav")
    assert made.usage == {"characters": theirs.usage["characters"]}


def test_speech_of_qwen_audio_is_asked_for_as_by_the_sdk() -> None:
    model, usage = "qwen-audio-3.1-tts-flash", {"characters": 2, "input_tokens": 9, "output_tokens": 40}
    asked = {"input": "你好", "speed": 1.5, "format": "wav"}
    made, service = spoken(model, asked, qwen_sound(**usage))
    with serving(Fake({SPEECHES[model]: says(qwen_sound(**usage))})) as other:
        theirs: Any = HttpSpeechSynthesizer.call(
            model, "你好", "longanhuan_v3.1", audio_format="wav", rate=1.5, api_key=KEY, url=f"{other.url}/api/v1"
        )
    mine, sdks = service.last.body, other.last.body
    assert sdks["input"].pop("sample_rate") == 24000  # the SDK's own default; ours is the vendor's
    assert mine == sdks
    assert theirs.audio_url == qwen_sound()["output"]["audio"]["url"]
    assert made.usage == {"characters": 2, "prompt_tokens": 9, "completion_tokens": 40}


@pytest.mark.parametrize(
    ("model", "asked", "form", "warned"),
    [
        ("qwen3-tts-flash", {"format": "mp3", "speed": 2}, "wav", ["format", "speed"]),
        ("qwen-audio-3.1-tts-flash", {"format": "flac", "speed": 4}, "mp3", ["format", "speed"]),
        ("qwen-audio-3.1-tts-flash", {"format": "opus"}, "opus", []),
    ],
)
def test_what_speech_of_qwen_lacks_is_replaced_and_told(model: str, asked: Any, form: str, warned: list[str]) -> None:
    made, _ = spoken(model, {"input": "Hi", **asked})
    assert made.files[0].about["format"] == form
    assert [warning.partition(":")[0] for warning in made.warnings] == warned


@pytest.mark.parametrize(
    ("said", "sound"),
    [
        ({"output": {}}, None),
        ({"output": {"audio": {"url": "http://elsewhere.example/s"}}}, None),
        (None, Said([b"<html>"], "text/html")),
        (None, Said([b""], "audio/wav")),
    ],
)
def test_an_answer_of_qwen_without_a_sound_is_a_vendor_error(said: Any, sound: Said | None) -> None:
    with pytest.raises(Failure) as caught:
        spoken("qwen3-tts-flash", {"input": "Hi"}, said, sound)
    assert caught.value.code == "VENDOR_ERROR"


TRANSCRIPT = {
    "task": "transcribe",
    "language": "english",
    "duration": 8.47,
    "text": "The beach was popular.",
    "segments": [
        {"id": 0, "seek": 0, "start": 0.0, "end": 3.3, "text": " The beach was", "tokens": [1], "temperature": 0.0,
         "avg_logprob": -0.28, "compression_ratio": 1.2, "no_speech_prob": 0.009},
        {"id": 1, "seek": 0, "start": 3.3, "end": 8.4, "text": " popular.", "tokens": [2], "temperature": 0.0,
         "avg_logprob": -0.28, "compression_ratio": 1.2, "no_speech_prob": 0.009},
    ],
    "words": [{"word": "The", "start": 0.0, "end": 0.2}],
    "usage": {"type": "duration", "seconds": 9},
}  # fmt: skip
SOUND = {"audio": {"base64": base64.b64encode(b"RIFF0000WAVEfmt ").decode(), "mime": "audio/wav"}}


def test_a_transcript_is_that_of_the_sdk(sdk: Sdk) -> None:
    with serving(fake("/audio/transcriptions", says(TRANSCRIPT))) as service:
        granularities: Any = ["word", "segment"]
        request = {**SOUND, "language": "en", "timestamp_granularities": granularities}
        heard = ours("listen", request, "whisper-1", service)
        theirs = sdk(service).audio.transcriptions.create(
            model="whisper-1",
            file=("audio.wav", io.BytesIO(b"RIFF0000WAVEfmt "), "audio/wav"),
            language="en",
            response_format="verbose_json",
            timestamp_granularities=granularities,
        )
        mine, sdks = map(fields, service.requests)
    assert mine == sdks
    assert (heard.text, heard.language) == (theirs.text, theirs.language)
    assert [(s["start"], s["end"], s["text"]) for s in heard.segments] == [
        (s.start, s.end, s.text) for s in theirs.segments or ()
    ]
    assert [w["word"] for w in heard.words] == [w.word for w in theirs.words or ()]
    assert heard.usage == {"audio_seconds": 9.0}


def test_lists_of_a_form_are_written_as_by_the_sdk(sdk: Sdk) -> None:
    tokens = [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105]}]
    with serving(fake("/audio/transcriptions", says({"text": "Hi.", "logprobs": tokens}))) as service:
        heard = ours("listen", {**SOUND, "passthrough": {"include": ["logprobs"]}}, "gpt-4o-transcribe", service)
        theirs = sdk(service).audio.transcriptions.create(
            model="gpt-4o-transcribe",
            file=("audio.wav", io.BytesIO(b"RIFF0000WAVEfmt "), "audio/wav"),
            response_format="json",
            include=["logprobs"],
        )
        mine, sdks = map(fields, service.requests)
    assert mine == sdks
    assert heard.logprobs == [token.to_dict() for token in theirs.logprobs or ()] == tokens


def test_a_model_without_segments_is_asked_for_plain_json() -> None:
    tokens = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    with serving(fake("/audio/transcriptions", says({"text": "Hi.", "usage": tokens}))) as service:
        heard = ours("listen", {**SOUND, "language": "de"}, "gpt-4o-transcribe", service)
        assert fields(service.last)["response_format"] == "json"
    assert (heard.text, heard.language, heard.segments) == ("Hi.", "de", [])
    assert heard.usage == {"prompt_tokens": 14, "completion_tokens": 45}


def test_times_that_a_model_cannot_tell_are_warned_about() -> None:
    with serving(fake("/audio/transcriptions", says({"text": "Hi."}))) as service:
        heard = ours("listen", {**SOUND, "timestamp_granularities": ["word"]}, "gpt-4o-transcribe", service)
    assert heard.warnings == ["timestamp_granularities: gpt-4o-transcribe tells no times; not used"]


# https://platform.openai.com/docs/api-reference/audio/diarized-json-object
DIARIZED = {
    "task": "transcribe",
    "duration": 27.4,
    "text": "Agent: Thanks for calling.\nA: Hi.",
    "segments": [
        {"type": "transcript.text.segment", "id": "seg_001", "start": 0.0, "end": 4.7, "text": "Thanks for calling.",
         "speaker": "agent"},
        {"type": "transcript.text.segment", "id": "seg_002", "start": 4.7, "end": 5.9, "text": "Hi.", "speaker": "A"},
    ],
    "usage": {"type": "duration", "seconds": 27},
}  # fmt: skip


def test_a_transcript_with_speakers_is_that_of_the_sdk(sdk: Sdk) -> None:
    model, names = "gpt-4o-transcribe-diarize", ["agent"]
    with serving(fake("/audio/transcriptions", says(DIARIZED))) as service:
        asked = {**SOUND, "diarize": True, "prompt": "calls", "passthrough": {"known_speaker_names": names}}
        heard = ours("listen", asked, model, service)
        theirs: Any = sdk(service).audio.transcriptions.create(
            model=model,
            file=("audio.wav", io.BytesIO(b"RIFF0000WAVEfmt "), "audio/wav"),
            response_format="diarized_json",
            chunking_strategy="auto",
            known_speaker_names=names,
        )
        mine, sdks = map(fields, service.requests)
    assert mine == sdks
    assert [(s["speaker"], s["start"], s["end"], s["text"]) for s in heard.segments] == [
        (s["speaker"], s["start"], s["end"], s["text"]) for s in theirs.to_dict()["segments"]
    ]
    assert (heard.text, heard.usage) == (theirs.text, {"audio_seconds": 27.0})
    assert heard.warnings == ["prompt: this vendor has no such option; not used"]


def test_the_callers_own_chunking_wins() -> None:
    with serving(fake("/audio/transcriptions", says(DIARIZED))) as service:
        asked = {**SOUND, "passthrough": {"chunking_strategy[type]": "server_vad"}}
        ours("listen", asked, "gpt-4o-transcribe-diarize", service)
        sent = fields(service.last)
    assert (sent["chunking_strategy[type]"], "chunking_strategy" in sent) == ("server_vad", False)


def test_a_model_that_tells_no_speakers_is_not_asked_for_them() -> None:
    with serving(fake("/audio/transcriptions", says(DIARIZED))) as service, pytest.raises(Failure) as caught:
        ours("listen", {**SOUND, "diarize": True}, "whisper-1", service)
    assert (caught.value.code, caught.value.param) == ("UNSUPPORTED_CAPABILITY", "response_format")
    assert service.requests == []


# -- https://docs.x.ai/developers/rest-api-reference/inference/speech-to-text: xAI's SDK, which speaks gRPC, has none

HEARD = {
    "text": "The beach was popular.",
    "language": "",
    "duration": 3.3,
    "words": [
        {"text": "The", "start": 0.0, "end": 0.2, "speaker": 0},
        {"text": "beach", "start": 0.2, "end": 0.6, "speaker": 0},
    ],
}


def test_a_transcript_of_xai_has_its_words() -> None:
    with serving(fake("/stt", says(HEARD))) as service:
        request = {**SOUND, "language": "en", "timestamp_granularities": ["word"], "temperature": 0.1}
        options = {"keyterm": ["Saipan", "Guam"], "format": True}
        heard = ours("listen", request, "grok-voice-transcribe-2.0", service, "xai", options=options)
        sent = form(service.last)
    # the file has to be the last field
    assert sent == [
        ("model", "grok-voice-transcribe-2.0"),
        ("language", "en"),
        ("keyterm", "Saipan"),
        ("keyterm", "Guam"),
        ("format", "true"),
        ("file", ("audio.wav", "audio/wav", b"RIFF0000WAVEfmt ")),
    ]
    assert (heard.text, heard.language, heard.segments) == (HEARD["text"], "en", [])
    assert heard.words[1] == {"start": 0.2, "end": 0.6, "word": "beach", "speaker": 0}
    assert heard.usage == {"audio_seconds": 3.3}
    assert heard.warnings == ["temperature: this vendor has no such option; not used"]


def test_a_silent_transcript_of_xai_is_a_transcript() -> None:
    with serving(fake("/stt", says({"text": "", "language": "", "duration": 1.0}))) as service:
        heard = ours("listen", SOUND, "grok-voice-transcribe-2.0", service, "xai")
    assert (heard.text, heard.language, heard.words) == ("", None, [])


# -- https://docs.together.ai/reference/rerank-1


def test_candidates_are_ranked_best_first() -> None:
    rows = [{"index": 1, "relevance_score": 0.2}, {"index": 0, "relevance_score": 0.9}]
    with serving(fake("/rerank", says({"results": rows, "usage": {"prompt_tokens": 5, "total_tokens": 5}}))) as service:
        made = ours("rerank", {"query": "q", "candidates": ["a", "b"], "top_k": 2}, "m", service, "together")
        assert service.last.body == {"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 2}
    assert made.results == [(0, 0.9), (1, 0.2)]
    assert made.usage["search_units"] == 1


def test_a_ranking_of_something_else_is_a_vendor_error() -> None:
    said = says({"results": [{"index": 7, "relevance_score": 1}]})
    with serving(fake("/rerank", said)) as service, pytest.raises(Failure, match="not given"):
        ours("rerank", {"query": "q", "candidates": ["a"]}, "m", service, "together")


# -- https://platform.openai.com/docs/api-reference/realtime-sessions/create-realtime-client-secret

SECRET = {
    "value": "ek_68af296e8e408191a1120ab6383263c2",
    "expires_at": 1756310470,
    "session": {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_C9CiUVUzUzYIssh3ELY1d",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "audio": {"output": {"voice": "marin"}},
    },
}


def test_a_session_is_opened_as_by_the_sdk(sdk: Sdk) -> None:
    with serving(fake("/realtime/client_secrets", says(SECRET))) as service:
        opened = ours("open", {"voice": "marin", "ttl_seconds": 600}, "gpt-realtime", service)
        theirs = sdk(service).realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 600},
            session={"type": "realtime", "model": "gpt-realtime", "audio": {"output": {"voice": "marin"}}},
        )
        mine, sdks = (seen.body for seen in service.requests)
        assert opened["url"] == f"{service.url}/v1/realtime/calls"
    assert mine == sdks
    assert (opened["token"], opened["expires_at"]) == (theirs.value, theirs.expires_at)
    assert (opened["session_id"], opened["ice_servers"]) == ("sess_C9CiUVUzUzYIssh3ELY1d", [])


@pytest.mark.parametrize(("asked", "sent"), [(1, 10), (99999, 7200)])
def test_the_life_of_a_session_stays_within_what_the_vendor_allows(asked: int, sent: int) -> None:
    with serving(fake("/realtime/client_secrets", says(SECRET))) as service:
        ours("open", {"ttl_seconds": asked}, "gpt-realtime", service)
        assert service.last.body["expires_after"]["seconds"] == sent


# -- https://platform.openai.com/docs/guides/batch


FILE = stored_file() | {"id": "file-abc123"}
REQUESTS = [{"messages": [{"role": "user", "parts": [{"type": "text", "text": text}]}]} for text in ("a", "b", "c")]


def test_a_batch_is_handed_in_as_by_the_sdk(sdk: Sdk) -> None:
    answers: Any = {"/v1/files": says(FILE), "/v1/batches": says(openai_batch("validating"))}
    with serving(Fake(answers)) as service:
        job = ours("submit", REQUESTS, "gpt-4.1", service)
        upload, created = service.requests
        client = sdk(service)
        content = fields(upload)["file"][2]
        stored = client.files.create(file=("batch.jsonl", content, "application/jsonl"), purpose="batch")
        theirs = client.batches.create(
            input_file_id=stored.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        assert fields(upload) == fields(service.requests[2])
        assert created.body == service.requests[3].body
    assert job == theirs.id
    rows = [json.loads(line) for line in content.splitlines()]
    assert [(row["custom_id"], row["method"], row["url"]) for row in rows] == [
        (str(n), "POST", "/v1/chat/completions") for n in range(3)
    ]
    assert rows[1]["body"] == {"model": "gpt-4.1", "messages": [{"role": "user", "content": "b"}]}


@pytest.mark.parametrize(
    ("status", "state"),
    [("validating", "queued"), ("in_progress", "running"), ("completed", "completed"), ("expired", "expired"),
     ("cancelled", "cancelled"), ("failed", "failed"), ("finalizing", "running"), ("something new", "running")],
)  # fmt: skip
def test_a_batch_tells_how_far_it_is(status: str, state: str) -> None:
    said = says(openai_batch(status))
    known = status != "something new"
    with serving(fake("/batches/batch_abc123", said if known else unlike(said))) as service:
        assert ours("poll", "batch_abc123", "m", service) == {
            "state": state, "completed_count": 2, "failed_count": 1
        }  # fmt: skip


def test_results_are_each_an_answer_or_a_failure() -> None:
    def row(place: int, status: int, body: Any) -> bytes:
        return json.dumps(openai_row(place, status, body)).encode()

    good = row(1, 200, completion({"content": "B"})) + b"\n" + row(0, 200, OPENAI["text"].completion) + b"\n"
    bad = row(2, 400, {"error": {"message": "too long", "code": "context_length_exceeded"}})
    answers: Any = {
        "/v1/batches/batch_abc123": says(openai_batch("completed", output_file_id="file-o", error_file_id="file-e")),
        "/v1/files/file-o/content": Said([good], "application/octet-stream"),
        "/v1/files/file-e/content": Said([bad], "application/octet-stream"),
    }

    with serving(Fake(answers)) as service:
        rows = ours_of_the_job("batch_abc123", service)
    assert assembled(rows[0].events).parts[0]["text"].startswith("Hello!")
    assert (finish_of(rows[1].events).usage or {})["prompt_tokens"] == USAGE["prompt_tokens"]
    assert rows[2].failure.code == "CONTEXT_LENGTH_EXCEEDED"


def test_an_expired_batch_has_what_it_came_to_and_says_of_the_rest_that_it_expired(sdk: Sdk) -> None:
    rows = [openai_row(0, 200, completion({"content": "A"})), unreached_row(1)]
    done = openai_batch("expired", output_file_id="file-o", error_file_id="file-e")
    files = [Said([json.dumps(row).encode()], "application/octet-stream") for row in rows]
    answers: Any = dict(zip(("/v1/files/file-o/content", "/v1/files/file-e/content"), files, strict=True))
    with serving(Fake({"/v1/batches/batch_abc123": says(done), **answers})) as service:
        found = ours_of_the_job("batch_abc123", service)
        client = sdk(service)
        theirs = client.batches.retrieve("batch_abc123")
        texts = [client.files.content(str(name)).text for name in (theirs.output_file_id, theirs.error_file_id)]
    assert (theirs.status, [json.loads(text)["custom_id"] for text in texts]) == ("expired", ["0", "1"])
    assert assembled(found[0].events).parts[0]["text"] == "A"
    assert (found[1].failure.code, "completion window" in found[1].failure.message) == ("VENDOR_ERROR", True)


def answered(body: Any) -> dict[str, Any]:
    return {"status_code": 200, "request_id": "r", "body": body}


def ours_of_the_job(job: str, service: Fake, vendor: str = "openai") -> dict[int, Any]:
    async def body(made: Any) -> dict[int, Any]:
        return await results_of(made, job, call_of("gpt-4.1"))

    return with_vendor(make, entry(vendor, f"{service.url}/v1"), body)


def test_a_row_that_cannot_be_read_or_is_of_no_request_leaves_the_others_alone() -> None:
    rows: list[Any] = [
        {"custom_id": "0", "response": answered({"choices": []})},
        {"custom_id": "1", "response": {"status_code": 200}},
        {"custom_id": "2", "response": answered(completion({"content": "C"}))},
        {"custom_id": "3", "response": "x"},
        {"custom_id": "somebody else's", "response": answered(completion({"content": "?"}))},
        {"custom_id": "99999999999999", "response": answered(completion({"content": "?"}))},
        {"response": answered(completion({"content": "?"}))},
        ["no object"],
    ]
    file = unlike(Said([b"\n\n".join(json.dumps(row).encode() for row in rows)], "application/octet-stream"))
    answers: dict[str, Any] = {
        "/v1/batches/b": says(openai_batch("completed", output_file_id="file-o")),
        "/v1/files/file-o/content": file,
    }
    with serving(Fake(answers)) as service:
        found = ours_of_the_job("b", service)
    assert {place: row.failure and row.failure.code for place, row in found.items()} == {
        0: "VENDOR_ERROR", 1: "VENDOR_ERROR", 2: None, 3: "VENDOR_ERROR"
    }  # fmt: skip


def test_a_file_that_was_cut_gives_what_came_and_then_fails() -> None:
    whole = json.dumps({"custom_id": "0", "response": answered(completion({"content": "A"}))}).encode()
    answers: Any = {
        "/v1/batches/b": says(openai_batch("completed", output_file_id="file-o")),
        "/v1/files/file-o/content": unlike(
            Said([whole + b"\n" + whole[: len(whole) // 2]], "application/octet-stream")
        ),
    }
    seen: list[int] = []

    async def body(made: Any) -> None:
        async for result in made.results("b", call_of("m")):
            seen.append(result.place)

    with serving(Fake(answers)) as service, pytest.raises(Failure) as caught:
        with_vendor(make, entry("openai", f"{service.url}/v1"), body)
    assert (seen, caught.value.code) == ([0], "VENDOR_ERROR")


def test_a_job_whose_id_was_lost_is_known_by_the_key_that_it_carries(sdk: Sdk) -> None:
    job = openai_batch("in_progress", job="batch_2", metadata={"infrai": "key-2"})
    listed = {
        "object": "list",
        "data": [openai_batch("completed"), job],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    answers: Any = {"/v1/files": says(FILE), "/v1/batches": [says(job), says(listed), says(listed), says(listed)]}
    with serving(Fake(answers)) as service:
        ours("submit", REQUESTS, "gpt-4.1", service, idempotency_key=lambda: "key-2")
        assert service.last.body["metadata"] == {"infrai": "key-2"}
        assert found_by("key-2", service) == "batch_2"
        assert (service.last.method, service.last.query) == ("GET", "limit=100")
        theirs = next(one for one in sdk(service).batches.list(limit=100) if one.metadata == {"infrai": "key-2"})
        assert (theirs.id, found_by("key-3", service)) == ("batch_2", None)


def found_by(key: str, service: Fake, vendor: str = "openai") -> Any:
    async def body(made: Any) -> Any:
        return await made.find(call_of("m", idempotency_key=lambda: key))

    return with_vendor(make, entry(vendor, f"{service.url}/v1"), body)


def test_azure_starts_a_job_once_it_has_read_its_file() -> None:
    # https://learn.microsoft.com/azure/foundry/openai/how-to/batch (upload, "status": "pending"; create)
    reading = FILE | {"status": "pending"}
    for version, base, endpoint in (("", "/openai/v1", "/v1/chat/completions"), ("2024-10-21", "/openai", CHAT_ONLY)):
        answers: Any = {
            f"{base}/files": says(reading),
            f"{base}/files/file-abc123": [says(reading), says(FILE)],
            f"{base}/batches": says(openai_batch("validating")),
        }
        with serving(Fake(answers, auth=("api-key", KEY))) as service:

            async def body(made: Any) -> Any:
                return await made.submit(REQUESTS, call_of("gpt-4.1"))

            options = {"api_version": version} if version else {}
            with_vendor(make, entry("azure", service.url, **options), body)
            seen = [request.path.removeprefix(base) for request in service.requests]
            line = json.loads(fields(service.requests[0])["file"][2].splitlines()[0])
        assert seen == ["/files", "/files/file-abc123", "/files/file-abc123", "/batches"]
        assert (service.last.body["endpoint"], line["url"]) == (endpoint, endpoint)


CHAT_ONLY = "/chat/completions"


# -- https://docs.x.ai/developers/advanced-api-usage/batch-api: xAI's SDK, which speaks gRPC, has other shapes


def xai_batch(total: int, pending: int, done: int, failed: int, stopped: int, **more: Any) -> dict[str, Any]:
    names = ("requests", "pending", "success", "error", "cancelled")
    counts = zip(names, (total, pending, done, failed, stopped), strict=True)
    return {"batch_id": "batch_1", "name": "infrai", "state": {f"num_{n}": c for n, c in counts}, **more}


def test_a_batch_of_xai_is_handed_in_as_a_file() -> None:
    answers: Any = {"/v1/files": says({"id": "file-1"}), "/v1/batches": says(xai_batch(0, 0, 0, 0, 0))}
    with serving(Fake(answers)) as service:
        job = ours("submit", REQUESTS, "grok-4.3", service, "xai")
        upload, created = service.requests
    [(name, (filename, mime, content))] = form(upload)
    assert (job, name, filename, mime) == ("batch_1", "file", "batch.jsonl", "application/jsonl")
    assert created.body == {"name": "infrai", "input_file_id": "file-1"}
    rows = [json.loads(line) for line in content.splitlines()]
    assert [(row["custom_id"], row["method"], row["url"]) for row in rows] == [
        (str(n), "POST", "/v1/chat/completions") for n in range(3)
    ]
    assert rows[1]["body"]["messages"] == [{"role": "user", "content": "b"}]


@pytest.mark.parametrize(
    ("batch", "state"),
    [
        (xai_batch(0, 0, 0, 0, 0), "queued"),
        (xai_batch(3, 1, 2, 0, 0), "running"),
        (xai_batch(3, 0, 2, 1, 0), "completed"),
        (xai_batch(3, 0, 1, 0, 2, cancel_time="2026-11-27"), "cancelled"),
        (xai_batch(3, 1, 1, 0, 1, cancel_time="2026-11-27"), "running"),
        (xai_batch(0, 0, 0, 0, 0, cancel_time="2026-11-27"), "cancelled"),
        (xai_batch(0, 0, 0, 0, 0, cancel_time="2026-11-27", cancel_by_xai_message="bad model"), "failed"),
    ],
)
def test_a_batch_of_xai_is_as_far_as_its_counts_say(batch: Any, state: str) -> None:
    with serving(fake("/batches/batch_1", says(batch))) as service:
        polled = ours("poll", "batch_1", "m", service, "xai")
    counts = batch["state"]
    assert polled == {
        "state": state, "completed_count": counts["num_success"], "failed_count": counts["num_error"]
    }  # fmt: skip


def test_results_of_xai_come_in_pages_and_any_order() -> None:
    def row(place: int, **result: Any) -> Any:
        return {"batch_request_id": str(place), "batch_result": result}

    good = {"chat_get_completion": completion({"content": "B"})}
    pages = [
        {"results": [row(1, response=good)], "pagination_token": "a/b"},
        {"results": [row(0, error={"code": 8, "message": "slow down"})], "pagination_token": None},
    ]
    answers: Any = {
        "/v1/batches/batch_1": says(xai_batch(3, 0, 1, 1, 1)),
        "/v1/batches/batch_1/results": [says(page) for page in pages],
    }

    with serving(Fake(answers)) as service:
        rows = ours_of_the_job("batch_1", service, "xai")
    assert [seen.query for seen in service.requests] == ["limit=1000", "limit=1000&pagination_token=a%2Fb"]
    assert rows[0].failure.code == "RATE_LIMITED"
    assert assembled(rows[1].events).parts[0]["text"] == "B"
    assert set(rows) == {0, 1}


def test_a_batch_of_xai_is_stopped_by_its_own_verb() -> None:
    with serving(fake("/batches/batch_1:cancel", says(xai_batch(1, 1, 0, 0, 0)))) as service:
        ours("cancel", "batch_1", "m", service, "xai")
        assert service.last.method == "POST"
