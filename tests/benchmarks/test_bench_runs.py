from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.__main__ import RUNS, main

from benchmarks import langchain


def test_every_benchmark_runs_and_leaves_numbers_and_a_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--out", str(tmp_path)]) == 0
    for name in RUNS:
        assert json.loads((tmp_path / f"{name}.json").read_text())["result"], name
    assert (tmp_path / "overview.png").read_bytes().startswith(b"\x89PNG")
    assert "over bare" in capsys.readouterr().out


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["speed"])
    assert "core_overhead" in capsys.readouterr().err


def test_langchains_benchmark_runs_without_peers_and_leaves_a_page_and_a_plot(tmp_path: Path) -> None:
    assert langchain.command(["--quick", "--without-peers", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "langchain.md").read_text("utf-8")
    assert "minimal BaseChatModel" in page
    assert "| target | is | may be | reached |" in page
    assert (tmp_path / "langchain.png").read_bytes().startswith(b"\x89PNG")
