"""Claude and Gemini behind the whole runtime: signatures across turns and vendors, failover, cost, both surfaces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_message import Annotation

from infrai_runtime.breaker import THRESHOLD
from infrai_runtime.catalogue import Model
from infrai_runtime.vendors import anthropic, gemini
from infrai_runtime.vendors.base import Vendor
from infrai_runtime.vendors.http import Pool
from tests.core.wall import Play, Wall
from tests.runtime.api import client, events
from tests.runtime.fake import catalogue, model
from tests.runtime.vendors.claude_answers import ANSWERS as CLAUDE
from tests.runtime.vendors.claude_answers import error, message, stream_of, text
from tests.runtime.vendors.gemini_answers import ANSWERS as GEMINI
from tests.runtime.vendors.gemini_answers import SIGNATURE, response, whole_of
from tests.runtime.vendors.gemini_answers import stream_of as gemini_stream
from tests.runtime.vendors.oracle import KEY, cut_at, entry, in_one_segment, unlike, whole

pytestmark = pytest.mark.anyio

Json = dict[str, Any]

ROWS = (
    model(
        "anthropic",
        "claude-sonnet-4-6",
        quality=90,
        usd={"input_mtok": 3, "output_mtok": 15, "cached_input_mtok": 0.3, "cache_write_mtok": 3.75},
    ),
    model("gemini", "gemini-3.5-flash", quality=60, usd={"input_mtok": 3, "output_mtok": 12}),
)
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}


@asynccontextmanager
async def runtime(
    home: Path, claude: Wall, google: Wall, rows: tuple[Model, ...] = ROWS, **more: Any
) -> AsyncIterator[httpx.AsyncClient]:
    pool = Pool()
    vendors: list[Vendor] = [
        anthropic.make(entry("anthropic", claude), pool),
        gemini.make(entry("gemini", google), pool),
    ]
    async with client(home, vendors, catalogue(*rows), **more) as api:
        yield api


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


Walls = Callable[[list[Play], list[Play]], tuple[Wall, Wall]]


@pytest.fixture
def walls() -> Any:
    opened: list[Wall] = []

    def open_(claude: list[Play], google: list[Play]) -> tuple[Wall, Wall]:
        opened.extend(Wall(plays).__enter__() for plays in (claude, google))
        return opened[0], opened[1]

    yield open_
    for wall in opened:
        wall.__exit__()


def ask(messages: Any, **more: Any) -> Json:
    return {"messages": messages, "tools": [TOOL], **more}


async def test_a_signed_call_goes_back_signed_and_to_another_vendor_without_its_signature(
    tmp_path: Path, walls: Walls
) -> None:
    calls = whole_of(GEMINI["parallel calls, one without arguments"])
    done = whole(whole_of(GEMINI["text"]))
    claude, google = walls([whole(message(text("ok")))], [whole(calls), done])
    async with runtime(tmp_path, claude, google) as api:
        first = (await api.post("/ai/chat", json=ask("Weather?", vendor="gemini"))).json()
        results = [{"role": "tool", "tool_call_id": n, "content": "21"} for n in ("fc_1", "fc_2")]
        history = [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "parts": first["data"]["parts"]},
            *results,
        ]
        await api.post("/ai/chat", json=ask(history, vendor="gemini"))
        moved = (await api.post("/ai/chat", json=ask(history, vendor="anthropic"))).json()
    sent = google.requests[1].body["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in sent] == [None, SIGNATURE, None]
    assert [block["type"] for block in claude.requests[0].body["messages"][1]["content"]] == [
        "text",
        "tool_use",
        "tool_use",
    ]
    assert moved["metadata"]["warnings"] == ["messages: 1 signature(s) of another vendor or model were left out"]


async def test_the_openai_surface_carries_signatures_with_the_message(tmp_path: Path, walls: Walls) -> None:
    calls = whole_of(GEMINI["parallel calls, one without arguments"])
    claude, google = walls([], [whole(calls), whole(whole_of(GEMINI["text"]))])
    async with runtime(tmp_path, claude, google) as api:
        body = ask([{"role": "user", "content": "Weather?"}], vendor="gemini", model="gemini-3.5-flash")
        said = (await api.post("/chat/completions", json=body)).json()["choices"][0]["message"]
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "21"} for call in said["tool_calls"]]
        await api.post("/chat/completions", json=body | {"messages": [*body["messages"], said, *results]})
    sent = google.requests[1].body["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in sent] == [None, SIGNATURE, None]


async def test_signed_thinking_streams_out_and_goes_back_as_it_came(tmp_path: Path, walls: Walls) -> None:
    name = "redacted and interleaved thinking with tools"
    claude, google = walls([in_one_segment(stream_of(CLAUDE[name])), whole(message(text("done")))], [])
    async with runtime(tmp_path, claude, google) as api:
        body = ask("27 × 453?", vendor="anthropic", reasoning_effort="low", stream=True)
        frames = events((await api.post("/ai/chat", json=body)).text)
        parts: dict[int, Json] = {}
        for frame in frames[:-1]:
            for fragment in frame["delta"].get("parts", ()):
                part = parts.setdefault(fragment.pop("index"), {})
                for field, value in fragment.items():
                    joins = field in ("text", "arguments") and field in part
                    part[field] = part[field] + value if joins else value
        kept = [{n: v for n, v in part.items() if n != "done"} for part in parts.values()]
        results = [{"role": "tool", "tool_call_id": f"toolu_0{n}", "content": "1"} for n in (1, 2)]
        history = [{"role": "user", "content": "27 × 453?"}, {"role": "assistant", "parts": kept}, *results]
        await api.post("/ai/chat", json=ask(history, vendor="anthropic", reasoning_effort="low"))
    came = [{n: v for n, v in block.items() if n != "caller"} for block in CLAUDE[name]["content"]]
    assert claude.requests[1].body["messages"][1]["content"] == came
    assert frames[-2]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "fault",
    [
        whole(error("overloaded_error", "Overloaded"), 529),
        whole(error("rate_limit_error", "slow down"), 429, retry_after="30"),
        whole(error("authentication_error", "invalid x-api-key"), 401),
        whole(error("api_error", "oh"), 500),
        unlike(whole({"type": "message"})),
    ],
)
async def test_what_claude_fails_at_gemini_answers_and_the_attempts_tell(
    tmp_path: Path, walls: Walls, fault: Play
) -> None:
    claude, google = walls([fault], [whole(whole_of(GEMINI["text"]))])
    async with runtime(tmp_path, claude, google) as api:
        reply = (await api.post("/ai/chat", json=ask("hi", prefer="smartest"))).json()
    assert reply["ok"], reply
    assert [row["vendor"] for row in reply["metadata"]["attempts"]] == ["anthropic", "gemini"]
    assert reply["data"]["content"] == "Hi! 你好, naïve café 🦝."
    assert KEY not in str(reply)


@pytest.mark.parametrize("whole_", [True, False])
async def test_what_is_wrong_with_the_request_is_not_asked_of_another_vendor(
    tmp_path: Path, walls: Walls, whole_: bool
) -> None:
    claude, google = walls([whole(error("invalid_request_error", "messages: wrong"), 400)], [])
    async with runtime(tmp_path, claude, google) as api:
        reply = await api.post("/ai/chat", json=ask("hi", prefer="smartest", stream=not whole_))
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert google.requests == []


async def test_a_stream_that_is_cut_before_its_first_content_goes_on_at_the_next_vendor(
    tmp_path: Path, walls: Walls
) -> None:
    stream = stream_of(CLAUDE["text"])
    started = stream.index(b"event: content_block_delta")
    claude, google = walls([cut_at(stream, started)], [in_one_segment(gemini_stream(GEMINI["text"]))])
    async with runtime(tmp_path, claude, google) as api:
        frames = events((await api.post("/ai/chat", json=ask("hi", prefer="smartest", stream=True))).text)
    assert "".join(frame["delta"].get("content", "") for frame in frames[:-1]) == "Hi! 你好, naïve café 🦝."
    assert [row["vendor"] for row in frames[-2]["metadata"]["attempts"]] == ["anthropic", "gemini"]


async def test_a_stream_that_is_cut_later_ends_with_an_error_and_never_looks_whole(
    tmp_path: Path, walls: Walls
) -> None:
    stream = stream_of(CLAUDE["text"])
    claude, google = walls([cut_at(stream, stream.rindex(b"event: content_block_delta"))], [])
    async with runtime(tmp_path, claude, google) as api:
        frames = events((await api.post("/ai/chat", json=ask("hi", prefer="smartest", stream=True))).text)
    assert frames[-2] == "error"
    assert frames[-1]["error"]["code"] == "VENDOR_ERROR"
    assert "[DONE]" not in frames


async def test_a_host_where_nobody_listens_is_left_alone_after_some_failures(tmp_path: Path, walls: Walls) -> None:
    claude, google = walls([], [whole(whole_of(GEMINI["text"]))] * (THRESHOLD + 1))
    claude.__exit__()
    async with runtime(tmp_path, claude, google) as api:
        replies = [await api.post("/ai/chat", json=ask("hi", prefer="smartest")) for _ in range(THRESHOLD + 1)]
    outcomes = [reply.json()["metadata"]["attempts"][0]["outcome"] for reply in replies]
    assert outcomes == ["VENDOR_ERROR"] * THRESHOLD + ["skipped:cooling"]
    assert {reply.json()["metadata"]["vendor"] for reply in replies} == {"gemini"}


async def test_what_the_caches_had_costs_what_the_caches_cost(tmp_path: Path, walls: Walls) -> None:
    usage = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 400,
        "cache_read_input_tokens": 900,
        "output_tokens": 10,
    }
    claude, google = walls([whole(message(text("ok"), usage=usage))], [])
    async with runtime(tmp_path, claude, google) as api:
        reply = (await api.post("/ai/chat", json=ask("hi", vendor="anthropic"))).json()
    assert reply["data"]["usage"]["prompt_tokens"] == 1400
    assert reply["metadata"]["cost_usd"] == pytest.approx((100 * 3 + 400 * 3.75 + 900 * 0.3 + 10 * 15) / 1e6)


async def test_a_blocked_prompt_ends_the_walk_and_a_failed_answer_does_not(tmp_path: Path, walls: Walls) -> None:
    rows = (ROWS[0], model("gemini", "gemini-3.5-flash", quality=99))
    blocked = whole({"promptFeedback": {"blockReason": "SAFETY"}})
    failed = whole(response(finish="MALFORMED_FUNCTION_CALL"))
    claude, google = walls([whole(message(text("ok")))], [blocked, failed])
    async with runtime(tmp_path, claude, google, rows) as api:
        first = await api.post("/ai/chat", json=ask("hi", prefer="smartest", max_cost_multiplier=100))
        second = (await api.post("/ai/chat", json=ask("hi", prefer="smartest", max_cost_multiplier=100))).json()
    assert (first.status_code, first.json()["error"]["code"]) == (400, "CONTENT_FILTERED")
    assert (second["data"]["content"], second["metadata"]["vendor"]) == ("ok", "anthropic")


PLAYED: dict[str, tuple[str, Play, Play]] = {
    **{f"claude: {n}": ("anthropic", whole(m), in_one_segment(stream_of(m))) for n, m in CLAUDE.items()},
    **{f"gemini: {n}": ("gemini", whole(whole_of(r)), in_one_segment(gemini_stream(r))) for n, r in GEMINI.items()},
}


@pytest.mark.parametrize("name", PLAYED)
async def test_a_client_that_checks_every_declared_field_reads_the_openai_surface(
    tmp_path: Path, walls: Walls, name: str
) -> None:
    vendor, said, streamed = PLAYED[name]
    plays = {"anthropic": ([said, streamed], []), "gemini": ([], [said, streamed])}[vendor]
    body = ask([{"role": "user", "content": "hi"}], vendor=vendor)
    async with runtime(tmp_path, *walls(*plays)) as api:
        made = await api.post("/chat/completions", json=body)
        chunks = events((await api.post("/chat/completions", json=body | {"stream": True})).text)
    message = ChatCompletion.model_validate(made.json()).choices[0].message
    deltas = [ChatCompletionChunk.model_validate(chunk).choices[0].delta for chunk in chunks[:-1]]
    notes: list[Any] = [note for delta in deltas for note in (delta.model_extra or {}).get("annotations", ())]
    cited = message.annotations or []
    assert [Annotation.model_validate(note) for note in notes] == cited
    places = [slice(note.url_citation.start_index, note.url_citation.end_index) for note in cited]
    assert all((message.content or "")[place] for place in places)
