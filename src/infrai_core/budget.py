"""A limit on what a program spends, kept by the client."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Protocol

from infrai_core.config import AttemptInfo
from infrai_core.errors import BudgetSpent, ConfigError, InfraiError
from infrai_core.usage import Totals


class Spending(Protocol):
    """What has a total: a ``Ledger``."""

    @property
    def total(self) -> Totals:
        """Totals over all calls so far."""


class Budget:
    """Stops the next call once the known costs of a ledger have reached a limit.

    A hook of the client: ``Infrai(ledger=ledger, hooks=[Budget(0.50, ledger)])``. ``BudgetSpent`` is raised before
    anything is sent; a call under way is not stopped, so that the last one may go over the limit by its own cost
    (exact caps are the service's). Calls without a known price do not count: see ``ledger.total.unpriced_calls``.
    What costs nothing (listing models, the state of a batch job) goes on.
    """

    def __init__(self, limit_usd: Decimal | float | str, ledger: Spending) -> None:
        """Raises ``ConfigError`` when the limit is no amount above 0, or the ledger has no total."""
        self.limit_usd = _amount(limit_usd)
        if not isinstance(getattr(ledger, "total", None), Totals):
            raise ConfigError(f"ledger: came an object of type {type(ledger).__name__}; allowed is what has a total")
        self._ledger = ledger

    @property
    def spent_usd(self) -> Decimal:
        """The known costs so far."""
        return self._ledger.total.cost_usd

    @property
    def left_usd(self) -> Decimal:
        """What may still be spent; 0 when nothing may."""
        return max(self.limit_usd - self.spent_usd, Decimal(0))

    def check(self) -> None:
        """Raises ``BudgetSpent`` when nothing is left."""
        spent = self.spent_usd
        if spent >= self.limit_usd:
            raise BudgetSpent(
                f"the budget of {self.limit_usd:f} USD is spent ({spent:f} USD): the call was not made",
                limit_usd=self.limit_usd,
                spent_usd=spent,
            )

    def before(self, attempt: AttemptInfo) -> None:
        """Checks before a call that may cost something is sent."""
        if may_cost(attempt):
            self.check()

    def after(self, attempt: AttemptInfo, status: int | None, error: InfraiError | None) -> None:
        """Nothing: costs are booked in the ledger."""

    def __repr__(self) -> str:
        return f"Budget(limit_usd={self.limit_usd:f}, spent_usd={self.spent_usd:f})"


def may_cost(attempt: AttemptInfo) -> bool:
    """Whether this request is one for work, and not a question about work, or its end."""
    return attempt.method == "POST" and attempt.capability != "activate" and "/cancel/" not in attempt.path


def _amount(limit: Decimal | float | str) -> Decimal:
    try:
        amount = Decimal(str(limit))
    except InvalidOperation:
        amount = Decimal(0)
    if not (amount.is_finite() and amount > 0):
        raise ConfigError(f"limit_usd={limit!r}: allowed is an amount above 0")
    return amount
