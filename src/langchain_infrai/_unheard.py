"""Calls of a chat model where no callback listens: the answer or its chunks, and nothing that tells of them."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from langchain_core.callbacks import CallbackManager
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.utils.utils import LC_ID_PREFIX

from langchain_infrai._served import untraced

if TYPE_CHECKING:
    _Model = BaseChatModel
else:
    _Model = object  # a class of pydantic for these methods alone would cost milliseconds of import

_LANGCHAIN = vars(sys.modules[BaseChatModel.__module__])


class Unheard(_Model):
    """The part of ``ChatInfrai`` that answers without callbacks.

    LangChain's own way prepares what a trace would hold, keeps every chunk, and tells the callback manager of all of
    it, also when there is nobody to hear: about half of what a call costs over the client, and more than half of a
    chunk. With any callback, tracer, debugging, cache of answers, or a wrapper around LangChain's methods it is used.
    """

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """The whole answer, with usage and cost; errors as in ``langchain_infrai.errors``."""
        config = ensure_config(config)
        if self._must_generate(config, kwargs, async_api=False):
            return super().invoke(input, config, stop=stop, **kwargs)
        if self.rate_limiter:
            self.rate_limiter.acquire(blocking=True)
        messages = self._convert_input(input).to_messages()
        return _answer(self._generate(messages, stop=stop, **kwargs), config)

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """The same from an event loop."""
        config = ensure_config(config)
        if self._must_generate(config, kwargs, async_api=True):
            return await super().ainvoke(input, config, stop=stop, **kwargs)
        if self.rate_limiter:
            await self.rate_limiter.aacquire(blocking=True)
        messages = self._convert_input(input).to_messages()
        return _answer(await self._agenerate(messages, stop=stop, **kwargs), config)

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
        if self._must_loop(config, kwargs, async_api=False):
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
        if self._must_loop(config, kwargs, async_api=True):
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

    def _must_generate(self, config: RunnableConfig, given: Mapping[str, Any], *, async_api: bool) -> bool:
        """Whether LangChain's ``generate`` has more to do than to pass the answer on."""
        cls = type(self)
        ways = (cls.agenerate_prompt, cls.agenerate) if async_api else (cls.generate_prompt, cls.generate)
        is_kept = self.cache or (self.cache is None and get_llm_cache() is not None)
        return bool(is_kept or self._should_stream(async_api=async_api, **given) or self._is_heard(config, *ways))

    def _must_loop(self, config: RunnableConfig, given: Mapping[str, Any], *, async_api: bool) -> bool:
        """Whether LangChain's loop over a stream has more to do than to pass chunks on."""
        way = BaseChatModel.astream if async_api else BaseChatModel.stream
        streams = self._should_stream(async_api=async_api, **{**given, "stream": True})
        return not streams or self._is_heard(config, way)

    def _is_heard(self, config: RunnableConfig, *ways: Any) -> bool:
        """Whether somebody hears of the call, or wants another form of its message, or put something in LangChain's
        ways that wants to see every call."""
        if self.output_version == "v1" or not all(map(_is_langchains, ways)):
            return True
        manager = CallbackManager.configure(config.get("callbacks"), self.callbacks, self.verbose)
        return bool(manager.handlers)


def _is_langchains(way: Any) -> bool:
    """Whether this is LangChain's own function: subclasses and tools of observation put theirs in its place."""
    return type(way) is FunctionType and way.__globals__ is _LANGCHAIN


def _answer(result: ChatResult, config: RunnableConfig) -> AIMessage:
    """The message of the answer; what a ``_generate`` of one's own says beside it goes into it, as in LangChain."""
    generation: ChatGeneration = result.generations[0]
    message = generation.message
    if message.id is None:
        message.id = f"{_run_id(config)}-0"
    told = {**untraced(generation.generation_info or {}), **message.response_metadata}
    one = len(result.generations) == 1
    message.response_metadata = {**(result.llm_output or {}), **told} if one else told
    return cast("AIMessage", message)


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
