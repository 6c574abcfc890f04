"""A vendor on a real socket that keeps its own account: what it charged, for which prompt, under which key.

It speaks the OpenAI dialect (https://platform.openai.com/docs/api-reference/chat). Every answer costs the same. It
charges as soon as it has been asked, as a vendor does that goes on when its caller has died.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infrai_runtime.testing.wall import completion

WAIT_S = 60.0
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
COST_NANO = 20_000
"""10 tokens in at 1 USD and 5 out at 2 USD per million, as the fleet's catalogue has it."""
WORDS = ("one ", "two ", "three")


@dataclass(frozen=True)
class Charge:
    """What the vendor wants to be paid for."""

    prompt: str
    nano: int = COST_NANO


@dataclass
class Gate:
    """Holds the answers to one prompt: ``asked`` counts them, ``open`` lets them go on."""

    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    opened: threading.Event = field(default_factory=threading.Event)

    def wait(self, times: int = 1) -> None:
        """Returns when the vendor has been asked so many times (more)."""
        for _ in range(times):
            assert self.asked.acquire(timeout=WAIT_S), "the vendor was not asked"

    def open(self) -> None:
        """The answers are given."""
        self.opened.set()


@dataclass
class Vendor:
    """One service that two vendors sell, at ``/acme/v1`` and ``/beta/v1``. ``limited`` are those that answer 429."""

    charges: list[Charge] = field(default_factory=list)
    limited: set[str] = field(default_factory=set)
    asked: dict[str, int] = field(default_factory=dict)
    url: str = ""
    _gates: dict[str, Gate] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def charged(self, prompt: str) -> int:
        """How often a prompt was charged."""
        with self._lock:
            return sum(charge.prompt == prompt for charge in self.charges)

    def total_nano(self) -> int:
        """The whole account."""
        with self._lock:
            return sum(charge.nano for charge in self.charges)

    @contextmanager
    def holding(self, prompt: str) -> Iterator[Gate]:
        """Answers to this prompt wait (streams after their first word) until the gate is opened."""
        gate = self._gates[prompt] = Gate()
        try:
            yield gate
        finally:
            gate.open()

    def gate(self, prompt: str) -> Gate | None:
        return self._gates.get(prompt)

    def charge(self, prompt: str) -> None:
        with self._lock:
            self.charges.append(Charge(prompt))


@contextmanager
def serving() -> Iterator[Vendor]:
    """The vendor on a free port."""
    vendor = Vendor()

    class Handler(_Handler):
        at = vendor

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        vendor.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield vendor
        finally:
            for gate in vendor._gates.values():
                gate.open()
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    at: Vendor

    def log_message(self, *args: Any) -> None: ...

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = body["messages"][-1]["content"]
        seller = self.path.split("/")[1]
        self.at.asked[seller] = self.at.asked.get(seller, 0) + 1
        if seller in self.at.limited:
            return self._send(429, {"error": {"message": "slow down", "type": "rate_limit"}}, "20")
        self.at.charge(prompt)
        gate = self.at.gate(prompt)
        if body.get("stream"):
            return self._stream(gate)
        self._hold(gate)
        self._send(200, completion(f"Answer to {prompt}", usage=USAGE))

    def _hold(self, gate: Gate | None) -> None:
        if gate is not None:
            gate.asked.release()
            gate.opened.wait(WAIT_S)

    def _send(self, status: int, value: Any, retry_after: str | None = None) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if retry_after is not None:
            self.send_header("retry-after", retry_after)
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, gate: Gate | None) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        for word in WORDS:
            self._event(head | {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
            if word == WORDS[0]:
                self._hold(gate)
        self._event(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._event(head | {"choices": [], "usage": USAGE})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, value: Any) -> None:
        self._chunk(f"data: {json.dumps(value)}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()
