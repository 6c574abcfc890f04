"""Fetches MiniLM while the frameworks load, in a process of its own, and gives up in time where it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from infrai_cli.machine import PULL, minilm_lack
from infrai_cli.package import install, version
from infrai_cli.screen import COLUMNS, wrapped
from infrai_core.config import home

LIMIT_S = 25.0
GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Fetching:
    """The running process, how long it may take and when it must have ended (monotonic seconds)."""

    process: subprocess.Popen[str]
    limit_s: float
    deadline: float


_PULL = (sys.executable, "-m", "infrai_cli", "local", "pull", "minilm")


def begin(command: tuple[str, ...] = _PULL, limit_s: float = LIMIT_S) -> Fetching:
    """Starts fetching; it is over at once when the model is there."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    return Fetching(process, limit_s, time.monotonic() + limit_s)


def end(fetching: Fetching | None) -> bool:
    """Waits for it; says in a line what came of it. True when the model can be used."""
    if fetching is None:
        return False
    why = _why(fetching) or _lack()
    if why is None:
        print("  the sentence model MiniLM is on this machine: the chat model also ranks by meaning", flush=True)
        return True
    told = f"without the sentence model MiniLM ({why}). All else works without it; to try again: {PULL}"
    print(*(f"  {line}" for line in wrapped(told, COLUMNS - 2)), sep="\n", flush=True)
    return False


def _lack() -> str | None:
    if version("numpy") is None:
        return f"numpy is not installed: {install('local')}"
    lack = minilm_lack(home())
    return lack.what if lack else None


def _why(fetching: Fetching) -> str | None:
    """Why it was not fetched; None when it was."""
    process = fetching.process
    try:
        _, told = process.communicate(timeout=max(0.0, fetching.deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _stop(process)
        return f"it did not come within {fetching.limit_s:g} s"
    if process.returncode == 0:
        return None
    lines = told.strip().splitlines() or ["it could not be fetched"]
    return lines[-1].removeprefix("infrai: ").removeprefix("the model was not pulled: ")


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends the process and its group (pip runs below it): first as Ctrl-C does, so that it removes what it has half
    done, then for good, because a process started in the background ignores that signal."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.communicate(timeout=GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
