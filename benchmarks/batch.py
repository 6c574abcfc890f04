"""``python -m benchmarks.batch``: a large batch job, in and out line by line, in bounded memory.

A served runtime (SQLite) takes the job in, runs it against an upstream that answers at once (``fixed_server``), and
gives the results out. Read from the processes: the memory of server and client, sampled all the while, and the
server's CPU time per request. Two sizes show how flat memory is with the number of requests.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.fixed_server import fixed_server
from benchmarks.gateway import MODEL, infrai
from benchmarks.load import cpu_s, rss_mb
from benchmarks.measure import table
from infrai_core import Infrai

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"
SIZES = (10_000, 100_000)
SAMPLE_S = 0.2
PROMPT = "Classify this review as good or bad, in one word. Review number {}: the room was clean and quiet."

T = TypeVar("T")
Numbers = dict[str, Any]


@dataclass
class Samples:
    """Memory of server and client in MB, with the seconds since the start."""

    server: int
    began: float = field(default_factory=time.perf_counter)
    rows: list[tuple[float, float, float]] = field(default_factory=list)

    def take(self) -> None:
        """One more."""
        self.rows.append((time.perf_counter() - self.began, rss_mb(self.server), _own_mb()))


def _own_mb() -> float:
    """Of this process alone: the server is its child."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


@contextmanager
def sampled(server: int) -> Iterator[Samples]:
    """Takes samples while the block runs."""
    samples, over = Samples(server), threading.Event()

    def go() -> None:
        while not over.wait(SAMPLE_S):
            samples.take()

    samples.take()
    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
        samples.take()


def requests(count: int) -> Iterator[dict[str, Any]]:
    """The requests, made one by one."""
    for n in range(count):
        yield {"capability": "chat", "body": {"messages": PROMPT.format(n), "model": MODEL, "max_tokens": 5}}


def measured(count: int, show: bool) -> Numbers:
    """One job of this many requests."""
    with tempfile.TemporaryDirectory() as directory, fixed_server() as upstream:
        home = Path(directory) / "infrai"
        with infrai(upstream, home) as gateway:
            key = gateway.headers["authorization"].removeprefix("Bearer ")
            base_url = gateway.url.removesuffix("/chat/completions")
            with Infrai(key, base_url=base_url, timeout_s=600) as client, sampled(gateway.pid) as samples:
                return _job(client, gateway.pid, count, samples, Path(directory) / "results.ndjson", show)


def _job(client: Infrai, pid: int, count: int, samples: Samples, out: Path, show: bool) -> Numbers:
    idle = samples.rows[0][1]
    # Below 24 hours nothing goes to the upstream's own batch service.
    submitted, into = _phase(pid, lambda: client.batch_submit(requests(count), batch_timeout="12h"))
    progress = _progress if show else None
    record, run = _phase(pid, lambda: client.batch_wait(submitted.batch_id, progress=progress))
    if (record.state, record.completed_count) != ("completed", count):
        raise RuntimeError(f"the job ended as {record.state} with {record.completed_count} of {count}")
    read, out_of = _phase(pid, lambda: _written(client, submitted.batch_id, out))
    if read != count:
        raise RuntimeError(f"{read} of {count} results came")
    phases = {"handing in": into, "running": run, "results": out_of}
    return {
        "requests": count,
        "phases": {
            name: {"rate": count / seconds, "cpu_ms": cpu / count * 1000} for name, (seconds, cpu) in phases.items()
        },
        "server_idle_mb": idle,
        "server_peak_mb": max(row[1] for row in samples.rows),
        "client_peak_mb": max(row[2] for row in samples.rows) - samples.rows[0][2],
        "results_mb": out.stat().st_size / 1e6,
        "samples": samples.rows,
    }


def _phase(pid: int, work: Callable[[], T]) -> tuple[T, tuple[float, float]]:
    """What came, and the seconds and the server's CPU seconds that it took."""
    before, began = cpu_s(pid), time.perf_counter()
    result = work()
    return result, (time.perf_counter() - began, cpu_s(pid) - before)


def _written(client: Infrai, batch_id: str, path: Path) -> int:
    with path.open("w") as out:
        return sum(bool(out.write(json.dumps(row) + "\n")) for row in client.batch_rows(batch_id))


def _progress(record: Any) -> None:
    print(f"\r  {record.completed_count or 0:,} of {record.total_count:,}", end="", file=sys.stderr, flush=True)


# -- what is told --------------------------------------------------------------------------------------------------


def told(runs: list[Numbers]) -> str:
    """The table."""
    head = (
        "requests",
        "handed in /s",
        "run /s",
        "read /s",
        "CPU ms each",
        "server MB: idle",
        "peak",
        "client MB: more",
    )
    rows: list[tuple[object, ...]] = []
    for run in runs:
        phases = run["phases"]
        rates = (f"{phases[name]['rate']:,.0f}" for name in ("handing in", "running", "results"))
        cpu = sum(phase["cpu_ms"] for phase in phases.values())
        memory = (f"{run[name]:.0f}" for name in ("server_idle_mb", "server_peak_mb", "client_peak_mb"))
        rows.append((f"{run['requests']:,}", *rates, f"{cpu:.2f}", *memory))
    return table(head, rows)


def page(runs: list[Numbers]) -> str:
    """The page of docs/benchmarks."""
    small, large = runs[0], runs[-1]
    peaks = f"{small['server_peak_mb']:.0f} to {large['server_peak_mb']:.0f} MB"
    results = f"{small['results_mb']:.0f} to {large['results_mb']:.0f} MB"
    lines = [
        "# Batch jobs",
        "",
        "`python -m benchmarks.batch`: one job of many chats, handed in and read line by line by the client, run by",
        "a served runtime with a project key, routing and the ledger in SQLite, against an upstream that answers at",
        "once. Each request is reserved, routed, sent over HTTP, booked, and its answer kept.",
        "",
        "```",
        told(runs),
        "```",
        "",
        f"From {small['requests']:,} to {large['requests']:,} requests the server's peak memory goes from",
        f"{peaks}, while the results go from {results}.",
        "",
        "![memory](batch.png)",
        "",
        f"Measured on {platform.machine()}, Python {platform.python_version()}; client, server and upstream share",
        f"{os.cpu_count()} CPUs.",
    ]
    return "\n".join(lines) + "\n"


def plot(runs: list[Numbers], path: Path) -> None:
    """Memory over time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(runs), figsize=(5 * len(runs), 3.6), squeeze=False)
    for axis, run in zip(axes[0], runs, strict=True):
        seconds, server, client = zip(*run["samples"], strict=True)
        axis.plot(seconds, server, label="server", color="tab:green")
        axis.plot(seconds, client, label="client", color="tab:gray")
        axis.set_title(f"{run['requests']:,} requests")
        axis.set_xlabel("seconds")
        axis.set_ylabel("resident memory, MB")
        axis.set_ylim(bottom=0)
        axis.legend(loc="lower right")  # memory is far above 0
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def run(argv: list[str] | None = None) -> int:
    """Measures, prints the table, writes the page and the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--rows", type=int, action="append", metavar="N", help=f"size of a job (default: {SIZES})")
    parser.add_argument("--quick", action="store_true", help="two small jobs only: does it run?")
    parser.add_argument("--out", type=Path, default=DOCS, help="directory of the page and the plot")
    args = parser.parse_args(argv)
    sizes = args.rows or ((100, 300) if args.quick else SIZES)
    runs = []
    for number, size in enumerate(sizes, 1):
        print(f"[{number}/{len(sizes)}] {size:,} requests …", file=sys.stderr, flush=True)
        runs.append(measured(size, show=not args.quick))
        print(file=sys.stderr)
    print(told(runs))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "batch.md").write_text(page(runs), "utf-8")
    plot(runs, args.out / "batch.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(run())
