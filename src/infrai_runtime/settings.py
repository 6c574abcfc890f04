"""Settings of a runtime: one frozen value, from the environment and from arguments."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infrai_core.errors import ConfigError
from infrai_core.place import home as default_home
from infrai_core.place import is_loopback

_COUNTS = {
    **dict.fromkeys(("max_body_bytes", "max_batch_bytes"), 1),
    **dict.fromkeys(("port", "activations_per_minute", "retries", "batch_concurrency"), 0),
}
"""Setting -> its least value."""
_TIMES = (
    *("body_timeout_s", "media_ttl_s", "batch_poll_s", "first_delta_wait_s", "keep_alive_s"),
    *("first_token_timeout_s", "idle_timeout_s", "connect_timeout_s"),
)
_FLAGS = ("no_auth", "embedded", "telemetry", "telemetry_content")


def _home() -> Path:
    return default_home()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a runtime needs to know. Sizes in bytes, times in seconds, money in USD.

    ``database`` is the SQLite file of the durable state, or the ``postgresql://`` address of one that several
    machines share; None keeps it in memory. ``redis`` is the ``redis://`` address of limits, cache and breaker that
    they share. ``public_url`` is the base of media links; None, as in the embedded runtime, makes them ``file://``
    links. ``vendors`` are the names of the vendors that may be used (None: all that are configured); ``("local",)``
    keeps everything on this machine. They are configured by ``vendor_environ``, which is empty unless the settings
    come from an environment, and by ``vendors_file`` (default ``<home>/vendors.toml``). Raises ``ConfigError``.
    """

    home: Path = field(default_factory=_home)
    database: Path | str | None = field(default=None, repr=False)
    redis: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 8402
    no_auth: bool = False
    allow_activation: bool | None = None
    """None: only for callers on this machine, and only while no real vendor key is configured."""
    trial_credit_usd: Decimal = Decimal(5)
    activations_per_minute: int = 10
    max_body_bytes: int = 64 * 1024 * 1024
    max_batch_bytes: int = 1024 * 1024 * 1024
    """Of a batch that is handed in line by line."""
    body_timeout_s: float = 60.0
    """How long a caller may leave the body of its request standing still."""
    max_connections: int | None = None
    """How many callers a server answers at a time; None is as many as the files allow that it may open."""
    media_ttl_s: float = 3600.0
    public_url: str | None = None
    first_delta_wait_s: float = 10.0
    """How long a stream waits for its first content before it commits to an answer and sends comments."""
    embed_model: str | None = None
    """The model of an unpinned ``embed``; None is the catalogue's default among the configured vendors."""
    first_token_timeout_s: float = 30.0
    """How long a vendor may take to the first content of a stream before the next one is asked."""
    idle_timeout_s: float = 60.0
    """The longest silence of a vendor inside a stream."""
    connect_timeout_s: float = 10.0
    retries: int = 2
    """How often a vendor that failed for a moment is asked again, after all others were asked."""
    retry_pause_s: float = 0.5
    """Before the first of these; every further one doubles it."""
    keep_alive_s: float = 15.0
    batch_concurrency: int = 8
    """How many requests of batches this process works on at a time; 0: it leaves them to others."""
    batch_poll_s: float = 5.0
    """How long a vendor's batch job is left alone at the least."""
    allowed_hosts: tuple[str, ...] = ()
    embedded: bool = False
    telemetry: bool = False
    """Spans and metrics for OpenTelemetry (extra ``otel``)."""
    telemetry_content: bool = False
    """Whether spans hold what was asked and answered."""
    vendors: tuple[str, ...] | None = None
    vendors_file: Path | None = None
    vendor_environ: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def own_url(self) -> str:
        """Where the server listens, as a URL."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def vendors_path(self) -> Path:
        """The file that configures vendors."""
        return self.vendors_file or self.home / "vendors.toml"

    def __post_init__(self) -> None:
        for name, value, fits, allowed in self._checks():
            if not fits:
                raise ConfigError(f"{name}={value!r}: allowed is {allowed}")
        if self.no_auth and not is_loopback(self.host):
            raise ConfigError(f"no_auth with host={self.host!r}: keys may be left out only on this machine (127.0.0.1)")

    def _checks(self) -> Iterator[tuple[str, Any, bool, str]]:
        """Of each setting that may be wrong: its name, its value, whether it fits, and what is allowed."""
        of = {one.name: getattr(self, one.name) for one in fields(self)}
        yield from ((name, of[name], isinstance(of[name], bool), "True or False") for name in _FLAGS)
        for name, least in _COUNTS.items():
            yield name, of[name], type(of[name]) is int and of[name] >= least, f"a whole number of at least {least}"
        yield from (
            (name, of[name], _is_number(of[name]) and of[name] > 0, "a finite number above 0") for name in _TIMES
        )
        most = self.max_connections
        yield "max_connections", most, most is None or (type(most) is int and most > 0), "a whole number of at least 1"
        pause, credit = self.retry_pause_s, self.trial_credit_usd
        yield "retry_pause_s", pause, _is_number(pause) and pause >= 0, "a finite number of at least 0"
        money = isinstance(credit, Decimal) and credit.is_finite() and credit >= 0
        yield "trial_credit_usd", credit, money, "a Decimal of at least 0"
        yield "port", self.port, self.port <= 65535, "a number from 0 to 65535"
        yield "host", self.host, isinstance(self.host, str) and self.host.strip() != "", "a name or an address"
        named = self.vendors is None or not isinstance(self.vendors, str)
        yield "vendors", self.vendors, named, "a tuple of names"
        yield "public_url", "…", self.public_url is None or _is_base(self.public_url), _BASE

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Settings from ``INFRAI_HOME``, ``INFRAI_DATABASE`` (a path, a ``postgresql://`` address, or ``memory``),
        ``INFRAI_REDIS``, ``INFRAI_PUBLIC_URL``, ``INFRAI_VENDORS`` (names with commas between),
        ``INFRAI_VENDORS_FILE``, ``INFRAI_EMBED_MODEL``, ``INFRAI_BATCH_CONCURRENCY``,
        ``INFRAI_BODY_TIMEOUT`` (seconds), ``INFRAI_MAX_CONNECTIONS``,
        ``INFRAI_TELEMETRY`` (off, on, or content: spans also hold what was asked and answered) and the vendors' own
        variables; ``overrides`` win. The durable state is kept in ``<home>/runtime.db`` unless told otherwise."""
        env = os.environ if environ is None else environ
        home = Path(overrides.pop("home", None) or default_home(env))
        values: dict[str, Any] = {"home": home, "database": _database(env.get("INFRAI_DATABASE"), home)}
        if env.get("INFRAI_REDIS"):
            values["redis"] = env["INFRAI_REDIS"]
        if env.get("INFRAI_PUBLIC_URL"):
            values["public_url"] = _base("INFRAI_PUBLIC_URL", env["INFRAI_PUBLIC_URL"].strip().rstrip("/"))
        if env.get("INFRAI_EMBED_MODEL"):
            values["embed_model"] = env["INFRAI_EMBED_MODEL"]
        if env.get("INFRAI_VENDORS"):
            values["vendors"] = _names("INFRAI_VENDORS", env["INFRAI_VENDORS"])
        if env.get("INFRAI_VENDORS_FILE"):
            values["vendors_file"] = Path(env["INFRAI_VENDORS_FILE"])
        if env.get("INFRAI_BATCH_CONCURRENCY"):
            values["batch_concurrency"] = _count("INFRAI_BATCH_CONCURRENCY", env["INFRAI_BATCH_CONCURRENCY"])
        if env.get("INFRAI_BODY_TIMEOUT"):
            values["body_timeout_s"] = _seconds("INFRAI_BODY_TIMEOUT", env["INFRAI_BODY_TIMEOUT"])
        if env.get("INFRAI_MAX_CONNECTIONS"):
            values["max_connections"] = _count("INFRAI_MAX_CONNECTIONS", env["INFRAI_MAX_CONNECTIONS"])
        if env.get("INFRAI_TELEMETRY"):
            values |= _telemetry(env["INFRAI_TELEMETRY"])
        values["vendor_environ"] = tuple(sorted(env.items()))
        unknown = overrides.keys() - {f.name for f in fields(cls)}
        if unknown:
            raise ConfigError(f"unknown setting {sorted(unknown)[0]!r}")
        return cls(**{**values, **overrides})


def _telemetry(word: str) -> dict[str, bool]:
    if word not in ("off", "on", "content"):
        raise ConfigError(f"INFRAI_TELEMETRY={word!r}: allowed are off, on, content")
    return {"telemetry": word != "off", "telemetry_content": word == "content"}


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"{name}={text!r}: allowed is a number from 0 on")
    return int(text)


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f"{name}={text!r}: allowed is a number of seconds above 0")
    return seconds


def _names(name: str, text: str) -> tuple[str, ...]:
    names = tuple(filter(None, (word.strip() for word in text.split(","))))
    if not names:
        raise ConfigError(f"{name}={text!r}: allowed are names with commas between")
    return names


_BASE = "an http:// or https:// address without user, query and fragment"


def _base(name: str, url: str) -> str:
    if not _is_base(url):
        raise ConfigError(f"{name}: allowed is {_BASE}")
    return url


def _is_base(url: Any) -> bool:
    """Not a word of it is shown: there may be a password in it."""
    if not isinstance(url, str) or set("@?# ") & set(url) or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _database(named: str | None, home: Path) -> Path | str | None:
    if named == "memory":
        return None
    if named and named.startswith(("postgresql://", "postgres://")):
        return named
    if named and "://" in named:
        raise ConfigError("INFRAI_DATABASE: allowed is a path, a postgresql:// address, or memory")
    return Path(named) if named else home / "runtime.db"
