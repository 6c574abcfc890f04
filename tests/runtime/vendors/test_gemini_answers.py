"""What the official SDK understands of Gemini's bytes equals what the adapter understands."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from infrai_runtime.vendors.base import Event
from infrai_runtime.vendors.gemini import make
from infrai_runtime.vendors.gemini.answer import SEARCHED, Reader, usage_of
from tests.core.wall import Play, Wall, http
from tests.runtime.vendors.gemini_answers import (
    ANSWERS,
    GROUNDED,
    INVALID_KEY,
    MODEL,
    SIGNATURE,
    WAIT,
    call,
    error,
    response,
    stream_of,
    whole_of,
)
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

REQUEST = {"messages": [user("hi")]}
FINISHES = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}


def by_us(play: Play, **more: Any) -> list[Event]:
    return chat(make, "gemini", [play], REQUEST, call_of(MODEL, **more))[0]


def by_the_sdk(play: Play, *, stream: bool) -> list[types.GenerateContentResponse]:
    """The response objects that the SDK makes of the bytes."""
    with Wall([play]) as wall:
        client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=wall.url))
        with client:
            if stream:
                return list(client.models.generate_content_stream(model=MODEL, contents="hi"))
            return [client.models.generate_content(model=MODEL, contents="hi")]


def signature(part: types.Part) -> Json:
    return {"opaque": base64.b64encode(part.thought_signature).decode()} if part.thought_signature else {}


def seen_by_the_sdk(responses: list[types.GenerateContentResponse]) -> list[Json]:
    """The SDK's parts in the wire's words; texts that follow each other unsigned are one."""
    seen: list[Json] = []
    for made in responses:
        (candidate,) = made.candidates or []
        for part in (candidate.content.parts if candidate.content else None) or ():
            told = _told(part)
            joins = seen and told["type"] in ("text", "reasoning") and seen[-1]["type"] == told["type"]
            if joins and "opaque" not in told and "opaque" not in seen[-1]:
                seen[-1]["text"] += told["text"]
            else:
                seen.append(told)
    return seen


def _told(part: types.Part) -> Json:
    if part.text is not None:
        return {"type": "reasoning" if part.thought else "text", "text": part.text, **signature(part)}
    if part.function_call:
        made = part.function_call
        return {"type": "tool_call", "id": made.id, "name": made.name, "arguments": made.args or {}, **signature(part)}
    if part.inline_data:
        data = base64.b64encode(part.inline_data.data or b"").decode()
        return {"type": "image", "base64": data, "mime": part.inline_data.mime_type, **signature(part)}
    if part.executable_code:
        code = part.executable_code
        arguments = {"language": str(code.language.value if code.language else None), "code": code.code}
        return {"type": "server_tool_call", "id": code.id, "name": "code_execution", "arguments": arguments}
    result = part.code_execution_result
    assert result is not None
    assert result.outcome is not None
    native = {"codeExecutionResult": {"outcome": result.outcome.value, "output": result.output, "id": result.id}}
    return {"type": "server_tool_result", "id": result.id, "name": "code_execution", "native": native}


def seen_by_us(events: list[Event]) -> list[Json]:
    kept = [part for part in parts_of(events) if part["type"] != "refusal" and part.get("name") != "google_search"]
    return [_bare(part) for part in kept]


def _bare(part: Json) -> Json:
    hidden = {"annotations", "vendor"} | ({"native"} if part["type"] == "server_tool_call" else set())
    shown = {name: value for name, value in part.items() if name not in hidden}
    return shown | ({"arguments": json.loads(shown["arguments"])} if "arguments" in shown else {})


def told_usage(usage: types.GenerateContentResponseUsageMetadata | None) -> Json:
    """The SDK's usage in the OpenAI meaning: thoughts are output, what tools read is input."""
    assert usage is not None
    audio = next((row.token_count for row in usage.prompt_tokens_details or () if row.modality == "AUDIO"), None)
    return {
        "prompt": (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
        "completion": (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
        "total": usage.total_token_count,
        "cached": usage.cached_content_token_count,
        "audio": audio,
        "reasoning": usage.thoughts_token_count,
    }


def our_usage(usage: Json | None) -> Json:
    assert usage is not None
    inputs, outputs = usage.get("prompt_tokens_details", {}), usage.get("completion_tokens_details", {})
    return {
        "prompt": usage["prompt_tokens"],
        "completion": usage["completion_tokens"],
        "total": usage["total_tokens"],
        "cached": inputs.get("cached_tokens"),
        "audio": inputs.get("audio_tokens"),
        "reasoning": outputs.get("reasoning_tokens"),
    }


def assert_same(events: list[Event], understood: list[types.GenerateContentResponse]) -> None:
    sdk = seen_by_the_sdk(understood)
    assert seen_by_us(events) == sdk
    last = understood[-1]
    finish = finish_of(events)
    calls = any(part["type"] == "tool_call" for part in sdk)
    assert last.candidates is not None
    assert last.candidates[0].finish_reason is not None
    assert finish.reason == ("tool_calls" if calls else FINISHES[last.candidates[0].finish_reason.value])
    assert finish.model == last.model_version
    assert our_usage(finish.usage) == told_usage(last.usage_metadata)
    assert _cited(events) == _cited_by_the_sdk(last)


def _cited(events: list[Event]) -> list[tuple[Any, ...]]:
    notes = [(part, note) for part in parts_of(events) for note in part.get("annotations", ())]
    return [(part["text"][note["start"] : note["end"]], note.get("url"), note.get("title")) for part, note in notes]


def _cited_by_the_sdk(last: types.GenerateContentResponse) -> list[tuple[Any, ...]]:
    assert last.candidates is not None
    grounding, quoted = last.candidates[0].grounding_metadata, last.candidates[0].citation_metadata
    chunks = (grounding.grounding_chunks if grounding else None) or []
    supports = (grounding.grounding_supports if grounding else None) or []
    found: list[tuple[Any, ...]] = []
    for support in supports:
        for place in support.grounding_chunk_indices or ():
            web = chunks[place].web
            assert web is not None
            found.append((support.segment and support.segment.text, web.uri, web.title))
    said = last.text if quoted else ""
    return [*found, *((said, citation.uri, None) for citation in (quoted.citations if quoted else None) or ())]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_whole_answer_means_what_the_sdk_says(name: str) -> None:
    answer = whole_of(ANSWERS[name])
    assert_same(by_us(whole(answer)), by_the_sdk(whole(answer), stream=False))


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("name", ANSWERS)
def test_a_streamed_answer_means_what_the_sdk_says(name: str, delivery: str) -> None:
    deliver, stream = DELIVERIES[delivery], stream_of(ANSWERS[name])
    assert_same(by_us(deliver(stream), stream=True), by_the_sdk(in_one_segment(stream), stream=True))


@pytest.mark.parametrize("name", ANSWERS)
def test_streamed_and_whole_answers_come_out_the_same(name: str) -> None:
    streamed = assembled(by_us(in_one_segment(stream_of(ANSWERS[name])), stream=True))
    at_once = assembled(by_us(whole(whole_of(ANSWERS[name]))))
    assert streamed.parts == at_once.parts
    assert streamed.finish == at_once.finish


def test_every_part_is_closed_once_and_after_its_last_piece() -> None:
    for responses in ANSWERS.values():
        closed: list[int] = []
        events = by_us(in_one_segment(stream_of(responses)), stream=True)
        for fragment in fragments_of(events):
            assert fragment.index not in closed
            closed += [fragment.index] if fragment.part.get("done") else []
        assert sorted(closed) == sorted({fragment.index for fragment in fragments_of(events)})


def test_a_signature_stays_on_the_part_that_it_came_with() -> None:
    signed = [part.get("opaque") for part in parts_of(by_us(whole(whole_of(ANSWERS["a signature at the end"]))))]
    assert signed == [None, SIGNATURE]
    calls = parts_of(by_us(whole(whole_of(ANSWERS["parallel calls, one without arguments"]))))
    assert [part.get("opaque") for part in calls] == [None, SIGNATURE, None]


def test_citations_are_counted_in_characters_though_they_come_in_bytes() -> None:
    (part, search) = parts_of(by_us(whole(whole_of(ANSWERS["grounded"]))))
    assert [GROUNDED[note["start"] : note["end"]] for note in part["annotations"]] == [
        "Spain won Euro 2024",
        "England lost.",
        "England lost.",
    ]
    assert search["native"]["groundingMetadata"]["searchEntryPoint"] == {"renderedContent": "<div>…</div>"}
    events = by_us(whole(whole_of(ANSWERS["grounded"])))
    usage = finish_of(events).usage
    assert usage is not None
    assert usage["search_units"] == 2
    assert warnings_of(events) == [SEARCHED]


def test_a_call_without_an_id_gets_one_of_its_own() -> None:
    answer = response(call("a", {}, None), call("b", {}, None), finish="STOP")
    first, second = (part["id"] for part in parts_of(by_us(whole(answer))))
    assert first != second
    assert first.startswith("call_")


def test_several_candidates_are_several_answers() -> None:
    # https://ai.google.dev/api/generate-content#Candidate (index)
    answer = response({"text": "one"}, finish="STOP")
    answer["candidates"].append(response({"text": "two"}, finish="MAX_TOKENS", index=1)["candidates"][0])
    events = by_us(whole(answer))
    assert [(f.choice, f.part["text"]) for f in fragments_of(events) if f.part.get("text")] == [(0, "one"), (1, "two")]
    assert finish_of(events).others == {1: "length"}


def test_a_candidate_that_gemini_failed_to_make_is_told() -> None:
    answer = response({"text": "one"}, finish="STOP")
    answer["candidates"].append(response({"text": "tw"}, finish="OTHER", index=1)["candidates"][0])
    [told] = warnings_of(by_us(whole(answer)))
    assert "answer 1 of several" in told
    assert "OTHER" in told


def test_probabilities_of_tokens_come_in_the_wires_shape() -> None:
    # https://ai.google.dev/api/generate-content#LogprobsResult
    result = {
        "chosenCandidates": [{"token": "é", "tokenId": 5, "logProbability": -0.1}],
        "topCandidates": [
            {"candidates": [{"token": "é", "logProbability": -0.1}, {"token": "e", "logProbability": -2}]}
        ],
    }
    (part,) = parts_of(by_us(whole(response({"text": "é"}, finish="STOP", logprobsResult=result))))
    assert part["text"] == "é"
    assert part["logprobs"][0]["bytes"] == [195, 169]
    assert [row["logprob"] for row in part["logprobs"][0]["top_logprobs"]] == [-0.1, -2]


def test_an_unknown_part_is_kept_as_it_came_and_told_by_name() -> None:
    events = by_us(unlike(whole(response({"hologram": {"colour": "red"}}, {"text": "ok"}, finish="STOP"))))
    kept = {"type": "server_tool_result", "name": "hologram", "vendor": "gemini"}
    assert parts_of(events) == [kept | {"native": {"hologram": {"colour": "red"}}}, {"type": "text", "text": "ok"}]
    assert "hologram" in warnings_of(events)[0]


def test_pages_that_were_read_for_an_answer_are_told() -> None:
    # https://ai.google.dev/gemini-api/docs/url-context#verify-successful-retrieval
    read = [{"retrievedUrl": "https://example.com/a", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"}]
    answer = response({"text": "ok"}, finish="STOP")
    answer["candidates"][0]["urlContextMetadata"] = {"urlMetadata": read}
    [_, told] = parts_of(by_us(whole(answer)))
    assert (told["name"], told["native"]) == ("url_context", {"urlContextMetadata": {"urlMetadata": read}})


def test_a_tier_that_was_asked_for_is_part_of_the_usage() -> None:
    answer = whole(response({"text": "ok"}, finish="STOP", usage={"promptTokenCount": 3, "candidatesTokenCount": 2}))
    usage = finish_of(by_us(answer, options={"serviceTier": "flex"})).usage
    assert usage is not None
    assert usage["service_tier"] == "flex"


# https://ai.google.dev/gemini-api/docs/priority-inference (x-gemini-service-tier)
@pytest.mark.parametrize(
    ("asked", "served", "told"),
    [
        ("priority", "standard", None),
        ("priority", "priority", "priority"),
        ("priority", "", "priority"),
        ("", "flex", "flex"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_charged_at_the_tier_that_it_was_made_at(
    asked: str, served: str, told: str | None, stream: bool
) -> None:
    answer, headers = response({"text": "ok"}, finish="STOP"), {"x_gemini_service_tier": served} if served else {}
    kind = "text/event-stream" if stream else "application/json"
    data = stream_of([answer]) if stream else json.dumps(answer).encode()
    play = Play([http(data, 200, kind, connection="close", **headers)])
    usage = finish_of(by_us(play, stream=stream, options={"serviceTier": asked} if asked else {})).usage
    assert usage is not None
    assert usage.get("service_tier") == told
    options = types.HttpOptions(base_url="")
    with Wall([Play([http(data, 200, kind, connection="close", **headers)])]) as wall:
        options.base_url = wall.url
        read: Any = None
        if not stream:
            with genai.Client(api_key=KEY, http_options=options) as client:
                read = client.models.generate_content(model=MODEL, contents="hi")
    assert stream or read.sdk_http_response.headers.get("x-gemini-service-tier", "") == served


# -- what goes wrong ---------------------------------------------------------------------------------------------------

STREAM = stream_of(ANSWERS["thought, then text"])


@pytest.mark.parametrize("place", [0, 1, len(STREAM) // 3, len(STREAM) // 2, len(STREAM) - 5])
def test_a_cut_stream_is_a_failure_though_it_has_no_end_mark(place: int) -> None:
    """The SDK gives out what came and says nothing; here the missing finish reason tells."""
    failure = failure_of(lambda: by_us(cut_at(STREAM, place), stream=True))
    assert (failure.code, "ended before its end mark" in failure.message) == ("VENDOR_ERROR", True)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        *((reason, "VENDOR_ERROR") for reason in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER")),
        *((reason, "VENDOR_ERROR") for reason in ("MISSING_THOUGHT_SIGNATURE", "NO_IMAGE", "SOMETHING_NEW")),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_gemini_failed_to_make_is_a_failure_that_says_why(reason: str, code: str, stream: bool) -> None:
    answer = response(finish=reason, finishMessage="Malformed function call: print(")
    play = in_one_segment(stream_of([answer])) if stream else whole(answer)
    play = unlike(play) if reason == "SOMETHING_NEW" else play
    failure = failure_of(lambda: by_us(play, stream=stream))
    assert failure.code == code
    assert reason in failure.message
    assert "Malformed function call" in failure.message


@pytest.mark.parametrize("reason", [r.value for r in types.FinishReason if r.value != "FINISH_REASON_UNSPECIFIED"])
def test_every_finish_reason_of_the_sdk_is_a_reason_or_a_failure(reason: str) -> None:
    reader = Reader("gemini")
    try:
        events = list(reader.whole(response({"text": "x"}, finish=reason)))
    except Exception as error:
        assert getattr(error, "code", None) == "VENDOR_ERROR"  # noqa: PT017
    else:
        assert finish_of(events).reason in ("stop", "length", "content_filter")


@pytest.mark.parametrize("reason", [r.value for r in types.BlockedReason])
def test_a_blocked_prompt_is_the_callers_matter(reason: str) -> None:
    # https://ai.google.dev/api/generate-content#PromptFeedback
    answer = {"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 8}}
    for stream in (False, True):
        play = in_one_segment(stream_of([answer])) if stream else whole(answer)
        failure = failure_of(lambda play=play, stream=stream: by_us(play, stream=stream))  # type: ignore[misc]
        assert (failure.code, reason in failure.message) == ("CONTENT_FILTERED", True)


def test_what_was_blocked_while_it_was_written_says_so() -> None:
    events = by_us(in_one_segment(stream_of(ANSWERS["blocked while it was written"])), stream=True)
    assert [part["type"] for part in parts_of(events)] == ["text", "refusal"]
    assert finish_of(events).reason == "content_filter"


@pytest.mark.parametrize(
    ("body", "code", "wait"),
    [
        (error(400, "INVALID_ARGUMENT", "API key not valid.", INVALID_KEY), "UNAUTHORIZED", None),
        (
            error(
                400, "INVALID_ARGUMENT", "The input token count (1091639) exceeds the maximum number of tokens allowed"
            ),
            "CONTEXT_LENGTH_EXCEEDED",
            None,
        ),
        (error(400, "INVALID_ARGUMENT", "Please ensure that roles alternate"), "INVALID_REQUEST", None),
        (error(403, "PERMISSION_DENIED", "no"), "FORBIDDEN", None),
        (error(404, "NOT_FOUND", "models/gemini-0 is not found"), "VENDOR_ERROR", None),
        (error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", WAIT), "RATE_LIMITED", 32),
        (error(500, "INTERNAL", "An internal error has occurred"), "VENDOR_ERROR", None),
        (error(503, "UNAVAILABLE", "The model is overloaded"), "VENDOR_ERROR", None),
        (error(504, "DEADLINE_EXCEEDED", "late"), "VENDOR_TIMEOUT", None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_every_documented_error_has_its_code(body: Json, code: str, wait: float | None, stream: bool) -> None:
    play = whole(body, body["error"]["code"])
    failure = failure_of(lambda: by_us(play, stream=stream))
    assert (failure.code, failure.retry_after_s) == (code, wait)
    assert KEY not in failure.message
    with pytest.raises(errors.APIError) as raised:
        by_the_sdk(whole(body, body["error"]["code"]), stream=stream)
    assert raised.value.code == body["error"]["code"]


def test_an_error_inside_a_stream_is_the_failure_that_it_says() -> None:
    data = stream_of([response({"text": "Hel"}), error(503, "UNAVAILABLE", "The model is overloaded.")])
    failure = failure_of(lambda: by_us(in_one_segment(data), stream=True))
    assert (failure.code, "overloaded" in failure.message) == ("VENDOR_ERROR", True)
    with pytest.raises(errors.APIError):
        by_the_sdk(in_one_segment(data), stream=True)


@pytest.mark.parametrize("body", [{}, {"candidates": []}, {"candidates": [{"content": 3}]}, {"candidates": [{}]}])
def test_an_answer_of_another_shape_is_the_vendors_failure(body: Json) -> None:
    assert failure_of(lambda: by_us(unlike(whole(body)))).code == "VENDOR_ERROR"


@pytest.mark.parametrize(("model", "billed"), [("gemini-3.5-flash", 2), ("gemini-2.5-flash", 1)])
def test_searches_are_counted_as_they_are_billed(model: str, billed: int) -> None:
    # https://ai.google.dev/gemini-api/docs/google-search#pricing: by the query, before Gemini 3 by the prompt
    usage = usage_of({"promptTokenCount": 1}, {"webSearchQueries": ["a", "b"]}, model)
    assert usage is not None
    assert usage["search_units"] == billed
