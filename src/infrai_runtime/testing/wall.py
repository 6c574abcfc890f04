"""The server of the fault wall: raw sockets, so that every byte and every cut is under control."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

TEXT = "The raccoon 🦝 opened the box, looked inside, and closed it again."
HUGE_CHARACTERS = 800_000
USAGE = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
RESET_AFTER_S = 0.3
"""A reset throws away what the other side has not read yet, so it waits until that has been read."""
_TLS_HELLO = b"\x16"
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST instead of FIN."""


@dataclass(frozen=True)
class Play:
    """One answer. ``end``: ``close``, ``reset``, ``stall`` (silent until the client goes) or ``keep`` (the connection
    may be used again)."""

    status: int = 200
    mime: str = "application/json"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    end: str = "keep"
    cut_at: int | None = None
    """How many bytes of the body are sent of those that were promised."""
    split: int | None = None
    """Size of the pieces that the body is sent in."""
    head: bool = True
    chunked: bool = False


@dataclass
class Wall:
    """A vendor's service. ``requests`` are the bodies that came, ``url`` is its base URL for the OpenAI dialect."""

    requests: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Wall:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._closed = socket.create_server(("127.0.0.1", 0))
        self._refusing = self._closed.getsockname()[1]
        self._closed.close()
        begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(begun)), daemon=True)
        self._thread.start()
        begun.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """Where faults that happen after the connection are."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def url_of(self, fault: str) -> str:
        """Where a fault is: those that happen before a request have an address of their own."""
        address = {
            "refused": f"http://127.0.0.1:{self._refusing}/v1",
            "tls": self.url.replace("http://", "https://"),
            "dns": "https://wall.invalid/v1",
        }
        return address.get(fault, self.url)

    def play(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> Play:
        """The answer to a request; ``headers`` have small letters."""
        return play_of(body)

    async def _serve(self, begun: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        server = await asyncio.start_server(self._connected, sock=self._listener)
        begun.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (asked := await _request(reader)) is not None:
                body, headers = asked
                self.requests.append(body)
                if not await _played(self.play(body, headers), reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone, as it does when it has seen enough
        finally:
            self._tasks.discard(task)
            writer.close()


async def _request(reader: asyncio.StreamReader) -> tuple[dict[str, Any], dict[str, str]] | None:
    """JSON body and headers of the next request on a connection; None at its end, or for what is no HTTP (a TLS
    hello)."""
    first = await reader.readexactly(1)
    if first == _TLS_HELLO:
        return None
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = [line.partition(":") for line in head.split("\r\n")[1:]]
    headers = {name.lower(): value.strip() for name, _, value in lines}
    if "content-length" not in headers:
        return None
    body: dict[str, Any] = json.loads(await reader.readexactly(int(headers["content-length"])))
    return body, headers


async def _played(play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Sends an answer; whether the connection may be used again."""
    if play.head:
        writer.write(_head(play))
    body = _chunked(play.body) if play.chunked else play.body
    sent = body if play.cut_at is None else body[: play.cut_at]
    size = play.split or max(1, len(sent))
    for at in range(0, len(sent), size):
        writer.write(sent[at : at + size])
        await writer.drain()
        if play.split:
            await asyncio.sleep(0)  # a segment of its own
    await writer.drain()
    if play.end == "stall":
        await reader.read()
    if play.end == "reset":
        await asyncio.sleep(RESET_AFTER_S if body else 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
    return play.end == "keep"


def _head(play: Play) -> bytes:
    length = ("Transfer-Encoding", "chunked") if play.chunked else ("Content-Length", str(len(play.body)))
    rows = [("Content-Type", play.mime), length, *play.headers]
    lines = [f"HTTP/1.1 {play.status} Wall", *(f"{name}: {value}" for name, value in rows)]
    return "\r\n".join([*lines, "", ""]).encode()


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


# -- what a vendor says -----------------------------------------------------------------------------------------------


def completion(text: str = TEXT, **changed: Any) -> dict[str, Any]:
    """A ``chat.completion`` (https://platform.openai.com/docs/api-reference/chat/object)."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    whole = {"id": "chatcmpl-wall", "object": "chat.completion", "created": 1, "model": "wall"}
    return {**whole, "choices": choices, "usage": USAGE, **changed}


def _delta(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    head = {"id": "chatcmpl-wall", "object": "chat.completion.chunk", "created": 1, "model": "wall"}
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _usage_chunk(usage: Any) -> dict[str, Any]:
    return _delta({}) | {"choices": [], "usage": usage}


ROLE = _delta({"role": "assistant", "content": ""})
WORDS = [_delta({"content": word}) for word in (TEXT[:12], TEXT[12:24], TEXT[24:])]
CALL = [
    _delta(
        {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]}
    ),
    _delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"colour": "re'}}]}),
]
STOP = _delta({}, "stop")
ERROR = {"error": {"message": "the model is overloaded", "type": "server_error", "code": 503}}


def _events(*chunks: Any, mark: bool = True, newline: str = "\n", between: str = "") -> bytes:
    """Server-sent events; ``between`` stands before each."""
    lines = [f"data: {json.dumps(chunk, ensure_ascii=False)}" for chunk in chunks] + (["data: [DONE]"] if mark else [])
    return "".join(f"{between}{line}{newline}{newline}" for line in lines).encode()


def _stream(*chunks: Any, end: str = "keep", mark: bool = True, **how: Any) -> Play:
    return Play(mime="text/event-stream", body=_events(*chunks, mark=mark), end=end, chunked=end == "keep", **how)


def _open(*chunks: Any, end: str) -> Play:
    """A stream that is not ended as HTTP wants it: the body is promised to be longer than it is."""
    body = _events(*chunks, mark=False)
    return Play(mime="text/event-stream", body=body + b" " * 9, cut_at=len(body), end=end)


def _json(value: Any, status: int = 200, **headers: str) -> Play:
    named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    return Play(status=status, body=json.dumps(value, ensure_ascii=False).encode(), headers=named)


def _status(status: int, word: str = "error", **headers: str) -> Callable[[bool], Play]:
    return lambda stream: _json({"error": {"message": f"wall says {status}", "type": word}}, status, **headers)


OK = _stream(ROLE, *WORDS, STOP, _usage_chunk(USAGE))


def _fine(stream: bool) -> Play:
    return OK if stream else _json(completion())


def _both(streamed: Play, whole: Play) -> Callable[[bool], Play]:
    return lambda stream: streamed if stream else whole


def _cut(streamed: Play, share: float, end: str = "close") -> Callable[[bool], Play]:
    """A cut stream, and a whole answer of which only a share comes."""
    body = json.dumps(completion(), ensure_ascii=False).encode()
    return _both(streamed, Play(body=body, cut_at=int(len(body) * share), end=end))


def _within_the_raccoon() -> Play:
    """The stream ends between two bytes of one character."""
    body = _events(ROLE, *WORDS, mark=False)
    return Play(mime="text/event-stream", body=body, cut_at=body.index("🦝".encode()) + 2, end="close")


def _usage(*usages: Any) -> Callable[[bool], Play]:
    chunks = [_usage_chunk(usage) for usage in usages]
    said = {"usage": usages[-1]} if usages else {}
    body = completion() | said
    if not usages:
        del body["usage"]
    return _both(_stream(ROLE, *WORDS, STOP, *chunks), _json(body))


def _as(**how: Any) -> Callable[[bool], Play]:
    """A fine answer, sent in another way."""
    return lambda stream: replace(_fine(stream), **how)


def _zipped(stream: bool, *, share: float = 1.0) -> Play:
    fine = _fine(stream)
    body = gzip.compress(fine.body)
    cut = int(len(body) * share)
    return replace(
        fine,
        body=body[:cut],
        headers=(("Content-Encoding", "gzip"),),
        chunked=fine.chunked,
    )


def _huge(stream: bool) -> Play:
    words = "raccoon " * (HUGE_CHARACTERS // 8)
    return _stream(ROLE, _delta({"content": words}), STOP) if stream else _json(completion(words))


_SLOW = Play(mime="text/event-stream", end="stall", body=b" ", cut_at=0)

PLAYS: dict[str, Callable[[bool], Play]] = {
    "ok": _fine,
    "closed": lambda stream: Play(head=False, end="close"),
    "reset": lambda stream: Play(head=False, end="reset"),
    "http-307": _status(307, Location="http://127.0.0.1:9/"),
    "http-400": _status(400, "invalid_request_error"),
    "http-400-too-long": lambda stream: _json({"error": {"message": "x", "code": "context_length_exceeded"}}, 400),
    "http-400-filtered": lambda stream: _json({"error": {"message": "x", "code": "content_filter"}}, 400),
    "http-401": _status(401, "invalid_api_key"),
    "http-402": _status(402),
    "http-403": _status(403),
    "http-404": _status(404, "model_not_found"),
    "http-408": _status(408),
    "http-413": _status(413),
    "http-422": _status(422),
    "http-429": _status(429),
    "http-429-seconds": _status(429, Retry_After="7"),
    "http-429-date": lambda stream: _status(429, Retry_After=formatdate(usegmt=True))(stream),
    "http-500": _status(500),
    "http-502": lambda stream: Play(status=502, mime="text/html", body=b"<html>Bad gateway</html>"),
    "http-503": _status(503),
    "http-503-seconds": _status(503, Retry_After="7"),
    "http-504": _status(504),
    "http-529": _status(529, "overloaded_error"),
    "error-body": lambda stream: _json(ERROR),
    "no-choices": _both(_stream(_usage_chunk(USAGE)), _json(completion(choices=[]))),
    "not-json": lambda stream: Play(mime="text/html", body=b"<html>Welcome to the captive portal</html>"),
    "broken-json": _both(
        Play(mime="text/event-stream", body=b'data: {"choices": [{]}\n\n', chunked=True), Play(body=b'{"choices": [{]}')
    ),
    "list": _both(_stream([1, 2]), _json([1, 2])),
    "empty": _both(Play(mime="text/event-stream", chunked=True), Play()),
    "cut-before-first-byte": _cut(_open(end="close"), 0.0),
    "cut-after-role": _cut(_open(ROLE, end="close"), 0.1),
    "cut-mid-content": _cut(_open(ROLE, *WORDS[:2], end="close"), 0.5),
    "cut-mid-utf8": _cut(_within_the_raccoon(), 0.55),
    "cut-in-tool-arguments": _cut(_open(ROLE, *CALL, end="close"), 0.6),
    "reset-mid-content": _cut(_open(ROLE, *WORDS[:2], end="reset"), 0.5, "reset"),
    "no-finish-reason": _both(
        _stream(ROLE, *WORDS, _usage_chunk(USAGE)),
        _json(completion(choices=[{"index": 0, "message": {"role": "assistant", "content": TEXT}}])),
    ),
    "no-terminator": _cut(_stream(ROLE, *WORDS, mark=False), 0.9),
    "error-first": _both(_stream(ROLE, ERROR, mark=False), _json(ERROR)),
    "error-late": _both(_stream(ROLE, *WORDS[:2], ERROR, mark=False), _json(ERROR)),
    "stall-first": _both(_SLOW, replace(_SLOW, mime="application/json")),
    "stall-after-role": _both(_open(ROLE, end="stall"), replace(_SLOW, mime="application/json")),
    "stall-late": _cut(_open(ROLE, *WORDS[:2], end="stall"), 0.5, "stall"),
    "drip": _as(split=1),
    "pieces": _as(split=7),
    "one-segment": _fine,
    "crlf": _both(
        Play(mime="text/event-stream", body=_events(ROLE, *WORDS, STOP, newline="\r\n"), chunked=True),
        Play(body=json.dumps(completion(), indent=1).replace("\n", "\r\n").encode()),
    ),
    "comments": _both(
        Play(mime="text/event-stream", body=_events(ROLE, *WORDS, STOP, between=": wall\n\n"), chunked=True),
        _json(completion()),
    ),
    "usage-absent": _usage(),
    "usage-null": _usage(None),
    "usage-zero": _usage({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
    "usage-twice": _usage({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}, USAGE),
    "gzip": _zipped,
    "gzip-cut": lambda stream: _zipped(stream, share=0.6),
    "huge": _huge,
}
"""Name -> the answer, for a stream and for a whole answer."""


def play_of(body: Mapping[str, Any]) -> Play:
    """The answer that a request's model selects; an unknown one is 404, as at a vendor."""
    play = PLAYS.get(str(body.get("model")).partition("/")[0], PLAYS["http-404"])
    return play(bool(body.get("stream")))
