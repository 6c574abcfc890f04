from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.chat import Answer, reply

S: dict[str, Any] = {"type": "string"}
I: dict[str, Any] = {"type": "integer"}  # noqa: E741 - the short names keep the schemas of this file readable
N: dict[str, Any] = {"type": "number"}
B: dict[str, Any] = {"type": "boolean"}


def obj(optional: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def many(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def ask(schema: dict[str, Any], text: str) -> Answer:
    return reply(
        [{"role": "user", "parts": [{"type": "text", "text": text}]}],
        response_format={"type": "json_schema", "json_schema": {"name": "form", "schema": schema}},
    )


def filled(schema: dict[str, Any], text: str) -> Any:
    answer = ask(schema, text)
    value = json.loads(answer.parts[0]["text"])
    jsonschema.validate(value, schema)
    return value


SUPPORTED: list[tuple[dict[str, Any], str, Any]] = [
    (
        obj(name=S, age=I, city=S),
        "Nadia Petrov, 41, lives in Minsk.",
        {"name": "Nadia Petrov", "age": 41, "city": "Minsk"},
    ),
    (
        obj(product=S, price=N, in_stock=B),
        "The Garmin Fenix costs $649.99 and is not in stock.",
        {"product": "Garmin Fenix", "price": 649.99, "in_stock": False},
    ),
    (
        obj(vendor=S, total=N, currency=S, due_date={"type": "string", "format": "date"}),
        "Invoice from Acme Corp. Total: 1,250.50 EUR, due date: March 15, 2025.",
        {"vendor": "Acme Corp", "total": 1250.5, "currency": "EUR", "due_date": "2025-03-15"},
    ),
    (
        obj(people=many(obj(name=S, age=I))),
        "Alice is 30, Bob is 25 and Carol is 41.",
        {"people": [{"name": "Alice", "age": 30}, {"name": "Bob", "age": 25}, {"name": "Carol", "age": 41}]},
    ),
    (
        many(obj(item=S, qty=I)),
        "- 3 apples\n- 2 loaves of bread\n- 1 jar of honey",
        [{"item": "apples", "qty": 3}, {"item": "loaves of bread", "qty": 2}, {"item": "jar of honey", "qty": 1}],
    ),
    (
        obj(name=S, address=obj(street=S, city=S, zip=S)),
        "Jon Reyes lives at 12 Oak Street, Denver, 80203.",
        {"name": "Jon Reyes", "address": {"street": "12 Oak Street", "city": "Denver", "zip": "80203"}},
    ),
    (
        obj(tags=many(S), published=B, author=S),
        "title: Winter gardens\nauthor: P. Lund\ntags: plants, snow, design\npublished: yes",
        {"tags": ["plants", "snow", "design"], "published": True, "author": "P. Lund"},
    ),
    (
        obj(name=S, height_cm=N, weight_kg=N),
        "Marek is 1.82 m tall and weighs 76 kg.",
        {"name": "Marek", "height_cm": 182, "weight_kg": 76},
    ),
    (
        obj(sentiment={"enum": ["positive", "neutral", "negative"]}),
        "The soup was cold and the waiter was rude.",
        {"sentiment": "negative"},
    ),
    (obj(姓名=S, 年龄=I, 城市=S), "李雷今年30岁，住在成都。", {"姓名": "李雷", "年龄": 30, "城市": "成都"}),
    (
        {**obj(parts=many({"$ref": "#/$defs/P"})), "$defs": {"P": obj(name=S, price=N)}},
        "- Rope, 12.00 EUR\n- Hook, 3.50 EUR",
        {"parts": [{"name": "Rope", "price": 12}, {"name": "Hook", "price": 3.5}]},
    ),
    (
        obj(origin=S, destination=S, passengers=I),
        "I need two tickets from Vienna to Prague.",
        {"origin": "Vienna", "destination": "Prague", "passengers": 2},
    ),
    (obj(kind={"const": "note"}, when={"anyOf": [S, {"type": "null"}]}), "hello", {"kind": "note", "when": None}),
]


@pytest.mark.parametrize(("schema", "text", "value"), SUPPORTED)
def test_a_form_is_filled_with_what_the_text_says(schema: dict[str, Any], text: str, value: Any) -> None:
    assert filled(schema, text) == value


def test_what_is_called_something_in_quotes_has_that_name() -> None:
    made = filled(obj(customer_name=S), "Add a customer named '东方贸易' (Eastern Trade), a shop.")
    assert made == {"customer_name": "东方贸易"}


def test_supported_values_are_not_called_invented() -> None:
    answer = ask(obj(name=S, age=I), "Nadia Petrov is 41 years old.")
    assert (answer.invented, answer.grounded) == ([], True)


def test_a_required_value_without_support_is_minimal_and_named() -> None:
    answer = ask(obj(name=S, age=I), "Erik repairs violins.")
    assert json.loads(answer.parts[0]["text"]) == {"name": "Erik", "age": 0}
    assert answer.invented == ["content.age"]
    assert answer.grounded is False


@pytest.mark.parametrize(
    ("text", "invented"),
    [("Issued: 03/09/2025", ["content.issued"]), ("Issued: 23/09/2025", []), ("Issued: 2025-09-03", [])],
)
def test_a_date_that_may_be_read_either_way_is_named(text: str, invented: list[str]) -> None:
    assert ask(obj(issued={**S, "format": "date"}), text).invented == invented


def test_a_required_value_without_support_is_null_where_null_is_allowed() -> None:
    answer = ask(obj(name=S, age={"type": ["integer", "null"]}), "Erik repairs violins.")
    assert json.loads(answer.parts[0]["text"]) == {"name": "Erik", "age": None}
    assert answer.invented == ["content.age"]


def test_an_optional_value_without_support_is_left_out() -> None:
    assert filled(obj(("age", "email"), name=S, age=I, email=S), "Erik repairs violins.") == {"name": "Erik"}


def test_an_option_that_nothing_supports_is_named_as_invented() -> None:
    answer = ask(obj(mood={"type": "string", "enum": ["positive", "negative"]}), "The meeting is in room four.")
    assert answer.invented == ["content.mood"]


def test_an_invented_value_inside_a_list_is_named_with_its_index() -> None:
    answer = ask(obj(people=many(obj(name=S, city=S, age=I))), "Ann, 30, lives in Oslo. Ben lives in Rome.")
    value = json.loads(answer.parts[0]["text"])
    assert value["people"][0] == {"name": "Ann", "city": "Oslo", "age": 30}
    assert answer.invented == ["content.people.1.age"]


def test_json_object_without_a_schema_gives_the_labelled_facts() -> None:
    answer = reply(
        [{"role": "user", "parts": [{"type": "text", "text": "host: db1\nport: 5432"}]}],
        response_format={"type": "json_object"},
    )
    assert json.loads(answer.parts[0]["text"]) == {"host": "db1", "port": "5432"}


NAMED_KEYS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("Answer in JSON with the keys name and age. Ada is 36 years old.", {"name": "Ada", "age": 36}, []),
    (
        "Return JSON with 'title' and 'year' fields: Alien came out in 1979.",
        {"title": "Alien", "year": 1979},
        ["content.title"],
    ),
    (
        'Extract it as JSON {"city": "...", "population": 0}. Oslo has 709037 people.',
        {"city": "Oslo", "population": 709037},
        ["content.city"],
    ),
    ('Give me a poem as JSON with a "verse" key.', {"verse": ""}, ["content.verse"]),
]


@pytest.mark.parametrize(("text", "value", "invented"), NAMED_KEYS)
def test_free_json_has_the_keys_that_the_prompt_names(text: str, value: dict[str, Any], invented: list[str]) -> None:
    message = {"role": "user", "parts": [{"type": "text", "text": text}]}
    answer = reply([message], response_format={"type": "json_object"})
    assert json.loads(answer.parts[0]["text"]) == value
    assert answer.invented == invented


TOWN = obj(name=S, people=I)
TOLD = "Please read: name: Oslo, people: 709037."
SHOWN = [
    f"{TOLD}\n\nHere's a JSON schema to follow:\n{json.dumps(TOWN)}\n\nOutput a valid JSON object, not the schema.\n",
    # As it comes through a template that its author made it fit for.
    f"{TOLD}\n\nUse this schema:\n{json.dumps(TOWN).replace('{', '{{').replace('}', '}}')}\n\nReturn JSON alone.",
    f"{TOLD}\nThe output should be formatted as JSON that conforms to the schema below.\n\nAs an example, for the "
    f"schema {json.dumps(obj(foo=many(S)))}\nthe object {json.dumps({'foo': ['bar']})} fits the schema.\n\n"
    f"Here is the output schema:\n```\n{json.dumps(TOWN)}\n```",
]


@pytest.mark.parametrize("text", SHOWN, ids=["in a line", "with doubled braces", "after an example"])
@pytest.mark.parametrize("response_format", [None, {"type": "json_object"}], ids=["text", "json_object"])
def test_a_schema_that_the_prompt_shows_is_filled(text: str, response_format: dict[str, Any] | None) -> None:
    message = {"role": "user", "parts": [{"type": "text", "text": text}]}
    answer = reply([message], response_format=response_format)
    assert json.loads(answer.parts[0]["text"]) == {"name": "Oslo", "people": 709037}
    assert answer.invented == []


def test_instructions_may_show_the_schema() -> None:
    shown = f"Return JSON of this schema: {json.dumps(TOWN)}"
    messages = [
        {"role": role, "parts": [{"type": "text", "text": text}]} for role, text in (("system", shown), ("user", TOLD))
    ]
    assert json.loads(reply(messages).parts[0]["text"]) == {"name": "Oslo", "people": 709037}


def test_a_schema_that_is_only_spoken_of_is_not_filled() -> None:
    text = f"How many fields has this JSON schema? {json.dumps(TOWN)}"
    answer = reply([{"role": "user", "parts": [{"type": "text", "text": text}]}])
    assert not answer.parts[0]["text"].startswith("{")


def test_a_recursive_list_is_filled_without_end() -> None:
    node = {"$ref": "#/$defs/node"}
    schema = {"$defs": {"node": obj(label=S, children=many(node))}, **node}
    assert set(filled(schema, "label: root")) == {"label", "children"}


@pytest.mark.parametrize("links", [("next",), ("left", "right")])
def test_nodes_that_lead_to_their_own_kind_or_to_null_end_with_null(links: tuple[str, ...]) -> None:
    """https://platform.openai.com/docs/guides/structured-outputs#recursive-schemas-are-supported"""
    link = {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}
    node = obj(label=S, **dict.fromkeys(links, link))
    schema = {"$defs": {"node": node}, **obj(first={"$ref": "#/$defs/node"})}
    assert filled(schema, "label: root") == {"first": {"label": "root", **dict.fromkeys(links)}}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = S
    for _ in range(levels):
        schema = obj(inner=schema)
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a": obj(next={"$ref": "#/$defs/a"})}, "$ref": "#/$defs/a"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$ref": "#/$defs/missing"},
        {"type": "object", "properties": None},
        {"type": "object", "properties": {"a": 5}},
        {"type": "object", "required": [{}]},
        {"type": "string", "minLength": "two"},
        {"$ref": "https://example.com/schema.json"},
        deep(60),
        obj(code={"type": "string", "pattern": "^[A-Z]{9}-[0-9]{7}$"}),
        obj(n={"type": "integer", "minimum": 5, "maximum": 4}),
        obj(items={"type": "array", "items": S, "minItems": 10_000}),
        {
            "$defs": {f"d{i}": obj(a={"$ref": f"#/$defs/d{i + 1}"}, b={"$ref": f"#/$defs/d{i + 1}"}) for i in range(20)}
            | {"d20": S},
            "$ref": "#/$defs/d0",
        },
    ],
)
def test_a_schema_that_cannot_be_filled_is_refused_by_name(schema: dict[str, Any]) -> None:
    with pytest.raises(Failure) as caught:
        ask(schema, "nothing of use")
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "response_format")


def test_an_unknown_response_format_names_the_allowed_ones() -> None:
    with pytest.raises(Failure, match="json_schema") as caught:
        reply([], response_format={"type": "xml"})
    assert caught.value.param == "response_format"


SCALARS = st.one_of(
    st.just(S),
    st.just(B),
    st.just({"type": "null"}),
    st.builds(
        lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size},
        st.integers(-50, 50),
        st.integers(0, 9),
    ),
    st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, st.integers(-5, 5)),
    st.builds(lambda low: {"type": "string", "minLength": low, "maxLength": low + 4}, st.integers(0, 12)),
    st.sampled_from(["date", "time", "date-time", "email", "uri", "uuid"]).map(
        lambda name: {"type": "string", "format": name}
    ),
    st.lists(st.sampled_from(["red", "Oslo", 3, 2.5, True, None]), min_size=1, max_size=3).map(
        lambda options: {"enum": options}
    ),
    st.sampled_from([{"const": 5}, {"type": ["string", "null"]}, {"type": "integer", "multipleOf": 7, "minimum": 3}]),
)
NAMES = st.sampled_from(
    ["name", "age", "city", "date", "email", "items", "total", "is_open", "tags", "from", "to", "note"]
)


def objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(NAMES, inner, max_size=4).flatmap(
        lambda properties: st.lists(st.sampled_from([*properties, "extra"]), unique=True).map(
            lambda required: {"type": "object", "properties": properties, "required": required}
        )
    )


SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        objects(inner),
        st.builds(lambda item, low: {"type": "array", "items": item, "minItems": low}, inner, st.integers(0, 2)),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
    ),
    max_leaves=8,
)
TEXTS = st.lists(
    st.sampled_from(
        [
            "Ana Ruiz, 34, moved to Lima in 2019.",
            "total: 12.50",
            "mail ana@example.org",
            "red, green and blue",
            "on 2024-05-06",
            "- 3 apples\n",
            "张伟今年28岁。",
            "is it open? no",
            '\x00{"a": [1',
        ]
    ),
    max_size=5,
).map(" ".join)


@settings(max_examples=150)
@given(SCHEMAS, TEXTS)
def test_whatever_is_asked_the_answer_validates(schema: dict[str, Any], text: str) -> None:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    value = json.loads(ask(schema, text).parts[0]["text"])
    jsonschema.validate(value, schema, format_checker=checker)


def test_free_keys_are_filled_from_labelled_values() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "number"}}
    assert filled(schema, "rent: 900\nfood: 310.5\nnote: paid late") == {"rent": 900, "food": 310.5}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("Amount: 1,250.50 EUR", 1250.5),
        ("Amount: 1.250,50 EUR", 1250.5),
        ("Amount: 19,90 EUR, paid", 19.9),
        ("Amount: €19,90", 19.9),
        ("Amount: 12 400 kg", 12400),
        ("Amount: 12\u202f400", 12400),
        ("Amount: 12 400 metres away", 12),
        ("金额：16块8，现金", 16.8),
        ("金额：5元5角", 5.5),
        ("金额：6块3个", 6),
    ],
)
def test_amounts_are_read_as_they_are_written_in_many_places(text: str, amount: float) -> None:
    name = "金额" if "金额" in text else "amount"
    assert filled(obj(**{name: N}), text) == {name: amount}


def test_the_value_of_a_label_ends_with_its_sentence() -> None:
    text = "Log. Owner: Petra. 09:15 restarted the queue."
    assert filled(obj(owner=S), text) == {"owner": "Petra"}
