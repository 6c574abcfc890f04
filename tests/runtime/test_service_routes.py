"""Routes beyond chat and embed, with the on-machine vendor behind them; keys, credit, usage, links and tokens."""

from __future__ import annotations

import base64
import io
import sqlite3
import wave
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from infrai_core.params import BatchableChatParams
from infrai_runtime.batch.job import SUBMISSION
from infrai_runtime.body import FIELDS
from infrai_runtime.discovery import ALL
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import CAPABILITIES
from infrai_runtime.vendors.local import Local
from tests.media import pdf

from .api import client, events
from .fake import FakeChat, catalogue, fails, model, says

pytestmark = pytest.mark.anyio

ONE = catalogue(model("a"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def silence(seconds: float = 0.2) -> str:
    """A quiet wav file as base64."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\0\0" * int(16000 * seconds))
    return base64.b64encode(held.getvalue()).decode()


async def made(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    response = await api.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()["data"]


# -- media and realtime ------------------------------------------------------------------------------------------------


async def test_an_image_comes_as_a_link_that_is_fetched_without_a_key(tmp_path: Path) -> None:
    async with client(tmp_path, public_url="http://localhost") as api:
        data = await made(api, "/ai/image", {"prompt": "a red circle", "size": "64x64", "n": 2, "inline": True})
        linked = await api.get(data["images"][0]["url"])
        stretched = await api.get(data["images"][0]["url"].replace("expires=", "expires=9"))
    assert [image["mime"] for image in data["images"]] == ["image/png", "image/png"]
    assert linked.content == base64.b64decode(data["images"][0]["b64"])
    assert linked.headers["content-type"] == "image/png"
    assert linked.headers["x-content-type-options"] == "nosniff"
    assert (stretched.status_code, stretched.json()["error"]["code"]) == (401, "UNAUTHORIZED")


async def test_openai_images_are_links_or_base64(tmp_path: Path) -> None:
    async with client(tmp_path) as api:
        link = (await api.post("/images/generations", json={"prompt": "x", "size": "64x64"})).json()
        inline = (
            await api.post("/images/generations", json={"prompt": "x", "size": "64x64", "response_format": "b64_json"})
        ).json()
        wrong = await api.post("/images/generations", json={"prompt": "x", "response_format": "png"})
    assert list(link["data"][0]) == ["url"]
    assert base64.b64decode(inline["data"][0]["b64_json"]).startswith(b"\x89PNG")
    assert inline["infrai"]["vendor"] == "local"
    assert wrong.json()["error"]["param"] == "response_format"


async def test_speech_is_a_link_on_the_native_and_the_sound_on_the_openai_surface(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="speech is an optional extra")
    async with client(tmp_path) as api:
        data = await made(api, "/ai/tts", {"input": "hello", "format": "wav"})
        sound = await api.post(
            "/audio/speech", json={"model": "auto", "input": "hello", "voice": "alloy", "response_format": "wav"}
        )
    assert data["audio_url"].startswith("http://127.0.0.1:8402/v1/media/")
    assert (data["format"], "b64" in data) == ("wav", False)
    assert sound.content.startswith(b"RIFF")
    assert (sound.headers["content-type"], sound.headers["x-infrai-cost-usd"]) == (data["mime"], "0")


async def test_a_picture_that_cannot_be_kept_comes_inside_its_answer(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("no directory")
    async with client(tmp_path) as api:
        data = await made(api, "/ai/image", {"prompt": "x", "size": "64x64"})
    (image,) = data["images"]
    assert base64.b64decode(image["b64"]).startswith(b"\x89PNG")
    assert image["url"] == f"data:image/png;base64,{image['b64']}"


async def test_the_embedded_runtime_links_to_files(tmp_path: Path) -> None:
    async with client(tmp_path, embedded=True) as api:
        data = await made(api, "/ai/image", {"prompt": "x", "size": "64x64"})
    assert data["images"][0]["url"].startswith((tmp_path / "media").as_uri())


async def test_transcripts_come_from_json_and_from_forms(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="transcription is an optional extra")
    async with client(tmp_path) as api:
        data = await made(api, "/ai/asr", {"audio": {"base64": silence(), "mime": "audio/wav"}, "language": "en"})
        file = ("quiet.wav", base64.b64decode(silence()), "audio/wav")
        form = await api.post("/audio/transcriptions", data={"model": "auto"}, files={"file": file})
        none = await api.post("/audio/transcriptions", data={"model": "auto"}, files={"other": file})
    assert (data["text"], data["language"], data["segments"]) == ("", "en", [])
    assert data["usage"]["audio_seconds"] == pytest.approx(0.2)
    assert (form.status_code, form.json()["text"]) == (200, "")
    assert (none.status_code, none.json()["error"]["param"]) == (400, "file")


async def test_a_realtime_token_says_which_session_it_opens_until_it_is_altered(tmp_path: Path) -> None:
    async with client(tmp_path) as api:
        token = await made(api, "/ai/realtime/token", {"voice": "alloy", "ttl_seconds": 300})
        good = await api.get("/ai/realtime/session", headers={"authorization": f"Bearer {token['token']}"})
        altered = await api.get("/ai/realtime/session", headers={"authorization": f"Bearer {token['token'][:-2]}xx"})
        missing = await api.get("/ai/realtime/session")
    assert token["expires_at"].endswith("Z")
    assert token["ice_servers"] == []
    assert good.json()["data"] == {
        "session_id": token["session_id"],
        "vendor": "local",
        "model": "infrai-realtime",
        "voice": "alloy",
        "expires_at": token["expires_at"],
    }
    assert [r.json()["error"]["code"] for r in (altered, missing)] == ["UNAUTHORIZED", "UNAUTHORIZED"]


async def test_candidates_are_ranked(tmp_path: Path) -> None:
    async with client(tmp_path) as api:
        data = await made(
            api, "/ai/rerank", {"query": "clever paws", "candidates": ["rain", "clever paws"], "top_k": 1}
        )
    assert [row["index"] for row in data["results"]] == [1]


# -- the on-machine vendor ---------------------------------------------------------------------------------------------


async def test_the_offline_model_streams_word_by_word_what_it_says_whole(tmp_path: Path) -> None:
    body = {"messages": "What is 17 * 3?"}
    async with client(tmp_path) as api:
        whole = (await made(api, "/ai/chat", body))["content"]
        frames = events((await api.post("/ai/chat", json=body | {"stream": True})).text)
    words = [frame["delta"]["content"] for frame in frames[:-2]]
    assert "".join(words) == whole
    assert len(words) == len(whole.split())
    assert frames[-3]["delta"]["parts"][0]["done"] is True


async def test_options_that_the_offline_model_lacks_are_warned_about(tmp_path: Path) -> None:
    async with client(tmp_path) as api:
        native = (await api.post("/ai/chat", json={"messages": "hi", "temperature": 0.5})).json()
        openai = (await api.post("/chat/completions", json={"messages": "hi", "logit_bias": {}})).json()
    assert [w.partition(":")[0] for w in native["metadata"]["warnings"]] == ["temperature"]
    assert [w.partition(":")[0] for w in openai["infrai"]["warnings"]] == ["logit_bias"]


async def test_a_text_file_in_a_message_is_read(tmp_path: Path) -> None:
    text = base64.b64encode(b"The launch code is 7421. The sky is blue.").decode()
    parts = [
        {"type": "file", "base64": text, "mime": "text/plain"},
        {"type": "text", "text": "What is the launch code?"},
    ]
    async with client(tmp_path) as api:
        data = await made(api, "/ai/chat", {"messages": [{"role": "user", "parts": parts}]})
    assert "7421" in data["content"]


async def test_a_pdf_in_a_message_is_read(tmp_path: Path) -> None:
    document = base64.b64encode(pdf("The launch code is 7421.")).decode()
    parts = [
        {"type": "file", "base64": document, "mime": "application/pdf"},
        {"type": "text", "text": "What is the launch code?"},
    ]
    async with client(tmp_path) as api:
        data = await made(api, "/ai/chat", {"messages": [{"role": "user", "parts": parts}]})
    assert "7421" in data["content"]


async def test_a_file_that_nothing_can_read_is_left_out_with_a_warning(tmp_path: Path) -> None:
    parts = [{"type": "file", "base64": base64.b64encode(b"\0\1\2\xff").decode()}, {"type": "text", "text": "hi"}]
    async with client(tmp_path) as api:
        body = (await api.post("/ai/chat", json={"messages": [{"role": "user", "parts": parts}]})).json()
    assert body["metadata"]["warnings"] == [
        "messages.0.parts.0: the on-machine model cannot read a file; it was left out"
    ]


async def test_a_broken_pdf_is_refused(tmp_path: Path) -> None:
    parts = [{"type": "file", "base64": "JVBERg==", "mime": "application/pdf"}]
    async with client(tmp_path) as api:
        response = await api.post("/ai/chat", json={"messages": [{"role": "user", "parts": parts}]})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert "the PDF cannot be read" in response.json()["error"]["message"]


async def test_a_kind_of_media_that_the_model_lacks_is_refused(tmp_path: Path) -> None:
    parts = [{"type": "video", "base64": "AAAA", "mime": "video/mp4"}]
    async with client(tmp_path) as api:
        response = await api.post("/ai/chat", json={"messages": [{"role": "user", "parts": parts}]})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "UNSUPPORTED_CAPABILITY")
    assert "lacks video" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image", "base64": "***"}, "messages.0.parts.0.base64"),
        ({"type": "image", "url": "http://127.0.0.1:9/x.png"}, "messages.0.parts.0.url"),
        ({"type": "image", "url": "file:///etc/passwd"}, "messages.0.parts.0.url"),
    ],
)
async def test_media_that_cannot_be_had_names_its_place(tmp_path: Path, part: dict[str, Any], param: str) -> None:
    async with client(tmp_path) as api:
        response = await api.post("/ai/chat", json={"messages": [{"role": "user", "parts": [part]}]})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_a_model_that_was_not_pulled_says_how_to_get_it(tmp_path: Path) -> None:
    async with client(tmp_path) as api:
        response = await api.post("/ai/embed", json={"input": "x", "model": "infrai-minilm-384"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["hint"]) == (
        503,
        "NO_VENDOR_AVAILABLE",
        "infrai local pull minilm",
    )


def test_the_on_machine_vendor_has_every_capability_but_batches(tmp_path: Path) -> None:
    vendor = Local(tmp_path)
    assert {name for name, protocol in CAPABILITIES.items() if isinstance(vendor, protocol)} == CAPABILITIES.keys() - {
        "batch"
    }


async def test_vectors_have_the_length_that_was_asked_for(tmp_path: Path) -> None:
    async with client(tmp_path) as api:
        sizes = [
            len((await made(api, "/ai/embed", {"input": "x"} | more))["embeddings"][0])
            for more in ({}, {"dimensions": 64}, {"model": "infrai-keyword-256"})
        ]
    assert sizes == [1024, 64, 256]


# -- discovery ---------------------------------------------------------------------------------------------------------


async def test_discovery_lists_what_is_there_and_is_public(tmp_path: Path) -> None:
    async with client(tmp_path, [FakeChat("a", says("x"))], ONE, no_auth=False) as api:
        listed = (await api.get("/discovery")).json()
    rows = {row["id"]: row for row in listed["data"]}
    assert rows.keys() == FIELDS.keys() | {"batch"}
    assert (rows["batch"]["available"], rows["batch"]["path"]) == (True, "/v1/ai/batch/submit")
    assert (rows["chat"]["available"], rows["chat"]["vendors"]) == (True, ["a"])
    assert (rows["tts"]["available"], rows["tts"]["vendors"]) == (False, [])


@pytest.mark.parametrize("capability", ALL)
async def test_discovery_describes_parameters_errors_and_examples_that_work(tmp_path: Path, capability: str) -> None:
    async with client(tmp_path) as api:
        shown = (await api.get(f"/discovery/{capability}")).json()
        schema = shown["parameters"]
        jsonschema.Draft202012Validator.check_schema(schema)
        for example in shown["examples"]:
            jsonschema.validate(example["request"], schema)
            if not example["request"].get("audio"):  # its URL is on another machine
                response = await api.post(shown["path"].removeprefix("/v1"), json=example["request"])
                assert response.status_code in (200, 503), response.text
    assert schema["properties"].keys() == (FIELDS | {"batch": SUBMISSION})[capability].keys()
    assert {"code": "RATE_LIMITED", "status": 429, "retryable": True} in shown["errors"]


def test_the_chat_table_has_every_parameter_of_the_client() -> None:
    hints = {
        name
        for base in (BatchableChatParams, *BatchableChatParams.__mro__)
        for name in getattr(base, "__annotations__", {})
    }
    assert hints - {"extra_headers", "extra_body"} <= FIELDS["chat"].keys()


# -- keys, credit, usage -----------------------------------------------------------------------------------------------


async def test_activation_makes_a_key_that_pays_and_counts(tmp_path: Path) -> None:
    async with client(tmp_path, [FakeChat("a", says("x"))], ONE, no_auth=False, allow_activation=True) as api:
        made = (await api.post("/activate")).json()["data"]
        api.headers["authorization"] = f"Bearer {made['primary_api_key']}"
        before = (await api.get("/account/balance")).json()["data"]
        for _ in range(2):
            await api.post("/ai/chat", json={"messages": "hi"})
        after = (await api.get("/account/balance")).json()["data"]
        usage = (await api.get("/account/usage", params={"group_by": "vendor,model"})).json()["data"]
    assert (made["trial_credit_usd"], before) == (5, {"balance_usd": 5, "currency": "USD"})
    assert Decimal(str(after["balance_usd"])) == Decimal("4.99996")
    assert usage["total"] == {
        "calls": 2,
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "unpriced_calls": 0,
        "cost_usd": 0.00004,
        "open_usd": 0,
    }
    assert [(row["vendor"], row["model"], row["calls"]) for row in usage["data"]] == [("a", "big", 2)]


async def test_what_was_spent_under_a_tag_is_told_and_the_total_counts_each_call_once(tmp_path: Path) -> None:
    async with client(tmp_path, [FakeChat("a", says("x"))], ONE) as api:
        for tags in ({"team": "red", "job": "nightly"}, {"team": "red"}, {}):
            await api.post("/ai/chat", json={"messages": "hi", "tags": tags})
        usage = (await api.get("/account/usage", params={"group_by": "tag"})).json()["data"]
    assert {row["tag"]: (row["calls"], row["cost_usd"]) for row in usage["data"]} == {
        None: (1, 0.00002),
        "job=nightly": (1, 0.00002),
        "team=red": (2, 0.00004),
    }
    assert (usage["total"]["calls"], usage["total"]["cost_usd"]) == (3, 0.00006)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ai/chat"),
        ("POST", "/chat/completions"),
        ("GET", "/account/balance"),
        ("GET", "/account/usage"),
        ("POST", "/ai/batch/submit"),
    ],
)
@pytest.mark.parametrize("key", [None, "Bearer wrong", "Basic x"])
async def test_without_a_good_key_nothing_is_served(tmp_path: Path, method: str, path: str, key: str | None) -> None:
    headers = {"authorization": key} if key else {}
    async with client(tmp_path, [FakeChat("a", says("x"))], ONE, no_auth=False) as api:
        response = await api.request(method, path, json={"messages": "x"}, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "UNAUTHORIZED")


async def test_a_call_that_the_credit_does_not_cover_reaches_no_vendor(tmp_path: Path) -> None:
    vendor = FakeChat("a", says("x"))
    own = {"no_auth": False, "allow_activation": True, "trial_credit_usd": Decimal("0.0001")}
    async with client(tmp_path, [vendor], ONE, **own) as api:
        made = (await api.post("/activate")).json()["data"]
        api.headers["authorization"] = f"Bearer {made['primary_api_key']}"
        response = await api.post("/ai/chat", json={"messages": "hi"})
        balance = (await api.get("/account/balance")).json()["data"]["balance_usd"]
    assert (response.status_code, response.json()["error"]["code"]) == (402, "INSUFFICIENT_CREDIT")
    assert vendor.requests == []
    assert balance == 0.0001


async def test_a_failed_call_gives_its_reservation_back(tmp_path: Path) -> None:
    down = FakeChat("a", fails(Failure("VENDOR_ERROR", "down")))
    async with client(tmp_path, [down], ONE, no_auth=False, allow_activation=True) as api:
        made = (await api.post("/activate")).json()["data"]
        api.headers["authorization"] = f"Bearer {made['primary_api_key']}"
        await api.post("/ai/chat", json={"messages": "hi"})
        balance = (await api.get("/account/balance")).json()["data"]["balance_usd"]
    assert balance == 5


async def test_a_page_of_another_site_cannot_activate(tmp_path: Path) -> None:
    async with client(tmp_path, no_auth=False, allow_activation=True) as api:
        response = await api.post("/activate", headers={"origin": "https://evil.example"})
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("host", "allow", "status"), [("localhost", None, 200), ("x.test", None, 403), ("x.test", True, 200)]
)
@pytest.mark.parametrize("from_page", [True, False])
async def test_a_page_whose_name_was_rebound_to_this_machine_cannot_activate(
    tmp_path: Path, host: str, allow: bool | None, status: int, from_page: bool
) -> None:
    headers = {"host": host, **({"origin": f"http://{host}"} if from_page else {})}
    async with client(tmp_path, [], ONE, no_auth=False, allow_activation=allow) as api:
        assert (await api.post("/activate", headers=headers)).status_code == status


async def test_an_activation_takes_no_fields(tmp_path: Path) -> None:
    async with client(tmp_path, no_auth=False, allow_activation=True) as api:
        refused = await api.post("/activate", json={"trial_credit_usd": 1000})
        plain = await api.post("/activate", content=b"{}", headers={"content-type": "text/plain"})
        taken = [await api.post("/activate"), await api.post("/activate", json={})]
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "INVALID_REQUEST", "trial_credit_usd")
    assert plain.status_code == 415
    assert [response.status_code for response in taken] == [200, 200]


@pytest.mark.parametrize("query", [{"since": "yesterday"}, {"group_by": "colour"}, {"until": "2026-01-01"}])
async def test_a_wrong_usage_question_names_its_parameter(tmp_path: Path, query: dict[str, str]) -> None:
    async with client(tmp_path) as api:
        response = await api.get("/account/usage", params=query)
    assert (response.status_code, response.json()["error"]["param"]) == (400, next(iter(query)))


async def test_answers_survive_a_restart_for_their_key(tmp_path: Path) -> None:
    vendor = FakeChat("a", says("x"))
    body = {"messages": "hi", "idempotency_key": "k"}
    async with client(tmp_path, [vendor], ONE, database=tmp_path / "r.db") as api:
        first = await api.post("/ai/chat", json=body)
    async with client(tmp_path, [vendor], ONE, database=tmp_path / "r.db") as api:
        again = await api.post("/ai/chat", json=body)
    assert again.content == first.content
    assert len(vendor.requests) == 1


async def test_an_on_machine_model_that_was_not_pulled_is_listed_as_not_available(tmp_path: Path) -> None:
    async with client(tmp_path) as api:
        rows = {row["id"]: row["available"] for row in (await api.get("/ai/models?capability=embed")).json()["data"]}
    assert rows["infrai-minilm-384"] is False
    assert rows["infrai-keyword-1024"] is True


async def test_every_attempt_and_the_answer_are_booked(tmp_path: Path) -> None:
    rows = catalogue(model("a", quality=90), model("b", quality=50))
    there = [FakeChat("a", fails(Failure("VENDOR_ERROR", "down"))), FakeChat("b", says("hello"))]
    database = tmp_path / "ledger.db"
    async with client(tmp_path, there, rows, database=database) as api:
        assert (await api.post("/ai/chat", json={"messages": "hi"})).status_code == 200
    with closing(sqlite3.connect(database)) as read:
        booked = read.execute("SELECT kind, vendor, outcome, cost_nano FROM ledger ORDER BY rowid").fetchall()
    assert booked == [
        ("attempt", "a", "VENDOR_ERROR", None),
        ("attempt", "b", "ok", 20000),
        ("answer", "b", "ok", 20000),
    ]
