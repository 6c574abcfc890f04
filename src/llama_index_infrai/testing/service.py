"""A server of scripted answers in OpenAI's shapes, on a real socket; nothing but the standard library."""

from __future__ import annotations

import base64
import json
import select
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 5,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


@dataclass(frozen=True)
class Request:
    """What a client sent. Names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """The JSON body."""
        return json.loads(self.content)


@dataclass(frozen=True)
class Answer:
    """What the server sends: the pieces of a body, and how it ends.

    ``cut`` closes the connection in the middle; ``wait`` sends nothing more until the client hangs up. ``gate`` is
    waited for before the first byte.
    """

    pieces: Sequence[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    ending: Literal["whole", "cut", "wait"] = "whole"
    gate: threading.Event | None = None


Reply = Answer | Callable[[Request], Answer]


class Service:
    """A running server. ``requests`` is what came; ``hung_up`` is set when a client left a waiting answer; ``late``
    when a gate did not open in time. ``patience_s`` is how long it waits for what a correct client does at once."""

    def __init__(self, origin: str, patience_s: float) -> None:
        self.origin = origin
        self.patience_s = patience_s
        self.url = f"{origin}/v1"
        self.requests: list[Request] = []
        self.arrived = threading.Event()
        self.hung_up = threading.Event()
        self.late = threading.Event()
        self._replies: list[Reply] = []
        self._lock = threading.Lock()

    def script(self, *replies: Reply) -> None:
        """Gives these replies in turn; the last one again and again."""
        self._replies = list(replies)

    def take(self, request: Request) -> Answer:
        """The answer to a request."""
        with self._lock:
            self.requests.append(request)
            if not self._replies:
                return failure(500, "the script has no answers")
            reply = self._replies[0] if len(self._replies) == 1 else self._replies.pop(0)
        self.arrived.set()
        return reply(request) if callable(reply) else reply


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def do_POST(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.service.take(Request(self.command, self.path, headers, content))
        if answer.gate is not None and not answer.gate.wait(self.service.patience_s):
            self.service.late.set()
        try:
            self._send(answer)
        except OSError:
            self.close_connection = True

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {**answer.headers, "transfer-encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in answer.pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if answer.ending == "whole":
            self.wfile.write(b"0\r\n\r\n")
            return
        self.close_connection = True
        if answer.ending == "wait":
            self._wait_for_hang_up()

    def _wait_for_hang_up(self) -> None:
        if select.select([self.connection], [], [], self.service.patience_s)[0] and not self.connection.recv(1):
            self.service.hung_up.set()

    def log_message(self, format: str, *args: Any) -> None: ...


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that hung up: that is what some of them are to do."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(patience_s: float = 10.0) -> Iterator[Service]:
    """A server on a free port of this machine, until the end of the block."""
    server = _Server(("127.0.0.1", 0), _Handler)
    service = Service(f"http://127.0.0.1:{server.server_address[1]}", patience_s)
    server.RequestHandlerClass = type("_Bound", (_Handler,), {"service": service})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# -- answers -------------------------------------------------------------------------------------------------------


def failure(status: int, message: str = "scripted failure", **headers: str) -> Answer:
    """An error body as OpenAI sends it; ``retry_after="0"`` becomes a header."""
    body = {"error": {"message": message, "type": "server_error", "code": None, "param": None}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer([json.dumps(body).encode()], status, {"content-type": "application/json", **named})


def whole(content: str | None = "Paris", tool_calls: Sequence[Mapping[str, Any]] = (), **options: Any) -> Answer:
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": content, **options}
    if tool_calls:
        message["tool_calls"] = list(tool_calls)
    reason = "tool_calls" if tool_calls else "stop"
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": USAGE,
    }
    return Answer([json.dumps(body).encode()])


def call(id_: str, name: str, arguments: str) -> dict[str, Any]:
    """A tool call of a whole answer."""
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def streamed(
    deltas: Iterable[str | Mapping[str, Any]],
    ending: Literal["whole", "cut", "wait"] = "whole",
    finish_reason: str = "stop",
    last: bytes | None = None,
    bytewise: bool = False,
) -> Callable[[Request], Answer]:
    """A streamed chat completion. As OpenAI's, it has usage only where ``stream_options`` asks for it, in a chunk of
    its own with no choices. ``last`` stands in place of a proper end; ``bytewise`` sends each byte apart."""

    def answer(request: Request) -> Answer:
        frames = [_chunk(delta) for delta in deltas]
        asked = (request.body.get("stream_options") or {}).get("include_usage")
        proper = [_chunk({}, finish_reason), *([_usage_chunk()] if asked else []), b"data: [DONE]\n\n"]
        end = ([last] if last is not None else proper) if ending == "whole" else []
        pieces = [*frames, *end]
        if bytewise:
            pieces = [bytes([byte]) for piece in pieces for byte in piece]
        return Answer(pieces, headers={"content-type": "text/event-stream"}, ending=ending)

    return answer


def _chunk(delta: str | Mapping[str, Any], finish_reason: str | None = None) -> bytes:
    shaped = {"content": delta} if isinstance(delta, str) else dict(delta)
    choice = {"index": 0, "delta": shaped, "finish_reason": finish_reason}
    return _frame({"choices": [choice]})


def _usage_chunk() -> bytes:
    return _frame({"choices": [], "usage": USAGE})


def _frame(fields: Mapping[str, Any]) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    return b"data: " + json.dumps({**head, **fields}, ensure_ascii=False).encode() + b"\n\n"


def error_frame() -> bytes:
    """An error in the middle of a stream."""
    return b'data: {"error": {"message": "the model fell over", "type": "server_error", "code": 500}}\n\n'


def calls(*fragments: tuple[int, str | None, str | None, str]) -> dict[str, Any]:
    """A delta of tool call fragments: (index, id, name, piece of the arguments) each."""
    made = []
    for index, id_, name, text in fragments:
        function: dict[str, Any] = {"arguments": text, **({"name": name} if name else {})}
        made.append({"index": index, "function": function, **({"id": id_, "type": "function"} if id_ else {})})
    return {"tool_calls": made}


def vectors(request: Request) -> Answer:
    """One vector per text, whose first number is the text's length; the rows stand in reversed order."""
    given = request.body["input"]
    texts = [given] if isinstance(given, str) else given
    in_base64 = request.body.get("encoding_format") == "base64"
    rows = [
        {"object": "embedding", "index": i, "embedding": _encoded([float(len(text)), 1.0], in_base64)}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    model = request.body.get("model") or "scripted"
    body = {"object": "list", "data": rows[::-1], "model": model, "usage": usage}
    return Answer([json.dumps(body).encode()])


def _encoded(vector: list[float], in_base64: bool) -> Any:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if in_base64 else vector
