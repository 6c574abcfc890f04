"""Streams that close at once, and report no more than somebody listens to.

LlamaIndex's callback wrapper does not close the generator that it wraps: leaving a stream early would keep the HTTP
response open until the garbage collector comes by. These close both. The wrapper also makes an event of every
response, which costs a third of a stream; it is shown the first and the last response where no event handler listens.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar

from llama_index.core.llms.callbacks import dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler

from llama_index_infrai.usage import InfraiUsageHandler

T = TypeVar("T")

Callback = Callable[[], Callable[..., Any]]
"""``llm_chat_callback`` or ``llm_completion_callback``."""
_DEAF = (NullEventHandler, InfraiUsageHandler)
"""Handlers that do not care for single responses of a stream."""


def reported(
    callback: Callback, owner: Any, subject: Any, options: dict[str, Any], stream: Generator[T, None, None]
) -> Generator[T, None, None]:
    """The stream, reported to callbacks and events; closing it closes the given one."""
    news: list[T | BaseException] = []
    every = _somebody_listens()

    def given(_owner: Any, _subject: Any, **_options: Any) -> Generator[T, None, None]:
        return stream if every else _told(news)

    outer = callback()(given)(owner, subject, **options)
    return _closing(outer if every else _ends(outer, stream, news), stream)


async def areported(
    callback: Callback, owner: Any, subject: Any, options: dict[str, Any], stream: AsyncGenerator[T, None]
) -> AsyncGenerator[T, None]:
    """The same for an asynchronous stream."""
    news: list[T | BaseException] = []
    every = _somebody_listens()

    async def given(_owner: Any, _subject: Any, **_options: Any) -> AsyncGenerator[T, None]:
        return stream if every else _atold(news)

    outer = await callback()(given)(owner, subject, **options)
    return _aclosing(outer if every else _aends(outer, stream, news), stream)


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


# -- where nobody listens to single responses ----------------------------------------------------------------------


def _somebody_listens() -> bool:
    """Whether an event handler wants to see every response."""
    place = dispatcher
    while True:
        if any(not isinstance(handler, _DEAF) for handler in place.event_handlers):
            return True
        if not place.propagate:
            return False
        place = place.parent


def _told(news: list[T | BaseException]) -> Generator[T, None, None]:
    """What the wrapper is shown: what stands in ``news`` when it asks, an error by raising it."""
    while news:
        item = news.pop()
        if isinstance(item, BaseException):
            raise item
        yield item


async def _atold(news: list[T | BaseException]) -> AsyncGenerator[T, None]:
    for item in _told(news):
        yield item


def _ends(
    outer: Generator[T, None, None], stream: Generator[T, None, None], news: list[T | BaseException]
) -> Generator[T, None, None]:
    """Every response; the wrapper sees the first one, then the last one or what broke the stream."""
    is_first = True
    try:
        for response in stream:
            news[:] = [response]
            if is_first:
                next(outer)
                is_first = False
            yield response
    except BaseException as error:
        news[:] = [error]
        next(outer)  # it reports the error and raises it
        raise
    for _ in outer:
        pass


async def _aends(
    outer: AsyncGenerator[T, None], stream: AsyncGenerator[T, None], news: list[T | BaseException]
) -> AsyncGenerator[T, None]:
    """The same for an asynchronous stream."""
    is_first = True
    try:
        async for response in stream:
            news[:] = [response]
            if is_first:
                await anext(outer)
                is_first = False
            yield response
    except BaseException as error:
        news[:] = [error]
        await anext(outer)
        raise
    async for _ in outer:
        pass
