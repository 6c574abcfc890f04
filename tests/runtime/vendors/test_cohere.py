"""Rerankers and Cohere's embeddings: Cohere's official SDK reads the same bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cohere
import pytest

from infrai_core.errors import ConfigError
from infrai_runtime.vendors.base import Embeds, Reranks
from infrai_runtime.vendors.cohere import make
from infrai_runtime.vendors.http import Pool
from tests.core.wall import Play, Wall
from tests.runtime.vendors.oracle import KEY, call_of, entry, failure_of, run, vendor, whole

Json = dict[str, Any]

MODEL = "rerank-v4.0-pro"
REQUEST: Json = {"query": "capital of the US?", "candidates": ["Carson City", "Washington, D.C.", "Saipan"], "top_k": 2}
# https://docs.cohere.com/reference/rerank (response)
COHERE = {
    "id": "07734bd2-2473-4f07-94e1-0d9f0e6843cf",
    "results": [{"index": 1, "relevance_score": 0.999071}, {"index": 0, "relevance_score": 0.32713068}],
    "meta": {"api_version": {"version": "2", "is_experimental": False}, "billed_units": {"search_units": 1}},
}
# https://api.jina.ai/redoc#tag/rerank
JINA = {
    "model": "jina-reranker-v3",
    "object": "list",
    "usage": {"total_tokens": 42},
    "results": [{"index": 0, "relevance_score": 0.2}, {"index": 1, "relevance_score": 0.9}],
}
# https://docs.voyageai.com/reference/reranker-api
VOYAGE = {
    "object": "list",
    "data": [{"index": 1, "relevance_score": 0.9}, {"index": 2, "relevance_score": 0.1}],
    "model": "rerank-2.5",
    "usage": {"total_tokens": 26},
}


def ranked(name: str, answer: Json, request: Json = REQUEST, status: int = 200, **more: Any) -> tuple[Any, Wall]:
    with Wall([whole(answer, status)]) as wall:

        async def body() -> Any:
            async with vendor(make, name, wall) as made:
                assert isinstance(made, Reranks)
                return await made.rerank(request, call_of(MODEL, **more))

        return run(body), wall


def test_a_ranking_is_the_one_that_the_sdk_reads() -> None:
    made, wall = ranked("cohere", COHERE, options={"max_tokens_per_doc": 100})
    (seen,) = wall.requests
    assert (seen.path, seen.headers["authorization"]) == ("/v2/rerank", f"Bearer {KEY}")
    sent = {"model": MODEL, "query": REQUEST["query"], "documents": REQUEST["candidates"], "top_n": 2}
    assert seen.body == {**sent, "max_tokens_per_doc": 100}
    with Wall([whole(COHERE)]) as other:
        read = cohere.ClientV2(KEY, base_url=other.url).rerank(
            model=MODEL, query=REQUEST["query"], documents=REQUEST["candidates"], top_n=2
        )
    assert other.requests[0].body == sent
    assert list(made.results) == [(row.index, row.relevance_score) for row in read.results]
    assert read.meta is not None
    assert read.meta.billed_units is not None
    assert made.usage == {"search_units": read.meta.billed_units.search_units}


@pytest.mark.parametrize(
    ("name", "answer", "top", "results", "tokens"),
    [("jina", JINA, "top_n", [(1, 0.9), (0, 0.2)], 42), ("voyage", VOYAGE, "top_k", [(1, 0.9), (2, 0.1)], 26)],
)
def test_vendors_that_ask_alike_are_rows(
    name: str, answer: Json, top: str, results: list[tuple[int, float]], tokens: int
) -> None:
    made, wall = ranked(name, answer)
    assert (wall.requests[0].path, wall.requests[0].body[top]) == ("/v1/rerank", 2)
    assert made.results == results
    assert made.usage == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_any_other_reranker_of_that_shape_is_configured_by_its_address() -> None:
    with Wall([whole(VOYAGE)]) as wall:
        row = replace(entry("mine", wall), dialect="cohere", options={"shape": "voyage"})

        async def body() -> Any:
            pool = Pool()
            try:
                return await make(row, pool).rerank(REQUEST, call_of(MODEL))
            finally:
                await pool.close()

        assert run(body).results[0] == (1, 0.9)
        with pytest.raises(ConfigError, match="allowed are cohere, jina, voyage"):
            make(replace(row, options={"shape": "elephant"}), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer", [{}, {"results": [{"index": 7, "relevance_score": 1}]}, {"results": [{"score": 1}]}, {"results": 3}]
)
def test_an_answer_of_another_shape_is_the_vendors_failure(answer: Json) -> None:
    assert failure_of(lambda: ranked("cohere", answer)).code == "VENDOR_ERROR"


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "invalid request: list of documents must not be empty", "INVALID_REQUEST"),
        (401, "invalid api token", "UNAUTHORIZED"),
        (429, "You are past the per minute request limit", "RATE_LIMITED"),
        (500, "internal server error", "VENDOR_ERROR"),
    ],
)
def test_every_documented_error_has_its_code(status: int, message: str, code: str) -> None:
    # https://docs.cohere.com/reference/errors
    failure = failure_of(lambda: ranked("cohere", {"id": "e", "message": message}, status=status))
    assert (failure.code, message in failure.message) == (code, True)


# -- embeddings --------------------------------------------------------------------------------------------------------


def vectors(values: list[list[float]], tokens: int | None = 4) -> Json:
    # https://docs.cohere.com/reference/embed (response)
    billed = {"billed_units": {"input_tokens": tokens}} if tokens is not None else {}
    return {
        "id": "1",
        "embeddings": {"float": values},
        "texts": [],
        "response_type": "embeddings_by_type",
        "meta": {"api_version": {"version": "2"}, **billed},
    }


def embedded(texts: list[str], plays: list[Play], **more: Any) -> tuple[Any, Wall]:
    with Wall(plays) as wall:

        async def body() -> Any:
            async with vendor(make, "cohere", wall) as made:
                assert isinstance(made, Embeds)
                return await made.embed({"input": texts, **more}, call_of("embed-v4.0"))

        return run(body), wall


def test_vectors_are_those_that_the_sdk_reads() -> None:
    made, wall = embedded(["a", "b"], [whole(vectors([[1.0, 2.0], [3.0, 4.0]]))], dimensions=256)
    sent = {"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"]}
    assert wall.requests[0].body == {"model": "embed-v4.0", **sent, "output_dimension": 256}
    with Wall([whole(vectors([[1.0, 2.0], [3.0, 4.0]]))]) as other:
        read = cohere.ClientV2(KEY, base_url=other.url).embed(
            model="embed-v4.0", texts=["a", "b"], input_type="search_document", embedding_types=["float"]
        )
    assert made.vectors == read.embeddings.float_
    assert made.usage == {"prompt_tokens": 4, "total_tokens": 4}


@pytest.mark.parametrize(("given", "said"), [("query", "search_query"), ("document", "search_document")])
def test_what_the_texts_are_is_said_in_coheres_words(given: str, said: str) -> None:
    _, wall = embedded(["a"], [whole(vectors([[1.0]]))], input_type=given)
    assert wall.requests[0].body["input_type"] == said


def test_more_texts_than_a_call_takes_are_several_calls_and_unbilled_tokens_are_estimated() -> None:
    plays = [whole(vectors([[1.0]] * 96, None)), whole(vectors([[2.0]] * 4, None))]
    made, wall = embedded(["x"] * 100, plays)
    assert [len(seen.body["texts"]) for seen in wall.requests] == [96, 4]
    assert [vector[0] for vector in made.vectors] == [1.0] * 96 + [2.0] * 4
    assert made.usage["estimated"] is True
