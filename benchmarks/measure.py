"""How things are timed: CPU time of this process, in interleaved batches, smallest and median batch."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU microseconds per unit of work: the cheapest batch and the median one."""

    min_us: float
    median_us: float


def cpu_costs(work: Mapping[str, Callable[[], object]], *, per_call: int, batches: int, calls: int) -> dict[str, Cost]:
    """CPU time of each kind of work. Batches of all kinds take turns, so that a busy machine hits them alike.

    ``per_call`` is how many units (calls, chunks) one call of the work does.
    """
    for run in work.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in work}
    gc.disable()
    try:
        for _ in range(batches):
            for name, run in work.items():
                began = time.process_time()
                for _ in range(calls):
                    run()
                times[name].append((time.process_time() - began) / (calls * per_call) * 1e6)
            gc.collect()
    finally:
        gc.enable()
    return {name: Cost(min(found), statistics.median(found)) for name, found in times.items()}


def import_cost_ms(
    code: str, base: str = "pass", *, python: str = sys.executable, environment: Mapping[str, str] = os.environ
) -> float:
    """CPU milliseconds that ``code`` needs in a fresh interpreter, after ``base``.

    Measured inside that process: two whole processes differ by more than an import costs.
    """
    timed = f"import time\n{base}\nbegan = time.process_time()\n{code}\nprint(time.process_time() - began)"
    # Without compiled files the source would be compiled at every run, and that is not what a user pays.
    given = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([python, "-c", timed], check=True, capture_output=True, text=True, env=given)
    return float(done.stdout.split()[-1]) * 1000


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Aligned columns; numbers with one decimal."""
    cells = [head, *(tuple(f"{c:.1f}" if isinstance(c, float) else str(c) for c in row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
