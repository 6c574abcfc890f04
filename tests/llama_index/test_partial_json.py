from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_infrai._partial_json import PartialObject, partial, whole

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    value=st.dictionaries(st.text(), _VALUES, max_size=5),
    step=st.integers(1, 7),
    ascii_only=st.booleans(),
    indent=st.none() | st.just(1),
)
def test_any_object_read_in_pieces_is_the_object_in_the_end(
    value: dict[str, Any], step: int, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    reader = PartialObject()
    for at in range(0, len(text), step):
        reader.feed(text[at : at + step])
        assert isinstance(reader.value(), dict)
    assert reader.value() == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("{", {}),
        ('{"ci', {}),
        ('{"city"', {}),
        ('{"city": ', {}),
        ('{"city": "Par', {"city": "Par"}),
        ('{"city": "Paris", "n": 1', {"city": "Paris"}),
        ('{"city": "Paris", "n": 12,', {"city": "Paris", "n": 12}),
        ('{"a": [1, {"b": "x', {"a": [1, {"b": "x"}]}),
        ('{"a": ["x", "y', {"a": ["x", "y"]}),
        ('{"a": "\\u00e', {"a": ""}),
        ('{"a": "\\ud83d\\ude00', {"a": "😀"}),
        ('{"a": tru', {}),
        ("[1, 2", {}),
        ("nonsense", {}),
    ],
)
def test_an_unfinished_object_gives_what_stands_fast(text: str, expected: dict[str, Any]) -> None:
    assert partial(text) == expected


def test_text_after_something_that_is_no_json_changes_nothing() -> None:
    reader = PartialObject()
    reader.feed('{"a": 1, "b": oops, "c": 2}')
    assert reader.value() == {"a": 1}
    reader.feed('{"d": 3}')
    assert reader.value() == {"a": 1}


def test_an_earlier_result_does_not_change_when_more_is_read() -> None:
    reader = PartialObject()
    reader.feed('{"a": [1, {"b": "x')
    before = reader.value()
    reader.feed('yz"}, 2], "c": 3}')
    assert before == {"a": [1, {"b": "x"}]}
    assert reader.value() == {"a": [1, {"b": "xyz"}, 2], "c": 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", {}), ("  ", {}), ("{}", {}), ('{"a": 1}', {"a": 1}), ('{"a": "x\ny"}', {"a": "x\ny"})],
)
def test_a_finished_text_is_the_object_it_means(text: str, expected: dict[str, Any]) -> None:
    assert whole(text) == expected


@pytest.mark.parametrize("text", ["[1]", '"x"', "3", '{"a": 1', '{"a": 1}}', "oops"])
def test_what_is_no_object_is_not_taken_for_one(text: str) -> None:
    assert whole(text) is None


LONG: dict[str, Any] = {
    "list": {"rows": list(range(5000))},
    "objects": {"rows": [{"n": n, "words": ["a", "b"]} for n in range(2000)]},
    "keys": {f"key {n}": n for n in range(5000)},
}


@pytest.mark.parametrize("shape", LONG)
def test_a_long_container_is_not_copied_for_every_piece(shape: str) -> None:
    text = json.dumps(LONG[shape])
    reader, seen = PartialObject(), []
    for at in range(0, len(text) - 2, 5):
        reader.feed(text[at : at + 5])
        value = reader.value()
        seen.append(value.get("rows", value))
    copies = {id(value): len(value) for value in seen}  # all are kept, so that ids are not used again
    assert sum(copies.values()) < 40 * len(seen[-1]) + 256 * 2500
    reader.feed(text[len(text) - 2 :])
    assert reader.value() == LONG[shape]


def test_a_long_container_lags_by_a_sixteenth_at_most() -> None:
    text = json.dumps({"rows": list(range(5000))})
    reader = PartialObject()
    for at in range(0, len(text), 500):
        reader.feed(text[at : at + 500])
        shown = reader.value().get("rows", [])
        assert shown == list(range(len(shown)))
        assert len(shown) * 17 >= len(partial(text[: at + 500]).get("rows", [])) * 16
    assert len(shown) == 5000


def test_a_long_text_lags_by_a_256th_at_most() -> None:
    written = "word\n" * 10_000
    text = json.dumps({"text": written})
    reader, copied = PartialObject(), set()
    for at in range(0, len(text), 6):
        reader.feed(text[at : at + 6])
        shown = reader.value().get("text", "")
        copied.add(len(shown))
        assert written.startswith(shown)
        came = at + 6 - len('{"text": "')
        assert len(shown) >= came * 5 / 6 - max(came - 16_384, 0) / 256 - 12
    assert shown == written
    assert len(copied) < 7000
