"""Our LLM with one defect each, on the wire: what the wire suite must catch."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import Any

import httpx
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ThinkingBlock
from llama_index.core.llms.callbacks import llm_chat_callback

from infrai_core import InfraiError, StreamInterrupted
from llama_index_infrai import Infrai


class StreamStaysOpen(Infrai):
    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        """As most integrations write it: LlamaIndex's wrapper does not close what it wraps."""
        return self._stream(messages, kwargs)


class TriesTwice(Infrai):
    def _chat(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> ChatResponse:
        try:
            return super()._chat(messages, given)
        except InfraiError:
            return super()._chat(messages, given)


class AsyncBlocks(Infrai):
    async def _achat(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> ChatResponse:
        return self._chat(messages, given)


class FieldsWin(Infrai):
    def _chat(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> ChatResponse:
        return super()._chat(messages, {**given, "temperature": self.temperature})


class CutIsAnEnd(Infrai):
    def _stream(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> Generator[ChatResponse, None, None]:
        try:
            yield from super()._stream(messages, given)
        except StreamInterrupted:
            return


class RawErrors(Infrai):
    def _stream(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> Generator[ChatResponse, None, None]:
        try:
            yield from super()._stream(messages, given)
        except StreamInterrupted as error:
            raise httpx.RemoteProtocolError(str(error)) from error


class ThinkingIsLost(Infrai):
    def _stream(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> Generator[ChatResponse, None, None]:
        for response in super()._stream(messages, given):
            blocks = [block for block in response.message.blocks if not isinstance(block, ThinkingBlock)]
            response.message.blocks = blocks
            yield response

    async def _astream(
        self, messages: Sequence[ChatMessage], given: Mapping[str, Any]
    ) -> AsyncGenerator[ChatResponse, None]:
        async for response in super()._astream(messages, given):
            yield response


class FetchesAddresses(Infrai):
    def _chat(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> ChatResponse:
        for block in messages[-1].blocks:
            httpx.get(str(getattr(block, "url", "")), trust_env=False)
        return super()._chat(messages, given)
