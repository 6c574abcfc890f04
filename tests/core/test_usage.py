from __future__ import annotations

import copy
import io
import math
import pickle
import threading
from collections.abc import Callable
from contextvars import ContextVar
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from infrai_core import ConfigError, Entry, Infrai, Ledger, Totals
from infrai_core.models import Attempt
from infrai_core.testing import Script, envelope, reply, streamed
from infrai_core.usage import MOST_NOTED

SKIPPED = {"vendor": "a", "model": "m", "outcome": "skipped:breaker_open", "latency_ms": 0, "cost_usd": None}
FAILED = {"vendor": "b", "model": "m", "outcome": "VENDOR_TIMEOUT", "latency_ms": 9, "cost_usd": None}
SERVED = {"vendor": "c", "model": "m", "outcome": "ok", "latency_ms": 3, "cost_usd": 0.25}


def entry(**fields: Any) -> Entry:
    usual: dict[str, Any] = {
        "capability": "chat",
        "vendor": "v",
        "model": "m",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost_usd": Decimal("0.25"),
        "latency_ms": 100.0,
        "cache_hit": False,
        "request_id": "r",
    }
    return Entry(**{**usual, **fields})


def ledger_of(*entries: Entry) -> Ledger:
    ledger = Ledger()
    for made in entries:
        ledger.record(made)
    return ledger


def test_latency_and_attempts_are_added_up() -> None:
    total = ledger_of(entry(latency_ms=100.0, attempts=2), entry(latency_ms=300.0), entry(latency_ms=None)).total
    assert (total.latency_ms, total.timed_calls, total.mean_latency_ms, total.attempts) == (400.0, 2, 200.0, 4)


def test_there_is_no_mean_of_nothing() -> None:
    assert Ledger().total.mean_latency_ms is None


@pytest.mark.parametrize(
    ("metadata", "tried"),
    [
        ({"attempts": [SKIPPED, FAILED, SERVED]}, 2),
        ({"attempts": [SERVED]}, 1),
        ({}, 1),
        ({"cache_hit": True}, 0),
    ],
)
def test_an_attempt_is_a_vendor_that_was_asked(metadata: dict[str, Any], tried: int) -> None:
    client = Infrai("test", transport=Script([reply("hi", **metadata)]))
    client.chat("hello")
    assert client.ledger.total.attempts == tried


def test_totals_stand_by_every_tag() -> None:
    ledger = ledger_of(
        entry(tags={"team": "red", "nightly": ""}), entry(tags={"team": "blue"}), entry(tags={"team": "red"})
    )
    assert {name: totals.calls for name, totals in ledger.by("tag").items()} == {
        "team=red": 2,
        "team=blue": 1,
        "nightly": 1,
    }
    assert {name: totals.calls for name, totals in ledger.by("tag:team").items()} == {"red": 2, "blue": 1}


def test_totals_stand_by_run_and_do_not_grow_without_end() -> None:
    ledger = Ledger(keep=3)
    for run in ("old", "a", None, "b", "b"):
        ledger.record(entry(run=run))
    assert {run: totals.calls for run, totals in ledger.by("run").items()} == {"b": 2}
    assert ledger.total.calls == 5


def test_sums_survive_copies_and_pickles() -> None:
    ledger = ledger_of(entry(run="a", attempts=2), entry(cost_usd=None, tags={"x": ""}))
    for copied in (pickle.loads(pickle.dumps(ledger)), copy.deepcopy(ledger)):
        assert copied.total == ledger.total
        assert copied.by("tag") == ledger.by("tag")
        assert copied.by("run") == ledger.by("run")


def test_threads_book_into_one_ledger() -> None:
    ledger = Ledger()
    threads = [threading.Thread(target=lambda: [ledger.record(entry()) for _ in range(200)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.total.calls == 1000
    assert ledger.total.cost_usd == Decimal("250.00")


@pytest.mark.parametrize("calls", [1, MOST_NOTED - 1, MOST_NOTED, MOST_NOTED + 1])
@pytest.mark.parametrize(
    "counted",
    [
        lambda ledger: ledger.total.calls,
        lambda ledger: ledger.by("model")["m"].calls,
        lambda ledger: ledger.by("run")["a"].calls,
        lambda ledger: len(ledger.rows),
        lambda ledger: len(ledger.to_pandas()),
        lambda ledger: pickle.loads(pickle.dumps(ledger)).total.calls,
    ],
)
def test_whoever_reads_sees_every_call_that_was_booked(calls: int, counted: Callable[[Ledger], int]) -> None:
    assert counted(ledger_of(*[entry(run="a")] * calls)) == calls


def test_a_call_that_is_booked_while_others_are_added_up_waits_for_nothing() -> None:
    ledger = Ledger()

    def collected() -> Entry:
        """As where an entry's making lets the collector close a stream."""
        ledger.record(entry())
        return entry()

    for _ in range(MOST_NOTED):
        ledger.note(collected)
    assert ledger.total.calls == 2 * MOST_NOTED


def test_a_cleared_ledger_knows_no_call() -> None:
    ledger = ledger_of(entry())
    ledger.clear()
    assert (ledger.total.calls, ledger.rows) == (0, [])


def test_calls_are_booked_as_the_answer_said_whatever_becomes_of_the_reply() -> None:
    client = Infrai("test", transport=Script([reply("hi", cost_usd=0.25)]))
    answer = client.chat("hello")
    answer.metadata.cost_usd = Decimal(0)
    answer.metadata.attempts.append(Attempt(vendor="other", outcome="ok"))
    assert (client.ledger.total.cost_usd, client.ledger.total.attempts) == (Decimal("0.25"), 1)


class Told(Ledger):
    """A ledger of a program's own, which does something with each call."""

    def record(self, entry: Entry) -> None:
        super().record(entry)
        self.seen = (entry.capability, self.total.calls)


def test_a_ledger_with_a_record_of_its_own_hears_of_each_call_at_once() -> None:
    ledger = Told()
    client = Infrai("test", transport=Script([reply("hi"), streamed(["a"])]), ledger=ledger)
    client.chat("hello")
    assert ledger.seen == ("chat", 1)
    client.stream_chat("hello").reply()
    assert ledger.seen == ("chat", 2)


# -- observers -----------------------------------------------------------------------------------------------------


def test_observers_see_every_entry_once_whole_streamed_and_broken_off() -> None:
    seen: list[Entry] = []
    script = Script([reply("hi"), streamed(["a", "b"]), streamed(["a", "b"]), envelope({"embeddings": [[1.0]]})])
    client = Infrai("test", transport=script, observers=[seen.append])
    client.chat("hello")
    client.stream_chat("hello").reply()
    for _ in client.stream_chat("hello"):
        break
    client.embed("x")
    assert [(e.capability, e.outcome) for e in seen] == [
        ("chat", "ok"),
        ("chat", "ok"),
        ("chat", "aborted"),
        ("embed", "ok"),
    ]
    assert seen == client.ledger.rows


def test_a_stream_is_booked_in_the_context_that_asked_for_it() -> None:
    user: ContextVar[str] = ContextVar("user", default="nobody")
    seen: list[str] = []
    client = Infrai("test", transport=Script([streamed(["a"])]), observers=[lambda entry: seen.append(user.get())])
    token = user.set("anna")
    stream = client.stream_chat("hi")
    user.reset(token)
    list(stream)
    assert seen == ["anna"]


# -- reports -------------------------------------------------------------------------------------------------------


def test_the_table_lists_the_dearest_first_and_the_total_last() -> None:
    ledger = ledger_of(
        entry(model="cheap", cost_usd=Decimal("0.000001")),
        entry(model="dear", cost_usd=Decimal(2), attempts=3, latency_ms=250.4),
        entry(model="unknown price", cost_usd=None, latency_ms=None, outcome="aborted"),
        entry(model="cheap", cost_usd=Decimal("0.000001"), cache_hit=True),
    )
    assert str(ledger.table()).splitlines() == [
        "model          calls  prompt  completion  cost USD  unpriced  cache hits  aborted  attempts  mean ms",
        "-------------  -----  ------  ----------  --------  --------  ----------  -------  --------  -------",
        "dear               1      10           5  2.000000         0           0        0         3      250",
        "cheap              2      20          10  0.000002         0           1        0         2      100",
        "unknown price      1      10           5         -         1           0        1         1        -",
        "total              4      40          20  2.000002         1           1        1         6      150",
    ]
    assert str(ledger) == str(ledger.table("model"))


def test_an_empty_ledger_has_a_table_too() -> None:
    assert str(Ledger()).splitlines()[-1].split() == ["total", "0", "0", "0", "0.000000", "0", "0", "0", "0", "-"]


def test_rich_draws_the_table_and_reads_no_markup_in_names() -> None:
    drawn = io.StringIO()
    console = Console(width=150, file=drawn)
    console.print(ledger_of(entry(model="[red]m[/red]")))
    assert "[red]m[/red]" in drawn.getvalue()


def test_a_notebook_shows_html_and_names_are_text_in_it() -> None:
    html = ledger_of(entry(model="<b>m</b>"))._repr_html_()
    assert "<td>&lt;b&gt;m&lt;/b&gt;</td>" in html
    assert html.count("<tr>") == 3


def test_pandas_gets_a_row_per_call_and_nan_for_an_unknown_cost() -> None:
    frame = ledger_of(entry(run="a"), entry(cost_usd=None, tags={"x": "1"})).to_pandas()
    assert list(frame.cost_usd[:1]) == [0.25]
    assert math.isnan(frame.cost_usd[1])
    assert frame.groupby("model").prompt_tokens.sum().to_dict() == {"m": 20}
    assert frame.tags[1] == {"x": "1"}
    assert list(Ledger().to_pandas().columns) == list(frame.columns)


def test_totals_of_nothing_are_zero() -> None:
    assert Ledger().total == Totals()
    assert Ledger().by("run") == {}


def test_an_axis_that_does_not_exist_is_named_instead_of_being_an_empty_sum() -> None:
    with pytest.raises(ConfigError, match="axis='vendors': allowed are vendor, model"):
        Ledger().by("vendors")
    assert Ledger().by("tag:team") == {}
