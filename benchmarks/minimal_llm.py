"""The least that a LlamaIndex LLM can be: OpenAI's shape over plain httpx. The floor that adapters stand on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.custom import CustomLLM

_client = httpx.Client()
_async_client = httpx.AsyncClient()


class MinimalLLM(CustomLLM):
    """Text in, text and token counts out."""

    url: str

    @property
    def metadata(self) -> LLMMetadata:
        """A chat model of unknown size."""
        return LLMMetadata(is_chat_model=True)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """A whole answer."""
        return _response(_client.post(self.url, json=_body(messages)).json())

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """A whole answer."""
        return _response((await _async_client.post(self.url, json=_body(messages))).json())

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """The answer as it grows."""

        def responses() -> ChatResponseGen:
            text = ""
            with _client.stream("POST", self.url, json=_body(messages, stream=True)) as response:
                for line in response.iter_lines():
                    if line and line != "data: [DONE]":
                        grown = _grown(text, json.loads(line[6:]))
                        text += grown.delta or ""
                        yield grown

        return responses()

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """The answer as it grows."""

        async def responses() -> ChatResponseAsyncGen:
            text = ""
            async with _async_client.stream("POST", self.url, json=_body(messages, stream=True)) as response:
                async for line in response.aiter_lines():
                    if line and line != "data: [DONE]":
                        grown = _grown(text, json.loads(line[6:]))
                        text += grown.delta or ""
                        yield grown

        return responses()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Not measured."""
        raise NotImplementedError

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Not measured."""
        raise NotImplementedError


def _body(messages: Sequence[ChatMessage], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": message.content} for message in messages], **more}


def _response(body: dict[str, Any]) -> ChatResponse:
    message = ChatMessage(role=MessageRole.ASSISTANT, content=body["choices"][0]["message"]["content"])
    return ChatResponse(message=message, raw=body)


def _grown(text: str, chunk: dict[str, Any]) -> ChatResponse:
    delta = chunk["choices"][0]["delta"].get("content") or "" if chunk["choices"] else ""
    message = ChatMessage(role=MessageRole.ASSISTANT, content=text + delta)
    return ChatResponse(message=message, delta=delta, raw=chunk)
