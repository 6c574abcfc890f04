from __future__ import annotations

import json

import pytest

from .conftest import Run

PROMPT = ("route", "Refactor this function", "--task", "coding", "--as-if", "openai,groq")


def test_the_plan_is_a_table_with_costs_and_reasons(run: Run) -> None:
    code, out, _ = run(*PROMPT, "--prefer", "cheapest")
    assert code == 0
    assert "order: lowest expected cost" in out
    assert "groq/openai/gpt-oss-20b" in out
    assert "skipped:cost_cap" in out


def test_the_plan_as_json_is_the_one_of_the_service(run: Run) -> None:
    shown = json.loads(run(*PROMPT, "--prefer", "smartest", "--json")[1])
    tiers = [row["quality"] for row in shown["candidates"]]
    assert tiers == sorted(tiers, reverse=True)
    assert {row["vendor"] for row in shown["candidates"]} == {"openai", "groq"}


def test_without_vendors_the_on_machine_models_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRAI_VENDORS", "local")
    code, out, _ = run("route", "hello")
    assert (code, out.splitlines()[0]) == (0, "local/infrai-offline: balanced for general")


def test_a_request_that_no_model_can_answer_ends_with_1(run: Run) -> None:
    code, out, _ = run("route", "hello", "--as-if", "cohere", "--vendor", "cohere", "--model", "rerank-v4.0-pro")
    assert code == 1
    assert "cannot do chat" in out


@pytest.mark.parametrize(
    ("words", "vendors", "first", "told"),
    [
        (("embed", "one text", "another"), "openai", "openai/text-embedding-3-small", "prompt_tokens"),
        (("image", "a red fox"), "openai,gemini", "openai/gpt-image-2", "images 1"),
        (("vision", "What is it?", "a.png", "b.png"), "openai", "openai/gpt-6-luna", "prompt_tokens_careful 3"),
        (("tts", "Turn left."), "openai", "openai/tts-1", "characters 10"),
        (("asr", "https://host.example/a.wav"), "openai", "openai/gpt-transcribe", "audio_seconds 60"),
        (("rerank", "paws", "cats", "rain"), "cohere", "cohere/rerank-v5.0-pro", "search_units 1"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_every_capability_is_planned(run: Run, words: tuple[str, ...], vendors: str, first: str, told: str) -> None:
    capability, *asked = words
    code, out, _ = run("route", *asked, "--capability", capability, "--as-if", vendors)
    assert code == 0
    assert out.startswith(f"{first}: ")
    assert told in next(line for line in out.splitlines() if line.startswith("estimate: "))


def test_what_a_capability_does_not_take_is_said(run: Run) -> None:
    code, _, err = run("route", "one", "two", "--capability", "tts")
    assert (code, "tts takes one text" in err) == (2, True)
    code, _, err = run("route", "query", "--capability", "rerank")
    assert (code, "candidates" in err) == (1, True)
    code, _, err = run("route", "text", "--capability", "embed", "--task", "coding")
    assert (code, "unknown field 'task'" in err) == (1, True)


@pytest.mark.parametrize(("names", "said"), [("openai,opnai", "'opnai' is no vendor"), (",", "came ','")])
def test_a_vendor_to_plan_with_must_be_one(names: str, said: str, run: Run) -> None:
    code, _, err = run("route", "hello", "--as-if", names)
    assert code == 2
    assert f"--as-if: {said}; there are anthropic," in err
