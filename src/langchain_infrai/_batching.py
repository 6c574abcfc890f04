"""``batch`` and its kin of a chat model: calls of their own, bounded, or with ``batch_mode`` one native job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_config_list

from langchain_infrai.errors import InfraiConfigError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from langchain_infrai._connection import Connection

    class _Model(BaseChatModel, Connection):
        def _is_batched(self, given: Mapping[str, Any]) -> bool: ...
else:
    _Model = object  # a class of pydantic for these methods alone would cost milliseconds of import

MOST_AT_ONCE = 32
"""How many calls ``abatch`` makes at the same time where the configuration does not say."""


class Batching(_Model):
    """The part of ``ChatInfrai`` that answers several inputs."""

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """The answers to several inputs, in order.

        With ``batch_mode`` they are one job at the service, at its batch price, and the call waits for it. Then
        ``batch_timeout`` is how long the job may take ("24h"), ``batch_progress`` True for a bar (needs tqdm) or a
        function that gets every record of the job, the first with its ``batch_id``. After a crash the same call with
        that ``batch_id``, or with the same ``idempotency_key`` as before, finds the job again instead of making one.
        """
        if not inputs or not self._is_batched(kwargs):
            _refuse_shared_key(inputs, kwargs)
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)
        from langchain_infrai._batch import JobOptions, run_job_aside

        run = partial(run_job_aside, self.client, JobOptions.taken(kwargs))
        with ThreadPoolExecutor(1) as thread:
            together = self._together(run, inputs, config, return_exceptions, kwargs)
            return thread.submit(copy_context().run, asyncio.run, together).result()

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """The same. Without ``batch_mode`` at most ``max_concurrency`` of the configuration (32) run at a time, and an
        error ends the others."""
        if not inputs or not self._is_batched(kwargs):
            calls = self._begun(inputs, config, return_exceptions, kwargs)
            try:
                return [answer for _, answer in await asyncio.gather(*calls)]
            finally:
                await _ended(calls)
        from langchain_infrai._batch import JobOptions, arun_job

        run = partial(arun_job, self.async_client, JobOptions.taken(kwargs))
        return await self._together(run, inputs, config, return_exceptions, kwargs)

    def batch_as_completed(  # type: ignore[override]  # LangChain overloads it by the type of return_exceptions
        self,
        inputs: Sequence[LanguageModelInput],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> Iterator[tuple[int, AIMessage | Exception]]:
        """(place, answer) as they come; those of a job with ``batch_mode`` come together."""
        if not inputs or not self._is_batched(kwargs):
            _refuse_shared_key(inputs, kwargs)
            more: Any = {"return_exceptions": return_exceptions, **kwargs}
            yield from super().batch_as_completed(inputs, config, **more)
            return
        configs = list(config) if isinstance(config, Sequence) else config
        yield from enumerate(self.batch(list(inputs), configs, return_exceptions=return_exceptions, **kwargs))

    async def abatch_as_completed(  # type: ignore[override]  # as above
        self,
        inputs: Sequence[LanguageModelInput],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> AsyncIterator[tuple[int, AIMessage | Exception]]:
        """The same from an event loop. Leaving it early, or an error, ends the others."""
        if not inputs or not self._is_batched(kwargs):
            calls = self._begun(inputs, config, return_exceptions, kwargs)
            try:
                for next_one in asyncio.as_completed(calls):
                    yield await next_one
            finally:
                await _ended(calls)
            return
        configs = get_config_list(config, len(inputs))
        answers = await self.abatch(list(inputs), configs, return_exceptions=return_exceptions, **kwargs)
        for found in enumerate(answers):
            yield found

    def _begun(
        self,
        inputs: Sequence[LanguageModelInput],
        config: RunnableConfig | Sequence[RunnableConfig] | None,
        return_exceptions: bool,
        kwargs: dict[str, Any],
    ) -> list[asyncio.Task[tuple[int, Any]]]:
        """A task per input that gives its place and its answer."""
        _refuse_shared_key(inputs, kwargs)
        configs = get_config_list(config, len(inputs)) if inputs else []
        gate = asyncio.Semaphore(next((c.get("max_concurrency") for c in configs), None) or MOST_AT_ONCE)

        async def call(place: int, given: LanguageModelInput, own: RunnableConfig) -> tuple[int, Any]:
            async with gate:
                try:
                    return place, await self.ainvoke(given, own, **kwargs)
                except Exception as error:
                    if return_exceptions:
                        return place, error
                    raise

        pairs = zip(inputs, configs, strict=True)
        return [asyncio.create_task(call(place, *pair)) for place, pair in enumerate(pairs)]

    async def _together(
        self,
        run: Callable[[list[dict[str, Any]]], Awaitable[list[dict[str, Any]]]],
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None,
        return_exceptions: bool,
        kwargs: dict[str, Any],
    ) -> list[AIMessage]:
        """A run per input, all of which wait for the rows of one job."""
        from langchain_infrai._batch import Job, placed

        job = Job(len(inputs), run)

        async def one(place: int, given: LanguageModelInput, own: RunnableConfig) -> AIMessage:
            with placed(job, place):
                return await self.ainvoke(given, own, **kwargs)

        configs = get_config_list(config, len(inputs))
        runs = (one(place, *pair) for place, pair in enumerate(zip(inputs, configs, strict=True)))
        try:
            answers: list[Any] = await asyncio.gather(*runs, return_exceptions=True)
        finally:
            await job.close()
        failed = next((answer for answer in answers if isinstance(answer, BaseException)), None)
        if failed is not None and not (return_exceptions and isinstance(failed, Exception)):
            raise failed
        return answers


def _refuse_shared_key(inputs: Sequence[LanguageModelInput], kwargs: Mapping[str, Any]) -> None:
    """Raises ``InfraiConfigError`` for one key of several calls: the service would answer one and refuse the others."""
    if len(inputs) > 1 and kwargs.get("idempotency_key") is not None:
        raise InfraiConfigError(
            f"idempotency_key: came one for {len(inputs)} calls, allowed is one each; with batch_mode it is the job's"
        )


async def _ended(calls: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels what still runs, and waits until it has let go. LangChain lets it go on, to be paid for though nobody
    waits for it."""
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
