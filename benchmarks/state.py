"""``python -m benchmarks.state``: what it costs that nothing is forgotten. Writes docs/benchmarks/state.md.

The store alone, in this process: CPU of the two transactions of a call on SQLite, by how many calls are under way.
Served: CPU of a cache hit, and what PostgreSQL and Redis add to the median answer of a runtime with its state in
memory, for a key with limits of every kind, since Redis is asked for nothing else. PostgreSQL does not wait for its
disk here. Times say something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.fixed_server import fixed_server
from benchmarks.gateway import LOAD_CORE, MODEL, SERVER_CORE, Gateway, infrai, on_core
from benchmarks.load import Load, load, middle
from infrai_core.protocol import new_idempotency_key
from infrai_runtime.identity import request_id
from infrai_runtime.keys import hash_key, mint_key
from infrai_runtime.store.durable import Admission, Booking, KeyRow, LedgerRow, Policy, key_scope, project_scope
from infrai_runtime.store.postgres import PostgresDurable
from infrai_runtime.store.sqlite import SqliteDurable

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"
AT_ONCE = (1, 3, 10, 50)
ANSWER = b"x" * 900
ASKED = [{"role": "user", "content": "What is the capital of France? Answer in one sentence, please."}]

CONNECTIONS = (1, 10)
JSON = {"content-type": "application/json"}

Numbers = dict[str, Any]
Target = tuple[str, float, Callable[[Numbers], float]]


@dataclass(frozen=True, slots=True)
class _Running:
    """A runtime, and what it is asked."""

    gateway: Gateway
    body: bytes
    headers: Mapping[str, str]


def _alone_ms(at_once: int) -> Callable[[Numbers], float]:
    return lambda r: r["sqlite"][str(at_once)]["min_us"] / 1000


def _hit_ms(at_once: int) -> Callable[[Numbers], float]:
    return lambda r: r["served"]["hit"][str(at_once)]["cpu_ms"]


def _added_p50_ms(numbers: Numbers) -> float:
    served = numbers["served"]
    return float(served["limited"]["1"]["p50_ms"] - served["memory"]["1"]["p50_ms"])


TARGETS: tuple[Target, ...] = (
    ("SQLite, both transactions alone, one call at a time, CPU ms", 0.10, _alone_ms(1)),
    ("SQLite, both transactions alone, ten calls at once, CPU ms", 0.10, _alone_ms(10)),
    ("cache hit, one connection, CPU ms", 0.30, _hit_ms(1)),
    ("cache hit, ten connections, CPU ms", 0.30, _hit_ms(10)),
    ("PostgreSQL and Redis, added p50 ms", 2.0, _added_p50_ms),
)


ROUND_S = 1.5
"""The credit of an activation, which is all that state in memory has, lasts for some 80,000 calls."""


# -- the store alone ---------------------------------------------------------------------------------------------------


PROJECT, KEY, OWNER = f"proj_{'1' * 16}", f"key_{'1' * 16}", request_id()
"""As long as they are where the runtime makes them."""


def _admission(now: float) -> Admission:
    scopes = (project_scope(PROJECT), key_scope(KEY))
    key = new_idempotency_key()
    return Admission(PROJECT, key, "f" * 64, request_id(), OWNER, now, 600.0, 1000, scopes, KEY, "chat")


def _booking(admission: Admission) -> Booking:
    a = admission
    usage = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
    row = LedgerRow(
        "attempt", a.now, PROJECT, KEY, a.request_id, "chat", "openai", MODEL, "ok", 1.5, 10, 4, 500, usage=usage
    )
    return Booking(a, a.now, 500, [row, row._replace(kind="answer")], ANSWER)


async def _calls(store: SqliteDurable, asked: Iterable[Booking], at_once: int) -> None:
    waiting = iter(asked)

    async def some() -> None:
        for booking in waiting:
            await store.admit(booking.admission)
            await asyncio.sleep(0)  # here the vendor is asked
            await store.book(booking)

    await asyncio.gather(*(some() for _ in range(at_once)))


async def _sqlite(directory: Path, batches: int, calls: int) -> Numbers:
    """CPU microseconds per call, smallest and median batch; ``tend_us`` is what the log's way home adds, on a
    thread."""
    stores = {at_once: SqliteDurable(directory / f"{at_once}.db") for at_once in AT_ONCE}
    for store in stores.values():
        await store.add_project(PROJECT, "acct", 10**15, 0)
    costs: dict[int, list[float]] = {at_once: [] for at_once in AT_ONCE}
    homes: dict[int, list[float]] = {at_once: [] for at_once in AT_ONCE}
    for _ in range(batches):
        for at_once, store in stores.items():
            asked = [_booking(_admission(time.time())) for _ in range(calls)]
            began = time.process_time()
            await _calls(store, asked, at_once)
            done = time.process_time()
            await store.tend(OWNER, 0.0)
            costs[at_once].append((done - began) / calls * 1e6)
            homes[at_once].append((time.process_time() - done) / calls * 1e6)
    for store in stores.values():
        await store.close()
    return {str(n): {"min_us": min(costs[n]), "median_us": median(costs[n]), "tend_us": min(homes[n])} for n in AT_ONCE}


# -- served ------------------------------------------------------------------------------------------------------------


@contextmanager
def _servers(directory: Path) -> Iterator[Mapping[str, str]]:
    """PostgreSQL and Redis on free ports, as the variables that name them."""
    from tests.servers import Postgres, redis

    server = Postgres()
    with server.up(), redis(directory / "redis") as cache:
        yield {"INFRAI_DATABASE": server.url(), "INFRAI_REDIS": cache}
    server.close()


def _body(**more: Any) -> bytes:
    return json.dumps({"model": MODEL, "messages": ASKED, **more}).encode()


def _served(running: Mapping[str, _Running], rounds: int, seconds: float) -> Numbers:
    """Medians of rounds in which each has its turn, one call at a time and ten at once: the machine's speed changes
    within minutes."""
    seen: dict[tuple[str, int], list[Load]] = {}
    for _ in range(rounds):
        for at_once, (name, one) in product(CONNECTIONS, running.items()):
            loaded = load(one.gateway.pid, one.gateway.url, one.body, one.headers, at_once, seconds)
            seen.setdefault((name, at_once), []).append(loaded)
    return {name: {str(n): middle(seen[name, n]) for n in CONNECTIONS} for name in running}


@contextmanager
def _started(upstream: str, home: Path) -> Iterator[Mapping[str, _Running]]:
    """A runtime for each kind of state, all on one core and everything that asks them on another."""
    with ExitStack() as stack:
        shared = stack.enter_context(_servers(home))
        kinds: Mapping[str, Mapping[str, str]] = {
            "hit": {},
            "memory": {"INFRAI_DATABASE": "memory"},
            "file": {},
            "shared": shared,
            "limited": shared,
        }
        with on_core(SERVER_CORE):
            gateways = {name: stack.enter_context(infrai(upstream, home / name, kind)) for name, kind in kinds.items()}
        more = {"hit": {"cache_strategy": "infrai"}}
        headers = {name: gateway.headers for name, gateway in gateways.items()}
        headers["limited"] = _limited_key(shared["INFRAI_DATABASE"])
        with on_core(LOAD_CORE):
            yield {
                name: _Running(gateway, _body(**more.get(name, {})), {**JSON, **headers[name]})
                for name, gateway in gateways.items()
            }


def _limited_key(database: str) -> Mapping[str, str]:
    """The header of a key with limits of requests, tokens and concurrent calls that are never reached."""
    key = mint_key()

    async def add() -> None:
        store = await PostgresDurable.connect(database)
        found = (await store.keys())[-1]
        policy = Policy(requests_per_minute=10**6, tokens_per_minute=10**9, concurrency=100)
        await store.add_key(hash_key(key), KeyRow(uuid.uuid4().hex, found.project_id, policy=policy))
        await store.close()

    asyncio.run(add())
    return {"authorization": f"Bearer {key}"}


def measure(quick: bool, say: Callable[[str], None] = print) -> Numbers:
    """Everything, in one run."""
    import uvloop

    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, fixed_server() as server:
        home = Path(name)
        say("SQLite …")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sqlite = runner.run(_sqlite(home, 3 if quick else 30, 50 if quick else 100))
        say("served: hits of the cache, state in memory, in SQLite, in PostgreSQL and Redis …")
        with _started(f"{server}/text-50", home) as running:
            served = _served(running, *((1, 0.5) if quick else (5, ROUND_S)))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"sqlite": sqlite, "served": served, "machine": f"{machine}; load average before the run {busy:.1f}"}


# -- page and plot -----------------------------------------------------------------------------------------------------

NAMES = {
    "hit": "cache hit",
    "memory": "state in memory",
    "file": "SQLite",
    "shared": "PostgreSQL and Redis",
    "limited": "PostgreSQL and Redis, a key with all limits",
}


def page(found: Numbers) -> str:
    """The numbers as Markdown."""
    targets = [
        (name, f"{read(found):.2f}", f"{limit:g}", "yes" if read(found) <= limit else "no")
        for name, limit, read in TARGETS
    ]
    sqlite = [
        (n, f"{row['min_us']:.0f}", f"{row['median_us']:.0f}", f"{row['tend_us']:.0f}")
        for n, row in found["sqlite"].items()
    ]
    served = [
        (words, *(f"{found['served'][name][str(n)][what]:.2f}" for n in CONNECTIONS for what in ("p50_ms", "cpu_ms")))
        for name, words in NAMES.items()
    ]
    parts = [
        "# What it costs that nothing is forgotten\n",
        f"`python -m benchmarks.state`, on {found['machine']}. Compare within one run only.\n",
        _table(("", "is", "may be", "reached"), targets),
        "\n## SQLite: the two transactions of a call, CPU µs\n",
        "Idempotency key (as this project's client makes it) and reservation before the vendor; settlement, two rows of"
        " the ledger and the kept answer after it, each committed before its caller goes on. What the runtime hands to"
        " the store is made before the clock starts. Calls of the same moment share transactions. The log is brought"
        " home on a thread.\n",
        _table(("calls at once", "smallest batch", "median batch", "log brought home"), sqlite),
        "\n## Served\n",
        "A key with all limits asks Redis once before the vendor and once after it, and PostgreSQL once each;"
        " PostgreSQL does not wait for its disk here. The runtime has a core for itself, everything else has another."
        " Each kind has its turn in each of the rounds, and the middle one counts. A call that comes alone wakes the"
        " process first, and pays for that.\n",
        _table(("", "one: p50 ms", "CPU ms", "ten: p50 ms", "CPU ms"), served),
        "\n![state](state.png)\n",
    ]
    return "\n".join(parts)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *rows))


def plot(found: Numbers, file: Path) -> None:
    """The cost of the transactions by calls at once, and the median answer by where state is."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6))
    rows = found["sqlite"]
    left.plot(list(rows), [row["min_us"] for row in rows.values()], "o-", color="tab:green", label="smallest batch")
    left.plot(list(rows), [row["median_us"] for row in rows.values()], "o:", color="tab:gray", label="median batch")
    left.axhline(100, color="tab:red", linestyle=":", label="target")
    left.set(title="SQLite: both transactions", xlabel="calls at once", ylabel="CPU µs per call", ylim=(0, None))
    left.legend()
    medians = [found["served"][name]["1"]["p50_ms"] for name in NAMES]
    bars = right.barh(list(NAMES.values()), medians, color="tab:green")
    right.bar_label(bars, fmt="%.2f", padding=3)
    right.set(title="Served, one connection", xlabel="p50, ms")
    right.margins(x=0.2)
    right.invert_yaxis()
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main() -> int:
    """Measures, and writes page and plot unless it was only to be shown that it runs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.state", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only show that it runs")
    options = parser.parse_args()
    found = measure(options.quick)
    print(page(found))
    if not options.quick:
        DOCS.joinpath("state.md").write_text(page(found))
        DOCS.joinpath("state.json").write_text(json.dumps(found, indent=1) + "\n")
        plot(found, DOCS / "state.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
