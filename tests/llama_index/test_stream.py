from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatResponse, ThinkingBlock, ToolCallBlock
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from infrai_core.testing import Script, streamed
from infrai_core.testing import Scripted as Answer
from llama_index_infrai import Infrai

Make = Callable[..., tuple[Infrai, Script]]
HI = [ChatMessage(content="hi")]


def frames(*deltas: dict[str, Any]) -> Answer:
    """A stream of whole deltas, where ``streamed`` knows only one fragment each."""
    ends = {"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 1, "completion_tokens": 1}, "metadata": {}}
    rows = [{"delta": delta, "finish_reason": None, "index": 0} for delta in deltas]
    pieces = [b"data: " + json.dumps(row).encode() + b"\n\n" for row in [*rows, ends]]
    return Answer([*pieces, b"data: [DONE]\n\n"], headers={"content-type": "text/event-stream"})


Look = Callable[[ChatResponse], None]


def collected(llm: Infrai, look: Look = lambda response: None) -> list[ChatResponse]:
    found = []
    for response in llm.stream_chat(HI):
        look(response)
        found.append(response)
    return found


def acollected(llm: Infrai, look: Look = lambda response: None) -> list[ChatResponse]:
    async def collect() -> list[ChatResponse]:
        found = []
        async for response in await llm.astream_chat(HI):
            look(response)
            found.append(response)
        return found

    return asyncio.run(collect())


both = pytest.mark.parametrize("stream", [collected, acollected], ids=["sync", "async"])


def fragment(index: int, text: str, id: str = "", name: str = "", **more: Any) -> dict[str, Any]:
    head = {"id": id, "name": name} if id else {}
    return {"index": index, "type": "tool_call", "arguments": text, **head, **more}


def calls(response: ChatResponse) -> list[tuple[str | None, str, Any]]:
    blocks = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    return [(block.tool_call_id, block.tool_name, block.tool_kwargs) for block in blocks]


@both
def test_text_grows_and_the_deltas_make_it_up(scripted: Make, stream: Any) -> None:
    llm, _ = scripted(streamed(["The ", "sky ", "is blue"]))
    responses = stream(llm)
    assert [response.delta for response in responses] == ["The ", "sky ", "is blue", ""]
    assert [response.message.content for response in responses[:3]] == ["The ", "The sky ", "The sky is blue"]
    assert responses[-1].message.content == "The sky is blue"


@both
def test_a_response_that_is_kept_does_not_change_later(scripted: Make, stream: Any) -> None:
    said = [{"index": 1, "type": "text", "text": text} for text in ("The ", "sky")]
    thought = {"index": 0, "type": "reasoning", "text": "well"}
    pieces = [thought, *said, fragment(2, '{"a"', "c1", "f"), fragment(2, ": 1}")]
    llm, _ = scripted(frames(*({"parts": [piece]} for piece in pieces)))
    shown: list[Any] = []
    kept = stream(llm, lambda response: shown.append(response.model_dump_json()))
    assert [response.model_dump_json() for response in kept] == shown
    assert len(shown) == len(pieces) + 1
    kept[1].message.blocks.append(ThinkingBlock(content="mine"))
    kept[1].message.additional_kwargs["mine"] = kept[1].raw["mine"] = kept[1].additional_kwargs["mine"] = True
    assert [response.model_dump_json() for response in kept[2:]] == shown[2:]


@both
def test_a_response_is_what_llama_index_itself_would_make_of_its_values(scripted: Make, stream: Any) -> None:
    pieces: list[Any] = [{"index": 0, "type": "text", "text": "The "}, fragment(1, '{"a": 1}', "c1", "f")]
    llm, _ = scripted(frames(*({"parts": [piece]} for piece in pieces)))
    for response in stream(llm):
        message = response.message
        assert message == ChatMessage(**message.__dict__)
        assert response == ChatResponse(**response.__dict__)
        assert message.blocks == [type(block)(**block.__dict__) for block in message.blocks]


@both
def test_two_calls_in_one_chunk_are_both_there(scripted: Make, stream: Any) -> None:
    both_calls = [fragment(0, '{"a": 1}', "c1", "f"), fragment(1, '{"b": 2}', "c2", "g")]
    llm, _ = scripted(frames({"parts": both_calls}))
    assert calls(stream(llm)[-1]) == [("c1", "f", {"a": 1}), ("c2", "g", {"b": 2})]


@both
def test_interleaved_calls_are_put_together_by_their_place(scripted: Make, stream: Any) -> None:
    pieces = [
        fragment(0, '{"a"', "c1", "f"),
        fragment(1, '{"b"', "c2", "g"),
        fragment(0, ": 1}"),
        fragment(1, ": 2}"),
    ]
    llm, _ = scripted(streamed(pieces, finish_reason="tool_calls"))
    assert calls(stream(llm)[-1]) == [("c1", "f", {"a": 1}), ("c2", "g", {"b": 2})]


@both
def test_calls_with_the_same_index_and_other_ids_stay_apart(scripted: Make, stream: Any) -> None:
    def flat(id_: str, text: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "id": id_, "function": {"name": "f", "arguments": text}}]}

    llm, _ = scripted(frames(flat("c1", '{"a": 1}'), flat("c2", '{"a": 2}')))
    assert calls(stream(llm)[-1]) == [("c1", "f", {"a": 1}), ("c2", "f", {"a": 2})]


@both
def test_an_id_and_name_that_are_repeated_are_not_joined(scripted: Make, stream: Any) -> None:
    llm, _ = scripted(streamed([fragment(0, '{"a"', "c1", "f"), fragment(0, ": 1}", "c1", "f")]))
    assert calls(stream(llm)[-1]) == [("c1", "f", {"a": 1})]


@both
def test_blocks_and_legacy_calls_agree_on_every_chunk(scripted: Make, stream: Any) -> None:
    text = '{"city": "Paris", "days": 3}'
    pieces = [fragment(0, text[:4], "c1", "weather"), *[fragment(0, text[i : i + 4]) for i in range(4, len(text), 4)]]
    llm, _ = scripted(streamed(pieces, finish_reason="tool_calls"))
    responses = stream(llm)
    for response in responses:
        (legacy,) = response.message.additional_kwargs["tool_calls"]
        ((id_, name, given),) = calls(response)
        assert (legacy["id"], legacy["function"]["name"]) == (id_, name) == ("c1", "weather")
        assert text.startswith(legacy["function"]["arguments"])
        assert isinstance(given, dict)
    assert calls(responses[2])[0][2] == {"city": "Pa"}
    assert calls(responses[-1])[0][2] == {"city": "Paris", "days": 3}
    assert responses[-1].message.additional_kwargs["tool_calls"][0]["function"]["arguments"] == text


@both
def test_tool_selections_can_be_read_on_every_chunk(scripted: Make, stream: Any) -> None:
    llm, _ = scripted(streamed([fragment(0, '{"city": "Par', "c1", "weather"), fragment(0, 'is"}')]))
    found = [llm.get_tool_calls_from_response(response) for response in stream(llm)]
    assert [selection.tool_kwargs for (selection,) in found] == [{"city": "Par"}, {"city": "Paris"}, {"city": "Paris"}]


@both
def test_arguments_that_end_unreadable_stay_as_text_and_raise_nothing(
    scripted: Make, stream: Any, caplog: pytest.LogCaptureFixture
) -> None:
    llm, _ = scripted(streamed([fragment(0, '{"city": "Par', "c1", "weather")], finish_reason="length"))
    last = stream(llm)[-1]
    assert calls(last) == [("c1", "weather", '{"city": "Par')]
    (selection,) = llm.get_tool_calls_from_response(last)
    assert selection.tool_kwargs["unreadable_arguments"] == '{"city": "Par'
    assert "weather" in caplog.text


@both
def test_thinking_streams_beside_the_text(scripted: Make, stream: Any) -> None:
    pieces = [
        {"index": 0, "type": "reasoning", "text": "So "},
        {"index": 0, "type": "reasoning", "text": "it is"},
        {"index": 0, "type": "reasoning", "opaque": "sig", "vendor": "v", "model": "m", "done": True},
        {"index": 1, "type": "text", "text": "Blue"},
    ]
    llm, _ = scripted(streamed(pieces))
    responses = stream(llm)
    assert [r.additional_kwargs.get("thinking_delta") for r in responses] == ["So ", "it is", None, None, None]
    assert "".join(r.delta or "" for r in responses) == "Blue"
    thinking = responses[-1].message.blocks[0]
    assert isinstance(thinking, ThinkingBlock)
    assert thinking.content == "So it is"
    assert thinking.additional_information == {"opaque": "sig", "vendor": "v", "model": "m"}


@both
def test_text_on_both_sides_of_a_boundary_without_content_is_one(scripted: Make, stream: Any) -> None:
    pieces = [{"index": 0, "type": "text", "text": "The "}, {"index": 1, "type": "text", "text": "sky"}]
    llm, _ = scripted(streamed(pieces))
    responses = stream(llm)
    assert [r.message.content for r in responses] == ["The ", "The sky", "The sky"]


@both
def test_the_openai_dialect_streams_the_same(scripted: Make, stream: Any) -> None:
    def chunk(**fields: Any) -> bytes:
        return b"data: " + json.dumps({"id": "x", "model": "m", **fields}).encode() + b"\n\n"

    pieces = [
        chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": "Par"}, "finish_reason": None}]),
        chunk(choices=[{"index": 0, "delta": {"content": "is"}, "finish_reason": None}]),
        chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        chunk(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}),
        b"data: [DONE]\n\n",
    ]
    llm, script = scripted(Answer(pieces, headers={"content-type": "text/event-stream"}), dialect="openai")
    last = stream(llm)[-1]
    assert script.requests[0].path.endswith("/chat/completions")
    assert last.message.content == "Paris"
    assert (last.raw["usage"]["total_tokens"], last.raw["finish_reason"]) == (5, "stop")


@both
def test_a_signature_of_the_openai_dialect_is_kept_and_sent_back(scripted: Make, stream: Any) -> None:
    def chunk(**fields: Any) -> bytes:
        return b"data: " + json.dumps({"id": "x", "model": "m", **fields}).encode() + b"\n\n"

    def delta(reason: str | None = None, **said: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": said, "finish_reason": reason}]}

    signed = {"type": "reasoning", "text": "So", "opaque": "sig", "vendor": "v", "model": "m"}
    parts = [signed, {"type": "text", "text": "Blue"}]
    pieces = [
        chunk(**delta(reasoning_content="So")),
        chunk(**delta(content="Blue")),
        chunk(**delta("stop"), infrai={"vendor": "v", "parts": parts}),
        b"data: [DONE]\n\n",
    ]
    answer = Answer(pieces, headers={"content-type": "text/event-stream"})
    llm, script = scripted(answer, answer, dialect="openai")
    last = stream(llm)[-1]
    assert "parts" not in last.raw["metadata"]
    thinking = last.message.blocks[0]
    assert isinstance(thinking, ThinkingBlock)
    assert thinking.additional_information == {"opaque": "sig", "vendor": "v", "model": "m"}
    list(llm.stream_chat([*HI, last.message, *HI]))
    assert script.requests[1].body["messages"][1]["parts"] == parts


def test_earlier_responses_do_not_change_when_more_comes(scripted: Make) -> None:
    llm, _ = scripted(streamed([fragment(0, '{"a": [1', "c1", "f"), fragment(0, ", 2]}")]))
    first, _, last = collected(llm)
    assert first.message.additional_kwargs["tool_calls"][0]["function"]["arguments"] == '{"a": [1'
    assert "usage" not in (first.raw or {})
    assert calls(last)[0][2] == {"a": [1, 2]}


# -- closing -------------------------------------------------------------------------------------------------------


class Keeper(BaseCallbackHandler):
    """Keeps everything it is told, exceptions with their tracebacks too, as tracing handlers do."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.kept: list[Any] = []

    def on_event_start(self, *args: Any, **kwargs: Any) -> str:
        return ""

    def on_event_end(self, event_type: Any, payload: Any = None, event_id: str = "", **kwargs: Any) -> None:
        self.kept.append(payload)

    def start_trace(self, trace_id: str | None = None) -> None: ...

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None: ...


@pytest.mark.parametrize("method", ["stream_chat", "stream_complete"])
@pytest.mark.parametrize("keeps", [False, True], ids=["plain", "with a handler that keeps the exception"])
def test_closing_a_stream_closes_the_response_at_once(scripted: Make, method: str, keeps: bool) -> None:
    manager = CallbackManager([Keeper()]) if keeps else CallbackManager([])
    llm, script = scripted(streamed(["a", "b", "c"]), callback_manager=manager)
    gc.disable()
    try:
        stream = getattr(llm, method)(HI if method == "stream_chat" else "hi")
        next(stream)
        assert script.closed == 0
        stream.close()
        assert script.closed == 1
    finally:
        gc.enable()
    assert llm.ledger.total.aborted_calls == 1


@pytest.mark.parametrize("method", ["stream_chat", "stream_complete"])
def test_leaving_the_loop_closes_the_response_at_once(scripted: Make, method: str) -> None:
    llm, script = scripted(streamed(["a", "b", "c"]))
    gc.disable()
    try:
        for _ in getattr(llm, method)(HI if method == "stream_chat" else "hi"):
            break
        assert script.closed == 1
    finally:
        gc.enable()


@pytest.mark.parametrize("method", ["astream_chat", "astream_complete"])
def test_closing_an_asynchronous_stream_closes_the_response(scripted: Make, method: str) -> None:
    llm, script = scripted(streamed(["a", "b", "c"]))

    async def read_one() -> None:
        stream = await getattr(llm, method)(HI if method == "astream_chat" else "hi")
        await anext(stream)
        await stream.aclose()
        assert script.closed == 1

    asyncio.run(read_one())


def _serve_unended(listener: socket.socket, streams: int) -> None:
    frame = b'data: {"delta": {"content": "a"}, "finish_reason": null}\n\n'
    with ExitStack() as opened:
        for _ in range(streams):
            connection = opened.enter_context(listener.accept()[0])
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + frame)
        connection.recv(65536)


class Person(BaseModel):
    name: str


ASTREAMS: dict[str, Callable[[Infrai], Any]] = {
    "chat": lambda llm: llm.astream_chat(HI),
    "complete": lambda llm: llm.astream_complete("hi"),
    "objects": lambda llm: llm.astream_structured_predict(Person, PromptTemplate("Who?")),
    "structured": lambda llm: llm.as_structured_llm(Person).astream_chat(HI),
}


@pytest.mark.parametrize("kind", ASTREAMS)
def test_a_stream_that_is_open_when_its_loop_ends_is_closed_without_a_fault(kind: str) -> None:
    faults: list[object] = []
    kept: list[Any] = []

    async def read_one(port: int) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        llm = Infrai(api_key="key", base_url=f"http://127.0.0.1:{port}")
        for _ in range(streams):  # a loop closes them in no order
            kept.append(await ASTREAMS[kind](llm))
            assert await anext(kept[-1])

    streams = 8
    with socket.create_server(("127.0.0.1", 0)) as listener, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # asyncio's, of LlamaIndex's own generator that is told last
        server = threading.Thread(target=_serve_unended, args=(listener, streams), daemon=True)
        server.start()
        asyncio.run(read_one(listener.getsockname()[1]))
        server.join(5)
    assert faults == []


def test_nothing_is_sent_before_the_first_response_is_asked_for(scripted: Make) -> None:
    llm, script = scripted(streamed(["a"]))
    stream = llm.stream_chat(HI)
    assert script.requests == []
    assert next(stream).delta == "a"


# -- cost in time --------------------------------------------------------------------------------------------------


def seconds_for(make: Make, pieces: int) -> float:
    text = json.dumps({"items": [{"n": i} for i in range(pieces)]})
    size = len(text) // pieces
    cut = [text[i : i + size] for i in range(0, len(text), size)]
    llm, _ = make(streamed([fragment(0, cut[0], "c1", "f"), *[fragment(0, piece) for piece in cut[1:]]]))
    began = time.thread_time()
    for response in llm.stream_chat(HI):
        llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    return time.thread_time() - began


def test_reading_the_calls_of_every_chunk_costs_time_in_proportion_to_the_chunks(scripted: Make) -> None:
    few = min(seconds_for(scripted, 400) for _ in range(3))
    many = min(seconds_for(scripted, 3200) for _ in range(2))
    assert many < 8 * few * 2.5  # reading the text anew each time costs some 64 times as much
