"""``python -m benchmarks.runtime``: what the runtime costs, beside other gateways, in one run on this machine.

The upstream answers at once (``fixed_server``), so that what is left is the gateway's own work. Each contender is one
process, alone with the upstream and the load generator. CPU per request is read from the process: it says the same on
a busy machine, while rates do not. Targets are in ``TARGETS``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.fixed_server import fixed_server
from benchmarks.gateway import (
    FLOOR,
    LOAD_CORE,
    MODEL,
    PEER_SERVERS,
    SERVER_CORE,
    Gateway,
    floor,
    infrai,
    on_core,
    there,
)
from benchmarks.load import Load, load, middle, rss_mb
from benchmarks.page import decades

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"
CONNECTIONS = (1, 10, 50)
STREAMS = (1, 10, 50, 100, 200)
ASKED = [{"role": "user", "content": "What is the capital of France? Answer in one sentence, please."}]

Numbers = dict[str, Any]

Target = tuple[str, float, str, Callable[[Numbers], float]]

TARGETS: tuple[Target, ...] = (
    ("CPU of a whole answer, ms", 0.40, "most", lambda r: r["infrai"]["whole"]["10"]["cpu_ms"]),
    ("CPU of a 50-chunk stream, ms", 1.0, "most", lambda r: r["infrai"]["stream"]["10"]["cpu_ms"]),
    ("added p50 at one connection, ms", 1.0, "most", lambda r: r["infrai"]["added_p50_ms"]),
    ("memory, MB", 65.0, "most", lambda r: r["infrai"]["rss_mb"]),
    ("cold start, s", 1.0, "most", lambda r: r["infrai"]["started_s"]),
    (
        "rate beside the LiteLLM proxy's, ten connections each, times",
        35.0,
        "least",
        lambda r: r["infrai"]["whole"]["10"]["rate"] / r["LiteLLM proxy"]["whole"]["10"]["rate"],
    ),
    (
        "most answers per second beside the LiteLLM proxy's, times",
        35.0,
        "least",
        lambda r: _most(r["infrai"]) / _most(r["LiteLLM proxy"]),
    ),
    ("CPU of a stream at 200 to that at 10, times", 1.25, "most", lambda r: _flatness(r["infrai"]["stream"])),
    ("embedded, sync, CPU over the runtime's own connection, ms", 0.45, "most", lambda r: _over_own(r, "sync")),
    ("embedded, async, CPU over the runtime's own connection, ms", 0.35, "most", lambda r: _over_own(r, "async")),
    ("embedded, sync, CPU over a client of aiohttp, ms", 0.45, "most", lambda r: r["embedded"]["sync_ms"]),
    ("embedded, async, CPU over a client of aiohttp, ms", 0.35, "most", lambda r: r["embedded"]["async_ms"]),
)


def _over_own(found: Numbers, name: str) -> float:
    whole = found["embedded"]["whole_ms"]
    return float(whole[name] - whole["the runtime's own"])


def _most(gateway: Mapping[str, Any]) -> float:
    """Whole answers per second at the number of connections that suits it best."""
    return max(float(load["rate"]) for load in gateway["whole"].values())


def _flatness(streams: Mapping[str, Mapping[str, float]]) -> float:
    return streams["200"]["cpu_ms"] / streams["10"]["cpu_ms"]


def body(model: str, stream: bool) -> bytes:
    """A chat request."""
    return json.dumps({"model": model, "messages": ASKED} | ({"stream": True} if stream else {})).encode()


# -- served ------------------------------------------------------------------------------------------------------------


def served(gateway: Gateway, model: str, seconds: float, streams: Sequence[int], rounds: int) -> Numbers:
    """Whole answers and streams on several connections, memory after all of it, and the cold start. Of the rounds
    the middle one counts: the machine's speed changes within minutes."""
    headers = {"content-type": "application/json", **gateway.headers}
    asked = [("whole", False, count) for count in CONNECTIONS] + [("stream", True, count) for count in streams]
    seen: dict[tuple[str, int], list[Load]] = {}
    for _, (kind, stream, count) in product(range(rounds), asked):
        came = load(gateway.pid, gateway.url, body(model, stream), headers, count, seconds)
        seen.setdefault((kind, count), []).append(came)
    found: Numbers = {"whole": {}, "stream": {}}
    for (kind, count), loads in seen.items():
        found[kind][str(count)] = middle(loads)
    return found | {"rss_mb": rss_mb(gateway.pid), "started_s": gateway.started_s}


def direct(upstream: str, seconds: float) -> float:
    """The upstream's own p50 in milliseconds at one connection."""
    headers = {"content-type": "application/json"}
    url = f"{upstream}/v1/chat/completions"
    return load(os.getpid(), url, body(MODEL, False), headers, 1, seconds).p50_ms


# -- embedded ----------------------------------------------------------------------------------------------------------

_EMBEDDED = """
import asyncio, json, sys, time
from infrai_core import AsyncInfrai, Infrai

upstream, calls, batches = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ASKED = json.loads(sys.argv[4])

def cheapest(run):
    run(calls)
    costs = []
    for _ in range(batches):
        began = time.process_time()
        run(calls)
        costs.append((time.process_time() - began) / calls * 1000)
    return min(costs)

def asynchronously(runner, one):
    "One after the other, and ten at a time."
    async def some(count):
        for _ in range(count):
            await one()
    async def together(count):
        await asyncio.gather(*(some(count // 10) for _ in range(10)))
    return [cheapest(lambda count, way=way: runner.run(way(count))) for way in (some, together)]

def named(name, costs):
    return {name: costs[0], f"{name}, ten at a time": costs[1]}

def aiohttp_client():
    "What a program without a runtime does: one POST over aiohttp's kept connections, JSON both ways."
    import aiohttp
    body = {"model": "gpt-4o-mini", "messages": ASKED}
    with asyncio.Runner() as runner:
        async def session():
            return aiohttp.ClientSession(headers={"authorization": "Bearer sk-upstream-key"})
        client = runner.run(session())
        async def one():
            async with client.post(upstream + "/v1/chat/completions", json=body) as response:
                await response.json()
        costs = asynchronously(runner, one)
        runner.run(client.close())
    return costs

def vendor_client():
    "The adapter's own way to the vendor: one POST over the shared pool, JSON both ways."
    from infrai_core.fetch import Fetcher
    from infrai_runtime.vendors.base import Call
    from infrai_runtime.vendors.http import Endpoint, Http, Pool
    from infrai_runtime.vendors.keyring import Keyring
    body = {"model": "gpt-4o-mini", "messages": ASKED}
    with asyncio.Runner() as runner:
        pool = Pool()
        http = Http(Endpoint("openai", upstream + "/v1"), Keyring("openai", ["sk-upstream-key"]), pool)
        call = Call("gpt-4o-mini", 60.0, Fetcher())
        async def some(count):
            for _ in range(count):
                await http.post("/chat/completions", body, call)
        cost = cheapest(lambda count: runner.run(some(count)))
        runner.run(pool.close())
    return cost

def synchronous():
    with Infrai(base_url="embedded") as client:
        return cheapest(lambda count: [client.chat(ASKED, model="gpt-4o-mini") for _ in range(count)] and None)

def asynchronous():
    with asyncio.Runner() as runner:
        client = AsyncInfrai(base_url="embedded")
        costs = asynchronously(runner, lambda: client.chat(ASKED, model="gpt-4o-mini"))
        runner.run(client.aclose())
    return costs

ours = {"sync": synchronous(), **named("async", asynchronous())}  # before aiohttp is loaded
print(json.dumps({**named("client of aiohttp", aiohttp_client()), "the runtime's own": vendor_client(), **ours}))
"""


def embedded(upstream: str, home: Path, quick: bool) -> Numbers:
    """CPU milliseconds per call of a process that embeds the runtime, with its state in SQLite: client, runtime and
    the way to the vendor together, and what that is over the bare call with aiohttp."""
    home.mkdir(parents=True)
    (home / "vendors.toml").write_text(f'[openai]\nbase_url = "{upstream}/v1"\nkeys = ["sk-upstream-key"]\n')
    clean = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    calls, batches = (10, 2) if quick else (200, 12)
    command = [sys.executable, "-c", _EMBEDDED, upstream, str(calls), str(batches), json.dumps(ASKED)]
    environ = {**clean, "HOME": str(home), "INFRAI_HOME": str(home), "INFRAI_VENDORS": "openai"}
    with on_core(SERVER_CORE):
        said = subprocess.run(command, capture_output=True, text=True, env=environ)
    if said.returncode:
        raise RuntimeError(said.stderr[-2000:])
    whole: Numbers = json.loads(said.stdout)
    over = {f"{name}_ms": whole[name] - whole["client of aiohttp"] for name in ("sync", "async")}
    return {"whole_ms": whole} | over


# -- the whole run -----------------------------------------------------------------------------------------------------


def measure(quick: bool, peers: bool, say: Callable[[str], None] = print) -> Numbers:
    """Everything, in one run."""
    seconds, rounds = (0.2, 1) if quick else (3.0, 3)
    found: Numbers = {}
    with on_core(LOAD_CORE), tempfile.TemporaryDirectory() as name, fixed_server() as server:
        upstream, home = f"{server}/text-50", Path(name)
        found["direct_p50_ms"] = direct(upstream, seconds)
        say("infrai …")
        with infrai(upstream, home / "infrai") as gateway:
            found["infrai"] = served(gateway, "auto", seconds, STREAMS[:2] if quick else STREAMS, rounds)
        found["infrai"]["added_p50_ms"] = found["infrai"]["whole"]["1"]["p50_ms"] - found["direct_p50_ms"]
        say(f"{FLOOR} …")
        with floor(upstream, home / "floor") as gateway:
            found[FLOOR] = served(gateway, MODEL, seconds, STREAMS[:2], rounds)
        for peer in PEER_SERVERS if peers else ():
            if not there(peer):
                say(f"{peer} is not installed: scripts/peers gateways")
                continue
            say(f"{peer} …")
            with PEER_SERVERS[peer][0](upstream, home / peer.split()[0]) as gateway:
                found[peer] = served(gateway, MODEL, seconds, STREAMS[:2] if peer.startswith("LiteLLM") else (), rounds)
        say("embedded …")
        found["embedded"] = embedded(upstream, home / "embedded", quick)
    return found


def main(quick: bool = False) -> Numbers:
    """Ours alone, with its tables; for ``python -m benchmarks``."""
    found = measure(quick, peers=False)
    print(page(found))
    return found


# -- page and plot -----------------------------------------------------------------------------------------------------


def page(found: Numbers) -> str:
    """The numbers as Markdown."""
    rows = [_row(name, found[name]) for name in ("infrai", FLOOR, *PEER_SERVERS) if name in found]
    head = ("one process", "rate at 1 / 10 / 50 per s", "CPU ms at 10", "p50 ms at 1", "stream CPU ms", "MB", "start s")
    streams = [
        (count, f"{one['cpu_ms']:.2f}", f"{one['rate']:.0f}") for count, one in found["infrai"]["stream"].items()
    ]
    return "\n".join(
        [
            "## Targets\n",
            _markdown(("target", "is", "may be", "reached"), _targets(found)),
            f"\n## Served, upstream alone: p50 {found['direct_p50_ms']:.2f} ms\n",
            _markdown(head, rows),
            "\n## 50-chunk streams\n",
            _markdown(("at once", "CPU ms per stream", "streams per s"), streams),
            "\n## Embedded, CPU ms per call\n",
            LONE_CALLS,
            _markdown(("", "ms"), [(n, f"{ms:.2f}") for n, ms in found["embedded"]["whole_ms"].items()]),
            "",
        ]
    )


def _row(name: str, one: Numbers) -> tuple[str, ...]:
    rates = " / ".join(f"{one['whole'][str(count)]['rate']:.0f}" for count in CONNECTIONS)
    stream = f"{one['stream']['10']['cpu_ms']:.2f}" if one["stream"] else "-"
    whole = (f"{one['whole']['10']['cpu_ms']:.2f}", f"{one['whole']['1']['p50_ms']:.2f}")
    return (name, rates, *whole, stream, f"{one['rss_mb']:.0f}", f"{one['started_s']:.1f}")


def _targets(found: Numbers) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, limit, way, read in TARGETS:
        try:
            value = read(found)
        except KeyError:
            rows.append((name, "not measured", f"at {way} {limit:g}", "-"))
            continue
        reached = value <= limit if way == "most" else value >= limit
        rows.append((name, f"{value:.2f}", f"at {way} {limit:g}", "yes" if reached else "no"))
    return rows


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot(found: Numbers, file: Path) -> None:
    """Rate, CPU and memory beside the peers, and the cost of a stream by how many run at once."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [name for name in ("infrai", FLOOR, *PEER_SERVERS) if name in found]
    figure, axes = plt.subplots(2, 2, figsize=(12, 7))
    drawn: tuple[tuple[Any, str, str, Callable[[str], float]], ...] = (
        (axes[0, 0], "Whole answers, 10 connections", "requests per second", lambda n: found[n]["whole"]["10"]["rate"]),
        (axes[0, 1], "CPU of a whole answer", "milliseconds", lambda n: found[n]["whole"]["10"]["cpu_ms"]),
        (axes[1, 0], "Memory", "megabytes", lambda n: found[n]["rss_mb"]),
    )
    for axis, title, unit, read in drawn:
        values = [read(name) for name in names]
        bars = axis.barh(names, values, color=["tab:green", *["tab:gray"] * (len(names) - 1)])
        axis.bar_label(bars, fmt=lambda value: f"{value:,.0f}" if value >= 10 else f"{value:.2f}", padding=4)
        axis.set(title=title, xlabel=f"{unit} (logarithmic)", xscale="log", xlim=decades(values))
        axis.invert_yaxis()
    _plot_streams(axes[1, 1], found["infrai"]["stream"])
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout(h_pad=2.5, w_pad=2.5)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def _plot_streams(axis: Any, streams: Mapping[str, Mapping[str, float]]) -> None:
    counts, costs = [int(count) for count in streams], [one["cpu_ms"] for one in streams.values()]
    axis.plot(counts, costs, "o-", color="tab:green")
    for count, cost in zip(counts, costs, strict=True):
        axis.annotate(f"{cost:.2f}", (count, cost), (0, 7), textcoords="offset points", ha="center")
    axis.axhline(1.0, color="tab:red", linestyle=":", label="target")
    axis.set(
        title="CPU of a 50-chunk stream", xlabel="streams at once (logarithmic)", ylabel="milliseconds", xscale="log"
    )
    axis.set_xticks(counts, map(str, counts))
    axis.minorticks_off()
    axis.set_ylim(0, 1.25 * max(*costs, 1.0))
    axis.margins(x=0.1)  # room for the number at the first point
    axis.legend(loc="upper right", frameon=False)


LONE_CALLS = """One call after the other where nothing else is said. The client of aiohttp is what a program without a
runtime has: a POST, JSON both ways. The runtime's own connection to a vendor is a part of the rows below it; it costs
less, so what is over it is more. The targets are shown over both.
"""

INTRODUCTION = """# Speed of the runtime

Made by `python -m benchmarks.runtime` on {machine}. Of {cores} cores the gateway has one for itself, upstream and load
generator share another, and CPU is that of the gateway's processes alone. The upstream answers at once with about
0.5 KB, or with a stream of 50 chunks in one piece; what is measured is the gateway. Ours
checks a key, routes `auto` over the vendor's models, reserves credit and books each call in SQLite; the peers check a
key. The pass-through is the least that a Python gateway can do: JSON parsed and written again, nothing
else. Each makes three rounds, and the middle one counts. Compare ratios within the run: the machine was {busy}.

![speed](runtime.png)

"""


def command(argv: Sequence[str] | None = None) -> int:
    """Measures, and writes the page and the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtime", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a moment each: does it run?")
    parser.add_argument("--without-peers", action="store_true", help="ours alone")
    parser.add_argument(
        "--out", type=Path, default=DOCS, help="directory of runtime.md, .json and .png (docs/benchmarks)"
    )
    options = parser.parse_args(argv)
    began = time.strftime("%Y-%m-%d")
    found = measure(options.quick, not options.without_peers)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "runtime.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    plot(found, options.out / "runtime.png")
    text = INTRODUCTION.format(machine=_machine(), cores=_cores(), busy=_busy()) + page(found)
    (options.out / "runtime.md").write_text(text, "utf-8")
    print(f"\n{page(found)}\n{began}: written to {options.out}")
    return 0


def _machine() -> str:
    return f"{platform.machine()}, Python {platform.python_version()}"


def _cores() -> int:
    return os.cpu_count() or 1


def _busy() -> str:
    load_average = os.getloadavg()[2]
    return f"otherwise busy (load {load_average:.0f})" if load_average > _cores() + 2 else "otherwise quiet"


if __name__ == "__main__":
    sys.exit(command())
