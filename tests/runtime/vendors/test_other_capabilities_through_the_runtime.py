"""Gemini and Cohere behind the whole runtime, with the catalogue that comes with the package: every capability but
chat is asked, routed, answered and priced."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infrai_runtime.vendors import cohere, gemini
from infrai_runtime.vendors.base import Vendor
from infrai_runtime.vendors.http import Pool
from tests.core.wall import Play, Wall
from tests.runtime.api import client
from tests.runtime.vendors.gemini_answers import PNG, response
from tests.runtime.vendors.oracle import KEY, entry, whole
from tests.runtime.vendors.test_cohere import COHERE, vectors
from tests.runtime.vendors.test_gemini_media import IMAGE, SAMPLES, SPEECH, VECTORS

pytestmark = pytest.mark.anyio

Json = dict[str, Any]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def asked(home: Path, path: str, body: Json, *, google: Sequence[Play] = (), co: Sequence[Play] = ()) -> Json:
    """The reply to one request at a runtime that has both vendors."""
    with Wall(list(google)) as first, Wall(list(co)) as second:
        pool = Pool()
        vendors: list[Vendor] = [
            gemini.make(entry("gemini", first), pool),
            cohere.make(entry("cohere", second), pool),
        ]
        async with client(home, vendors) as api:
            reply: Json = (await api.post(path, json=body)).json()
    assert reply["ok"], reply
    assert KEY not in str(reply)
    return reply


async def test_a_pinned_embedding_is_made_by_its_vendor_and_priced(tmp_path: Path) -> None:
    answer = whole(VECTORS | {"usageMetadata": {"promptTokenCount": 1_000_000}})
    body = {"input": ["a", "b"], "model": "gemini-embedding-2"}
    reply = await asked(tmp_path, "/ai/embed", body, google=[answer])
    assert reply["data"]["embeddings"] == [[3.0, 4.0], [0.0, 2.0]]
    assert reply["metadata"]["cost_usd"] == pytest.approx(0.2)


async def test_cohere_embeds_and_reranks(tmp_path: Path) -> None:
    body = {"input": "a", "vendor": "cohere", "model": "embed-v4.0"}
    made = await asked(tmp_path, "/ai/embed", body, co=[whole(vectors([[1.0, 0.0]], 100))])
    assert (made["data"]["dimensions"], made["metadata"]["vendor"]) == (2, "cohere")
    question = {"query": "capital?", "candidates": ["Carson City", "Washington, D.C."], "model": "rerank-v4.0-pro"}
    ranked = await asked(tmp_path, "/ai/rerank", question, co=[whole(COHERE)])
    assert [row["index"] for row in ranked["data"]["results"]] == [1, 0]
    assert ranked["metadata"]["cost_usd"] == pytest.approx(0.0025)


async def test_an_image_is_drawn_and_priced_by_the_image(tmp_path: Path) -> None:
    body = {"prompt": "a fox", "model": "gemini-2.5-flash-image", "inline": True}
    reply = await asked(tmp_path, "/ai/image", body, google=[whole(IMAGE)])
    assert reply["data"]["images"][0]["b64"] == PNG
    assert reply["metadata"]["cost_usd"] == pytest.approx(0.039)


async def test_speech_is_spoken_and_priced_by_its_tokens(tmp_path: Path) -> None:
    body = {"input": "Hello", "model": "gemini-3.8-flash-tts", "format": "pcm", "inline": True}
    reply = await asked(tmp_path, "/ai/tts", body, google=[whole(SPEECH)])
    assert base64.b64decode(reply["data"]["b64"]) == SAMPLES
    assert reply["metadata"]["cost_usd"] == pytest.approx((8 * 0.5 + 5 * 9) / 1e6)


async def test_a_recording_is_transcribed(tmp_path: Path) -> None:
    answer = whole(response({"audioTranscription": {"text": "Hello there."}}, finish="STOP"))
    body = {"audio": {"base64": base64.b64encode(b"RIFF....WAVE").decode()}, "model": "gemini-3.5-transcribe"}
    reply = await asked(tmp_path, "/ai/asr", body, google=[answer])
    assert (reply["data"]["text"], reply["metadata"]["vendor"]) == ("Hello there.", "gemini")
    assert reply["metadata"]["cost_usd"] is not None


async def test_a_picture_is_looked_at(tmp_path: Path) -> None:
    answer = whole(response({"text": "A fox."}, finish="STOP"))
    body = {"prompt": "what?", "images": [{"base64": PNG}], "vendor": "gemini"}
    reply = await asked(tmp_path, "/ai/vision", body, google=[answer])
    assert reply["data"]["content"] == "A fox."


async def test_a_realtime_token_is_the_vendors_own(tmp_path: Path) -> None:
    answer = whole({"name": "auth_tokens/abc"})
    reply = await asked(tmp_path, "/ai/realtime/token", {"model": "gemini-3.8-live"}, google=[answer])
    assert reply["data"]["token"] == "auth_tokens/abc"
    assert "BidiGenerateContentConstrained" in reply["data"]["url"]
