"""``InfraiRerank``: the best of the retrieved documents first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import Field

from infrai_core import RerankReply
from langchain_infrai._connection import Routed
from langchain_infrai.errors import AS_LANGCHAIN, InfraiProtocolError


class InfraiRerank(BaseDocumentCompressor, Routed):
    """Orders documents by their relevance to a query and keeps the best ``top_n``.

    Gives copies with ``metadata["relevance_score"]`` (higher is better; the scale is the model's own). Use it in a
    ``ContextualCompressionRetriever`` or call ``compress_documents``.

    >>> from langchain_infrai import InfraiRerank
    >>> InfraiRerank.embedded(top_n=1).compress_documents(documents, "Who retries?")  # doctest: +SKIP
    """

    top_n: int | None = Field(default=3, ge=1)
    """How many documents to keep; None: all."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The best documents, best first; none for none, without a call."""
        if not documents:
            return []
        texts = [document.page_content for document in documents]
        with AS_LANGCHAIN:
            reply = self.client.rerank(query, texts, **self._arguments())
        return _ordered(documents, reply)

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The same from an event loop."""
        if not documents:
            return []
        texts = [document.page_content for document in documents]
        with AS_LANGCHAIN:
            reply = await self.async_client.rerank(query, texts, **self._arguments())
        return _ordered(documents, reply)

    def _arguments(self) -> dict[str, Any]:
        return {**self._routing(), "top_k": self.top_n}


def _ordered(documents: Sequence[Document], reply: RerankReply) -> list[Document]:
    places = [ranked.index for ranked in reply.results]
    if len(set(places)) < len(places) or not set(places) <= set(range(len(documents))):
        raise InfraiProtocolError(f"{len(documents)} documents were sent, the ranking names {places}")
    return [
        documents[ranked.index].model_copy(
            update={"metadata": {**documents[ranked.index].metadata, "relevance_score": ranked.relevance_score}}
        )
        for ranked in reply.results
    ]
