"""A vendor's documented bytes on a real socket, whole or in any pieces, and what our adapter makes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from infrai_core.fetch import Fetcher
from infrai_runtime.assembly import Assembly
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Note
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.http import Pool
from infrai_runtime.vendors.keyring import Hidden
from tests.core.wall import Play, Wall, http
from tests.wire.judge import COURT, Heard

T = TypeVar("T")
Json = dict[str, Any]

KEY = "test-key-0123456789"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n"


def whole(value: Any, status: int = 200, **headers: str) -> Play:
    """An answer in one piece."""
    return Play([http(json.dumps(value).encode(), status, connection="close", **headers)])


def in_one_segment(data: bytes) -> Play:
    return Play([STREAM_HEAD + data])


def byte_by_byte(data: bytes) -> Play:
    return Play([STREAM_HEAD, *(data[i : i + 1] for i in range(len(data)))])


def cut_at(data: bytes, place: int) -> Play:
    return Play([STREAM_HEAD, data[:place]])


DELIVERIES: dict[str, Callable[[bytes], Play]] = {"one segment": in_one_segment, "single bytes": byte_by_byte}


def unlike(play: Play) -> Play:
    """An answer that is wrong on purpose, or of a shape that the vendor does not have yet."""
    return replace(play, faithful=False)


def entry(name: str, wall: Wall) -> Entry:
    COURT.forgets(wall.url)
    COURT.names(wall.url, name)
    wall.witness = lambda seen, sent: _shown(wall.url, seen.path, sent)
    wall.ruling = lambda: COURT.rules(wall.url)
    return Entry(name, name, wall.url, "test", (Hidden(KEY),))


def _shown(url: str, path: str, sent: bytes) -> None:
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    COURT.hears(url, Heard(path.partition("?")[0], int(first.split()[1]), headers.get("content-type", ""), body))


def call_of(model: str, **more: Any) -> Call:
    return Call(model, 10.0, Fetcher(allow=lambda host, ip: True), **more)


@asynccontextmanager
async def vendor(make: Callable[[Entry, Pool], T], name: str, wall: Wall) -> AsyncIterator[T]:
    """The adapter, pointed at the wall."""
    pool = Pool()
    try:
        yield make(entry(name, wall), pool)
    finally:
        await pool.close()


async def events_of(source: AsyncIterator[Event]) -> list[Event]:
    async with aclosing(source) as events:  # type: ignore[type-var]
        return [event async for event in events]


def run(body: Callable[[], Awaitable[T]]) -> T:
    return asyncio.run(body())  # type: ignore[arg-type]


def chat(
    make: Callable[[Entry, Pool], Any],
    name: str,
    plays: Sequence[Play],
    request: Mapping[str, Any],
    call: Call,
    method: str = "chat",
) -> tuple[list[Event], Wall]:
    """The events of one call, and the wall with what was sent to it."""
    with Wall(list(plays)) as wall:

        async def body() -> list[Event]:
            async with vendor(make, name, wall) as made:
                return await events_of(getattr(made, method)(request, call))

        return run(body), wall


def assembled(events: Iterable[Event]) -> Assembly:
    assembly = Assembly()
    for event in events:
        assembly.add(event)
    return assembly


def parts_of(events: Iterable[Event]) -> list[Json]:
    return assembled(events).parts


def finish_of(events: Iterable[Event]) -> Finish:
    finish = assembled(events).finish
    assert finish is not None
    return finish


def warnings_of(events: Iterable[Event]) -> list[str]:
    return [event.warning for event in events if isinstance(event, Note) and event.warning]


def fragments_of(events: Iterable[Event]) -> list[Fragment]:
    return [event for event in events if isinstance(event, Fragment)]


def failure_of(body: Callable[[], Any]) -> Failure:
    try:
        body()
    except Failure as failure:
        return failure
    raise AssertionError("no Failure was raised")


def user(*parts: Json | str) -> Json:
    texts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"role": "user", "parts": texts}


def says(*parts: Json | str) -> Json:
    return {**user(*parts), "role": "assistant"}
