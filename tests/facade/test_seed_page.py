"""Every Python example of the service's page runs word for word against the embedded runtime."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from infrai_core import facade
from infrai_core.fetch import stand_in

PAGE = (Path(__file__).parents[2] / "docs" / "seed" / "ai-runtime.zh.txt").read_text("utf-8")
EXAMPLES = re.findall(r"^python\n(from infrai import ai\n.*?)(?=^(?:ai\.[a-z.]+|跳到正文)\n|\Z)", PAGE, re.S | re.M)


def files() -> dict[str, tuple[str, bytes]]:
    """What example.com would serve: a photo and a clip."""
    from infrai_runtime.vendors.local.speech import speak

    photo = io.BytesIO()
    Image.new("RGB", (64, 48), "forestgreen").save(photo, "JPEG")
    clip = speak("she went to the market to buy some bread and butter", format="mp3").audio
    return {"/photo.jpg": ("image/jpeg", photo.getvalue()), "/clip.mp3": ("audio/mpeg", clip)}


@pytest.fixture(scope="module")
def example_com() -> Iterator[tuple[str, int]]:
    served = files()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mime, data = served[self.path]
            self.send_response(200)
            self.send_header("content-type", mime)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield "127.0.0.1", server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def embedded(example_com: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The facade over an embedded runtime for which example.com is a server of this test."""
    from infrai_runtime.app import create_app
    from infrai_runtime.embedded import transport
    from infrai_runtime.settings import Settings

    monkeypatch.setenv("INFRAI_HOME", str(tmp_path))
    app = create_app(Settings(home=tmp_path, embedded=True), fetcher=stand_in({"example.com": example_com}))
    facade.configure(base_url="embedded", transport=transport(app))
    yield
    facade.configure()


EXPECTED = {
    "ai.chat(\n": r"(?s)\S.*\nrequest_id: [0-9a-f-]{36}\nvendor: local\n",
    "for chunk in ai.chat": r"(?s)\S.*",
    "ai.embed.create": r"dimensions: 1024\n",
    "ai.image.generate": r"first url: file://.*\.png\n",
    "ai.vision": r"(?s).*64.*48.*",
    "ai.tts": r"audio url: file://.*\.mp3\n",
    "ai.asr": r"transcript: .*\b(went|market|buy|some|bread|butter)\b.*\n",
    "ai.realtime.token": r"session: sess_\S+ \| expires: \d{4}-\d\d-\d\dT\S+Z\n",
}
"""What each example prints, by the call it makes."""


def test_the_page_has_an_example_for_every_method() -> None:
    assert len(EXAMPLES) == len(EXPECTED)
    for call in EXPECTED:
        assert sum(call in example for example in EXAMPLES) == 1, call


@pytest.mark.parametrize("call", EXPECTED)
def test_the_pages_example_runs_word_for_word(call: str, embedded: None, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = (example for example in EXAMPLES if call in example)
    exec(compile(example, "seed page", "exec"), {"__name__": "__main__"})
    assert re.fullmatch(EXPECTED[call], capsys.readouterr().out)
