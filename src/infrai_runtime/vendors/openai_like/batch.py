"""Batches: a file of requests, run within a day at half the price
(https://platform.openai.com/docs/guides/batch, https://console.groq.com/docs/batch)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from infrai_runtime.vendors.base import Call, Request
from infrai_runtime.vendors.documented import documented
from infrai_runtime.vendors.form import Upload
from infrai_runtime.vendors.http import segment
from infrai_runtime.vendors.openai_like.chat import CHAT, Chat

_STATES = {
    "validating": "queued",
    "in_progress": "running",
    "finalizing": "running",
    "cancelling": "running",
    "completed": "completed",
    "failed": "failed",
    "expired": "expired",
    "cancelled": "cancelled",
}


class Batches(Chat):
    """Runs many chats as one job."""

    async def submit(self, requests: Sequence[Request], call: Call) -> str:
        """Uploads the requests and starts the job; its id."""
        drafts = [await self.drafted(request, call) for request in requests]
        rows = [
            {"custom_id": str(place), "method": "POST", "url": f"/v1{CHAT}", "body": draft.body}
            for place, draft in enumerate(drafts)
        ]
        lines = b"\n".join(map(orjson.dumps, rows))
        upload = Upload("file", "batch.jsonl", lines, "application/jsonl")
        stored = await self.http.post_form("/files", [("purpose", "batch")], [upload], call)
        with documented(self.http):
            body = {"input_file_id": stored["id"], "endpoint": f"/v1{CHAT}", "completion_window": "24h"}
        batch = await self.http.post(self.row.batches, body, call)
        with documented(self.http):
            return str(batch["id"])

    async def poll(self, job: str, call: Call) -> Mapping[str, Any]:
        """``state``, ``completed_count``, ``failed_count``."""
        batch = await self._batch(job, call)
        with documented(self.http):
            counts = batch.get("request_counts") or {}
            return {
                "state": _STATES.get(batch["status"], "running"),
                "completed_count": counts.get("completed", 0),
                "failed_count": counts.get("failed", 0),
            }

    async def results(self, job: str, call: Call) -> AsyncIterator[Mapping[str, Any]]:
        """One row per request, in order: ``{"events"}`` or ``{"failure"}``.

        The vendor gives them in any order, and what failed in a file of its own.
        """
        batch = await self._batch(job, call)
        files = [batch[name] for name in ("output_file_id", "error_file_id") if batch.get(name)]
        rows: dict[int, Mapping[str, Any]] = {}
        for file in files:
            reply = await self.http.get_bytes(f"/files/{segment(file)}/content", call)
            with documented(self.http):
                rows |= {int(row["custom_id"]): row for row in map(orjson.loads, reply.data.splitlines())}
        total = (batch.get("request_counts") or {}).get("total", 0)
        for place in range(max([total, *(key + 1 for key in rows)])):
            yield self._row(rows.get(place), str(batch.get("status")))

    async def cancel(self, job: str, call: Call) -> None:
        """Stops a job; what is done by then can still be read."""
        await self.http.post(f"{self.row.batches}/{segment(job)}/cancel", {}, call)

    async def _batch(self, job: str, call: Call) -> Mapping[str, Any]:
        return await self.http.get(f"{self.row.batches}/{segment(job)}", call)

    def _row(self, row: Mapping[str, Any] | None, status: str) -> Mapping[str, Any]:
        if row is None:
            return {"failure": self.http.broken(f"no result came for this request (the job is {status})")}
        response = row.get("response") or {}
        if response.get("status_code") == 200:
            return {"events": self.read(response["body"])}
        code, body = response.get("status_code") or 502, response.get("body") or row
        return {"failure": self.http.failure(code, body)}
