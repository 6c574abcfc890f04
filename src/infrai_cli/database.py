"""The flag that says which runtime's database a command works on, and opening it."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from infrai_core import ConfigError
from infrai_runtime.catalogue import NANO
from infrai_runtime.runtime import durable
from infrai_runtime.settings import Settings
from infrai_runtime.store.durable import Durable

T = TypeVar("T")
MOST_USD = 1_000_000_000


def add_database(parser: argparse.ArgumentParser) -> None:
    """Adds ``--database``."""
    parser.add_argument(
        "--database",
        metavar="WHERE",
        help="SQLite file or postgresql:// address of the runtime (default: INFRAI_DATABASE, <home>/runtime.db)",
    )


def on_database(args: Any, work: Callable[[Durable], Awaitable[T]], *, reads: bool = False) -> T:
    """What ``work`` returns for the runtime's store. Raises ``ConfigError`` where it cannot be opened; who only
    ``reads`` makes no file where one was named that is not there."""

    async def opened() -> T:
        environ = {**os.environ, **({"INFRAI_DATABASE": args.database} if args.database else {})}
        place = Settings.from_environment(environ).database
        if reads and environ.get("INFRAI_DATABASE") and isinstance(place, Path) and not place.exists():
            raise ConfigError(f"there is no database {place}")
        store = await durable(place)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(opened())


def nano_of(text: str) -> int:
    """An amount of USD on the command line, as nano-USD."""
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal("nan")
    if not (amount.is_finite() and 0 <= amount <= MOST_USD and amount * NANO % 1 == 0):
        about = f"from 0 to {MOST_USD:,}, with at most 9 decimals"
        raise ConfigError(f"{text!r}: allowed is an amount of USD such as 20 or 0.50, {about}")
    return int(amount * NANO)


def shown_usd(nano: int | None) -> str:
    """Nano-USD as a person reads it, to the hundredth of a cent; amounts below a cent in full."""
    if nano is None:
        return "unknown"
    whole, _, decimals = f"{Decimal(nano) / NANO:.{9 if abs(nano) < NANO // 100 else 4}f}".partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(4, '0')}"
