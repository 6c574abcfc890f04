"""Batches with their requests inside (https://ai.google.dev/gemini-api/docs/batch-api): bodies, states and rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.gemini.request import Draft

Json = dict[str, Any]

DISPLAY_NAME = "infrai"
_STATES = {
    "PENDING": "queued",
    "QUEUED": "queued",
    "RUNNING": "running",
    "CANCELLING": "running",
    "PAUSED": "running",
    "SUCCEEDED": "completed",
    "PARTIALLY_SUCCEEDED": "completed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}
_NAME = re.compile(r"batches/[A-Za-z0-9_-]{1,200}")


def body_of(drafts: Sequence[Draft]) -> Json:
    """The body that hands in these requests. Each is known again by its place, and by its answer tool if it has one."""
    rows = [
        {
            "request": draft.body,
            "metadata": {"key": str(place)} | ({"answer": draft.answer.name} if draft.answer else {}),
        }
        for place, draft in enumerate(drafts)
    ]
    return {"batch": {"displayName": DISPLAY_NAME, "inputConfig": {"requests": {"requests": rows}}}}


def path_of(job: str) -> str:
    """The path of a batch."""
    if not _NAME.fullmatch(job):
        raise Failure("INVALID_REQUEST", f"batch_id: came {job[:80]!r}, allowed is a name such as batches/123abc")
    return f"/v1beta/{job}"


def progress(job: Mapping[str, Any]) -> Json:
    """``{"state", "completed_count", "failed_count"}``; the service writes its counts as strings."""
    about = job["metadata"]
    word = str(about["state"]).removeprefix("JOB_STATE_").removeprefix("BATCH_STATE_")
    counts = about.get("batchStats", {})
    done, failed = (int(counts.get(name, 0)) for name in ("successfulRequestCount", "failedRequestCount"))
    return {"state": _STATES[word], "completed_count": done, "failed_count": failed}


def rows(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a batch that has ended, in the order of its requests."""
    output = job["metadata"].get("output") or job["response"]
    found: list[Mapping[str, Any]] = output["inlinedResponses"]["inlinedResponses"]
    return sorted(found, key=lambda row: int(row["metadata"]["key"]))


def status_of(error: Mapping[str, Any]) -> int:
    """The HTTP status that a row's error (google.rpc.Status) would have had on the usual way; 200 where none fits
    (https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto)."""
    return _HTTP.get(error.get("code", 0), 200)


_HTTP = {3: 400, 5: 404, 7: 403, 8: 429, 16: 401}


def answer_tool(row: Mapping[str, Any]) -> str | None:
    """The name of the tool whose arguments are the answer of a row."""
    name: str | None = row["metadata"].get("answer")
    return name
