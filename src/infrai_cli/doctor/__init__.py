"""``infrai doctor``: what is installed, configured and reachable, and the command that helps where something is not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from infrai_cli.doctor import configured, installed, on_machine, reachable
from infrai_cli.doctor.check import Check, State
from infrai_cli.screen import COLUMNS, pad, paint, wrapped

_MARKS: dict[State, tuple[str, ...]] = {"ok": ("green",), "missing": ("yellow",), "problem": ("red", "bold")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to look at."""
    parser.epilog = "ok: works. missing: an option you may want. problem: something is broken; the exit code is 1."
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    parser.add_argument("--profile", default="default", metavar="NAME", help="profile of the credentials file")
    parser.add_argument("--offline", action="store_true", help="do not contact the configured service")
    parser.add_argument("--port", type=int, metavar="N", help="port that you want to serve on (default: 8402)")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S", help="longest wait for the service (5)")


def run(args: Any) -> int:
    """Prints all checks; 1 when one is a problem."""
    sections = {
        "installed": installed.checks(),
        "configured": configured.checks(args.profile),
        "reachable": reachable.checks(args),
        "models on this machine": on_machine.checks(),
    }
    print(as_json(sections) if args.json else as_text(sections))
    return int(any(check.state == "problem" for checks in sections.values() for check in checks))


def as_json(sections: dict[str, list[Check]]) -> str:
    """The checks by section."""
    rows = {name: [asdict(check) for check in checks] for name, checks in sections.items()}
    return json.dumps(rows, ensure_ascii=False, indent=2)


def as_text(sections: dict[str, list[Check]]) -> str:
    """The checks as a table in 100 columns, and how many of each state there are."""
    states = [check.state for checks in sections.values() for check in checks]
    count = ", ".join(f"{states.count(state)} {state}" for state in _MARKS)
    return "\n\n".join([*(_section(name, checks) for name, checks in sections.items()), count])


def _section(name: str, checks: Sequence[Check]) -> str:
    return "\n".join([paint(name.capitalize(), "bold"), *(line for check in checks for line in _lines(check))])


_INDENT = 34


def _lines(check: Check) -> list[str]:
    head = f"  {paint(pad(check.state, 9), *_MARKS[check.state])}{pad(check.what, _INDENT - 13)}  "
    first, *more = [*wrapped(check.detail, COLUMNS - _INDENT)] or [""]
    fix = [paint(f"-> {check.fix}", "cyan")] if check.fix else []
    return [head + first, *(" " * _INDENT + line for line in [*more, *fix])]
