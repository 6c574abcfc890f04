"""Streams that close at once.

LlamaIndex's callback wrapper does not close the generator that it wraps: leaving a stream early would keep the HTTP
response open until the garbage collector comes by. These close both.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")

Callback = Callable[[], Callable[..., Any]]
"""``llm_chat_callback`` or ``llm_completion_callback``."""


def reported(
    callback: Callback, owner: Any, subject: Any, options: dict[str, Any], stream: Generator[T, None, None]
) -> Generator[T, None, None]:
    """The stream, reported to callbacks and events; closing it closes the given one."""

    def given(_owner: Any, _subject: Any, **_options: Any) -> Generator[T, None, None]:
        return stream

    return _closing(callback()(given)(owner, subject, **options), stream)


async def areported(
    callback: Callback, owner: Any, subject: Any, options: dict[str, Any], stream: AsyncGenerator[T, None]
) -> AsyncGenerator[T, None]:
    """The same for an asynchronous stream."""

    async def given(_owner: Any, _subject: Any, **_options: Any) -> AsyncGenerator[T, None]:
        return stream

    return _aclosing(await callback()(given)(owner, subject, **options), stream)


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
