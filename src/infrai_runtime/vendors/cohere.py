"""Search as Cohere has it, rerankers and embeddings, one row per vendor for what differs; and Cohere itself.

https://docs.cohere.com/reference/rerank, https://api.jina.ai/redoc (rerank),
https://docs.voyageai.com/reference/reranker-api; for embeddings see ``cohere_embed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infrai_core.errors import ConfigError
from infrai_runtime.vendors.base import Call, Ranking, Request, Vectors
from infrai_runtime.vendors.cohere_chat import ALLOWED_OPTIONS, CohereChat
from infrai_runtime.vendors.cohere_embed import (
    COHERE,
    JINA,
    VOYAGE,
    Embedding,
    billed,
    bodies,
    tokens_of,
    unused,
    vectors_of,
)
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.documented import documented
from infrai_runtime.vendors.http import Endpoint, Http, Pool
from infrai_runtime.vendors.keyring import Keyring
from infrai_runtime.vendors.remote import Remote

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a vendor writes the same question: where it is asked, what the number of results is called, and where they
    stand in the answer."""

    rerank: str
    embed: Embedding
    top: str = "top_n"
    results: str = "results"
    options: frozenset[str] = frozenset()
    """Fields of the API that a caller may set."""


SHAPES: dict[str, Shape] = {
    "cohere": Shape(
        "/v2/rerank", COHERE, options=frozenset({"max_tokens_per_doc", "priority", "input_type", "truncate"})
    ),
    "jina": Shape(
        "/v1/rerank", JINA, options=frozenset({"task", "late_chunking", "truncate", "normalized", "return_documents"})
    ),
    "voyage": Shape("/v1/rerank", VOYAGE, "top_k", "data", frozenset({"truncation"})),
}


def make(entry: Entry, pool: Pool) -> Search:
    """The vendor of a configured entry; its option ``shape`` is a key of ``SHAPES``, by default its own name or
    Cohere's. Raises ConfigError."""
    name = str(entry.options.get("shape", entry.name if entry.name in SHAPES else "cohere"))
    if name not in SHAPES:
        raise ConfigError(f"{entry.source}: {entry.name}.shape is {name!r}, allowed are {', '.join(SHAPES)}")
    shape = SHAPES[name]
    http = Http(
        Endpoint(
            entry.name,
            entry.base_url,
            headers=entry.headers,
            proxy=entry.proxy,
            idempotency_header=entry.idempotency_header,
        ),
        Keyring(entry.name, entry.keys),
        pool,
    )
    return Cohere(http, shape) if name == "cohere" else Search(http, shape)


class Search(Remote):
    """Orders candidates by relevance, and makes vectors."""

    def __init__(self, http: Http, shape: Shape) -> None:
        super().__init__(http)
        self.shape = shape
        self.allowed_options = shape.options

    async def rerank(self, request: Request, call: Call) -> Ranking:
        """Candidates by relevance, best first."""
        body = {"model": call.model, "query": request["query"], "documents": list(request["candidates"])}
        top = {self.shape.top: request["top_k"]} if "top_k" in request else {}
        reply = await self.http.post(self.shape.rerank, {**body, **top, **call.options}, call)
        with documented(self.http):
            return self._ranking(reply, len(request["candidates"]))

    def _ranking(self, reply: Mapping[str, Any], count: int) -> Ranking:
        rows = [(int(row["index"]), float(row["relevance_score"])) for row in reply[self.shape.results]]
        beyond = next((index for index, _ in rows if not 0 <= index < count), None)
        if beyond is not None:
            raise IndexError(f"a result for candidate {beyond} of {count}")
        return Ranking(sorted(rows, key=lambda row: -row[1]), usage_of(reply))

    async def embed(self, request: Request, call: Call) -> Vectors:
        """Vectors of documents, or of queries where ``input_type`` says so."""
        shape = self.shape.embed
        replies = [await self.http.post(shape.path, body, call) for body in bodies(shape, request, call)]
        with documented(self.http):
            return vectors_of(replies, request["input"], unused(shape, request, call))


class Cohere(Search, CohereChat):
    """Cohere itself, which answers messages too."""

    def __init__(self, http: Http, shape: Shape) -> None:
        super().__init__(http, shape)
        self.allowed_options = shape.options | ALLOWED_OPTIONS


def usage_of(reply: Mapping[str, Any]) -> Json:
    """What was billed: searches (Cohere) or tokens (its newer models, Jina, Voyage)."""
    searches, tokens = billed(reply).get("search_units"), tokens_of(reply)
    return {
        **({"search_units": int(searches)} if searches is not None else {}),
        **({"prompt_tokens": tokens, "total_tokens": tokens} if tokens is not None else {}),
    }
