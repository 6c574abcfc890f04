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

ROOT = Path(__file__).parents[1]
Work = Mapping[str, tuple[Callable[[], object], int]]
"""Task -> what to run, and how many units a run does."""
BATCH_S = 0.05
"""CPU seconds of a batch, the same for all: a short one would measure the caches that the collection of garbage before
it has emptied."""


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
        return self._ran(task, runs)["us"]

    def runs(self, task: str) -> int:
        """How many runs a batch has, so that it takes ``BATCH_S``. The first of all runs, which opens connections, says
        nothing."""
        self._ran(task, 1)
        return max(1, round(BATCH_S / self._ran(task, 1)["s"]))

    def _ran(self, task: str, runs: int) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([task, runs]) + "\n")
        self._process.stdin.flush()
        ran: dict[str, float] = self._read()
        return ran


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


Rounds = dict[str, dict[str, list[float]]]
"""CPU microseconds per unit by task and contender: a number for every round."""
Found = dict[str, dict[str, float]]
"""The same, the smallest of all rounds."""


def compare(running: Sequence[Contender], tasks: Sequence[str], rounds: int, quick: bool) -> Rounds:
    """CPU time per unit of each task, for every contender that can do it.

    In a round each contender runs one batch of each task, so that the tasks, too, can be compared with each other.
    """
    able = [(task, contender) for task in tasks for contender in running if task in contender.tasks]
    runs = [1 if quick else contender.runs(task) for task, contender in able]
    found: Rounds = {task: {} for task in tasks}
    for _ in range(rounds):
        for (task, contender), count in zip(able, runs, strict=True):
            found[task].setdefault(contender.name, []).append(contender.batch(task, count))
    return found


def measured(
    running: list[Contender],
    tasks: Mapping[str, tuple[str, int]],
    quick: bool,
    in_turns: Sequence[tuple[str, ...]] = (),
) -> Rounds:
    """Every task, ``tasks`` being task -> title, rounds. One task is measured after the other, but those of one group
    of ``in_turns``, which are compared with each other, together."""
    found: Rounds = {}
    for task, (_, rounds) in tasks.items():
        if task in found:
            continue
        group = next((group for group in in_turns if task in group), (task,))
        print("  " + ", ".join(tasks[one][0] for one in group) + " …", flush=True)
        found |= compare(running, group, 2 if quick else rounds, quick)
    return found


def smallest(rounds: Rounds) -> Found:
    """The cheapest batch of everything."""
    return {task: {name: min(costs) for name, costs in found.items()} for task, found in rounds.items()}


def ratio(costs: Sequence[float], others: Sequence[float]) -> float:
    """How many times what the others need: the median over the rounds. The two of a round ran next to each other, on a
    machine that was as fast for one as for the other; the cheapest of all batches need not have."""
    return statistics.median(cost / other for cost, other in zip(costs, others, strict=True))


def over(costs: Sequence[float], others: Sequence[float]) -> float:
    """How much more than the others, in the same way."""
    return statistics.median(cost - other for cost, other in zip(costs, others, strict=True))


def beside_best(costs: Mapping[str, Sequence[float]], theirs: Sequence[str], ours: str = "infrai") -> float | None:
    """Our ratio to the cheapest of the peers; None without peers."""
    return max((ratio(costs[ours], costs[name]) for name in theirs if name in costs), default=None)


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
        print(_MARK + json.dumps({"us": spent / (runs * units) * 1e6, "s": spent}), flush=True)
        gc.collect()


if __name__ == "__main__":
    _work(*sys.argv[1:])
