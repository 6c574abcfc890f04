"""``infrai usage``: what a runtime's calls used and cost."""

from __future__ import annotations

import argparse
import csv
import io
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from infrai_cli import usage_plot
from infrai_cli.database import add_database, on_database, shown_usd
from infrai_cli.screen import table
from infrai_core import ConfigError
from infrai_runtime.pricing import usd
from infrai_runtime.store.durable import USAGE_AXES, UsageRow

_EPILOG = """\
A cost that is not known is not counted as 0: `unpriced` says how many calls have none. `open` is what vendors may have
charged beyond the cost, for attempts that nobody knows the end of or whose usage is estimated. By tag, a call counts
under each of its tags, so that those rows may add up to more than was spent.
examples: infrai usage                                  # by vendor and model
          infrai usage --by day,capability --since 2026-11-01 --format csv
          infrai usage --by day,model --plot usage.png
          infrai usage --by tag                         # a row per NAME=VALUE, and one for calls without a tag
"""
_COUNTS = ("calls", "prompt_tokens", "completion_tokens", "cost_usd", "unpriced_calls", "cache_hits", "open_usd")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to add up, and how to show it."""
    parser.epilog = _EPILOG
    parser.add_argument("--by", default="vendor,model", metavar="AXES", help=f"some of {', '.join(USAGE_AXES)}")
    parser.add_argument("--project", metavar="ID", help="only this project (default: all)")
    parser.add_argument("--since", default="1970-01-01", metavar="DAY", help="first day, in UTC, such as 2026-11-01")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default: table")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the cost to a .png or .svg file as well")
    add_database(parser)


def run(args: Any) -> int:
    """Prints the totals."""
    axes = _axes(args.by)
    if args.plot is not None:
        usage_plot.check_path(args.plot)
    rows = on_database(args, lambda store: store.usage(args.project, axes, _since(args.since)), reads=True)
    print(_FORMATS[args.format](axes, rows))
    if args.plot is not None:
        usage_plot.draw(args.plot, axes, rows)
    return 0


def _axes(text: str) -> list[str]:
    axes = [word.strip() for word in text.split(",") if word.strip()]
    wrong = next((word for word in axes if word not in USAGE_AXES), None)
    if wrong is not None or not axes:
        raise ConfigError(f"--by {wrong or text!r}: allowed are {', '.join(USAGE_AXES)}, with commas between them")
    return axes


def _since(text: str) -> float:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--since {text!r}: allowed is a day such as 2026-11-01") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _values(row: UsageRow) -> dict[str, Any]:
    counts = (row.calls, row.prompt_tokens, row.completion_tokens, usd(row.cost_nano), row.unpriced_calls)
    return {**row.group, **dict(zip(_COUNTS, (*counts, row.cache_hits, usd(row.open_nano)), strict=True))}


def _table(axes: list[str], rows: list[UsageRow]) -> str:
    head = (*axes, "calls", "tokens in", "out", "cost", "unpriced", "cached", "open")
    lines = [
        (
            *(str(row.group[axis] or "-") for axis in axes),
            f"{row.calls:,}",
            f"{row.prompt_tokens:,}",
            f"{row.completion_tokens:,}",
            shown_usd(row.cost_nano),
            str(row.unpriced_calls),
            str(row.cache_hits),
            shown_usd(row.open_nano),
        )
        for row in rows
    ]
    return table(head, lines, right=tuple(range(len(axes), len(head))))


def _csv(axes: list[str], rows: list[UsageRow]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [*axes, *_COUNTS], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _inert(value) for name, value in _values(row).items()} for row in rows)
    return out.getvalue().rstrip("\n")


def _inert(value: Any) -> Any:
    """Callers choose the names of tags and models: what a spreadsheet would run as a formula begins with a quote
    (https://owasp.org/www-community/attacks/CSV_Injection)."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _json(axes: list[str], rows: list[UsageRow]) -> str:
    return json.dumps([_values(row) for row in rows], indent=2)


_FORMATS = {"table": _table, "csv": _csv, "json": _json}
