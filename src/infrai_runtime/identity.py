"""Request ids: UUID version 7 (RFC 9562, 5.7), rising within a process so that logs and ledgers sort by time."""

from __future__ import annotations

import os
import struct
import time

from infrai_core.locks import lock

_lock = lock()
_last = 0


def request_id() -> str:
    """A new id: 48 bits of milliseconds, then a counter seeded by chance."""
    global _last
    fresh = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big") & _CHANCE | _VERSION
    with _lock:
        # Within one millisecond, or after the clock went back, the last id plus one keeps the order.
        _last = value = fresh if fresh >> 80 > _last >> 80 else _last + 1
    return _TEXT % _FIELDS.unpack(value.to_bytes(16, "big"))


_VERSION = 7 << 76 | 2 << 62
"""The version, and the variant."""
_CHANCE = 0x0FFF << 64 | (1 << 61) - 1
"""The bits between them. The highest of the last is left out: the counter never runs into the variant."""
_FIELDS = struct.Struct(">IHHHHI")
_TEXT = "%08x-%04x-%04x-%04x-%04x%08x"


def made_s(name: str) -> float | None:
    """When an id was made, in seconds since the epoch; None for one that does not say so."""
    digits = name.replace("-", "")
    if len(digits) != 32 or digits[12] != "7":
        return None
    try:
        return int(digits[:12], 16) / 1000
    except ValueError:
        return None
