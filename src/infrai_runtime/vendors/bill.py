"""What one attempt at a vendor is charged for, as far as it is known; also when it brings no answer.

Adapters note it while they work: that a request was sent, that the vendor refused it, what it says that it used. A
failed attempt then costs what the vendor reported, nothing where it refused, and else something that nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from infrai_runtime.catalogue import Prices
from infrai_runtime.failure import Failure
from infrai_runtime.pricing import cost_nano

REFUSALS = frozenset(
    {
        "INVALID_REQUEST",
        "CONTEXT_LENGTH_EXCEEDED",
        "UNSUPPORTED_CAPABILITY",
        "PAYLOAD_TOO_LARGE",
        "UNAUTHORIZED",
        "FORBIDDEN",
        "INSUFFICIENT_CREDIT",
        "NOT_FOUND",
        "MODEL_NOT_FOUND",
        "RATE_LIMITED",
        "NO_VENDOR_AVAILABLE",
    }
)
"""Failures that come before a model has worked, so no vendor charges for them."""


class Reading(Protocol):
    """Who reads an answer and knows what the vendor has said of its usage so far."""

    @property
    def usage(self) -> Mapping[str, Any] | None: ...


class Bill:
    """Of one attempt. What the class itself has stands for attempts of which no more is known."""

    requests: int = 0
    """How many were sent to the vendor."""
    refused: bool = False
    """The vendor answered the latest with an error, or could not be reached: no model worked."""
    reading: Reading | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    """Of the latest answer: some vendors say there what they charge for."""
    usage: Mapping[str, Any] = MappingProxyType({})
    cost_nano: int | None = None
    open_nano: int = 0
    """What may have been charged beyond ``cost_nano``."""

    @property
    def reported(self) -> Mapping[str, Any] | None:
        """The vendor's own word so far, also of an answer that broke off or was not accepted."""
        return None if self.reading is None else self.reading.usage

    def close(self, usage: Mapping[str, Any], cost: int | None, careful_nano: Callable[[], int]) -> None:
        """The attempt has ended with this cost. Where that is not known, or estimated, it may be up to the careful
        estimate."""
        self.usage, self.cost_nano = usage, cost
        if cost is None or (cost and usage.get("estimated")):
            self.open_nano = max(0, careful_nano() - (cost or 0))

    def fail(self, failure: Failure | None, prices: Prices, careful_nano: Callable[[], int]) -> int | None:
        """The attempt has failed, or was cancelled (None); what it cost as far as that is known."""
        usage = self.reported or {}
        if self.refused or (failure is not None and failure.code in REFUSALS):
            cost: int | None = 0
        else:
            cost = cost_nano(usage or None, prices)
        self.close(usage, cost, careful_nano)
        return cost
