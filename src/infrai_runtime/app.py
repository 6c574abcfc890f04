"""HTTP only: routes, headers and bodies in, bytes out. What a request means is decided in ``service``.

Every route is there with and without ``/v1``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from infrai_core.fetch import Fetcher
from infrai_runtime import account, activation, discovery, explain, guard, metrics, openai_surface, readiness, standing
from infrai_runtime import request as native_request
from infrai_runtime.batch import job as batch_job
from infrai_runtime.batch.record import as_json, as_lines, in_frames
from infrai_runtime.breaker import Breaker
from infrai_runtime.catalogue import Catalogue
from infrai_runtime.failure import Failure
from infrai_runtime.field import Table, check_table
from infrai_runtime.form import form_fields
from infrai_runtime.keys import Caller
from infrai_runtime.lifespan import AWAITED, CAME, EMBEDDED, LEAVE
from infrai_runtime.observe import Observer
from infrai_runtime.realtime import session_of
from infrai_runtime.response import Head, Stream, Whole
from infrai_runtime.runtime import Runtime, Stores
from infrai_runtime.service import Incoming, Service
from infrai_runtime.settings import Settings
from infrai_runtime.trace import Trace
from infrai_runtime.vendors.base import Vendor
from infrai_runtime.vendors.configuration import LOCAL
from infrai_runtime.wire import Native, Surface, dumps, envelope, is_retryable, status_of

log = logging.getLogger("infrai_runtime")

NATIVE = Native()
OPENAI = openai_surface.OpenAI()
_OPENAI_PATHS = ("/chat/", "/embeddings", "/models", "/images/", "/audio/", *openai_surface.NOT_HERE)
_ASKED_PATH = "infrai.asked_path"
NDJSON = "application/x-ndjson"

Answer = Callable[[Service, Scope, Receive, Trace], Awaitable[ASGIApp]]


def create_app(
    settings: Settings,
    vendors: Sequence[Vendor] | None = None,
    catalogue: Catalogue | None = None,
    fetcher: Fetcher | None = None,
    observers: Sequence[Observer] = (),
    stores: Stores | None = None,
) -> ASGIApp:
    """The runtime as an ASGI application.

    ``vendors`` replaces the configured ones, ``catalogue`` the one of the home directory, ``fetcher`` the guarded
    one for URLs in requests; ``observers`` are told of ended calls, beside the log, metrics and telemetry; ``stores``
    opens others than the settings name. Stores open with the ASGI lifespan, or with the first request where a server
    runs none.
    """
    runtime = Runtime(settings, vendors, catalogue, fetcher, observers, stores)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(runtime.close)
            await runtime.service()
            yield

    endpoints = {(method, path): Endpoint(runtime, surface_of(path), answer) for method, path, answer in _TABLE}
    routes = [Route(path, endpoint.routed, methods=[method]) for (method, path), endpoint in endpoints.items()]
    handlers: dict[Any, Any] = {HTTPException: partial(_no_such_route, runtime)}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    app.router.redirect_slashes = False  # a redirect would lose the body's method and show in no contract
    return Paths(app, endpoints, runtime.end_calls)


class Paths:
    """Takes ``/v1`` off the path, and knows the paths without a parameter by heart: walking the table of routes costs
    as much as reading the request. The others, and what is no route, are the application's."""

    def __init__(
        self, app: ASGIApp, endpoints: Mapping[tuple[str, str], Endpoint], end_calls: Callable[[], Awaitable[None]]
    ) -> None:
        self.end_calls = end_calls
        """Breaks off what runs."""
        self._app = app
        fixed = {(method, path): endpoint for (method, path), endpoint in endpoints.items() if "{" not in path}
        self._known = fixed | {(method, f"/v1{path}"): endpoint for (method, path), endpoint in fixed.items()}

    def endpoint(self, scope: Scope) -> Endpoint | None:
        """What answers a request of HTTP, where its path alone tells."""
        return self._known.get((scope["method"], scope["path"]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.endpoint(scope) if scope["type"] == "http" else None
        response = self._routed if endpoint is None else await endpoint.answer(scope, receive)
        await response(scope, receive, send)

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith("/v1/"):
            scope = {**scope, "path": path[3:], _ASKED_PATH: path}
        await self._app(scope, receive, send)


def surface_of(path: str) -> Surface:
    """The surface that a path (without ``/v1``) belongs to; unknown paths get the native one."""
    return OPENAI if path.startswith(_OPENAI_PATHS) else NATIVE


# -- answering --------------------------------------------------------------------------------------------------------


class Endpoint:
    """Answers a route: each failure of its answer becomes a response of the route's surface."""

    def __init__(self, runtime: Runtime, surface: Surface, answer: Answer) -> None:
        self._runtime = runtime
        self._surface = surface
        self._answer = answer
        self.heeds_client = not isinstance(answer, Capability)

    async def answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        """The response, which is ``Whole`` or sends itself."""
        service = self._runtime.opened or await self._runtime.service()
        trace = service.begin(self._surface)
        try:
            if service.settings.no_auth and EMBEDDED not in scope:
                guard.check_site(Headers(scope=scope), service.settings.allowed_hosts)
            return await self._answer(service, scope, receive, trace)
        except Failure as failure:
            return _told(service, failure, trace)
        except Exception as error:
            log.exception("request %s broke", trace.request_id)
            message = f"the runtime failed ({type(error).__name__}); see its log"
            return _told(service, Failure("INTERNAL_ERROR", message), trace)

    async def routed(self, request: Request) -> ASGIApp:
        """The same, for a request whose path was looked up in the table of routes."""
        return await self.answer(request.scope, request.receive)


def _told(service: Service, failure: Failure, trace: Trace) -> ASGIApp:
    service.tell(trace, failure)
    return refused(failure, trace)


def refused(failure: Failure, trace: Trace, **more: str) -> ASGIApp:
    """The response of a failure, with more headers."""
    headers = trace.headers() | more
    if failure.code in _UNREAD:
        headers["Connection"] = "close"
    if failure.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(failure.retry_after_s)))
    if not is_retryable(failure):
        headers["X-Should-Retry"] = "false"  # the SDKs of OpenAI's kind try every 5xx again
    body = trace.surface.failure(failure, trace.metadata())
    return Whole(Head(status_of(failure), headers=headers), body)


_UNREAD = frozenset({"PAYLOAD_TOO_LARGE", "REQUEST_TIMEOUT"})
"""Failures over a body of which more may come: no other request can follow it."""


async def _no_such_route(runtime: Runtime, request: Request, error: Exception) -> ASGIApp:
    assert isinstance(error, HTTPException)
    service = await runtime.service()
    trace = service.begin(surface_of(request.scope["path"]))
    path = request.scope.get(_ASKED_PATH, request.scope["path"])
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        failure = Failure("METHOD_NOT_ALLOWED", f"{path}: came {request.method}, allowed is {allowed}")
        return refused(failure, trace, Allow=allowed)
    instead = openai_surface.NOT_HERE.get(request.scope["path"])
    message = f"there is no route {request.method} {path}" + (f": {instead}" if instead else "")
    return refused(Failure("NOT_FOUND", message, hint="GET /v1/discovery lists them"), trace)


def _json(data: Any, trace: Trace) -> ASGIApp:
    return Whole(Head(headers=trace.headers()), dumps(data))


def _enveloped(data: Any, trace: Trace) -> ASGIApp:
    return _json(envelope(data, trace.metadata()), trace)


# -- capabilities -----------------------------------------------------------------------------------------------------


class Capability:
    """Answers a capability's route, as long as its caller is there. ``form``: its body is a form, not JSON."""

    def __init__(self, name: str, surface: Surface, *, form: bool = False) -> None:
        self._name = name
        self._read = partial(native_request.read, name) if surface is NATIVE else openai_surface.ASKS[name]
        self._form = form
        self._media_type = "multipart/form-data" if form else "application/json"

    def __call__(self, service: Service, scope: Scope, receive: Receive, trace: Trace) -> Awaitable[ASGIApp]:
        """The response."""
        state = scope.setdefault("state", {})
        state[LEAVE] = True
        return service.serve(self._incoming(service.settings, scope, state, receive), trace)

    def _incoming(self, settings: Settings, scope: Scope, state: dict[str, Any], receive: Receive) -> Incoming:
        headers = dict(reversed(scope["headers"]))  # in lower case; of one that came twice, the first
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        guard.check_content_type(content_type, self._media_type)
        if b"content-encoding" in headers:
            guard.check_coding(headers[b"content-encoding"].decode("latin-1"))
        key = headers.get(b"idempotency-key")
        return Incoming(
            self._name,
            self._read,
            partial(form_fields, content_type) if self._form else None,
            (self, content_type),
            partial(_body, settings, scope, receive),
            headers.get(b"authorization", b"").decode("latin-1"),
            None if key is None else key.decode("latin-1"),
            _trace_context(scope) if b"traceparent" in headers else None,
            EMBEDDED in scope,
            # Has the task that serves go on when the caller leaves: only who says that the body has come heeds that.
            partial(state.update, {LEAVE: None}) if key is not None and CAME in state else None,
            state.get(AWAITED),
        )


async def _body(settings: Settings, scope: Scope, receive: Receive) -> bytes:
    """The body of a request. Raises PAYLOAD_TOO_LARGE, and REQUEST_TIMEOUT for one that does not come."""
    came: bytes | None = scope.get("state", {}).get(CAME)
    if came is None:
        length = dict(scope["headers"]).get(b"content-length", b"")
        return await guard.read_body(length, _punctual(settings, scope, receive), settings.max_body_bytes)
    if len(came) > settings.max_body_bytes:
        raise guard.too_large(settings.max_body_bytes)
    return came


def _punctual(settings: Settings, scope: Scope, receive: Receive) -> guard.Receive:
    """Where a request's body comes from: one that has come, or one of this process's own, which may take its time."""
    in_time = EMBEDDED in scope or CAME in scope.get("state", ())
    return receive if in_time else guard.Punctual(receive, settings.body_timeout_s)


def _trace_context(scope: Scope) -> dict[str, str]:
    """The caller's place in its trace; ``tracestate`` may come in several headers, which are one list."""
    headers = Headers(scope=scope)
    states = headers.getlist("tracestate")
    return {"traceparent": headers["traceparent"]} | ({"tracestate": ",".join(states)} if states else {})


# -- other answers ----------------------------------------------------------------------------------------------------


def _asked(answer: Callable[[Service, Request, Trace], Awaitable[ASGIApp]]) -> Answer:
    """An answer that looks at more of the request than one of a capability does."""

    async def asked(service: Service, scope: Scope, receive: Receive, trace: Trace) -> ASGIApp:
        return await answer(service, Request(scope, receive), trace)

    return asked


async def _json_body(settings: Settings, request: Request) -> Mapping[str, Any]:
    return native_request.parse_json(await _body(settings, request.scope, request.receive))


def _check_json(request: Request) -> None:
    guard.check_content_type(request.headers.get("content-type", ""), "application/json")
    _check_coding(request)


def _check_coding(request: Request) -> None:
    guard.check_coding(request.headers.get("content-encoding", guard.AS_IT_IS))


# -- batches ----------------------------------------------------------------------------------------------------------


async def _caller(service: Service, request: Request) -> Caller:
    return await service.caller(request.headers.get("authorization"), EMBEDDED in request.scope)


async def _batch_submit(service: Service, request: Request, trace: Trace) -> ASGIApp:
    caller = await _caller(service, request)
    handed_in = await service.batches.submit(caller, *await _submission(service.settings, request))
    head = Head(headers=trace.headers() | ({"Idempotent-Replay": "true"} if handed_in.again else {}))
    return Whole(head, dumps(envelope(handed_in.record, trace.metadata())))


async def _submission(settings: Settings, request: Request) -> tuple[batch_job.Job, batch_job.Requests]:
    """The options and the requests of a submission: a JSON body, or lines with the options in the query."""
    key = request.headers.get("idempotency-key")
    if guard.media_type(request.headers.get("content-type", "")) == NDJSON:
        _check_coding(request)
        options = batch_job.job_in_query(request.query_params, key)
        receive = _punctual(settings, request.scope, request.receive)
        return options, batch_job.in_lines(receive, settings.max_batch_bytes)
    _check_json(request)
    body = await _json_body(settings, request)
    return batch_job.job_of(body, key), batch_job.in_body(body)


async def _batch_list(service: Service, request: Request, trace: Trace) -> ASGIApp:
    caller, query = await _caller(service, request), request.query_params
    limit = batch_job.limit_of(query.get("limit"))
    return _enveloped(await service.batches.listed(caller, limit, query.get("after")), trace)


async def _batch_status(service: Service, request: Request, trace: Trace) -> ASGIApp:
    caller = await _caller(service, request)
    return _enveloped(await service.batches.record(caller, request.path_params["id"]), trace)


async def _batch_cancel(service: Service, request: Request, trace: Trace) -> ASGIApp:
    caller = await _caller(service, request)
    return _enveloped(await service.batches.cancel(caller, request.path_params["id"]), trace)


async def _batch_results(service: Service, request: Request, trace: Trace) -> ASGIApp:
    caller = await _caller(service, request)
    record, rows = await service.batches.results(caller, request.path_params["id"])
    headers = trace.headers() | {"X-Infrai-Total-Count": str(record["total_count"])}
    if NDJSON in request.headers.get("accept", ""):
        return Stream(Head(200, NDJSON, headers), in_frames(as_lines(rows)), lambda: None)
    whole = envelope(record | {"results": []}, trace.metadata())
    return Stream(Head(200, headers=headers), in_frames(as_json(rows, whole)), lambda: None)


async def _explain(service: Service, request: Request, trace: Trace) -> ASGIApp:
    caller = await _caller(service, request)
    ask = explain.read(await _json_body(service.settings, request))
    return _enveloped(await service.explain(caller, ask), trace)


async def _realtime_session(service: Service, request: Request, trace: Trace) -> ASGIApp:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Failure("UNAUTHORIZED", "send the realtime token as Authorization: Bearer <token>")
    return _enveloped(session_of(service.signer, token.strip()), trace)


# -- catalogue, discovery, account, media --------------------------------------------------------------------------


async def _ai_models(service: Service, request: Request, trace: Trace) -> ASGIApp:
    query = request.query_params
    available_only = query.get("available_only", "false").lower() in ("1", "true")
    found = discovery.models(
        await service.catalogues.current(), service.vendors, query.get("capability"), available_only
    )
    return _json(found, trace)


async def _ai_vendors(service: Service, request: Request, trace: Trace) -> ASGIApp:
    caller = await service.caller(request.headers.get("authorization"), EMBEDDED in request.scope)
    return _json(await service.standing(caller), trace)


async def _models(service: Service, request: Request, trace: Trace) -> ASGIApp:
    return _json(
        {"object": "list", "data": discovery.openai_models(await service.catalogues.current(), service.vendors)}, trace
    )


async def _model(service: Service, request: Request, trace: Trace) -> ASGIApp:
    return _json(
        discovery.openai_model(await service.catalogues.current(), service.vendors, request.path_params["id"]), trace
    )


async def _discovery(service: Service, request: Request, trace: Trace) -> ASGIApp:
    return _json(discovery.index(service.vendors), trace)


async def _discovered(service: Service, request: Request, trace: Trace) -> ASGIApp:
    return _json(discovery.detail(request.path_params["id"], service.vendors), trace)


async def _activate(service: Service, request: Request, trace: Trace) -> ASGIApp:
    if service.settings.allow_activation or EMBEDDED in request.scope:
        guard.check_origin(request.headers)
    else:  # only this machine may, so no page under a name that was rebound to it
        guard.check_site(request.headers, service.settings.allowed_hosts)
    await _refuse_fields(service.settings, request)
    address = None if EMBEDDED in request.scope else (request.client.host if request.client else "unknown")
    real = bool(service.vendors.keys() - {LOCAL})
    made = await activation.activate(service.durable, service.ephemeral, service.settings, address, real)
    return _enveloped(made, trace)


async def _refuse_fields(settings: Settings, request: Request) -> None:
    """An activation takes none: no body, or an empty object."""
    raw = await _body(settings, request.scope, request.receive)
    if raw:
        _check_json(request)
        check_table(Table({}), native_request.parse_json(raw))


async def _balance(service: Service, request: Request, trace: Trace) -> ASGIApp:
    caller = await _caller(service, request)
    return _enveloped(await account.balance(service.durable, caller), trace)


async def _usage(service: Service, request: Request, trace: Trace) -> ASGIApp:
    caller = await _caller(service, request)
    return _enveloped(await account.usage(service.durable, caller, request.query_params), trace)


async def _media(service: Service, request: Request, trace: Trace) -> ASGIApp:
    query = request.query_params
    path, mime = await service.blobs.open(
        request.path_params["id"], query.get("expires", ""), query.get("signature", "")
    )
    headers = trace.headers() | {"X-Content-Type-Options": "nosniff", "Cache-Control": "private"}
    return FileResponse(path, headers=headers, media_type=mime)


# -- how it is: open to all, and nothing of a project in it --------------------------------------------------------


async def _health(service: Service, request: Request, trace: Trace) -> ASGIApp:
    return _json({"status": "ok", "vendors": sorted(service.vendors)}, trace)


async def _ready(service: Service, request: Request, trace: Trace) -> ASGIApp:
    checks = await readiness.checks(service.durable, service.ephemeral, service.vendors)
    word = readiness.word_of(checks)
    body = dumps({"status": word, "checks": checks})
    return Whole(Head(503 if word == "unavailable" else 200, headers=trace.headers()), body)


async def _metrics(service: Service, request: Request, trace: Trace) -> ASGIApp:
    breaker = await Breaker.read(service.ephemeral)
    text = service.metrics.text([*standing.gauges(service.vendors, breaker), *await service.batches.gauges()])
    return Whole(Head(200, metrics.CONTENT_TYPE), text.encode())


_TABLE: Sequence[tuple[str, str, Answer]] = (
    ("POST", "/ai/chat", Capability("chat", NATIVE)),
    ("POST", "/chat/completions", Capability("chat", OPENAI)),
    ("POST", "/ai/embed", Capability("embed", NATIVE)),
    ("POST", "/embeddings", Capability("embed", OPENAI)),
    ("POST", "/ai/image", Capability("image", NATIVE)),
    ("POST", "/ai/vision", Capability("vision", NATIVE)),
    ("POST", "/ai/tts", Capability("tts", NATIVE)),
    ("POST", "/ai/asr", Capability("asr", NATIVE)),
    ("POST", "/ai/rerank", Capability("rerank", NATIVE)),
    ("POST", "/ai/realtime/token", Capability("realtime", NATIVE)),
    ("GET", "/ai/realtime/session", _asked(_realtime_session)),
    ("POST", "/images/generations", Capability("image", OPENAI)),
    ("POST", "/audio/speech", Capability("tts", OPENAI)),
    ("POST", "/audio/transcriptions", Capability("asr", OPENAI, form=True)),
    ("POST", "/ai/batch/submit", _asked(_batch_submit)),
    ("GET", "/ai/batch/list", _asked(_batch_list)),
    ("GET", "/ai/batch/status/{id}", _asked(_batch_status)),
    ("GET", "/ai/batch/results/{id}", _asked(_batch_results)),
    ("POST", "/ai/batch/cancel/{id}", _asked(_batch_cancel)),
    ("POST", "/ai/route/explain", _asked(_explain)),
    ("GET", "/ai/models", _asked(_ai_models)),
    ("GET", "/ai/vendors", _asked(_ai_vendors)),
    ("GET", "/models", _asked(_models)),
    ("GET", "/models/{id:path}", _asked(_model)),
    ("GET", "/discovery", _asked(_discovery)),
    ("GET", "/discovery/{id}", _asked(_discovered)),
    ("POST", "/activate", _asked(_activate)),
    ("GET", "/account/balance", _asked(_balance)),
    ("GET", "/account/usage", _asked(_usage)),
    ("GET", "/media/{id}", _asked(_media)),
    ("GET", "/healthz", _asked(_health)),
    ("GET", "/readyz", _asked(_ready)),
    ("GET", "/metrics", _asked(_metrics)),
)
