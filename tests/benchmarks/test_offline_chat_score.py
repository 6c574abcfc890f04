"""The scorer of the offline chat sets: right answers earn 1, wrong ones 0, and undeclared inventions cost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import pytest
from benchmarks.offline_chat import match, score

SIZES = {"tools": 30, "schema": 25, "passages": 25, "abstain": 15, "arithmetic": 15}
ALL = [(name, case) for name in SIZES for case in score.cases(name)]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass
class Said:
    parts: list[dict[str, Any]] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    finish_reason: str = "stop"
    grounded: bool | None = None


def words(text: str, *, invented: tuple[str, ...] = (), grounded: bool | None = None) -> Said:
    return Said([{"type": "text", "text": text}], list(invented), grounded=grounded)


def refusal(text: str) -> Said:
    return Said([{"type": "refusal", "text": text}])


def call(name: str, **arguments: Any) -> Said:
    written = json.dumps(arguments)
    return Said([{"type": "tool_call", "id": "call-1", "name": name, "arguments": written}])


def by_id(case_id: str) -> dict[str, Any]:
    return next(case for _, case in ALL if case["id"] == case_id)


def settled(expected: Any) -> Any:
    """The expectation with the first choice taken wherever several are accepted."""
    if isinstance(expected, dict):
        choices = expected.get(match.ANY)
        return choices[0] if choices else {key: settled(value) for key, value in expected.items()}
    return [settled(item) for item in expected] if isinstance(expected, list) else expected


def right_tools(case: dict[str, Any]) -> Said:
    return call(case["tool"], **settled(case["arguments"])) if case["tool"] else words("You are welcome.")


def right_schema(case: dict[str, Any]) -> Said:
    return words(json.dumps(settled(case["expected"])), invented=tuple(case.get("invented", ())))


def right_passages(case: dict[str, Any]) -> Said:
    return words(" and ".join(ways[0] for ways in case["answer"]), grounded=True)


def right_abstain(case: dict[str, Any]) -> Said:
    return words("对不起，我不知道。" if case["language"] == "zh" else "I don't know that.", grounded=False)


def right_arithmetic(case: dict[str, Any]) -> Said:
    if "value" in case:
        return words(f"The result is {case['value']:,}.")
    return words("Division by zero is undefined.") if "undefined" in case else refusal("I cannot calculate that.")


RIGHT: dict[str, Callable[[dict[str, Any]], Said]] = {
    "tools": right_tools,
    "schema": right_schema,
    "passages": right_passages,
    "abstain": right_abstain,
    "arithmetic": right_arithmetic,
}
QUESTIONS = {json.dumps(score.messages(case)): (name, case) for name, case in ALL}


def oracle(
    messages: list[dict[str, Any]],
    *,
    tools: list[dict[str, Any]] | None,
    tool_choice: Any = None,
    response_format: dict[str, Any] | None,
) -> Said:
    name, case = QUESTIONS[json.dumps(messages)]
    return RIGHT[name](case)


def echo(messages: list[dict[str, Any]], **options: Any) -> Said:
    return words("\n".join(part["text"] for message in messages for part in message["parts"]), grounded=True)


def breaks(messages: list[dict[str, Any]], **options: Any) -> Said:
    raise RuntimeError("no answer today")


def points(case_id: str, answer: Said) -> float:
    name = case_id.partition("-")[0]
    return score.MARKS[name](by_id(case_id), answer).points


# --- whole runs


def test_right_answers_score_one_in_every_set() -> None:
    scores = score.evaluate(oracle)
    assert {name: row["n"] for name, row in scores.items()} == SIZES
    assert {name: row["right"] for name, row in scores.items()} == SIZES
    assert {row["score"] for row in scores.values()} == {1.0}
    assert scores["schema"]["fields right"] == scores["schema"]["fields"]
    assert scores["schema"]["undeclared inventions"] == 0


def test_repeating_the_prompt_earns_nothing_but_the_cases_without_a_tool() -> None:
    scores = score.evaluate(echo)
    earned = {name: row["right"] for name, row in scores.items()}
    assert earned == {"tools": 10, "schema": 0, "passages": 0, "abstain": 0, "arithmetic": 0}


def test_a_model_that_raises_is_counted_and_earns_nothing() -> None:
    scores = score.evaluate(breaks)
    assert {name: row["failed"] for name, row in scores.items()} == SIZES
    assert {row["score"] for row in scores.values()} == {0.0}
    assert scores["schema"]["fields"] == score.evaluate(oracle, ["schema"])["schema"]["fields"]


def test_main_prints_a_row_per_set_and_returns_the_scores(capsys: pytest.CaptureFixture[str]) -> None:
    scores = score.main(["--model", f"{__name__}:oracle", "--set", "tools", "--set", "schema"])
    lines = capsys.readouterr().out.splitlines()
    assert list(scores) == ["tools", "schema"]
    rows = [line.split()[:4] for line in lines[1:]]
    assert rows == [["tools", "30", "30", "100.0%"], ["schema", "25", "25", "100.0%"]]
    assert "undeclared inventions 0" in lines[2]


def test_misses_are_printed_with_what_the_model_said(capsys: pytest.CaptureFixture[str]) -> None:
    score.main(["--model", f"{__name__}:breaks", "--set", "arithmetic"])
    out = capsys.readouterr().out
    assert "arithmetic-01  0.00  RuntimeError('no answer today')" in out


# --- tools


def test_the_wrong_tool_scores_nothing() -> None:
    assert points("tools-01", call("set_oven", temperature=180)) == 0
    assert points("tools-01", words("Done.")) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"room": "study", "direction": "up"},
        {"room": "study"},
        {"room": "study", "direction": "down", "colour": "red"},
    ],
)
def test_the_right_tool_with_wrong_arguments_scores_half(arguments: dict[str, Any]) -> None:
    assert points("tools-01", call("move_blinds", **arguments)) == 0.5


def test_arguments_that_are_no_json_object_score_half() -> None:
    answer = call("move_blinds")
    answer.parts[0]["arguments"] = '{"room": "stu'
    assert points("tools-01", answer) == 0.5


def test_a_number_given_as_a_string_is_not_the_number() -> None:
    assert points("tools-16", call("set_oven", temperature="230", program="fan")) == 0.5


def test_a_call_where_none_is_wanted_scores_nothing_and_so_does_silence() -> None:
    assert points("tools-24", call("cancel_order", order_id="LM-40922")) == 0
    assert points("tools-24", Said()) == 0


def test_two_calls_where_one_is_wanted_score_nothing() -> None:
    answer = right_tools(by_id("tools-01"))
    assert points("tools-01", Said(answer.parts * 2)) == 0


# --- schema


def test_an_undeclared_invention_costs_more_than_a_missing_value() -> None:
    case = by_id("schema-03")
    value = dict(case["expected"])
    declared = words(json.dumps(value | {"group_size": 1}), invented=("group_size",))
    assert points("schema-03", declared) == 1
    assert points("schema-03", words(json.dumps(value))) == pytest.approx(2 / 3)
    assert points("schema-03", words(json.dumps(value | {"group_size": 1}))) == pytest.approx(1 / 3)


def test_an_optional_field_that_the_text_does_not_give_must_stay_empty() -> None:
    value = settled(by_id("schema-02")["expected"])
    assert points("schema-02", words(json.dumps(value | {"website": None}))) == 1
    assert points("schema-02", words(json.dumps(value | {"website": ""}))) == pytest.approx(3 / 5)


def test_declaring_every_value_as_invented_earns_no_supported_field() -> None:
    value = settled(by_id("schema-01")["expected"])
    assert points("schema-01", words(json.dumps(value), invented=tuple(value))) == 0


@pytest.mark.parametrize("path", ["caller.name", "$.caller.name", "caller"])
def test_a_declaration_holds_for_the_field_and_for_all_inside_it(path: str) -> None:
    value = {**settled(by_id("schema-12")["expected"]), "caller": {"name": "", "phone": ""}}
    declared = words(json.dumps(value), invented=(path, "caller.phone"))
    assert points("schema-12", declared) == 1


def test_refusing_an_object_that_nothing_supports_is_right_and_inventing_it_is_not() -> None:
    invented = {"guest": "", "nights": 0, "board": "breakfast", "paid": False}
    assert points("schema-18", refusal("The text names no stay.")) == 1
    assert points("schema-18", words(json.dumps(invented))) == 0
    assert score.mark_schema(by_id("schema-18"), words(json.dumps(invented))).counts["undeclared inventions"] == 4


def test_prose_where_an_object_is_wanted_scores_nothing() -> None:
    assert points("schema-01", words("The note is about 46 boxes.")) == 0


# --- passages and abstaining


def test_a_wrong_fact_beside_the_right_one_spoils_the_answer() -> None:
    assert points("passages-01", words("They begin at 9:15 and 16:45.")) == 1
    assert points("passages-01", words("They begin at 9:15, 16:45 and 20:00.")) == 0
    assert points("passages-01", words("They begin at 9:15.")) == 0


def test_a_right_answer_flagged_as_not_grounded_is_not_right() -> None:
    assert points("passages-01", words("At 9:15 and 16:45.", grounded=False)) == 0


def test_abstaining_needs_the_words_and_the_flag() -> None:
    assert points("abstain-01", words("The context does not mention it.", grounded=False)) == 1
    assert points("abstain-01", words("The context does not mention it.")) == 0
    assert points("abstain-01", words("Ask at the desk.", grounded=False)) == 0


def test_a_passage_offered_after_saying_i_do_not_know_is_not_abstaining() -> None:
    passage = "I don't know, but the kiosk by the lawn sells ice cream, chips and lemonade."
    assert points("abstain-01", words(passage, grounded=False)) == 0


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.",
        "I do not have that information.",
        "The passages do not say.",
        "I cannot tell from the passages.",
        "Nothing in the context answers this.",
        "I have no general knowledge.",
        "That is not enough to go on.",
        "This cannot be calculated.",
        "That is not a well-formed arithmetic expression.",
        "资料里没有这个问题的答案。",
        "That is not stated in the context.",
        "I could not find an answer to that.",
        "I can’t answer that from what I was given.",
        "There is no information about this.",
        "资料中没有提到。",
        "抱歉，我无法回答。",
        "我不知道。",
    ],
)
def test_plain_ways_to_abstain_are_understood(text: str) -> None:
    assert match.abstains(text)


@pytest.mark.parametrize("text", ["Admission is 14 euros.", "Do not promote a replica by hand.", "十二本。"])
def test_facts_are_not_taken_for_abstaining(text: str) -> None:
    assert not match.abstains(text)


# --- arithmetic


@pytest.mark.parametrize("text", ["1827", "63 * 29 = 1,827", "The answer is 1827.0.", "63 times 29 is 1827"])
def test_the_right_number_scores_in_any_wording(text: str) -> None:
    assert points("arithmetic-01", words(text)) == 1


@pytest.mark.parametrize("text", ["1826", "63 and 29", "1827 or perhaps 1828", ""])
def test_a_wrong_or_hedged_number_scores_nothing(text: str) -> None:
    assert points("arithmetic-01", words(text)) == 0


def test_a_result_without_end_may_be_rounded_to_the_places_asked_for() -> None:
    assert points("arithmetic-07", words("19.23")) == 1
    assert points("arithmetic-07", words("19.23076923076923")) == 1
    assert points("arithmetic-07", words("19.2")) == 0


def test_division_by_zero_has_no_number() -> None:
    assert points("arithmetic-10", words("You cannot divide by zero.")) == 1
    assert points("arithmetic-10", words("84 / 0 is infinity, about 1e308.")) == 0


def test_what_cannot_be_calculated_must_be_refused() -> None:
    assert points("arithmetic-11", words("I could not read that as a calculation.")) == 1
    assert points("arithmetic-11", words("I cannot say, maybe 28.")) == 0
    assert points("arithmetic-11", words("57")) == 0


# --- the sets themselves


@pytest.mark.parametrize("name", SIZES)
def test_a_set_has_its_size_unique_ids_and_a_fifth_in_chinese(name: str) -> None:
    rows = score.cases(name)
    chinese = sum(row["language"] == "zh" for row in rows)
    assert len({row["id"] for row in rows}) == len(rows) == SIZES[name]
    assert 0.15 <= chinese / len(rows) <= 0.25
    assert all(bool(CHINESE.search(row.get("user") or row["question"])) == (row["language"] == "zh") for row in rows)


def test_no_two_cases_ask_the_same() -> None:
    assert len(QUESTIONS) == sum(SIZES.values())


@pytest.mark.parametrize("case", score.cases("tools"), ids=lambda case: str(case["id"]))
def test_a_tool_case_offers_six_to_twelve_tools_and_its_call_fits_the_schema(case: dict[str, Any]) -> None:
    assert 6 <= len(set(case["offered"])) == len(case["offered"]) <= 12
    assert set(case["offered"]) <= set(score.offered())
    if case["tool"]:
        assert case["tool"] in case["offered"]
        jsonschema.validate(settled(case["arguments"]), score.offered()[case["tool"]]["function"]["parameters"])


def test_at_least_eight_tool_cases_want_no_tool() -> None:
    assert sum(case["tool"] is None for case in score.cases("tools")) >= 8


@pytest.mark.parametrize("case", score.cases("schema"), ids=lambda case: str(case["id"]))
def test_what_a_schema_case_expects_fits_its_schema_but_for_the_unsupported_fields(case: dict[str, Any]) -> None:
    errors = jsonschema.Draft202012Validator(case["schema"]).iter_errors(settled(case["expected"]))
    wrong = [error.message for error in errors if error.validator != "required"]
    assert wrong == []
    unmet = {name for name in case["schema"]["required"] if name not in case["expected"]}
    nullable = {name for name in unmet if {"type": "null"} in case["schema"]["properties"][name].get("anyOf", ())}
    assert unmet - nullable == {path.split(".")[0] for path in case.get("invented", ())}
    assert nullable <= set(case.get("absent", ()))


def test_passage_answers_are_in_the_context_and_abstain_contexts_hold_the_tempting_facts() -> None:
    for case in score.cases("passages"):
        text = " ".join(score.contexts()[case["context"]])
        assert all(any(match.contains(text, way) for way in ways) for ways in case["answer"]), case["id"]
    for case in (case for _, case in ALL if "context" in case):
        text = " ".join(score.contexts()[case["context"]])
        assert [fact for fact in case.get("without", ()) if not match.contains(text, fact)] == [], case["id"]


def test_every_layout_is_used_and_leaves_no_placeholder() -> None:
    laid_out = [case for _, case in ALL if "layout" in case]
    assert {case["layout"] for case in laid_out} == set(score.layouts())
    assert all(3 <= len(passages) <= 8 for passages in score.contexts().values())
    assert not [case["id"] for case in laid_out if re.search(r"\{\w+\}", json.dumps(score.messages(case))[1:-1])]


def test_a_path_declared_as_the_wire_writes_it_is_the_field_of_the_object() -> None:
    case = {"expected": {"name": "Ada"}, "invented": ["age"]}
    declared = words('{"name": "Ada", "age": 0}', invented=("content.age",))
    assert score.mark_schema(case, declared) == score.Mark(
        1.0, {"fields right": 2, "fields": 2, "whole objects": 1, "undeclared inventions": 0}
    )


TURNS = iter(range(1_000))


def broken_at_first(messages: list[dict[str, Any]], **options: Any) -> score.Answer:
    if next(TURNS) == 0:
        raise ValueError("broken")
    return score.Nothing()


def test_without_misses_only_the_cases_that_raised_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    score.main(["--set", "arithmetic", "--model", f"{__name__}:broken_at_first"])
    shown = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert [line.split()[-1] for line in shown] == ["ValueError('broken')"]
