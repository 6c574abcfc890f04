from __future__ import annotations

import asyncio
import base64
import gzip
import re
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_runtime.cache import origins_of
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Note, Request

from .api import client, events
from .fake import USAGE, FakeChat, FakeEmbed, catalogue, fails, model, says

pytestmark = pytest.mark.anyio

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    return response.status_code, error["code"], error.get("param")


ONE = catalogue(model("a"))


# -- envelope and metadata ---------------------------------------------------------------------------------------------


async def test_a_reply_is_an_envelope_with_parts_flat_views_and_priced_metadata(tmp_path: Path) -> None:
    async with client(tmp_path, [FakeChat("a", says("Hel", "lo"))], ONE) as api:
        response = await api.post("/ai/chat", json={"messages": "hi"})
    body = response.json()
    metadata = body["metadata"]
    assert (response.status_code, body["ok"], body["error"]) == (200, True, None)
    assert body["data"] == {
        "id": metadata["request_id"],
        "model": "big",
        "parts": [{"type": "text", "text": "Hello"}],
        "content": "Hello",
        "tool_calls": None,
        "reasoning": None,
        "refusal": None,
        "finish_reason": "stop",
        "usage": USAGE,
    }
    assert metadata["cost_usd"] == 0.00002  # 10 tokens at 1 USD and 5 at 2 USD per million
    assert (metadata["vendor"], metadata["model"], metadata["cache_hit"]) == ("a", "big", False)
    assert metadata["attempts"][0] | {"latency_ms": 0} == {
        "vendor": "a",
        "model": "big",
        "outcome": "ok",
        "latency_ms": 0,
        "cost_usd": 0.00002,
    }
    assert metadata["route"] == "a/big: balanced for general"
    assert UUID7.fullmatch(metadata["request_id"])
    assert response.headers["x-infrai-request-id"] == metadata["request_id"]
    assert response.headers["x-infrai-cost-usd"] == "0.00002"
    assert (response.headers["x-infrai-vendor"], response.headers["x-infrai-model"]) == ("a", "big")
    assert float(response.headers["x-infrai-latency-ms"]) >= 0


async def test_a_cost_that_nobody_knows_is_null_and_its_header_absent(tmp_path: Path) -> None:
    async with client(tmp_path, [FakeChat("a", says("x"))], catalogue(model("a", usd={}))) as api:
        response = await api.post("/ai/chat", json={"messages": "hi"})
    assert response.json()["metadata"]["cost_usd"] is None
    assert "x-infrai-cost-usd" not in response.headers


async def test_a_price_that_the_vendor_reports_wins(tmp_path: Path) -> None:
    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        yield Finish("stop", USAGE, cost_usd=0.5)

    async with client(tmp_path, [FakeChat("a", play)], ONE) as api:
        response = await api.post("/ai/chat", json={"messages": "hi"})
    assert response.json()["metadata"]["cost_usd"] == 0.5


async def test_usage_that_a_vendor_does_not_give_is_estimated_and_marked(tmp_path: Path) -> None:
    async with client(tmp_path, [FakeChat("a", says("one two", usage=None))], ONE) as api:
        usage = (await api.post("/ai/chat", json={"messages": "hi there"})).json()["data"]["usage"]
    assert usage["estimated"] is True
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


async def test_interleaved_parts_keep_their_order_and_warnings_inventions_and_quotes_are_told(tmp_path: Path) -> None:
    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        yield Note(warning="seed: ignored")
        yield Fragment(0, {"type": "reasoning", "text": "So"})
        yield Fragment(1, {"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"a"'})
        yield Fragment(0, {"type": "reasoning", "text": " then", "opaque": "sig", "done": True})
        yield Fragment(1, {"type": "tool_call", "arguments": ":1}", "done": True})
        yield Fragment(2, {"type": "text", "text": "ok", "annotations": [{"type": "citation"}]})
        yield Note(invented=["tool_calls.0.arguments.a"], quotes={"tool_calls.0.arguments.b": "two"})
        yield Note(invented=["tool_calls.0.arguments.c"], quotes={"tool_calls.0.arguments.d": "four"})
        yield Finish("tool_calls", USAGE)

    async with client(tmp_path, [FakeChat("a", play)], ONE) as api:
        body = (await api.post("/ai/chat", json={"messages": "hi"})).json()
    assert body["data"]["parts"] == [
        {"type": "reasoning", "text": "So then", "opaque": "sig", "vendor": "a", "model": "big"},
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"a":1}'},
        {"type": "text", "text": "ok", "annotations": [{"type": "citation"}]},
    ]
    assert body["data"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    ]
    assert (body["data"]["reasoning"], body["data"]["content"]) == ("So then", "ok")
    assert body["metadata"]["warnings"] == ["seed: ignored"]
    assert body["metadata"]["invented"] == ["tool_calls.0.arguments.a", "tool_calls.0.arguments.c"]
    assert body["metadata"]["quotes"] == {"tool_calls.0.arguments.b": "two", "tool_calls.0.arguments.d": "four"}


async def test_the_vendor_sees_the_request_without_the_runtimes_own_fields(tmp_path: Path) -> None:
    vendor = FakeChat("a", says("x"))
    sent = {
        "messages": "hi",
        "temperature": 0.5,
        "stop": "END",
        "prefer": "cheapest",
        "session_id": "s",
        "timeout_seconds": 7,
    }
    async with client(tmp_path, [vendor], ONE) as api:
        await api.post("/ai/chat", json=sent)
    assert vendor.requests == [
        {"messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}], "temperature": 0.5, "stop": ["END"]}
    ]
    assert 0 < vendor.calls[0].deadline_s <= 7


async def test_vendor_options_reach_only_their_vendor_and_only_when_it_allows_them(tmp_path: Path) -> None:
    vendor = FakeChat("a", says("x"))
    vendor.allowed_options = frozenset({"top_k"})  # type: ignore[attr-defined]
    async with client(tmp_path, [vendor], ONE) as api:
        good = await api.post("/ai/chat", json={"messages": "x", "vendor_options": {"a": {"top_k": 3}, "b": {"z": 1}}})
        bad = await api.post("/ai/chat", json={"messages": "x", "vendor_options": {"a": {"base_url": "http://evil"}}})
    assert vendor.calls[0].options == {"top_k": 3}
    assert good.json()["metadata"]["warnings"] == ["vendor_options.b: this vendor is not configured; not used"]
    assert error_of(bad) == (400, "INVALID_REQUEST", "vendor_options.a.base_url")


async def test_reasoning_names_its_maker_and_goes_back_to_nobody_else(tmp_path: Path) -> None:
    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        yield Fragment(0, {"type": "reasoning", "text": "So", "opaque": "sig"})
        yield Fragment(1, {"type": "text", "text": "ok"})
        yield Finish("stop", USAGE)

    first, second = FakeChat("a", play), FakeChat("b", play)
    async with client(tmp_path, [first, second], catalogue(model("a", quality=90), model("b"))) as api:
        parts = (await api.post("/ai/chat", json={"messages": "hi"})).json()["data"]["parts"]
        frames = events((await api.post("/ai/chat", json={"messages": "hi", "stream": True})).text)
        again = {"messages": [{"role": "assistant", "parts": parts}, {"role": "user", "content": "go on"}]}
        await api.post("/ai/chat", json=again)
        other = (await api.post("/ai/chat", json=again | {"vendor": "b"})).json()
    made = {"type": "reasoning", "text": "So", "opaque": "sig", "vendor": "a", "model": "big"}
    assert parts[0] == made
    assert frames[0]["delta"]["parts"] == [{"index": 0, **made}]
    assert first.requests[-1]["messages"][0]["parts"] == parts
    assert second.requests[0]["messages"][0]["parts"] == parts[1:]
    assert other["metadata"]["warnings"] == ["messages: 1 reasoning part(s) of another vendor or model were left out"]


async def test_a_signed_tool_call_keeps_its_signature_with_its_maker_and_goes_without_it_elsewhere(
    tmp_path: Path,
) -> None:
    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        yield Fragment(0, {"type": "tool_call", "id": "c", "name": "f", "arguments": "{}", "opaque": "sig"})
        yield Fragment(1, {"type": "server_tool_call", "id": "s", "name": "search", "vendor": "a", "arguments": "{}"})
        yield Finish("tool_calls", USAGE)

    first, second = FakeChat("a", play), FakeChat("b", says("ok"))
    async with client(tmp_path, [first, second], catalogue(model("a", quality=90), model("b"))) as api:
        parts = (await api.post("/ai/chat", json={"messages": "hi"})).json()["data"]["parts"]
        answer = {"role": "tool", "tool_call_id": "c", "content": "done"}
        again = {"messages": [{"role": "assistant", "parts": parts}, answer]}
        await api.post("/ai/chat", json=again)
        other = (await api.post("/ai/chat", json=again | {"vendor": "b"})).json()
    bare = {"type": "tool_call", "id": "c", "name": "f", "arguments": "{}"}
    assert parts[0] == {**bare, "opaque": "sig", "vendor": "a", "model": "big"}
    assert first.requests[-1]["messages"][0]["parts"] == parts
    assert second.requests[0]["messages"][0]["parts"] == [bare]
    assert other["metadata"]["warnings"] == [
        "messages: 1 part(s) of another vendor's own tools were left out",
        "messages: 1 signature(s) of another vendor or model were left out",
    ]


async def test_a_vendor_is_told_whether_the_caller_reads_along_and_wants_prompt_caching(tmp_path: Path) -> None:
    vendor = FakeChat("a", says("x"))
    async with client(tmp_path, [vendor], ONE) as api:
        await api.post("/ai/chat", json={"messages": "hi"})
        await api.post("/ai/chat", json={"messages": "hi", "stream": True, "cache_strategy": "none"})
    assert [(call.stream, call.mark_cache) for call in vendor.calls] == [(False, True), (True, False)]


# -- failover ----------------------------------------------------------------------------------------------------------


async def test_a_failover_is_visible_in_the_attempts(tmp_path: Path) -> None:
    down = Failure("VENDOR_ERROR", "down")
    rows = catalogue(model("a", quality=90), model("b", quality=50))
    async with client(
        tmp_path, [FakeChat("a", fails(down, after=("half",))), FakeChat("b", says("whole"))], rows
    ) as api:
        body = (await api.post("/ai/chat", json={"messages": "hi"})).json()
    assert body["data"]["content"] == "whole"
    assert [(row["vendor"], row["outcome"]) for row in body["metadata"]["attempts"]] == [
        ("a", "VENDOR_ERROR"),
        ("b", "ok"),
    ]


async def test_when_all_vendors_fail_the_error_has_the_attempts(tmp_path: Path) -> None:
    rows = catalogue(model("a"), model("b"))
    vendors = [
        FakeChat("a", fails(Failure("RATE_LIMITED", "slow"))),
        FakeChat("b", fails(Failure("VENDOR_ERROR", "down"))),
    ]
    async with client(tmp_path, vendors, rows) as api:
        response = await api.post("/ai/chat", json={"messages": "hi"})
    body = response.json()
    assert error_of(response) == (502, "VENDOR_ERROR", None)
    assert body["error"]["retryable"] is False
    assert sorted(row["outcome"] for row in body["metadata"]["attempts"]) == ["RATE_LIMITED", "VENDOR_ERROR"]


async def test_a_pinned_vendor_does_not_fail_over(tmp_path: Path) -> None:
    rows = catalogue(model("a"), model("b"))
    other = FakeChat("b", says("x"))
    async with client(
        tmp_path, [FakeChat("a", fails(Failure("RATE_LIMITED", "slow", retry_after_s=2.2))), other], rows
    ) as api:
        response = await api.post("/ai/chat", json={"messages": "hi", "vendor": "a"})
    assert error_of(response) == (429, "RATE_LIMITED", None)
    assert response.headers["retry-after"] == "3"
    assert other.requests == []


async def test_an_embed_fails_over_to_the_same_model_only(tmp_path: Path) -> None:
    rows = catalogue(
        *(model(v, m, capability="embed", dimensions=2) for v, m in (("a", "m"), ("b", "m"), ("c", "other")))
    )
    down = Failure("VENDOR_ERROR", "down")
    async with client(tmp_path, [FakeEmbed("a", down), FakeEmbed("b"), FakeEmbed("c")], rows) as api:
        good = (await api.post("/ai/embed", json={"input": "x", "model": "m"})).json()
    async with client(tmp_path, [FakeEmbed("a", down), FakeEmbed("b", down), FakeEmbed("c")], rows) as api:
        bad = await api.post("/ai/embed", json={"input": "x"})
    assert (good["metadata"]["vendor"], good["data"]["model"], good["data"]["dimensions"]) == ("b", "m", 2)
    assert error_of(bad) == (502, "VENDOR_ERROR", None)


async def test_a_request_that_takes_too_long_is_a_504(tmp_path: Path) -> None:
    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        await asyncio.Event().wait()
        yield Finish("stop")

    vendor = FakeChat("a", play)
    async with client(tmp_path, [vendor], ONE) as api:
        response = await api.post("/ai/chat", json={"messages": "hi", "timeout_seconds": 0.3})
    assert error_of(response) == (504, "VENDOR_TIMEOUT", None)
    assert vendor.ended == 1


async def test_a_session_stays_on_its_vendor(tmp_path: Path) -> None:
    rows = catalogue(model("a", quality=90), model("b", quality=50))
    first = FakeChat("a", fails(Failure("VENDOR_ERROR", "down")))
    async with client(tmp_path, [first, FakeChat("b", says("x"))], rows) as api:
        await api.post("/ai/chat", json={"messages": "hi", "session_id": "s"})
        first.play = says("back")
        stays = (await api.post("/ai/chat", json={"messages": "hi", "session_id": "s"})).json()
        fresh = (await api.post("/ai/chat", json={"messages": "hi"})).json()
    assert stays["metadata"]["route"] == "b/big: served this session before"
    assert fresh["metadata"]["vendor"] == "a"


# -- idempotency and cache ---------------------------------------------------------------------------------------------


async def test_the_same_key_and_body_replays_the_same_answer(tmp_path: Path) -> None:
    vendor = FakeChat("a", says("x"))
    async with client(tmp_path, [vendor], ONE) as api:
        first = await api.post(
            "/ai/chat", json={"messages": "hi", "timeout_seconds": 5}, headers={"idempotency-key": "k"}
        )
        again = await api.post("/ai/chat", json={"messages": "hi", "idempotency_key": "k"})
        other = await api.post("/ai/chat", json={"messages": "ho"}, headers={"idempotency-key": "k"})
        elsewhere = await api.post("/chat/completions", json={"messages": "hi"}, headers={"idempotency-key": "k"})
    assert again.content == first.content
    assert again.headers["idempotent-replay"] == "true"
    assert "idempotent-replay" not in first.headers
    assert error_of(other) == (422, "IDEMPOTENCY_CONFLICT", "idempotency_key")
    assert elsewhere.status_code == 422
    assert len(vendor.requests) == 1


async def test_a_streamed_answer_is_replayed_as_a_stream(tmp_path: Path) -> None:
    vendor = FakeChat("a", says("x", "y"))
    body = {"messages": "hi", "stream": True, "idempotency_key": "k"}
    async with client(tmp_path, [vendor], ONE) as api:
        first = await api.post("/ai/chat", json=body)
        again = await api.post("/ai/chat", json=body)
    assert again.content == first.content
    assert again.headers["content-type"].startswith("text/event-stream")
    assert len(vendor.requests) == 1


async def test_a_call_in_flight_is_joined(tmp_path: Path) -> None:
    begun, free = asyncio.Event(), asyncio.Event()

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        begun.set()
        await free.wait()
        yield Fragment(0, {"type": "text", "text": "once"})
        yield Finish("stop", USAGE)

    vendor = FakeChat("a", play)
    body = {"messages": "hi", "idempotency_key": "k"}
    async with client(tmp_path, [vendor], ONE) as api:
        first = asyncio.create_task(api.post("/ai/chat", json=body))
        await begun.wait()
        second = asyncio.create_task(api.post("/ai/chat", json=body))
        await asyncio.sleep(0)
        free.set()
        answers = [(await task).json()["data"]["content"] for task in (first, second)]
    assert answers == ["once", "once"]
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_observers_are_told_of_a_call_that_joined_another_and_that_it_cost_nothing(
    tmp_path: Path, stream: bool
) -> None:
    begun, free, told = asyncio.Event(), asyncio.Event(), []

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        begun.set()
        await free.wait()
        yield Finish("stop", USAGE)

    class Watching:
        def ended(self, trace: Any, failure: Any) -> None:
            told.append((trace.route, trace.cost_nano is None, failure))

    async with client(tmp_path, [FakeChat("a", play)], ONE, observers=[Watching()], first_delta_wait_s=0.01) as api:
        body = {"messages": "hi", "idempotency_key": "k", "stream": stream}
        first = asyncio.create_task(api.post("/ai/chat", json=body))
        await begun.wait()
        second = asyncio.create_task(api.post("/ai/chat", json=body))
        asyncio.get_running_loop().call_later(0.2, free.set)
        await asyncio.gather(first, second)
    assert sorted(told, key=lambda row: row[1])[1] == ("joined", True, None)
    assert len(told) == 2


async def test_a_call_that_runs_in_another_process_is_asked_for_again_later(tmp_path: Path) -> None:
    begun, free = asyncio.Event(), asyncio.Event()

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        begun.set()
        await free.wait()
        yield Finish("stop", USAGE)

    body = {"messages": "hi", "idempotency_key": "k"}
    own = {"database": tmp_path / "shared.db"}
    async with (
        client(tmp_path, [FakeChat("a", play)], ONE, **own) as one,
        client(tmp_path, [FakeChat("a", says("x"))], ONE, **own) as two,
    ):
        first = asyncio.create_task(one.post("/ai/chat", json=body))
        await begun.wait()
        early = await two.post("/ai/chat", json=body)
        free.set()
        done = await first
        late = await two.post("/ai/chat", json=body)
    assert error_of(early) == (409, "IDEMPOTENCY_IN_PROGRESS", None)
    assert (early.headers["retry-after"], early.json()["error"]["retryable"]) == ("1", True)
    assert (late.content, late.headers["idempotent-replay"]) == (done.content, "true")


async def test_a_failed_call_frees_its_key(tmp_path: Path) -> None:
    vendor = FakeChat("a", fails(Failure("VENDOR_ERROR", "down")))
    body = {"messages": "hi", "idempotency_key": "k"}
    async with client(tmp_path, [vendor], ONE) as api:
        first = await api.post("/ai/chat", json=body)
        vendor.play = says("x")
        again = await api.post("/ai/chat", json=body)
    assert (first.status_code, again.status_code) == (502, 200)


async def test_the_exact_cache_answers_the_same_request_for_nothing_on_both_surfaces_of_a_stream(
    tmp_path: Path,
) -> None:
    vendor = FakeChat("a", says("Hel", "lo"))
    body = {"messages": "hi", "cache_strategy": "infrai"}
    async with client(tmp_path, [vendor], ONE) as api:
        miss = (await api.post("/ai/chat", json=body)).json()["metadata"]
        hit = (await api.post("/ai/chat", json=body)).json()
        streamed = events((await api.post("/ai/chat", json=body | {"stream": True})).text)
        other = (await api.post("/ai/chat", json=body | {"temperature": 1})).json()["metadata"]
        plain = (await api.post("/ai/chat", json={"messages": "hi"})).json()["metadata"]
    assert (miss["cache_hit"], other["cache_hit"], plain["cache_hit"]) == (False, False, False)
    assert (hit["metadata"]["cache_hit"], hit["metadata"]["cost_usd"]) == (True, 0)
    assert (hit["data"]["content"], hit["metadata"]["vendor"]) == ("Hello", "a")
    assert hit["data"]["id"] == hit["metadata"]["request_id"] != miss["request_id"]
    assert streamed[0]["delta"]["content"] == "Hello"
    assert (streamed[-2]["metadata"]["cache_hit"], streamed[-1]) == (True, "[DONE]")
    assert len(vendor.requests) == 3


def origins(metadata: dict[str, Any]) -> dict[str, Any]:
    """What is told of where values come from."""
    return {name: metadata[name] for name in ("invented", "quotes") if name in metadata}


async def filled(request: Request, call: Call) -> AsyncIterator[Event]:
    yield Note(invented=["content.age"], quotes={"content.name": "I am Ana"})
    yield Fragment(0, {"type": "text", "text": '{"name": "Ana", "age": 0}', "done": True})
    yield Finish("stop", USAGE)


@pytest.mark.parametrize("caching", ["none", "infrai"])
async def test_where_values_come_from_is_told_whole_and_streamed_on_both_surfaces(tmp_path: Path, caching: str) -> None:
    body = {"messages": [{"role": "user", "content": "I am Ana"}], "cache_strategy": caching}
    async with client(tmp_path, [FakeChat("a", filled)], ONE) as api:
        whole = (await api.post("/ai/chat", json=body)).json()["metadata"]
        frames = events((await api.post("/ai/chat", json=body | {"stream": True})).text)
        completion = (await api.post("/chat/completions", json=body | {"model": "big"})).json()["infrai"]
        chunks = events((await api.post("/chat/completions", json=body | {"model": "big", "stream": True})).text)
    last = [chunk["infrai"] for chunk in chunks if chunk != "[DONE]" and "infrai" in chunk][-1]
    told = [whole, frames[-2]["metadata"], completion, last]
    assert [origins(one) for one in told] == [{"invented": ["content.age"], "quotes": {"content.name": "I am Ana"}}] * 4


def test_an_entry_of_the_cache_that_an_older_version_stored_has_no_quotes() -> None:
    assert origins_of({"data": {}, "warnings": [], "invented": ["content.age"]}) == {"invented": ["content.age"]}
    assert origins_of({"data": {}, "warnings": [], "invented": []}) == {}


# -- the OpenAI surface ------------------------------------------------------------------------------------------------


async def test_a_completion_is_a_bare_openai_object(tmp_path: Path) -> None:
    vendor = FakeChat("a", says("Hi"))
    sent = {
        "model": "auto",
        "messages": [{"role": "user", "content": "x"}],
        "max_completion_tokens": 9,
        "logit_bias": {"1": 2},
    }
    async with client(tmp_path, [vendor], ONE) as api:
        response = await api.post("/chat/completions", json=sent)
    body = response.json()
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert body["usage"] == USAGE
    assert (body["infrai"]["cost_usd"], body["infrai"]["vendor"]) == (0.00002, "a")
    assert response.headers["x-infrai-cost-usd"] == "0.00002"
    assert vendor.requests[0]["max_tokens"] == 9
    assert vendor.requests[0]["passthrough"] == {"logit_bias": {"1": 2}}


@pytest.mark.parametrize("include", [True, False])
async def test_completion_chunks_carry_usage_where_asked_for(tmp_path: Path, include: bool) -> None:
    sent = {"messages": "x", "stream": True} | ({"stream_options": {"include_usage": True}} if include else {})
    async with client(tmp_path, [FakeChat("a", says("H", "i"))], ONE) as api:
        frames = events((await api.post("/chat/completions", json=sent)).text)
    *chunks, done = frames
    assert done == "[DONE]"
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "H"}
    assert chunks[1]["choices"][0]["delta"] == {"content": "i"}
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "stop"
    assert chunks[-1]["infrai"]["cost_usd"] == 0.00002
    assert (chunks[-1].get("usage"), chunks[-1]["choices"] == []) == (USAGE if include else None, include)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


async def test_tool_calls_of_a_stream_are_counted_from_zero(tmp_path: Path) -> None:
    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        yield Fragment(0, {"type": "text", "text": "ok"})
        yield Fragment(1, {"type": "tool_call", "id": "c1", "name": "f", "arguments": ""})
        yield Fragment(2, {"type": "tool_call", "id": "c2", "name": "g", "arguments": "{}"})
        yield Fragment(1, {"type": "tool_call", "arguments": "{}"})
        yield Finish("tool_calls", USAGE)

    async with client(tmp_path, [FakeChat("a", play)], ONE) as api:
        frames = events((await api.post("/chat/completions", json={"messages": "x", "stream": True})).text)
    calls = [call for frame in frames[:-1] for call in frame["choices"][0]["delta"].get("tool_calls", ())]
    assert [(call["index"], call.get("id"), call["function"]) for call in calls] == [
        (0, "c1", {"name": "f", "arguments": ""}),
        (1, "c2", {"name": "g", "arguments": "{}"}),
        (0, None, {"arguments": "{}"}),
    ]


async def test_openai_errors_are_openai_shaped(tmp_path: Path) -> None:
    async with client(tmp_path, [FakeChat("a", says("x"))], ONE) as api:
        bad = await api.post("/chat/completions", json={"messages": "x", "temperature": 9})
        many = await api.post("/chat/completions", json={"messages": "x", "n": 2})
        lost = await api.get("/models/nothing")
    assert error_of(bad) == (400, "INVALID_REQUEST", "temperature")
    assert bad.json()["error"]["type"] == "invalid_request_error"
    assert error_of(many)[:2] == (400, "UNSUPPORTED_CAPABILITY")
    assert error_of(lost) == (404, "MODEL_NOT_FOUND", "model")


async def test_embeddings_come_as_floats_or_base64(tmp_path: Path) -> None:
    rows = catalogue(model("a", "m", capability="embed", dimensions=2))
    async with client(tmp_path, [FakeEmbed("a")], rows) as api:
        floats = (await api.post("/embeddings", json={"input": ["x", "y"], "model": "m", "user": "u"})).json()
        packed = (await api.post("/embeddings", json={"input": "x", "encoding_format": "base64"})).json()
        native = (await api.post("/ai/embed", json={"input": "x", "encoding_format": "base64"})).json()
        ids = await api.post("/embeddings", json={"input": [[1, 2]], "model": "m"})
    assert [(row["index"], row["embedding"]) for row in floats["data"]] == [(0, [1.0, 0.0]), (1, [1.0, 0.0])]
    assert (floats["object"], floats["model"], floats["usage"]) == (
        "list",
        "m",
        {"prompt_tokens": 3, "total_tokens": 3},
    )
    assert struct.unpack("<2f", base64.b64decode(packed["data"][0]["embedding"])) == (1.0, 0.0)
    assert native["data"]["embeddings"] == [packed["data"][0]["embedding"]]
    assert error_of(ids) == (400, "INVALID_REQUEST", "input")


async def test_models_are_listed_and_shown(tmp_path: Path) -> None:
    async with client(tmp_path, [FakeChat("a", says("x"))], ONE) as api:
        listed = (await api.get("/models")).json()
        shown = (await api.get("/models/big")).json()
        native = (await api.get("/ai/models", params={"capability": "chat"})).json()
        there = (await api.get("/ai/models", params={"capability": "chat", "available_only": "true"})).json()
        unknown = await api.get("/ai/models", params={"capability": "smell"})
    assert [row["id"] for row in listed["data"]] == ["auto", "balanced", "cheapest", "smartest", "big"]
    assert (shown["object"], shown["owned_by"], shown["price_input_per_mtok"]) == ("model", "a", 1)
    assert {row["id"]: row["available"] for row in native["data"]} == {
        "infrai-offline": False,
        "infrai-offline-fast": False,
        "big": True,
    }
    assert (there["count"], there["available_only"], there["capability"]) == (1, True, "chat")
    assert error_of(unknown) == (400, "INVALID_REQUEST", "capability")


# -- HTTP --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "content_type", "body", "expected"),
    [
        ("POST", "/ai/chat", "application/json", b"{", (400, "INVALID_REQUEST", "body")),
        ("POST", "/ai/chat", "text/plain", b"{}", (415, "UNSUPPORTED_MEDIA_TYPE", "content-type")),
        ("POST", "/audio/transcriptions", "application/json", b"{}", (415, "UNSUPPORTED_MEDIA_TYPE", "content-type")),
        ("POST", "/ai/nothing", "application/json", b"{}", (404, "NOT_FOUND", None)),
        ("POST", "/ai/chat/", "application/json", b"{}", (404, "NOT_FOUND", None)),
        ("GET", "/ai/chat", "", b"", (405, "METHOD_NOT_ALLOWED", None)),
        ("PUT", "/chat/completions", "", b"", (405, "METHOD_NOT_ALLOWED", None)),
        ("GET", "/discovery/nothing", "", b"", (404, "NOT_FOUND", "id")),
        ("POST", "/ai/batch/submit", "application/json", b"{}", (400, "INVALID_REQUEST", "requests")),
        ("POST", "/ai/batch/submit", "text/plain", b"{}", (415, "UNSUPPORTED_MEDIA_TYPE", "content-type")),
        ("GET", "/ai/batch/status/b1", "", b"", (404, "NOT_FOUND", "batch_id")),
        ("GET", "/ai/batch/list?limit=0", "", b"", (400, "INVALID_REQUEST", "limit")),
    ],
)
async def test_http_mistakes_have_their_own_codes(
    tmp_path: Path, method: str, path: str, content_type: str, body: bytes, expected: tuple[Any, ...]
) -> None:
    async with client(tmp_path, []) as api:
        response = await api.request(method, path, content=body, headers={"content-type": content_type})
    assert error_of(response) == expected
    assert response.headers["x-infrai-request-id"]


async def test_a_compressed_body_is_refused_by_its_name(tmp_path: Path) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    async with client(tmp_path, []) as api:
        response = await api.post("/ai/chat", content=gzip.compress(b"{}"), headers=headers)
    assert error_of(response) == (415, "UNSUPPORTED_MEDIA_TYPE", "content-encoding")


async def test_routes_are_there_with_and_without_the_version(tmp_path: Path) -> None:
    async with client(tmp_path, [FakeChat("a", says("x"))], ONE) as api:
        for url in ("http://localhost/v1/ai/chat", "http://localhost/ai/chat", "http://localhost/chat/completions"):
            assert (await api.post(url, json={"messages": "x"})).status_code == 200
        assert (await api.get("http://localhost/healthz")).json()["status"] == "ok"


async def test_a_body_above_the_limit_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1000

    async with client(tmp_path, [], max_body_bytes=5000) as api:
        declared = await api.post("/ai/chat", json={"messages": "x" * 6000})
        chunked = await api.post("/chat/completions", content=endless(), headers={"content-type": "application/json"})
    assert error_of(declared) == (413, "PAYLOAD_TOO_LARGE", "body")
    assert error_of(chunked) == (413, "PAYLOAD_TOO_LARGE", "body")
    assert sent <= 6


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:8080"}, 200),
        ({"host": "[::1]:8080"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "localhost.evil.example"}, 403),
        ({"host": "localhost", "origin": "http://localhost"}, 200),
        ({"host": "localhost", "origin": "https://evil.example"}, 403),
        ({"host": "localhost", "origin": "null"}, 403),
        ({"host": "localhost", "sec-fetch-site": "cross-site"}, 403),
    ],
)
async def test_without_keys_only_this_machine_and_no_other_site_is_served(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with client(tmp_path, [FakeChat("a", says("x"))], ONE) as api:
        assert (await api.post("/ai/chat", json={"messages": "x"}, headers=headers)).status_code == status
        assert (await api.get("/models", headers=headers)).status_code == status


async def test_a_vendor_bug_is_a_vendor_error_without_its_text(tmp_path: Path) -> None:
    async with client(tmp_path, [FakeChat("a", fails(RuntimeError("secret")))], ONE) as api:
        response = await api.post("/ai/chat", json={"messages": "x"})
    assert error_of(response) == (502, "VENDOR_ERROR", None)
    assert "secret" not in response.text
