"""What vendors beyond this machine share, whatever dialect they speak."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Generic, Protocol, TypeVar

from infrai_runtime.vendors.base import Call, Event, Note, Request
from infrai_runtime.vendors.http import Http
from infrai_runtime.vendors.keyring import Keyring
from infrai_runtime.vendors.vision import as_chat


class Warned(Protocol):
    """A converted request: what came up on the way is told before the answer."""

    @property
    def warnings(self) -> Sequence[str]: ...


D = TypeVar("D", bound=Warned)


class Remote:
    """A vendor behind an HTTP seam."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self.name = http.endpoint.vendor

    @property
    def keys(self) -> Keyring:
        """The keys and how they are."""
        return self.http.keys

    async def close(self) -> None:
        """Closes the connections."""
        await self.http.close()


class RemoteChat(Remote, ABC, Generic[D]):
    """Answers messages, and prompts about images as messages. A dialect says how a request is drafted and how its
    answer is had, whole and streamed."""

    async def chat(self, request: Request, call: Call) -> AsyncGenerator[Event, None]:
        """The answer: streamed when the caller reads along, else asked for in one piece, which is cheaper."""
        draft = await self.drafted(request, call)
        for warning in draft.warnings:
            yield Note(warning=warning)
        if not call.stream:
            for event in await self.whole(draft, call):
                yield event
            return
        async with aclosing(self.streamed(draft, call)) as events:
            async for event in events:
                yield event

    async def see(self, request: Request, call: Call) -> AsyncGenerator[Event, None]:
        """A chat with the images in it."""
        async with aclosing(self.chat(as_chat(request), call)) as events:
            async for event in events:
                yield event

    @abstractmethod
    async def drafted(self, request: Request, call: Call) -> D:
        """The vendor's body of a request, media in place."""

    @abstractmethod
    async def whole(self, draft: D, call: Call) -> Sequence[Event]:
        """The events of an answer in one piece."""

    @abstractmethod
    def streamed(self, draft: D, call: Call) -> AsyncGenerator[Event, None]:
        """The events of a streamed answer, as they come."""
