"""Every Python example of the README runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"\*\*([^*]+)\*\*[^\n]*\n\n```python\n(.*?)```", README, re.S)

PRINTS = {
    "Plain Python": r"30.*offline model.*Totals\(calls=2",
    "Batch jobs": r"100 done.*9801",
    "LangChain": r"161.*'total_tokens'",
    "LlamaIndex": r"Five failures in a row.*\[.*\.md",
    "The documented names": r"raccoon",
}
"""What each example prints, as a pattern."""


def test_every_framework_has_its_example() -> None:
    assert [name for name, _ in EXAMPLES] == list(PRINTS)


@pytest.mark.parametrize(("name", "code"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_example_runs(name: str, code: str, tmp_path: Path) -> None:
    environment = {**os.environ, "INFRAI_HOME": str(tmp_path), "INFRAI_BASE_URL": "embedded"}
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert re.search(PRINTS[name], ran.stdout, re.S), ran.stdout


def test_every_file_that_the_pages_link_to_exists() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
