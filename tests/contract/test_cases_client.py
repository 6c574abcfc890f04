"""Every case with a ``call`` against the clients: a real socket plays the response's bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from infrai_core import ChatReply, InfraiError, Retry, StreamInterrupted
from infrai_core.protocol import canonical_json

from ..core.wall import Kit, Play, Seen, Wall
from .case import Case, Json, for_client
from .match import bare, differences
from .wire import body_of, form_of, media_type

MakeWall = Callable[[Play], Wall]
CUT_BYTES = 7


def is_streamed(case: Case) -> bool:
    return media_type(case.response) == "text/event-stream"


@pytest.fixture(params=["sync", "asyncio"])
def kit(request: pytest.FixtureRequest) -> Kit:
    return Kit(request.param)


@pytest.mark.parametrize("case", for_client())
def test_the_client_sends_the_request_and_reads_the_response(case: Case, kit: Kit, wall: MakeWall) -> None:
    check(case, kit, wall(played(case.response, at_once=case.defect is not None)))


@pytest.mark.parametrize("case", [row for row in for_client() if is_streamed(row.values[0])])
def test_a_stream_that_comes_at_once_reads_the_same(case: Case, wall: MakeWall) -> None:
    check(case, Kit("sync"), wall(played(case.response, at_once=True)))


def check(case: Case, kit: Kit, served: Wall) -> None:
    outcome: Json = {}

    async def body() -> None:
        async with client(kit, case, served) as made:
            outcome.update(await attempt(made, case))

    kit.run(body)
    (seen,) = served.requests
    assert request_differences(case.request, seen) == []
    assert outcome == expected(case)


def client(kit: Kit, case: Case, served: Wall) -> Any:
    assert case.call is not None
    return kit.client(base_url=served.url, retry=Retry(attempts=0), dialect=case.call.get("dialect", "native"))


# -- the response as it goes over the wire -----------------------------------------------------------------------------


def played(response: Json, *, at_once: bool) -> Play:
    """A response in one piece, or its stream in small ones, because a network cuts where it likes."""
    body = body_of(response)
    streamed = media_type(response) == "text/event-stream"
    ending = {"connection": "close"} if streamed else {"content-length": str(len(body))}
    headers = {"content-type": media_type(response)} | response.get("headers", {}) | ending
    lines = [f"HTTP/1.1 {response.get('status', 200)} X", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return Play([head, *_pieces(body)] if streamed and not at_once else [head + body])


def _pieces(body: bytes) -> list[bytes]:
    return [body[start : start + CUT_BYTES] for start in range(0, len(body), CUT_BYTES)]


# -- what was sent -----------------------------------------------------------------------------------------------------


def request_differences(wanted: Json, seen: Seen) -> list[str]:
    own_key = ["headers.idempotency-key"] if "idempotency-key" in wanted.get("headers", {}) else []
    return list(differences(wanted_request(wanted), sent_request(wanted, seen), "", own_key))


def wanted_request(wanted: Json) -> Json:
    """The case's request with the headers that every request has."""
    posted = {"idempotency-key": "0" * 32} if wanted["method"] == "POST" else {}
    always = {"authorization": "Bearer secret-key"} | posted
    return {name: value for name, value in wanted.items() if name != "headers"} | {
        "headers": always | wanted.get("headers", {})
    }


def sent_request(wanted: Json, seen: Seen) -> Json:
    names = wanted_request(wanted)["headers"].keys()
    headers = {name: seen.headers[name] for name in names if name in seen.headers}
    return {"method": seen.method, "path": seen.path, "headers": headers} | _sent_body(seen)


def _sent_body(seen: Seen) -> Json:
    kind = seen.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        return {"form": form_of(kind, seen.content)}
    if not seen.content:
        return {}
    body = json.loads(seen.content)
    assert kind == "application/json"
    assert seen.content == canonical_json(body)
    return {"body": body}


# -- what came out -----------------------------------------------------------------------------------------------------


async def attempt(made: Any, case: Case) -> Json:
    """The value (and, of a stream, its fragments), or the error."""
    fragments: list[list[Json]] = []
    try:
        reply = await call(made, case, fragments)
    except InfraiError as error:
        found: Json = {"error": error_view(error, case.error or {})}
    else:
        found = {"value": view(reply)}
    return found | ({"fragments": fragments} if case.fragments is not None else {})


async def call(made: Any, case: Case, fragments: list[list[Json]]) -> Any:
    assert case.call is not None
    method, arguments = case.call["method"], case.call.get("arguments", {})
    if method != "stream_chat":
        return await getattr(made, method)(**arguments)
    stream = made.stream_chat(**arguments)
    async for chunk in stream:
        fragments.append(bare(chunk.delta.parts or []))
    return stream.so_far


def expected(case: Case) -> Json:
    result = {"error": case.error} if case.error is not None else {"value": bare(case.value)}
    return result | ({"fragments": case.fragments} if case.fragments is not None else {})


def view(reply: Any) -> Json:
    """A reply as plain data, with the flat views of a chat."""
    found = reply.model_dump()
    if isinstance(reply, ChatReply):
        calls = [call.model_dump() for call in reply.tool_calls]
        found |= {"content": reply.content, "reasoning": reply.reasoning, "refusal": reply.refusal, "tool_calls": calls}
    shown: Json = bare(_plain(found))
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def error_view(error: InfraiError, wanted: Json) -> Json:
    """The class and those attributes that the case names."""
    partial = {"partial": error.partial.content} if isinstance(error, StreamInterrupted) else {}
    found = vars(error) | {"class": type(error).__name__, "retryable": error.retryable} | partial
    return {name: _listed(found.get(name)) for name in wanted.keys() | {"class"}}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
