"""The budgets that transactions of SQLite touch: each is written once in a transaction, however many calls share it,
and read again only when somebody else has written to the file.

A transaction holds the file's write lock from its beginning, so what is known then stays true until it is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from infrai_runtime.store.durable import window

_READ = "SELECT scope, limit_nano, period, spent_in, spent_nano, reserved_nano FROM budget WHERE scope IN ({})"
_WRITE = "UPDATE budget SET spent_in = ?, spent_nano = ?, reserved_nano = ? WHERE scope = ?"
_VERSION = "PRAGMA data_version"
"""Changes whenever another connection has committed."""
MOST_KNOWN = 10_000


@dataclass(eq=False, slots=True)
class _Budget:
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

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._known: dict[str, _Budget | None] = {}
        self._version = 0
        self._fresh = False
        self._changed: list[_Budget] = []

    def reserve(self, scopes: Sequence[str], nano: int, now: float) -> str | None:
        """Sets money aside under all scopes, or names the first that does not cover it. Nothing to set aside asks that
        something is left."""
        budgets = self._budgets(scopes)
        short = [budget.scope for budget in budgets if budget.left_nano(now) < max(1, nano)]
        if short:
            return min(short)
        if nano:
            for budget in budgets:
                budget.reserved_nano += nano
            self._changed += budgets
        return None

    def settle(self, scopes: Sequence[str], reserved_nano: int, cost_nano: int, now: float) -> None:
        """Gives back what was set aside and takes what it cost."""
        budgets = self._budgets(scopes)
        for budget in budgets:
            budget.turn(now)
            budget.reserved_nano -= reserved_nano
            budget.spent_nano += cost_nano
        self._changed += budgets

    def write(self) -> None:
        """Writes down what has changed."""
        self._fresh = False
        if self._changed:
            changed = {budget.scope: budget for budget in self._changed}
            self._changed.clear()
            rows = [(b.spent_in, b.spent_nano, b.reserved_nano, b.scope) for b in changed.values()]
            self._db.executemany(_WRITE, rows)

    def forget(self) -> None:
        """The transaction was rolled back, or budgets are changed by other means in it."""
        self._fresh = False
        self._changed.clear()
        self._known.clear()

    def _budgets(self, scopes: Sequence[str]) -> list[_Budget]:
        if not self._fresh:
            self._refresh()
        known = self._known
        unread = [scope for scope in scopes if scope not in known]
        if unread:
            known.update(dict.fromkeys(unread))
            for row in self._db.execute(_read_sql(len(unread)), unread):
                known[row[0]] = _Budget(*row)
        return [budget for scope in scopes if (budget := known[scope]) is not None]

    def _refresh(self) -> None:
        """What is known is true until the end of this transaction."""
        (version,) = self._db.execute(_VERSION).fetchone()
        if version != self._version or len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._version, self._fresh = version, True


@lru_cache(maxsize=64)
def _read_sql(count: int) -> str:
    return _READ.format(",".join("?" * count))
