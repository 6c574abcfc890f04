from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest

from infrai_core import ConfigError
from infrai_core.direct import AsyncDirect, Request
from infrai_core.transport import asend, http_request, send
from infrai_runtime import embedded
from infrai_runtime.exchange import WINDOW
from infrai_runtime.lifespan import App
from infrai_runtime.settings import Settings

URL = "http://embedded.infrai.invalid/v1/x%20y?a=1"
WAIT_S = 20
"""How long a broken test hangs; a right one never waits that long."""


# -- one body, three worlds ----------------------------------------------------------------------------------------


class Reply:
    """A response of either transport, read piece by piece."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.status = response.status_code
        self._sync = isinstance(response.stream, httpx.SyncByteStream)
        self._pieces: Any = iter(response.stream) if self._sync else aiter(response.stream)  # type: ignore[arg-type]

    async def piece(self) -> bytes | None:
        found: bytes | None = next(self._pieces, None) if self._sync else await anext(self._pieces, None)
        return found

    async def rest(self) -> list[bytes]:
        found = []
        while (piece := await self.piece()) is not None:
            found.append(piece)
        return found

    async def close(self) -> None:
        if self._sync:
            self.response.close()
        else:
            await self._pieces.aclose()
            await self.response.aclose()


class World:
    """Sends requests to an application the way its mode does."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def run(self, body: Callable[[], Awaitable[None]]) -> None:
        anyio.run(body, backend="trio" if self.mode == "trio" else "asyncio")

    async def send(self, app: App, content: Any = b"", read_s: float | None = WAIT_S, **more: Any) -> Reply:
        request = httpx.Request("POST", URL, content=self._content(content), **more)
        request.extensions = {"timeout": {"read": read_s}}
        if self.mode == "sync":
            return Reply(embedded.transport(app).handle_request(request))
        return Reply(await embedded.async_transport(app).handle_async_request(request))

    def _content(self, content: Any) -> Any:
        if isinstance(content, bytes) or self.mode == "sync":
            return content

        async def pieces() -> AsyncIterator[bytes]:
            for piece in content:
                yield piece

        return pieces()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    embedded.shutdown()
    assert "infrai-embedded" not in {thread.name for thread in threading.enumerate()}


# -- applications --------------------------------------------------------------------------------------------------


def app_of(handle: Callable[..., Awaitable[None]]) -> App:
    """An application without a lifespan."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await handle(scope, receive, send)

    return app


async def start(send: Any, status: int = 200, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def body(send: Any, data: bytes, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def forever() -> None:
    await asyncio.Event().wait()


@app_of
async def echo(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await body(send, message["body"], more)


class Watched:
    """Waits forever and tells what happened to it."""

    def __init__(self, *, head: bool) -> None:
        self.head = head
        self.entered, self.cancelled, self.heard = threading.Event(), threading.Event(), threading.Event()
        self.app = app_of(self.handle)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        listening = asyncio.create_task(self.listen(receive))
        if self.head:
            await start(send)
            await body(send, b"first", True)
        self.entered.set()
        try:
            await forever()
        except asyncio.CancelledError:
            await listening
            self.cancelled.set()
            raise

    async def listen(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.heard.set()


# -- streaming -----------------------------------------------------------------------------------------------------


def test_the_first_piece_arrives_before_the_application_makes_the_next(world: World) -> None:
    read = threading.Event()

    @app_of
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send, 201, [(b"x-a", b"1")])
        await body(send, b"one", True)
        assert await asyncio.to_thread(read.wait, WAIT_S)
        await body(send, b"two")

    async def main() -> None:
        reply = await world.send(app)
        assert (reply.status, reply.response.headers["x-a"]) == (201, "1")
        assert await reply.piece() == b"one"
        read.set()
        assert await reply.rest() == [b"two"]

    world.run(main)


def test_the_head_arrives_before_any_body(world: World) -> None:
    async def main() -> None:
        watched = Watched(head=False)

        @app_of
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send, 202)
            await watched.handle(scope, receive, send)

        reply = await world.send(app)
        assert reply.status == 202
        await reply.close()
        assert await anyio.to_thread.run_sync(watched.cancelled.wait, WAIT_S)

    world.run(main)


def test_a_request_body_is_pulled_piece_by_piece_while_the_answer_is_read(world: World) -> None:
    made: list[bytes] = []

    def upload() -> Iterator[bytes]:
        for piece in (b"a", b"b", b"c"):
            made.append(piece)
            yield piece

    async def main() -> None:
        reply = await world.send(echo, upload())
        got = []
        while (piece := await reply.piece()) is not None:
            got.append(piece)
            assert len(made) <= len(got) + 1
        assert got == [b"a", b"b", b"c"]

    world.run(main)


def test_a_body_that_fails_while_it_is_read_fails_the_call_and_ends_the_application(world: World) -> None:
    over = threading.Event()

    @app_of
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            while True:
                await receive()
        finally:
            over.set()

    def upload() -> Iterator[bytes]:
        yield b"a"
        raise KeyError("lost")

    async def main() -> None:
        with pytest.raises(KeyError):
            await world.send(app, upload())
        assert await anyio.to_thread.run_sync(over.wait, WAIT_S)

    world.run(main)


def test_large_bodies_arrive_whole_both_ways(world: World) -> None:
    sent = bytes(range(256)) * (4 * 2**20 // 256)

    async def main() -> None:
        assert b"".join(await (await world.send(echo, sent)).rest()) == sent
        pieces = [sent[at : at + 2**16] for at in range(0, len(sent), 2**16)]
        assert b"".join(await (await world.send(echo, iter(pieces))).rest()) == sent

    world.run(main)


def test_an_application_does_not_run_away_from_a_slow_reader_and_no_piece_is_lost(world: World) -> None:
    sent = 0

    @app_of
    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await start(send)
        for number in range(10 * WINDOW):
            await body(send, b"%d" % number, True)
            sent += 1
        await body(send, b"")

    async def main() -> None:
        reply = await world.send(app)
        for _ in range(50):  # each is at least one turn of the loop that the application runs on
            await (await world.send(echo, b"x")).rest()
        assert sent <= WINDOW
        assert await reply.rest() == [b"%d" % number for number in range(10 * WINDOW)]

    world.run(main)


# -- leaving early -------------------------------------------------------------------------------------------------


def test_closing_early_cancels_the_application_at_once(world: World) -> None:
    watched = Watched(head=True)

    async def main() -> None:
        reply = await world.send(watched.app)
        assert await reply.piece() == b"first"
        await reply.close()
        assert await anyio.to_thread.run_sync(watched.cancelled.wait, WAIT_S)
        assert watched.heard.is_set()

    world.run(main)


def test_a_response_that_nobody_closes_cancels_the_application_when_it_is_collected(world: World) -> None:
    watched = Watched(head=True)

    async def main() -> None:
        reply = await world.send(watched.app)
        del reply
        gc.collect()
        assert await anyio.to_thread.run_sync(watched.cancelled.wait, WAIT_S)

    world.run(main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_the_caller_cancels_the_application(backend: str) -> None:
    watched = Watched(head=False)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(World(backend).send, watched.app)
            assert await anyio.to_thread.run_sync(watched.entered.wait, WAIT_S)
            group.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(watched.cancelled.wait, WAIT_S)

    anyio.run(main, backend=backend)


def test_closing_a_whole_answer_does_not_cancel_what_the_application_does_after_it(world: World) -> None:
    closed, done = threading.Event(), threading.Event()

    @app_of
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await body(send, b"a", True)
        await body(send, b"b")
        assert await asyncio.to_thread(closed.wait, WAIT_S)
        done.set()

    async def main() -> None:
        reply = await world.send(app)
        assert await reply.piece() == b"a"
        await (await world.send(echo)).rest()  # by now the application has sent its last piece
        await reply.close()
        closed.set()
        assert await anyio.to_thread.run_sync(done.wait, WAIT_S)

    world.run(main)


# -- failures ------------------------------------------------------------------------------------------------------


def test_an_application_that_breaks_before_its_head_is_a_500(world: World) -> None:
    @app_of
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("secret")

    async def main() -> None:
        reply = await world.send(app)
        assert reply.status == 500
        assert await reply.rest() == [b"Internal Server Error"]

    world.run(main)


@pytest.mark.parametrize("raises", [True, False])
def test_an_answer_that_breaks_off_is_a_protocol_error_never_a_short_answer(world: World, raises: bool) -> None:
    @app_of
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await body(send, b"one", True)
        if raises:
            raise ValueError("secret")

    async def main() -> None:
        reply = await world.send(app)
        assert await reply.piece() == b"one"
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await reply.piece()
        assert "secret" not in str(caught.value)

    world.run(main)


def test_no_head_in_time_is_a_read_timeout_and_ends_the_application(world: World) -> None:
    watched = Watched(head=False)

    async def main() -> None:
        with pytest.raises(httpx.ReadTimeout):
            await world.send(watched.app, read_s=0.01)
        assert await anyio.to_thread.run_sync(watched.cancelled.wait, WAIT_S)

    world.run(main)


def test_the_read_timeout_may_change_once_the_head_has_come(world: World) -> None:
    watched = Watched(head=True)

    async def main() -> None:
        reply = await world.send(watched.app)
        assert await reply.piece() == b"first"
        reply.response.request.extensions["timeout"]["read"] = 0.01
        with pytest.raises(httpx.ReadTimeout):
            await reply.piece()
        await reply.close()

    world.run(main)


def test_a_call_of_the_runtime_to_itself_fails_where_it_would_wait_forever(world: World) -> None:
    @app_of
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(RuntimeError, match="wait for itself"):
            await World("sync").send(echo, b"x")
        inner = await World("asyncio").send(echo, b"fine")
        await start(send)
        await body(send, b"".join(await inner.rest()))

    async def main() -> None:
        assert await (await world.send(app)).rest() == [b"fine"]

    world.run(main)


# -- what the application sees -------------------------------------------------------------------------------------

SECRET: contextvars.ContextVar[str] = contextvars.ContextVar("SECRET", default="nothing")


def test_the_application_sees_the_request_and_that_it_is_embedded(world: World) -> None:
    seen: dict[str, Any] = {}

    @app_of
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope, context=SECRET.get(), messages=[await receive()])
        await start(send)
        await body(send, b"")

    async def main() -> None:
        SECRET.set("the caller's")
        reply = await world.send(app, b"hello", headers={"X-Thing": "Value"})
        assert await reply.rest() == []
        assert seen["infrai.embedded"] is True
        assert (seen["method"], seen["path"], seen["raw_path"]) == ("POST", "/v1/x y", b"/v1/x%20y")
        assert (seen["query_string"], seen["client"]) == (b"a=1", None)
        assert (b"x-thing", b"Value") in seen["headers"]
        assert seen["messages"] == [{"type": "http.request", "body": b"hello", "more_body": False}]
        assert seen["context"] == "nothing"

    world.run(main)


@pytest.mark.parametrize("stream", [False, True])
def test_the_clients_own_request_looks_to_the_application_as_httpxs_does(world: World, stream: bool) -> None:
    seen: list[dict[str, Any]] = []

    @app_of
    async def app(scope: Any, receive: Any, answer: Any) -> None:
        seen.append({**scope, "messages": [await receive()]})
        await start(answer, headers=[(b"Content-Type", b"application/x-ndjson"), (b"x-a", "é".encode("latin-1"))])
        await body(answer, b"one", True)
        await body(answer, b"two")

    async def main() -> None:
        ours = Request("POST", URL, ((b"x-thing", b"Value"),), b"hello", WAIT_S, WAIT_S, stream)
        if world.mode == "sync":
            response = send(embedded.transport(app), ours)
        else:
            response = await asend(embedded.async_transport(app), ours)
        assert (response.status, response.headers["content-type"]) == (200, "application/x-ndjson")
        assert response.headers["x-a"] == "é"
        assert response.content == (None if stream else b"onetwo")
        if world.mode == "sync":
            with httpx.Client(transport=embedded.transport(app)) as client:
                client.send(http_request(ours))
        else:
            async with httpx.AsyncClient(transport=embedded.async_transport(app)) as aclient:
                await aclient.send(http_request(ours))
        assert seen[0] == seen[1]
        assert seen[0]["messages"] == [{"type": "http.request", "body": b"hello", "more_body": False}]

    world.run(main)


@app_of
async def ending(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    await body(send, b"first", True)
    await body(send, b"")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_task_drains_an_answer_that_ends_and_leaves_one_that_does_not(backend: str) -> None:
    async def left(app: App, limit_s: float) -> None:
        transport = embedded.async_transport(app)
        assert isinstance(transport, AsyncDirect)
        answer = await transport.open(Request("POST", URL, (), b"", WAIT_S, WAIT_S, True))
        pieces = answer.pieces()
        assert await anext(pieces) == b"first"
        await answer.drain(limit_s)
        await answer.aclose()
        assert await anext(pieces, None) is None

    async def main() -> None:
        await left(ending, WAIT_S)
        watched = Watched(head=True)
        await left(watched.app, 0.01)
        assert await anyio.to_thread.run_sync(watched.cancelled.wait, WAIT_S)

    anyio.run(main, backend=backend)


class Living:
    """An application with a lifespan, which it counts."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem
        self.events: list[str] = []
        self.threads: set[int] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
            return
        self.threads.add(threading.get_ident())
        await start(send)
        await body(send, scope["state"]["store"])

    async def live(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        if self.problem is not None:
            problem, self.problem = self.problem, None
            await send({"type": "lifespan.startup.failed", "message": "a long story"})
            raise problem
        scope["state"]["store"] = b"open"
        self.events.append("startup")
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        self.events.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})


async def ask(world: World, app: App) -> list[bytes]:
    return await (await world.send(app)).rest()


def test_several_loops_and_threads_share_one_running_application() -> None:
    app = Living()
    worlds = [World(mode) for mode in ("sync", "asyncio", "trio")] * 16

    def visit(world: World) -> list[bytes]:
        return anyio.run(ask, world, app, backend="trio" if world.mode == "trio" else "asyncio")

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(visit, worlds)) == [[b"open"]] * len(worlds)
    assert app.events == ["startup"]
    assert len(app.threads) == 1


def test_one_transport_serves_several_runs_of_asyncio() -> None:
    app = Living()
    transport = embedded.async_transport(app)

    async def main() -> bytes:
        async with httpx.AsyncClient(transport=transport) as client:
            return (await client.get(URL)).content

    assert [asyncio.run(main()) for _ in range(3)] == [b"open"] * 3
    assert app.events == ["startup"]


def test_a_loop_of_another_make_is_served_too() -> None:
    uvloop = pytest.importorskip("uvloop", reason="an optional package, which no extra of ours brings")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask(World("asyncio"), Living())) == [b"open"]


def test_many_calls_at_once_get_their_own_answers(world: World) -> None:
    async def one(number: int) -> None:
        assert b"".join(await (await world.send(echo, b"%d" % number)).rest()) == b"%d" % number

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(one, number)

    world.run(main)


def test_shutdown_ends_the_lifespan_and_the_next_call_begins_a_new_one(world: World) -> None:
    app = Living()

    async def main() -> None:
        assert await ask(world, app) == [b"open"]
        embedded.shutdown()
        assert app.events == ["startup", "shutdown"]
        assert await ask(world, app) == [b"open"]
        assert app.events[2:] == ["startup"]

    world.run(main)


def test_shutdown_fails_running_calls(world: World) -> None:
    watched = Watched(head=True)

    async def main() -> None:
        reply = await world.send(watched.app)
        assert await reply.piece() == b"first"
        embedded.shutdown()
        with pytest.raises(httpx.RemoteProtocolError, match="shut down"):
            await reply.piece()

    # Its listener would wait for a disconnect that a shutdown does not send.
    watched.heard.set()
    watched.listen = lambda receive: asyncio.sleep(0)  # type: ignore[method-assign]
    world.run(main)


@pytest.mark.parametrize(
    ("problem", "raised"),
    [(ConfigError("database: too new"), ConfigError), (OSError("disk is full"), httpx.ConnectError)],
)
def test_a_runtime_that_does_not_start_says_why_and_is_tried_again(
    world: World, problem: Exception, raised: type[Exception]
) -> None:
    app = Living(problem)

    async def main() -> None:
        with pytest.raises(raised, match=str(problem)):
            await world.send(app)
        assert await ask(world, app) == [b"open"]

    world.run(main)


def owner_thread() -> threading.Thread:
    return next(thread for thread in threading.enumerate() if thread.name == "infrai-embedded")


def test_an_application_that_does_not_heed_the_shutdown_keeps_nobody_waiting(world: World) -> None:
    cancelled = 0

    @app_of
    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal cancelled
        await start(send)
        while cancelled < 2:
            try:
                await forever()
            except asyncio.CancelledError:
                cancelled += 1

    async def main() -> None:
        reply = await world.send(app, read_s=None)
        thread = owner_thread()
        embedded.shutdown(0.02)
        with pytest.raises((httpx.ConnectError, httpx.RemoteProtocolError)):
            await reply.piece()
        thread.join(WAIT_S)
        assert cancelled == 2

    world.run(main)


def test_a_runtime_whose_thread_breaks_fails_all_calls_and_the_next_one_begins_anew(world: World) -> None:
    watched = Watched(head=True)

    @app_of
    async def fatal(scope: Any, receive: Any, send: Any) -> None:
        raise SystemExit(3)

    async def main() -> None:
        running = await world.send(watched.app, read_s=None)
        assert await running.piece() == b"first"
        thread = owner_thread()
        with pytest.raises((httpx.ConnectError, httpx.RemoteProtocolError)):
            await world.send(fatal, read_s=None)
        with pytest.raises((httpx.ConnectError, httpx.RemoteProtocolError)):
            await running.piece()
        assert await (await world.send(echo, b"x")).rest() == [b"x"]
        thread.join(WAIT_S)

    watched.heard.set()
    watched.listen = lambda receive: asyncio.sleep(0)  # type: ignore[method-assign]
    world.run(main)


NO_LOOP = """
import os, resource, httpx
from infrai_runtime import embedded

embedded._loop_factory()  # what is imported is there
most = os.dup(0)
os.close(most)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
try:
    embedded.transport(print).handle_request(httpx.Request("GET", "http://x/"))
except httpx.ConnectError as error:
    print(error)
"""


def test_a_process_that_can_have_no_more_loops_is_told_so() -> None:
    done = subprocess.run([sys.executable, "-c", NO_LOOP], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("the embedded runtime did not start: "), done.stderr
    assert "too many open files" in done.stdout.lower()


# -- the runtime itself --------------------------------------------------------------------------------------------


def test_a_changed_environment_gets_a_runtime_with_its_own_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFRAI_DATABASE", raising=False)
    with httpx.Client(transport=embedded.transport(), base_url="http://embedded.infrai.invalid/v1") as client:
        for home in (tmp_path / "one", tmp_path / "two"):
            monkeypatch.setenv("INFRAI_HOME", str(home))
            assert client.get("/healthz").json()["status"] == "ok"
            assert (home / "runtime.db").exists()
        monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "three"))
        monkeypatch.setenv("INFRAI_DATABASE", "memory")
        assert client.get("/healthz").status_code == 200
        assert not (tmp_path / "three" / "runtime.db").exists()


def test_given_settings_win_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "other"))
    transport = embedded.transport(settings=Settings(home=tmp_path / "mine", embedded=True))
    with httpx.Client(transport=transport, base_url="http://embedded.infrai.invalid/v1") as client:
        assert client.get("/account/balance").status_code == 200  # and no key was asked for
    assert (tmp_path / "mine").exists()
    assert not (tmp_path / "other").exists()


def test_the_runtime_streams_to_every_kind_of_caller(world: World, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, embedded=True)
    asked = {"messages": [{"role": "user", "content": "What is 23 times 7?"}], "stream": True}

    async def main() -> None:
        url = "http://embedded.infrai.invalid/v1/ai/chat"
        headers = {"content-type": "application/json"}
        request = httpx.Request("POST", url, content=json.dumps(asked).encode(), headers=headers)
        if world.mode == "sync":
            reply = Reply(embedded.transport(settings=settings).handle_request(request))
        else:
            reply = Reply(await embedded.async_transport(settings=settings).handle_async_request(request))
        pieces = await reply.rest()
        assert len(pieces) > 1
        assert b"161" in b"".join(pieces)
        assert pieces[-1].endswith(b"data: [DONE]\n\n")

    world.run(main)


# -- processes -----------------------------------------------------------------------------------------------------


def _in_child(app: Living, open_reply: Reply, pipe: Any) -> None:
    try:
        open_reply._pieces = iter(open_reply.response.stream)  # type: ignore[arg-type]
        anyio.run(open_reply.piece)
    except httpx.ReadError as error:
        pipe.send(str(error))
    for world in (World("sync"), World("asyncio"), World("trio")):
        pipe.send(anyio.run(ask, world, app))
    embedded.shutdown()
    pipe.send(app.events)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_gets_a_runtime_of_its_own() -> None:
    app, world = Living(), World("sync")
    assert anyio.run(ask, world, app) == [b"open"]
    open_reply = anyio.run(world.send, Watched(head=True).app)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(app, open_reply, theirs))
    child.start()
    assert ours.poll(WAIT_S)
    assert "forked" in ours.recv()
    assert [ours.recv() for _ in range(3)] == [[b"open"]] * 3
    assert ours.recv() == ["startup", "startup", "shutdown"]  # the first one happened before the fork
    child.join()
    assert child.exitcode == 0
    assert anyio.run(open_reply.piece) == b"first"  # the child has not disturbed it
    anyio.run(open_reply.close)
    assert anyio.run(ask, world, app) == [b"open"]
    assert app.events == ["startup"]


SCRIPT = """
import asyncio, httpx
from infrai_runtime import embedded

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(print, "written", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answer", "more_body": scope["path"] == "/open"})
        if scope["path"] == "/open":
            await asyncio.Event().wait()

client = httpx.Client(transport=embedded.transport(app))
print(client.get("http://x/").text, flush=True)
left_open = embedded.transport(app).handle_request(httpx.Request("GET", "http://x/open"))
"""


def test_the_lifespan_ends_with_the_process_while_threads_can_still_work() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("answer\nwritten\n", "", 0)
