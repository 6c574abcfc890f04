"""The drawing of ``infrai usage``: a bar per day or group, with a part for each of the dearest of the other axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

from infrai_core import ConfigError
from infrai_runtime.catalogue import NANO
from infrai_runtime.store.durable import UsageRow

SUFFIXES = (".png", ".svg")
MOST_PARTS = 9
"""Parts of a bar with a colour of their own; what is cheaper is one part together."""
MOST_BARS = 40
MOST_DATES = 8

Costs: TypeAlias = Counter[str]
"""Nano-USD by the name of a bar."""


def check_path(path: Path) -> None:
    """Raises ``ConfigError`` for a file of another kind."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"--plot {str(path)!r}: allowed are .png and .svg")


def draw(path: Path, axes: Sequence[str], rows: Sequence[UsageRow]) -> None:
    """Draws the cost of the rows to a file. Raises ``ConfigError`` where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError('--plot needs matplotlib: pip install "infrai-integrations[notebook]"') from None
    along = "day" if "day" in axes else axes[0]
    parts = parts_of(along, axes, rows)
    bars = _bars(parts)
    figure = Figure(figsize=(11, 5 if along == "day" else max(3, 1 + 0.28 * len(bars))), layout="constrained")
    drawing = figure.add_subplot()
    drawing.set_title(title(axes, rows))
    (_days if along == "day" else _groups)(drawing, bars, parts)
    if len(axes) > 1 and rows:
        figure.legend(loc="outside right upper", fontsize="small", reverse=along == "day")
    figure.savefig(path, dpi=120)


def title(axes: Sequence[str], rows: Sequence[UsageRow]) -> str:
    """What is drawn, and what is not: a cost that nobody knows is no bar of height 0."""
    unpriced = sum(row.unpriced_calls for row in rows)
    missing = [f"without {unpriced:,} calls of unknown cost"] if unpriced else []
    notes = [*missing, *(["a call counts under each of its tags"] if "tag" in axes else [])]
    return f"Cost by {', '.join(axes)}" + (f" ({'; '.join(notes)})" if notes else "")


def parts_of(along: str, axes: Sequence[str], rows: Sequence[UsageRow]) -> dict[str, Costs]:
    """The parts of the bars, dearest first, each with its cost by bar; the cheapest are one part."""
    parts: dict[str, Costs] = {}
    for row in rows:
        name = " / ".join(row.group[axis] or "-" for axis in axes if axis != along)
        parts.setdefault(name, Counter())[row.group[along] or "-"] += row.cost_nano
    ranked = sorted(parts, key=lambda name: -parts[name].total())
    rest = ranked[MOST_PARTS:] if len(ranked) > MOST_PARTS + 1 else []
    named = {name: parts[name] for name in ranked[: len(ranked) - len(rest)]}
    return named | ({f"{len(rest)} others": _sum(parts[name] for name in rest)} if rest else {})


def _sum(parts: Iterable[Costs]) -> Costs:
    total: Costs = Counter()
    for part in parts:
        total.update(part)
    return total


def _bars(parts: Mapping[str, Costs]) -> list[str]:
    """The names of the bars, the dearest first."""
    total = _sum(parts.values())
    return sorted(total, key=lambda name: (-total[name], name))


def _days(drawing: Any, bars: Sequence[str], parts: Mapping[str, Costs]) -> None:
    """Upright, along a calendar: a day without calls is a gap."""
    days = sorted(bars)
    places = [date.fromisoformat(day).toordinal() for day in days]
    floors = [0.0] * len(days)
    for name, costs in parts.items():
        heights = [costs[day] / NANO for day in days]
        drawing.bar(places, heights, bottom=floors, label=name)
        floors = [floor + height for floor, height in zip(floors, heights, strict=True)]
    step = (places[-1] - places[0]) // MOST_DATES + 1 if places else 1
    dates = range(places[0], places[-1] + 1, step) if places else ()
    drawing.set_xticks(dates, [date.fromordinal(place).isoformat() for place in dates])
    drawing.set_ylabel("cost, USD")


def _groups(drawing: Any, bars: Sequence[str], parts: Mapping[str, Costs]) -> None:
    """Lying, the dearest on top, so that long names can be read."""
    shown = bars[:MOST_BARS]
    starts = [0.0] * len(shown)
    for name, costs in parts.items():
        widths = [costs[bar] / NANO for bar in shown]
        drawing.barh(shown, widths, left=starts, label=name)
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    drawing.invert_yaxis()
    left_out = f" ({len(bars) - len(shown)} cheaper ones are not shown)" if len(bars) > len(shown) else ""
    drawing.set_xlabel(f"cost, USD{left_out}")
