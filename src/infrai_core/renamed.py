"""Exceptions that leave a block as other ones."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType


class Renamed:
    """``with Renamed(name):`` raises what ``name`` makes of an exception of its block, and the exception itself where
    that is None. The cause of a new one is the exception, unless ``name`` has set another (or None).

    A class, because from Python 3.12 on a context manager made of a generator keeps what it turns into something else:
    the exception holds the generator's frame, and that the exception. All that the block's frames held, a request with
    its pictures for instance, waited for the collector. For the same reason nothing here holds what it raises.
    """

    __slots__ = ("_name",)

    def __init__(self, name: Callable[[Exception], Exception | None]) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        named = self._name(error) if isinstance(error, Exception) else None
        try:
            if named is None:
                return
            if not named.__suppress_context__:
                named.__cause__ = error
            raise named
        finally:
            del named
