"""Small inputs that stand for huge ones are refused in words, soon, and without the memory that they ask for.

A real server process; its peak of memory is the kernel's own count. A request that hangs fails by the client's time.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_runtime.failure import Failure
from tests.media import pdf
from tests.serving import ServedProcess, served_process
from tests.vendors.fake import KEY, Fake, Said, serving

MB = 1024 * 1024
MOST_GROWTH = 350 * MB
"""The largest answer of a vendor that is read at all is 128 MB, and is in memory twice while it is put together."""
BOMB = gzip.compress(bytes(100 * MB), 9) * 30
"""3 GB in 3 MB: members of one gzip file are decompressed one after the other (RFC 1952, section 2.2)."""


def packed(status: int = 200, mime: str = "application/json") -> Said:
    return Said([BOMB], mime, status, {"content_encoding": "gzip"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    home = tmp_path_factory.mktemp("bombs") / "home"
    home.mkdir()
    answers = {
        "/whole/chat/completions": packed(),
        "/stream/chat/completions": packed(mime="text/event-stream"),
        "/error/chat/completions": packed(503),
        "/image/images/generations": packed(),
        "/sound/audio/speech": packed(mime="audio/mpeg"),
    }
    fake = Fake(dict(answers))
    with serving(fake):
        tables = (
            f'[{path.split("/")[1]}]\ndialect = "openai"\nlike = "openai"\n'
            f'base_url = "{fake.url}/{path.split("/")[1]}"\nkey = "{KEY}"\n'
            for path in answers
        )
        (home / "vendors.toml").write_text("".join(tables))
        (home / "vendors.toml").chmod(0o600)
        with served_process(home, "--no-auth") as served:
            yield served


def peak(served: ServedProcess) -> int:
    """The most memory that the process has had, in bytes."""
    lines = Path(f"/proc/{served.process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024


def asked(served: ServedProcess, path: str, body: Any, **more: Any) -> httpx.Response:
    """The answer; the server's peak of memory has hardly moved for it."""
    before = peak(served)
    answer = httpx.post(f"{served.base_url}{path}", json=body, timeout=60, trust_env=False, **more)
    assert peak(served) - before < MOST_GROWTH
    return answer


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc counts the memory")


@pytest.mark.parametrize(
    ("vendor", "path", "more", "says"),
    [
        ("whole", "/ai/chat", {"messages": "hi"}, "larger than the 134217728 bytes allowed"),
        ("stream", "/ai/chat", {"messages": "hi", "stream": True}, "too large"),
        ("error", "/ai/chat", {"messages": "hi"}, "HTTP 503"),
        ("image", "/ai/image", {"prompt": "a fox"}, "larger than the 134217728 bytes allowed"),
        ("sound", "/ai/tts", {"input": "hello"}, "larger than the 134217728 bytes allowed"),
    ],
)
def test_a_vendors_compressed_bomb_is_the_vendors_failure(
    server: ServedProcess, vendor: str, path: str, more: dict[str, Any], says: str
) -> None:
    limits = {"vendor": vendor, "model": "m", "timeout_seconds": 50}
    answer = asked(server, path, more | limits)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "VENDOR_ERROR")
    assert says in answer.json()["error"]["message"]


def test_a_body_of_too_much_base64_is_refused(server: ServedProcess) -> None:
    part = {"type": "image", "base64": "A" * (65 * MB), "mime": "image/png"}
    answer = asked(server, "/ai/chat", {"messages": [{"role": "user", "parts": [part]}]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


def huge_picture(side: int) -> str:
    """A PNG file whose head promises ``side * side`` pixels, and whose data has none."""
    head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return base64.b64encode(file + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))).decode()


@pytest.mark.parametrize("side", [20_000, 60_000])
def test_a_picture_of_too_many_pixels_is_refused(server: ServedProcess, side: int) -> None:
    image = {"base64": huge_picture(side), "mime": "image/png"}
    asked_of = {"vendor": "local", "prompt": "What is this?", "images": [image]}
    answer = asked(server, "/ai/vision", asked_of)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert "pixels" in answer.json()["error"]["message"]


def document(content: bytes) -> bytes:
    """A PDF file with one page of this content, compressed."""
    data = zlib.compress(content, 9)
    rows = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(data), data),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 3 0 R /Resources << /Font << /F << /Type /Font "
        b"/Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
    ]
    file, places = b"%PDF-1.4\n", []
    for number, row in enumerate(rows, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%b\nendobj\n" % (number, row)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(file)
    return file + b"xref\n0 5\n0000000000 65535 f \n" + table + end


ENDLESS = document(b"BT /F 9 Tf (Hello) Tj ET\n" * 300_000)
"""20 kB that a reader works on for half a minute."""


def attached(data: bytes) -> Any:
    file = {"type": "file", "base64": base64.b64encode(data).decode(), "mime": "application/pdf"}
    text = {"type": "text", "text": "What does it say?"}
    return {"vendor": "local", "messages": [{"role": "user", "parts": [file, text]}]}


def test_a_document_that_unpacks_to_gigabytes_is_refused(server: ServedProcess) -> None:
    pytest.importorskip("pypdf", reason="reading a PDF is an optional extra")
    answer = asked(server, "/ai/chat", attached(document(bytes(300 * MB))))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert "the PDF cannot be read: Limit reached while decompressing" in answer.json()["error"]["message"]


def test_a_document_that_takes_for_ever_is_given_up_and_the_next_is_read() -> None:
    pytest.importorskip("pypdf", reason="reading a PDF is an optional extra")
    from infrai_runtime.vendors.local.read_pdf import text_of

    assert len(ENDLESS) < 100_000
    with pytest.raises(Failure, match="did not answer in time and was stopped") as caught:
        text_of(ENDLESS, limit_s=1.0)
    assert caught.value.code == "VENDOR_TIMEOUT"
    assert text_of(pdf("The launch code is 7421.")) == "The launch code is 7421."


def test_answers_go_on_after_all_of_it(server: ServedProcess) -> None:
    answer = asked(server, "/ai/chat", {"vendor": "local", "messages": "What is 2 + 2?"})
    assert "4" in json.loads(answer.content)["data"]["content"]
