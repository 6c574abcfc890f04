"""A real HTTP server on a socket whose every answer is scripted byte by byte, and a kit that runs one test body
against the synchronous client, the asynchronous one on asyncio, and on trio."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from infrai_core import AsyncInfrai, Infrai, Retry

Piece = bytes | threading.Event
"""Bytes to send, or an event to wait for before going on."""


@dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass
class Play:
    """One answer: raw pieces, head included. ``hang``: afterwards wait until the client closes."""

    pieces: Sequence[Piece]
    hang: bool = False
    keep: bool = False
    trickle: bytes | None = None
    """Sent again and again, every few milliseconds, until the client closes."""
    faithful: bool = True
    """It stands for what the service there really answers."""


@dataclass
class Wall:
    """Plays its answers in order, each on whatever connection asks next."""

    plays: list[Play]
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    client_closed: threading.Event = field(default_factory=threading.Event)
    witness: Callable[[Seen, bytes], None] | None = None
    """Is shown every faithful answer before it is sent."""
    ruling: Callable[[], None] | None = None
    """Is asked at the end, and raises where the witness has seen something wrong."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Wall:
        self._spawn(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        # Closing a listener does not wake a blocked accept; a connection does.
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), 1).close()
        self._threads[0].join(5)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        if self.ruling is not None and not any(exc):
            self.ruling()

    def _spawn(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stop.is_set():
                connection.close()
                return
            self.connections += 1
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as reader:
            while not self._stop.is_set():
                connection.settimeout(10)
                seen = self._read(reader) if self._asks(connection) else None
                if seen is None:
                    return
                with self._lock:
                    self.requests.append(seen)
                    play = self.plays.pop(0)
                if self.witness is not None and play.faithful:
                    self.witness(seen, b"".join(piece for piece in play.pieces if isinstance(piece, bytes)))
                self._send(connection, play)
                if not play.keep:
                    return

    def _asks(self, connection: socket.socket) -> bool:
        """Waits for the next request, or for the end; a file over a socket cannot be read again after a timeout."""
        while not self._stop.is_set():
            if select.select([connection], [], [], 0.2)[0]:
                return True
        return False

    def _read(self, reader: Any) -> Seen | None:
        line = reader.readline()
        if not line:
            return None
        method, path, _ = line.decode().split(" ", 2)
        headers = {}
        while (line := reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Seen(method, path, headers, reader.read(int(headers.get("content-length", 0))))

    def _send(self, connection: socket.socket, play: Play) -> None:
        for piece in play.pieces:
            if isinstance(piece, threading.Event):
                assert piece.wait(10)
            else:
                connection.sendall(piece)
        if play.hang or play.trickle is not None:
            self._until_closed(connection, play.trickle)

    def _until_closed(self, connection: socket.socket, trickle: bytes | None) -> None:
        connection.settimeout(0.02)
        while not self._stop.is_set():
            try:
                if trickle is not None:
                    connection.sendall(trickle)
                if not connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            return
        self.client_closed.set()


# -- answers -------------------------------------------------------------------------------------------------------


def http(body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> bytes:
    """A whole response with a length."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in named.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answer(value: Any, status: int = 200, **headers: str) -> Play:
    return Play([http(json.dumps(value).encode(), status, **headers)], keep=True)


def ok(data: Any, **metadata: Any) -> Play:
    return answer({"ok": True, "data": data, "error": None, "metadata": metadata})


def fail(
    status: int, code: str | None = None, message: str = "no", retryable: bool | None = None, **headers: str
) -> Play:
    error = {"code": code, "message": message} | ({} if retryable is None else {"retryable": retryable})
    body = {"ok": False, "data": None, "error": error, "metadata": {"request_id": "r1"}}
    return answer(body, status, **headers)


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-infrai-vendor: local\r\nconnection: close\r\n\r\n"
)
LAST = {"delta": {}, "finish_reason": "stop", "index": 0, "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def frame(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def text_frame(text: str) -> bytes:
    return frame({"delta": {"content": text}, "finish_reason": None, "index": 0})


DONE = b"data: [DONE]\n\n"


# -- one body, three worlds ----------------------------------------------------------------------------------------


class _AsyncView:
    """A synchronous client, stream or reply with the asynchronous one's manners."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, {"aclose": "close", "aread": "read", "asave": "save"}.get(name, name))
        if name == "stream_chat":
            return lambda *a, **k: _AsyncView(value(*a, **k))
        if not callable(value):
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            return value(*args, **kwargs)

        return call

    async def __aiter__(self) -> AsyncIterator[Any]:
        source: Iterator[Any] = iter(self.inner)
        try:
            for item in source:
                yield item
        finally:
            source.close()  # type: ignore[attr-defined]  # it is a generator

    async def __aenter__(self) -> _AsyncView:
        self.inner.__enter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        self.inner.__exit__(*exc)


@dataclass(frozen=True)
class Kit:
    """Runs a body in one of the three worlds and makes clients for it."""

    mode: str

    def run(self, body: Callable[[], Awaitable[None]]) -> None:
        anyio.run(body, backend="trio" if self.mode == "trio" else "asyncio")

    def view(self, value: Any) -> Any:
        """A reply's value with asynchronous manners, whichever client made it."""
        return _AsyncView(value) if self.mode == "sync" else value

    def client(self, **options: Any) -> Any:
        options.setdefault("retry", Retry(first_s=0))
        if self.mode == "sync":
            return _AsyncView(Infrai("secret-key", **options))
        return AsyncInfrai("secret-key", **options)
