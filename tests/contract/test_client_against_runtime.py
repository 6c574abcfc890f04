"""The real clients against the real runtime: one suite for both clients, both dialects, and three ways to run it:
embedded, served, and as three processes behind HAProxy on one PostgreSQL and Redis."""

from __future__ import annotations

import io
import json
import threading
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import BaseModel
from starlette.types import ASGIApp

from infrai_core import (
    AsyncInfrai,
    AuthenticationError,
    ConfigError,
    ContextLengthExceeded,
    Infrai,
    InvalidRequest,
    NotFound,
    Retry,
)
from infrai_runtime import embedded
from infrai_runtime.app import create_app
from infrai_runtime.settings import Settings

from ..core.wall import Kit
from ..replicas.fleet import CONFIGURATION, Fleet
from ..servers import free_port, haproxy
from .host import listening, serving, url_of
from .vendor import WAIT_S, Scripted, models_of, scripted

SUM = "What is 17 * 3?"
WAYS = {"served": 1, "replicas": 3}
"""How many servers there are."""
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class City(BaseModel):
    """What a structured answer is parsed into."""

    name: str
    population: int


@dataclass(frozen=True)
class Place:
    """Where a runtime is, and the key it takes."""

    base_url: str
    key: str


@dataclass(frozen=True)
class World:
    """One of the ways to reach the runtime."""

    kit: Kit
    dialect: Any
    host: str
    place: Place
    options: Mapping[str, Any] = field(default_factory=dict)

    def client(self, key: str | None = None, **options: Any) -> Any:
        """A client with asynchronous manners, whichever it is."""
        given = {"base_url": self.place.base_url, "dialect": self.dialect, "retry": Retry(attempts=0)}
        given |= {**self.options, **options}
        kind = Infrai if self.kit.mode == "sync" else AsyncInfrai
        return self.kit.view(kind(key or self.place.key, **given))


# -- the three runtimes ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runtime")


@pytest.fixture(autouse=True)
def own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One home for the whole file, so that all its tests share one embedded runtime."""
    for name in ("INFRAI_API_KEY", "INFRAI_BASE_URL", "INFRAI_DATABASE", "INFRAI_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INFRAI_HOME", str(home))
    return home


@pytest.fixture(scope="module")
def places(home: Path) -> Iterator[dict[str, Place]]:
    listener = listening()
    own = Settings(home=home / "served", database=None, allow_activation=True, public_url=url_of(listener))
    with serving(create_app(own), listener) as url:
        with Infrai("none-yet", base_url=url) as client:
            key = client.activate().primary_api_key
        yield {"served": Place(url, key), "embedded": Place("embedded", "not-needed")}
    embedded.shutdown()


@pytest.fixture(scope="module")
def replicas(three: Fleet) -> Place:
    with Infrai("none-yet", base_url=three.proxy) as client:
        return Place(three.proxy, client.activate().primary_api_key)


@pytest.fixture
def place(request: pytest.FixtureRequest, host: str) -> Place:
    """Where the runtime is; the servers of three processes start when first asked for, or skip the test."""
    place: Place = request.getfixturevalue("replicas" if host == "replicas" else "places")
    return place if isinstance(place, Place) else place[host]


@pytest.fixture(params=["sync", "asyncio"])
def kit(request: pytest.FixtureRequest) -> Kit:
    return Kit(request.param)


@pytest.fixture(params=["embedded", "served", "replicas"])
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["native", "openai"])
def world(request: pytest.FixtureRequest, kit: Kit, host: str, place: Place) -> World:
    return World(kit, request.param, host, place)


@pytest.fixture
def native(kit: Kit, host: str, place: Place) -> World:
    return World(kit, "native", host, place)


# -- chat --------------------------------------------------------------------------------------------------------------


def test_a_chat_has_an_answer_its_cost_and_a_row_in_the_ledger(world: World) -> None:
    async def body() -> None:
        async with world.client() as client:
            reply = await client.chat(SUM)
            total = client.ledger.total
        assert "51" in reply.content
        assert (reply.metadata.vendor, reply.metadata.cost_usd, reply.metadata.cache_hit) == ("local", 0, False)
        assert [row.outcome for row in reply.metadata.attempts] == ["ok"]
        assert (reply.finish_reason, reply.usage.completion_tokens > 0) == ("stop", True)
        assert (total.calls, total.prompt_tokens) == (1, reply.usage.prompt_tokens)

    world.kit.run(body)


def test_a_stream_says_what_the_whole_answer_says_in_many_chunks(world: World) -> None:
    async def body() -> None:
        async with world.client() as client:
            whole = await client.chat(SUM)
            chunks = [chunk async for chunk in client.stream_chat(SUM)]
        assert "".join(chunk.delta.content or "" for chunk in chunks) == whole.content
        assert len(chunks) > 3
        last = chunks[-1]
        assert (last.finish_reason, last.usage, last.metadata.vendor) == ("stop", whole.usage, "local")
        assert last.metadata.cost_usd == 0
        assert all(chunk.usage is None and chunk.metadata is None for chunk in chunks[:-1])

    world.kit.run(body)


def test_a_tool_is_called_and_its_result_is_used(world: World) -> None:
    question = {"role": "user", "content": "What is the weather in Paris?"}

    async def body() -> None:
        async with world.client() as client:
            asked = await client.chat([question], tools=[TOOL], tool_choice="required")
            streamed = await client.stream_chat([question], tools=[TOOL], tool_choice="required").reply()
            (call,) = asked.tool_calls
            result = {"type": "tool_result", "tool_call_id": call.id, "parts": [{"type": "text", "text": "Hail."}]}
            answers = [{"role": "assistant", "parts": asked.parts}, {"role": "tool", "parts": [result]}]
            answer = await client.chat([question, *answers], tools=[TOOL])
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris"})
        assert asked.finish_reason == "tool_calls"
        assert [c.function for c in streamed.tool_calls] == [call.function]
        assert "Hail" in answer.content

    world.kit.run(body)


def test_a_structured_answer_comes_parsed(world: World) -> None:
    async def body() -> None:
        async with world.client() as client:
            reply = await client.chat("Name: Paris\nPopulation: 2100000", parse=City)
        assert isinstance(reply.parsed, City)
        assert City.model_validate_json(reply.content) == reply.parsed
        assert reply.parsed.name.startswith("Paris")

    world.kit.run(body)


def test_the_same_key_and_body_give_the_same_answer_and_another_body_is_refused(world: World) -> None:
    key = f"replay-{world.kit.mode}-{world.host}-{world.dialect}"

    async def body() -> None:
        async with world.client() as client:
            first = await client.chat(SUM, idempotency_key=key)
            again = await client.chat(SUM, idempotency_key=key)
            with pytest.raises(InvalidRequest) as caught:
                await client.chat("Another one", idempotency_key=key)
        assert again == first
        assert (caught.value.code, caught.value.status) == ("IDEMPOTENCY_CONFLICT", 422)

    world.kit.run(body)


def test_the_same_question_again_is_a_cache_hit_where_that_is_asked_for(world: World) -> None:
    question = f"{SUM} ({world.kit.mode}, {world.host}, {world.dialect})"

    async def body() -> None:
        async with world.client() as client:
            first, again = [await client.chat(question, cache_strategy="infrai") for _ in range(2)]
            streamed = await client.stream_chat(question, cache_strategy="infrai").reply()
            other = await client.chat(question)
        assert [r.metadata.cache_hit for r in (first, again, streamed, other)] == [False, True, True, False]
        assert again.content == streamed.content == first.content
        assert again.metadata.request_id != first.metadata.request_id

    world.kit.run(body)


# -- vectors, media ----------------------------------------------------------------------------------------------------


def test_vectors_are_the_same_in_both_encodings(world: World) -> None:
    async def body() -> None:
        async with world.client() as client:
            plain = await client.embed(["clever paws", "rain"])
            packed = await client.embed(["clever paws", "rain"], encoding_format="base64")
            one = await client.embed("rain", dimensions=64)
        assert (plain.model, plain.dimensions, len(plain.embeddings)) == ("infrai-keyword-1024", 1024, 2)
        assert packed.embeddings == [pytest.approx(vector, abs=1e-6) for vector in plain.embeddings]
        assert one.dimensions == 64

    world.kit.run(body)


@pytest.mark.parametrize("inline", [False, True])
def test_an_image_can_be_read_and_looked_at(world: World, inline: bool, tmp_path: Path) -> None:
    # On the OpenAI surface looking at an image is a chat, and a model of the vision route is none.
    fast = {"model": "infrai-sight-fast"} if world.dialect == "native" else {}

    async def body() -> None:
        async with world.client() as client:
            reply = await client.image("a red circle", size="64x64", model="infrai-draw-fast", inline=inline)
            image = world.kit.view(reply.images[0])
            data = await image.aread()
            saved = await image.asave(tmp_path / "a.png")
            seen = await client.vision("What is in this image?", [data], **fast)
        assert data.startswith(b"\x89PNG")
        assert saved.read_bytes() == data
        assert "colours" in seen.content

    world.kit.run(body)


def test_speech_can_be_read_and_is_heard_as_words(world: World) -> None:
    pytest.importorskip("espeakng_loader", reason="speech is an optional extra")
    pytest.importorskip("pocketsphinx", reason="transcription is an optional extra")

    async def body() -> None:
        async with world.client() as client:
            speech = await client.tts("Turn left.", format="wav")
            data = await world.kit.view(speech).aread()
            heard = await client.asr(data, language="en", model="infrai-listen-fast")
            nothing = await client.asr(silence(), language="en", model="infrai-listen-fast")
        assert (data[:4], speech.format, speech.metadata.vendor) == (b"RIFF", "wav", "local")
        # Which words, and how many, is the recogniser's business; that the sound arrived whole is ours.
        assert heard.text
        with wave.open(io.BytesIO(data)) as sound:
            seconds = sound.getnframes() / sound.getframerate()
        assert 0.5 * seconds < heard.segments[-1].end < seconds + 0.1
        assert (nothing.text, heard.metadata.vendor) == ("", "local")

    world.kit.run(body)


def silence() -> bytes:
    """A fifth of a second without sound, as a wav file."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(2 * 3200))
    return held.getvalue()


# -- what only the native dialect has ----------------------------------------------------------------------------------


def test_candidates_are_ranked(native: World) -> None:
    async def body() -> None:
        async with native.client() as client:
            reply = await client.rerank("clever paws", ["rain", "clever paws"])
        assert [row.index for row in reply.results] == [1, 0]
        assert reply.results[0].relevance_score > reply.results[1].relevance_score

    native.kit.run(body)


def test_a_realtime_token_opens_its_session(native: World) -> None:
    async def body() -> None:
        async with native.client() as client:
            token = await client.realtime_token(voice="alloy", ttl_seconds=60)
        session = _session(native, token.token)
        assert (session["session_id"], session["voice"]) == (token.session_id, "alloy")
        assert session["expires_at"] == token.expires_at

    native.kit.run(body)


def _session(world: World, token: str) -> Any:
    """What a voice service would ask with the token it was given."""
    in_process = world.host == "embedded"
    transport = embedded.transport() if in_process else None
    base_url = world.place.base_url if not in_process else "http://embedded.infrai.invalid"
    with httpx.Client(transport=transport, base_url=base_url, timeout=WAIT_S) as http:
        answer = http.get("/v1/ai/realtime/session", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_models_can_be_asked_for_by_capability(native: World) -> None:
    async def body() -> None:
        async with native.client() as client:
            found = await client.models("chat")
        assert {"infrai-offline", "infrai-offline-fast"} <= {model.id for model in found.data}
        assert {model.capability for model in found.data} == {"chat"}

    native.kit.run(body)


def test_models_are_listed(world: World) -> None:
    async def body() -> None:
        async with world.client() as client:
            rows = {model.id: model for model in (await client.models()).data}
        assert rows["infrai-offline"].owned_by == "local"
        assert rows["infrai-offline"].context_window > 1000
        assert rows["infrai-keyword-1024"].dimensions == 1024

    world.kit.run(body)


def test_an_account_has_credit_where_calls_are_paid(native: World) -> None:
    async def body() -> None:
        async with native.client() as client:
            account = await client.account()
        assert (account.balance_usd, account.currency) == (None if native.host == "embedded" else 5, "USD")

    native.kit.run(body)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("rerank", {"query": "a", "candidates": ["b"]}),
        ("realtime_token", {}),
        ("account", {}),
        ("activate", {}),
        ("batch_list", {}),
        ("models", {"capability": "chat"}),
    ],
)
def test_what_the_openai_surface_lacks_is_said_before_anything_is_sent(
    places: dict[str, Place], method: str, arguments: dict[str, Any]
) -> None:
    client = Infrai("key", base_url=places["served"].base_url, dialect="openai")
    with pytest.raises(ConfigError, match='dialect="native"'):
        getattr(client, method)(**arguments)


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "kind", "code", "param"),
    [
        ({"model": "infrai-oflline"}, NotFound, "MODEL_NOT_FOUND", "model"),
        ({"vendor": "nobody"}, NotFound, "VENDOR_NOT_FOUND", "vendor"),
        ({"model": "infrai-rerank"}, InvalidRequest, "UNSUPPORTED_CAPABILITY", "model"),
        ({"extra_body": {"temperature": 9}}, InvalidRequest, "INVALID_REQUEST", "temperature"),
    ],
    ids=["model", "vendor", "capability", "range"],
)
def test_errors_have_their_class_code_and_field(
    world: World, arguments: dict[str, Any], kind: type[Exception], code: str, param: str
) -> None:
    async def body() -> None:
        async with world.client() as client:
            with pytest.raises(kind) as whole:
                await client.chat(**{"messages": "hi"} | arguments)
            with pytest.raises(kind) as streamed:
                await client.stream_chat(**{"messages": "hi"} | arguments).reply()
        for caught in (whole.value, streamed.value):
            assert type(caught) is kind
            assert (caught.code, caught.param, caught.retryable) == (code, param, False)  # type: ignore[attr-defined]
            assert caught.request_id  # type: ignore[attr-defined]

    world.kit.run(body)


def test_a_prompt_that_no_model_can_hold_is_refused(places: dict[str, Place]) -> None:
    client = Infrai(places["served"].key, base_url=places["served"].base_url)
    with client, pytest.raises(ContextLengthExceeded) as caught:
        client.chat("word " * 66_000)
    assert caught.value.param == "messages"


@pytest.mark.parametrize("dialect", ["native", "openai"])
def test_a_wrong_key_is_refused(kit: Kit, places: dict[str, Place], dialect: str) -> None:
    world = World(kit, dialect, "served", places["served"])

    async def body() -> None:
        async with world.client("ifr_pk_proj_wrong") as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.chat("hi")
        assert caught.value.code == "UNAUTHORIZED"
        assert "wrong" not in str(caught.value)

    kit.run(body)


# -- streams whose vendor waits ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gated:
    """A runtime whose vendor says one word and then waits for ``go``."""

    world: World
    vendor: Scripted
    go: threading.Event


SCRIPT = [
    {"fragment": {"index": 0, "type": "text", "text": "one"}},
    {"wait": "comment"},
    {"fragment": {"index": 0, "type": "text", "text": " two"}},
    {"finish": {"reason": "stop"}},
]


@pytest.fixture
def gated(world: World, tmp_path: Path) -> Iterator[Gated]:
    go = threading.Event()
    vendor = scripted("acme", {"chat": SCRIPT}, go)
    models = models_of({"vendors": {"acme": {"chat": SCRIPT}}})
    in_process = world.host == "embedded"
    own = Settings(home=tmp_path, no_auth=not in_process, embedded=in_process, retries=0)
    with _reached(world, lambda: create_app(own, [vendor], models), tmp_path) as reached:
        yield Gated(reached, vendor, go)
        go.set()


@contextmanager
def _reached(world: World, make: Callable[[], ASGIApp], directory: Path) -> Iterator[World]:
    """The same kind of world with such an application in it."""
    with ExitStack() as stack:
        if world.host == "embedded":
            made = embedded.transport if world.kit.mode == "sync" else embedded.async_transport
            yield replace(world, options={"transport": made(make())})
            return
        served = [stack.enter_context(serving(make(), listening())) for _ in range(WAYS[world.host])]
        url = served[0] if len(served) == 1 else stack.enter_context(proxied(served, directory))
        yield replace(world, place=Place(url, "not-needed"))


@contextmanager
def proxied(urls: list[str], directory: Path) -> Iterator[str]:
    """The address of HAProxy in front of three servers."""
    port = free_port()
    named = {f"INFRAI_RUNTIME_{n}": urlsplit(url).netloc for n, url in enumerate(urls, 1)}
    with haproxy(CONFIGURATION, port, directory, named):
        yield f"http://127.0.0.1:{port}"


def test_the_first_chunk_arrives_before_the_last_is_made(gated: Gated) -> None:
    async def body() -> None:
        async with gated.world.client() as client:
            words: list[str | None] = []
            async for chunk in client.stream_chat("hi"):
                if not words:
                    assert not gated.vendor.ended.is_set()
                    gated.go.set()
                words.append(chunk.delta.content)
        assert [word for word in words if word] == ["one", " two"]

    gated.world.kit.run(body)
    assert gated.vendor.ended.wait(WAIT_S)


def test_leaving_a_stream_early_ends_the_vendors_work(gated: Gated) -> None:
    async def body() -> None:
        async with gated.world.client() as client:
            async with client.stream_chat("hi") as stream:
                async for chunk in stream:
                    assert chunk.delta.content == "one"
                    break
            (row,) = client.ledger.rows
        assert (row.outcome, row.estimated, row.vendor, row.cost_usd) == ("aborted", True, "acme", None)

    gated.world.kit.run(body)
    assert gated.vendor.ended.wait(2 * WAIT_S)
    assert not gated.go.is_set()
    assert not gated.vendor.waited_out
