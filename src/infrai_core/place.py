"""Where the project's own files are, and what counts as this machine."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def home(environ: Mapping[str, str] | None = None) -> Path:
    """The project's directory: ``INFRAI_HOME`` or ``~/.infrai``."""
    env = os.environ if environ is None else environ
    return Path(env.get("INFRAI_HOME") or Path.home() / ".infrai")
