"""A whole session in which everything goes wrong: no vendor's key, project key, signed link or picture gets out.

The vendor is a real server that quotes the key back wherever it can, as some do. Everything that the runtime says is
kept: answers with their headers, the log at its most talkative, metrics, spans, the ledger's file, what objects print.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_runtime import logs
from infrai_runtime.settings import Settings
from infrai_runtime.vendors import configured
from tests.vendors.fake import Fake, Said, Seen, says, serving, streams

from .api import client

VENDOR_KEY = "vk-7Hq2-PlainSecretOfTheVendor-91xZ"
SECOND_KEY = "Zt5SecondSecretWithoutAnyPrefix88"
QUERY = "X-Amz-Signature=5f3c0ffee5f3c0ffee"
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()
MADE_UP = "ifr_pk_proj_ThisKeyIsMadeUp123456789"
QUOTED = f"Incorrect API key provided: {VENDOR_KEY} (Bearer {SECOND_KEY}) for https://x.example/a?{QUERY}"


class Talkative(Fake):
    """Answers each request with the next of its troubles, each of which quotes the keys."""

    def answer(self, seen: Seen) -> Said:
        self.requests.append(seen)
        return TROUBLES[(len(self.requests) - 1) % len(TROUBLES)]


def trouble(status: int, **headers: str) -> Said:
    return says({"error": {"message": QUOTED, "code": VENDOR_KEY, "param": SECOND_KEY}}, status, **headers)


BEGUN = {
    "id": "c",
    "object": "chat.completion.chunk",
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "x"}}],
}
TROUBLES = (
    *(trouble(status) for status in (400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529)),
    trouble(429, retry_after="1", x_echo=VENDOR_KEY),
    trouble(200),
    Said([QUOTED.encode()]),  # JSON by its type only
    Said([QUOTED.encode()], "text/html", 502),
    Said([b""], status=302, headers={"location": f"https://elsewhere.example/?key={VENDOR_KEY}"}),
    streams([BEGUN, {"error": {"message": QUOTED}}], mark=False),
    streams([BEGUN, f"data: {QUOTED}"], mark=False),
    Said([f"event: error\ndata: {QUOTED}\n\n".encode()], "text/event-stream"),
)

ASKED: Any = [{"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {}}]}]
ASKED[0]["content"][1]["image_url"]["url"] = f"data:image/png;base64,{PICTURE}"


def requests() -> list[tuple[str, dict[str, Any]]]:
    chat = {"vendor": "openai", "model": "gpt-5.2"}
    return [
        ("/ai/chat", {"messages": "hi", **chat}),
        ("/ai/chat", {"messages": "hi", "stream": True, **chat}),
        ("/chat/completions", {"messages": ASKED, **chat}),
        ("/chat/completions", {"messages": ASKED, "stream": True, **chat}),
        ("/ai/embed", {"input": "hi", "vendor": "openai", "model": "text-embedding-3-small"}),
        ("/ai/image", {"prompt": "hi", "vendor": "openai", "model": "gpt-image-1"}),
        ("/audio/speech", {"input": "hi", "voice": "alloy", "vendor": "openai", "model": "gpt-4o-mini-tts"}),
        ("/ai/vision", {"prompt": "?", "images": [f"https://user:{SECOND_KEY}@127.0.0.1/a.png?{QUERY}"]}),
        ("/ai/asr", {"audio": {"url": f"http://10.0.0.1/a.wav?{QUERY}"}}),
    ]


@pytest.fixture
def log() -> io.StringIO:
    held = io.StringIO()
    logs.configure("debug", "json", held)
    return held


def spans_of() -> tuple[Any, Any]:
    pytest.importorskip("opentelemetry.sdk", reason="telemetry is an optional extra")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from infrai_runtime.telemetry import Telemetry

    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    return Telemetry(tracers=tracers), exporter.get_finished_spans


def test_nothing_that_the_runtime_says_holds_a_secret(tmp_path: Path, log: io.StringIO) -> None:
    told: dict[str, str] = {}
    observer, spans = spans_of()

    async def session(url: str) -> str:
        environ = {"INFRAI_HOME": str(tmp_path), "OPENAI_BASE_URL": url, "OPENAI_API_KEY": f"{VENDOR_KEY},{SECOND_KEY}"}
        chosen = Settings.from_environment(environ)
        vendors = configured(chosen)
        told["objects"] = f"{chosen!r} {vendors!r} {[vars(vendor) for vendor in vendors]!r}"
        more: Any = {"no_auth": False, "allow_activation": True, "database": tmp_path / "runtime.db"}
        async with client(tmp_path, vendors, observers=[observer], **more) as api:
            key: str = (await api.post("/activate")).json()["data"]["primary_api_key"]
            for number in range(3 * len(TROUBLES)):
                route, body = requests()[number % len(requests())]
                headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"call-{number}"}
                answer = await api.post(route, json=body, headers=headers)
                told[f"{number} {route}"] = f"{answer.headers.raw!r} {answer.text}"
            wrong = await api.post("/ai/chat", json={"messages": "hi"}, headers={"Authorization": f"Bearer {MADE_UP}"})
            told["a wrong key"] = wrong.text
            for route in ("/metrics", "/readyz", "/healthz", "/models", "/ai/models", "/account/usage"):
                told[route] = (await api.get(route, headers={"Authorization": f"Bearer {key}"})).text
        return key

    with serving(Talkative({})) as vendor:
        key = asyncio.run(session(f"{vendor.url}/v1"))
        assert len(vendor.requests) > len(TROUBLES)  # each trouble was met
        used = {seen.headers.get("authorization") for seen in vendor.requests}
        assert {f"Bearer {VENDOR_KEY}", f"Bearer {SECOND_KEY}"} == used
        assert not any(VENDOR_KEY in f"{seen.path}?{seen.query}" for seen in vendor.requests)
    told["log"] = log.getvalue()
    told["spans"] = json.dumps([[span.name, dict(span.attributes), str(span.status.description)] for span in spans()])
    with closing(sqlite3.connect(tmp_path / "runtime.db")) as db:
        told["database"] = "\n".join(db.iterdump())
    assert len(told["log"].splitlines()) > len(TROUBLES)
    for secret in (VENDOR_KEY, SECOND_KEY, key, MADE_UP, QUERY, PICTURE[:40], "PlainSecretOfTheVendor", "user:"):
        for where, text in told.items():
            assert secret not in text, (where, secret, text[max(0, text.find(secret) - 200) :][:400])


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_key_in_the_query_of_a_request_is_not_read_and_not_told(tmp_path: Path, log: io.StringIO) -> None:
    async with client(tmp_path, no_auth=False) as api:
        answer: httpx.Response = await api.post(f"/ai/chat?key={MADE_UP}", json={"messages": "hi"})
    assert answer.status_code == 401
    assert MADE_UP not in answer.text + log.getvalue()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_quotes_of_an_answer_are_told_to_the_caller_alone(tmp_path: Path, log: io.StringIO) -> None:
    observer, spans = spans_of()
    schema = {"type": "object", "properties": {"diagnosis": {"type": "string"}}, "required": ["diagnosis"]}
    form = {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}
    body = {"messages": "Diagnosis: lumbago", "response_format": form, "cache_strategy": "infrai"}
    async with client(tmp_path, observers=[observer], database=tmp_path / "runtime.db") as api:
        answers = [(await api.post("/ai/chat", json=body | {"stream": stream})).text for stream in (False, True)]
        metrics = (await api.get("/metrics")).text
    told = [log.getvalue(), metrics, *(str(dict(span.attributes)) + str(span.events) for span in spans())]
    with closing(sqlite3.connect(tmp_path / "runtime.db")) as db:
        told += db.iterdump()
    assert all('"quotes":{"content.diagnosis":"Diagnosis: lumbago"}' in answer for answer in answers)
    assert "lumbago" not in "\n".join(told)
