"""Batches at Groq and Azure, and what is handed in at Claude and Gemini: the official SDK, pointed at the same service,
sends and understands the same. OpenAI's, Mistral's and the answers of Claude and Gemini are beside their adapters."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import groq
import openai
import pytest
from google import genai
from google.genai import types

from infrai_runtime.vendors.anthropic import make as make_claude
from infrai_runtime.vendors.gemini import make as make_gemini
from infrai_runtime.vendors.openai_like import make
from tests.vendors.batch_services import openai_batch, openai_row, stored_file
from tests.vendors.fake import KEY, Fake, Said, assembled, call_of, entry, results_of, says, serving, with_vendor
from tests.vendors.openai_answers import completion
from tests.vendors.test_openai_media import REQUESTS, fields

PLAIN = [{"role": "user", "content": text} for text in ("a", "b", "c")]
JOB = "batch_abc123"


def of_groq(url: str) -> Any:
    return groq.Groq(api_key=KEY, base_url=url, max_retries=0)


def of_azure(url: str) -> Any:
    return openai.OpenAI(api_key=KEY, base_url=f"{url}/openai/v1", max_retries=0, default_headers={"api-key": KEY})


BASE = "/openai/v1"
SDKS = {
    "groq": (of_groq, ("authorization", f"Bearer {KEY}")),
    "azure": (of_azure, ("api-key", KEY)),
}


def answers(vendor: str, status: str) -> dict[str, Any]:
    # https://console.groq.com/docs/batch, https://learn.microsoft.com/azure/foundry/openai/how-to/batch
    row = json.dumps(openai_row(0, 200, completion({"content": "A"}))).encode()
    job = openai_batch(status, output_file_id="file-o")
    lacks = {"status"} if vendor == "groq" else set()
    file = {name: value for name, value in stored_file().items() if name not in lacks}
    told = {"files": file, "batches": job, f"batches/{JOB}": job, f"batches/{JOB}/cancel": job}
    return {f"/openai/v1/{path}": says(body) for path, body in told.items()} | {
        "/openai/v1/files/file-o/content": Said([row], "application/octet-stream")
    }


@pytest.mark.parametrize("vendor", SDKS)
@pytest.mark.parametrize(
    ("status", "state"), [("validating", "queued"), ("in_progress", "running"), ("cancelling", "running"),
                          ("completed", "completed"), ("expired", "expired"), ("cancelled", "cancelled")]
)  # fmt: skip
def test_a_job_is_handed_in_followed_read_and_stopped_as_by_the_sdk(vendor: str, status: str, state: str) -> None:
    client_of, auth = SDKS[vendor]
    with serving(Fake(answers(vendor, status), auth)) as service:

        async def body(made: Any) -> tuple[Any, Any, Any]:
            call = call_of("m")
            job = await made.submit(REQUESTS, call)
            polled, rows = await made.poll(job, call), await results_of(made, job, call)
            await made.cancel(job, call)
            return job, polled, rows

        where = service.url if vendor == "azure" else f"{service.url}{BASE}"
        job, polled, rows = with_vendor(make, entry(vendor, where), body)
        mine, service.requests = service.requests, []
        with client_of(service.url) as sdk:
            content = fields(mine[0])["file"][2]
            stored = sdk.files.create(file=("batch.jsonl", content, "application/jsonl"), purpose="batch")
            made = sdk.batches.create(input_file_id=stored.id, endpoint="/v1/chat/completions", completion_window="24h")
            read = sdk.batches.retrieve(made.id)
            lines = sdk.files.content(read.output_file_id).read()
            sdk.batches.cancel(made.id)
        theirs = service.requests
    kept = [seen for seen in mine if seen.path != f"{BASE}/batches/{JOB}"]
    others = [seen for seen in theirs if seen.path != f"{BASE}/batches/{JOB}"]
    assert [(seen.method, seen.path) for seen in kept] == [(seen.method, seen.path) for seen in others]
    assert (fields(mine[0]), mine[1].body) == (fields(theirs[0]), theirs[1].body)
    assert (job, read.status) == (made.id, status)
    assert polled == {
        "state": state,
        "completed_count": read.request_counts.completed,
        "failed_count": read.request_counts.failed,
    }
    [line] = [json.loads(text) for text in lines.splitlines()]
    said = line["response"]["body"]["choices"][0]["message"]["content"]
    assert assembled(rows[int(line["custom_id"])].events).parts[0]["text"] == said


def test_what_claude_is_handed_in_is_what_the_sdk_hands_in() -> None:
    # https://platform.claude.com/docs/en/api/messages/batches/create
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0) | {"processing": 3}
    job = {
        "id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress", "request_counts": counts,
        "created_at": "2024-08-20T18:37:24.100435Z", "expires_at": "2024-08-21T18:37:24.100435Z", "ended_at": None,
        "archived_at": None, "cancel_initiated_at": None, "results_url": None,
    }  # fmt: skip
    with serving(Fake({"/v1/messages/batches": says(job)}, ("accept", "application/json"))) as service:

        async def body(made: Any) -> Any:
            return await made.submit(
                [{**request, "max_tokens": 9} for request in REQUESTS], call_of("claude-sonnet-4-6")
            )

        mine = with_vendor(make_claude, entry("anthropic", service.url, "anthropic"), body)
        rows: Any = [{"custom_id": row["custom_id"], "params": row["params"]} for row in service.last.body["requests"]]
        with anthropic.Anthropic(api_key=KEY, base_url=service.url, max_retries=0) as sdk:
            theirs = sdk.messages.batches.create(requests=rows)
        first, second = service.requests
    assert (first.path, first.body) == (second.path, second.body)
    assert [row["params"]["messages"][0]["content"][0]["text"] for row in rows] == ["a", "b", "c"]
    assert mine == theirs.id


def test_what_gemini_is_handed_in_is_what_the_sdk_hands_in() -> None:
    # https://ai.google.dev/api/batch-api
    job = {"name": "batches/1", "metadata": {"state": "BATCH_STATE_PENDING", "model": "models/gemini-2.5-flash"}}
    path = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
    with serving(Fake({path: says(job)}, ("x-goog-api-key", KEY))) as service:

        async def body(made: Any) -> Any:
            return await made.submit(
                [{**request, "temperature": 0.5} for request in REQUESTS], call_of("gemini-2.5-flash")
            )

        mine = with_vendor(make_gemini, entry("gemini", service.url, "gemini"), body)
        options = types.HttpOptions(base_url=service.url, api_version="v1beta")
        inlined = [
            types.InlinedRequest(
                contents=[types.Content(role="user", parts=[types.Part(text=row["content"])])],
                metadata={"key": str(place)},
                config=types.GenerateContentConfig(temperature=0.5),
            )
            for place, row in enumerate(PLAIN)
        ]
        with genai.Client(api_key=KEY, http_options=options) as sdk:
            theirs = sdk.batches.create(
                model="gemini-2.5-flash", src=inlined, config=types.CreateBatchJobConfig(display_name="infrai")
            )
        first, second = service.requests
    assert first.path == second.path
    assert first.body["batch"] == second.body["batch"]
    assert mine == theirs.name
