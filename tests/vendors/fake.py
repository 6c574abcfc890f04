"""A vendor's service on a real socket: it knows its paths, wants its key, and answers what a test told it.

Another path is 404 and a missing key 401, as the real services have it, so an adapter that asks the wrong way fails.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from infrai_core.fetch import Fetcher
from infrai_runtime.assembly import Assembly
from infrai_runtime.vendors.base import Call, Event, Finish, Note
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.http import Pool
from infrai_runtime.vendors.keyring import Hidden
from tests.wire.judge import COURT, Heard

Json = dict[str, Any]
T = TypeVar("T")
KEY = "test-key-0123456789"


@dataclass
class Seen:
    """A request that came."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass
class Said:
    """An answer: bytes in pieces, sent one after the other."""

    pieces: list[bytes]
    mime: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    faithful: bool = True
    """It stands for what the vendor answers, and is held against its official SDK (``tests.wire``)."""


def unlike(said: Said) -> Said:
    """An answer that is wrong on purpose, or of a shape that the vendor does not have yet."""
    return replace(said, faithful=False)


def says(value: Any, status: int = 200, **headers: str) -> Said:
    """JSON."""
    return Said([json.dumps(value).encode()], status=status, headers=headers)


def streams(chunks: Iterable[Any], *, mark: bool = True) -> Said:
    """Server-sent events: objects as JSON, strings as they are."""
    lines = [chunk if isinstance(chunk, str) else f"data: {json.dumps(chunk)}" for chunk in chunks]
    data = "".join(f"{line}\n\n" for line in [*lines, *(["data: [DONE]"] if mark else [])]).encode()
    return Said([data], "text/event-stream; charset=utf-8")


def in_single_bytes(said: Said) -> Said:
    return replace(said, pieces=[bytes([byte]) for piece in said.pieces for byte in piece])


@dataclass
class Fake:
    """The service. ``answers``: path -> what it says; a list is said one after the other."""

    answers: dict[str, Said | list[Said]]
    auth: tuple[str, str] = ("authorization", f"Bearer {KEY}")
    requests: list[Seen] = field(default_factory=list)
    url: str = ""
    vendor: str = ""
    """Whose service it is, where no ``entry`` says so."""

    def answer(self, seen: Seen) -> Said:
        self.requests.append(seen)
        name, value = self.auth
        if seen.headers.get(name) != value:
            return says({"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}, 401)
        found = self.answers.get(seen.path)
        if found is None:
            return says({"error": {"message": f"Invalid URL ({seen.method} {seen.path})"}}, 404)
        return found.pop(0) if isinstance(found, list) else found

    @property
    def last(self) -> Seen:
        return self.requests[-1]


F = TypeVar("F", bound=Fake)


@contextmanager
def serving(fake: F) -> Iterator[F]:
    """The service on a free port; ``fake.url`` is its origin."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args: Any) -> None: ...

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            said = fake.answer(Seen(self.command, path, query, headers, content))
            if said.faithful:
                COURT.hears(fake.url, Heard(path, said.status, said.mime, b"".join(said.pieces)))
            self.send_response(said.status)
            self.send_header("content-type", said.mime)
            self.send_header("content-length", str(sum(map(len, said.pieces))))
            for name, value in said.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            for piece in said.pieces:
                self.wfile.write(piece)
                self.wfile.flush()

        do_GET = do_POST = do_DELETE = _answer  # the names that http.server calls

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        COURT.forgets(fake.url)
        if fake.vendor:
            COURT.names(fake.url, fake.vendor)
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
        COURT.rules(fake.url)


# -- an adapter against it ---------------------------------------------------------------------------------------------


def entry(name: str, url: str, dialect: str = "openai", **options: Any) -> Entry:
    COURT.names(url, name)
    return Entry(name, dialect, url, "test", (Hidden(KEY),), options=options)


def call_of(model: str, **more: Any) -> Call:
    return Call(model, 10.0, Fetcher(allow=lambda host, ip: True), **more)


def with_vendor(make: Callable[[Entry, Pool], Any], given: Entry, body: Callable[[Any], Awaitable[T]]) -> T:
    """Runs a body with the vendor of an entry."""

    async def run() -> T:
        vendor = make(given, Pool())
        try:
            return await body(vendor)
        finally:
            await vendor.close()

    return asyncio.run(run())


async def results_of(vendor: Any, job: str, call: Call) -> dict[int, Any]:
    """What a vendor's job answered, by the place of the request."""
    async with aclosing(vendor.results(job, call)) as results:
        return {result.place: result async for result in results}


async def events_of(source: AsyncIterator[Event]) -> list[Event]:
    async with aclosing(source) as events:  # type: ignore[type-var]  # every vendor's iterator is a generator
        return [event async for event in events]


def assembled(events: Iterable[Event]) -> Assembly:
    assembly = Assembly()
    for event in events:
        assembly.add(event)
    return assembly


def finish_of(events: Iterable[Event]) -> Finish:
    finish = assembled(events).finish
    assert finish is not None
    return finish


def warnings_of(events: Iterable[Event]) -> list[str]:
    return [event.warning for event in events if isinstance(event, Note) and event.warning]
