"""Idempotency, cache, budgets and limits as a caller sees them, over HTTP."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_runtime import cache, embedded
from infrai_runtime.app import create_app
from infrai_runtime.exchange import WINDOW
from infrai_runtime.failure import Failure
from infrai_runtime.health import MOST_RATIO
from infrai_runtime.keys import hash_key
from infrai_runtime.live import BYTES_AHEAD
from infrai_runtime.request import read
from infrai_runtime.store.durable import Budget, KeyRow, Policy, key_scope, project_scope, tag_scope
from infrai_runtime.store.sqlite import SqliteDurable
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Request
from tests.media import png, wav

from .api import client, events, settings
from .fake import USAGE, FakeChat, catalogue, fails, model, says

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


ROWS = catalogue(model("a"), model("a", "small"))
ASKED: dict[str, Any] = {"messages": "Hello", "model": "big", "max_tokens": 5}
CREDIT = 10**9


@dataclass(frozen=True)
class Shop:
    """A runtime whose database this test also holds."""

    api: httpx.AsyncClient
    store: SqliteDurable
    vendor: FakeChat

    async def ask(self, key: str = "one", path: str = "/ai/chat", **more: Any) -> httpx.Response:
        return await self.api.post(path, json=ASKED | more, headers={"Authorization": f"Bearer {key}"})

    async def left(self) -> int | None:
        return await self.store.balance_nano("p")


@asynccontextmanager
async def shop(tmp_path: Path, vendor: FakeChat | None = None, **policies: Policy) -> AsyncIterator[Shop]:
    """A project with a credit of one dollar and a key for each policy, and one without limits."""
    vendor = vendor or FakeChat("a", says("Hi"))
    store = SqliteDurable(tmp_path / "x.db")
    await store.add_project("p", "acct", CREDIT, 0)
    for name, policy in {"one": Policy(), **policies}.items():
        await store.add_key(hash_key(name), KeyRow(f"key_{name}", "p", policy=policy))
    async with client(tmp_path, [vendor], ROWS, no_auth=False, database=tmp_path / "x.db") as api:
        yield Shop(api, store, vendor)
    await store.close()


# -- money -------------------------------------------------------------------------------------------------------------


async def test_a_call_is_paid_to_the_nano_dollar(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        reply = await at.ask()
        assert reply.json()["metadata"]["cost_usd"] == 0.00002
        assert await at.left() == CREDIT - 20_000


async def test_header_metadata_and_ledger_tell_one_latency(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        response = await at.ask()
        metadata = response.json()["metadata"]
        *_, answer = await at.store.rows(metadata["request_id"])
    told = float(response.headers["x-infrai-latency-ms"])
    assert told == metadata["latency_ms"] == answer.latency_ms > 0


async def test_a_budget_refuses_before_the_vendor_is_called_and_says_whose_it_is(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        await at.store.set_budget(Budget(tag_scope("p", "team", "red"), "p", 1000))
        refused = await at.ask(tags={"team": "red"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "BUDGET_EXCEEDED")
        assert "budget of tag team=red does not cover the 0.00002 USD" in refused.json()["error"]["message"]
        assert (await at.ask(tags={"team": "blue"})).status_code == 200
        await at.store.set_budget(Budget(key_scope("key_one"), "p", 0))
        assert "key key_one" in (await at.ask()).json()["error"]["message"]
        await at.store.set_budget(Budget(project_scope("p"), "p", 0))
        await at.store.drop_budget(key_scope("key_one"))
        assert (await at.ask()).json()["error"]["code"] == "INSUFFICIENT_CREDIT"
        assert len(at.vendor.requests) == 1


PNG, WAV = (base64.b64encode(made).decode() for made in (png(), wav()))
PAID: dict[str, tuple[str, dict[str, Any]]] = {
    "/ai/chat": ("chat", {"messages": "hi"}),
    "/ai/embed": ("embed", {"input": "hi"}),
    "/ai/image": ("image", {"prompt": "a cat"}),
    "/ai/vision": ("vision", {"prompt": "what?", "images": ["data:image/png;base64," + PNG]}),
    "/ai/tts": ("tts", {"input": "hi"}),
    "/ai/asr": ("asr", {"audio": "data:audio/wav;base64," + WAV}),
    "/ai/rerank": ("rerank", {"query": "a", "candidates": ["a", "b"]}),
    "/ai/realtime/token": ("realtime", {}),
    "/chat/completions": ("chat", {"messages": [{"role": "user", "content": "hi"}], "model": "auto"}),
    "/embeddings": ("embed", {"input": "hi", "model": "auto"}),
    "/images/generations": ("image", {"prompt": "a cat"}),
    "/audio/speech": ("tts", {"input": "hi", "model": "auto", "voice": "alloy"}),
}


class Everything(FakeChat):
    """A vendor with every capability, which writes down each time that it is asked."""

    async def _asked(self, request: Any, call: Any) -> Any:
        self.requests.append(request)
        raise Failure("VENDOR_ERROR", "it was asked")

    see = FakeChat.chat
    embed = draw = speak = listen = rerank = open = _asked


@pytest.mark.parametrize("path", PAID)
async def test_no_route_goes_around_a_spent_credit(tmp_path: Path, path: str) -> None:
    capability, body = PAID[path]
    vendor, store = Everything("a", says("Hi")), SqliteDurable(tmp_path / "x.db")
    await store.add_project("p", "acct", 0, 0)
    await store.add_key(hash_key("one"), KeyRow("key_one", "p"))
    rows = catalogue(model("a", capability=capability, dimensions=2))
    async with client(tmp_path, [vendor], rows, no_auth=False, database=tmp_path / "x.db") as api:
        headers = {"Authorization": "Bearer one"}
        refused = await api.post(path, json=body | {"vendor": "a"}, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "INSUFFICIENT_CREDIT")
        assert vendor.requests == []
        await store.set_budget(Budget(project_scope("p"), "p", CREDIT))
        await api.post(path, json=body | {"vendor": "a"}, headers=headers)
        assert len(vendor.requests) >= 1  # the credit was all that stood in the way
    await store.close()


async def test_calls_without_a_key_go_by_the_budgets_of_their_project(tmp_path: Path) -> None:
    store = SqliteDurable(tmp_path / "x.db")
    async with client(tmp_path, [FakeChat("a", says("Hi"))], ROWS, database=tmp_path / "x.db") as api:
        assert (await api.post("/ai/chat", json=ASKED)).status_code == 200
        await store.set_budget(Budget(project_scope("local"), "local", 20_000, "month"))
        replies = [await api.post("/ai/chat", json=ASKED) for _ in range(2)]
        assert [reply.status_code for reply in replies] == [200, 402]
        refused = replies[1].json()["error"]
        assert refused["code"] == "BUDGET_EXCEEDED"
        assert refused["message"].startswith("the monthly budget of project local does not cover")
        assert (await api.get("/account/balance")).json()["data"]["balance_usd"] is None  # no credit pays
    await store.close()


async def test_a_failed_call_gives_everything_back(tmp_path: Path) -> None:
    async with shop(tmp_path, FakeChat("a", fails(Failure("CONTENT_FILTERED", "no")))) as at:
        assert (await at.ask()).status_code == 400
        assert await at.left() == CREDIT


async def test_concurrent_calls_never_spend_more_than_there_is(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        one_call = 20_000
        await at.store.set_budget(Budget(project_scope("p"), "p", 5 * one_call))
        replies = await asyncio.gather(*(at.ask() for _ in range(12)))
        paid = sum(reply.status_code == 200 for reply in replies)
        assert await at.left() == 5 * one_call - paid * one_call
        assert {reply.status_code for reply in replies} == {200, 402}


# -- idempotency -------------------------------------------------------------------------------------------------------


async def test_a_repetition_is_answered_once_paid_once_and_marked(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        first = await at.ask(idempotency_key="k")
        again = await at.ask(idempotency_key="k")
        assert again.json() == first.json()
        assert again.headers["idempotent-replay"] == "true"
        assert (await at.ask(idempotency_key="k", max_tokens=6)).status_code == 422
        assert (len(at.vendor.requests), await at.left()) == (1, CREDIT - 20_000)


async def test_a_repetition_needs_neither_credit_nor_a_vendor_that_is_well(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        first = await at.ask(idempotency_key="k")
        await at.store.set_budget(Budget(project_scope("p"), "p", 0))
        at.vendor.play = fails(Failure("VENDOR_ERROR", "down"))
        assert (await at.ask(idempotency_key="k")).json() == first.json()


async def test_a_repetition_is_only_for_a_key_that_may_use_the_model(tmp_path: Path) -> None:
    async with shop(tmp_path, narrow=Policy(models=("small",)), wide=Policy(models=("big", "small"))) as at:
        await at.ask(idempotency_key="k")
        assert (await at.ask("wide", idempotency_key="k")).status_code == 200
        refused = await at.ask("narrow", idempotency_key="k")
        assert (refused.status_code, len(at.vendor.requests)) == (403, 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_running_answer_is_joined_only_by_a_key_that_may_use_the_model(tmp_path: Path, stream: bool) -> None:
    go = asyncio.Event()
    policies = {"narrow": Policy(models=("small",)), "wide": Policy(models=("big", "small"))}
    async with shop(tmp_path, FakeChat("a", _held(go)), **policies) as at:
        asking = [asyncio.create_task(at.ask(idempotency_key="k", stream=stream))]
        while not at.vendor.requests:
            await asyncio.sleep(0)
        asking += [asyncio.create_task(at.ask(key, idempotency_key="k", stream=stream)) for key in ("wide", "narrow")]
        asyncio.get_running_loop().call_soon(go.set)
        first, wide, narrow = [await task for task in asking]
        assert (first.status_code, wide.text) == (200, first.text)
        assert (narrow.status_code, narrow.json()["error"]["code"]) == (403, "FORBIDDEN")
        assert (len(at.vendor.requests), await at.left()) == (1, CREDIT - 20_000)


def _held(go: asyncio.Event) -> Callable[[Request, Call], AsyncIterator[Event]]:
    """Says Hi when it may."""

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        await go.wait()
        yield Fragment(0, {"type": "text", "text": "Hi"})
        yield Finish("stop", USAGE)

    return play


# -- cache -------------------------------------------------------------------------------------------------------------


async def test_the_same_question_at_the_same_time_is_paid_once(tmp_path: Path) -> None:
    go = asyncio.Event()
    async with shop(tmp_path, FakeChat("a", _held(go))) as at:
        asking = [asyncio.create_task(at.ask(cache_strategy="infrai")) for _ in range(5)]
        while not at.vendor.requests:
            await asyncio.sleep(0)
        go.set()
        replies = [(await task).json() for task in asking]
        assert len(at.vendor.requests) == 1
        assert sorted(reply["metadata"]["cache_hit"] for reply in replies) == [False, True, True, True, True]
        assert {reply["data"]["content"] for reply in replies} == {"Hi"}
        assert await at.left() == CREDIT - 20_000


async def test_who_asks_the_same_does_not_wait_for_a_reader_that_takes_its_time(tmp_path: Path) -> None:
    """A stream's maker is only so far ahead of its readers; the one who waits for its answer counts as one."""
    vendor = FakeChat("a", says(*["word " * 1000] * (2 * WINDOW * BYTES_AHEAD // 5000)))
    app = create_app(settings(tmp_path), vendors=[vendor], catalogue=ROWS)
    asked = ASKED | {"stream": True, "cache_strategy": "infrai"}
    here = httpx.AsyncClient(transport=embedded.async_transport(app), base_url="http://embedded.invalid/v1")
    try:
        async with here as api, api.stream("POST", "/ai/chat", json=asked):
            again = await api.post("/ai/chat", json=asked)
    finally:
        embedded.shutdown()
    assert events(again.text)[-2]["metadata"]["cache_hit"]
    assert len(vendor.requests) == 1


async def test_who_waits_for_the_same_answer_gets_it_when_the_first_caller_leaves(tmp_path: Path) -> None:
    go = asyncio.Event()
    async with shop(tmp_path, FakeChat("a", _held(go))) as at:
        first, second = (asyncio.create_task(at.ask(cache_strategy="infrai")) for _ in range(2))
        while not at.vendor.requests:
            await asyncio.sleep(0)
        first.cancel()
        asyncio.get_running_loop().call_soon(go.set)
        assert (await second).json()["metadata"]["cache_hit"]
        assert (len(at.vendor.requests), await at.left()) == (1, CREDIT - 20_000)


@pytest.mark.parametrize("wrapped", [False, True], ids=["itself", "wrapped"])
async def test_a_keyed_answer_is_made_to_its_end_though_its_embedded_caller_leaves(
    tmp_path: Path, wrapped: bool
) -> None:
    begun, go = threading.Event(), threading.Event()

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        begun.set()
        while not go.is_set():
            await asyncio.sleep(0.001)
        yield Fragment(0, {"type": "text", "text": "Hi", "done": True})
        yield Finish("stop", USAGE)

    vendor = FakeChat("a", play)
    app = create_app(settings(tmp_path), vendors=[vendor], catalogue=ROWS)

    async def apart(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"state": dict(scope.get("state", {}))}, receive, send)

    transport = embedded.async_transport(apart if wrapped else app)
    here = httpx.AsyncClient(transport=transport, base_url="http://embedded.invalid/v1")

    async def ask() -> Any:
        return (await here.post("/ai/chat", json=ASKED, headers={"Idempotency-Key": "once"})).json()

    try:
        first = asyncio.create_task(ask())
        await asyncio.to_thread(begun.wait)
        joining = asyncio.create_task(ask())
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0.01)
        go.set()
        joined, replayed = await joining, await ask()
    finally:
        embedded.shutdown()
    assert joined["data"] == replayed["data"]
    assert (joined["data"]["content"], len(vendor.requests)) == ("Hi", 1)


async def test_who_waits_for_the_same_answer_waits_no_longer_than_it_wants(tmp_path: Path) -> None:
    go = asyncio.Event()
    async with shop(tmp_path, FakeChat("a", _held(go))) as at:
        first = asyncio.create_task(at.ask(cache_strategy="infrai"))
        while not at.vendor.requests:
            await asyncio.sleep(0)
        late = await at.ask(cache_strategy="infrai", timeout_seconds=0.01)
        assert (late.status_code, late.json()["error"]["code"]) == (504, "VENDOR_TIMEOUT")
        go.set()
        assert (await first).status_code == 200


async def test_a_stored_answer_is_only_for_a_key_that_may_use_its_model(tmp_path: Path) -> None:
    async with shop(tmp_path, narrow=Policy(models=("small",))) as at:
        asked: dict[str, Any] = {"cache_strategy": "infrai", "model": None}
        await at.ask(**asked, prefer="smartest")
        hit = await at.ask(**asked, prefer="smartest")
        other = await at.ask("narrow", **asked, prefer="smartest")
        assert hit.json()["metadata"]["cache_hit"]
        assert other.status_code == 200
        assert not other.json()["metadata"]["cache_hit"] or other.json()["metadata"]["model"] == "small"


async def test_a_request_that_is_known_by_its_bytes_still_goes_by_the_key_in_its_header(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:

        async def ask(key: str | None = None, **more: Any) -> httpx.Response:
            headers = {"Authorization": "Bearer one"} | ({} if key is None else {"Idempotency-Key": key})
            return await at.api.post("/ai/chat", json=ASKED | {"cache_strategy": "infrai"} | more, headers=headers)

        for hit in (False, True, True):
            assert (await ask()).json()["metadata"]["cache_hit"] is hit
        first, again = await ask("k"), await ask("k")
        assert "Idempotent-Replay" not in first.headers
        assert again.headers["Idempotent-Replay"] == "true"
        assert again.content == first.content
        assert (await ask("k" * 257)).json()["error"]["param"] == "idempotency_key"
        for _ in range(2):
            assert (await ask(idempotency_key="in the body")).status_code == 200
        assert (await ask("another", idempotency_key="in the body")).json()["error"]["param"] == "idempotency_key"
        assert (await ask("k", max_tokens=6)).json()["error"]["code"] == "IDEMPOTENCY_CONFLICT"


async def test_only_so_many_requests_are_known_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_READ", 1)
    async with shop(tmp_path) as at:
        for _ in range(3):
            for words in ("one", "two"):
                reply = await at.ask(messages=words, cache_strategy="infrai")
        assert reply.json()["metadata"]["cache_hit"]
        assert len(at.vendor.requests) == 2


# -- keys and limits ---------------------------------------------------------------------------------------------------


async def test_a_key_uses_only_the_models_it_may(tmp_path: Path) -> None:
    async with shop(tmp_path, narrow=Policy(models=("small",))) as at:
        assert (await at.ask("narrow", model="small")).status_code == 200
        refused = await at.ask("narrow", model="big")
        assert refused.status_code in (400, 403)
        assert len(at.vendor.requests) == 1


async def test_an_expired_key_opens_nothing(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        await at.store.add_key(hash_key("old"), replace(KeyRow("key_old", "p"), expires_s=1.0))
        assert (await at.ask("old")).status_code == 401


async def test_requests_per_minute_are_limited_with_headers_that_say_so(tmp_path: Path) -> None:
    async with shop(tmp_path, two=Policy(requests_per_minute=2)) as at:
        first, second, third = [await at.ask("two") for _ in range(3)]
        assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
        assert (first.headers["x-ratelimit-limit-requests"], first.headers["x-ratelimit-remaining-requests"]) == (
            "2",
            "1",
        )
        assert 1 <= int(third.headers["retry-after"]) <= 30
        assert (await at.ask()).status_code == 200  # another key has its own
        assert await at.left() == CREDIT - 3 * 20_000


async def test_tokens_per_minute_count_what_was_used(tmp_path: Path) -> None:
    async with shop(tmp_path, few=Policy(tokens_per_minute=60)) as at:
        codes = [(await at.ask("few")).status_code for _ in range(8)]
        assert codes[:3] == [200, 200, 200]  # each uses 15, less than was taken for it
        assert codes[-1] == 429


async def test_tokens_per_minute_count_as_the_model_has_counted_so_far(tmp_path: Path) -> None:
    long = "The raccoon opens doors with its clever paws and reads maps at night. " * 20
    often = {"prompt_tokens": 4000, "completion_tokens": 5, "total_tokens": 4005}
    needed = read("chat", ASKED | {"messages": long}).prompt.careful_for(MOST_RATIO) + ASKED["max_tokens"]
    async with shop(tmp_path, FakeChat("a", says("Hi", usage=often)), few=Policy(tokens_per_minute=2000)) as at:
        await at.ask(messages=long)  # it teaches
        await at.ask("few", messages=long)  # it uses more than a minute's
        refused = await at.ask("few", messages=long)
    assert refused.status_code == 429
    assert f"this call may need {needed}" in refused.json()["error"]["message"]


async def test_calls_at_the_same_time_are_limited_and_the_place_comes_back(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        await go.wait()
        yield Finish("stop", USAGE)

    async with shop(tmp_path, FakeChat("a", play), single=Policy(concurrency=1)) as at:
        first = asyncio.create_task(at.ask("single"))
        while not at.vendor.requests:
            await asyncio.sleep(0)
        refused = await at.ask("single")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        go.set()
        assert (await first).status_code == 200
        assert (await at.ask("single")).status_code == 200


async def test_tags_are_checked_by_name(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        refused = await at.ask(tags={"team": 5})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tags.team")
        unclear = await at.ask(tags={"a": "x=y", "a=x": "y"})  # both would be the budget a=x=y, and pay it twice
        assert (unclear.status_code, unclear.json()["error"]["param"]) == (400, "tags")
        assert (await at.ask(tags={"a": "x=y"})).status_code == 200
        for odd in ({"team": "a\0b"}, {"te\nam": "a"}, {"team": "\x9b"}):  # PostgreSQL cannot hold the first
            refused = await at.ask(tags=odd)
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tags")
