"""Tests of embedding models."""

from __future__ import annotations

import math
from typing import Any

import pytest
from llama_index.core.callbacks import CBEventType
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index.core.schema import TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from llama_index_infrai.testing.endpoint import COPIES, run
from llama_index_infrai.testing.subject import EmbeddingSuite
from llama_index_infrai.testing.watch import watching

TEXTS = ["The museum opens at nine.", "Dogs are not allowed.", "A ticket costs twelve euros.", "Cats may come in.", "x"]
both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


class Turnstile(BaseRateLimiter):
    """A rate limiter that lets everything pass and notes the token counts that it was told."""

    def __init__(self) -> None:
        self.passed: list[int] = []

    def acquire(self, num_tokens: int = 0) -> None:
        self.passed.append(num_tokens)

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.passed.append(num_tokens)


def embedded(model: Any, texts: list[str], is_async: bool, **options: Any) -> list[list[float]]:
    """The vectors of a batch, either way."""
    if is_async:
        return run(model.aget_text_embedding_batch(texts, **options))
    vectors: list[list[float]] = model.get_text_embedding_batch(texts, **options)
    return vectors


def alike(one: list[float], other: list[float]) -> bool:
    """Whether two vectors are the same but for rounding."""
    return len(one) == len(other) and all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(one, other, strict=True))


class EmbeddingTests(EmbeddingSuite):
    """Vectors, batches, events, caches, copies, secrets."""

    def test_llama_index_takes_it_for_an_embedding_model(self, embedding: Any) -> None:
        assert isinstance(embedding, BaseEmbedding)
        assert embedding.model_name not in ("", "unknown")

    @both
    def test_vectors_come_in_the_order_of_the_texts(self, embedding: Any, is_async: bool) -> None:
        vectors = embedded(embedding, TEXTS, is_async)
        assert len({len(vector) for vector in vectors}) == 1
        assert all(any(vector) for vector in vectors)
        for text, vector in zip(TEXTS, vectors, strict=True):
            assert alike(vector, embedding.get_text_embedding(text)), text

    @both
    def test_batches_make_no_difference(self, is_async: bool) -> None:
        model = self.make(embed_batch_size=2)
        try:
            for text, vector in zip(TEXTS, embedded(model, TEXTS, is_async), strict=True):
                assert alike(vector, model.get_text_embedding(text)), text
        finally:
            self.close(model)

    def test_both_worlds_give_the_same_vectors(self, embedding: Any) -> None:
        assert alike(run(embedding.aget_text_embedding(TEXTS[0])), embedding.get_text_embedding(TEXTS[0]))
        assert alike(run(embedding.aget_query_embedding(TEXTS[0])), embedding.get_query_embedding(TEXTS[0]))

    @both
    def test_no_texts_give_no_vectors(self, embedding: Any, is_async: bool) -> None:
        assert embedded(embedding, [], is_async) == []

    @both
    def test_progress_can_be_shown(self, embedding: Any, is_async: bool, capsys: pytest.CaptureFixture[str]) -> None:
        assert len(embedded(embedding, TEXTS, is_async, show_progress=True)) == len(TEXTS)
        assert "Generating embeddings" in capsys.readouterr().err

    @both
    def test_the_list_of_the_caller_is_not_changed(self, embedding: Any, is_async: bool) -> None:
        texts = list(TEXTS)
        embedded(embedding, texts, is_async)
        assert texts == TEXTS

    def test_a_near_text_is_nearer_than_a_far_one(self, embedding: Any) -> None:
        query = embedding.get_query_embedding("How much does a ticket cost?")
        near, far = embedding.get_text_embedding_batch([TEXTS[2], TEXTS[1]])
        assert embedding.similarity(query, near) > embedding.similarity(query, far)

    # -- events and limits -----------------------------------------------------------------------------------------

    @both
    def test_each_batch_is_reported_once(self, is_async: bool) -> None:
        model = self.make(embed_batch_size=2)
        try:
            with watching(model) as watch:
                embedded(model, TEXTS, is_async)
        finally:
            self.close(model)
        assert len(watch.named("EmbeddingStartEvent")) == 3
        ended = watch.named("EmbeddingEndEvent")
        assert [chunk for event in ended for chunk in event.chunks] == TEXTS
        assert [len(event.embeddings) for event in ended] == [2, 2, 1]
        assert watch.callbacks(CBEventType.EMBEDDING) == (3, 3)
        assert not [secret for secret in self.secrets if secret in watch.text()]

    @both
    @pytest.mark.parametrize("cached", [False, True], ids=["plain", "cached"])
    def test_the_rate_limiter_is_asked_once_per_batch(self, is_async: bool, cached: bool) -> None:
        limiter = Turnstile()
        cache = SimpleKVStore() if cached else None
        model = self.make(embed_batch_size=2, rate_limiter=limiter, embeddings_cache=cache)
        try:
            embedded(model, TEXTS, is_async)
        finally:
            self.close(model)
        assert len(limiter.passed) == 3

    # -- caches and pipelines --------------------------------------------------------------------------------------

    @both
    def test_a_cache_gives_the_same_vectors(self, is_async: bool) -> None:
        model = self.make(embeddings_cache=SimpleKVStore())
        try:
            first = embedded(model, TEXTS, is_async)
            assert all(alike(a, b) for a, b in zip(first, embedded(model, TEXTS, is_async), strict=True))
        finally:
            self.close(model)

    @both
    def test_two_models_with_one_cache_keep_their_own_vectors(self, is_async: bool) -> None:
        if self.other_model_params is None:
            pytest.skip("there is only one model (other_model_params)")
        store = SimpleKVStore()
        other = self.make(**self.other_model_params)
        sharing = [self.make(embeddings_cache=store)]
        sharing.append(self.make(embeddings_cache=store, **self.other_model_params))
        try:
            embedded(sharing[0], TEXTS, is_async)
            expected = embedded(other, TEXTS, is_async)
            found = embedded(sharing[1], TEXTS, is_async)
            assert all(alike(a, b) for a, b in zip(found, expected, strict=True))
        finally:
            for model in (other, *sharing):
                self.close(model)

    def test_a_pipeline_embeds_every_node(self, embedding: Any) -> None:
        nodes = [TextNode(text=text) for text in TEXTS]
        done = IngestionPipeline(transformations=[embedding], disable_cache=True).run(nodes=nodes)
        assert all(node.embedding for node in done)

    def test_a_new_secret_does_not_spoil_the_cache_of_a_pipeline(self) -> None:
        secret = [name for name, value in self.embedding_params.items() if str(value) in self.secrets]
        one, other = self.make(), self.make(**dict.fromkeys(secret, "another-secret-key"))
        try:
            assert one.to_dict() == other.to_dict(), "IngestionCache's key is the text with to_dict()"
        finally:
            self.close(one)
            self.close(other)

    # -- life ------------------------------------------------------------------------------------------------------

    def test_one_instance_serves_several_event_loops(self, embedding: Any) -> None:
        found = [run(embedding.aget_text_embedding(TEXTS[0])) for _ in range(3)]
        assert alike(found[0], found[2])

    @pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
    @pytest.mark.parametrize("used", [False, True], ids=["fresh", "after calls"])
    def test_a_copy_gives_the_same_vectors(self, embedding: Any, copied: Any, used: bool) -> None:
        if used:
            embedding.get_text_embedding(TEXTS[1])
            run(embedding.aget_text_embedding(TEXTS[1]))
        twin = copied(embedding)
        try:
            assert alike(twin.get_text_embedding(TEXTS[0]), embedding.get_text_embedding(TEXTS[0]))
            assert alike(run(twin.aget_text_embedding(TEXTS[0])), embedding.get_text_embedding(TEXTS[0]))
        finally:
            self.close(twin)

    def test_no_dump_shows_a_secret(self, embedding: Any) -> None:
        dumps = [repr(embedding), str(embedding), embedding.to_json(), str(embedding.to_dict())]
        dumps.append(str(embedding.to_payload()))
        assert not [secret for secret in self.secrets for dump in dumps if secret in dump]

    def test_what_was_dumped_can_be_read_again(self, embedding: Any) -> None:
        again = type(embedding).from_dict({**embedding.to_dict(), **self.embedding_params})
        try:
            assert again.to_dict() == embedding.to_dict()
        finally:
            self.close(again)

    def test_an_unknown_constructor_argument_is_refused(self) -> None:
        if not self.refuses_unknown_arguments:
            pytest.skip("the class does not refuse unknown arguments (refuses_unknown_arguments)")
        with pytest.raises(ValueError, match="dimenssions"):
            self.make(dimenssions=5)
