"""Test chains and agents without a network: a scripted transport, and real answers recorded to a file.

>>> from infrai_core import Infrai
>>> from infrai_core.testing import Script, reply
>>> script = Script([reply("Paris")])
>>> client = Infrai("test", transport=script)
>>> client.chat("Capital of France?").content
'Paris'
>>> script.requests[0].body["messages"][0]["content"]
'Capital of France?'
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from infrai_core.errors import CODES, ConfigError

USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
_numbers = itertools.count(1)  # agents tell messages apart by their ids
METADATA = {"cost_usd": 0, "latency_ms": 1, "vendor": "script", "model": "scripted", "cache_hit": False}


@dataclass(frozen=True, slots=True)
class Scripted:
    """One answer: a status, headers, and the pieces of the body as they go over the wire. An exception in place of a
    piece is raised there."""

    pieces: Sequence[bytes | Exception]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that a client sent; ``authorization`` is left out of ``headers``."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @property
    def body(self) -> Any:
        """The JSON body, or None."""
        return json.loads(self.content) if self.content else None


Answer = Scripted | Callable[[Sent], Scripted]


class Script:
    """A transport for both clients that gives scripted answers in order.

    ``answers`` are ``Scripted`` values or functions of the request; the last one is repeated with ``repeat_last``.
    ``requests`` holds what was sent. An unexpected request raises ``ConfigError``. ``closed`` counts the bodies that
    were closed before their end.
    """

    def __init__(self, answers: Iterable[Answer], *, repeat_last: bool = False) -> None:
        self._answers = list(answers)
        self._repeat_last = repeat_last
        self._lock = threading.Lock()
        self.requests: list[Sent] = []
        self.closed = 0

    def _next(self, request: httpx.Request, content: bytes) -> Scripted:
        headers = {k: v for k, v in request.headers.items() if k != "authorization"}
        sent = Sent(request.method, request.url.raw_path.decode(), headers, content)
        with self._lock:
            self.requests.append(sent)
            if not self._answers:
                raise ConfigError(f"the script has no answer left for {sent.method} {sent.path}")
            last = len(self._answers) == 1 and self._repeat_last
            answer = self._answers[0] if last else self._answers.pop(self._place(sent))
        return answer(sent) if callable(answer) else answer

    def _place(self, sent: Sent) -> int:
        """Which of the answers left is for this request."""
        return 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answers a synchronous client."""
        return self._response(self._next(request, request.read()))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answers an asynchronous client."""
        return self._response(self._next(request, await request.aread()))

    def _response(self, answer: Scripted) -> httpx.Response:
        return httpx.Response(answer.status, headers=dict(answer.headers), stream=_Body(answer.pieces, self._close))

    def _close(self) -> None:
        with self._lock:
            self.closed += 1


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The pieces of a body for either kind of client."""

    def __init__(self, pieces: Sequence[bytes | Exception], on_early_close: Callable[[], None]) -> None:
        self._left = list(pieces)
        self._on_early_close = on_early_close

    def _piece(self) -> bytes:
        piece = self._left.pop(0)
        try:
            if isinstance(piece, Exception):
                raise piece
            return piece
        finally:
            del piece  # an exception would hold this frame, which holds it

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            yield self._piece()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._left:
            yield self._piece()

    def close(self) -> None:
        if self._left:
            self._left.clear()
            self._on_early_close()

    async def aclose(self) -> None:
        self.close()


# -- answers -------------------------------------------------------------------------------------------------------


def envelope(data: Any, **metadata: Any) -> Scripted:
    """A successful native answer with this ``data``."""
    body = {"ok": True, "data": data, "error": None, "metadata": {**METADATA, **metadata}}
    return Scripted([json.dumps(body).encode()])


def reply(
    content: str | None = None,
    *,
    tool_calls: Sequence[tuple[str, Mapping[str, Any]]] = (),
    parts: Sequence[Mapping[str, Any]] | None = None,
    usage: Mapping[str, Any] | None = None,
    finish_reason: str | None = None,
    **metadata: Any,
) -> Scripted:
    """A chat answer: text, ``(name, arguments)`` tool calls, or whole ``parts``."""
    made = list(parts) if parts is not None else _parts(content, tool_calls)
    called = any(part["type"] == "tool_call" for part in made)
    data = {
        "id": f"chat_{next(_numbers)}",
        "model": "scripted",
        "parts": made,
        "finish_reason": finish_reason or ("tool_calls" if called else "stop"),
        "usage": dict(usage or USAGE),
    }
    return envelope(data, **metadata)


def _parts(content: str | None, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": content}] if content is not None else []
    return text + [
        {"type": "tool_call", "id": f"call_{i}", "name": name, "arguments": json.dumps(arguments)}
        for i, (name, arguments) in enumerate(calls)
    ]


def streamed(
    fragments: Iterable[str | Mapping[str, Any]],
    *,
    usage: Mapping[str, Any] | None = None,
    finish_reason: str = "stop",
    cut: bool = False,
    **metadata: Any,
) -> Scripted:
    """A streamed chat answer: pieces of text, or part fragments (``{"index", "type", …}``). ``cut``: it has no end."""
    frames = [_frame({"delta": _delta(fragment), "finish_reason": None, "index": 0}) for fragment in fragments]
    last = {
        "delta": {},
        "finish_reason": finish_reason,
        "index": 0,
        "usage": dict(usage or USAGE),
        "metadata": {**METADATA, **metadata},
    }
    ending = [] if cut else [_frame(last), b"data: [DONE]\n\n"]
    return Scripted([*frames, *ending], headers={"content-type": "text/event-stream"})


def _delta(fragment: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(fragment, str):
        return {"content": fragment, "parts": [{"index": 0, "type": "text", "text": fragment}]}
    return {"parts": [dict(fragment)]}


def _frame(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def failure(code: str, message: str = "scripted failure", *, retry_after_s: float | None = None) -> Scripted:
    """An error answer with a code of the wire's table."""
    rule = CODES[code]
    error = {"code": code, "message": message, "retryable": rule.retryable}
    body = {"ok": False, "data": None, "error": error, "metadata": {}}
    headers = {"content-type": "application/json"}
    if retry_after_s is not None:
        headers["retry-after"] = f"{retry_after_s:g}"
    return Scripted([json.dumps(body).encode()], rule.status, headers)


# -- record and replay ---------------------------------------------------------------------------------------------


class Recorder:
    """A transport that sends over another one and writes every answer to ``path`` (JSON lines), request bodies
    included, authorization left out. Play it back with ``replay(path)``. An activation, whose answer is a key, is a
    ``ConfigError`` and not sent."""

    def __init__(self, path: str | Path, transport: Any) -> None:
        self._path = Path(path)
        self._transport = transport
        self._lock = threading.Lock()
        self._path.write_text("", "utf-8")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends, reads the whole answer, writes it down, and gives it on."""
        _refuse_keys(request)
        response = self._transport.handle_request(request)
        try:
            pieces = list(response.stream)
        finally:
            response.close()
        return self._written(request, request.read(), response, pieces)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The same from an event loop."""
        _refuse_keys(request)
        response = await self._transport.handle_async_request(request)
        try:
            pieces = [piece async for piece in response.stream]
        finally:
            await response.aclose()
        return self._written(request, await request.aread(), response, pieces)

    def _written(
        self, request: httpx.Request, content: bytes, response: httpx.Response, pieces: list[bytes]
    ) -> httpx.Response:
        headers = dict(response.headers)
        row = {
            "request": {"method": request.method, "path": request.url.raw_path.decode(), "body": _b64(content)},
            "response": {"status": response.status_code, "headers": headers, "pieces": [_b64(p) for p in pieces]},
        }
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return httpx.Response(response.status_code, headers=headers, stream=_Body(pieces, lambda: None))


def _refuse_keys(request: httpx.Request) -> None:
    if request.url.path.endswith("/activate"):
        raise ConfigError("an activation is not recorded: its answer is a key; script it instead")


def replay(path: str | Path) -> Script:
    """A script of the recorded answers, in order; concurrent calls of one path get each the one that was given to the
    very same request. A request to another path than the recorded one is a ConfigError, as is a file that cannot be
    read or does not hold such answers: it names the file, the line and what is wrong with it."""
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"recorded answers {str(path)!r} cannot be read: {said}") from None
    return _Replay([_recorded(path, number, line) for number, line in enumerate(lines, 1)])


def _recorded(path: str | Path, number: int, line: str) -> _Recorded:
    try:
        return _Recorded(json.loads(line))
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        where = f"recorded answers {str(path)!r}, line {number}"
        raise ConfigError(f"{where}: not an answer that Recorder wrote ({_wrong(error)})") from None


def _wrong(error: Exception) -> str:
    """What the line lacks, without what it holds."""
    if isinstance(error, json.JSONDecodeError):
        return f"broken JSON: {error.msg} at column {error.colno}"
    return f"no {error}" if isinstance(error, KeyError) else str(error)


class _Recorded:
    """A recorded answer and the request that it was given to."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        asked, given = row["request"], row["response"]
        self._to = (asked["method"], asked["path"])
        self._content = _from_b64(asked["body"])
        pieces = [_from_b64(piece) for piece in given["pieces"]]
        self._scripted = Scripted(pieces, int(given["status"]), dict(given["headers"]))

    def goes_to(self, sent: Sent) -> bool:
        """Whether it is an answer of this path."""
        return (sent.method, sent.path) == self._to

    def is_for(self, sent: Sent) -> bool:
        """Whether it was given to this very request."""
        return self.goes_to(sent) and sent.content == self._content

    def __call__(self, sent: Sent) -> Scripted:
        if not self.goes_to(sent):
            raise ConfigError(f"recorded was {' '.join(self._to)}, sent is {sent.method} {sent.path}")
        return self._scripted


class _Replay(Script):
    def _place(self, sent: Sent) -> int:
        left = [answer for answer in self._answers if isinstance(answer, _Recorded)]  # all of them are
        same = (place for place, answer in enumerate(left) if answer.is_for(sent))
        return next(same, 0) if left[0].goes_to(sent) else 0


def _from_b64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
