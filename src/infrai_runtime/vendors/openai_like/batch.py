"""Batches: a file of requests, run within a day at half the price. Vendors differ in words, which are data here."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import orjson

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Request, Result
from infrai_runtime.vendors.documented import documented
from infrai_runtime.vendors.form import Upload
from infrai_runtime.vendors.http import segment
from infrai_runtime.vendors.openai_like.chat import CHAT, Chat

Json = dict[str, Any]

log = logging.getLogger("infrai_runtime")
ENDPOINT = f"/v1{CHAT}"
_FILE = "batch.jsonl"
MARK = "infrai"
"""The name under which a job carries the key that it was handed in with."""
_LISTED = 100
"""How many of the newest jobs a lost one is looked for among."""
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.05, 5.0
"""How soon a file that the vendor still reads is looked at again; each time in a row it takes twice as long."""


@dataclass(frozen=True, slots=True)
class Words:
    """How a vendor says it. ``start`` makes the body of a job from the file, the model, and the marks that it carries;
    ``states`` are in small letters, ``counts`` are the paths of (done, failed) in a job, ``outputs`` name its files."""

    states: Mapping[str, str]
    start: Callable[[str, str, Json], Json]
    counts: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    outputs: tuple[str, str] = ("output_file_id", "error_file_id")
    upload: str = "/files"
    form: tuple[tuple[str, str], ...] = (("purpose", "batch"),)
    line: Callable[[Json], Json] = lambda body: {"method": "POST", "body": body}
    endpoint: str = ENDPOINT
    """What a line is for."""
    state: str = "status"
    """The field of a job that has its state."""
    wrapped: str = ""
    """Where the new job stands in the answer that tells of it."""
    id: str = "id"
    """The field of a job that names it."""
    listed: str = f"?limit={_LISTED}"
    """What stands behind the path of the jobs to list the newest; empty: they carry no mark to be known by."""
    rows: str = "data"
    """Where the jobs stand in a list of them."""
    marks: Callable[[str], Json] = lambda key: {"metadata": {MARK: key}}
    """The fields of a job that carry the key that it was handed in with."""
    tidied: bool = False
    """The file of a job that was read is deleted: the vendor keeps no more than so many."""


_OPENAI = Words(
    states={
        "validating": "queued",
        "in_progress": "running",
        "finalizing": "running",
        "cancelling": "running",
        "completed": "completed",
        "failed": "failed",
        "expired": "expired",
        "cancelled": "cancelled",
    },
    start=lambda file, model, marks: {"input_file_id": file, "endpoint": ENDPOINT, "completion_window": "24h", **marks},
    counts=(("request_counts", "completed"), ("request_counts", "failed")),
)
"""https://platform.openai.com/docs/guides/batch, https://console.groq.com/docs/batch"""

_MISTRAL = Words(
    states={
        "queued": "queued",
        "running": "running",
        "cancellation_requested": "running",
        "success": "completed",
        "failed": "failed",
        "timeout_exceeded": "expired",
        "cancelled": "cancelled",
    },
    start=lambda file, model, marks: {"input_files": [file], "endpoint": ENDPOINT, "model": model, **marks},
    counts=(("succeeded_requests",), ("failed_requests",)),
    outputs=("output_file", "error_file"),
    line=lambda body: {"body": _without_model(body)},
    listed=f"?page_size={_LISTED}&order_by=-created",
)
"""https://docs.mistral.ai/capabilities/batch: one model for the whole job; https://docs.mistral.ai/api/endpoint/batch"""

_TOGETHER = Words(
    states=_OPENAI.states,
    start=lambda file, model, marks: {"input_file_id": file, "endpoint": ENDPOINT},
    upload="/files/upload",
    form=(("purpose", "batch-api"), ("file_name", _FILE), ("file_type", "jsonl")),
    line=lambda body: {"body": body},
    wrapped="job",
    listed="",
)
"""https://docs.together.ai/reference/batch-create, https://docs.together.ai/reference/upload-file,
https://docs.together.ai/docs/inference/batch/manage: it tells its progress, but no counts."""

_XAI = Words(
    states={},
    start=lambda file, model, marks: {"name": MARK, "input_file_id": file, **marks},
    form=(),
    id="batch_id",
    rows="batches",
    marks=lambda key: {"name": f"{MARK} {key}"},
)
"""https://docs.x.ai/developers/advanced-api-usage/batch-api: its jobs have counts and no state."""

_DASHSCOPE = Words(
    states=_OPENAI.states,
    start=_OPENAI.start,
    counts=_OPENAI.counts,
    marks=lambda key: {"metadata": {"ds_name": f"{MARK} {key}"}},
)
"""https://www.alibabacloud.com/help/en/model-studio/batch-interfaces-compatible-with-openai"""

_MOONSHOT = replace(_OPENAI, tidied=True)
"""https://platform.kimi.ai/docs/guide/use-batch-api; at most 1,000 files of batches:
https://platform.kimi.ai/docs/api/batch-create"""

_ZHIPU_ENDPOINT = f"/v4{CHAT}"
_ZHIPU = Words(
    states=_OPENAI.states,
    start=lambda file, model, marks: {
        "input_file_id": file,
        "endpoint": _ZHIPU_ENDPOINT,
        "auto_delete_input_file": True,
        **marks,
    },
    counts=_OPENAI.counts,
    endpoint=_ZHIPU_ENDPOINT,
)
"""https://docs.bigmodel.cn/cn/guide/tools/batch; zai-sdk 0.2: api_resource/batch/batches.py"""

_OPENROUTER = Words(
    states=_OPENAI.states,
    start=_OPENAI.start,
    counts=_OPENAI.counts,
    line=lambda body: {"body": _without_model(body)},
    listed="",
)
"""https://openrouter.ai/docs/api/api-reference/batch/get-a-batch: as OpenAI's, and nothing of whoever handed it in."""

_FIREWORKS = Words(
    states={
        "job_state_unspecified": "queued",
        "job_state_validating": "queued",
        "job_state_pending": "queued",
        "job_state_completed": "completed",
        "job_state_failed": "failed",
        "job_state_expired": "expired",
        "job_state_early_stopped": "expired",
        "job_state_cancelled": "cancelled",
    },
    start=lambda file, model, marks: {"model": model, "inputDatasetId": file},
    counts=(("jobProgress", "successfullyProcessedRequests"), ("jobProgress", "failedRequests")),
    line=lambda body: {"body": _without_model(body)},
    state="state",
    id="name",
)
"""https://docs.fireworks.ai/api-reference/get-batch-inference-job"""

WORDS: dict[str, Words] = {
    "openai": _OPENAI,
    "mistral": _MISTRAL,
    "together": _TOGETHER,
    "xai": _XAI,
    "dashscope": _DASHSCOPE,
    "moonshot": _MOONSHOT,
    "zhipu": _ZHIPU,
    "openrouter": _OPENROUTER,
    "fireworks": _FIREWORKS,
}


class Batches(Chat):
    """Runs many chats as one job."""

    @property
    def words(self) -> Words:
        """How the vendor says it."""
        return WORDS[self.row.batch_words]

    def takes(self, request: Request, call: Call) -> bool:
        """Whether the service has the model."""
        return not self.row.batch_models or bool(re.fullmatch(self.row.batch_models, call.model))

    async def submit(self, requests: Sequence[Request], call: Call) -> str:
        """Uploads the requests and starts the job; its id."""
        upload = batch_file(await self.lines(requests, call))
        stored = await self.http.post_form(self.words.upload, list(self.words.form), [upload], call)
        await self._until_read(stored, call)
        key = call.idempotency_key()
        marks = self.words.marks(key) if key else {}
        with documented(self.http):
            body = self._placed(self.words.start(stored["id"], self.model(call), marks), "endpoint")
        batch = await self.http.post(self.row.batches, body, call)
        with documented(self.http):
            return str((batch[self.words.wrapped] if self.words.wrapped else batch)[self.words.id])

    async def find(self, call: Call) -> str | None:
        """The id of the job that carries the call's key."""
        key = call.idempotency_key()
        if not self.words.listed or not key:
            return None
        marks = self.words.marks(key)
        jobs = await self.http.get(f"{self.row.batches}{self.words.listed}", call)
        with documented(self.http):
            found = (job for job in jobs.get(self.words.rows) or () if _carries(job, marks))
            return next((str(job[self.words.id]) for job in found), None)

    async def poll(self, job: str, call: Call) -> Mapping[str, Any]:
        """``state``, ``completed_count``, ``failed_count`` (0 where the vendor does not count)."""
        batch = await self.job(job, call)
        with documented(self.http):
            done, failed = (_at(batch, path) for path in self.words.counts)
            state = self.words.states.get(str(batch[self.words.state]).lower(), "running")
            return {"state": state, "completed_count": done, "failed_count": failed}

    async def results(self, job: str, call: Call) -> AsyncGenerator[Result, None]:
        """The rows of the job's files: what was answered in one, what failed in another."""
        batch = await self.job(job, call)
        for file in (batch[name] for name in self.words.outputs if batch.get(name)):
            async with aclosing(self.http.get_lines(f"/files/{segment(file)}/content", call)) as lines:
                async for line in lines:
                    with documented(self.http):
                        row = orjson.loads(line)
                    for result in self.result(row, "custom_id"):
                        yield result
        if self.words.tidied:
            await self._tidy(batch.get("input_file_id"), call)

    async def _tidy(self, file: Any, call: Call) -> None:
        """Deletes a file; one that stays does no harm to what was read."""
        try:
            await self.http.delete(f"/files/{segment(str(file))}", call)
        except Failure as failure:
            log.info("a file of a batch stays at %s: %s", self.name, failure.message)

    async def cancel(self, job: str, call: Call) -> None:
        """Stops a job; what is done by then can still be read."""
        await self.http.post(f"{self.row.batches}/{segment(job)}/cancel", {}, call)

    async def job(self, job: str, call: Call) -> Mapping[str, Any]:
        """A job as the vendor tells it."""
        return await self.http.get(f"{self.row.batches}/{segment(job)}", call)

    async def _until_read(self, file: Mapping[str, Any], call: Call) -> None:
        """Azure takes a file for a job only when it has read it
        (https://learn.microsoft.com/azure/foundry/openai/how-to/batch)."""
        if _is_being_read(file):
            path = f"/files/{segment(str(file.get('id')))}"
            await self.until(lambda: self.http.get(path, call), _is_being_read, call)

    async def until(
        self, look: Callable[[], Awaitable[Json]], waits: Callable[[Mapping[str, Any]], bool], call: Call
    ) -> None:
        """Looks at a file until the vendor has read it, which may take as long as the call."""
        clock, pause_s = asyncio.get_running_loop().time, _FIRST_LOOK_S
        until = clock() + call.deadline_s
        while waits(await look()):
            if clock() > until:
                raise Failure("VENDOR_TIMEOUT", f"{self.name}: it has not read the file of a batch in time")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_LOOK_S)

    async def lines(self, requests: Sequence[Request], call: Call) -> list[Json]:
        """The requests as lines of a file, each known again by its place."""
        drafts = await self.drafts(requests, call)
        return [self._line(place, draft.body) for place, draft in enumerate(drafts)]

    def _line(self, place: int, body: Json) -> Json:
        line = {"custom_id": str(place), **self.words.line(body)}
        return self._placed({**line, "url": self.words.endpoint}, "url") if "method" in line else line

    def _placed(self, body: Json, name: str) -> Json:
        """Azure's dated interface has its paths without the version of the other one."""
        return body | {name: CHAT} if self._dated and name in body else body

    def result(self, row: Any, key: str) -> Iterable[Result]:
        """The result that a row tells; a row of a request that is not ours tells none. One that cannot be read is a
        failure of its request alone."""
        place = row.get(key) if isinstance(row, Mapping) else None
        if not isinstance(place, str) or not place.isdecimal() or len(place) > _MOST_DIGITS:
            return
        try:
            with documented(self.http):
                yield self._read_row(int(place), row)
        except Failure as failure:
            yield Result(int(place), failure=failure)

    def _read_row(self, place: int, row: Mapping[str, Any]) -> Result:
        response = row.get("response") or {}
        if response.get("status_code") == 200:
            return Result(place, self.read(response["body"]))
        code, body = response.get("status_code") or 502, response.get("body") or row
        return Result(place, failure=self.http.failure(code, body))


class CountedBatches(Batches):
    """The same at xAI, whose jobs say how many requests are pending, and whose results come in pages
    (https://docs.x.ai/developers/advanced-api-usage/batch-api)."""

    async def poll(self, job: str, call: Call) -> Mapping[str, Any]:
        """``state``, ``completed_count``, ``failed_count``."""
        batch = await self.job(job, call)
        with documented(self.http):
            counts = _Counts.of(batch)
        return {"state": counts.state, "completed_count": counts.done, "failed_count": counts.failed}

    async def results(self, job: str, call: Call) -> AsyncGenerator[Result, None]:
        """The rows of all pages."""
        token: str | None = ""
        while token is not None:
            more = f"&pagination_token={segment(token)}" if token else ""
            page = await self.http.get(f"{self.row.batches}/{segment(job)}/results?limit={_PAGE}{more}", call)
            with documented(self.http):
                rows, token = page["results"], page.get("pagination_token") or None
            for row in rows:
                for result in self.result(row, "batch_request_id"):
                    yield result

    async def cancel(self, job: str, call: Call) -> None:
        """Stops a job; what is done by then can still be read."""
        await self.http.post(f"{self.row.batches}/{segment(job)}:cancel", {}, call)

    def _read_row(self, place: int, row: Mapping[str, Any]) -> Result:
        result = row.get("batch_result") or {}
        answer = next(iter((result.get("response") or {}).values()), None)
        if answer is not None:
            return Result(place, self.read(answer))
        error = result.get("error")
        if not isinstance(error, Mapping):
            return Result(place, failure=self.http.broken("no result came for this request"))
        return Result(place, failure=self.http.failure(_STATUS_OF.get(error.get("code"), 502), {"error": error}))


def batch_file(rows: Sequence[Json]) -> Upload:
    """The rows as a file that is handed in."""
    return Upload("file", _FILE, b"\n".join(map(orjson.dumps, rows)), "application/jsonl")


def _without_model(body: Json) -> Json:
    """The model is the whole job's."""
    return {name: value for name, value in body.items() if name != "model"}


def _is_being_read(file: Mapping[str, Any]) -> bool:
    return str(file.get("status")).lower() in _BEING_READ


_BEING_READ = frozenset({"notrunning", "pending", "running"})
_MOST_DIGITS = 9
"""Of the place of a request."""
_PAGE = 1000
_STATUS_OF: Mapping[Any, int] = {3: 400, 7: 403, 8: 429, 9: 400, 11: 400, 16: 401}
"""gRPC's codes, in which the errors of single requests are told, as the statuses of HTTP."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """How far a job is. A job of which no request is known yet is read in, unless it was refused."""

    total: int
    done: int
    failed: int
    state: str

    @classmethod
    def of(cls, batch: Mapping[str, Any]) -> _Counts:
        found = batch["state"]
        total, pending, done, failed, stopped = (int(found.get(f"num_{name}") or 0) for name in _COUNTED)
        state = "queued" if not total else "running" if pending else "cancelled" if stopped else "completed"
        if batch.get("cancel_time") and not total:
            state = "cancelled"
        return cls(total, done, failed, "failed" if batch.get("cancel_by_xai_message") else state)


_COUNTED = ("requests", "pending", "success", "error", "cancelled")


def _carries(job: Mapping[str, Any], marks: Json) -> bool:
    return all(_holds(job.get(name), value) for name, value in marks.items())


def _holds(found: Any, value: Any) -> bool:
    return found == value or (isinstance(found, Mapping) and isinstance(value, dict) and _carries(found, value))


def _at(batch: Mapping[str, Any], path: tuple[str, ...]) -> int:
    found: Any = batch if path else None
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, int) else 0
