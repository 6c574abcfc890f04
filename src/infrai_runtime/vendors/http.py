"""The one way to a vendor: HTTP by ``connection``, the vendor's keys in turn, and every trouble as a ``Failure``.

The address is fixed by the operator's configuration, the path by the dialect; nothing that a caller sends reaches
either, so a key goes to its own vendor only. No redirect is followed, no proxy or netrc of the environment is used, no
cookie kept. The key is a header that is added here; it is hidden in reprs, and no URL, log or error has it.

Nothing is tried twice here, except with another key after the vendor refused one: the one retry loop of the runtime is
``failover``.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote, urlsplit

import orjson

from infrai_core.errors import ProtocolError
from infrai_core.inflate import Inflater
from infrai_core.sse import Decoder, Event
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call
from infrai_runtime.vendors.connection import Answer, Connections, Origin, Trouble, head_of, proxy_headers
from infrai_runtime.vendors.form import Upload, multipart
from infrai_runtime.vendors.keyring import KEYLESS, Hidden, Key, Keyring
from infrai_runtime.vendors.refusal import failure_of

Json = dict[str, Any]

MAX_REPLY_BYTES = 128 * 1024 * 1024
MAX_STREAM_BYTES = 256 * 1024 * 1024
MAX_FILE_BYTES = 16 * 1024**3
"""Of a file that is read line by line."""
MAX_ERROR_BYTES = 64 * 1024
TAIL_S = 1.0
"""How long the bytes after a stream's end mark may take, so that the connection can be used again."""
USER_AGENT = "infrai-runtime"

log = logging.getLogger("infrai_runtime")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a vendor is and how it is asked. ``base_url`` has no slash at its end, ``query`` no question mark.

    ``auth`` is the header of the key and what stands before the key in it.
    """

    vendor: str
    base_url: str
    auth: tuple[str, str] = ("Authorization", "Bearer ")
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = ""
    proxy: str | None = field(default=None, repr=False)
    idempotency_header: str | None = None
    """The header of ``Call.idempotency_key``, where the vendor has one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer: its bytes, media type without parameters, and headers."""

    data: bytes
    mime: str
    headers: Mapping[str, str]


class _Sent(NamedTuple):
    """A request that can be sent again with another key."""

    method: str
    path: str
    data: bytes | None = None
    mime: str = "application/json"
    accept: str = "application/json"
    headers: Mapping[str, str] | None = None


class Pool:
    """The connections of one runtime to all of its vendors, made on the loop that first needs them."""

    def __init__(self) -> None:
        self._connections: Connections | None = None
        self._tails: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> Connections:
        """The connections of the running loop."""
        if self._connections is None:
            self._connections = Connections()
        return self._connections

    def finish(self, answer: Answer) -> None:
        """Lets an answer whose end mark came run out, so that its connection can be used again; does not wait."""
        if answer.done:
            answer.close()
            return
        task = asyncio.get_running_loop().create_task(_drained(answer))
        self._tails.add(task)
        task.add_done_callback(self._tails.discard)

    async def close(self) -> None:
        """Closes the connections; may be called again."""
        for task in self._tails:
            task.cancel()
        await asyncio.gather(*self._tails, return_exceptions=True)
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()


async def _drained(answer: Answer) -> None:
    try:
        async with asyncio.timeout(TAIL_S):
            while await answer.chunk():
                pass
    except (Trouble, OSError):  # TimeoutError is an OSError
        pass
    finally:
        answer.close()


class Http:
    """Sends the requests of one vendor. Every method raises ``Failure``, and nothing else."""

    def __init__(self, endpoint: Endpoint, keys: Keyring, pool: Pool) -> None:
        self.endpoint = endpoint
        self.keys = keys
        self._pool = pool
        self._origin = Origin.of(endpoint.base_url, endpoint.proxy)
        self._prefix = self._target_prefix()
        self._common = self._common_headers()
        self._proxy_lines = self._lines_for_proxy()

    def _target_prefix(self) -> str:
        """What stands before a path in a request's first line: a proxy is told the whole address."""
        parts = urlsplit(self.endpoint.base_url)
        if self.endpoint.proxy is None or parts.scheme == "https":
            return parts.path
        return f"http://{self._origin.header}{parts.path}"

    def _common_headers(self) -> dict[str, str]:
        headers = {"Host": self._origin.header, "Accept-Encoding": "gzip, deflate", "User-Agent": USER_AGENT}
        return headers | dict(self.endpoint.headers)

    def _lines_for_proxy(self) -> list[str]:
        """What a proxy is told that passes whole requests on."""
        proxy = self._origin.proxy
        return [] if proxy is None or self._origin.scheme == "https" else proxy_headers(proxy)

    def beside(self, base_url: str) -> Http:
        """The way to another interface of the vendor, with the same keys and connections."""
        return Http(replace(self.endpoint, base_url=base_url), self.keys, self._pool)

    async def close(self) -> None:
        """Closes the pool, which all vendors of a runtime share."""
        await self._pool.close()

    def post(self, path: str, body: Json, call: Call, *, headers: Mapping[str, str] | None = None) -> Awaitable[Json]:
        """The JSON object that answers a JSON body."""
        return self._json(_Sent("POST", path, orjson.dumps(body), headers=headers), call)

    async def post_form(self, path: str, fields: list[tuple[str, str]], uploads: list[Upload], call: Call) -> Json:
        """The JSON object that answers a multipart form."""
        data, mime = multipart(fields, uploads)
        return await self._json(_Sent("POST", path, data, mime), call)

    async def post_for_bytes(self, path: str, body: Json, call: Call, *, accept: str = "*/*") -> Reply:
        """The file that answers a JSON body."""
        answer = await self._answered(_Sent("POST", path, orjson.dumps(body), accept=accept), call)
        return Reply(await self._read(answer, MAX_REPLY_BYTES), answer.mime, answer.headers)

    async def post_for_pieces(
        self, path: str, body: Json, call: Call, *, accept: str = "*/*"
    ) -> tuple[str, AsyncGenerator[bytes, None]]:
        """The media type and, as they come, the bytes of the file that answers a JSON body. A file that was cut raises
        there. Closing the generator ends the vendor's work; it has to be begun or closed."""
        answer = await self._answered(_Sent("POST", path, orjson.dumps(body), accept=accept), call)
        return answer.mime, self._pieces(answer)

    async def _pieces(self, answer: Answer, limit: int = MAX_REPLY_BYTES) -> AsyncGenerator[bytes, None]:
        try:
            body = _Body(answer, limit)
            while chunk := await answer.chunk():
                for piece in body.pieces(chunk):
                    yield piece
            body.end()
        except _TRANSPORT_ERRORS as error:
            self._raise(error)
        finally:
            answer.close()

    async def get(self, path: str, call: Call) -> Json:
        """The JSON object at a path."""
        return await self._json(_Sent("GET", path), call)

    async def delete(self, path: str, call: Call) -> Json:
        """Deletes what is at a path; the JSON object that tells so."""
        return await self._json(_Sent("DELETE", path), call)

    async def get_lines(self, path: str, call: Call) -> AsyncGenerator[bytes, None]:
        """The lines of the file at a path as they come, without empty ones: only a line has to fit into memory. A file
        that was cut raises there."""
        answer = await self._answered(_Sent("GET", path, accept="*/*"), call)
        begun: list[bytes] = []
        size = 0
        async with aclosing(self._pieces(answer, MAX_FILE_BYTES)) as pieces:
            async for piece in pieces:
                *whole, rest = piece.split(b"\n")
                for line in whole:
                    begun.append(line)
                    if joined := b"".join(begun).strip():
                        yield joined
                    begun, size = [], 0
                begun.append(rest)
                size += len(rest)
                if size > MAX_REPLY_BYTES:
                    raise self.broken(f"a line of its file is larger than the {MAX_REPLY_BYTES} bytes allowed")
        if joined := b"".join(begun).strip():
            yield joined

    async def stream(
        self,
        path: str,
        body: Json,
        call: Call,
        *,
        ends: Callable[[Event], bool] | None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[list[Event], None]:
        """The server-sent events that answer a JSON body, in lists of those that came at once.

        ``ends`` knows the end mark of the dialect, which is not given out; a stream that ends without it is a failure.
        None: the dialect has no end mark, and must tell a cut stream by itself. Closing the generator closes the
        connection, which ends the vendor's work.
        """
        sent = _Sent("POST", path, orjson.dumps(body), accept="text/event-stream", headers=headers)
        answer = await self._answered(sent, call)
        whole = False
        try:
            if answer.mime == "application/json":
                raise await self._not_a_stream(answer)
            data, decoder = _Body(answer, MAX_STREAM_BYTES), Decoder()
            over = False
            while not over:
                chunk = await answer.chunk()
                over = not chunk
                if over:
                    data.end()
                for events in [decoder.end()] if over else map(decoder.feed, data.pieces(chunk)):
                    before, whole = _before_end(events, ends)
                    if before:
                        yield before
                    if whole:
                        return
            if ends is not None:
                raise self.cut()
        except _TRANSPORT_ERRORS as error:
            self._raise(error)
        finally:
            self._pool.finish(answer) if whole else answer.close()

    async def _not_a_stream(self, answer: Answer) -> Failure:
        self._parsed(await self._read(answer, MAX_REPLY_BYTES))
        return self.broken("it answered a request for a stream with a whole answer")

    # -- one request ---------------------------------------------------------------------------------------------------

    async def _json(self, sent: _Sent, call: Call) -> Json:
        answer = await self._answered(sent, call)
        return self._parsed(await self._read(answer, MAX_REPLY_BYTES), answer.headers)

    def _parsed(self, data: bytes, headers: Mapping[str, str] | None = None) -> Json:
        """A JSON object that is no error."""
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self.broken(f"its answer is not JSON ({error.msg})") from None
        if not isinstance(value, dict):
            raise self.broken(f"its answer is not a JSON object but {type(value).__name__}")
        if value.get("error") or value.get("object") == "error":
            raise self.failure(200, value, headers)
        return value

    async def _answered(self, sent: _Sent, call: Call) -> Answer:
        """An answer with a 2xx status, from the first key that the vendor takes. The caller closes it."""
        keys = self.keys.turn(call.model)
        call.bill.requests += 1
        for key in keys:
            answer = await self._send(sent, key, call)
            if 200 <= answer.status < 300:
                self.keys.worked(key, call.model)
                call.bill.headers = answer.headers
                return answer
            call.bill.refused = True
            failure = await self._refusal(answer, key)
            if not self.keys.refused(key, call.model, failure) or key is keys[-1]:
                raise failure.again()
            log.info("%s: key %s rests (%s)", self.endpoint.vendor, key.label, failure.code)
        raise AssertionError("a keyring hands out at least one key")

    async def _send(self, sent: _Sent, key: Key, call: Call) -> Answer:
        """An answer whose head is there."""
        pool = self._pool.connections
        until = pool.loop.time() + call.deadline_s
        call.bill.refused = True  # what never leaves costs nothing
        try:
            connection = pool.idle(self._origin) or await pool.new(self._origin, min(call.connect_s, call.deadline_s))
            try:
                # Not by a variable: no traceback that shows those may show the key.
                answer = connection.ask(head_of(self._head(sent, key, call)), sent.data, until, call.deadline_s)
                call.bill.refused = False
                await answer.head()
            except BaseException:
                connection.abort()
                raise
        except _TRANSPORT_ERRORS as error:
            self._raise(error)
        answer.patience_s = call.idle_s or call.deadline_s
        return answer

    def _head(self, sent: _Sent, key: Key, call: Call) -> list[str]:
        """The lines of a request's head."""
        headers = self._common | {"Accept": sent.accept}
        if sent.headers:
            headers |= sent.headers
        if sent.data is not None:
            headers["Content-Type"], headers["Content-Length"] = sent.mime, str(len(sent.data))
        if self.endpoint.idempotency_header and sent.method == "POST" and (given := call.idempotency_key()):
            headers[self.endpoint.idempotency_header] = f"{given}-{call.bill.requests}"
        if key is not KEYLESS:
            name, before = self.endpoint.auth
            headers[name] = Hidden(before + key.secret)
        target = self._prefix + sent.path  # which the dialect has quoted
        if query := self.endpoint.query:
            target += f"{'&' if '?' in sent.path else '?'}{query}"
        return [f"{sent.method} {target} HTTP/1.1", *map(": ".join, headers.items()), *self._proxy_lines]

    async def _refusal(self, answer: Answer, key: Key) -> Failure:
        if 300 <= answer.status < 400:
            answer.close()
            return self.broken(f"it answered with a redirect (HTTP {answer.status}), which is not followed")
        body = await self._read(answer, MAX_ERROR_BYTES, cut=True)
        return self.failure(answer.status, body, answer.headers)

    async def _read(self, answer: Answer, limit: int, *, cut: bool = False) -> bytes:
        """The whole body, after which the answer is closed. Too large a one is a failure, or is ``cut``."""
        read: list[bytes] = []
        try:
            body = _Body(answer, limit, cut=cut)
            while body.left >= 0 and (chunk := await answer.chunk()):
                read += body.pieces(chunk)
            body.end()
        except _TRANSPORT_ERRORS as error:
            read.clear()  # the failure's traceback would keep them
            self._raise(error)
        finally:
            answer.close()
        return read[0] if len(read) == 1 else b"".join(read)

    # -- what goes wrong ---------------------------------------------------------------------------------------------

    def failure(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> Failure:
        """The failure for an error that the vendor sent, also inside a 200 or a stream."""
        return failure_of(self.endpoint.vendor, status, body, headers, self.keys.secrets())

    def broken(self, why: str) -> Failure:
        """The failure for an answer that is not what the vendor's interface promises."""
        return Failure("VENDOR_ERROR", f"{self.endpoint.vendor}: {why}")

    def cut(self) -> Failure:
        """The failure for a stream that ended before its end mark."""
        return self.broken("its stream ended before its end mark")

    def _raise(self, error: Exception) -> NoReturn:
        """Whatever the network throws, as a failure that says what happened and shows no address."""
        log.debug("%s: %s: %s", self.endpoint.vendor, type(error).__name__, error)
        if isinstance(error, TimeoutError):
            raise Failure("VENDOR_TIMEOUT", f"{self.endpoint.vendor}: {error or 'no answer in time'}") from None
        why = next((why for kind, why in _REASONS if isinstance(error, kind)), str(error))
        raise self.broken(why) from None


_TRANSPORT_ERRORS = (Trouble, TimeoutError, OSError, ProtocolError, zlib.error)

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (OSError, "the connection broke"),
    (ProtocolError, "an event of its stream is too large"),
    (zlib.error, "its compressed answer is damaged"),
)
"""The first that fits says what happened; a ``Trouble`` says so itself."""


class _Body:
    """Decodes a body as it comes; never more than ``limit``, also of a compressed one. Too large a one raises
    ``Trouble``, or is ``cut``."""

    _began = False

    def __init__(self, answer: Answer, limit: int, *, cut: bool = False) -> None:
        coding = answer.headers.get("content-encoding")
        self._inflate = _inflater(coding.strip().lower()) if coding else None
        self._limit = self.left = limit
        """How much more may come; below 0 nothing more is read."""
        self._cut = cut

    def pieces(self, chunk: bytes) -> Iterable[bytes]:
        """What a chunk holds, unpacked while it is iterated over."""
        return self._unpacked(self._inflate, chunk) if self._inflate else (self._within(chunk),)

    def end(self) -> None:
        """Nothing more comes. Raises where something is missing."""
        if self._inflate and self._began and not self._inflate.complete and self.left >= 0:
            raise Trouble("its compressed answer was cut short")

    def _unpacked(self, inflate: Inflater, chunk: bytes) -> Iterator[bytes]:
        self._began = True
        for piece in inflate.pieces(chunk):
            yield self._within(piece)
            if self.left < 0:
                return

    def _within(self, piece: bytes) -> bytes:
        self.left -= len(piece)
        if self.left >= 0:
            return piece
        if not self._cut:
            raise Trouble(f"its answer is larger than the {self._limit} bytes allowed")
        return piece[: self.left]


def _before_end(events: list[Event], ends: Callable[[Event], bool] | None) -> tuple[list[Event], bool]:
    """The events before the end mark, and whether it is among them."""
    marks = [*map(ends, events)] if ends else []
    return (events[: marks.index(True)], True) if True in marks else (events, False)


def _inflater(coding: str) -> Inflater | None:
    if coding in ("", "identity"):
        return None
    if coding in ("gzip", "x-gzip", "deflate"):
        return Inflater()
    raise Trouble(f"its answer is compressed as {coding[:20]!r}, which was not asked for")


def segment(text: str) -> str:
    """A model name or an id as one segment of a path."""
    if text in ("", ".", ".."):
        raise Failure("INVALID_REQUEST", f"{text!r} is no name of a model or a job")
    return quote(text, safe="")
