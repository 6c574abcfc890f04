from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

from infrai_core import InvalidRequest, ProtocolError
from infrai_core.testing import Answer, Script, envelope, failure
from llama_index_infrai import InfraiRerank
from tests.llama_index.seen import Callbacks, Events, handling

ORDER = envelope({"results": [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}]})


def nodes() -> list[NodeWithScore]:
    texts = ["the ferry", "the lighthouse", "what the ferry costs"]
    return [NodeWithScore(node=TextNode(text=text, id_=f"n{i}"), score=0.5) for i, text in enumerate(texts)]


def reranker(*answers: Answer, **options: Any) -> tuple[InfraiRerank, Script]:
    script = Script(answers)
    return InfraiRerank(api_key="ifr_secret_key", transport=script, **options), script


def ordered(rerank: InfraiRerank, given: list[NodeWithScore], query: str = "What does it cost?") -> list[NodeWithScore]:
    return rerank.postprocess_nodes(given, query_str=query)


def aordered(
    rerank: InfraiRerank, given: list[NodeWithScore], query: str = "What does it cost?"
) -> list[NodeWithScore]:
    return asyncio.run(rerank.apostprocess_nodes(given, query_str=query))


both = pytest.mark.parametrize("order", [ordered, aordered], ids=["sync", "async"])


@both
def test_the_best_nodes_come_first_with_the_models_score(order: Any) -> None:
    rerank, script = reranker(ORDER, top_n=2, model="m", vendor="v")
    found = order(rerank, nodes())
    assert [(node.node.node_id, node.score) for node in found] == [("n2", 0.9), ("n0", 0.2)]
    body = script.requests[0].body
    assert (body["query"], body["top_k"], body["model"], body["vendor"]) == ("What does it cost?", 2, "m", "v")
    assert body["candidates"] == ["the ferry", "the lighthouse", "what the ferry costs"]


@both
def test_the_given_nodes_are_not_changed(order: Any) -> None:
    rerank, _ = reranker(ORDER)
    given = nodes()
    order(rerank, given)
    assert [(node.node.node_id, node.score) for node in given] == [("n0", 0.5), ("n1", 0.5), ("n2", 0.5)]


@both
def test_no_more_than_top_n_are_kept_whatever_the_service_sends(order: Any) -> None:
    rerank, _ = reranker(ORDER, top_n=1)
    assert [node.node.node_id for node in order(rerank, nodes())] == ["n2"]


@both
def test_without_nodes_nothing_is_asked(order: Any) -> None:
    rerank, script = reranker()
    assert order(rerank, []) == []
    assert script.requests == []


@both
@pytest.mark.parametrize("index", [3, -1])
def test_a_candidate_that_was_not_sent_is_refused(order: Any, index: int) -> None:
    rerank, _ = reranker(envelope({"results": [{"index": index, "relevance_score": 1}]}))
    with pytest.raises(ProtocolError, match=f"candidate {index} of 3"):
        order(rerank, nodes())


@both
def test_a_candidate_that_was_ranked_twice_is_refused(order: Any) -> None:
    twice = [{"index": 1, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.5}]
    rerank, _ = reranker(envelope({"results": twice}))
    with pytest.raises(ProtocolError, match="candidate 1 twice"):
        order(rerank, nodes())


def test_without_a_query_there_is_nothing_to_rank_by() -> None:
    rerank, script = reranker()
    with pytest.raises(ValueError, match="query_str"):
        rerank.postprocess_nodes(nodes())
    with pytest.raises(ValueError, match="query_str"):
        asyncio.run(rerank.apostprocess_nodes(nodes()))
    assert script.requests == []


def test_the_model_reads_the_metadata_that_is_embedded_unless_told_otherwise() -> None:
    node = NodeWithScore(node=TextNode(text="text", metadata={"title": "t"}, excluded_llm_metadata_keys=["title"]))
    answer = envelope({"results": [{"index": 0, "relevance_score": 1}]})
    rerank, script = reranker(answer)
    plain, other = reranker(answer, metadata_mode=MetadataMode.NONE)
    for one in (rerank, plain):
        one.postprocess_nodes([node], QueryBundle("q"))
    assert script.requests[0].body["candidates"] == ["title: t\n\ntext"]
    assert other.requests[0].body["candidates"] == ["text"]


@both
def test_events_and_callbacks_come_once_each(order: Any) -> None:
    rerank, _ = reranker(ORDER, top_n=2, model="m")
    callbacks, events = Callbacks(), Events()
    rerank.callback_manager = CallbackManager([callbacks])
    with handling(events):
        found = order(rerank, nodes())
    start, end = events.of(ReRankStartEvent, ReRankEndEvent)
    assert (start.query.query_str, start.top_n, start.model_name) == ("What does it cost?", 2, "m")
    assert len(start.nodes) == 3
    assert end.nodes == found
    assert [(when, kind) for when, kind, _ in callbacks.seen] == [
        ("start", CBEventType.RERANKING),
        ("end", CBEventType.RERANKING),
    ]
    assert callbacks.seen[0][2][EventPayload.TOP_K] == 2
    assert callbacks.seen[1][2] == {EventPayload.NODES: found}


@both
def test_a_failed_call_ends_its_callback_with_the_error(order: Any) -> None:
    rerank, _ = reranker(failure("INVALID_REQUEST"))
    callbacks, events = Callbacks(), Events()
    rerank.callback_manager = CallbackManager([callbacks])
    with handling(events), pytest.raises(InvalidRequest):
        order(rerank, nodes())
    assert [when for when, _, _ in callbacks.seen] == ["start", "end"]
    assert isinstance(callbacks.seen[1][2][EventPayload.EXCEPTION], InvalidRequest)
    assert events.of(ReRankEndEvent) == []


def test_copies_and_pickles_rank_and_show_no_key() -> None:
    rerank, _ = reranker(ORDER, top_n=2)
    assert len(ordered(copy.deepcopy(rerank), nodes())) == 2
    assert pickle.loads(pickle.dumps(rerank)).top_n == 2
    assert "ifr_secret_key" not in repr(rerank) + str(rerank.to_dict())


def test_what_it_used_is_in_the_ledger() -> None:
    rerank, _ = reranker(envelope({"results": [], "usage": {"prompt_tokens": 7, "search_units": 1}}, cost_usd=0.002))
    ordered(rerank, nodes())
    total = rerank.ledger.total
    assert (total.calls, total.prompt_tokens, str(total.cost_usd)) == (1, 7, "0.002")
