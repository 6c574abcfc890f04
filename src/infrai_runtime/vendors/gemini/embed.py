"""Embeddings by ``batchEmbedContents`` (https://ai.google.dev/api/embeddings)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from infrai_core.tokens import estimate
from infrai_runtime.vendors.base import Request, Vectors

Json = dict[str, Any]

MAX_TEXTS = 100
"""The most texts of a call."""
_FIRST = "gemini-embedding-001"
"""Its vectors have length 1 at their full number of dimensions only."""


_TASKS = {"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}
_PREFIXES = {"query": "task: search result | query: ", "document": "title: none | text: "}
"""How the first model, and those after it, are told what the texts are; without it, neither is
(https://ai.google.dev/gemini-api/docs/embeddings, "Task types")."""


def bodies(request: Request, model: str) -> list[Json]:
    """The calls for the texts of a request, in order."""
    more: Json = {"outputDimensionality": request["dimensions"]} if request.get("dimensions") else {}
    kind, prefix = request.get("input_type"), ""
    if kind is not None and model == _FIRST:
        more["taskType"] = _TASKS[kind]
    elif kind is not None:
        prefix = _PREFIXES[kind]
    texts = [prefix + text for text in request["input"]]
    rows = [{"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **more} for text in texts]
    return [{"requests": rows[start : start + MAX_TEXTS]} for start in range(0, len(rows), MAX_TEXTS)]


def vectors_of(replies: Sequence[Mapping[str, Any]], request: Request, model: str) -> Vectors:
    """The vectors of all calls. Raises ValueError when their number is not that of the texts."""
    vectors = [row["values"] for reply in replies for row in reply["embeddings"]]
    texts: Sequence[str] = request["input"]
    if len(vectors) != len(texts):
        raise ValueError(f"{len(vectors)} vectors for {len(texts)} texts")
    if request.get("dimensions") and model == _FIRST:
        vectors = [normalised(vector) for vector in vectors]
    return Vectors(vectors, _usage(replies, texts))


def normalised(vector: Sequence[float]) -> list[float]:
    """The vector at length 1, as the API's documentation asks for shortened ones of its first model
    (https://ai.google.dev/gemini-api/docs/embeddings#quality-for-smaller-dimensions)."""
    length = math.sqrt(math.fsum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def _usage(replies: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> Json:
    """What the service counted; it does not always say."""
    counts = [reply.get("usageMetadata", {}).get("promptTokenCount") for reply in replies]
    if None not in counts:
        return {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
    tokens = sum(map(estimate, texts))
    return {"prompt_tokens": tokens, "total_tokens": tokens, "estimated": True}
