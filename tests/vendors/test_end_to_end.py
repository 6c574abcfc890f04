"""A vendor that the environment configures, behind a whole runtime: both surfaces, streams, key rotation, sessions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from infrai_runtime.settings import Settings
from infrai_runtime.vendors import configured
from tests.runtime.api import client, events
from tests.vendors.fake import KEY, Fake, Seen, says, serving, streams
from tests.vendors.openai_answers import FINGERPRINT, OPENAI, QUIRKS
from tests.vendors.test_openai_media import IMAGES, SECRET, embedding

CHAT = "/v1/chat/completions"
TEXT = "Hello! How can I help? 你好 🦝"


def with_runtime(
    home: Path, fake: Fake, body: Callable[[httpx.AsyncClient], Awaitable[None]], keys: str = KEY, **more: str
) -> None:
    """Runs a body against a runtime whose only vendor is the fake."""

    async def run(url: str) -> None:
        environ = {"INFRAI_HOME": str(home), "OPENAI_API_KEY": keys, "OPENAI_BASE_URL": url, **more}
        vendors = configured(Settings.from_environment(environ))
        async with client(home, vendors) as api:
            await body(api)

    with serving(fake) as service:
        asyncio.run(run(f"{service.url}/v1"))


def test_a_chat_goes_to_the_vendor_and_says_what_it_cost(tmp_path: Path) -> None:
    async def body(api: httpx.AsyncClient) -> None:
        asked = {"messages": "hi", "vendor": "openai", "model": "gpt-5.2"}
        reply = (await api.post("/ai/chat", json=asked)).json()
        assert (reply["data"]["content"], reply["metadata"]["vendor"]) == (TEXT, "openai")
        assert reply["data"]["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
        assert KEY not in json.dumps(reply)

    with_runtime(tmp_path, Fake({CHAT: says(OPENAI["text"].completion)}), body)


def test_a_streamed_chat_is_passed_on_over_both_surfaces(tmp_path: Path) -> None:
    async def body(api: httpx.AsyncClient) -> None:
        asked = {
            "messages": [{"role": "user", "content": "hi"}],
            "vendor": "openai",
            "model": "gpt-5.2",
            "stream": True,
        }
        native = events((await api.post("/ai/chat", json=asked)).text)
        assert "".join(e["delta"].get("content", "") for e in native[:-1]) == TEXT
        assert native[-2]["usage"]["total_tokens"] == 29
        plain = events((await api.post("/chat/completions", json=asked)).text)
        assert "".join(e["choices"][0]["delta"].get("content") or "" for e in plain[:-1] if e["choices"]) == TEXT
        assert plain[-1] == "[DONE]"

    with_runtime(tmp_path, Fake({CHAT: streams(OPENAI["text"].chunks)}), body)


def test_what_the_vendor_ran_on_is_told_as_the_sdk_reads_it(tmp_path: Path) -> None:
    """https://platform.openai.com/docs/api-reference/chat/object (system_fingerprint), also where usage is a chunk."""

    async def body(api: httpx.AsyncClient) -> None:
        asked: Any = {"messages": [{"role": "user", "content": "hi"}], "model": "gpt-5.2"}
        whole = ChatCompletion.model_validate((await api.post("/chat/completions", json=asked)).json())
        assert whole.system_fingerprint == FINGERPRINT
        assert (await api.post("/ai/chat", json=asked)).json()["data"]["system_fingerprint"] == FINGERPRINT
        for options in ({}, {"stream_options": {"include_usage": True}}):
            state: Any = ChatCompletionStreamState()
            reply = await api.post("/chat/completions", json=asked | {"stream": True, **options})
            for chunk in events(reply.text)[:-1]:
                state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
            assert state.current_completion_snapshot.system_fingerprint == FINGERPRINT

    answer = OPENAI["text"]
    said = [says(answer.completion), says(answer.completion), streams(answer.chunks), streams(answer.chunks)]
    with_runtime(tmp_path, Fake({CHAT: said}), body)


def test_a_cut_stream_is_never_whole(tmp_path: Path) -> None:
    async def body(api: httpx.AsyncClient) -> None:
        asked = {"messages": "hi", "vendor": "openai", "model": "gpt-5.2", "stream": True}
        text = (await api.post("/ai/chat", json=asked)).text
        assert "[DONE]" not in text
        assert "before its end mark" in text

    with_runtime(tmp_path, Fake({CHAT: streams(OPENAI["text"].chunks[:3], mark=False)}), body)


def test_a_key_that_is_refused_makes_room_for_the_next_within_one_attempt(tmp_path: Path) -> None:
    fake = Fake({CHAT: says(OPENAI["text"].completion)})

    async def body(api: httpx.AsyncClient) -> None:
        asked = {"messages": "hi", "vendor": "openai", "model": "gpt-5.2"}
        reply = (await api.post("/ai/chat", json=asked)).json()
        assert reply["ok"]
        assert [row["outcome"] for row in reply["metadata"]["attempts"]] == ["ok"]
        assert "sk-old-and-revoked" not in json.dumps(reply)

    with_runtime(tmp_path, fake, body, keys=f"sk-old-and-revoked,{KEY}")
    assert len(fake.requests) == 2


def test_an_option_reaches_its_vendor_only_when_it_is_on_the_vendors_list(tmp_path: Path) -> None:
    fake = Fake({CHAT: says(OPENAI["text"].completion)})

    async def body(api: httpx.AsyncClient) -> None:
        asked = {"messages": "hi", "vendor": "openai", "model": "gpt-5.2"}
        await api.post("/ai/chat", json=asked | {"vendor_options": {"openai": {"verbosity": "low"}}})
        assert fake.last.body["verbosity"] == "low"
        for option in ("base_url", "api_key", "model", "headers"):
            refused = await api.post("/ai/chat", json=asked | {"vendor_options": {"openai": {option: "x"}}})
            assert refused.status_code == 400
            assert refused.json()["error"]["param"] == f"vendor_options.openai.{option}"
        assert len(fake.requests) == 1

    with_runtime(tmp_path, fake, body)


def test_what_vendors_refuse_of_the_operators_account_is_not_the_callers_fault(tmp_path: Path) -> None:
    async def body(api: httpx.AsyncClient) -> None:
        reply = await api.post("/ai/chat", json={"messages": "hi", "vendor": "openai", "model": "gpt-5.2"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (502, "VENDOR_ERROR")
        assert "sk-wrong-key" not in reply.text

    with_runtime(tmp_path, Fake({}), body, keys="sk-wrong-key-00")


def test_reasoning_goes_back_to_its_maker_through_the_whole_runtime(tmp_path: Path) -> None:
    quirk = QUIRKS["openrouter: reasoning_details and cost"]
    fake = Fake({CHAT: says(quirk.completion)})

    async def run(url: str) -> None:
        environ = {"INFRAI_HOME": str(tmp_path), "OPENROUTER_API_KEY": KEY, "OPENROUTER_BASE_URL": url}
        async with client(tmp_path, configured(Settings.from_environment(environ))) as api:
            pins = {"vendor": "openrouter", "model": "anthropic/claude-opus-5"}
            first = (await api.post("/ai/chat", json={"messages": "hi", **pins})).json()
            assert first["metadata"]["cost_usd"] == 0.95
            history = [{"role": "user", "content": "hi"}, {"role": "assistant", "parts": first["data"]["parts"]}]
            again = await api.post("/ai/chat", json={"messages": [*history, {"role": "user", "content": "x"}], **pins})
            assert again.json()["metadata"]["warnings"] == []

    with serving(fake) as service:
        asyncio.run(run(f"{service.url}/v1"))
    sent = fake.last.body["messages"][1]
    assert sent["reasoning_details"] == quirk.parts[0]["opaque"]


def test_the_other_capabilities_pass_through_the_runtime(tmp_path: Path) -> None:
    fake = Fake(
        {
            "/v1/embeddings": says(embedding([0.5, 1.0])),
            "/v1/images/generations": says(IMAGES),
            "/v1/realtime/client_secrets": says(SECRET),
        }
    )

    async def body(api: httpx.AsyncClient) -> None:
        pins = {"vendor": "openai"}
        vectors = await api.post("/ai/embed", json={"input": "a", "model": "text-embedding-3-small", **pins})
        assert vectors.json()["data"]["embeddings"] == [[0.5, 1.0]]
        picture = await api.post("/ai/image", json={"prompt": "p", "model": "gpt-image-2", "inline": True, **pins})
        assert picture.json()["data"]["images"][0]["b64"] == IMAGES["data"][0]["b64_json"]
        session = await api.post("/ai/realtime/token", json={"model": "gpt-realtime-2", **pins})
        assert session.json()["data"] == {
            "session_id": "sess_C9CiUVUzUzYIssh3ELY1d",
            "ice_servers": [],
            "token": "ek_68af296e8e408191a1120ab6383263c2",
            "expires_at": "2025-08-27T16:01:10Z",
            "url": f"{_origin(fake.last)}/v1/realtime/calls",
            "model": "gpt-realtime-2",
        }

    with_runtime(tmp_path, fake, body)


def _origin(seen: Seen) -> str:
    return f"http://{seen.headers['host']}"


@pytest.mark.parametrize("vendors", ["local", "mistral"])
def test_a_vendor_that_is_not_named_is_not_used(vendors: str, tmp_path: Path) -> None:
    fake = Fake({CHAT: says(OPENAI["text"].completion)})

    async def body(api: httpx.AsyncClient) -> None:
        reply = (await api.post("/ai/chat", json={"messages": "hi", "vendor": "openai"})).json()
        assert reply["error"]["code"] == "VENDOR_NOT_FOUND"

    with_runtime(tmp_path, fake, body, INFRAI_VENDORS=vendors)
    assert fake.requests == []


def test_keys_and_their_health_can_be_seen(tmp_path: Path) -> None:
    limited = says({"error": {"message": "slow", "code": "rate_limit_exceeded"}}, 429, retry_after="30")
    fake = Fake({CHAT: limited})
    seen: dict[str, Any] = {}

    async def run(url: str) -> None:
        environ = {"INFRAI_HOME": str(tmp_path), "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}
        vendors = configured(Settings.from_environment(environ))
        async with client(tmp_path, vendors) as api:
            asked = {"messages": "hi", "vendor": "openai", "model": "gpt-5.2"}
            first = await api.post("/ai/chat", json=asked)
            second = await api.post("/ai/chat", json=asked)
            seen["statuses"] = (first.status_code, second.status_code)
            keys: Any = vendors[0]
            (seen["health"],) = keys.keys.health()

    with serving(fake) as service:
        asyncio.run(run(f"{service.url}/v1"))
    assert len(fake.requests) == 1
    assert seen["statuses"] == (429, 429)
    assert [(model, code) for model, code, _ in seen["health"].rests] == [("gpt-5.2", "RATE_LIMITED")]


def test_a_pinned_vendor_is_asked_for_a_model_that_the_catalogue_lacks(tmp_path: Path) -> None:
    async def run(url: str) -> Any:
        environ = {"INFRAI_HOME": str(tmp_path), "OLLAMA_HOST": url}
        async with client(tmp_path, configured(Settings.from_environment(environ))) as api:
            return (
                await api.post("/ai/chat", json={"messages": "hi", "vendor": "ollama", "model": "my-own:8b"})
            ).json()

    with serving(Fake({CHAT: says(OPENAI["text"].completion)}, auth=("accept", "application/json"))) as fake:
        reply = asyncio.run(run(fake.url))
    assert (reply["data"]["content"], reply["metadata"]["cost_usd"]) == (TEXT, None)
    assert fake.last.body["model"] == "my-own:8b"
