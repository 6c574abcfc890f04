"""Calls that are reported to callbacks and events by LlamaIndex's own wrapper, once, without what nobody may read.

The wrapper shows all options of a call, and does not close the generator that it wraps: leaving a stream early would
keep the HTTP response open until the garbage collector comes by. Here options that are secret or name a person are left
out, closing a stream closes both, and single responses of a stream are reported where a handler listens to them.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import suppress
from types import FunctionType
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from llama_index.core.llms.callbacks import dispatcher
from llama_index_instrumentation.dispatcher import DISPATCHER_SPAN_DECORATED_ATTR
from llama_index_instrumentation.event_handlers import NullEventHandler

from llama_index_infrai.usage import InfraiUsageHandler

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
T_co = TypeVar("T_co", covariant=True)

Batches: TypeAlias = Generator[Iterable[T], None, None]


class AsyncBatches(Protocol[T_co]):
    """The same from an event loop."""

    def __aiter__(self) -> AsyncIterator[Iterable[T_co]]:
        """Each batch as it comes."""

    async def aclose(self) -> None:
        """Closes the stream."""


News: TypeAlias = list[T | BaseException]
"""The response or the error that the wrapper has yet to hear of."""

Callback = Callable[[], Callable[..., Any]]
"""``llm_chat_callback`` or ``llm_completion_callback``."""

_HIDDEN = frozenset({"extra_headers", "extra_body", "vendor_options", "user", "session_id", "idempotency_key"})


def _shown(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _HIDDEN}


class _Discreet(inspect.Signature):
    """A signature that keeps secret and personal options out of the arguments that a span gets of a call: those are
    what LlamaIndex's dispatcher binds."""

    def bind(self, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        """As ``Signature.bind``."""
        bound = super().bind(*args, **kwargs)
        for name in ("kwargs", "llm_kwargs"):
            if bound.arguments.get(name):
                bound.arguments[name] = _shown(bound.arguments[name])
        return bound


def discreet(method: F) -> F:
    """The method with spans that show nothing secret or personal; of one that LlamaIndex wrapped already, a copy."""
    plain: Any = inspect.unwrap(method)
    twin: Any = FunctionType(plain.__code__, plain.__globals__, plain.__name__, plain.__defaults__, plain.__closure__)
    for name in ("__annotations__", "__doc__", "__kwdefaults__", "__module__", "__qualname__"):
        setattr(twin, name, getattr(plain, name))
    twin.__signature__ = _Discreet.from_callable(plain)
    return cast("F", twin)


def spanless(method: F) -> F:
    """The method without a span, whose result would hold all options of a call."""
    setattr(method, DISPATCHER_SPAN_DECORATED_ATTR, True)
    return method


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


# -- streams -------------------------------------------------------------------------------------------------------
# The responses come in batches, one for each piece of the network, made while they are read.


def reported_stream(
    callback: Callback, owner: Any, subject: Any, options: Mapping[str, Any], batches: Batches[T]
) -> Generator[T, None, None]:
    """The responses of a stream, reported; closing it closes the given one."""
    news: News[T] = []
    told = reported(callback, owner, subject, options, lambda: _relayed(news))
    return _responses(batches, told, news)


async def areported_stream(
    callback: Callback, owner: Any, subject: Any, options: Mapping[str, Any], batches: AsyncBatches[T]
) -> AsyncGenerator[T, None]:
    """The same for an asynchronous stream."""
    news: News[T] = []

    async def given() -> AsyncGenerator[T, None]:
        return _arelayed(news)

    told = await areported(callback, owner, subject, options, given)
    return _aresponses(batches, told, news)


def _responses(batches: Batches[T], told: Generator[T, None, None], news: News[T]) -> Generator[T, None, None]:
    """All responses. The wrapper is told of each one while somebody listens, else of the last one, which it reports as
    the whole answer; and of what broke the stream."""
    try:
        for batch in batches:
            for response in batch:
                news[:] = [response]
                if _is_heard():
                    next(told)
                yield response
    except BaseException as error:
        news[:] = [error]
        next(told, None)  # reports and raises it
        raise
    finally:
        batches.close()
    for _ in told:
        pass


async def _aresponses(
    batches: AsyncBatches[T], told: AsyncGenerator[T, None], news: News[T]
) -> AsyncGenerator[T, None]:
    """The same for an asynchronous stream."""
    try:
        async for batch in batches:
            for response in batch:
                news[:] = [response]
                if _is_heard():
                    await anext(told)
                yield response
    except BaseException as error:
        news[:] = [error]
        with suppress(StopAsyncIteration):  # a default for anext crashes CPython 3.11 where the generator cannot start
            await anext(told)
        raise
    finally:
        await batches.aclose()
    async for _ in told:
        pass


def _relayed(news: News[T]) -> Generator[T, None, None]:
    """What the wrapper reads in place of the stream: what stands in ``news`` when it asks, an error by raising it."""
    while news:
        item = news.pop()
        if isinstance(item, BaseException):
            raise item
        yield item


async def _arelayed(news: News[T]) -> AsyncGenerator[T, None]:
    for item in _relayed(news):
        yield item


_DEAF = frozenset({NullEventHandler, InfraiUsageHandler})
"""Handlers that do not look at single responses of a stream."""


def _is_heard() -> bool:
    """Whether an event handler may want to see single responses: the wrapper makes an event of each one, which costs
    as much as all the rest of it."""
    place = dispatcher
    while True:
        for handler in place.event_handlers:
            if type(handler) not in _DEAF:
                return True
        if not place.propagate:
            return False
        place = place.parent
