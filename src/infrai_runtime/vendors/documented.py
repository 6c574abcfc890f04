"""What a vendor's interface promises, held against what came."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from infrai_core.renamed import Renamed

if TYPE_CHECKING:
    from infrai_runtime.failure import Failure
    from infrai_runtime.vendors.http import Http

T = TypeVar("T")

NOT_THE_SHAPE = (KeyError, IndexError, TypeError, AttributeError, ValueError)
"""What reading an answer of another shape than the documented one raises."""


def documented(http: Http) -> Renamed:
    """Reads an answer by its documented shape: one of another shape is the vendor's failure, not the runtime's."""
    return Renamed(lambda error: undocumented(http, error) if isinstance(error, NOT_THE_SHAPE) else None)


def undocumented(http: Http, error: Exception) -> Failure:
    """The failure for an answer whose reading raised one of ``NOT_THE_SHAPE``."""
    return http.broken(f"its answer has not the documented shape ({type(error).__name__}: {error})")


def read(http: Http, events: Iterable[T]) -> list[T]:
    """The events that a reader makes of an answer. Written out, because it runs for every chunk of a stream."""
    try:
        return list(events)
    except NOT_THE_SHAPE as error:
        raise undocumented(http, error) from error
