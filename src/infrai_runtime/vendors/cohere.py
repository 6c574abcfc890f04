"""Rerankers that are asked as Cohere is, one row per vendor for what differs; and Cohere itself.

https://docs.cohere.com/reference/rerank, https://docs.cohere.com/reference/embed, https://api.jina.ai/redoc (rerank),
https://docs.voyageai.com/reference/reranker-api
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infrai_core.errors import ConfigError
from infrai_core.tokens import estimate
from infrai_runtime.vendors.base import Call, Ranking, Request, Vectors
from infrai_runtime.vendors.cohere_chat import ALLOWED_OPTIONS, CohereChat
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.documented import documented
from infrai_runtime.vendors.http import Endpoint, Http, Pool
from infrai_runtime.vendors.keyring import Keyring
from infrai_runtime.vendors.remote import Remote

Json = dict[str, Any]

MAX_TEXTS = 96
"""The most texts of one call of Cohere's embeddings."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a vendor writes the same question: where it is asked, what the number of results is called, and where they
    stand in the answer."""

    rerank: str
    top: str = "top_n"
    results: str = "results"
    options: frozenset[str] = frozenset()
    """Fields of the API that a caller may set."""
    embed: str | None = None


SHAPES: dict[str, Shape] = {
    "cohere": Shape(
        "/v2/rerank", options=frozenset({"max_tokens_per_doc", "priority", "input_type", "truncate"}), embed="/v2/embed"
    ),
    "jina": Shape("/v1/rerank"),
    "voyage": Shape("/v1/rerank", "top_k", "data", frozenset({"truncation"})),
}


def make(entry: Entry, pool: Pool) -> Reranker:
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
    return Cohere(http, shape, shape.embed) if shape.embed else Reranker(http, shape)


class Reranker(Remote):
    """Orders candidates by relevance."""

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


class Cohere(Reranker, CohereChat):
    """Cohere itself, which makes vectors and answers messages too."""

    def __init__(self, http: Http, shape: Shape, embed_path: str) -> None:
        super().__init__(http, shape)
        self.allowed_options = shape.options | ALLOWED_OPTIONS
        self._embed_path = embed_path

    async def embed(self, request: Request, call: Call) -> Vectors:
        """Vectors of documents, or of queries where ``input_type`` says so."""
        texts: Sequence[str] = request["input"]
        calls = [texts[start : start + MAX_TEXTS] for start in range(0, len(texts), MAX_TEXTS)]
        replies = [await self.http.post(self._embed_path, _embed_body(part, request, call), call) for part in calls]
        with documented(self.http):
            return _vectors(replies, texts)


_INPUT_TYPES = {"query": "search_query", "document": "search_document"}
"""https://docs.cohere.com/reference/embed: required, the rest of its values are for other uses than search."""


def _embed_body(texts: Sequence[str], request: Request, call: Call) -> Json:
    size = {"output_dimension": request["dimensions"]} if "dimensions" in request else {}
    usual = {"input_type": _INPUT_TYPES[request.get("input_type", "document")], "embedding_types": ["float"]}
    return {"model": call.model, "texts": list(texts), **usual, **size, **call.options}


def _vectors(replies: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> Vectors:
    vectors = [vector for reply in replies for vector in reply["embeddings"]["float"]]
    if len(vectors) != len(texts):
        raise ValueError(f"{len(vectors)} vectors for {len(texts)} texts")
    counts: list[Any] = [_billed(reply).get("input_tokens") for reply in replies]
    told = None not in counts
    tokens = int(sum(counts)) if told else sum(map(estimate, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens} | ({} if told else {"estimated": True})
    return Vectors(vectors, usage)


def usage_of(reply: Mapping[str, Any]) -> Json:
    """What was billed: searches (Cohere) or tokens (its newer models, Jina, Voyage)."""
    billed, counted = _billed(reply), reply.get("usage") or {}
    searches = billed.get("search_units")
    tokens = counted.get("total_tokens", billed.get("input_tokens"))
    return {
        **({"search_units": int(searches)} if searches is not None else {}),
        **({"prompt_tokens": int(tokens), "total_tokens": int(tokens)} if tokens is not None else {}),
    }


def _billed(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    billed: Mapping[str, Any] = (reply.get("meta") or {}).get("billed_units") or {}
    return billed
