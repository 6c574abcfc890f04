"""Word tables as they are written in this package: blank-separated, over several lines."""

from __future__ import annotations


def words(table: str) -> list[str]:
    """The words of a written table, in order."""
    return table.split()
