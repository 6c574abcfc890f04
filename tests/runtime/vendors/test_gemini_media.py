"""Gemini's embeddings, images, speech, transcripts and batches: the official SDK reads the same bytes."""

from __future__ import annotations

import base64
import io
import math
import re
import warnings
import wave
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from google import genai
from google.genai import types

from infrai_runtime.vendors.base import CAPABILITIES
from infrai_runtime.vendors.gemini import Gemini, make
from infrai_runtime.vendors.gemini.live import SESSION_S
from tests.core.wall import Play, Wall
from tests.runtime.vendors.gemini_answers import PNG, call, response
from tests.runtime.vendors.oracle import KEY, call_of, failure_of, parts_of, run, user, vendor, whole

Json = dict[str, Any]


def with_vendor(plays: list[Play], ask: Any) -> tuple[Any, Wall]:
    with Wall(plays) as wall:

        async def body() -> Any:
            async with vendor(make, "gemini", wall) as made:
                return await ask(made)

        return run(body), wall


def sdk(wall: Wall) -> genai.Client:
    return genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=wall.url))


def test_what_gemini_can_do_shows_in_its_methods() -> None:
    made, _ = with_vendor([], _itself)
    able = {name for name, protocol in CAPABILITIES.items() if isinstance(made, protocol)}
    assert able == {"chat", "vision", "embed", "image", "tts", "asr", "realtime", "batch"}


async def _itself(made: Gemini) -> Gemini:
    return made


# -- embeddings --------------------------------------------------------------------------------------------------------


def embedded(model: str, texts: list[str], plays: list[Play], **more: Any) -> tuple[Any, Wall]:
    return with_vendor(plays, lambda made: made.embed({"input": texts, **more}, call_of(model)))


# https://ai.google.dev/api/embeddings#method:-models.batchembedcontents
VECTORS = {"embeddings": [{"values": [3.0, 4.0]}, {"values": [0.0, 2.0]}]}


def test_vectors_are_those_that_the_sdk_reads() -> None:
    made, wall = embedded("gemini-embedding-2", ["a", "b"], [whole(VECTORS)], dimensions=2)
    assert wall.requests[0].path == "/v1beta/models/gemini-embedding-2:batchEmbedContents"
    assert wall.requests[0].body["requests"][1] == {
        "model": "models/gemini-embedding-2",
        "content": {"parts": [{"text": "b"}]},
        "outputDimensionality": 2,
    }
    with Wall([whole(VECTORS)]) as other, sdk(other) as client:
        read = client.models.embed_content(model="gemini-embedding-001", contents=list[Any](["a", "b"]))
    assert made.vectors == [row.values for row in read.embeddings or ()]
    assert made.usage["estimated"] is True


@pytest.mark.parametrize(("given", "task"), [("query", "RETRIEVAL_QUERY"), ("document", "RETRIEVAL_DOCUMENT")])
def test_what_the_texts_are_is_said_to_the_model_that_takes_it(given: str, task: str) -> None:
    _, wall = embedded("gemini-embedding-001", ["a", "b"], [whole(VECTORS)], input_type=given)
    with Wall([whole(VECTORS)]) as other, sdk(other) as client:
        config = types.EmbedContentConfig(task_type=task)
        client.models.embed_content(model="gemini-embedding-001", contents=list[Any](["a", "b"]), config=config)
    ours, theirs = (seen.requests[0].body["requests"][1] for seen in (wall, other))
    assert ours["taskType"] == theirs["taskType"] == task


# https://ai.google.dev/gemini-api/docs/embeddings: the second model takes no task type but a structure of the text
@pytest.mark.parametrize(
    ("more", "before"),
    [
        ({"input_type": "query"}, "task: search result | query: "),
        ({"input_type": "document"}, "title: none | text: "),
        ({}, ""),
    ],
)
def test_what_the_texts_are_stands_before_them_for_the_model_that_reads_it_there(more: Json, before: str) -> None:
    _, wall = embedded("gemini-embedding-2", ["a", "b"], [whole(VECTORS)], **more)
    rows = wall.requests[0].body["requests"]
    assert [row["content"]["parts"] for row in rows] == [[{"text": f"{before}a"}], [{"text": f"{before}b"}]]
    assert all("taskType" not in row for row in rows)


def test_what_the_service_counted_is_the_usage() -> None:
    counted = VECTORS | {"usageMetadata": {"promptTokenCount": 7}}
    made, _ = embedded("gemini-embedding-2", ["a", "b"], [whole(counted)])
    assert made.usage == {"prompt_tokens": 7, "total_tokens": 7}


def test_more_texts_than_a_call_takes_are_several_calls_and_stay_in_order() -> None:
    places = (range(100), range(100, 130))
    replies = [{"embeddings": [{"values": [float(n)]} for n in part]} for part in places]
    made, wall = embedded("gemini-embedding-2", ["x"] * 130, [whole(reply) for reply in replies])
    assert [len(seen.body["requests"]) for seen in wall.requests] == [100, 30]
    assert [vector[0] for vector in made.vectors] == list(range(130))


def test_shortened_vectors_of_the_first_model_have_length_one() -> None:
    made, _ = embedded("gemini-embedding-001", ["a", "b"], [whole(VECTORS)], dimensions=2)
    assert [round(math.hypot(*vector), 9) for vector in made.vectors] == [1, 1]


def test_a_missing_vector_is_the_vendors_failure() -> None:
    failure = failure_of(lambda: embedded("gemini-embedding-2", ["a"], [whole(VECTORS)]))
    assert (failure.code, "2 vectors for 1 texts" in failure.message) == ("VENDOR_ERROR", True)


# -- images ------------------------------------------------------------------------------------------------------------

# https://ai.google.dev/gemini-api/docs/image-generation (response); #UsageMetadata
IMAGE_USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 1290, "totalTokenCount": 1299} | {
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}]
}
IMAGE = response({"inlineData": {"mimeType": "image/png", "data": PNG}}, finish="STOP", usage=IMAGE_USAGE)


def drawn(plays: list[Play], **request: Any) -> tuple[Any, Wall]:
    return with_vendor(plays, lambda made: made.draw({"prompt": "a fox", **request}, call_of("gemini-3.1-flash-image")))


def test_images_are_made_one_by_one_and_counted_together() -> None:
    made, wall = drawn([whole(IMAGE), whole(IMAGE)], n=2, size="1024x1024")
    assert [(file.data, file.mime) for file in made.files] == [(base64.b64decode(PNG), "image/png")] * 2
    assert made.usage == {"prompt_tokens": 18, "completion_tokens": 2580, "total_tokens": 2598, "images": 2}
    config = wall.requests[0].body["generationConfig"]
    types.GenerateContentConfig.model_validate(config)
    assert config == {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "1:1"}}
    assert made.warnings == []


def asked_for(seen: Any) -> tuple[str, Any]:
    """What of whom. The reference writes ``v1beta`` and ``mimeType``; the SDK says ``v1`` of what both have, and
    ``mime_type`` in places, which the service reads as well (https://protobuf.dev/programming-guides/json)."""
    return seen.path.partition("/models/")[2], camel(seen.body)


def camel(value: Any) -> Any:
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {re.sub("_(.)", lambda found: found[1].upper(), name): camel(one) for name, one in value.items()}


def test_an_image_is_asked_for_and_read_as_by_the_sdk() -> None:
    made, wall = drawn([whole(IMAGE)], size="1024x1024")
    with Wall([whole(IMAGE)]) as other, sdk(other) as client:
        shape = types.ImageConfig(aspect_ratio="1:1")
        config = types.GenerateContentConfig(response_modalities=["IMAGE"], image_config=shape)
        read = client.models.generate_content(model="gemini-3.1-flash-image", contents="a fox", config=config)
    (mine,), (theirs,) = wall.requests, other.requests
    assert asked_for(mine) == asked_for(theirs)
    (part,) = read.parts or ()
    assert part.inline_data is not None
    assert [(file.data, file.mime) for file in made.files] == [(part.inline_data.data, part.inline_data.mime_type)]
    counts = read.usage_metadata
    assert counts is not None
    assert (made.usage["prompt_tokens"], made.usage["completion_tokens"], made.usage["total_tokens"]) == (
        counts.prompt_token_count,
        counts.candidates_token_count,
        counts.total_token_count,
    )


def test_a_blocked_image_is_one_that_the_sdk_gives_no_part_of() -> None:
    blocked = response(finish="IMAGE_SAFETY", finishMessage="Unable to show the generated image.")
    failure = failure_of(lambda: drawn([whole(blocked)]))
    with Wall([whole(blocked)]) as other, sdk(other) as client:
        read = client.models.generate_content(model="gemini-3.1-flash-image", contents="a fox")
    (candidate,) = read.candidates or ()
    assert (not read.parts, candidate.finish_reason) == (True, types.FinishReason.IMAGE_SAFETY)
    assert failure.code == "CONTENT_FILTERED"


@pytest.mark.parametrize(
    ("size", "shape", "told"),
    [
        ("2048x2048", {"aspectRatio": "1:1", "imageSize": "2K"}, False),
        ("1792x1024", {"aspectRatio": "16:9", "imageSize": "2K"}, True),
        ("1024x1536", {"aspectRatio": "2:3"}, True),
        ("4096x2304", {"aspectRatio": "16:9", "imageSize": "4K"}, False),
    ],
)
def test_a_size_is_the_nearest_shape_and_is_told_when_it_is_not_the_same(size: str, shape: Json, told: bool) -> None:
    made, wall = drawn([whole(IMAGE)], size=size)
    assert wall.requests[0].body["generationConfig"]["imageConfig"] == shape
    assert bool(made.warnings) == told


def test_a_blocked_image_is_the_callers_matter_and_a_missing_one_the_vendors() -> None:
    blocked = response(finish="IMAGE_SAFETY", finishMessage="Unable to show the generated image.")
    assert failure_of(lambda: drawn([whole(blocked)])).code == "CONTENT_FILTERED"
    assert failure_of(lambda: drawn([whole(response({"text": "no"}, finish="STOP"))])).code == "VENDOR_ERROR"
    assert failure_of(lambda: drawn([whole(response(finish="NO_IMAGE"))])).code == "VENDOR_ERROR"


# -- speech and transcripts --------------------------------------------------------------------------------------------

SAMPLES = b"\x01\x00\xff\x7f" * 1200
# https://ai.google.dev/gemini-api/docs/speech-generation: 24 kHz, 16 bit, one channel
SPEECH = response(
    {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": base64.b64encode(SAMPLES).decode()}},
    finish="STOP",
)


def spoken(plays: list[Play], **request: Any) -> tuple[Any, Wall]:
    return with_vendor(plays, lambda made: made.speak({"input": "Hello", **request}, call_of("gemini-3.8-flash-tts")))


@pytest.mark.parametrize("format", ["wav", "pcm", "mp3", "flac"])
def test_speech_comes_in_the_format_that_was_asked_for(format: str) -> None:
    made, wall = spoken([whole(SPEECH)], format=format, voice="Puck", speed=1.5)
    (file,) = made.files
    assert file.about == {"format": format, "seconds": 0.1}
    starts = {"wav": b"RIFF", "pcm": SAMPLES[:8], "mp3": b"\xff", "flac": b"fLaC"}
    assert file.data.startswith(starts[format])
    config = wall.requests[0].body["generationConfig"]
    types.GenerateContentConfig.model_validate(config)
    assert config["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"] == "Puck"
    assert [warning.partition(":")[0] for warning in made.warnings] == ["speed"]


def test_the_samples_are_those_that_the_sdk_reads() -> None:
    made, _ = spoken([whole(SPEECH)], format="wav")
    with Wall([whole(SPEECH)]) as wall, sdk(wall) as client:
        read = client.models.generate_content(model="gemini-3.8-flash-tts", contents="Hello")
    assert read.parts is not None
    assert read.parts[0].inline_data is not None
    with wave.open(io.BytesIO(made.files[0].data)) as sound:
        assert (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) == (24_000, 2, 1)
        assert sound.readframes(sound.getnframes()) == read.parts[0].inline_data.data


# google.genai.types.Transcription
HEARD = (
    {"audioTranscription": {"text": "Hello", "languageCode": "en-US", "startOffset": "0s", "endOffset": "1.5s"}},
    {"audioTranscription": {"text": "there.", "startOffset": "1.5s", "endOffset": "2s", "speakerLabel": "spk_1"}},
)


def test_a_transcript_is_asked_for_and_read_as_by_the_sdk() -> None:
    answer = response(*HEARD, finish="STOP")
    sound = b"RIFF....WAVE"
    request = {"audio": {"base64": base64.b64encode(sound).decode(), "mime": "audio/wav"}, "language": "en"}
    heard, wall = with_vendor([whole(answer)], lambda made: made.listen(request, call_of("gemini-3.5-transcribe")))
    (mine,) = wall.requests
    asked = mine.body["contents"][0]["parts"][1]["text"]
    with Wall([whole(answer)]) as other, sdk(other) as client:
        config = types.GenerateContentConfig(
            audio_transcription_config=types.AudioTranscriptionConfig(language_codes=["en"])
        )
        parts = [types.Part.from_bytes(data=sound, mime_type="audio/wav"), types.Part.from_text(text=asked)]
        read = client.models.generate_content(model="gemini-3.5-transcribe", contents=list[Any](parts), config=config)
    (theirs,) = other.requests
    assert asked_for(mine) == asked_for(theirs)
    spoken = [part.audio_transcription for part in read.parts or () if part.audio_transcription]
    assert heard.text == " ".join(str(row.text) for row in spoken)
    assert heard.language == spoken[0].language_code
    assert [(f"{row['start']:g}s", f"{row['end']:g}s", row.get("speaker")) for row in heard.segments] == [
        (row.start_offset, row.end_offset, row.speaker_label) for row in spoken
    ]
    assert read.usage_metadata is not None
    assert heard.usage["total_tokens"] == read.usage_metadata.total_token_count


def test_a_transcript_has_times_language_and_speakers_where_the_model_gives_them() -> None:
    answer = response(*HEARD, finish="STOP")
    types.GenerateContentResponse.model_validate(answer)
    request = {"audio": {"base64": base64.b64encode(b"RIFF....WAVE").decode()}, "language": "en"}
    heard, wall = with_vendor([whole(answer)], lambda made: made.listen(request, call_of("gemini-3.5-transcribe")))
    assert (heard.text, heard.language) == ("Hello there.", "en-US")
    assert heard.segments == [
        {"start": 0, "end": 1.5, "text": "Hello"},
        {"start": 1.5, "end": 2, "text": "there.", "speaker": "spk_1"},
    ]
    body = wall.requests[0].body
    types.GenerateContentConfig.model_validate(body["generationConfig"])
    assert body["contents"][0]["parts"][0]["inlineData"]["mimeType"] == "audio/wav"


def test_what_gemini_has_no_words_for_is_told() -> None:
    answer = response({"text": "Hi."}, finish="STOP")
    asked = {"prompt": "p", "temperature": 0.1, "timestamp_granularities": ["word"], "passthrough": {"include": ["x"]}}
    request = {"audio": {"base64": base64.b64encode(b"RIFF").decode(), "mime": "audio/wav"}, **asked}
    heard, _ = with_vendor([whole(answer)], lambda made: made.listen(request, call_of("gemini-3.5-flash")))
    assert [w.partition(":")[0] for w in heard.warnings] == [
        "prompt",
        "temperature",
        "timestamp_granularities",
        "include",
    ]


def test_a_chat_models_transcript_is_its_text() -> None:
    answer = response({"text": "hm", "thought": True}, {"text": "Hello there."}, finish="STOP")
    request = {"audio": {"base64": "AAAA", "mime": "audio/mp3"}}
    heard, _ = with_vendor([whole(answer)], lambda made: made.listen(request, call_of("gemini-3.5-flash")))
    assert (heard.text, heard.language, heard.segments) == ("Hello there.", None, [])


def test_a_realtime_token_opens_one_session_for_its_time() -> None:
    # https://ai.google.dev/api/live#auth-tokens
    made, wall = with_vendor(
        [whole({"name": "auth_tokens/abc"})],
        lambda made: made.open({"voice": "Puck", "ttl_seconds": 60}, call_of("gemini-3.8-live")),
    )
    (seen,) = wall.requests
    assert seen.path == "/v1alpha/auth_tokens"
    assert seen.body["uses"] == 1
    assert seen.body["bidiGenerateContentSetup"]["model"] == "models/gemini-3.8-live"
    ends, sessions_end = (
        datetime.fromisoformat(seen.body[name]).timestamp() for name in ("newSessionExpireTime", "expireTime")
    )
    assert (made["token"], made["ice_servers"]) == ("auth_tokens/abc", [])
    assert int(made["expires_at"]) == ends
    assert sessions_end - ends == SESSION_S - 60
    assert made["url"].startswith("ws://127.0.0.1")
    assert KEY not in str(made)
    with Wall([whole({"name": "auth_tokens/abc"})]) as other:
        options = types.HttpOptions(base_url=other.url, api_version="v1alpha")
        with genai.Client(api_key=KEY, http_options=options) as client, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the SDK says that it may still change its side of this
            constraints = types.LiveConnectConstraints(model="gemini-3.8-live")
            config = types.CreateAuthTokenConfig(uses=1, live_connect_constraints=constraints)
            assert client.auth_tokens.create(config=config).name == made["token"]
    assert other.requests[0].path == seen.path
    assert other.requests[0].body["bidiGenerateContentSetup"] == {"model": "models/gemini-3.8-live"}


# -- batches -----------------------------------------------------------------------------------------------------------

FORM = {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
TOOL = {"type": "function", "function": {"name": "f"}}


def job(state: str, **more: Any) -> Json:
    # https://ai.google.dev/api/batch-api (GenerateContentBatch, in an operation)
    about = {"@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch", "state": state}
    return {"name": "batches/123abc", "metadata": about | {"model": "models/gemini-2.5-flash"} | more}


ROWS = [
    {"metadata": {"key": "2"}, "error": {"code": 3, "message": "bad"}},
    {"metadata": {"key": "0"}, "response": response({"text": "hi"}, finish="STOP")},
    {
        "metadata": {"key": "1", "answer": "give_answer"},
        "response": response(call("give_answer", {"n": 7}), finish="STOP"),
    },
    {"metadata": {"key": "3"}, "response": {"promptFeedback": {"blockReason": "SAFETY"}}},
]
DONE = job(
    "BATCH_STATE_SUCCEEDED",
    batchStats={"requestCount": "4", "successfulRequestCount": "2", "failedRequestCount": "2"},
    output={"inlinedResponses": {"inlinedResponses": ROWS}},
)


def test_a_batch_is_handed_in_with_its_requests_inside() -> None:
    requests: list[Mapping[str, Any]] = [
        {"messages": [user("a")]},
        {"messages": [user("b")], "response_format": FORM, "tools": [TOOL]},
    ]
    name, wall = with_vendor(
        [whole(job("BATCH_STATE_PENDING"))], lambda made: made.submit(requests, call_of("gemini-2.5-flash"))
    )
    assert (name, wall.requests[0].path) == ("batches/123abc", "/v1beta/models/gemini-2.5-flash:batchGenerateContent")
    rows = wall.requests[0].body["batch"]["inputConfig"]["requests"]["requests"]
    assert [row["metadata"] for row in rows] == [{"key": "0"}, {"key": "1", "answer": "give_answer"}]
    assert rows[0]["request"] == {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}


@pytest.mark.parametrize(
    ("state", "ours", "ended"),
    [
        ("BATCH_STATE_PENDING", "queued", False),
        ("BATCH_STATE_RUNNING", "running", False),
        ("JOB_STATE_SUCCEEDED", "completed", True),
        ("BATCH_STATE_FAILED", "failed", True),
        ("BATCH_STATE_CANCELLED", "cancelled", True),
        ("BATCH_STATE_EXPIRED", "expired", True),
    ],
)
def test_a_batch_tells_how_far_it_is_and_the_sdk_says_the_same(state: str, ours: str, ended: bool) -> None:
    progress, wall = with_vendor([whole(job(state))], lambda made: made.poll("batches/123abc", call_of("m")))
    assert progress == {"state": ours, "completed_count": 0, "failed_count": 0}
    assert wall.requests[0].path == "/v1beta/batches/123abc"
    with Wall([whole(job(state))]) as other, sdk(other) as client:
        assert client.batches.get(name="batches/123abc").done is ended


def test_results_are_those_of_their_requests_in_any_order() -> None:
    async def ask(made: Gemini) -> Any:
        return {row.place: row async for row in made.results("batches/123abc", call_of("m"))}

    rows, _ = with_vendor([whole(DONE)], ask)
    assert [parts_of(rows[place].events)[0]["text"] for place in (0, 1)] == ["hi", '{"n":7}']
    assert [rows[place].failure.code for place in (2, 3)] == ["INVALID_REQUEST", "CONTENT_FILTERED"]
    with Wall([whole(DONE)]) as wall, sdk(wall) as client:
        read = client.batches.get(name="batches/123abc")
    assert read.dest is not None
    answers = read.dest.inlined_responses or []
    assert [answer.response.text if answer.response else None for answer in answers][1] == "hi"
    progress, _ = with_vendor([whole(DONE)], lambda made: made.poll("batches/123abc", call_of("m")))
    assert progress == {"state": "completed", "completed_count": 2, "failed_count": 2}


# https://github.com/googleapis/python-genai/issues/1909 (any order), .../issues/2008 (rows without their metadata)
def test_a_row_that_does_not_say_whose_it_is_is_given_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    nameless = [{"response": response({"text": text}, finish="STOP")} for text in ("B", "A")]
    broken = {"metadata": {"key": "1"}, "response": {"candidates": [{}]}}
    job_of = job("BATCH_STATE_SUCCEEDED", output={"inlinedResponses": {"inlinedResponses": [*nameless, broken]}})

    async def ask(made: Gemini) -> Any:
        return {row.place: row async for row in made.results("batches/123abc", call_of("m"))}

    rows, _ = with_vendor([whole(job_of)], ask)
    assert {place: row.failure.code for place, row in rows.items()} == {1: "VENDOR_ERROR"}
    assert "2 rows of batch batches/123abc do not say which request they answer" in caplog.text


@pytest.mark.parametrize("state", ["BATCH_STATE_EXPIRED", "BATCH_STATE_CANCELLED"])
def test_a_batch_that_ended_without_results_has_none(state: str) -> None:
    # https://ai.google.dev/gemini-api/docs/batch-api#monitoring-job-status
    async def ask(made: Gemini) -> Any:
        return [row async for row in made.results("batches/123abc", call_of("m"))]

    assert with_vendor([whole(job(state))], ask)[0] == []


def test_a_batch_whose_name_was_lost_is_known_by_the_key_that_it_carries() -> None:
    # https://ai.google.dev/api/batch-api#method:-batches.list
    ours, other = (
        job("BATCH_STATE_RUNNING", displayName="infrai key-2"),
        job("BATCH_STATE_RUNNING") | {"name": "batches/x"},
    )
    listed = {"operations": [other, ours]}

    async def ask(made: Gemini) -> Any:
        call = call_of("gemini-2.5-flash", idempotency_key=lambda: "key-2")
        return await made.submit([{"messages": [user("a")]}], call), await made.find(call)

    (name, found), wall = with_vendor([whole(ours), whole(listed)], ask)
    assert wall.requests[0].body["batch"]["displayName"] == "infrai key-2"
    assert (name, found) == ("batches/123abc", "batches/123abc")
    assert wall.requests[1].path == "/v1beta/batches?pageSize=100"
    with Wall([whole(listed)]) as wall, sdk(wall) as client:
        [theirs] = [one for one in client.batches.list() if one.display_name == "infrai key-2"]
    assert theirs.name == found


def test_a_batch_is_cancelled_by_its_name_and_no_name_leads_elsewhere() -> None:
    _, wall = with_vendor([whole({})], lambda made: made.cancel("batches/123abc", call_of("m")))
    assert wall.requests[0].path == "/v1beta/batches/123abc:cancel"
    for name in ("files/x", "batches/../files", "batches/a?key=1"):
        failure = failure_of(lambda name=name: with_vendor([], lambda made: made.poll(name, call_of("m"))))  # type: ignore[misc]
        assert failure.code == "INVALID_REQUEST"
