"""How many batches and requests of batches there are, by state, as numbers for ``/metrics``."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator

from infrai_runtime.metrics import Gauge, Sample
from infrai_runtime.store.batch import STATES, Alike, BatchStore

LIMIT_S = 2.0
"""A store that takes longer is as good as down."""

log = logging.getLogger("infrai_runtime")


async def gauges(store: BatchStore, now: float) -> list[Gauge]:
    """The numbers of the store, which are the same in every process that shares it. None while it does not answer:
    the other numbers are wanted just then."""
    try:
        async with asyncio.timeout(LIMIT_S):
            return counted(await store.alike_batches(now))
    except Exception as error:
        log.warning("batches could not be counted (%s)", type(error).__name__)
        return []


def counted(found: Iterable[Alike]) -> list[Gauge]:
    """The numbers of some batches."""
    jobs, requests = Counter(dict.fromkeys(STATES, 0)), Counter({"waiting": 0, "completed": 0, "failed": 0})
    for alike in found:
        jobs[alike.state] += alike.batches
        requests["completed"] += alike.completed
        requests["failed"] += alike.lost
        requests["waiting"] += alike.total - alike.completed - alike.lost
    return [
        Gauge("infrai_batches", "Batches in the store, by state.", lambda: _samples(jobs), "state"),
        Gauge("infrai_batch_requests", "Requests of those batches, by state.", lambda: _samples(requests), "state"),
    ]


def _samples(counts: Counter[str]) -> Iterator[Sample]:
    return (((state,), float(count)) for state, count in counts.items())
