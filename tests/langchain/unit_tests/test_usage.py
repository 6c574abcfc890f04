"""What the usage callback counts, on scripted answers."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.runnables.config import ContextThreadPoolExecutor
from langchain_core.tools import tool

from infrai_core import BudgetSpent, ConfigError, Ledger
from infrai_core.testing import Script, envelope, reply, streamed
from langchain_infrai import (
    ChatInfrai,
    InfraiEmbeddings,
    InfraiImageTool,
    InfraiRerank,
    InfraiUsageCallbackHandler,
    get_infrai_callback,
)
from langchain_infrai.errors import InfraiBudgetSpent, InfraiConfigError

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
TRIED = [
    {"vendor": "slow", "model": "m", "outcome": "VENDOR_TIMEOUT", "latency_ms": 9, "cost_usd": None},
    {"vendor": "quick", "model": "m", "outcome": "ok", "latency_ms": 3, "cost_usd": 0.25},
]
ANSWER = {"usage": USAGE, "cost_usd": 0.25, "latency_ms": 100, "vendor": "quick", "model": "m", "attempts": TRIED}
VECTOR = envelope({"embeddings": [[1.0]], "model": "e", "usage": {"prompt_tokens": 7}}, cost_usd=0.5, model="e")
PICTURE = envelope({"images": [{"b64": "YQ==", "mime": "image/png"}]}, cost_usd=2, model="draw")


def answer(text: str = "hi", **changes: Any) -> Any:
    return reply(text, **{**ANSWER, **changes})


def stream(**changes: Any) -> Any:
    return streamed(["a", "b", "c"], **{**ANSWER, **changes})


def chat(*answers: Any, **fields: Any) -> ChatInfrai:
    options = {"transport": Script(answers, repeat_last=True)}
    return ChatInfrai(api_key="ifr_secret", client_options=options, **fields)


def embeddings(*answers: Any) -> InfraiEmbeddings:
    return InfraiEmbeddings(api_key="ifr_secret", client_options={"transport": Script(answers, repeat_last=True)})


Count = Callable[[], Any]


@contextmanager
def as_callback() -> Iterator[tuple[InfraiUsageCallbackHandler, dict[str, Any]]]:
    handler = InfraiUsageCallbackHandler()
    yield handler, {"callbacks": [handler]}


@contextmanager
def as_block() -> Iterator[tuple[InfraiUsageCallbackHandler, dict[str, Any]]]:
    with get_infrai_callback() as handler:
        yield handler, {}


both = pytest.mark.parametrize("counting", [as_callback, as_block])
"""A handler given as a callback, and a block without any callback."""


# -- chat ----------------------------------------------------------------------------------------------------------


@both
def test_a_call_is_counted_once_with_all_its_facts(counting: Any) -> None:
    with counting() as (usage, config):
        chat(answer()).invoke("hello", config)
    total = usage.total
    assert (total.calls, total.prompt_tokens, total.completion_tokens) == (1, 10, 5)
    assert (total.cost_usd, total.latency_ms, total.attempts) == (Decimal("0.25"), 100, 2)
    assert [*usage.by("vendor"), *usage.by("model"), *usage.by("capability")] == ["quick", "m", "chat"]


@both
def test_streams_batches_and_their_asynchronous_kin_count_like_calls(counting: Any) -> None:
    async def several(model: ChatInfrai, config: Any) -> None:
        await model.ainvoke("hello", config)
        async for _ in model.astream("hello", config):
            pass
        await model.abatch(["a", "b"], config)

    with counting() as (usage, config):
        for _ in chat(stream()).stream("hello", config):
            pass
        chat(answer()).batch(["a", "b", "c"], config)
        asyncio.run(several(chat(answer(), stream(), answer()), config))
    assert usage.total.calls == 8
    assert usage.total.cost_usd == 2
    assert usage.total.total_tokens == 8 * 15


@both
@pytest.mark.filterwarnings("ignore:The method .* is in beta")
@pytest.mark.parametrize("version", ["v2", "v3"])
def test_event_streams_are_counted_once(counting: Any, version: Any) -> None:
    async def events(config: Any) -> None:
        found = chat(stream()).astream_events("hello", config, version=version)
        async for _ in await found if version == "v3" else found:
            pass

    with counting() as (usage, config):
        asyncio.run(events(config))
    assert (usage.total.calls, usage.total.cost_usd) == (1, Decimal("0.25"))


@both
def test_a_stream_that_is_left_is_counted_as_aborted(counting: Any) -> None:
    with counting() as (usage, config):
        answers = chat(stream()).stream("hello there", config)
        next(answers)
        answers.close()
    total = usage.total
    assert (total.calls, total.aborted_calls, total.unpriced_calls, total.cost_usd) == (1, 1, 1, 0)
    assert total.prompt_tokens > 0
    assert total.completion_tokens > 0
    assert usage.ledger.rows[0].estimated


@both
def test_a_cancelled_asynchronous_stream_is_counted_as_aborted(counting: Any) -> None:
    async def left(usage: InfraiUsageCallbackHandler, config: Any) -> None:
        first = asyncio.Event()

        async def read() -> None:
            async for _ in chat(stream()).astream("hello", config):
                first.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(read())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            while not usage.total.calls:  # LangChain tells its handlers in a task of its own
                await asyncio.sleep(0)

    with counting() as (usage, config):
        asyncio.run(left(usage, config))
    assert (usage.total.calls, usage.total.aborted_calls) == (1, 1)


@both
def test_a_stream_that_breaks_is_counted_as_aborted(counting: Any) -> None:
    with counting() as (usage, config), pytest.raises(Exception, match="end"):
        list(chat(stream(cut=True)).stream("hello", config))
    assert (usage.total.calls, usage.total.aborted_calls) == (1, 1)


@both
def test_a_call_that_failed_is_not_counted(counting: Any) -> None:
    with counting() as (usage, config), pytest.raises(ConfigError):
        chat().invoke("hello", config)
    assert usage.total.calls == 0


@both
def test_an_answer_of_langchains_own_cache_is_a_hit_that_used_nothing(counting: Any) -> None:
    model = chat(answer(), cache=InMemoryCache())
    with counting() as (usage, config):
        for _ in range(3):
            model.invoke("hello", config)
    total = usage.total
    assert (total.calls, total.cache_hits, total.cost_usd, total.total_tokens) == (3, 2, Decimal("0.25"), 15)
    assert total.attempts == 2


@both
def test_a_free_answer_is_not_taken_for_a_cached_one(counting: Any) -> None:
    with counting() as (usage, config):
        chat(answer(cost_usd=0)).invoke("hello", config)
    assert (usage.total.cache_hits, usage.total.total_tokens) == (0, 15)


@both
def test_a_hit_of_the_services_cache_counts_as_the_service_tells_it(counting: Any) -> None:
    with counting() as (usage, config):
        chat(answer(cost_usd=0, cache_hit=True, attempts=[])).invoke("hello", config)
    assert (usage.total.cache_hits, usage.total.attempts, usage.total.cost_usd) == (1, 0, 0)


def test_an_unknown_cost_stays_unknown() -> None:
    handler = InfraiUsageCallbackHandler()
    chat(answer(cost_usd=None)).invoke("hello", {"callbacks": [handler]})
    assert handler.ledger.rows[0].cost_usd is None
    assert handler.total.unpriced_calls == 1


def test_other_vendors_models_count_with_unknown_cost() -> None:
    used = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    facts = {"model_provider": "openai", "model_name": "gpt-x", "cost_usd": "not ours"}
    other = FakeMessagesListChatModel(
        responses=[AIMessage("hi", usage_metadata=used, response_metadata=facts), AIMessage("bare")]  # type: ignore[arg-type]
    )
    handler = InfraiUsageCallbackHandler()
    other.invoke("a", {"callbacks": [handler]})
    other.invoke("a", {"callbacks": [handler]})
    assert handler.total.unpriced_calls == 2
    assert handler.by("vendor")["openai"].total_tokens == 7


def test_the_same_handler_twice_counts_once() -> None:
    handler = InfraiUsageCallbackHandler()
    model = chat(answer(), callbacks=[handler])
    model.invoke("hello", {"callbacks": [handler]})
    (RunnablePassthrough() | model).invoke("hello", {"callbacks": [handler]})
    assert handler.total.calls == 2


# -- everything else -----------------------------------------------------------------------------------------------


@both
def test_embeddings_tools_and_rerank_inside_a_chain_are_counted(counting: Any) -> None:
    made = embeddings(VECTOR)
    paint = InfraiImageTool(api_key="ifr_secret", client_options={"transport": Script([PICTURE])})
    ranking = envelope({"results": [{"index": 0, "relevance_score": 1.0}]}, cost_usd=0.125)
    rank = InfraiRerank(api_key="ifr_secret", client_options={"transport": Script([ranking])})

    def work(text: str) -> str:
        from langchain_core.documents import Document

        made.embed_documents([text])
        paint.invoke({"prompt": text})
        rank.compress_documents([Document(text)], text)
        return text

    with counting() as (usage, config):
        (RunnableLambda(work) | chat(answer()) | StrOutputParser()).invoke("hello", config)
    costs = {name: totals.cost_usd for name, totals in usage.by("capability").items()}
    assert costs == {"embed": Decimal("0.5"), "image": 2, "rerank": Decimal("0.125"), "chat": Decimal("0.25")}
    assert {totals.calls for totals in usage.by("run").values()} == {4}


def test_a_tool_called_by_itself_counts_with_a_callback_of_its_own() -> None:
    handler = InfraiUsageCallbackHandler()
    paint = InfraiImageTool(api_key="ifr_secret", client_options={"transport": Script([PICTURE, PICTURE])})
    paint.invoke({"prompt": "a"}, {"callbacks": [handler], "tags": ["art"]})
    asyncio.run(paint.ainvoke({"prompt": "a"}, {"callbacks": [handler]}))
    assert handler.total.cost_usd == 4
    assert handler.by("tag")["art"].calls == 1


def test_embeddings_outside_of_chains_are_counted_by_a_block() -> None:
    made = embeddings(VECTOR)
    with get_infrai_callback() as usage:
        made.embed_query("a")
        asyncio.run(made.aembed_query("a"))
    made.embed_query("a")
    assert (usage.total.calls, usage.total.cost_usd, usage.total.prompt_tokens) == (2, 1, 14)


def test_threads_and_tasks_of_a_block_are_counted() -> None:
    made = embeddings(VECTOR)
    with get_infrai_callback() as usage:
        RunnableLambda(made.embed_query).batch(["a", "b", "c"])
        RunnablePassthrough.assign(x=RunnableLambda(lambda _: made.embed_query("a"))).invoke({"a": 1})
        asyncio.run(in_tasks_and_threads(made))
        with ContextThreadPoolExecutor(2) as pool:
            list(pool.map(made.embed_query, "ab"))
        own = threading.Thread(target=copy_context().run, args=(made.embed_query, "a"))
        own.start()
        own.join()
    assert usage.total.calls == 10


async def in_tasks_and_threads(made: InfraiEmbeddings) -> None:
    await asyncio.gather(made.aembed_query("a"), made.aembed_query("b"), asyncio.to_thread(made.embed_query, "c"))


# -- runs, tags, nesting -------------------------------------------------------------------------------------------


def test_runs_are_outermost_calls_with_all_that_they_caused() -> None:
    handler = InfraiUsageCallbackHandler()
    inner = RunnablePassthrough() | chat(answer()) | StrOutputParser()
    chain = RunnableLambda(lambda text: inner.invoke(text)) | chat(answer())
    first, second = uuid4(), uuid4()
    chain.invoke("hello", {"callbacks": [handler], "run_id": first})
    chain.invoke("hello", {"callbacks": [handler], "run_id": second})
    chat(answer()).invoke("hello", {"callbacks": [handler]})
    calls = {run: totals.calls for run, totals in handler.by("run").items()}
    assert calls.pop(str(first)) == 2
    assert calls.pop(str(second)) == 2
    assert list(calls.values()) == [1]


def test_totals_stand_by_tag_without_langchains_own() -> None:
    handler = InfraiUsageCallbackHandler()
    chain = RunnablePassthrough() | chat(answer()).with_config(tags=["inner"])
    chain.invoke("hello", {"callbacks": [handler], "tags": ["nightly"]})
    chain.invoke("hello", {"callbacks": [handler]})
    assert {tag: totals.calls for tag, totals in handler.by("tag").items()} == {"inner": 2, "nightly": 1}


def test_blocks_inside_blocks_both_count_each_call_once() -> None:
    model, made = chat(answer()), embeddings(VECTOR)

    def inside(text: str) -> str:
        with get_infrai_callback() as inner:
            model.invoke(text)
            made.embed_query(text)
        assert inner.total.calls == 2
        return text

    with get_infrai_callback() as outer:
        model.invoke("a")
        RunnableLambda(inside).invoke("b")
        inside("c")
    assert outer.total.calls == 5


def test_a_tool_of_an_agent_belongs_to_the_agents_run() -> None:
    made = embeddings(VECTOR)

    @tool
    def look_up(text: str) -> str:
        """Looks something up."""
        made.embed_query(text)
        return text

    handler = InfraiUsageCallbackHandler()
    chain = RunnableLambda(lambda text: look_up.invoke({"text": text})) | chat(answer())
    chain.invoke("a", {"callbacks": [handler]})
    assert [totals.calls for totals in handler.by("run").values()] == [2]


# -- budget --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [0, -1, "much", float("nan")])
def test_a_wrong_budget_is_named(budget: Any) -> None:
    with (
        pytest.raises(InfraiConfigError, match=r"budget_usd=.*: allowed is an amount above 0"),
        get_infrai_callback(budget_usd=budget),
    ):
        pass


def test_a_spent_budget_raises_before_the_next_call() -> None:
    script = Script([answer()], repeat_last=True)
    model = ChatInfrai(api_key="ifr_secret", client_options={"transport": script})
    handler = InfraiUsageCallbackHandler(budget_usd="0.50")
    config: Any = {"callbacks": [handler]}
    model.invoke("a", config)
    model.invoke("a", config)
    with pytest.raises(InfraiBudgetSpent, match=r"0.50 USD is spent"):
        model.invoke("a", config)
    with pytest.raises(BudgetSpent):
        asyncio.run(model.ainvoke("a", config))
    with pytest.raises(BudgetSpent):
        list(model.stream("a", config))
    assert len(script.requests) == 2


def test_a_budget_holds_for_embeddings_and_tools_too() -> None:
    script = Script([PICTURE])
    paint = InfraiImageTool(api_key="ifr_secret", client_options={"transport": script})
    with get_infrai_callback(budget_usd=1):
        paint.invoke({"prompt": "a"})
        for call in (lambda: paint.invoke({"prompt": "a"}), lambda: embeddings().embed_query("a")):
            with pytest.raises(InfraiBudgetSpent):
                call()
    assert len(script.requests) == 1


def test_the_outer_blocks_budget_holds_inside_the_inner_one() -> None:
    with get_infrai_callback(budget_usd="0.2"), get_infrai_callback():
        chat(answer()).invoke("a")
        with pytest.raises(InfraiBudgetSpent):
            chat(answer()).invoke("a")


def test_a_spent_budget_is_not_retried() -> None:
    handler = InfraiUsageCallbackHandler(budget_usd="0.1", ledger=Ledger())
    model = chat(answer())
    model.invoke("a", {"callbacks": [handler]})
    with pytest.raises(InfraiBudgetSpent) as spent:
        model.invoke("a", {"callbacks": [handler]})
    assert not spent.value.is_retryable


# -- life ----------------------------------------------------------------------------------------------------------


BLOCKS = """
import gc
from langchain_core.tracers import context as tracing
from langchain_infrai import get_infrai_callback

def grown(blocks):
    gc.collect()
    hooks, objects = len(tracing._configure_hooks), len(gc.get_objects())
    for _ in range(blocks):
        with get_infrai_callback():
            pass
    gc.collect()
    return len(tracing._configure_hooks) - hooks, len(gc.get_objects()) - objects

grown(1)
hooks, objects = grown(10_000)
assert hooks == 0 and objects < 100, (hooks, objects)
"""


def test_ten_thousand_blocks_leave_nothing_behind() -> None:
    """In a process of its own: what other threads make would count here."""
    subprocess.run([sys.executable, "-c", BLOCKS], check=True)


def test_a_handler_holds_nothing_of_runs_that_ended() -> None:
    handler = InfraiUsageCallbackHandler()
    chain = RunnableLambda(lambda text: text) | chat(answer(), stream(), answer())
    chain.invoke("a", {"callbacks": [handler]})
    list(chain.stream("a", {"callbacks": [handler]}))
    with pytest.raises(ZeroDivisionError):
        (chain | RunnableLambda(lambda _: 1 / 0)).invoke("a", {"callbacks": [handler]})
    assert (handler._runs, handler._roots) == ({}, {})


def test_two_handlers_may_share_a_ledger() -> None:
    ledger = Ledger()
    for _ in range(2):
        chat(answer()).invoke("a", {"callbacks": [InfraiUsageCallbackHandler(ledger=ledger)]})
    assert ledger.total.calls == 2


def test_a_handler_can_be_copied_and_pickled() -> None:
    handler = InfraiUsageCallbackHandler(budget_usd=1)
    chat(answer()).invoke("a", {"callbacks": [handler]})
    for twin in (copy.deepcopy(handler), pickle.loads(pickle.dumps(handler))):
        assert twin.total == handler.total
        twin.check_budget()


def test_it_prints_as_a_table() -> None:
    handler = InfraiUsageCallbackHandler()
    chat(answer()).invoke([HumanMessage("a")], {"callbacks": [handler]})
    assert "m          1      10           5  0.250000" in str(handler)
    assert "<td>0.250000</td>" in handler._repr_html_()
    assert list(handler.to_pandas().model) == ["m"]
    assert "calls=1" in repr(handler)
