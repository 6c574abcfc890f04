"""Counts and times of calls for ``GET /metrics``, in Prometheus' text format.

The format is a page long (https://prometheus.io/docs/instrumenting/exposition_formats/); the client library would cost
a tenth of the server's memory to write it. A test reads it with that library.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from infrai_runtime.catalogue import NANO
from infrai_runtime.failure import Failure
from infrai_runtime.label import ModelLabels
from infrai_runtime.observe import outcome_of
from infrai_runtime.trace import Trace

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper ends of a histogram's buckets."""

Labels = tuple[str, ...]
Sample = tuple[Labels, float]
"""Label values, and the number that they have."""


class Counter:
    """A sum per combination of label values."""

    kind = "counter"

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name, self.about, self._labels = name, about, labels
        self.sums: dict[Labels, float] = defaultdict(float)
        """By label values; 0 for those that were not there."""

    def lines(self) -> Iterator[str]:
        """The samples."""
        for values, total in self.sums.items():
            yield f"{self.name}{_labels(self._labels, values)} {total!r}"


class Histogram:
    """How many observations were at most so many seconds, per combination of label values."""

    kind = "histogram"

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name, self.about, self._labels = name, about, labels
        self._counts: dict[Labels, list[int]] = defaultdict(lambda: [0] * (len(SECONDS) + 1))
        self._sums: dict[Labels, float] = defaultdict(float)

    def add(self, seconds: float, *values: str) -> None:
        """Adds an observation."""
        self._counts[values][bisect.bisect_left(SECONDS, seconds)] += 1
        self._sums[values] += seconds

    def lines(self) -> Iterator[str]:
        """The samples."""
        ends = [*map(repr, SECONDS), "+Inf"]
        for values, counts in self._counts.items():
            for end, total in zip(ends, accumulate(counts), strict=True):
                yield f"{self.name}_bucket{_labels((*self._labels, 'le'), (*values, end))} {total}"
            plain = _labels(self._labels, values)
            yield f"{self.name}_sum{plain} {self._sums[values]!r}"
            yield f"{self.name}_count{plain} {sum(counts)}"


class Gauge:
    """Numbers that are looked up when somebody asks, one per combination of label values."""

    kind = "gauge"

    def __init__(self, name: str, about: str, read: Callable[[], Iterable[Sample]], *labels: str) -> None:
        self.name, self.about, self._read, self._labels = name, about, read, labels

    def lines(self) -> Iterator[str]:
        """The samples."""
        for values, number in self._read():
            yield f"{self.name}{_labels(self._labels, values)} {number!r}"


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{','.join(pairs)}}}" if names else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


class Metrics:
    """An observer that counts. No label holds a project or a key, or words of a caller beside names of models, of which
    a bounded number has a label of its own."""

    def __init__(self, running: Callable[[], float]) -> None:
        self._models = ModelLabels()
        where = ("vendor", "model")
        self._requests = Counter(
            "infrai_requests_total", "Calls that ended, by outcome.", "capability", "surface", *where, "outcome"
        )
        self._seconds = Histogram("infrai_request_seconds", "Whole time of a call.", "capability")
        self._first = Histogram("infrai_first_chunk_seconds", "Time to the first content of a stream.", "capability")
        self._attempts = Counter(
            "infrai_attempts_total", "Attempts at vendors, by outcome; skipped:… are those not made.", *where, "outcome"
        )
        self._tokens = Counter("infrai_tokens_total", "Tokens, by kind.", *where, "kind")
        self._cost = Counter("infrai_cost_usd_total", "What answered calls cost.", *where)
        self._unpriced = Counter("infrai_unpriced_calls_total", "Answered calls of unknown cost.", *where)
        self._hits = Counter("infrai_cache_hits_total", "Calls answered from the cache.", "capability")
        self._running = Gauge("infrai_running", "Answers that are being made.", lambda: [((), running())])

    def ended(self, trace: Trace, failure: Failure | None) -> None:
        """Counts a call."""
        capability = trace.capability
        vendor = trace.vendor or ""
        model = self._models.of(vendor, trace.model or "") if vendor else ""
        self._requests.sums[capability, trace.surface.name, vendor, model, outcome_of(failure)] += 1
        self._seconds.add(trace.latency_ms() / 1000, capability)
        if (first := trace.first_chunk_ms()) is not None:
            self._first.add(first / 1000, capability)
        for row in trace.rows:
            self._attempts.sums[row["vendor"], self._models.of(row["vendor"], row["model"]), row["outcome"]] += 1
        if trace.cache_hit:
            self._hits.sums[(capability,)] += 1
        elif trace.vendor is not None:
            self._count_use(trace, vendor, model)

    def _count_use(self, trace: Trace, vendor: str, model: str) -> None:
        if count := trace.usage.get("prompt_tokens"):
            self._tokens.sums[vendor, model, "input"] += count
        if count := trace.usage.get("completion_tokens"):
            self._tokens.sums[vendor, model, "output"] += count
        if trace.cost_nano is None:
            self._unpriced.sums[vendor, model] += 1
        else:
            self._cost.sums[vendor, model] += trace.cost_nano / NANO

    def text(self, more: Iterable[Gauge] = ()) -> str:
        """All of it and ``more``, as Prometheus reads it."""
        families = [*(family for family in vars(self).values() if hasattr(family, "lines")), *more]
        return "".join(
            f"# HELP {family.name} {family.about}\n# TYPE {family.name} {family.kind}\n"
            + "".join(f"{line}\n" for line in family.lines())
            for family in families
        )
