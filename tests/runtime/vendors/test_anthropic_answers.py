"""What the official SDK understands of Claude's bytes equals what the adapter understands."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import anthropic
import pytest

from infrai_runtime.vendors.anthropic import make
from infrai_runtime.vendors.anthropic.answer import SEARCHED
from infrai_runtime.vendors.base import Event
from tests.core.wall import Play, Wall
from tests.runtime.vendors.claude_answers import ANSWERS, MODEL, error, events_of, message, stream_of, text
from tests.runtime.vendors.oracle import (
    DELIVERIES,
    KEY,
    assembled,
    call_of,
    chat,
    cut_at,
    failure_of,
    finish_of,
    fragments_of,
    in_one_segment,
    parts_of,
    unlike,
    user,
    warnings_of,
    whole,
)

Json = dict[str, Any]

REQUEST = {"messages": [user("hi")], "max_tokens": 1000}
FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "length",
    "refusal": "content_filter",
}


def by_us(play: Play, **more: Any) -> list[Event]:
    return chat(make, "anthropic", [play], REQUEST, call_of(MODEL, **more))[0]


@cache
def connections() -> Any:
    """Making a client of its own for every call would take most of the time of these tests."""
    return anthropic.DefaultHttpxClient()


def by_the_sdk(play: Play, *, stream: bool) -> anthropic.types.Message:
    asked: Any = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}]}
    with Wall([play]) as wall:
        sdk = anthropic.Anthropic(api_key=KEY, base_url=wall.url, max_retries=0, http_client=connections())
        if not stream:
            answer: anthropic.types.Message = sdk.messages.create(**asked)
            return answer
        with sdk.messages.stream(**asked) as streamed:
            return streamed.get_final_message()


def seen_by_the_sdk(block: Any) -> Json:
    """A block of the SDK in the wire's words."""
    told = block.to_dict()
    match block.type:
        case "text":
            notes = [(note.cited_text, note.to_dict()) for note in block.citations or ()]
            return {"type": "text", "text": block.text, "notes": notes}
        case "thinking":
            return {"type": "reasoning", "text": block.thinking, "opaque": block.signature}
        case "redacted_thinking":
            return {"type": "reasoning", "text": "", "opaque": {"redacted_thinking": block.data}}
        case "tool_use":
            call = {"type": "tool_call", "id": block.id, "name": block.name, "arguments": block.input}
            return call | ({} if told["caller"]["type"] == "direct" else {"opaque": {"caller": told["caller"]}})
        case "container_upload" | "compaction":
            return {"type": "server_tool_result", "name": block.type, "vendor": "anthropic", "native": told}
        case "server_tool_use":
            ids = {"id": block.id, "name": block.name, "vendor": "anthropic"}
            return {"type": "server_tool_call", **ids, "arguments": block.input}
        case _:
            ids = {"id": block.tool_use_id, "name": block.type.removesuffix("_tool_result"), "vendor": "anthropic"}
            return {"type": "server_tool_result", **ids, "native": told}


def seen_by_us(part: Json) -> Json:
    if part["type"] == "text":
        notes = [(note["quote"], note["native"]) for note in part.get("annotations", ())]
        return {"type": "text", "text": part["text"], "notes": notes}
    if "arguments" in part:
        return part | {"arguments": json.loads(part["arguments"])}
    return part


def told_usage(usage: anthropic.types.Usage) -> Json:
    """The SDK's usage in the OpenAI meaning: what the caches had is part of the prompt."""
    cached, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    prompt = usage.input_tokens + (cached or 0) + (written or 0)
    return {
        "prompt": prompt,
        "completion": usage.output_tokens,
        "total": prompt + usage.output_tokens,
        "cached": cached,
        "written": written,
        "reasoning": usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else None,
        "searches": (usage.server_tool_use.web_search_requests if usage.server_tool_use else 0) or None,
    }


def our_usage(usage: Json) -> Json:
    inputs, outputs = usage.get("prompt_tokens_details", {}), usage.get("completion_tokens_details", {})
    return {
        "prompt": usage["prompt_tokens"],
        "completion": usage["completion_tokens"],
        "total": usage["total_tokens"],
        "cached": inputs.get("cached_tokens"),
        "written": inputs.get("cache_write_tokens"),
        "reasoning": outputs.get("reasoning_tokens"),
        "searches": usage.get("search_units"),
    }


def assert_same(events: list[Event], understood: anthropic.types.Message) -> None:
    parts = [seen_by_us(part) for part in parts_of(events)]
    refusal = [part for part in parts if part["type"] == "refusal"]
    assert [part for part in parts if part not in refusal] == [seen_by_the_sdk(block) for block in understood.content]
    finish = finish_of(events)
    assert finish.reason == FINISHES[str(understood.stop_reason)]
    assert finish.model == understood.model
    assert finish.usage is not None
    assert our_usage(finish.usage) == told_usage(understood.usage)
    details = understood.stop_details
    assert [part["text"] for part in refusal] == ([details.explanation] if details else [])


@pytest.mark.parametrize("name", ANSWERS)
def test_a_whole_answer_means_what_the_sdk_says(name: str) -> None:
    assert_same(by_us(whole(ANSWERS[name])), by_the_sdk(whole(ANSWERS[name]), stream=False))


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("name", ANSWERS)
def test_a_streamed_answer_means_what_the_sdk_says(name: str, delivery: str) -> None:
    deliver, stream = DELIVERIES[delivery], stream_of(ANSWERS[name])
    assert_same(by_us(deliver(stream), stream=True), by_the_sdk(in_one_segment(stream), stream=True))


@pytest.mark.parametrize("name", ANSWERS)
def test_streamed_and_whole_answers_come_out_the_same(name: str) -> None:
    streamed = assembled(by_us(in_one_segment(stream_of(ANSWERS[name])), stream=True))
    at_once = assembled(by_us(whole(ANSWERS[name])))
    assert [seen_by_us(part) for part in streamed.parts] == [seen_by_us(part) for part in at_once.parts]
    assert streamed.finish == at_once.finish
    assert streamed.warnings == at_once.warnings


def test_tool_arguments_that_came_at_once_come_out_as_one_piece() -> None:
    events = by_us(in_one_segment(stream_of(ANSWERS["parallel tools, one without arguments"], pieces=3)), stream=True)
    told = [f.part["arguments"] for f in fragments_of(events) if f.part.get("arguments")]
    assert told == [json.dumps({"location": "Paris, Île-de-France", "unit": "c"}), "{}"]


def test_every_part_is_closed_once_and_after_its_last_piece() -> None:
    events = by_us(in_one_segment(stream_of(ANSWERS["web search"])), stream=True)
    closed: list[int] = []
    for fragment in fragments_of(events):
        assert fragment.index not in closed
        closed += [fragment.index] if fragment.part.get("done") else []
    assert closed == [0, 1, 2, 3]


def test_an_hours_cache_writes_are_told_apart_because_they_cost_more() -> None:
    usage = finish_of(by_us(whole(ANSWERS["full usage"]))).usage
    assert usage is not None
    assert usage["prompt_tokens_details"] == {
        "cached_tokens": 1800,
        "cache_write_tokens": 248,
        "cache_write_1h_tokens": 100,
    }


def test_counts_at_the_end_are_totals_and_replace_those_of_the_start() -> None:
    # https://github.com/anthropics/anthropic-sdk-python/blob/main/tests/lib/streaming/fixtures/usage_omitted_with_optional_fields_response.txt
    events = list(events_of(message(text("Hello"))))
    events[0]["message"]["usage"] = {"input_tokens": 3, "output_tokens": 1}
    events[-2]["usage"] = {
        "input_tokens": 12,
        "cache_creation_input_tokens": 4,
        "cache_read_input_tokens": 3,
        "output_tokens": 6,
        "output_tokens_details": {"thinking_tokens": 2},
    }
    data = b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)
    assert_same(by_us(in_one_segment(data), stream=True), by_the_sdk(in_one_segment(data), stream=True))


def test_searches_that_are_billed_apart_are_told() -> None:
    assert warnings_of(by_us(whole(ANSWERS["web search"]))) == [SEARCHED]
    assert warnings_of(by_us(whole(ANSWERS["text"]))) == []


def test_a_paused_turn_says_how_to_go_on() -> None:
    assert warnings_of(by_us(whole(ANSWERS["paused"]))) == [
        "the vendor paused a long turn; send the reply back as it is to let it go on"
    ]


def test_an_unknown_block_is_kept_as_it_came_and_told_by_name() -> None:
    answer = message({"type": "hologram", "data": "x"}, text("ok"))
    kept = {"type": "server_tool_result", "name": "hologram", "vendor": "anthropic"}
    for events in (
        by_us(unlike(whole(answer))),
        by_us(unlike(in_one_segment(stream_of(answer))), stream=True),
    ):
        assert parts_of(events) == [
            kept | {"native": {"type": "hologram", "data": "x"}},
            {"type": "text", "text": "ok"},
        ]
        assert "'hologram'" in warnings_of(events)[0]


def test_a_compacted_conversation_is_kept_and_is_no_whole_answer() -> None:
    """https://platform.claude.com/docs/en/build-with-claude/compaction#streaming: a summary comes as one delta."""
    events = list(events_of(message({"type": "compaction", "content": None}, stop="compaction")))
    summary = {"type": "compaction_delta", "content": "They spoke of raccoons.", "encrypted_content": "Eo8B"}
    events.insert(3, {"type": "content_block_delta", "index": 0, "delta": summary})
    data = b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)
    made = by_us(unlike(in_one_segment(data)), stream=True)  # a beta, which the SDK's beta interface reads
    with Wall([in_one_segment(data)]) as wall:
        sdk = anthropic.Anthropic(api_key=KEY, base_url=wall.url, max_retries=0, http_client=connections())
        asked: Any = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}]}
        with sdk.beta.messages.stream(**asked, betas=["compact-2026-01-12"]) as streamed:
            [understood] = streamed.get_final_message().content
    assert parts_of(made) == [seen_by_the_sdk(understood)]
    assert parts_of(made)[0]["native"]["content"] == "They spoke of raccoons."
    assert (finish_of(made).reason, len(warnings_of(made))) == ("length", 1)


def test_an_end_that_is_not_known_is_told() -> None:
    made = by_us(unlike(whole(message(text("ok"), stop="coffee_break"))))
    assert (finish_of(made).reason, "'coffee_break'" in warnings_of(made)[0]) == ("stop", True)


def test_the_container_of_a_tool_is_told_so_that_the_next_turn_can_name_it() -> None:
    answer = ANSWERS["a file that code made"]
    for events in (by_us(whole(answer)), by_us(in_one_segment(stream_of(answer)), stream=True)):
        assert "container_011CPR5CNjB747bTd36fQLFk" in warnings_of(events)[0]


@pytest.mark.parametrize(
    ("usage", "tier"),
    [({"speed": "fast"}, "fast"), ({"inference_geo": "us"}, "us"), ({"service_tier": "priority"}, "priority")]
    + [
        ({"speed": "standard", "inference_geo": "global", "service_tier": word}, None) for word in ("standard", "batch")
    ],
)
def test_what_costs_other_than_the_list_says_is_told(usage: Json, tier: str | None) -> None:
    answer = message(text("ok"), usage={"input_tokens": 25, "output_tokens": 15, **usage})
    told = finish_of(by_us(whole(answer))).usage
    assert told is not None
    assert told.get("service_tier") == tier


def test_unknown_events_and_deltas_do_not_end_a_stream() -> None:
    events = list(events_of(message(text("ok"))))
    events.insert(1, {"type": "weather_report", "index": 9})
    events.insert(4, {"type": "content_block_delta", "index": 0, "delta": {"type": "colour_delta", "colour": "red"}})
    data = b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)
    made = by_us(unlike(in_one_segment(data)), stream=True)
    assert parts_of(made) == [{"type": "text", "text": "ok"}]
    assert "'colour_delta'" in warnings_of(made)[0]


# -- what goes wrong ---------------------------------------------------------------------------------------------------

STREAM = stream_of(ANSWERS["redacted and interleaved thinking with tools"])


@pytest.mark.parametrize("place", [0, 1, len(STREAM) // 3, len(STREAM) // 2, len(STREAM) - 20])
def test_a_cut_stream_is_a_failure_and_never_a_short_answer(place: int) -> None:
    failure = failure_of(lambda: by_us(cut_at(STREAM, place), stream=True))
    assert failure.code == "VENDOR_ERROR"
    assert "ended before its end mark" in failure.message


def test_a_stream_with_its_end_mark_and_no_reason_was_cut() -> None:
    data = stream_of(message(text("Hello."), stop="end_turn")).replace(b'"end_turn"', b"null")
    failure = failure_of(lambda: by_us(in_one_segment(data), stream=True))
    assert (failure.code, "without a stop_reason" in failure.message) == ("VENDOR_ERROR", True)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("overloaded_error", "VENDOR_ERROR"),
        ("rate_limit_error", "RATE_LIMITED"),
        ("api_error", "VENDOR_ERROR"),
        ("invalid_request_error", "INVALID_REQUEST"),
        ("timeout_error", "VENDOR_TIMEOUT"),
    ],
)
def test_an_error_inside_a_stream_is_the_failure_that_its_type_says(kind: str, code: str) -> None:
    # https://platform.claude.com/docs/en/build-with-claude/streaming#error-events
    events = stream_of(ANSWERS["text"]).split(b"event: content_block_stop")[0]
    events += f"event: error\ndata: {json.dumps(error(kind, 'Oh'))}\n\n".encode()
    failure = failure_of(lambda: by_us(in_one_segment(events), stream=True))
    assert (failure.code, "Oh" in failure.message) == (code, True)
    with pytest.raises(anthropic.APIStatusError):
        by_the_sdk(in_one_segment(events), stream=True)


@pytest.mark.parametrize(
    ("status", "kind", "text", "code"),
    [
        (400, "invalid_request_error", "prompt is too long: 200082 tokens > 200000 maximum", "CONTEXT_LENGTH_EXCEEDED"),
        (400, "invalid_request_error", "messages: at least one message is required", "INVALID_REQUEST"),
        (401, "authentication_error", "invalid x-api-key", "UNAUTHORIZED"),
        (402, "billing_error", "Your credit balance is too low", "INSUFFICIENT_CREDIT"),
        (403, "permission_error", "no", "FORBIDDEN"),
        (404, "not_found_error", "model: claude-0", "VENDOR_ERROR"),
        (413, "request_too_large", "Request exceeds the maximum size", "PAYLOAD_TOO_LARGE"),
        (429, "rate_limit_error", "slow down", "RATE_LIMITED"),
        (500, "api_error", "Internal server error", "VENDOR_ERROR"),
        (504, "timeout_error", "took too long", "VENDOR_TIMEOUT"),
        (529, "overloaded_error", "Overloaded", "VENDOR_ERROR"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_every_documented_error_has_its_code(status: int, kind: str, text: str, code: str, stream: bool) -> None:
    # https://platform.claude.com/docs/en/api/errors#http-errors
    play = whole(error(kind, text), status, retry_after="7")
    failure = failure_of(lambda: by_us(play, stream=stream))
    assert (failure.code, failure.retry_after_s) == (code, 7)
    assert text in failure.message
    assert KEY not in failure.message
    with pytest.raises(anthropic.APIStatusError) as raised:
        by_the_sdk(whole(error(kind, text), status, retry_after="7"), stream=stream)
    assert (raised.value.status_code, raised.value.type) == (status, kind)
    assert text in str(raised.value)


@pytest.mark.parametrize("body", [{"type": "message"}, {"content": [{"type": "text"}, {"no": "type"}]}, {"content": 3}])
def test_an_answer_of_another_shape_is_the_vendors_failure(body: Json) -> None:
    failure = failure_of(lambda: by_us(unlike(whole(body))))
    assert failure.code == "VENDOR_ERROR"
    assert "documented shape" in failure.message
