"""Where the catalogue comes from: the package's rows or a refreshed snapshot, then the operator's changes.

Both files of the operator are read again when they change. A new catalogue takes the old one's place at once and whole;
a file that cannot be used is told in the log, once, and the last good catalogue stays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import orjson

from infrai_core.errors import ConfigError
from infrai_runtime import overrides
from infrai_runtime.catalogue import Catalogue, builtin, models_of, on_machine

SNAPSHOT = "catalogue.json"
OVERRIDES = "catalogue.toml"
LOOK_EVERY_S = 1.0

log = logging.getLogger("infrai_runtime")

Stamp = tuple[tuple[int, int, int] | None, ...]


class Catalogues(Protocol):
    """The catalogue of a running service."""

    @property
    def now(self) -> Catalogue:
        """The catalogue as it was last read."""

    async def current(self) -> Catalogue:
        """The catalogue, read again where its files have changed."""


class FixedCatalogue:
    """A catalogue that never changes."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.now = catalogue

    async def current(self) -> Catalogue:
        """The catalogue."""
        return self.now


class CatalogueFiles:
    """The catalogue of a home directory. Raises ``ConfigError`` when it is made with a file that cannot be used."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._home = home
        self._clock = clock
        self._stamp = _stamp(home)
        self._looked_s = clock()
        self._lock = asyncio.Lock()
        self.now = load(home)

    async def current(self) -> Catalogue:
        """The catalogue; the files are looked at once a second at most, and read in a thread."""
        if self._clock() - self._looked_s >= LOOK_EVERY_S and not self._lock.locked():
            async with self._lock:
                self._looked_s = self._clock()
                await asyncio.to_thread(self._read_again)
        return self.now

    def _read_again(self) -> None:
        stamp = _stamp(self._home)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.now = load(self._home)
        except (ConfigError, OSError) as error:
            log.error("the catalogue was not read again, the last good one stays: %s", error)
        else:
            log.info("the catalogue was read again: %d rows", len(self.now.models))


def _stamp(home: Path) -> Stamp:
    return tuple(_of_file(home / name) for name in (SNAPSHOT, OVERRIDES))


def _of_file(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def load(home: Path) -> Catalogue:
    """The catalogue of a home directory. Raises ``ConfigError``."""
    base = snapshot_of(home)
    path = home / OVERRIDES
    return overrides.read(path).applied(base) if path.exists() else base


def snapshot_of(home: Path) -> Catalogue:
    """The refreshed snapshot of a home directory with the on-machine rows, else what comes with the package."""
    path = home / SNAPSHOT
    if not path.exists():
        return builtin()
    try:
        return Catalogue((*on_machine(), *models_of(path.read_bytes())))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"{path}: no snapshot of the catalogue ({_what(error)}); refresh it or remove it") from error


def _what(error: Any) -> str:
    return f"{type(error).__name__}: {error}"
