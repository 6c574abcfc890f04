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

from infrai_runtime.store.durable import window

_READ = "SELECT rowid, scope, limit_nano, period, spent_in, spent_nano, reserved_nano FROM budget WHERE scope IN ({})"
_WRITE = "UPDATE budget SET spent_in = ?, spent_nano = ?, reserved_nano = ? WHERE rowid = ?"
MOST_KNOWN = 10_000
"""Groups of scopes that are remembered."""


@dataclass(eq=False, slots=True)
class _Budget:
    row: int
    scope: str
    limit_nano: int
    period: str
    spent_in: str
    spent_nano: int
    reserved_nano: int

    def turn(self, now: float) -> None:
        """A new period starts with nothing spent."""
        current = window(self.period, now)
        if self.spent_in != current:
            self.spent_in, self.spent_nano = current, 0

    def left_nano(self, now: float) -> int:
        spent = self.spent_nano if self.spent_in == window(self.period, now) else 0
        return self.limit_nano - spent - self.reserved_nano


class Purse:
    """Sets money aside and settles it, inside a transaction that ends with ``write`` or ``forget``."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._execute = cursor.execute
        self._known: dict[str, _Budget | None] = {}
        self._paying: dict[tuple[str, ...], list[_Budget]] = {}
        self._changed: list[_Budget] = []

    def reserve(self, scopes: tuple[str, ...], nano: int, now: float) -> str | None:
        """Sets money aside under all scopes, or names the first that does not cover it. Nothing to set aside asks that
        something is left."""
        budgets = self._budgets(scopes)
        short = [budget.scope for budget in budgets if budget.left_nano(now) < (nano or 1)]
        if short:
            return min(short)
        if nano:
            for budget in budgets:
                budget.reserved_nano += nano
            self._changed += budgets
        return None

    def settle(self, scopes: tuple[str, ...], reserved_nano: int, cost_nano: int, now: float) -> None:
        """Gives back what was set aside and takes what it cost."""
        budgets = self._budgets(scopes)
        for budget in budgets:
            budget.turn(now)
            budget.reserved_nano -= reserved_nano
            budget.spent_nano += cost_nano
        self._changed += budgets

    def write(self) -> None:
        """Writes down what has changed."""
        for b in dict.fromkeys(self._changed):
            self._execute(_WRITE, (b.spent_in, b.spent_nano, b.reserved_nano, b.row))
        self._changed.clear()
        if len(self._paying) > MOST_KNOWN:
            self.forget()

    def forget(self) -> None:
        """Others wrote, the transaction was rolled back, or budgets are changed by other means in it."""
        self._changed.clear()
        self._known.clear()
        self._paying.clear()

    def _budgets(self, scopes: tuple[str, ...]) -> list[_Budget]:
        """The budgets that pay, of those scopes that have one."""
        paying = self._paying.get(scopes)
        if paying is None:
            self._read([scope for scope in scopes if scope not in self._known])
            paying = self._paying[scopes] = [found for scope in scopes if (found := self._known[scope]) is not None]
        return paying

    def _read(self, scopes: Sequence[str]) -> None:
        self._known.update(dict.fromkeys(scopes))
        for row in self._execute(_read_sql(len(scopes)), scopes):
            self._known[row[1]] = _Budget(*row)


@lru_cache(maxsize=64)
def _read_sql(count: int) -> str:
    return _READ.format(",".join("?" * count))
