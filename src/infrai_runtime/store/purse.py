"""The budgets that transactions of SQLite touch: each is written once in a transaction, however many calls share it,
and read again only when somebody else has written to the file.

A transaction holds the file's write lock from its beginning, and what others wrote before is forgotten then, so what is
known stays true until it is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from infrai_runtime.store.durable import Admitted, Period, window

_READ = (
    "SELECT rowid, scope, reserved_nano, limit_nano, spent_nano, month_limit_nano, month_spent_nano, month,"
    " day_limit_nano, day_spent_nano, day FROM budget WHERE scope IN ({})"
)
_WRITE = (
    "UPDATE budget SET reserved_nano = ?, spent_nano = ?, month_spent_nano = ?, month = ?, day_spent_nano = ?, day = ?"
    " WHERE rowid = ?"
)
MOST_KNOWN = 10_000
"""Groups of scopes that are remembered."""


@dataclass(eq=False, slots=True)
class _Budget:
    """The limits of a scope; None limits nothing, and nothing is counted under it."""

    row: int
    scope: str
    reserved_nano: int
    limit_nano: int | None
    spent_nano: int
    month_limit_nano: int | None
    month_spent_nano: int
    month: str
    day_limit_nano: int | None
    day_spent_nano: int
    day: str

    def turn(self, now: float) -> None:
        """A new period starts with nothing spent. None begins again when a clock goes back."""
        if self.month_limit_nano is not None and self.month < (month := window("month", now)):
            self.month, self.month_spent_nano = month, 0
        if self.day_limit_nano is not None and self.day < (day := window("day", now)):
            self.day, self.day_spent_nano = day, 0

    def short(self, nano: int) -> Period | None:
        """The period whose limit does not cover so much beside what was spent."""
        if self.limit_nano is not None and self.limit_nano - self.spent_nano < nano:
            return "total"
        if self.month_limit_nano is not None and self.month_limit_nano - self.month_spent_nano < nano:
            return "month"
        if self.day_limit_nano is not None and self.day_limit_nano - self.day_spent_nano < nano:
            return "day"
        return None

    def settle(self, reserved_nano: int, cost_nano: int, now: float) -> None:
        self.turn(now)
        self.reserved_nano -= reserved_nano
        self.spent_nano += cost_nano
        self.month_spent_nano += cost_nano
        self.day_spent_nano += cost_nano


class Purse:
    """Sets money aside and settles it, inside a transaction that ends with ``write`` or ``forget``."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._execute = cursor.execute
        self._known: dict[str, _Budget | None] = {}
        self._paying: dict[tuple[str, ...], list[_Budget]] = {}
        self._changed: list[_Budget] = []

    def reserve(self, scopes: tuple[str, ...], nano: int, now: float) -> Admitted | None:
        """Sets money aside under all scopes, or refuses for the first that does not cover it. Nothing to set aside asks
        that something is left."""
        budgets, wanted = self._budgets(scopes), nano or 1
        for budget in budgets:
            budget.turn(now)
        for budget in budgets:
            if budget.short(budget.reserved_nano + wanted) is not None:
                return _refusal(budgets, wanted)
        if nano:
            for budget in budgets:
                budget.reserved_nano += nano
            self._changed += budgets
        return None

    def settle(self, scopes: tuple[str, ...], reserved_nano: int, cost_nano: int, now: float) -> None:
        """Gives back what was set aside and takes what it cost."""
        budgets = self._budgets(scopes)
        for budget in budgets:
            budget.settle(reserved_nano, cost_nano, now)
        self._changed += budgets

    def write(self) -> None:
        """Writes down what has changed."""
        if not self._changed:
            return
        for b in dict.fromkeys(self._changed):
            month, day = b.month, b.day
            self._execute(
                _WRITE, (b.reserved_nano, b.spent_nano, b.month_spent_nano, month, b.day_spent_nano, day, b.row)
            )
        self._changed.clear()

    def forget(self) -> None:
        """Others wrote, the transaction was rolled back, or budgets are changed by other means in it."""
        self._changed.clear()
        self._known.clear()
        self._paying.clear()

    def _budgets(self, scopes: tuple[str, ...]) -> list[_Budget]:
        """The budgets that pay, of those scopes that have one."""
        paying = self._paying.get(scopes)
        if paying is None:
            if len(self._paying) >= MOST_KNOWN:
                self.write()
                self.forget()
            self._read([scope for scope in scopes if scope not in self._known])
            paying = self._paying[scopes] = [found for scope in scopes if (found := self._known[scope]) is not None]
        return paying

    def _read(self, scopes: Sequence[str]) -> None:
        self._known.update(dict.fromkeys(scopes))
        for row in self._execute(_read_sql(len(scopes)), scopes):
            self._known[row[1]] = _Budget(*row)


def _refusal(budgets: Sequence[_Budget], nano: int) -> Admitted:
    """By a budget that is spent, else by one that running calls hold."""
    spent = [(budget.scope, period) for budget in budgets if (period := budget.short(nano))]
    held = [(b.scope, period) for b in budgets if (period := b.short(b.reserved_nano + nano))]
    scope, period = min(spent or held)
    return Admitted("refused", short=scope, period=period, held=not spent)


@lru_cache(maxsize=64)
def _read_sql(count: int) -> str:
    return _READ.format(",".join("?" * count))
