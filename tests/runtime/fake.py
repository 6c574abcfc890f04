"""Vendors that do what a test says, and models to route to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from infrai_runtime.catalogue import Catalogue, Model, Prices, on_machine
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Request, Vectors

Play = Callable[[Request, Call], AsyncIterator[Event]]

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def says(*words: str, usage: dict[str, Any] | None = USAGE) -> Play:
    """Answers with these words, one fragment each."""

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        for word in words:
            yield Fragment(0, {"type": "text", "text": word})
        yield Finish("stop", usage)

    return play


def fails(error: Exception, *, after: tuple[str, ...] = ()) -> Play:
    """Raises, after these words."""

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        for word in after:
            yield Fragment(0, {"type": "text", "text": word})
        raise error

    return play


class FakeChat:
    """A vendor with ``chat`` only."""

    def __init__(self, name: str, play: Play) -> None:
        self.name = name
        self.play = play
        self.requests: list[Request] = []
        self.calls: list[Call] = []
        self.ended = 0

    async def chat(self, request: Request, call: Call) -> AsyncIterator[Event]:
        self.requests.append(request)
        self.calls.append(call)
        try:
            async for event in self.play(request, call):
                yield event
        finally:
            self.ended += 1

    async def close(self) -> None:
        pass


class FakeEmbed:
    """A vendor with ``embed`` only."""

    def __init__(self, name: str, failure: Exception | None = None) -> None:
        self.name = name
        self.failure = failure

    async def embed(self, request: Request, call: Call) -> Vectors:
        if self.failure:
            raise self.failure
        return Vectors([[1.0, 0.0] for _ in request["input"]], {"prompt_tokens": 3, "total_tokens": 3})

    async def close(self) -> None:
        pass


ABILITIES = frozenset({"tools", "tool_choice", "structured", "json", "vision"})


def model(
    vendor: str,
    id: str = "big",
    *,
    capability: str = "chat",
    usd: Mapping[str, float] | None = None,
    quality: int = 50,
    **more: Any,
) -> Model:
    """A row of a vendor; ``usd`` are its prices per million tokens."""
    prices = Prices.of_usd({"input_mtok": 1, "output_mtok": 2} if usd is None else usd)
    facts: dict[str, Any] = {"abilities": ABILITIES, "tiers": {"general": quality}} | more
    return Model(id=id, vendor=vendor, capability=capability, prices=prices, **facts)


def catalogue(*models: Model) -> Catalogue:
    """The on-machine rows and these."""
    return Catalogue((*on_machine(), *models))
