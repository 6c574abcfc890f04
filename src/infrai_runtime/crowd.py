"""How many connections a server has: each takes a file, and so does the call that it makes at a vendor.

Who comes when there are enough takes the place of the one that has waited longest for its caller, as in nginx. Where
callers wait for answers on all of them, a further request is refused, with the reason; questions whether the server is
well are answered all the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import islice
from typing import Protocol

SPARE = 32
"""Connections beyond the limit that are kept for a moment, so that who is refused can be told."""
WARN_EVERY_S = 60.0
ALWAYS = frozenset(prefix + path for prefix in ("", "/v1") for path in ("/healthz", "/readyz", "/metrics"))
"""Paths of requests that are answered also where there are too many."""

log = logging.getLogger("infrai_runtime")


class Member(Protocol):
    """A connection."""

    @property
    def rests(self) -> bool:
        """Whether nothing is on its way to the caller."""

    def make_room(self) -> None:
        """Ends it; nothing is asked on it."""


class Crowd:
    """The connections of one server. ``most``: how many may have a request that is being answered."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._all: set[Member] = set()
        self._waiting: dict[Member, None] = {}
        """Those on which nothing is asked, the one that has waited longest first."""
        self._warn_at: dict[str, float] = {}

    def enter(self, member: Member) -> None:
        """A connection was made."""
        self._all.add(member)
        self._waiting[member] = None
        while len(self._waiting) > max(self.most - self._busy, SPARE):
            self._warn("some are closed that wait for a request")
            self._end_one()

    def _end_one(self) -> None:
        """The one that has waited longest, and longer than all others of those whose callers still take an answer."""
        some = islice(self._waiting, SPARE)
        longest = next((member for member in some if member.rests), None) or next(iter(self._waiting))
        self.leave(longest)
        longest.make_room()

    def leave(self, member: Member) -> None:
        """A connection has ended."""
        self._all.discard(member)
        self._waiting.pop(member, None)

    def begin(self, member: Member, path: str) -> bool:
        """A request has come on a connection; whether it is to be answered."""
        self._waiting.pop(member, None)
        if self._busy <= self.most or path in ALWAYS:
            return True
        self._warn("requests are refused with 503")
        return False

    def wait(self, member: Member) -> None:
        """Nothing is asked on a connection any more."""
        if member in self._all:
            self._waiting[member] = None

    @property
    def _busy(self) -> int:
        return len(self._all) - len(self._waiting)

    def _warn(self, what: str) -> None:
        now = self._clock()
        if now >= self._warn_at.get(what, now):
            self._warn_at[what] = now + WARN_EVERY_S
            log.warning("there are more connections than max_connections=%d: %s", self.most, what)
