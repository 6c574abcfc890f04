"""``infrai db``: the schema of a runtime's database."""

from __future__ import annotations

import argparse
import os
from typing import Any

from infrai_cli.database import add_database

_EPILOG = """\
A SQLite file is brought up to date when it is opened; this command also writes an old one anew with the pages of a new
one, while no runtime has it open. A PostgreSQL database that several runtimes share is only
brought up to date by this command; a runtime that finds an older or a newer schema than its own does not start.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The one thing one can do."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    upgrade = actions.add_parser("upgrade", help="bring the schema up to what this version needs")
    add_database(upgrade)


def run(args: Any) -> int:
    """Upgrades the schema."""
    import asyncio

    from infrai_runtime.runtime import durable
    from infrai_runtime.settings import Settings

    environ = {**os.environ, **({"INFRAI_DATABASE": args.database} if args.database else {})}
    where = Settings.from_environment(environ).database

    async def upgraded() -> None:
        await (await durable(where, upgrade=True)).close()

    asyncio.run(upgraded())
    print("the schema is up to date")
    return 0
