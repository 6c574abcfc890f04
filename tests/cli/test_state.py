"""The operator's commands on a runtime's database: keys, budgets, usage, db."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from infrai_cli.database import shown_usd
from infrai_cli.usage_plot import MOST_PARTS, parts_of, title
from infrai_runtime.keys import hash_key
from infrai_runtime.store.durable import Admission, Booking, LedgerRow, UsageRow, key_scope
from infrai_runtime.store.sqlite import SqliteDurable

from .conftest import Run


def field(out: str, name: str) -> str:
    return next(line.removeprefix(name).strip() for line in out.splitlines() if line.startswith(name))


def test_a_key_is_shown_once_and_only_its_hash_is_stored(run: Run, home: Path) -> None:
    code, out, _ = run("keys", "create", "--name", "ci", "--rpm", "60", "--model", "m", "--concurrency", "2")
    key = field(out, "key  ")
    assert (code, key[:12]) == (0, "ifr_pk_proj_")
    assert key not in run("keys", "list")[1]
    with closing(sqlite3.connect(home / "runtime.db")) as db:
        assert [row[0] for row in db.execute("SELECT key_hash FROM key")] == [hash_key(key)]
    listed = run("keys", "list")[1].splitlines()[2]
    assert "m, 60 rpm, 2 calls" in listed
    assert "active" in listed


def test_a_rotated_key_keeps_its_rights_and_the_old_one_ends(run: Run) -> None:
    old = field(run("keys", "create", "--name", "ci", "--tpm", "9")[1], "key id")
    code, out, _ = run("keys", "rotate", old, "--grace-hours", "1")
    new = field(out, "key id")
    rows = {line.split()[0]: line for line in run("keys", "list")[1].splitlines()[2:]}
    assert code == 0
    assert "until" in rows[old]
    assert "active" in rows[new]
    assert "9 tpm" in rows[new]
    assert run("keys", "revoke", new)[0] == 0
    assert "revoked" in run("keys", "list")[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("keys", "revoke", "nobody"), "no such key"),
        (("keys", "rotate", "nobody"), "no such key"),
        (("keys", "create", "--project", "nobody"), "no such project"),
        (("keys", "create", "--rpm", "many"), "came 'many', allowed is a whole number from 1 on"),
        (("keys", "create", "--expires-days", "nan"), "came 'nan', allowed is a number from 0 to 100,000"),
        (("keys", "create", "--expires-days=-1"), "came '-1', allowed is a number from 0 to 100,000"),
        (
            ("keys", "create", "--vendor", "opnai"),
            "--vendor: 'opnai' is no vendor; did you mean 'openai'? There are anthropic",
        ),
        (("keys", "create", "--credit", "nan"), "'nan': allowed is an amount of USD"),
        (("keys", "create", "--credit", "1e30"), "from 0 to 1,000,000,000"),
        (("keys", "create", "--credit", "0.0000000001"), "at most 9 decimals"),
        (("keys", "rotate", "nobody", "--grace-hours", "inf"), "came 'inf', allowed is a number from 0 to 100,000"),
        (("keys", "list", "--project", "nobody"), "no such project"),
        (("budgets", "list", "nobody"), "no such project"),
        (("budgets", "set", "p", "much"), "amount of USD"),
        (("budgets", "set", "p", "1", "--tag", "team"), "NAME=VALUE"),
        (("budgets", "drop", "p"), "no such budget"),
        (("usage", "--by", "colour"), "allowed are day"),
        (("usage", "--since", "yesterday"), "2026-11-01"),
    ],
)
def test_what_is_wrong_is_named(run: Run, words: tuple[str, ...], told: str) -> None:
    code, _, err = run(*words)
    assert code == 2
    assert told in err


def test_a_key_may_be_for_a_vendor_that_only_vendors_toml_knows(run: Run, home: Path) -> None:
    words = ("keys", "create", "--vendor", "my-gateway", "--vendor", "local")
    assert "'my-gateway' is no vendor" in run(*words)[2]
    assert len(run("keys", "list")[1].splitlines()) == 2  # nothing was made
    (home / "vendors.toml").write_text('[my-gateway]\ndialect = "openai"\nbase_url = "https://llm.example.com/v1"\n')
    assert run(*words)[0] == 0
    assert "my-gateway, local" in run("keys", "list")[1]


def test_a_rotated_keys_budget_goes_on_with_what_was_spent(run: Run, home: Path) -> None:
    out = run("keys", "create")[1]
    project, old = field(out, "project"), field(out, "key id")
    run("budgets", "set", project, "3", "--key", old)

    async def spend() -> None:
        store = SqliteDurable(home / "runtime.db")
        admission = Admission(project, "r", "f", "r", "me", 0.0, reserve_nano=10**9, scopes=(key_scope(old),))
        await store.admit(admission)
        await store.book(Booking(admission, 0.0, 10**9, []))
        await store.close()

    asyncio.run(spend())
    new = field(run("keys", "rotate", old)[1], "key id")
    rows = {line.split()[0]: line.split()[1:] for line in run("budgets", "list", project)[1].splitlines()}
    assert rows[f"key:{new}"] == rows[f"key:{old}"] == ["total", "$3.0000", "$1.0000", "$0.0000", "$2.0000"]


def test_a_key_that_has_ended_is_not_rotated_and_none_goes_on_longer_by_it(run: Run) -> None:
    ended = field(run("keys", "create", "--expires-days", "0")[1], "key id")
    gone = field(run("keys", "create")[1], "key id")
    soon = field(run("keys", "create", "--expires-days", "1")[1], "key id")
    run("keys", "revoke", gone)
    before = next(line for line in run("keys", "list")[1].splitlines() if soon in line)
    assert "expired" in run("keys", "rotate", ended, "--grace-hours", "24")[2]
    assert "revoked" in run("keys", "rotate", gone)[2]
    assert run("keys", "rotate", soon, "--grace-hours", "999")[0] == 0
    assert before in run("keys", "list")[1]
    assert sum("active" in line for line in run("keys", "list")[1].splitlines()) == 0


@pytest.mark.parametrize("project", ["embedded", "local"])
def test_calls_without_a_key_have_budgets_too(run: Run, project: str) -> None:
    assert run("budgets", "set", project, "20", "--period", "month")[0] == 0
    assert run("budgets", "set", project, "2", "--tag", "team=red")[0] == 0
    listed = [line.split()[:3] for line in run("budgets", "list", project)[1].splitlines()[2:]]
    assert listed == [[f"project:{project}", "month", "$20.0000"], [f"tag:{project}:team=red", "total", "$2.0000"]]


def test_what_would_change_nothing_is_refused(run: Run) -> None:
    """A credit for a project that has one, and the budget of a key that no call of the project uses."""
    project = field(run("keys", "create")[1], "project")
    other = field(run("keys", "create")[1], "key id")
    assert f"infrai budgets set {project} 50" in run("keys", "create", "--project", project, "--credit", "50")[2]
    assert "has no such key" in run("budgets", "set", project, "3", "--key", other)[2]
    assert run("budgets", "drop", project)[0] == 0
    assert run("keys", "create", "--project", project)[0] == 0


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        (0, "$0.0000"),
        (20_000, "$0.00002"),
        (183_400, "$0.0001834"),
        (1, "$0.000000001"),
        (-20_000, "$-0.00002"),
        (1_500_000_000, "$1.5000"),
        (12_345_678, "$0.0123"),
        (None, "unknown"),
    ],
)
def test_an_amount_that_is_not_nothing_is_not_shown_as_nothing(nano: int | None, shown: str) -> None:
    assert shown_usd(nano) == shown


def test_budgets_are_set_listed_and_dropped(run: Run) -> None:
    project = field(run("keys", "create", "--credit", "7.5")[1], "project")
    assert run("budgets", "set", project, "2", "--tag", "team=red", "--period", "month")[0] == 0
    out = run("budgets", "list", project)[1]
    assert "$7.5000" in out
    assert [line.split()[1:3] for line in out.splitlines() if "team=red" in line] == [["month", "$2.0000"]]
    assert "team=red" not in run("budgets", "drop", project, "--tag", "team=red")[1]


def test_a_credit_and_a_monthly_budget_stand_side_by_side(run: Run) -> None:
    project = field(run("keys", "create", "--credit", "7.5")[1], "project")
    assert run("budgets", "set", project, "2", "--period", "month")[0] == 0
    listed = [line.split()[1:3] for line in run("budgets", "list", project)[1].splitlines()[2:]]
    assert listed == [["total", "$7.5000"], ["month", "$2.0000"]]
    assert "say --period total or month" in run("budgets", "drop", project)[2]
    assert "no such budget" in run("budgets", "drop", project, "--period", "day")[2]
    out = run("budgets", "drop", project, "--period", "total")[1]
    assert [line.split()[1:3] for line in out.splitlines()[2:]] == [["month", "$2.0000"]]
    assert run("budgets", "drop", project)[0] == 0  # there is one


@pytest.fixture
def spent(home: Path) -> None:
    """A database with two answered calls, one of unknown cost."""

    async def write() -> None:
        store = SqliteDurable(home / "runtime.db")
        rows = [
            LedgerRow(
                *("answer", 0.0, "p", "k1", "r1", "chat", "acme", "big", "ok", 1.0, 10, 5, 1_500_000_000)
            )._replace(tags={"team": "red", "job": "nightly"}),
            LedgerRow("answer", 86_400.0, "p", "k1", "r2", "chat", "acme", "big", "ok", 1.0, 1, 1, None),
        ]
        rows += [row._replace(kind="attempt", reserved_nano=0 if row.cost_nano else 2_000_000_000) for row in rows]
        await store.book(Booking(Admission("p", "r", "f", "r", "me", 0.0), 0.0, 0, rows))
        await store.close()

    asyncio.run(write())


def test_usage_keeps_unknown_costs_apart_in_every_format(run: Run, spent: None) -> None:
    table = run("usage")[1].splitlines()[2].split()
    assert table == ["acme", "big", "2", "11", "6", "$1.5000", "1", "0", "$2.0000"]
    (row,) = json.loads(run("usage", "--by", "key", "--format", "json")[1])
    assert (row["key"], row["calls"], row["cost_usd"], row["unpriced_calls"]) == ("k1", 2, 1.5, 1)
    rows = list(csv.DictReader(io.StringIO(run("usage", "--by", "day", "--format", "csv")[1])))
    assert [(r["day"], r["cost_usd"]) for r in rows] == [("1970-01-01", "1.5"), ("1970-01-02", "0.0")]
    assert len(run("usage", "--by", "day", "--since", "1970-01-02")[1].splitlines()) == 3


def test_usage_by_tag_has_a_row_for_each_and_one_for_calls_without(run: Run, spent: None) -> None:
    lines = [line.split()[:2] for line in run("usage", "--by", "tag")[1].splitlines()[2:]]
    assert sorted(lines) == [["-", "1"], ["job=nightly", "1"], ["team=red", "1"]]
    rows = list(csv.DictReader(io.StringIO(run("usage", "--by", "tag,model", "--format", "csv")[1])))
    assert {(r["tag"], r["model"], r["cost_usd"]) for r in rows} >= {("team=red", "big", "1.5"), ("", "big", "0.0")}


@pytest.mark.parametrize(("day", "calls"), [("0001-01-01", "2"), ("1600-01-01", "2"), ("9999-12-31", None)])
def test_usage_may_be_asked_since_any_day(run: Run, spent: None, day: str, calls: str | None) -> None:
    lines = run("usage", "--since", day)[1].splitlines()[2:]
    assert [line.split()[2] for line in lines] == ([calls] if calls else [])


def test_a_spreadsheet_runs_nothing_that_a_caller_has_named(run: Run, home: Path) -> None:
    async def write() -> None:
        store = SqliteDurable(home / "runtime.db")
        row = LedgerRow("answer", 0.0, "p", "k1", "r1", "chat", "acme", "=1+1", "ok", 1.0, 10, 5, 5)
        await store.book(
            Booking(Admission("p", "r", "f", "r", "me", 0.0), 0.0, 0, [row._replace(tags={"@SUM(1)": "x"})])
        )
        await store.close()

    asyncio.run(write())
    (row,) = csv.DictReader(io.StringIO(run("usage", "--by", "tag,model", "--format", "csv")[1]))
    assert (row["tag"], row["model"]) == ("'@SUM(1)=x", "'=1+1")
    assert json.loads(run("usage", "--format", "json")[1])[0]["model"] == "=1+1"


@pytest.mark.parametrize("words", [("usage",), ("keys", "list"), ("budgets", "list", "p")])
def test_who_only_reads_makes_no_database_where_one_was_misspelt(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    named = tmp_path / "runtme.db"
    code, _, err = run(*words, "--database", str(named))
    assert (code, f"there is no database {named}" in err, named.exists()) == (2, True, False)


def test_a_file_that_is_no_database_is_named(run: Run, tmp_path: Path) -> None:
    named = tmp_path / "notes.txt"
    named.write_text("not a database" * 100)
    code, _, err = run("db", "upgrade", "--database", str(named))
    assert (code, err) == (2, f"infrai: the database {named} cannot be opened: file is not a database\n")
    assert named.read_text() == "not a database" * 100


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_usage_is_drawn(run: Run, spent: None, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cost.{suffix}"
    assert run("usage", "--by", "day,model", "--plot", str(path))[0] == 0
    assert path.read_bytes()[:4] == {"png": b"\x89PNG", "svg": b"<?xm"}[suffix]


def test_a_drawing_is_of_the_dearest_and_loses_nothing() -> None:
    """More colours than one can tell apart say nothing; what is cheaper is one part."""
    rows = [_day("2026-11-01", f"m{n}", n) for n in range(1, 21)] + [_day("2026-11-30", "m1", 500)]
    parts = parts_of("day", ["day", "model"], rows)
    assert list(parts)[:2] == ["m1", "m20"]
    assert list(parts)[-1] == "11 others"
    assert len(parts) == MOST_PARTS + 1
    assert sum(part["2026-11-01"] for part in parts.values()) == sum(range(1, 21))
    assert parts["m1"] == {"2026-11-01": 1, "2026-11-30": 500}


def test_a_drawing_says_which_calls_it_does_not_show() -> None:
    assert title(["model"], [_day("2026-11-01", "m", 1)]) == "Cost by model"
    unknown = replace(_day("2026-11-01", "m", 0), unpriced_calls=1200)
    assert title(["model"], [unknown]) == "Cost by model (without 1,200 calls of unknown cost)"
    assert "a call counts under each of its tags" in title(["tag"], [unknown])


@pytest.mark.parametrize("axes", ["day", "model", "vendor,model", "day,vendor,model", "tag"])
def test_any_axes_are_drawn_also_of_nothing(run: Run, tmp_path: Path, axes: str) -> None:
    assert run("usage", "--by", axes, "--plot", str(tmp_path / "x.svg"))[0] == 0
    code, out, err = run("usage", "--by", axes, "--plot", str(tmp_path / "x.gif"))
    assert (code, out) == (2, "")
    assert "allowed are .png and .svg" in err


def _day(day: str, model: str, nano: int) -> UsageRow:
    return UsageRow({"day": day, "model": model}, 1, 1, 1, nano, 0)


def test_a_database_is_brought_up_to_date(run: Run) -> None:
    assert run("db", "upgrade")[:2] == (0, "the schema is up to date\n")
