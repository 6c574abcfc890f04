"""The real runtime in this process, through the client that uses it."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_core import AsyncInfrai, ConfigError, Infrai
from infrai_core.direct import AsyncDirect, Request
from infrai_runtime import embedded
from infrai_runtime.app import create_app
from infrai_runtime.exchange import Exchange

from .api import settings
from .fake import FakeChat, catalogue, model, says


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("INFRAI_API_KEY", "INFRAI_BASE_URL", "INFRAI_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INFRAI_PUBLIC_URL", "https://media.example.com")
    yield tmp_path / "home"
    embedded.shutdown()


def test_clients_of_several_loops_and_of_a_thread_need_no_key_and_no_network() -> None:
    async def ask() -> str | None:
        async with AsyncInfrai(base_url="embedded") as client:
            return (await client.chat("What is 2+2?")).content

    with Infrai(base_url="embedded") as client:
        answers = [client.chat("What is 2+2?").content, asyncio.run(ask()), asyncio.run(ask())]
    assert len(set(answers)) == 1
    assert "4" in (answers[0] or "")


def test_a_call_leaves_nothing_of_itself_to_the_collector() -> None:
    def kept() -> int:
        return sum(isinstance(thing, Exchange) for thing in gc.get_objects())

    with Infrai(base_url="embedded") as client:
        client.chat("hello")
        gc.collect()
        gc.disable()
        others = kept()
        try:
            for _ in range(5):
                client.chat("hello")
            for _ in client.stream_chat("hello"):
                pass
            for _ in range(200):  # the last one ends a moment after its answer
                if kept() <= others:
                    break
                time.sleep(0.01)
            assert kept() <= others
        finally:
            gc.enable()


def test_a_stream_that_is_left_early_does_not_disturb_the_next_call() -> None:
    with Infrai(base_url="embedded") as client:
        with client.stream_chat("hello") as stream:
            next(iter(stream))
        assert client.stream_chat("hello").reply().content == client.chat("hello").content


def test_media_are_the_owners_files_also_where_a_public_url_is_set(home: Path) -> None:
    with Infrai(base_url="embedded") as client:
        image = client.image("a red circle").images[0]
        assert image.url is not None
        assert image.url.startswith((home / "media").as_uri())
        assert image.read().startswith(b"\x89PNG")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*")}
    files = {name for name, mode in modes.items() if mode == 0o600}
    assert {"signing.key", "runtime.db"} <= files
    assert all(mode in (0o600, 0o700) for mode in modes.values())


@pytest.mark.parametrize("database", [None, "memory"])
def test_a_home_that_cannot_be_written_is_named_with_what_moves_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, database: str | None
) -> None:
    home.write_text("a file where a directory is to be")
    if database is not None:
        monkeypatch.setenv("INFRAI_DATABASE", database)
    with (
        Infrai(base_url="embedded") as client,
        pytest.raises(ConfigError, match=f"cannot keep its state: .*{home}.*; INFRAI_HOME names another place"),
    ):
        client.chat("hello")


@pytest.mark.parametrize(
    ("variable", "database"), [("INFRAI_HOME", "other/runtime.db"), ("INFRAI_DATABASE", "other.db")]
)
def test_a_client_stays_with_the_environment_of_its_first_call_and_the_next_one_gets_the_changed(
    variable: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / database
    with Infrai(base_url="embedded") as first, Infrai(base_url="embedded") as second:
        first.chat("What is 2+2?")
        monkeypatch.setenv(variable, str(other.parent if variable == "INFRAI_HOME" else other))
        first.chat("What is 2+3?")
        assert not other.exists()
        second.chat("What is 2+4?")
        assert other.exists()


# -- keys that a client made -------------------------------------------------------------------------------------------


def stored_answers(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db:
        (count,) = db.execute("SELECT count(*) FROM answer").fetchone()
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, 0),
        ({"idempotency_key": "order-17"}, 1),
        ({"extra_headers": {"Idempotency-Key": "0" * 32}}, 1),
        ({"extra_headers": {"X-Team": "search"}}, 0),
    ],
    ids=["made", "given", "given as a header", "made, beside another header"],
)
def test_an_answer_is_at_rest_only_where_somebody_else_may_ask_for_it_again(
    options: dict[str, Any], kept: int, home: Path
) -> None:
    with Infrai(base_url="embedded") as client:
        first = client.chat("What is 2+2?", **options)
        assert client.chat("What is 2+2?", **options).content == first.content
    embedded.shutdown()
    assert stored_answers(home / "runtime.db") == kept


@dataclass
class Counter:
    """An embedded runtime whose vendor counts."""

    transport: AsyncDirect
    vendor: FakeChat

    async def open(self, key: int, read_timeout_s: float = 5.0, words: str = "Hello") -> Any:
        body = json.dumps({"messages": words, "model": "big"}).encode()
        headers = ((b"content-type", b"application/json"), (b"idempotency-key", b"%032x" % key))
        request = Request("POST", "http://embedded/v1/ai/chat", headers, body, read_timeout_s, 5.0, own_key=True)
        return await self.transport.open(request)


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    vendor = FakeChat("a", says("Hi"))
    app = create_app(settings(tmp_path), vendors=[vendor], catalogue=catalogue(model("a")))
    transport = embedded.client_transport("async", embedded.Source(object(), lambda: app))
    assert isinstance(transport, AsyncDirect)
    return Counter(transport, vendor)


def test_an_answer_that_its_caller_did_not_take_is_there_when_it_asks_again(counter: Counter) -> None:
    async def ask_twice() -> tuple[Any, Any]:
        await (await counter.open(1)).aclose()
        again, other = await counter.open(1), await counter.open(1, words="Goodbye")
        return again, other

    again, other = asyncio.run(ask_twice())
    assert (again.status, again.headers["idempotent-replay"]) == (200, "true")
    assert json.loads(again.whole())["data"]["content"] == "Hi"
    assert (other.status, len(counter.vendor.requests)) == (422, 1)


def test_whenever_a_caller_gives_up_the_vendor_is_asked_once(counter: Counter) -> None:
    moments = random.Random(7)

    async def call(key: int) -> int:
        given_up = 0
        while True:
            try:
                answer = await counter.open(key, read_timeout_s=moments.uniform(0, 0.004) * (1 + given_up))
            except httpx.ReadTimeout:
                given_up += 1
                continue
            if answer.whole() is not None:
                return given_up

    async def calls() -> list[int]:
        return [await call(key) for key in range(300)]

    given_up = asyncio.run(calls())
    assert any(given_up)
    assert len(counter.vendor.requests) == 300
