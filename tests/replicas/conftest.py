from __future__ import annotations

from collections.abc import Iterator

import pytest

from .fleet import Fleet, fleet


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.fixture
def three(shared: Fleet) -> Fleet:
    """The fleet, whole: what a test ended it has started again."""
    return shared
