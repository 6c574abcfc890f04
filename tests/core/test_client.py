"""The clients against a real server on a socket; one body each for sync, asyncio and trio."""

from __future__ import annotations

import asyncio
import copy
import gc
import gzip
import json
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import anyio
import httpx
import pytest
from pydantic import BaseModel, RootModel

from infrai_core import (
    AsyncInfrai,
    AttemptInfo,
    AuthenticationError,
    Budget,
    BudgetSpent,
    ChatReply,
    ConfigError,
    ConnectionFailed,
    Infrai,
    InfraiError,
    InsufficientCredit,
    InvalidRequest,
    Ledger,
    NotFound,
    ParseFailed,
    ProtocolError,
    RateLimited,
    Retry,
    ServerError,
    StreamInterrupted,
    Timeout,
    transport,
)
from infrai_core.params import without_secrets
from infrai_core.testing import Script, Scripted, reply, streamed

from .wall import DONE, LAST, STREAM_HEAD, Kit, Play, Wall, answer, fail, frame, http, ok, text_frame

MakeWall = Callable[..., Wall]
CHAT = {
    "content": "Paris",
    "model": "m1",
    "finish_reason": "stop",
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}


def test_a_reply_has_content_usage_and_metadata(kit: Kit, wall: MakeWall) -> None:
    served = wall(ok(CHAT, cost_usd=0.000000123, vendor="v", model="m1", latency_ms=4, request_id="r", shiny="new"))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            reply = await client.chat("Capital of France?", prefer="cheapest", idempotency_key="mine")
        assert (reply.content, reply.finish_reason, reply.usage.prompt_tokens) == ("Paris", "stop", 3)
        assert reply.metadata.cost_usd == Decimal("0.000000123")
        assert reply.metadata.model_extra == {"shiny": "new"}
        (request,) = served.requests
        assert (request.method, request.path) == ("POST", "/v1/ai/chat")
        assert request.headers["authorization"] == "Bearer secret-key"
        assert request.headers["idempotency-key"] == "mine"
        assert request.body == {
            "idempotency_key": "mine",
            "messages": [{"role": "user", "content": "Capital of France?"}],
            "prefer": "cheapest",
            "timeout_seconds": 60.0,
        }
        assert request.content.endswith(b"}\n")

    kit.run(body)


def test_a_retry_sends_the_same_bytes_and_the_same_idempotency_key(kit: Kit, wall: MakeWall) -> None:
    served = wall(fail(500), fail(429, "RATE_LIMITED", retry_after="0"), ok(CHAT))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            assert (await client.chat("hi")).content == "Paris"
        assert len({r.headers["idempotency-key"] for r in served.requests}) == 1
        assert len({r.content for r in served.requests}) == 1
        assert len(served.requests) == 3

    kit.run(body)


def test_two_calls_have_two_idempotency_keys(kit: Kit, wall: MakeWall) -> None:
    served = wall(ok(CHAT), ok(CHAT))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            await client.chat("hi")
            await client.chat("hi")
        first, second = (r.headers["idempotency-key"] for r in served.requests)
        assert first != second
        assert served.connections == 1

    kit.run(body)


@pytest.mark.parametrize(
    ("play", "kind", "tries"),
    [
        (fail(400, "INVALID_REQUEST"), InvalidRequest, 1),
        (fail(401, "UNAUTHORIZED"), AuthenticationError, 1),
        (fail(502, "VENDOR_ERROR"), ServerError, 1),
        (fail(503, "OVERLOADED"), ServerError, 3),
        (fail(500, "SOMETHING", retryable=False), ServerError, 1),
        (fail(429, "RATE_LIMITED", retry_after="3600"), RateLimited, 1),
        (answer({"ok": False, "error": {"code": "INVALID_REQUEST", "message": "m"}}), InvalidRequest, 1),
    ],
)
def test_errors_are_retried_only_where_that_can_help(
    kit: Kit, wall: MakeWall, play: Play, kind: type[InfraiError], tries: int
) -> None:
    served = wall(*[copy.deepcopy(play) for _ in range(3)])

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(kind) as caught:
                await client.chat("hi")
        assert type(caught.value) is kind
        assert "secret-key" not in f"{caught.value!r}{caught.value}"
        assert len(served.requests) == tries

    kit.run(body)


def test_waiting_for_a_call_that_runs_elsewhere_is_not_a_retry(kit: Kit, wall: MakeWall) -> None:
    busy = [fail(409, "IDEMPOTENCY_IN_PROGRESS", retry_after="0") for _ in range(5)]
    served = wall(*busy, ok(CHAT))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            assert (await client.chat("hi", idempotency_key="k")).content == "Paris"

    kit.run(body)


def test_a_server_that_is_not_there_is_a_connection_failure(kit: Kit) -> None:
    async def body() -> None:
        async with kit.client(base_url="http://127.0.0.1:1") as client:
            with pytest.raises(ConnectionFailed) as caught:
                await client.chat("hi")
        assert caught.value.retryable

    kit.run(body)


def test_no_redirect_is_followed_with_a_key(kit: Kit, wall: MakeWall) -> None:
    elsewhere = wall()
    served = wall(Play([http(b"", 307, location=f"{elsewhere.url}/steal")]))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(ProtocolError, match="redirect"):
                await client.chat("hi")
        assert elsewhere.connections == 0

    kit.run(body)


class _NoAnswer(httpx.BaseTransport):
    """Notes how long it is waited for."""

    waited_s: float | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.waited_s = request.extensions["timeout"]["read"]
        raise httpx.ReadTimeout("nothing came", request=request)


@pytest.mark.parametrize(
    ("dialect", "timeout_s", "waited_s"), [("native", 1, 1.5), ("native", 60, 65), ("openai", 1, 1), ("openai", 60, 60)]
)
def test_an_answer_is_waited_for_as_long_as_was_said(dialect: Any, timeout_s: float, waited_s: float) -> None:
    silent = _NoAnswer()
    client = Infrai("key", dialect=dialect, timeout_s=timeout_s, transport=silent, retry=Retry(attempts=0))
    with pytest.raises(Timeout):
        client.chat("hi")
    assert silent.waited_s == waited_s


@pytest.mark.parametrize("body", [{}, [], {"ok": True}, {"choices": [{"message": {"content": "hi"}}]}])
def test_an_answer_of_another_kind_is_not_taken_for_an_empty_one(kit: Kit, wall: MakeWall, body: Any) -> None:
    served = wall(answer(body))

    async def ask() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(ProtocolError, match="the answer to chat has none of content, finish_reason, parts, "):
                await client.chat("hi")

    kit.run(ask)


def test_an_answer_without_words_is_empty(kit: Kit, wall: MakeWall) -> None:
    served = wall(answer({"finish_reason": "stop", "model": "m"}))

    async def ask() -> None:
        async with kit.client(base_url=served.url) as client:
            assert (await client.chat("hi")).content == ""

    kit.run(ask)


def test_a_service_without_native_routes_gets_the_hint_to_change_dialect(kit: Kit, wall: MakeWall) -> None:
    served = wall(answer({"detail": "Not Found"}, 404))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(NotFound, match='dialect="openai"'):
                await client.chat("hi")

    kit.run(body)


@pytest.mark.parametrize("content", [b"", b"<html>", b'"text"', b'{"ok":true,"data":{"parts":[{"type":"text"}]}}'])
def test_an_answer_that_is_not_the_protocol_is_a_protocol_error(kit: Kit, wall: MakeWall, content: bytes) -> None:
    served = wall(Play([http(content)]))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(ProtocolError):
                await client.chat("hi")

    kit.run(body)


def test_compressed_answers_are_read(kit: Kit, wall: MakeWall) -> None:
    content = gzip.compress(b'{"content":"squeezed"}')
    served = wall(Play([http(content, content_encoding="gzip")]))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            assert (await client.chat("hi")).content == "squeezed"

    kit.run(body)


# -- streams -------------------------------------------------------------------------------------------------------


async def texts(stream: Any) -> list[str]:
    return [chunk.delta.content async for chunk in stream if chunk.delta.content]


def test_a_stream_gives_chunks_and_usage_on_the_last_one(kit: Kit, wall: MakeWall) -> None:
    last = {**LAST, "metadata": {"cost_usd": 0.001, "vendor": "v", "model": "m"}}
    served = wall([STREAM_HEAD, text_frame("Hel"), b": keep-alive\n\n", text_frame("lo"), frame(last), DONE])

    async def body() -> None:
        client = kit.client(base_url=served.url)
        stream = client.stream_chat("hi")
        assert served.requests == []  # nothing is sent before it is iterated
        chunks = [chunk async for chunk in stream]
        assert [c.delta.content for c in chunks] == ["Hel", "lo", None]
        assert [c.usage is None for c in chunks] == [True, True, False]
        whole = await stream.reply()
        assert (whole.content, whole.metadata.cost_usd, whole.usage.completion_tokens) == ("Hello", Decimal("0.001"), 2)
        assert client.ledger.total.calls == 1
        assert client.ledger.by("vendor")["v"].prompt_tokens == 3
        assert served.requests[0].body["stream"] is True
        await client.aclose()

    kit.run(body)


def test_a_stream_can_be_read_by_what_comes_at_a_time(kit: Kit, wall: MakeWall) -> None:
    go_on = threading.Event()
    served = wall([STREAM_HEAD, text_frame("a") + text_frame("b"), go_on, text_frame("c") + frame(LAST) + DONE])

    async def body() -> None:
        async with kit.client(base_url=served.url) as client, client.stream_chat("hi") as stream:
            assert [chunk.delta.content for chunk in await stream.read()] == ["a", "b"]
            go_on.set()
            assert [chunk.delta.content for chunk in await stream.read()] == ["c", None]
            assert await stream.read() == []
            assert stream.so_far.content == "abc"

    kit.run(body)


def test_an_error_behind_chunks_is_raised_by_the_next_read(kit: Kit, wall: MakeWall) -> None:
    failure = frame({"error": {"code": "RATE_LIMITED", "message": "slow"}})
    served = wall([STREAM_HEAD, text_frame("a") + failure])

    async def body() -> None:
        async with kit.client(base_url=served.url) as client, client.stream_chat("hi") as stream:
            assert [chunk.delta.content for chunk in await stream.read()] == ["a"]
            with pytest.raises(RateLimited, match="slow"):
                await stream.read()

    kit.run(body)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_stream_cut_into_pieces_of_any_size_is_the_same(kit: Kit, wall: MakeWall, size: int) -> None:
    raw = b"".join([text_frame("naïve "), text_frame("浣熊"), frame(LAST), DONE])
    served = wall([STREAM_HEAD, *(raw[i : i + size] for i in range(0, len(raw), size))])

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            assert await texts(client.stream_chat("hi")) == ["naïve ", "浣熊"]

    kit.run(body)


def test_the_first_chunk_arrives_before_the_last_is_sent(kit: Kit, wall: MakeWall) -> None:
    go_on = threading.Event()
    served = wall([STREAM_HEAD, text_frame("first"), go_on, text_frame("last"), frame(LAST), DONE])

    async def body() -> None:
        seen = []
        async with kit.client(base_url=served.url) as client:
            async for chunk in client.stream_chat("hi"):
                seen.append(chunk.delta.content)
                go_on.set()  # the server waits for this before it sends the rest
        assert seen == ["first", "last", None]

    kit.run(body)


@pytest.mark.parametrize("ending", [b"", frame(LAST), b"data: [DO"], ids=["after text", "no end mark", "half of it"])
def test_a_cut_stream_raises_and_hands_over_what_came(kit: Kit, wall: MakeWall, ending: bytes) -> None:
    served = wall([STREAM_HEAD, text_frame("half an ans"), ending])

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(StreamInterrupted) as caught:
                await texts(client.stream_chat("hi"))
            assert isinstance(caught.value.partial, ChatReply)
            assert caught.value.partial.content == "half an ans"
            assert client.ledger.total.aborted_calls == 1
        assert len(served.requests) == 1  # nothing is retried after the first byte

    kit.run(body)


def test_a_stream_cut_inside_a_chunked_body_raises_our_error(kit: Kit, wall: MakeWall) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    piece = text_frame("a")
    served = wall([head + b"%x\r\n" % len(piece) + piece + b"\r\nff\r\nda"])

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(StreamInterrupted) as caught:
                await texts(client.stream_chat("hi"))
        assert caught.value.partial.content == "a"

    kit.run(body)


@pytest.mark.parametrize(
    "frame_bytes",
    [
        b'event: error\ndata: {"ok":false,"data":null,"error":{"code":"RATE_LIMITED","message":"slow"}}\n\n',
        b'data: {"error":{"message":"slow","type":"x","code":"RATE_LIMITED"}}\n\n',
        b'data: {"id":"x","error":{"message":"slow","code":"RATE_LIMITED"},"choices":[]}\n\n',
    ],
    ids=["native", "openai", "openrouter"],
)
def test_an_error_inside_a_stream_is_raised_as_its_class(kit: Kit, wall: MakeWall, frame_bytes: bytes) -> None:
    served = wall([STREAM_HEAD, text_frame("a"), frame_bytes])

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(RateLimited, match="slow") as caught:
                await texts(client.stream_chat("hi"))
            assert caught.value.status == 429
        assert len(served.requests) == 1

    kit.run(body)


def test_a_stream_is_retried_before_its_first_byte_only(kit: Kit, wall: MakeWall) -> None:
    served = wall(fail(503, "OVERLOADED"), Play([STREAM_HEAD, text_frame("a"), frame(LAST), DONE]))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            assert await texts(client.stream_chat("hi")) == ["a"]
        assert len(served.requests) == 2

    kit.run(body)


def test_breaking_out_of_a_stream_closes_the_response_at_once(kit: Kit, wall: MakeWall) -> None:
    served = wall(Play([STREAM_HEAD, text_frame("one"), text_frame("two")], hang=True))

    async def body() -> None:
        client = kit.client(base_url=served.url)
        stream = client.stream_chat("hi")  # kept: closing must not depend on the stream being collected
        async for _ in stream:
            break
        assert await anyio.to_thread.run_sync(served.client_closed.wait, 5)
        with anyio.fail_after(5):
            while not client.ledger.total.aborted_calls:  # entered when closing is done, after the server saw of it
                await anyio.sleep(0.001)
        (row,) = client.ledger.rows
        assert (row.vendor, row.estimated, row.cost_usd) == ("local", True, None)
        assert row.prompt_tokens > 0
        await client.aclose()

    kit.run(body)


LEAVING = """
import gc, sys, trio
from infrai_core import AsyncInfrai

async def leave(base_url, way):
    async with AsyncInfrai("k", base_url=base_url) as client:
        if way in ("break", "embedded"):
            async for chunk in client.stream_chat("Who are you? Tell me all of it."):
                break
        elif way == "with":
            async with client.stream_chat("hi") as stream:
                await anext(stream)
        else:
            rows = client.batch_rows("b")
            async for row in rows:
                break
            await rows.aclose()

trio.run(leave, *sys.argv[1:])
gc.collect()
"""


@pytest.mark.parametrize("way", ["break", "with", "rows", "embedded"])
def test_a_stream_that_is_left_on_trio_leaves_nothing_to_warn_of(wall: MakeWall, way: str) -> None:
    lines = STREAM_HEAD.replace(b"text/event-stream", b"application/x-ndjson") + b'{"ok": true}\n'
    served = wall(Play([lines if way == "rows" else STREAM_HEAD + text_frame("a") * 9], hang=True))
    base_url = "embedded" if way == "embedded" else served.url
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", LEAVING, base_url, way]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Exception ignored" not in ended.stderr  # asyncio, which the runtime runs on, also tells what took long


@pytest.mark.parametrize("way", ["close", "with"])
def test_a_stream_can_be_closed_by_hand(kit: Kit, wall: MakeWall, way: str) -> None:
    served = wall(Play([STREAM_HEAD, text_frame("one")], hang=True))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            if way == "with":
                async with client.stream_chat("hi"):
                    pass
            else:
                stream = client.stream_chat("hi")
                await stream.open()
                await stream.aclose()
                assert await texts(stream) == []
            assert await anyio.to_thread.run_sync(served.client_closed.wait, 5)

    kit.run(body)


def test_cancelling_a_task_closes_its_stream(wall: MakeWall) -> None:
    served = wall(Play([STREAM_HEAD, text_frame("one")], hang=True))

    async def body() -> None:
        async with AsyncInfrai("k", base_url=served.url) as client:
            with anyio.CancelScope() as scope:
                async for _ in client.stream_chat("hi"):
                    scope.cancel()
        assert await anyio.to_thread.run_sync(served.client_closed.wait, 5)

    anyio.run(body)


def test_the_last_chunks_stay_when_the_end_of_their_stream_is_cancelled() -> None:
    """The end of the body is awaited for a moment after the end mark, so that the connection can be used again."""

    class Lingering(httpx.AsyncByteStream):
        def __init__(self, scope: anyio.CancelScope) -> None:
            self._scope = scope

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield text_frame("one") + frame(LAST) + DONE
            self._scope.cancel()
            await anyio.sleep_forever()

    class Answers(httpx.AsyncBaseTransport):
        def __init__(self, scope: anyio.CancelScope) -> None:
            self._body = Lingering(scope)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=self._body)

    async def body() -> None:
        with anyio.CancelScope() as scope:
            stream = AsyncInfrai("k", base_url="http://127.0.0.1", transport=Answers(scope)).stream_chat("hi")
            await stream.read()
        assert scope.cancelled_caught
        first, last = await stream.read()
        assert (first.delta.content, last.finish_reason) == ("one", "stop")
        assert await stream.read() == []

    anyio.run(body)


@pytest.mark.parametrize("trickle", [None, b": keep-alive\n\n"], ids=["silent", "only keep-alives"])
def test_a_stalled_stream_times_out_between_chunks(kit: Kit, wall: MakeWall, trickle: bytes | None) -> None:
    served = wall(Play([STREAM_HEAD, text_frame("one")], hang=True, trickle=trickle))

    async def body() -> None:
        async with kit.client(base_url=served.url, idle_timeout_s=0.2) as client:
            with pytest.raises(Timeout):
                await texts(client.stream_chat("hi"))

    kit.run(body)


def test_a_json_answer_to_a_stream_request_is_not_taken_for_a_stream(kit: Kit, wall: MakeWall) -> None:
    served = wall(ok(CHAT))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(ProtocolError, match="application/json"):
                await texts(client.stream_chat("hi"))

    kit.run(body)


def test_openai_chunks_are_read_with_usage_on_the_last(kit: Kit, wall: MakeWall) -> None:
    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        return frame(
            {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
        )

    usage = frame({"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}})
    served = wall(
        [
            STREAM_HEAD,
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "ok"}),
            chunk({}, "stop"),
            usage,
            DONE,
        ]
    )

    async def body() -> None:
        async with kit.client(base_url=served.url, dialect="openai") as client:
            chunks = [c async for c in client.stream_chat("hi", prefer="cheapest")]
        assert [c.delta.content for c in chunks if c.delta.content] == ["ok"]
        assert (chunks[-1].finish_reason, chunks[-1].usage.prompt_tokens) == ("stop", 9)
        (request,) = served.requests
        assert request.path == "/v1/chat/completions"
        assert (request.body["model"], request.body["stream_options"]) == ("cheapest", {"include_usage": True})

    kit.run(body)


# -- life ----------------------------------------------------------------------------------------------------------


def test_one_asynchronous_client_survives_several_event_loops(wall: MakeWall) -> None:
    served = wall(*(ok(CHAT) for _ in range(3)))
    client = AsyncInfrai("k", base_url=served.url)
    for _ in range(3):
        assert asyncio.run(client.chat("hi")).content == "Paris"
    assert client.ledger.total.calls == 3


def test_one_client_serves_many_threads(wall: MakeWall) -> None:
    served = wall(*(ok(CHAT) for _ in range(24)))
    client, shared = Infrai("k", base_url=served.url), AsyncInfrai("k", base_url=served.url)
    answers: list[str] = []

    def work() -> None:
        answers.append(client.chat("hi").content)
        answers.append(asyncio.run(shared.chat("hi")).content)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["Paris"] * 24
    assert client.ledger.total.calls == 12
    client.close()


def test_clients_of_one_base_url_share_connections_until_the_last_one_closes(wall: MakeWall) -> None:
    served = wall(*(ok(CHAT) for _ in range(3)))
    first, second = Infrai("a", base_url=served.url), Infrai("b", base_url=served.url)
    first.chat("hi")
    second.chat("hi")
    first.close()
    second.chat("hi")
    assert served.connections == 1
    second.close()


def test_a_pickle_drops_the_key_and_reads_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Infrai("secret-key", base_url="https://x.example", ledger=Ledger())
    data = pickle.dumps(client)
    assert b"secret-key" not in data
    monkeypatch.setenv("INFRAI_API_KEY", "from-environment")
    again = pickle.loads(data)
    assert again.config.api_key.get_secret_value() == "from-environment"
    assert again.config.base_url == client.config.base_url
    kept = pickle.loads(pickle.dumps(AsyncInfrai("secret-key", base_url="https://x.example", pickle_key=True)))
    assert kept.config.api_key.get_secret_value() == "secret-key"


SENT = {"Authorization": "Basic s3cr3t", "X-Api-Key": "s3cr3t", "Cookie": "sid=s3cr3t", "x-team": "a"}


def test_a_pickle_drops_headers_that_carry_secrets_unless_told_to_carry_the_key() -> None:
    options: Any = {"base_url": "https://x.example", "headers": SENT}
    data = pickle.dumps(Infrai("k", **options))
    assert b"s3cr3t" not in data
    assert pickle.loads(data).config.headers == {"x-team": "a"}
    assert pickle.loads(pickle.dumps(Infrai("k", pickle_key=True, **options))).config.headers == SENT


def test_a_pickled_configuration_holds_no_secret_unless_told_to_carry_the_key() -> None:
    options: Any = {"base_url": "https://x.example", "headers": SENT}
    config = Infrai("secret-key", **options).config
    assert "s3cr3t" in str(config.fixed_headers)
    data = pickle.dumps(config)
    assert not re.search(b"secret-key|s3cr3t", data)
    assert (pickle.loads(data).base_url, pickle.loads(data).headers) == (config.base_url, {"x-team": "a"})
    assert copy.copy(config).api_key == copy.deepcopy(config).api_key == config.api_key
    kept = Infrai("secret-key", pickle_key=True, **options).config
    assert pickle.loads(pickle.dumps(kept)) == kept


@pytest.mark.parametrize(
    "name",
    ["Proxy-Authorization", "X-Auth", "X-AccessToken", "apikey", "Ocp-Apim-Subscription-Key", "X_Client_Secret", "JWT"],
)
def test_the_name_of_a_header_says_that_it_carries_a_secret(name: str) -> None:
    assert without_secrets({name: "x"}) == {}


@pytest.mark.parametrize("name", ["Idempotency-Key", "X-Author", "X-Max-Tokens", "Accept", "X-Keyboard"])
def test_other_headers_are_kept(name: str) -> None:
    assert without_secrets({name: "x"}) == {name: "x"}


@pytest.mark.parametrize("made", [lambda: Script([]), httpx.HTTPTransport])
def test_a_client_with_a_transport_of_its_own_is_not_pickled(made: Callable[[], Any]) -> None:
    client = Infrai("k", base_url="https://x.example", transport=made())
    with pytest.raises(ConfigError, match="a transport of its own cannot be pickled; give base_url"):
        pickle.dumps(client)


def test_deep_copies_work_and_share_the_ledger() -> None:
    client = AsyncInfrai("k", base_url="https://x.example", headers={"a": "b"})
    again = copy.deepcopy(client)
    assert again.config.headers == {"a": "b"}
    assert again.ledger is client.ledger


def test_options_change_a_copy_only(wall: MakeWall) -> None:
    served = wall(ok(CHAT))
    client = Infrai("k", base_url=served.url)
    other = client.with_options(tags={"team": "a"}, retry=Retry(attempts=0))
    other.chat("hi")
    assert client.config.tags == {}
    assert client.ledger.by("tag:team")["a"].calls == 1
    other.close()


def test_hooks_see_every_attempt_and_can_stop_a_call(wall: MakeWall) -> None:
    class Watch:
        def __init__(self) -> None:
            self.log: list[tuple[Any, ...]] = []
            self.stop = False

        def before(self, attempt: AttemptInfo) -> None:
            if self.stop:
                raise InvalidRequest("budget spent", status=402)
            self.log.append((attempt.capability, attempt.number))

        def after(self, attempt: AttemptInfo, status: int | None, error: InfraiError | None) -> None:
            self.log.append((status, type(error).__name__))

    served = wall(fail(500), ok(CHAT))
    watch = Watch()
    client = Infrai("k", base_url=served.url, hooks=[watch], retry=Retry(first_s=0))
    client.chat("hi")
    assert watch.log == [("chat", 1), (500, "ServerError"), ("chat", 2), (200, "NoneType")]
    watch.stop = True
    with pytest.raises(InvalidRequest, match="budget"):
        client.chat("hi")
    assert len(served.requests) == 2
    client.close()


class Foreign(Exception):
    """Another framework's error class."""


class Twin(RateLimited, Foreign):
    """Ours and theirs in one."""


def test_errors_are_raised_as_the_classes_that_a_framework_asked_for(kit: Kit, wall: MakeWall) -> None:
    served = wall(fail(429, "RATE_LIMITED", "slow", retry_after="100"))

    async def body() -> None:
        async with kit.client(base_url=served.url, error_classes={RateLimited: Twin}) as client:
            with pytest.raises(Foreign, match="slow") as caught:
                await client.chat("hi")
        assert isinstance(caught.value, RateLimited)
        assert caught.value.retry_after_s == 100

    kit.run(body)


# -- parse, media, batch -------------------------------------------------------------------------------------------


class Person(BaseModel):
    name: str
    age: int


def test_parse_asks_for_the_schema_and_gives_the_object(kit: Kit, wall: MakeWall) -> None:
    served = wall(
        ok({"content": '{"name":"Ann","age":7}'}), ok({"content": '{"name":"Ann"}'}), ok({"refusal": "I won't"})
    )

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            reply = await client.chat("Ann is 7", parse=Person)
            assert reply.parsed == Person(name="Ann", age=7)
            asked = served.requests[0].body["response_format"]["json_schema"]
            assert (asked["name"], asked["schema"]["required"]) == ("Person", ["name", "age"])
            with pytest.raises(ParseFailed, match="does not fit Person: age: Field required"):
                await client.chat("Ann", parse=Person, repair=False)
            with pytest.raises(ParseFailed, match="I won't"):
                await client.chat("Ann", parse=Person)
            assert len(served.requests) == 3

    kit.run(body)


class Numbers(RootModel[list[int]]): ...


@pytest.mark.parametrize("said", ['{"root":[1,2]}', "[1,2]"])
def test_a_class_that_is_no_object_is_asked_for_inside_of_one(kit: Kit, wall: MakeWall, said: str) -> None:
    served = wall(ok({"content": said}))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            reply = await client.chat("one and two", parse=Numbers)
            assert reply.parsed == Numbers([1, 2])

    kit.run(body)
    schema = served.requests[0].body["response_format"]["json_schema"]["schema"]
    assert (schema["type"], schema["required"]) == ("object", ["root"])
    assert schema["properties"]["root"]["items"] == {"type": "integer"}


def answered(content: str, cost: str | None, **more: Any) -> Play:
    attempt = {"vendor": "v", "model": "m", "outcome": "ok", "latency_ms": 5, "cost_usd": cost and float(cost)}
    used = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    data = {"content": content, "finish_reason": "stop", "usage": used, **more}
    return ok(data, cost_usd=cost and float(cost), latency_ms=5, vendor="v", model="m", attempts=[attempt])


def test_an_answer_that_does_not_fit_goes_back_once_with_what_is_wrong(kit: Kit, wall: MakeWall) -> None:
    served = wall(answered('{"name":"Ann"}', "0.25"), answered('{"name":"Ann","age":7}', "0.5"))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            reply = await client.chat("Ann is 7", parse=Person, max_cost_multiplier=2, idempotency_key="mine")
            assert reply.parsed == Person(name="Ann", age=7)
            meta = reply.metadata
            assert [(row.outcome, str(row.cost_usd)) for row in meta.attempts] == [
                ("UNFIT_ANSWER", "0.25"),
                ("ok", "0.5"),
            ]
            assert (str(meta.cost_usd), meta.latency_ms) == ("0.75", 10)
            assert reply.usage is not None
            assert (reply.usage.prompt_tokens, reply.usage.total_tokens) == (20, 24)
            total = client.ledger.total
            assert (total.calls, str(total.cost_usd), total.prompt_tokens) == (2, "0.75", 20)

    kit.run(body)
    first, second = (request.body for request in served.requests)
    assert second["messages"][:2] == [*first["messages"], {"role": "assistant", "content": '{"name":"Ann"}'}]
    assert "age: Field required" in second["messages"][2]["content"]
    assert first["idempotency_key"] == "mine" != second["idempotency_key"]
    same = ("response_format", "max_cost_multiplier")
    assert [second[name] for name in same] == [first[name] for name in same]


def test_an_unknown_cost_of_one_answer_leaves_that_of_both_unknown(kit: Kit, wall: MakeWall) -> None:
    served = wall(answered("{}", None), answered('{"name":"Ann","age":7}', "0.5"))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            assert (await client.chat("Ann is 7", parse=Person)).metadata.cost_usd is None

    kit.run(body)


def test_an_answer_that_does_not_fit_twice_raises_with_what_both_cost(kit: Kit, wall: MakeWall) -> None:
    served = wall(answered("{}", "0.25"), answered('{"name":"Ann"}', "0.5"))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(ParseFailed, match=r"Person: age: Field required$") as caught:
                await client.chat("Ann is 7", parse=Person)
            assert str(caught.value.reply.metadata.cost_usd) == "0.75"
            assert [row.outcome for row in caught.value.reply.metadata.attempts] == ["UNFIT_ANSWER", "ok"]

    kit.run(body)
    assert len(served.requests) == 2


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_ended_early_is_not_asked_for_again(kit: Kit, wall: MakeWall, reason: str) -> None:
    served = wall(answered('{"name":', "0.25", finish_reason=reason))

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(ParseFailed):
                await client.chat("Ann is 7", parse=Person)

    kit.run(body)
    assert len(served.requests) == 1


def test_a_second_answer_that_cannot_be_had_leaves_the_first_error(kit: Kit, wall: MakeWall) -> None:
    served = wall(answered("{}", "0.25"))

    async def body() -> None:
        ledger = Ledger()
        async with kit.client(base_url=served.url, ledger=ledger, hooks=[Budget(0.25, ledger)]) as client:
            with pytest.raises(ParseFailed, match="name: Field required; age: Field required") as caught:
                await client.chat("Ann is 7", parse=Person)
            assert isinstance(caught.value.__cause__, BudgetSpent)

    kit.run(body)
    assert len(served.requests) == 1


def test_generated_files_are_read_from_the_reply_or_the_service_without_the_key(
    kit: Kit, wall: MakeWall, tmp_path: Any
) -> None:
    served = wall()
    served.plays += [
        ok({"images": [{"url": f"{served.url}/media/1"}, {"b64": "aGk="}]}),
        Play([http(b"\x89PNG\r\n\x1a\nbytes", kind="image/png")]),
    ]

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            reply = await client.image("a raccoon", n=2)
            view = [kit.view(image) for image in reply.images]
            assert (await view[0].aread()).endswith(b"bytes")
            await view[1].asave(tmp_path / "hi.txt")
        assert (tmp_path / "hi.txt").read_bytes() == b"hi"
        assert "authorization" not in served.requests[1].headers

    kit.run(body)


@pytest.mark.parametrize("link", ["file:///etc/passwd", "http://127.0.0.1:9/x", "http://169.254.169.254/latest"])
def test_a_reply_cannot_make_the_client_read_elsewhere(kit: Kit, wall: MakeWall, link: str) -> None:
    served = wall(ok({"images": [{"url": link}]}))

    async def body() -> None:
        async with kit.client(base_url=served.url.replace("127.0.0.1", "localhost")) as client:
            reply = await client.image("a raccoon")
            with pytest.raises((ProtocolError, ConnectionFailed)):
                await kit.view(reply.images[0]).aread()

    kit.run(body)


def test_a_batched_chat_waits_and_gives_the_ordinary_reply(kit: Kit, wall: MakeWall) -> None:
    record = {"batch_id": "b/1", "state": "queued", "total_count": 1}
    row = {"ok": True, "data": CHAT, "error": None, "metadata": {"cost_usd": 0.1, "vendor": "v"}}
    served = wall(
        answer({"ok": True, "data": record, "metadata": {}}, 202),
        ok({**record, "state": "completed", "completed_count": 1}),
        ok({"results": [row]}),
    )

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            reply = await client.chat("hi", batch_mode=True)
        assert (reply.content, reply.metadata.batch_id, reply.metadata.cost_usd) == ("Paris", "b/1", Decimal("0.1"))
        assert [r.path for r in served.requests[1:]] == ["/v1/ai/batch/status/b%2F1", "/v1/ai/batch/results/b%2F1"]
        assert client.ledger.total.calls == 1

    kit.run(body)


def test_waiting_for_a_batch_reports_progress_and_gives_up_in_time(kit: Kit, wall: MakeWall) -> None:
    record = {"batch_id": "b", "state": "running", "total_count": 2, "completed_count": 1}
    served = wall(*(ok(record) for _ in range(3)))
    seen: list[int | None] = []

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(Timeout, match="running"):
                await client.batch_wait(
                    "b", poll_s=0.01, timeout_s=0.02, progress=lambda r: seen.append(r.completed_count)
                )

    kit.run(body)
    assert seen == [1, 1, 1]


@pytest.mark.parametrize("poll_s", [0, -1, float("nan")])
def test_a_pause_that_is_none_is_refused_before_a_batch_is_asked_for(kit: Kit, wall: MakeWall, poll_s: float) -> None:
    served = wall()

    async def body() -> None:
        async with kit.client(base_url=served.url) as client:
            with pytest.raises(ConfigError, match=f"poll_s={poll_s}: allowed is a number of seconds above 0"):
                await client.batch_wait("b", poll_s=poll_s)

    kit.run(body)
    assert served.requests == []


def test_the_asynchronous_client_closes_its_connections_when_its_loop_ends(wall: MakeWall) -> None:
    served = wall(Play([http(b'{"content":"x"}')], hang=True))
    client = AsyncInfrai("k", base_url=served.url)
    asyncio.run(client.chat("hi"))  # never closed by hand
    assert served.client_closed.wait(5)


def test_the_next_client_goes_on_with_the_connection_of_a_dropped_one(wall: MakeWall) -> None:
    served = wall(*(answer({"content": "x"}) for _ in range(3)))
    for _ in range(3):
        Infrai("k", base_url=served.url).chat("hi")
        gc.collect()
    assert served.connections == 1


def test_a_whole_answer_may_not_drip_in_for_ever(kit: Kit, wall: MakeWall) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n"
    served = wall(Play([head], hang=True, trickle=b" "))

    async def body() -> None:
        async with kit.client(base_url=served.url, timeout_s=0.2, retry=Retry(0)) as client:
            with pytest.raises(Timeout, match="too slowly"):
                await client.chat("hi")

    kit.run(body)
    assert served.client_closed.wait(5)


def test_a_loop_may_end_elsewhere_while_old_connections_are_looked_for() -> None:
    class Transport:
        """As when another thread has its turn in the middle."""

        @property
        def close(self) -> object:
            pools.pop(("async", "of a loop that ends"), None)
            return None

    pool = transport._Pool(Transport())
    pools = {("sync", "old"): pool, ("async", "of a loop that ends"): transport._Pool(Transport())}
    pool.users, pool.left_s = 0, -transport.LINGER_S - 1
    assert transport.stale(pools, 0.0) == [("sync", "old")]


def test_connections_that_no_client_came_back_for_are_closed_after_a_while(wall: MakeWall) -> None:
    served = wall(Play([http(b'{"content":"x"}')], hang=True))
    Infrai("k", base_url=served.url).chat("hi")
    gc.collect()
    [(key, pool)] = [(key, pool) for key, pool in transport._pools.items() if key[1].startswith(served.url)]
    assert transport.stale({key: pool}, pool.left_s + transport.LINGER_S) == []
    assert transport.stale({key: pool}, pool.left_s + transport.LINGER_S + 1) == [key]
    pool.left_s -= transport.LINGER_S + 1
    Infrai("k", base_url=wall(answer({"content": "x"})).url).chat("hi")  # whoever makes the next pool tidies up
    assert served.client_closed.wait(5)


def test_a_client_may_be_collected_while_another_takes_a_pool(wall: MakeWall) -> None:
    # The collector runs when it likes, also inside the lock of the pools; the finaliser of a client takes that lock.
    served = wall(answer({"content": "x"}), answer({"content": "x"}))
    client = Infrai("k", base_url=served.url)
    client.chat("hi")
    with transport._lock:
        del client
        gc.collect()
    assert Infrai("k", base_url=served.url).chat("hi").content == "x"


TEXT_PART = {"type": "text", "text": "fine"}


def tool(name: str | None, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters or {"type": "object"}}}


@pytest.mark.parametrize("dialect", ["native", "openai"])
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: c.embed(b"ab"), "input: came bytes, allowed is a list of texts"),
        (lambda c: c.embed(None), "input: came NoneType, allowed is a list of texts"),
        (lambda c: c.embed({"a": "b"}), "input: came dict, allowed is a list of texts"),
        (lambda c: c.embed(["a", 3]), "input.1: came int, allowed is a text"),
        (lambda c: c.image(3), "prompt: came int, allowed is a text"),
        (lambda c: c.tts(None), "input: came NoneType, allowed is a text"),
        (lambda c: c.vision(3, []), "prompt: came int, allowed is a text"),
        (lambda c: c.vision("x", "https://a.test/b.png"), "images: came str, allowed is a list of images"),
        (lambda c: c.vision("x", {"url": "https://a.test"}), "images: came dict, allowed is a list of images"),
        (
            lambda c: c.chat("x", tools=[tool("<lambda>")]),
            "tools.0.function.name='<lambda>': allowed is a name of 1 to 128 letters of a-z, digits, _ and -",
        ),
        (lambda c: c.chat("x", tools=[tool("f"), tool("查询")]), "tools.1.function.name='查询'"),
        (lambda c: c.chat("x", tools=[tool(None)]), "tools.0.function.name=None"),
        (
            lambda c: c.stream_chat("x", tools=[tool("f"), tool("g"), tool("f")]),
            "tools.2.function.name='f': came twice; a model tells tools apart by their names",
        ),
        (
            lambda c: c.chat("x", tools=[tool("f", {"type": "array", "items": {}})]),
            "tools.0.function.parameters.type='array': allowed is 'object', the arguments by their names",
        ),
        (
            lambda c: c.chat([{"role": "user", "content": "fine"}, {"role": "user", "content": "caf\ud83d"}]),
            "messages.1.content: character 3 (U+D83D) is half of a surrogate pair, which UTF-8 cannot carry",
        ),
        (
            lambda c: c.chat([{"role": "user", "content": [TEXT_PART, {"type": "text", "text": "\udc00"}]}]),
            "messages.0.content.1.text: character 0 (U+DC00) is half",
        ),
        (lambda c: c.embed(["fine", "a\ud800"]), "input.1: character 1 (U+D800) is half"),
        (lambda c: c.chat("x", extra_body={"\ud800": 1}), "the name of a field of the request: a character is half"),
        (lambda c: c.chat("x", extra_body={"when": object()}), "the request cannot be written as JSON: Object of type"),
        (lambda c: c.chat("x", parse=dict), "parse: came <class 'dict'>, allowed is a class of pydantic's BaseModel"),
    ],
)
def test_what_cannot_be_meant_is_named_before_anything_is_sent(
    call: Callable[[Infrai], object], words: str, dialect: Any
) -> None:
    script = Script([])
    with pytest.raises(ConfigError, match=re.escape(words)):
        call(Infrai("k", transport=script, dialect=dialect))
    assert script.requests == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: c.rerank("q", "abc"), "candidates: came str, allowed is a list of texts"),
        (lambda c: c.rerank("q", ["a", None]), "candidates.1: came NoneType, allowed is a text"),
        (lambda c: c.rerank(None, ["a"]), "query: came NoneType, allowed is a text"),
        (lambda c: c.batch_submit({"capability": "chat"}), "requests: came dict, allowed is a list of requests"),
        (lambda c: c.batch_submit(3), "requests: came int, allowed is a list of requests"),
        (lambda c: c.batch_submit([{}, "x"]), "requests.1: came str, allowed is a mapping of capability and body"),
        (
            lambda c: c.batch_submit(iter([{"body": {}}, {"body": {"prompt": "\ud800"}}])),
            "requests.1.body.prompt: character 0 (U+D800) is half",
        ),
        (lambda c: c.batch_submit([], batch_timout="1h"), "unknown parameter 'batch_timout'; did you mean"),
        (lambda c: c.batch_submit([], batch_timeout=3600), "batch_timeout=3600: allowed is a text"),
    ],
)
def test_so_is_what_only_the_native_surface_takes(call: Callable[[Infrai], object], words: str) -> None:
    script = Script([])
    with pytest.raises(ConfigError, match=re.escape(words)):
        call(Infrai("k", transport=script))
    assert script.requests == []


def test_a_stream_that_is_refused_with_status_200_says_why() -> None:
    refusal = {"ok": False, "data": None, "error": {"code": "INSUFFICIENT_CREDIT", "message": "no credit"}}
    script = Script([Scripted([json.dumps(refusal).encode()]), reply("whole")])
    client = Infrai("k", transport=script)
    with pytest.raises(InsufficientCredit, match="no credit"):
        client.stream_chat("hi").reply()
    with pytest.raises(ProtocolError, match="asked for a stream, got application/json"):
        client.stream_chat("hi").reply()


@pytest.mark.anyio
async def test_a_stream_that_was_left_has_no_whole_reply_but_what_came_so_far() -> None:
    script = Script([streamed(["Hel", "lo"])], repeat_last=True)
    left, aleft = Infrai("k", transport=script).stream_chat("x"), AsyncInfrai("k", transport=script).stream_chat("x")
    next(left)
    left.close()
    await anext(aleft)
    await aleft.aclose()
    for _ in range(2):
        with pytest.raises(StreamInterrupted, match="closed before its end") as caught:
            left.reply()
        with pytest.raises(StreamInterrupted, match="closed before its end"):
            await aleft.reply()
    assert caught.value.partial.content == left.so_far.content == aleft.so_far.content == "Hel"
