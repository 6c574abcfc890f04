"""A stream that no callback hears: the same chunks, by a shorter way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.globals import set_debug
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import RunnableConfig, RunnableLambda

from infrai_core.testing import Answer, Script, reply, streamed
from langchain_infrai import ChatInfrai, get_infrai_callback
from langchain_infrai.errors import InfraiStreamInterrupted

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
    def loop(*_: Any, **__: Any) -> Any:
        raise AssertionError("LangChain's loop ran")

    monkeypatch.setattr(BaseChatModel, "stream", loop)
    monkeypatch.setattr(BaseChatModel, "astream", loop)
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
