"""What a SQL store can do at the least: read rows, write in one transaction. The stores' own modules say how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias

Statement: TypeAlias = tuple[str, Sequence[Any]]
"""Words with numbered parameters (``$1``), which SQLite and PostgreSQL both read, and their values."""


class Sql(ABC):
    """A database that runs statements."""

    @abstractmethod
    async def _fetch(self, sql: str, *values: Any) -> Sequence[Sequence[Any]]:
        """The rows of one reading statement."""

    @abstractmethod
    async def _change(self, sql: str, *values: Any) -> Sequence[Sequence[Any]]:
        """The rows that one changing statement returns."""

    @abstractmethod
    async def _write(self, *statements: Statement) -> int:
        """Runs statements in one transaction; how many rows the last one changed."""
