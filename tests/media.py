"""Media for LangChain's own tests, which download their samples from the internet: a server of ours plays those hosts.

The tests' HTTP client reads ``HTTPS_PROXY`` and ``SSL_CERT_FILE``, as every httpx client does: that is the way in. The
runtime's guarded fetcher takes no proxy; it has ``stand_in`` for the same purpose.
"""

from __future__ import annotations

import io
import math
import ssl
import struct
import threading
import wave
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

HOSTS = ("raw.githubusercontent.com", "www.w3.org", "upload.wikimedia.org")


@contextmanager
def played(directory: Path) -> Iterator[tuple[tuple[str, int], Mapping[str, str]]]:
    """The address of a plain server that plays all ``HOSTS``, and the environment that leads an https client to it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Host", (_Host,), {"tls": context}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    environ = {"HTTPS_PROXY": f"http://127.0.0.1:{server.server_port}", "SSL_CERT_FILE": str(directory / "ca.pem")}
    try:
        yield ("127.0.0.1", server.server_port), environ
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Host(BaseHTTPRequestHandler):
    """Answers by the ending of the path; a CONNECT turns the connection into a TLS one to the host asked for."""

    tls: ssl.SSLContext
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)  # type: ignore[assignment]  # unbuffered, as the base class has it
        self.close_connection = False

    def do_GET(self) -> None:
        ending = self.path.rpartition(".")[2]
        kind, data = FILES[ending]
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def png(width: int = 8, height: int = 8) -> bytes:
    """A red picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xff\0\0" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def wav(seconds: float = 0.5) -> bytes:
    """A tone."""
    rate = 16_000
    tone = (int(8000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(int(rate * seconds)))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(struct.pack(f"<{int(rate * seconds)}h", *tone))
    return file.getvalue()


def pdf(text: str = "Dummy PDF file") -> bytes:
    """A page with a line of text."""
    stream = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (table, len(out))
    return bytes(out) + end


FILES = {"png": ("image/png", png()), "wav": ("audio/wav", wav()), "pdf": ("application/pdf", pdf())}
