"""Plain text that fits into 100 columns: tables, wrapped lines, and colour only on a terminal."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence

COLUMNS = 100
_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def paint(text: str, *styles: str) -> str:
    """The text in colour where standard output is a terminal (and ``NO_COLOR`` is not set), else as it is."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{';'.join(_COLOURS[style] for style in styles)}m{text}\033[0m"


def width(text: str) -> int:
    """How many columns the text takes: Chinese characters take two."""
    return sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """The text filled with spaces to a number of columns; ``right``: on its left side."""
    fill = " " * (columns - width(text))
    return fill + text if right else text + fill


def cut(text: str, columns: int) -> str:
    """The text on one line in at most so many columns, its end replaced by … where it is longer."""
    line = " ".join(text.split())
    if width(line) <= columns:
        return line
    kept = ""
    for char in line:
        if width(kept) + _cell(char) > columns - 1:
            break
        kept += char
    return kept.rstrip() + "…"


def wrapped(text: str, columns: int) -> Iterator[str]:
    """Lines of at most so many columns, broken at spaces, and inside words only where one alone is too long."""
    line = ""
    for word in text.split():
        if line and width(line) + 1 + width(word) > columns:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
        while width(line) > columns:
            head = cut(line, columns + 1).removesuffix("…") if " " not in line else line
            yield head
            line = line[len(head) :]
    if line:
        yield line


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """A table with a line under its head. ``right`` are the places of columns that are aligned to the right."""
    columns = [max(width(row[place]) for row in (head, *rows)) for place in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = (pad(text, columns[place], right=place in right) for place, text in enumerate(row))
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * size for size in columns)
    return "\n".join([line(head), rule, *map(line, rows)])
