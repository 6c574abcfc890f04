"""The one way to a vendor: HTTP over aiohttp, with the vendor's keys in turn, and every trouble as a ``Failure``.

The address is fixed by the operator's configuration, the path by the dialect; nothing that a caller sends reaches
either, so a key goes to its own vendor only. No redirect is followed, no proxy or netrc of the environment is used, no
cookie kept. The key is a header that is added here; it is hidden in reprs, and no URL, log or error has it.

Nothing is tried twice here, except with another key after the vendor refused one: the one retry loop of the runtime is
``failover``.
"""

from __future__ import annotations

import asyncio
import io
import logging
import ssl
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from infrai_core.errors import ProtocolError
from infrai_core.fetch import Inflater
from infrai_core.sse import Decoder, Event
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call
from infrai_runtime.vendors.form import Upload, multipart
from infrai_runtime.vendors.keyring import KEYLESS, Hidden, Key, Keyring
from infrai_runtime.vendors.refusal import failure_of

Json = dict[str, Any]

MAX_REPLY_BYTES = 128 * 1024 * 1024
MAX_STREAM_BYTES = 256 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
LARGE_BODY_BYTES = 1024 * 1024
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


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request that can be sent again with another key."""

    method: str
    path: str
    data: bytes | None = None
    mime: str = "application/json"
    accept: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Pool:
    """The connections of one runtime to all of its vendors: one session, made on the loop that first needs it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._tails: set[asyncio.Task[None]] = set()

    def session(self) -> aiohttp.ClientSession:
        """The session of the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                raise_for_status=False,
            )
        return self._session

    def finish(self, response: aiohttp.ClientResponse) -> None:
        """Lets a response whose end mark came run out, so that its connection can be used again; does not wait."""
        if response.content.is_eof():
            response.release()
            return
        task = asyncio.get_running_loop().create_task(_drained(response))
        self._tails.add(task)
        task.add_done_callback(self._tails.discard)

    async def close(self) -> None:
        """Closes the connections; may be called again."""
        for task in self._tails:
            task.cancel()
        await asyncio.gather(*self._tails, return_exceptions=True)
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _drained(response: aiohttp.ClientResponse) -> None:
    try:
        async with asyncio.timeout(TAIL_S):
            while not response.content.at_eof():
                await response.content.readany()
    except (aiohttp.ClientError, OSError):  # TimeoutError is an OSError
        pass
    finally:
        response.close()


class Http:
    """Sends the requests of one vendor. Every method raises ``Failure``, and nothing else."""

    def __init__(self, endpoint: Endpoint, keys: Keyring, pool: Pool) -> None:
        self.endpoint = endpoint
        self.keys = keys
        self._pool = pool
        self._urls: dict[str, URL] = {}

    async def close(self) -> None:
        """Closes the pool, which all vendors of a runtime share."""
        await self._pool.close()

    async def post(self, path: str, body: Json, call: Call, *, headers: Mapping[str, str] | None = None) -> Json:
        """The JSON object that answers a JSON body."""
        return await self._json(_Sent("POST", path, _dumped(body), headers=headers or {}), call)

    async def post_form(self, path: str, fields: list[tuple[str, str]], uploads: list[Upload], call: Call) -> Json:
        """The JSON object that answers a multipart form."""
        data, mime = multipart(fields, uploads)
        return await self._json(_Sent("POST", path, data, mime), call)

    async def post_for_bytes(self, path: str, body: Json, call: Call, *, accept: str = "*/*") -> Reply:
        """The file that answers a JSON body."""
        return await self._whole(_Sent("POST", path, _dumped(body), accept=accept), call)

    async def post_for_pieces(
        self, path: str, body: Json, call: Call, *, accept: str = "*/*"
    ) -> tuple[str, AsyncGenerator[bytes, None]]:
        """The media type and, as they come, the bytes of the file that answers a JSON body. A file that was cut raises
        there. Closing the generator ends the vendor's work; it has to be begun or closed."""
        response = await self._answered(_Sent("POST", path, _dumped(body), accept=accept), call)
        return response.content_type, self._pieces(response)

    async def _pieces(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        try:
            with self._named():
                async with aclosing(_chunks(response, MAX_REPLY_BYTES)) as chunks:
                    async for chunk in chunks:
                        yield chunk
        finally:
            response.close()  # where the body was read to its end, the connection is back in the pool already

    async def get(self, path: str, call: Call) -> Json:
        """The JSON object at a path."""
        return await self._json(_Sent("GET", path), call)

    async def get_bytes(self, path: str, call: Call) -> Reply:
        """The file at a path."""
        return await self._whole(_Sent("GET", path, accept="*/*"), call)

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
        sent = _Sent("POST", path, _dumped(body), accept="text/event-stream", headers=headers or {})
        response = await self._answered(sent, call)
        whole = False
        try:
            if response.content_type == "application/json":
                raise await self._not_a_stream(response)
            with self._named():
                async with aclosing(_events(response)) as lists:
                    async for events in lists:
                        at = _place(ends, events) if ends else None
                        whole = at is not None
                        if events[:at]:
                            yield events[:at]
                        if whole:
                            return
            if ends is not None:
                raise self.cut()
        finally:
            self._pool.finish(response) if whole else response.close()

    async def _not_a_stream(self, response: aiohttp.ClientResponse) -> Failure:
        self._parsed(await self._read(response, MAX_REPLY_BYTES))
        return self.broken("it answered a request for a stream with a whole answer")

    # -- one request ---------------------------------------------------------------------------------------------------

    async def _json(self, sent: _Sent, call: Call) -> Json:
        reply = await self._whole(sent, call)
        return self._parsed(reply.data, reply.headers)

    async def _whole(self, sent: _Sent, call: Call) -> Reply:
        response = await self._answered(sent, call)
        try:
            data = await self._read(response, MAX_REPLY_BYTES)
        finally:
            response.close()  # where the body was read to its end, the connection is back in the pool already
        return Reply(data, response.content_type, response.headers)

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

    async def _answered(self, sent: _Sent, call: Call) -> aiohttp.ClientResponse:
        """A response with a 2xx status, from the first key that the vendor takes. The caller closes it."""
        keys = self.keys.turn(call.model)
        call.bill.requests += 1
        for key in keys:
            response = await self._send(sent, key, call)
            if 200 <= response.status < 300:
                self.keys.worked(key, call.model)
                return response
            call.bill.refused = True
            failure = await self._refusal(response, key)
            if not self.keys.refused(key, call.model, failure) or key is keys[-1]:
                raise failure
            log.info("%s: key %s rests (%s)", self.endpoint.vendor, key.label, failure.code)
        raise AssertionError("a keyring hands out at least one key")

    async def _send(self, sent: _Sent, key: Key, call: Call) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(
            total=call.deadline_s, sock_connect=call.connect_s, sock_read=call.first_byte_s or call.deadline_s
        )
        call.bill.refused = False
        with self._named(call):
            response = await self._pool.session().request(
                sent.method,
                self._url(sent.path),
                data=_payload(sent.data),
                headers=self._headers(sent, key, call),
                allow_redirects=False,
                timeout=timeout,
                proxy=self.endpoint.proxy,
            )
        # aiohttp has one limit for the wait for the head and for silence in the body; from here it is the latter.
        if response.connection is not None and response.connection.protocol is not None:
            response.connection.protocol.read_timeout = call.idle_s or call.deadline_s
            response.connection.protocol.start_timeout()
        return response

    def _headers(self, sent: _Sent, key: Key, call: Call) -> dict[str, str]:
        headers = {
            "Accept": sent.accept,
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": USER_AGENT,
            **self.endpoint.headers,
            **sent.headers,
        }
        if sent.data is not None:
            headers["Content-Type"] = sent.mime
        if self.endpoint.idempotency_header and call.idempotency_key and sent.method == "POST":
            headers[self.endpoint.idempotency_header] = f"{call.idempotency_key}-{call.bill.requests}"
        if key is not KEYLESS:
            name, before = self.endpoint.auth
            headers[name] = Hidden(before + key.secret)
        return headers

    def _url(self, path: str) -> URL:
        """The address of a path, which the dialect has quoted."""
        url = self._urls.get(path)
        if url is None:
            joined = self.endpoint.base_url + path
            query = self.endpoint.query
            url = URL(f"{joined}{'&' if '?' in path else '?'}{query}" if query else joined, encoded=True)
            if len(self._urls) < 1000:  # paths with an id in them would fill it
                self._urls[path] = url
        return url

    async def _refusal(self, response: aiohttp.ClientResponse, key: Key) -> Failure:
        try:
            if 300 <= response.status < 400:
                return self.broken(f"it answered with a redirect (HTTP {response.status}), which is not followed")
            body = await self._read(response, MAX_ERROR_BYTES, cut=True)
        finally:
            response.close()
        return self.failure(response.status, body, response.headers)

    async def _read(self, response: aiohttp.ClientResponse, limit: int, *, cut: bool = False) -> bytes:
        """The body. Too large a one is a failure, or is ``cut``."""
        pieces: list[bytes] = []
        try:
            with self._named():
                async with aclosing(_chunks(response, limit, cut=cut)) as chunks:
                    async for chunk in chunks:
                        pieces.append(chunk)
        except BaseException:
            pieces.clear()  # the failure's traceback would keep them
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

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

    @contextmanager
    def _named(self, call: Call | None = None) -> Iterator[None]:
        """Whatever the network throws, as a failure that says what happened and shows no address."""
        try:
            yield
        except _TRANSPORT_ERRORS as error:
            if call is not None and isinstance(error, _UNREACHED):
                call.bill.refused = True
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        log.debug("%s: %s: %s", self.endpoint.vendor, type(error).__name__, error)
        if isinstance(error, TimeoutError):
            raise Failure("VENDOR_TIMEOUT", f"{self.endpoint.vendor}: {_late(error)}") from None
        why = next((why for kind, why in _REASONS if isinstance(error, kind)), type(error).__name__)
        raise self.broken(str(error) if isinstance(error, _Unreadable) else why) from None


class _Unreadable(aiohttp.ClientError):
    """A body that is not read: too large, or packed in an unknown way. The message says so."""


_TRANSPORT_ERRORS = (TimeoutError, aiohttp.ClientError, OSError, ProtocolError, zlib.error)

_UNREACHED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientProxyConnectionError)
"""What happens before a request is sent."""

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "its name could not be resolved"),
    (aiohttp.ClientConnectorCertificateError, "its certificate was not accepted"),
    (aiohttp.ClientConnectorSSLError, "no TLS connection could be made"),
    (ssl.SSLError, "the TLS connection broke"),
    (aiohttp.ClientProxyConnectionError, "the configured proxy could not be reached"),
    (aiohttp.ClientConnectorError, "no connection could be made"),
    (aiohttp.ServerDisconnectedError, "it closed the connection before its answer"),
    (aiohttp.ClientPayloadError, "its answer was cut short"),
    (aiohttp.ClientResponseError, "its answer is not HTTP"),
    (aiohttp.ClientOSError, "the connection broke"),
    (ConnectionError, "the connection broke"),
    (ProtocolError, "an event of its stream is too large"),
    (zlib.error, "its compressed answer is damaged"),
)
"""The first that fits says what happened."""


def _late(error: TimeoutError) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    return "it was silent for too long" if isinstance(error, aiohttp.SocketTimeoutError) else "no answer in time"


async def _chunks(response: aiohttp.ClientResponse, limit: int, *, cut: bool = False) -> AsyncGenerator[bytes, None]:
    """The decoded bytes of a body, as they come; never more than ``limit``, also of a compressed one."""
    inflate = _inflater(response.headers.get("Content-Encoding", "").strip().lower())
    left = limit
    async for chunk in response.content.iter_any():
        for data in inflate.pieces(chunk) if inflate else (chunk,):
            left -= len(data)
            if left < 0 and not cut:
                raise _Unreadable(f"its answer is larger than the {limit} bytes allowed")
            yield data[:left] if left < 0 else data
            if left < 0:
                return
    if inflate and not inflate.complete and left < limit:
        raise aiohttp.ClientPayloadError("the compressed answer was cut short")


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[list[Event], None]:
    decoder = Decoder()
    async with aclosing(_chunks(response, MAX_STREAM_BYTES)) as chunks:
        async for chunk in chunks:
            events = decoder.feed(chunk)
            if events:
                yield events
    events = decoder.end()
    if events:
        yield events


def _place(ends: Callable[[Event], bool], events: list[Event]) -> int | None:
    """Where the end mark stands among these events."""
    return next((n for n, event in enumerate(events) if ends(event)), None)


def _inflater(coding: str) -> Inflater | None:
    if coding in ("", "identity"):
        return None
    if coding in ("gzip", "x-gzip", "deflate"):
        return Inflater()
    raise _Unreadable(f"its answer is compressed as {coding[:20]!r}, which was not asked for")


def _payload(data: bytes | None) -> Any:
    """aiohttp writes bytes in one go and warns when they are many; a file it writes in pieces."""
    return io.BytesIO(data) if data is not None and len(data) > LARGE_BODY_BYTES else data


def _dumped(body: Json) -> bytes:
    return orjson.dumps(body)


def segment(text: str) -> str:
    """A model name or an id as one segment of a path."""
    if text in ("", ".", ".."):
        raise Failure("INVALID_REQUEST", f"{text!r} is no name of a model or a job")
    return quote(text, safe="")
