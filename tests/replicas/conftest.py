from __future__ import annotations

from collections.abc import Iterator

import pytest

from .fleet import Fleet, fleet


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The fleet, whole: what a test ends it starts again."""
    with fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made
