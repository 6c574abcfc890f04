"""What the runtime costs: embedded per call, served per request and in throughput, and its memory.

The vendor is one that answers at once, so that what is left is the runtime's own work. Load is bounded in time and
goes to this machine's loopback only.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.measure import cpu_costs, table
from infrai_core import Infrai

CHUNKS = 50


class Instant:
    """A vendor that answers at once with a fixed number of fragments."""

    name = "instant"

    def chat(self, request: Any, call: Any) -> AsyncIterator[Any]:
        """Fifty fragments of text."""
        from infrai_runtime.vendors.base import Finish, Fragment

        async def events() -> AsyncIterator[Any]:
            for _ in range(CHUNKS):
                yield Fragment(0, {"type": "text", "text": "word "})
            yield Finish("stop", {"prompt_tokens": 9, "completion_tokens": CHUNKS, "total_tokens": 9 + CHUNKS})

        return events()

    async def close(self) -> None:
        """Nothing to free."""


def application(home: Path, **more: Any) -> Any:
    """The runtime over the instant vendor, with its state in memory."""
    from infrai_runtime.app import create_app
    from infrai_runtime.catalogue import Catalogue, Model, Prices
    from infrai_runtime.settings import Settings

    row = Model("instant", "instant", "chat", Prices.of_usd({"input_mtok": 1, "output_mtok": 2}))
    return create_app(Settings(home=home, **more), vendors=[Instant()], catalogue=Catalogue((row,)))


def embedded(home: Path, batches: int, count: int) -> dict[str, Any]:
    """CPU per embedded call and per streamed chunk, all threads together."""
    from infrai_runtime.embedded import shutdown, transport

    client = Infrai(base_url="embedded", transport=transport(application(home, embedded=True)))

    def stream() -> None:
        for _ in client.stream_chat("hi"):
            pass

    whole = cpu_costs({"embedded call": lambda: client.chat("hi")}, per_call=1, batches=batches, calls=count)
    chunk = cpu_costs({"embedded chunk": stream}, per_call=CHUNKS, batches=batches, calls=max(1, count // 20))
    shutdown()
    return {name: {"min_us": cost.min_us, "median_us": cost.median_us} for name, cost in (whole | chunk).items()}


def _serve(home: str, listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(application(Path(home), no_auth=True), log_level="critical", access_log=False)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


def served(home: Path, seconds: float) -> dict[str, Any]:
    """Latency alone, throughput at 10 and 50 connections, CPU per request and memory of a real server process."""
    # With the protocol named: asyncio switches Nagle's delay off only for sockets that say they are TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_serve, args=(str(home), listener))
    process.start()
    try:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        asyncio.run(_ready(url))
        found: dict[str, Any] = {}
        for connections in (1, 10, 50):
            before = _cpu_s(process.pid or 0)
            latencies = asyncio.run(_load(url, connections, seconds))
            spent = _cpu_s(process.pid or 0) - before
            found[f"c={connections}"] = {
                "p50_ms": statistics.median(latencies) * 1000,
                "requests_per_s": len(latencies) / seconds,
                "cpu_ms_per_request": spent / len(latencies) * 1000,
            }
        found["rss_mb"] = _rss_mb(process.pid or 0)
        return found
    finally:
        process.terminate()
        process.join(10)
        listener.close()


async def _ready(url: str) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        while True:
            try:
                if (await client.get(f"{url}/healthz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.02)


async def _load(url: str, connections: int, seconds: float) -> list[float]:
    """Latencies of requests sent one after the other on each connection. aiohttp keeps the load generator cheap."""
    import aiohttp

    latencies: list[float] = []
    until = time.perf_counter() + seconds
    body, headers = b'{"messages":"hi"}', {"content-type": "application/json"}

    async def one(session: aiohttp.ClientSession) -> None:
        while (began := time.perf_counter()) < until:
            async with session.post(f"{url}/ai/chat", data=body, headers=headers) as response:
                await response.read()
                assert response.status == 200
            latencies.append(time.perf_counter() - began)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        await asyncio.gather(*(one(session) for _ in range(connections)))
    return latencies


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main(quick: bool = False) -> dict[str, Any]:
    """Measures, prints tables, and returns the numbers."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        inside = embedded(home, 2 if quick else 10, 5 if quick else 100)
        outside = served(home, 0.2 if quick else 4.0)
    print("\nEmbedded, CPU of client and runtime together")
    print(table(("", "min µs", "median µs"), [(n, c["min_us"], c["median_us"]) for n, c in inside.items()]))
    print("\nServed: one process, instant vendor, whole answers, load generator on the same machine")
    rows = [(n, c["p50_ms"], c["requests_per_s"], c["cpu_ms_per_request"]) for n, c in outside.items() if n != "rss_mb"]
    print(
        table(
            ("", "p50 ms", "requests/s", "CPU ms/request"),
            [(n, f"{a:.2f}", f"{b:.0f}", f"{c:.2f}") for n, a, b, c in rows],
        )
    )
    print(f"memory {outside['rss_mb']:.0f} MB")
    return {"embedded": inside, "served": outside}


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
