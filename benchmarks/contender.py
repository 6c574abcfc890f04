"""Contenders in processes and an environment of their own, measured in turns.

A contender is a function of a benchmark's module: ``work(name, url)`` gives, per task, what to run and how many units
(calls, chunks) one run does. Each contender has a process; the parent asks them for one batch after the other, so that
a busy machine hits them alike.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost

ROOT = Path(__file__).parents[1]
Work = Mapping[str, tuple[Callable[[], object], int]]
"""Task -> what to run, and how many units a run does."""


def environment(name: str, packages: Sequence[str]) -> Path:
    """The Python of an environment with these packages, made (with network) when it is not there or has others."""
    place = ROOT / f".venv-{name}"
    python, stamp = place / "bin" / "python", place / "packages"
    wanted = hashlib.sha256("\n".join(packages).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        print(f"making {place.name} with {', '.join(packages)}; this takes a few minutes …", flush=True)
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        stamp.write_text(wanted, "utf-8")
    return python


def environ() -> dict[str, str]:
    """The variables of a contender's process: our sources beside its packages, nothing fetched, byte code kept."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    own = {"PYTHONPATH": paths, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false"}
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | own


class Contender:
    """A process that runs batches on request."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._process = process
        self.name = name
        self.tasks: list[str] = self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(_MARK):  # some packages print to stdout, too
                return json.loads(line.removeprefix(_MARK))
        raise RuntimeError(f"the process of {self.name} ended")

    def batch(self, task: str, runs: int) -> float:
        """CPU microseconds per unit of a batch of runs."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([task, runs]) + "\n")
        self._process.stdin.flush()
        return float(self._read())


_MARK = "\x1fbenchmark "


@contextmanager
def contenders(python: Path | str, module: str, names: Sequence[str], url: str) -> Iterator[list[Contender]]:
    """The processes of these contenders while the block runs."""
    with ExitStack() as stack:
        processes = []
        for name in names:
            command = [str(python), "-m", "benchmarks.contender", module, name, url]
            process = subprocess.Popen(
                command, cwd=ROOT, env=environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        yield [Contender(process, name) for process, name in zip(processes, names, strict=True)]


def compare(
    running: Sequence[Contender], tasks: Sequence[str], *, batches: int, runs: int | Mapping[str, int]
) -> dict[str, dict[str, Cost]]:
    """CPU time per unit of each task, for every contender that can do it; the smallest batch and the median one.

    The tasks take turns as the contenders do, so that one can be compared with the other.
    """
    able = [(task, contender) for task in tasks for contender in running if task in contender.tasks]
    for task, contender in able:
        contender.batch(task, 1)
    times: dict[str, dict[str, list[float]]] = {task: {} for task in tasks}
    for _ in range(batches):
        for task, contender in able:
            count = runs if isinstance(runs, int) else runs.get(contender.name, runs[""])
            times[task].setdefault(contender.name, []).append(contender.batch(task, count))
    return {
        task: {name: Cost(min(costs), statistics.median(costs)) for name, costs in found.items()}
        for task, found in times.items()
    }


Found = dict[str, dict[str, float]]
"""CPU microseconds by task and contender."""


def measured(
    running: list[Contender],
    tasks: Mapping[str, tuple[str, int, int | Mapping[str, int]]],
    quick: bool,
    in_turns: tuple[str, ...] = (),
) -> Found:
    """The smallest batch of every task, ``tasks`` being task -> title, batches, runs per batch. One task is measured
    after the other, but those of ``in_turns``, which are compared with each other, together."""
    found: Found = {}
    for task, (_, batches, runs) in tasks.items():
        if task in found:
            continue
        group = in_turns if task in in_turns else (task,)
        print("  " + ", ".join(tasks[one][0] for one in group) + " …", flush=True)
        costs = compare(running, group, batches=2 if quick else batches, runs=1 if quick else runs)
        found |= {one: {name: cost.min_us for name, cost in costs[one].items()} for one in group}
    return found


def _work(module: str, name: str, url: str) -> None:
    """The contender's process: says its tasks, then runs batches as they are asked for."""
    work: Work = import_module(module).work(name, url)
    print(_MARK + json.dumps(list(work)), flush=True)
    gc.disable()
    for line in sys.stdin:
        task, runs = json.loads(line)
        run, units = work[task]
        began = time.process_time()
        for _ in range(runs):
            run()
        spent = time.process_time() - began
        print(_MARK + json.dumps(spent / (runs * units) * 1e6), flush=True)
        gc.collect()


if __name__ == "__main__":
    _work(*sys.argv[1:])
