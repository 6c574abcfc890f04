"""The keys of one vendor, in turn. A key that the vendor refuses rests, and the next one is used.

What a refusal says of a key: 401 and spent credit are about the whole key, so it rests for long; 403 and 429 are about
the key and the model, because vendors grant and limit by model. All times are seconds of one monotonic clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from infrai_runtime.failure import Failure
from infrai_runtime.redact import HIDDEN

REFUSED_REST_S = 60.0
"""How long a key rests after its first refusal; every further one after such a rest doubles it."""
LONGEST_REST_S = 3600.0
LIMITED_REST_S = 1.0
"""After a 429 that does not say how long to wait."""
LONGEST_LIMIT_S = 600.0

_ABOUT_THE_KEY = frozenset({"UNAUTHORIZED", "INSUFFICIENT_CREDIT"})
_ABOUT_KEY_AND_MODEL = frozenset({"FORBIDDEN", "RATE_LIMITED"})
KEY_FAILURES = _ABOUT_THE_KEY | _ABOUT_KEY_AND_MODEL
"""Codes after which another key of the same vendor may do."""


class Hidden(str):
    """A string that tells its value to those who use it, and to nobody who looks at it: not in a ``repr``, not in a
    traceback's variables, not in a pickle."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(HIDDEN)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")


@dataclass(frozen=True, slots=True)
class Key:
    """A handle of a key. ``label`` is its place in the configuration, such as ``#2``."""

    secret: Hidden
    label: str


KEYLESS = Key(Hidden(), "none")


@dataclass(frozen=True, slots=True)
class Rest:
    """A key does not answer for a while: until when, and the failure that says why. ``strikes``: how often in a row."""

    until: float
    failure: Failure
    strikes: int


@dataclass(frozen=True, slots=True)
class KeyHealth:
    """How a key is: ``models`` it rests for (``*``: all), why, and for how many seconds still."""

    label: str
    rests: Sequence[tuple[str, str, float]]

    @property
    def healthy(self) -> bool:
        """Whether it is used for every model."""
        return not self.rests


class Keyring:
    """Hands out the keys in turn. Its methods may be called from any thread."""

    def __init__(self, vendor: str, secrets: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.vendor = vendor
        self._keys = tuple(Key(Hidden(secret), f"#{n}") for n, secret in enumerate(secrets, 1)) or (KEYLESS,)
        self._rests: dict[tuple[str, str], Rest] = {}
        self._next = 0
        self._clock = clock
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many keys there are; 0 for a vendor that is used without one."""
        return 0 if self._keys[0] is KEYLESS else len(self._keys)

    def __repr__(self) -> str:
        return f"Keyring({self.vendor!r}, {len(self)} keys)"

    def secrets(self) -> list[str]:
        """The keys themselves, to take them out of texts."""
        return [key.secret for key in self._keys if key.secret]

    def turn(self, model: str) -> Sequence[Key]:
        """The keys to try for a model, in order. Raises the failure that keeps all of them from it."""
        if len(self._keys) == 1 and not self._rests:
            return self._keys
        with self._lock:
            start = self._next
            self._next = (start + 1) % len(self._keys)
            keys = [*self._keys[start:], *self._keys[:start]]
            if not self._rests:
                return keys
            now = self._clock()
            usable = [key for key in keys if self._rest(key, model, now) is None]
        if not usable:
            raise self._worn_out(model, now)
        return usable

    def refused(self, key: Key, model: str, failure: Failure) -> bool:
        """Notes a failure. Whether it is about the key, so that another key may do."""
        if failure.code not in KEY_FAILURES:
            return False
        place = (key.label, "*" if failure.code in _ABOUT_THE_KEY else model)
        with self._lock:
            now, before = self._clock(), self._rests.get(place)
            # Calls of one moment are refused together, which is no refusal after a rest.
            strikes = 0 if before is None else before.strikes + (before.until <= now)
            self._rests[place] = Rest(now + _rest_s(failure, strikes), failure.again(), strikes)
        return True

    def worked(self, key: Key, model: str) -> None:
        """Notes that the vendor took a key."""
        if self._rests:
            with self._lock:
                self._rests.pop((key.label, "*"), None)
                self._rests.pop((key.label, model), None)

    def health(self) -> list[KeyHealth]:
        """How every key is."""
        with self._lock:
            now, rests = self._clock(), dict(self._rests)
        return [
            KeyHealth(
                key.label,
                [
                    (model, rest.failure.code, rest.until - now)
                    for (label, model), rest in rests.items()
                    if label == key.label and rest.until > now
                ],
            )
            for key in self._keys
        ]

    def _rest(self, key: Key, model: str, now: float) -> Rest | None:
        rests = (self._rests.get((key.label, "*")), self._rests.get((key.label, model)))
        return max((r for r in rests if r and r.until > now), key=lambda r: r.until, default=None)

    def _worn_out(self, model: str, now: float) -> Failure:
        rests = [rest for key in self._keys if (rest := self._rest(key, model, now))]
        first = min(rests, key=lambda rest: rest.until)
        wait_s = max(0.0, first.until - now)
        which = "its key" if len(self._keys) == 1 else f"all of its {len(self._keys)} keys"
        message = f"{self.vendor} refused {which} and is asked again in {wait_s:.0f} s: {first.failure.message}"
        limited: dict[str, Any] = {"retry_after_s": wait_s} if first.failure.code == "RATE_LIMITED" else {}
        return Failure(first.failure.code, message, **limited)


def _rest_s(failure: Failure, strikes: int) -> float:
    if failure.code == "RATE_LIMITED":
        return min(LIMITED_REST_S if failure.retry_after_s is None else failure.retry_after_s, LONGEST_LIMIT_S)
    return float(min(REFUSED_REST_S * 2.0 ** min(strikes, 16), LONGEST_REST_S))
