"""Every case with a ``runtime`` against the real runtime, served on a socket and embedded in this process."""

from __future__ import annotations

import base64
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_runtime.app import create_app
from infrai_runtime.settings import Settings

from .case import Case, Json, for_runtime
from .host import Hosts
from .match import differences
from .vendor import WAIT_S, models_of, scripted
from .wire import files_of, frames_of, media_type

COMMENT = b": "


class Runner:
    """One application for one case, and the client that asks it."""

    def __init__(self, case: Case, host: str, hosts: Hosts, home: Path) -> None:
        self.commented = threading.Event()
        scripts = case.setup["vendors"]
        self.vendors = [scripted(name, script, self.commented) for name, script in scripts.items()]
        own = settings(case, host, home)
        app = create_app(own, vendors=self.vendors, catalogue=models_of(case.setup))
        self.client = hosts.client(host, app)

    def ask(self, request: Json, headers: Json) -> httpx.Response:
        """The response with its whole body."""
        sent = {"headers": headers | request.get("headers", {})} | _body(request)
        with self.client.stream(request["method"], request["path"], **sent) as response:
            pieces = []
            for piece in response.iter_raw():
                pieces.append(piece)
                if piece.startswith(COMMENT):
                    self.commented.set()
            return httpx.Response(response.status_code, headers=response.headers, content=b"".join(pieces))


def settings(case: Case, host: str, home: Path) -> Settings:
    """State in memory, or in a file where two processes share it; keys only where the case says so."""
    given = dict(case.setup.get("settings", {}))
    if "trial_credit_usd" in given:
        given["trial_credit_usd"] = Decimal(str(given["trial_credit_usd"]))
    shared = home / "shared.db" if case.setup.get("elsewhere") else None
    return Settings(
        **(
            {"home": home, "database": shared, "no_auth": host == "served", "embedded": host == "embedded"}
            | {"retries": 0}
            | given
        )
    )


def _body(request: Json) -> Json:
    """The body as httpx takes it: JSON, a form, or raw text."""
    if "form" in request:
        return {"files": files_of(request["form"])}
    if "raw" in request:
        return {"content": request["raw"].encode()}
    return {"json": request["body"]} if "body" in request else {}


@pytest.mark.parametrize("case", for_runtime("served"))
def test_the_served_runtime_answers_the_request(case: Case, hosts: Hosts, own_home: Path) -> None:
    check(case, "served", hosts, own_home)


@pytest.mark.parametrize("case", for_runtime("embedded"))
def test_the_embedded_runtime_answers_the_request(case: Case, hosts: Hosts, own_home: Path) -> None:
    check(case, "embedded", hosts, own_home)


def check(case: Case, host: str, hosts: Hosts, home: Path) -> None:
    runner = Runner(case, host, hosts, home)
    with runner.client, elsewhere(case, hosts, home):
        headers = _key(runner) if case.setup.get("activate") else {}
        earlier = [runner.ask(request, headers) for request in case.setup.get("before", ())]
        response = runner.ask(case.request, headers | _made_key(case))
    assert list(differences(wanted(case.response), came(case.response, response), "", exact(case))) == []
    if "idempotent-replay" in case.response.get("headers", {}):
        assert response.content == earlier[0].content
    if "seen" in case.setup:
        seen = [request for vendor in runner.vendors for request in vendor.seen]
        assert seen == case.setup["seen"]


@contextmanager
def elsewhere(case: Case, hosts: Hosts, home: Path) -> Iterator[None]:
    """Where the case says so, the same request already runs in another process with the same database."""
    if not case.setup.get("elsewhere"):
        yield
        return
    other = Runner(case, "embedded", hosts, home)
    with other.client, ThreadPoolExecutor(1) as thread:
        first = thread.submit(other.ask, case.request, {})
        assert other.vendors[0].begun.wait(WAIT_S)
        try:
            yield
        finally:
            other.commented.set()
        assert first.result(WAIT_S).status_code == 200


def _made_key(case: Case) -> Json:
    """A client that is given no idempotency key makes one, for every POST."""
    by_client = case.call is not None and case.request["method"] == "POST"
    return {"idempotency-key": uuid.uuid4().hex} if by_client else {}


def _key(runner: Runner) -> Json:
    made = runner.client.post("/v1/activate").json()["data"]
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
