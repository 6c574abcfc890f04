"""Executes the notebooks in place, each in a home directory of its own, and stops at the first cell that fails."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent


def execute(path: Path) -> None:
    """Runs one notebook and writes its outputs back."""
    print(f"{path.relative_to(ROOT)} …", end=" ", flush=True)
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat ships no types
    NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day would change the file at every run
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]  # nbformat ships no types
    print("ok")


def main() -> int:
    """Runs the notebooks named on the command line, else all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", nargs="*", help="file of a notebook (all of notebooks/)")
    paths = [Path(name).resolve() for name in parser.parse_args().notebook]
    paths = paths or sorted((ROOT / "notebooks").glob("*.ipynb"))
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"INFRAI_HOME": home, "INFRAI_VENDORS": "local"}  # what they show needs no key
        for path in paths:
            execute(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
