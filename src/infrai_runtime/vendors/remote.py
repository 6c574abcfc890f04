"""What vendors beyond this machine share, whatever dialect they speak."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from infrai_core.sse import Event as SentEvent
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Event, Fragment, Note, Request
from infrai_runtime.vendors.http import Http
from infrai_runtime.vendors.keyring import Keyring
from infrai_runtime.vendors.material import inlined
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

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the service."""
        parts = urlsplit(self.http.endpoint.base_url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    async def close(self) -> None:
        """Closes the connections."""
        await self.http.close()


class RemoteChat(Remote, ABC, Generic[D]):
    """Answers messages, and prompts about images as messages. A dialect says which media its vendor fetches, how a
    request is drafted and how its answer is had, whole and streamed."""

    async def chat(self, request: Request, call: Call) -> AsyncGenerator[Event, None]:
        """The answer: streamed when the caller reads along, else asked for in one piece, which is cheaper."""
        if not call.stream:
            for event in await self.answer(request, call):
                yield event
            return
        draft = self.drafted(await inlined(request, call, self.fetches), call)
        for warning in draft.warnings:
            yield Note(warning=warning)
        async with aclosing(self.streamed(draft, call)) as lists:
            async for events in lists:
                for event in joined(events) if len(events) > 1 else events:
                    yield event

    async def answer(self, request: Request, call: Call) -> Sequence[Event]:
        """The answer in one piece."""
        draft = self.drafted(await inlined(request, call, self.fetches), call)
        events = await self.whole(draft, call)
        return [*(Note(warning=warning) for warning in draft.warnings), *events] if draft.warnings else events

    async def see(self, request: Request, call: Call) -> AsyncGenerator[Event, None]:
        """A chat with the images in it."""
        async with aclosing(self.chat(as_chat(request), call)) as events:
            async for event in events:
                yield event

    async def drafts(self, requests: Iterable[Request], call: Call) -> list[D]:
        """The vendor's bodies of the requests of a batch."""
        return [self.drafted(await inlined(request, call, self.fetches), call) for request in requests]

    def fetches(self, part: Mapping[str, Any]) -> bool:
        """Whether the vendor fetches a medium by itself, which has a URL."""
        return False

    @abstractmethod
    def drafted(self, request: Request, call: Call) -> D:
        """The vendor's body of a request whose media are in place."""

    @abstractmethod
    async def whole(self, draft: D, call: Call) -> Sequence[Event]:
        """The events of an answer in one piece."""

    @abstractmethod
    def streamed(self, draft: D, call: Call) -> AsyncGenerator[Sequence[Event], None]:
        """The events of a streamed answer, in lists of those that came at once."""


def made_of(sent: Iterable[SentEvent], read: Callable[[SentEvent], list[Event]]) -> tuple[list[Event], Failure | None]:
    """What a reader makes of the events that came at once, up to the failure where there is one: what came before it
    was said, and is passed on."""
    made: list[Event] = []
    try:
        for event in sent:
            made += read(event)
    except Failure as failure:
        return made, failure
    return made, None


def joined(events: Iterable[Event]) -> Iterator[Event]:
    """The events, with the pieces of one text that came at once as one piece: every further step costs by the piece."""
    for place, found in groupby(events, _place):
        first, *more = found
        if place is None or not more:
            yield from (first, *more)
        else:
            name = place[-1]
            text = "".join(event.part[name] for event in (first, *more) if isinstance(event, Fragment))
            yield Fragment(place[0], {"type": place[2], name: text}, place[1])


def _place(event: Event) -> tuple[int, int, str, str] | None:
    """Where a piece of text and nothing else belongs: part, answer, type of part, field."""
    if not isinstance(event, Fragment) or len(event.part) != 2:
        return None
    name = "text" if "text" in event.part else "arguments"
    return (event.index, event.choice, event.part["type"], name) if name in event.part else None
