"""``kill -9`` between any two steps of the pipeline, on both durable stores: what the next process makes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_runtime.store.durable import UNKNOWN
from infrai_runtime.testing.halt import STEPS
from tests.servers import Postgres
from tests.serving import ServedProcess, served_process

from .fleet import configured, until
from .state import Key, State, on_postgres, on_sqlite
from .vendor import COST_NANO, Vendor, serving

ASKED = "asked"
"""The vendor has been asked and holds its answer."""
RUNS = ("admitted", "limited", ASKED, "answered")
BOOKED = ("booked",)
CHARGED = (ASKED, "answered", *BOOKED)
HALT = "infrai_runtime.testing.halt"


@dataclass(frozen=True)
class Site:
    """A store, a vendor, and a runtime that outlives the others (``heir``, its address)."""

    home: Path
    database: str
    state: State
    vendor: Vendor
    heir: str = ""

    @contextmanager
    def runtime(self, *options: str, module: str = "infrai_runtime.serve") -> Iterator[ServedProcess]:
        environ = {"INFRAI_DATABASE": self.database, "INFRAI_VENDORS": "acme"}
        with served_process(self.home, *options, environ=environ, module=module) as process:
            yield process

    def ask(self, at: str, key: Key, prompt: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {key.secret}", "idempotency-key": "k"}
        body = {"messages": prompt, "model": "m", "max_tokens": 5}
        return httpx.post(f"{at}/ai/chat", json=body, headers=headers, timeout=30, trust_env=False)


@contextmanager
def postgres(directory: Path) -> Iterator[tuple[str, State]]:
    server = Postgres()
    with server.up():
        yield server.url(), on_postgres(server.url())
    server.close()


@contextmanager
def sqlite(directory: Path) -> Iterator[tuple[str, State]]:
    path = directory / "state.db"
    yield str(path), on_sqlite(path)


@pytest.fixture(scope="module", params=[sqlite, postgres])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    with request.param(directory) as (database, state), serving() as vendor:
        configured(directory / "home", vendor)
        bare = Site(directory / "home", database, state, vendor)
        with bare.runtime() as heir:
            yield replace(bare, heir=heir.base_url)


@pytest.mark.parametrize("step", [*STEPS, ASKED])
def test_a_retry_after_a_kill_gives_one_answer_and_the_books_are_right(site: Site, step: str) -> None:
    key = site.state.key(requests_per_minute=1000)
    killed(site, key, step)
    if step in RUNS:
        early = site.ask(site.heir, key, step)
        assert (early.status_code, early.json()["error"]["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
        assert site.state.money(key)[1] > 0  # still set aside: nobody knows yet that its owner is dead
        site.state.leases_are_over(site.state.owner(key))
    answer = site.ask(site.heir, key, step)
    again = site.ask(site.heir, key, step)
    assert answer.json()["data"]["content"] == f"Answer to {step}"
    assert (answer.headers.get("idempotent-replay") == "true") is (step in BOOKED)
    assert (again.headers["idempotent-replay"], again.content) == ("true", answer.content)
    rows = site.state.ledger(key)
    unknown = [row for row in rows if row.outcome == UNKNOWN]
    assert len(unknown) == (step in RUNS)
    assert all(row.idempotency_key == "k" and row.cost_nano is None for row in unknown)
    assert [row.cost_nano for row in rows if row.kind == "answer"] == [COST_NANO]
    assert site.state.money(key) == (COST_NANO, 0)
    account = COST_NANO * site.vendor.charged(step)
    assert account == COST_NANO * (1 + (step in CHARGED and step not in BOOKED))
    assert COST_NANO <= account <= COST_NANO + sum(row.reserved_nano for row in unknown)


def killed(site: Site, key: Key, step: str) -> None:
    """A call reaches the step in a process that is killed there."""
    halting = () if step == ASKED else ("--at", step)
    module = HALT if halting else "infrai_runtime.serve"
    with (
        site.vendor.holding(step) as gate,
        ThreadPoolExecutor(1) as pool,
        site.runtime(*halting, module=module) as process,
    ):
        call = pool.submit(site.ask, process.base_url, key, step)
        if step == ASKED:
            gate.wait()
        else:
            gate.open()
            assert process.process.stdout is not None
            assert process.process.stdout.readline() == f"halted at {step}\n"
        process.process.kill()
        process.process.wait()
        assert isinstance(call.exception(), httpx.TransportError)


def test_a_kill_in_the_middle_of_a_stream_leaves_an_outcome_that_nobody_knows(site: Site) -> None:
    key = site.state.key()
    body = {"messages": "cut", "model": "m", "max_tokens": 5, "stream": True}
    how: dict[str, Any] = {"headers": {"authorization": f"Bearer {key.secret}", "idempotency-key": "k"}}
    how |= {"json": body, "timeout": 30, "trust_env": False}
    with (
        site.vendor.holding("cut"),
        site.runtime() as process,
        httpx.stream("POST", f"{process.base_url}/ai/chat", **how) as answer,
    ):
        pieces = answer.iter_bytes()
        assert b"one" in next(pieces)
        process.process.kill()
        process.process.wait()
        with pytest.raises(httpx.TransportError):
            list(pieces)
    site.state.leases_are_over(site.state.owner(key))
    assert httpx.post(f"{site.heir}/ai/chat", **how).content.endswith(b"data: [DONE]\n\n")
    assert sorted(row.outcome for row in site.state.ledger(key)) == sorted(["ok", "ok", UNKNOWN])
    assert site.state.money(key) == (COST_NANO, 0)


def test_a_file_is_whole_after_a_kill_under_load_and_holds_every_answer(tmp_path: Path) -> None:
    with sqlite(tmp_path) as (database, state), serving() as vendor:
        configured(tmp_path / "home", vendor)
        site = Site(tmp_path / "home", database, state, vendor)
        key = state.key()
        with ThreadPoolExecutor(8) as pool, site.runtime() as process:
            asking = [pool.submit(ask_until_gone, process.base_url, key, n) for n in range(8)]
            until(lambda: len(vendor.charges) > 40, "the vendor is busy")
            process.process.kill()
            answered = [answer for call in asking for answer in call.result()]
        with closing(sqlite3.connect(database)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with site.runtime() as restarted:
            assert site.ask(restarted.base_url, key, "after").status_code == 200
    booked = {row.request_id for row in state.ledger(key) if row.kind == "answer"}
    assert len(answered) > 10
    assert booked >= set(answered)
    assert state.money(key)[0] == COST_NANO * len(booked)


def ask_until_gone(at: str, key: Key, caller: int) -> list[str]:
    """The request ids of what was answered until nobody answered any more."""
    answered: list[str] = []
    headers = {"authorization": f"Bearer {key.secret}"}
    with httpx.Client(base_url=at, headers=headers, timeout=30, trust_env=False) as http:
        while True:
            try:
                reply = http.post("/ai/chat", json={"messages": f"{caller}", "model": "m", "max_tokens": 5})
            except httpx.TransportError:
                return answered
            answered.append(str(reply.json()["metadata"]["request_id"]))
