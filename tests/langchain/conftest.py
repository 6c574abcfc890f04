"""LangChain's standard suites and our own tests of the adapter. They bring plugins of their own (pytest-asyncio,
pytest-socket, pytest-benchmark, syrupy), so this directory needs nothing from the rest of the tests."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from langchain_tests.base import BaseStandardTests


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: Any) -> None:
    """The standard suites are written for pytest-asyncio's automatic mode; this gives it to this directory alone."""
    function = getattr(obj, "__func__", obj)
    if name.startswith("test_") and inspect.iscoroutinefunction(function):
        pytest.mark.asyncio(function)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Says which tests are LangChain's own, for the count at the end."""
    if issubclass(getattr(item, "cls", None) or object, BaseStandardTests):
        item.user_properties.append(("suite", SUITE))


SUITE = f"langchain-tests {version('langchain-tests')} on langchain-core {version('langchain-core')}"


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads this machine's credentials or settings."""
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path))
    for name in ("INFRAI_API_KEY", "INFRAI_BASE_URL", "LC_OUTPUT_VERSION", "LANGSMITH_API_KEY", "LANGSMITH_TRACING"):
        monkeypatch.delenv(name, raising=False)
