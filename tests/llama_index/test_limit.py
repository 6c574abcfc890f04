from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.rate_limiter import SlidingWindowRateLimiter, TokenBucketRateLimiter

from infrai_core import ConfigError, RateLimited
from infrai_core.testing import Script, envelope, failure, reply, streamed
from llama_index_infrai import Infrai, InfraiEmbedding
from llama_index_infrai.testing.embedding import Turnstile

Make = Callable[..., tuple[Any, Script]]
HI = [ChatMessage(content="one two three four five")]
AGAIN = failure("RATE_LIMITED", retry_after_s=0)


def test_the_number_of_requests_is_one_more_than_the_retries(scripted: Make) -> None:
    llm, script = scripted(*[AGAIN] * 9, max_retries=3)
    with pytest.raises(RateLimited):
        llm.chat(HI)
    assert len(script.requests) == 4


def test_a_limiter_that_is_set_later_is_asked_too(scripted: Make) -> None:
    limiter = Turnstile()
    llm, _ = scripted(reply("a"), reply("b"))
    llm.rate_limiter = limiter
    llm.chat(HI)
    assert limiter.passed == [5]
    llm.rate_limiter = None
    llm.chat(HI)
    assert limiter.passed == [5]
    assert llm.ledger.total.calls == 2


def test_a_limiter_may_be_shared_and_read(scripted: Make) -> None:
    bucket = TokenBucketRateLimiter(requests_per_minute=60, tokens_per_minute=1000)
    first, _ = scripted(reply("a"), rate_limiter=bucket)
    second, _ = scripted(reply("b"), rate_limiter=first.rate_limiter)
    first.chat(HI)
    second.chat(HI)
    assert second.rate_limiter.tokens_per_minute == 1000
    assert second.rate_limiter.limiter is bucket
    assert 989 <= bucket._token_tokens <= 991  # ten tokens taken, and some refilled


@pytest.mark.parametrize(
    "limiter",
    [TokenBucketRateLimiter(tokens_per_minute=4), SlidingWindowRateLimiter(tokens_per_minute=3, token_burst=1)],
)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_request_that_could_never_pass_is_refused(scripted: Make, limiter: Any, is_async: bool) -> None:
    llm, script = scripted(rate_limiter=limiter)
    with pytest.raises(ConfigError, match="about 5 tokens"):
        asyncio.run(llm.achat(HI)) if is_async else llm.chat(HI)
    assert script.requests == []


def test_a_stream_that_is_never_read_takes_nothing(scripted: Make) -> None:
    limiter = Turnstile()
    llm, _ = scripted(streamed(["a"]), rate_limiter=limiter)
    stream = llm.stream_chat(HI)
    assert limiter.passed == []
    list(stream)
    assert limiter.passed == [5]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_has_the_same_limiter(scripted: Make, copied: Any) -> None:
    limiter = Turnstile()
    llm, _ = scripted(reply("a"), rate_limiter=limiter)
    copied(llm).chat(HI)
    assert limiter.passed == [5]


def test_a_limiter_that_pickles_goes_along() -> None:
    again = pickle.loads(pickle.dumps(Infrai(api_key="k", rate_limiter=Turnstile())))
    assert isinstance(again.rate_limiter.limiter, Turnstile)


def test_texts_from_the_cache_take_nothing() -> None:
    from llama_index.core.storage.kvstore import SimpleKVStore

    limiter = Turnstile()
    script = Script([envelope({"embeddings": [[1.0], [2.0]], "model": "m"})])
    model = InfraiEmbedding(
        api_key="k", transport=script, model="m", rate_limiter=limiter, embeddings_cache=SimpleKVStore()
    )
    for _ in range(2):
        assert model.get_text_embedding_batch(["one two", "three"]) == [[1.0], [2.0]]
        assert asyncio.run(model.aget_text_embedding_batch(["one two", "three"])) == [[1.0], [2.0]]
    assert limiter.passed == [3]
