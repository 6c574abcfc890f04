"""How things are timed: CPU time of this process, in interleaved batches, smallest and median batch."""

from __future__ import annotations

import gc
import os
import resource
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
    code: str, runs: int, *, python: str = sys.executable, environment: Mapping[str, str] = os.environ
) -> float:
    """CPU milliseconds that a fresh interpreter needs for ``code``, less a bare interpreter's; smallest of ``runs``."""
    whole, bare = (min(_child_ms(c, python, environment) for _ in range(runs)) for c in (code, "pass"))
    return whole - bare


def _child_ms(code: str, python: str, given: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Without compiled files the source would be compiled at every run, and that is not what a user pays.
    environment = {name: value for name, value in given.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([python, "-c", code], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Aligned columns; numbers with one decimal."""
    cells = [head, *(tuple(f"{c:.1f}" if isinstance(c, float) else str(c) for c in row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
