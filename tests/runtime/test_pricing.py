from __future__ import annotations

from typing import Any

import pytest

from infrai_runtime.catalogue import Prices, builtin, listed, model_of, on_machine
from infrai_runtime.pricing import cost_nano, dearest, expected_usage, nano_of_usd, usd, usd_text
from infrai_runtime.prompt import MEDIUM_TOKENS, Prompt

PRICES = Prices.of_usd({"input_mtok": 3, "output_mtok": 15, "cached_input_mtok": "0.3"})


DETAILS_OF_WORDS_ALONE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 0},
}
"""As OpenAI tells it of every answer."""


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        ({"prompt_tokens": 1000, "completion_tokens": 100}, 4_500_000),
        ({"prompt_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 900}}, 570_000),
        (DETAILS_OF_WORDS_ALONE, 4_500_000),
        ({"prompt_tokens": 1, "completion_tokens": 0}, 3_000),
        ({}, None),
        (None, None),
    ],
)
def test_tokens_cost_what_their_kind_costs(usage: dict[str, Any] | None, nano: int | None) -> None:
    assert cost_nano(usage, PRICES) == nano


def test_what_a_cache_keeps_for_an_hour_costs_twice_the_input_and_the_rest_its_own_price() -> None:
    prices = Prices.of_usd({"input_mtok": 3, "cache_write_mtok": "3.75"})
    written = {"cache_write_tokens": 1000, "cache_write_1h_tokens": 400}
    usage = {"prompt_tokens": 1000, "prompt_tokens_details": written}
    assert cost_nano(usage, prices) == 600 * 3750 + 400 * 6000


def test_sound_that_is_heard_by_a_chat_is_paid_by_the_minute_beside_its_tokens() -> None:
    prices = Prices.of_usd({"input_mtok": "0.1", "output_mtok": "0.4", "audio_minute": "0.004"})
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "audio_seconds": 90}
    assert cost_nano(usage, prices) == 100 * 100 + 10 * 400 + 6_000_000


def test_a_tier_of_service_costs_what_is_known_of_it() -> None:
    prices = Prices.of_usd(
        {"input_mtok": 2, "output_mtok": 8, "cached_input_mtok": "0.5", "batch_input_mtok": 1, "batch_output_mtok": 4}
    )
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
    assert cost_nano(usage | {"service_tier": "flex"}, prices) == 600 * 1000 + 400 * 250 + 100 * 4000
    assert cost_nano(usage | {"service_tier": "flex"}, PRICES) is None
    assert cost_nano(usage | {"service_tier": "priority"}, prices) is None
    assert cost_nano(usage | {"service_tier": "priority"}, Prices(free=True)) == 0


def test_a_fraction_of_a_nano_dollar_is_rounded_up() -> None:
    assert cost_nano({"prompt_tokens": 1}, Prices.of_usd({"input_mtok": "0.0005"})) == 1


def test_an_unknown_price_makes_the_cost_unknown_and_not_zero() -> None:
    assert cost_nano({"prompt_tokens": 5, "completion_tokens": 5}, Prices(input_mtok=1)) is None
    assert cost_nano({"images": 1}, Prices()) is None


def test_other_units_have_their_own_prices() -> None:
    assert cost_nano({"images": 2}, Prices.of_usd({"image": "0.04"})) == 80_000_000
    assert cost_nano({"characters": 1000}, Prices.of_usd({"mcharacter": 15})) == 15_000_000
    assert cost_nano({"audio_seconds": 30.0}, Prices.of_usd({"audio_minute": "0.006"})) == 3_000_000
    assert cost_nano({"search_units": 1}, Prices.of_usd({"search_unit": "0.002"})) == 2_000_000


def test_an_on_machine_model_is_free_whatever_it_used() -> None:
    assert all(cost_nano({"prompt_tokens": 9, "images": 1}, model.prices) == 0 for model in on_machine())


def test_money_is_written_without_exponent_and_noise() -> None:
    assert (usd_text(0), usd_text(1), usd_text(20_000), usd_text(5 * 10**9)) == ("0", "0.000000001", "0.00002", "5")
    assert (usd(None), usd(20_000), nano_of_usd(0.1)) == (None, 0.00002, 100_000_000)


def test_the_bytes_of_an_image_are_no_text_and_a_careful_estimate_counts_the_image() -> None:
    parts = [{"type": "text", "text": "hello world"}, {"type": "image", "base64": "A" * 100_000}]
    body = {"messages": [{"role": "user", "parts": parts}], "max_tokens": 7}
    usual, careful = expected_usage(Prompt("chat", body)), expected_usage(Prompt("chat", body), upper=True)
    assert 0 < usual["prompt_tokens"] < 20
    assert MEDIUM_TOKENS["image"] < careful["prompt_tokens"] < MEDIUM_TOKENS["image"] + 20
    assert usual["completion_tokens"] == 7


@pytest.mark.parametrize("capability", ["chat", "embed", "image", "asr"])
@pytest.mark.parametrize("tokens", [1, 10_000, 150_000, 300_000])
def test_the_dearest_of_all_prices_is_among_the_few_that_may_be(capability: str, tokens: int) -> None:
    prices = [model.prices for model in builtin().of(capability)]
    few, body = dearest(prices), {"messages": [], "input": "x", "prompt": "x"}
    used = expected_usage(Prompt(capability, body)) | {"prompt_tokens": tokens}
    assert len(few) < len(set(prices))
    assert max(cost_nano(used, one) or 0 for one in few) == max(cost_nano(used, one) or 0 for one in prices)


def test_several_answers_are_expected_to_cost_as_many() -> None:
    body: dict[str, Any] = {"messages": [], "max_tokens": 7, "choices": 3}
    assert expected_usage(Prompt("chat", body))["completion_tokens"] == 21


def test_a_row_of_the_data_file_becomes_a_listed_model() -> None:
    row = {
        "id": "m",
        "vendor": "v",
        "capability": "chat",
        "prices": {"input_mtok": "0.15"},
        "abilities": ["tools"],
        "context_window": 9,
    }
    shown = listed(model_of(row), available=True)
    assert (shown["price_input_per_mtok"], shown["price_output_per_mtok"], shown["abilities"]) == (
        0.15,
        None,
        ["tools"],
    )


def test_searches_of_a_chat_are_paid_beside_its_tokens() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "search_units": 3}
    prices = Prices.of_usd({"input_mtok": "3", "output_mtok": "15", "search_unit": "0.01"})
    assert cost_nano(usage, prices) == 3_000_000 + 1_500_000 + 30_000_000


def test_a_long_prompt_in_a_batch_has_an_unknown_price_unless_one_is_told_for_it() -> None:
    usual = {"input_mtok": 2, "output_mtok": 8, "batch_input_mtok": 1, "batch_output_mtok": 4}
    long = {"above_tokens": 100, "input_mtok": 4}
    told = long | {"batch_input_mtok": 3, "batch_output_mtok": 6}
    short_used, long_used = ({"prompt_tokens": n, "completion_tokens": 0} for n in (100, 200))
    untold, priced = (Prices.of_usd(usual | {"long": [tier]}).batched() for tier in (long, told))
    assert [cost_nano(used, untold) for used in (short_used, long_used)] == [100_000, None]
    assert [cost_nano(used, priced) for used in (short_used, long_used)] == [100_000, 600_000]


def test_what_a_cache_has_costs_what_the_batch_service_says_or_what_it_usually_does() -> None:
    usual = {"input_mtok": 2, "cached_input_mtok": "0.2", "cache_write_mtok": "2.5", "batch_input_mtok": 1}
    used = {"prompt_tokens": 3_000_000, "prompt_tokens_details": {"cached_tokens": 10**6, "cache_write_tokens": 10**6}}
    told = usual | {"batch_cached_input_mtok": "0.1", "batch_cache_write_mtok": "1.25"}
    assert cost_nano(used, Prices.of_usd(usual).batched()) == 3_700_000_000
    assert cost_nano(used, Prices.of_usd(told).batched()) == 2_350_000_000
