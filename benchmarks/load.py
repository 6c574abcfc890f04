"""Load on a server of this machine, and what it costs the server: CPU and memory are read from its processes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """What some seconds of requests came to."""

    requests: int
    seconds: float
    p50_ms: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of the server per request."""
        return self.cpu_s / self.requests * 1000


def middle(loads: Sequence[Load]) -> dict[str, float]:
    """The medians of what several loads came to: ``rate``, ``p50_ms``, ``cpu_ms``."""
    return {name: statistics.median(getattr(one, name) for one in loads) for name in ("rate", "p50_ms", "cpu_ms")}


def load(pid: int, url: str, body: bytes, headers: Mapping[str, str], connections: int, seconds: float) -> Load:
    """Posts ``body`` on so many connections, one request after the other on each, after a warm-up. It takes longer the
    more connections there are: all of their answers are under way at once. ``wrk`` sends where it is installed, else
    aiohttp. Raises ``RuntimeError`` when an answer is not a 200, or none came."""
    seconds += connections * seconds / 60
    send(url, body, headers, connections, max(0.2, seconds / 5))
    before, began = cpu_s(pid), time.perf_counter()
    requests, p50_ms = send(url, body, headers, connections, seconds)
    if not requests:
        raise RuntimeError(f"{url}: no answer in {seconds:g} s on {connections} connections")
    return Load(requests, time.perf_counter() - began, p50_ms, cpu_s(pid) - before)


def send(url: str, body: bytes, headers: Mapping[str, str], connections: int, seconds: float) -> tuple[int, float]:
    """How many requests were answered, and their p50 in milliseconds."""
    by = _by_wrk if seconds >= 1 and shutil.which("wrk") else _by_aiohttp  # wrk counts whole seconds
    return by(url, body, headers, connections, seconds)


def _by_wrk(url: str, body: bytes, headers: Mapping[str, str], connections: int, seconds: float) -> tuple[int, float]:
    lines = ["wrk.method = 'POST'", f"wrk.body = [==[{body.decode()}]==]"]
    lines += [f"wrk.headers['{name}'] = '{value}'" for name, value in headers.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "--latency"]
        said = subprocess.run([*command, "-s", script.name, url], capture_output=True, text=True, check=True).stdout
    if wrong := re.search(r"Non-2xx or 3xx responses: (\d+)", said):
        raise RuntimeError(f"{url}: {wrong[0]}")
    requests, p50 = re.search(r"(\d+) requests in", said), re.search(r"50%\s+([\d.]+)(us|ms|s)", said)
    assert requests, said
    assert p50, said
    return int(requests[1]), float(p50[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p50[2]]


def _by_aiohttp(
    url: str, body: bytes, headers: Mapping[str, str], connections: int, seconds: float
) -> tuple[int, float]:
    import aiohttp

    latencies: list[float] = []

    async def one(session: aiohttp.ClientSession, until: float) -> None:
        ended = 0.0
        while ended < until:  # at least once, on a machine that was away for all of the time
            began = time.perf_counter()
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()
                if response.status != 200:
                    raise RuntimeError(f"{url}: {response.status} {await response.text()}")
            ended = time.perf_counter()
            latencies.append(ended - began)

    async def all_of_them() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
            until = time.perf_counter() + seconds
            await asyncio.gather(*(one(session, until) for _ in range(connections)))

    asyncio.run(all_of_them())
    return len(latencies), statistics.median(latencies) * 1000


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children so far."""
    return sum(sum(map(int, _stat(one)[11:13])) for one in _family(pid)) / TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    return sum(int(_stat(one)[21]) for one in _family(pid)) * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on: a command's name may hold blanks and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _family(int(child))
    return found
