"""The servers that are compared: ours, the LiteLLM proxy and Portkey's gateway, each started over one upstream.

All check a key and know where to send a request; ours also routes, reserves credit and books every call in SQLite.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.servers import free_port

ROOT = Path(__file__).parents[1]
PEERS = Path(os.environ.get("GATEWAYS", ROOT / ".venv-gateways"))
MODEL = "gpt-4o-mini"
FLOOR = "bare pass-through"
START_S = 120.0
SERVER_CORE, LOAD_CORE = 0, 1


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running server: where chats go, with which headers, its process, and how long it took to answer."""

    url: str
    headers: Mapping[str, str]
    pid: int
    started_s: float


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Runs on one core, and so do the processes that are started meanwhile: the measured server has one for itself,
    upstream and load another. Does nothing where there are fewer cores, or where they cannot be chosen."""
    there = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if not {SERVER_CORE, LOAD_CORE} <= _all_cores():
        yield
        return
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, there)


def _all_cores() -> set[int]:
    return set(range(os.cpu_count() or 1)) if hasattr(os, "sched_setaffinity") else set()


@contextmanager
def infrai(upstream: str, home: Path, environ: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """Ours, with a project key, credit and the ledger in SQLite, unless the environment says otherwise."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "vendors.toml").write_text(f'[openai]\nbase_url = "{upstream}/v1"\nkeys = ["sk-upstream-key"]\n')
    command = [sys.executable, "-m", "infrai_runtime.serve", "--home", str(home), "--allow-activation"]
    with _running(command, home, "--port", "healthz", {"INFRAI_VENDORS": "openai", **(environ or {})}) as (
        base,
        pid,
        started_s,
    ):
        answer = httpx.post(f"{base}/v1/activate", trust_env=False)
        made = json.loads(answer.raise_for_status().content)["data"]
        key = made["primary_api_key"]
        if not environ:
            _credit(home, made["project_id"])
        yield Gateway(f"{base}/v1/chat/completions", {"authorization": f"Bearer {key}"}, pid, started_s)


def _credit(home: Path, project: str) -> None:
    """Gives a project more credit than all rounds can spend; that of an activation does not last for them."""
    command = [sys.executable, "-m", "infrai_cli", "budgets", "set", project, "1000000"]
    subprocess.run(command, env={**os.environ, "INFRAI_HOME": str(home)}, check=True, capture_output=True)


@contextmanager
def floor(upstream: str, home: Path) -> Iterator[Gateway]:
    """The least that a Python gateway can do (``pass_through``)."""
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.pass_through"]
    environ = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with _running(command, home, "", "", environ, upstream) as (base, pid, started_s):
        yield Gateway(f"{base}/v1/chat/completions", {}, pid, started_s)


@contextmanager
def litellm(upstream: str, home: Path) -> Iterator[Gateway]:
    """The LiteLLM proxy with one worker and a master key, no database, no callbacks."""
    home.mkdir(parents=True, exist_ok=True)
    to = {"model": f"openai/{MODEL}", "api_base": f"{upstream}/v1", "api_key": "sk-upstream-key"}
    settings = {
        "model_list": [{"model_name": MODEL, "litellm_params": to}],
        "general_settings": {"master_key": "sk-bench-1234"},
    }
    config = home / "config.yaml"
    config.write_text(json.dumps(settings))  # JSON is YAML
    command = [str(PEERS / "bin" / "litellm"), "--config", str(config), "--num_workers", "1"]
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    with _running(command, home, "--port", "health/liveliness", environ) as (base, pid, started_s):
        yield Gateway(f"{base}/v1/chat/completions", {"authorization": "Bearer sk-bench-1234"}, pid, started_s)


@contextmanager
def portkey(upstream: str, home: Path) -> Iterator[Gateway]:
    """Portkey's gateway: the request says where it goes."""
    home.mkdir(parents=True, exist_ok=True)
    server = PEERS / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    command = ["node", str(server), "--headless"]
    with _running(command, home, "--port=", "", {}) as (base, pid, started_s):
        headers = {
            "authorization": "Bearer sk-upstream-key",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"{upstream}/v1",
        }
        yield Gateway(f"{base}/v1/chat/completions", headers, pid, started_s)


PEER_SERVERS = {
    "LiteLLM proxy": (litellm, PEERS / "bin" / "litellm"),
    "Portkey gateway": (portkey, PEERS / "portkey" / "node_modules" / "@portkey-ai" / "gateway"),
}
"""Name -> how it is started, and what must be there for it (`scripts/peers gateways`)."""


def there(name: str) -> bool:
    """Whether a peer is installed."""
    return PEER_SERVERS[name][1].exists() and (name != "Portkey gateway" or shutil.which("node") is not None)


@contextmanager
def _running(
    command: list[str], home: Path, port_option: str, health: str, environ: Mapping[str, str], *more: str
) -> Iterator[tuple[str, int, float]]:
    """The address, the process and the seconds to the first answer of a server on a free port."""
    port = free_port()
    named = port_option.startswith("--") and not port_option.endswith("=")
    at = [port_option, str(port)] if named else [f"{port_option}{port}"]
    clean = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    began = time.perf_counter()
    with (home / "server.log").open("w") as log, on_core(SERVER_CORE):  # a child keeps the core that it was made on
        process = subprocess.Popen(
            [*command, *at, *more], cwd=home, stdout=log, stderr=log, env={**clean, "HOME": str(home), **environ}
        )
    try:
        _await(f"http://127.0.0.1:{port}/{health}", process, home / "server.log")
        yield f"http://127.0.0.1:{port}", process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.perf_counter() + START_S
    with httpx.Client(trust_env=False) as client:
        while time.perf_counter() < until and process.poll() is None:
            try:
                if client.get(url).status_code < 500:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
    raise RuntimeError(f"{url} did not answer:\n{log.read_text()[-2000:]}")
