"""What other packages for gateways get wrong, each as a claim about this one: a real client against real sockets."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.exceptions import ModelError, ModelTimeoutError
from langchain_core.messages import HumanMessage

from infrai_core import Retry
from langchain_infrai import ChatInfrai
from langchain_infrai.errors import (
    InfraiInsufficientCredit,
    InfraiRateLimited,
    InfraiServerError,
    InfraiStreamInterrupted,
    InfraiTimeout,
)
from tests.core.wall import DONE, STREAM_HEAD, Play, Wall, answer, fail, frame, text_frame

pytestmark = pytest.mark.filterwarnings("ignore:.*v3.*is in beta")  # so says LangChain of its own protocol

# OpenAI's shapes: https://platform.openai.com/docs/api-reference/chat and /chat-streaming
MESSAGE = {"role": "assistant", "content": "hi"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def completion(message: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A reply with what OpenAI requires, and nothing that it leaves optional."""
    choice = {"index": 0, "message": message or MESSAGE, "finish_reason": "stop"}
    return {"id": "c1", "object": "chat.completion", "model": "served", "choices": [choice], **fields}


def delta(content: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": content, "finish_reason": finish_reason}
    return frame({"id": "c1", "object": "chat.completion.chunk", "model": "served", "choices": [choice]})


def call_delta(*pieces: dict[str, Any]) -> bytes:
    return delta({"tool_calls": list(pieces)})


def piece(arguments: str, name: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"function": {"arguments": arguments, **({"name": name} if name else {})}, **fields}


def usage_frame(**fields: Any) -> bytes:
    return frame({"id": "c1", "model": "served", "choices": [], "usage": USAGE, **fields})


def stream(*frames: bytes, done: bool = True) -> Play:
    return Play([STREAM_HEAD, *frames, *([DONE] if done else [])])


def model_at(wall: Wall, **fields: Any) -> ChatInfrai:
    options = {"retry": Retry(attempts=fields.pop("max_retries", 2), first_s=0)}
    fields.setdefault("client_options", options)
    return ChatInfrai(api_key="key", base_url=wall.url, **fields)


def openai_shaped(wall: Wall, **fields: Any) -> ChatInfrai:
    return model_at(wall, dialect="openai", **fields)


# -- answers -------------------------------------------------------------------------------------------------------


def test_a_reply_without_optional_fields_is_read() -> None:
    with Wall([answer(completion())]) as wall:
        assert openai_shaped(wall).invoke("x").text == "hi"


def test_the_model_name_is_the_model_that_served() -> None:
    with Wall([answer(completion())]) as wall:
        assert openai_shaped(wall, model="asked").invoke("x").response_metadata["model_name"] == "served"


def test_usage_and_cost_are_on_the_last_chunk_of_a_stream_without_asking() -> None:
    frames = [delta({"content": "hi"}), delta({}, "stop"), usage_frame(infrai={"cost_usd": 0.002, "vendor": "v"})]
    with Wall([stream(*frames)]) as wall:
        *_, last = openai_shaped(wall).stream("x")
        assert last.usage_metadata == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
        assert (last.response_metadata["cost_usd"], last.response_metadata["vendor"]) == ("0.002", "v")
        assert wall.requests[0].body["stream_options"] == {"include_usage": True}


def test_reasoning_and_citations_of_openai_shaped_services_arrive() -> None:
    note = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 2, "url": "https://a.example"}}
    message = {**MESSAGE, "reasoning_content": "So.", "annotations": [note]}
    with Wall([answer(completion(message))]) as wall:
        reasoning, text = openai_shaped(wall).invoke("x").content_blocks
    assert (reasoning["type"], reasoning["reasoning"]) == ("reasoning", "So.")  # type: ignore[typeddict-item]
    assert text["annotations"][0]["url"] == "https://a.example"  # type: ignore[typeddict-item]


def test_a_hundred_equal_chunks_in_a_row_are_fine() -> None:
    with Wall([stream(*[text_frame("ha")] * 100, frame({"delta": {}, "finish_reason": "stop", "index": 0}))]) as wall:
        assert model_at(wall).invoke("x", stream=True).text == "ha" * 100


# -- tool calls in pieces ------------------------------------------------------------------------------------------

CALLS: dict[str, tuple[Sequence[bytes], list[tuple[str, dict[str, Any]]]]] = {
    "pieces without an index": (
        [call_delta(piece("", "f", id="a")), call_delta(piece('{"x": ')), call_delta(piece("1}"))],
        [("f", {"x": 1})],
    ),
    "two pieces of one call in one chunk": (
        [call_delta(piece("", "f", id="a", index=0), piece('{"x": 1}', index=0))],
        [("f", {"x": 1})],
    ),
    "two calls in one chunk": (
        [call_delta(piece('{"x": 1}', "f", id="a", index=0), piece('{"y": 2}', "g", id="b", index=1))],
        [("f", {"x": 1}), ("g", {"y": 2})],
    ),
    "pieces of two calls in turn": (
        [
            call_delta(piece('{"x"', "f", id="a", index=0)),
            call_delta(piece('{"y"', "g", id="b", index=1)),
            call_delta(piece(": 1}", index=0)),
            call_delta(piece(": 2}", index=1)),
        ],
        [("f", {"x": 1}), ("g", {"y": 2})],
    ),
    "two calls with one index": (
        [call_delta(piece('{"x": 1}', "f", id="a", index=0)), call_delta(piece('{"y": 2}', "g", id="b", index=0))],
        [("f", {"x": 1}), ("g", {"y": 2})],
    ),
    "an id on every piece": (
        [call_delta(piece('{"x"', "f", id="a", index=0)), call_delta(piece(": 1}", id="a", index=0))],
        [("f", {"x": 1})],
    ),
}


@pytest.mark.parametrize("output_version", [None, "v1"])
@pytest.mark.parametrize(("frames", "calls"), CALLS.values(), ids=CALLS)
def test_tool_calls_are_put_together(
    frames: Sequence[bytes], calls: list[tuple[str, dict[str, Any]]], output_version: str | None
) -> None:
    with Wall([stream(*frames, delta({}, "tool_calls"))]) as wall:
        message = openai_shaped(wall, output_version=output_version).invoke("x", stream=True)
    assert [(call["name"], call["args"]) for call in message.tool_calls] == calls
    assert message.invalid_tool_calls == []
    assert [block["type"] for block in message.content_blocks] == ["tool_call"] * len(calls)


# -- errors and retries --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("retries", "requests"), [(None, 3), (0, 1), (1, 2)])
def test_a_service_that_stays_broken_gets_as_many_requests_as_were_allowed(retries: int | None, requests: int) -> None:
    options = {} if retries is None else {"max_retries": retries}
    with Wall([fail(500) for _ in range(5)]) as wall:
        with pytest.raises(InfraiServerError):
            model_at(wall, **options).invoke("x")
        assert len(wall.requests) == requests


class _Recorded(Retry):
    """The usual policy, whose waits are written down and not waited for."""

    def delay(self, tried: int, error: Exception) -> float | None:  # type: ignore[override]  # any error
        wait = super().delay(tried, error)  # type: ignore[arg-type]
        WAITS.append(wait)
        return None if wait is None else 0.0


WAITS: list[float | None] = []


def test_retry_after_is_what_the_next_try_waits_for() -> None:
    WAITS.clear()
    with Wall([fail(429, "RATE_LIMITED", retry_after="2"), answer(completion())]) as wall:
        model = openai_shaped(wall, client_options={"retry": _Recorded()})
        assert model.invoke("x").text == "hi"
    assert WAITS == [2.0]


def test_one_idempotency_key_goes_with_all_tries_of_a_call_and_another_with_the_next_call() -> None:
    with Wall([fail(500), answer(completion()), answer(completion())]) as wall:
        model = openai_shaped(wall)
        model.invoke("x")
        model.invoke("x")
        keys = [request.headers["idempotency-key"] for request in wall.requests]
    assert keys[0] == keys[1] != keys[2]


def test_a_rate_limit_keeps_what_the_service_asked_for() -> None:
    with Wall([fail(429, "RATE_LIMITED", retry_after="7")]) as wall, pytest.raises(InfraiRateLimited) as caught:
        model_at(wall, max_retries=0).invoke("x")
    assert (caught.value.retry_after_s, caught.value.is_retryable, caught.value.status) == (7, True, 429)


def test_no_credit_has_a_class() -> None:
    with Wall([fail(402, "INSUFFICIENT_CREDIT")]) as wall, pytest.raises(InfraiInsufficientCredit) as caught:
        model_at(wall).invoke("x")
    assert isinstance(caught.value, ModelError)
    assert not caught.value.is_retryable


def test_the_timeout_is_in_seconds_and_ends_a_call_without_answer() -> None:
    # The service is to answer within the timeout; the client waits half as long again for that answer.
    with Wall([Play([], hang=True)]) as wall:
        with pytest.raises(ModelTimeoutError):
            model_at(wall, max_retries=0, timeout=0.1).invoke("x")
        assert [request.body["timeout_seconds"] for request in wall.requests] == [0.1]
        assert wall.client_closed.wait(5)


@pytest.mark.parametrize("mode", ["sync", "async", "events"])
def test_a_stream_that_brings_nothing_but_keep_alives_times_out(mode: str) -> None:
    with Wall([Play([STREAM_HEAD, text_frame("hi")], trickle=b": keep-alive\n\n")]) as wall:
        model = model_at(wall, idle_timeout=0.2)
        seen: list[str] = []
        with pytest.raises(InfraiTimeout) as caught:
            _read_into(seen, model, mode)
        assert seen == ["hi"]
        assert caught.value.is_retryable
        assert wall.client_closed.wait(5)


def _read_into(seen: list[str], model: ChatInfrai, mode: str) -> None:
    if mode == "sync":
        seen.extend(chunk.text for chunk in model.stream("x"))
    elif mode == "events":
        seen.extend(model.stream_events("x", version="v3").text)
    else:

        async def read() -> None:
            async for chunk in model.astream("x"):
                seen.append(chunk.text)

        asyncio.run(read())


ERROR = json.dumps({"error": {"message": "no", "type": "server_error", "code": "OVERLOADED"}})
BROKEN: dict[str, tuple[bytes, type[Exception]]] = {
    "an error frame of the native protocol": (
        b"event: error\ndata: " + json.dumps({"ok": False, "error": {"code": "RATE_LIMITED"}}).encode() + b"\n\n",
        InfraiRateLimited,
    ),
    "an error chunk without choices": (b"data: " + ERROR.encode() + b"\n\n", InfraiServerError),
    "an error beside choices": (
        frame({"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}], "error": {"code": "OVERLOADED"}}),
        InfraiServerError,
    ),
    "nothing more": (b"", InfraiStreamInterrupted),
}


@pytest.mark.parametrize(("broken", "kind"), BROKEN.values(), ids=BROKEN)
def test_a_stream_that_breaks_raises_after_what_came(broken: bytes, kind: type[Exception]) -> None:
    with Wall([stream(delta({"content": "hi"}), broken, done=False)]) as wall:
        seen: list[str] = []
        with pytest.raises(kind) as caught:
            seen.extend(chunk.text for chunk in openai_shaped(wall).stream("x"))
    assert seen == ["hi"]
    assert isinstance(caught.value, ModelError)
    assert caught.value.is_retryable


def test_a_finish_reason_is_never_made_up() -> None:
    """A stream that never said why it ended is a cut one."""
    with (
        Wall([stream(delta({"content": "hi"}))]) as wall,
        pytest.raises(InfraiStreamInterrupted, match="finish_reason"),
    ):
        openai_shaped(wall).invoke("x", stream=True)


# -- life ----------------------------------------------------------------------------------------------------------


def test_one_model_serves_one_event_loop_after_another() -> None:
    with Wall([answer(completion()) for _ in range(3)]) as wall:
        model = openai_shaped(wall)
        assert [asyncio.run(model.ainvoke("x")).text for _ in range(3)] == ["hi"] * 3


def test_one_model_serves_many_event_loops_on_several_threads() -> None:
    with Wall([answer(completion()) for _ in range(64)]) as wall:
        model = openai_shaped(wall)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: asyncio.run(model.ainvoke("x")).text, range(64)))
    assert found == ["hi"] * 64


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_leaving_a_stream_disconnects(mode: str) -> None:
    with Wall([Play([STREAM_HEAD, text_frame("hi")], hang=True)]) as wall:
        model = model_at(wall)
        if mode == "sync":
            for _ in itertools.islice(model.stream("x"), 1):
                pass
        else:

            async def first() -> None:
                async for _ in model.astream("x"):
                    break

            asyncio.run(first())
        assert wall.client_closed.wait(5)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with Wall([fail(500), answer(completion())]) as wall:
        openai_shaped(wall).invoke("x")
    with Wall([fail(400)]) as wall, pytest.raises(ModelError):
        model_at(wall).invoke("x")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["image_url", "image"])
def test_counting_tokens_asks_no_address(kind: str) -> None:
    """A host that a message names learns nothing of this machine's network (CVE-2026-26013 of langchain-openai)."""
    with Wall([]) as wall:
        url = f"{wall.url}/a.png"
        block = {"type": kind, "image_url": {"url": url}} if kind == "image_url" else {"type": kind, "url": url}
        assert model_at(wall).get_num_tokens_from_messages([HumanMessage([block])]) > 0
        assert (wall.connections, wall.requests) == (0, [])
