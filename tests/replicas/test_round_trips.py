"""What a served call asks of PostgreSQL and Redis before its vendor and after it, counted on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.relay import Relay
from tests.servers import Postgres, redis
from tests.serving import served_process

from .fleet import configured
from .state import on_postgres
from .vendor import Vendor, serving

CALLS = 6


class Asked(NamedTuple):
    """Round trips: to the database, and to Redis for the limits."""

    postgres: int
    redis: int


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving() as made:
        yield made


def test_a_served_call_asks_each_store_once_before_its_vendor_and_once_after_it(tmp_path: Path, vendor: Vendor) -> None:
    async def body(stack: ExitStack) -> None:
        server = Postgres()
        stack.callback(server.close)
        stack.enter_context(server.up())
        cache = stack.enter_context(redis(tmp_path / "redis"))
        configured(tmp_path / "home", vendor)
        state = on_postgres(server.url())
        limits = {"requests_per_minute": 1000, "tokens_per_minute": 10**6, "concurrency": 3}
        key = await asyncio.to_thread(lambda: state.key(**limits))
        async with Relay(server) as relay:
            environ = {"INFRAI_DATABASE": relay.url, "INFRAI_REDIS": cache, "INFRAI_VENDORS": "acme"}
            process = served_process(tmp_path / "home", "--batch-concurrency", "0", environ=environ)
            served = await asyncio.to_thread(process.__enter__)
            try:
                headers = {"authorization": f"Bearer {key.secret}"}
                async with httpx.AsyncClient(base_url=served.base_url, headers=headers, trust_env=False) as http:
                    seen = [await one(vendor, http, counter(relay, cache), str(number)) for number in range(CALLS)]
            finally:
                await asyncio.to_thread(process.__exit__, None, None, None)
        assert min(before.postgres for before, _ in seen) == 1
        assert min(after.postgres for _, after in seen) == 1
        assert min(before.redis for before, _ in seen) == 1
        assert min(after.redis for _, after in seen) == 1

    with ExitStack() as stack:  # of several calls the least: now and then the runtime also looks after itself
        asyncio.run(body(stack))


def counter(relay: Relay, address: str) -> Callable[[], Awaitable[Asked]]:
    """Counts what has been asked so far."""

    async def count() -> Asked:
        from redis.asyncio import from_url

        async with from_url(address) as client:
            stats = await client.info("commandstats")
        return Asked(relay.answers, stats.get("cmdstat_evalsha", {"calls": 0})["calls"])

    return count


async def one(
    vendor: Vendor, http: httpx.AsyncClient, count: Callable[[], Awaitable[Asked]], prompt: str
) -> tuple[Asked, Asked]:
    """What one call has asked when its vendor is asked, and after that."""
    start = await count()
    with vendor.holding(prompt) as gate:
        body = {"messages": prompt, "model": "m", "max_tokens": 5}
        call = asyncio.create_task(http.post("/ai/chat", json=body, timeout=30))
        await asyncio.to_thread(gate.wait)
        asked = await count()
        gate.open()
        assert (await call).status_code == 200
    end = await count()
    return minus(asked, start), minus(end, asked)


def minus(later: Asked, earlier: Asked) -> Asked:
    return Asked(later.postgres - earlier.postgres, later.redis - earlier.redis)
