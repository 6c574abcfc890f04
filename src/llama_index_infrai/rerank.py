"""``InfraiRerank``: retrieved nodes in the order of how well they answer the query."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.callbacks.base import EventContext
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from llama_index_instrumentation import get_dispatcher
from pydantic import Field

from infrai_core import ProtocolError, Ranked, RerankReply
from llama_index_infrai._connection import Routed, options_of

dispatcher = get_dispatcher(__name__)

_OPTIONS = ("model", "vendor", "prefer", "max_cost_multiplier", "session_id", "vendor_options")


class InfraiRerank(Routed, BaseNodePostprocessor):
    """Keeps the ``top_n`` nodes that a rerank model finds most relevant to the query, best first.

    The nodes given are not changed: the result has new ``NodeWithScore`` objects with the model's score (higher is
    better) around the same nodes. One HTTP call for all nodes; none when there is no node. ``ledger`` sums tokens and
    cost. Raises ``ValueError`` without a query.
    """

    top_n: int = Field(default=5, ge=1, description="How many nodes to keep.")
    metadata_mode: MetadataMode = Field(
        default=MetadataMode.EMBED, description="Which of a node's metadata the model reads before its text."
    )

    @classmethod
    def class_name(cls) -> str:
        return "InfraiRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _query(query_bundle)
        if not nodes:
            return []
        with self._started(nodes, query) as event:
            reply = self._client.rerank(query.query_str, self._texts(nodes), **self._call_options())
            return self._ended(event, nodes, reply)

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _query(query_bundle)
        if not nodes:
            return []
        with self._started(nodes, query) as event:
            reply = await self._aclient.rerank(query.query_str, self._texts(nodes), **self._call_options())
            return self._ended(event, nodes, reply)

    def _call_options(self) -> dict[str, Any]:
        return options_of(self, _OPTIONS, {"top_k": self.top_n})

    def _texts(self, nodes: Sequence[NodeWithScore]) -> list[str]:
        return [node.node.get_content(metadata_mode=self.metadata_mode) for node in nodes]

    def _started(self, nodes: list[NodeWithScore], query: QueryBundle) -> AbstractContextManager[EventContext]:
        """The callbacks' event; a failed call ends it with its exception."""
        name = self.model or "auto"
        dispatcher.event(ReRankStartEvent(query=query, nodes=nodes, top_n=self.top_n, model_name=name))
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: name,
            EventPayload.QUERY_STR: query.query_str,
            EventPayload.TOP_K: self.top_n,
        }
        event: AbstractContextManager[EventContext] = self.callback_manager.event(CBEventType.RERANKING, payload)
        return event

    def _ended(self, event: EventContext, nodes: Sequence[NodeWithScore], reply: RerankReply) -> list[NodeWithScore]:
        found = _ordered(nodes, reply.results)[: self.top_n]
        event.on_end(payload={EventPayload.NODES: found})
        dispatcher.event(ReRankEndEvent(nodes=found))
        return found


def _query(bundle: QueryBundle | None) -> QueryBundle:
    if bundle is None:
        raise ValueError("reranking needs the query: give query_bundle or query_str")
    return bundle


def _ordered(nodes: Sequence[NodeWithScore], results: Sequence[Ranked]) -> list[NodeWithScore]:
    """The nodes with the model's scores. Raises ``ProtocolError`` for a ranking of others, or of one twice."""
    seen: set[int] = set()
    for ranked in results:
        if not 0 <= ranked.index < len(nodes):
            raise ProtocolError(f"the service ranked candidate {ranked.index} of {len(nodes)}")
        if ranked.index in seen:
            raise ProtocolError(f"the service ranked candidate {ranked.index} twice")
        seen.add(ranked.index)
    return [NodeWithScore(node=nodes[ranked.index].node, score=ranked.relevance_score) for ranked in results]
