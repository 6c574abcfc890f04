"""Request ids: UUID version 7 (RFC 9562, 5.7), rising within a process so that logs and ledgers sort by time."""

from __future__ import annotations

import os
import threading
import time

_lock = threading.Lock()
_last = 0


def request_id() -> str:
    """A new id: 48 bits of milliseconds, then a counter seeded by chance."""
    global _last
    random = int.from_bytes(os.urandom(10), "big") & ((1 << 74) - 1)
    fresh = (time.time_ns() // 1_000_000 << 74) | random
    with _lock:
        # Within one millisecond, or after the clock went back, the last id plus one keeps the order.
        _last = fresh if fresh >> 74 > _last >> 74 else _last + 1
        value = _last
    high, low = value >> 62, value & ((1 << 62) - 1)
    stamped = (high >> 12 << 16 | 0x7000 | high & 0xFFF) << 64 | 0b10 << 62 | low
    digits = f"{stamped:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def made_s(name: str) -> float | None:
    """When an id was made, in seconds since the epoch; None for one that does not say so."""
    digits = name.replace("-", "")
    if len(digits) != 32 or digits[12] != "7":
        return None
    try:
        return int(digits[:12], 16) / 1000
    except ValueError:
        return None
