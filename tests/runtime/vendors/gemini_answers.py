"""Answers of ``generateContent``, in the shapes that its reference, its guides and its SDK's tests show.

An answer is the list of response objects that a stream brings (``data:`` lines, no end mark); the whole answer of
``generateContent`` has their parts in one object, as ``whole_of`` puts them together.
"""

from __future__ import annotations

import base64
import json
from typing import Any

Json = dict[str, Any]

MODEL = "gemini-3.5-flash"
# https://ai.google.dev/gemini-api/docs/text-generation (response), #UsageMetadata
USAGE = {"promptTokenCount": 8, "candidatesTokenCount": 5, "totalTokenCount": 13} | {
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}]
}
SIGNATURE = base64.b64encode(b"signature of a thought").decode()
OTHER_SIGNATURE = base64.b64encode(b"another one").decode()
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()


def response(*parts: Json, finish: str | None = None, usage: Json | None = None, **candidate: Any) -> Json:
    # https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
    ended = {"finishReason": finish} if finish else {}
    return {
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **ended, **candidate}],
        "usageMetadata": usage or USAGE,
        "modelVersion": MODEL,
        "responseId": "Il0taoSYJ5Cez7",
    }


def call(name: str, arguments: Json, call_id: str | None = "fc_1", **more: Any) -> Json:
    # https://ai.google.dev/gemini-api/docs/function-calling#step-2
    return {"functionCall": {"name": name, "args": arguments, **({"id": call_id} if call_id else {})}, **more}


# https://ai.google.dev/gemini-api/docs/google-search#understanding-the-response; places are bytes
GROUNDED = "Spain won Euro 2024 — ¡olé! England lost."
GROUNDING = {
    "webSearchQueries": ["UEFA Euro 2024 winner", "who won euro 2024"],
    "searchEntryPoint": {"renderedContent": "<div>…</div>"},
    "groundingChunks": [
        {"web": {"uri": "https://vertexaisearch.cloud.google.com/a", "title": "aljazeera.com"}},
        {"web": {"uri": "https://vertexaisearch.cloud.google.com/b", "title": "uefa.com"}},
    ],
    "groundingSupports": [
        {
            "segment": {"startIndex": 0, "endIndex": 19, "text": "Spain won Euro 2024"},
            "groundingChunkIndices": [0],
        },
        {
            "segment": {
                "startIndex": len("Spain won Euro 2024 — ¡olé! ".encode()),
                "endIndex": len(GROUNDED.encode()),
                "text": "England lost.",
            },
            "groundingChunkIndices": [0, 1],
        },
    ],
}
# https://ai.google.dev/gemini-api/docs/code-execution
CODE = {"executableCode": {"language": "PYTHON", "code": "print(2 + 2)", "id": "ex_1"}}
RESULT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "4\n", "id": "ex_1"}}
# https://ai.google.dev/gemini-api/docs/thinking#pricing, .../caching, .../audio
FULL_USAGE = {
    "promptTokenCount": 2152,
    "cachedContentTokenCount": 2027,
    "toolUsePromptTokenCount": 40,
    "candidatesTokenCount": 96,
    "thoughtsTokenCount": 120,
    "totalTokenCount": 2408,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2052}, {"modality": "AUDIO", "tokenCount": 100}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 96}],
}

ANSWERS: dict[str, list[Json]] = {
    "text": [
        response({"text": "Hi! 你"}),
        response({"text": "好, naïve "}),
        response({"text": "café 🦝."}, finish="STOP"),
    ],
    # the last object of a stream may have no part at all
    "text with an empty end": [response({"text": "Hi"}), response(finish="STOP")],
    "thought, then text": [
        response({"text": "**Adding**", "thought": True}),
        response({"text": " it up.", "thought": True}),
        response({"text": "It is "}),
        response({"text": "4.", "thoughtSignature": SIGNATURE}, finish="STOP", usage=FULL_USAGE),
    ],
    # https://ai.google.dev/gemini-api/docs/thought-signatures: a signature may come with an empty text at the end
    "a signature at the end": [
        response({"text": "It is "}),
        response({"text": "4."}),
        response({"text": "", "thoughtSignature": SIGNATURE}, finish="STOP"),
    ],
    # ... and of parallel calls, only the first is signed
    "parallel calls, one without arguments": [
        response({"text": "Let me look."}),
        response(
            call("get_weather", {"location": "Île-de-France", "unit": "c"}, "fc_1", thoughtSignature=SIGNATURE),
            call("get_time", {}, "fc_2"),
            finish="STOP",
        ),
    ],
    "grounded": [
        response({"text": GROUNDED[:20]}),
        response({"text": GROUNDED[20:]}, finish="STOP", groundingMetadata=GROUNDING),
    ],
    "quoted": [
        response(
            {"text": "To be, or not to be"},
            finish="STOP",
            citationMetadata={
                "citationSources": [{"startIndex": 0, "endIndex": 19, "uri": "https://a.example/hamlet"}]
            },
        )
    ],
    "code": [response(CODE), response(RESULT), response({"text": "4"}, finish="STOP")],
    "an image": [
        response({"text": "Here: "}),
        response({"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": SIGNATURE}, finish="STOP"),
    ],
    "too long": [response({"text": "Once upon"}, finish="MAX_TOKENS")],
    "blocked while it was written": [
        response({"text": "First you"}),
        response(finish="SAFETY", finishMessage="The answer was blocked."),
    ],
    "full usage": [response({"text": "ok"}, finish="STOP", usage=FULL_USAGE)],
}


_GUIDE = "https://ai.google.dev/gemini-api/docs"
_REFERENCE = "https://ai.google.dev/api/generate-content"
SOURCES: dict[str, str] = {
    "text": f"{_GUIDE}/text-generation#streaming-responses",
    "text with an empty end": f"{_REFERENCE}#v1beta.GenerateContentResponse",
    "thought, then text": f"{_GUIDE}/thinking#summaries",
    "a signature at the end": f"{_GUIDE}/thought-signatures",
    "parallel calls, one without arguments": f"{_GUIDE}/function-calling#parallel_function_calling",
    "grounded": f"{_GUIDE}/google-search#understanding-the-response",
    "quoted": f"{_REFERENCE}#citationmetadata",
    "code": f"{_GUIDE}/code-execution",
    "an image": f"{_GUIDE}/image-generation",
    "too long": f"{_REFERENCE}#FinishReason",
    "blocked while it was written": f"{_GUIDE}/safety-settings",
    "full usage": f"{_REFERENCE}#UsageMetadata",
}
"""Name of an answer -> where its shape is from."""


def whole_of(responses: list[Json]) -> Json:
    """The one object that ``generateContent`` answers with: texts of one kind are one part there."""
    parts: list[Json] = []
    candidate: Json = {}
    for made in responses:
        (came,) = made["candidates"]
        candidate |= came
        for part in came["content"]["parts"]:
            before = parts[-1] if parts else {}
            joins = "text" in part and "text" in before and part.get("thought") == before.get("thought")
            if joins and not (before.keys() | part.keys()) & {"thoughtSignature"}:
                parts[-1] = before | {"text": before["text"] + part["text"]}
            else:
                parts.append(part)
    return {**responses[-1], "candidates": [{**candidate, "content": {"role": "model", "parts": parts}}]}


def stream_of(responses: list[Json]) -> bytes:
    """``streamGenerateContent?alt=sse``: one ``data:`` line per object, CRLF."""
    return b"".join(b"data: " + json.dumps(made, ensure_ascii=False).encode() + b"\r\n\r\n" for made in responses)


def error(code: int, status: str, text: str, *details: Json) -> Json:
    # https://ai.google.dev/gemini-api/docs/troubleshooting, https://google.aip.dev/193
    return {
        "error": {"code": code, "message": text, "status": status, **({"details": list(details)} if details else {})}
    }


INVALID_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
}
WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "32s"}
