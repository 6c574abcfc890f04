"""``python -m benchmarks`` (``make bench``): runs every measurement, prints tables, writes results and the plot."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import core_overhead, runtime
from benchmarks.offline_chat import score

RESULTS = Path(__file__).parent / "results"

RUNS: dict[str, Callable[[bool], Any]] = {
    "core_overhead": core_overhead.main,
    "runtime": runtime.main,
    "offline_chat": lambda quick: score.main(["--set", "arithmetic"] if quick else []),
}


def main(argv: list[str] | None = None) -> int:
    """Runs the chosen measurements."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"what to measure (default: all of {', '.join(RUNS)})")
    parser.add_argument("--quick", action="store_true", help="a few iterations only: does it run?")
    parser.add_argument("--out", type=Path, default=RESULTS, help="directory for results and plot")
    args = parser.parse_args(argv)
    unknown = set(args.names) - RUNS.keys()
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; allowed are {', '.join(RUNS)}")
    names = args.names or list(RUNS)
    args.out.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, 1):
        print(f"\n[{number}/{len(names)}] {name} …", flush=True)
        result = {
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
            "result": RUNS[name](args.quick),
        }
        (args.out / f"{name}.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", "utf-8")
    plot(args.out)
    print(f"\nresults and overview.png are in {args.out}")
    return 0


def plot(directory: Path) -> None:
    """Draws the numbers that people compare: overhead against its targets and a peer, and the chat model's score."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = {p.stem: json.loads(p.read_text("utf-8"))["result"] for p in directory.glob("*.json")}
    drawings = [draw for name, draw in _DRAWINGS if name in found]
    data = [found[name] for name, _ in _DRAWINGS if name in found]
    if not drawings:
        return
    figure, axes = plt.subplots(1, len(drawings), figsize=(5.2 * len(drawings), 4), squeeze=False)
    for axis, draw, values in zip(axes[0], drawings, data, strict=True):
        draw(axis, values)
    figure.tight_layout()
    figure.savefig(directory / "overview.png", dpi=110)
    plt.close(figure)


def _bars(axis: Any, title: str, values: Mapping[str, float], unit: str, *, log: bool = True) -> None:
    names = list(values)
    bars = axis.barh(names, list(values.values()), color=["tab:green" if "infrai" in n else "tab:gray" for n in names])
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # the line of the target goes on behind the numbers
    axis.bar_label(bars, fmt=lambda value: f"{value:,.0f}" if value >= 10 else f"{value:.1f}", padding=4, bbox=behind)
    axis.set_xscale("log" if log else "linear")
    axis.margins(x=0.35)
    axis.set_title(title)
    axis.set_xlabel(unit)
    axis.invert_yaxis()


def _draw_call(axis: Any, result: Mapping[str, Any]) -> None:
    _bars(axis, "A whole call", {n: c["min_us"] for n, c in result["call"].items()}, "CPU µs per call (log)")
    target = result["call"]["bare transport"]["min_us"] + result["call_target_us"]
    axis.axvline(target, color="tab:red", linestyle=":", label="target")
    axis.legend()


def _draw_chunk(axis: Any, result: Mapping[str, Any]) -> None:
    _bars(axis, "A streamed chunk", {n: c["min_us"] for n, c in result["chunk"].items()}, "CPU µs per chunk (log)")
    target = result["chunk"]["bare transport"]["min_us"] + result["chunk_target_us"]
    axis.axvline(target, color="tab:red", linestyle=":", label="target")
    axis.legend()


def _draw_score(axis: Any, result: Mapping[str, Any]) -> None:
    values = {name: row["score"] * 100 for name, row in result.items()}
    _bars(axis, "Offline chat model, held-out set", values, "score, %", log=False)
    axis.set_xlim(0, 115)


_DRAWINGS: list[tuple[str, Callable[[Any, Any], None]]] = [
    ("core_overhead", _draw_call),
    ("core_overhead", _draw_chunk),
    ("offline_chat", _draw_score),
]


if __name__ == "__main__":
    raise SystemExit(main())
