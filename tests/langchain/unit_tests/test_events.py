"""``stream_events(version="v3")``: the content-block protocol, straight from the wire."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream

from infrai_core.testing import Answer, Script, failure, reply, streamed
from langchain_infrai import ChatInfrai
from langchain_infrai._convert import wire_messages
from langchain_infrai.errors import InfraiRateLimited, InfraiStreamInterrupted

pytestmark = pytest.mark.filterwarnings("ignore:.*v3.*is in beta")  # so says LangChain of its own protocol

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
NOTE = {"type": "citation", "start": 0, "end": 3, "quote": "Hel", "url": "https://a.example"}
STREAMS: dict[str, list[Any]] = {
    "text": ["Hel", "lo"],
    "nothing": [],
    "reasoning with a signature, then text with a citation": [
        {"index": 0, "type": "reasoning", "text": "So"},
        {"index": 0, "type": "reasoning", "text": ".", "opaque": "sig", "vendor": "v", "model": "m", "done": True},
        {"index": 1, "type": "text", "text": "Hello", "annotations": [NOTE]},
    ],
    "two calls whose pieces come in turn": [
        {"index": 0, "type": "tool_call", "id": "a", "name": "f", "arguments": '{"x"'},
        {"index": 1, "type": "tool_call", "id": "b", "name": "g", "arguments": '{"y"'},
        {"index": 0, "type": "tool_call", "arguments": ": 1}"},
        {"index": 1, "type": "tool_call", "arguments": ": 2}", "done": True},
    ],
    "a call that is no JSON": [{"index": 0, "type": "tool_call", "id": "a", "name": "f", "arguments": '{"x"'}],
    "a picture between texts, at places with gaps": [
        {"index": 0, "type": "text", "text": "Look: "},
        {"index": 3, "type": "image", "base64": "QUJD", "mime": "image/png", "done": True},
        {"index": 7, "type": "text", "text": "done"},
    ],
    "a tool of the vendor's": [
        {"index": 0, "type": "server_tool_call", "id": "s", "name": "search", "arguments": '{"q": "x"}', "vendor": "v"},
        {"index": 1, "type": "server_tool_result", "tool_call_id": "s", "output": "found", "vendor": "v"},
        {"index": 2, "type": "text", "text": "Found."},
    ],
    "a refusal": [{"index": 0, "type": "refusal", "text": "I will "}, {"index": 0, "type": "refusal", "text": "not."}],
}


def model_on(*answers: Answer, **fields: Any) -> ChatInfrai:
    script = Script(answers, repeat_last=True)
    return ChatInfrai(api_key="key", max_retries=0, client_options={"transport": script}, **fields)


def events_of(model: ChatInfrai) -> list[Any]:
    return list(model.stream_events("x", version="v3"))


def names(events: list[Any]) -> list[str]:
    return [event["event"] for event in events]


@pytest.mark.parametrize("fragments", STREAMS.values(), ids=STREAMS)
def test_the_events_keep_the_protocol(fragments: list[Any]) -> None:
    events = events_of(model_on(streamed(fragments, usage=USAGE)))
    assert_valid_event_stream(events)
    assert (names(events)[0], names(events)[-1]) == ("message-start", "message-finish")


@pytest.mark.parametrize("fragments", STREAMS.values(), ids=STREAMS)
async def test_the_asynchronous_events_are_the_same(fragments: list[Any]) -> None:
    model = model_on(streamed(fragments))
    stream = await model.astream_events("x", version="v3")
    seen = [event async for event in stream]
    assert [e | {"id": ""} for e in seen] == [e | {"id": ""} for e in events_of(model)]


def test_a_call_that_is_no_json_is_an_invalid_call_with_its_text() -> None:
    # Message chunks cannot say so: LangChain reads their arguments leniently and makes `{}` of them.
    made = model_on(streamed(STREAMS["a call that is no JSON"])).stream_events("x", version="v3").output
    assert made.tool_calls == []
    [call] = made.invalid_tool_calls
    assert (call["name"], call["id"], call["args"]) == ("f", "a", '{"x"')


WHOLE = {name: fragments for name, fragments in STREAMS.items() if name != "a call that is no JSON"}


@pytest.mark.parametrize("fragments", WHOLE.values(), ids=WHOLE)
def test_the_assembled_message_goes_back_like_the_streamed_one(fragments: list[Any]) -> None:
    model = model_on(streamed(fragments, usage=USAGE))
    made = model.stream_events("x", version="v3").output
    assert isinstance(made, AIMessage)
    assert wire_messages([made]) == wire_messages([model.invoke("x", stream=True)])


def test_usage_and_cost_arrive_whole() -> None:
    made = (
        model_on(streamed(["hi"], usage=USAGE, cost_usd=0.5, vendor="v", model="m"))
        .stream_events("x", version="v3")
        .output
    )
    assert made.usage_metadata == {
        "input_tokens": 9,
        "output_tokens": 4,
        "total_tokens": 13,
        "input_token_details": {"cache_read": 3},
        "output_token_details": {"reasoning": 2},
    }
    metadata = made.response_metadata
    assert (metadata["cost_usd"], metadata["vendor"], metadata["model_name"]) == ("0.5", "v", "m")
    assert (metadata["model_provider"], metadata["output_version"]) == ("infrai", "v1")


def test_a_block_that_the_service_closes_is_finished_before_the_next_one_begins() -> None:
    events = events_of(model_on(streamed(STREAMS["reasoning with a signature, then text with a citation"])))
    finished = [event["event"] == "content-block-finish" for event in events].index(True)
    assert events[finished]["content"]["extras"] == {"opaque": "sig", "vendor": "v", "model": "m"}
    assert events[finished + 1] == {"event": "content-block-start", "index": 1, "content": {"type": "text", "text": ""}}


def test_the_typed_views_of_the_stream_work() -> None:
    model = model_on(streamed(STREAMS["two calls whose pieces come in turn"]), streamed(["Hel", "lo"]))
    calls = model.stream_events("x", version="v3").tool_calls.get()
    assert [(call["name"], call["args"]) for call in calls] == [("f", {"x": 1}), ("g", {"y": 2})]
    assert list(model.stream_events("x", version="v3").text) == ["Hel", "lo"]


def test_a_refusal_is_not_lost() -> None:
    made = model_on(streamed(STREAMS["a refusal"])).stream_events("x", version="v3").output
    [block] = made.content_blocks
    assert block["type"] == "non_standard"
    assert block["value"] == {"type": "refusal", "refusal": "I will not."}


def test_an_answer_of_a_batch_job_has_events_too() -> None:
    import json

    from infrai_core.testing import Scripted, envelope

    record = {"batch_id": "b1", "state": "completed", "total_count": 1}
    whole = json.loads(reply("hi", usage=USAGE).pieces[0])  # type: ignore[arg-type]  # bytes, as reply() makes them
    answers = [Scripted(envelope(record).pieces, 202), envelope(record), envelope({"results": [whole]})]
    events = events_of(model_on(*answers, batch_mode=True))
    assert_valid_event_stream(events)
    assert events[-2]["content"] == {"type": "text", "text": "hi"}
    assert events[-1]["usage"]["total_tokens"] == 13


def test_errors_are_raised_as_ours_before_and_inside_a_stream() -> None:
    model = model_on(failure("RATE_LIMITED"), streamed(["Hel"], cut=True))
    with pytest.raises(InfraiRateLimited):
        events_of(model)
    with pytest.raises(InfraiStreamInterrupted):
        events_of(model)
