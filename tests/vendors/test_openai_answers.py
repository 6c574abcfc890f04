"""What the official SDK understands of an OpenAI-like vendor's bytes equals what the adapter understands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Event, Fragment
from infrai_runtime.vendors.openai_like import make
from tests.vendors.fake import (
    KEY,
    Fake,
    Said,
    assembled,
    call_of,
    entry,
    events_of,
    finish_of,
    in_single_bytes,
    says,
    serving,
    streams,
    unlike,
    warnings_of,
    with_vendor,
)
from tests.vendors.openai_answers import OPENAI, QUIRKS, Answer, Quirk, chunk, completion, text_chunks

CHAT = "/v1/chat/completions"
REQUEST = {"messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]}
DELIVERIES: dict[str, Callable[[Said], Said]] = {"one segment": lambda said: said, "single bytes": in_single_bytes}


def by_us(said: Said, *, stream: bool, vendor: str = "openai", request: Any = REQUEST) -> list[Event]:
    with serving(Fake({CHAT: said, "/openai/v1/chat/completions": said})) as fake:
        if vendor == "azure":
            fake.auth = ("api-key", KEY)
        url = fake.url if vendor == "azure" else f"{fake.url}/v1"

        async def body(made: Any) -> list[Event]:
            return await events_of(made.chat(request, call_of("gpt-5.2", stream=stream)))

        return with_vendor(make, entry(vendor, url), body)


def failed(said: Said, *, stream: bool, vendor: str = "openai") -> Failure:
    """The failure that an answer is which is none."""
    with pytest.raises(Failure) as caught:
        by_us(unlike(said), stream=stream, vendor=vendor)
    return caught.value


@pytest.fixture(scope="module")
def connections() -> Any:
    """Making a client of its own for every call would take most of the time of these tests."""
    with openai.DefaultHttpxClient() as client:
        yield client


def by_the_sdk(said: Said, connections: Any, *, stream: bool) -> Any:
    asked: Any = {"model": "gpt-5.2", "messages": [{"role": "user", "content": "hi"}]}
    with serving(Fake({CHAT: said})) as fake:
        sdk = openai.OpenAI(api_key=KEY, base_url=f"{fake.url}/v1", max_retries=0, http_client=connections)
        if not stream:
            return sdk.chat.completions.create(**asked)
        state: Any = ChatCompletionStreamState()
        for made in sdk.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
            state.handle_chunk(made)
        return state.current_completion_snapshot


def told_by_the_sdk(answer: Any) -> dict[str, Any]:
    """The SDK's object in plain words."""
    choice = answer.choices[0]
    message = choice.message
    extra = message.model_extra or {}
    calls = [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ()]
    notes = [note if isinstance(note, dict) else note.to_dict() for note in message.annotations or ()]
    probabilities = choice.logprobs.to_dict()["content"] if choice.logprobs else None
    usage = answer.usage
    return {
        "model": answer.model,
        "content": message.content or None,
        "refusal": message.refusal,
        "reasoning": extra.get("reasoning_content") or extra.get("reasoning"),
        "calls": calls,
        "notes": notes,
        "finish": choice.finish_reason,
        "logprobs": probabilities,
        "usage": (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
        "cached": usage.prompt_tokens_details.cached_tokens,
        "thought": usage.completion_tokens_details.reasoning_tokens,
    }


def told_by_us(events: list[Event]) -> dict[str, Any]:
    parts, finish = assembled(events).parts, finish_of(events)
    usage = finish.usage or {}

    def joined(kind: str) -> str | None:
        return "".join(part["text"] for part in parts if part["type"] == kind) or None

    return {
        "model": finish.model,
        "content": joined("text"),
        "refusal": joined("refusal"),
        "reasoning": joined("reasoning"),
        "calls": [(part["id"], part["name"], part["arguments"]) for part in parts if part["type"] == "tool_call"],
        "notes": [note["native"] for part in parts for note in part.get("annotations", ())],
        "finish": finish.reason,
        "logprobs": next((part["logprobs"] for part in parts if "logprobs" in part), None),
        "usage": (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]),
        "cached": usage["prompt_tokens_details"]["cached_tokens"],
        "thought": usage["completion_tokens_details"]["reasoning_tokens"],
    }


@pytest.mark.parametrize("answer", OPENAI.values(), ids=OPENAI)
def test_a_whole_answer_means_what_the_sdk_says(answer: Answer, connections: Any) -> None:
    said = says(answer.completion)
    theirs = told_by_the_sdk(by_the_sdk(said, connections, stream=False))
    assert told_by_us(by_us(said, stream=False, vendor=answer.vendor)) == theirs


@pytest.mark.parametrize("answer", OPENAI.values(), ids=OPENAI)
@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
def test_a_stream_means_what_the_sdk_says(answer: Answer, delivery: Callable[[Said], Said], connections: Any) -> None:
    said = streams(answer.chunks)
    theirs = told_by_the_sdk(by_the_sdk(said, connections, stream=True))
    assert told_by_us(by_us(delivery(said), stream=True, vendor=answer.vendor)) == theirs


@pytest.mark.parametrize("answer", OPENAI.values(), ids=OPENAI)
def test_a_stream_says_the_same_as_the_whole_answer(answer: Answer) -> None:
    whole = by_us(says(answer.completion), stream=False, vendor=answer.vendor)
    streamed = by_us(streams(answer.chunks), stream=True, vendor=answer.vendor)
    assert assembled(whole).parts == assembled(streamed).parts
    assert finish_of(whole) == finish_of(streamed)


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_vendors_own_way_is_understood(quirk: Quirk, stream: bool) -> None:
    said = streams(quirk.chunks, mark=quirk.mark) if stream else says(quirk.completion)
    events = by_us(said if quirk.faithful else unlike(said), stream=stream, vendor=quirk.vendor)
    finish = finish_of(events)
    assert assembled(events).parts == quirk.parts
    assert (finish.reason, finish.usage, finish.cost_usd) == (quirk.reason, quirk.usage, quirk.cost_usd)


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
def test_the_sdk_takes_the_vendors_stream_too(quirk: Quirk, connections: Any) -> None:
    """The fixtures are not invented past recognition: the SDK reads every chunk."""
    with serving(Fake({CHAT: streams(quirk.chunks, mark=quirk.mark)})) as fake:
        sdk = openai.OpenAI(api_key=KEY, base_url=f"{fake.url}/v1", max_retries=0, http_client=connections)
        chunks = list(sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True))
    assert [made.model for made in chunks] == [row["model"] for row in quirk.chunks]


@pytest.mark.parametrize("answer", [*OPENAI.values(), *QUIRKS.values()], ids=[*OPENAI, *QUIRKS])
def test_every_part_of_a_stream_is_closed_and_numbered_in_order(answer: Any) -> None:
    said = unlike(streams(answer.chunks, mark=getattr(answer, "mark", True)))  # held against the SDK above
    fragments = [e for e in by_us(said, stream=True, vendor=answer.vendor) if isinstance(e, Fragment)]
    first_seen = list(dict.fromkeys(fragment.index for fragment in fragments))
    assert first_seen == list(range(len(first_seen)))
    assert {f.index for f in fragments if f.part.get("done")} == set(first_seen)


# -- several answers ---------------------------------------------------------------------------------------------------


def test_several_answers_are_told_apart() -> None:
    def row(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"index": index, "delta": delta, "finish_reason": finish}

    chunks = [
        chunk(None) | {"choices": [row(0, {"content": "a"})]},
        chunk(None) | {"choices": [row(1, {"content": "b"})]},
        chunk(None) | {"choices": [row(0, {"content": "A"}), row(1, {"content": "B"}, "length")]},
        chunk(None) | {"choices": [row(0, {}, "stop")]},
    ]
    events = by_us(streams(chunks), stream=True)
    texts = {0: "", 1: ""}
    for event in events:
        if isinstance(event, Fragment):
            texts[event.choice] += event.part.get("text", "")
    assert texts == {0: "aA", 1: "bB"}
    assert (finish_of(events).reason, finish_of(events).others) == ("stop", {1: "length"})


@pytest.mark.parametrize("stream", [False, True])
def test_an_end_that_is_not_known_is_told(stream: bool) -> None:
    whole, chunks = completion({"content": "42."}, "coffee_break"), [chunk({"content": "42."}, "coffee_break")]
    events = by_us(unlike(streams(chunks) if stream else says(whole)), stream=stream)
    assert (finish_of(events).reason, "'coffee_break'" in warnings_of(events)[0]) == ("stop", True)


# -- usage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, {"prompt_tokens": None}, []]
)
@pytest.mark.parametrize("stream", [False, True])
def test_usage_that_says_nothing_is_no_usage(usage: Any, stream: bool) -> None:
    whole = completion({"content": "x"}) | {"usage": usage}
    chunks = [*text_chunks("x"), chunk({}, "stop"), chunk(None, usage=usage)]
    events = by_us(unlike(streams(chunks) if stream else says(whole)), stream=stream)
    assert finish_of(events).usage is None


def test_of_usage_told_several_times_the_last_counts_once() -> None:
    def usage(n: int) -> dict[str, int]:
        return {"prompt_tokens": 7, "completion_tokens": n, "total_tokens": 7 + n}

    chunks = [chunk({"content": "a"}, None, usage(1)), chunk({"content": "b"}, "stop", usage(2)), chunk(None)]
    assert (finish_of(by_us(streams(chunks), stream=True)).usage or {})["completion_tokens"] == 2


# -- what is no answer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (streams([*text_chunks("a")], mark=False), "before its end mark"),
        (streams([*text_chunks("a"), "data: {nonsense"]), "not JSON"),
        (streams([*text_chunks("a"), "data: [1]"]), "documented shape"),
        (streams([]), "no choices"),
        (streams([chunk(None, usage={"prompt_tokens": 1})]), "no choices"),
        (streams([*text_chunks("a"), {"error": {"message": "it broke", "type": "server_error"}}]), "it broke"),
        (streams([*text_chunks("a"), 'event: error\ndata: {"message": "it broke"}']), "it broke"),
        (streams([*text_chunks("a"), {"object": "error", "message": "it broke", "code": 500}]), "it broke"),  # vLLM
        (streams([*text_chunks("a"), chunk({"content": ""}, "error")]), "'error'"),
        (streams([*text_chunks("a"), chunk(None) | {"choices": 3}]), "documented shape"),
    ],
)
def test_a_stream_that_is_none_is_a_vendor_error(said: Said, words: str) -> None:
    failure = failed(said, stream=True)
    assert (failure.code, words in failure.message) == ("VENDOR_ERROR", True), failure.message


@pytest.mark.parametrize(
    "body",
    [
        {"choices": []},
        {"id": "x"},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"message": "x"}]},
        {"choices": "x"},
        {"choices": [{"message": {"tool_calls": [3]}}]},
    ],
)
def test_a_whole_answer_that_is_none_is_a_vendor_error(body: Any) -> None:
    assert failed(says(body), stream=False).code == "VENDOR_ERROR"


def test_a_stream_without_marks_is_whole_only_with_its_reason() -> None:
    quirk = QUIRKS["perplexity: sources, cost, no end mark"]
    failure = failed(streams(quirk.chunks[:-1], mark=False), stream=True, vendor="perplexity")
    assert "before its end mark" in failure.message


# Gateways that send the mark without a reason: https://github.com/openai/openai-node/issues/1292,
# https://github.com/anomalyco/opencode/issues/43882; a server: https://github.com/waybarrios/vllm-mlx/issues/628.
# Streams that were cut look the same: https://github.com/tetsuo-ai/agenc-core/pull/2492.
UNEXPLAINED = [*text_chunks("Hel", "lo"), chunk(None, usage={"prompt_tokens": 1, "completion_tokens": 2})]


@pytest.mark.parametrize("vendor", ["openai", "ollama", "vllm", "llamacpp", "lmstudio", "my-gateway"])
def test_a_stream_with_its_mark_and_no_reason_was_cut(vendor: str) -> None:
    failure = failed(streams(UNEXPLAINED), stream=True, vendor=vendor)
    assert (failure.code, "without a finish_reason" in failure.message) == ("VENDOR_ERROR", True)


def test_a_server_that_is_known_to_leave_the_reason_out_is_read_with_a_warning() -> None:
    async def body(made: Any) -> Any:
        return await events_of(made.chat(REQUEST, call_of("m", stream=True)))

    with serving(Fake({CHAT: streams(UNEXPLAINED)})) as service:
        given = entry("my-gateway", f"{service.url}/v1", finish_reason="optional")
        events = with_vendor(make, given, body)
    assert (assembled(events).parts[0]["text"], finish_of(events).reason) == ("Hello", "stop")
    assert ["finish_reason" in warning for warning in warnings_of(events)] == [True]


def test_an_error_inside_a_stream_keeps_its_meaning() -> None:
    error = {"error": {"code": 429, "message": "Rate limit exceeded"}, "choices": []}
    assert failed(streams([*text_chunks("a"), error]), stream=True, vendor="openrouter").code == "RATE_LIMITED"


@pytest.mark.parametrize("name", [*OPENAI, *QUIRKS])
def test_every_fixture_names_its_source(name: str) -> None:
    answer: Any = OPENAI.get(name) or QUIRKS.get(name)
    assert answer.source.startswith("https://")
    json.dumps(answer.completion)
