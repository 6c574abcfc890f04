from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from infrai_core.tokens import estimate
from infrai_runtime.vendors.local.chat import Answer, reply

Message = dict[str, Any]

LIBRARY = (
    "The Marlow library opened in 1931. It holds about 84,000 books. The reading room closes at 8 pm on weekdays. "
    "Its first librarian was Edith Harrow, who served for twenty years. Members may borrow up to six items for three "
    "weeks. Late items cost 20 cents per day."
)


def said(role: str, text: str) -> Message:
    return {"role": role, "parts": [{"type": "text", "text": text}]}


def text_of(answer: Answer) -> str:
    return "".join(part["text"] for part in answer.parts)


def from_library(question: str) -> Answer:
    return reply([said("system", f"Answer from the context.\n\n{LIBRARY}"), said("user", question)])


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("When did the library open?", "1931"),
        ("Who was the first librarian?", "Edith Harrow"),
        ("How many books does it have?", "84,000"),
        ("How long can I borrow items?", "three weeks"),
        ("When does the reading room close?", "8 pm"),
    ],
)
def test_a_question_is_answered_with_a_sentence_of_the_text(question: str, fact: str) -> None:
    answer = from_library(question)
    assert fact in text_of(answer)
    assert answer.grounded is True


@pytest.mark.parametrize("question", ["What is the wifi password?", "Who designed the building?", "Is there parking?"])
def test_what_the_text_does_not_say_is_not_answered(question: str) -> None:
    answer = from_library(question)
    assert "does not say" in text_of(answer)
    assert (answer.grounded, answer.finish_reason) == (False, "stop")


def test_a_citation_quotes_the_answer_at_its_place() -> None:
    answer = from_library("When did the library open?")
    (note,) = answer.parts[0]["annotations"]
    assert text_of(answer)[note["start"] : note["end"]] == note["quote"] == "The Marlow library opened in 1931."
    assert (note["type"], note["source"]) == ("citation", "system")


def test_a_numbered_passage_is_cited_by_its_number() -> None:
    context = (
        "[1] The pump needs oil every 200 hours.\n[2] The filter is changed monthly.\n[3] The motor is rated at 4 kW."
    )
    answer = reply([said("user", f"{context}\n\nQuestion: How often should the filter be changed?")])
    assert text_of(answer) == "The filter is changed monthly. [2]"
    assert [note["source"] for note in answer.parts[0]["annotations"]] == [2]


def test_the_sources_behind_an_example_and_its_answer_are_read() -> None:
    example = "For example:\nSource 1:\nSnow is cold.\nQuery: How is snow?\nAnswer: Cold [1].\nNow it is your turn."
    sources = "-----\nSource 1:\nThe motor is rated at 4 kW.\nSource 2:\nThe filter is changed monthly.\n-----"
    answer = reply([said("user", f"{example}\n{sources}\nQuery: How often is the filter changed?\nAnswer: ")])
    assert text_of(answer) == "The filter is changed monthly. [2]"


@pytest.mark.parametrize(
    "layout",
    [
        "Context: {context}\nQuestion: {question}\nAnswer:",
        "Question: {question}\n\nContext:\n{context}",
        "<document>\n{context}\n</document>\n{question}",
        "{context}\n\n{question}",
        "{question}\n\n{context}",
        "-----\n{context}\n-----\nQuery: {question}\nAnswer: ",
    ],
)
def test_question_and_context_are_told_apart(layout: str) -> None:
    answer = reply([said("user", layout.format(context=LIBRARY, question="When does the reading room close?"))])
    assert text_of(answer) == "The reading room closes at 8 pm on weekdays."


def test_a_tool_result_and_an_attachment_are_read() -> None:
    picture = {"type": "image", "url": "file:///x.png", "described": "A sign: Pool closed until 9 May."}
    seen = reply([{"role": "user", "parts": [picture, {"type": "text", "text": "Until when is the pool closed?"}]}])
    assert "9 May" in text_of(seen)


def test_an_attachment_that_nothing_could_read_is_admitted() -> None:
    unseen = reply(
        [{"role": "user", "parts": [{"type": "image"}, {"type": "text", "text": "What is on this picture?"}]}]
    )
    assert "cannot see" in text_of(unseen)
    assert unseen.grounded is False


@pytest.mark.parametrize(
    ("told", "question", "fact"),
    [
        ("My name is Ada and I live in Oslo.", "Where do I live?", "Oslo"),
        ("I'm Ravi, I play the cello.", "What is my name?", "Ravi"),
        ("I'm Ravi, I play the cello.", "Which instrument do I play?", "cello"),
        ("我叫小林，我住在杭州。", "我叫什么名字？", "小林"),
    ],
)
def test_what_the_user_told_earlier_is_remembered(told: str, question: str, fact: str) -> None:
    answer = reply([said("user", told), said("assistant", "Noted."), said("user", question)])
    assert fact in text_of(answer)
    assert answer.grounded is True


def test_chinese_questions_are_answered_from_chinese_text() -> None:
    context = "资料：云岭茶园建于1987年，占地三百亩。负责人是周梅。每年四月采茶。"
    answer = reply([said("user", f"{context}\n问题：云岭茶园的负责人是谁？")])
    assert "周梅" in text_of(answer)
    absent = reply([said("user", f"{context}\n问题：茶园的电话是多少？")])
    assert "没有提到" in text_of(absent)


def test_similarity_finds_what_shares_no_word() -> None:
    def alike(query: str, texts: Sequence[str]) -> list[float]:
        return [0.7 if "cents" in text else 0.05 for text in texts]

    asked = [said("system", LIBRARY), said("user", "What is the fine for overdue loans?")]
    assert reply(asked).grounded is False
    assert text_of(reply(asked, similarity=alike)) == "Late items cost 20 cents per day."


def test_the_fast_variant_quotes_one_sentence() -> None:
    answer = reply([said("system", LIBRARY), said("user", "Which items may members borrow?")], thorough=False)
    assert len(answer.parts[0]["annotations"]) == 1


SUMS = [
    ("What is 23 times 7?", "161"),
    ("what's 15% of 80", "12"),
    ("How much is (3+4)*2^3?", "56"),
    ("What is 0.1 + 0.2?", "0.3"),
    ("subtract 4 from 10", "6"),
    ("square root of 144", "12"),
    ("twenty three times seven", "161"),
    ("200 plus 10%", "220"),
    ("80的15%是多少", "12"),
    ("百分之15的80是多少", "12"),
    ("23乘以7等于多少", "161"),
    ("2的10次方是多少", "1024"),
    ("三加五等于多少", "8"),
    ("How many feet are in 2 meters?", "6.56168 ft"),
    ("convert 72 fahrenheit to celsius", "22.222222 °C"),
    ("5公里是多少米", "5000 m"),
]


@pytest.mark.parametrize(("question", "value"), SUMS)
def test_sums_are_worked_out_exactly(question: str, value: str) -> None:
    assert text_of(reply([said("user", question)])).split("= ")[-1].split("≈ ")[-1] == value


def test_division_by_zero_has_no_value() -> None:
    assert "divides by zero" in text_of(reply([said("user", "What is 9 divided by 0?")]))


@pytest.mark.parametrize("question", ["Who are you?", "Which model is this?", "你是谁？", "Are you a human?"])
def test_asked_who_it_is_it_does_not_pretend(question: str) -> None:
    answer = text_of(reply([said("user", question)]))
    assert "Infrai" in answer
    assert "not a language model" in answer or "不是语言模型" in answer


def test_an_open_question_is_answered_with_what_it_lacks() -> None:
    answer = reply([said("user", "What's the tallest mountain in Chile?")])
    assert "no general knowledge" in text_of(answer)
    assert answer.grounded is False


def test_a_story_is_a_labelled_template_of_about_the_asked_length() -> None:
    request = [said("user", "Write a 50-word story about a lighthouse keeper")]
    story, label = text_of(reply(request)).split("\n\n")
    assert "lighthouse keeper" in story
    assert 42 <= len(story.split()) <= 50
    assert "template" in label
    assert reply(request) == reply(request)


def test_a_summary_is_made_of_the_lead_and_sentences_of_the_text() -> None:
    answer = reply([said("user", f"Summarize the following text:\n\n{LIBRARY}")])
    assert text_of(answer).startswith("The Marlow library opened in 1931.")
    assert all(note["quote"] in LIBRARY for note in answer.parts[0]["annotations"])
    assert len(text_of(answer)) < len(LIBRARY)


def test_a_stop_sequence_ends_the_text_before_it() -> None:
    answer = reply([said("system", LIBRARY), said("user", "When did the library open?")], stop=["opened"])
    assert (text_of(answer), answer.finish_reason) == ("The Marlow library ", "stop")
    assert answer.parts[0]["annotations"][0]["quote"] == "The Marlow library "


def test_max_tokens_cuts_the_text_and_says_so() -> None:
    answer = reply([said("user", "Who are you?")], max_tokens=5)
    assert answer.finish_reason == "length"
    assert 0 < answer.completion_tokens <= 5
    assert reply([said("user", "Who are you?")], max_tokens=500).finish_reason == "stop"


def test_tokens_are_counted_on_both_sides() -> None:
    answer = from_library("When did the library open?")
    assert answer.prompt_tokens >= estimate(LIBRARY)
    assert answer.completion_tokens == estimate(text_of(answer))


def test_no_message_at_all_still_gives_an_honest_text() -> None:
    assert text_of(reply([]))


HOSTILE = {
    "letters": "a" * 100_000,
    "digits": "1" * 100_000,
    "commas": "1,234," * 16_000,
    "brackets": "((((" * 25_000,
    "capitals": "Aa Bb " * 16_000,
    "colons": "key: value; " * 8_000,
    "quotes": "\"'`" * 33_000,
    "and": "x and " * 16_000,
    "lines": "\n" * 100_000,
    "chinese": "北京和上海的天气" * 12_000,
    "numerals": "一百万亿" * 25_000,
    "sentences": "Is it so? It is so. " * 5_000,
    "at": "a@" * 50_000,
    "dots": "." * 100_000,
    "dashes": "1-" * 50_000,
    "blanks": " " * 100_000,
    "schemas": 'Output the JSON schema {"a":' * 4_000,
    "surrogate": "\ud800" * 1_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_large_hostile_text_takes_bounded_time(name: str) -> None:
    text = HOSTILE[name]
    tool = {
        "name": "f",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    schema = {
        "type": "object",
        "properties": {"people": {"type": "array", "items": {"type": "object", "properties": {}}}},
    }
    started = time.process_time()
    reply([said("user", text)])
    reply([said("system", text), said("user", "What is the city?")])
    reply([said("user", text)], tools=[{"type": "function", "function": tool}])
    reply([said("user", text)], response_format={"type": "json_schema", "json_schema": {"schema": schema}})
    reply([said("user", text)], response_format={"type": "json_object"})
    assert time.process_time() - started < 8


def test_a_long_list_of_records_that_say_the_same_takes_bounded_time() -> None:
    person = {"type": "object", "properties": {"name": {"type": "string"}, "city": {"type": "string"}}}
    schema = {"type": "object", "properties": {"people": {"type": "array", "items": person}}, "required": ["people"]}
    text = "\n".join(f"Name: Ana{chr(97 + number % 26)} Ruiz, City: Lima" for number in range(200))
    started = time.process_time()
    answer = reply(
        [said("user", text)], response_format={"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}
    )
    assert time.process_time() - started < 8
    assert len(json.loads(answer.parts[0]["text"])["people"]) == 200


def test_a_large_form_takes_bounded_time() -> None:
    names = [f"field{number}" for number in range(120)]
    schema = {"type": "object", "properties": {name: {"type": "integer"} for name in names}, "required": names}
    text = "\n".join(f"{name}: {number}" for number, name in enumerate(names))
    started = time.process_time()
    answer = reply(
        [said("user", text)], response_format={"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}
    )
    assert time.process_time() - started < 8
    assert json.loads(answer.parts[0]["text"]) == {name: number for number, name in enumerate(names)}


def test_what_an_attached_picture_holds_is_told_when_no_sentence_of_it_fits() -> None:
    picture = {"type": "image", "described": "It is 64 x 48 pixels. Main colour: green."}
    told = reply([{"role": "user", "parts": [{"type": "text", "text": "Describe this for me."}, picture]}])
    assert told.parts[0]["text"] == picture["described"]
    assert told.grounded


def test_an_earlier_picture_is_not_told_again_for_another_question() -> None:
    picture = {"type": "image", "described": "It is 64 x 48 pixels."}
    messages = [
        {"role": "user", "parts": [{"type": "text", "text": "Look."}, picture]},
        {"role": "assistant", "parts": [{"type": "text", "text": "It is 64 x 48 pixels."}]},
        {"role": "user", "parts": [{"type": "text", "text": "Which river runs through Prague?"}]},
    ]
    assert not reply(messages).grounded


BAKERY = (
    "The bakery opened in 1987. It was founded by Renate Vogt after she left the paper mill.\n"
    "Bread is baked twice a day. The rye loaf weighs 1.2 kilograms.\n"
    "On Mondays the shop stays closed. Orders for cakes have to be placed three days ahead by telephone."
)


@pytest.mark.parametrize(
    "prompt",
    [
        "Answer the question using only the sources above: {question}",
        "Based on the text above, {question}",
        "According to the information above: {question}",
        "Query: {question}\nAnswer: ",
    ],
)
@pytest.mark.parametrize(
    ("question", "fact"),
    [("when is the shop shut?", "Mondays"), ("how far in advance must I order a cake?", "three days")],
)
def test_words_that_only_point_at_the_text_are_no_part_of_the_question(prompt: str, question: str, fact: str) -> None:
    text = f"{BAKERY}\n\n{prompt.format(question=question)}"
    answer = reply([{"role": "user", "parts": [{"type": "text", "text": text}]}])
    assert fact in answer.parts[0]["text"]
    assert answer.grounded is True


def test_a_year_is_no_answer_to_how_long() -> None:
    text = "The bridge was opened in 1932. It is 503 metres long. How long is the bridge?"
    answer = reply([{"role": "user", "parts": [{"type": "text", "text": text}]}])
    assert "503" in answer.parts[0]["text"]
