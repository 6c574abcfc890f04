"""The page of a comparison: its table, its plot, and its targets."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contender import ROOT
from benchmarks.measure import table

PAGES = ROOT / "docs" / "benchmarks"

Found = Mapping[str, Mapping[str, float]]
"""CPU microseconds by task and contender."""
Target = tuple[str, float, float]
"""What is compared, what came, and how much it may be."""


def versions(python: str, packages: Sequence[str]) -> dict[str, str]:
    """The versions that an environment has of these packages."""
    code = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps({d.name: d.version for d in m.distributions() if d.name in sys.argv[1:]}))"
    )
    done = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return dict(sorted(found.items()))


def costs_table(found: Found, titles: Mapping[str, str], names: Mapping[str, str], *more: tuple[object, ...]) -> str:
    """A row per task and a column per contender; ``more`` are rows of other measures."""
    columns = [name for name in names if any(name in costs for costs in found.values())]
    rows: list[tuple[object, ...]] = [
        (titles[task], *(f"{costs[name]:,.1f}" if name in costs else "" for name in columns))
        for task, costs in found.items()
    ]
    return table(("CPU", *(names[name] for name in columns)), [*rows, *more])


def targets_table(targets: Sequence[Target]) -> str:
    """What is and what may be, for a terminal."""
    return table(("", "is", "may be"), [(what, f"{is_:.2f}", f"{most:.3g}") for what, is_, most in targets])


def write_page(
    path: Path, title: str, lines: Sequence[str], costs: str, targets: Sequence[Target], found: Mapping[str, str]
) -> None:
    """Writes the page at ``path``; its plot stands beside it under the same name. ``found`` are versions."""
    goals = [f"| {what} | {is_:.2f} | {most:.3g} | {'yes' if is_ <= most else 'no'} |" for what, is_, most in targets]
    used = ", ".join(f"{name} {version}" for name, version in found.items())
    page = [
        f"# {title}",
        "",
        *lines,
        "",
        f"Python {sys.version.split()[0]}; {used}.",
        "",
        f"![CPU time of each contender]({path.stem}.png)",
        "",
        "```",
        costs,
        "```",
        "",
        "| target | is | may be | reached |",
        "|---|---|---|---|",
        *goals,
        "",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(page), "utf-8")


def plot(found: Found, tasks: Mapping[str, str], names: Mapping[str, str], path: Path) -> None:
    """Draws the tasks that people compare, on logarithmic scales, ours in colour; the client alone is left out."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(tasks), figsize=(4.6 * len(tasks), 3.6))
    for axis, (task, title) in zip(axes, tasks.items(), strict=True):
        axis.set(xscale="log", title=title, xlabel="CPU µs (log)")
        _bars(axis, {name: cost for name, cost in found[task].items() if name != "infrai_core"}, names)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(axis: Any, costs: Mapping[str, float], names: Mapping[str, str]) -> None:
    from matplotlib.ticker import NullFormatter

    colors = ["tab:green" if name.startswith("infrai") else "tab:gray" for name in costs]
    bars = axis.barh([names[name] for name in costs], list(costs.values()), color=colors)
    axis.bar_label(bars, fmt=lambda value: f"{value:,.0f}" if value >= 10 else f"{value:.1f}", padding=3)
    axis.set_xlim(decades(costs.values()))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.invert_yaxis()


def decades(values: Collection[float]) -> tuple[float, float]:
    """Whole decades around the values of logarithmic bars, with room for a label behind the longest."""
    return 10 ** math.floor(math.log10(min(values) / 2)), 10 ** math.ceil(math.log10(max(values) * 3))


def command(
    name: str,
    doc: str | None,
    measure: Callable[[bool, bool], dict[str, Any]],
    write: Callable[[dict[str, Any], Path], None],
    argv: list[str] | None = None,
) -> int:
    """``python -m benchmarks.<name>``: measures (quickly or not, with peers or not), then writes page and plot."""
    os.environ.setdefault("MPLCONFIGDIR", "/tmp")
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=doc)
    parser.add_argument("--without-peers", action="store_true", help="no environment of their own, no network")
    parser.add_argument("--quick", action="store_true", help="a few iterations only: does it run?")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs" / "benchmarks", help="directory for the page and the plot"
    )
    args = parser.parse_args(argv)
    write(measure(args.quick, not args.without_peers), args.out)
    print(f"\n{name}.md and {name}.png are in {args.out}")
    return 0
