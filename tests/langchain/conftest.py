"""LangChain's standard suites and our own tests of the adapter. They bring plugins of their own (pytest-asyncio,
pytest-socket, pytest-benchmark, syrupy), so this directory needs nothing from the rest of the tests."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: Any) -> None:
    """The standard suites are written for pytest-asyncio's automatic mode; this gives it to this directory alone."""
    function = getattr(obj, "__func__", obj)
    if name.startswith("test_") and inspect.iscoroutinefunction(function):
        pytest.mark.asyncio(function)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads this machine's credentials or settings."""
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path))
    for name in ("INFRAI_API_KEY", "INFRAI_BASE_URL", "LC_OUTPUT_VERSION", "LANGSMITH_API_KEY", "LANGSMITH_TRACING"):
        monkeypatch.delenv(name, raising=False)
