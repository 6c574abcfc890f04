"""Rate limiters are asked before every attempt, with an estimate of its tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infrai_core import ConfigError, RateLimited
from infrai_core.testing import Script, envelope, failure, reply, streamed
from infrai_core.tokens import estimate_request

from .wall import Kit

AGAIN = failure("RATE_LIMITED", retry_after_s=0)


class Turnstile:
    """Lets everything pass and notes the token counts."""

    def __init__(self) -> None:
        self.passed: list[int] = []

    def acquire(self, num_tokens: int = 0) -> None:
        self.passed.append(num_tokens)

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.passed.append(num_tokens)


def test_every_attempt_is_asked_for_once(kit: Kit) -> None:
    limiter, script = Turnstile(), Script([AGAIN, AGAIN, reply("Paris")])

    async def body() -> None:
        async with kit.client(transport=script, limiter=limiter) as client:
            await client.chat("one two three four", max_tokens=100)

    kit.run(body)
    assert len(script.requests) == 3
    assert limiter.passed == [104] * 3


def test_a_stream_is_asked_for_when_it_is_sent(kit: Kit) -> None:
    limiter, script = Turnstile(), Script([AGAIN, streamed(["Paris"])])

    async def body() -> None:
        async with kit.client(transport=script, limiter=limiter) as client:
            stream = client.stream_chat("one two")
            assert limiter.passed == []
            await stream.reply()

    kit.run(body)
    assert limiter.passed == [2, 2]


def test_what_uses_no_model_is_not_limited(kit: Kit) -> None:
    limiter = Turnstile()

    async def body() -> None:
        async with kit.client(transport=Script([envelope({"data": []})]), limiter=limiter) as client:
            await client.models()

    kit.run(body)
    assert limiter.passed == []


def test_a_limiter_may_refuse(kit: Kit) -> None:
    class Closed(Turnstile):
        def acquire(self, num_tokens: int = 0) -> None:
            raise RateLimited("closed", status=429)

        async def async_acquire(self, num_tokens: int = 0) -> None:
            raise RateLimited("closed", status=429)

    script = Script([])

    async def body() -> None:
        async with kit.client(transport=script, limiter=Closed()) as client:
            with pytest.raises(RateLimited, match="closed"):
                await client.chat("hi")

    kit.run(body)
    assert script.requests == []


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, 0),
        ({"messages": [{"role": "user", "content": "one two"}]}, 2),
        ({"messages": [{"role": "user", "parts": [{"type": "text", "text": "one two"}]}], "max_tokens": 50}, 52),
        ({"input": ["one", "two three"]}, 3),
        ({"query": "one", "candidates": ["two", "three four"]}, 4),
        ({"messages": [{"role": "user", "parts": [{"type": "image", "base64": "A" * 100_000}]}]}, 512),
        ({"messages": [{"content": [{"type": "image_url", "image_url": {"url": "data:," + "A" * 9000}}]}]}, 512),
        ({"model": "a long model name", "user": "somebody"}, 0),
    ],
)
def test_text_is_estimated_and_media_are_not_taken_for_text(body: dict[str, Any], tokens: int) -> None:
    assert estimate_request(body) == tokens


Make = Callable[..., Any]


def test_an_unknown_option_is_still_refused(kit: Kit) -> None:
    with pytest.raises(ConfigError, match="limiter"):
        kit.client(limitr=Turnstile())
