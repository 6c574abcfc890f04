from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infrai_runtime import embedded

from ..core.wall import Play, Wall
from .host import Hosts


@pytest.fixture
def wall() -> Iterator[Callable[[Play], Wall]]:
    with ExitStack() as stack:
        yield lambda play: stack.enter_context(Wall([play]))


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    with Hosts() as made:
        yield made
    embedded.shutdown()


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the real credentials and files."""
    for name in ("INFRAI_API_KEY", "INFRAI_BASE_URL", "INFRAI_DATABASE", "INFRAI_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
