"""Runs the ``infrai`` command as a user does: in a process of its own, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LIMIT_S = 100


def infrai(home: Path, *arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """What ``infrai <arguments>`` printed, and its exit code. No setting of the caller's shell gets through."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("INFRAI_")}
    return subprocess.run(
        [sys.executable, "-m", "infrai_cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**clean, "INFRAI_HOME": str(home), **environ},
    )
