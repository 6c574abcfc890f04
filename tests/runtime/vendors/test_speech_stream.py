"""Speech is passed on while the vendor makes it, and a cut sound never looks complete."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from infrai_runtime.app import create_app
from infrai_runtime.vendors.http import Pool
from infrai_runtime.vendors.openai_like import make
from tests.runtime.api import served, settings
from tests.runtime.fake import catalogue, model
from tests.vendors.fake import entry

PIECES = [b"ID3" + b"\0" * 97, b"\x01" * 100, b"\x02" * 100]
ROWS = catalogue(
    model("openai", "gpt-4o-mini-tts", capability="tts", usd={"mcharacter": 15}, quality=90),
    model("groq", "playai-tts", capability="tts", usd={"mcharacter": 15}, quality=10),
)


class Speaker:
    """A vendor's ``/v1/audio/speech``: chunks on a real socket, each sent when ``turn`` allows it.

    https://platform.openai.com/docs/guides/text-to-speech#streaming-realtime-audio: the body is sent with chunked
    transfer encoding, before the full file was made.
    """

    def __init__(self, pieces: list[bytes], *, cut: bool = False, status: int = 200) -> None:
        self.pieces, self.cut, self.status = pieces, cut, status
        self.turn = threading.Semaphore(10)
        self.bodies: list[Any] = []
        self.gone = threading.Event()
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.bodies.append(json.loads(handler.rfile.read(int(handler.headers["content-length"]))))
        handler.send_response(self.status)
        handler.send_header("content-type", "audio/mpeg" if self.status == 200 else "application/json")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        try:
            for piece in self.pieces:
                self.turn.acquire(timeout=20)
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if not self.cut:
                handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.gone.set()
        handler.close_connection = True


@contextmanager
def speaking(*speakers: Speaker) -> Iterator[None]:
    servers = []
    for speaker in speakers:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            spoken = speaker

            def log_message(self, *args: Any) -> None: ...

            def do_POST(self) -> None:
                self.spoken.answer(self)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        speaker.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        servers.append((server, thread))
    try:
        yield
    finally:
        for server, thread in servers:
            server.shutdown()
            thread.join()
            server.server_close()


@contextmanager
def runtime(home: Path, first: Speaker, second: Speaker | None = None) -> Iterator[str]:
    pool = Pool()
    vendors = [make(entry("openai", first.url), pool)]
    if second is not None:
        vendors.append(make(entry("groq", second.url), pool))
    with served(create_app(settings(home), vendors=vendors, catalogue=ROWS)) as url:
        yield url


def sdk(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="x", max_retries=0)


SAY: dict[str, Any] = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Hello there."}


def test_the_first_bytes_come_before_the_vendor_has_made_the_last(tmp_path: Path) -> None:
    speaker = Speaker(PIECES)
    speaker.turn = threading.Semaphore(1)
    with (
        speaking(speaker),
        runtime(tmp_path, speaker) as url,
        sdk(url) as client,
        client.audio.speech.with_streaming_response.create(**SAY) as response,
    ):
        pieces = response.iter_bytes()
        first = next(pieces)
        assert first == PIECES[0]  # the vendor waits for us before its second
        speaker.turn.release(2)
        rest = b"".join(pieces)
    assert first + rest == b"".join(PIECES)
    assert response.headers["content-type"] == "audio/mpeg"
    assert response.headers["x-infrai-vendor"] == "openai"
    assert response.headers["x-infrai-cost-usd"] == "0.00018"
    assert speaker.bodies[0] == {"response_format": "mp3"} | SAY


def test_what_a_sound_is_not_as_it_was_asked_for_is_told_in_a_header(tmp_path: Path) -> None:
    broken, speaker = Speaker(PIECES, status=503), Speaker(PIECES)
    with speaking(broken, speaker), runtime(tmp_path, broken, speaker) as url:
        answer = httpx.post(f"{url}/audio/speech", json=SAY | {"model": "auto", "prefer": "smartest"})
        again = httpx.post(f"{url}/audio/speech", json=SAY | {"model": "auto", "prefer": "smartest", "voice": "troy"})
    assert (answer.status_code, answer.headers["x-infrai-vendor"]) == (200, "groq")
    told = json.loads(answer.headers["x-infrai-warnings"])
    assert [warning.partition(":")[0] for warning in told] == ["format", "voice"]
    assert [warning.partition(":")[0] for warning in json.loads(again.headers["x-infrai-warnings"])] == ["format"]
    assert speaker.bodies[0]["voice"] == "troy"


def test_a_sound_that_is_taken_whole_is_whole(tmp_path: Path) -> None:
    speaker = Speaker(PIECES)
    with speaking(speaker), runtime(tmp_path, speaker) as url, sdk(url) as client:
        assert client.audio.speech.create(**SAY).content == b"".join(PIECES)


def test_a_cut_sound_breaks_the_connection(tmp_path: Path) -> None:
    speaker = Speaker(PIECES[:2], cut=True)
    with (
        speaking(speaker),
        runtime(tmp_path, speaker) as url,
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
    ):
        httpx.post(f"{url}/audio/speech", json=SAY, trust_env=False)


def test_events_end_with_an_error_and_without_the_end_mark_when_the_sound_is_cut(tmp_path: Path) -> None:
    assert [event["type"] for event in events(tmp_path, Speaker(PIECES))][-1] == "speech.audio.done"
    cut = events(tmp_path, Speaker(PIECES[:2], cut=True))
    assert cut[0]["type"] == "speech.audio.delta"
    assert cut[-1]["error"]["code"] == "VENDOR_ERROR"
    assert "speech.audio.done" not in [event.get("type") for event in cut]


def events(home: Path, speaker: Speaker) -> list[Any]:
    with speaking(speaker), runtime(home, speaker) as url:
        answer = httpx.post(f"{url}/audio/speech", json=SAY | {"stream_format": "sse"}, trust_env=False)
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: ")]
    sound = b"".join(base64.b64decode(event["audio"]) for event in found if event.get("type") == "speech.audio.delta")
    assert sound == b"".join(speaker.pieces)
    return found


@pytest.mark.parametrize("first", [Speaker([], cut=True), Speaker([b'{"error":{"message":"no"}}'], status=500)])
def test_until_the_first_byte_another_vendor_takes_over(tmp_path: Path, first: Speaker) -> None:
    second = Speaker(PIECES)
    with speaking(first, second), runtime(tmp_path, first, second) as url, sdk(url) as client:
        spoken = client.audio.speech.create(**SAY | {"model": "smartest"}, response_format="wav")
    assert spoken.content == b"".join(PIECES)
    assert spoken.response.headers["x-infrai-vendor"] == "groq"
    assert (len(first.bodies), len(second.bodies)) == (1, 1)


def test_a_listener_who_leaves_ends_the_vendors_work(tmp_path: Path) -> None:
    speaker = Speaker([b"\x03" * 65536] * 2000)
    speaker.turn = threading.Semaphore(5000)
    with speaking(speaker), runtime(tmp_path, speaker) as url, sdk(url) as client:
        with client.audio.speech.with_streaming_response.create(**SAY) as response:
            next(response.iter_bytes())
        assert speaker.gone.wait(20)


def test_a_stored_sound_is_the_same_sound(tmp_path: Path) -> None:
    speaker = Speaker(PIECES)
    with speaking(speaker), runtime(tmp_path, speaker) as url:
        keyed = {"Idempotency-Key": "once"}
        one = httpx.post(f"{url}/audio/speech", json=SAY, headers=keyed, trust_env=False)
        again = httpx.post(f"{url}/audio/speech", json=SAY, headers=keyed, trust_env=False)
        cached = SAY | {"cache_strategy": "infrai"}
        found = [httpx.post(f"{url}/audio/speech", json=cached, trust_env=False).content for _ in range(2)]
    assert again.headers["idempotent-replay"] == "true"
    assert {one.content, again.content, *found} == {b"".join(PIECES)}
    assert len(speaker.bodies) == 2
