"""The budgets that one transaction of SQLite touches: each is read once and written once, however many calls share it.

A transaction holds the file's write lock from its beginning, so what was read stays true until it is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from infrai_runtime.store.durable import window

_READ = "SELECT scope, limit_nano, period, spent_in, spent_nano, reserved_nano FROM budget WHERE scope IN ({})"
_WRITE = "UPDATE budget SET spent_in = ?, spent_nano = ?, reserved_nano = ? WHERE scope = ?"


@dataclass(eq=False, slots=True)
class _Budget:
    scope: str
    limit_nano: int
    period: str
    spent_in: str
    spent_nano: int
    reserved_nano: int
    changed: bool = False

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

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._read: dict[str, _Budget | None] = {}

    def reserve(self, scopes: Sequence[str], nano: int, now: float) -> str | None:
        """Sets money aside under all scopes, or names the first that does not cover it. Nothing to set aside asks that
        something is left."""
        budgets = self._budgets(scopes)
        short = [budget.scope for budget in budgets if budget.left_nano(now) < max(1, nano)]
        if short:
            return min(short)
        for budget in budgets:
            budget.reserved_nano += nano
            budget.changed = True
        return None

    def settle(self, scopes: Sequence[str], reserved_nano: int, cost_nano: int, now: float) -> None:
        """Gives back what was set aside and takes what it cost."""
        for budget in self._budgets(scopes):
            budget.turn(now)
            budget.reserved_nano -= reserved_nano
            budget.spent_nano += cost_nano
            budget.changed = True

    def write(self) -> None:
        """Writes down what has changed."""
        changed = [
            (budget.spent_in, budget.spent_nano, budget.reserved_nano, budget.scope)
            for budget in self._read.values()
            if budget is not None and budget.changed
        ]
        self._read.clear()
        if changed:
            self._db.executemany(_WRITE, changed)

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._read.clear()

    def _budgets(self, scopes: Sequence[str]) -> list[_Budget]:
        unread = [scope for scope in scopes if scope not in self._read]
        if unread:
            self._read.update(dict.fromkeys(unread))
            for row in self._db.execute(_read_sql(len(unread)), unread):
                self._read[row[0]] = _Budget(*row)
        return [budget for scope in scopes if (budget := self._read[scope]) is not None]


@lru_cache(maxsize=64)
def _read_sql(count: int) -> str:
    return _READ.format(",".join("?" * count))
