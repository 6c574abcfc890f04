"""Every case with a ``runtime`` against the real runtime: served, embedded in this process, and as three processes."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from .case import Case, Json, for_runtime
from .host import Host, Staged
from .match import differences
from .vendor import WAIT_S
from .wire import files_of, frames_of, media_type

COMMENT = b": "


def ask(staged: Staged, request: Json, headers: Json) -> httpx.Response:
    """The response with its whole body."""
    sent = {"headers": headers | request.get("headers", {})} | _body(request)
    with staged.client.stream(request["method"], request["path"], **sent) as response:
        pieces = []
        for piece in response.iter_raw():
            pieces.append(piece)
            if piece.startswith(COMMENT):
                staged.stage.comment()
        return httpx.Response(response.status_code, headers=response.headers, content=b"".join(pieces))


def _body(request: Json) -> Json:
    """The body as httpx takes it: JSON, a form, or raw text."""
    if "form" in request:
        return {"files": files_of(request["form"])}
    if "raw" in request:
        return {"content": request["raw"].encode()}
    return {"json": request["body"]} if "body" in request else {}


@pytest.mark.parametrize("case", for_runtime("served"))
def test_the_served_runtime_answers_the_request(case: Case, served_cases: Host, own_home: Path) -> None:
    check(case, served_cases, own_home)


@pytest.mark.parametrize("case", for_runtime("embedded"))
def test_the_embedded_runtime_answers_the_request(case: Case, embedded_cases: Host, own_home: Path) -> None:
    check(case, embedded_cases, own_home)


@pytest.mark.parametrize("case", for_runtime("replicas"))
def test_three_processes_answer_the_request_as_one(case: Case, replica_cases: Host, own_home: Path) -> None:
    check(case, replica_cases, own_home)


def check(case: Case, host: Host, home: Path) -> None:
    with host.staged(case, home) as (first, *others), elsewhere(case, others):
        headers = _key(first) if case.setup.get("activate") else {}
        earlier = [ask(first, request, headers) for request in case.setup.get("before", ())]
        response = ask(first, case.request, headers | _made_key(case))
        seen = first.stage.seen()
    assert list(differences(wanted(case.response), came(case.response, response), "", exact(case))) == []
    if "idempotent-replay" in case.response.get("headers", {}):
        assert response.content == earlier[0].content
    assert seen == case.setup.get("seen", seen)


@contextmanager
def elsewhere(case: Case, others: Sequence[Staged]) -> Iterator[None]:
    """Where the case says so, the same request already runs in another process with the same state."""
    if not case.setup.get("elsewhere"):
        yield
        return
    (other,) = others
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(ask, other, case.request, {})
        assert other.stage.begun()
        try:
            yield
        finally:
            other.stage.comment()
        assert first.result(WAIT_S).status_code == 200


def _made_key(case: Case) -> Json:
    """A client that is given no idempotency key makes one, for every POST."""
    by_client = case.call is not None and case.request["method"] == "POST"
    return {"idempotency-key": uuid.uuid4().hex} if by_client else {}


def _key(staged: Staged) -> Json:
    made = staged.client.post("/v1/activate").json()["data"]
    return {"authorization": f"Bearer {made['primary_api_key']}"}


def exact(case: Case) -> list[str]:
    return [f"body.{path}" for path in case.setup.get("exact", ())]


# -- responses as values -----------------------------------------------------------------------------------------------


def wanted(response: Json) -> Json:
    """A case's response in the form that ``came`` has."""
    headers = {"content-type": media_type(response)} | response.get("headers", {})
    body = response.get("frames", response.get("json", response.get("base64")))
    return {"status": response.get("status", 200), "headers": headers, "body": body}


def came(response: Json, real: httpx.Response) -> Any:
    """What came, with those headers that the case names."""
    names = wanted(response)["headers"]
    headers = {name: real.headers[name].partition(";")[0] for name in names if name in real.headers}
    return {"status": real.status_code, "headers": headers, "body": _came_body(response, real)}


def _came_body(response: Json, real: httpx.Response) -> Any:
    if "frames" in response:
        return frames_of(real.content)
    if "base64" in response:
        return base64.b64encode(real.content).decode()
    return real.json()
