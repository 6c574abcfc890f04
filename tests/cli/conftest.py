"""Fixtures of the command's tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from infrai_cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ``INFRAI_HOME``, and no other setting."""
    for name in [name for name in os.environ if name.startswith("INFRAI_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("INFRAI_HOME", str(folder))
    return folder


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command inside this process: its exit code, standard output and standard error."""

    def called(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as ended:  # argparse: --help, --version and wrong use
            code = int(ended.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return called
