"""Where the project's own files are, and what counts as this machine."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path

from infrai_core.errors import ConfigError


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def home(environ: Mapping[str, str] | None = None) -> Path:
    """The project's directory: ``INFRAI_HOME`` or ``~/.infrai``. Raises ``ConfigError`` for a user without a home."""
    env = os.environ if environ is None else environ
    if env.get("INFRAI_HOME"):
        return Path(env["INFRAI_HOME"])
    try:
        return Path.home() / ".infrai"
    except RuntimeError:  # a container's user that no list of users knows
        raise ConfigError("INFRAI_HOME: it is not set, and this user has no home directory (HOME)") from None
