"""The contract cases as values. The files' format is explained in README.md."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]
HOSTS = ("served", "embedded", "replicas")
FILES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    """One exchange. ``call`` makes it a case for the client, ``runtime`` one for the runtime."""

    file: str
    name: str
    source: str
    request: Json
    response: Json
    call: Json | None = None
    value: Json | None = None
    fragments: list[list[Json]] | None = None
    error: Json | None = None
    runtime: Json | None = None
    defect: str | None = None

    @property
    def id(self) -> str:
        """How pytest shows it."""
        return f"{self.file}:{self.name}"

    @property
    def setup(self) -> Json:
        """How the runtime is set up."""
        return self.runtime or {}


@dataclass
class _Names:
    """Refuses the same name twice in one file."""

    seen: set[str] = field(default_factory=set)

    def once(self, case: Case) -> Case:
        assert case.id not in self.seen, f"two cases are named {case.id}"
        self.seen.add(case.id)
        return case


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """Every case of every file."""
    names = _Names()
    return tuple(names.once(Case(path.stem, **row)) for path in sorted(FILES.glob("*.json")) for row in _rows(path))


def _rows(path: Path) -> list[Json]:
    rows: list[Json] = json.loads(path.read_text("utf-8"))["cases"]
    return rows


def for_client() -> list[Any]:
    """Parameters of the tests of the client."""
    return [pytest.param(case, id=case.id, marks=_marks(case, "client")) for case in cases() if case.call is not None]


def for_runtime(host: str) -> list[Any]:
    """Parameters of the tests of the runtime on one host."""
    return [
        pytest.param(case, id=case.id, marks=_marks(case, "runtime"))
        for case in cases()
        if case.runtime is not None and host in case.runtime.get("hosts", HOSTS)
    ]


def _marks(case: Case, side: str) -> list[pytest.MarkDecorator]:
    """A case that a known defect breaks must fail; once it passes, its ``defect`` has to go."""
    broken = case.defect is not None and case.defect.startswith(side)
    return [pytest.mark.xfail(reason=str(case.defect))] if broken else []
