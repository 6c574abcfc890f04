"""``infrai serve``: the runtime over HTTP."""

from __future__ import annotations

import argparse
from typing import Any

from infrai_runtime import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The server's own flags."""
    parser.epilog = "then, elsewhere on this machine: infrai activate --base-url http://127.0.0.1:8402"
    serve.add_options(parser)


def run(args: Any) -> int:
    """Serves until it is told to stop."""
    serve.run(args)
    return 0
