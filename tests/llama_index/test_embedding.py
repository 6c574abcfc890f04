from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.schema import Document, TextNode
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from pydantic import ValidationError

from infrai_core import ConfigError, InvalidRequest, ProtocolError
from infrai_core.testing import Script, Scripted, Sent, envelope, failure
from llama_index_infrai import InfraiEmbedding, InfraiUsageHandler
from llama_index_infrai.testing.watch import watching

Make = Callable[..., tuple[InfraiEmbedding, Script]]


def vectors(sent: Sent, model: str | None = "m-1", size: int = 2) -> Scripted:
    """Answers with one vector per text; its first number is the text's length."""
    texts = sent.body["input"]
    rows = [[float(len(text)), *[1.0] * (size - 1)] for text in texts]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return envelope({"embeddings": rows, "model": model, "usage": usage}, model=model, cost_usd=0.25)


def served_by(model: str, size: int = 2) -> Callable[[Sent], Scripted]:
    return lambda sent: vectors(sent, model, size)


def embed(model: InfraiEmbedding, *texts: str) -> list[list[float]]:
    return model.get_text_embedding_batch(list(texts))


def aembed(model: InfraiEmbedding, *texts: str) -> list[list[float]]:
    return asyncio.run(model.aget_text_embedding_batch(list(texts)))


both = pytest.mark.parametrize("run", [embed, aembed], ids=["sync", "async"])


def test_it_is_an_embedding_model_of_llama_index() -> None:
    assert issubclass(InfraiEmbedding, BaseEmbedding)


@both
def test_vectors_come_in_the_order_of_the_texts_in_one_call_per_batch(scripted_embedding: Make, run: Any) -> None:
    model, script = scripted_embedding(*[vectors] * 3, embed_batch_size=2)
    assert [row[0] for row in run(model, "a", "bb", "ccc", "dddd", "eeeee")] == [1, 2, 3, 4, 5]
    assert sorted(len(request.body["input"]) for request in script.requests) == [1, 2, 2]


def test_single_texts_and_queries_work_both_ways(scripted_embedding: Make) -> None:
    model, _ = scripted_embedding(*[vectors] * 4)
    assert model.get_text_embedding("abc") == [3.0, 1.0]
    assert model.get_query_embedding("abcd") == [4.0, 1.0]
    assert asyncio.run(model.aget_text_embedding("abc")) == [3.0, 1.0]
    assert asyncio.run(model.aget_query_embedding("abcd")) == [4.0, 1.0]


def test_no_texts_need_no_call(scripted_embedding: Make) -> None:
    model, script = scripted_embedding()
    assert model.get_text_embedding_batch([]) == []
    assert asyncio.run(model.aget_text_embedding_batch([])) == []
    assert script.requests == []


@both
def test_a_wrong_number_of_vectors_is_an_error(scripted_embedding: Make, run: Any) -> None:
    model, _ = scripted_embedding(envelope({"embeddings": [[1.0]], "model": "m-1"}))
    with pytest.raises(ProtocolError, match="1 embeddings for 2 texts"):
        run(model, "a", "b")


# -- the model -----------------------------------------------------------------------------------------------------


@both
def test_the_model_that_answers_first_is_asked_for_by_name_from_then_on(scripted_embedding: Make, run: Any) -> None:
    model, script = scripted_embedding(vectors, vectors)
    run(model, "a")
    run(model, "b")
    assert [request.body.get("model") for request in script.requests] == [None, "m-1"]
    assert (model.pinned_model, model.pinned_dimensions) == ("m-1", 2)


@both
def test_an_alias_is_pinned_to_the_model_that_it_stood_for(scripted_embedding: Make, run: Any) -> None:
    model, script = scripted_embedding(vectors, vectors, model="cheapest")
    run(model, "a")
    run(model, "b")
    assert [request.body["model"] for request in script.requests] == ["cheapest", "m-1"]


@both
def test_another_model_is_an_error_and_not_a_vector(scripted_embedding: Make, run: Any) -> None:
    model, _ = scripted_embedding(served_by("m-1"), served_by("m-2"))
    run(model, "a")
    with pytest.raises(ProtocolError, match="'m-1' to 'm-2'"):
        run(model, "b")


@both
def test_another_length_is_an_error_and_not_a_vector(scripted_embedding: Make, run: Any) -> None:
    model, _ = scripted_embedding(served_by("m-1", 2), served_by("m-1", 3))
    run(model, "a")
    with pytest.raises(ProtocolError, match="dimensions changed from 2 to 3"):
        run(model, "b")


@both
def test_dimensions_are_asked_for_and_checked(scripted_embedding: Make, run: Any) -> None:
    model, script = scripted_embedding(served_by("m-1", 3), dimensions=4)
    with pytest.raises(ProtocolError, match="from 4 to 3"):
        run(model, "a")
    assert script.requests[0].body["dimensions"] == 4


def test_model_and_model_name_are_one() -> None:
    for named in (InfraiEmbedding(api_key="k", model="m"), InfraiEmbedding(api_key="k", model_name="m")):
        assert (named.model, named.model_name) == ("m", "m")
    with pytest.raises(ConfigError, match="one name"):
        InfraiEmbedding(api_key="k", model="m", model_name="n")


@pytest.mark.parametrize("name", ["model", "model_name", "dimensions"])
def test_what_vectors_depend_on_cannot_change_later(name: str) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(InfraiEmbedding(api_key="k", model="m"), name, None)


def test_routing_fields_are_sent_and_unset_ones_are_not(scripted_embedding: Make) -> None:
    model, script = scripted_embedding(vectors, vendor="v", prefer="cheapest")
    embed(model, "a")
    body = script.requests[0].body
    assert (body["vendor"], body["prefer"]) == ("v", "cheapest")
    assert set(body) == {"input", "vendor", "prefer", "encoding_format", "timeout_seconds"}


def test_an_unknown_argument_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="dimension"):
        InfraiEmbedding(api_key="k", dimension=4)  # type: ignore[call-arg]  # the misspelling is the point


# -- usage and events ----------------------------------------------------------------------------------------------


@both
def test_the_ledger_has_what_the_events_do_not(scripted_embedding: Make, run: Any) -> None:
    model, _ = scripted_embedding(vectors, vectors, embed_batch_size=2)
    run(model, "a", "b", "c")
    total = model.ledger.total
    assert (total.calls, total.prompt_tokens, float(total.cost_usd)) == (2, 3, 0.5)
    assert set(model.ledger.by("capability")) == {"embed"}


@both
def test_each_batch_is_reported_once_and_without_the_key(scripted_embedding: Make, run: Any) -> None:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    model, _ = scripted_embedding(vectors, vectors, embed_batch_size=2, callback_manager=CallbackManager([handler]))
    run(model, "a", "b", "c")
    pairs = handler.get_event_pairs(CBEventType.EMBEDDING)
    assert len(pairs) == 2
    assert "ifr_secret_key" not in repr([event.payload for pair in pairs for event in pair])


# -- concurrency ---------------------------------------------------------------------------------------------------


class Rooms:
    """A transport that counts how many requests are inside at a time; each waits until ``full`` are, or all came."""

    def __init__(self, full: int, total: int) -> None:
        self.full, self.total = full, total
        self.inside = self.most = self.seen = 0

    async def handle_async_request(self, request: Any) -> Any:
        self.inside += 1
        self.seen += 1
        self.most = max(self.most, self.inside)
        for _ in range(50):  # lets every task that may run get as far as it can
            await asyncio.sleep(0)
        self.inside -= 1
        script = Script([vectors])
        return await script.handle_async_request(request)


@pytest.mark.parametrize(("options", "expected"), [({}, 4), ({"num_workers": 1}, 1), ({"num_workers": 8}, 8)])
def test_batches_run_side_by_side_but_not_all_at_once(options: dict[str, Any], expected: int) -> None:
    rooms = Rooms(expected, 20)
    model = InfraiEmbedding(api_key="k", transport=rooms, embed_batch_size=1, **options)
    texts = ["x" * (i + 1) for i in range(20)]
    assert [row[0] for row in asyncio.run(model.aget_text_embedding_batch(texts))] == [i + 1 for i in range(20)]
    assert (rooms.seen, rooms.most) == (20, expected)


def test_the_number_of_calls_at_a_time_can_change() -> None:
    rooms = Rooms(2, 12)
    model = InfraiEmbedding(api_key="k", transport=rooms, embed_batch_size=1, num_workers=1)

    async def embedded() -> None:
        await model.aget_text_embedding("a")
        model.num_workers = 2
        await model.aget_text_embedding_batch(["x"] * 11)

    asyncio.run(embedded())
    assert rooms.most == 2


@pytest.mark.parametrize("workers", [None, 1, 3])
@pytest.mark.parametrize("cached", [False, True])
def test_when_a_batch_fails_the_others_are_not_sent(
    scripted_embedding: Make, workers: int | None, cached: bool
) -> None:
    options = {"model": "m-1", "embeddings_cache": SimpleKVStore()} if cached else {}
    answers = [failure("INVALID_REQUEST"), *[vectors] * 19]
    model, script = scripted_embedding(*answers, embed_batch_size=1, num_workers=workers, **options)

    async def embedded() -> None:
        with pytest.raises(InvalidRequest):
            await model.aget_text_embedding_batch([str(number) for number in range(20)])
        for _ in range(200):  # nothing is left that could go on
            await asyncio.sleep(0)

    asyncio.run(embedded())
    assert len(script.requests) <= (workers or 4)


def test_after_a_failure_the_next_call_is_served(scripted_embedding: Make) -> None:
    model, _ = scripted_embedding(failure("INVALID_REQUEST"), vectors, vectors, embed_batch_size=1, num_workers=1)

    async def embedded() -> list[list[float]]:
        with pytest.raises(InvalidRequest):
            await model.aget_text_embedding_batch(["a", "b"])
        return await model.aget_text_embedding_batch(["a", "bb"])

    assert asyncio.run(embedded()) == [[1.0, 1.0], [2.0, 1.0]]


def test_one_instance_serves_several_event_loops_and_threads(scripted_embedding: Make) -> None:
    model, _ = scripted_embedding(*[vectors] * 6)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(aembed(model, "abc"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [aembed(model, "abc") for _ in range(2)] + found == [[[3.0, 1.0]]] * 6


# -- caches --------------------------------------------------------------------------------------------------------


@both
def test_a_cached_text_needs_no_second_call(scripted_embedding: Make, run: Any) -> None:
    model, script = scripted_embedding(vectors, vectors, model="m-1", embeddings_cache=SimpleKVStore())
    assert run(model, "a", "bb") == run(model, "a", "bb") == [[1.0, 1.0], [2.0, 1.0]]
    assert model.get_query_embedding("a") == [1.0, 1.0]
    assert len(script.requests) == 1


@both
def test_two_models_with_one_store_get_their_own_vectors(scripted_embedding: Make, run: Any) -> None:
    store = SimpleKVStore()
    first, _ = scripted_embedding(served_by("m-1", 2), model="m-1", embeddings_cache=store)
    second, script = scripted_embedding(served_by("m-2", 3), model="m-2", embeddings_cache=store)
    assert run(first, "a") == [[1.0, 1.0]]
    assert run(second, "a") == [[1.0, 1.0, 1.0]]
    assert len(script.requests) == 1


@both
def test_the_cache_of_a_routed_model_is_used_once_the_model_is_known(scripted_embedding: Make, run: Any) -> None:
    store = SimpleKVStore()
    first, _ = scripted_embedding(vectors, embeddings_cache=store)
    run(first, "a", "bb")
    second, script = scripted_embedding(vectors, embeddings_cache=store)
    run(second, "ccc")
    assert run(second, "a", "bb") == [[1.0, 1.0], [2.0, 1.0]]
    assert len(script.requests) == 1


class Limiter:
    def __init__(self) -> None:
        self.acquired = 0

    def acquire(self, num_tokens: int = 0) -> None:
        self.acquired += 1

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.acquired += 1


@both
@pytest.mark.parametrize("cache", [None, SimpleKVStore()], ids=["plain", "cached"])
def test_the_rate_limiter_is_asked_once_per_batch(scripted_embedding: Make, run: Any, cache: Any) -> None:
    limiter = Limiter()
    options = {"model": "m-1", "embeddings_cache": cache, "rate_limiter": limiter, "embed_batch_size": 2}
    model, _ = scripted_embedding(vectors, vectors, **options)
    run(model, run.__name__ + "1", run.__name__ + "2", run.__name__ + "3")
    assert limiter.acquired == 2


# -- pipelines -----------------------------------------------------------------------------------------------------


def test_a_pipeline_gives_every_node_its_vector(scripted_embedding: Make) -> None:
    model, _ = scripted_embedding(vectors)
    nodes = IngestionPipeline(transformations=[model], disable_cache=True).run(
        documents=[Document(text="a"), Document(text="bb")]
    )
    assert [node.embedding for node in nodes] == [[1.0, 1.0], [2.0, 1.0]]


def test_the_cache_of_a_pipeline_outlives_a_new_key_and_the_pinning(scripted_embedding: Make) -> None:
    cache = IngestionCache()
    model, script = scripted_embedding(vectors)
    nodes = [TextNode(text="a", id_="1")]
    IngestionPipeline(transformations=[model], cache=cache).run(nodes=nodes)
    other = InfraiEmbedding(api_key="another_key", transport=script)
    for again in (model, other):
        (node,) = IngestionPipeline(transformations=[again], cache=cache).run(nodes=nodes)
        assert node.embedding == [1.0, 1.0]
    assert len(script.requests) == 1


# -- queries and texts ---------------------------------------------------------------------------------------------


def query(model: InfraiEmbedding, text: str) -> list[float]:
    return model.get_query_embedding(text)


def aquery(model: InfraiEmbedding, text: str) -> list[float]:
    return asyncio.run(model.aget_query_embedding(text))


both_queries = pytest.mark.parametrize(("ask", "run"), [(query, embed), (aquery, aembed)], ids=["sync", "async"])


@both_queries
def test_a_model_is_told_which_texts_are_queries_where_that_is_asked_for(
    scripted_embedding: Make, ask: Any, run: Any
) -> None:
    model, script = scripted_embedding(vectors, vectors, asymmetric=True)
    ask(model, "a")
    run(model, "a")
    assert [request.body["input_type"] for request in script.requests] == ["query", "document"]


@both_queries
def test_instructions_stand_before_what_is_embedded(scripted_embedding: Make, ask: Any, run: Any) -> None:
    model, script = scripted_embedding(vectors, vectors, query_instruction="query:", text_instruction="passage:")
    ask(model, "a")
    run(model, "b", "c")
    assert [request.body["input"] for request in script.requests] == [["query: a"], ["passage: b", "passage: c"]]


@both_queries
@pytest.mark.parametrize("options", [{"asymmetric": True}, {"query_instruction": "find"}])
def test_a_query_does_not_get_the_cached_vector_of_a_text(
    scripted_embedding: Make, ask: Any, run: Any, options: dict[str, Any]
) -> None:
    def by_kind(sent: Sent) -> Scripted:
        body = sent.body
        is_query = body.get("input_type") == "query" or body["input"][0].startswith("find")
        return envelope({"embeddings": [[1.0 if is_query else 2.0]] * len(body["input"]), "model": "m-1"})

    model, script = scripted_embedding(by_kind, by_kind, model="m-1", embeddings_cache=SimpleKVStore(), **options)
    for _ in range(2):
        assert (ask(model, "a"), run(model, "a")) == ([1.0], [[2.0]])
    assert len(script.requests) == 2


def test_other_instructions_do_not_find_the_cached_vectors(scripted_embedding: Make) -> None:
    store = SimpleKVStore()
    first, _ = scripted_embedding(vectors, model="m-1", embeddings_cache=store, text_instruction="one")
    second, script = scripted_embedding(vectors, model="m-1", embeddings_cache=store, text_instruction="two")
    embed(first, "a")
    embed(second, "a")
    assert len(script.requests) == 1


@pytest.mark.parametrize("ask", [query, aquery], ids=["sync", "async"])
def test_a_query_is_one_span_and_one_pair_of_events(scripted_embedding: Make, ask: Any) -> None:
    spans: list[str] = []

    class Spans(BaseSpanHandler[BaseSpan]):
        def new_span(self, id_: str, *args: Any, **kwargs: Any) -> None:
            spans.append(id_)

        def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None: ...

        def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None: ...

    model, _ = scripted_embedding(vectors)
    root, handler = get_dispatcher(), Spans()
    root.add_span_handler(handler)
    try:
        with watching(model) as watch:
            ask(model, "a")
    finally:
        root.span_handlers.remove(handler)
    named = [span for span in spans if "get_query_embedding" in span and "._" not in span]
    assert len(named) == 1
    assert len(watch.named("EmbeddingStartEvent")) == len(watch.named("EmbeddingEndEvent")) == 1


@both
def test_usage_and_cost_belong_to_the_span_of_the_events(scripted_embedding: Make, run: Any) -> None:
    model, _ = scripted_embedding(vectors, vectors, embed_batch_size=2)
    with InfraiUsageHandler() as usage, watching(model) as watch:
        run(model, "a", "b", "c")
    (span,) = {event.span_id for event in watch.named("EmbeddingEndEvent")}
    rows = usage.ledger.rows
    assert [(row.run, row.capability) for row in rows] == [(span, "embed")] * 2
    assert all(row.span for row in rows)  # with workers, those of LlamaIndex's own jobs inside that span
    assert sum(row.prompt_tokens for row in rows) == 3
    assert [float(row.cost_usd or 0) for row in rows] == [0.25] * 2
