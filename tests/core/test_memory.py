"""What a failed call held is freed with its error: the collector comes by too seldom to leave it to that."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from infrai_core import AsyncInfrai, AttemptInfo, Infrai, InfraiError, Retry
from infrai_core.direct import Request
from infrai_core.testing import Script, Scripted, failure, streamed

FAULTS: tuple[Callable[[], Scripted], ...] = (
    lambda: failure("INVALID_REQUEST"),
    lambda: failure("VENDOR_ERROR"),
    lambda: Scripted([b"<html>"]),
    lambda: Scripted([b"{}"]),
    lambda: Scripted([b"{", httpx.ReadError("gone")]),
    lambda: Scripted([httpx.ReadTimeout("late")]),
    lambda: streamed(["a"], cut=True),
)


class Watch:
    """A hook that does nothing."""

    def before(self, attempt: AttemptInfo) -> None: ...

    def after(self, attempt: AttemptInfo, status: int | None, error: InfraiError | None) -> None: ...


def whole(**options: Any) -> bool:
    with Infrai(**options) as client:
        try:
            client.chat("x")
        except InfraiError:
            return True
    return False


def read(**options: Any) -> bool:
    with Infrai(**options) as client:
        try:
            list(client.stream_chat("x"))
        except InfraiError:
            return True
    return False


def whole_async(**options: Any) -> bool:
    async def failed() -> bool:
        async with AsyncInfrai(**options) as client:
            try:
                await client.chat("x")
            except InfraiError:
                return True
        return False

    return asyncio.run(failed())


def read_async(**options: Any) -> bool:
    async def failed() -> bool:
        async with AsyncInfrai(**options) as client:
            try:
                [_ async for _ in client.stream_chat("x")]
            except InfraiError:
                return True
        return False

    return asyncio.run(failed())


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("hooks", [(), (Watch(),)], ids=["plain", "watched"])
@pytest.mark.parametrize("failed", [whole, read, whole_async, read_async])
def test_failed_calls_free_their_requests_with_their_errors(
    failed: Callable[..., bool], hooks: tuple[Watch, ...]
) -> None:
    options = {"api_key": "k", "retry": Retry(attempts=0), "hooks": hooks}
    assert all(failed(transport=Script([fault()]), **options) for fault in FAULTS)
    assert not any(isinstance(one, Request) for one in gc.get_objects())
