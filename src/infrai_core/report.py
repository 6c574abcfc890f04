"""Totals as a table: plain text, for rich, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infrai_core.usage import Totals

_HEADS = ("calls", "prompt", "completion", "cost USD", "unpriced", "cache hits", "aborted", "attempts", "mean ms")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under ``heads``; the last row is the total.

    ``print`` shows plain text, ``rich.print`` a rich table, a notebook HTML. A cost of ``-`` is unknown; ``unpriced``
    counts the calls that are missing in a known one.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.heads, *self.rows, strict=True)]
        lines = [self.heads, tuple("-" * width for width in widths), *self.rows]
        return "\n".join(_line(cells, widths) for cells in lines)

    def __rich__(self) -> Any:
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable()
        for place, head in enumerate(self.heads):
            table.add_column(head, justify="right" if place else "left")
        for row in self.rows:
            table.add_row(*map(Text, row), end_section=row is self.rows[-2:][0])
        return table

    def _repr_html_(self) -> str:
        heads = "".join(f"<th>{escape(head)}</th>" for head in self.heads)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows)
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()


def table_of(axis: str, groups: Mapping[str, Totals], total: Totals) -> Table:
    """A row per group, the dearest first, and the total."""
    dearest_first = sorted(groups.items(), key=lambda item: (-item[1].cost_usd, -item[1].calls, item[0]))
    rows = [(name, *_cells(totals)) for name, totals in [*dearest_first, ("total", total)]]
    return Table((axis, *_HEADS), tuple(rows))


def _cells(totals: Totals) -> tuple[str, ...]:
    known = totals.unpriced_calls < totals.calls or not totals.calls
    counts = (totals.unpriced_calls, totals.cache_hits, totals.aborted_calls, totals.attempts)
    mean = "-" if totals.mean_latency_ms is None else f"{totals.mean_latency_ms:.0f}"
    cost = f"{totals.cost_usd:.6f}" if known else "-"
    tokens = (f"{totals.prompt_tokens:,}", f"{totals.completion_tokens:,}")
    return (str(totals.calls), *tokens, cost, *map(str, counts), mean)
