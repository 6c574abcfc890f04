"""Workers in processes of their own: what a killed one leaves is taken up, and nothing is paid or asked twice."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infrai_runtime.batch.desk import Desk
from infrai_runtime.batch.job import Job, in_body
from infrai_runtime.keys import Caller
from infrai_runtime.request import Ask
from infrai_runtime.runtime import durable
from infrai_runtime.store.durable import UNKNOWN, Durable
from infrai_runtime.store.sql import SqlDurable
from tests.servers import Postgres
from tests.vendors.fake import KEY, Fake, Said, Seen, says, serving
from tests.vendors.openai_answers import OPENAI

from .test_store import emptied, postgres  # noqa: F401  # a fixture

Json = dict[str, Any]
CREDIT = 10**9
PROJECT = Caller("p")
TOTAL = 6
STUCK = 3
"""The place of the request at which the first worker is killed."""


class Vendor(Fake):
    """Answers chats; the first time it is asked the stuck one it does not answer before the test is over."""

    def __init__(self) -> None:
        super().__init__({"/v1/chat/completions": says(OPENAI["text"].completion)})
        self.stuck, self.over = threading.Event(), threading.Event()

    def answer(self, seen: Seen) -> Said:
        said = super().answer(seen)
        if self.prompts().count(f"n{STUCK}") == 1 and f"n{STUCK}" in json.dumps(seen.body):
            self.stuck.set()
            self.over.wait(60)
        return said

    def prompts(self) -> list[str]:
        return [re.findall(r"n\d+", json.dumps(seen.body["messages"]))[0] for seen in self.requests]


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    with serving(made):
        yield made
        made.over.set()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "x.db")
    server: Postgres = request.getfixturevalue("postgres")
    asyncio.run(_empty(server.url()))
    return server.url()


async def _empty(url: str) -> None:
    await (await emptied(url)).close()


@contextmanager
def worker(home: Path, database: str, vendor: Vendor, concurrency: int) -> Iterator[subprocess.Popen[str]]:
    """``infrai worker``, once it has begun."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("INFRAI_")}
    environ = {"INFRAI_HOME": str(home), "INFRAI_DATABASE": database, "OPENAI_API_KEY": KEY}
    command = [sys.executable, "-m", "infrai_cli", "worker", "--concurrency", str(concurrency)]
    process = subprocess.Popen(
        command, env={**clean, **environ, "OPENAI_BASE_URL": f"{vendor.url}/v1"}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert "requests at a time" in process.stdout.readline()
        yield process
    finally:
        process.stdout.close()
        if process.poll() is None:
            process.kill()
        process.wait()


def on(database: str, body: Callable[[Durable], Any]) -> Any:
    async def run() -> Any:
        store = await durable(database if "://" in database else Path(database))
        try:
            return await body(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def submitted(store: Durable) -> str:
    await store.add_project("p", "acct", CREDIT, 0)
    requests = [_request(n) for n in range(TOTAL)]
    made = await _desk(store).submit(PROJECT, Job(timeout_s=3600), in_body({"requests": requests}))
    return str(made.record["batch_id"])


def _request(n: int) -> Json:
    return {"capability": "chat", "body": {"messages": f"n{n}", "vendor": "openai", "model": "gpt-5.2"}}


def _desk(store: Durable) -> Desk:
    return Desk(store, {}, _free, time.time)


async def _free(caller: Caller, ask: Ask) -> int | None:
    return 0


async def lapsed(store: Durable) -> None:
    """As if half a minute had gone by: nobody vouches for what the killed process held."""
    assert isinstance(store, SqlDurable)
    await store._write(("UPDATE call SET lease_s = 0", ()), ("UPDATE batch_shard SET lease_s = 0", ()))


async def ended(store: Durable, batch_id: str) -> tuple[Json, list[Json]]:
    desk = _desk(store)
    while (record := await desk.record(PROJECT, batch_id))["state"] in ("queued", "running"):
        await asyncio.sleep(0.02)
    _, rows = await desk.results(PROJECT, batch_id)
    return record, [json.loads(row) async for row in rows]


async def costs(store: Durable) -> tuple[int, int, list[int]]:
    """What is left of the credit, what the ledger's answers cost, and what unknown outcomes had set aside."""
    assert isinstance(store, SqlDurable)
    answers = await store._fetch("SELECT cost_nano FROM ledger WHERE kind = 'answer'")
    unknown = await store._fetch("SELECT reserved_nano FROM ledger WHERE outcome = $1", UNKNOWN)
    left = await store.balance_nano("p")
    assert left is not None
    return left, sum(row[0] for row in answers), [row[0] for row in unknown]


def test_a_killed_workers_shard_is_taken_over_and_no_known_outcome_is_asked_or_paid_again(
    tmp_path: Path, database: str, vendor: Vendor
) -> None:
    batch_id = on(database, submitted)
    with worker(tmp_path, database, vendor, 1) as first:
        assert vendor.stuck.wait(60)
        first.send_signal(signal.SIGKILL)
        first.wait()
    on(database, lapsed)
    with worker(tmp_path, database, vendor, 4):
        record, rows = on(database, lambda store: ended(store, batch_id))
    assert (record["state"], record["completed_count"]) == ("completed", TOTAL)
    assert [row["ok"] for row in rows] == [True] * TOTAL
    once = {f"n{n}": 1 for n in range(TOTAL)}
    asked = {prompt: vendor.prompts().count(prompt) for prompt in once}
    assert asked == once | {f"n{STUCK}": 2}  # nobody knows what became of that one
    left, paid, unknown = on(database, costs)
    assert (CREDIT - left, len(unknown)) == (paid, 1)
    assert paid == sum(round(row["metadata"]["cost_usd"] * 1e9) for row in rows) > 0
    assert unknown[0] > 0


def test_a_worker_that_is_asked_to_end_finishes_what_runs_and_leaves_the_rest(
    tmp_path: Path, database: str, vendor: Vendor
) -> None:
    batch_id = on(database, submitted)
    with worker(tmp_path, database, vendor, 1) as first:
        assert vendor.stuck.wait(60)
        first.terminate()
        assert first.stdout is not None
        assert "ending" in first.stdout.readline()
        vendor.over.set()
        assert first.wait(60) == 0
    assert vendor.prompts() == [f"n{n}" for n in range(STUCK + 1)]
    with worker(tmp_path, database, vendor, 4):
        record, _ = on(database, lambda store: ended(store, batch_id))
    assert (record["completed_count"], len(vendor.requests)) == (TOTAL, TOTAL)
