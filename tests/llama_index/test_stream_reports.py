"""What callbacks and events are told of a stream, also where nobody listens to its single responses."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, aclosing, closing, nullcontext
from itertools import islice
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, EventPayload
from llama_index.core.instrumentation.events.llm import LLMCompletionEndEvent, LLMCompletionInProgressEvent

from infrai_core import StreamInterrupted
from infrai_core.testing import streamed
from llama_index_infrai import Infrai
from tests.llama_index.seen import Callbacks, Events, handling


def reports(llm: Infrai, is_async: bool, take: int | None = None) -> list[Any]:
    """What callbacks saw of a stream of which ``take`` responses were read."""
    callbacks = Callbacks()
    llm.callback_manager = CallbackManager([callbacks])

    async def read() -> None:
        stream = await llm.astream_complete("count")
        async with aclosing(stream):
            seen = 0
            async for _ in stream:
                seen += 1
                if seen == take:
                    return

    if is_async:
        asyncio.run(read())
        return callbacks.seen
    with closing(llm.stream_complete("count")) as stream:
        list(islice(stream, take))
    return callbacks.seen


how = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@how
@pytest.mark.parametrize("listened", [False, True], ids=["nobody listens", "somebody listens"])
@pytest.mark.parametrize("words", [["one"], ["one ", "two"], ["one ", "two ", "three"]], ids=len)
def test_the_end_is_reported_once_with_the_last_response(
    scripted: Any, is_async: bool, listened: bool, words: list[str]
) -> None:
    llm, _ = scripted(streamed(words))
    events = Events()
    with handling(events) if listened else nullcontext():
        (start, _, _), (end, _, payload) = reports(llm, is_async)
    assert (start, end) == ("start", "end")
    last = payload[EventPayload.COMPLETION]
    assert (last.text, "usage" in last.raw) == ("".join(words), True)
    if listened:
        assert len(events.of(LLMCompletionInProgressEvent)) == len(words) + 1  # the last one brings the usage
        assert len(events.of(LLMCompletionEndEvent)) == 1


@how
def test_a_handler_that_comes_in_the_middle_hears_of_what_follows(scripted: Any, is_async: bool) -> None:
    llm, _ = scripted(streamed(["one ", "two ", "three"]))
    events = Events()
    with ExitStack() as stack:

        def read(text: str) -> None:
            if text == "one two ":
                stack.enter_context(handling(events))

        async def aread() -> None:
            async for response in await llm.astream_complete("count"):
                read(response.text)

        if is_async:
            asyncio.run(aread())
        else:
            for response in llm.stream_complete("count"):
                read(response.text)
    heard = [event.response.delta for event in events.of(LLMCompletionInProgressEvent)]
    assert heard == ["three", ""]
    assert len(events.of(LLMCompletionEndEvent)) == 1


@how
@pytest.mark.parametrize("listened", [False, True], ids=["nobody listens", "somebody listens"])
@pytest.mark.parametrize("words", [[], ["one "], ["one ", "two "]], ids=len)
def test_what_broke_a_stream_is_reported_once(scripted: Any, is_async: bool, listened: bool, words: list[str]) -> None:
    llm, _ = scripted(streamed(words, cut=True))
    events = Events()
    with handling(events) if listened else nullcontext():
        callbacks = Callbacks()
        llm.callback_manager = CallbackManager([callbacks])
        with pytest.raises(StreamInterrupted):
            asyncio.run(_drained(llm)) if is_async else list(llm.stream_complete("count"))
    assert [when for when, _, _ in callbacks.seen] == ["start", "end"]
    assert isinstance(callbacks.seen[1][2][EventPayload.EXCEPTION], StreamInterrupted)


async def _drained(llm: Infrai) -> None:
    async for _ in await llm.astream_complete("count"):
        pass


@how
@pytest.mark.parametrize("listened", [False, True], ids=["nobody listens", "somebody listens"])
def test_a_stream_that_was_left_ends_its_callback(scripted: Any, is_async: bool, listened: bool) -> None:
    llm, script = scripted(streamed(["one ", "two ", "three"]))
    with handling(Events()) if listened else nullcontext():
        seen = reports(llm, is_async, take=2)
    assert [when for when, _, _ in seen] == ["start", "end"]
    assert isinstance(seen[1][2][EventPayload.EXCEPTION], GeneratorExit)
    assert script.closed == 1
