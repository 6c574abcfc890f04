"""Inside what people build with LangChain: chains, agents, graphs, middleware, fallbacks, traces."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware, SummarizationMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage, trim_messages
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langsmith import Client
from pydantic import BaseModel

from infrai_core import Retry
from langchain_infrai import ChatInfrai, InfraiEmbeddings, InfraiTracer, init_chat_model
from langchain_infrai.errors import InfraiServerError
from tests.core.wall import DONE, LAST, STREAM_HEAD, Play, Wall, fail, frame, ok, text_frame

FACT = "The bridge was opened in 1932. It is 503 metres long."


@pytest.fixture
def model() -> Iterator[ChatInfrai]:
    made = ChatInfrai.embedded(temperature=0)
    yield made
    made.close()


def at(wall: Wall, **fields: Any) -> ChatInfrai:
    retry = Retry(attempts=fields.pop("max_retries", 0), first_s=0)
    return ChatInfrai(api_key="key", base_url=wall.url, client_options={"retry": retry}, **fields)


def said(text: str, **metadata: Any) -> Play:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    reply = {"parts": [{"type": "text", "text": text}], "finish_reason": "stop", "model": "m", "usage": usage}
    return ok(reply, **metadata)


class Bridge(BaseModel):
    """A bridge."""

    length_metres: int
    opened_year: int


@tool
def population(city: str) -> str:
    """The number of people in a city."""
    return f"{city} has 709037 people."


# -- chains --------------------------------------------------------------------------------------------------------


def test_a_chain_streams_through_its_parser(model: ChatInfrai) -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{fact} {question}")])
    chain = prompt | model | StrOutputParser()
    given = {"fact": FACT, "question": "How long is the bridge?"}
    pieces = list(chain.stream(given))
    assert len(pieces) > 2
    assert "".join(pieces) == chain.invoke(given)
    assert "503" in "".join(pieces)


def test_json_grows_while_it_streams(model: ChatInfrai) -> None:
    schema = Bridge.model_json_schema()
    bound = model.bind(response_format={"type": "json_schema", "json_schema": {"name": "Bridge", "schema": schema}})
    seen = list((bound | JsonOutputParser()).stream(FACT))
    assert seen[-1] == {"length_metres": 503, "opened_year": 1932}


def test_branches_run_side_by_side_and_asynchronously(model: ChatInfrai) -> None:
    ask = RunnableLambda(lambda question: f"{FACT} {question}") | model | StrOutputParser()
    chain = RunnableParallel(
        length=RunnableLambda(lambda _: "How long is the bridge?") | ask,
        year=RunnableLambda(lambda _: "When was the bridge opened?") | ask,
    )
    for found in (chain.invoke({}), asyncio.run(chain.ainvoke({}))):
        assert "503" in found["length"]
        assert "1932" in found["year"]


def test_events_of_a_chain_carry_tokens_and_usage(model: ChatInfrai) -> None:
    async def events() -> list[Any]:
        chain = RunnableLambda(lambda text: text) | model
        return [event async for event in chain.astream_events(f"{FACT} How long is the bridge?", version="v2")]

    seen = asyncio.run(events())
    assert [e for e in seen if e["event"] == "on_chat_model_stream"]
    [end] = [e for e in seen if e["event"] == "on_chat_model_end"]
    assert end["data"]["output"].usage_metadata["total_tokens"] > 0


def test_a_batch_keeps_order_and_gives_errors_back_in_their_place() -> None:
    plays = [said("a"), fail(400, "INVALID_REQUEST"), said("c")]
    with Wall(plays) as wall:
        found = at(wall).batch(["x", "y", "z"], {"max_concurrency": 1}, return_exceptions=True)
    assert [getattr(one, "text", type(one).__name__) for one in found] == ["a", "InfraiInvalidRequest", "c"]


# -- agents and graphs ---------------------------------------------------------------------------------------------


def test_an_agent_answers_in_a_form_that_the_model_keeps_itself(model: ChatInfrai) -> None:
    agent = create_agent(model, tools=[], response_format=ProviderStrategy(Bridge))
    assert agent.invoke({"messages": FACT})["structured_response"] == Bridge(length_metres=503, opened_year=1932)


def test_an_agent_answers_in_a_form_by_a_tool(model: ChatInfrai) -> None:
    agent = create_agent(model, tools=[], response_format=ToolStrategy(Bridge))
    assert agent.invoke({"messages": FACT})["structured_response"] == Bridge(length_metres=503, opened_year=1932)


def test_the_profile_lets_an_agent_choose_the_models_own_form(model: ChatInfrai) -> None:
    pinned = ChatInfrai.embedded(model="infrai-offline")
    agent = create_agent(pinned, tools=[], response_format=Bridge)
    made = agent.invoke({"messages": FACT})
    assert made["structured_response"] == Bridge(length_metres=503, opened_year=1932)
    assert not [message for message in made["messages"] if isinstance(message, ToolMessage)]


def test_an_agent_on_a_configurable_model_calls_its_tools() -> None:
    chosen = init_chat_model(configurable_fields=["model"], base_url="embedded", temperature=0)
    agent = create_agent(chosen, tools=[population])
    config: Any = {"configurable": {"model": "infrai-offline-fast"}}
    made = agent.invoke({"messages": "How many people live in the city Oslo?"}, config)["messages"]
    assert [m.content for m in made if isinstance(m, ToolMessage)] == ["Oslo has 709037 people."]
    assert made[-1].response_metadata["model_name"] == "infrai-offline-fast"


@pytest.mark.parametrize("version", [None, "v1"])
def test_a_graph_remembers_a_conversation_through_its_checkpoints(version: str | None) -> None:
    model = ChatInfrai.embedded(temperature=0, output_version=version)
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "answer")
    app = graph.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    app.invoke({"messages": [HumanMessage(f"{FACT} How long is the bridge?")]}, config)
    made = app.invoke({"messages": [HumanMessage("When was the bridge opened?")]}, config)
    assert "1932" in made["messages"][-1].text
    assert len(made["messages"]) == 4


def test_a_graph_streams_the_models_tokens(model: ChatInfrai) -> None:
    agent = create_agent(model, tools=[population])
    asked = {"messages": [HumanMessage("How many people live in the city Oslo?")]}
    pieces = [chunk for chunk, _ in agent.stream(asked, stream_mode="messages") if isinstance(chunk, AIMessage)]
    assert "709037" in "".join(piece.text for piece in pieces)


@pytest.mark.parametrize("version", [None, "v1"])
def test_all_chunks_of_a_message_have_the_id_that_it_has_in_the_graphs_state(version: str | None) -> None:
    agent = create_agent(ChatInfrai.embedded(temperature=0, output_version=version), tools=[population])
    asked = {"messages": [HumanMessage("How many people live in the city Oslo?")]}
    streamed, kept = [], []
    for mode, piece in agent.stream(asked, stream_mode=["messages", "values"]):
        if mode == "messages":
            streamed += [piece[0]] if isinstance(piece[0], AIMessage) else []
        else:
            kept = [message for message in piece["messages"] if isinstance(message, AIMessage)]
    assert len(kept) == 2
    assert list(dict.fromkeys(chunk.id for chunk in streamed)) == [message.id for message in kept]


# -- errors --------------------------------------------------------------------------------------------------------


def test_retry_middleware_repeats_what_may_succeed_and_nothing_else() -> None:
    retry: Any = ModelRetryMiddleware(max_retries=2, initial_delay=0, jitter=False, on_failure="error")
    with Wall([fail(503, "OVERLOADED"), said("hi"), fail(402, "INSUFFICIENT_CREDIT")]) as wall:
        agent = create_agent(at(wall), tools=[], middleware=[retry])
        assert agent.invoke({"messages": "x"})["messages"][-1].text == "hi"
        with pytest.raises(Exception, match="INSUFFICIENT_CREDIT"):
            agent.invoke({"messages": "x"})
        assert len(wall.requests) == 3


def test_retry_middleware_repeats_a_cut_stream() -> None:
    retry: Any = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    whole = Play([STREAM_HEAD, text_frame("hi"), frame(LAST), DONE])
    with Wall([Play([STREAM_HEAD, text_frame("h")]), whole]) as wall:
        agent = create_agent(at(wall, streaming=True), tools=[], middleware=[retry])
        assert agent.invoke({"messages": "x"})["messages"][-1].text == "hi"


def test_summarization_trusts_our_token_counts_and_shortens_what_the_model_found_too_long() -> None:
    used: Any = {"input_tokens": 5000, "output_tokens": 1, "total_tokens": 5001}
    told = AIMessage("hello", usage_metadata=used, response_metadata={"model_provider": "infrai"})
    with Wall([fail(400, "CONTEXT_LENGTH_EXCEEDED"), said("They said hello."), said("hi")]) as wall:
        model = at(wall)
        shorten: Any = SummarizationMiddleware(model=model, trigger=("tokens", 4000), keep=("messages", 1))
        agent = create_agent(model, tools=[], middleware=[shorten])
        history = [HumanMessage("hello " * 500), told, HumanMessage("how are you?")]
        assert agent.invoke({"messages": history})["messages"][-1].text == "hi"
        first, second, last = (json.dumps(request.body["messages"]) for request in wall.requests)
    assert len(second) < len(first)
    assert "They said hello." in last


def test_with_retry_and_with_fallbacks_take_our_errors() -> None:
    with Wall([fail(503, "OVERLOADED"), said("again")]) as wall:
        patient = at(wall).with_retry(
            retry_if_exception_type=(InfraiServerError,),
            wait_exponential_jitter=False,
            stop_after_attempt=2,
            exponential_jitter_params={"initial": 0, "max": 0},
        )
        assert patient.invoke("x").text == "again"
    with Wall([fail(503, "NO_VENDOR_AVAILABLE")]) as broken, Wall([said("other")]) as wall:
        chain = at(broken).with_fallbacks([at(wall)], exceptions_to_handle=(InfraiServerError,))
        assert chain.invoke("x").text == "other"


def test_a_stream_falls_back_before_its_first_chunk() -> None:
    whole = Play([STREAM_HEAD, text_frame("other"), frame(LAST), DONE])
    with Wall([fail(503, "NO_VENDOR_AVAILABLE")]) as broken, Wall([whole]) as wall:
        chain = at(broken).with_fallbacks([at(wall)])
        assert "".join(chunk.text for chunk in chain.stream("x")) == "other"


# -- messages ------------------------------------------------------------------------------------------------------


def test_messages_are_trimmed_by_the_models_own_count(model: ChatInfrai) -> None:
    history = [SystemMessage("Be brief."), *[HumanMessage(f"message {n} " * 20) for n in range(10)]]
    limit = model.get_num_tokens_from_messages(history[-3:]) + model.get_num_tokens_from_messages(history[:1])
    kept = trim_messages(history, max_tokens=limit, token_counter=model, strategy="last", include_system=True)
    assert kept == [history[0], *history[-3:]]


def test_an_answer_with_signed_reasoning_goes_back_as_it_came() -> None:
    parts = [
        {"type": "reasoning", "text": "So.", "opaque": {"sig": "c2ln"}, "vendor": "v", "model": "m"},
        {"type": "text", "text": "hi"},
    ]
    reply = ok({"parts": parts, "finish_reason": "stop", "model": "m"})
    with Wall([reply, said("bye")]) as wall:
        model = at(wall)
        answer = model.invoke("x")
        model.invoke([HumanMessage("x"), answer, HumanMessage("y")])
        assert wall.requests[1].body["messages"][1]["parts"] == parts


def test_vectors_are_found_in_a_store() -> None:
    from langchain_core.vectorstores import InMemoryVectorStore

    store = InMemoryVectorStore(InfraiEmbeddings.embedded())
    store.add_texts(["red apple pie", "steel bridge", "blue whale"])
    assert store.similarity_search("apple", k=1)[0].page_content == "red apple pie"


# -- traces --------------------------------------------------------------------------------------------------------


class _LangSmith(BaseHTTPRequestHandler):
    """Takes runs as LangSmith's API does: POST /runs, then PATCH /runs/<id>."""

    runs: dict[str, dict[str, Any]]

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._keep(given["id"], given)

    def do_PATCH(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._keep(self.path.rpartition("/")[2], given)

    def _keep(self, run_id: str, given: dict[str, Any]) -> None:
        self.runs.setdefault(run_id, {}).update(given)
        self.send_response(202)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def langsmith() -> Iterator[tuple[Client, dict[str, dict[str, Any]]]]:
    runs: dict[str, dict[str, Any]] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("LangSmith", (_LangSmith,), {"runs": runs}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    client = Client(api_url=url, api_key="key", auto_batch_tracing=False, info={})
    yield client, runs
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_trace_shows_who_served_the_call_and_what_it_cost(langsmith: Any, stream: bool) -> None:
    client, runs = langsmith
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    last = {**LAST, "usage": usage, "metadata": {"model": "m", "vendor": "v", "cost_usd": 0.002, "request_id": "r"}}
    play = Play([STREAM_HEAD, text_frame("hi"), frame(last), DONE])
    whole = said("hi", model="m", vendor="v", cost_usd=0.002, request_id="r")
    with Wall([play if stream else whole]) as wall:
        message = at(wall, model="auto").invoke("x", {"callbacks": [InfraiTracer(client=client)]}, stream=stream)
    [run] = runs.values()
    metadata = run["extra"]["metadata"]
    assert metadata["usage_metadata"] == {
        "input_tokens": 3,
        "output_tokens": 2,
        "total_tokens": 5,
        "total_cost": 0.002,
    }
    assert (metadata["ls_provider"], metadata["ls_model_name"]) == ("v", "m")
    assert metadata["ls_model_type"] == "chat"
    assert "langchain-infrai" in metadata["lc_versions"]
    assert "key" not in json.dumps(run).replace("idempotency_key", "").split('"')
    # The message itself keeps whole numbers only, so that LangChain can add them up.
    assert message.usage_metadata == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    assert "lc_gateway_metadata" not in message.response_metadata


def test_a_trace_of_a_failed_call_has_its_error(langsmith: Any) -> None:
    client, runs = langsmith
    with Wall([fail(402, "INSUFFICIENT_CREDIT")]) as wall, pytest.raises(Exception, match="INSUFFICIENT_CREDIT"):
        at(wall).invoke("x", {"callbacks": [InfraiTracer(client=client)]})
    [run] = runs.values()
    assert "INSUFFICIENT_CREDIT" in run["error"]
