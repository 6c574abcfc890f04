"""Streams over real sockets and a real server."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from infrai_runtime.app import create_app
from infrai_runtime.failure import Failure
from infrai_runtime.live import BYTES_AHEAD, Live
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Request

from .api import events, served, settings
from .fake import USAGE, FakeChat, Play, catalogue, fails, model, says

ONE = catalogue(model("a", quality=90), model("b", quality=10))
ASK = {"messages": "hi", "stream": True}
JSON = {"Content-Type": "application/json"}


def word(text: str) -> Fragment:
    return Fragment(0, {"type": "text", "text": text})


def gated(gate: threading.Event, ended: threading.Event, *, first: tuple[str, ...] = ("one",)) -> Play:
    """Says the first words, then waits for the gate."""

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        try:
            for text in first:
                yield word(text)
            await asyncio.to_thread(gate.wait, 20)
            yield word("two")
            yield Finish("stop", USAGE)
        finally:
            ended.set()

    return play


def stuck(ended: threading.Event, *first: str) -> Play:
    """Says the first words and nothing more, for ever."""

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        try:
            for text in first:
                yield word(text)
            await asyncio.Event().wait()
            yield Finish("stop")
        finally:
            ended.set()

    return play


def post(url: str, body: dict[str, Any], path: str = "/ai/chat") -> httpx.Response:
    return httpx.post(url + path, json=body, timeout=20)


def test_frames_are_as_the_protocol_has_them(tmp_path: Path) -> None:
    app = create_app(settings(tmp_path), vendors=[FakeChat("a", says("Hel", "lo"))], catalogue=ONE)
    with served(app) as url:
        response = post(url, ASK)
    first, second, last, done = events(response.text)
    assert first == {
        "delta": {"role": "assistant", "content": "Hel", "parts": [{"index": 0, "type": "text", "text": "Hel"}]},
        "finish_reason": None,
        "index": 0,
    }
    assert second["delta"] == {"content": "lo", "parts": [{"index": 0, "type": "text", "text": "lo"}]}
    assert (last["delta"], last["finish_reason"], last["usage"]) == ({}, "stop", USAGE)
    assert last["metadata"]["cost_usd"] == 0.00002
    assert [row["outcome"] for row in last["metadata"]["attempts"]] == ["ok"]
    assert done == "[DONE]"
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-infrai-request-id"] == last["metadata"]["request_id"]
    assert (response.headers["x-infrai-vendor"], response.headers["x-infrai-model"]) == ("a", "big")


def test_the_first_chunk_arrives_before_the_last_is_made(tmp_path: Path) -> None:
    gate, ended = threading.Event(), threading.Event()
    app = create_app(settings(tmp_path), vendors=[FakeChat("a", gated(gate, ended))], catalogue=ONE)
    with served(app) as url, httpx.stream("POST", url + "/ai/chat", json=ASK, timeout=20) as response:
        chunks = response.iter_text()
        assert events(next(chunks))[0]["delta"]["content"] == "one"
        assert not ended.is_set()
        gate.set()
        assert events("".join(chunks))[-1] == "[DONE]"


def test_a_client_that_goes_away_ends_the_vendors_work_at_once(tmp_path: Path) -> None:
    ended = threading.Event()
    app = create_app(settings(tmp_path), vendors=[FakeChat("a", stuck(ended, "one"))], catalogue=ONE)
    with served(app) as url:
        with httpx.stream("POST", url + "/ai/chat", json=ASK, timeout=20) as response:
            next(response.iter_text())
        assert ended.wait(2)


@pytest.mark.parametrize("path", ["/ai/chat", "/chat/completions"])
def test_a_proxy_is_told_to_hold_no_stream_back(tmp_path: Path, path: str) -> None:
    app = create_app(settings(tmp_path), vendors=[FakeChat("a", says("x"))], catalogue=ONE)
    with served(app) as url:
        headers = post(url, ASK, path).headers
    assert (
        headers["x-accel-buffering"] == "no"
    )  # https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering
    assert headers["cache-control"] == "no-store"
    assert "content-length" not in headers


def test_what_a_client_got_before_it_went_away_is_booked(tmp_path: Path) -> None:
    ended = threading.Event()
    vendor = FakeChat("a", stuck(ended, "some", " words"))
    with served(create_app(settings(tmp_path), vendors=[vendor], catalogue=ONE)) as url, httpx.Client() as client:
        with client.stream("POST", url + "/ai/chat", json=ASK, timeout=20) as response:
            next(response.iter_text())
        assert ended.wait(2)
        vendor.play = says("x")
        client.post(url + "/ai/chat", json={"messages": "hi"}, timeout=20)  # after the booking, on the same loop
        total = client.get(url + "/account/usage", timeout=20).json()["data"]["total"]
    assert total["calls"] == 2
    assert total["completion_tokens"] > 5
    assert total["cost_usd"] > 0.00002


def test_a_client_that_goes_away_before_the_first_word_ends_the_work_too(tmp_path: Path) -> None:
    ended = threading.Event()
    app = create_app(settings(tmp_path, first_delta_wait_s=0.01), vendors=[FakeChat("a", stuck(ended))], catalogue=ONE)
    with served(app) as url:
        with httpx.stream("POST", url + "/ai/chat", json=ASK, timeout=20):
            pass
        assert ended.wait(2)


def leaves(url: str, asked: threading.Event, **headers: str) -> None:
    """Asks for a whole answer, and goes away once the vendor works on it."""
    with closing(socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))) as line:
        body = b'{"messages":"hi"}'
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST /v1/ai/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{more}"
        line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert asked.wait(20)


def test_who_goes_away_before_a_whole_answer_ends_the_vendors_work_and_leaves_its_row(tmp_path: Path) -> None:
    ended, asked = threading.Event(), threading.Event()

    async def works(request: Request, call: Call) -> AsyncIterator[Event]:
        asked.set()
        async for event in stuck(ended)(request, call):
            yield event

    vendor = FakeChat("a", works)
    with served(create_app(settings(tmp_path), vendors=[vendor], catalogue=ONE)) as url, httpx.Client() as client:
        leaves(url, asked)
        assert ended.wait(20)
        vendor.play = says("x")
        client.post(url + "/ai/chat", json={"messages": "hi"}, timeout=20)  # after the booking, on the same loop
        total = client.get(url + "/account/usage", timeout=20).json()["data"]["total"]
    assert total["cost_usd"] + total["open_usd"] > 0.00002  # more than the second call cost


def test_who_comes_back_with_its_key_finds_the_whole_answer_that_it_did_not_wait_for(tmp_path: Path) -> None:
    asked, gate = threading.Event(), threading.Event()

    async def works(request: Request, call: Call) -> AsyncIterator[Event]:
        asked.set()
        async for event in gated(gate, threading.Event())(request, call):
            yield event

    vendor = FakeChat("a", works)
    with served(create_app(settings(tmp_path), vendors=[vendor], catalogue=ONE)) as url:
        leaves(url, asked, **{"Idempotency-Key": "once"})
        vendor.play = says("a second answer")
        gate.set()
        again = httpx.post(
            url + "/ai/chat", content=b'{"messages":"hi"}', headers=JSON | {"Idempotency-Key": "once"}, timeout=20
        )
    assert again.json()["data"]["content"] == "onetwo"


def test_silence_is_filled_with_comments(tmp_path: Path) -> None:
    gate, ended = threading.Event(), threading.Event()
    own = settings(tmp_path, first_delta_wait_s=0.01, keep_alive_s=0.01)
    app = create_app(own, vendors=[FakeChat("a", gated(gate, ended, first=()))], catalogue=ONE)
    with served(app) as url, httpx.stream("POST", url + "/ai/chat", json=ASK, timeout=20) as response:
        chunks = response.iter_text()
        assert next(chunks).startswith(": keep-alive\n\n")
        gate.set()
        found = events("".join(chunks))
    assert (found[0]["delta"]["content"], found[-1]) == ("two", "[DONE]")


def test_a_failure_before_the_first_word_is_an_http_error(tmp_path: Path) -> None:
    app = create_app(settings(tmp_path), vendors=[FakeChat("a", fails(Failure("RATE_LIMITED", "slow")))], catalogue=ONE)
    with served(app) as url:
        response = post(url, ASK)
    assert (response.status_code, response.json()["error"]["code"]) == (429, "RATE_LIMITED")


def test_a_failure_before_the_first_word_fails_over(tmp_path: Path) -> None:
    async def empty_then_down(request: Request, call: Call) -> AsyncIterator[Event]:
        yield Fragment(0, {"type": "text", "text": ""})
        raise Failure("VENDOR_ERROR", "down")

    vendors = [FakeChat("a", empty_then_down), FakeChat("b", says("whole"))]
    with served(create_app(settings(tmp_path), vendors=vendors, catalogue=ONE)) as url:
        response = post(url, ASK)
    found = events(response.text)
    assert found[0]["delta"]["content"] == "whole"
    assert [row["outcome"] for row in found[-2]["metadata"]["attempts"]] == ["VENDOR_ERROR", "ok"]
    assert response.headers["x-infrai-vendor"] == "b"


def test_a_stream_is_not_retried_after_its_first_word(tmp_path: Path) -> None:
    other = FakeChat("b", says("other"))
    vendors = [FakeChat("a", fails(Failure("VENDOR_ERROR", "cut"), after=("half",))), other]
    with served(create_app(settings(tmp_path), vendors=vendors, catalogue=ONE)) as url:
        response = post(url, ASK)
    first, name, error = events(response.text)
    assert (response.status_code, first["delta"]["content"], name) == (200, "half", "error")
    assert (error["ok"], error["error"]["code"], error["error"]["retryable"]) == (False, "VENDOR_ERROR", False)
    assert [row["outcome"] for row in error["metadata"]["attempts"]] == ["VENDOR_ERROR"]
    assert error["metadata"]["cost_usd"] > 0
    assert other.requests == []


def test_an_error_inside_an_openai_stream_has_no_end_mark(tmp_path: Path) -> None:
    vendors = [FakeChat("a", fails(Failure("VENDOR_ERROR", "cut"), after=("half",)))]
    with served(create_app(settings(tmp_path), vendors=vendors, catalogue=ONE)) as url:
        response = post(url, ASK, "/chat/completions")
    first, error = events(response.text)
    assert first["choices"][0]["delta"]["content"] == "half"
    assert (error["error"]["code"], error["error"]["type"]) == ("VENDOR_ERROR", "api_error")


def test_a_failure_after_the_headers_but_before_a_word_is_in_band(tmp_path: Path) -> None:
    async def late(request: Request, call: Call) -> AsyncIterator[Event]:
        await asyncio.sleep(0.05)
        raise Failure("VENDOR_ERROR", "late")
        yield Finish("stop")

    own = settings(tmp_path, first_delta_wait_s=0.01)
    with served(create_app(own, vendors=[FakeChat("a", late)], catalogue=ONE)) as url:
        response = post(url, ASK)
    name, error = events(response.text)
    assert (response.status_code, name, error["error"]["code"]) == (200, "error", "VENDOR_ERROR")


def test_a_stream_that_is_not_done_in_time_ends_in_band(tmp_path: Path) -> None:
    ended = threading.Event()
    app = create_app(settings(tmp_path), vendors=[FakeChat("a", stuck(ended, "one"))], catalogue=ONE)
    with served(app) as url:
        found = events(post(url, ASK | {"timeout_seconds": 0.1}).text)
    assert found[-1]["error"]["code"] == "VENDOR_TIMEOUT"
    assert ended.is_set()


def test_a_caller_with_a_key_may_come_back_to_its_stream(tmp_path: Path) -> None:
    gate, ended = threading.Event(), threading.Event()
    vendor = FakeChat("a", gated(gate, ended))
    body = ASK | {"idempotency_key": "order-7"}
    with served(create_app(settings(tmp_path), vendors=[vendor], catalogue=ONE)) as url:
        with httpx.stream("POST", url + "/ai/chat", json=body, timeout=20) as response:
            next(response.iter_text())
        with httpx.stream("POST", url + "/ai/chat", json=body, timeout=20) as response:
            gate.set()
            found = events("".join(response.iter_text()))
    assert [frame["delta"].get("content") for frame in found[:2]] == ["one", "two"]
    assert found[-1] == "[DONE]"
    assert len(vendor.requests) == 1


def test_a_fast_vendor_waits_for_a_slow_reader(tmp_path: Path) -> None:
    made = 0

    async def much(request: Request, call: Call) -> AsyncIterator[Event]:
        nonlocal made
        for _ in range(3000):
            made += 1
            yield word("x" * 20_000)
        yield Finish("stop", USAGE)

    app = create_app(settings(tmp_path), vendors=[FakeChat("a", much)], catalogue=ONE)
    with served(app) as url, httpx.stream("POST", url + "/ai/chat", json=ASK, timeout=20) as response:
        next(response.iter_raw())
        assert made < 3000


def test_a_maker_is_only_so_many_bytes_ahead_of_its_readers_however_large_its_frames_are() -> None:
    async def ahead(size: int) -> int:
        live, made = Live(("p", "k"), cancel_after_s=None), 0

        async def make() -> None:
            nonlocal made
            for _ in range(100):
                made += size
                await live.put(b"x" * size)

        live.start(make(), lambda live: None)
        live.join()
        frames = live.read(None)
        await anext(frames)
        for _ in range(200):
            await asyncio.sleep(0)
        live.cancel()
        await frames.aclose()
        return made

    for size in (BYTES_AHEAD // 8, BYTES_AHEAD, 8 * BYTES_AHEAD):
        assert asyncio.run(ahead(size)) <= 2 * (BYTES_AHEAD + size)


@pytest.mark.parametrize("path", ["/ai/chat", "/chat/completions"])
def test_a_reader_that_takes_its_time_makes_no_vendor_silent(tmp_path: Path, path: str) -> None:
    """Else a few such readers would have a vendor rest that is well."""
    vendor = FakeChat("a", says(*["x" * 1_000_000] * 20))
    app = create_app(settings(tmp_path, idle_timeout_s=0.05), vendors=[vendor], catalogue=ONE)
    with served(app) as url, httpx.stream("POST", url + path, json=ASK | {"model": "big"}, timeout=20) as response:
        body = response.iter_raw()
        first = next(body)
        assert not threading.Event().wait(0.5)  # far longer than a vendor may be silent
        rest = b"".join(body)
    assert vendor.ended == 1
    assert (first + rest).endswith(b"data: [DONE]\n\n")


def test_a_server_that_stops_cancels_its_streams(tmp_path: Path) -> None:
    ended = threading.Event()
    app = create_app(settings(tmp_path), vendors=[FakeChat("a", stuck(ended, "one"))], catalogue=ONE)
    with served(app) as url:
        client = httpx.Client(timeout=20)
        response = client.send(client.build_request("POST", url + "/ai/chat", json=ASK), stream=True)
        next(response.iter_text())
        response.close()
        client.close()
    assert ended.is_set()


@pytest.mark.parametrize("path", ["/ai/chat", "/chat/completions"])
def test_a_server_that_stops_tells_the_callers_whose_answers_it_breaks_off(tmp_path: Path, path: str) -> None:
    asked = threading.Semaphore(0)

    async def works(request: Request, call: Call) -> AsyncIterator[Event]:
        asked.release()
        async for event in stuck(threading.Event(), "one")(request, call):
            yield event

    app = create_app(settings(tmp_path), vendors=[FakeChat("a", works)], catalogue=ONE)
    body = {"messages": [{"role": "user", "content": "hi"}], "model": "big"}
    with ThreadPoolExecutor(2) as pool, served(app, grace_s=0.01) as url:
        whole = pool.submit(post, url, body, path)
        stream = pool.submit(post, url, body | {"stream": True}, path)
        assert all(asked.acquire(timeout=20) for _ in range(2))
    assert (whole.result().status_code, whole.result().json()["error"]["code"]) == (503, "SHUTTING_DOWN")
    assert events(stream.result().text)[-1]["error"]["code"] == "SHUTTING_DOWN"
