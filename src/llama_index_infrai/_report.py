"""Calls that are reported to callbacks and events by LlamaIndex's own wrapper, once, without what nobody may read.

The wrapper shows all options of a call, and does not close the generator that it wraps: leaving a stream early would
keep the HTTP response open until the garbage collector comes by. Here options that are secret or name a person are left
out, and closing a stream closes both.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

Callback = Callable[[], Callable[..., Any]]
"""``llm_chat_callback`` or ``llm_completion_callback``."""

_HIDDEN = frozenset({"extra_headers", "extra_body", "vendor_options", "user", "session_id", "idempotency_key"})


def _shown(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _HIDDEN}


def reported(callback: Callback, owner: Any, subject: Any, options: Mapping[str, Any], call: Callable[[], T]) -> T:
    """What ``call`` gives, reported as the answer of ``owner`` to ``subject``."""

    def given(_owner: Any, _subject: Any, **_options: Any) -> T:
        return call()

    answer: T = callback()(given)(owner, subject, **_shown(options))
    return answer


async def areported(
    callback: Callback, owner: Any, subject: Any, options: Mapping[str, Any], call: Callable[[], Awaitable[T]]
) -> T:
    """The same from an event loop."""

    async def given(_owner: Any, _subject: Any, **_options: Any) -> T:
        return await call()

    answer: T = await callback()(given)(owner, subject, **_shown(options))
    return answer


def reported_stream(
    callback: Callback, owner: Any, subject: Any, options: Mapping[str, Any], stream: Generator[T, None, None]
) -> Generator[T, None, None]:
    """The stream, reported; closing it closes the given one."""
    return _closing(reported(callback, owner, subject, options, lambda: stream), stream)


async def areported_stream(
    callback: Callback, owner: Any, subject: Any, options: Mapping[str, Any], stream: AsyncGenerator[T, None]
) -> AsyncGenerator[T, None]:
    """The same for an asynchronous stream."""

    async def given() -> AsyncGenerator[T, None]:
        return stream

    return _aclosing(await areported(callback, owner, subject, options, given), stream)


def _closing(outer: Generator[T, None, None], inner: Generator[T, None, None]) -> Generator[T, None, None]:
    try:
        yield from outer
    finally:
        inner.close()


async def _aclosing(outer: AsyncGenerator[T, None], inner: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    try:
        async for item in outer:
            yield item
    finally:
        await outer.aclose()
        await inner.aclose()
