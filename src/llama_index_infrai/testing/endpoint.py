"""The eight endpoints of an LLM, called alike."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse

T = TypeVar("T")
Response = ChatResponse | CompletionResponse


@dataclass(frozen=True)
class Endpoint:
    """One of the eight, by its name."""

    name: str

    @property
    def is_async(self) -> bool:
        """Whether it is awaited."""
        return self.name.startswith("a")

    @property
    def streams(self) -> bool:
        """Whether it gives several responses."""
        return "stream" in self.name

    @property
    def chats(self) -> bool:
        """Whether it takes messages; else it takes a prompt."""
        return "chat" in self.name

    def ask(self, llm: Any, given: str | Sequence[Any], **options: Any) -> list[Any]:
        """All responses of one call, given a prompt, messages or tools. A prompt becomes a user message where messages
        are taken."""
        subject = [ChatMessage(content=given)] if self.chats and isinstance(given, str) else given
        method = getattr(llm, self.name)
        if self.is_async:
            return run(self._await(method, subject, options))
        answer = method(subject, **options)
        return list(answer) if self.streams else [answer]

    async def _await(self, method: Any, subject: Any, options: dict[str, Any]) -> list[Any]:
        answer = await method(subject, **options)
        return [response async for response in answer] if self.streams else [answer]

    def __str__(self) -> str:
        return self.name


ENDPOINTS = [
    Endpoint(name)
    for name in (
        "chat",
        "achat",
        "complete",
        "acomplete",
        "stream_chat",
        "astream_chat",
        "stream_complete",
        "astream_complete",
    )
]
CHATS = [endpoint for endpoint in ENDPOINTS if endpoint.chats]
STREAMS = [endpoint for endpoint in ENDPOINTS if endpoint.streams]
WITH_TOOLS = [
    Endpoint(name)
    for name in ("chat_with_tools", "achat_with_tools", "stream_chat_with_tools", "astream_chat_with_tools")
]


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda component: pickle.loads(pickle.dumps(component)),
}
"""The ways in which components are copied: by hand, by agents and pipelines, into worker processes."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs to the end in an event loop of its own, so that no suite needs a pytest plugin."""
    return asyncio.run(coroutine)


async def acollected(stream: Any) -> list[Any]:
    """All items of an asynchronous iterator, or of one that has to be awaited first."""
    items = stream if hasattr(stream, "__aiter__") else await stream
    return [item async for item in items]


def text_of(response: Any) -> str:
    """The text of either kind of response."""
    return response.text if isinstance(response, CompletionResponse) else response.message.content or ""


def usage_of(response: Any) -> dict[str, Any]:
    """``raw["usage"]`` as token counting handlers look for it; empty where there is none."""
    try:
        usage = dict(response.raw or {}).get("usage") or {}
    except (TypeError, ValueError):
        return {}
    return dict(usage)
