"""What a call costs each part of a deployment (runtime, PostgreSQL, Redis, HAProxy), and what size follows from that.

Starts private servers from installed binaries and one runtime behind HAProxy with the project's own configuration; its
key has every kind of limit. CPU time is read from the processes, the size of the ledger from the database. Writes
docs/benchmarks/fleet.json and the table in docs/deploy.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.servers import Postgres, free_port, haproxy, redis

from benchmarks.contender import ROOT
from benchmarks.fixed_server import fixed_server
from benchmarks.gateway import MODEL, infrai
from benchmarks.load import cpu_s, rss_mb, send
from benchmarks.runtime import body
from infrai_runtime.keys import hash_key, mint_key
from infrai_runtime.store.durable import KeyRow, Policy
from infrai_runtime.store.postgres import PostgresDurable

PAGE = ROOT / "docs" / "deploy.md"
NUMBERS = ROOT / "docs" / "benchmarks" / "fleet.json"
BEGIN, END = "<!-- sizing -->", "<!-- /sizing -->"
PARTS = ("runtime", "PostgreSQL", "Redis", "HAProxy")
RATES = (10, 100, 500)
BUSY = 0.6
"""How busy a core may be on average, so that a peak finds room."""
CONNECTIONS = 10
CREDIT_NANO = 10**15
DAY_S = 86_400
UNLIMITED = Policy(requests_per_minute=10**9, tokens_per_minute=10**9, concurrency=10**6)

Numbers = dict[str, Any]


def measure(seconds: float) -> Numbers:
    """CPU milliseconds per call of each part, for whole answers and streams of 50 chunks; bytes per call; memory."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(fixed_server())
        postgres = Postgres()
        stack.callback(postgres.close)
        database = stack.enter_context(postgres.up())
        cache = stack.enter_context(redis(home / "redis"))
        environ = {"INFRAI_DATABASE": postgres.url(), "INFRAI_REDIS": cache}
        gateway = stack.enter_context(infrai(f"{upstream}/text-50", home / "infrai", environ))
        port, here = free_port(), urlsplit(gateway.url).netloc
        named = {f"INFRAI_RUNTIME_{number}": here for number in (1, 2, 3)}
        proxy = stack.enter_context(haproxy(ROOT / "deploy" / "haproxy.cfg", port, home, named))
        pids = dict(zip(PARTS, (gateway.pid, database.pid, _pid_of(cache), proxy.pid), strict=True))
        headers = {"content-type": "application/json", "authorization": f"Bearer {asyncio.run(_key(postgres.url()))}"}
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        send(url, body(MODEL, False), headers, CONNECTIONS, seconds / 5)
        before = asyncio.run(_ledger(postgres.url()))
        found = {kind: _cost(pids, url, headers, kind == "stream", seconds) for kind in ("whole", "stream")}
        after = asyncio.run(_ledger(postgres.url()))
        per_call = (after[0] - before[0]) / (after[1] - before[1])
        return found | {"ledger_bytes": per_call, "rss_mb": {name: rss_mb(pid) for name, pid in pids.items()}}


def _cost(pids: Mapping[str, int], url: str, headers: Mapping[str, str], stream: bool, seconds: float) -> Numbers:
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    calls, p50_ms = send(url, body(MODEL, stream), headers, CONNECTIONS, seconds)
    return {name: (cpu_s(pid) - before[name]) / calls * 1000 for name, pid in pids.items()} | {"p50_ms": p50_ms}


def _pid_of(address: str) -> int:
    import redis

    with redis.Redis.from_url(address) as server:
        told: Any = server.info("server")
    return int(told["process_id"])


async def _key(database: str) -> str:
    """A key that every kind of limit is counted for."""
    store, key = await PostgresDurable.connect(database), mint_key()
    await store.add_project("bench", "bench", CREDIT_NANO, time.time())
    await store.add_key(hash_key(key), KeyRow("key_bench", "bench", policy=UNLIMITED))
    await store.close()
    return key


async def _ledger(database: str) -> tuple[int, int]:
    """Bytes of the ledger with its indexes, and how many calls it has."""
    store = await PostgresDurable.connect(database)
    (row,) = await store._fetch(
        "SELECT pg_total_relation_size('ledger'), (SELECT count(*) FROM ledger WHERE kind = 'answer')"
    )
    await store.close()
    return int(row[0]), int(row[1])


# -- the page ----------------------------------------------------------------------------------------------------------


def sizing(found: Numbers) -> str:
    """What was measured, and what follows for some rates, as Markdown."""
    whole, stream, memory = found["whole"], found["stream"], found["rss_mb"]
    costs = [(name, f"{whole[name]:.2f}", f"{stream[name]:.2f}", f"{memory[name]:.0f}") for name in PARTS]
    head = ("", "CPU ms per whole answer", "CPU ms per 50-chunk stream", "MB")
    needs = [_needs(found, rate) for rate in RATES]
    wanted = (
        "streams per second",
        "runtime processes",
        "cores of PostgreSQL",
        "of Redis",
        "of HAProxy",
        "ledger, GB a month",
    )
    return "\n".join([_markdown(head, costs), "", _markdown(wanted, needs)])


def _needs(found: Numbers, rate: int) -> tuple[str, ...]:
    """One process uses one core; two are the least, so that one may end."""
    cores = {name: rate * found["stream"][name] / 1000 / BUSY for name in PARTS}
    disk = rate * DAY_S * 30 * found["ledger_bytes"] / 1e9
    others = (f"{cores[name]:.1f}" for name in PARTS[1:])
    return (str(rate), str(max(2, math.ceil(cores["runtime"]))), *others, f"{disk:,.0f}")


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def with_sizing(page: str, found: Numbers) -> str:
    """The page with this sizing in it."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{sizing(found)}\n{END}{rest.partition(END)[2]}"


def command(argv: Sequence[str] | None = None) -> int:
    """Measures, and writes the numbers and the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a moment each, and nothing is written: does it run?")
    options = parser.parse_args(argv)
    found = measure(0.5 if options.quick else 10.0)
    print(sizing(found))
    if not options.quick:
        NUMBERS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        PAGE.write_text(with_sizing(PAGE.read_text("utf-8"), found), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(command())
