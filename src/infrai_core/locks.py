"""Locks that a forked child can take."""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakSet

_made: WeakSet[Any] = WeakSet()


def lock() -> threading.Lock:
    """A lock that is free in a forked child, also where another thread of the parent held it at that moment: the child
    does not have that thread, and would wait for ever. What that thread was changing may be half changed there."""
    made = threading.Lock()
    _made.add(made)
    return made


def _free() -> None:
    for made in list(_made):
        made._at_fork_reinit()  # what the standard library does with its own


os.register_at_fork(after_in_child=_free)
