from __future__ import annotations

from typing import Any

import pytest

from infrai_core import Accumulator, ChatChunk, ToolCall
from infrai_core.accumulate import FlatReader


def whole(*deltas: dict[str, Any]) -> list[ToolCall]:
    """The tool calls of OpenAI-shaped deltas."""
    reader, total = FlatReader(), Accumulator()
    for delta in deltas:
        total.add(ChatChunk.model_validate({"delta": {"parts": reader.parts(delta)}}))
    return total.reply().tool_calls


def call(index: int | None, id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    given = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}
    return {k: v for k, v in given.items() if v is not None}


def shown(calls: list[ToolCall]) -> list[tuple[str, str, str]]:
    return [(c.id, c.function.name, c.function.arguments) for c in calls]


F, G = ("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')

QUIRKS: dict[str, list[list[dict[str, Any]]]] = {
    "one after the other": [
        [call(0, "a", "f", "")],
        [call(0, None, None, '{"x"')],
        [call(0, None, None, ":1}")],
        [call(1, "b", "g", '{"y":2}')],
    ],
    "interleaved": [
        [call(0, "a", "f", "")],
        [call(1, "b", "g", "")],
        [call(0, None, None, '{"x":1}')],
        [call(1, None, None, '{"y":2}')],
    ],
    "two in one delta": [[call(0, "a", "f", '{"x":1}'), call(1, "b", "g", '{"y":2}')]],
    "two fragments of one call in one delta": [
        [call(0, "a", "f", '{"x"'), call(0, None, None, ":1}")],
        [call(1, "b", "g", '{"y":2}')],
    ],
    "id and name repeated on every fragment": [
        [call(0, "a", "f", '{"x"')],
        [call(0, "a", "f", ":1}")],
        [call(1, "b", "g", '{"y"')],
        [call(1, "b", "g", ":2}")],
    ],
    "the same index for both": [
        [call(0, "a", "f", '{"x":1}')],
        [call(0, "b", "g", '{"y"')],
        [call(0, None, None, ":2}")],
    ],
    "no index": [
        [call(None, "a", "f", "")],
        [call(None, None, None, '{"x":1}')],
        [call(None, "b", "g", '{"y":2}')],
    ],
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_tool_calls_are_told_apart_however_a_service_sends_them(quirk: str) -> None:
    assert shown(whole(*({"tool_calls": calls} for calls in QUIRKS[quirk]))) == [F, G]


def test_calls_without_ids_get_distinct_ones() -> None:
    calls = whole({"tool_calls": [call(0, None, "f", "{}"), call(1, None, "f", "{}")]})
    assert len({c.id for c in calls}) == 2


def test_text_around_a_call_stays_in_order() -> None:
    reader, total = FlatReader(), Accumulator()
    for delta in (
        {"reasoning": "hm"},
        {"content": "I "},
        {"content": "look"},
        {"tool_calls": [call(0, "a", "f", "{}")]},
    ):
        total.add(ChatChunk.model_validate({"delta": {"parts": reader.parts(delta)}}))
    reply = total.reply()
    assert [p.type for p in reply.parts] == ["reasoning", "text", "tool_call"]
    assert (reply.reasoning, reply.content) == ("hm", "I look")


def test_parts_are_joined_by_index_and_keep_what_is_set_once() -> None:
    total = Accumulator()
    fragments = [
        {"index": 1, "type": "text", "text": "b", "annotations": [{"type": "citation", "source": 1}]},
        {"index": 0, "type": "reasoning", "text": "So"},
        {"index": 1, "type": "text", "text": "c", "annotations": [{"type": "citation", "source": 2}]},
        {"index": 0, "type": "reasoning", "opaque": "sig", "vendor": "v", "done": True},
        {"index": 2, "type": "hologram", "beam": 7},
    ]
    for fragment in fragments:
        total.add(ChatChunk.model_validate({"delta": {"parts": [fragment]}}))
    first, second, third = (part.model_dump(exclude_none=True) for part in total.reply().parts)
    assert first == {"type": "reasoning", "text": "So", "opaque": "sig", "vendor": "v"}
    assert second["text"] == "bc"
    assert [note["source"] for note in second["annotations"]] == [1, 2]
    assert third == {"type": "hologram", "beam": 7}


THOUGHT = {"type": "reasoning", "text": "hm", "opaque": "sig", "vendor": "v", "model": "m"}
SAID = {"type": "text", "text": "look"}
PICTURE = {"type": "image", "base64": "iVBO", "mime": "image/png"}


def completed(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    reader = FlatReader()
    for delta in ({"reasoning": "h"}, {"reasoning": "m"}, {"content": "look"}):
        reader.parts(delta)
    return reader.completed(parts)


def test_whole_parts_complete_what_flat_deltas_said() -> None:
    signed = {"index": 0, "type": "reasoning", "opaque": "sig", "vendor": "v", "model": "m"}
    assert completed(THOUGHT, SAID) == [signed]
    assert completed(THOUGHT, SAID, PICTURE) == [signed, {**PICTURE, "index": 2, "done": True}]
    assert completed({**THOUGHT, "opaque": None}, SAID) == []


def test_a_thought_without_words_is_a_part_of_its_own() -> None:
    hidden = {"type": "reasoning", "text": "", "opaque": "hidden"}
    assert completed(THOUGHT, hidden, SAID)[1] == {**hidden, "index": 2, "done": True}


def test_a_signature_that_may_belong_elsewhere_is_left_out() -> None:
    assert completed(THOUGHT, {**THOUGHT, "opaque": "other"}, SAID) == []


def test_citations_that_come_after_their_text_are_of_it() -> None:
    page = {"type": "url_citation", "url_citation": {"url": "https://example.com", "start_index": 0, "end_index": 5}}
    document = {"type": "citation", "source": "doc"}
    reader, total = FlatReader(), Accumulator()
    for delta in ({"content": "Paris"}, {"annotations": [page]}):
        total.add(ChatChunk.model_validate({"delta": {"parts": reader.parts(delta)}}))
    last = reader.completed(
        [{"type": "text", "text": "Paris", "annotations": [{"url": "https://example.com"}, document]}]
    )
    total.add(ChatChunk.model_validate({"delta": {"parts": last}}))
    assert total.part(0) == {"type": "text", "text": "Paris", "annotations": [page, document]}
