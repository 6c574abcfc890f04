"""``infrai worker``: works on batches, apart from the serving processes."""

from __future__ import annotations

import argparse
from typing import Any

from infrai_core import ConfigError
from infrai_runtime import logs, serve

_EPILOG = """\
Serving processes work on batches too, unless they are started with --batch-concurrency 0. Start as many workers as you
like, on every machine that reaches the database: when one dies, others take up its work within 30 seconds.
Vendors are configured as for `infrai serve`.
example: INFRAI_DATABASE=postgresql://… infrai worker --concurrency 32
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much it does at a time, and where the state is."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--concurrency", type=int, default=8, metavar="N", dest="batch_concurrency", help="requests at a time (8)"
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=30.0,
        metavar="S",
        help="how long running requests may go on after SIGTERM or Ctrl-C (30)",
    )
    serve.add_state_options(parser)


def run(args: Any) -> int:
    """Works until it is told to stop."""
    from infrai_runtime.batch.process import work

    if args.batch_concurrency < 1:
        raise ConfigError(f"--concurrency {args.batch_concurrency}: allowed is a number from 1 on")
    logs.configure(args.log_level, args.log_format)
    settings = serve.settings_from(args)
    flush = serve.export_telemetry() if settings.telemetry else None
    work(settings, args.grace)
    if flush is not None:
        flush()
    return 0
