"""What a service says of itself: its models and vendors, the account, and its batch jobs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from infrai_core.models import ModelInfo, Reply, Value


class ModelList(Reply):
    """The models a service offers."""

    data: list[ModelInfo]


class KeyRest(Value):
    """A key that a vendor refused rests: for one model or (None) for all, why, and for how many seconds still."""

    model: str | None = None
    code: str
    rest_s: float


class VendorKey(Value):
    """One of a vendor's keys, by its place in the configuration (``#1``)."""

    label: str
    healthy: bool
    rests: list[KeyRest] = Field(default_factory=list)


class VendorModel(Value):
    """A model that was used lately. ``breaker`` is ``closed``, ``open`` (it rests for ``rest_s`` seconds after
    ``failures`` in a row) or ``half_open`` (it may be tried again)."""

    id: str
    breaker: str
    failures: int = 0
    rest_s: float | None = None
    latency_ms: float | None = None


class VendorInfo(Value):
    """A vendor that a runtime has: what it can do, and how its keys and models are right now."""

    id: str
    capabilities: list[str]
    healthy: bool
    keys: list[VendorKey] = Field(default_factory=list)
    models: list[VendorModel] = Field(default_factory=list)


class VendorList(Reply):
    """The vendors of a runtime."""

    data: list[VendorInfo]


class Account(Reply):
    """Balance of the account in ``currency``."""

    balance_usd: Decimal | None = None
    currency: str | None = None


class Activation(Reply):
    """A new project with its key. ``primary_api_key`` is shown once and not part of ``repr``."""

    account_id: str | None = None
    project_id: str | None = None
    primary_api_key: str = Field(repr=False)
    trial_credit_usd: Decimal | None = None
    checkout_url: str | None = None


BatchState = Literal["queued", "running", "completed", "failed", "cancelled", "expired"]
BATCH_DONE = frozenset({"completed", "failed", "cancelled", "expired"})


class BatchRecord(Reply):
    """A batch job: its state and how far it is."""

    batch_id: str
    state: str
    total_count: int | None = None
    completed_count: int | None = None
    failed_count: int | None = None
    estimated_eta: Any = None
    estimated_cost_usd: Decimal | None = None


class BatchList(Reply):
    """Batch jobs, newest first."""

    data: list[BatchRecord]
    has_more: bool = False


class BatchResults(Reply):
    """One envelope per request of the batch, in order: ``{"ok", "data", "error", "metadata"}``."""

    results: list[dict[str, Any]]
