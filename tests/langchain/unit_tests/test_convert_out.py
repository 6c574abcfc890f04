"""Replies -> LangChain messages, whole and streamed: both ways must give the same message."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, message_chunk_to_message
from langchain_core.messages.content import KNOWN_BLOCK_TYPES
from langchain_core.outputs import ChatGenerationChunk

from infrai_core import Accumulator, Attempt, ChatChunk, ChatReply, Metadata, Usage
from langchain_infrai._convert import message_of, wire_messages
from langchain_infrai._served import metadata_of, usage_of
from langchain_infrai._stream import StreamedMessage

TEXT = {"type": "text", "text": "Hello"}
CITED = {
    "type": "text",
    "text": "world",
    "annotations": [{"type": "citation", "start": 0, "end": 5, "source": "doc 1", "quote": "world", "page": 3}],
}
CITATION = {
    "type": "citation",
    "start_index": 0,
    "end_index": 5,
    "title": "doc 1",
    "cited_text": "world",
    "extras": {"page": 3},
}
REASONING = {"type": "reasoning", "text": "So.", "opaque": {"sig": "x"}, "vendor": "anthropic", "model": "m"}
CALL = {"type": "tool_call", "id": "call_1", "name": "f", "arguments": '{"a": 1}'}
CALL_2 = {"type": "tool_call", "id": "call_2", "name": "g", "arguments": "{}"}
BROKEN = {"type": "tool_call", "id": "call_3", "name": "f", "arguments": "[1]"}
IMAGE = {"type": "image", "base64": "AAAA", "mime": "image/png", "filename": "a.png"}
AUDIO = {"type": "audio", "url": "https://a/b.mp3", "mime": "audio/mpeg", "transcript": "hello"}
FILE = {"type": "file", "url": "https://a/b.pdf", "mime": "application/pdf", "filename": "b.pdf"}
SIGNED = {"opaque": "c2ln", "vendor": "gemini", "model": "m"}
REFUSAL = {"type": "refusal", "text": "No."}
SEARCH = {"type": "server_tool_call", "id": "s1", "name": "web_search", "vendor": "v", "arguments": '{"q": "x"}'}
FOUND = {"type": "server_tool_result", "id": "s1", "name": "web_search", "vendor": "v", "output": ["a"]}

REPLIES: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "text": [TEXT],
    "cited text": [CITED],
    "two texts": [TEXT, CITED],
    "text and call": [TEXT, CALL],
    "two calls": [CALL, CALL_2],
    "a broken call": [TEXT, BROKEN],
    "reasoning": [REASONING, TEXT],
    "interleaved": [REASONING, CALL, REASONING, CALL_2],
    "a call before reasoning": [CALL, REASONING, TEXT],
    "a text and a call before reasoning": [TEXT, CALL, CALL_2, REASONING, CITED],
    "a signed call before reasoning": [{**CALL, **SIGNED}, REASONING],
    "a broken call before reasoning": [BROKEN, REASONING],
    "a call before text": [CALL, TEXT],
    "a call between texts": [TEXT, CALL, CITED, CALL_2],
    "reasoning and cited text": [REASONING, TEXT, CITED, BROKEN],
    "image after text": [TEXT, IMAGE, CITED],
    "media": [IMAGE, AUDIO, FILE],
    "refusal": [REFUSAL],
    "server tools": [TEXT, SEARCH, FOUND, CITED],
    "a signed call": [TEXT, {**CALL, **SIGNED}, CALL_2],
    "a signed text": [{**TEXT, **SIGNED}],
    "a signed picture": [{**IMAGE, **SIGNED}, TEXT],
}
GROWING = {"text": "text", "reasoning": "text", "refusal": "text", "tool_call": "arguments"}


def reply_of(parts: list[dict[str, Any]], **fields: Any) -> ChatReply:
    return ChatReply.model_validate({"parts": parts, **fields})


def fragments_of(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every part in pieces of two characters; what does not grow comes last, as vendors send it."""
    found: list[dict[str, Any]] = []
    for index, part in enumerate(parts):
        grows = GROWING.get(part["type"])
        rest = {name: value for name, value in part.items() if name != grows}
        first = {n: rest.pop(n) for n in ("id", "name") if part["type"] == "tool_call"}
        base = {"index": index, "type": part["type"]}
        if grows:
            text = part[grows]
            pieces = [{**base, grows: text[i : i + 2]} for i in range(0, len(text), 2)]
            found += [{**pieces[0], **first}, *pieces[1:]]
        found.append({**base, **rest, "done": True})
    return found


def streamed(parts: list[dict[str, Any]], *, as_blocks: bool = False, **fields: Any) -> list[AIMessageChunk]:
    reader = StreamedMessage(as_blocks)
    chunks = [ChatChunk.model_validate({"delta": {"parts": [f]}}) for f in fragments_of(parts)]
    pieces = [piece for chunk in chunks if (piece := reader.read(chunk)) is not None]
    return messages_of([*pieces, *reader.end(reply_of(parts, **fields))])


def messages_of(pieces: list[ChatGenerationChunk]) -> list[AIMessageChunk]:
    return [piece.message for piece in pieces if isinstance(piece.message, AIMessageChunk)]


def added(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    return reduce(lambda left, right: left + right, chunks)


def without_index(blocks: Any) -> list[dict[str, Any]]:
    return [{name: value for name, value in block.items() if name != "index"} for block in blocks]


# -- content -------------------------------------------------------------------------------------------------------


def test_text_is_a_string_and_its_citations_stand_beside_it() -> None:
    message = message_of(reply_of([CITED]))
    assert message.content == "world"
    assert message.content_blocks == [{"type": "text", "text": "world", "annotations": [CITATION]}]


def test_citations_count_from_the_start_of_the_joined_text() -> None:
    message = message_of(reply_of([TEXT, CITED]))
    [note] = message.additional_kwargs["annotations"]
    assert message.content == "Helloworld"
    assert message.text[note["start_index"] : note["end_index"]] == "world"


def test_a_citation_of_an_openai_shaped_service_is_a_citation() -> None:
    found = {"url": "https://a", "title": "A", "start_index": 1, "end_index": 3}
    note = {"type": "url_citation", "url_citation": found}
    [block] = message_of(reply_of([{**TEXT, "annotations": [note]}])).content_blocks
    assert block.get("annotations") == [{"type": "citation", **found}]


def test_a_note_that_is_no_citation_is_kept() -> None:
    note = {"type": "mood", "value": "good"}
    [block] = message_of(reply_of([{**TEXT, "annotations": [note]}])).content_blocks
    assert block.get("annotations") == [{"type": "non_standard_annotation", "value": note}]


def test_tool_calls_are_parsed_and_broken_ones_are_kept_as_text() -> None:
    message = message_of(reply_of([CALL, BROKEN, {**BROKEN, "id": "call_4", "arguments": '{"a": '}]))
    assert message.tool_calls == [{"type": "tool_call", "id": "call_1", "name": "f", "args": {"a": 1}}]
    assert [(call["id"], call["args"]) for call in message.invalid_tool_calls] == [
        ("call_3", "[1]"),
        ("call_4", '{"a": '),
    ]
    assert all(call["error"] for call in message.invalid_tool_calls)


def test_reasoning_media_and_calls_keep_their_order_in_the_content() -> None:
    message = message_of(reply_of([REASONING, CALL, IMAGE, TEXT]))
    assert isinstance(message.content, list)
    assert [block["type"] for block in message.content_blocks] == ["reasoning", "tool_call", "image", "text"]
    assert message.tool_calls[0]["name"] == "f"
    assert message.text == "Hello"


def test_reasoning_has_its_signature_in_extras() -> None:
    [block] = message_of(reply_of([REASONING])).content_blocks
    extras = {"opaque": {"sig": "x"}, "vendor": "anthropic", "model": "m"}
    assert block == {"type": "reasoning", "reasoning": "So.", "extras": extras}


def test_a_refusal_is_a_block_that_this_version_of_langchain_knows() -> None:
    [block] = message_of(reply_of([REFUSAL])).content_blocks
    refusal = {"type": "refusal", "refusal": "No."}
    assert block == (refusal if "refusal" in KNOWN_BLOCK_TYPES else {"type": "non_standard", "value": refusal})


def test_a_part_of_a_newer_service_is_kept_as_it_came() -> None:
    [block] = message_of(reply_of([{"type": "hologram", "depth": 3}])).content_blocks
    assert block == {"type": "non_standard", "value": {"type": "hologram", "depth": 3}}


@pytest.mark.parametrize("parts", REPLIES.values(), ids=REPLIES)
def test_a_reply_goes_back_to_the_service_with_nothing_lost(parts: list[dict[str, Any]]) -> None:
    [message] = wire_messages([message_of(reply_of(parts))])
    flat = [p for p in parts if p["type"] == "text"] == parts and len(parts) > 1
    note = {"type": "citation", "start": 5, "end": 10, "source": "doc 1", "quote": "world", "page": 3}
    expected = [{"type": "text", "text": "Helloworld", "annotations": [note]}]
    assert message["parts"] == (expected if flat else parts or [{"type": "text", "text": ""}])


# -- streams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_blocks", [False, True])
@pytest.mark.parametrize("parts", REPLIES.values(), ids=REPLIES)
def test_a_stream_adds_up_to_the_whole_reply(parts: list[dict[str, Any]], as_blocks: bool) -> None:
    whole = message_of(reply_of(parts))
    total = added(streamed(parts, as_blocks=as_blocks))
    calls = [(call["name"], call["args"], call["id"]) for call in whole.tool_calls]
    assert [(call["name"], call["args"], call["id"]) for call in total.tool_calls] == calls
    assert [c["args"] for c in total.invalid_tool_calls] == [c["args"] for c in whole.invalid_tool_calls]
    assert total.text == whole.text
    blocks = without_index(total.content_blocks)
    if as_blocks and {part["type"] for part in parts} == {"text"} and len(parts) > 1:
        assert [block["text"] for block in blocks] == ["Hello", "world"]  # as blocks, two texts stay two
    else:
        assert _comparable(blocks) == _comparable(without_index(whole.content_blocks))


def _comparable(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the words of an error, which LangChain does not keep for streamed calls."""
    return [{name: value for name, value in block.items() if name != "error"} for block in blocks]


@pytest.mark.parametrize("parts", REPLIES.values(), ids=REPLIES)
def test_a_streamed_message_goes_back_to_the_service_like_a_whole_one(parts: list[dict[str, Any]]) -> None:
    total = added(streamed(parts))
    whole = wire_messages([message_of(reply_of(parts))])
    assert wire_messages([total]) == whole
    assert wire_messages([message_chunk_to_message(total)]) == whole


def test_pieces_of_two_calls_that_come_mixed_are_kept_apart() -> None:
    reader = StreamedMessage()
    fragments = [
        {"index": 0, "type": "tool_call", "id": "call_1", "name": "f", "arguments": '{"a"'},
        {"index": 1, "type": "tool_call", "id": "call_2", "name": "g", "arguments": "{"},
        {"index": 0, "type": "tool_call", "id": "call_1", "name": "f", "arguments": ": 1}"},
        {"index": 1, "type": "tool_call", "arguments": "}"},
    ]
    one = reader.read(ChatChunk.model_validate({"delta": {"parts": fragments[:2]}}))
    two = reader.read(ChatChunk.model_validate({"delta": {"parts": fragments[2:]}}))
    assert one is not None
    assert two is not None
    total = added(messages_of([one, two, *reader.end(ChatReply())]))
    assert [(call["id"], call["name"], call["args"]) for call in total.tool_calls] == [
        ("call_1", "f", {"a": 1}),
        ("call_2", "g", {}),
    ]


def test_a_signature_that_is_repeated_is_not_joined() -> None:
    reader = StreamedMessage()
    parts = [
        {"index": 0, "type": "reasoning", "text": "a", "vendor": "v", "opaque": "s"},
        {"index": 0, "type": "reasoning", "text": "b", "vendor": "v", "opaque": "s", "done": True},
    ]
    chunks = [reader.read(ChatChunk.model_validate({"delta": {"parts": [part]}})) for part in parts]
    total = added(messages_of([*(chunk for chunk in chunks if chunk), *reader.end(ChatReply())]))
    expected = {"type": "reasoning", "reasoning": "ab", "extras": {"vendor": "v", "opaque": "s"}}
    assert without_index(total.content_blocks) == [expected]


def added_up(*chunks: list[dict[str, Any]], as_blocks: bool = False) -> AIMessageChunk:
    """The message of a stream whose chunks have these fragments."""
    reader, whole = StreamedMessage(as_blocks), Accumulator()
    pieces = []
    for fragments in chunks:
        chunk = ChatChunk.model_validate({"delta": {"parts": fragments}})
        whole.add(chunk)
        pieces.append(reader.read(chunk))
    return added(messages_of([*(piece for piece in pieces if piece is not None), *reader.end(whole.reply())]))


@pytest.mark.parametrize("as_blocks", [False, True])
@pytest.mark.parametrize(
    "arguments", ['{"a": 1, "b": "par', '{"a": [1', '{"a": {"b": 1}', '{"a": "x\\', "{}x", '{"a": no', "[1", "1"]
)
def test_a_call_that_was_cut_off_is_never_run_with_half_its_arguments(arguments: str, as_blocks: bool) -> None:
    first = {"index": 0, "type": "tool_call", "id": "call_1", "name": "f", "arguments": arguments[:1]}
    rest = {"index": 0, "type": "tool_call", "arguments": arguments[1:]}
    total = message_chunk_to_message(added_up([first], [rest], as_blocks=as_blocks))
    assert isinstance(total, AIMessage)
    assert total.tool_calls == []
    [call] = total.invalid_tool_calls
    assert (call["id"], call["name"]) == ("call_1", "f")
    assert str(call["args"]).startswith(arguments)


def test_arguments_of_any_depth_are_no_exception() -> None:
    deep = '{"a": ' * 50_000
    call = {**CALL, "arguments": deep}
    for message in (message_of(reply_of([call])), added_up([{**call, "index": 0}])):
        assert (message.tool_calls, len(message.invalid_tool_calls)) == ([], 1)


def test_a_line_break_inside_an_argument_is_read_whole_and_streamed() -> None:
    call = {**CALL, "arguments": '{"a": "x\ny"}'}
    for message in (message_of(reply_of([call])), added_up([{**call, "index": 0}])):
        assert [call["args"] for call in message.tool_calls] == [{"a": "x\ny"}]


def test_a_call_that_goes_on_beside_a_block_is_one_call() -> None:
    first = {"index": 0, "type": "tool_call", "id": "call_1", "name": "f", "arguments": '{"a"'}
    rest = {"index": 0, "type": "tool_call", "arguments": ": 1}", "opaque": "s", "vendor": "v"}
    total = added_up([first], [rest, {**IMAGE, "index": 1}])
    call, image = without_index(total.content_blocks)
    assert (call["id"], call["args"], call["extras"]) == ("call_1", {"a": 1}, {"opaque": "s", "vendor": "v"})
    assert image["type"] == "image"
    assert [part["type"] for part in wire_messages([total])[0]["parts"]] == ["tool_call", "image"]


def test_text_that_ends_where_a_block_begins_is_one_text() -> None:
    end = {"index": 0, "type": "text", "text": "lo", "opaque": "s", "vendor": "v"}
    total = added_up([{"index": 0, "type": "text", "text": "Hel"}], [end, {**IMAGE, "index": 1}])
    text, image = total.content_blocks
    assert text == {"type": "text", "text": "Hello", "extras": {"opaque": "s", "vendor": "v"}}
    assert image["type"] == "image"


def test_plain_text_streams_as_strings() -> None:
    assert [chunk.content for chunk in streamed([TEXT])] == ["He", "ll", "o", ""]


@pytest.mark.parametrize("id_", [None, "answer-1"])
def test_a_piece_of_text_is_what_langchain_would_have_made(id_: str | None) -> None:
    """The constructors that are compiled for it leave nothing out."""
    piece = StreamedMessage().read(
        ChatChunk.model_validate({"id": id_, "delta": {"parts": [{"index": 0, "type": "text", "text": "Hé"}]}})
    )
    message = AIMessageChunk(content="Hé", id=id_, response_metadata={"model_provider": "infrai"})
    made = ChatGenerationChunk(message=message)
    assert piece is not None
    assert (repr(piece), piece.model_dump()) == (repr(made), made.model_dump())
    assert piece.message.model_dump(exclude_unset=True) == message.model_dump(exclude_unset=True)
    assert list(vars(piece.message)) == list(vars(message))
    assert pickle.loads(pickle.dumps(piece)) == copy.deepcopy(piece) == piece == made
    assert piece + piece == made + made


def test_a_growing_call_shows_as_a_chunk_and_a_whole_one_as_a_call() -> None:
    chunks = streamed([CALL])
    assert [block["type"] for block in chunks[0].content_blocks] == ["tool_call_chunk"]
    assert [block["type"] for block in added(chunks).content_blocks] == ["tool_call"]


# -- usage and metadata --------------------------------------------------------------------------------------------

USAGE = Usage.model_validate(
    {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
        "audio_seconds": 1.5,
    }
)
METADATA = Metadata(
    cost_usd=Decimal("0.00000012"),
    latency_ms=412.5,
    vendor="deepseek",
    model="deepseek-chat",
    cache_hit=False,
    request_id="r1",
    attempts=[Attempt(vendor="a", outcome="RATE_LIMITED"), Attempt(vendor="deepseek", outcome="ok")],
    warnings=["seed"],
    invented=["name"],
    quotes={"city": "in Lima"},
)


def test_usage_has_only_integers_and_only_known_details() -> None:
    assert usage_of(USAGE) == {
        "input_tokens": 10,
        "output_tokens": 4,
        "total_tokens": 14,
        "input_token_details": {"cache_read": 3, "cache_creation": 2},
        "output_token_details": {"reasoning": 1},
    }
    assert usage_of(Usage(prompt_tokens=1)) == {"input_tokens": 1, "output_tokens": 0, "total_tokens": 1}


def test_unknown_usage_is_none_and_not_zero() -> None:
    assert usage_of(None) is None
    assert usage_of(Usage()) is None


def test_metadata_says_who_served_and_what_it_cost() -> None:
    found = metadata_of(ChatReply(metadata=METADATA, model="alias", finish_reason="stop", usage=USAGE))
    own = found.pop("infrai")
    assert found == {
        "model_provider": "infrai",
        "model_name": "deepseek-chat",
        "finish_reason": "stop",
        "cost_usd": "0.00000012",
        "vendor": "deepseek",
        "latency_ms": 412.5,
        "cache_hit": False,
        "request_id": "r1",
    }
    assert [attempt["outcome"] for attempt in own["attempts"]] == ["RATE_LIMITED", "ok"]
    assert (own["warnings"], own["invented"], own["audio_seconds"]) == (["seed"], ["name"], 1.5)
    assert own["quotes"] == {"city": "in Lima"}


def test_a_reply_without_quotes_says_nothing_of_them() -> None:
    assert metadata_of(ChatReply(metadata=Metadata(attempts=METADATA.attempts)))["infrai"].keys() == {"attempts"}


@pytest.mark.parametrize(("cost", "text"), [("0.0", "0"), ("0", "0"), ("1E-7", "0.0000001"), ("100", "100")])
def test_a_cost_has_one_text(cost: str, text: str) -> None:
    assert metadata_of(ChatReply(metadata=Metadata(cost_usd=Decimal(cost))))["cost_usd"] == text


def test_an_unknown_cost_is_absent() -> None:
    assert "cost_usd" not in metadata_of(ChatReply(metadata=Metadata(vendor="v")))


def test_content_of_blocks_is_marked_as_langchains_standard_so_that_other_models_can_go_on_with_it() -> None:
    parts = [REASONING, TEXT, CALL]
    for message in (message_of(reply_of(parts)), added(streamed(parts)), added(streamed(parts, as_blocks=True))):
        assert message.response_metadata["output_version"] == "v1"
        assert [block["type"] for block in message.content_blocks] == ["reasoning", "text", "tool_call"]
        assert message.content == message.content_blocks


def test_a_string_and_what_began_as_one_is_not_marked_as_a_list_of_blocks() -> None:
    for message in (
        message_of(reply_of([TEXT, CALL])),
        added(streamed([TEXT, CALL])),
        added(streamed([TEXT, REASONING])),
    ):
        assert "output_version" not in message.response_metadata


def test_in_a_stream_usage_and_metadata_stand_on_the_last_chunk_only() -> None:
    chunks = streamed([REASONING, TEXT], usage=USAGE, metadata=METADATA, finish_reason="stop", model="m")
    assert all(chunk.usage_metadata is None for chunk in chunks[:-1])
    assert all(chunk.response_metadata == {"model_provider": "infrai"} for chunk in chunks[:-1])
    total = added(chunks)
    whole = message_of(reply_of([REASONING, TEXT], usage=USAGE, metadata=METADATA, finish_reason="stop", model="m"))
    assert total.response_metadata == whole.response_metadata
    assert total.usage_metadata == whole.usage_metadata
    assert [chunk.chunk_position for chunk in chunks] == [None] * (len(chunks) - 1) + ["last"]


def test_usage_of_two_answers_adds_up() -> None:
    one = added(streamed([TEXT], usage=USAGE))
    assert one.usage_metadata is not None
    same = AIMessageChunk(content="", usage_metadata=one.usage_metadata)
    two = same + same
    assert isinstance(two, AIMessageChunk)
    assert two.usage_metadata is not None
    assert two.usage_metadata["total_tokens"] == 28


def test_blocks_of_a_human_message_are_not_touched_by_our_reader() -> None:
    assert HumanMessage("hi").content_blocks == [{"type": "text", "text": "hi"}]
    assert AIMessage("hi").content_blocks == [{"type": "text", "text": "hi"}]
