"""Tests of LLMs and embedding models that speak OpenAI's HTTP surface, against scripted answers on a real socket.

Here the suites know what the service sent and received: deltas in every order that vendors send them, cut streams,
retries, closed connections, overrides of single calls.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llama_index_infrai.testing.block import png
from llama_index_infrai.testing.embedding import Turnstile, both, embedded
from llama_index_infrai.testing.endpoint import (
    CHATS,
    ENDPOINTS,
    STREAMS,
    WITH_TOOLS,
    Endpoint,
    acollected,
    run,
    text_of,
    usage_of,
)
from llama_index_infrai.testing.service import (
    USAGE,
    Answer,
    Reply,
    Request,
    Service,
    calls,
    error_frame,
    failure,
    serving,
    streamed,
    vectors,
    whole,
)
from llama_index_infrai.testing.subject import EmbeddingSuite, LLMSuite
from llama_index_infrai.testing.suite import Suite
from llama_index_infrai.testing.tool import WEATHER
from llama_index_infrai.testing.watch import watching

KEY = "sk-a-secret-of-the-wire-tests"
_RAW = {"httpx", "httpcore", "h11", "anyio", "aiohttp", "requests", "urllib3", "http", "socket", "ssl", "builtins"}
"""Top-level modules of transport errors, which callers should not have to know."""

every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
every_stream = pytest.mark.parametrize("endpoint", STREAMS, ids=str)
every_chat = pytest.mark.parametrize("endpoint", CHATS, ids=str)
chat_streams = pytest.mark.parametrize("endpoint", [e for e in STREAMS if e.chats], ids=str)


class City(BaseModel):
    """A city."""

    name: str
    rivers: list[str]


CITY = City(name="Paris", rivers=["Seine", "Marne"])
PROMPT = PromptTemplate("A city in {country}")


def paris(endpoint: Endpoint) -> Reply:
    """``Paris``, in the way that the endpoint asks for it."""
    return streamed(["Par", "is"]) if endpoint.streams else whole("Paris")


def call_blocks(response: ChatResponse) -> list[tuple[str | None, str, Any]]:
    """(id, name, arguments) of each call of a response; arguments read where they are text."""
    found = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    return [(block.tool_call_id, block.tool_name, _read(block.tool_kwargs)) for block in found]


def _read(arguments: Any) -> Any:
    return json.loads(arguments) if isinstance(arguments, str) else arguments


class Wired(Suite):
    """What both suites share: a server of scripted answers, and what they have to know of the class under test."""

    @pytest.fixture
    def service(self) -> Iterator[Service]:
        """A server of scripted answers."""
        with serving(self.patience_s) as running:
            yield running

    @property
    def patience_s(self) -> float:
        """How many seconds are waited for what a correct class does at once."""
        return 10.0

    @property
    def limits_every_attempt(self) -> bool:
        """Whether a ``rate_limiter`` is asked before every HTTP attempt, with an estimate of its tokens."""
        return True

    def connection(self, url: str, key: str) -> dict[str, Any]:
        """Constructor arguments for the service at ``url``."""
        return {"api_base": url, "api_key": key}

    def retries(self, count: int) -> dict[str, Any]:
        """Constructor arguments for this many further attempts."""
        return {"max_retries": count}

    @pytest.fixture
    def wired(self, service: Service) -> Iterator[Any]:
        """Makes models that are connected to the service."""
        made: list[Any] = []

        def make(*replies: Reply, **options: Any) -> Any:
            service.script(*replies)
            made.append(self.make(**{**self.connection(service.url, KEY), **self.retries(0), **options}))
            return made[-1]

        yield make
        for model in made:
            self.close(model)


class OpenAIWireTests(Wired, LLMSuite):
    """An LLM that sends chat completions to a base URL."""

    @property
    def reads_thinking(self) -> bool:
        """Whether ``reasoning_content`` is read."""
        return True

    # -- requests --------------------------------------------------------------------------------------------------

    @every_endpoint
    def test_a_call_is_one_request(self, wired: Any, service: Service, endpoint: Endpoint) -> None:
        last = endpoint.ask(wired(paris(endpoint)), "Capital of France?")[-1]
        assert text_of(last) == "Paris"
        (request,) = service.requests
        assert request.path.endswith("/chat/completions")
        assert request.body["messages"][-1]["role"] == "user"
        assert "Capital of France?" in json.dumps(request.body["messages"][-1])

    @every_endpoint
    def test_the_key_is_sent_in_its_header_and_nowhere_else(
        self, wired: Any, service: Service, endpoint: Endpoint
    ) -> None:
        endpoint.ask(wired(paris(endpoint)), "hi")
        (request,) = service.requests
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in request.path
        assert KEY.encode() not in request.content

    @every_endpoint
    def test_what_nobody_set_is_not_sent(self, wired: Any, service: Service, endpoint: Endpoint) -> None:
        endpoint.ask(wired(paris(endpoint)), "hi")
        unset = {"temperature", "top_p", "max_tokens", "tools", "tool_choice", "parallel_tool_calls", "stop", "seed"}
        assert not unset & service.requests[0].body.keys(), "reasoning models refuse options that they do not know"

    @every_endpoint
    def test_options_of_the_call_win(self, wired: Any, service: Service, endpoint: Endpoint) -> None:
        llm = wired(paris(endpoint), temperature=0.1, max_tokens=5)
        endpoint.ask(llm, "hi", temperature=0.9, max_tokens=7)
        body = service.requests[0].body
        assert body["temperature"] == 0.9
        assert (body.get("max_tokens") or body.get("max_completion_tokens")) == 7

    @pytest.mark.parametrize("way", WITH_TOOLS, ids=str)
    def test_tools_are_offered_and_required(self, wired: Any, service: Service, way: Endpoint) -> None:
        way.ask(wired(paris(way)), [WEATHER], user_msg="hi", tool_required=True)
        body = service.requests[0].body
        assert [tool["function"]["name"] for tool in body["tools"]] == ["weather"]
        assert body["tool_choice"] == "required" or body["tool_choice"]["function"]["name"] == "weather"
        assert body["parallel_tool_calls"] is False

    @every_chat
    def test_a_history_of_calls_arrives(self, wired: Any, service: Service, endpoint: Endpoint) -> None:
        called = ToolCallBlock(tool_call_id="call_1", tool_name="weather", tool_kwargs={"city": "Paris"})
        history = [
            ChatMessage(content="Weather?"),
            ChatMessage(role="assistant", blocks=[called]),
            ChatMessage(role="tool", content="rain", additional_kwargs={"tool_call_id": "call_1"}),
        ]
        endpoint.ask(wired(paris(endpoint)), history)
        _, assistant, result = service.requests[0].body["messages"]
        (sent,) = assistant["tool_calls"]
        assert (sent["id"], sent["function"]["name"]) == ("call_1", "weather")
        assert json.loads(sent["function"]["arguments"]) == {"city": "Paris"}
        assert (result["role"], result["tool_call_id"]) == ("tool", "call_1")
        assert "rain" in json.dumps(result)

    @every_chat
    @pytest.mark.parametrize("role", ["user", "assistant", "tool"])
    def test_an_image_arrives_or_is_refused_by_name(
        self, wired: Any, service: Service, endpoint: Endpoint, role: str
    ) -> None:
        image = ImageBlock(image=png(), image_mimetype="image/png")
        extra = {"tool_call_id": "call_1"} if role == "tool" else {}
        message = ChatMessage(role=role, blocks=[TextBlock(text="Look"), image], additional_kwargs=extra)
        called = ToolCallBlock(tool_call_id="call_1", tool_name="look", tool_kwargs={})
        before = [ChatMessage(role="assistant", blocks=[called])] if role == "tool" else []
        llm, refusal = wired(paris(endpoint)), None
        try:
            endpoint.ask(llm, [*before, message])
        except Exception as error:
            refusal = str(error).lower()
        sent = b"".join(request.content for request in service.requests)
        assert base64.b64encode(png()) in sent or "image" in (refusal or "")

    @every_chat
    def test_an_address_is_handed_on_and_not_fetched(self, wired: Any, service: Service, endpoint: Endpoint) -> None:
        url = f"{service.origin}/picture.png"
        endpoint.ask(wired(paris(endpoint)), [ChatMessage(blocks=[ImageBlock(url=url)])])
        assert [request.method for request in service.requests] == ["POST"]
        assert url.encode() in service.requests[0].content

    # -- streams ---------------------------------------------------------------------------------------------------

    @every_stream
    def test_usage_comes_with_the_last_response(self, wired: Any, endpoint: Endpoint) -> None:
        usage = usage_of(endpoint.ask(wired(paris(endpoint)), "hi")[-1])
        assert {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")} == {
            "prompt_tokens": USAGE["prompt_tokens"],
            "completion_tokens": USAGE["completion_tokens"],
        }

    @every_stream
    def test_a_character_may_be_split_between_pieces(self, wired: Any, endpoint: Endpoint) -> None:
        llm = wired(streamed(["Zürich ", "東京 😀"], bytewise=True))
        assert text_of(endpoint.ask(llm, "hi")[-1]) == "Zürich 東京 😀"

    @chat_streams
    def test_two_calls_in_one_chunk_are_two_calls(self, wired: Any, endpoint: Endpoint) -> None:
        delta = calls((0, "c1", "f", '{"a": 1}'), (1, "c2", "g", '{"b": 2}'))
        last = endpoint.ask(wired(streamed([delta], finish_reason="tool_calls")), "hi")[-1]
        assert call_blocks(last) == [("c1", "f", {"a": 1}), ("c2", "g", {"b": 2})]

    @chat_streams
    def test_interleaved_calls_are_put_together_by_their_index(self, wired: Any, endpoint: Endpoint) -> None:
        deltas = [
            calls((0, "c1", "f", '{"a"')),
            calls((1, "c2", "g", '{"b"')),
            calls((0, None, None, ": 1}")),
            calls((1, None, None, ": 2}")),
        ]
        last = endpoint.ask(wired(streamed(deltas, finish_reason="tool_calls")), "hi")[-1]
        assert call_blocks(last) == [("c1", "f", {"a": 1}), ("c2", "g", {"b": 2})]

    @chat_streams
    def test_an_id_and_name_that_are_repeated_are_not_joined(self, wired: Any, endpoint: Endpoint) -> None:
        deltas = [calls((0, "c1", "f", '{"a"')), calls((0, "c1", "f", ": 1}"))]
        last = endpoint.ask(wired(streamed(deltas, finish_reason="tool_calls")), "hi")[-1]
        assert call_blocks(last) == [("c1", "f", {"a": 1})]

    @chat_streams
    def test_calls_with_one_index_and_two_ids_stay_apart(self, wired: Any, endpoint: Endpoint) -> None:
        deltas = [calls((0, "c1", "f", '{"a": 1}')), calls((0, "c2", "f", '{"a": 2}'))]
        last = endpoint.ask(wired(streamed(deltas, finish_reason="tool_calls")), "hi")[-1]
        assert call_blocks(last) == [("c1", "f", {"a": 1}), ("c2", "f", {"a": 2})]

    @chat_streams
    def test_selections_grow_and_end_whole(self, wired: Any, endpoint: Endpoint) -> None:
        text = '{"city": "Paris", "days": [1, 2]}'
        pieces = [calls((0, None, None, text[i : i + 5])) for i in range(5, len(text), 5)]
        llm = wired(streamed([calls((0, "c1", "weather", text[:5])), *pieces], finish_reason="tool_calls"))
        found = [
            llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
            for response in endpoint.ask(llm, "hi")
        ]
        assert [one.tool_kwargs for one in found[-1]] == [{"city": "Paris", "days": [1, 2]}]
        shown = [one.tool_kwargs.get("city") or "" for selections in found for one in selections]
        assert all("Paris".startswith(city) for city in shown)

    @chat_streams
    def test_arguments_that_end_unreadable_raise_nothing(self, wired: Any, endpoint: Endpoint) -> None:
        llm = wired(streamed([calls((0, "c1", "f", '{"a": "b'))], finish_reason="length"))
        for response in endpoint.ask(llm, "hi"):
            for selection in llm.get_tool_calls_from_response(response, error_on_no_tool_call=False):
                assert isinstance(selection.tool_kwargs, dict)

    @chat_streams
    def test_thinking_is_kept_whole_and_shown_where_agents_look(self, wired: Any, endpoint: Endpoint) -> None:
        if not self.reads_thinking:
            pytest.skip("reasoning is not read (reads_thinking)")
        deltas: list[Any] = [{"reasoning_content": "So "}, {"reasoning_content": "it is"}, "Blue"]
        responses = endpoint.ask(wired(streamed(deltas)), "hi")
        (thinking,) = [block for block in responses[-1].message.blocks if isinstance(block, ThinkingBlock)]
        assert thinking.content == "So it is"
        assert text_of(responses[-1]) == "Blue"
        shown = [response.additional_kwargs.get("thinking_delta") or "" for response in responses]
        assert "".join(shown) == "So it is"

    @every_stream
    def test_a_cut_stream_raises(self, wired: Any, endpoint: Endpoint) -> None:
        _fails(wired(streamed(["Par"], ending="cut")), endpoint)

    @every_stream
    def test_a_stream_without_its_end_raises(self, wired: Any, endpoint: Endpoint) -> None:
        _fails(wired(streamed(["Par"], last=b"")), endpoint)

    @every_stream
    def test_an_error_inside_a_stream_raises(self, wired: Any, endpoint: Endpoint) -> None:
        assert "fell over" in str(_fails(wired(streamed(["Par"], last=error_frame())), endpoint))

    @pytest.mark.parametrize("name", ["stream_chat", "stream_complete"])
    @pytest.mark.parametrize("leave", ["close", "drop"])
    def test_leaving_a_stream_closes_its_connection(self, wired: Any, service: Service, name: str, leave: str) -> None:
        llm = wired(streamed(["Par"], ending="wait"))
        given: Any = [ChatMessage(content="hi")] if "chat" in name else "hi"
        gc.disable()  # what only the garbage collector closes may stay open for minutes
        try:
            with watching(llm):  # tracing handlers keep the exception, and with it the frames of the stream
                stream = getattr(llm, name)(given)
                next(stream)
                if leave == "close":
                    stream.close()
                del stream
                assert service.hung_up.wait(service.patience_s)
        finally:
            gc.enable()

    @pytest.mark.parametrize("name", ["astream_chat", "astream_complete"])
    @pytest.mark.parametrize("leave", ["aclose", "cancel"])
    def test_leaving_an_asynchronous_stream_closes_its_connection(
        self, wired: Any, service: Service, name: str, leave: str
    ) -> None:
        method = getattr(wired(streamed(["Par"], ending="wait")), name)
        given: Any = [ChatMessage(content="hi")] if "chat" in name else "hi"

        async def read_on(first: asyncio.Event) -> None:
            async for _ in await method(given):
                first.set()

        async def leave_it() -> bool:
            if leave == "aclose":
                stream = await method(given)
                await anext(stream)
                await stream.aclose()
            else:
                first = asyncio.Event()
                task = asyncio.create_task(read_on(first))
                await first.wait()
                task.cancel()
                await asyncio.wait([task])
            return await asyncio.to_thread(service.hung_up.wait, service.patience_s)

        assert run(leave_it())

    # -- structured answers ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("way", ["stream_structured_predict", "astream_structured_predict"])
    def test_a_streamed_object_is_demanded_and_not_hoped_for(self, wired: Any, service: Service, way: str) -> None:
        llm = wired(_city)
        stream = getattr(llm, way)(City, PROMPT, country="France")
        found = run(acollected(stream)) if way.startswith("a") else list(stream)
        body = service.requests[0].body
        demanded = body.get("tool_choice") not in (None, "auto", "none") or "json_schema" in (
            body.get("response_format") or {}
        )
        assert demanded, "without a demand the model may answer by text"
        assert found[-1] == CITY

    # -- errors, retries, limits -----------------------------------------------------------------------------------

    @every_endpoint
    def test_the_number_of_attempts_is_one_more_than_the_retries(
        self, wired: Any, service: Service, endpoint: Endpoint
    ) -> None:
        with pytest.raises(Exception, match=r".") as caught:
            endpoint.ask(wired(failure(503, retry_after="0"), **self.retries(2)), "hi")
        assert len(service.requests) == 3
        assert KEY not in f"{caught.value!r} {caught.value}"

    @every_endpoint
    def test_a_failed_attempt_is_followed_by_a_good_one(self, wired: Any, service: Service, endpoint: Endpoint) -> None:
        llm = wired(failure(429, retry_after="0"), paris(endpoint), **self.retries(1))
        assert text_of(endpoint.ask(llm, "hi")[-1]) == "Paris"
        assert len(service.requests) == 2

    @every_endpoint
    def test_a_wrong_key_is_not_tried_again(self, wired: Any, service: Service, endpoint: Endpoint) -> None:
        with pytest.raises(Exception, match=r".") as caught:
            endpoint.ask(wired(failure(401, "no such key"), **self.retries(2)), "hi")
        assert "no such key" in str(caught.value)
        assert len(service.requests) == 1

    @every_endpoint
    def test_the_rate_limiter_sees_every_attempt_once_with_its_tokens(
        self, wired: Any, service: Service, endpoint: Endpoint
    ) -> None:
        if not self.limits_every_attempt:
            pytest.skip("only whole calls are limited (limits_every_attempt)")
        limiter = Turnstile()
        replies = (failure(503, retry_after="0"), failure(503, retry_after="0"), paris(endpoint))
        endpoint.ask(wired(*replies, **self.retries(2), rate_limiter=limiter), "one two three four five")
        assert len(limiter.passed) == len(service.requests) == 3
        assert min(limiter.passed) >= 5, limiter.passed

    @pytest.mark.parametrize("name", ["achat", "acomplete", "astream_chat", "astream_complete"])
    def test_others_run_while_an_answer_is_awaited(self, wired: Any, service: Service, name: str) -> None:
        gate = threading.Event()
        endpoint = Endpoint(name)

        def gated(request: Request) -> Answer:
            reply = paris(endpoint)
            made = reply(request) if callable(reply) else reply
            return Answer(made.pieces, made.status, made.headers, made.ending, gate)

        llm = wired(gated)

        async def open_the_gate() -> None:
            await asyncio.to_thread(service.arrived.wait, service.patience_s)
            gate.set()

        async def both_run() -> str:
            given: Any = [ChatMessage(content="hi")] if endpoint.chats else "hi"
            opening = asyncio.create_task(open_the_gate())
            answer = await getattr(llm, name)(given)
            last = (await acollected(answer))[-1] if endpoint.streams else answer
            await opening
            return text_of(last)

        assert run(both_run()) == "Paris"
        assert not service.late.is_set(), "the event loop stood still until the answer came"

    def test_a_second_event_loop_is_served(self, wired: Any) -> None:
        llm = wired(whole("Paris"))
        assert [text_of(run(llm.acomplete("hi"))) for _ in range(3)] == ["Paris"] * 3


def _fails(llm: Any, endpoint: Endpoint) -> Exception:
    """The error of a call that must fail, and not by the transport's own class."""
    with pytest.raises(Exception, match=r".") as caught:
        endpoint.ask(llm, "hi")
    kind = type(caught.value)
    assert kind.__module__.split(".")[0] not in _RAW, f"a raw transport error: {kind.__module__}.{kind.__name__}"
    return caught.value


def _city(request: Request) -> Answer:
    """The city, as text or as a call of the offered tool, in small pieces."""
    text = CITY.model_dump_json()
    pieces = [text[i : i + 6] for i in range(0, len(text), 6)]
    tools = request.body.get("tools")
    if not tools:
        return streamed(pieces)(request)
    name = tools[0]["function"]["name"]
    deltas = [calls((0, "c1", name, pieces[0])), *[calls((0, None, None, piece)) for piece in pieces[1:]]]
    return streamed(deltas, finish_reason="tool_calls")(request)


class OpenAIEmbeddingWireTests(Wired, EmbeddingSuite):
    """An embedding model that sends requests to a base URL."""

    @both
    def test_a_batch_is_one_request_and_keeps_its_order(self, wired: Any, service: Service, is_async: bool) -> None:
        model = wired(vectors, embed_batch_size=2)
        assert [row[0] for row in embedded(model, ["a", "bb", "ccc", "dddd", "eeeee"], is_async)] == [1, 2, 3, 4, 5]
        assert sorted(len(request.body["input"]) for request in service.requests) == [1, 2, 2]

    @both
    def test_a_missing_vector_is_an_error(self, wired: Any, is_async: bool) -> None:
        def one_short(request: Request) -> Answer:
            body = json.loads(vectors(request).pieces[0])
            return Answer([json.dumps({**body, "data": body["data"][1:]}).encode()])

        with pytest.raises(Exception, match=r"."):
            embedded(wired(one_short), ["a", "bb"], is_async)

    @both
    def test_the_number_of_attempts_is_one_more_than_the_retries(
        self, wired: Any, service: Service, is_async: bool
    ) -> None:
        with pytest.raises(Exception, match=r"."):
            embedded(wired(failure(503, retry_after="0"), **self.retries(2)), ["a"], is_async)
        assert len(service.requests) == 3

    @both
    def test_the_rate_limiter_sees_every_attempt_once_with_its_tokens(
        self, wired: Any, service: Service, is_async: bool
    ) -> None:
        if not self.limits_every_attempt:
            pytest.skip("only whole calls are limited (limits_every_attempt)")
        limiter = Turnstile()
        model = wired(failure(503, retry_after="0"), vectors, **self.retries(1), rate_limiter=limiter)
        embedded(model, ["one two three", "four five"], is_async)
        assert len(limiter.passed) == len(service.requests) == 2
        assert min(limiter.passed) >= 5, limiter.passed

    @both
    def test_the_key_is_sent_in_its_header_and_nowhere_else(self, wired: Any, service: Service, is_async: bool) -> None:
        embedded(wired(vectors), ["a"], is_async)
        (request,) = service.requests
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert KEY.encode() not in request.content
