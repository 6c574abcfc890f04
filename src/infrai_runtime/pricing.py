"""What a call costs, in integer nano-USD, from what it used and the prices of its model.

Vendors report usage in the OpenAI meaning: cached tokens are part of ``prompt_tokens``, reasoning tokens of
``completion_tokens``. An unknown price of a used unit makes the cost unknown, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from infrai_core.tokens import estimate_upper
from infrai_runtime.catalogue import NANO, Prices

MILLION = 1_000_000
EXPECTED_OUTPUT_TOKENS = 512
"""What an answer is expected to have when the request does not limit it. Used to compare models, not to bill."""


def cost_nano(usage: Mapping[str, Any] | None, prices: Prices) -> int | None:
    """The cost of what was used; None when a used unit has no price, or when nothing is known."""
    if prices.free:
        return 0
    amounts = [_amount(*row) for row in _used(usage or {}, prices)]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _used(usage: Mapping[str, Any], prices: Prices) -> Iterator[tuple[float, int | None, int]]:
    """(units, price of ``per`` units, per) of everything that was used."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    cached_price = prices.input_mtok if prices.cached_input_mtok is None else prices.cached_input_mtok
    rows = (
        ((usage.get("prompt_tokens") or 0) - cached, prices.input_mtok, MILLION),
        (cached, cached_price, MILLION),
        (usage.get("completion_tokens") or 0, prices.output_mtok, MILLION),
        (usage.get("images") or 0, prices.image, 1),
        (usage.get("characters") or 0, prices.mcharacter, MILLION),
        (usage.get("audio_seconds") or 0, prices.audio_minute, 60),
        (usage.get("search_units") or 0, prices.search_unit, 1),
    )
    priced_by_token = prices.input_mtok is not None
    return (row for row in rows if row[0] and not (row[1] is None and priced_by_token and row[2] != MILLION))


def _amount(units: float, price: int | None, per: int) -> int | None:
    return None if price is None else math.ceil(Decimal(str(units)) * price / per)


def usd(nano: int | None) -> float | None:
    """Nano-USD as the wire's JSON number with at most 9 decimals."""
    return None if nano is None else round(nano / NANO, 9)


def usd_text(nano: int) -> str:
    """Nano-USD as a plain decimal string, for headers."""
    return f"{Decimal(nano) / NANO:.9f}".rstrip("0").rstrip(".") or "0"


def nano_of_usd(amount: float) -> int:
    """A vendor's own price as nano-USD."""
    return int(Decimal(str(amount)) * NANO)


def prompt_text(capability: str, body: Mapping[str, Any]) -> str:
    """Everything that a model reads of a request, for estimates."""
    return "\n".join(_texts(body.get(_READ_FIELD.get(capability, "input"), "")))


_READ_FIELD = {"chat": "messages", "vision": "prompt", "embed": "input", "image": "prompt", "rerank": "candidates"}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name in ("parts", "text", "name", "arguments"):
            yield from _texts(value.get(name))


def expected_usage(capability: str, body: Mapping[str, Any], *, upper: bool = False) -> dict[str, Any]:
    """What a request is expected to use, to compare models with; ``upper`` gives careful numbers for reserves and
    context limits.

    Comparing is on the path of every request, so it counts a token per four bytes and reads no word.
    """
    text = prompt_text(capability, body)
    prompt = estimate_upper(text) if upper else len(text.encode("utf-8", "surrogatepass")) // 4 + 1
    return _EXPECTED.get(capability, _tokens_in)(prompt, body)


def _chat_usage(prompt: int, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": body.get("max_tokens", EXPECTED_OUTPUT_TOKENS)}


def _tokens_in(prompt: int, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt_tokens": prompt}


_EXPECTED: dict[str, Callable[[int, Mapping[str, Any]], dict[str, Any]]] = {
    "chat": _chat_usage,
    "vision": _chat_usage,
    "image": lambda prompt, body: {"prompt_tokens": prompt, "images": body.get("n", 1)},
    "tts": lambda prompt, body: {"characters": len(body["input"])},
    "asr": lambda prompt, body: {"audio_seconds": 60},
    "rerank": lambda prompt, body: {"prompt_tokens": prompt, "search_units": 1},
    "realtime": lambda prompt, body: {"audio_seconds": 60},
}
