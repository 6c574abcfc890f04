"""Dates and times of day as they are written, and in the forms of a schema."""

from __future__ import annotations

import re
from datetime import date

from .number import numbers
from .table import words

MONTHS = words(
    """
    january february march april may june july august september october november december
    """
)
_MONTH = {name: i for i, name in enumerate(MONTHS, 1)} | {name[:3]: i for i, name in enumerate(MONTHS, 1)} | {"sept": 9}


def iso_date(written: str, year: int | None = None) -> str | None:
    """A written date as YYYY-MM-DD; None where the year is not known or the date does not exist."""
    parts = [int(part) for part in re.findall(r"\d+", written)]
    month = next((_MONTH[w] for w in re.findall(r"[a-z]+", written.lower()) if w in _MONTH), None)
    if month:
        day = next((part for part in parts if part <= 31), 1)
        years = [part for part in parts if part > 31]
        return _iso(years[0] if years else year, month, day)
    if len(parts) == 3 and parts[0] > 31:
        return _iso(*parts)
    if len(parts) == 3:
        return _iso(parts[2] + (2000 if parts[2] < 100 else 0), *(parts[:2] if parts[0] <= 12 else parts[1::-1]))
    return _iso(year, *parts) if len(parts) == 2 and "月" in written else None


def _iso(year: int | None, month: int, day: int) -> str | None:
    try:
        return date(year or 0, month, day).isoformat()
    except ValueError:
        return None


def _clock(written: str) -> str | None:
    """A written time of day as HH:MM; None where it is not one."""
    lower = written.lower().replace(".", "")
    if lower in ("noon", "midnight"):
        return "12:00" if lower == "noon" else "00:00"
    parts = [int(n.value) for n in numbers(lower.replace("点", " 点 ").replace(":", " "))]
    if not parts or parts[0] > 24:
        return None
    hour = parts[0] % 12 if re.search(r"[ap]m|早上|上午|下午|晚上|凌晨", lower) else parts[0]
    hour += 12 if re.search(r"pm|下午|晚上", lower) else 0
    minute = 30 if "半" in lower else parts[1] if len(parts) > 1 else 0
    return f"{hour % 24:02d}:{minute:02d}" if minute < 60 else None


def iso_time(value: str) -> str | None:
    """A written time of day as HH:MM:SS; None where it is not one."""
    found = _clock(value)
    return f"{found}:00" if found else None


def iso_datetime(value: str) -> str | None:
    """A written date and time as RFC 3339, UTC where it names no zone; None where it is not one."""
    return (
        value.replace(" ", "T") + ("" if value.endswith("Z") else "Z")
        if re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d$", value)
        else value
        if "T" in value
        else None
    )
