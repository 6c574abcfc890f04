"""What a key may do per minute and at the same time: requests, tokens, concurrent calls.

Tokens are not known before the answer: the careful estimate is taken first, and when the call has ended the difference
to what it used is taken or given back. Headers have the names that clients of OpenAI's service read.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from infrai_runtime.failure import Failure
from infrai_runtime.pricing import expected_usage
from infrai_runtime.request import Ask
from infrai_runtime.store.ephemeral import Ephemeral, Place, Taken, Wish

if TYPE_CHECKING:
    from infrai_runtime.trace import Trace

LEASE_S = 30.0
"""How long a place is kept for a process that died; one that lives renews it."""
WAIT_FOR_PLACE_S = 1.0


class Held(NamedTuple):
    """What a running call has taken and ends: the tokens it was expected to use, its place among the calls."""

    tokens: Wish | None = None
    place: Place | None = None


async def take(ephemeral: Ephemeral, trace: Trace, per_minute: int | None, token_ratio: float) -> Held | None:
    """Takes what the call needs, in one step, and returns what of that is to be ended with it, if anything is;
    ``per_minute`` is the limit of requests for keys without one of their own, ``token_ratio`` how the model that is to
    answer has counted tokens so far.

    ``trace.limits`` gets what is left. Raises RATE_LIMITED with the time to wait; then nothing is held.
    """
    caller = trace.caller
    policy = caller.policy
    requests = policy.requests_per_minute or per_minute
    if requests is None and policy.tokens_per_minute is None and policy.concurrency is None:
        return None
    who = caller.key_id or caller.project_id
    wishes = {}
    if requests is not None:
        wishes["requests"] = Wish(f"requests:{who}", 1, requests)
    if (most := policy.tokens_per_minute) is not None:
        wishes["tokens"] = Wish(f"tokens:{who}", min(most, _careful_tokens(trace.ask, token_ratio)), most)
    place = None if policy.concurrency is None else Place(f"calls:{who}", trace.request_id, policy.concurrency, LEASE_S)
    got = await ephemeral.hold(tuple(wishes.values()), place)
    for (kind, wish), taken in zip(wishes.items(), got.taken, strict=True):
        _tell(trace.limits, kind, int(wish.per_minute), taken)
        _check(taken, _TOO_MANY[kind].format(wish=wish))
    if place is not None and not got.entered:
        message = f"more than {place.most} calls at the same time"
        raise Failure("RATE_LIMITED", message, retry_after_s=WAIT_FOR_PLACE_S)
    tokens = wishes.get("tokens")
    return Held(tokens, place) if tokens is not None or place is not None else None


_TOO_MANY = {
    "requests": "more than {wish.per_minute} requests per minute",
    "tokens": "more than {wish.per_minute} tokens per minute (this call may need {wish.amount})",
}


def _careful_tokens(ask: Ask, ratio: float) -> int:
    expected = expected_usage(ask.prompt, upper=True, ratio=ratio)
    return int(expected.get("prompt_tokens", 0) + expected.get("completion_tokens", 0))


async def give_back(ephemeral: Ephemeral, held: Held, used_tokens: int | None) -> None:
    """Ends what a call held. ``used_tokens`` is None when the estimate is the best that is known."""
    debts = _debts(held.tokens, used_tokens)
    if debts or held.place is not None:
        await ephemeral.let_go(debts, held.place)


def _debts(tokens: Wish | None, used: int | None) -> tuple[Wish, ...]:
    if tokens is None or used is None or used == tokens.amount:
        return ()
    return (tokens._replace(amount=used - tokens.amount),)


def _check(taken: Taken, message: str) -> None:
    if taken.wait_s is not None:
        raise Failure("RATE_LIMITED", message, retry_after_s=taken.wait_s)


def _tell(headers: dict[str, str], kind: str, per_minute: int, taken: Taken) -> None:
    headers[f"X-RateLimit-Limit-{kind}"] = str(per_minute)
    headers[f"X-RateLimit-Remaining-{kind}"] = str(max(0, int(taken.left)))
    headers[f"X-RateLimit-Reset-{kind}"] = f"{ceil((per_minute - taken.left) * 60 / per_minute)}s"
