"""Batches as a caller sees them, over HTTP: handing in, progress, results, cancelling, expiry, money, limits."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_runtime.batch import desk, job
from infrai_runtime.failure import Failure
from infrai_runtime.keys import hash_key
from infrai_runtime.store.durable import Budget, KeyRow, Policy, project_scope
from infrai_runtime.store.sqlite import SqliteDurable
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Request

from .api import client
from .fake import USAGE, FakeChat, FakeEmbed, catalogue, model

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
NDJSON = "application/x-ndjson"
ONE_CALL = 20_000
CREDIT = 10**9


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Echo:
    """A chat that answers with the prompt; some prompts wait, some fail as often as told."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, request: Request, call: Call) -> AsyncIterator[Event]:
        prompt = request["messages"][0]["parts"][0]["text"]
        self.asked.append(prompt)
        if prompt.startswith("wait"):
            await self.go.wait()
        if self.failures.get(prompt):
            raise self.failures[prompt].pop(0)
        yield Fragment(0, {"type": "text", "text": f"echo {prompt}"})
        yield Finish("stop", USAGE)


@dataclass(frozen=True)
class Shop:
    """A runtime with an echoing vendor, whose database this test also holds."""

    api: httpx.AsyncClient
    store: SqliteDurable
    echo: Echo
    key: str = "one"
    model: str = "big"

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def post(self, path: str, **given: Any) -> httpx.Response:
        return await self.api.post(path, headers=self.auth | given.pop("headers", {}), **given)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.api.get(path, headers=self.auth | headers)

    async def submit(self, prompts: Iterable[str], **options: Any) -> Json:
        """The record of a batch of chats that was taken in."""
        reply = await self.post(
            "/ai/batch/submit", json={"requests": [chat(p, model=self.model) for p in prompts], **options}
        )
        assert reply.status_code == 200, reply.text
        record: Json = reply.json()["data"]
        return record

    async def ended(self, batch_id: str) -> Json:
        """The record once the batch has ended."""
        while True:
            record: Json = (await self.get(f"/ai/batch/status/{batch_id}")).json()["data"]
            if record["state"] not in ("queued", "running"):
                return record
            await asyncio.sleep(0.005)

    async def results(self, batch_id: str) -> list[Json]:
        reply = await self.get(f"/ai/batch/results/{batch_id}")
        assert reply.status_code == 200, reply.text
        rows: list[Json] = reply.json()["data"]["results"]
        return rows

    async def asked(self, prompt: str) -> None:
        """Returns when the vendor was asked this."""
        while prompt not in self.echo.asked:
            await asyncio.sleep(0.005)


def chat(prompt: str, **more: Any) -> Json:
    return {"capability": "chat", "body": {"messages": prompt, "model": "big", "max_tokens": 5, **more}}


def codes(rows: list[Json]) -> list[str]:
    return ["ok" if row["ok"] else row["error"]["code"] for row in rows]


@asynccontextmanager
async def shop(tmp_path: Path, credit: int = CREDIT, **more: Any) -> AsyncIterator[Shop]:
    echo = Echo()
    vendors: list[Any] = [FakeChat("a", echo), FakeEmbed("e")]
    rows = catalogue(model("a"), model("e", "vectors", capability="embed", default=True, dimensions=2))
    store = SqliteDurable(tmp_path / "x.db")
    await store.add_project("p", "acct", credit, 0)
    await store.add_project("q", "acct", credit, 0)
    policies = {"one": ("p", Policy()), "limited": ("p", Policy(requests_per_minute=600)), "other": ("q", Policy())}
    for name, (project, policy) in policies.items():
        await store.add_key(hash_key(name), KeyRow(f"key_{name}", project, policy=policy))
    async with client(tmp_path, vendors, rows, no_auth=False, database=tmp_path / "x.db", **more) as api:
        yield Shop(api, store, echo)
        if not more.get("embedded"):  # that one ends at once, whatever still runs
            echo.go.set()
    await store.close()


# -- how many there are ----------------------------------------------------------------------------------------------


async def numbers(at: Shop, name: str) -> dict[str, float]:
    """A gauge of ``/metrics`` by state, without those that are 0."""
    text = (await at.api.get("/metrics")).text
    rows = [line.removeprefix(f'{name}{{state="') for line in text.splitlines() if line.startswith(f"{name}{{")]
    found = {row.partition('"')[0]: float(row.rpartition(" ")[2]) for row in rows}
    return {state: number for state, number in found.items() if number}


async def test_the_metrics_tell_how_many_batches_and_requests_there_are_by_state(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        assert await numbers(at, "infrai_batches") == {}
        at.echo.failures["bad"] = [Failure("CONTENT_FILTERED", "no")]
        await at.ended((await at.submit(["one", "bad", "two"]))["batch_id"])
        running = await at.submit(["wait", "wait longer"])
        await at.asked("wait")
        assert await numbers(at, "infrai_batches") == {"completed": 1, "running": 1}
        assert await numbers(at, "infrai_batch_requests") == {"completed": 2, "failed": 1, "waiting": 2}
        at.echo.go.set()
        await at.ended(running["batch_id"])
        assert await numbers(at, "infrai_batches") == {"completed": 2}
        assert await numbers(at, "infrai_batch_requests") == {"completed": 4, "failed": 1}


# -- handing in and reading ------------------------------------------------------------------------------------------


async def test_results_come_in_order_each_an_answer_or_its_own_failure(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        at.echo.failures["bad"] = [Failure("CONTENT_FILTERED", "no")]
        requests = [chat("one"), chat("bad"), {"capability": "embed", "body": {"input": ["x", "y"]}}, chat("last")]
        reply = await at.post("/ai/batch/submit", json={"requests": requests, "metadata": {"run": "7"}})
        record = await at.ended(reply.json()["data"]["batch_id"])
        assert (record["state"], record["total_count"]) == ("completed", 4)
        assert (record["completed_count"], record["failed_count"], record["metadata"]) == (3, 1, {"run": "7"})
        rows = await at.results(record["batch_id"])
        assert codes(rows) == ["ok", "CONTENT_FILTERED", "ok", "ok"]
        assert rows[0]["data"]["content"] == "echo one"
        assert rows[2]["data"]["embeddings"] == [[1.0, 0.0], [1.0, 0.0]]
        assert {row["metadata"]["batch_id"] for row in rows} == {record["batch_id"]}


async def test_large_jobs_go_in_and_come_out_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "SHARD_REQUESTS", 7)

    async def lines() -> AsyncIterator[bytes]:
        data = b"\n".join(json.dumps(chat(f"n{n}")).encode() + (b"\r\n\n" if n == 3 else b"") for n in range(40))
        for start in range(0, len(data), 100):
            yield data[start : start + 100]

    async with shop(tmp_path) as at:
        path = '/ai/batch/submit?batch_timeout=2h&metadata={"a":1}'
        reply = await at.post(path, content=lines(), headers={"content-type": NDJSON})
        record = await at.ended(reply.json()["data"]["batch_id"])
        assert (record["completed_count"], record["metadata"]) == (40, {"a": 1})
        results = await at.get(f"/ai/batch/results/{record['batch_id']}", accept=NDJSON)
        assert (results.headers["content-type"], results.headers["x-infrai-total-count"]) == (NDJSON, "40")
        rows = [json.loads(line) for line in results.text.splitlines()]
        assert [row["index"] for row in rows] == list(range(40))
        assert [row["data"]["content"] for row in rows] == [f"echo n{n}" for n in range(40)]


@pytest.mark.parametrize(
    ("request_", "param", "told"),
    [
        (chat("x", colour="red"), "requests.1.body.colour", "unknown field"),
        ({"capability": "chat", "body": {"messages": 3}}, "requests.1.body.messages", "came 3"),
        ({"capability": "paint", "body": {}}, "requests.1.capability", "allowed is one of chat"),
        ({"capability": "realtime", "body": {}}, "requests.1.capability", "allowed is one of chat"),
        ({"capability": "chat", "body": {"messages": "x"}, "id": 1}, "requests.1.id", "unknown field"),
        (chat("x", stream=True), "requests.1.body.stream", "a request of a batch has none"),
        (chat("x", idempotency_key="k"), "requests.1.body.idempotency_key", "a request of a batch has none"),
        (chat("x", vendor_options={"a": {"url": 1}}), "requests.1.vendor_options.a.url", "unknown field"),
        ([], "requests.1.request", "an object"),
    ],
)
async def test_a_wrong_request_is_named_by_its_place_and_nothing_is_kept(
    tmp_path: Path, request_: Any, param: str, told: str
) -> None:
    async with shop(tmp_path) as at:
        whole = await at.post("/ai/batch/submit", json={"requests": [chat("fine"), request_]})
        body = b"\n".join(json.dumps(one).encode() for one in (chat("fine"), request_))
        lines = await at.post("/ai/batch/submit", content=body, headers={"content-type": NDJSON})
        for reply, place in ((whole, "requests.1: "), (lines, "line 2: ")):
            error = reply.json()["error"]
            assert (reply.status_code, error["code"], error["param"]) == (400, "INVALID_REQUEST", param)
            assert error["message"].startswith(place)
            assert told in error["message"]
        assert (await at.get("/ai/batch/list")).json()["data"]["data"] == []
        assert at.store._db.execute("SELECT count(*) FROM batch_shard").fetchone() == (0,)
        assert at.echo.asked == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "requests"),
        ({"requests": []}, "requests"),
        ({"requests": [chat("x")], "batch_timeout": "soon"}, "batch_timeout"),
        ({"requests": [chat("x")], "batch_timeout": "8d"}, "batch_timeout"),
        ({"requests": [chat("x")], "metadata": 3}, "metadata"),
        ({"requests": [chat("x")], "colour": "red"}, "colour"),
        ({"requests": [chat("x")], "idempotency_key": 3}, "idempotency_key"),
    ],
)
async def test_a_wrong_option_is_named(tmp_path: Path, body: Json, param: str) -> None:
    async with shop(tmp_path) as at:
        reply = await at.post("/ai/batch/submit", json=body)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_lines_that_are_no_json_too_long_or_too_many_are_refused_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "MAX_REQUEST_BYTES", 200)
    monkeypatch.setattr(job, "MAX_REQUESTS", 2)
    good = json.dumps(chat("x")).encode()
    bodies = {b"": (400, "at least"), good + b"\n{": (400, "line 2: this is not JSON")}
    bodies |= {good + b"\n" + b" " * 201: (413, "line 2: the request is larger than the 200 bytes")}
    bodies |= {b"\n".join([good] * 3): (413, "line 3: a batch has at most 2 requests")}
    bodies |= {good + b"\n" + b" " * 400: (413, "")}
    async with shop(tmp_path, max_batch_bytes=450) as at:
        for body, (status, told) in bodies.items():
            reply = await at.post("/ai/batch/submit", content=body, headers={"content-type": NDJSON})
            assert (reply.status_code, body[:1]) == (status, body[:1])
            assert told in reply.json()["error"]["message"] or not body


async def test_compressed_lines_are_refused_as_what_they_are(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        refused = await at.post("/ai/batch/submit", content=gzip.compress(b"{}"), headers=headers)
        assert (refused.status_code, refused.json()["error"]["param"]) == (415, "content-encoding")


async def test_a_repetition_of_a_submission_is_the_same_batch(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        given = {"requests": [chat("x")], "metadata": {"a": 1}}
        first = await at.post("/ai/batch/submit", json=given, headers={"idempotency-key": "k"})
        again = await at.post("/ai/batch/submit", json=given | {"idempotency_key": "k"})
        assert again.json()["data"]["batch_id"] == first.json()["data"]["batch_id"]
        assert again.headers["idempotent-replay"] == "true"
        other = await at.post("/ai/batch/submit", json={"requests": [chat("y")]}, headers={"idempotency-key": "k"})
        assert (other.status_code, other.json()["error"]["code"]) == (422, "IDEMPOTENCY_CONFLICT")
        await at.ended(first.json()["data"]["batch_id"])
        assert at.echo.asked == ["x"]


async def test_a_batch_belongs_to_its_project(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        record = await at.submit(["x"])
        other = Shop(at.api, at.store, at.echo, "other")
        for reply in (
            await other.get(f"/ai/batch/status/{record['batch_id']}"),
            await other.get(f"/ai/batch/results/{record['batch_id']}"),
            await other.post(f"/ai/batch/cancel/{record['batch_id']}"),
        ):
            assert (reply.status_code, reply.json()["error"]["param"]) == (404, "batch_id")
        assert (await other.get("/ai/batch/list")).json()["data"]["data"] == []
        assert (await at.api.get("/ai/batch/list")).status_code == 401


async def test_the_list_is_read_page_by_page(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        ids = [(await at.submit(["x"]))["batch_id"] for _ in range(3)]
        page = (await at.get("/ai/batch/list?limit=2")).json()["data"]
        assert ([row["batch_id"] for row in page["data"]], page["has_more"]) == (ids[:0:-1], True)
        rest = (await at.get(f"/ai/batch/list?limit=2&after={ids[1]}")).json()["data"]
        assert ([row["batch_id"] for row in rest["data"]], rest["has_more"]) == (ids[:1], False)


async def test_a_chat_in_batch_mode_is_a_batch_of_one(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        asked = {"messages": "x", "model": "big", "batch_mode": True}
        reply = await at.post("/ai/chat", json=asked, headers={"idempotency-key": "k"})
        assert reply.status_code == 202
        record = await at.ended(reply.json()["data"]["batch_id"])
        (row,) = await at.results(record["batch_id"])
        assert row["data"]["content"] == "echo x"
        again = await at.post("/ai/chat", json=asked, headers={"idempotency-key": "k"})
        assert again.json()["data"]["batch_id"] == record["batch_id"]
        refused = await at.post("/ai/chat", json=asked | {"stream": True})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "batch_mode")


async def test_what_a_batch_may_cost_is_told_when_it_is_handed_in(tmp_path: Path) -> None:
    async with shop(tmp_path, batch_concurrency=0) as at:
        record = await at.submit(f"n{n}" for n in range(200))
        one = 1e-6 + 5 * 2e-6  # a token in, five out
        assert record["estimated_cost_usd"] == pytest.approx(200 * one, rel=0.2)
        unknown = {"capability": "chat", "body": {"messages": "x", "vendor": "a", "model": "new"}}
        reply = await at.post("/ai/batch/submit", json={"requests": [chat("x"), unknown]})
        assert reply.json()["data"]["estimated_cost_usd"] is None


# -- closing -----------------------------------------------------------------------------------------------------------


async def test_results_are_there_only_when_nothing_changes_any_more(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        record = await at.submit(["wait"])
        refused = await at.get(f"/ai/batch/results/{record['batch_id']}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "BATCH_NOT_DONE")
        assert "0 of 1" in refused.json()["error"]["message"]


async def test_what_was_not_begun_when_a_batch_was_cancelled_says_so_and_what_runs_is_finished(tmp_path: Path) -> None:
    async with shop(tmp_path, batch_concurrency=1) as at:
        record = await at.submit(["first", "wait", "never"])
        await at.asked("wait")
        cancelled = (await at.post(f"/ai/batch/cancel/{record['batch_id']}")).json()["data"]
        assert cancelled["state"] == "running"  # one of its requests still runs
        at.echo.go.set()
        record = await at.ended(record["batch_id"])
        assert (record["state"], record["completed_count"], record["failed_count"]) == ("cancelled", 2, 1)
        assert codes(await at.results(record["batch_id"])) == ["ok", "ok", "BATCH_CANCELLED"]
        assert at.echo.asked == ["first", "wait"]
        again = await at.post(f"/ai/batch/cancel/{record['batch_id']}")
        assert again.json()["data"]["state"] == "cancelled"


async def test_what_was_not_begun_by_the_deadline_has_expired(tmp_path: Path) -> None:
    async with shop(tmp_path, batch_concurrency=0) as at:
        record = await at.submit(["x", "y"], batch_timeout="1s")
        record = await at.ended(record["batch_id"])
        assert (record["state"], record["failed_count"]) == ("expired", 2)
        assert codes(await at.results(record["batch_id"])) == ["BATCH_EXPIRED"] * 2


async def test_a_batch_that_was_interrupted_goes_on_when_the_runtime_is_back(tmp_path: Path) -> None:
    async with shop(tmp_path, batch_concurrency=1, embedded=True) as at:
        record = await at.submit(["first", "wait", "last"])
        await at.asked("wait")
    rows = catalogue(model("a"))
    echo = Echo()
    echo.go.set()
    options: Json = {"no_auth": False, "database": tmp_path / "x.db"}
    async with client(tmp_path, [FakeChat("a", echo)], rows, **options) as api:
        store = SqliteDurable(tmp_path / "x.db")
        at = Shop(api, store, echo)
        record = await at.ended(record["batch_id"])
        assert record["completed_count"] == 3
        assert echo.asked == ["wait", "last"]  # the first had its outcome
        await store.close()


# -- money and limits --------------------------------------------------------------------------------------------------


async def test_each_request_is_paid_once_and_its_rows_name_the_batch(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        record = await at.ended((await at.submit(f"n{n}" for n in range(25)))["batch_id"])
        assert await at.store.balance_nano("p") == CREDIT - 25 * ONE_CALL
        rows = await at.results(record["batch_id"])
        for row in rows:
            booked = await at.store.rows(row["metadata"]["request_id"])
            assert [(one.kind, one.batch_id) for one in booked] == [
                ("attempt", record["batch_id"]),
                ("answer", record["batch_id"]),
            ]


async def test_credit_that_runs_out_fails_the_rest_and_nothing_is_overspent(tmp_path: Path) -> None:
    async with shop(tmp_path, credit=3 * ONE_CALL, batch_concurrency=1) as at:
        record = await at.ended((await at.submit(f"n{n}" for n in range(6)))["batch_id"])
        found = codes(await at.results(record["batch_id"]))
        assert found[0] == "ok"
        assert set(found) == {"ok", "INSUFFICIENT_CREDIT"}
        assert await at.store.balance_nano("p") == (3 - found.count("ok")) * ONE_CALL
        assert record["completed_count"] == found.count("ok") == len(at.echo.asked)


async def test_a_request_waits_for_money_that_another_call_has_set_aside_and_does_not_need(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        call = asyncio.create_task(at.post("/ai/chat", json=chat("wait", max_tokens=1000)["body"]))
        await at.asked("wait")
        (credit,) = await at.store.budgets("p", 0)
        await at.store.set_budget(replace(credit, limit_nano=credit.reserved_nano + ONE_CALL))
        refused = await at.post("/ai/chat", json=chat("x", max_tokens=999)["body"])
        assert (refused.status_code, refused.headers["retry-after"]) == (402, "1")
        assert "set money aside" in refused.json()["error"]["hint"]
        asked = [chat("x", max_tokens=999), chat("never", max_tokens=2000)]
        record = (await at.post("/ai/batch/submit", json={"requests": asked})).json()["data"]
        while (await at.get(f"/ai/batch/status/{record['batch_id']}")).json()["data"]["failed_count"] == 0:
            await asyncio.sleep(0.005)  # what no money that comes back would cover has failed by now
        at.echo.go.set()
        assert (await call).status_code == 200
        await at.ended(record["batch_id"])
        assert codes(await at.results(record["batch_id"])) == ["ok", "INSUFFICIENT_CREDIT"]


async def test_what_was_refused_for_a_moment_is_tried_again(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        at.echo.failures["x"] = [Failure("RATE_LIMITED", "slow down", retry_after_s=0.01)]
        record = await at.ended((await at.submit(["x"]))["batch_id"])
        assert (record["state"], at.echo.asked) == ("completed", ["x", "x"])
        assert await at.store.balance_nano("p") == CREDIT - ONE_CALL


async def test_a_revoked_keys_batch_does_not_go_on(tmp_path: Path) -> None:
    async with shop(tmp_path, batch_concurrency=0) as at:
        record = await at.submit(["x"])
        await at.store.end_key("key_one")
    echo = Echo()
    options: Json = {"no_auth": False, "database": tmp_path / "x.db"}
    async with client(tmp_path, [FakeChat("a", echo)], catalogue(model("a")), **options) as api:
        store = SqliteDurable(tmp_path / "x.db")
        at = Shop(api, store, echo, "limited")
        record = await at.ended(record["batch_id"])
        assert (record["state"], echo.asked) == ("failed", [])
        assert codes(await at.results(record["batch_id"])) == ["UNAUTHORIZED"]
        await store.close()


async def test_a_key_that_is_revoked_while_its_batch_runs_begins_no_further_request(tmp_path: Path) -> None:
    async with shop(tmp_path, batch_concurrency=1) as at:
        at.echo.failures["slow"] = [Failure("RATE_LIMITED", "slow down", retry_after_s=1.1)]
        record = await at.submit(["first", "slow", "last"])
        await at.asked("slow")
        await at.store.end_key("key_one")
        beside = Shop(at.api, at.store, at.echo, "limited")
        ended = await beside.ended(record["batch_id"])
        assert (ended["completed_count"], ended["failed_count"], at.echo.asked) == (1, 2, ["first", "slow"])
        assert codes(await beside.results(record["batch_id"])) == ["ok", "UNAUTHORIZED", "UNAUTHORIZED"]


@pytest.mark.parametrize("path", ["status/a%00b", "results/%C3%BC", "cancel/a%0ab"])
async def test_an_id_that_no_batch_can_have_is_of_none(tmp_path: Path, path: str) -> None:
    async with shop(tmp_path) as at:
        found = await at.api.request(
            "POST" if path.startswith("cancel") else "GET", f"/ai/batch/{path}", headers=at.auth
        )
        assert (found.status_code, found.json()["error"]["code"]) == (404, "NOT_FOUND")
        listed = await at.get("/ai/batch/list?after=a%00b")
        assert (listed.status_code, listed.json()["error"]["param"]) == (400, "after")


async def test_a_call_that_somebody_waits_for_takes_the_place_of_a_request_of_a_batch(tmp_path: Path) -> None:
    async with shop(tmp_path, batch_concurrency=2) as at:
        interactive = [asyncio.create_task(at.post("/ai/chat", json=chat("wait")["body"])) for _ in range(2)]
        await at.asked("wait")
        record = await at.submit(f"n{n}" for n in range(10))
        record = await at.ended(record["batch_id"])  # it goes on, one at a time
        assert record["completed_count"] == 10
        at.echo.go.set()
        assert {(await task).status_code for task in interactive} == {200}


async def test_the_budget_that_pays_is_the_projects_as_it_stands_when_the_request_is_run(tmp_path: Path) -> None:
    async with shop(tmp_path) as at:
        await at.store.set_budget(Budget(project_scope("p"), "p", 0))
        record = await at.ended((await at.submit(["x"]))["batch_id"])
        assert (record["state"], codes(await at.results(record["batch_id"]))) == ("failed", ["INSUFFICIENT_CREDIT"])
