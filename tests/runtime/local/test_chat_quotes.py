"""The words that a value was read from: those that a reader would point at, and no more than a look takes in."""

from __future__ import annotations

from typing import Any

import pytest

from infrai_runtime.vendors.local.chat import Answer, reply

S: dict[str, Any] = {"type": "string"}
INTEGER: dict[str, Any] = {"type": "integer"}
LIST: dict[str, Any] = {"type": "array", "items": S}
TIME: dict[str, Any] = {"type": "string", "format": "time"}
BOOLEAN: dict[str, Any] = {"type": "boolean"}


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"type": "text", "text": text}]}


def form(text: str, **fields: dict[str, Any]) -> Answer:
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    return reply([said(text)], response_format={"type": "json_schema", "json_schema": {"name": "f", "schema": schema}})


def tool(name: str, **fields: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    function = {"name": name, "description": name.replace("_", " "), "parameters": schema}
    return {"type": "function", "function": function}


def gave(text: str, name: str = "get_weather", arguments: str = '{"city": "Oslo"}') -> list[dict[str, Any]]:
    """A call that was made and its result."""
    call = {"type": "tool_call", "id": "c0", "name": name, "arguments": arguments}
    result = {"type": "tool_result", "tool_call_id": "c0", "parts": [{"type": "text", "text": text}]}
    return [{"role": "assistant", "parts": [call]}, {"role": "tool", "parts": [result]}]


THEN_SEND = "What's the weather in Oslo and then send an email to a@b.co about it"
LONG = "The hall was built by the town long ago and has been painted again and again by all who came to live there "
QUOTED = [
    ("Ana paid. Her age is 34. She left.", INTEGER, "Her age is 34."),
    ("Name: Ana\nAge: 34\nCity: Lima", INTEGER, "Age: 34"),
    ("name: Ana, age: 34, city: Lima", INTEGER, "age: 34"),
    ('{"name": "Ana", "age": 34, "city": "Lima"}', INTEGER, '"age": 34'),
    ("她今年28岁。她住在成都。", INTEGER, "她今年28岁。"),
]


@pytest.mark.parametrize(("text", "schema", "words"), QUOTED)
def test_a_value_is_quoted_in_its_sentence_or_with_its_label(text: str, schema: dict[str, Any], words: str) -> None:
    answer = form(text, age=schema)
    assert (answer.invented, answer.quotes) == ([], {"content.age": words})


def test_a_value_is_quoted_from_where_it_was_read_and_not_from_where_it_stands_too() -> None:
    answer = form("Invoice 34 of 2024. Age: 34. Room 34.", age=INTEGER)
    assert answer.quotes == {"content.age": "Age: 34."}


def test_what_is_listed_is_not_quoted_and_what_can_be_no_other_is_neither() -> None:
    answer = form("Name: Ana", name=S, age=INTEGER, version={"const": "v1"})
    assert (answer.invented, answer.quotes) == (["content.age"], {"content.name": "Name: Ana"})


def test_one_quote_stands_for_a_whole_list() -> None:
    assert form("Tags: red, green, blue", tags=LIST).quotes == {"content.tags": "Tags: red, green, blue"}


def test_the_values_of_a_list_that_is_too_long_for_one_quote_have_their_own() -> None:
    numbers = [str(number) for number in range(1000, 1420, 7)]
    answer = form(f"Codes: {', '.join(numbers)}", codes={"type": "array", "items": INTEGER})
    assert list(answer.quotes) == [f"content.codes.{at}" for at in range(len(numbers))]
    assert all(number in words for number, words in zip(numbers, answer.quotes.values(), strict=True))
    assert max(map(len, answer.quotes.values())) < 100


def test_of_a_long_sentence_whole_words_near_the_value_are_quoted() -> None:
    answer = form(f"{LONG * 3}and its height is 12 metres {LONG * 3}.", height=INTEGER)
    words = answer.quotes["content.height"]
    assert "its height is 12 metres" in words
    assert len(words) <= 200
    assert set(words.split()) <= set(f"{LONG} and its height is 12 metres".split())


def test_of_a_long_sentence_the_clauses_around_the_value_are_quoted() -> None:
    text = "We would like to book a meeting room for 8 people on 14 June 2025, from 9:30 to 12:00, with a screen."
    answer = form(text, people=INTEGER, date={"type": "string", "format": "date"}, start_time=TIME, end_time=TIME)
    assert answer.quotes == {
        "content.people": "We would like to book a meeting room for 8 people on 14 June 2025",
        "content.date": "We would like to book a meeting room for 8 people on 14 June 2025",
        "content.start_time": "from 9:30 to 12:00, with a screen.",
        "content.end_time": "from 9:30 to 12:00, with a screen.",
    }


def test_a_long_sentence_in_chinese_is_one_of_half_the_characters() -> None:
    answer = form("航班CA1831,北京首都机场起飞时间08:30,到达上海虹桥10:45,座位12A。", 航班=S, 座位=S)
    assert answer.quotes == {
        "content.航班": "航班CA1831,北京首都机场起飞时间08:30,到达上海虹桥10:45",
        "content.座位": "北京首都机场起飞时间08:30,到达上海虹桥10:45,座位12A。",
    }


def test_a_sentence_is_quoted_up_to_the_next_label() -> None:
    answer = form("Cook for 35 minutes at 180 C. Note: stir often.", minutes=INTEGER)
    assert answer.quotes == {"content.minutes": "Cook for 35 minutes at 180 C."}


def test_of_a_long_text_that_is_a_value_its_beginning_is_quoted() -> None:
    text = LONG * 5
    history = [said(THEN_SEND), *gave(text)]
    answer = reply(history, tools=[tool("get_weather", city=S), tool("send_email", to=S, body=S)])
    words = answer.quotes["tool_calls.0.arguments.body"]
    assert answer.invented == []
    assert text.startswith(words)
    assert 250 < len(words) <= 300


def test_a_value_of_a_result_in_json_is_quoted_as_the_result_has_it() -> None:
    history = [
        said("What's the weather in Oslo and then send an email to a@b.co about it"),
        *gave('{"sea": "grey", "sky": "grey"}'),
    ]
    answer = reply(history, tools=[tool("get_weather", city=S), tool("send_email", to=S, sky=S)])
    assert answer.quotes["tool_calls.0.arguments.sky"] == '"sky": "grey"'


def test_words_of_a_step_that_speaks_of_an_earlier_result_are_quoted_as_they_were_said() -> None:
    history = [said("Multiply 12 by 4, then subtract 5 from the result"), *gave("48", "multiply", '{"a": 12, "b": 4}')]
    answer = reply(history, tools=[tool("multiply", a=INTEGER, b=INTEGER), tool("subtract", a=INTEGER, b=INTEGER)])
    assert answer.quotes == {
        "tool_calls.0.arguments.a": "48",
        "tool_calls.0.arguments.b": "Multiply 12 by 4, then subtract 5 from the result",
    }


def test_each_record_of_a_list_is_quoted_though_other_values_stand_between() -> None:
    item = {"type": "object", "properties": {"name": S, "quantity": INTEGER}, "required": ["name", "quantity"]}
    answer = form("Order number: 77\n3 apples\n12 pears", order_number=INTEGER, items={"type": "array", "items": item})
    assert answer.quotes == {
        "content.order_number": "Order number: 77",
        "content.items.0.name": "3 apples",
        "content.items.0.quantity": "3 apples",
        "content.items.1.name": "12 pears",
        "content.items.1.quantity": "12 pears",
    }


def test_a_yes_or_no_is_quoted_with_the_sentence_that_says_it() -> None:
    answer = form("Four rooms, second floor. There is no elevator. Quiet street.", elevator=BOOLEAN)
    assert answer.quotes == {"content.elevator": "There is no elevator."}


def test_every_call_has_its_own_quotes() -> None:
    answer = reply([said("What is the weather in Cairo and Athens?")], tools=[tool("get_weather", city=S)])
    whole = "What is the weather in Cairo and Athens?"
    assert answer.quotes == {f"tool_calls.{at}.arguments.city": whole for at in (0, 1)}


def test_free_json_is_quoted_value_by_value() -> None:
    answer = reply([said("Name: Ana; Paid: yes")], response_format={"type": "json_object"})
    assert answer.quotes == {"content.Name": "Name: Ana", "content.Paid": "Paid: yes"}


def test_a_sentence_has_no_quotes() -> None:
    assert reply([said("The tower is 90 m high. How high is the tower?")]).quotes == {}


def test_an_answer_of_very_many_values_is_quoted_in_brief() -> None:
    text = " ".join(f"We met guest{number}@example.org." for number in range(300))
    quotes = list(reply([said(text)], response_format={"type": "json_object"}).quotes.values())
    assert len(quotes) == 300
    assert (quotes[0], quotes[-1]) == ("We met guest0@example.org.", "guest299@example.org")
