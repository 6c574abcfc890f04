"""Vendors that do what a case says. Each has the methods of the capabilities it has a script for, and no other."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from infrai_runtime.catalogue import Catalogue, Model, Prices
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import (
    Call,
    Event,
    File,
    Files,
    Finish,
    Fragment,
    Note,
    Ranking,
    Request,
    Transcript,
    Vectors,
)

Json = dict[str, Any]

WAIT_S = 10.0


class Scripted:
    """What all of them have: the script, and the requests that came."""

    def __init__(self, name: str, scripts: Mapping[str, Any], commented: threading.Event) -> None:
        self.name = name
        self.seen: list[Json] = []
        self.begun = threading.Event()
        self.ended = threading.Event()
        self.waited_out = False
        self._scripts = scripts
        self._commented = commented

    async def close(self) -> None:
        pass

    async def events(self, capability: str, request: Request) -> AsyncIterator[Event]:
        self.seen.append(dict(request))
        self.begun.set()
        try:
            for step in self._scripts[capability]:
                ((kind, value),) = step.items()
                if kind == "wait":
                    await self._wait(value)
                else:
                    yield _EVENTS[kind](value)
        finally:
            self.ended.set()

    async def _wait(self, what: str) -> None:
        """Until the caller saw a comment, or for ever."""
        if what != "comment":
            await asyncio.Event().wait()
        self.waited_out = not await asyncio.to_thread(self._commented.wait, WAIT_S)
        assert not self.waited_out

    async def result(self, capability: str, request: Request) -> Any:
        self.seen.append(dict(request))
        script = dict(self._scripts[capability])
        for kind in script.keys() & {"fail", "break"}:
            _EVENTS[kind](script[kind])
        return _RESULTS[capability](script)


def _fragment(value: Json) -> Event:
    return Fragment(value["index"], {name: inner for name, inner in value.items() if name != "index"})


def _fail(value: Json) -> Event:
    raise Failure(**value)


def _break(value: str) -> Event:
    raise RuntimeError(value)


_EVENTS: dict[str, Callable[[Any], Event]] = {
    "fragment": _fragment,
    "note": lambda value: Note(**value),
    "finish": lambda value: Finish(**value),
    "fail": _fail,
    "break": _break,
}


def _files(script: Json) -> Files:
    files = [File(base64.b64decode(f["base64"]), f["mime"], f.get("about", {})) for f in script.pop("files")]
    return Files(files, **script)


_RESULTS: dict[str, Callable[[Json], Any]] = {
    "embed": lambda script: Vectors(**script),
    "image": _files,
    "tts": _files,
    "asr": lambda script: Transcript(**script),
    "rerank": lambda script: Ranking([(index, score) for index, score in script["results"]], script["usage"]),
    "realtime": lambda script: script,
}


class _Chats(Scripted):
    def chat(self, request: Request, call: Call) -> AsyncIterator[Event]:
        return self.events("chat", request)


class _Sees(Scripted):
    def see(self, request: Request, call: Call) -> AsyncIterator[Event]:
        return self.events("vision", request)


class _Embeds(Scripted):
    async def embed(self, request: Request, call: Call) -> Any:
        return await self.result("embed", request)


class _Draws(Scripted):
    async def draw(self, request: Request, call: Call) -> Any:
        return await self.result("image", request)


class _Speaks(Scripted):
    async def speak(self, request: Request, call: Call) -> Any:
        return await self.result("tts", request)


class _Listens(Scripted):
    async def listen(self, request: Request, call: Call) -> Any:
        return await self.result("asr", request)


class _Reranks(Scripted):
    async def rerank(self, request: Request, call: Call) -> Any:
        return await self.result("rerank", request)


class _Opens(Scripted):
    async def open(self, request: Request, call: Call) -> Any:
        return await self.result("realtime", request)


_CAPABLE: dict[str, type[Scripted]] = {
    "chat": _Chats,
    "vision": _Sees,
    "embed": _Embeds,
    "image": _Draws,
    "tts": _Speaks,
    "asr": _Listens,
    "rerank": _Reranks,
    "realtime": _Opens,
}


def scripted(name: str, scripts: Mapping[str, Any], commented: threading.Event) -> Scripted:
    """A vendor; ``commented`` is set when the caller has seen a comment in a stream."""
    made: Scripted = type("Scripted", tuple(_CAPABLE[c] for c in scripts), {})(name, scripts, commented)
    return made


# -- models to route to ------------------------------------------------------------------------------------------------

ABILITIES = frozenset({"tools", "tool_choice", "structured", "json", "vision"})
PRICES = {"input_mtok": 1, "output_mtok": 2}


def models_of(setup: Json) -> Catalogue:
    """One model per vendor and capability, ``<vendor>-<capability>``, with what the case says of it."""
    said = setup.get("models", {})
    pairs = [(vendor, capability) for vendor, scripts in setup["vendors"].items() for capability in scripts]
    return Catalogue(tuple(_model(vendor, c, said.get(f"{vendor}-{c}", {})) for vendor, c in pairs))


def _model(vendor: str, capability: str, said: Json) -> Model:
    given = dict(said)
    prices = Prices.of_usd(given.pop("usd", PRICES))
    abilities = frozenset(given.pop("abilities", ABILITIES))
    row: Json = {"id": f"{vendor}-{capability}", "vendor": vendor, "capability": capability} | given
    return Model(**row, prices=prices, abilities=abilities)
