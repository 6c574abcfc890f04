"""Every form that the official SDK's calls may have, on both of its clients: what is asked reaches the vendor as it was
said, errors are the SDK's own classes, raw and streaming responses have their headers, and a stream may end early."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pydantic
import pytest

from infrai_runtime.app import create_app
from infrai_runtime.failure import Failure
from infrai_runtime.keys import hash_key
from infrai_runtime.store.durable import Budget, KeyRow, Policy, key_scope
from infrai_runtime.store.sqlite import SqliteDurable
from infrai_runtime.vendors.base import Call, Event, File, Files, Finish, Fragment, Request, Sound

from .api import served, settings
from .fake import USAGE, FakeChat, catalogue, fails, model, says
from .test_openai_sdk import CLIENTS, SUM, WEATHER, Ask, Opened, client_of

ABLE = frozenset(
    {
        *("tools", "tool_choice", "structured", "json", "vision", "reasoning"),
        *("audio", "pdf", "file", "n", "logprobs", "parallel_tools"),
    }
)
ASKED: dict[str, Any] = {"model": "big", "messages": SUM}


@pytest.fixture(params=CLIENTS)
def on(request: pytest.FixtureRequest) -> Opened:
    """``with on(app) as ask``: a client of this application."""
    return partial(client_of, request.param)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeChat, dict[str, Ask]]]:
    """One service and both clients of it, for the tests that break nothing."""
    vendor = FakeChat("a", says("{}"))
    with served(app_of(tmp_path_factory.mktemp("home"), vendor)) as url, ExitStack() as stack:
        yield vendor, {kind: stack.enter_context(opened(url)) for kind, opened in CLIENTS.items()}


@pytest.fixture
def vendor(stage: tuple[FakeChat, dict[str, Ask]]) -> FakeChat:
    """The vendor of that service; a test says what it plays."""
    stage[0].requests.clear()
    stage[0].play = says("{}")
    return stage[0]


@pytest.fixture(params=CLIENTS)
def ask(request: pytest.FixtureRequest, stage: tuple[FakeChat, dict[str, Ask]]) -> Ask:
    """A client of that service."""
    return stage[1][request.param]


def app_of(home: Path, vendor: Any, capability: str = "chat", **more: Any) -> Any:
    rows = catalogue(model("a", capability=capability, abilities=ABLE))
    return create_app(settings(home, **more), vendors=[vendor], catalogue=rows)


# -- what is asked -----------------------------------------------------------------------------------------------------

FORM = {"type": "json_schema", "json_schema": {"name": "person", "schema": {"type": "object"}, "strict": True}}
OTHER = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ({"seed": 7}, {"seed": 7}),
        ({"top_p": 0.5, "temperature": 0.25}, {"top_p": 0.5, "temperature": 0.25}),
        ({"stop": "END"}, {"stop": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"n": 1}, {}),
        ({"n": 2}, {"choices": 2}),
        ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"logprobs": False}, {}),
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ({"user": "u-1"}, {"user": "u-1"}),
        ({"presence_penalty": 0.5, "store": True}, {"passthrough": {"presence_penalty": 0.5, "store": True}}),
        ({"response_format": {"type": "text"}}, {"response_format": {"type": "text"}}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"response_format": FORM}, {"response_format": FORM}),
        ({"tools": [WEATHER]}, {"tools": [WEATHER]}),
        ({"tools": [WEATHER], "tool_choice": "auto"}, {"tools": [WEATHER], "tool_choice": "auto"}),
        ({"tools": [WEATHER], "tool_choice": "none"}, {"tools": [WEATHER], "tool_choice": "none"}),
        ({"tools": [WEATHER], "tool_choice": "required"}, {"tools": [WEATHER], "tool_choice": "required"}),
        ({"tools": [WEATHER, OTHER], "tool_choice": NAMED}, {"tools": [WEATHER, OTHER], "tool_choice": NAMED}),
        ({"tools": [WEATHER, OTHER], "tool_choice": ALLOWED}, {"tools": [WEATHER], "tool_choice": "auto"}),
        ({"tools": [WEATHER], "parallel_tool_calls": False}, {"tools": [WEATHER], "parallel_tool_calls": False}),
    ],
)  # fmt: skip
def test_an_option_reaches_the_vendor_as_it_was_said(vendor: FakeChat, ask: Ask, asked: Any, seen: Any) -> None:
    answer = ask(lambda sdk: sdk.chat.completions.create(**ASKED, **asked))
    (request,) = vendor.requests
    told = {name: value for name, value in request.items() if name != "messages"}
    assert told == seen
    assert answer.choices[0].finish_reason == "stop"


PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
PDF = f"data:application/pdf;base64,{base64.b64encode(b'%PDF-1.4').decode()}"


@pytest.mark.parametrize(
    ("part", "seen"),
    [
        ({"type": "text", "text": "hi"}, {"type": "text", "text": "hi"}),
        (
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            {"type": "image", "base64": PNG.partition(",")[2], "mime": "image/png", "detail": "low"},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "audio", "base64": "UklGRg==", "mime": "audio/wav"},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
            {"type": "file", "base64": PDF.partition(",")[2], "mime": "application/pdf", "filename": "a.pdf"},
        ),
    ],
)
def test_a_part_of_a_message_reaches_the_vendor_whole(vendor: FakeChat, ask: Ask, part: Any, seen: Any) -> None:
    vendor.play = says("I see.")
    ask(lambda sdk: sdk.chat.completions.create(model="big", messages=[{"role": "user", "content": [part]}]))
    (got,) = vendor.requests[0]["messages"][0]["parts"]
    assert got == seen


def test_a_file_that_stands_elsewhere_is_refused_by_field(vendor: FakeChat, ask: Ask) -> None:
    part = {"type": "file", "file": {"file_id": "file-1"}}
    vendor.play = says("x")
    with pytest.raises(openai.BadRequestError) as bad:
        ask(lambda sdk: sdk.chat.completions.create(model="big", messages=[{"role": "user", "content": [part]}]))
    assert str(bad.value.param).startswith("messages.0.content.0.file")


# -- what is answered, whole and streamed ------------------------------------------------------------------------------

SEVERAL = (
    Fragment(0, {"type": "text", "text": "one", "logprobs": [{"token": "one", "logprob": -0.5, "bytes": [1]}]}),
    Fragment(0, {"type": "text", "text": "two"}, 1),
    Finish("stop", USAGE, others={1: "length"}, fingerprint="fp_1"),
)


async def several(request: Request, call: Call) -> AsyncIterator[Event]:
    for event in SEVERAL:
        yield event


def test_several_answers_with_probabilities_and_fingerprint_on_both_clients(vendor: FakeChat, ask: Ask) -> None:
    wanted: Any = {**ASKED, "n": 2, "logprobs": True}
    vendor.play = several
    whole = ask(lambda sdk: sdk.chat.completions.create(**wanted))
    chunks = ask(lambda sdk: sdk.chat.completions.create(**wanted, stream=True))
    assert [(c.index, c.message.content, c.finish_reason) for c in whole.choices] == [
        (0, "one", "stop"),
        (1, "two", "length"),
    ]
    assert whole.choices[0].logprobs.content[0].logprob == -0.5
    assert whole.system_fingerprint == "fp_1"
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert {c.index: c.finish_reason for c in choices if c.finish_reason} == {0: "stop", 1: "length"}
    assert [token.token for c in choices if c.logprobs for token in c.logprobs.content] == ["one"]


@pytest.mark.parametrize(
    "options", [None, {"include_usage": False}, {"include_usage": True, "include_obfuscation": False}]
)
def test_a_stream_has_its_usage_where_it_was_asked_for(vendor: FakeChat, ask: Ask, options: Any) -> None:
    more = {"stream_options": options} if options else {}
    vendor.play = says("Hel", "lo")
    chunks = ask(lambda sdk: sdk.chat.completions.create(**ASKED, stream=True, **more))
    counted = [chunk for chunk in chunks if chunk.usage]
    if options and options["include_usage"]:
        assert (counted, counted[0].choices, counted[0].usage.total_tokens) == ([chunks[-1]], [], 15)
    else:
        assert counted == []
        assert all(chunk.choices for chunk in chunks)


class Person(pydantic.BaseModel):
    name: str


def test_a_class_and_a_tool_are_parsed_and_a_refusal_is_told(vendor: FakeChat, ask: Ask) -> None:
    vendor.play = says('{"name": "Ada"}')
    made = ask(lambda sdk: sdk.chat.completions.parse(**ASKED, response_format=Person))
    vendor.play = says('{"name": 3}')
    with pytest.raises(pydantic.ValidationError):
        ask(lambda sdk: sdk.chat.completions.parse(**ASKED, response_format=Person))
    vendor.play = refuses
    refused = ask(lambda sdk: sdk.chat.completions.parse(**ASKED, response_format=Person))
    vendor.play = too_long
    with pytest.raises(openai.LengthFinishReasonError):
        ask(lambda sdk: sdk.chat.completions.parse(**ASKED, response_format=Person))
    vendor.play = filtered
    with pytest.raises(openai.ContentFilterFinishReasonError):
        ask(lambda sdk: sdk.chat.completions.parse(**ASKED, response_format=Person))
    assert made.choices[0].message.parsed == Person(name="Ada")
    assert vendor.requests[0]["response_format"]["json_schema"]["name"] == "Person"
    assert (refused.choices[0].message.parsed, refused.choices[0].message.refusal) == (None, "No.")


async def refuses(request: Request, call: Call) -> AsyncIterator[Event]:
    yield Fragment(0, {"type": "refusal", "text": "No."})
    yield Finish("stop", USAGE)


async def too_long(request: Request, call: Call) -> AsyncIterator[Event]:
    yield Fragment(0, {"type": "text", "text": '{"na'})
    yield Finish("length", USAGE)


async def filtered(request: Request, call: Call) -> AsyncIterator[Event]:
    yield Fragment(0, {"type": "text", "text": ""})
    yield Finish("content_filter", USAGE)


# -- errors ------------------------------------------------------------------------------------------------------------


def keyed(home: Path, vendor: Any, policy: Policy | None = None, budget: int | None = None) -> Any:
    """The application with one key, ``x``, which has a policy and a budget."""
    path = home / "x.db"

    async def prepared() -> None:
        store = SqliteDurable(path)
        await store.add_project("p", "acct", 10**9, 0)
        await store.add_key(hash_key("x"), KeyRow("key_x", "p", policy=policy or Policy()))
        if budget is not None:
            await store.set_budget(Budget(key_scope("key_x"), "p", budget))
        await store.close()

    asyncio.run(prepared())
    return app_of(home, vendor, no_auth=False, database=path)


@contextmanager
def raised_by(kind: Any, code: str, type: str) -> Iterator[pytest.ExceptionInfo[openai.APIStatusError]]:
    """The SDK raises exactly this class, with our code and the type that belongs to it."""
    with pytest.raises(openai.APIStatusError) as raised:
        yield raised
    error = raised.value
    assert error.__class__ is kind
    assert (error.code, error.type) == (code, type)
    assert error.request_id
    assert str(error.code) in str(error.body)


def test_a_spent_budget_is_an_error_with_status_402(on: Opened, tmp_path: Path) -> None:
    vendor = FakeChat("a", says("x"))
    with (
        on(keyed(tmp_path, vendor, budget=1)) as ask,
        raised_by(openai.APIStatusError, "BUDGET_EXCEEDED", "insufficient_quota") as raised,
    ):
        ask(lambda sdk: sdk.chat.completions.create(**ASKED, max_tokens=5))
    assert (raised.value.status_code, vendor.requests) == (402, [])


def test_a_model_that_the_key_may_not_use_is_permission_denied(on: Opened, tmp_path: Path) -> None:
    with (
        on(keyed(tmp_path, FakeChat("a", says("x")), Policy(models=("small",)))) as ask,
        raised_by(openai.PermissionDeniedError, "FORBIDDEN", "permission_error"),
    ):
        ask(lambda sdk: sdk.chat.completions.create(**ASKED))


def test_a_limit_of_requests_is_a_rate_limit_that_says_when_to_come_back(on: Opened, tmp_path: Path) -> None:
    with on(keyed(tmp_path, FakeChat("a", says("x")), Policy(requests_per_minute=1))) as ask:
        ask(lambda sdk: sdk.chat.completions.create(**ASKED))
        with raised_by(openai.RateLimitError, "RATE_LIMITED", "rate_limit_error") as raised:
            ask(lambda sdk: sdk.chat.completions.create(**ASKED))
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60
    assert "x-should-retry" not in raised.value.response.headers


def test_a_key_that_came_with_another_body_is_unprocessable(on: Opened, tmp_path: Path) -> None:
    key = {"extra_headers": {"Idempotency-Key": "one"}}
    with on(app_of(tmp_path, FakeChat("a", says("x")))) as ask:
        ask(lambda sdk: sdk.chat.completions.create(**ASKED, **key))
        with raised_by(openai.UnprocessableEntityError, "IDEMPOTENCY_CONFLICT", "invalid_request_error") as raised:
            ask(lambda sdk: sdk.chat.completions.create(**ASKED, **key, temperature=0.5))
    assert raised.value.param == "idempotency_key"


def test_a_call_that_another_replica_still_answers_is_a_conflict(on: Opened, tmp_path: Path) -> None:
    begun, free = threading.Event(), threading.Event()

    async def slow(request: Request, call: Call) -> AsyncIterator[Event]:
        begun.set()
        await asyncio.to_thread(free.wait, 20)
        yield Finish("stop", USAGE)

    key = {"extra_headers": {"Idempotency-Key": "one"}}
    one, two = (app_of(tmp_path, FakeChat("a", play), database=tmp_path / "x.db") for play in (slow, says("x")))
    with served(one) as url, openai.OpenAI(api_key="x", base_url=url, max_retries=0) as first:
        running = threading.Thread(target=lambda: first.chat.completions.create(**ASKED, **key))
        running.start()
        assert begun.wait(20)
        with (
            on(two) as ask,
            raised_by(openai.ConflictError, "IDEMPOTENCY_IN_PROGRESS", "invalid_request_error") as raised,
        ):
            ask(lambda sdk: sdk.chat.completions.create(**ASKED, **key))
        free.set()
        running.join()
    assert raised.value.response.headers["retry-after"] == "1"


def test_what_the_runtime_has_tried_everywhere_the_sdk_does_not_try_again(tmp_path: Path) -> None:
    vendor = FakeChat("a", fails(Failure("VENDOR_ERROR", "broken")))
    with (
        served(app_of(tmp_path, vendor)) as url,
        openai.OpenAI(api_key="x", base_url=url) as sdk,
        raised_by(openai.InternalServerError, "VENDOR_ERROR", "api_error") as raised,
    ):
        sdk.chat.completions.create(**ASKED)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(vendor.requests) == 1


def test_what_may_go_well_later_the_sdk_tries_again(tmp_path: Path) -> None:
    plays = iter([fails(Failure("RATE_LIMITED", "slower")), says("at last")])

    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        async for event in next(plays)(request, call):
            yield event

    rows = catalogue(model("a"))
    app = create_app(settings(tmp_path), vendors=[FakeChat("a", play)], catalogue=rows)
    with served(app) as url, openai.OpenAI(api_key="x", base_url=url, max_retries=1) as sdk:
        assert sdk.chat.completions.create(**ASKED).choices[0].message.content == "at last"


@pytest.mark.parametrize(
    ("failure", "kind", "type"),
    [
        (Failure("CONTEXT_LENGTH_EXCEEDED", "too long"), openai.BadRequestError, "invalid_request_error"),
        (Failure("PAYLOAD_TOO_LARGE", "too big"), openai.APIStatusError, "invalid_request_error"),
        (Failure("UNAUTHORIZED", "bad key"), openai.InternalServerError, "api_error"),
        (Failure("INSUFFICIENT_CREDIT", "pay"), openai.InternalServerError, "api_error"),
        (Failure("VENDOR_TIMEOUT", "late"), openai.InternalServerError, "api_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_failure_before_the_first_word_is_an_error_of_the_call(
    on: Opened, tmp_path: Path, failure: Failure, kind: Any, type: str, stream: bool
) -> None:
    """A vendor's trouble with the operator's account there is no fault of the caller's."""
    with on(app_of(tmp_path, FakeChat("a", fails(failure)))) as ask, pytest.raises(openai.APIStatusError) as raised:
        ask(lambda sdk: sdk.chat.completions.create(**ASKED, stream=stream))
    assert raised.value.__class__ is kind
    assert raised.value.type == type


@pytest.mark.parametrize(
    ("code", "said"),
    [("CONTEXT_LENGTH_EXCEEDED", "context_length_exceeded"), ("CONTENT_FILTERED", "content_filter")],
)
def test_what_clients_know_by_openais_code_has_that_code(on: Opened, tmp_path: Path, code: str, said: str) -> None:
    vendor = FakeChat("a", fails(Failure(code, "no")))
    with on(app_of(tmp_path, vendor)) as ask, pytest.raises(openai.BadRequestError) as raised:
        ask(lambda sdk: sdk.chat.completions.create(**ASKED))
    assert raised.value.code == said


def test_a_prompt_that_is_too_long_is_known_by_the_text_of_its_error_whosever_model_it_was(
    on: Opened, tmp_path: Path
) -> None:
    vendor = FakeChat("a", fails(Failure("CONTEXT_LENGTH_EXCEEDED", "input is larger than 8k")))
    with on(app_of(tmp_path, vendor)) as ask, pytest.raises(openai.BadRequestError) as raised:
        ask(lambda sdk: sdk.chat.completions.create(**ASKED))
    looked_for = ("context_length_exceeded", "maximum context length", "prompt is too long", "input is larger than 8k")
    assert [words for words in looked_for if words not in raised.value.message] == []


@pytest.mark.parametrize("call", ["embeddings", "images", "speech", "transcriptions"])
def test_other_calls_have_the_same_errors(vendor: FakeChat, ask: Ask, call: str) -> None:
    asks = {
        "embeddings": lambda sdk: sdk.embeddings.create(model="big", input=[]),
        "images": lambda sdk: sdk.images.generate(model="big", prompt=""),
        "speech": lambda sdk: sdk.audio.speech.create(model="big", voice="alloy", input=""),
        "transcriptions": lambda sdk: sdk.audio.transcriptions.create(model="big", file=("a.wav", b"")),
    }
    vendor.play = says("x")
    with pytest.raises(openai.BadRequestError) as bad:
        ask(asks[call])
    assert (bad.value.code, bool(bad.value.param)) == ("INVALID_REQUEST", True)


# -- streams that end early --------------------------------------------------------------------------------------------


def test_an_error_in_the_middle_of_a_stream_is_raised_and_the_rest_is_not_made_up(on: Opened, tmp_path: Path) -> None:
    seen: list[str] = []
    vendor = FakeChat("a", fails(Failure("VENDOR_ERROR", "cut off"), after=("half",)))

    def read(sdk: Any) -> Any:
        made = sdk.chat.completions.create(**ASKED, stream=True)
        return _read_all(made, seen) if hasattr(made, "__await__") else _read_each(made, seen)

    with on(app_of(tmp_path, vendor)) as ask, pytest.raises(openai.APIError, match="cut off") as raised:
        ask(read)
    assert seen == ["half"]
    assert raised.value.code == "VENDOR_ERROR"


def _read_each(stream: Any, seen: list[str]) -> None:
    for chunk in stream:
        seen.append(chunk.choices[0].delta.content)


async def _read_all(made: Any, seen: list[str]) -> None:
    async for chunk in await made:
        seen.append(chunk.choices[0].delta.content)


def test_a_connection_that_breaks_in_the_middle_of_a_stream_never_looks_whole(tmp_path: Path) -> None:
    vendor = FakeChat("a", says("one ", "two ", "three"))
    with (
        served(app_of(tmp_path, vendor)) as url,
        cut_at(b"two ", url) as through,
        openai.OpenAI(api_key="x", base_url=through, max_retries=0) as sdk,
    ):
        stream = sdk.chat.completions.create(**ASKED, stream=True)
        seen: list[str] = []
        with pytest.raises(openai.APIConnectionError):
            _read_each(stream, seen)
    assert seen == ["one "]


@contextmanager
def cut_at(mark: bytes, url: str) -> Iterator[str]:
    """The same service behind a wire that breaks right after these bytes of an answer."""
    there = urlsplit(url)

    def carry(caller: socket.socket) -> None:
        with caller, socket.create_connection((str(there.hostname), int(there.port or 0))) as service:
            threading.Thread(target=_poured, args=(caller, service), daemon=True).start()
            with suppress(OSError):
                while data := service.recv(65536):
                    head, found, _ = data.partition(mark)
                    caller.sendall(head + found)
                    if found:
                        caller.shutdown(socket.SHUT_RDWR)
                        return

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    carry(listener.accept()[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield url.replace(there.netloc, f"127.0.0.1:{listener.getsockname()[1]}")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _poured(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


class Endless:
    """Speaks on until its listener goes."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    async def play(self, request: Request, call: Call) -> AsyncIterator[Event]:
        try:
            yield Fragment(0, {"type": "text", "text": "one"})
            await asyncio.Event().wait()
            yield Finish("stop")
        finally:
            self.ended.set()


def test_a_stream_that_is_closed_early_ends_the_vendors_work(vendor: FakeChat, ask: Ask) -> None:
    endless = Endless()

    def leave(sdk: Any) -> Any:
        made = sdk.chat.completions.create(**ASKED, stream=True)
        if hasattr(made, "__await__"):
            return _left(made)
        with made as stream:
            return [next(stream).choices[0].delta.content]

    vendor.play = endless.play
    assert ask(leave) == ["one"]
    assert endless.ended.wait(10)


async def _left(made: Any) -> list[str]:
    async with await made as stream:
        async for chunk in stream:
            return [chunk.choices[0].delta.content]
    return []


def test_a_task_that_is_cancelled_ends_the_vendors_work(tmp_path: Path) -> None:
    endless = Endless()

    async def body(url: str) -> None:
        first = asyncio.Event()
        async with openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0) as sdk:

            async def read() -> None:
                async for _ in await sdk.chat.completions.create(**ASKED, stream=True):
                    first.set()

            task = asyncio.create_task(read())
            await first.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(endless.ended.wait, 10)

    with served(app_of(tmp_path, FakeChat("a", endless.play))) as url:
        asyncio.run(body(url))


# -- raw and streaming responses ---------------------------------------------------------------------------------------


def test_a_raw_response_has_the_headers_and_is_parsed_on_request(vendor: FakeChat, ask: Ask) -> None:
    vendor.play = says("Hello")
    raw = ask(lambda sdk: sdk.chat.completions.with_raw_response.create(**ASKED))
    made = raw.parse()
    headers = raw.headers
    assert made.choices[0].message.content == "Hello"
    assert (headers["x-infrai-vendor"], headers["x-infrai-model"]) == ("a", "big")
    assert headers["x-request-id"] == headers["x-infrai-request-id"] == made.infrai["request_id"]
    assert float(headers["x-infrai-cost-usd"]) == made.infrai["cost_usd"] > 0


def test_a_raw_stream_has_the_headers_before_its_chunks(vendor: FakeChat, ask: Ask) -> None:
    def read(sdk: Any) -> Any:
        made = sdk.chat.completions.with_raw_response.create(**ASKED, stream=True)
        return _raw(made) if hasattr(made, "__await__") else (made.headers, list(made.parse()))

    vendor.play = says("Hel", "lo")
    headers, chunks = ask(read)
    assert (headers["x-infrai-vendor"], headers["x-request-id"]) == ("a", headers["x-infrai-request-id"])
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"


async def _raw(made: Any) -> tuple[Any, list[Any]]:
    raw = await made
    return raw.headers, [chunk async for chunk in raw.parse()]


def test_a_streaming_response_is_read_line_by_line(vendor: FakeChat, ask: Ask) -> None:
    def read(sdk: Any) -> Any:
        opened = sdk.chat.completions.with_streaming_response.create(**ASKED, stream=True)
        if hasattr(opened, "__aenter__"):
            return _lines(opened)
        with opened as response:
            return response.headers, list(response.iter_lines())

    vendor.play = says("Hel", "lo")
    headers, lines = ask(read)
    assert headers["content-type"].startswith("text/event-stream")
    assert [line for line in lines if line][-1] == "data: [DONE]"


async def _lines(opened: Any) -> tuple[Any, list[str]]:
    async with opened as response:
        return response.headers, [line async for line in response.iter_lines()]


# -- speech as it is made ----------------------------------------------------------------------------------------------


class Speaks:
    """Speaks in pieces."""

    name = "a"
    PIECES = (b"RIFF", b"one", b"two")

    async def speak(self, request: Request, call: Call) -> Files:
        return Files([File(b"".join(self.PIECES), "audio/wav", {"format": "wav"})], {"characters": 5})

    async def speak_along(self, request: Request, call: Call) -> Sound:
        async def pieces() -> Any:
            for piece in self.PIECES:
                yield piece

        return Sound("audio/wav", pieces(), {"characters": 5})

    async def close(self) -> None:
        pass


def test_speech_is_streamed_into_a_file(on: Opened, tmp_path: Path) -> None:
    asked: Any = {"model": "big", "voice": "alloy", "input": "Hello", "response_format": "wav"}

    def read(sdk: Any) -> Any:
        opened = sdk.audio.speech.with_streaming_response.create(**asked)
        if hasattr(opened, "__aenter__"):
            return _spoken(opened)
        with opened as response:
            return response.headers, b"".join(response.iter_bytes())

    with on(app_of(tmp_path, Speaks(), "tts")) as ask:
        headers, sound = ask(read)
        whole = ask(lambda sdk: sdk.audio.speech.create(**asked))
    assert sound == whole.content == b"".join(Speaks.PIECES)
    assert (headers["content-type"], headers["x-infrai-vendor"]) == ("audio/wav", "a")


async def _spoken(opened: Any) -> tuple[Any, bytes]:
    async with opened as response:
        return response.headers, b"".join([piece async for piece in response.iter_bytes()])


def test_a_time_limit_of_the_sdk_is_its_own_error_and_ends_the_work(tmp_path: Path) -> None:
    ended = threading.Event()

    async def mute(request: Request, call: Call) -> AsyncIterator[Event]:
        try:
            await asyncio.Event().wait()
            yield Finish("stop")
        finally:
            ended.set()

    with (
        served(app_of(tmp_path, FakeChat("a", mute))) as url,
        openai.OpenAI(api_key="x", base_url=url, max_retries=0, timeout=0.05) as sdk,
    ):
        with pytest.raises(openai.APITimeoutError):
            sdk.chat.completions.create(**ASKED)
        assert ended.wait(10)
