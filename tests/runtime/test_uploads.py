"""Bodies that stop coming, drip, or are too large, over real connections."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from infrai_core import Infrai, InvalidRequest, Retry
from infrai_runtime.app import create_app
from infrai_runtime.failure import Failure
from infrai_runtime.guard import LEAST_BYTES, Punctual
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Request
from tests.servers import found, free_port, nginx

from .api import served, settings
from .fake import USAGE, FakeChat, catalogue, model, says

ROWS = catalogue(model("a"))
JSON = "content-type: application/json"


@contextmanager
def runtime(home: Path, **more: Any) -> Iterator[str]:
    """The base URL of a runtime with one vendor."""
    with served(create_app(settings(home, **more), [FakeChat("a", says("hello"))], ROWS)) as url:
        yield url


def sent(url: str, path: str, headers: str, body: bytes = b"") -> tuple[http.client.HTTPResponse, Any]:
    """The answer, and its JSON, to what is sent; the connection stays open, and its end is the server's."""
    where = urlsplit(url)
    assert where.hostname is not None
    with socket.create_connection((where.hostname, where.port or 0)) as connection:
        connection.sendall(f"POST {where.path}{path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n".encode() + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer, json.loads(answer.read())


STALLS = {
    "a whole body": ("/ai/chat", f"{JSON}\r\ncontent-length: 9", b"{"),
    "the openai surface": ("/chat/completions", f"{JSON}\r\ncontent-length: 9", b"{"),
    "chunks": ("/ai/chat", f"{JSON}\r\ntransfer-encoding: chunked", b"1\r\n{\r\n"),
    "a form": ("/audio/transcriptions", "content-type: multipart/form-data; boundary=x\r\ncontent-length: 9", b"--x"),
    "lines of a batch": ("/ai/batch/submit", "content-type: application/x-ndjson\r\ncontent-length: 9", b"{"),
    "no fields": ("/activate", f"{JSON}\r\ncontent-length: 9", b"{"),
    "no byte": ("/ai/chat", f"{JSON}\r\ncontent-length: 9\r\nexpect: 100-continue", b""),
}


@pytest.mark.parametrize(("path", "headers", "body"), STALLS.values(), ids=STALLS)
def test_a_body_that_stops_coming_is_refused_and_its_connection_ended(
    tmp_path: Path, path: str, headers: str, body: bytes
) -> None:
    with runtime(tmp_path, body_timeout_s=0.05) as url:
        answer, told = sent(url, path, headers, body)
        counted = httpx.get(f"{url}/metrics", trust_env=False).text
    assert (answer.status, answer.getheader("connection")) == (408, "close")
    assert told["error"]["code"] == "REQUEST_TIMEOUT"
    assert told["error"]["param"] == "body"
    if path == "/ai/chat":
        assert 'outcome="REQUEST_TIMEOUT"} 1.0' in counted


def test_a_caller_whose_body_has_not_come_when_the_server_stops_is_told_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings(tmp_path), [FakeChat("a", says("hello"))], ROWS)
    headers = f"{JSON}\r\ncontent-length: 9\r\nexpect: 100-continue"
    with closing(socket.socket()) as connection:
        with served(app, grace_s=0.01) as url:
            where = urlsplit(url)
            connection.connect((where.hostname, where.port))
            connection.sendall(f"POST /v1/ai/chat HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100")  # it waits for the body
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (503, "SHUTTING_DOWN")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def body_of(*pieces: tuple[float, bytes]) -> Any:
    """A ``receive`` whose pieces come after so many seconds each."""
    left = iter(pieces)

    async def receive() -> Mapping[str, Any]:
        pause_s, piece = next(left)
        await asyncio.sleep(pause_s)
        return {"type": "http.request", "body": piece, "more_body": True}

    return receive


def test_a_body_that_keeps_coming_may_take_longer_than_it_may_stand_still() -> None:
    async def body() -> None:
        receive = Punctual(body_of(*[(0.05, b"x" * LEAST_BYTES)] * 12), 0.5)
        for _ in range(12):
            assert len((await receive())["body"]) == LEAST_BYTES

    asyncio.run(body())


def test_a_body_that_drips_stands_still() -> None:
    async def body() -> None:
        receive = Punctual(body_of(*[(0.01, b"x")] * LEAST_BYTES), 0.1)
        for _ in range(LEAST_BYTES):
            await receive()

    with pytest.raises(Failure, match="bytes of the body came, and not its end"):
        asyncio.run(body())


def test_the_time_that_others_take_with_a_body_is_not_its_callers() -> None:
    async def body() -> None:
        receive = Punctual(body_of(*[(0, b"x")] * 4), 0.05)
        for _ in range(4):
            await receive()
            await asyncio.sleep(0.03)

    asyncio.run(body())


def nginx_of_the_docs(port: int, runtime_at: str) -> str:
    """What docs/deploy.md shows, with other addresses."""
    page = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text("utf-8")
    shown = page.partition("```nginx\n")[2].partition("```")[0]
    assert shown.count("runtime1:8402") == shown.count("listen 8400;") == 1
    return shown.replace("runtime1:8402", runtime_at).replace("listen 8400;", f"listen 127.0.0.1:{port};")


def test_nginx_as_the_docs_have_it_hands_on_streams_as_they_come_and_bodies_as_they_are(tmp_path: Path) -> None:
    go, port = threading.Event(), free_port()

    async def waits(request: Request, call: Call) -> AsyncIterator[Event]:
        yield Fragment(0, {"type": "text", "text": "first"})
        while not go.is_set():
            await asyncio.sleep(0.005)
        yield Finish("stop", USAGE)

    app = create_app(settings(tmp_path, max_body_bytes=2_000_000), [FakeChat("a", waits)], ROWS)
    with served(app) as url, nginx(nginx_of_the_docs(port, urlsplit(url).netloc), port, tmp_path / "nginx"):
        front = f"http://127.0.0.1:{port}/v1/ai/chat"
        with httpx.stream("POST", front, json={"messages": "x", "stream": True}, trust_env=False) as answer:
            chunks = answer.iter_text()
            assert "first" in next(chunks)  # and the vendor has not ended
            go.set()
            assert "".join(chunks).endswith("data: [DONE]\n\n")
        whole = httpx.post(front, json={"messages": "x" * 1_500_000}, trust_env=False)
        assert whole.json()["data"]["content"] == "first"
        told = pytest.raises(InvalidRequest, match="HTTP 413, PAYLOAD_TOO_LARGE")
        with Infrai("k", base_url=f"http://127.0.0.1:{port}", retry=Retry(attempts=0)) as client, told:
            client.chat("x" * 30_000_000)


@pytest.mark.parametrize("options", [[], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]])
def test_curl_shows_why_a_body_is_too_large(tmp_path: Path, options: list[str]) -> None:
    (curl,) = found("curl")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(30_000_000)
    with runtime(tmp_path, max_body_bytes=1_000_000) as url:
        command = [curl, "-sS", "-H", JSON, *options, "--data-binary", f"@{large.name}", f"{url}/ai/chat"]
        shown = subprocess.run(command, capture_output=True, check=True)
    assert shown.stderr == b""
    assert json.loads(shown.stdout)["error"]["code"] == "PAYLOAD_TOO_LARGE"
