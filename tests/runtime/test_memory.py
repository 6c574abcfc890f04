"""What a call held is freed when it ends, however it ends: the collector comes by too seldom to leave it to that."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from infrai_runtime.app import create_app
from infrai_runtime.failure import Failure
from infrai_runtime.live import Live
from infrai_runtime.request import Ask
from infrai_runtime.settings import Settings
from infrai_runtime.trace import Trace
from infrai_runtime.vendors import configured
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Request
from tests.vendors.fake import KEY, Fake, Said, says, serving, unlike

from .api import served, settings
from .fake import USAGE, FakeChat, catalogue, model

ROWS = catalogue(model("a"))


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    logging.disable()  # pytest keeps what is logged, with its traceback
    yield
    logging.disable(logging.NOTSET)
    gc.enable()


def kept() -> list[Any]:
    return [one for one in gc.get_objects() if isinstance(one, Live | Trace | Ask)]


def freed(before: int) -> bool:
    """Whether no more is kept than before, once the last task of a call has ended."""
    for _ in range(200):
        if len(kept()) <= before:
            return True
        time.sleep(0.01)
    return False


async def asked(request: Request, call: Call) -> AsyncIterator[Event]:
    """A vendor that does what the prompt says."""
    what = request["messages"][0]["parts"][0]["text"]
    if what == "fail":
        raise Failure("VENDOR_ERROR", "no", transient=False)
    if what == "refuse":
        raise Failure("INVALID_REQUEST", "no")
    if what == "break":
        raise RuntimeError("no")
    yield Fragment(0, {"type": "text", "text": "hello"})
    if what == "cut":
        raise Failure("VENDOR_ERROR", "no")
    if what == "hang":
        await asyncio.sleep(60)
    yield Finish("stop", USAGE)


CALLS: dict[str, dict[str, Any]] = {
    **{what: {"messages": what} for what in ("answer", "fail", "refuse", "break", "cut")},
    "hang": {"messages": "hang", "timeout_seconds": 0.05},
    "a wrong field": {"messages": "x", "oops": 1},
    "an unknown model": {"messages": "x", "model": "nope"},
}
WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "streamed": {"stream": True},
    "keyed": {"idempotency_key": "k"},
    "cached": {"cache_strategy": "infrai"},
}


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_call_that_has_ended_is_freed_at_once(tmp_path: Path, call: dict[str, Any], way: dict[str, Any]) -> None:
    with served(create_app(settings(tmp_path), [FakeChat("a", asked)], ROWS)) as url:
        before = len(kept())
        httpx.post(f"{url}/ai/chat", json=call | way, trust_env=False)
        assert freed(before)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_call_whose_caller_has_left_is_freed_at_once(tmp_path: Path, way: dict[str, Any]) -> None:
    begun = asyncio.Event()

    async def hangs(request: Request, call: Call) -> AsyncIterator[Event]:
        yield Fragment(0, {"type": "text", "text": "hello"})
        begun.set()
        await asyncio.sleep(60)
        yield Finish("stop", USAGE)

    with served(create_app(settings(tmp_path), [FakeChat("a", hangs)], ROWS)) as url:
        before, where = len(kept()), urlsplit(url)
        body = json.dumps({"messages": "x", "timeout_seconds": 0.2} | way).encode()
        assert where.hostname is not None
        with socket.create_connection((where.hostname, where.port or 0)) as connection:
            head = f"POST {where.path}/ai/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            while not begun.is_set():
                time.sleep(0.005)
        assert freed(before)


REFUSALS = {
    "limited": says({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429),
    "broken": says({"error": {"message": "no"}}, 500),
    "no json": unlike(Said([b"<html>"], "text/html", 502)),
    "cut": unlike(Said([b'data: {"id": "x"}\n\n'], "text/event-stream")),
    "no key": says({"error": {"message": "no key", "code": "invalid_api_key"}}, 401),
}


@contextmanager
def before(home: Path, vendor: str) -> Iterator[str]:
    """The base URL of a runtime before a vendor of OpenAI's dialect."""
    environ = {"INFRAI_HOME": str(home), "INFRAI_VENDORS": "openai", "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": vendor}
    set_up = Settings.from_environment(environ, no_auth=True, retries=0)
    with served(create_app(set_up, configured(set_up), catalogue(model("openai")))) as url:
        yield url


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_call_that_a_vendor_refused_is_freed_at_once(tmp_path: Path, answer: Said, stream: bool) -> None:
    fake = Fake({"/v1/chat/completions": answer}, vendor="openai")
    with serving(fake), before(tmp_path, f"{fake.url}/v1") as url:
        known = len(kept())
        httpx.post(f"{url}/ai/chat", json={"messages": "x", "stream": stream}, trust_env=False)
        assert freed(known)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("listens", [True, False], ids=["silent", "not there"])
def test_a_call_that_a_vendor_did_not_answer_is_freed_at_once(tmp_path: Path, listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as vendor:
        port = vendor.getsockname()[1]
        if not listens:
            vendor.close()
        with before(tmp_path, f"http://127.0.0.1:{port}/v1") as url:
            known = len(kept())
            httpx.post(f"{url}/ai/chat", json={"messages": "x", "timeout_seconds": 0.1}, trust_env=False)
            assert freed(known)
