"""Batches: a file of requests, run within a day at half the price. Vendors differ in words, which are data here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from infrai_runtime.vendors.base import Call, Request
from infrai_runtime.vendors.documented import documented
from infrai_runtime.vendors.form import Upload
from infrai_runtime.vendors.http import segment
from infrai_runtime.vendors.openai_like.chat import CHAT, Chat

Json = dict[str, Any]

ENDPOINT = f"/v1{CHAT}"
_FILE = "batch.jsonl"


@dataclass(frozen=True, slots=True)
class Words:
    """How a vendor says it. ``start`` makes the body of a job from the file and the model, ``states`` are in small
    letters, ``counts`` are the paths of (all, done, failed) in a job, ``outputs`` name its files."""

    states: Mapping[str, str]
    start: Callable[[str, str], Json]
    counts: tuple[tuple[str, ...], ...] = ()
    outputs: tuple[str, str] = ("output_file_id", "error_file_id")
    upload: str = "/files"
    form: tuple[tuple[str, str], ...] = (("purpose", "batch"),)
    line: Callable[[Json], Json] = lambda body: {"method": "POST", "url": ENDPOINT, "body": body}
    wrapped: str = ""
    """Where the new job stands in the answer that tells of it."""
    id: str = "id"
    """The field of a job that names it."""


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
    start=lambda file, model: {"input_file_id": file, "endpoint": ENDPOINT, "completion_window": "24h"},
    counts=(("request_counts", "total"), ("request_counts", "completed"), ("request_counts", "failed")),
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
    start=lambda file, model: {"input_files": [file], "endpoint": ENDPOINT, "model": model},
    counts=(("total_requests",), ("succeeded_requests",), ("failed_requests",)),
    outputs=("output_file", "error_file"),
    line=lambda body: {"body": {name: value for name, value in body.items() if name != "model"}},
)
"""https://docs.mistral.ai/capabilities/batch: one model for the whole job."""

_TOGETHER = Words(
    states=_OPENAI.states,
    start=lambda file, model: {"input_file_id": file, "endpoint": ENDPOINT},
    upload="/files/upload",
    form=(("purpose", "batch-api"), ("file_name", _FILE), ("file_type", "jsonl")),
    line=lambda body: {"body": body},
    wrapped="job",
)
"""https://docs.together.ai/reference/batch-create, https://docs.together.ai/reference/upload-file,
https://docs.together.ai/docs/inference/batch/manage: it tells its progress, but no counts."""

_XAI = Words(
    states={},
    start=lambda file, model: {"name": "infrai", "input_file_id": file},
    form=(),
    id="batch_id",
)
"""https://docs.x.ai/developers/advanced-api-usage/batch-api: its jobs have counts and no state."""

WORDS: dict[str, Words] = {"openai": _OPENAI, "mistral": _MISTRAL, "together": _TOGETHER, "xai": _XAI}


class Batches(Chat):
    """Runs many chats as one job."""

    @property
    def words(self) -> Words:
        """How the vendor says it."""
        return WORDS[self.row.batch_words]

    async def submit(self, requests: Sequence[Request], call: Call) -> str:
        """Uploads the requests and starts the job; its id."""
        drafts = [await self.drafted(request, call) for request in requests]
        rows = [{"custom_id": str(place), **self.words.line(draft.body)} for place, draft in enumerate(drafts)]
        upload = Upload("file", _FILE, b"\n".join(map(orjson.dumps, rows)), "application/jsonl")
        stored = await self.http.post_form(self.words.upload, list(self.words.form), [upload], call)
        with documented(self.http):
            body = self.words.start(stored["id"], self.model(call))
        batch = await self.http.post(self.row.batches, body, call)
        with documented(self.http):
            return str((batch[self.words.wrapped] if self.words.wrapped else batch)[self.words.id])

    async def poll(self, job: str, call: Call) -> Mapping[str, Any]:
        """``state``, ``completed_count``, ``failed_count`` (0 where the vendor does not count)."""
        batch = await self._batch(job, call)
        with documented(self.http):
            _, done, failed = self._counts(batch)
            state = self.words.states.get(str(batch["status"]).lower(), "running")
            return {"state": state, "completed_count": done, "failed_count": failed}

    async def results(self, job: str, call: Call) -> AsyncIterator[Mapping[str, Any]]:
        """One row per request, in order: ``{"events"}`` or ``{"failure"}``.

        The vendor gives them in any order, and what failed in a file of its own.
        """
        batch = await self._batch(job, call)
        rows: dict[int, Mapping[str, Any]] = {}
        for file in (batch[name] for name in self.words.outputs if batch.get(name)):
            rows |= {int(row["custom_id"]): row for row in await self._lines(file, call)}
        total, _, _ = self._counts(batch)
        if not self.words.counts and batch.get("input_file_id"):
            total = len(await self._lines(batch["input_file_id"], call))
        for place in range(max([total, *(key + 1 for key in rows)])):
            yield self._row(rows.get(place), str(batch.get("status")))

    async def cancel(self, job: str, call: Call) -> None:
        """Stops a job; what is done by then can still be read."""
        await self.http.post(f"{self.row.batches}/{segment(job)}/cancel", {}, call)

    async def _batch(self, job: str, call: Call) -> Mapping[str, Any]:
        return await self.http.get(f"{self.row.batches}/{segment(job)}", call)

    async def _lines(self, file: str, call: Call) -> list[Mapping[str, Any]]:
        reply = await self.http.get_bytes(f"/files/{segment(file)}/content", call)
        with documented(self.http):
            found = [orjson.loads(line) for line in reply.data.splitlines() if line.strip()]
            return [row for row in found if str(row["custom_id"]).isdecimal()]

    def _counts(self, batch: Mapping[str, Any]) -> tuple[int, int, int]:
        total, done, failed = (_at(batch, path) for path in self.words.counts or ((), (), ()))
        return total, done, failed

    def _row(self, row: Mapping[str, Any] | None, status: str) -> Mapping[str, Any]:
        if row is None:
            return {"failure": self.http.broken(f"no result came for this request (the job is {status})")}
        response = row.get("response") or {}
        if response.get("status_code") == 200:
            return {"events": self.read(response["body"])}
        code, body = response.get("status_code") or 502, response.get("body") or row
        return {"failure": self.http.failure(code, body)}


class CountedBatches(Batches):
    """The same at xAI, whose jobs say how many requests are pending, and whose results come in pages
    (https://docs.x.ai/developers/advanced-api-usage/batch-api)."""

    async def poll(self, job: str, call: Call) -> Mapping[str, Any]:
        """``state``, ``completed_count``, ``failed_count``."""
        batch = await self._batch(job, call)
        with documented(self.http):
            counts = _Counts.of(batch)
        return {"state": counts.state, "completed_count": counts.done, "failed_count": counts.failed}

    async def results(self, job: str, call: Call) -> AsyncIterator[Mapping[str, Any]]:
        """One row per request, in order: ``{"events"}`` or ``{"failure"}``."""
        batch = await self._batch(job, call)
        with documented(self.http):
            counts = _Counts.of(batch)
        rows = {int(row["batch_request_id"]): row async for row in self._pages(job, call)}
        for place in range(max([counts.total, *(key + 1 for key in rows)])):
            yield self._row(rows.get(place), counts.state)

    async def cancel(self, job: str, call: Call) -> None:
        """Stops a job; what is done by then can still be read."""
        await self.http.post(f"{self.row.batches}/{segment(job)}:cancel", {}, call)

    async def _pages(self, job: str, call: Call) -> AsyncIterator[Mapping[str, Any]]:
        token: str | None = ""
        while token is not None:
            more = f"&pagination_token={segment(token)}" if token else ""
            page = await self.http.get(f"{self.row.batches}/{segment(job)}/results?limit={_PAGE}{more}", call)
            with documented(self.http):
                rows, token = page["results"], page.get("pagination_token") or None
                found = [row for row in rows if str(row["batch_request_id"]).isdecimal()]
            for row in found:
                yield row

    def _row(self, row: Mapping[str, Any] | None, status: str) -> Mapping[str, Any]:
        result = (row or {}).get("batch_result") or {}
        answer = next(iter((result.get("response") or {}).values()), None)
        if answer is not None:
            return {"events": self.read(answer)}
        error = result.get("error")
        if not isinstance(error, Mapping):
            return super()._row(None, status)
        return {"failure": self.http.failure(_STATUS_OF.get(error.get("code"), 502), {"error": error})}


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


def _at(batch: Mapping[str, Any], path: tuple[str, ...]) -> int:
    found: Any = batch if path else None
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, int) else 0
