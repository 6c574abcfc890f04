"""``python -m tests.soak``: see ``soak``. Exits with 1 when anything is wrong."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import pytest

from .soak import soak


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Random faults of the vendor and kill -9 of the runtime under concurrent callers; then the books"
        " are compared with the vendor's account, and memory and descriptors with what they were.",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="default: 10")
    parser.add_argument("--callers", type=int, default=100, help="at the same time; default: 100")
    parser.add_argument("--seed", type=int, help="of faults and kills; default: by chance, and printed")
    parser.add_argument("--keyed", action="store_true", help="the vendor honours idempotency keys")
    parser.add_argument(
        "--calm", action="store_true", help="no kills, and faults that are not charged: nothing is open"
    )
    parser.add_argument("--shared", action="store_true", help="state in PostgreSQL and Redis (default: SQLite)")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", file=sys.stderr, flush=True)

    say(f"seed {seed}")
    try:
        with tempfile.TemporaryDirectory(prefix="infrai-soak-") as directory:
            result = soak(
                Path(directory),
                seconds=60 * options.minutes,
                callers=options.callers,
                seed=seed,
                keyed=options.keyed,
                calm=options.calm,
                shared=options.shared,
                say=say,
            )
    except pytest.skip.Exception as missing:
        parser.error(str(missing))
    print("\n".join(result.lines()))
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
