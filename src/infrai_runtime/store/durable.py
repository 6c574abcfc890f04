"""The durable state's protocol: keys, budgets, running calls and the ledger. Money is integer nano-USD.

A call touches the store twice. ``admit``, before any vendor is called, writes down in one transaction that the call
runs (for whom, under which idempotency key, until when its owner vouches for it) and sets its money aside. ``book``,
after it, writes in one transaction what was spent, the ledger's rows and the answer for a repetition. A process that
dies between the two leaves the first; ``tend`` finds it when nobody vouches for it any more, gives the money back and
leaves a ledger row with the outcome ``unknown``, because nobody knows whether the vendor charged.

One behaviour suite runs over every implementation (tests/runtime/test_store.py). Times are seconds since the epoch
and passed in, so that no store has a clock of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from infrai_runtime.store.batch import BatchStore, Outcome

LEASE_S = 30.0
"""How long a running call is vouched for; its owner renews that in ``tend``."""
TEND_EVERY_S = 5.0
USAGE_AXES = ("day", "vendor", "model", "capability", "key", "tag")
UNKNOWN = "unknown"
"""The outcome of a call whose process died: what the vendor charged is not known."""

Period = Literal["total", "month", "day"]
PERIODS: tuple[Period, ...] = ("total", "month", "day")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a key may do. An empty tuple allows everything, None limits nothing."""

    models: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None


ANYTHING = Policy()


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A project key as it is stored: never the key itself."""

    key_id: str
    project_id: str
    name: str = ""
    trial: bool = False
    created_s: float = 0.0
    expires_s: float | None = None
    revoked: bool = False
    policy: Policy = ANYTHING

    def ended(self, now: float) -> bool:
        """Whether the key no longer opens anything."""
        return self.revoked or (self.expires_s is not None and self.expires_s <= now)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on what may be spent under a scope (``project_scope`` and the like) in each period, counted from when it
    was made. A scope may have one of each period; that of a project with the period ``total`` is its credit."""

    scope: str
    project_id: str
    limit_nano: int
    period: Period = "total"
    spent_nano: int = 0
    reserved_nano: int = 0

    @property
    def left_nano(self) -> int:
        """What may still be spent in this period, reservations taken off."""
        return self.limit_nano - self.spent_nano - self.reserved_nano


def project_scope(project_id: str) -> str:
    """The scope of a project's credit."""
    return f"project:{project_id}"


def key_scope(key_id: str) -> str:
    """The scope of a key's budget."""
    return f"key:{key_id}"


def tag_scope(project_id: str, name: str, value: str) -> str:
    """The scope of the calls of a project that carry a tag."""
    return f"tag:{project_id}:{name}={value}"


def tags_of(project_id: str, scopes: Sequence[str]) -> dict[str, str]:
    """The tags among the scopes of a call; a tag's name has no ``=``."""
    start = tag_scope(project_id, "", "")[:-1]
    tags = (scope.removeprefix(start).partition("=") for scope in scopes if scope.startswith(start))
    return {name: value for name, _, value in tags}


def window(period: str, now: float) -> str:
    """The name of the period that a moment lies in, in UTC: ``""``, ``2026-11`` or ``2026-11-27``."""
    return "" if period == "total" else _window_of_hour(period, int(now // 3600))


@lru_cache(maxsize=16)
def _window_of_hour(period: str, hour: int) -> str:
    """Every call asks, and every period begins with an hour."""
    return datetime.fromtimestamp(hour * 3600, UTC).strftime(_WINDOW[period])


_WINDOW = {"month": "%Y-%m", "day": "%Y-%m-%d"}


class Admission(NamedTuple):
    """A call that asks to be made.

    ``key`` is its idempotency key; without one, ``key`` is its request id and ``ttl_s`` 0: nothing is kept of it.
    ``scopes`` are whose budgets pay; a scope without a budget limits nothing. Nothing is checked or set aside where
    ``reserve_nano`` is None, as for calls that cost nothing; 0 (a price that is not known) asks only that something
    is left.
    """

    project_id: str
    key: str
    fingerprint: str
    request_id: str
    owner: str
    now: float
    ttl_s: float = 0.0
    reserve_nano: int | None = None
    scopes: tuple[str, ...] = ()
    key_id: str | None = None
    capability: str = ""
    lease_s: float = LEASE_S
    """How long the call is vouched for without ``tend``."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of an admission.

    ``new``: the caller makes the answer and ends it with ``book``. ``running``: somebody else makes it. ``done``:
    ``answer`` is what was stored. ``conflict``: the key was used with another body. ``refused``: the budget that the
    scope ``short`` has for a ``period`` does not cover the call.
    """

    state: Literal["new", "running", "done", "conflict", "refused"]
    answer: bytes | None = field(default=None, repr=False)
    short: str | None = None
    period: Period | None = None
    held: bool = False
    """Refused only by what other calls have set aside, some of which comes back when they end."""


NEW = Admitted("new")
RUNNING = Admitted("running")
CONFLICT = Admitted("conflict")

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class LedgerRow(NamedTuple):
    """One attempt at a vendor (``kind`` ``attempt``) or one answered call (``answer``). Unknown cost is None.

    A named tuple, because every call makes two or more.
    """

    kind: Literal["attempt", "answer"]
    at_s: float
    project_id: str
    key_id: str | None
    request_id: str
    capability: str
    vendor: str | None
    model: str | None
    outcome: str
    latency_ms: float
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_nano: int | None = None
    cache_hit: bool = False
    estimated: bool = False
    usage: Mapping[str, Any] = _NOTHING
    reserved_nano: int = 0
    """What the vendor may have charged beyond ``cost_nano``, where nobody knows: of an ``unknown`` outcome all that had
    been set aside."""
    idempotency_key: str | None = None
    batch_id: str | None = None
    tags: Mapping[str, str] = _NOTHING


@dataclass(slots=True)
class Booking:
    """The end of an admitted call: what it cost, its ledger rows, and its answer (None: a repetition makes it anew).
    ``outcome``: the call was a request of a batch, and this is what became of it."""

    admission: Admission
    now: float
    cost_nano: int
    rows: Sequence[LedgerRow]
    answer: bytes | None = field(default=None, repr=False)
    outcome: Outcome | None = None
    shared: bool = False
    """Another process may have booked it already."""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Totals of calls that share the values of the asked axes: of answers, and the cost of all attempts."""

    group: Mapping[str, str | None]
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_nano: int
    unpriced_calls: int
    cache_hits: int = 0
    open_nano: int = 0
    """What vendors may have charged beyond ``cost_nano``, for attempts whose cost is not known or estimated."""


class Durable(BatchStore, Protocol):
    """What a durable store can do."""

    async def add_project(self, project_id: str, account_id: str, credit_nano: int, now: float) -> None:
        """Makes a project with this much credit."""

    async def add_key(self, key_hash: str, row: KeyRow) -> None:
        """Stores the hash of a project's key."""

    async def find_key(self, key_hash: str) -> KeyRow | None:
        """The key with this hash."""

    async def keys(self, project_id: str | None = None) -> list[KeyRow]:
        """The keys of a project, or of all, oldest first."""

    async def end_key(self, key_id: str, at_s: float | None = None) -> bool:
        """Revokes a key, or lets it end at a time; False when there is no such key. Other processes may take it as it
        was for a second."""

    async def set_budget(self, budget: Budget) -> None:
        """Makes or changes a scope's limit for a period; what was spent under one that was there stays."""

    async def copy_budget(self, scope: str, to: str) -> None:
        """Gives a scope the limits of another, with what was spent under them."""

    async def drop_budget(self, scope: str, period: Period = "total") -> bool:
        """Takes a limit away; False when there is none."""

    async def budgets(self, project_id: str, now: float) -> list[Budget]:
        """The budgets of a project, as they stand in this period."""

    async def balance_nano(self, project_id: str) -> int | None:
        """Credit that is left, reservations taken off; None for a project without."""

    async def admit(self, admission: Admission) -> Admitted:
        """Claims the idempotency key and sets money aside, in one transaction, before any vendor is called."""

    async def release(self, admission: Admission) -> None:
        """Takes an admission back: nothing was sent to a vendor. One that fails is made up for by ``tend``."""

    async def book(self, booking: Booking) -> None:
        """Ends an admitted call in one transaction. May be asked again after it failed: nothing is booked twice, also
        when only the store's answer was lost. The ledger's rows are written also when the claim was lost; the
        answer and the reservation then are no longer this call's business."""

    @property
    def noted(self) -> int:
        """How many rows wait to be written."""

    async def note(self, rows: Sequence[LedgerRow]) -> None:
        """Writes rows of a call of which nothing else stands in the store, soon and with those of other calls. Who
        reads the ledger here finds them; a process that is killed may lose those of its last moment."""

    async def usage(self, project_id: str | None, axes: Sequence[str], since_s: float) -> list[UsageRow]:
        """Totals by ``USAGE_AXES``, of one project or all. By ``tag`` (``name=value``), a call counts under each of its
        tags; None are the calls without one."""

    async def rows(self, request_id: str) -> list[LedgerRow]:
        """The ledger's rows of one call."""

    async def tend(self, owner: str, now: float) -> None:
        """Vouches for the calls that were admitted here and not ended, where they are the owner's; buries those
        that nobody vouches for, forgets what has expired."""

    async def ping(self) -> None:
        """Raises when the store cannot be used."""

    async def close(self) -> None:
        """Frees the store."""
