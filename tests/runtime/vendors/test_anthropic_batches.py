"""Claude's batches: the official SDK reads the same job and rows as the adapter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import anthropic
import pytest

from infrai_runtime.vendors.anthropic import Anthropic, make
from infrai_runtime.vendors.base import Batches
from tests.core.wall import Play, Wall, http
from tests.runtime.vendors.claude_answers import error, message, text, tool_use
from tests.runtime.vendors.oracle import KEY, call_of, failure_of, parts_of, run, unlike, user, vendor, whole

Json = dict[str, Any]

MODEL = "claude-sonnet-4-20250514"
FORM = {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}}


def job(status: str = "ended", **counts: int) -> Json:
    # https://platform.claude.com/docs/en/api/messages/batches/create (response)
    none = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    return {
        "id": "msgbatch_013Zva2CMHLNnjNjJJKqJ2EF",
        "type": "message_batch",
        "processing_status": status,
        "request_counts": none | counts,
        "created_at": "2024-08-20T18:37:24.100435Z",
        "expires_at": "2024-08-21T18:37:24.100435Z",
        "ended_at": None,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": "https://evil.example/v1/messages/batches/msgbatch_013/results",
    }


# https://platform.claude.com/docs/en/build-with-claude/batch-processing#retrieving-batch-results (rows in any order)
ROWS = [
    {"custom_id": "2", "result": {"type": "errored", "error": error("invalid_request_error", "no messages")}},
    {"custom_id": "10", "result": {"type": "expired"}},
    {
        "custom_id": "1-give_answer",
        "result": {"type": "succeeded", "message": message(tool_use("t", "give_answer", {"n": 7}), stop="tool_use")},
    },
    {"custom_id": "0", "result": {"type": "succeeded", "message": message(text("hi"))}},
]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def with_vendor(plays: list[Play], ask: Any) -> tuple[Any, Wall]:
    with Wall(plays) as wall:

        async def body() -> Any:
            async with vendor(make, "anthropic", wall) as made:
                return await ask(made)

        return run(body), wall


def test_a_batch_is_handed_in_as_the_messages_that_its_requests_are() -> None:
    requests: list[Mapping[str, Any]] = [
        {"messages": [user("a")]},
        {"messages": [user("b")], "response_format": FORM},
    ]

    async def ask(made: Anthropic) -> str:
        assert isinstance(made, Batches)
        return await made.submit(requests, call_of(MODEL))

    name, wall = with_vendor([whole(job("in_progress", processing=2))], ask)
    assert (name, wall.requests[0].path) == ("msgbatch_013Zva2CMHLNnjNjJJKqJ2EF", "/v1/messages/batches")
    rows = wall.requests[0].body["requests"]
    assert [row["custom_id"] for row in rows] == ["0", "1-give_answer"]
    assert rows[0]["params"]["messages"] == [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
    assert "stream" not in rows[0]["params"]


@pytest.mark.parametrize(
    ("answer", "state", "done", "failed"),
    [
        (job("in_progress", processing=3), "running", 0, 0),
        (job("canceling", processing=3), "running", 0, 0),
        (job(succeeded=2, errored=1), "completed", 2, 1),
        (job(succeeded=1, canceled=2), "cancelled", 1, 2),
        (job(expired=3), "expired", 0, 3),
    ],
)
def test_a_batch_tells_how_far_it_is_and_the_sdk_says_the_same(
    answer: Json, state: str, done: int, failed: int
) -> None:
    async def ask(made: Anthropic) -> Any:
        return await made.poll("msgbatch_013", call_of(MODEL))

    progress, _ = with_vendor([whole(answer)], ask)
    assert progress == {"state": state, "completed_count": done, "failed_count": failed}
    with Wall([whole(answer)]) as wall, anthropic.Anthropic(api_key=KEY, base_url=wall.url) as client:
        read = client.messages.batches.retrieve("msgbatch_013")
    assert (read.processing_status == "ended") == (state != "running")
    assert read.request_counts.succeeded == done


def test_results_are_those_of_their_requests_and_come_only_from_the_configured_address() -> None:
    async def ask(made: Anthropic) -> Any:
        return {row.place: row async for row in made.results("msgbatch_013", call_of(MODEL))}

    rows, wall = with_vendor([Play([http(LINES, kind="application/x-jsonlines")])], ask)
    assert wall.requests[0].path == "/v1/messages/batches/msgbatch_013/results"
    assert [parts_of(rows[place].events)[0]["text"] for place in (0, 1)] == ["hi", '{"n":7}']
    assert [rows[place].failure.code for place in (2, 10)] == ["INVALID_REQUEST", "VENDOR_ERROR"]
    assert "expired" in rows[10].failure.message
    here = job() | {"results_url": "PLACE"}
    with Wall([]) as wall, anthropic.Anthropic(api_key=KEY, base_url=wall.url) as client:
        here["results_url"] = f"{wall.url}/v1/messages/batches/msgbatch_013/results"
        wall.plays += [whole(here), Play([http(LINES, kind="application/x-jsonlines")])]
        read = {row.custom_id: row.result.type for row in client.messages.batches.results("msgbatch_013")}
    assert read == {"0": "succeeded", "1-give_answer": "succeeded", "2": "errored", "10": "expired"}


def test_a_row_that_cannot_be_read_or_is_of_no_request_leaves_the_others_alone() -> None:
    async def ask(made: Anthropic) -> Any:
        return {row.place: row async for row in made.results("msgbatch_013", call_of(MODEL))}

    rows = [
        {"custom_id": "0", "result": {"type": "succeeded", "message": {"content": 3}}},
        {"custom_id": "theirs", "result": {"type": "expired"}},
        {"custom_id": "1", "result": {"type": "succeeded", "message": message(text("hi"))}},
        {"custom_id": "2"},
    ]
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    found, _ = with_vendor([unlike(Play([http(lines, kind="application/x-jsonlines")]))], ask)
    assert {place: row.failure and row.failure.code for place, row in found.items()} == {
        0: "VENDOR_ERROR", 1: None, 2: "VENDOR_ERROR"
    }  # fmt: skip


def test_a_batch_is_cancelled_by_its_id_and_no_id_leads_elsewhere() -> None:
    async def ask(made: Anthropic) -> Any:
        await made.cancel("msgbatch_013", call_of(MODEL))
        await made.cancel("../files", call_of(MODEL))

    with Wall([whole(job("canceling"))]) as wall:

        async def body() -> Any:
            async with vendor(make, "anthropic", wall) as made:
                await ask(made)

        failure = failure_of(lambda: run(body))
    assert (failure.code, len(wall.requests)) == ("INVALID_REQUEST", 1)
    assert wall.requests[0].path == "/v1/messages/batches/msgbatch_013/cancel"
