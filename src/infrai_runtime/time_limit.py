"""A limit of time around what is awaited, on the path of every call: what ``asyncio.timeout`` does, without what a call
has no use for (to be moved, to be asked when it ends), in a third of the steps."""

from __future__ import annotations

import asyncio
from types import TracebackType


class TimeLimit:
    """Ends what is awaited inside with a ``TimeoutError`` after so many seconds. A cancellation from elsewhere stays
    one, also where both come at once."""

    expired = False
    """Whether it was this limit that ended it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> TimeLimit:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._timer = loop.call_later(self._seconds, self._end)
        return self

    def _end(self) -> None:
        self.expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self.expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
