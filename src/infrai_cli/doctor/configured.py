"""What is configured: the home directory, the credentials file, and where key and base URL come from."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from infrai_cli.doctor.check import Check
from infrai_cli.package import extra_hint
from infrai_core import ConfigError
from infrai_core.config import EMBEDDED, HOSTED, home, normal_base_url, read_profile, resolve

_ACTIVATE = "infrai activate"
_OWN_MODE = 0o600


def checks(profile: str) -> list[Check]:
    """The home directory, the profile, the base URL, the key and the vendors' keys; never a key itself."""
    sources = [_guarded("base URL", _base_url, profile), _guarded("API key", _key, profile)]
    return [_home(), _profile(profile), *sources, _vendors()]


def _guarded(what: str, check: Callable[[str], Check], profile: str) -> Check:
    try:
        return check(profile)
    except ConfigError as error:
        return Check(what, "problem", error.message, _ACTIVATE if what == "API key" else "unset INFRAI_BASE_URL")


def _home() -> Check:
    path = home()
    source = "INFRAI_HOME" if os.environ.get("INFRAI_HOME") else "default"
    if path.exists() and not path.is_dir():
        return Check("home", "problem", f"{path} ({source}) is a file", "export INFRAI_HOME=<a directory of yours>")
    if not os.access(_first_that_exists(path), os.W_OK | os.X_OK):
        fix = "export INFRAI_HOME=<a directory of yours>"
        return Check("home", "problem", f"{path} ({source}) cannot be written", fix)
    state = "can be written" if path.exists() else "will be made when needed"
    return Check("home", "ok", f"{path} ({source}), {state}")


def _first_that_exists(path: Path) -> Path:
    return path if path.exists() else _first_that_exists(path.parent)


def _profile(profile: str) -> Check:
    path = home() / "credentials"
    if not path.exists():
        return Check("credentials file", "missing", f"{path}: not there; the embedded runtime needs none", _ACTIVATE)
    try:
        stored = read_profile(profile)
    except ConfigError as error:
        return Check("credentials file", "problem", f"{path}: {error.message}", f"mv {path} {path}.broken")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~_OWN_MODE:
        return Check("credentials file", "problem", f"{path}: others can use it (mode {mode:04o})", f"chmod 600 {path}")
    if not stored:
        fix = _ACTIVATE if profile == "default" else f"{_ACTIVATE} --profile {profile}"
        return Check("credentials file", "missing", f"{path}: no profile {profile!r}", fix)
    return Check("credentials file", "ok", f"{path}, mode {mode:04o}, profile {profile!r}")


def _base_url(profile: str) -> Check:
    named, stored = os.environ.get("INFRAI_BASE_URL"), read_profile(profile).get("base_url")
    url = normal_base_url(named or stored or HOSTED)
    source = "INFRAI_BASE_URL" if named else f"profile {profile!r}" if stored else "default: the hosted service"
    return Check("base URL", "ok", f"{url} ({source})")


def _key(profile: str) -> Check:
    """By the same function that the clients use; it raises what is wrong with a key."""
    stored = read_profile(profile)
    named = os.environ.get("INFRAI_BASE_URL")
    url = normal_base_url(named or stored.get("base_url") or HOSTED)
    config = resolve(profile=profile, base_url=url)
    if url == EMBEDDED:
        return Check("API key", "ok", "none needed: the runtime runs inside the process")
    if config.api_key is not None:
        source = "INFRAI_API_KEY" if os.environ.get("INFRAI_API_KEY", "").strip() else f"profile {profile!r}"
        return Check("API key", "ok", f"from {source}")
    if stored.get("api_key"):
        detail = f"the key of profile {profile!r} belongs to {stored.get('base_url') or HOSTED}, not to {url}"
        return Check("API key", "missing", detail, f"{_ACTIVATE} --base-url {url}")
    return Check("API key", "missing", "none; the embedded runtime needs none", _ACTIVATE)


def _vendors() -> Check:
    """The vendors that a runtime on this machine uses."""
    try:
        from infrai_runtime.settings import Settings
        from infrai_runtime.vendors import configured_entries, half_configured
    except ModuleNotFoundError as error:
        detail = f"the package {error.name} is not installed: no runtime on this machine"
        return Check("vendors", "missing", detail, extra_hint(error.name))

    try:
        settings = Settings.from_environment()
        found, halves = configured_entries(settings), half_configured(settings)
    except ConfigError as error:
        return Check("vendors", "problem", error.message, "infrai vendors")
    if halves:
        return Check("vendors", "missing", "; ".join(halves), "infrai vendors")
    if not found:
        return Check("vendors", "missing", "no vendor has a key; on-machine models answer", "infrai vendors --known")
    return Check("vendors", "ok", f"{', '.join(entry.name for entry in found)} (infrai vendors --check asks them)")
