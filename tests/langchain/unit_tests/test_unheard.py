"""A call that no callback hears: the same answer and the same chunks, by a shorter way."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.globals import set_debug, set_llm_cache
from langchain_core.language_models import BaseChatModel, chat_models
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import RunnableConfig, RunnableLambda

from infrai_core.testing import Answer, Script, envelope, failure, reply, streamed
from langchain_infrai import ChatInfrai, get_infrai_callback
from langchain_infrai.errors import InfraiInvalidRequest, InfraiStreamInterrupted

pytestmark = pytest.mark.filterwarnings("ignore:.*is in beta")

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
CALL = [
    {"index": 0, "type": "tool_call", "id": "call_1", "name": "f", "arguments": '{"a"'},
    {"index": 0, "type": "tool_call", "arguments": ": 1}"},
]
THOUGHT = [
    {"index": 0, "type": "reasoning", "text": "Hm", "opaque": "signed", "done": True},
    {"index": 1, "type": "text", "text": "Hel"},
    {"index": 1, "type": "text", "text": "lo"},
]
ANSWERS: dict[str, Callable[[], Answer]] = {
    "text": lambda: streamed(["Hel", "lo"], usage=USAGE, cost_usd=0.5),
    "a call": lambda: streamed(CALL, finish_reason="tool_calls"),
    "a thought": lambda: streamed(THOUGHT, usage=USAGE),
}


class Hears(BaseCallbackHandler):
    def __init__(self) -> None:
        self.tokens: list[Any] = []
        self.ends = self.errors = 0

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens.append(token)

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.ends += 1

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.errors += 1


def model_on(answer: Answer, **fields: Any) -> ChatInfrai:
    script = Script([answer], repeat_last=True)
    return ChatInfrai(api_key="key", max_retries=0, client_options={"transport": script}, **fields)


def deny_langchains_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ``generate`` and the loop over a stream put their messages into shape with this."""

    def ran(*_: Any) -> Any:
        raise AssertionError("LangChain's own way was taken")

    monkeypatch.setattr(chat_models, "_normalize_messages", ran)


def invoke(
    model: Any, mode: str, given: Any = "hello", config: RunnableConfig | None = None, **kwargs: Any
) -> AIMessage:
    if mode == "sync":
        answer = model.invoke(given, config, **kwargs)
    else:
        answer = asyncio.run(model.ainvoke(given, config, **kwargs))
    assert isinstance(answer, AIMessage)
    return answer


async def acollect(model: BaseChatModel, config: RunnableConfig | None) -> list[AIMessageChunk]:
    return [chunk async for chunk in model.astream("hello", config)]


def collect(model: BaseChatModel, mode: str, config: RunnableConfig | None = None) -> list[AIMessageChunk]:
    return list(model.stream("hello", config)) if mode == "sync" else asyncio.run(acollect(model, config))


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize("kind", ANSWERS)
def test_its_chunks_are_those_that_a_callback_would_hear_of(kind: str, version: Any, mode: str) -> None:
    model = model_on(ANSWERS[kind](), output_version=version)
    run: RunnableConfig = {"run_id": uuid4()}
    unheard, heard = collect(model, mode, run), collect(model, mode, {**run, "callbacks": [Hears()]})
    assert [chunk.model_dump() for chunk in unheard] == [chunk.model_dump() for chunk in heard]
    assert len(unheard) > 1


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_langchains_loop_does_not_run(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deny_langchains_way(monkeypatch)
    assert "".join(chunk.text for chunk in collect(model_on(streamed(["Hel", "lo"])), mode)) == "Hello"


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("where", ["call", "model", "bound", "runnable around it"])
def test_a_callback_hears_every_token_wherever_it_was_given(where: str, mode: str) -> None:
    hears = Hears()
    model: Any = model_on(streamed(["Hel", "lo"]), callbacks=[hears] if where == "model" else None)
    if where == "bound":
        model = model.with_config(callbacks=[hears])
    if where == "runnable around it":
        inner = model
        model = RunnableLambda(lambda text: list(inner.stream(text)))
    collect(model, mode, {"callbacks": [hears]} if where in ("call", "runnable around it") else None)
    assert [token for token in hears.tokens if token] == ["Hel", "lo"]
    assert (hears.ends, hears.errors) == (1, 0)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_counting_contexts_count_it(mode: str) -> None:
    with get_usage_metadata_callback() as usage, get_infrai_callback() as ours:
        collect(model_on(streamed(["Hel", "lo"], usage=USAGE)), mode)
    assert [used["total_tokens"] for used in usage.usage_metadata.values()] == [7]
    assert (ours.ledger.total.calls, ours.ledger.total.prompt_tokens) == (1, 5)


@pytest.fixture
def debugging() -> Iterator[None]:
    set_debug(True)
    yield
    set_debug(False)


@pytest.mark.usefixtures("debugging")
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_debugging_shows_it(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    collect(model_on(streamed(["Hel", "lo"])), mode)
    assert "Hello" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_message_that_the_service_did_not_name_has_the_name_of_its_run(mode: str) -> None:
    ids = {chunk.id for chunk in collect(model_on(streamed(["Hel", "lo"], id=None)), mode)}
    assert len(ids) == 1
    assert str(ids.pop()).startswith("lc_run-")


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_without_streaming_it_is_the_whole_answer(mode: str) -> None:
    model = model_on(reply("Hello", usage=USAGE), disable_streaming=True)
    [chunk] = collect(model, mode)
    assert chunk.content == "Hello"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_cut_one_raises(mode: str) -> None:
    with pytest.raises(InfraiStreamInterrupted):
        collect(model_on(streamed(["Hel", "lo"], cut=True)), mode)


class Marking(ChatInfrai):
    """A user's model, which says more about each piece."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for piece in super()._stream(*args, **kwargs):
            piece.generation_info = {**(piece.generation_info or {}), "mark": piece.text.upper()}
            yield piece


def test_a_subclass_has_its_say() -> None:
    script = Script([streamed(["Hel", "lo"])], repeat_last=True)
    model = Marking(api_key="key", max_retries=0, client_options={"transport": script})
    run: RunnableConfig = {"run_id": uuid4()}
    unheard, heard = collect(model, "sync", run), collect(model, "sync", {**run, "callbacks": [Hears()]})
    assert [chunk.response_metadata["mark"] for chunk in unheard] == ["HEL", "LO", ""]
    assert [chunk.model_dump() for chunk in unheard] == [chunk.model_dump() for chunk in heard]


# -- whole answers -------------------------------------------------------------------------------------------------

WHOLE: dict[str, Callable[[], Answer]] = {
    "text": lambda: reply("Hello", usage=USAGE, cost_usd=0.5, vendor="acme"),
    "a call": lambda: reply(tool_calls=[("f", {"a": 1})]),
    "a thought": lambda: reply(parts=[{"type": "reasoning", "text": "Hm", "opaque": "signed"}]),
    "a message without a name": lambda: envelope(
        {"id": None, "model": "m", "parts": [{"type": "text", "text": "Hello"}], "finish_reason": "stop"}
    ),
}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("fields", [{}, {"output_version": "v1"}, {"disable_streaming": True}], ids=str)
@pytest.mark.parametrize("kind", WHOLE)
def test_the_answer_is_the_one_that_a_callback_would_hear_of(kind: str, fields: dict[str, Any], mode: str) -> None:
    model = model_on(WHOLE[kind](), **fields)
    run: RunnableConfig = {"run_id": uuid4()}
    unheard = invoke(model, mode, config={**run})
    heard = invoke(model, mode, config={**run, "callbacks": [Hears()]})
    assert unheard.model_dump() == heard.model_dump()
    assert unheard.id


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_langchains_generate_does_not_run(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deny_langchains_way(monkeypatch)
    assert invoke(model_on(reply("Hello")), mode).text == "Hello"


def counting(way: Callable[..., Any], counted: list[str]) -> Callable[..., Any]:
    @functools.wraps(way)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        counted.append(way.__name__)
        return way(*args, **kwargs)

    return wrapped


def test_tools_of_observation_that_wrap_langchains_methods_see_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    for name in ("generate", "agenerate", "stream", "astream"):
        monkeypatch.setattr(BaseChatModel, name, counting(getattr(BaseChatModel, name), counted))
    for mode in ("sync", "async"):
        invoke(model_on(reply("Hello")), mode)
        collect(model_on(streamed(["Hel", "lo"])), mode)
    assert counted == ["generate", "stream", "agenerate", "astream"]


class Counting(ChatInfrai):
    """A user's model that counts its prompts, as people do."""

    prompts: int = 0

    def generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self.prompts += len(messages)
        return super().generate(messages, *args, **kwargs)


class Shouting(ChatInfrai):
    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        result = super()._generate(*args, **kwargs)
        [generation] = result.generations
        generation.generation_info = {**(generation.generation_info or {}), "mark": generation.text.upper()}
        return result


def test_a_subclass_has_its_say_in_an_answer() -> None:
    options: dict[str, Any] = {
        "api_key": "key",
        "client_options": {"transport": Script([reply("Hi")], repeat_last=True)},
    }
    counting_model, shouting = Counting(**options), Shouting(**options)
    invoke(counting_model, "sync")
    run: RunnableConfig = {"run_id": uuid4()}
    unheard, heard = shouting.invoke("x", {**run}), shouting.invoke("x", {**run, "callbacks": [Hears()]})
    assert counting_model.prompts == 1
    assert unheard.response_metadata["mark"] == "HI"
    assert unheard.model_dump() == heard.model_dump()


@pytest.fixture
def global_cache() -> Iterator[InMemoryCache]:
    cache = InMemoryCache()
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("where", ["global", "model"])
def test_langchains_caches_keep_answers(where: str, mode: str, request: pytest.FixtureRequest) -> None:
    cache = request.getfixturevalue("global_cache") if where == "global" else InMemoryCache()
    script = Script([reply("first"), reply("second")])
    options: dict[str, Any] = {"client_options": {"transport": script}, "cache": cache if where == "model" else None}
    model = ChatInfrai(api_key="key", **options)
    assert [invoke(model, mode).text for _ in range(2)] == ["first", "first"]
    assert invoke(model.model_copy(update={"cache": False}), mode).text == "second"


def test_a_cache_that_is_asked_for_and_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no cache found"):
        invoke(model_on(reply("Hello"), cache=True), "sync")


class Turns(BaseRateLimiter):
    def __init__(self) -> None:
        self.taken: list[str] = []

    def acquire(self, *, blocking: bool = True) -> bool:
        self.taken.append("sync")
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        self.taken.append("async")
        return True


def test_every_call_waits_for_its_turn() -> None:
    turns = Turns()
    for mode in ("sync", "async"):
        invoke(model_on(reply("Hello"), rate_limiter=turns), mode)
        collect(model_on(streamed(["Hel", "lo"]), rate_limiter=turns), mode)
    assert turns.taken == ["sync", "sync", "async", "async"]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_model_that_streams_does_so_in_invoke_too(mode: str) -> None:
    answer = invoke(model_on(streamed(["Hel", "lo"], usage=USAGE), streaming=True), mode)
    assert (answer.text, type(answer)) == ("Hello", AIMessage)
    assert invoke(model_on(streamed(["Hel", "lo"])), mode, stream=True).text == "Hello"


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("where", ["call", "model", "runnable around it"])
def test_a_callback_hears_of_an_answer_and_of_an_error(where: str, mode: str) -> None:
    hears = Hears()
    script = Script([reply("Hello"), failure("INVALID_REQUEST")])
    model: Any = ChatInfrai(
        api_key="key", client_options={"transport": script}, callbacks=[hears] if where == "model" else None
    )
    if where == "runnable around it":
        inner = model
        model = RunnableLambda(lambda text: inner.invoke(text))
    config: RunnableConfig | None = None if where == "model" else {"callbacks": [hears]}
    invoke(model, mode, config=config)
    with pytest.raises(InfraiInvalidRequest):
        invoke(model, mode, config=config)
    assert (hears.ends, hears.errors) == (1, 1)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_counting_contexts_count_an_answer(mode: str) -> None:
    with get_usage_metadata_callback() as usage, get_infrai_callback() as ours:
        invoke(model_on(reply("Hello", usage=USAGE)), mode)
    assert [used["total_tokens"] for used in usage.usage_metadata.values()] == [7]
    assert (ours.ledger.total.calls, ours.ledger.total.prompt_tokens) == (1, 5)


PIXEL = "iVBORw0KGgo="
ZOO: dict[str, AnyMessage] = {
    "OpenAI's image": HumanMessage([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]),
    "OpenAI's sound": HumanMessage([{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]),
    "OpenAI's file": HumanMessage(
        [{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}]
    ),
    "an image of LangChain 0": HumanMessage(
        [{"type": "image", "source_type": "base64", "mime_type": "image/png", "data": PIXEL}]
    ),
    "a file of LangChain 0": HumanMessage(
        [{"type": "file", "source_type": "base64", "mime_type": "application/pdf", "data": "JVBERi0="}]
    ),
    "a text of LangChain 0": HumanMessage([{"type": "file", "source_type": "text", "url": "Notes"}]),
    "an answer with an image of LangChain 0": AIMessage(
        [{"type": "text", "text": "Look"}, {"type": "image", "source_type": "url", "url": "https://a.example/a.png"}]
    ),
    "a tool's image of LangChain 0": ToolMessage(
        [{"type": "image", "source_type": "base64", "mime_type": "image/png", "data": PIXEL}], tool_call_id="call_1"
    ),
    "Anthropic's image": HumanMessage(
        [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}]
    ),
    "LangChain 1's": HumanMessage([{"type": "image", "base64": PIXEL, "mime_type": "image/png"}]),
}


@pytest.mark.parametrize("kind", ZOO)
def test_what_is_sent_is_the_same(kind: str) -> None:
    script = Script([reply("Hello")], repeat_last=True)
    model = ChatInfrai(api_key="key", client_options={"transport": script})
    before = ZOO[kind].model_dump()
    for callbacks in ([], [Hears()]):
        model.invoke([ZOO[kind]], {"callbacks": callbacks})
    unheard, heard = script.requests
    assert unheard.body == heard.body
    assert ZOO[kind].model_dump() == before
