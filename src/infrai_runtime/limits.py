"""What a key may do per minute and at the same time: requests, tokens, concurrent calls.

Tokens are not known before the answer: the careful estimate is taken first, and when the call has ended the difference
to what it used is taken or given back. Headers have the names that clients of OpenAI's service read.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from infrai_runtime.failure import Failure
from infrai_runtime.keys import Caller
from infrai_runtime.pricing import expected_usage
from infrai_runtime.request import Ask
from infrai_runtime.store.ephemeral import Ephemeral, Taken

LEASE_S = 30.0
"""How long a place is kept for a process that died; one that lives renews it."""
WAIT_FOR_PLACE_S = 1.0


@dataclass(slots=True)
class Held:
    """What a running call has taken."""

    tokens_bucket: str | None = None
    tokens_per_minute: int = 0
    tokens: int = 0
    room: str | None = None


async def take(
    ephemeral: Ephemeral,
    caller: Caller,
    ask: Ask,
    holder: str,
    per_minute: int | None,
    headers: dict[str, str],
    token_ratio: float = 1.0,
) -> Held:
    """Takes what the call needs; ``per_minute`` is the limit of requests for keys without one of their own,
    ``token_ratio`` how the model that is to answer has counted tokens so far.

    ``headers`` gets what is left. Raises RATE_LIMITED with the time to wait; then nothing is held.
    """
    policy, held = caller.policy, Held()
    who = caller.key_id or caller.project_id
    requests = policy.requests_per_minute or per_minute
    if requests is not None:
        taken = await ephemeral.take(f"requests:{who}", 1, requests)
        _tell(headers, "requests", requests, taken)
        _check(taken, f"more than {requests} requests per minute")
    try:
        if policy.tokens_per_minute is not None:
            tokens = min(policy.tokens_per_minute, _careful_tokens(ask, token_ratio))
            await _take_tokens(ephemeral, held, f"tokens:{who}", policy.tokens_per_minute, tokens, headers)
        if policy.concurrency is not None:
            await _enter(ephemeral, held, f"calls:{who}", policy.concurrency, holder)
    except Failure:
        await give_back(ephemeral, held, holder, 0)
        if requests is not None:
            await ephemeral.take(f"requests:{who}", -1, requests, owe=True)
        raise
    return held


def _careful_tokens(ask: Ask, ratio: float) -> int:
    expected = expected_usage(ask.capability, ask.body, upper=True, prompt=ask.prompt, ratio=ratio)
    return int(expected.get("prompt_tokens", 0) + expected.get("completion_tokens", 0))


async def _take_tokens(
    ephemeral: Ephemeral, held: Held, bucket: str, per_minute: int, tokens: int, headers: dict[str, str]
) -> None:
    taken = await ephemeral.take(bucket, tokens, per_minute)
    _tell(headers, "tokens", per_minute, taken)
    _check(taken, f"more than {per_minute} tokens per minute (this call may need {tokens})")
    held.tokens_bucket, held.tokens_per_minute, held.tokens = bucket, per_minute, tokens


async def _enter(ephemeral: Ephemeral, held: Held, room: str, most: int, holder: str) -> None:
    if not await ephemeral.enter(room, holder, most, LEASE_S):
        raise Failure("RATE_LIMITED", f"more than {most} calls at the same time", retry_after_s=WAIT_FOR_PLACE_S)
    held.room = room


async def give_back(ephemeral: Ephemeral, held: Held, holder: str, used_tokens: int | None) -> None:
    """Ends what a call held. ``used_tokens`` is None when the estimate is the best that is known."""
    if held.room is not None:
        await ephemeral.leave(held.room, holder)
    if held.tokens_bucket is not None and used_tokens is not None and used_tokens != held.tokens:
        await ephemeral.take(held.tokens_bucket, used_tokens - held.tokens, held.tokens_per_minute, owe=True)


def _check(taken: Taken, message: str) -> None:
    if taken.wait_s is not None:
        raise Failure("RATE_LIMITED", message, retry_after_s=taken.wait_s)


def _tell(headers: dict[str, str], kind: str, per_minute: int, taken: Taken) -> None:
    headers[f"X-RateLimit-Limit-{kind}"] = str(per_minute)
    headers[f"X-RateLimit-Remaining-{kind}"] = str(max(0, int(taken.left)))
    headers[f"X-RateLimit-Reset-{kind}"] = f"{ceil((per_minute - taken.left) * 60 / per_minute)}s"
