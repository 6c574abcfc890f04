"""What the adapter sends is what the official SDK's own types take, field by field; they refuse unknown fields."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from google.genai import types

from infrai_runtime.request import read
from infrai_runtime.vendors.gemini import make
from infrai_runtime.vendors.gemini.part import UNSIGNED
from infrai_runtime.vendors.gemini.request import ALLOWED_OPTIONS, drafted
from infrai_runtime.vendors.gemini.schema import held_to
from tests.core.wall import Play, Wall, http
from tests.runtime.vendors.gemini_answers import ANSWERS, MODEL, SIGNATURE, call, response, stream_of, whole_of
from tests.runtime.vendors.oracle import (
    KEY,
    call_of,
    chat,
    failure_of,
    finish_of,
    in_one_segment,
    parts_of,
    says,
    user,
    whole,
)

Json = dict[str, Any]

PRO, BUDGETED, BUDGETED_PRO, OLD = "gemini-3.1-pro-preview", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
SCHEMA = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}}
FORM = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}


def check(body: Json) -> None:
    """Raises for what the SDK's types do not know."""
    for content in body["contents"]:
        types.Content.model_validate(content)
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    if "systemInstruction" in body:
        types.Content.model_validate(body["systemInstruction"])
    types.GenerateContentConfig.model_validate(
        {**body.get("generationConfig", {}), "toolConfig": body.get("toolConfig")}
    )
    assert body.keys() <= {
        *("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"),
    }


def body_of(given: Json, model: str = MODEL, **options: Any) -> Json:
    body = drafted(read("chat", given).body, model, options).body
    check(body)
    return body


def warned(given: Json, model: str = MODEL) -> list[str]:
    return drafted(read("chat", given).body, model, {}).warnings


def asked(**more: Any) -> Json:
    return {"messages": "hi", **more}


def config_of(given: Json, model: str = MODEL) -> Json:
    config: Json = body_of(given, model).get("generationConfig", {})
    return config


# -- messages ----------------------------------------------------------------------------------------------------------


def test_a_prompt_is_one_user_content_and_the_system_prompt_stands_apart() -> None:
    given = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]}
    assert body_of(given) == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    }


def test_a_late_system_message_is_moved_and_told() -> None:
    given = {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "Be brief."}]}
    assert "systemInstruction" in body_of(given)
    assert warned(given) == ["messages.1: Gemini takes system messages before all others; it was moved there"]


def test_results_name_their_function_and_parallel_ones_share_a_content() -> None:
    calls = [{"type": "tool_call", "id": n, "name": f"f_{n}", "arguments": '{"x": 1}'} for n in ("a", "b")]
    results: list[Json] = [
        {"type": "tool_result", "tool_call_id": "b", "parts": [{"type": "text", "text": '{"n": 2}'}]},
        {"type": "tool_result", "tool_call_id": "a", "parts": [{"type": "text", "text": "broken"}], "is_error": True},
    ]
    given = {"messages": [user("go"), says(*calls), user("and?", results[0]), user(results[1])]}
    contents = body_of(given)["contents"]
    assert [part["functionCall"] for part in contents[1]["parts"]] == [
        {"id": "a", "name": "f_a", "args": {"x": 1}},
        {"id": "b", "name": "f_b", "args": {"x": 1}},
    ]
    assert contents[2]["parts"] == [
        {"functionResponse": {"id": "b", "name": "f_b", "response": {"n": 2}}},
        {"functionResponse": {"id": "a", "name": "f_a", "response": {"error": "broken"}}},
        {"text": "and?"},
    ]


@pytest.mark.parametrize(("text", "sent"), [("21 °C", {"output": "21 °C"}), ("[1]", {"output": [1]}), ("{}", {})])
def test_a_result_that_is_no_object_is_wrapped_in_one(text: str, sent: Json) -> None:
    result = {"type": "tool_result", "tool_call_id": "a", "parts": [{"type": "text", "text": text}]}
    given = {"messages": [says({"type": "tool_call", "id": "a", "name": "f"}), user(result)]}
    assert body_of(given)["contents"][1]["parts"][0]["functionResponse"]["response"] == sent


def test_a_result_without_its_call_is_refused_because_its_function_is_unknown() -> None:
    failure = failure_of(lambda: body_of({"messages": [user({"type": "tool_result", "tool_call_id": "lost"})]}))
    assert (failure.code, failure.param) == ("INVALID_REQUEST", "messages.0.parts.0.tool_call_id")


def test_a_picture_in_a_result_goes_inside_it_where_the_model_takes_that() -> None:
    picture = {"type": "image", "base64": PNG, "mime": "image/png"}
    result = {"type": "tool_result", "tool_call_id": "a", "parts": [picture]}
    given = {"messages": [says({"type": "tool_call", "id": "a", "name": "f"}), user(result)]}
    sent = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    assert body_of(given)["contents"][1]["parts"][0]["functionResponse"]["parts"] == [sent]
    assert body_of(given, BUDGETED)["contents"][1]["parts"][1] == sent


@pytest.mark.parametrize("name", ["parallel calls, one without arguments", "a signature at the end", "code", "text"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_goes_back_as_the_parts_that_it_came_as(name: str, stream: bool) -> None:
    """Signatures stand on the very parts that they came with, and what the vendor ran goes back too."""
    play = in_one_segment(stream_of(ANSWERS[name])) if stream else whole(whole_of(ANSWERS[name]))
    events, _ = chat(make, "gemini", [play], {"messages": [user("hi")]}, call_of(MODEL, stream=stream))
    reply = {"role": "assistant", "parts": parts_of(events)}
    came = whole_of(ANSWERS[name])["candidates"][0]["content"]
    assert body_of({"messages": [user("hi"), reply, user("go on")]})["contents"][1] == came


def test_summaries_of_thoughts_and_what_a_search_found_are_not_sent_back() -> None:
    for name in ("thought, then text", "grounded"):
        events, _ = chat(make, "gemini", [whole(whole_of(ANSWERS[name]))], {"messages": [user("hi")]}, call_of(MODEL))
        sent = body_of({"messages": [user("hi"), {"role": "assistant", "parts": parts_of(events)}, user("x")]})
        assert all("text" in part and "thought" not in part for part in sent["contents"][1]["parts"])


def test_calls_of_another_vendor_get_the_documented_stand_in_where_signatures_are_demanded() -> None:
    calls = [{"type": "tool_call", "id": n, "name": "f"} for n in ("a", "b")]
    result: Json = {"type": "tool_result", "tool_call_id": "a"}
    given = {"messages": [user("go"), says(*calls), user(result, result | {"tool_call_id": "b"})]}
    assert [part.get("thoughtSignature") for part in body_of(given)["contents"][1]["parts"]] == [UNSIGNED, None]
    assert [part.get("thoughtSignature") for part in body_of(given, BUDGETED)["contents"][1]["parts"]] == [None, None]
    own = {"messages": [user("go"), says(calls[0] | {"opaque": SIGNATURE}), user(result)]}
    assert body_of(own)["contents"][1]["parts"][0]["thoughtSignature"] == SIGNATURE


@pytest.mark.parametrize(
    "native", [None, {"text": "x"}, {"functionResponse": {}}, {"fileData": {"fileUri": "https://a.example"}}]
)
def test_only_parts_of_server_tools_go_in_as_they_are(native: Any) -> None:
    part = {"type": "server_tool_call", "vendor": "gemini"} | ({"native": native} if native else {})
    failure = failure_of(lambda: body_of({"messages": [says(part), user("x")]}))
    assert (failure.code, failure.param) == ("INVALID_REQUEST", "messages.0.parts.0.native")


def test_a_part_that_was_kept_goes_back_as_it_came() -> None:
    kept = {"type": "server_tool_result", "vendor": "gemini", "native": {"audioTranscription": {"text": "hum"}}}
    read = kept | {"native": {"urlContextMetadata": {"urlMetadata": []}}}
    sent = body_of({"messages": [user("go"), says(kept, read, "ok"), user("x")]})["contents"][1]["parts"]
    assert sent == [{"audioTranscription": {"text": "hum"}}, {"text": "ok"}]


# -- media -------------------------------------------------------------------------------------------------------------


def media_sent(part: Json) -> Json:
    request = read("chat", {"messages": [user(part, "what is it?")]}).body
    _, wall = chat(make, "gemini", [whole(response({"text": "ok"}, finish="STOP"))], request, call_of(MODEL))
    check(wall.requests[0].body)
    sent: Json = wall.requests[0].body["contents"][0]["parts"][0]
    return sent


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        ({"type": "image", "base64": PNG}, {"inlineData": {"mimeType": "image/png", "data": PNG}}),
        (
            {"type": "audio", "base64": "AAAA", "mime": "audio/wav"},
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        ),
        (
            {"type": "file", "base64": "JVBERi0=", "mime": "application/pdf"},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
        ),
        (
            {"type": "video", "url": "https://www.youtube.com/watch?v=9hE5-98ZeCg"},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=9hE5-98ZeCg"}},
        ),
        (
            {"type": "file", "url": "https://generativelanguage.googleapis.com/v1beta/files/a", "mime": "text/plain"},
            {
                "fileData": {
                    "mimeType": "text/plain",
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a",
                }
            },
        ),
    ],
)
def test_media_go_as_the_parts_that_gemini_reads(part: Json, sent: Json) -> None:
    assert media_sent(part) == sent


def test_any_other_url_is_fetched_here_by_the_guarded_fetcher() -> None:
    with Wall([Play([http(base64.b64decode(PNG), kind="image/png")])]) as media:
        assert media_sent({"type": "image", "url": f"{media.url}/a"}) == {
            "inlineData": {"mimeType": "image/png", "data": PNG}
        }


def test_a_vision_request_is_a_chat_with_the_images_first() -> None:
    request = {"prompt": "what?", "images": [{"base64": PNG}], "temperature": 0}
    play = whole(response({"text": "A cat."}, finish="STOP"))
    events, wall = chat(make, "gemini", [play], request, call_of(MODEL), method="see")
    assert [next(iter(part)) for part in wall.requests[0].body["contents"][0]["parts"]] == ["inlineData", "text"]
    assert (parts_of(events)[0]["text"], wall.requests[0].body["generationConfig"]) == ("A cat.", {"temperature": 0})


# -- tools and structured answers --------------------------------------------------------------------------------------

STRICT = {"type": "function", "function": {**WEATHER["function"], "strict": True}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("given", "calling"),
    [
        ({"tools": [WEATHER]}, None),
        ({"tools": [WEATHER], "tool_choice": "none"}, {"mode": "NONE"}),
        ({"tools": [WEATHER], "tool_choice": "required"}, {"mode": "ANY"}),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
        ),
        ({"tools": [STRICT]}, {"mode": "VALIDATED"}),
        ({"tools": [STRICT], "tool_choice": "required"}, {"mode": "ANY"}),
    ],
)
def test_every_tool_choice_has_its_form(given: Json, calling: Json | None) -> None:
    body = body_of(asked(**given))
    assert body.get("toolConfig") == (calling and {"functionCallingConfig": calling})
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "get_weather", "description": "Weather", "parametersJsonSchema": SCHEMA},
            ]
        }
    ]


def test_a_tool_without_parameters_declares_none_and_serial_calls_cannot_be_had() -> None:
    given = asked(tools=[{"type": "function", "function": {"name": "now"}}], parallel_tool_calls=False)
    assert body_of(given)["tools"] == [{"functionDeclarations": [{"name": "now"}]}]
    assert warned(given)[0].startswith("parallel_tool_calls: ")


def test_structured_answers_go_beside_tools_where_the_model_takes_both() -> None:
    form = {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    assert config_of(asked(response_format=FORM)) == form
    assert config_of(asked(response_format=FORM, tools=[WEATHER])) == form
    assert config_of(asked(response_format={"type": "json_object"})) == {"responseMimeType": "application/json"}


@pytest.mark.parametrize("stream", [False, True])
def test_older_models_with_tools_answer_through_a_tool(stream: bool) -> None:
    given = asked(response_format=FORM, tools=[WEATHER])
    body = body_of(given, BUDGETED)
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert [f["name"] for f in body["tools"][0]["functionDeclarations"]] == ["get_weather", "give_answer"]
    answer = response(call("give_answer", {"location": "Paris"}), finish="STOP")
    play = in_one_segment(stream_of([answer])) if stream else whole(answer)
    events, _ = chat(make, "gemini", [play], read("chat", given).body, call_of(BUDGETED, stream=stream))
    assert parts_of(events) == [{"type": "text", "text": '{"location":"Paris"}'}]
    assert finish_of(events).reason == "stop"


@pytest.mark.parametrize(
    ("schema", "held"),
    [
        ({"const": "a"}, {"enum": ["a"]}),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"type": "number", "minimum": 1}, {"type": "number", "minimum": 1}),
        ({"type": "string", "pattern": "^a"}, {"type": "string", "description": 'pattern: "^a"'}),
        ({"type": "string", "format": "uuid"}, {"type": "string", "description": "format: uuid"}),
        (
            {"allOf": [{"$ref": "#/definitions/A"}], "definitions": {"A": {"type": "string"}}},
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}},
        ),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ),
    ],
)
def test_a_schema_is_cut_down_to_what_gemini_reads(schema: Json, held: Json) -> None:
    assert held_to(schema) == held


# -- reasoning, sampling, options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        (MODEL, "minimal", {"thinkingLevel": "minimal", "includeThoughts": True}),
        (MODEL, "none", {"thinkingLevel": "minimal"}),
        (MODEL, "high", {"thinkingLevel": "high", "includeThoughts": True}),
        (PRO, "minimal", {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-flash-latest", "medium", {"thinkingLevel": "medium", "includeThoughts": True}),
        (BUDGETED, "none", {"thinkingBudget": 0}),
        (BUDGETED, "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        (BUDGETED_PRO, "none", {"thinkingBudget": 128}),
        (OLD, "high", None),
    ],
)
def test_reasoning_effort_is_said_in_each_models_words(model: str, effort: str, thinking: Json | None) -> None:
    assert config_of(asked(reasoning_effort=effort), model).get("thinkingConfig") == thinking


def test_an_unknown_effort_is_refused_with_those_that_are_known() -> None:
    failure = failure_of(lambda: body_of(asked(reasoning_effort="enormous")))
    assert (failure.code, failure.param, "medium" in failure.message) == ("INVALID_REQUEST", "reasoning_effort", True)


def test_sampling_stop_and_what_other_surfaces_pass_through() -> None:
    given = asked(temperature=1.5, top_p=0.9, max_tokens=9, seed=3, stop=["a", "b", "c", "d", "e", "f"], user="u")
    body = read("chat", given).body | {"passthrough": {"presence_penalty": 0.5, "logit_bias": {}}, "logprobs": True}
    draft = drafted(body | {"top_logprobs": 2, "choices": 2}, MODEL, {})
    check(draft.body)
    assert draft.body["generationConfig"] == {
        "temperature": 1.5,
        "topP": 0.9,
        "maxOutputTokens": 9,
        "candidateCount": 2,
        "seed": 3,
        "responseLogprobs": True,
        "logprobs": 2,
        "presencePenalty": 0.5,
        "stopSequences": ["a", "b", "c", "d", "e"],
    }
    assert [warning.partition(":")[0] for warning in draft.warnings] == ["stop", "user", "logit_bias"]


def test_a_callers_options_go_where_the_api_has_them() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    body = body_of(asked(tools=[WEATHER]), safetySettings=safety, topK=3, tools=[{"googleSearch": {}}])
    assert (body["safetySettings"], body["generationConfig"]) == (safety, {"topK": 3})
    assert body["tools"][1] == {"googleSearch": {}}


def test_no_option_of_a_caller_names_hosts_or_other_functions() -> None:
    assert not ALLOWED_OPTIONS & {"model", "contents", "systemInstruction", "generationConfig", "base_url"}
    wrong: list[Any] = [[{"mcpServers": []}], [{"functionDeclarations": []}], ["x"], "x"]
    for tools in wrong:
        assert failure_of(lambda tools=tools: body_of(asked(), tools=tools)).code == "INVALID_REQUEST"  # type: ignore[misc]


def test_the_key_is_a_header_and_no_url_has_it() -> None:
    play = in_one_segment(stream_of(ANSWERS["text"]))
    _, wall = chat(make, "gemini", [play], {"messages": [user("hi")]}, call_of("models/a b", stream=True))
    (seen,) = wall.requests
    assert seen.headers["x-goog-api-key"] == KEY
    assert seen.path == "/v1beta/models/a%20b:streamGenerateContent?alt=sse"
    assert "authorization" not in seen.headers
