from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.__main__ import RUNS, main


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
