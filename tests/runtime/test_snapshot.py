"""The snapshot: what the shipped one holds, and how one is made from two wheels."""

from __future__ import annotations

import json
import zipfile
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from infrai_core.errors import ConfigError
from infrai_core.facts import facts_of
from infrai_runtime.catalogue import Prices, builtin, canonical, model_of
from infrai_runtime.pricing import cost_nano, expected_usage
from infrai_runtime.prompt import Prompt
from infrai_runtime.snapshot import built, facts_rows, litellm, written
from infrai_runtime.snapshot.wheel import found
from infrai_runtime.tier import tiers_of
from infrai_runtime.vendors.base import CAPABILITIES

TODAY = date(2026, 11, 27)

GENAI = """
import datetime
from decimal import Decimal
raise RuntimeError("this file must never be run")
providers: list[Provider] = [
    Provider(id="openai", models=[
        ModelInfo(id="gpt-6-sol", 
            match=ClauseOr(or_=[ClauseEquals(equals="gpt-6-sol"), ClauseStartsWith(starts_with="x")]),
            prices=[
                ConditionalPrice(prices=ModelPrice(input_mtok=Decimal("9"), output_mtok=Decimal("9"))),
                ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2026, 1, 1)),
                    prices=ModelPrice(output_mtok=Decimal("10"), cache_read_mtok=Decimal("0.2"),
                        input_mtok=TieredPrices(base=Decimal("2"), tiers=[Tier(start=272000, price=Decimal("4"))]))),
                ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2027, 1, 1)),
                    prices=ModelPrice(input_mtok=Decimal("1"), output_mtok=Decimal("5"))),
            ],
            price_variants=[PriceVariant(when={"processing": "batch"}, prices=ModelPrice(
                input_mtok=Decimal("1"), cache_read_mtok=Decimal("0.1")))]),
        ModelInfo(id="gpt-5-mini", match=ClauseRegex(regex="^gpt-5-mini$"), prices=[
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal("1"), output_mtok=Decimal("2"))),
            ConditionalPrice(constraint=TimeOfDateConstraint(start_time=datetime.time(1, 0, tzinfo=datetime.UTC),
                end_time=datetime.time(4, 0, tzinfo=datetime.UTC)),
                prices=ModelPrice(input_mtok=Decimal("3"), output_mtok=Decimal("6")))]),
    ]),
    Provider(id="openrouter", models=[
        ModelInfo(id="openai/gpt-6-sol", match=ClauseEquals(equals="openai/gpt-6-sol"), context_window=1000000,
            prices=ModelPrice(input_mtok=Decimal("2.1"), output_mtok=Decimal("10.5"))),
        ModelInfo(id="maker/nobody-has-it", match=ClauseEquals(equals="maker/nobody-has-it"), prices=ModelPrice()),
    ]),
]
"""

CHAT = {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 200000, "max_output_tokens": 1000}
LITELLM: dict[str, Any] = {
    "gpt-6-sol": CHAT
    | {"input_cost_per_token": 9e-06, "output_cost_per_token": 9e-06, "cache_creation_input_token_cost": 2.5e-06}
    | {"supports_function_calling": True, "supports_reasoning": True, "supports_vision": True},
    "gpt-6-sol-2026-09-22": CHAT,
    "gpt-5-mini": CHAT | {"supports_response_schema": True, "deprecation_date": "2027-01-01"},
    "gpt-5-nano": CHAT | {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    "gpt-5-pro": CHAT | {"deprecation_date": "2026-11-27"},
    "gpt-5-tiny": CHAT | {"max_input_tokens": 8000},
    "sora": CHAT | {"mode": "video_generation"},
    "gpt-omni": CHAT | {"supported_endpoints": ["/v1beta/interactions"]},
    "gpt-live-transcribe": {"litellm_provider": "openai", "mode": "audio_transcription"}
    | {"supported_endpoints": ["/v1/realtime", "/v1/realtime/transcription_sessions"]},
    "whisper-1": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001},
    "tts-1": {"litellm_provider": "openai", "mode": "audio_speech", "input_cost_per_character": 1.5e-05},
    "gpt-image-2": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 5e-06}
    | {"output_cost_per_image_token": 3e-05},
    "medium/1024-x-1024/gpt-image-1": {
        "litellm_provider": "openai",
        "mode": "image_generation",
        "input_cost_per_image": 0.04,
    },
    "gpt-image-1": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 5e-06},
    "text-embedding-3-small": {"litellm_provider": "openai", "mode": "embedding", "max_input_tokens": 8191}
    | {"input_cost_per_token": 2e-08, "output_vector_size": 1536},
    **{
        f"moonshot/{name}": CHAT | {"litellm_provider": "moonshot", **priced}
        for name, priced in {
            "kimi-k2.5": {},
            "kimi-k2.6": {"input_cost_per_token": 9.5e-07, "output_cost_per_token": 4e-06},
            "kimi-k3": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05},
        }.items()
    },
    "dashscope/qwen-plus": CHAT
    | {"litellm_provider": "dashscope", "input_cost_per_token": 4e-07, "output_cost_per_token": 1.2e-06}
    | {"input_cost_per_token_above_256k_tokens": 1.2e-06, "output_cost_per_token_above_256k_tokens": 3.6e-06},
    "rerank-v4.0-pro": {"litellm_provider": "cohere", "mode": "rerank", "input_cost_per_query": 0.0025},
}


@pytest.fixture
def snapshot(tmp_path: Path) -> dict[str, Any]:
    return built(found(wheels(tmp_path)), TODAY)


def wheels(directory: Path) -> Path:
    parts = {
        "litellm-1.2.3-py3-none-any.whl": ("litellm/model_prices_and_context_window_backup.json", json.dumps(LITELLM)),
        "genai_prices-4.5.6-py3-none-any.whl": ("genai_prices/data.py", GENAI),
    }
    for name, (member, text) in parts.items():
        with zipfile.ZipFile(directory / name, "w") as archive:
            archive.writestr(member, text)
    return directory


def row(snapshot: dict[str, Any], name: str) -> dict[str, Any]:
    return next(r for r in snapshot["models"] if f"{r['vendor']}/{r['id']}" == name)


def by_hand(row: dict[str, Any]) -> bool:
    """A model that neither package has."""
    return bool(row["source"].startswith("https://"))


def test_a_batch_costs_the_share_that_the_vendors_page_says_and_only_there(snapshot: dict[str, Any]) -> None:
    found = row(snapshot, "moonshot/kimi-k2.6")
    assert (found["prices"]["batch_input_mtok"], found["prices"]["batch_output_mtok"]) == ("0.57", "2.4")
    assert found["source"].endswith("https://platform.kimi.ai/docs/pricing/batch")
    for name in ("moonshot/kimi-k2.5", "moonshot/kimi-k3", "dashscope/qwen-plus"):  # no price, no service, tiers
        assert not [price for price in row(snapshot, name)["prices"] if price.startswith("batch")]


def test_a_checked_price_in_force_wins_over_the_other_table(snapshot: dict[str, Any]) -> None:
    prices = row(snapshot, "openai/gpt-6-sol")["prices"]
    assert (prices["input_mtok"], prices["output_mtok"], prices["cached_input_mtok"]) == ("2", "10", "0.2")
    assert prices["cache_write_mtok"] == "2.5"  # only the other table has it
    assert (prices["batch_input_mtok"], prices["batch_cached_input_mtok"]) == ("1", "0.1")
    assert prices["long"] == [{"above_tokens": 272000, "input_mtok": "4"}]


def test_of_prices_by_the_hour_the_dearest_counts(snapshot: dict[str, Any]) -> None:
    assert row(snapshot, "openai/gpt-5-mini")["prices"] == {"input_mtok": "3", "output_mtok": "6"}


def test_a_zero_in_the_table_is_an_unknown_price(snapshot: dict[str, Any]) -> None:
    assert row(snapshot, "openai/gpt-5-nano")["prices"] == {}


def test_retired_small_dated_and_foreign_kinds_of_models_are_left_out(snapshot: dict[str, Any]) -> None:
    kept = {r["id"] for r in snapshot["models"]}
    assert not kept & {"gpt-5-pro", "gpt-5-tiny", "gpt-6-sol-2026-09-22", "sora", "maker/nobody-has-it"}


def test_what_is_there_in_realtime_or_by_a_path_of_its_own_is_left_out(snapshot: dict[str, Any]) -> None:
    assert not {r["id"] for r in snapshot["models"]} & {"gpt-omni", "gpt-live-transcribe"}


def test_models_that_neither_package_has_stand_last_and_are_no_default_beside_another_vendor() -> None:
    rows = shipped()["models"]
    hand = [r for r in rows if by_hand(r)]
    assert hand
    assert rows[-len(hand) :] == hand
    assert {(r["vendor"], r["id"]): r["dimensions"] for r in hand if r.get("default")} == {
        ("dashscope", "text-embedding-v4"): 1024,
        ("jina", "jina-embeddings-v5-text-small"): 1024,
    }


def test_what_only_a_makers_own_interface_has_is_not_a_resellers() -> None:
    able = {r["vendor"] for r in shipped()["models"] if "custom_tools" in r["abilities"]}
    assert able == {"openai", "azure"}


def test_vectors_of_a_shipped_model_have_a_length() -> None:
    unknown = [r["id"] for r in shipped()["models"] if r["capability"] == "embed" and "dimensions" not in r]
    assert unknown == []


def test_every_kind_has_a_price_in_its_own_unit(snapshot: dict[str, Any]) -> None:
    found_prices = {r["id"]: r["prices"] for r in snapshot["models"] if r["capability"] != "chat" and not by_hand(r)}
    assert found_prices == {
        "gpt-image-1": {"image": "0.04"},
        "gpt-image-2": {"input_mtok": "5", "output_mtok": "30"},
        "text-embedding-3-small": {"input_mtok": "0.02"},
        "tts-1": {"mcharacter": "15"},
        "whisper-1": {"audio_minute": "0.006"},
        "rerank-v4.0-pro": {"search_unit": "0.0025"},
    }


def test_a_reseller_has_the_facts_of_the_maker_and_its_own_price(snapshot: dict[str, Any]) -> None:
    own, resold = row(snapshot, "openai/gpt-6-sol"), row(snapshot, "openrouter/openai/gpt-6-sol")
    assert (set(own["abilities"]) - set(resold["abilities"]), resold["context_window"]) == ({"custom_tools"}, 1000000)
    assert resold["prices"] == {"input_mtok": "2.1", "output_mtok": "10.5"}


def test_reasoning_models_give_no_token_probabilities(snapshot: dict[str, Any]) -> None:
    assert "logprobs" not in row(snapshot, "openai/gpt-6-sol")["abilities"]
    assert "logprobs" in row(snapshot, "openai/gpt-5-mini")["abilities"]


def test_rows_say_where_they_come_from_and_when(snapshot: dict[str, Any]) -> None:
    assert row(snapshot, "openai/gpt-6-sol")["source"] == "litellm 1.2.3, genai-prices 4.5.6"
    assert all(r["source"] and r["date"] == "2026-11-27" and r["reason"] and r["tiers"] for r in snapshot["models"])


def test_a_written_snapshot_is_read_back_as_it_was(snapshot: dict[str, Any], tmp_path: Path) -> None:
    written(snapshot, tmp_path / "deep" / "catalogue.json")
    assert json.loads((tmp_path / "deep" / "catalogue.json").read_text()) == snapshot


@pytest.mark.parametrize("missing", ["litellm", "genai"])
def test_a_missing_wheel_is_named(tmp_path: Path, missing: str) -> None:
    next(wheels(tmp_path).glob(f"{missing}*")).unlink()
    with pytest.raises(ConfigError, match="there is no wheel of"):
        found(tmp_path)


def test_a_wheel_with_another_layout_is_refused_by_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(wheels(tmp_path) / "litellm-1.2.3-py3-none-any.whl", "w") as archive:
        archive.writestr("other.json", "{}")
    with pytest.raises(ConfigError, match="its layout has changed"):
        built(found(tmp_path), TODAY)


# -- the shipped one --------------------------------------------------------------------------------------------------


@cache
def shipped() -> dict[str, Any]:
    text = resources.files("infrai_runtime").joinpath("data/vendor_models.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def test_the_shipped_snapshot_covers_the_vendors_and_capabilities() -> None:
    rows = shipped()["models"]
    vendors = {r["vendor"] for r in rows}
    expected = "openai azure anthropic gemini deepseek mistral groq xai together fireworks openrouter moonshot zhipu"
    assert vendors == {*expected.split(), "dashscope", "perplexity", "cohere", "voyage", "jina"}
    assert 200 <= len(rows) <= 300
    assert {r["capability"] for r in rows} == CAPABILITIES.keys() - {"vision", "batch"}


def test_every_shipped_row_is_dated_sourced_and_judged() -> None:
    for r in shipped()["models"]:
        assert date.fromisoformat(r["date"]), r["id"]
        assert r["source"].startswith(("litellm ", "genai-prices ", "https://")), r["id"]
        assert "\n" not in r["reason"], r["id"]
        assert all(0 <= tier <= 100 for tier in r["tiers"].values()), r["id"]


def test_names_in_the_shipped_snapshot_are_unique() -> None:
    keys = [(r["vendor"], r["id"], r["capability"]) for r in shipped()["models"]]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("capability", sorted(CAPABILITIES.keys() - {"batch"}))
def test_an_expected_call_has_a_cost_wherever_a_price_is_known(capability: str) -> None:
    body = {"messages": [], "prompt": "x", "input": "hello there", "candidates": ["x"], "audio": {}}
    usage = expected_usage(Prompt(capability, body))
    unpriced = [m.name for m in builtin().of(capability) if m.prices != Prices() and cost_nano(usage, m.prices) is None]
    assert unpriced == []


def test_the_clients_model_facts_are_those_of_the_catalogue() -> None:
    for common in facts_rows(shipped()["models"]):
        facts = facts_of(common["id"])
        assert (facts.context_window, facts.capability) == (common.get("context_window"), common["capability"])
        assert facts.abilities == common["abilities"]


# -- names, tiers, prices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written_as", "name"),
    [
        ("openai/gpt-oss-20b", "gpt-oss-20b"),
        ("accounts/fireworks/models/glm-5p3", "glm-5-3"),
        ("zai-org/GLM-5.3", "glm-5-3"),
        ("anthropic/claude-opus-4.5", "claude-opus-4-5"),
        ("pplx-embed", "pplx-embed"),
    ],
)
def test_vendors_spellings_of_a_model_have_one_canonical_name(written_as: str, name: str) -> None:
    assert canonical(written_as) == name


def test_a_model_is_found_at_every_vendor_that_has_it() -> None:
    assert {m.vendor for m in builtin().named("gpt-oss-120b")} >= {"groq", "together", "openrouter"}
    assert builtin().named("claude-opus-5.5") == builtin().named("claude-opus-5-5") != ()


def test_an_unknown_family_gets_the_cautious_default_and_says_so() -> None:
    tiers, reason = tiers_of("chat", "never-heard-of")
    assert (tiers["general"], reason) == (40, "unknown family: a cautious default")


def test_a_chat_model_that_sees_also_stands_under_vision() -> None:
    assert any(m.name == "anthropic/claude-sonnet-5" for m in builtin().of("vision"))
    assert {m.capability for m in builtin().of("vision")} == {"vision"}


def test_long_prompts_have_their_own_prices_for_the_whole_request() -> None:
    prices = model_of(
        {"id": "m", "vendor": "v", "capability": "chat"}
        | {"prices": {"input_mtok": "1", "output_mtok": "5", "long": [{"above_tokens": 100, "input_mtok": "2"}]}}
    ).prices
    assert cost_nano({"prompt_tokens": 100, "completion_tokens": 1}, prices) == 100 * 1000 + 5000
    assert cost_nano({"prompt_tokens": 101, "completion_tokens": 1}, prices) == 101 * 2000 + 5000


def test_audio_tokens_and_cache_writes_have_their_own_prices() -> None:
    usd = {"input_mtok": 1, "output_mtok": 2, "audio_input_mtok": 10, "audio_output_mtok": 20, "cache_write_mtok": 3}
    usage = {"prompt_tokens": 30, "prompt_tokens_details": {"audio_tokens": 10, "cache_write_tokens": 10}} | {
        "completion_tokens": 5,
        "completion_tokens_details": {"audio_tokens": 5},
    }
    assert cost_nano(usage, Prices.of_usd(usd)) == 10 * 1000 + 10 * 10_000 + 10 * 3000 + 5 * 20_000


def test_a_model_that_is_paid_per_image_does_not_charge_for_the_prompt() -> None:
    assert cost_nano({"images": 1, "prompt_tokens": 9}, Prices.of_usd({"image": "0.04"})) == 40_000_000


def test_batch_prices_are_unknown_where_the_vendor_has_none() -> None:
    prices = Prices.of_usd({"input_mtok": 2, "output_mtok": 4, "batch_input_mtok": 1})
    assert prices.batched().input_mtok == int(Decimal(1) * 10**9)
    assert cost_nano({"prompt_tokens": 1, "completion_tokens": 1}, prices.batched()) is None


def by_size(low: float, medium: float, high: float) -> dict[str, float]:
    return {f"search_context_size_{size}": usd for size, usd in zip(SIZES, (low, medium, high), strict=True)}


SIZES = ("low", "medium", "high")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"input_cost_per_token": 1e-06} | {"search_context_cost_per_query": by_size(0.01, 0.01, 0.01)}, "0.01"),
        ({"input_cost_per_token": 1e-06} | {"search_context_cost_per_query": by_size(0.005, 0.008, 0.012)}, None),
        ({"input_cost_per_token": 1e-06} | {"search_context_cost_per_query": by_size(0, 0, 0)}, None),
        ({"search_context_cost_per_query": by_size(0.01, 0.01, 0.01)}, None),
        ({"input_cost_per_token": 1e-06}, None),
    ],
    ids=["one price", "by how much is searched", "zero", "words of unknown price", "none"],
)
def test_a_web_search_has_a_price_where_there_is_one(entry: dict[str, Any], expected: str | None) -> None:
    assert litellm.prices("chat", entry, None).get("search_unit") == expected
