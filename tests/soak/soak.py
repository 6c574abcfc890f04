"""The soak: random faults and ``kill -9`` in a loop under concurrent callers, and then the books are compared.

Every call of the real client ends in one answer or one clear error. Then what was settled is at most the vendor's own
account, and that at most what was settled and what is on record as open: equal to the nano-dollar when nothing is.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from infrai_core import AsyncInfrai, InfraiError, Retry
from infrai_runtime.testing.till import QUIET, REFUSING, Till, at_random

from .shop import SELLERS, Books, Shop, shop

PATIENCE = Retry(attempts=8, first_s=0.2, max_s=4.0)
LIFE_S = (2.0, 15.0)
"""A runtime lives this long before it is killed."""
LAST_LIFE = 0.4
"""The share of the time that the last runtime lives: long enough to see whether it grows."""
STREAMED = 0.4
MAX_TOKENS = 1000


@dataclass
class Result:
    """What came of it."""

    seed: int
    ends: Counter[str] = field(default_factory=Counter)
    """How calls ended: ``answer``, or the name of the client's error."""
    wrong: list[str] = field(default_factory=list)
    """Calls that ended in something else, and books that do not balance."""
    kills: int = 0
    charges: int = 0
    account_nano: int = 0
    settled_nano: int = 0
    open_nano: int = 0
    unknown_rows: int = 0
    rss_mb: list[float] = field(default_factory=list)
    """Memory of the last runtime, after it was warm."""
    descriptors: list[int] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The result for people."""
        calls = ", ".join(f"{count} {name}" for name, count in self.ends.most_common())
        money = f"settled {self.settled_nano:,} <= account {self.account_nano:,} <= settled + open {self.open_nano:,}"
        size = f"memory {self.rss_mb[0]:.1f} -> {self.rss_mb[-1]:.1f} MB, descriptors {self.descriptors}"
        return [
            f"seed {self.seed}: {sum(self.ends.values())} calls ({calls}), {self.kills} kills",
            f"{self.charges} charges; nano-USD: {money} ({self.unknown_rows} rows open)",
            size,
            *(f"WRONG: {what}" for what in self.wrong),
        ]


async def _caller(at: Shop, number: int, result: Result, over: asyncio.Event) -> None:
    chance = random.Random(f"{result.seed}-{number}")
    async with AsyncInfrai(at.key, base_url=at.url, retry=PATIENCE, timeout_s=60.0) as client:
        call = 0
        while not over.is_set():
            call += 1
            result.ends[await _one(client, f"{number}-{call}", chance.random() < STREAMED, result)] += 1


async def _one(client: AsyncInfrai, name: str, stream: bool, result: Result) -> str:
    """How one call ended; exactly one of its two ends is allowed."""
    try:
        if stream:
            chunks = [chunk async for chunk in client.stream_chat(f"Call {name}", max_tokens=MAX_TOKENS)]
            text = "".join(chunk.delta.content or "" for chunk in chunks)
        else:
            text = (await client.chat(f"Call {name}", max_tokens=MAX_TOKENS)).content or ""
    except InfraiError as error:
        return type(error).__name__
    except Exception as error:
        result.wrong.append(f"call {name} raised {error!r}")
        return "wrong"
    if not text:
        result.wrong.append(f"call {name} has an empty answer")
    return "answer"


async def _killer(at: Shop, seconds: float, calm: bool, result: Result, say: Callable[[str], None]) -> None:
    """Kills and restarts until the last life begins, and watches that one."""
    chance, end = random.Random(result.seed), time.monotonic() + seconds
    watched = (1.0 if calm else LAST_LIFE) * seconds
    last = end - watched
    shortest, longest = (min(limit, seconds / 4) for limit in LIFE_S)
    while True:
        await asyncio.sleep(min(chance.uniform(shortest, longest), max(0.0, last - time.monotonic())))
        if time.monotonic() >= last:
            end = time.monotonic() + watched  # also where a restart has taken long
            break
        await asyncio.to_thread(at.kill)
        result.kills += 1
        await asyncio.to_thread(at.start)
        say(f"kill {result.kills}, {sum(result.ends.values())} calls, {max(0, end - time.monotonic()):.0f} s left")
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, max(0.5, seconds / 60)))
        result.rss_mb.append(at.rss_mb())
        result.descriptors.append(at.descriptors())
        say(f"{sum(result.ends.values())} calls, {result.rss_mb[-1]:.1f} MB, {result.descriptors[-1]} descriptors")


async def _run(at: Shop, seconds: float, callers: int, calm: bool, result: Result, say: Callable[[str], None]) -> None:
    await asyncio.to_thread(at.start)
    over = asyncio.Event()
    async with asyncio.TaskGroup() as calling:
        for number in range(callers):
            calling.create_task(_caller(at, number, result, over))
        await _killer(at, seconds, calm, result, say)
        over.set()
        say("waiting for the last calls")


def _settle(at: Shop, callers: int, result: Result) -> None:
    books = at.books()
    result.charges, result.account_nano = at.till.charges, at.till.charged_nano
    result.settled_nano, result.open_nano = books.settled_nano, books.open_nano
    result.unknown_rows = sum(row.reserved_nano > 0 for row in books.rows)
    result.wrong += _imbalance(books, at.till.charged_nano)
    grown = result.rss_mb[len(result.rss_mb) // 2 :]
    if max(grown) > 1.15 * min(grown) + 5:
        result.wrong.append(f"the memory grew: {grown}")
    if result.descriptors[-1] > result.descriptors[0] + 2 * callers + 20:
        result.wrong.append(f"descriptors leaked: {result.descriptors}")


def _imbalance(books: Books, account_nano: int) -> list[str]:
    claims = {
        "nothing is set aside any more": books.reserved_nano == 0,
        "the ledger's attempts are what was settled": books.attempts_nano == books.settled_nano,
        "settled <= account": books.settled_nano <= account_nano,
        "account <= settled + open": account_nano <= books.settled_nano + books.open_nano,
    }
    return [f"it is not so that {claim}" for claim, holds in claims.items() if not holds]


def soak(
    directory: Path,
    *,
    seconds: float,
    callers: int,
    seed: int,
    keyed: bool = False,
    calm: bool = False,
    shared: bool = False,
    say: Callable[[str], None],
) -> Result:
    """Runs it. ``keyed``: the vendor honours idempotency keys. ``calm``: nobody is killed, and the vendor's faults are
    refusals only, so that nothing may be open. ``shared``: the state is in PostgreSQL and Redis, not in SQLite."""
    result = Result(seed)
    till = Till(keyed=keyed, choose=at_random(seed, REFUSING if calm else QUIET))
    with shop(directory, till, ("m",), SELLERS, shared=shared) as at:
        asyncio.run(_run(at, seconds, callers, calm, result, say))
        at.stop()
        at.find_the_dead()
        _settle(at, callers, result)
    return result
