"""Mistral's batches, speech and transcripts, and Together's batches: Mistral's official SDK is the judge of its own.

Together's SDK cannot be installed beside this project's other tools: ``tests/peers/test_together.py`` has it judge.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from mistralai.client import Mistral

from infrai_runtime.vendors.base import Batches, Listens, Speaks, SpeaksAlong
from infrai_runtime.vendors.http import Pool
from infrai_runtime.vendors.openai_like import make
from tests.vendors.fake import (
    KEY,
    Fake,
    Said,
    assembled,
    call_of,
    entry,
    results_of,
    says,
    serving,
    with_vendor,
)
from tests.vendors.openai_answers import completion
from tests.vendors.test_openai_media import REQUESTS, fields

JOB = "b1fc4a3e-6f4c-4ac5-9f3e-b54e2e1b6b5e"
MP3 = b"ID3\x04" + bytes(60)


def job(status: str, **more: Any) -> dict[str, Any]:
    # https://docs.mistral.ai/api/endpoint/batch (BatchJob)
    return {
        "id": JOB,
        "object": "batch",
        "input_files": ["f-in"],
        "endpoint": "/v1/chat/completions",
        "model": "mistral-small-latest",
        "errors": [],
        "status": status,
        "created_at": 1732000000,
        "total_requests": 3,
        "completed_requests": 3,
        "succeeded_requests": 2,
        "failed_requests": 1,
        **more,
    }


FILE = {  # https://docs.mistral.ai/api/endpoint/files (UploadFileOut)
    "id": "497f6eca-6276-4993-bfeb-53cbbbba6f09",
    "object": "file",
    "bytes": 13000,
    "created_at": 1716963433,
    "filename": "batch.jsonl",
    "purpose": "batch",
    "sample_type": "batch_request",
    "source": "upload",
}


def ours(method: str, *asked: Any, service: Fake, vendor: str = "mistral") -> Any:
    async def body(made: Any) -> Any:
        return await getattr(made, method)(*asked, call_of("mistral-small-latest"))

    return with_vendor(make, entry(vendor, f"{service.url}/v1"), body)


def rows_of(vendor: str, answers: dict[str, Any], job_id: str) -> dict[int, Any]:
    async def body(made: Any) -> dict[int, Any]:
        return await results_of(made, job_id, call_of("m"))

    with serving(Fake(answers)) as service:
        return with_vendor(make, entry(vendor, f"{service.url}/v1"), body)


def lines(*rows: Any) -> Said:
    return Said(["\n".join(map(json.dumps, rows)).encode()], "application/octet-stream")


def answered(place: int, text: str) -> dict[str, Any]:
    response = {"status_code": 200, "body": completion({"content": text})}
    return {"id": "x", "custom_id": str(place), "response": response, "error": None}


def test_mistral_has_what_its_row_says() -> None:
    made = make(entry("mistral", "http://127.0.0.1:1/v1"), Pool())
    assert isinstance(made, Batches)
    assert isinstance(made, Listens)
    assert isinstance(made, Speaks)
    assert not isinstance(made, SpeaksAlong)


def test_a_batch_is_handed_in_as_by_mistrals_sdk() -> None:
    with serving(Fake({"/v1/files": says(FILE), "/v1/batch/jobs": says(job("QUEUED"))})) as service:
        mine = ours("submit", REQUESTS, service=service)
        upload, created = service.requests
        content = fields(upload)["file"][2]
        client = Mistral(api_key=KEY, server_url=service.url)
        stored = client.files.upload(file={"file_name": "batch.jsonl", "content": content}, purpose="batch")
        theirs = client.batch.jobs.create(
            input_files=[stored.id], model="mistral-small-latest", endpoint="/v1/chat/completions"
        )
        sent = service.requests[3].body
    assert mine == theirs.id == JOB
    assert fields(upload)["purpose"] == fields(service.requests[2])["purpose"] == "batch"
    assert {name: sent[name] for name in created.body} == created.body
    rows = [json.loads(line) for line in content.splitlines()]
    assert [row["custom_id"] for row in rows] == ["0", "1", "2"]
    assert rows[1]["body"] == {"messages": [{"role": "user", "content": "b"}]}


@pytest.mark.parametrize(
    ("status", "state"),
    [("QUEUED", "queued"), ("RUNNING", "running"), ("SUCCESS", "completed"), ("FAILED", "failed"),
     ("TIMEOUT_EXCEEDED", "expired"), ("CANCELLATION_REQUESTED", "running"), ("CANCELLED", "cancelled")],
)  # fmt: skip
def test_mistrals_batch_tells_how_far_it_is_as_its_sdk_reads_it(status: str, state: str) -> None:
    with serving(Fake({f"/v1/batch/jobs/{JOB}": says(job(status))})) as service:
        mine = ours("poll", JOB, service=service)
        theirs = Mistral(api_key=KEY, server_url=service.url).batch.jobs.get(job_id=JOB)
    assert theirs.status == status
    assert mine == {
        "state": state,
        "completed_count": theirs.succeeded_requests,
        "failed_count": theirs.failed_requests,
    }


def test_mistrals_results_are_each_an_answer_or_a_failure() -> None:
    error = {"status_code": 400, "body": {"object": "error", "message": "too many tokens", "code": "3051"}}
    answers = {
        f"/v1/batch/jobs/{JOB}": says(job("SUCCESS", output_file="f-out", error_file="f-err")),
        "/v1/files/f-out/content": lines(answered(2, "C"), answered(0, "A")),
        "/v1/files/f-err/content": lines({"id": "y", "custom_id": "1", "response": error, "error": None}),
    }
    rows = rows_of("mistral", answers, JOB)
    assert [assembled(rows[place].events).parts[0]["text"] for place in (0, 2)] == ["A", "C"]
    assert "too many tokens" in rows[1].failure.message


def test_a_mistral_batch_is_stopped_where_its_sdk_stops_it() -> None:
    path = f"/v1/batch/jobs/{JOB}/cancel"
    with serving(Fake({path: says(job("CANCELLATION_REQUESTED"))})) as service:
        ours("cancel", JOB, service=service)
        Mistral(api_key=KEY, server_url=service.url).batch.jobs.cancel(job_id=JOB)
    assert [(seen.method, seen.path) for seen in service.requests] == [("POST", path)] * 2


# -- speech and transcripts --------------------------------------------------------------------------------------------


def test_mistrals_speech_is_the_sound_that_its_sdk_reads() -> None:
    # https://docs.mistral.ai/api/endpoint/audio/speech: {"audio_data": base64}
    with serving(Fake({"/v1/audio/speech": says({"audio_data": base64.b64encode(MP3).decode()})})) as service:
        request = {"input": "Bonjour.", "voice": "gb_jane_neutral", "format": "mp3"}
        mine = ours("speak", request, service=service)
        theirs: Any = Mistral(api_key=KEY, server_url=service.url).audio.speech.complete(
            input="Bonjour.", model="mistral-small-latest", voice_id="gb_jane_neutral", response_format="mp3"
        )
        sent, asked = (seen.body for seen in service.requests)
    assert mine.files[0].data == base64.b64decode(theirs.audio_data) == MP3
    assert (mine.files[0].mime, mine.usage) == ("audio/mpeg", {"characters": 8})
    assert {name: asked[name] for name in sent} == sent
    assert set(sent) == {"input", "model", "voice_id", "response_format"}


def test_a_voice_is_mistrals_own_choice_when_none_is_named_and_a_speed_is_told_to_be_lost() -> None:
    with serving(Fake({"/v1/audio/speech": says({"audio_data": base64.b64encode(MP3).decode()})})) as service:
        made = ours("speak", {"input": "x", "speed": 2}, service=service)
        assert set(service.last.body) == {"input", "model", "response_format"}
    assert made.warnings == ["speed: this vendor has no such option; not used"]


def test_mistrals_transcript_is_the_one_that_its_sdk_reads() -> None:
    heard: dict[str, Any] = {  # https://docs.mistral.ai/capabilities/audio_transcription
        "model": "voxtral-mini-2507",
        "text": "This week, I travelled to Chicago.",
        "language": None,
        "segments": [],
        "usage": {"prompt_audio_seconds": 203, "prompt_tokens": 4, "total_tokens": 3264, "completion_tokens": 635},
    }
    with serving(Fake({"/v1/audio/transcriptions": says(heard)})) as service:
        audio = {"base64": base64.b64encode(MP3).decode(), "mime": "audio/mpeg"}
        mine = ours("listen", {"audio": audio, "language": "en"}, service=service)
        theirs = Mistral(api_key=KEY, server_url=service.url).audio.transcriptions.complete(
            model="voxtral-mini-latest", file={"file_name": "audio.mp3", "content": MP3}, language="en"
        )
        sent, asked = map(fields, service.requests)
    assert (mine.text, mine.usage["audio_seconds"]) == (theirs.text, theirs.usage.prompt_audio_seconds)
    assert (sent["language"], sent["file"][2]) == (asked["language"], asked["file"][2])


# -- Together ----------------------------------------------------------------------------------------------------------

# https://docs.together.ai/reference/batch-create
TOGETHER = {
    "id": "01234567-8901-2345-6789-012345678901",
    "user_id": "user_789xyz012",
    "input_file_id": "file-in",
    "status": "IN_PROGRESS",
    "endpoint": "/v1/chat/completions",
    "progress": 75,
    "model_id": "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo",
}


def test_a_batch_is_handed_in_as_together_has_it() -> None:
    # https://docs.together.ai/reference/upload-file
    file = {"id": "file-in", "object": "file", "purpose": "batch-api", "filename": "batch.jsonl"}
    created = says({"job": TOGETHER}, 201)
    with serving(Fake({"/v1/files/upload": says(file), "/v1/batches": created})) as service:
        assert ours("submit", REQUESTS, service=service, vendor="together") == TOGETHER["id"]
        upload, start = service.requests
    form = fields(upload)
    names = {"purpose": "batch-api", "file_name": "batch.jsonl", "file_type": "jsonl"}
    assert {name: form[name] for name in names} == names
    assert start.body == {"input_file_id": "file-in", "endpoint": "/v1/chat/completions"}
    rows = [json.loads(line) for line in form["file"][2].splitlines()]
    assert {*rows[0]} == {"custom_id", "body"}
    assert rows[0]["body"]["model"] == "mistral-small-latest"


def test_together_does_not_count_and_failures_stand_in_a_file_of_their_own() -> None:
    # https://docs.together.ai/docs/inference/batch/manage: per-request failures stand in a file of their own
    path = f"/v1/batches/{TOGETHER['id']}"
    ended = TOGETHER | {"status": "CANCELLED", "output_file_id": "file-out", "error_file_id": "file-err"}
    answers = {
        path: says(ended),
        "/v1/files/file-out/content": lines(answered(0, "A")),
        "/v1/files/file-err/content": lines({"custom_id": "1", "error": {"message": "Invalid model", "code": "400"}}),
    }
    rows = rows_of("together", answers, str(TOGETHER["id"]))
    assert assembled(rows[0].events).parts[0]["text"] == "A"
    assert "Invalid model" in rows[1].failure.message
    assert set(rows) == {0, 1}
    with serving(Fake({path: says(ended)})) as service:
        polled = ours("poll", TOGETHER["id"], service=service, vendor="together")
    assert polled == {"state": "cancelled", "completed_count": 0, "failed_count": 0}
