"""A served runtime for tests: a real process on a free port."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

STOP_S = 30


@dataclass(frozen=True)
class ServedProcess:
    """A running server. ``base_url`` ends in ``/v1``; ``line`` is what it printed when it was ready."""

    base_url: str
    line: str
    process: subprocess.Popen[str]

    def activate(self) -> str:
        """A new API key of this server."""
        answer = httpx.post(f"{self.base_url}/activate", trust_env=False)
        key: str = json.loads(answer.raise_for_status().content)["data"]["primary_api_key"]
        return key

    def stop(self) -> int:
        """Asks the server to end (SIGTERM) and returns its exit code."""
        return _end(self.process)


def _end(process: subprocess.Popen[str]) -> int:
    process.terminate()
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@contextmanager
def served_process(
    home: Path, *options: str, environ: Mapping[str, str] | None = None, module: str = "infrai_runtime.serve"
) -> Iterator[ServedProcess]:
    """A server with its state under ``home``, ready to answer; ``options`` are those of the ``module``."""
    command = [sys.executable, "-m", module, "--port", "0", "--home", str(home), *options]
    log = home.parent / f"{home.name}.server.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **(environ or {})}
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()  # it comes when the server is ready, or ends with the process
        found = re.search(r"http://\S+/v1", line)
        if found is None:
            raise RuntimeError(f"the server did not start: {line}{log.read_text()}")
        served = ServedProcess(found[0], line.strip(), process)
        yield served
    finally:
        process.stdout.close()
        if process.poll() is None:
            _end(process)


@contextmanager
def served(home: Path, *options: str) -> Iterator[str]:
    """The base URL, ending in ``/v1``, of a server as ``served_process`` starts it."""
    with served_process(home, *options) as server:
        yield server.base_url
