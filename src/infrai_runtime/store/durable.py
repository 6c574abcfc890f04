"""The durable state's protocol: keys, credit, idempotency and the ledger. Money is integer nano-USD.

One behaviour suite runs over every implementation (tests/runtime/test_store.py). Times are seconds since the epoch
and passed in, so that no store has a clock of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

RUNNING_LEASE_S = 900.0
"""After this long without an end, a running claim may be taken over: its process has died."""
USAGE_AXES = ("day", "vendor", "model", "capability")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A project key as it is stored: never the key itself."""

    key_id: str
    project_id: str
    trial: bool
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """What an idempotency key led to.

    ``new``: the caller makes the answer and ends the claim with ``fence``. ``running``: somebody does. ``done``:
    ``answer`` is what was stored. ``conflict``: the key was used with another body.
    """

    state: Literal["new", "running", "done", "conflict"]
    answer: bytes | None = field(default=None, repr=False)
    fence: int = 0


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One attempt at a vendor (``kind`` ``attempt``) or one answered call (``answer``). Unknown cost is None."""

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
    usage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Totals of answered calls that share the values of the asked axes."""

    group: Mapping[str, str | None]
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_nano: int
    unpriced_calls: int


class Durable(Protocol):
    """What a durable store can do."""

    async def add_project(self, project_id: str, account_id: str, credit_nano: int, now: float) -> None:
        """Makes a project with this much credit."""

    async def add_key(self, key_hash: str, key_id: str, project_id: str, trial: bool, now: float) -> None:
        """Stores the hash of a project's key."""

    async def find_key(self, key_hash: str) -> KeyRow | None:
        """The key with this hash."""

    async def revoke_key(self, key_id: str) -> bool:
        """Ends a key; False when there is no such key."""

    async def balance_nano(self, project_id: str) -> int | None:
        """Credit that is left, reservations taken off; None for an unknown project."""

    async def reserve(self, project_id: str, nano: int) -> bool:
        """Sets credit aside in one statement; False when there is not enough."""

    async def begin(self, project_id: str, key: str, fingerprint: str, owner: str, ttl_s: float, now: float) -> Begun:
        """Claims an idempotency key, in one transaction, before any vendor is called."""

    async def finish(self, project_id: str, key: str, fence: int, answer: bytes) -> None:
        """Stores the answer of a claim; without effect when the claim was taken over."""

    async def abandon(self, project_id: str, key: str, fence: int) -> None:
        """Gives a claim up, so that a retry may make the answer."""

    async def book(
        self, project_id: str, rows: Sequence[LedgerRow], reserved_nano: int = 0, actual_nano: int = 0
    ) -> None:
        """Adds rows to the ledger, ends a reservation and takes what the call really cost, in one transaction."""

    async def usage(self, project_id: str, axes: Sequence[str], since_s: float) -> list[UsageRow]:
        """Totals of answered calls by ``USAGE_AXES``."""

    async def close(self) -> None:
        """Writes what is pending and frees the store."""
