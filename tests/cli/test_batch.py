"""Batch jobs and workers on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infrai_core.fetch import Fetcher
from infrai_runtime.app import create_app
from infrai_runtime.settings import Settings
from infrai_runtime.vendors import configured
from infrai_runtime.vendors.known import KNOWN
from tests.cli.conftest import Run
from tests.runtime.api import served, settings
from tests.runtime.fake import catalogue, model
from tests.serving import served_process
from tests.vendors.batch_services import BatchService, Fireworks, Moonshot, OpenRouter, Zhipu
from tests.vendors.fake import KEY, serving

EMBEDDED = ("--base-url", "embedded")


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """A file of requests, one of which fails."""
    bodies: list[dict[str, object]] = [{"messages": f"What is {n} + {n}?"} for n in range(3)]
    bodies.append({"messages": "x", "model": "no-such-model"})
    path = tmp_path / "questions.ndjson"
    path.write_text("".join(json.dumps({"capability": "chat", "body": body}) + "\n" for body in bodies))
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """A served runtime, as the flags that lead to it."""
    with served_process(tmp_path / "served", "--no-auth") as process:
        yield ("--base-url", process.base_url)


def test_a_file_is_handed_in_waited_for_and_its_results_written(run: Run, questions: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.ndjson"
    code, _, err = run("batch", "submit", str(questions), "--wait", "--poll", "0.05", "--out", str(out), *EMBEDDED)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert (code, [row["ok"] for row in rows]) == (0, [True, True, True, False])
    assert "4" in rows[2]["data"]["content"]
    assert rows[3]["error"]["code"] == "MODEL_NOT_FOUND"
    assert err.splitlines()[-1].endswith("4/4 completed, 1 failed")


def serves(home: Path, service: BatchService) -> Any:
    """A served runtime whose only vendor has a batch service."""
    name = type(service).__name__.lower()
    environ = {KNOWN[name].keys[0]: KEY, KNOWN[name].urls[0]: f"{service.url}{service.base}"}
    vendors = configured(Settings.from_environment({"INFRAI_HOME": str(home), "INFRAI_VENDORS": name, **environ}))
    usd = {"input_mtok": 2, "output_mtok": 4, "batch_input_mtok": 1, "batch_output_mtok": 2}
    rows, fetcher = catalogue(model(name, service.model, usd=usd)), Fetcher(allow=lambda host, ip: True)
    kept = settings(home, database=home / "x.db", batch_poll_s=0.02)
    return served(create_app(kept, vendors=vendors, catalogue=rows, fetcher=fetcher))


@pytest.mark.parametrize("kind", [Moonshot, Zhipu, OpenRouter, Fireworks])
def test_a_file_of_many_requests_comes_back_in_order_from_a_vendors_batch_service(
    run: Run, tmp_path: Path, kind: Callable[[], BatchService]
) -> None:
    count, file, out = 600, tmp_path / "many.ndjson", tmp_path / "answers.ndjson"
    with serving(kind()) as service, serves(tmp_path / "served", service) as url:
        service.done, service.refused = True, {"n7", "n550"}
        bodies = ({"messages": f"n{n}", "model": service.model, "max_tokens": 5} for n in range(count))
        file.write_text("".join(json.dumps({"capability": "chat", "body": body}) + "\n" for body in bodies))
        code, _, err = run(
            "batch", "submit", str(file), "--wait", "--poll", "0.05", "--out", str(out), "--base-url", url
        )
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert (code, err.splitlines()[-1].rpartition("] ")[2]) == (0, f"{count}/{count} completed, 2 failed")
    assert [row["index"] for row in rows] == [*range(count)]
    refused = [n for n, row in enumerate(rows) if not row["ok"]]
    assert refused == [7, 550]
    assert all(row["data"]["content"] == f"echo n{n}" for n, row in enumerate(rows) if row["ok"])
    assert {len(job) for job in service.jobs.values()} == {500, 100}


def test_a_job_is_followed_by_its_id(run: Run, questions: Path, server: tuple[str, ...]) -> None:
    code, out, _ = run("batch", "submit", str(questions), "--metadata", "run=7", "--timeout", "1h", *server)
    batch_id = out.strip()
    assert (code, batch_id[:6]) == (0, "batch_")
    assert run("batch", "wait", batch_id, "--poll", "0.05", *server)[0] == 0
    status = json.loads(run("batch", "status", batch_id, *server)[1])
    assert (status["state"], status["completed_count"], status["failed_count"]) == ("completed", 3, 1)
    assert len(run("batch", "results", batch_id, *server)[1].splitlines()) == 4
    assert run("batch", "cancel", batch_id, *server)[:2] == (0, "completed\n")
    listed = run("batch", "list", *server)[1].splitlines()[2].split()
    assert listed[:5] == [batch_id, "completed", "4", "3", "1"]


@pytest.mark.parametrize(
    ("line", "options", "told"),
    [
        ("{", (), "line 1: this is not JSON"),
        ("[]", (), "line 1: came list"),
        ('{"capability": "chat", "body": {"messages": 3}}', (), "line 1: messages: came 3"),
        ('{"capability": "chat", "body": {"messages": "x"}}', ("--metadata", "x"), "NAME=VALUE"),
        ('{"capability": "chat", "body": {"messages": "x"}}', ("--timeout", "soon"), "batch_timeout"),
        ("{", ("--wait", "--poll=-1"), "--poll: came '-1', allowed is a number above 0"),
        ("{", ("--wait", "--poll", "nan"), "--poll: came 'nan', allowed is a number above 0"),
    ],
)
def test_what_is_wrong_is_named(run: Run, tmp_path: Path, line: str, options: tuple[str, ...], told: str) -> None:
    path = tmp_path / "wrong.ndjson"
    path.write_text(line)
    code, _, err = run("batch", "submit", str(path), *options, *EMBEDDED)
    assert code != 0
    assert told in err


def test_a_worker_needs_a_database_that_others_see(run: Run) -> None:
    code, _, err = run("worker", "--database", "memory")
    assert (code, "not memory" in err) == (2, True)
    assert run("worker", "--concurrency", "0")[0] == 2
