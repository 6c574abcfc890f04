from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.chat import Answer, reply

Message = dict[str, Any]
S: dict[str, Any] = {"type": "string"}
INTEGER: dict[str, Any] = {"type": "integer"}
N: dict[str, Any] = {"type": "number"}
B: dict[str, Any] = {"type": "boolean"}


def tool(named: str, about: str, needed: list[str] | None = None, /, **properties: Any) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if needed is None else needed,
    }
    return {"type": "function", "function": {"name": named, "description": about, "parameters": parameters}}


TOOLS = [
    tool("get_weather", "Current weather for a city", ["city"], city=S, unit={"enum": ["celsius", "fahrenheit"]}),
    tool("send_email", "Send an email message", to={**S, "description": "recipient address"}, subject=S, body=S),
    tool("add", "Add two numbers", a=N, b=N),
    tool("subtract", "Subtract b from a", a=N, b=N),
    tool("multiply", "Multiply two numbers", a=N, b=N),
    tool("divide", "Divide a by b", a=N, b=N),
    tool("set_alarm", "Set an alarm clock", ["time"], time=S, label=S),
    tool("convert_currency", "Convert an amount of money", amount=N, from_currency=S, to_currency=S),
    tool("search_web", "Search the internet for information", query=S),
    tool(
        "book_restaurant",
        "Reserve a table at a restaurant",
        ["restaurant", "party_size"],
        restaurant=S,
        party_size=INTEGER,
        date=S,
        time=S,
    ),
    tool("control_light", "Turn lights on or off in a room", ["room", "on"], room=S, on=B, brightness=INTEGER),
    tool("create_task", "Add an item to the to-do list", ["title"], title=S, priority={"enum": ["low", "high"]}),
    tool("translate", "Translate text to another language", text=S, target_language=S),
    tool("find_flights", "Search flights between two cities", origin=S, destination=S, date=S),
    tool("lock_door", "Lock or unlock a door", door=S, locked=B),
    tool("set_timer", "Start a countdown timer", minutes=INTEGER),
    tool("get_time", "Current time in a city", location=S),
]


def user(text: str) -> Message:
    return {"role": "user", "parts": [{"type": "text", "text": text}]}


def called(name: str, arguments: Mapping[str, Any], call_id: str = "c1") -> Message:
    part = {"type": "tool_call", "id": call_id, "name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "parts": [part]}


def gave(text: str, call_id: str = "c1", *, is_error: bool = False) -> Message:
    part = {"type": "tool_result", "tool_call_id": call_id, "parts": [{"type": "text", "text": text}]}
    return {"role": "tool", "parts": [{**part, "is_error": True} if is_error else part]}


def calls(answer: Answer) -> list[tuple[str, dict[str, Any]]]:
    return [(p["name"], json.loads(p["arguments"])) for p in answer.parts if p["type"] == "tool_call"]


ONE_CALL: list[tuple[str, str, dict[str, Any]]] = [
    ("What's the weather like in Lisbon?", "get_weather", {"city": "Lisbon"}),
    ("weather paris", "get_weather", {"city": "paris"}),
    ("北京明天天气怎么样？", "get_weather", {"city": "北京"}),
    ("What is 17 times 4?", "multiply", {"a": 17, "b": 4}),
    ("subtract 4 from 10", "subtract", {"a": 10, "b": 4}),
    ("Wake me up at 6:30 am", "set_alarm", {"time": "6:30 am"}),
    (
        "How much is 250 dollars in euros?",
        "convert_currency",
        {"amount": 250, "from_currency": "USD", "to_currency": "EUR"},
    ),
    ("100美元是多少人民币", "convert_currency", {"amount": 100, "from_currency": "USD", "to_currency": "CNY"}),
    ("Find the history of the Panama Canal online", "search_web", {"query": "history of the Panama Canal"}),
    (
        "Book a table for four at Bella Notte on Friday at 7pm",
        "book_restaurant",
        {"restaurant": "Bella Notte", "party_size": 4, "date": "Friday", "time": "7pm"},
    ),
    ("Turn off the kitchen lights", "control_light", {"room": "kitchen", "on": False}),
    ("关掉客厅的灯", "control_light", {"room": "客厅", "on": False}),
    ("Add buy milk to my todo list with high priority", "create_task", {"title": "buy milk", "priority": "high"}),
    ("Translate 'good morning' into Japanese", "translate", {"text": "good morning", "target_language": "Japanese"}),
    ("把“早上好”翻译成英语", "translate", {"text": "早上好", "target_language": "英语"}),
    (
        "I need to fly from Boston to Denver on June 12",
        "find_flights",
        {"origin": "Boston", "destination": "Denver", "date": "June 12"},
    ),
    ("下周五从上海飞到东京的航班", "find_flights", {"origin": "上海", "destination": "东京", "date": "下周五"}),
    ("unlock the garage door please", "lock_door", {"door": "garage door", "locked": False}),
    ("Set a timer for half an hour", "set_timer", {"minutes": 30}),
    (
        "Email bob@corp.com with subject Lunch saying let's meet at noon",
        "send_email",
        {"to": "bob@corp.com", "subject": "Lunch", "body": "let's meet at noon"},
    ),
    (
        "Send an email to ann@corp.com with subject 'Hi' saying 'See you tomorrow'.",
        "send_email",
        {"to": "ann@corp.com", "subject": "Hi", "body": "See you tomorrow"},
    ),
]


@pytest.mark.parametrize(("text", "name", "arguments"), ONE_CALL)
def test_a_request_calls_the_tool_that_fits_it(text: str, name: str, arguments: dict[str, Any]) -> None:
    answer = reply([user(text)], tools=TOOLS)
    assert calls(answer) == [(name, arguments)]
    assert (answer.finish_reason, answer.invented) == ("tool_calls", [])


@pytest.mark.parametrize(
    "text",
    [
        "How are you today?",
        "Do you like music?",
        "Don't search the web. Who won the cup?",
        "Can you explain recursion?",
        "My name is Lee.",
        "Thanks a lot!",
        "你好",
    ],
)
def test_no_tool_is_called_where_none_fits(text: str) -> None:
    answer = reply([user(text)], tools=TOOLS)
    assert calls(answer) == []
    assert answer.finish_reason == "stop"
    assert answer.parts[0]["text"]


@pytest.mark.parametrize("text", ["Who wrote Hamlet?", "How is a router reset?", "谁写了《红楼梦》？"])
def test_what_the_model_does_not_know_is_looked_up_where_a_tool_is_for_that(text: str) -> None:
    answer = reply([user(text)], tools=TOOLS)
    assert calls(answer) == [("search_web", {"query": text})]
    assert (answer.invented, answer.quotes) == ([], {"tool_calls.0.arguments.query": text})
    without = [one for one in TOOLS if one["function"]["name"] != "search_web"]
    assert calls(reply([user(text)], tools=without)) == []
    assert calls(reply([user(text)], tools=TOOLS, tool_choice="none")) == []


def test_a_question_is_looked_up_once_and_not_at_all_where_its_answer_is_given() -> None:
    asked = user("Who wrote Hamlet?")
    call = {"type": "tool_call", "id": "c0", "name": "search_web", "arguments": '{"query": "Hamlet"}'}
    found = {"type": "tool_result", "tool_call_id": "c0", "parts": [{"type": "text", "text": "Nothing was found."}]}
    searched: list[Message] = [{"role": "assistant", "parts": [call]}, {"role": "tool", "parts": [found]}]
    assert calls(reply([asked, *searched], tools=TOOLS)) == []
    assert calls(reply([user("Hamlet was written by Ada Voss. Who wrote Hamlet?")], tools=TOOLS)) == []


@pytest.mark.parametrize(
    ("text", "arguments", "listed"),
    [
        ("Book room 214 at 3 pm for 6 people", {"room": "214", "start": "15:00", "people": 6}, ["start"]),
        ("Reserve room 8 for 12 people at 16:30", {"room": "8", "start": "16:30", "people": 12}, ["start"]),
    ],
)
def test_a_request_names_a_thing_right_behind_its_verb(text: str, arguments: dict[str, Any], listed: list[str]) -> None:
    start = {**S, "description": "HH:MM"}
    booking = tool("book_room", "Books a meeting room", room=S, start=start, people=INTEGER)
    answer = reply([user(text)], tools=[booking])
    assert calls(answer) == [("book_room", arguments)]
    assert answer.invented == [f"tool_calls.0.arguments.{name}" for name in listed]


def test_what_stands_behind_a_colon_is_taken_without_it() -> None:
    ticket = tool("create_ticket", "Creates a support ticket", title=S, priority={"enum": ["low", "high"]})
    text = "Create a ticket: the printer on floor 3 is broken, high priority"
    expected = {"title": "printer on floor 3 is broken", "priority": "high"}
    assert calls(reply([user(text)], tools=[ticket])) == [("create_ticket", expected)]


def test_several_things_are_asked_for_in_parallel() -> None:
    answer = reply([user("What's the weather in Rome, and what time is it in Lima?")], tools=TOOLS)
    assert calls(answer) == [("get_weather", {"city": "Rome"}), ("get_time", {"location": "Lima"})]


def test_a_list_of_places_gives_one_call_each() -> None:
    answer = reply([user("How hot is it in Cairo and Athens, in fahrenheit?")], tools=TOOLS)
    assert [arguments["city"] for _, arguments in calls(answer)] == ["Cairo", "Athens"]
    assert len({part["id"] for part in answer.parts}) == 2


def test_a_place_and_its_region_are_one_place() -> None:
    answer = reply([user("What's the weather in Portland, Oregon?")], tools=TOOLS)
    assert calls(answer) == [("get_weather", {"city": "Portland, Oregon"})]


@pytest.mark.parametrize("asked", ["in Portland, Oregon", "in Portland and Eugene"])
def test_no_argument_has_a_value_beyond_its_options(asked: str) -> None:
    weather = tool("get_weather", "Current weather for a city", city={"$ref": "#/$defs/City"})
    weather["function"]["parameters"]["$defs"] = {"City": {**S, "enum": ["Portland", "Salem"]}}
    answer = reply([user(f"What's the weather {asked}?")], tools=[weather])
    assert calls(answer) == [("get_weather", {"city": "Portland"})]


def test_without_parallel_calls_one_call_is_made_at_a_time() -> None:
    question = user("What is the weather in Cairo and Athens?")
    first = reply([question], tools=TOOLS, parallel_tool_calls=False)
    second = reply([question, called(*calls(first)[0]), gave("hot")], tools=TOOLS, parallel_tool_calls=False)
    assert [calls(first), calls(second)] == [
        [("get_weather", {"city": "Cairo"})],
        [("get_weather", {"city": "Athens"})],
    ]


def test_a_step_waits_for_the_result_that_feeds_it() -> None:
    question = user("divide 90 by 9, then subtract 4")
    steps = [question]
    seen = []
    for number, result in enumerate(["10", "6"]):
        answer = reply(steps, tools=TOOLS)
        seen += calls(answer)
        steps += [called(*calls(answer)[0], f"c{number}"), gave(result, f"c{number}")]
    assert seen == [("divide", {"a": 90, "b": 9}), ("subtract", {"a": 10, "b": 4})]
    last = reply(steps, tools=TOOLS)
    assert (last.parts[0]["text"], last.finish_reason, last.grounded) == ("The result is 6.", "stop", True)


def test_a_text_result_is_handed_on_to_the_next_step() -> None:
    question = user("What's the weather in Oslo and then send an email to a@b.co about it")
    assert calls(reply([question], tools=TOOLS)) == [("get_weather", {"city": "Oslo"})]
    following = reply([question, called("get_weather", {"city": "Oslo"}), gave("4 degrees and cloudy")], tools=TOOLS)
    ((name, arguments),) = calls(following)
    assert (name, arguments["to"], arguments["body"]) == ("send_email", "a@b.co", "4 degrees and cloudy")


def test_a_call_whose_result_is_there_is_not_repeated() -> None:
    history = [
        user("What is the weather in Oslo?"),
        called("get_weather", {"city": "Oslo"}),
        gave('{"temp": 4, "sky": "grey"}'),
    ]
    answer = reply(history, tools=TOOLS)
    assert calls(answer) == []
    assert answer.parts[0]["text"] == "temp: 4; sky: grey"


def test_a_failed_call_is_reported_and_not_repeated() -> None:
    history = [
        user("What is the weather in Oslo?"),
        called("get_weather", {"city": "Oslo"}),
        gave("timed out", is_error=True),
    ]
    answer = reply(history, tools=TOOLS)
    assert calls(answer) == []
    assert "timed out" in answer.parts[0]["text"]
    assert answer.grounded is False


def test_a_short_follow_up_asks_the_last_tool_again() -> None:
    history = [
        user("What's the weather in Oslo?"),
        called("get_weather", {"city": "Oslo"}),
        gave("4 degrees"),
        {"role": "assistant", "parts": [{"type": "text", "text": "4 degrees"}]},
        user("And in Bergen?"),
    ]
    assert calls(reply(history, tools=TOOLS)) == [("get_weather", {"city": "Bergen"})]


PERSON = tool("Person", "Information about a person", name=S, age=INTEGER)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "Person"}}])
def test_a_forced_tool_is_filled_like_a_form(choice: Any) -> None:
    answer = reply([user("Erik is 27 years old")], tools=[PERSON], tool_choice=choice)
    assert calls(answer) == [("Person", {"name": "Erik", "age": 27})]
    assert answer.invented == []


def test_a_forced_argument_without_support_is_named() -> None:
    answer = reply([user("Erik is a plumber")], tools=[PERSON], tool_choice="required")
    assert calls(answer) == [("Person", {"name": "Erik", "age": 0})]
    assert answer.invented == ["tool_calls.0.arguments.age"]


def test_numbers_with_names_of_their_own_are_not_told_apart_by_their_order() -> None:
    stock = tool("record_stock", "Records what a count of the shelf found", expected=INTEGER, counted=INTEGER)
    answer = reply([user("Record the stock: there were 14 tins, there should be 20.")], tools=[stock])
    assert {"tool_calls.0.arguments.expected", "tool_calls.0.arguments.counted"} <= set(answer.invented)


def test_operands_stand_in_their_order() -> None:
    answer = reply([user("multiply 14 by 20")], tools=TOOLS)
    assert calls(answer) == [("multiply", {"a": 14, "b": 20})]
    assert not answer.invented


def test_a_code_is_not_taken_for_the_other_code_that_a_tool_may_have() -> None:
    found = tool("find_luggage", "Finds lost luggage", ["claim_number"], claim_number=S, postcode=S)
    answer = reply([user("Has my suitcase ZX5512087 turned up, the lost luggage?")], tools=[found])
    [(_, arguments)] = calls(answer)
    assert arguments == {"claim_number": "ZX5512087"}


def test_a_list_of_words_that_no_field_is_shown_to_want_is_named() -> None:
    about = {**S, "description": "收件人电话"}
    parcel = tool("create_parcel", "创建包裹单", recipient={**S, "description": "收件人"}, recipient_phone=about)
    answer = reply([user("创建包裹单:收件人是潘建国,易碎,别压,轻放。")], tools=[parcel])
    assert "tool_calls.0.arguments.recipient_phone" in answer.invented


def test_a_time_goes_on_to_the_part_of_the_day() -> None:
    answer = reply([user("Set an alarm for half past six in the evening")], tools=TOOLS)
    assert calls(answer) == [("set_alarm", {"time": "half past six in the evening"})]


def test_a_forced_text_that_nothing_gave_is_what_the_request_is_about_and_is_named() -> None:
    poem = tool("verse_maker", "Make a verse in a given manner", manner=S)
    answer = reply([user("Use the tool to make a Baroque verse.")], tools=[poem], tool_choice="required")
    assert calls(answer) == [("verse_maker", {"manner": "Baroque"})]
    assert answer.invented == ["tool_calls.0.arguments.manner"]


def test_a_required_choice_goes_on_to_a_tool_that_was_not_called_yet() -> None:
    history = [
        user("What is the weather in Oslo?"),
        called("get_weather", {"city": "Oslo"}),
        gave("city: Oslo, degrees: 4"),
    ]
    report = tool("Report", "The final answer", city=S, degrees=INTEGER)
    answer = reply(history, tools=[*TOOLS[:1], report], tool_choice="required")
    assert calls(answer) == [("Report", {"city": "Oslo", "degrees": 4})]


def test_choice_none_calls_nothing() -> None:
    assert calls(reply([user("What's the weather in Lisbon?")], tools=TOOLS, tool_choice="none")) == []


def test_ids_depend_on_the_content_and_the_seed_only() -> None:
    asked = [user("What's the weather in Lisbon?")]
    ids = [reply(asked, tools=TOOLS, seed=seed).parts[0]["id"] for seed in (None, None, 7)]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0].startswith("call_")


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        (TOOLS, {"type": "function", "function": {"name": "fly"}}, "tool_choice"),
        (TOOLS, "sometimes", "tool_choice"),
        ([{"type": "function", "function": {"description": "no name"}}], "auto", "tools"),
        ([{"type": "function", "function": {"name": "f", "parameters": []}}, 5], "auto", "tools"),
    ],
)
def test_unusable_tools_are_refused_by_name(tools: Any, choice: Any, param: str) -> None:
    with pytest.raises(Failure) as caught:
        reply([user("hello there")], tools=tools, tool_choice=choice)
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", param)


def test_a_tool_whose_arguments_nobody_gave_is_asked_about_and_not_called() -> None:
    answer = reply([user("How is the weather?")], tools=TOOLS)
    assert calls(answer) == []
    assert answer.parts[0]["text"] == "To call get_weather I need: city."
    assert answer.grounded is False
