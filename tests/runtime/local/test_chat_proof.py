"""What an answer does not list stands in the input and is quoted from it, whatever is asked of whatever text."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrai_runtime.vendors.local.chat import Answer, reply

S: dict[str, Any] = {"type": "string"}
DATE: dict[str, Any] = {"type": "string", "format": "date"}
Messages = list[dict[str, Any]]


def said(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "text": text}]}


def gave(text: str) -> Messages:
    """A call that was made and its result."""
    call = {"type": "tool_call", "id": "c0", "name": "look_up", "arguments": "{}"}
    result = {"type": "tool_result", "tool_call_id": "c0", "parts": [{"type": "text", "text": text}]}
    return [{"role": "assistant", "parts": [call]}, {"role": "tool", "parts": [result]}]


def form(schema: dict[str, Any], messages: Messages) -> Answer:
    return reply(messages, response_format={"type": "json_schema", "json_schema": {"name": "form", "schema": schema}})


def tool(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": "Keeps a record", "parameters": schema}}


# -- schemas and texts

FIELDS = """
    name age city date email items total is_open tags from to note price weight_g quantity colour priority recipient
    currency start end hotel room query message reason 姓名 年龄 城市 日期 价格 数量 地址 备注
"""
NAMES = st.sampled_from(FIELDS.split())
LEAVES = st.sampled_from(
    [
        S,
        {"type": "integer"},
        {"type": "number"},
        {"type": "boolean"},
        DATE,
        {"type": "string", "format": "email"},
        {"type": "string", "format": "time"},
        {"type": "string", "description": "as HH:MM"},
        {"type": "string", "minLength": 2},
        {"type": "integer", "minimum": 3},
        {"type": ["string", "null"]},
        {"type": "null"},
        {"const": "v1"},
        {"enum": ["only"]},
        {"type": "string", "enum": ["red", "green", "红色"]},
        {"type": "string", "enum": ["low", "high"]},
        {"type": "string", "enum": ["EUR", "USD", "kg"]},
        {"type": "string", "enum": ["positive", "negative"]},
        {"enum": [3, 7.5, True, None, "Oslo"]},
        {},
    ]
)


def _objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(NAMES, inner, max_size=5).flatmap(
        lambda properties: st.lists(st.sampled_from([*properties, "extra"]), unique=True).map(
            lambda required: {"type": "object", "properties": properties, "required": required}
        )
    )


PARTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        _objects(inner),
        st.builds(lambda item, low: {"type": "array", "items": item, "minItems": low}, inner, st.integers(0, 2)),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        st.just({"type": "object", "additionalProperties": {"type": "number"}}),
    ),
    max_leaves=8,
)
RECORDS = _objects(PARTS)
SAYINGS: dict[str, tuple[set[float], set[str]]] = {
    "Ana Ruiz, 34, moved to Lima in 2019.": ({34, 2019}, set()),
    "total: 12.50 EUR": ({12.5}, {"EUR"}),
    "The price is $1,200 and it weighs 2.5 kg": ({1200, 2.5, 2500, 2500000, 5, 0.0025}, {"USD"}),
    "mail ana@example.org": (set(), set()),
    "colour: red, priority high": (set(), set()),
    "on 5 March 2024 at half past four in the afternoon": ({5, 2024}, {"2024-03-05"}),
    "from 2024-05-06 to 2024-05-09": ({2024, 5, 6, 9}, {"2024-05-06", "2024-05-09"}),
    "- 3 apples\n- 12 pears\n": ({3, 12}, set()),
    "send it to Bruno in room 214": ({214}, set()),
    "is it open? no": (set(), set()),
    "it was great, the staff were friendly": (set(), set()),
    "They could be green. The shop is not open.": (set(), set()),
    "张伟今年28岁,住在成都。": ({28}, set()),
    "日期:2025年12月13日,价格三百二十元": ({2025, 12, 13, 320, 300, 20}, {"2025-12-13", "CNY"}),
    "帮我订405教室,晚上七点半,不要红色的": ({405, 7}, {"19:30", "19:30:00"}),
    "把数量改成8个,地址是人民路12号": ({8, 12}, set()),
    'call it "night train" at 7:45 pm': ({7, 45}, {"19:45", "19:45:00"}),
    '{"a": [1, {"note": "wet"}': ({1}, set()),
    "worker-3 restarted": ({3}, set()),
    "\x00 \ufeff": (set(), set()),
}
TEXTS = st.lists(st.sampled_from([*SAYINGS]), max_size=4, unique=True).flatmap(
    lambda parts: st.sampled_from([" ", "\n", ". ", ",", "。"]).map(lambda join: join.join(parts))
)
CONVERSATIONS = st.builds(
    lambda text, earlier, result: (
        [*([said(earlier), said("ok", "assistant")] if earlier else []), said(text)] + (gave(result) if result else [])
    ),
    TEXTS,
    st.sampled_from(["", "", "My name is Otto Kern."]),
    st.sampled_from(["", "", "12", '{"city": "Graz", "open": true}']),
)
WORDS_OF: dict[object, str] = {
    "red": "red|红",
    "green": "green|绿",
    "红色": "red|红",
    "high": "high|urgent",
    "low": "low",
    "EUR": "eur|€",
    "USD": "usd|\\$",
    "kg": "kg",
    "positive": "great|friendly",
    "negative": "great|friendly",
}
"""What a text must hold to mean an option."""
YES_OR_NO = r"\b(?:yes|no|not|is|are|open|shut)\b|不|是|开"
"""The least that a text must hold to answer yes or no."""


# -- what a text gives


def leaves(value: Any, schema: Any, path: str = "") -> Iterator[tuple[str, Any, list[Any]]]:
    """Each leaf with its path and the schemas that it may be of."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, [_member(one, name) for one in _plain(schema)], f"{path}.{name}".lstrip("."))
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            yield from leaves(inner, [one.get("items", {}) for one in _plain(schema)], f"{path}.{at}".lstrip("."))
    elif path:
        yield path, value, [one for one in _plain(schema) if jsonschema.Draft202012Validator(one).is_valid(value)]


def _plain(schema: Any) -> list[dict[str, Any]]:
    """The schemas without choices between them."""
    found = schema if isinstance(schema, list) else [schema]
    return [inner for one in found for inner in (_plain(one["anyOf"]) if "anyOf" in one else [one])]


def _member(schema: dict[str, Any], name: str) -> dict[str, Any]:
    extra = schema.get("additionalProperties", {})
    return dict(schema.get("properties", {}).get(name, extra))


def folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def stands_in(value: Any, schemas: list[dict[str, Any]], heard: str) -> bool:
    """Whether a text gives a value, by what is known of the sayings that it is made of."""
    if any(one.get("type") == "null" or "const" in one or len(one.get("enum", "..")) == 1 for one in schemas):
        return True
    if any("enum" in one for one in schemas) and value in WORDS_OF:
        return bool(re.search(WORDS_OF[value], heard, re.IGNORECASE))
    if isinstance(value, bool):
        return bool(re.search(YES_OR_NO, heard))
    told = [gives for saying, gives in SAYINGS.items() if folded(saying.strip("\n")) in folded(heard)]
    if isinstance(value, int | float):
        return value in {12, *(number for numbers, _ in told for number in numbers)}
    if isinstance(value, str):
        spelt = bool(folded(value)) and all(folded(line) in folded(heard) for line in value.splitlines())
        return spelt or any(value in forms for _, forms in told) or value in ("city: Graz; open: True",)
    return False


def heard_in(messages: Messages) -> str:
    parts = [part for message in messages for part in message["parts"]]
    return "\n".join(str(part.get("text", "")) for outer in parts for part in [outer, *outer.get("parts", [])])


def paths_in(value: Any, path: str = "") -> Iterator[str]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        yield from paths_in(inner, f"{path}.{name}".lstrip("."))


def check(value: Any, schema: dict[str, Any], listed: list[str], heard: str) -> None:
    """What is not listed stands in the text, what is listed in the value, and the value is one of the schema."""
    jsonschema.validate(value, schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    assert set(listed) <= set(paths_in(value))
    open_ = [leaf for leaf in leaves(value, schema) if not any(f"{leaf[0]}.".startswith(f"{one}.") for one in listed)]
    assert [leaf for leaf in open_ if not stands_in(leaf[1], leaf[2], heard)] == []


def in_content(answer: Answer) -> tuple[Any, list[str], dict[str, str]]:
    """The value of a JSON answer, its listed paths and its quotes."""
    return json.loads(answer.parts[0]["text"]), *inside("content", answer)


def in_calls(answer: Answer) -> list[tuple[str, Any, list[str], dict[str, str]]]:
    """Name, arguments, listed paths and quotes of each call; no path is of anything else."""
    made = [part for part in answer.parts if part["type"] == "tool_call"]
    where = [f"tool_calls.{at}.arguments" for at in range(len(made))]
    assert all(any(path.startswith(f"{one}.") for one in where) for path in [*answer.invented, *answer.quotes])
    pairs = zip(made, where, strict=True)
    return [(part["name"], json.loads(part["arguments"]), *inside(one, answer)) for part, one in pairs]


def inside(where: str, answer: Answer) -> tuple[list[str], dict[str, str]]:
    """The listed paths and the quotes of one of an answer's values, by their paths in it."""
    within = {path: path.removeprefix(where).lstrip(".") for path in [*answer.invented, *answer.quotes]}
    own = [path for path in within if f"{path}.".startswith(f"{where}.")]
    listed = [within[path] for path in own if path in answer.invented]
    return listed, {within[path]: answer.quotes[path] for path in own if path in answer.quotes}


SPELT: dict[object, str] = {
    12.5: "12.50",
    1200: "1,200",
    2500: "2.5 kg",
    2500000: "2.5 kg",
    0.0025: "2.5 kg",
    320: "三百二十",
    300: "三百",
    20: "二十",
    7: "7|七",
    "2024-03-05": "5 March 2024",
    "2025-12-13": "2025年12月13日",
    "19:30": "七点半",
    "19:30:00": "七点半",
    "19:45": "7:45 pm",
    "19:45:00": "7:45 pm",
    "CNY": "元",
    "USD": "\\$",
    "city: Graz; open: True": '"city": "Graz", "open": true',
}
"""The words of the sayings that mean values which are not written so."""


def says(value: Any, schemas: list[dict[str, Any]], words: str) -> bool:
    """Whether a quote alone lets a reader find the value."""
    if any("enum" in one for one in schemas) and value in WORDS_OF:
        return bool(re.search(WORDS_OF[value], words, re.IGNORECASE))
    if isinstance(value, bool):
        return bool(re.search(YES_OR_NO, words))
    spelt = folded(str(value)) in folded(words) or bool(value in SPELT and re.search(SPELT[value], words))
    lines = str(value).count("\n")  # of lines that may stand apart in the input
    return spelt or bool(lines and folded(words) in folded(str(value)))


def check_quotes(value: Any, schema: dict[str, Any], listed: list[str], quotes: dict[str, str], heard: str) -> None:
    """Each leaf is listed or quoted and not both, or can be no other; its quote is a short one that gives it."""

    def around(path: str, paths: Iterable[str]) -> list[str]:
        return [one for one in paths if f"{path}.".startswith(f"{one}.")]

    assert set(quotes) <= set(paths_in(value))
    for path, leaf, schemas in leaves(value, schema):
        if any(one.get("type") == "null" or "const" in one or len(one.get("enum", "..")) == 1 for one in schemas):
            continue
        found = around(path, quotes)
        assert len(found) == (not around(path, listed)), path
        for words in (quotes[one] for one in found):
            assert len(words) <= 300
            assert folded(words) in folded(heard)
            assert says(leaf, schemas, words), (path, leaf, words)


# -- the claims


@settings(max_examples=150)
@given(RECORDS, CONVERSATIONS)
def test_a_form_lists_what_the_text_does_not_give_and_quotes_the_rest(
    schema: dict[str, Any], messages: Messages
) -> None:
    value, listed, quotes = in_content(form(schema, messages))
    check(value, schema, listed, heard_in(messages))
    check_quotes(value, schema, listed, quotes, heard_in(messages))


@settings(max_examples=100)
@given(RECORDS, CONVERSATIONS, st.sampled_from(["required", "any", "keep_record", "auto"]), st.booleans())
def test_a_call_lists_what_the_text_does_not_give_and_quotes_the_rest(
    schema: dict[str, Any], messages: Messages, choice: str, alone: bool
) -> None:
    tools = [tool("keep_record", schema), *([] if alone else [tool("send_message", {"type": "object"})])]
    made = in_calls(reply(messages, tools=tools, tool_choice=choice))
    assert made or choice == "auto"
    assert {name for name, *_ in made} <= {"keep_record"} or choice != "keep_record"
    for name, arguments, listed, quotes in made:
        asked = schema if name == "keep_record" else {}
        check(arguments, asked, listed, heard_in(messages))
        check_quotes(arguments, asked, listed, quotes, heard_in(messages))


@settings(max_examples=50)
@given(TEXTS)
def test_free_json_holds_only_what_the_text_gives(text: str) -> None:
    value, listed, quotes = in_content(reply([said(text)], response_format={"type": "json_object"}))
    check(value, {"type": "object"}, listed, text)
    check_quotes(value, {"type": "object"}, listed, quotes, text)


@settings(max_examples=100)
@given(RECORDS, st.sampled_from(["", " \n", "?!", "…"]), st.booleans())
def test_without_a_text_all_is_least_and_listed(schema: dict[str, Any], text: str, forced: bool) -> None:
    tools = [tool("keep_record", schema)]
    found = reply([said(text)], tools=tools, tool_choice="required") if forced else form(schema, [said(text)])
    ((_, value, listed, _),) = in_calls(found) if forced else [("", *in_content(found))]
    for path, leaf, schemas in leaves(value, schema):
        known = any(f"{path}.".startswith(f"{one}.") for one in listed)
        assert known or stands_in(leaf, schemas, "")
        assert leaf in LEAST or any(leaf == one.get("const", (one.get("enum") or [...])[0]) for one in schemas)


LEAST: list[Any] = [None, "", 0, 3, False, [], {}, "1970-01-01", "00:00:00Z", "aa", "unknown@example.invalid"]
NOTHING_OF: Mapping[str, list[dict[str, Any]]] = {
    "The shop is not open, mail ana@example.org": [{"type": "integer"}, {"type": "number"}, DATE],
    "Ana Ruiz, 34, moved to Lima": [DATE, {"type": "string", "format": "email"}, {"type": "string", "format": "time"}],
    "张伟住在成都。": [{"type": "integer"}, DATE, {"type": "string", "format": "email"}],
    "on 5 March 2024": [{"type": "string", "format": "email"}, {"type": "string", "enum": ["red", "green"]}],
}
"""Texts, and kinds of value of which each has none."""


@settings(max_examples=60)
@given(st.sampled_from([*NOTHING_OF]), NAMES, st.data(), st.sampled_from(["form", "required"]))
def test_what_the_text_has_no_value_of_is_least_and_listed(
    text: str, name: str, data: st.DataObject, mode: str
) -> None:
    kind = data.draw(st.sampled_from(NOTHING_OF[text]))
    schema = {"type": "object", "properties": {name: kind}, "required": [name]}
    found = form(schema, [said(text)])
    if mode == "required":
        found = reply([said(text)], tools=[tool("keep_record", schema)], tool_choice=mode)
    ((_, value, listed, _),) = in_calls(found) if mode == "required" else [("", *in_content(found))]
    assert value[name] in (*LEAST, "red")
    assert listed == [name]


@pytest.mark.parametrize("most", [1, 5, 12])
def test_what_was_cut_off_is_not_listed(most: int) -> None:
    schema = {"type": "object", "properties": {"city": S, "note": S}, "required": ["city", "note"]}
    answer = reply([said("…")], tools=[tool("keep_record", schema)], tool_choice="required", max_tokens=most)
    assert (answer.parts, answer.invented, answer.finish_reason) == ([], [], "length")
