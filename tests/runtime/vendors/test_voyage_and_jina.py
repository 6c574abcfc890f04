"""Embeddings and ranking of Voyage and Jina. Voyage's official SDK reads the same bytes; Jina has none for Python, so
the client of LlamaIndex's integration does."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.embeddings.jinaai.base import _JinaAPICaller as JinaCaller  # type: ignore[import-untyped]
from llama_index.postprocessor.jinaai_rerank import JinaRerank  # type: ignore[import-untyped]
from voyageai import error as voyage_errors
from voyageai.client import Client as Voyage

from infrai_runtime.vendors.base import Chats, Embeds, Reranks
from infrai_runtime.vendors.cohere import make
from infrai_runtime.vendors.configuration import entries
from infrai_runtime.vendors.http import Pool
from tests.core.wall import Play, Wall
from tests.runtime.vendors.oracle import KEY, call_of, entry, failure_of, run, vendor, whole

Json = dict[str, Any]

VECTORS = [[0.25, -1.5], [3.0, 0.125]]
MODELS = {"voyage": "voyage-4", "jina": "jina-embeddings-v4"}


def in_base64(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def voyage(vectors: list[Any], tokens: int = 10) -> Json:
    # https://docs.voyageai.com/reference/embeddings-api; in base64 where encoding_format says so
    rows = [{"object": "embedding", "embedding": vector, "index": index} for index, vector in enumerate(vectors)]
    return {"object": "list", "data": rows, "model": "voyage-4", "usage": {"total_tokens": tokens}}


def jina(vectors: list[list[float]], tokens: int = 10) -> Json:
    # https://api.jina.ai/redoc#tag/embeddings
    rows = [{"object": "embedding", "embedding": vector, "index": index} for index, vector in enumerate(vectors)]
    usage = {"total_tokens": tokens, "prompt_tokens": tokens}
    return {"model": "jina-embeddings-v4", "object": "list", "usage": usage, "data": rows[::-1]}


def embedded(name: str, texts: list[str], plays: list[Play], model: str = "", **more: Any) -> tuple[Any, Wall]:
    options = more.pop("options", {})
    with Wall(plays) as wall:

        async def body() -> Any:
            async with vendor(make, name, wall) as made:
                assert isinstance(made, Embeds)
                return await made.embed({"input": texts, **more}, call_of(model or MODELS[name], options=options))

        return run(body), wall


def test_vectors_of_voyage_are_those_that_the_sdk_reads() -> None:
    answer = voyage([in_base64(vector) for vector in VECTORS])
    asked: Json = {"input_type": "query", "output_dimension": 256}
    made, wall = embedded("voyage", ["a", "b"], [whole(answer)], input_type="query", dimensions=256)
    with Wall([whole(answer)]) as other:
        read = Voyage(KEY, base_url=f"{other.url}/v1").embed(["a", "b"], "voyage-4", **asked)
    (mine,), (theirs,) = wall.requests, other.requests
    assert (mine.path, mine.headers["authorization"]) == (theirs.path, theirs.headers["authorization"])
    # what the SDK adds are defaults: to truncate, and floats
    assert mine.body == {n: v for n, v in theirs.body.items() if n not in ("truncation", "output_dtype")}
    assert made.vectors == read.embeddings == VECTORS
    assert made.usage == {"prompt_tokens": read.total_tokens, "total_tokens": read.total_tokens}


def test_vectors_of_jina_are_those_that_the_client_reads() -> None:
    made, wall = embedded("jina", ["a", "b"], [whole(jina(VECTORS))], input_type="document", dimensions=256)
    with Wall([whole(jina(VECTORS))]) as other:
        client = JinaCaller(MODELS["jina"], f"{other.url}/v1", KEY)
        read = client.get_embeddings(["a", "b"], task="retrieval.passage", dimensions=256)
        client._session.close()
    (mine,), (theirs,) = wall.requests, other.requests
    assert (mine.path, mine.headers["authorization"]) == (theirs.path, theirs.headers["authorization"])
    assert mine.body == {n: v for n, v in theirs.body.items() if n != "encoding_type"}  # its default
    assert made.vectors == read == VECTORS
    assert made.usage == {"prompt_tokens": 10, "total_tokens": 10}


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("voyage", "query", {"input_type": "query"}),
        ("voyage", "document", {"input_type": "document"}),
        ("jina", "query", {"task": "retrieval.query"}),
        ("jina", "document", {"task": "retrieval.passage"}),
    ],
)
def test_what_the_texts_are_is_said_in_the_vendors_words(name: str, given: str, said: Json) -> None:
    answer = {"voyage": voyage, "jina": jina}[name]([[1.0]])
    _, wall = embedded(name, ["a"], [whole(answer)], input_type=given)
    assert said.items() <= wall.requests[0].body.items()
    _, wall = embedded(name, ["a"], [whole(answer)])
    assert said.keys().isdisjoint(wall.requests[0].body)


@pytest.mark.parametrize("model", ["jina-embeddings-v2-base-en", "jina-code-embeddings-1.5b"])
def test_a_model_of_jina_without_those_tasks_is_told_none(model: str) -> None:
    _, wall = embedded("jina", ["a"], [whole(jina([[1.0]]))], model, input_type="query")
    assert "task" not in wall.requests[0].body
    _, wall = embedded("jina", ["a"], [whole(jina([[1.0]]))], model, options={"task": "nl2code.query"})
    assert wall.requests[0].body["task"] == "nl2code.query"


@pytest.mark.parametrize(("name", "most"), [("voyage", 1000), ("jina", 512)])
def test_more_texts_than_a_call_takes_are_several_calls(name: str, most: int) -> None:
    answer = {"voyage": voyage, "jina": jina}[name]
    plays = [whole(answer([[1.0]] * most, 7)), whole(answer([[2.0]], 1))]
    made, wall = embedded(name, ["x"] * (most + 1), plays)
    assert [len(seen.body["input"]) for seen in wall.requests] == [most, 1]
    assert [vector[0] for vector in made.vectors] == [1.0] * most + [2.0]
    assert made.usage == {"prompt_tokens": 8, "total_tokens": 8}


@pytest.mark.parametrize("answer", [{}, {"data": 3}, {"data": [{"embedding": [1.0]}]}, voyage([]), voyage(["!"])])
def test_an_answer_of_another_shape_is_the_vendors_failure(answer: Json) -> None:
    assert failure_of(lambda: embedded("voyage", ["a"], [whole(answer)])).code == "VENDOR_ERROR"


@pytest.mark.parametrize(
    ("status", "detail", "kind", "code"),
    [
        # https://docs.voyageai.com/docs/error-codes
        (400, "Model nope is not supported.", voyage_errors.InvalidRequestError, "INVALID_REQUEST"),
        (401, "Provided API key is invalid.", voyage_errors.AuthenticationError, "UNAUTHORIZED"),
        (403, "This address is forbidden.", voyage_errors.APIError, "FORBIDDEN"),
        (422, "input: field required", voyage_errors.MalformedRequestError, "INVALID_REQUEST"),
        (429, "You have exceeded your rate limit.", voyage_errors.RateLimitError, "RATE_LIMITED"),
        (500, "Internal server error.", voyage_errors.ServerError, "VENDOR_ERROR"),
        (502, "Bad gateway.", voyage_errors.ServiceUnavailableError, "VENDOR_ERROR"),
        (503, "Service unavailable.", voyage_errors.ServiceUnavailableError, "VENDOR_ERROR"),
        (504, "Gateway timeout.", voyage_errors.ServiceUnavailableError, "VENDOR_TIMEOUT"),
    ],
)
def test_an_error_of_voyage_is_the_one_that_the_sdk_raises(status: int, detail: str, kind: Any, code: str) -> None:
    failure = failure_of(lambda: embedded("voyage", ["a"], [whole({"detail": detail}, status)]))
    with Wall([whole({"detail": detail}, status)]) as other, pytest.raises(kind) as raised:
        Voyage(KEY, base_url=f"{other.url}/v1").embed(["a"], "voyage-4")
    assert (failure.code, raised.value.http_status) == (code, status)
    assert detail in failure.message
    assert detail in f"{raised.value} {raised.value.http_body}"


@pytest.mark.parametrize(
    ("name", "status", "detail", "code"),
    [
        # https://api.jina.ai/redoc (errors)
        ("jina", 401, "Invalid API key", "UNAUTHORIZED"),
        ("jina", 422, [{"loc": ["body", "task"], "msg": "unexpected value"}], "INVALID_REQUEST"),
    ],
)
def test_every_documented_error_has_its_code(name: str, status: int, detail: Any, code: str) -> None:
    failure = failure_of(lambda: embedded(name, ["a"], [whole({"detail": detail}, status)]))
    said = detail if isinstance(detail, str) else "body.task: unexpected value"
    assert (failure.code, said in failure.message) == (code, True)


def test_a_ranking_of_voyage_is_the_one_that_the_sdk_reads() -> None:
    # https://docs.voyageai.com/reference/reranker-api
    rows = [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.25}]
    answer = {"object": "list", "data": rows, "model": "rerank-2.5", "usage": {"total_tokens": 26}}
    with Wall([whole(answer), whole(answer)]) as wall:

        async def body() -> Any:
            async with vendor(make, "voyage", wall) as made:
                assert isinstance(made, Reranks)
                return await made.rerank({"query": "q", "candidates": ["a", "b"], "top_k": 2}, call_of("rerank-2.5"))

        made = run(body)
        read = Voyage(KEY, base_url=f"{wall.url}/v1").rerank("q", ["a", "b"], "rerank-2.5", 2)
        mine, theirs = wall.requests
    assert (mine.path, mine.body) == (theirs.path, {n: v for n, v in theirs.body.items() if n != "truncation"})
    assert list(made.results) == [(row.index, row.relevance_score) for row in read.results]
    assert made.usage["total_tokens"] == read.total_tokens


def test_a_ranking_of_jina_is_the_one_that_the_client_reads() -> None:
    # https://api.jina.ai/redoc#tag/rerank; its order is by relevance
    rows = [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.25}]
    usage = {"total_tokens": 26, "prompt_tokens": 26}
    answer = {"model": "jina-reranker-v3", "object": "list", "usage": usage, "results": rows}
    with Wall([whole(answer), whole(answer)]) as wall:

        async def body() -> Any:
            async with vendor(make, "jina", wall) as made:
                assert isinstance(made, Reranks)
                return await made.rerank(
                    {"query": "q", "candidates": ["a", "b"], "top_k": 2}, call_of(str(answer["model"]))
                )

        made = run(body)
        client = JinaRerank(2, str(answer["model"]), f"{wall.url}/v1", KEY)
        nodes = [NodeWithScore(node=TextNode(text=text)) for text in ("a", "b")]
        read = client.postprocess_nodes(nodes, QueryBundle("q"))
        client._session.close()
        mine, theirs = wall.requests
    assert (mine.path, mine.headers["authorization"]) == (theirs.path, theirs.headers["authorization"])
    assert mine.body == theirs.body
    assert [("ab"[place], score) for place, score in made.results] == [(n.node.get_content(), n.score) for n in read]


def test_both_are_found_by_their_usual_variables(tmp_path: Path) -> None:
    environ = {"VOYAGE_API_KEY": "pa-1", "JINA_API_KEY": "jina_1"}
    found = {made.name: made for made in entries(environ, tmp_path / "vendors.toml")}
    assert found["voyage"].base_url == "https://api.voyageai.com"
    assert found["jina"].base_url == "https://api.jina.ai"
    with Wall([]) as wall:
        for name in found:
            assert not isinstance(make(entry(name, wall), Pool()), Chats)
