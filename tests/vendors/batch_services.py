"""The vendors' batch services on a real socket. What is handed in can be read when the test says so.

Shapes: https://platform.openai.com/docs/guides/batch, https://docs.x.ai/developers/advanced-api-usage/batch-api, https://platform.claude.com/docs/en/api/messages/batches/create,
https://ai.google.dev/api/batch-api, https://platform.kimi.ai/docs/guide/use-batch-api,
https://docs.bigmodel.cn/cn/guide/tools/batch, https://openrouter.ai/docs/guides/features/batch-api,
https://docs.fireworks.ai/guides/batch-inference; test_openai_media, test_anthropic_batches, test_gemini_media and
test_batches_by_sdks hold the same ones against the official SDKs.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import parse_qsl

from tests.runtime.vendors.claude_answers import message, text
from tests.runtime.vendors.gemini_answers import error, response
from tests.vendors.fake import KEY, Fake, Json, Said, Seen, says
from tests.vendors.openai_answers import USAGE, completion

NO_SUCH_PLACE = says({"error": {"message": "not found"}}, 404)


class BatchService(Fake, ABC):
    """One vendor. ``done``: its jobs have ended; prompts in ``refused`` have failed there, those in ``expired`` were
    not reached. Only jobs are answered: a request on the usual way is 404, unless ``live`` has an answer.
    ``unanswered``: so many jobs begin whose answer is lost. ``deaf``: it does not hear of a cancellation. ``busy``: it
    wants to be asked later. ``short``: so many times, half of the results are missing. ``model`` is one that the
    service has, ``base`` the path of its interface."""

    model = "big"
    base = ""

    def __init__(self, auth: tuple[str, str]) -> None:
        super().__init__({}, auth, vendor=type(self).__name__.lower())
        self.jobs: dict[str, list[str]] = {}
        self.keys: dict[str, str | None] = {}
        self.deaf = False
        self.busy = False
        self.unanswered = 0
        self.short = 0
        self.done = False
        self.failed = False
        self.stopped: set[str] = set()
        self.refused: set[str] = set()
        self.expired: set[str] = set()
        self.full = False
        self.live: Said | None = None

    def answer(self, seen: Seen) -> Said:
        self.requests.append(seen)
        name, value = self.auth
        return self.served(seen) if seen.headers.get(name) == value else says({"error": {"message": "no key"}}, 401)

    @abstractmethod
    def served(self, seen: Seen) -> Said:
        """The answer to a request with the right key."""

    def completion(self, text: str) -> Json:
        """An answer in the vendor's words."""
        return completion({"content": text})

    def begin(self, prompts: list[str], key: str | None = None) -> str:
        name = f"job{len(self.jobs)}"
        self.jobs[name], self.keys[name] = prompts, key
        return name

    def told(self, job: str, body: Json) -> Said:
        """The answer that tells of a new job."""
        self.unanswered -= 1
        return says({"error": {"message": "upstream timed out"}}, 504) if self.unanswered >= 0 else says(body)

    def cut(self, rows: list[Json]) -> list[Json]:
        """The rows of a file of results."""
        self.short -= 1
        return rows[: len(rows) // 2] if self.short >= 0 else rows

    def stop(self, job: str) -> bool:
        """Whether a job that is cancelled stops."""
        if not self.deaf:
            self.stopped.add(job)
        return not self.deaf

    def reached(self, job: str, prompt: str) -> bool:
        """A job that was stopped has answered nothing but its first request."""
        return job not in self.stopped or prompt == self.jobs[job][0]


DEAF = says({"error": {"message": "try again later"}}, 503)


def uploaded(seen: Seen) -> list[Json]:
    """The rows of a file that was handed in by a form."""
    file = next(part for part in seen.content.split(b"\r\n") if part.startswith(b'{"custom_id"'))
    return [json.loads(row) for row in file.splitlines()]


def stored_file(number: int = 0) -> Json:
    # https://platform.openai.com/docs/api-reference/files/object
    about = {"bytes": 120000, "created_at": 1677610602, "filename": "batch.jsonl", "purpose": "batch"}
    return {"id": f"file-{number}", "object": "file", "status": "processed"} | about


def openai_batch(status: str, job: str = "batch_abc123", **more: Any) -> Json:
    # https://platform.openai.com/docs/api-reference/batch/object
    return {
        "id": job,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "errors": None,
        "input_file_id": "file-abc123",
        "completion_window": "24h",
        "status": status,
        "output_file_id": None,
        "error_file_id": None,
        "created_at": 1714508499,
        "request_counts": {"total": 3, "completed": 2, "failed": 1},
        "metadata": None,
        **more,
    }


def openai_row(place: int, status: int, body: Any) -> Json:
    # https://platform.openai.com/docs/api-reference/batch/request-output
    response = {"status_code": status, "request_id": "req_1", "body": body}
    return {"id": f"batch_req_{place}", "custom_id": str(place), "response": response, "error": None}


def unreached_row(place: int) -> Json:
    # https://platform.openai.com/docs/guides/batch#batch-expiration
    error = {"code": "batch_expired", "message": "This request could not be executed before the completion window."}
    return {"id": f"batch_req_{place}", "custom_id": str(place), "response": None, "error": error}


class OpenAI(BatchService):
    base = "/v1"
    endpoint = "/v1/chat/completions"

    def __init__(self) -> None:
        super().__init__(("authorization", f"Bearer {KEY}"))
        self._uploads: list[list[Json]] = []
        self.deleted: list[str] = []

    def served(self, seen: Seen) -> Said:
        if seen.path == "/v1/files":
            self._uploads.append(uploaded(seen))
            return says(stored_file(len(self._uploads) - 1))
        if seen.method == "DELETE":
            self.deleted.append(seen.path.removeprefix("/v1/files/"))
            return says({"id": self.deleted[-1], "object": "file", "deleted": True})
        if seen.path == "/v1/batches":
            return self._listed() if seen.method == "GET" else self._begun(seen.body)
        if seen.path.startswith("/v1/batches/"):
            job, _, action = seen.path.removeprefix("/v1/batches/").partition("/")
            if self.busy:
                return says({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429, retry_after="600")
            return DEAF if action == "cancel" and not self.stop(job) else says(self._batch(job))
        if seen.path.endswith("/content"):
            kind, _, job = seen.path.split("/")[3].partition("-")
            return self._results(job, kind == "out")
        return self.live or NO_SUCH_PLACE

    def _begun(self, body: Json) -> Said:
        if self.full:
            return says({"error": {"message": "too many batches", "code": "rate_limit_exceeded"}}, 429)
        rows = self._uploads[int(body["input_file_id"].removeprefix("file-"))]
        assert {row["url"] for row in rows} == {body["endpoint"]} == {self.endpoint}
        prompts = [row["body"]["messages"][0]["content"] for row in rows]
        job = self.begin(prompts, (body.get("metadata") or {}).get("infrai"))
        return self.told(job, self._batch(job))

    def _listed(self) -> Said:
        jobs = [self._batch(job) for job in reversed(self.jobs)]
        return says({"object": "list", "data": jobs, "first_id": None, "last_id": None, "has_more": False})

    def _batch(self, job: str) -> Json:
        ended = "failed" if self.failed else "cancelled" if job in self.stopped else "completed"
        ended = "expired" if ended == "completed" and self.expired else ended
        status = ended if self.done or self.failed or job in self.stopped else "in_progress"
        nothing = status in ("in_progress", "failed")
        wrong = self.refused | self.expired
        reached = [prompt for prompt in self.jobs[job] if self.reached(job, prompt)]
        done = 0 if nothing else len([prompt for prompt in reached if prompt not in wrong])
        counts = {"total": len(self.jobs[job]), "completed": done, "failed": 0 if nothing else len(reached) - done}
        files = {} if nothing else {"output_file_id": f"out-{job}", "error_file_id": f"err-{job}" if wrong else None}
        about = {"request_counts": counts, "metadata": {"infrai": self.keys[job]} if self.keys[job] else None}
        return openai_batch(status, job, input_file_id=f"file-{job.removeprefix('job')}", **files, **about)

    def _results(self, job: str, good: bool) -> Said:
        wrong = self.refused | self.expired
        places = [n for n, prompt in enumerate(self.jobs[job]) if self.reached(job, prompt)]
        rows = [self._row(n, self.jobs[job][n]) for n in places if (self.jobs[job][n] not in wrong) == good]
        rows = self.cut(rows) if good else rows
        data = b"\n".join(json.dumps(row).encode() for row in reversed(rows))  # the service promises no order
        return Said([data], "application/octet-stream")

    def _row(self, place: int, prompt: str) -> Json:
        if prompt in self.refused:
            return openai_row(place, 400, {"error": {"message": "too long", "code": "context_length_exceeded"}})
        if prompt in self.expired:
            return unreached_row(place)
        return openai_row(place, 200, self.completion(f"echo {prompt}"))


class Moonshot(OpenAI):
    """OpenAI's words, for few of its models."""

    model = "kimi-k2.6"


class Zhipu(OpenAI):
    """OpenAI's words and paths of its own in them."""

    endpoint = "/v4/chat/completions"

    def completion(self, text: str) -> Json:
        # https://docs.z.ai/api-reference/llm/chat-completion
        return _plain(completion({"content": text}, usage=_PLAIN_USAGE), "object", "service_tier", "system_fingerprint")


def _plain(made: Json, *lacks: str) -> Json:
    choices = [{name: value for name, value in choice.items() if name != "logprobs"} for choice in made["choices"]]
    return {name: value for name, value in made.items() if name not in lacks} | {"choices": choices}


_PLAIN_USAGE = {
    **{name: USAGE[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
    "prompt_tokens_details": {"cached_tokens": 4},
}


class OpenRouter(BatchService):
    """Requests and results inside of jobs, which cannot be stopped."""

    base = "/v1"

    def __init__(self) -> None:
        super().__init__(("authorization", f"Bearer {KEY}"))

    def served(self, seen: Seen) -> Said:
        if seen.path == "/v1/batches" and seen.method == "POST":
            assert {*seen.body} == {"endpoint", "model", "requests"}
            prompts = [row["body"]["messages"][0]["content"] for row in seen.body["requests"]]
            job = self.begin(prompts)
            return self.told(job, self._batch(job))
        if seen.path.startswith("/v1/batches/") and seen.method == "GET":
            return says(self._batch(seen.path.removeprefix("/v1/batches/")))
        return self.live or NO_SUCH_PLACE

    def _batch(self, job: str) -> Json:
        wrong = self.refused | self.expired
        status = "failed" if self.failed else "completed" if self.done else "in_progress"
        rows = [self._row(n, prompt) for n, prompt in enumerate(self.jobs[job])] if status == "completed" else None
        failed = len([prompt for prompt in self.jobs[job] if prompt in wrong]) if rows else 0
        done = len(self.jobs[job]) - failed if rows else 0
        return openrouter_batch(
            status,
            job,
            request_counts={"total": len(self.jobs[job]), "completed": done, "failed": failed},
            results=self.cut(rows[::-1]) if rows else None,
            error={"message": "requests[0]: unsupported"} if self.failed else None,
        )

    def completion(self, text: str) -> Json:
        # openrouter 1.3: components/batchobject.py (BodyChatCompletion)
        made = completion({"content": text, "refusal": None})
        return made | {"choices": [choice | {"native_finish_reason": "stop"} for choice in made["choices"]]}

    def _row(self, place: int, prompt: str) -> Json:
        answer: Json = {"response": {"status_code": 200, "request_id": None, "body": self.completion(f"echo {prompt}")}}
        if prompt in self.refused:
            error = {"message": "maximum context length is 8", "type": "invalid_request_error", "param": None}
            answer = {"error": error | {"error_type": "context_length_exceeded"}}
        if prompt in self.expired:
            answer = {"error": {"message": "batch expired", "type": "server_error", "param": None}}
        return {"id": f"batch_req_{place}", "custom_id": str(place), "response": None, "error": None} | answer


def openrouter_batch(status: str, job: str = "batch_1", **more: Any) -> Json:
    # https://openrouter.ai/docs/api/api-reference/batch/get-a-batch; openrouter 1.3: components/batchobject.py
    about = {"id": job, "object": "batch", "endpoint": "/v1/chat/completions", "model": "big", "provider": "OpenAI"}
    times = {"created_at": 1788062136, "expires_at": 1788148536, "finalized_at": None, "completion_window": "24h"}
    counts = {"request_counts": {"total": 3, "completed": 0, "failed": 0}}
    return about | times | counts | {"status": status, "error": None, "results": None, "usage": None} | more


class Fireworks(BatchService):
    """Data sets of an account; results behind links, which know no key. A job that is deleted is gone with what it
    did."""

    base = "/inference/v1"
    model = "accounts/fireworks/models/big"

    def __init__(self) -> None:
        super().__init__(("authorization", f"Bearer {KEY}"))
        self.datasets: dict[str, list[Json]] = {}
        self.named: dict[str, str] = {}

    def answer(self, seen: Seen) -> Said:
        if not seen.path.startswith("/dataset/"):
            return super().answer(seen)
        self.requests.append(seen)
        assert "authorization" not in seen.headers
        _, _, job, file = seen.path.split("/")
        wrong = self.refused | self.expired
        if file == "error-data":
            rows = [self._row(n, prompt) for n, prompt in enumerate(self.jobs[job]) if prompt in wrong]
        else:
            rows = self.cut([self._row(n, prompt) for n, prompt in enumerate(self.jobs[job]) if prompt not in wrong])
        return Said([b"".join(json.dumps(row).encode() + b"\n" for row in rows[::-1])], "application/octet-stream")

    def served(self, seen: Seen) -> Said:
        if seen.path == "/v1/accounts":
            return says({"accounts": [{"name": "accounts/me", "email": "me@example.com"}]})
        kind, _, name = seen.path.removeprefix("/v1/accounts/me/").partition("/")
        if kind == "datasets":
            return self._dataset(seen, *name.partition(":")[::2])
        if kind == "batchInferenceJobs":
            return self._begun(seen) if seen.method == "POST" else self._known(seen, name)
        return self.live or NO_SUCH_PLACE

    def _dataset(self, seen: Seen, name: str, verb: str) -> Said:
        if not name:
            assert seen.body["dataset"]["exampleCount"].isdecimal()
            self.datasets[seen.body["datasetId"]] = []
            return says(fireworks_dataset(seen.body["datasetId"], "UPLOADING"))
        if verb == "upload":
            self.datasets[name] = uploaded(seen)
            return says({"id": f"accounts/me/datasets/{name}", "object": "file", "filename": "batch.jsonl"})
        if verb == "getDownloadEndpoint":
            files = ("BIJOutputSet.jsonl", "error-data")
            links = {f"dataset/{name}/{file}": f"{self.url}/dataset/{name}/{file}?X-Goog-Expires=599" for file in files}
            return says({"filenameToSignedUrls": links})
        return says(fireworks_dataset(name, "READY" if self.datasets[name] else "UPLOADING"))

    def _begun(self, seen: Seen) -> Said:
        if self.full:
            return says({"code": 8, "message": "too many jobs", "details": []}, 429)
        name = dict(parse_qsl(seen.query))["batchInferenceJobId"]
        rows = self.datasets[seen.body["inputDatasetId"].removeprefix("accounts/me/datasets/")]
        assert not any("model" in row["body"] for row in rows)
        self.named[name] = job = self.begin([row["body"]["messages"][0]["content"] for row in rows], name)
        return self.told(job, self._job(name))

    def _known(self, seen: Seen, name: str) -> Said:
        job = self.named.get(name)
        if job is None or (job in self.stopped and seen.method == "GET"):
            return says({"code": 5, "message": "resource not found", "details": []}, 404)
        if seen.method == "DELETE":
            unheard = {"code": 14, "message": "try again later", "details": []}
            return says({}) if self.stop(job) else says(unheard, 503)
        return says(self._job(name))

    def _job(self, name: str) -> Json:
        job, wrong = self.named[name], self.refused | self.expired
        state = "FAILED" if self.failed else "COMPLETED" if self.done else "RUNNING"
        failed = len([prompt for prompt in self.jobs[job] if prompt in wrong])
        done = {"successfullyProcessedRequests": len(self.jobs[job]) - failed, "failedRequests": failed}
        return fireworks_job(state, name, job, jobProgress=done if state == "COMPLETED" else None)

    def _row(self, place: int, prompt: str) -> Json:
        if prompt in self.refused:
            return {"custom_id": str(place), "error": {"message": "The prompt is too long: 9", "code": 400}}
        if prompt in self.expired:
            return {"custom_id": str(place), "error": {"message": "job expired"}}
        return {"custom_id": str(place), "response": self.completion(f"echo {prompt}")}

    def completion(self, text: str) -> Json:
        # https://docs.fireworks.ai/api-reference/post-chatcompletions
        return _plain(completion({"content": text}, usage=_PLAIN_USAGE), "service_tier", "system_fingerprint")


def fireworks_dataset(name: str, state: str) -> Json:
    # https://docs.fireworks.ai/api-reference/get-dataset
    about = {"name": f"accounts/me/datasets/{name}", "format": "FORMAT_UNSPECIFIED", "exampleCount": "3"}
    return about | {"state": state, "status": {"code": "OK", "message": ""}, "userUploaded": {}}


def fireworks_job(state: str, name: str = "infrai-1", output: str = "bij-1", **more: Any) -> Json:
    # https://docs.fireworks.ai/api-reference/get-batch-inference-job
    return {
        "name": f"accounts/me/batchInferenceJobs/{name}",
        "model": "accounts/fireworks/models/big",
        "createTime": "2026-08-30T03:48:56.029803Z",
        "inputDatasetId": f"accounts/me/datasets/{name}",
        "outputDatasetId": f"accounts/me/datasets/{output}",
        "jobProgress": None,
        "state": f"JOB_STATE_{state}",
        "status": {"code": "OK", "message": ""},
        **more,
    }


class Xai(BatchService):
    """Jobs without a state, counts instead; results in pages, here of one row."""

    base = "/v1"

    def __init__(self) -> None:
        super().__init__(("authorization", f"Bearer {KEY}"))
        self._uploads: list[list[Json]] = []

    def served(self, seen: Seen) -> Said:
        if seen.path == "/v1/files":
            self._uploads.append(uploaded(seen))
            return says({"id": f"file-{len(self._uploads) - 1}", "object": "file", "purpose": "", "bytes": 1})
        if seen.path == "/v1/batches":
            return says(self._listed()) if seen.method == "GET" else self._begun(seen.body)
        if not seen.path.startswith("/v1/batches/"):
            return self.live or NO_SUCH_PLACE
        job, _, action = seen.path.removeprefix("/v1/batches/").replace(":", "/").partition("/")
        if action == "cancel" and not self.stop(job):
            return says({"code": "unavailable", "error": "try again later"}, 503)
        return says(self._page(job, dict(parse_qsl(seen.query))) if action == "results" else self._batch(job))

    def _begun(self, body: Json) -> Said:
        if self.full:
            return says({"code": "resource-exhausted", "error": "too many batches"}, 429)
        rows = self._uploads[int(body["input_file_id"].removeprefix("file-"))]
        job = self.begin([row["body"]["messages"][0]["content"] for row in rows], body["name"])
        return self.told(job, self._batch(job))

    def _listed(self) -> Json:
        return {"batches": [self._batch(job) for job in reversed(self.jobs)], "pagination_token": None}

    def _batch(self, job: str) -> Json:
        count = len(self.jobs[job])
        ended, stopped = self.done or job in self.stopped, count - 1 if job in self.stopped else 0
        state = {
            "num_requests": count,
            "num_pending": 0 if ended else count,
            "num_success": (count - stopped) if ended else 0,
            "num_error": 0,
            "num_cancelled": stopped,
        }
        about: Json = {
            "batch_id": job,
            "name": self.keys[job],
            "create_time": "2026-11-27",
            "expire_time": "2026-11-28",
        }
        if self.failed:  # it was refused when its file was read, and nothing else tells so
            nothing = dict.fromkeys(state, 0)
            return about | {"state": nothing, "cancel_time": "2026-11-27", "cancel_by_xai_message": "line 1: bad model"}
        return about | {"state": state, "cancel_time": "2026-11-27" if stopped else None}

    def _page(self, job: str, query: Json) -> Json:
        reached = [n for n, prompt in enumerate(self.jobs[job]) if self.reached(job, prompt)][::-1]
        at = int(query.get("pagination_token", 0))
        rows = [self._row(n, self.jobs[job][n]) for n in reached[at : at + 1]]
        return {"results": rows, "pagination_token": str(at + 1) if at + 1 < len(reached) else None}

    def _row(self, place: int, prompt: str) -> Json:
        result: Json = {"response": {"chat_get_completion": completion({"content": f"echo {prompt}"})}}
        if prompt in self.refused:
            result = {"error": {"code": 3, "message": "This model's maximum context length is 8 tokens"}}
        return {"batch_request_id": str(place), "batch_result": result}


def claude_batch(job: str, status: str, counts: Json) -> Json:
    # https://platform.claude.com/docs/en/api/messages/batches/create
    times = {"created_at": "2024-08-20T18:37:24.100435Z", "expires_at": "2024-08-21T18:37:24.100435Z"}
    later = dict.fromkeys(("ended_at", "archived_at", "cancel_initiated_at", "results_url"))
    about = {"id": job, "type": "message_batch", "processing_status": status, "request_counts": counts}
    return about | times | later


class Anthropic(BatchService):
    def __init__(self) -> None:
        super().__init__(("x-api-key", KEY))

    def served(self, seen: Seen) -> Said:
        if seen.path == "/v1/messages/batches":
            prompts = [row["params"]["messages"][0]["content"][0]["text"] for row in seen.body["requests"]]
            job = self.begin(prompts)
            return self.told(job, self._batch(job))
        if not seen.path.startswith("/v1/messages/batches/"):
            return self.live or NO_SUCH_PLACE
        job, _, action = seen.path.removeprefix("/v1/messages/batches/").partition("/")
        if action == "cancel" and not self.stop(job):
            return says({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529)
        if action != "results":
            return says(self._batch(job))
        rows = [{"custom_id": str(n), "result": self._result(job, prompt)} for n, prompt in enumerate(self.jobs[job])]
        return Said([b"".join(json.dumps(row).encode() + b"\n" for row in reversed(rows))], "application/x-jsonlines")

    def _batch(self, job: str) -> Json:
        counts = {"processing": 0, "succeeded": 1, "errored": 0, "expired": 0, "canceled": int(job in self.stopped)}
        ended = self.done or job in self.stopped
        return claude_batch(job, "ended" if ended else "in_progress", counts)

    def _result(self, job: str, prompt: str) -> Json:
        if not self.reached(job, prompt):
            return {"type": "canceled"}
        if prompt in self.refused:
            wrong = {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}
            return {"type": "errored", "error": {"type": "error", "error": wrong}}
        return {"type": "succeeded", "message": message(text(f"echo {prompt}"))}


class Gemini(BatchService):
    def __init__(self) -> None:
        super().__init__(("x-goog-api-key", KEY))

    def served(self, seen: Seen) -> Said:
        if seen.path.endswith(":batchGenerateContent"):
            rows = seen.body["batch"]["inputConfig"]["requests"]["requests"]
            prompts = [row["request"]["contents"][0]["parts"][0]["text"] for row in rows]
            job = self.begin(prompts, seen.body["batch"]["displayName"])
            return self.told(job, self._batch(job))
        if seen.path == "/v1beta/batches":
            return says({"operations": [self._batch(job) for job in reversed(self.jobs)]})
        if not seen.path.startswith("/v1beta/batches/"):
            return self.live or NO_SUCH_PLACE
        job, _, action = seen.path.removeprefix("/v1beta/batches/").partition(":")
        if action == "cancel":
            return says({}) if self.stop(job) else says(error(503, "UNAVAILABLE", "try again later"), 503)
        return says(self._batch(job))

    def _batch(self, job: str) -> Json:
        ended = self.done or job in self.stopped
        word = "CANCELLED" if job in self.stopped else "SUCCEEDED"
        about: Json = {"state": f"BATCH_STATE_{word}" if ended else "BATCH_STATE_RUNNING", "batchStats": {}}
        about["displayName"] = self.keys[job]
        if ended:
            rows = [self._row(job, str(n), prompt) for n, prompt in enumerate(self.jobs[job])]
            about["output"] = {"inlinedResponses": {"inlinedResponses": rows}}
        return {"name": f"batches/{job}", "metadata": about}

    def _row(self, job: str, key: str, prompt: str) -> Json:
        if prompt in self.refused:
            message = "The input token count (9) exceeds the maximum number of tokens allowed (8)."
            return {"metadata": {"key": key}, "error": {"code": 3, "message": message}}
        if not self.reached(job, prompt):
            return {"metadata": {"key": key}, "error": {"code": 1, "message": "The operation was cancelled."}}
        return {"metadata": {"key": key}, "response": response({"text": f"echo {prompt}"}, finish="STOP")}
