"""The runtime in this process with a chat model whose turns a test gives: all but the model itself is real."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from infrai_core.config import EMBEDDED_ORIGIN
from infrai_runtime import embedded
from infrai_runtime.app import create_app
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Request
from llama_index_infrai import Infrai
from tests.runtime.api import settings
from tests.runtime.fake import USAGE, FakeChat, catalogue, model

ToolCall: TypeAlias = tuple[str, Mapping[str, Any]]
Turn: TypeAlias = "str | ToolCall | Callable[[Request], str | ToolCall]"


class Played(FakeChat):
    """Takes one turn after another: a text, a ``(tool, arguments)`` call, or what a function makes of the request."""

    def __init__(self, *turns: Turn) -> None:
        super().__init__("played", self._turn)
        self._turns = list(turns)

    async def _turn(self, request: Request, call: Call) -> AsyncIterator[Event]:
        turn = self._turns.pop(0)
        found = turn(request) if callable(turn) else turn
        for part in _text(found) if isinstance(found, str) else _call(*found, number=len(self.requests)):
            yield Fragment(0, part)
        yield Finish("stop" if isinstance(found, str) else "tool_calls", USAGE)

    @property
    def prompts(self) -> list[str]:
        """All text of each request."""
        return [said(request) for request in self.requests]


def said(request: Request) -> str:
    """All text of a request's messages, tool results included."""
    return "\n".join(_texts(part) for message in request["messages"] for part in message["parts"])


def tools(request: Request) -> list[str]:
    """Names of the tools that a request offers."""
    return [tool["function"]["name"] for tool in request.get("tools", ())]


def _texts(part: Mapping[str, Any]) -> str:
    return "\n".join(map(_texts, part["parts"])) if "parts" in part else str(part.get("text", ""))


def _text(text: str) -> Iterator[dict[str, Any]]:
    for piece in re.findall(r"\s*\S+|\s+$", text):
        yield {"type": "text", "text": piece}


def _call(name: str, arguments: Mapping[str, Any], *, number: int) -> Iterator[dict[str, Any]]:
    written = json.dumps(arguments)
    yield {"type": "tool_call", "id": f"call_{number}", "name": name, "arguments": written[:3]}
    yield {"type": "tool_call", "arguments": written[3:], "done": True}


class _Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Both of the embedded runtime's transports as one."""

    def __init__(self, app: Any) -> None:
        self._sync, self._async = embedded.transport(app), embedded.async_transport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._sync.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._async.handle_async_request(request)


@contextmanager
def played(home: Path, *turns: Turn, **options: Any) -> Iterator[tuple[Infrai, Played]]:
    """An LLM over a runtime of its own, whose model takes these turns. All of them have to be taken.

    The model costs 1 USD per million prompt tokens and 2 per million completion tokens.
    """
    vendor = Played(*turns)
    app = create_app(settings(home), vendors=[vendor], catalogue=catalogue(model("played")))
    given = {"model": "big", "context_window": 32_000, "allow_plain_http": True, **options}
    yield Infrai(api_key="k", base_url=EMBEDDED_ORIGIN, transport=_Transport(app), **given), vendor
    assert not vendor._turns, "the pipeline asked the model less often than was expected"
