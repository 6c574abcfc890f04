"""The seam to vendors, against real sockets whose every byte is scripted."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import socket
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from infrai_core.fetch import Fetcher
from infrai_core.sse import Event
from infrai_runtime.failure import Failure
from infrai_runtime.vendors import http as seam
from infrai_runtime.vendors.base import Call
from infrai_runtime.vendors.form import Upload
from infrai_runtime.vendors.http import Endpoint, Http, Pool, segment
from infrai_runtime.vendors.keyring import Keyring
from tests.core.wall import DONE, STREAM_HEAD, Play, Wall, answer, frame, http

SECRET = "sk-very-secret-key"


def call(**more: Any) -> Call:
    return replace(Call("m", 10.0, Fetcher()), **more)


@asynccontextmanager
async def vendor(url: str, keys: Sequence[str] = (SECRET,), **more: Any) -> AsyncIterator[Http]:
    made = Http(Endpoint("acme", url, **more), Keyring("acme", keys), Pool())
    try:
        yield made
    finally:
        await made.close()


def with_wall(
    plays: list[Play], body: Callable[[Http, Wall], Awaitable[Any]], keys: Sequence[str] = (SECRET,), **more: Any
) -> Any:
    """Runs a body against a wall."""

    async def run() -> Any:
        async with vendor(wall.url, keys, **more) as made:
            return await body(made, wall)

    with Wall(plays) as wall:
        return asyncio.run(run())


def posted(plays: list[Play], given: Call | None = None, **more: Any) -> Any:
    return with_wall(plays, lambda made, wall: made.post("/x", {"a": 1}, given or call()), **more)


def failed(plays: list[Play], given: Call | None = None, **more: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        posted(plays, given, **more)
    assert SECRET not in str(caught.value)
    return caught.value


def ends(event: Event) -> bool:
    return event.data == "[DONE]"


def streamed(plays: list[Play], given: Call | None = None) -> list[str]:
    seen: list[str] = []

    async def body(made: Http, wall: Wall) -> None:
        async for events in made.stream("/x", {}, given or call(), ends=ends):
            seen.extend(event.data for event in events)

    try:
        with_wall(plays, body)
    except Failure as failure:
        seen.append(f"{failure.code}: {failure.message}")
    return seen


# -- what is sent --------------------------------------------------------------------------------------------------


def test_a_request_carries_the_key_in_its_header_and_nowhere_else() -> None:
    async def body(made: Http, wall: Wall) -> None:
        assert await made.post("/chat", {"model": "m", "text": "é"}, call(), headers={"X-One": "1"}) == {"ok": True}
        (seen,) = wall.requests
        assert (seen.method, seen.path, seen.body) == ("POST", "/chat?api-version=1", {"model": "m", "text": "é"})
        assert seen.headers["authorization"] == f"Bearer {SECRET}"
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["x-one"] == "1"
        assert seen.headers["x-team"] == "a"
        assert "cookie" not in seen.headers

    with_wall([answer({"ok": True})], body, headers={"X-Team": "a"}, query="api-version=1")


def test_a_dialect_names_the_header_of_the_key() -> None:
    async def body(made: Http, wall: Wall) -> None:
        await made.get("/m", call())
        assert wall.requests[0].headers["x-api-key"] == SECRET
        assert "authorization" not in wall.requests[0].headers

    with_wall([answer({})], body, auth=("x-api-key", ""))


def test_a_vendor_without_a_key_gets_none() -> None:
    async def body(made: Http, wall: Wall) -> None:
        await made.get("/m", call())
        assert "authorization" not in wall.requests[0].headers

    with_wall([answer({})], body, keys=())


def test_requests_share_a_connection_and_set_no_cookie() -> None:
    async def body(made: Http, wall: Wall) -> None:
        for _ in range(3):
            await made.post("/x", {}, call())
        assert wall.connections == 1
        assert all("cookie" not in seen.headers for seen in wall.requests)

    with_wall([answer({}, set_cookie="a=b; Path=/")] * 3, body)


def test_the_environments_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert posted([answer({"ok": 1})]) == {"ok": 1}


def test_a_form_carries_fields_and_files() -> None:
    async def body(made: Http, wall: Wall) -> None:
        upload = Upload("file", 'a"b.wav', b"\x00\x01", "audio/wav")
        await made.post_form("/f", [("model", "m"), ("language", "zh")], [upload], call())
        (seen,) = wall.requests
        assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")
        assert b'name="model"\r\n\r\nm\r\n' in seen.content
        assert b'name="file"; filename="a%22b.wav"\r\nContent-Type: audio/wav\r\n\r\n\x00\x01\r\n--' in seen.content

    with_wall([answer({})], body)


def test_a_large_body_is_sent_whole() -> None:
    async def body(made: Http, wall: Wall) -> None:
        await made.post("/x", {"data": "a" * 3_000_000}, call())
        assert len(wall.requests[0].content) > 3_000_000

    with_wall([answer({})], body)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_path_segment_cannot_leave_its_place(name: str) -> None:
    with pytest.raises(Failure):
        segment(name)
    assert segment("a/../b?x=1#y") == "a%2F..%2Fb%3Fx%3D1%23y"


# -- what comes back -----------------------------------------------------------------------------------------------


def test_bytes_come_back_with_their_type() -> None:
    async def body(made: Http, wall: Wall) -> None:
        reply = await made.post_for_bytes("/speech", {}, call())
        assert (reply.data, reply.mime) == (b"ID3", "audio/mpeg")

    with_wall([Play([http(b"ID3", kind="audio/mpeg")], keep=True)], body)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_answer_is_read(coding: str) -> None:
    data = json.dumps({"text": "é" * 1000}).encode()
    packed = gzip.compress(data) if coding == "gzip" else zlib.compress(data)
    assert posted([Play([http(packed, content_encoding=coding)], keep=True)]) == {"text": "é" * 1000}


def test_a_compressed_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b" " * (seam.MAX_REPLY_BYTES + 10))
    assert len(bomb) < 1_000_000
    failure = failed([Play([http(bomb, content_encoding="gzip")])])
    assert (failure.code, "larger than" in failure.message) == ("VENDOR_ERROR", True)


@pytest.mark.parametrize(
    ("play", "said"),
    [
        (Play([http(b"<html>", kind="text/html")]), "not JSON"),
        (Play([http(b"[1]")]), "not a JSON object"),
        (Play([http(b'{"a": 1')]), "not JSON"),
        (Play([http(b"")]), "not JSON"),
        (Play([b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"]), "cut short"),
        (Play([b"nonsense\r\n\r\n"]), "not HTTP"),
        (Play([b""]), "closed the connection"),
        (Play([http(b"xx", content_encoding="br")]), "compressed as 'br'"),
        (Play([http(b"nonsense", content_encoding="gzip")]), "damaged"),
        (Play([http(gzip.compress(b'{"a": 1}' * 100)[:30], content_encoding="gzip")]), "cut short"),
        (Play([http(gzip.compress(b'{"a": 1}' * 100)[:12], content_encoding="gzip")]), "cut short"),
        (Play([http(b'{"error": {"message": "broken inside"}}')]), "broken inside"),
        (Play([http(b"", 302, location="http://127.0.0.1:1/")]), "redirect"),
    ],
)
def test_an_answer_that_breaks_the_interface_is_a_vendor_error(play: Play, said: str) -> None:
    failure = failed([play])
    assert (failure.code, said in failure.message) == ("VENDOR_ERROR", True), failure.message


def test_nobody_listening_is_a_vendor_error_that_shows_no_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def run() -> None:
        async with vendor(f"http://127.0.0.1:{port}") as made:
            await made.get("/x", call())

    with pytest.raises(Failure, match="no connection could be made") as caught:
        asyncio.run(run())
    assert str(port) not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_name_that_does_not_resolve_is_a_vendor_error() -> None:
    async def run() -> None:
        async with vendor("https://vendor.invalid") as made:
            await made.get("/x", call())

    with pytest.raises(Failure, match=r"acme: (its name could not be resolved|no connection)"):
        asyncio.run(run())


def test_a_server_that_speaks_no_tls_is_a_vendor_error() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is not TLS\r\n")
        await writer.drain()
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with vendor(f"https://127.0.0.1:{port}") as made:
                await made.get("/x", call())

    with pytest.raises(Failure, match="no TLS connection could be made"):
        asyncio.run(run())


def test_a_silent_vendor_is_a_timeout() -> None:
    assert failed([Play([], hang=True)], call(deadline_s=0.05)).code == "VENDOR_TIMEOUT"


def test_silence_inside_an_answer_is_a_timeout() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"
    assert failed([Play([head], hang=True)], call(idle_s=0.05)).code == "VENDOR_TIMEOUT"


# -- keys -----------------------------------------------------------------------------------------------------------


def limited(**headers: str) -> Play:
    return answer({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429, **headers)


def refused(status: int = 401) -> Play:
    return answer({"error": {"message": f"bad key {SECRET}"}}, status)


def key_of(wall: Wall, number: int) -> str:
    return wall.requests[number].headers["authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("first", [limited(retry_after="30"), refused(401), refused(403), refused(402)])
def test_a_refused_key_makes_room_for_the_next_inside_one_call(first: Play) -> None:
    async def body(made: Http, wall: Wall) -> None:
        assert await made.post("/x", {"n": 1}, call()) == {"ok": 1}
        assert await made.post("/x", {"n": 2}, call()) == {"ok": 2}
        assert [key_of(wall, n) for n in range(3)] == ["one", "two", "two"]
        assert wall.requests[0].content == wall.requests[1].content

    with_wall([first, answer({"ok": 1}), answer({"ok": 2})], body, keys=("one", "two"))


def test_when_every_key_is_limited_the_last_answer_counts_and_nothing_is_sent_until_then() -> None:
    async def body(made: Http, wall: Wall) -> None:
        for sent in (2, 2):
            with pytest.raises(Failure) as caught:
                await made.post("/x", {}, call())
            assert caught.value.code == "RATE_LIMITED"
            assert caught.value.retry_after_s is not None
            assert len(wall.requests) == sent

    with_wall([limited(retry_after="30"), limited(retry_after="60")], body, keys=("one", "two"))


def test_a_wrong_request_is_not_tried_with_another_key() -> None:
    async def body(made: Http, wall: Wall) -> None:
        with pytest.raises(Failure) as caught:
            await made.post("/x", {}, call())
        assert caught.value.code == "INVALID_REQUEST"
        assert len(wall.requests) == 1

    with_wall([answer({"error": {"message": "no"}}, 400)], body, keys=("one", "two"))


def test_no_log_has_the_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        failed([refused()])
        failed([Play([b""])])
    assert SECRET not in caplog.text
    assert "acme" in caplog.text


# -- streams ------------------------------------------------------------------------------------------------------


def test_events_come_as_they_were_sent() -> None:
    assert streamed([Play([STREAM_HEAD, frame(1), b": comment\r\n\r\n", frame(2) + DONE])]) == ["1", "2"]


def test_a_connection_is_used_again_after_a_stream() -> None:
    chunked = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    late = threading.Event()

    def chunk(data: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(data), data)

    async def body(made: Http, wall: Wall) -> None:
        async for _ in made.stream("/x", {}, call(), ends=ends):
            pass
        late.set()  # what comes after the end mark comes after the caller has gone on
        for task in list(made._pool._tails):
            await task
        await made.post("/y", {}, call())
        assert wall.connections == 1

    play = Play([chunked + chunk(frame(1)) + chunk(DONE), late, b"0\r\n\r\n"], keep=True)
    with_wall([play, answer({})], body)


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([STREAM_HEAD, frame(1)], "VENDOR_ERROR: acme: its stream ended before its end mark"),
        ([STREAM_HEAD, frame(1), b"data: [DO"], "VENDOR_ERROR: acme: its stream ended before its end mark"),
        (
            [STREAM_HEAD.replace(b"connection: close", b"content-length: 999"), frame(1)],
            "VENDOR_ERROR: acme: its answer was cut short",
        ),
    ],
)
def test_a_cut_stream_raises_after_what_came(pieces: list[bytes], said: str) -> None:
    assert streamed([Play(pieces)]) == ["1", said]


def test_a_stalled_stream_raises_although_the_deadline_is_far() -> None:
    seen = streamed([Play([STREAM_HEAD, frame(1)], hang=True)], call(idle_s=0.05))
    assert seen == ["1", "VENDOR_TIMEOUT: acme: it was silent for too long"]


def test_a_whole_answer_to_a_stream_request_is_an_error() -> None:
    assert "a whole answer" in streamed([answer({"choices": []})])[0]
    assert "overloaded" in streamed([answer({"error": {"message": "overloaded"}})])[0]
    assert streamed([limited(retry_after="1")])[0].startswith("RATE_LIMITED")


def test_a_compressed_stream_is_read_as_it_comes() -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(frame(1)) + packer.flush(zlib.Z_SYNC_FLUSH)
    rest = packer.compress(frame(2) + DONE) + packer.flush()
    head = STREAM_HEAD.replace(b"connection", b"content-encoding: gzip\r\nconnection")
    assert streamed([Play([head, first, rest])]) == ["1", "2"]


def test_closing_a_stream_closes_the_connection_at_once() -> None:
    async def body(made: Http, wall: Wall) -> None:
        stream = made.stream("/x", {}, call(), ends=ends)
        async for _ in stream:
            break
        await stream.aclose()
        assert await asyncio.to_thread(wall.client_closed.wait, 5)

    with_wall([Play([STREAM_HEAD, frame(1)], hang=True)], body)


def test_cancelling_a_call_closes_the_connection() -> None:
    async def body(made: Http, wall: Wall) -> None:
        task = asyncio.create_task(made.post("/x", {}, call()))
        while not wall.requests:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(wall.client_closed.wait, 5)

    with_wall([Play([], hang=True)], body)


def test_an_event_that_fills_the_memory_is_stopped() -> None:
    huge = os.urandom(1) * 1024 * 1024
    play = Play([STREAM_HEAD, b"data: ", *([huge.replace(b"\n", b"x").replace(b"\r", b"x")] * 40)])
    assert "too large" in streamed([play])[0]
