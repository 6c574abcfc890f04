"""What a runtime is expected to make of every fault: one table, for tests and for the documentation."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

MODES = ("whole", "stream")
PLACES = ("first", "second")


@dataclass(frozen=True, slots=True)
class Expected:
    """A fault and its outcome per mode and place.

    Outcomes: ``answer`` (this vendor's answer is whole), ``next`` (the second vendor answers), an error code (the call
    fails before its first byte), ``cut`` and a code (content came, then an error event and no end mark). ``first``: the
    fault is at the first vendor and the second one is well; ``second``: the first answers 503 and the fault is at the
    second.
    """

    name: str
    about: str
    outcomes: dict[tuple[str, str], str]

    def of(self, mode: str, place: str) -> str:
        """The outcome of one cell."""
        return self.outcomes[mode, place]


@lru_cache(maxsize=1)
def faults() -> dict[str, Expected]:
    """Every fault, by name, in the order of the file."""
    rows = tomllib.loads(resources.files("infrai_runtime.testing").joinpath("faults.toml").read_text("utf-8"))
    return {name: _expected(name, row) for name, row in rows.items()}


def _expected(name: str, row: dict[str, list[str] | str]) -> Expected:
    cells = {(mode, place): row[mode][n] for mode in MODES for n, place in enumerate(PLACES)}
    return Expected(name, str(row["about"]), cells)


def table() -> str:
    """The table in Markdown."""
    head = "| model | fault | whole, first vendor | whole, second | stream, first vendor | stream, second |"
    rows = [f"| `{f.name}` | {f.about} | {' | '.join(_cells(f))} |" for f in faults().values()]
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def _cells(fault: Expected) -> list[str]:
    return [fault.of(mode, place) for mode in MODES for place in PLACES]
