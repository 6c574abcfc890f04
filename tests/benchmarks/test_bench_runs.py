from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.__main__ import _DRAWINGS, RUNS, main

from benchmarks import batch, langchain, runtime


@pytest.mark.timeout(300)  # half a minute of CPU, of which a busy machine gives a small part
@pytest.mark.parametrize(
    ("name", "told"), [("core_overhead", "over bare"), ("runtime", "CPU ms at 10"), ("offline_chat", "arithmetic")]
)
def test_every_benchmark_runs_and_leaves_numbers_and_a_plot(
    name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--quick", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / f"{name}.json").read_text())["result"]
    assert told in capsys.readouterr().out
    plot = tmp_path / "overview.png"
    assert plot.exists() == (name in {drawn for drawn, _ in _DRAWINGS})
    assert not plot.exists() or plot.read_bytes().startswith(b"\x89PNG")


def test_no_benchmark_is_left_out() -> None:
    assert set(RUNS) == {"core_overhead", "runtime", "offline_chat"}


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["speed"])
    assert "core_overhead" in capsys.readouterr().err


def test_the_benchmark_of_batches_runs_and_leaves_a_page_and_a_plot(tmp_path: Path) -> None:
    assert batch.run(["--rows", "30", "--rows", "60", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "batch.md").read_text("utf-8")
    assert "From 30 to 60 requests" in page
    assert (tmp_path / "batch.png").read_bytes().startswith(b"\x89PNG")


def test_langchains_benchmark_runs_without_peers_and_leaves_a_page_and_a_plot(tmp_path: Path) -> None:
    assert langchain.run(["--quick", "--without-peers", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "langchain.md").read_text("utf-8")
    assert "minimal BaseChatModel" in page
    assert "| target | is | may be | reached |" in page
    assert (tmp_path / "langchain.png").read_bytes().startswith(b"\x89PNG")


def test_the_runtimes_page_says_which_targets_were_reached_and_which_were_not_measured(tmp_path: Path) -> None:
    def one(cpu_ms: float, rate: float) -> dict[str, float]:
        return {"cpu_ms": cpu_ms, "rate": rate, "p50_ms": 1.0}

    whole = {str(count): one(0.3, 1000.0) for count in runtime.CONNECTIONS}
    stream = {str(count): one(2.0, 100.0) for count in runtime.STREAMS}
    ours = {"whole": whole, "stream": stream, "rss_mb": 50.0, "started_s": 0.9, "added_p50_ms": 0.5}
    found = {
        "infrai": ours,
        "direct_p50_ms": 0.5,
        "embedded": {"whole_ms": {"the runtime's own": 0.03, "sync": 0.5}, "sync_ms": 0.4, "async_ms": 0.3},
    }
    page = runtime.page(found)
    assert "| CPU of a whole answer, ms | 0.30 | at most 0.4 | yes |" in page
    assert "| CPU of a 50-chunk stream, ms | 2.00 | at most 1 | no |" in page
    assert "| embedded, sync, CPU over the runtime's own connection, ms | 0.47 | at most 0.45 | no |" in page
    row = "| most answers per second beside the LiteLLM proxy's, times"
    assert f"{row} | not measured | at least 35 | - |" in page
    theirs = {**ours, "whole": {**whole, "10": one(9.0, 2000.0)}}  # where it is best
    assert f"{row} | 0.50 | at least 35 | no |" in runtime.page({**found, "LiteLLM proxy": theirs})
    runtime.plot(found, tmp_path / "runtime.png")
    assert (tmp_path / "runtime.png").read_bytes().startswith(b"\x89PNG")
