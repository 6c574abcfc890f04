from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .wall import Kit, Play, Wall


@pytest.fixture(params=["sync", "asyncio", "trio"])
def kit(request: pytest.FixtureRequest) -> Kit:
    return Kit(request.param)


@pytest.fixture
def wall() -> Iterator[Callable[..., Wall]]:
    with ExitStack() as stack:
        yield lambda *plays: stack.enter_context(Wall([p if isinstance(p, Play) else Play(p) for p in plays]))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the real credentials."""
    for name in ("INFRAI_API_KEY", "INFRAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
