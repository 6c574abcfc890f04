"""Request ids: UUID version 7 (RFC 9562, 5.7), rising within a process so that logs and ledgers sort by time."""

from __future__ import annotations

import os
import time

from infrai_core.locks import lock

_lock = lock()
_last = 0


def request_id() -> str:
    """A new id: 48 bits of milliseconds, then a counter seeded by chance."""
    global _last
    fresh = time.time_ns() // 1_000_000 << 74 | int.from_bytes(os.urandom(10), "big") >> 6
    with _lock:
        # Within one millisecond, or after the clock went back, the last id plus one keeps the order.
        _last = value = fresh if fresh >> 74 > _last >> 74 else _last + 1
    stamp, count = value >> 62, value & 0x3FFF_FFFF_FFFF_FFFF
    return (
        f"{stamp >> 28:08x}-{stamp >> 12 & 0xFFFF:04x}-7{stamp & 0xFFF:03x}"
        f"-{count >> 48 | 0x8000:04x}-{count & 0xFFFF_FFFF_FFFF:012x}"
    )


def made_s(name: str) -> float | None:
    """When an id was made, in seconds since the epoch; None for one that does not say so."""
    digits = name.replace("-", "")
    if len(digits) != 32 or digits[12] != "7":
        return None
    try:
        return int(digits[:12], 16) / 1000
    except ValueError:
        return None
