"""Batches at Groq, Azure, Moonshot, DashScope, Zhipu, OpenRouter and Fireworks, and what is handed in at Claude and
Gemini: the official SDK, pointed at the same service, sends and understands the same. OpenAI's, Mistral's and the
answers of Claude and Gemini are beside their adapters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import fireworks
import groq
import httpx
import openai
import openrouter
import pytest
import zai
from google import genai
from google.genai import types

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.anthropic import make as make_claude
from infrai_runtime.vendors.gemini import make as make_gemini
from infrai_runtime.vendors.openai_like import make
from tests.vendors.batch_services import (
    Fireworks,
    OpenRouter,
    Zhipu,
    claude_batch,
    fireworks_dataset,
    fireworks_job,
    openai_batch,
    openai_row,
    openrouter_batch,
    stored_file,
)
from tests.vendors.fake import (
    KEY,
    Fake,
    Said,
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
from tests.vendors.openai_answers import completion
from tests.vendors.test_openai_media import REQUESTS, fields

PLAIN = [{"role": "user", "content": text} for text in ("a", "b", "c")]
JOB = "batch_abc123"


def of_groq(url: str) -> Any:
    return groq.Groq(api_key=KEY, base_url=url, max_retries=0)


def of_azure(url: str) -> Any:
    return openai.OpenAI(api_key=KEY, base_url=f"{url}/openai/v1", max_retries=0, default_headers={"api-key": KEY})


def of_openai(url: str) -> Any:
    """The SDK that the pages of Moonshot and DashScope show."""
    return openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)


BEARER = ("authorization", f"Bearer {KEY}")
SDKS = {
    "groq": (of_groq, BEARER, "/openai/v1"),
    "azure": (of_azure, ("api-key", KEY), "/openai/v1"),
    "moonshot": (of_openai, BEARER, "/v1"),
    "dashscope": (of_openai, BEARER, "/v1"),
}


def answers(vendor: str, status: str) -> dict[str, Any]:
    # https://console.groq.com/docs/batch, https://learn.microsoft.com/azure/foundry/openai/how-to/batch,
    # https://platform.kimi.ai/docs/guide/use-batch-api,
    # https://www.alibabacloud.com/help/en/model-studio/batch-interfaces-compatible-with-openai
    row = json.dumps(openai_row(0, 200, completion({"content": "A"}))).encode()
    job = openai_batch(status, output_file_id="file-o")
    lacks = {"status"} if vendor == "groq" else set()
    file = {name: value for name, value in stored_file().items() if name not in lacks}
    gone = {"id": "file-abc123", "object": "file", "deleted": True}
    told = {"files": file, "batches": job, f"batches/{JOB}": job, f"batches/{JOB}/cancel": job}
    told |= {"files/file-abc123": gone} if vendor == "moonshot" else {}
    base = SDKS[vendor][2]
    return {f"{base}/{path}": says(body) for path, body in told.items()} | {
        f"{base}/files/file-o/content": Said([row], "application/octet-stream")
    }


@pytest.mark.parametrize("vendor", SDKS)
@pytest.mark.parametrize(
    ("status", "state"), [("validating", "queued"), ("in_progress", "running"), ("cancelling", "running"),
                          ("completed", "completed"), ("expired", "expired"), ("cancelled", "cancelled")]
)  # fmt: skip
def test_a_job_is_handed_in_followed_read_and_stopped_as_by_the_sdk(vendor: str, status: str, state: str) -> None:
    client_of, auth, base = SDKS[vendor]
    with serving(Fake(answers(vendor, status), auth)) as service:

        async def body(made: Any) -> tuple[Any, Any, Any]:
            call = call_of("m")
            job = await made.submit(REQUESTS, call)
            polled, rows = await made.poll(job, call), await results_of(made, job, call)
            await made.cancel(job, call)
            return job, polled, rows

        where = service.url if vendor == "azure" else f"{service.url}{base}"
        job, polled, rows = with_vendor(make, entry(vendor, where), body)
        mine, service.requests = service.requests, []
        with client_of(service.url) as sdk:
            content = fields(mine[0])["file"][2]
            stored = sdk.files.create(file=("batch.jsonl", content, "application/jsonl"), purpose="batch")
            made = sdk.batches.create(input_file_id=stored.id, endpoint="/v1/chat/completions", completion_window="24h")
            read = sdk.batches.retrieve(made.id)
            lines = sdk.files.content(read.output_file_id).read()
            if vendor == "moonshot":  # at most 1,000 files: https://platform.kimi.ai/docs/api/batch-create
                sdk.files.delete(read.input_file_id)
            sdk.batches.cancel(made.id)
        theirs = service.requests
    kept = [seen for seen in mine if seen.path != f"{base}/batches/{JOB}"]
    others = [seen for seen in theirs if seen.path != f"{base}/batches/{JOB}"]
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
    job = claude_batch("msgbatch_1", "in_progress", counts)
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


# -- https://docs.bigmodel.cn/cn/guide/tools/batch


@pytest.mark.parametrize("kind", [zai.ZaiClient, zai.ZhipuAiClient])
def test_a_job_of_zhipu_is_handed_in_followed_read_and_stopped_as_by_its_sdk(kind: Any) -> None:
    rows = [
        openai_row(0, 200, Zhipu().completion("a")),
        openai_row(1, 400, {"error": {"code": "1261", "message": "!"}}),
    ]
    about = {"endpoint": "/v4/chat/completions", "output_file_id": "file-o", "error_file_id": "file-e"}
    job = openai_batch("completed", **about)
    told: dict[str, Any] = {
        "/v1/files": says(stored_file()),
        **dict.fromkeys(("/v1/batches", f"/v1/batches/{JOB}", f"/v1/batches/{JOB}/cancel"), says(job)),
    }
    files = (Said([json.dumps(row).encode()], "application/octet-stream") for row in rows)
    told |= dict(zip(("/v1/files/file-o/content", "/v1/files/file-e/content"), files, strict=True))
    with serving(Fake(told)) as service:

        async def body(made: Any) -> tuple[Any, Any, Any]:
            call = call_of("glm-5", idempotency_key=lambda: "key-1")
            job = await made.submit(REQUESTS, call)
            polled, rows = await made.poll(job, call), await results_of(made, job, call)
            await made.cancel(job, call)
            return job, polled, rows

        job_id, polled, found = with_vendor(make, entry("zhipu", f"{service.url}/v1"), body)
        mine, service.requests = service.requests, []
        sdk = kind(api_key=KEY, base_url=f"{service.url}/v1", max_retries=0)
        content = fields(mine[0])["file"][2]
        stored = sdk.files.create(file=("batch.jsonl", content, "application/jsonl"), purpose="batch")
        made = sdk.batches.create(
            input_file_id=stored.id, endpoint="/v4/chat/completions", metadata={"infrai": "key-1"}
        )
        read = sdk.batches.retrieve(made.id)
        texts = [sdk.files.content(name).read() for name in (read.output_file_id, read.error_file_id)]
        sdk.batches.cancel(made.id)
        theirs = service.requests
    kept = [(seen.method, seen.path) for seen in mine if (seen.method, seen.path) != ("GET", f"/v1/batches/{JOB}")]
    assert kept == [(s.method, s.path) for s in theirs if (s.method, s.path) != ("GET", f"/v1/batches/{JOB}")]
    assert fields(mine[0]) == fields(theirs[0])
    assert mine[1].body == {name: value for name, value in theirs[1].body.items() if value is not None}
    assert [json.loads(line)["url"] for line in content.splitlines()] == ["/v4/chat/completions"] * 3
    assert (job_id, polled["state"]) == (made.id, read.status)
    assert (polled["completed_count"], polled["failed_count"]) == (
        read.request_counts.completed, read.request_counts.failed
    )  # fmt: skip
    said = json.loads(texts[0])["response"]["body"]["choices"][0]["message"]["content"]
    assert assembled(found[0].events).parts[0]["text"] == said
    assert (found[1].failure.code, json.loads(texts[1])["custom_id"]) == ("INVALID_REQUEST", "1")


# -- https://openrouter.ai/docs/guides/features/batch-api


@contextmanager
def of_openrouter(url: str) -> Iterator[Any]:
    with httpx.Client(trust_env=False) as http:
        yield openrouter.OpenRouter(api_key=KEY, server_url=f"{url}/v1", client=http).batch


def test_a_job_of_openrouter_is_handed_in_with_its_requests_as_by_its_sdk() -> None:
    with serving(Fake({"/v1/batches": says(openrouter_batch("validating"), 202)})) as service:

        async def body(made: Any) -> Any:
            return await made.submit(REQUESTS, call_of("openai/gpt-6-sol", idempotency_key=lambda: "key-1"))

        mine = with_vendor(make, entry("openrouter", f"{service.url}/v1"), body)
        sent = service.last.body
        with of_openrouter(service.url) as sdk:
            made = sdk.create_batches(**sent)
        first, second = service.requests
    assert (first.method, first.path, mine) == (second.method, second.path, made.id)
    assert first.body == {name: value for name, value in second.body.items() if name != "completion_window"}
    assert [(row["custom_id"], row["body"]["messages"][0]["content"]) for row in sent["requests"]] == [
        ("0", "a"), ("1", "b"), ("2", "c")
    ]  # fmt: skip
    assert not any("model" in row["body"] for row in sent["requests"])


def test_the_results_in_a_job_of_openrouter_are_what_its_sdk_reads() -> None:
    error = {"message": "too long", "type": "invalid_request_error", "param": None, "error_type": "invalid_request"}
    rows = [
        {"id": "r1", "custom_id": "1", "response": None, "error": error},
        {
            "id": "r0",
            "custom_id": "0",
            "response": {"status_code": 200, "request_id": None, "body": OpenRouter().completion("a")},
            "error": None,
        },
    ]
    job = openrouter_batch("completed", results=rows, request_counts={"total": 3, "completed": 1, "failed": 1})
    with serving(Fake({"/v1/batches/batch_1": says(job)})) as service:

        async def body(made: Any) -> Any:
            call = call_of("m")
            polled, found = await made.poll("batch_1", call), await results_of(made, "batch_1", call)
            await made.cancel("batch_1", call)
            return polled, found

        polled, found = with_vendor(make, entry("openrouter", f"{service.url}/v1"), body)
        assert [seen.method for seen in service.requests] == ["GET", "GET"]
        with of_openrouter(service.url) as sdk:
            read = sdk.get_batches(id="batch_1")
    assert polled == {
        "state": read.status,
        "completed_count": read.request_counts.completed,
        "failed_count": read.request_counts.failed,
    }
    good = next(row for row in read.results if row.response)
    assert (
        assembled(found[int(good.custom_id)].events).parts[0]["text"] == good.response.body.choices[0].message.content
    )
    assert (finish_of(found[0].events).usage or {})["prompt_tokens"] == good.response.body.usage.prompt_tokens
    assert (found[1].failure.code, set(found)) == ("INVALID_REQUEST", {0, 1})


TEXT = {"type": "text", "text": "what is it?"}


@pytest.mark.parametrize(
    ("part", "options", "takes"),
    [
        (TEXT, {}, True),
        ({"type": "image", "url": "https://example.com/a.png"}, {}, True),
        ({"type": "image", "base64": "aGk=", "mime": "image/png"}, {}, False),
        ({"type": "image", "url": "data:image/png;base64,aGk="}, {}, False),
        ({"type": "file", "url": "https://example.com/a.pdf"}, {}, False),
        (TEXT, {"provider": {"sort": "price"}}, False),
        (TEXT, {"plugins": [{"id": "web"}]}, False),
        (TEXT, {"top_k": 3}, True),
    ],
)
def test_a_job_of_openrouter_takes_texts_and_images_by_url_alone(part: Any, options: Any, takes: bool) -> None:
    async def body(made: Any) -> bool:
        request = {"messages": [{"role": "user", "parts": [TEXT, part]}]}
        return bool(made.takes(request, call_of("m", options=options)))

    assert with_vendor(make, entry("openrouter", "http://127.0.0.1:1/v1"), body) is takes


@pytest.mark.parametrize(
    ("vendor", "model", "takes"),
    [
        ("moonshot", "kimi-k2.6", True), ("moonshot", "kimi-k2.5", True), ("moonshot", "kimi-k3", False),
        ("moonshot", "kimi-k2.6-x", False), ("dashscope", "qwen-plus", True), ("dashscope", "qwen3.7-plus", True),
        ("dashscope", "qwen3-coder-plus", False), ("openai", "gpt-6-sol", True),
    ],
)  # fmt: skip
def test_a_batch_service_has_the_models_that_its_page_names(vendor: str, model: str, takes: bool) -> None:
    async def body(made: Any) -> bool:
        return bool(made.takes(REQUESTS[0], call_of(model)))

    assert with_vendor(make, entry(vendor, "http://127.0.0.1:1/v1"), body) is takes


# -- https://docs.fireworks.ai/guides/batch-inference

MODEL = "accounts/fireworks/models/gpt-oss-120b"
NAME = "accounts/me/batchInferenceJobs/infrai-key-1"
UPLOADED = {"id": "accounts/me/datasets/infrai-key-1", "object": "file", "filename": "batch.jsonl", "bytes": 409}


def of_fireworks(url: str) -> Any:
    return fireworks.Fireworks(api_key=KEY, account_id="me", base_url=url, max_retries=0)


def test_a_job_of_fireworks_is_handed_in_as_by_its_sdk() -> None:
    datasets = "/v1/accounts/me/datasets"
    waits, ready = (says(fireworks_dataset("infrai-key-1", state)) for state in ("UPLOADING", "READY"))
    answers: Any = {
        datasets: waits,
        f"{datasets}/infrai-key-1:upload": says(UPLOADED),
        f"{datasets}/infrai-key-1": [waits, ready, ready],
        "/v1/accounts/me/batchInferenceJobs": says(fireworks_job("VALIDATING", "infrai-key-1")),
    }
    with serving(Fake(answers)) as service:

        async def body(made: Any) -> Any:
            return await made.submit(REQUESTS, call_of(MODEL, idempotency_key=lambda: "Key_1"))

        job = with_vendor(make, entry("fireworks", f"{service.url}/inference/v1", account="me"), body)
        mine, service.requests = service.requests, []
        content = fields(mine[1])["file"][2]
        with of_fireworks(service.url) as sdk:
            sdk.datasets.create(dataset_id="infrai-key-1", dataset={"user_uploaded": {}, "example_count": "3"})
            sdk.datasets.upload("infrai-key-1", file=("batch.jsonl", content, "application/jsonl"))
            sdk.datasets.get("infrai-key-1")
            made = sdk.batch_inference_jobs.create(
                batch_inference_job_id="infrai-key-1",
                model=MODEL,
                input_dataset_id="accounts/me/datasets/infrai-key-1",
            )
        theirs = service.requests
    del mine[2]  # it looked twice
    assert [(s.method, s.path, s.query) for s in mine] == [(s.method, s.path, s.query) for s in theirs]
    assert (mine[0].body, fields(mine[1]), mine[3].body) == (theirs[0].body, fields(theirs[1]), theirs[3].body)
    assert (job, made.name) == (NAME, NAME)
    rows = [json.loads(line) for line in content.splitlines()]
    assert rows[1] == {"custom_id": "1", "body": {"messages": [{"role": "user", "content": "b"}]}}


def finished(url: str, *files: Said) -> Any:
    names = [f"dataset/bij-1/{name}" for name in ("BIJOutputSet.jsonl", "error-data")]
    links = {name: f"{url}/{name}?X-Goog-Signature=abc" for name in names}
    return {
        f"/v1/{NAME}": says(fireworks_job("COMPLETED", "infrai-key-1")),
        "/v1/accounts/me/datasets/bij-1:getDownloadEndpoint": says({"filenameToSignedUrls": links}),
        **dict(zip((f"/{name}" for name in names), files, strict=True)),
    }


class Storage(Fake):
    """Fireworks with the storage that its links lead to, which takes no key and must see none."""

    def answer(self, seen: Any) -> Said:
        if seen.path.startswith("/dataset/"):
            assert "authorization" not in seen.headers
            self.requests.append(seen)
            found = self.answers[seen.path]
            assert isinstance(found, Said)
            return found
        return super().answer(seen)


def read_at_fireworks(*files: Said) -> tuple[Any, Any, Storage]:
    with serving(Storage({})) as service:
        service.answers = finished(service.url, *files)

        async def body(made: Any) -> Any:
            call = call_of(MODEL)
            return await made.poll(NAME, call), await results_of(made, NAME, call)

        polled, rows = with_vendor(make, entry("fireworks", f"{service.url}/inference/v1", account="me"), body)
        with of_fireworks(service.url) as sdk:
            job = sdk.batch_inference_jobs.get("infrai-key-1")
            links = sdk.datasets.get_download_endpoint(str(job.output_dataset_id).rpartition("/")[2])
            assert sorted(links.filename_to_signed_urls or {}) == [
                "dataset/bij-1/BIJOutputSet.jsonl",
                "dataset/bij-1/error-data",
            ]
            assert polled["state"] == str(job.state).removeprefix("JOB_STATE_").lower()
    return polled, rows, service


def of_lines(*rows: Any) -> Said:
    return Said(["\n".join(map(json.dumps, rows)).encode()], "application/octet-stream")


def test_the_results_of_fireworks_are_fetched_without_a_key_in_any_order() -> None:
    good = [{"custom_id": str(n), "response": Fireworks().completion(f"text {n}")} for n in (2, 0)]
    bad = {"custom_id": "1", "error": {"message": "The prompt is too long: 9", "code": 400}}
    _, rows, service = read_at_fireworks(of_lines(*good), of_lines(bad))
    assert {place: assembled(rows[place].events).parts[0]["text"] for place in (0, 2)} == {0: "text 0", 2: "text 2"}
    assert rows[1].failure.code == "CONTEXT_LENGTH_EXCEEDED"
    assert {seen.query for seen in service.requests if seen.path.startswith("/dataset/")} == {"X-Goog-Signature=abc"}


def test_rows_of_fireworks_that_cannot_be_read_or_are_of_no_request_leave_the_others_alone() -> None:
    rows = [
        {"custom_id": "0", "response": {"choices": []}}, {"custom_id": "1", "response": "x"}, {"custom_id": "2"},
        {"custom_id": "4", "response": Fireworks().completion("D")}, {"custom_id": "another's", "response": {}}, [], 7,
    ]  # fmt: skip
    _, found, _ = read_at_fireworks(unlike(of_lines(*rows)), of_lines())
    assert {place: row.failure and row.failure.code for place, row in found.items()} == {
        0: "VENDOR_ERROR", 1: "VENDOR_ERROR", 2: "VENDOR_ERROR", 4: None
    }  # fmt: skip


def test_a_file_of_fireworks_that_was_cut_fails() -> None:
    whole = json.dumps({"custom_id": "0", "response": Fireworks().completion("A")}).encode()
    cut = unlike(Said([whole + b"\n" + whole[:20]], "application/octet-stream"))
    with pytest.raises(Failure) as caught:
        read_at_fireworks(cut, of_lines())
    assert caught.value.code == "VENDOR_ERROR"


@pytest.mark.parametrize(
    ("state", "expected"),
    [("VALIDATING", "queued"), ("PENDING", "queued"), ("CREATING", "running"), ("RUNNING", "running"),
     ("WRITING_RESULTS", "running"), ("COMPLETED", "completed"), ("FAILED", "failed"), ("EXPIRED", "expired"),
     ("EARLY_STOPPED", "expired"), ("CANCELLED", "cancelled"), ("DELETING_CLEANING_UP", "running")],
)  # fmt: skip
def test_a_job_of_fireworks_tells_how_far_it_is(state: str, expected: str) -> None:
    done = {"successfullyProcessedRequests": 2, "failedRequests": 1, "totalInputRequests": 3}
    for progress, counts in ((None, (0, 0)), (done, (2, 1))):
        job = fireworks_job(state, "infrai-key-1", jobProgress=progress)
        with serving(Fake({f"/v1/{NAME}": says(job)})) as service:

            async def body(made: Any) -> Any:
                return await made.poll(NAME, call_of(MODEL))

            polled = with_vendor(make, entry("fireworks", f"{service.url}/inference/v1"), body)
        assert polled == {"state": expected, "completed_count": counts[0], "failed_count": counts[1]}


def test_a_job_of_fireworks_is_stopped_by_deleting_it_and_known_by_its_name() -> None:
    accounts = {"accounts": [{"name": "accounts/me", "email": "me@example.com"}]}
    missing = says({"code": 5, "message": "resource not found", "details": []}, 404)
    job = says(fireworks_job("RUNNING", "infrai-key-1"))
    answers: Any = {"/v1/accounts": says(accounts), f"/v1/{NAME}": [job, says({}), missing, says({}, 503)]}
    with serving(Fake(answers)) as service:

        async def body(made: Any) -> Any:
            call = call_of(MODEL, idempotency_key=lambda: "key-1")
            found = await made.find(call)
            await made.cancel(found, call)
            lost = await made.find(call)
            with pytest.raises(Failure):
                await made.find(call)  # it may be there
            return found, lost, await made.find(call_of(MODEL))

        assert with_vendor(make, entry("fireworks", f"{service.url}/inference/v1"), body) == (NAME, None, None)
        methods = [seen.method for seen in service.requests if seen.path == f"/v1/{NAME}"]
    assert methods == ["GET", "DELETE", "GET", "GET"]


def test_a_key_of_several_accounts_needs_to_be_told_which() -> None:
    rows = [{"name": f"accounts/{name}", "email": "me@example.com"} for name in ("me", "us")]
    with serving(Fake({"/v1/accounts": says({"accounts": rows})})) as service:

        async def body(made: Any) -> Any:
            return await made.submit(REQUESTS, call_of(MODEL))

        with pytest.raises(Failure, match="FIREWORKS_ACCOUNT_ID") as caught:
            with_vendor(make, entry("fireworks", f"{service.url}/inference/v1"), body)
    assert caught.value.code == "INVALID_REQUEST"


@pytest.mark.parametrize("name", ["", "x", "accounts/a/../b", "accounts/a/b/c?d", "accounts/a/jobs/b/c"])
def test_what_is_no_name_of_a_job_is_not_asked_for(name: str) -> None:
    async def body(made: Any) -> Any:
        return await made.poll(name, call_of(MODEL))

    with pytest.raises(Failure) as caught:
        with_vendor(make, entry("fireworks", "http://127.0.0.1:1/inference/v1"), body)
    assert caught.value.code == "INVALID_REQUEST"
