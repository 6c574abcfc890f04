"""``stream`` and ``astream`` of a chat model where no callback listens: the chunks, and nothing that tells of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from langchain_core.callbacks import CallbackManager
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.utils.utils import LC_ID_PREFIX

from langchain_infrai._served import untraced

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel as _Model
else:
    _Model = object  # a class of pydantic for these methods alone would cost milliseconds of import


class Unheard(_Model):
    """The part of ``ChatInfrai`` that streams without callbacks.

    LangChain's own loop keeps every chunk, tells the callback manager of it and joins them all at the end, also when
    there is nobody to hear: more than half of what a chunk costs. With any callback, tracer or debugging it is used.
    """

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """The answer in pieces, the last with usage and cost; errors as in ``langchain_infrai.errors``."""
        config = ensure_config(config)
        if self._is_heard(config, kwargs, async_api=False):
            yield from super().stream(input, config, stop=stop, **kwargs)
            return
        if self.rate_limiter:
            self.rate_limiter.acquire(blocking=True)
        run_id = _run_id(config)
        for piece in self._stream(self._convert_input(input).to_messages(), stop=stop, **kwargs):
            yield _message(piece, run_id)

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """The same from an event loop."""
        config = ensure_config(config)
        if self._is_heard(config, kwargs, async_api=True):
            heard = super().astream(input, config, stop=stop, **kwargs)
            async with aclosing(cast("AsyncGenerator[AIMessageChunk]", heard)) as messages:
                async for message in messages:
                    yield message
            return
        if self.rate_limiter:
            await self.rate_limiter.aacquire(blocking=True)
        run_id = _run_id(config)
        streamed = self._astream(self._convert_input(input).to_messages(), stop=stop, **kwargs)
        async with aclosing(cast("AsyncGenerator[ChatGenerationChunk]", streamed)) as pieces:
            async for piece in pieces:
                yield _message(piece, run_id)

    def _is_heard(self, config: RunnableConfig, given: Mapping[str, Any], *, async_api: bool) -> bool:
        """Whether LangChain's loop has more to do than to pass chunks on."""
        if self.output_version == "v1" or not self._should_stream(async_api=async_api, **{**given, "stream": True}):
            return True
        manager = CallbackManager.configure(config.get("callbacks"), self.callbacks, self.verbose)
        return bool(manager.handlers)


def _run_id(config: RunnableConfig) -> str:
    """What LangChain calls the messages of a run that have no name of their own."""
    return f"{LC_ID_PREFIX}-{config.get('run_id') or uuid4()}"


def _message(piece: ChatGenerationChunk, run_id: str) -> AIMessageChunk:
    """The message of a piece; what a ``_stream`` of one's own says beside it goes into the message, as in LangChain."""
    message = piece.message
    if message.id is None:
        message.id = run_id
    if piece.generation_info:
        message.response_metadata = {**untraced(piece.generation_info), **message.response_metadata}
    return cast("AIMessageChunk", message)
