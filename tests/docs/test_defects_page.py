"""Every test that the page of reported defects names is there, and every row of its tables names one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "defects.md").read_text("utf-8")
ROWS: list[str] = re.findall(r"^\| (?!reported)(.+) \|$", PAGE, re.M)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_page_has_a_table_for_each_kind_of_package() -> None:
    assert len(re.findall(r"^\| reported \| here \| test \|$", PAGE, re.M)) == 5
    assert len(ROWS) > 60


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_row_names_tests_that_exist(row: str) -> None:
    reported, here, shown = row.split(" | ")
    assert reported
    assert here
    named = NAMED.findall(shown)
    assert named
    assert NAMED.sub("", shown).strip() == ""
    for file, name in named:
        assert name in names_in(ROOT / file), f"{file} has no {name}"
