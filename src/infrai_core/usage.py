"""The ledger: what all calls of a client used and cost, in total and by vendor, model, capability, tag or run."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from infrai_core.errors import ConfigError
from infrai_core.locks import lock
from infrai_core.models import Metadata, Usage

if TYPE_CHECKING:
    from infrai_core.report import Table

Number = TypeVar("Number", Decimal, float)
Axis = Literal["vendor", "model", "capability", "tag", "run"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered or aborted call. ``cost_usd`` is None when unknown; ``estimated`` marks guessed token counts.

    ``attempts`` counts the vendors that were tried, ``run`` groups the calls that belong together: one question to an
    agent, one query of an index. ``span`` is the id of the trace span that the call was made in, where one is known. A
    tag without a value is an empty string.
    """

    capability: str
    vendor: str | None
    model: str | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None
    latency_ms: float | None
    cache_hit: bool
    request_id: str | None
    outcome: Literal["ok", "aborted"] = "ok"
    estimated: bool = False
    usage: Usage | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 1
    run: str | None = None
    span: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over calls. ``cost_usd`` is the sum of known costs; ``unpriced_calls`` counts the calls without one.

    ``latency_ms`` is the sum over the ``timed_calls``, as the service measured it; ``attempts`` the vendors tried.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced_calls: int = 0
    cache_hits: int = 0
    aborted_calls: int = 0
    attempts: int = 0
    latency_ms: float = 0.0
    timed_calls: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def mean_latency_ms(self) -> float | None:
        """Mean latency of the timed calls; None when there is none."""
        return self.latency_ms / self.timed_calls if self.timed_calls else None


class _Sums:
    """Totals in the making."""

    __slots__ = (
        "aborted",
        "attempts",
        "cache_hits",
        "calls",
        "completion",
        "cost",
        "latency",
        "prompt",
        "timed",
        "unpriced",
    )

    def __init__(self) -> None:
        self.calls = self.prompt = self.completion = self.unpriced = self.cache_hits = self.aborted = 0
        self.attempts = self.timed = 0
        self.latency = 0.0
        self.cost = Decimal(0)

    def add(self, entry: Entry) -> None:
        self.calls += 1
        self.prompt += entry.prompt_tokens
        self.completion += entry.completion_tokens
        self.cache_hits += entry.cache_hit
        self.aborted += entry.outcome == "aborted"
        self.attempts += entry.attempts
        if entry.latency_ms is not None:
            self.latency += entry.latency_ms
            self.timed += 1
        if entry.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost += entry.cost_usd

    def merge(self, other: _Sums) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def totals(self) -> Totals:
        return Totals(
            self.calls,
            self.prompt,
            self.completion,
            self.cost,
            self.unpriced,
            self.cache_hits,
            self.aborted,
            self.attempts,
            self.latency,
            self.timed,
        )


class _Kind(NamedTuple):
    """What the calls of one sum have in common. The sums of an axis are made of these when they are asked for."""

    vendor: str | None
    model: str | None
    capability: str
    tags: tuple[tuple[str, str], ...]

    def values(self, axis: str) -> Sequence[str]:
        """Where such calls stand on an axis: under several tags, or under none."""
        if axis == "vendor":
            return (self.vendor or "unknown",)
        if axis == "model":
            return (self.model or "unknown",)
        if axis == "capability":
            return (self.capability,)
        if axis == "tag":
            return [f"{name}={value}" if value else name for name, value in self.tags]
        return [value for name, value in self.tags if axis == f"tag:{name}"]


MOST_NOTED = 100
"""So many calls are added up in half a millisecond."""


class Ledger:
    """Totals of tokens and cost over all calls of the clients it is given to. Thread-safe.

    Keeps running totals for ever and the last ``keep`` entries as ``rows``. A call is booked once, when its answer is
    complete; a stream that was broken off is booked as ``aborted`` with estimated tokens and no cost.
    """

    def __init__(self, keep: int = 10_000) -> None:
        self._lock = lock()
        self._noted: deque[Callable[[], Entry]] = deque()
        self._rows: deque[Entry] = deque(maxlen=keep)
        self._total = _Sums()
        self._kinds: dict[_Kind, _Sums] = {}

    def record(self, entry: Entry) -> None:
        """Books one call."""
        self.note(lambda: entry)

    def note(self, entry: Callable[[], Entry]) -> None:
        """Books one call. Its entry is made and added up when somebody reads the ledger, or with some others: many
        calls in a row cost less than one between two requests."""
        self._noted.append(entry)
        # Never waits: a stream that is collected while its own thread adds up is booked in the middle of that.
        if len(self._noted) >= MOST_NOTED and self._lock.acquire(blocking=False):
            try:
                self._add_up()
            finally:
                self._lock.release()

    def _add_up(self) -> None:
        """Adds the calls up that were only noted. Under the lock, before anything is read."""
        while self._noted:
            entry = self._noted.popleft()()
            self._rows.append(entry)
            self._total.add(entry)
            kind = _Kind(entry.vendor, entry.model, entry.capability, tuple(entry.tags.items()))
            sums = self._kinds.get(kind)
            if sums is None:
                sums = self._kinds[kind] = _Sums()
            sums.add(entry)

    @property
    def total(self) -> Totals:
        """Totals over all calls."""
        with self._lock:
            self._add_up()
            return self._total.totals()

    def by(self, axis: Axis | str) -> dict[str, Totals]:
        """Totals by ``vendor``, ``model``, ``capability``, ``run``, ``tag`` (``name=value``), or ``tag:<name>``.

        A call with two tags counts under both. Runs are summed over the kept ``rows``, since there is no end to them.
        Raises ``ConfigError`` for another axis.
        """
        if axis == "run":
            return self._by_run()
        if axis not in _AXES and not axis.startswith("tag:"):
            raise ConfigError(f"axis={axis!r}: allowed are {', '.join(_AXES)}, run, tag:<name>")
        found: dict[str, _Sums] = {}
        with self._lock:
            self._add_up()
            for kind, sums in self._kinds.items():
                for value in kind.values(axis):
                    found.setdefault(value, _Sums()).merge(sums)
        return {value: sums.totals() for value, sums in found.items()}

    def _by_run(self) -> dict[str, Totals]:
        runs: dict[str, _Sums] = {}
        for entry in self.rows:
            if entry.run is not None:
                runs.setdefault(entry.run, _Sums()).add(entry)
        return {run: sums.totals() for run, sums in runs.items()}

    @property
    def rows(self) -> list[Entry]:
        """The last entries, oldest first."""
        with self._lock:
            self._add_up()
            return list(self._rows)

    def table(self, axis: Axis | str = "model") -> Table:
        """The totals by ``axis`` as a table, the dearest first: prints as text, in rich and in notebooks."""
        from infrai_core.report import table_of  # who counts does not always show

        return table_of(axis, self.by(axis), self.total)

    def to_pandas(self) -> Any:
        """A data frame with a row per kept entry, oldest first; an unknown cost is NaN.

        Raises ``ConfigError`` when pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ConfigError("to_pandas needs pandas: pip install pandas") from None
        names = [name for name in Entry.__dataclass_fields__ if name != "usage"]
        frame = pandas.DataFrame([{name: getattr(row, name) for name in names} for row in self.rows], columns=names)
        return frame.astype({"cost_usd": float, "latency_ms": float})

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._noted.clear()
            self._rows.clear()
            self._total = _Sums()
            self._kinds.clear()

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            self._add_up()
            rows = deque(self._rows, self._rows.maxlen)
            return {"rows": rows, "total": copy.copy(self._total), "kinds": copy.deepcopy(self._kinds)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._lock = lock()
        self._noted = deque()
        self._rows, self._total, self._kinds = state["rows"], state["total"], state["kinds"]

    def __repr__(self) -> str:
        total = self.total
        return f"Ledger(calls={total.calls}, tokens={total.total_tokens}, cost_usd={total.cost_usd})"

    def __str__(self) -> str:
        return str(self.table())

    def __rich__(self) -> Any:
        return self.table().__rich__()

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


class LedgerView:
    """What an object shows of its ``ledger``: totals, tables, a data frame; it prints as the ledger does."""

    if TYPE_CHECKING:
        ledger: Ledger

    @property
    def total(self) -> Totals:
        """Totals over all calls."""
        return self.ledger.total

    def by(self, axis: Axis | str) -> dict[str, Totals]:
        """Totals by ``model``, ``vendor``, ``capability``, ``run``, ``tag`` or ``tag:<name>``; see ``Ledger.by``."""
        return self.ledger.by(axis)

    def table(self, axis: Axis | str = "model") -> Table:
        """The same as a table, the dearest first: prints as text, in rich and in notebooks."""
        return self.ledger.table(axis)

    def to_pandas(self) -> Any:
        """A data frame with a row per kept call. Raises ``ConfigError`` when pandas is not installed."""
        return self.ledger.to_pandas()

    def __str__(self) -> str:
        return str(self.ledger)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.ledger!r})"

    def __rich__(self) -> Any:
        return self.ledger.__rich__()

    def _repr_html_(self) -> str:
        return self.ledger._repr_html_()


_AXES = ("vendor", "model", "capability", "tag")


def total(one: Number | None, other: Number | None) -> Number | None:
    """Both together; None where one of them is unknown."""
    return None if one is None or other is None else one + other


def added(one: Usage | None, other: Usage | None) -> Usage | None:
    """What two calls used. A number that one of them does not know is unknown."""
    if one is None or other is None:
        return None
    sums = _added(one.model_dump(exclude_none=True), other.model_dump(exclude_none=True))
    return Usage.model_validate({**sums, "estimated": one.estimated or other.estimated})


def _added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    known = one.keys() & other.keys()
    sums = {name: _added(one[name], other[name]) for name in known if isinstance(one[name], Mapping)}
    return sums | {name: one[name] + other[name] for name in known if isinstance(one[name], int | float)}


def entry_of(
    capability: str,
    usage: Usage | None,
    metadata: Metadata | None,
    *,
    model: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Entry:
    """The ledger entry of a complete answer."""
    return noted(capability, usage or Usage(), metadata or Metadata(), model=model, tags=tags or {})()


def noted(
    capability: str, usage: Usage, metadata: Metadata, *, model: str | None, tags: Mapping[str, str]
) -> Callable[[], Entry]:
    """What makes the ledger entry of a complete answer, of what the answer says now."""
    return partial(
        Entry,
        capability=capability,
        vendor=metadata.vendor,
        model=metadata.model or model,
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cost_usd=metadata.cost_usd,
        latency_ms=metadata.latency_ms,
        cache_hit=bool(metadata.cache_hit),
        request_id=metadata.request_id,
        estimated=bool(usage.estimated),
        usage=usage,
        tags=dict(tags),
        attempts=_attempts(metadata),
    )


def _attempts(metadata: Metadata) -> int:
    """The vendors that were tried; one where the service does not say, none for an answer from its cache."""
    if not metadata.attempts:
        return int(not metadata.cache_hit)
    return sum(not attempt.outcome.startswith("skipped:") for attempt in metadata.attempts)
