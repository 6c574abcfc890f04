"""Batches with their requests inside (https://ai.google.dev/gemini-api/docs/batch-api): bodies, states and rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.gemini.request import Draft

Json = dict[str, Any]

PATH = "/v1beta/batches"
DISPLAY_NAME = "infrai"
LISTED = 100
"""How many of the newest batches a lost one is looked for among."""
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
_MOST_DIGITS = 9
_NAME = re.compile(r"batches/[A-Za-z0-9_-]{1,200}")


def body_of(drafts: Sequence[Draft], key: str | None = None) -> Json:
    """The body that hands in these requests. Each is known again by its place, and by its answer tool if it has one."""
    rows = [
        {
            "request": draft.body,
            "metadata": {"key": str(place)} | ({"answer": draft.answer.name} if draft.answer else {}),
        }
        for place, draft in enumerate(drafts)
    ]
    return {"batch": {"displayName": display_name(key), "inputConfig": {"requests": {"requests": rows}}}}


def display_name(key: str | None) -> str:
    """The name of a batch, by which it is known again where the answer that told its id was lost."""
    return f"{DISPLAY_NAME} {key}" if key else DISPLAY_NAME


def named(listed: Mapping[str, Any], key: str) -> str | None:
    """The batch of a list that was handed in with this key (https://ai.google.dev/api/batch-api#method:-batches.list)."""
    jobs = listed.get("operations") or ()
    found = (job for job in jobs if job.get("metadata", {}).get("displayName") == display_name(key))
    return next((str(job["name"]) for job in found), None)


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
    return {"state": _STATES.get(word, "running"), "completed_count": done, "failed_count": failed}


def rows(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a batch that has ended, as they came; none where it had nothing to give."""
    output = job["metadata"].get("output") or job.get("response") or {}
    found: list[Mapping[str, Any]] = output.get("inlinedResponses", {}).get("inlinedResponses", [])
    return found


def place_of(row: Mapping[str, Any]) -> int | None:
    """Which request a row answers. Rows do not come in the order of the requests, whatever the reference says
    (https://github.com/googleapis/python-genai/issues/1909), and may come without their metadata
    (https://github.com/googleapis/python-genai/issues/2008): whose such a row is cannot be told."""
    key = str((row.get("metadata") or {}).get("key"))
    return int(key) if key.isdecimal() and len(key) <= _MOST_DIGITS else None


def status_of(error: Mapping[str, Any]) -> int:
    """The HTTP status that a row's error (google.rpc.Status) would have had on the usual way; 200 where none fits
    (https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto)."""
    return _HTTP.get(error.get("code", 0), 200)


_HTTP = {3: 400, 5: 404, 7: 403, 8: 429, 16: 401}


def answer_tool(row: Mapping[str, Any]) -> str | None:
    """The name of the tool whose arguments are the answer of a row."""
    name: str | None = row["metadata"].get("answer")
    return name
