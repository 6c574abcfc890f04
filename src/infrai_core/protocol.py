"""One call as a generator: it yields what to do (send a ``Request``, ``Wait``), is sent what came of it, and returns
the reply. It does no I/O, so that both clients, and tests by hand, drive the same policy."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import ValidationError

from infrai_core import usage
from infrai_core.config import GRACE_S, AttemptInfo, Config, Limiter
from infrai_core.direct import Request, raw_headers
from infrai_core.envelope import error_from, missing_route, opened
from infrai_core.errors import ConfigError, InfraiError, ProtocolError, StatusError, Timeout
from infrai_core.lines import NDJSON
from infrai_core.models import ChatReply, Reply, Usage
from infrai_core.operation import Operation
from infrai_core.tokens import estimate_request
from infrai_core.trace_context import trace_context
from infrai_core.written import broken_text, written

if TYPE_CHECKING:
    from infrai_core.service import BatchRecord

T = TypeVar("T")


class Wait(NamedTuple):
    """Nothing to send for this many seconds."""

    seconds: float


class Acquire(NamedTuple):
    """Nothing to send before ``limiter`` allows it."""

    limiter: Limiter
    tokens: int


@dataclass(slots=True)
class Response:
    """What came: ``content`` is None for a stream that is open; ``handle`` is then the open answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes | None
    handle: Any = field(default=None, repr=False)


FIRST_POLL_S = 0.1
"""How soon a batch job is asked for again at first; every further wait is twice as long, up to ``poll_s``."""

Step = Request | Wait | Acquire
Flow = Generator[Step, Response | None, T]


def call(op: Operation[T], config: Config) -> Flow[T]:
    """A whole reply. Books it in the ledger."""
    response = yield from _answered(op, config)
    reply = _read(op, response)
    if isinstance(reply, Reply):
        for file in reply._files():
            file._origin = config.host
        book(op, config, reply)
    return reply


def open_stream(op: Operation[T], config: Config) -> Flow[Response]:
    """The open response of a streamed call; from here on nothing is retried."""
    response = yield from _answered(op, config)
    kind = response.headers.get("content-type", "")
    if response.content is not None:
        if kind.startswith("application/json"):
            opened(response.content, response.headers, op.capability)  # raises the error that it may be
        raise ProtocolError(f"asked for a stream, got {kind.partition(';')[0] or 'no content type'}")
    return response


def open_lines(op: Operation[T], config: Config) -> Flow[Response]:
    """The response to a call that is answered line by line, open; or whole, from a service that answers no lines."""
    response = yield from _answered(op, config)
    return response


def wait_for_batch(
    status: Operation[BatchRecord],
    config: Config,
    *,
    poll_s: float,
    timeout_s: float | None,
    progress: Callable[[BatchRecord], None] | None,
) -> Flow[BatchRecord]:
    """Asks for the state of a batch job until it is done. Raises ``Timeout`` after ``timeout_s``, ``ConfigError`` where
    ``poll_s`` is no time to wait."""
    from infrai_core.service import BATCH_DONE  # only jobs need it

    if not poll_s > 0:
        raise ConfigError(f"poll_s={poll_s!r}: allowed is a number of seconds above 0")
    waited, pause_s = 0.0, min(FIRST_POLL_S, poll_s)
    while True:
        record = yield from call(status, config)
        if progress is not None:
            progress(record)
        if record.state in BATCH_DONE:
            return record
        if timeout_s is not None and waited + pause_s > timeout_s:
            raise Timeout(f"batch {record.batch_id} is still {record.state} after {waited:g} s")
        yield Wait(pause_s)
        waited += pause_s
        pause_s = min(2 * pause_s, poll_s)  # small jobs are soon done


def _answered(op: Operation[T], config: Config) -> Flow[Response]:
    """A successful response, after as many tries as the policy allows."""
    request = build(op, config)
    acquire = _acquire(op, config)
    tried, waited = 0, 0.0
    while True:
        if acquire is not None:
            yield acquire
        try:
            if config.hooks:
                response = yield from _watched(op, request, tried + 1, config)
            else:
                response = _succeeded((yield request), request)
            return response
        except InfraiError as error:
            in_progress = isinstance(error, StatusError) and error.code == "IDEMPOTENCY_IN_PROGRESS"
            # The first call with this key still runs elsewhere: asking again is waiting, not retrying.
            delay = config.retry.delay(0 if in_progress and waited < config.timeout_s else tried, error)
            if delay is None or (op.upload is not None and op.upload.spent):
                raise
            tried += not in_progress
        yield Wait(delay)
        waited += delay


def _acquire(op: Operation[Any], config: Config) -> Acquire | None:
    """What each attempt waits for; polling and listing use no model and are not limited."""
    if config.limiter is None or op.method != "POST":
        return None
    return Acquire(config.limiter, estimate_request(op.body or {}))


def _watched(op: Operation[Any], request: Request, number: int, config: Config) -> Flow[Response]:
    """One try, which the hooks see."""
    attempt = AttemptInfo(op.capability, op.method, op.path, number, config.tags)
    for hook in config.hooks:
        hook.before(attempt)
    response, failure = None, None
    try:
        response = yield request
        return _succeeded(response, request)
    except InfraiError as error:
        failure = error
        raise
    finally:
        status = None if response is None else response.status
        for hook in config.hooks:
            hook.after(attempt, status, failure)
        del failure  # it holds this frame, which holds it


def _succeeded(response: Response | None, request: Request) -> Response:
    """The response. Raises the error that it means."""
    assert response is not None
    if not 200 <= response.status < 300:
        raise _failure(response, request)
    return response


def _failure(response: Response, request: Request) -> InfraiError:
    if 300 <= response.status < 400:
        # A key goes only to the base URL it was given for, so no redirect is followed.
        return ProtocolError(f"the service answered with a redirect ({response.status}); check base_url")
    content = response.content or b""
    error = error_from(response.status, content, response.headers)
    native = "/v1/ai/" in request.url
    return missing_route(error, content) if native and isinstance(error, StatusError) else error


def _read(op: Operation[T], response: Response) -> T:
    content = response.content or b""
    if op.raw is not None and not response.headers.get("content-type", "").startswith("application/json"):
        return op.raw(content, response.headers)
    try:
        return op.read(opened(content, response.headers, op.capability))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ProtocolError(f"the answer to {op.capability} is not valid: {where}: {first['msg']}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"the answer to {op.capability} has another shape: {error!r}") from None


def book(op: Operation[Any], config: Config, reply: Reply) -> None:
    """Books a reply in the ledger; what uses nothing (listing models, polling) is not a call."""
    if op.method == "POST" and op.capability not in ("batch", "activate"):
        record(op.capability, config, reply)


def record(capability: str, config: Config, reply: Reply) -> None:
    """Books what a reply used and cost."""
    used = getattr(reply, "usage", None)
    model = getattr(reply, "model", None)
    config.record(usage.noted(capability, used or Usage(), reply.metadata, model=model, tags=config.tags))


# -- building the request ------------------------------------------------------------------------------------------


def build(op: Operation[Any], config: Config) -> Request:
    """The request of an operation: built once per logical call and sent again as it is by every retry."""
    options = op.options
    headers = dict(config.fixed_headers)
    timeout_s = options.get("timeout_seconds") or config.timeout_s
    # A native service keeps the deadline itself, and says then what it had tried. The OpenAI surface is not told of it.
    native = op.path.startswith("/ai/")
    content, own_key = b"", False
    if op.method == "POST":
        given = options.get("idempotency_key")
        key, own_key = given or new_idempotency_key(), not given
        headers[b"idempotency-key"] = key.encode()
        content = _content(op, headers, key, timeout_s if native else None)
    if span := trace_context():
        headers |= raw_headers(span)
    if op.stream:
        headers[b"accept"] = op.accept.encode()
    if extra := options.get("extra_headers"):
        headers |= raw_headers(extra)
        own_key = own_key and headers[b"idempotency-key"] == key.encode()
    return Request(
        op.method,
        config.root + op.path,
        tuple(headers.items()),
        content,
        timeout_s + min(GRACE_S, timeout_s / 2) if native else timeout_s,
        config.idle_timeout_s,
        op.stream,
        op.upload,
        own_key,
    )


def _content(op: Operation[Any], headers: dict[bytes, bytes], key: str, deadline_s: float | None) -> bytes:
    """The body, whose type it says in ``headers``. With a deadline where the service is told of it."""
    if op.upload is not None:
        headers[b"content-type"] = NDJSON.encode()
        return b""
    if op.form is not None:
        boundary = os.urandom(16).hex()
        headers[b"content-type"] = f"multipart/form-data; boundary={boundary}".encode()
        return _multipart(op.form, boundary)
    headers[b"content-type"] = b"application/json"
    body = dict(op.body or {})
    if deadline_s is not None:
        body.setdefault("timeout_seconds", deadline_s)
        if "idempotency_key" in op.options:
            body["idempotency_key"] = key
    body.update(op.options.get("extra_body") or {})
    return canonical_json(body)


def canonical_json(body: Mapping[str, Any]) -> bytes:
    """Sorted fields, no spaces, UTF-8, a newline at the end (docs/protocol.md, section 1). What stands in a field keeps
    its order: models fill in a schema in the order of its properties. Raises ``ConfigError`` for what JSON cannot
    carry."""
    return written(body, "", sort_fields=True)


def _multipart(form: Mapping[str, str | tuple[str, bytes, str]], boundary: str) -> bytes:
    """RFC 7578. Field names and file names here are the client's own, never a caller's text."""
    pieces: list[bytes] = []
    for name, value in form.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, str):
            if (broken := broken_text(value, name)) is not None:
                raise ConfigError(f"{broken} is half of a surrogate pair, which UTF-8 cannot carry")
            pieces.append(f"{head}\r\n\r\n{value}\r\n".encode())
        else:
            filename, data, mime = value
            head = f'{head}; filename="{filename}"\r\nContent-Type: {mime}\r\n\r\n'
            pieces += [head.encode(), data, b"\r\n"]
    return b"".join(pieces) + f"--{boundary}--\r\n".encode()


def new_idempotency_key() -> str:
    """A random key for one logical call."""
    return f"{int(time.time() * 1000):012x}{os.urandom(10).hex()}"


def chat_from_batch(
    record: BatchRecord, results: list[dict[str, Any]], read: Callable[[dict[str, Any]], ChatReply]
) -> ChatReply:
    """The ordinary reply of a chat that ran as a batch job of one."""
    if not results:
        raise ProtocolError(f"batch {record.batch_id} is {record.state} and has no result")
    reply = read(row_opened(results[0]))
    reply.metadata.batch_id = record.batch_id
    return reply


def row_opened(row: Mapping[str, Any]) -> dict[str, Any]:
    """The data of a result of a batch job, with its metadata. Raises the ``StatusError`` of one that failed."""
    return opened(json.dumps(row).encode(), {}, "a request of a batch job")
