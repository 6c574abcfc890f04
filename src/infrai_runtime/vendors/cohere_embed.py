"""Embeddings of the vendors that are asked as Cohere is, one row per vendor for what differs. Pure.

https://docs.cohere.com/reference/embed, https://docs.voyageai.com/reference/embeddings-api, https://api.jina.ai/redoc
(embeddings)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infrai_core.tokens import estimate
from infrai_runtime.vendors.base import Call, Request, Vectors
from infrai_runtime.vendors.vector import vector

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Embedding:
    """How a vendor writes the same question."""

    path: str
    most: int
    """The most texts of a call."""
    texts: str = "input"
    size: str = "output_dimension"
    kind: str = "input_type"
    """What the texts are, for search."""
    words: Mapping[str, str] = field(default_factory=lambda: {"query": "query", "document": "document"})
    """Our ``input_type`` -> the vendor's."""
    unsaid: str | None = None
    """The ``kind`` where a request names none; None: none either."""
    told: str = ""
    """A pattern of the models that are told the ``kind``."""
    fixed: Mapping[str, Any] = field(default_factory=dict)


COHERE = Embedding(
    "/v2/embed",
    96,
    "texts",
    words={"query": "search_query", "document": "search_document"},
    unsaid="search_document",
    fixed={"embedding_types": ["float"]},
)
"""It requires an ``input_type``; the rest of its values are for other uses than search."""

VOYAGE = Embedding("/v1/embeddings", 1000, fixed={"encoding_format": "base64"})

JINA = Embedding(
    "/v1/embeddings",
    512,
    size="dimensions",
    kind="task",
    words={"query": "retrieval.query", "document": "retrieval.passage"},
    told=r"^jina-embeddings-v[3-9]",
)
"""Its page names no limit of texts; more than 512 are asked for in several calls. Models for code and of the second
range have no tasks of these names."""


def unused(shape: Embedding, request: Request, call: Call) -> list[str]:
    """What is said of an ``input_type`` that the model is not told."""
    told = re.search(shape.told, call.model)
    return [] if told or "input_type" not in request else [f"input_type: {call.model} has no such option; not used"]


def bodies(shape: Embedding, request: Request, call: Call) -> Iterator[Json]:
    """The calls for the texts of a request, in order."""
    kind = shape.words[request["input_type"]] if "input_type" in request else shape.unsaid
    more: Json = {shape.kind: kind} if kind is not None and re.search(shape.told, call.model) else {}
    if "dimensions" in request:
        more[shape.size] = request["dimensions"]
    texts: Sequence[str] = request["input"]
    for start in range(0, len(texts), shape.most):
        part = list(texts[start : start + shape.most])
        yield {"model": call.model, shape.texts: part, **shape.fixed, **more, **call.options}


def vectors_of(replies: Sequence[Mapping[str, Any]], texts: Sequence[str], warnings: Sequence[str] = ()) -> Vectors:
    """The vectors of all calls, in input order. Raises ValueError when their number is not that of the texts."""
    vectors = [found for reply in replies for found in _rows(reply)]
    if len(vectors) != len(texts):
        raise ValueError(f"{len(vectors)} vectors for {len(texts)} texts")
    counts = [tokens_of(reply) for reply in replies]
    known = [count for count in counts if count is not None]
    told = len(known) == len(counts)
    tokens = sum(known) if told else sum(map(estimate, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens} | ({} if told else {"estimated": True})
    return Vectors(vectors, usage, warnings)


def _rows(reply: Mapping[str, Any]) -> list[Sequence[float]]:
    """Cohere has a list per type, in input order; the others have OpenAI's rows."""
    if "embeddings" in reply:
        return [vector(row) for row in reply["embeddings"]["float"]]
    return [vector(row["embedding"]) for row in sorted(reply["data"], key=lambda row: row["index"])]


def tokens_of(reply: Mapping[str, Any]) -> int | None:
    """The tokens that were billed, where the vendor tells."""
    tokens = (reply.get("usage") or {}).get("total_tokens", billed(reply).get("input_tokens"))
    return None if tokens is None else int(tokens)


def billed(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Cohere's bill."""
    units: Mapping[str, Any] = (reply.get("meta") or {}).get("billed_units") or {}
    return units
