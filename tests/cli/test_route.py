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
