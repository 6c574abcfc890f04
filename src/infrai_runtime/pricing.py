"""What a call costs, in integer nano-USD, from what it used and the prices of its model.

Vendors report usage in the OpenAI meaning: cached tokens are part of ``prompt_tokens``, reasoning tokens of
``completion_tokens``. An unknown price of a used unit makes the cost unknown, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

from infrai_runtime.catalogue import NANO, Prices
from infrai_runtime.prompt import Prompt

MILLION = 1_000_000
EXPECTED_OUTPUT_TOKENS = 512
"""What an answer is expected to have when the request does not limit it. Used to compare models, not to bill."""


def cost_nano(usage: Mapping[str, Any] | None, prices: Prices) -> int | None:
    """The cost of what was used; None when a used unit has no price, or when nothing is known.

    Vendors bill a call in tokens or by another unit (image, character, minute, search). Where a price is known for one
    of the two, units of the other kind without any price are not billed: a model that is paid per image does not
    charge for the words of the prompt.
    """
    if prices.free:
        return 0
    used = usage or {}
    if "service_tier" in used:
        prices = prices.at_tier(used["service_tier"])
    into, out = used.get("prompt_tokens") or 0, used.get("completion_tokens") or 0
    then = prices.at(into) if prices.long and into > prices.long[0][0] else prices
    words = used.keys() <= _WORDS or _is_in_words(used)
    if words and into + out and then.input_mtok is not None and then.output_mtok is not None:
        # Words alone, as almost every call: what the rows below add up to.
        return -(-into * then.input_mtok // MILLION) - (-out * then.output_mtok // MILLION)
    tokens, units = list(_tokens(used, then)), list(_units(used, then))
    billed = [row for rows in (tokens, units) if _has_price(rows) for row in rows]
    amounts = [_amount(*row) for row in billed]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _is_in_words(used: Mapping[str, Any]) -> bool:
    """Whether words are all that was used, and the vendor tells of none that may have a price of their own."""
    if not used.keys() <= _WORDS_IN_DETAIL:
        return False
    into, out = used.get("prompt_tokens_details") or {}, used.get("completion_tokens_details") or {}
    return not any(map(into.get, _APART)) and not out.get("audio_tokens")


_Used = tuple[float, int | None, int]
"""(units, price of ``per`` units, per)"""


def _tokens(usage: Mapping[str, Any], prices: Prices) -> Iterator[_Used]:
    into, out = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    cached, written = into.get("cached_tokens") or 0, into.get("cache_write_tokens") or 0
    kept = into.get("cache_write_1h_tokens") or 0
    heard = 0 if prices.audio_input_mtok is None else into.get("audio_tokens") or 0
    spoken = 0 if prices.audio_output_mtok is None else out.get("audio_tokens") or 0
    rows = (
        ((usage.get("prompt_tokens") or 0) - cached - written - heard, prices.input_mtok),
        (cached, _or(prices.cached_input_mtok, prices.input_mtok)),
        (written - kept, _or(prices.cache_write_mtok, prices.input_mtok)),
        (kept, _of_an_hour(prices)),
        (heard, prices.audio_input_mtok),
        ((usage.get("completion_tokens") or 0) - spoken, prices.output_mtok),
        (spoken, prices.audio_output_mtok),
    )
    return ((amount, price, MILLION) for amount, price in rows if amount > 0)


def _of_an_hour(prices: Prices) -> int | None:
    """What a token costs that a cache keeps for an hour: twice the input's price at Claude, the one with such a time
    (https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pricing)."""
    return None if prices.input_mtok is None else 2 * prices.input_mtok


def _units(usage: Mapping[str, Any], prices: Prices) -> Iterator[_Used]:
    rows = (
        (usage.get("images") or 0, prices.image, 1),
        (usage.get("characters") or 0, prices.mcharacter, MILLION),
        (usage.get("audio_seconds") or 0, prices.audio_minute, 60),
        (usage.get("search_units") or 0, prices.search_unit, 1),
    )
    return (row for row in rows if row[0] and (row[1] is not None or not _has_price(rows)))


def _has_price(rows: Iterable[_Used]) -> bool:
    return any(price is not None for _, price, _ in rows)


def _or(price: int | None, usual: int | None) -> int | None:
    return usual if price is None else price


def _amount(units: float, price: int | None, per: int) -> int | None:
    if price is None:
        return None
    return -(-units * price // per) if isinstance(units, int) else math.ceil(Decimal(str(units)) * price / per)


def dearest(prices: Iterable[Prices]) -> tuple[Prices, ...]:
    """Those of some prices that may be the highest of them for what a call is expected to use: one that is nowhere
    above another is left out."""
    kept: list[Prices] = []
    for one in sorted(dict.fromkeys(prices), key=_by_words, reverse=True):
        if not any(_covers(other, one) for other in kept):
            kept.append(one)
    return tuple(kept)


def _by_words(prices: Prices) -> list[tuple[int, int]]:
    return [(one.input_mtok or 0, one.output_mtok or 0) for one in (prices, *(longer for _, longer in prices.long))]


_OF_EXPECTED = attrgetter(
    *("input_mtok", "output_mtok", "audio_input_mtok", "audio_output_mtok"),
    *("image", "mcharacter", "audio_minute", "search_unit"),
)
"""The prices of what ``expected_usage`` tells."""


def _covers(dear: Prices, cheap: Prices) -> bool:
    if not _none_is_above(_OF_EXPECTED(cheap), _OF_EXPECTED(dear)):
        return False
    lengths = [above + 1 for above, _ in (*dear.long, *cheap.long)]
    return all(_none_is_above(_OF_EXPECTED(cheap.at(n)), _OF_EXPECTED(dear.at(n))) for n in lengths)


def _none_is_above(amounts: Sequence[int | None], most: Sequence[int | None]) -> bool:
    """Whether the same amounts are known of both, and none of the first is above that of the second."""
    for amount, other in zip(amounts, most, strict=True):
        if amount != other and (amount is None or other is None or amount > other):
            return False
    return True


def usd(nano: int | None) -> float | None:
    """Nano-USD as the wire's JSON number with at most 9 decimals."""
    return None if nano is None else round(nano / NANO, 9)


def usd_text(nano: int) -> str:
    """Nano-USD as a plain decimal string, for headers."""
    return f"{nano // NANO}.{nano % NANO:09d}".rstrip("0").rstrip(".")


def nano_of_usd(amount: float) -> int:
    """A vendor's own price as nano-USD."""
    return int(Decimal(str(amount)) * NANO)


def expected_usage(prompt: Prompt, *, upper: bool = False, ratio: float = 1.0) -> dict[str, Any]:
    """What a request with this prompt is expected to use, to compare models with; ``upper`` gives careful numbers for
    reserves and context limits, times the ``ratio`` of a model's own count of tokens to the estimate.

    Comparing is on the path of every request, so it counts a token per four bytes and reads no word.
    """
    tokens = prompt.careful_for(ratio) if upper else prompt.rough
    return _EXPECTED.get(prompt.capability, _tokens_in)(tokens, prompt.body)


_WORDS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_WORDS_IN_DETAIL = _WORDS | {"prompt_tokens_details", "completion_tokens_details"}
_APART = ("cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "audio_tokens")
"""Words of a prompt that may have a price of their own."""


def _chat_usage(prompt: int, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = body.get("max_tokens", EXPECTED_OUTPUT_TOKENS)
    return {"prompt_tokens": prompt, "completion_tokens": answer * body.get("choices", 1)}


def _tokens_in(prompt: int, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt_tokens": prompt}


CHARACTERS_PER_SECOND = 15
"""Of speech: about 150 words a minute."""
_IMAGE_TOKENS = 1056
"""Of a square image of medium quality, where images are billed in tokens (OpenAI, "Image generation", costs)."""
_MINUTE_OF_SPEECH = {"audio_seconds": 60, "prompt_tokens": 1000, "prompt_tokens_details": {"audio_tokens": 1000}}
"""What a minute comes to where it is billed in tokens; the length of a sound is not known before it is read."""

_EXPECTED: dict[str, Callable[[int, Mapping[str, Any]], dict[str, Any]]] = {
    "chat": _chat_usage,
    "vision": _chat_usage,
    "image": lambda prompt, body: {"prompt_tokens": prompt} | _images(body.get("n", 1)),
    "tts": lambda prompt, body: {"prompt_tokens": prompt} | _speech(len(body["input"])),
    "asr": lambda prompt, body: _MINUTE_OF_SPEECH | {"completion_tokens": 200},
    "rerank": lambda prompt, body: {"prompt_tokens": prompt, "search_units": 1},
    "realtime": lambda prompt, body: (
        _MINUTE_OF_SPEECH | {"completion_tokens": 1000, "completion_tokens_details": {"audio_tokens": 1000}}
    ),
}


def _images(n: int) -> dict[str, Any]:
    return {"images": n, "completion_tokens": n * _IMAGE_TOKENS}


def _speech(characters: int) -> dict[str, Any]:
    seconds = characters / CHARACTERS_PER_SECOND
    return {"characters": characters, "audio_seconds": seconds, "completion_tokens": math.ceil(seconds * 25)}
