"""Batches that go to the vendors' own batch services, which are real servers here."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from infrai_core.fetch import Fetcher
from infrai_runtime.batch.native import FULL_PAUSE_S
from infrai_runtime.keys import hash_key
from infrai_runtime.settings import Settings
from infrai_runtime.store.durable import UNKNOWN, KeyRow, Policy
from infrai_runtime.store.sqlite import SqliteDurable
from infrai_runtime.vendors import configured
from infrai_runtime.vendors.known import KNOWN
from tests.vendors.batch_services import (
    Anthropic,
    BatchService,
    Fireworks,
    Gemini,
    Moonshot,
    OpenAI,
    OpenRouter,
    Xai,
    Zhipu,
)
from tests.vendors.fake import KEY, Fake, says, serving

from .api import client
from .fake import catalogue, model
from .test_batches import CREDIT, Echo, Shop, codes

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
Service = Callable[[], BatchService]
PRICES = {"input_mtok": 2, "output_mtok": 4, "batch_input_mtok": 1, "batch_output_mtok": 2}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def shop(
    tmp_path: Path, service: BatchService, usd: Json = PRICES, credit: int = CREDIT, **more: Any
) -> AsyncIterator[Shop]:
    """A runtime whose only vendor has a batch service."""
    name = type(service).__name__.lower()
    environ = {KNOWN[name].keys[0]: KEY, KNOWN[name].urls[0]: f"{service.url}{service.base}"}
    vendors = configured(Settings.from_environment({"INFRAI_HOME": str(tmp_path), "INFRAI_VENDORS": name, **environ}))
    store = SqliteDurable(tmp_path / "x.db")
    if await store.balance_nano("p") is None:
        await store.add_project("p", "acct", credit, 0)
        await store.add_key(hash_key("one"), KeyRow("key_one", "p", policy=Policy()))
    options: Json = {"no_auth": False, "database": tmp_path / "x.db", "batch_poll_s": 0.02, **more}
    there, fetcher = catalogue(model(name, service.model, usd=usd)), Fetcher(allow=lambda host, ip: True)
    async with client(tmp_path, vendors, there, fetcher=fetcher, **options) as api:
        yield Shop(api, store, Echo(), model=service.model)
    await store.close()


async def handed_over(service: BatchService) -> None:
    while not service.jobs:
        await asyncio.sleep(0.005)


ALL: list[Service] = [OpenAI, Anthropic, Gemini, Xai, Moonshot, Zhipu, OpenRouter, Fireworks]
KEYED: list[Service] = [OpenAI, Gemini, Xai, Moonshot, Zhipu, Fireworks]
"""Those whose jobs carry the key that they were handed in with."""
STOPPED: list[Service] = [OpenAI, Anthropic, Gemini, Xai, Moonshot, Zhipu]
"""Those whose jobs can be stopped and keep what they have done."""


@pytest.mark.parametrize("kind", ALL)
async def test_a_job_at_the_vendor_costs_its_batch_price_and_fails_row_by_row(tmp_path: Path, kind: Service) -> None:
    with serving(kind()) as service:
        service.refused = {"n2"}
        async with shop(tmp_path, service) as at:
            record = await at.submit(f"n{n}" for n in range(4))
            await handed_over(service)
            assert (await at.get(f"/ai/batch/status/{record['batch_id']}")).json()["data"]["state"] == "running"
            left = await at.store.balance_nano("p")
            assert left is not None
            assert left < CREDIT  # set aside
            service.done = True
            record = await at.ended(record["batch_id"])
            rows = await at.results(record["batch_id"])
            assert codes(rows) == ["ok", "ok", "CONTEXT_LENGTH_EXCEEDED", "ok"]
            assert [row["data"]["content"] for row in rows if row["ok"]] == ["echo n0", "echo n1", "echo n3"]
            usage = rows[0]["data"]["usage"]
            cost = usage["prompt_tokens"] * 1e-6 + usage["completion_tokens"] * 2e-6
            assert rows[0]["metadata"]["cost_usd"] == pytest.approx(cost)
            paid = sum(round(row["metadata"]["cost_usd"] * 1e9) for row in rows if row["ok"])
            assert await at.store.balance_nano("p") == CREDIT - paid
            booked = await at.store.rows(rows[0]["metadata"]["request_id"])
            assert {(row.batch_id, row.cost_nano) for row in booked} == {(record["batch_id"], round(cost * 1e9))}
            assert service.jobs == {"job0": ["n0", "n1", "n2", "n3"]}


async def test_a_batch_price_that_is_not_known_makes_the_cost_unknown(tmp_path: Path) -> None:
    with serving(OpenAI()) as service:
        service.done = True
        async with shop(tmp_path, service, usd={"input_mtok": 2, "output_mtok": 4}) as at:
            record = await at.ended((await at.submit(["x"]))["batch_id"])
            (row,) = await at.results(record["batch_id"])
            assert (row["ok"], row["metadata"]["cost_usd"]) == (True, None)


async def test_a_batch_that_wants_its_results_sooner_is_run_here(tmp_path: Path) -> None:
    with serving(OpenAI()) as service:
        service.live = says(service.completion("now"))
        async with shop(tmp_path, service) as at:
            record = await at.ended((await at.submit(["x"], batch_timeout="23h"))["batch_id"])
            assert (record["completed_count"], service.jobs) == (1, {})


@pytest.mark.parametrize("kind", STOPPED)
async def test_cancelling_stops_the_vendors_job_and_keeps_what_it_has_done(tmp_path: Path, kind: Service) -> None:
    with serving(kind()) as service:
        async with shop(tmp_path, service) as at:
            record = await at.submit(["n0", "n1", "n2"])
            await handed_over(service)
            await at.post(f"/ai/batch/cancel/{record['batch_id']}")
            record = await at.ended(record["batch_id"])
            assert (record["state"], record["completed_count"]) == ("cancelled", 1)
            rows = await at.results(record["batch_id"])
            assert codes(rows) == ["ok", "BATCH_CANCELLED", "BATCH_CANCELLED"]
            paid = round(rows[0]["metadata"]["cost_usd"] * 1e9)
            assert await at.store.balance_nano("p") == CREDIT - paid


async def test_another_runtime_goes_on_with_the_job_and_nothing_is_booked_twice(tmp_path: Path) -> None:
    with serving(OpenAI()) as service:
        async with shop(tmp_path, service) as at:
            record = await at.submit(["n0", "n1"])
            await handed_over(service)
        service.done = True
        async with shop(tmp_path, service) as at:
            record = await at.ended(record["batch_id"])
            rows = await at.results(record["batch_id"])
            assert codes(rows) == ["ok", "ok"]
            paid = sum(round(row["metadata"]["cost_usd"] * 1e9) for row in rows)
            assert await at.store.balance_nano("p") == CREDIT - paid
        assert len(service.jobs) == 1


async def died_over_handing_in(at: Path) -> None:
    """As a process leaves it that was killed before it could write down the vendor's name of the job."""
    store = SqliteDurable(at / "x.db")
    [(note,)] = await store._fetch("SELECT job FROM batch_shard")
    unnamed = json.dumps([group | {"job": None} for group in json.loads(note)])
    await store._write(("UPDATE batch_shard SET lease_s = 0, wake_s = 0, job = $1", (unnamed,)))
    await store.close()


@pytest.mark.parametrize("kind", KEYED)
async def test_a_job_whose_worker_died_over_handing_it_in_is_found_at_the_vendor(tmp_path: Path, kind: Service) -> None:
    with serving(kind()) as service:
        async with shop(tmp_path, service) as at:
            record = await at.submit(["n0", "n1"])
            await handed_over(service)
        await died_over_handing_in(tmp_path)
        service.done = True
        async with shop(tmp_path, service) as at:
            record = await at.ended(record["batch_id"])
            rows = await at.results(record["batch_id"])
            assert (codes(rows), len(service.jobs)) == (["ok", "ok"], 1)
            paid = sum(round(row["metadata"]["cost_usd"] * 1e9) for row in rows)
            assert await at.store.balance_nano("p") == CREDIT - paid
            assert await at.store._fetch("SELECT 1 FROM ledger WHERE outcome = $1", UNKNOWN) == []


@pytest.mark.parametrize("kind", [Anthropic, OpenRouter])
async def test_where_jobs_carry_no_key_such_a_job_is_an_unknown_outcome_and_done_again(
    tmp_path: Path, kind: Service
) -> None:
    with serving(kind()) as service:
        async with shop(tmp_path, service) as at:
            record = await at.submit(["n0", "n1"])
            await handed_over(service)
        await died_over_handing_in(tmp_path)
        service.done = True
        async with shop(tmp_path, service) as at:
            record = await at.ended(record["batch_id"])
            rows = await at.results(record["batch_id"])
            assert codes(rows) == ["ok", "ok"]
            assert len(service.jobs) == 2
            unknown = await at.store._fetch("SELECT reserved_nano FROM ledger WHERE outcome = $1", UNKNOWN)
            assert [row[0] > 0 for row in unknown] == [True, True]
            paid = sum(round(row["metadata"]["cost_usd"] * 1e9) for row in rows)
            assert await at.store.balance_nano("p") == CREDIT - paid


@pytest.mark.parametrize("kind", KEYED)
async def test_a_job_whose_answer_was_lost_is_not_handed_in_twice(tmp_path: Path, kind: Service) -> None:
    with serving(kind()) as service:
        service.unanswered, service.done = 1, True
        async with shop(tmp_path, service) as at:
            record = await at.ended((await at.submit(["n0", "n1"]))["batch_id"])
            rows = await at.results(record["batch_id"])
            assert [row["data"]["content"] for row in rows] == ["echo n0", "echo n1"]
            assert len(service.jobs) == 1
            paid = sum(round(row["metadata"]["cost_usd"] * 1e9) for row in rows)
            assert await at.store.balance_nano("p") == CREDIT - paid


@pytest.mark.parametrize("kind", [OpenAI, Moonshot, Fireworks])
async def test_what_a_job_did_not_come_to_before_it_expired_is_run_here(tmp_path: Path, kind: Service) -> None:
    with serving(kind()) as service:
        service.expired, service.refused, service.done = {"n1"}, {"n2"}, True
        service.live = says(service.completion("here"))
        async with shop(tmp_path, service) as at:
            record = await at.ended((await at.submit(f"n{n}" for n in range(4)))["batch_id"])
            rows = await at.results(record["batch_id"])
            assert codes(rows) == ["ok", "ok", "CONTEXT_LENGTH_EXCEEDED", "ok"]
            assert [row["data"]["content"] for row in rows if row["ok"]] == ["echo n0", "here", "echo n3"]
            batched, usual = (round(rows[place]["metadata"]["cost_usd"] * 1e9) for place in (0, 1))
            assert usual == 2 * batched
            assert await at.store.balance_nano("p") == CREDIT - 2 * batched - usual


@pytest.mark.parametrize("kind", [OpenAI, Zhipu, OpenRouter, Fireworks])
async def test_results_that_came_cut_are_read_again_and_booked_once(tmp_path: Path, kind: Service) -> None:
    with serving(kind()) as service:
        service.short, service.done = 1, True
        async with shop(tmp_path, service) as at:
            record = await at.ended((await at.submit(f"n{n}" for n in range(4)))["batch_id"])
            rows = await at.results(record["batch_id"])
            assert [row["data"]["content"] for row in rows] == [f"echo n{n}" for n in range(4)]
            paid = sum(round(row["metadata"]["cost_usd"] * 1e9) for row in rows)
            assert await at.store.balance_nano("p") == CREDIT - paid
            assert len(service.jobs) == 1
            assert service.short < 0


async def test_results_that_stay_fewer_than_the_vendor_counts_are_not_waited_for_for_ever(tmp_path: Path) -> None:
    with serving(OpenAI()) as service:
        service.short, service.done = 99, True
        service.live = says(service.completion("here"))
        async with shop(tmp_path, service) as at:
            record = await at.ended((await at.submit(["n0", "n1"]))["batch_id"])
            rows = await at.results(record["batch_id"])
            assert [row["data"]["content"] for row in rows] == ["echo n0", "here"]


@pytest.mark.parametrize("kind", STOPPED)
async def test_a_vendor_that_does_not_hear_of_a_cancellation_is_told_again(tmp_path: Path, kind: Service) -> None:
    with serving(kind()) as service:
        service.deaf = True
        async with shop(tmp_path, service) as at:
            record = await at.submit(["n0", "n1"])
            await handed_over(service)
            await at.post(f"/ai/batch/cancel/{record['batch_id']}")
            while len(cancellations(service)) < 2:
                await asyncio.sleep(0.005)
            service.deaf = False
            record = await at.ended(record["batch_id"])
            assert codes(await at.results(record["batch_id"])) == ["ok", "BATCH_CANCELLED"]


async def test_a_vendor_is_not_asked_for_a_job_sooner_than_it_says(tmp_path: Path) -> None:
    with serving(OpenAI()) as service:
        service.busy = True
        async with shop(tmp_path, service) as at:
            await at.submit(["n0"])
            while not any(seen.path == "/v1/batches/job0" for seen in service.requests):
                await asyncio.sleep(0.005)
            wake_s, now_s = 0.0, time.time()
            while wake_s < now_s + 500:
                [(wake_s,)] = await at.store._fetch("SELECT wake_s FROM batch_shard")
                await asyncio.sleep(0.005)
            assert wake_s == pytest.approx(now_s + 600, abs=30)


@pytest.mark.parametrize("kind", [OpenAI, Xai, Fireworks])
async def test_a_vendor_that_takes_no_more_jobs_is_left_alone_for_a_while_and_asked_again(
    tmp_path: Path, kind: Service
) -> None:
    with serving(kind()) as service:
        service.full = service.done = True
        async with shop(tmp_path, service) as at:
            record, began_s = await at.submit(["n0", "n1"]), time.time()
            wake_s = 0.0
            while wake_s <= began_s:
                [(wake_s,)] = await at.store._fetch("SELECT wake_s FROM batch_shard")
                await asyncio.sleep(0.005)
            assert wake_s >= began_s + FULL_PAUSE_S
            assert (await at.get(f"/ai/batch/status/{record['batch_id']}")).json()["data"]["state"] == "running"
            service.full = False
            await at.store._fetch("UPDATE batch_shard SET wake_s = 0")  # the pause is over
            record = await at.ended(record["batch_id"])
            assert codes(await at.results(record["batch_id"])) == ["ok", "ok"]
            assert list(service.jobs.values()) == [["n0", "n1"]]  # none was run here meanwhile


def cancellations(service: BatchService) -> list[str]:
    return [seen.path for seen in service.requests if seen.path.endswith(("/cancel", ":cancel"))]


@pytest.mark.parametrize("kind", [OpenAI, OpenRouter, Fireworks])
async def test_a_job_that_the_vendor_does_not_take_or_fails_is_run_here(tmp_path: Path, kind: Service) -> None:
    with serving(kind()) as service:
        service.failed = True
        service.live = says(service.completion("here"))
        async with shop(tmp_path, service) as at:
            record = await at.ended((await at.submit(["x"]))["batch_id"])
            (row,) = await at.results(record["batch_id"])
            assert row["data"]["content"] == "here"
            assert await at.store.balance_nano("p") == CREDIT - round(row["metadata"]["cost_usd"] * 1e9)


async def test_requests_that_the_credit_does_not_cover_stay_out_of_the_job(tmp_path: Path) -> None:
    with serving(OpenAI()) as service:
        service.done = True
        async with shop(tmp_path, service, credit=50_000) as at:
            record = await at.ended((await at.submit(f"n{n}" for n in range(9)))["batch_id"])
            found = codes(await at.results(record["batch_id"]))
            assert set(found) == {"ok", "INSUFFICIENT_CREDIT"}
            assert len(service.jobs["job0"]) == found.count("ok") == record["completed_count"]


async def test_a_job_that_cannot_be_stopped_is_waited_for_and_paid(tmp_path: Path) -> None:
    with serving(OpenRouter()) as service:
        async with shop(tmp_path, service) as at:
            record = await at.submit(["n0", "n1"])
            await handed_over(service)
            await at.post(f"/ai/batch/cancel/{record['batch_id']}")
            service.done = True
            record = await at.ended(record["batch_id"])
            rows = await at.results(record["batch_id"])
            assert (record["state"], codes(rows)) == ("completed", ["ok", "ok"])
            paid = sum(round(row["metadata"]["cost_usd"] * 1e9) for row in rows)
            assert await at.store.balance_nano("p") == CREDIT - paid


async def test_what_a_job_that_was_stopped_by_deleting_it_has_cost_is_an_unknown_outcome(tmp_path: Path) -> None:
    with serving(Fireworks()) as service:
        async with shop(tmp_path, service) as at:
            record = await at.submit(["n0", "n1"])
            await handed_over(service)
            await at.post(f"/ai/batch/cancel/{record['batch_id']}")
            record = await at.ended(record["batch_id"])
            assert record["state"] == "cancelled"
            assert codes(await at.results(record["batch_id"])) == ["BATCH_CANCELLED", "BATCH_CANCELLED"]
            unknown = await at.store._fetch("SELECT reserved_nano FROM ledger WHERE outcome = $1", UNKNOWN)
            assert [row[0] > 0 for row in unknown] == [True, True]
            assert await at.store.balance_nano("p") == CREDIT


async def test_a_model_that_the_batch_service_lacks_is_run_here(tmp_path: Path) -> None:
    with serving(Moonshot()) as service:
        service.model = "kimi-k3"
        service.live = says(service.completion("here"))
        async with shop(tmp_path, service) as at:
            record = await at.ended((await at.submit(["x"]))["batch_id"])
            (row,) = await at.results(record["batch_id"])
            assert (row["data"]["content"], service.jobs) == ("here", {})
            assert {seen.path for seen in service.requests} == {"/v1/chat/completions"}


async def test_a_vendor_that_has_no_batch_service_at_this_address_says_so_once_and_for_all(tmp_path: Path) -> None:
    """As api.z.ai may, whose pages do not have the service that those of open.bigmodel.cn have."""
    with serving(Fake({"/v1/chat/completions": says(Zhipu().completion("here"))}, vendor="zhipu")) as fake:
        service = Zhipu()
        service.url = fake.url
        async with shop(tmp_path, service) as at:
            record = await at.ended((await at.submit(["x"]))["batch_id"])
            (row,) = await at.results(record["batch_id"])
            assert row["data"]["content"] == "here"
            assert [seen.path for seen in fake.requests] == ["/v1/files", "/v1/chat/completions"]
            assert await at.store._fetch("SELECT 1 FROM ledger WHERE outcome = $1", UNKNOWN) == []


async def test_a_vendor_that_keeps_few_files_is_left_none_of_a_job_that_was_read(tmp_path: Path) -> None:
    with serving(Moonshot()) as service:
        service.done = True
        async with shop(tmp_path, service) as at:
            await at.ended((await at.submit(["n0", "n1"]))["batch_id"])
        assert service.deleted == ["file-0"]
