"""The least that a LangChain chat model can be: OpenAI's shape over plain httpx. The floor that adapters stand on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

_client = httpx.Client()
_async_client = httpx.AsyncClient()


class MinimalChat(BaseChatModel):
    """Text in, text and token counts out."""

    url: str

    @property
    def _llm_type(self) -> str:
        return "minimal"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> ChatResult:
        return _result(_client.post(self.url, json=_body(messages)).json())

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> ChatResult:
        return _result((await _async_client.post(self.url, json=_body(messages))).json())

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> Iterator[ChatGenerationChunk]:
        with _client.stream("POST", self.url, json=_body(messages, stream=True)) as response:
            for line in response.iter_lines():
                if chunk := _chunk(line):
                    yield chunk

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with _async_client.stream("POST", self.url, json=_body(messages, stream=True)) as response:
            async for line in response.aiter_lines():
                if chunk := _chunk(line):
                    yield chunk


def _body(messages: list[BaseMessage], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": message.content} for message in messages], **more}


def _usage(used: dict[str, Any]) -> dict[str, Any]:
    return {
        "input_tokens": used["prompt_tokens"],
        "output_tokens": used["completion_tokens"],
        "total_tokens": used["total_tokens"],
    }


def _result(body: dict[str, Any]) -> ChatResult:
    content = body["choices"][0]["message"]["content"]
    message = AIMessage(content, usage_metadata=_usage(body["usage"]), response_metadata={"model_name": body["model"]})
    return ChatResult(generations=[ChatGeneration(message=message)])


def _chunk(line: str) -> ChatGenerationChunk | None:
    if not line or line == "data: [DONE]":
        return None
    value = json.loads(line[6:])
    delta = value["choices"][0]["delta"] if value["choices"] else {}
    calls = [
        {"name": call["function"].get("name"), "args": call["function"]["arguments"], "id": call.get("id"), "index": 0}
        for call in delta.get("tool_calls", ())
    ]
    used = _usage(value["usage"]) if value.get("usage") else None
    return ChatGenerationChunk(
        message=AIMessageChunk(content=delta.get("content") or "", tool_call_chunks=calls, usage_metadata=used)
    )
