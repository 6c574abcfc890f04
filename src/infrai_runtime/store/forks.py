"""What a fork waits for: nothing of SQLite's may run then, and no file of its may be open.

SQLite keeps for the whole process which locks it holds on a file. A child that inherits an open one believes that it
holds its parent's locks, so others delete the log that it writes to; and one that inherits a lock of SQLite's own
memory, taken by another thread at that moment, waits for ever
(https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_across_a_fork_). So the files are closed before a
fork and opened again after it, in the parent only: a child opens its own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from weakref import WeakSet

LOOK_S = 0.001

USE = threading.Lock()
"""Held while a file that is open for long is used."""
_begin = threading.Lock()
_apart: set[object] = set()

log = logging.getLogger("infrai_runtime")


class File(Protocol):
    """A file that is open for long."""

    def let_go(self) -> None:
        """Closes it."""

    def take_up(self) -> None:
        """Opens it again."""


open_for_long: WeakSet[File] = WeakSet()
"""These are closed and opened again around forks."""


@contextmanager
def apart() -> Iterator[None]:
    """For work with a connection of its own, which ends with it: a fork waits for it, and it for a fork."""
    work = object()
    with _begin, USE:
        _apart.add(work)
    try:
        yield
    finally:
        with USE:
            _apart.discard(work)


def _before() -> None:
    _begin.acquire()
    USE.acquire()
    while _apart:
        USE.release()
        time.sleep(LOOK_S)
        USE.acquire()
    _each("let_go")


def _in_parent() -> None:
    _each("take_up")
    _go_on()


def _in_child() -> None:
    open_for_long.clear()
    _go_on()


def _go_on() -> None:
    USE.release()
    _begin.release()


def _each(what: str) -> None:
    for file in list(open_for_long):
        try:
            getattr(file, what)()
        except Exception:
            log.exception("a database was disturbed by a fork")


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
