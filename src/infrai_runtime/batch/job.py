"""What is handed in as a batch: its options, and its requests, each checked before anything of it can be seen.

A request is ``{"capability", "body"}``: the body of that capability's native route.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from infrai_runtime.body import FIELDS
from infrai_runtime.failure import Failure
from infrai_runtime.field import (
    Field,
    Fields,
    anything,
    choice,
    known_number,
    list_of,
    refuse,
    table,
    text,
    unknown_field,
)
from infrai_runtime.request import Ask, check_options, one_key, read_in_batch
from infrai_runtime.store.batch import Batch, row_key

CAPABILITIES = tuple(name for name in FIELDS if name != "realtime")
"""What a batch can ask for; a realtime session cannot wait."""
MAX_REQUESTS = 250_000
MAX_REQUEST_BYTES = 8 * 1024 * 1024
MAX_METADATA_BYTES = 16 * 1024
DEFAULT_TIMEOUT_S = 24 * 3600.0
MIN_TIMEOUT_S, MAX_TIMEOUT_S = 1.0, 7 * 24 * 3600.0
SAMPLE = 50
DEFAULT_PAGE, MAX_PAGE = 20, 100
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TIMEOUT = re.compile(r"(\d{1,7})([smhd])")

Requests: TypeAlias = AsyncIterator[tuple[str, Any]]
"""Each request with the words for where it stands, such as ``requests.3`` or ``line 4``."""
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Job:
    """The options of a batch."""

    timeout_s: float = DEFAULT_TIMEOUT_S
    metadata: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None


def timeout_of(value: Any) -> float:
    """The seconds of a ``batch_timeout`` such as ``24h``. Raises INVALID_REQUEST."""
    found = _TIMEOUT.fullmatch(value) if isinstance(value, str) else None
    seconds = float(int(found[1]) * _UNITS[found[2]]) if found else 0.0
    if not MIN_TIMEOUT_S <= seconds <= MAX_TIMEOUT_S:
        raise refuse("batch_timeout", value, "a number with s, m, h or d, from 1s to 7d, such as 24h")
    return seconds


def job_of(given: Mapping[str, Any], idempotency_key: str | None) -> Job:
    """The options among the fields of a submission. Raises INVALID_REQUEST."""
    timeout = given.get("batch_timeout")
    return Job(
        timeout_s=DEFAULT_TIMEOUT_S if timeout is None else timeout_of(timeout),
        metadata=_metadata(given.get("metadata") or {}),
        idempotency_key=one_key(idempotency_key, given.get("idempotency_key")),
    )


def job_in_query(query: Mapping[str, str], idempotency_key: str | None) -> Job:
    """The options of a submission by lines, ``?batch_timeout=24h&metadata={…}``. Raises INVALID_REQUEST."""
    unknown = next((name for name in query if name not in ("batch_timeout", "metadata")), None)
    if unknown is not None:
        raise unknown_field(unknown, unknown, ("batch_timeout", "metadata"))
    try:
        metadata = orjson.loads(query.get("metadata") or "{}")
    except orjson.JSONDecodeError:
        raise refuse("metadata", query["metadata"], "an object as JSON") from None
    return job_of({"batch_timeout": query.get("batch_timeout"), "metadata": metadata}, idempotency_key)


def limit_of(text: str | None) -> int:
    """How many batches a page of the list has. Raises INVALID_REQUEST."""
    if text is None:
        return DEFAULT_PAGE
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PAGE):
        raise refuse("limit", text, f"a number from 1 to {MAX_PAGE}")
    return int(text)


def _metadata(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise refuse("metadata", value, "an object")
    if len(orjson.dumps(value)) > MAX_METADATA_BYTES:
        raise refuse("metadata", "more", f"at most {MAX_METADATA_BYTES} bytes of JSON")
    return value


# -- requests ----------------------------------------------------------------------------------------------------------

_REQUEST: Fields = {
    "capability": Field(choice(CAPABILITIES), "whose native route it is", required=True),
    "body": Field(anything("the body of that route"), "its body", required=True),
}
SUBMISSION: Fields = {
    "requests": Field(list_of(table(_REQUEST), low=1), "what to ask", required=True),
    "batch_timeout": Field(text(empty=False), "how long it may take: a number with s, m, h or d, default 24h"),
    "metadata": Field(anything("what it belongs to"), "comes back with its record"),
    "idempotency_key": Field(text(empty=False, max_length=256), "same key, same requests: the same batch"),
    "timeout_seconds": Field(known_number("timeout_seconds"), "of no effect: a batch has its batch_timeout"),
}
"""The fields of a submission as discovery tells them; a million requests are checked one by one as they come."""
_KNOWN = tuple(SUBMISSION)


async def in_body(given: Mapping[str, Any]) -> Requests:
    """The requests of a JSON submission. Raises INVALID_REQUEST."""
    unknown = next((name for name in given if name not in _KNOWN), None)
    if unknown is not None:
        raise unknown_field(unknown, unknown, _KNOWN)
    requests = given.get("requests")
    if not isinstance(requests, list) or not requests:
        raise refuse("requests", requests, 'a list of {"capability", "body"} with at least one')
    for number, request in enumerate(requests):
        yield f"requests.{number}", request


async def in_lines(receive: Receive, max_bytes: int) -> Requests:
    """The requests of an ``application/x-ndjson`` body, one per line, as they come; empty lines are passed over.
    Raises INVALID_REQUEST and PAYLOAD_TOO_LARGE."""
    async for number, line in _lines(receive, max_bytes):
        try:
            yield f"line {number}", orjson.loads(line)
        except orjson.JSONDecodeError as error:
            message = f"line {number}: this is not JSON: {error.msg} (column {error.colno})"
            raise Failure("INVALID_REQUEST", message, param=f"line {number}") from error


async def _lines(receive: Receive, max_bytes: int) -> AsyncIterator[tuple[int, bytes]]:
    number, size, rest, more = 0, 0, b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Failure("INVALID_REQUEST", "the connection ended inside the body", param="body")
        more, piece = bool(message.get("more_body")), message.get("body", b"")
        size += len(piece)
        if size > max_bytes:
            raise Failure("PAYLOAD_TOO_LARGE", f"the body is larger than the {max_bytes} bytes allowed", param="body")
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole if more else (*whole, rest):
            number += 1
            _check_size(f"line {number}", line)
            if line.strip():
                yield number, line
        _check_size(f"line {number + 1}", rest)


def _check_size(where: str, line: bytes) -> None:
    if len(line) > MAX_REQUEST_BYTES:
        message = f"{where}: the request is larger than the {MAX_REQUEST_BYTES} bytes allowed"
        raise Failure("PAYLOAD_TOO_LARGE", message, param=where)


async def one(capability: str, body: Mapping[str, Any]) -> Requests:
    """A single request, which was checked before."""
    yield "requests.0", {"capability": capability, "body": dict(body)}


def ask_at(batch: Batch, place: int, line: bytes) -> Ask:
    """The request at a place. Files come inside the answer: a link would be dead before the results are read. Raises
    INVALID_REQUEST where this version no longer takes it."""
    ask = read(orjson.loads(line))
    inline = ask.inline or ask.capability in ("image", "tts")
    return ask._replace(idempotency_key=row_key(batch.batch_id, place), inline=inline)


class Checked:
    """Checks requests one by one, counts them, and makes the fingerprint of all."""

    def __init__(self, vendors: Mapping[str, object], job: Job) -> None:
        self._vendors = vendors
        self._hash = hashlib.sha256(orjson.dumps([job.timeout_s, job.metadata], option=orjson.OPT_SORT_KEYS))
        self.count = 0
        self.first: list[Ask] = []
        """The first requests, as a sample of all."""

    @property
    def fingerprint(self) -> str:
        """Of the options and of all requests so far."""
        return self._hash.hexdigest()

    def line(self, where: str, request: Any) -> bytes:
        """The request as a line to keep. Raises INVALID_REQUEST with its place and the field at fault."""
        if self.count == MAX_REQUESTS:
            raise Failure(
                "PAYLOAD_TOO_LARGE", f"{where}: a batch has at most {MAX_REQUESTS} requests", param="requests"
            )
        try:
            ask = read(request)
            check_options(self._vendors, ask.vendor_options)
        except Failure as failure:
            field_ = f"requests.{self.count}.{failure.param}" if failure.param else f"requests.{self.count}"
            raise Failure(failure.code, f"{where}: {failure.message}", hint=failure.hint, param=field_) from failure
        self.count += 1
        if len(self.first) < SAMPLE:
            self.first.append(ask)
        self._hash.update(ask.fingerprint.encode())
        line = orjson.dumps({"capability": request["capability"], "body": request["body"]})
        _check_size(where, line)
        return line


def read(request: Any) -> Ask:
    """A request of a batch as an ask. Raises INVALID_REQUEST."""
    if not isinstance(request, dict):
        raise refuse("request", request, 'an object {"capability", "body"}')
    unknown = next((name for name in request if name not in ("capability", "body")), None)
    if unknown is not None:
        raise unknown_field(unknown, unknown, ("capability", "body"))
    capability, body = request.get("capability"), request.get("body")
    if capability not in CAPABILITIES:
        raise refuse("capability", capability, f"one of {', '.join(CAPABILITIES)}")
    if not isinstance(body, dict):
        raise refuse("body", body, f"the JSON object that /v1/ai/{capability} takes")
    try:
        return read_in_batch(capability, body)
    except Failure as failure:
        param = f"body.{failure.param}" if failure.param else "body"
        raise Failure(failure.code, failure.message, hint=failure.hint, param=param) from failure
