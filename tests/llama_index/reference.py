"""An LLM and an embedding model without a network that do everything right, and defective variants of each: what the
conformance suites must pass, and what they must catch. Nothing here is ours but the blocks' refusal."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.core.tools.types import BaseTool
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr

from llama_index_infrai._cache import ModelCache

PERSON = {"name": "Anna", "age": 31, "address": {"city": "Paris"}}
ARGUMENTS = {"weather": [{"city": "Paris"}, {"city": "Rome"}], "current_time": [{}], "Person": [PERSON]}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


class Reference(FunctionCallingLLM):
    """Calls the tool that it is given, with arguments that it knows by heart; else says a sentence."""

    model_config = ConfigDict(extra="forbid")
    api_key: SecretStr = Field(exclude=True, repr=False)

    @classmethod
    def class_name(cls) -> str:
        return "reference_llm"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            context_window=9000, num_output=500, is_chat_model=True, is_function_calling_model=True, model_name="ref"
        )

    # -- answers ---------------------------------------------------------------------------------------------------

    def _message(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatMessage:
        for message in messages:
            self._check(message)
        answered = any(message.role == MessageRole.TOOL for message in messages)
        calls = [] if answered else self._calls(str(messages[-1].content), kwargs)
        text = [] if calls else [TextBlock(text="The answer is 42.")]
        return ChatMessage(role="assistant", blocks=[*text, *calls], additional_kwargs=self._legacy(calls))

    def _check(self, message: ChatMessage) -> None:
        for block in message.blocks:
            if not isinstance(block, TextBlock | ToolCallBlock):
                raise ValueError(f"{type(block).__name__} is not supported")

    def _calls(self, question: str, kwargs: dict[str, Any]) -> list[ToolCallBlock]:
        found = []
        for tool in kwargs.get("tools") or ():
            name = tool["function"]["name"]
            rows = [row for row in ARGUMENTS[name] if name != "weather" or row["city"] in question]
            found += [(name, row) for row in rows]
        if not kwargs.get("parallel"):
            found = found[:1]
        return [
            ToolCallBlock(tool_call_id=f"call_{i}", tool_name=name, tool_kwargs=json.dumps(row))
            for i, (name, row) in enumerate(found)
        ]

    def _legacy(self, calls: Sequence[ToolCallBlock]) -> dict[str, Any]:
        rows = [
            {"id": c.tool_call_id, "type": "function", "function": {"name": c.tool_name, "arguments": c.tool_kwargs}}
            for c in calls
        ]
        return {"tool_calls": rows} if rows else {}

    def _whole(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=self._message(messages, **kwargs), raw={"usage": USAGE})

    def _stream(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        message = self._message(messages, **kwargs)
        yield from self._grown(message)

    def _grown(self, message: ChatMessage) -> Generator[ChatResponse, None, None]:
        text = message.content or ""
        size = max(map(len, [text, *(str(c.tool_kwargs) for c in message.blocks if isinstance(c, ToolCallBlock))]))
        for at in range(3, size + 3, 3):
            part = self._part(message, at)
            raw = {"usage": USAGE} if at >= size else {}
            yield ChatResponse(message=part, delta=text[at - 3 : at], raw=raw)

    def _part(self, message: ChatMessage, at: int) -> ChatMessage:
        calls = [
            ToolCallBlock(tool_call_id=b.tool_call_id, tool_name=b.tool_name, tool_kwargs=str(b.tool_kwargs)[:at])
            for b in message.blocks
            if isinstance(b, ToolCallBlock)
        ]
        text = [TextBlock(text=b.text[:at]) for b in message.blocks if isinstance(b, TextBlock)]
        return ChatMessage(role="assistant", blocks=[*text, *calls], additional_kwargs=self._legacy(calls))

    def _completion(self, response: ChatResponse) -> CompletionResponse:
        return CompletionResponse(text=response.message.content or "", raw=response.raw, delta=response.delta)

    # -- the eight -------------------------------------------------------------------------------------------------

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._whole(messages, **kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._whole(messages, **kwargs)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self._completion(self._whole([ChatMessage(content=prompt)], **kwargs))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self._completion(self._whole([ChatMessage(content=prompt)], **kwargs))

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        return self._stream(messages, **kwargs)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        async def responses() -> AsyncGenerator[ChatResponse, None]:
            for response in self._stream(messages, **kwargs):
                yield response

        return responses()

    @llm_completion_callback()
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Generator[CompletionResponse, None, None]:
        return (self._completion(response) for response in self._stream([ChatMessage(content=prompt)], **kwargs))

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse, None]:
        async def responses() -> AsyncGenerator[CompletionResponse, None]:
            for response in self._stream([ChatMessage(content=prompt)], **kwargs):
                yield self._completion(response)

        return responses()

    # -- structured answers: LlamaIndex's programs take tool_choice out of the caller's dictionary ------------------

    def structured_predict(self, output_cls: Any, prompt: Any, llm_kwargs: Any = None, **args: Any) -> Any:
        return super().structured_predict(output_cls, prompt, dict(llm_kwargs or {}), **args)

    async def astructured_predict(self, output_cls: Any, prompt: Any, llm_kwargs: Any = None, **args: Any) -> Any:
        return await super().astructured_predict(output_cls, prompt, dict(llm_kwargs or {}), **args)

    def _structured_stream_call(self, output_cls: Any, prompt: Any, llm_kwargs: Any = None, **args: Any) -> Any:
        return super()._structured_stream_call(output_cls, prompt, dict(llm_kwargs or {}), **args)

    async def _structured_astream_call(self, output_cls: Any, prompt: Any, llm_kwargs: Any = None, **args: Any) -> Any:
        return await super()._structured_astream_call(output_cls, prompt, dict(llm_kwargs or {}), **args)

    # -- tools -----------------------------------------------------------------------------------------------------

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        message = ChatMessage(content=user_msg) if isinstance(user_msg, str) else user_msg
        messages = [*(chat_history or ()), *([message] if message else ())]
        if not tools:
            return {"messages": messages, **kwargs}
        asked = {"tools": [tool.metadata.to_openai_tool() for tool in tools], "parallel": allow_parallel_tool_calls}
        return {"messages": messages, **asked, "tool_choice": "required" if tool_required else "auto", **kwargs}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        if not calls and error_on_no_tool_call:
            raise ValueError("no tool was called")
        return [
            ToolSelection(tool_id=c.tool_call_id or "", tool_name=c.tool_name, tool_kwargs=_read(c.tool_kwargs))
            for c in calls
        ]


def _read(arguments: Any) -> dict[str, Any]:
    try:
        return dict(parse_partial_json(arguments)) if isinstance(arguments, str) else arguments
    except ValueError:
        return {}


# -- defects -------------------------------------------------------------------------------------------------------


class NoUsageInStreams(Reference):
    def _stream(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        for response in super()._stream(messages, **kwargs):
            response.raw = {}
            yield response


class UsageUnderAnotherName(Reference):
    def _whole(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=self._message(messages, **kwargs), raw={"token_usage": USAGE})


class CompleteReportsTwice(Reference):
    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self._completion(self.chat([ChatMessage(content=prompt)], **kwargs))


class AsyncIsNotReported(Reference):
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._whole(messages, **kwargs)


class DeltasHoldEverything(Reference):
    def _stream(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        for response in super()._stream(messages, **kwargs):
            response.delta = response.message.content or ""
            yield response


class OneResponseObjectForAll(Reference):
    def _stream(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        shared: ChatResponse | None = None
        for response in super()._stream(messages, **kwargs):
            shared = shared or response
            shared.__dict__.update(response.__dict__)
            yield shared


class NoLegacyCalls(Reference):
    def _legacy(self, calls: Sequence[ToolCallBlock]) -> dict[str, Any]:
        return {}


class OnlyLegacyCalls(Reference):
    def _message(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatMessage:
        made = super()._message(messages, **kwargs)
        made.blocks = [block for block in made.blocks if not isinstance(block, ToolCallBlock)]
        return made


class SecondCallIsLost(Reference):
    def _calls(self, question: str, kwargs: dict[str, Any]) -> list[ToolCallBlock]:
        return super()._calls(question, {**kwargs, "parallel": False})


class ParallelCallsCannotBeForbidden(Reference):
    def _calls(self, question: str, kwargs: dict[str, Any]) -> list[ToolCallBlock]:
        return super()._calls(question, {**kwargs, "parallel": True})


class PartialArgumentsRaise(Reference):
    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        for block in response.message.blocks:
            if isinstance(block, ToolCallBlock) and isinstance(block.tool_kwargs, str):
                json.loads(block.tool_kwargs)
        return super().get_tool_calls_from_response(response, error_on_no_tool_call, **kwargs)


class NoCallIsNeverAnError(Reference):
    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        return super().get_tool_calls_from_response(response, False, **kwargs)


class HistoryIsAppendedTo(Reference):
    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        if chat_history is not None and isinstance(user_msg, str):
            chat_history.append(ChatMessage(content=user_msg))
            user_msg = None
        return super()._prepare_chat_with_tools(tools, user_msg, chat_history, *args, **kwargs)


class ToolIsNeverRequired(Reference):
    def _prepare_chat_with_tools(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return super()._prepare_chat_with_tools(*args, **{**kwargs, "tool_required": False})


class OptionsGetLost(Reference):
    def _prepare_chat_with_tools(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        made = super()._prepare_chat_with_tools(*args, **kwargs)
        return {name: value for name, value in made.items() if name != "stop"}


class MessagesAreChanged(Reference):
    def _check(self, message: ChatMessage) -> None:
        super()._check(message)
        message.additional_kwargs.clear()


class OptionsAreChanged(Reference):
    def structured_predict(self, output_cls: Any, prompt: Any, llm_kwargs: Any = None, **args: Any) -> Any:
        if llm_kwargs is not None:
            llm_kwargs["tool_choice"] = "required"
        return super().structured_predict(output_cls, prompt, llm_kwargs, **args)


class BlocksAreDropped(Reference):
    def _check(self, message: ChatMessage) -> None: ...


class DefaultContext(Reference):
    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True, model_name="ref")


class OutputEatsTheContext(Reference):
    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=4000, num_output=4000, is_function_calling_model=True, model_name="ref")


class KeyInDumps(Reference):
    api_key: str  # type: ignore[assignment]  # an open key is the defect


class KeyInEvents(Reference):
    def to_payload(self) -> dict[str, Any]:
        return {**super().to_payload(), "api_key": self.api_key.get_secret_value()}


class NoDeepCopy(Reference):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("cannot pickle '_thread.RLock' object")


class NoPickle(Reference):
    def __getstate__(self) -> Any:
        raise TypeError("cannot pickle '_thread.lock' object")


class FirstLoopOnly(Reference):
    _loop: Any = PrivateAttr(default=None)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        self._loop = self._loop or asyncio.get_running_loop()
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError("Event loop is closed")
        return self._whole(messages, **kwargs)


class AnyArgumentIsTaken(Reference):
    model_config = ConfigDict(extra="ignore")


# -- embeddings ----------------------------------------------------------------------------------------------------


class ReferenceEmbedding(BaseEmbedding):
    """Counts letters."""

    model_config = ConfigDict(extra="forbid")
    model_name: str = "letters"
    api_key: SecretStr = Field(exclude=True, repr=False)
    embeddings_cache: Any = Field(default=None, exclude=True)
    rotation: int = 0

    @classmethod
    def class_name(cls) -> str:
        return "reference_embedding"

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        self.embeddings_cache = self._own(self.embeddings_cache)

    def _own(self, cache: BaseKVStore | None) -> BaseKVStore | None:
        bare = cache.store if isinstance(cache, ModelCache) else cache
        return bare and ModelCache(bare, f"letters-{self.rotation}")

    def _vector(self, text: str) -> list[float]:
        letters = re.findall("[a-z]", text.lower())
        counts = [float(letters.count(chr(97 + i))) + 0.01 for i in range(26)]
        return counts[self.rotation :] + counts[: self.rotation]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vector(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._vector(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._vector(query)

    async def _aget_text_embeddings_cached(self, texts: list[str]) -> list[list[float]]:
        if self.rate_limiter is not None:  # LlamaIndex forgets it on this path
            await self.rate_limiter.async_acquire()
        return await super()._aget_text_embeddings_cached(texts)


class OrderIsLost(ReferenceEmbedding):
    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [self._vector(text) for text in sorted(texts)]


class AsyncDiffers(ReferenceEmbedding):
    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [self._vector(text)[::-1] for text in texts]


class CacheIsShared(ReferenceEmbedding):
    def _own(self, cache: BaseKVStore | None) -> BaseKVStore | None:
        return cache


class CachedAsyncIsNotLimited(ReferenceEmbedding):
    async def _aget_text_embeddings_cached(self, texts: list[str]) -> list[list[float]]:
        return await BaseEmbedding._aget_text_embeddings_cached(self, texts)


class ListIsChanged(ReferenceEmbedding):
    def get_text_embedding_batch(self, texts: list[str], *args: Any, **kwargs: Any) -> list[list[float]]:
        found = super().get_text_embedding_batch(copy.copy(texts), *args, **kwargs)
        texts.clear()
        return found


class EmbeddingKeyInDumps(ReferenceEmbedding):
    api_key: str  # type: ignore[assignment]  # an open key is the defect
