from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, LLMMetadata
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index_instrumentation.dispatcher import instrument_tags
from pydantic import BaseModel

from infrai_core import BudgetSpent, ConfigError, Ledger
from infrai_core.testing import Script, envelope, reply, streamed
from llama_index_infrai import (
    Infrai,
    InfraiAudioReader,
    InfraiBudgetHandler,
    InfraiEmbedding,
    InfraiRerank,
    InfraiToolSpec,
    InfraiUsageHandler,
)

pytest.importorskip("infrai_runtime.embedded", reason="the runtime's extra is not installed")

from tests.llama_index.played import played

PRICE = Decimal("0.00002")
"""What one call of the played model costs."""
USED = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


@pytest.fixture
def usage() -> Iterator[InfraiUsageHandler]:
    gc.collect()  # a stream that another test left would be booked here, for this listens to the whole process
    with InfraiUsageHandler() as handler:
        yield handler


def scripted(kind: Any, *answers: Any, **options: Any) -> Any:
    return kind(api_key="ifr_secret_key", transport=Script(answers), **options)


class Person(BaseModel):
    """A person."""

    name: str


PROMPT = PromptTemplate("Who is it?")
ANNA = '{"name": "Anna"}'


# -- what counts ---------------------------------------------------------------------------------------------------


def endpoints(llm: Infrai) -> dict[str, Any]:
    """The eight endpoints, each called once."""
    messages = [ChatMessage(content="hi")]

    async def drain(stream: Any) -> None:
        async for _ in await stream:
            pass

    return {
        "chat": lambda: llm.chat(messages),
        "complete": lambda: llm.complete("hi"),
        "stream_chat": lambda: list(llm.stream_chat(messages)),
        "stream_complete": lambda: list(llm.stream_complete("hi")),
        "achat": lambda: asyncio.run(llm.achat(messages)),
        "acomplete": lambda: asyncio.run(llm.acomplete("hi")),
        "astream_chat": lambda: asyncio.run(drain(llm.astream_chat(messages))),
        "astream_complete": lambda: asyncio.run(drain(llm.astream_complete("hi"))),
    }


@pytest.mark.parametrize("name", endpoints(Infrai(api_key="k")))
def test_every_endpoint_counts_once(usage: InfraiUsageHandler, tmp_path: Path, name: str) -> None:
    with played(tmp_path, "hello there") as (llm, _):
        endpoints(llm)[name]()
    total = usage.total
    assert (total.calls, total.prompt_tokens, total.completion_tokens, total.cost_usd) == (1, 10, 5, PRICE)
    assert usage.by("model").keys() == {"big"}
    assert usage.by("vendor").keys() == {"played"}
    assert usage.by("capability").keys() == {"chat"}


@pytest.mark.parametrize(
    "ask",
    [
        lambda llm: llm.structured_predict(Person, PROMPT),
        lambda llm: asyncio.run(llm.astructured_predict(Person, PROMPT)),
        lambda llm: list(llm.stream_structured_predict(Person, PROMPT)),
        lambda llm: llm.as_structured_llm(Person).complete("Who?"),
        lambda llm: llm.as_structured_llm(Person).chat([ChatMessage(content="Who?")]),
        lambda llm: list(llm.as_structured_llm(Person).stream_chat([ChatMessage(content="Who?")])),
    ],
    ids=["predict", "apredict", "stream", "structured complete", "structured chat", "structured stream"],
)
def test_a_structured_answer_counts_once_though_it_is_reported_twice(
    usage: InfraiUsageHandler, tmp_path: Path, ask: Any
) -> None:
    with played(tmp_path, ("Person", {"name": "Anna"})) as (llm, _):
        ask(llm)
    assert (usage.total.calls, usage.total.cost_usd) == (1, PRICE)


def test_an_agents_calls_count_once_each(usage: InfraiUsageHandler, tmp_path: Path) -> None:
    def weather(city: str) -> str:
        """Tells the weather."""
        return f"rain in {city}"

    async def ask(llm: Infrai) -> None:
        await FunctionAgent(tools=[weather], llm=llm).run("Oslo?")

    with played(tmp_path, ("weather", {"city": "Oslo"}), "It rains.") as (llm, _):
        asyncio.run(ask(llm))
    assert (usage.total.calls, usage.total.cost_usd) == (2, 2 * PRICE)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_stream_that_was_left_counts_with_estimated_tokens_and_no_cost(
    usage: InfraiUsageHandler, is_async: bool
) -> None:
    llm = scripted(Infrai, streamed(["one ", "two ", "three"]))

    async def leave() -> None:
        stream = await llm.astream_chat([ChatMessage(content="count")])
        await anext(stream)
        await stream.aclose()

    if is_async:
        asyncio.run(leave())
    else:
        stream = llm.stream_chat([ChatMessage(content="count")])
        next(stream)
        stream.close()
    (entry,) = usage.ledger.rows
    assert (entry.outcome, entry.estimated, entry.cost_usd) == ("aborted", True, None)
    assert usage.total.unpriced_calls == usage.total.aborted_calls == 1


def test_a_stream_that_broke_counts_as_aborted(usage: InfraiUsageHandler) -> None:
    from infrai_core import StreamInterrupted

    llm = scripted(Infrai, streamed(["one "], cut=True))
    with pytest.raises(StreamInterrupted):
        list(llm.stream_complete("count"))
    assert usage.total.aborted_calls == 1


def test_every_capability_counts(usage: InfraiUsageHandler, tmp_path: Path) -> None:
    vectors = envelope({"embeddings": [[1.0]], "model": "e", "usage": {"prompt_tokens": 3}}, model="e", cost_usd=0.5)
    scripted(InfraiEmbedding, vectors).get_text_embedding("text")
    ranked = envelope({"results": []}, cost_usd=0.25)
    scripted(InfraiRerank, ranked).postprocess_nodes([NodeWithScore(node=TextNode(text="a"))], query_str="q")
    scripted(InfraiAudioReader, envelope({"text": "hello"})).load_data(b"sound")
    tools = InfraiToolSpec(tmp_path, api_key="k", transport=Script([reply("a cat")]))
    tools.look_at_images("What?", ["https://nowhere.invalid/a.png"])
    assert {name: totals.calls for name, totals in usage.by("capability").items()} == {
        "embed": 1,
        "rerank": 1,
        "asr": 1,
        "vision": 1,
    }
    assert usage.by("capability")["embed"].cost_usd == Decimal("0.5")


def test_an_unknown_price_is_not_zero(usage: InfraiUsageHandler) -> None:
    scripted(Infrai, reply("hi", cost_usd=None)).complete("hi")
    assert (usage.ledger.rows[0].cost_usd, usage.total.unpriced_calls) == (None, 1)


def test_outside_of_the_block_nothing_counts() -> None:
    llm = scripted(Infrai, reply("a"), reply("b"), reply("c"))
    llm.complete("before")
    with InfraiUsageHandler() as usage:
        llm.complete("inside")
    llm.complete("after")
    assert (usage.total.calls, llm.ledger.total.calls) == (1, 3)


def test_blocks_inside_each_other_count_their_own(usage: InfraiUsageHandler) -> None:
    llm = scripted(Infrai, reply("a"), reply("b"))
    with InfraiUsageHandler() as inner:
        llm.complete("a")
    llm.complete("b")
    assert (inner.total.calls, usage.total.calls) == (1, 2)


def test_a_handler_can_be_added_to_the_dispatcher_as_any_other() -> None:
    usage, root = InfraiUsageHandler(ledger=Ledger()), get_dispatcher()
    root.add_event_handler(usage)
    try:
        scripted(Infrai, reply("hi")).complete("hi")
    finally:
        root.event_handlers.remove(usage)
    assert usage.total.calls == 1


def test_a_handler_leaves_the_dispatcher_as_it_was() -> None:
    root = get_dispatcher()
    before = [*root.event_handlers], [*root.span_handlers]
    with InfraiUsageHandler(), InfraiUsageHandler():
        pass
    assert ([*root.event_handlers], [*root.span_handlers]) == before


def test_threads_count_into_one_handler(usage: InfraiUsageHandler) -> None:
    llm = Infrai(api_key="k", transport=Script([reply("hi", usage=USED)], repeat_last=True))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: llm.complete("hi"), range(64)))
    assert (usage.total.calls, usage.total.total_tokens) == (64, 64 * 12)


# -- tags and runs -------------------------------------------------------------------------------------------------


def test_tags_are_those_of_the_place_that_called_also_for_streams(usage: InfraiUsageHandler) -> None:
    llm = scripted(Infrai, reply("a"), streamed(["b"]), reply("c"), tags={"team": "search"})
    with instrument_tags({"user": "anna", "tries": 2}):
        llm.complete("a")
        stream = llm.stream_complete("b")
    with instrument_tags({"user": "boris"}):
        list(stream)
    llm.complete("c")
    assert {name: totals.calls for name, totals in usage.by("tag:user").items()} == {"anna": 2}
    assert usage.by("tag")["tries=2"].calls == 2
    assert usage.by("tag:team")["search"].calls == 3


def test_a_run_is_one_query_with_all_that_it_caused(usage: InfraiUsageHandler) -> None:
    splitter = SentenceSplitter(chunk_size=50, chunk_overlap=0, tokenizer=str.split)
    documents = [Document(text="A ticket costs twelve euros."), Document(text="Dogs may come in.")]
    embedding = InfraiEmbedding.embedded()
    index = VectorStoreIndex.from_documents(documents, embed_model=embedding, transformations=[splitter])
    engine = index.as_query_engine(llm=Infrai.embedded(), node_postprocessors=[InfraiRerank.embedded(top_n=1)])
    usage.ledger.clear()
    for question in ("What does a ticket cost?", "May dogs come in?"):
        engine.query(question)
    runs = usage.by("run")
    assert [totals.calls for totals in runs.values()] == [3, 3]  # embed, rerank, chat
    assert all(name.startswith("RetrieverQueryEngine.query-") for name in runs)


def test_a_stream_belongs_to_the_run_that_asked_for_it(usage: InfraiUsageHandler) -> None:
    llm = scripted(Infrai, streamed(["a ", "b"]))

    @get_dispatcher("tests").span
    def research() -> Any:
        return llm.stream_complete("hi")

    list(research())  # the span is over when the stream ends
    (run,) = usage.by("run")
    assert "research-" in run


def offline() -> dict[str, Any]:
    splitter = SentenceSplitter(chunk_size=50, chunk_overlap=0, tokenizer=str.split)
    return {"embed_model": InfraiEmbedding.embedded(), "transformations": [splitter]}


# -- beside others -------------------------------------------------------------------------------------------------


class Other(CustomLLM):
    """Another integration's LLM; ``raw`` is its vendor's response."""

    raw: Any = None

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="hi", raw=self.raw)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        yield self.complete(prompt)


class Vendors(BaseModel):
    """A response as a vendor's SDK has it."""

    id: str
    model: str
    usage: dict[str, int]


@pytest.mark.parametrize(
    "raw",
    [
        {"id": "r1", "model": "m", "usage": {"prompt_tokens": 7, "completion_tokens": 5}},
        {"id": "r1", "model": "m", "usage": {"input_tokens": 7, "output_tokens": 5}},
        Vendors(id="r1", model="m", usage={"prompt_tokens": 7, "completion_tokens": 5}),
    ],
    ids=["openai", "anthropic", "object"],
)
def test_another_integrations_answer_counts_once_with_unknown_cost(usage: InfraiUsageHandler, raw: Any) -> None:
    llm = Other(raw=raw)
    llm.complete("hi")
    list(llm.stream_complete("hi"))  # the same response, reported as a completion and as a stream
    (entry,) = usage.ledger.rows
    assert (entry.model, entry.prompt_tokens, entry.completion_tokens, entry.cost_usd) == ("m", 7, 5, None)


def test_another_integrations_answer_without_usage_is_ignored(usage: InfraiUsageHandler) -> None:
    Other(raw={"id": "r1"}).complete("hi")
    Other().complete("hi")
    assert usage.total.calls == 0


@pytest.mark.parametrize("name", endpoints(Infrai(api_key="k")))
def test_the_token_counter_reports_the_true_counts(usage: InfraiUsageHandler, tmp_path: Path, name: str) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    with played(tmp_path, "hello there", callback_manager=CallbackManager([counter])) as (llm, _):
        endpoints(llm)[name]()
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (10, 5)
    assert usage.total.total_tokens == counter.total_llm_token_count


@pytest.mark.parametrize("name", endpoints(Infrai(api_key="k")))
def test_openinference_reports_the_true_counts_and_warns_of_nothing(
    usage: InfraiUsageHandler, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with traced() as spans, played(tmp_path, "hello there") as (llm, _), caplog.at_level(logging.WARNING):
        endpoints(llm)[name]()
    attributes = [dict(span.attributes or {}) for span in spans.get_finished_spans()]
    counted = [a for a in attributes if "llm.token_count.total" in a]
    assert [
        (a["llm.token_count.prompt"], a["llm.token_count.completion"], a["llm.token_count.total"]) for a in counted
    ] == [(10, 5, 15)]
    assert caplog.records == []
    assert usage.total.calls == 1


def test_openinference_shows_the_model_and_what_caches_and_thoughts_took() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}
    told = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16, **details}
    llm = scripted(Infrai, reply("hi", usage=told), streamed(["hi"], usage=told), model="gpt-5")
    with traced() as spans:
        llm.chat([ChatMessage(content="hi")])
        list(llm.stream_chat([ChatMessage(content="hi")]))
    shown = [dict(span.attributes or {}) for span in spans.get_finished_spans()]
    names = (
        "llm.model_name",
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.completion_details.reasoning",
    )
    assert [[a.get(name) for name in names] for a in shown if "llm.token_count.total" in a] == [["gpt-5", 4, 2]] * 2


def test_openinference_traces_a_whole_pipeline_without_a_warning(
    usage: InfraiUsageHandler, caplog: pytest.LogCaptureFixture
) -> None:
    with traced() as spans, caplog.at_level(logging.WARNING):
        index = VectorStoreIndex.from_documents([Document(text="A ticket costs twelve euros.")], **offline())
        engine = index.as_query_engine(llm=Infrai.embedded(), node_postprocessors=[InfraiRerank.embedded(top_n=1)])
        engine.query("What does a ticket cost?")
    kinds = {(span.attributes or {}).get("openinference.span.kind") for span in spans.get_finished_spans()}
    assert {"EMBEDDING", "LLM", "RERANKER", "RETRIEVER"} <= kinds
    assert caplog.records == []


@contextlib.contextmanager
def traced() -> Iterator[Any]:
    """The spans that OpenInference's instrumentation makes."""
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield exporter
    finally:
        instrumentor.uninstrument()
        provider.shutdown()


# -- the budget ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", endpoints(Infrai(api_key="k")))
def test_a_spent_budget_stops_a_call_before_it_is_made(usage: InfraiUsageHandler, tmp_path: Path, name: str) -> None:
    manager = CallbackManager([InfraiBudgetHandler(PRICE, usage)])
    with played(tmp_path, "hello", callback_manager=manager) as (llm, model):
        endpoints(llm)[name]()
        with pytest.raises(BudgetSpent, match="the call was not made"):
            endpoints(llm)[name]()
    assert len(model.requests) == usage.total.calls == 1
    gc.collect()  # a stream that never began leaves nothing behind


def test_what_embeddings_cost_counts_for_the_budget_and_they_are_stopped_too(usage: InfraiUsageHandler) -> None:
    vectors = envelope({"embeddings": [[1.0]], "model": "e"}, model="e", cost_usd=0.5)
    manager = CallbackManager([InfraiBudgetHandler("0.5", usage)])
    embedding = scripted(InfraiEmbedding, vectors, callback_manager=manager)
    llm = scripted(Infrai, callback_manager=manager)
    rerank = scripted(InfraiRerank, callback_manager=manager)
    embedding.get_text_embedding("text")
    nodes = [NodeWithScore(node=TextNode(text="a"))]
    for call in (
        lambda: embedding.get_text_embedding("more"),
        lambda: asyncio.run(embedding.aget_text_embedding_batch(["more"])),
        lambda: llm.complete("hi"),
        lambda: rerank.postprocess_nodes(nodes, query_str="q"),
        lambda: asyncio.run(rerank.apostprocess_nodes(nodes, query_str="q")),
    ):
        with pytest.raises(BudgetSpent):
            call()
    assert usage.total.calls == 1


def test_an_agent_stops_when_the_budget_is_spent(usage: InfraiUsageHandler, tmp_path: Path) -> None:
    def more() -> str:
        """Goes on."""
        return "more"

    async def run(llm: Infrai) -> None:
        await FunctionAgent(tools=[more], llm=llm).run("go on")

    manager = CallbackManager([InfraiBudgetHandler(2 * PRICE, usage)])
    turns = [("more", {})] * 2
    with played(tmp_path, *turns, callback_manager=manager) as (llm, model), pytest.raises(BudgetSpent):
        asyncio.run(run(llm))
    assert len(model.requests) == 2


def test_a_budget_can_watch_the_ledger_of_one_component(tmp_path: Path) -> None:
    with played(tmp_path, "hello") as (llm, model):
        llm.callback_manager = CallbackManager([InfraiBudgetHandler(PRICE, llm.ledger)])
        llm.complete("hi")
        with pytest.raises(BudgetSpent):
            llm.complete("hi")
    assert len(model.requests) == 1


def test_other_integrations_are_stopped_as_well(usage: InfraiUsageHandler) -> None:
    scripted(Infrai, reply("hi", cost_usd=1)).complete("hi")
    other = Other(callback_manager=CallbackManager([InfraiBudgetHandler(1, usage)]))
    with pytest.raises(BudgetSpent):
        other.complete("hi")


@pytest.mark.parametrize("budget", [0, -1, "free", float("nan")])
def test_a_budget_that_is_no_amount_is_refused(budget: Any) -> None:
    with pytest.raises(ConfigError, match="limit_usd"):
        InfraiBudgetHandler(budget, Ledger())


# -- showing it ----------------------------------------------------------------------------------------------------


def test_it_shows_as_a_table_and_never_a_key(usage: InfraiUsageHandler) -> None:
    scripted(Infrai, reply("hi", cost_usd=0.25, model="m1")).complete("hi")
    assert "m1" in str(usage)
    assert "0.250000" in str(usage.table("vendor"))
    assert "<table>" in usage._repr_html_()
    assert "ifr_secret_key" not in str(usage) + repr(usage)
    assert pickle.loads(pickle.dumps(usage.ledger)).total == usage.total
