from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infrai_runtime import embedded

from ..core.wall import Play, Wall
from ..replicas.fleet import Fleet, fleet
from .host import Embedded, Host, Replicas, Served, listening, serving


@pytest.fixture
def wall() -> Iterator[Callable[[Play], Wall]]:
    with ExitStack() as stack:
        yield lambda play: stack.enter_context(Wall([play]))


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three processes that are `infrai serve` with the on-machine vendor, and play cases."""
    with fleet(tmp_path_factory.mktemp("fleet"), vendors="local", module=f"{__package__}.replica") as made:
        yield made


@pytest.fixture(scope="session")
def served_cases() -> Iterator[Host]:
    app, listener = Served(), listening()
    with serving(app, listener, "off") as app.url:
        yield app


@pytest.fixture(scope="session")
def embedded_cases() -> Iterator[Host]:
    yield Embedded()
    embedded.shutdown()


@pytest.fixture(scope="session")
def replica_cases(three: Fleet) -> Iterator[Host]:
    with ExitStack() as stack:
        yield Replicas(three, stack)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the real credentials and files."""
    for name in ("INFRAI_API_KEY", "INFRAI_BASE_URL", "INFRAI_DATABASE", "INFRAI_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
