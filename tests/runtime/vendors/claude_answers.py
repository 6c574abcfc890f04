"""Answers of the Messages API, in the shapes that its documentation and its SDK's tests show.

A message is written once; ``stream_of`` gives it out as the documentation says streams come
(https://platform.claude.com/docs/en/build-with-claude/streaming): ``message_start`` with empty content, per block
``content_block_start``, deltas, ``content_block_stop``, then ``message_delta`` with the stop reason and the final
usage, ``message_stop``; ``ping`` anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

MODEL = "claude-sonnet-4-6"


def message(*content: Json, stop: str = "end_turn", usage: Json | None = None, **more: Any) -> Json:
    # https://platform.claude.com/docs/en/api/messages/create (response example)
    return {
        "id": "msg_013Zva2CMHLNnjNjJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 25, "output_tokens": 15},
        **more,
    }


def text(value: str, **more: Any) -> Json:
    return {"type": "text", "text": value, **more}


def tool_use(call_id: str, name: str, arguments: Json) -> Json:
    # https://github.com/anthropics/anthropic-sdk-python/blob/main/tests/lib/streaming/fixtures/tool_use_response.txt
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments, "caller": {"type": "direct"}}


# https://platform.claude.com/docs/en/build-with-claude/extended-thinking (signature, redacted thinking, interleaving)
THINKING = {"type": "thinking", "thinking": "Let me see… 27 × 453.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h=="}
THINKING_AGAIN = {"type": "thinking", "thinking": "The tool says 12231.", "signature": "ErUBCkYIBxgCIkDvRmb4iA9k=="}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpP"}

# https://platform.claude.com/docs/en/build-with-claude/citations and .../web-search-tool#response
DOCUMENT_CITATION = {
    "type": "char_location",
    "cited_text": "The grass is green. ",
    "document_index": 0,
    "document_title": "My Document",
    "file_id": None,
    "start_char_index": 0,
    "end_char_index": 20,
}
WEB_CITATION = {
    "type": "web_search_result_location",
    "url": "https://en.wikipedia.org/wiki/Claude_Shannon",
    "title": "Claude Shannon - Wikipedia",
    "encrypted_index": "Eo8BCioIAhgBIiQyYjQ0OWJmZi1lNm..",
    "cited_text": "Claude Elwood Shannon (April 30, 1916 – February 24, 2001) was an American mathematician",
}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_01WYG3ziw53XMcoyKL4XcZmE", "name": "web_search"} | {
    "input": {"query": "claude shannon birth date"}
}
SEARCH_RESULT = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_01WYG3ziw53XMcoyKL4XcZmE",
    "content": [
        {
            "type": "web_search_result",
            "url": "https://en.wikipedia.org/wiki/Claude_Shannon",
            "title": "Claude Shannon - Wikipedia",
            "encrypted_content": "EqgfCioIARgBIiQ3YTAwMjY1Mi1mZjM5LTQ1NGUtODgxNC1kNjNjNTk1ZWI3Y...",
            "page_age": "April 30, 2025",
        }
    ],
}

# https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance
FULL_USAGE = {
    "input_tokens": 2048,
    "cache_read_input_tokens": 1800,
    "cache_creation_input_tokens": 248,
    "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
    "output_tokens": 503,
    "output_tokens_details": {"thinking_tokens": 120},
    "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
    "service_tier": "standard",
}
# https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons#refusal
REFUSED = {"type": "refusal", "category": "cyber", "explanation": "This could enable cyber harm."}

ANSWERS: dict[str, Json] = {
    "text": message(text("Hi! My name is Claude. 你好, naïve café 🦝.")),
    "nothing": message(),
    "empty text": message(text("")),
    "thinking, then text": message(THINKING, text("12231")),
    "redacted and interleaved thinking with tools": message(
        THINKING,
        REDACTED,
        text("I will compute that."),
        tool_use("toolu_01", "multiply", {"a": 27, "b": 453}),
        THINKING_AGAIN,
        tool_use("toolu_02", "multiply", {"a": 1, "b": 12231}),
        stop="tool_use",
    ),
    "parallel tools, one without arguments": message(
        tool_use(
            "toolu_01NRLabsLyVHZPKxbKvkfSMn", "get_weather", {"location": "Paris, \u00cele-de-France", "unit": "c"}
        ),
        tool_use("toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_time", {}),
        stop="tool_use",
    ),
    "citations of a document": message(
        text("According to the document, "), text("the grass is green", citations=[DOCUMENT_CITATION])
    ),
    "web search": message(
        text("I'll search for when Claude Shannon was born."),
        SEARCH,
        SEARCH_RESULT,
        text("Claude Shannon was born on April 30, 1916", citations=[WEB_CITATION]),
        usage=FULL_USAGE,
    ),
    "refused": message(text("I"), stop="refusal", stop_details=REFUSED),
    "too long": message(text("Once upon"), stop="max_tokens"),
    "stopped by a sequence": message(text("one two "), stop="stop_sequence", stop_sequence="three"),
    "context exhausted": message(text("and so"), stop="model_context_window_exceeded"),
    "paused": message(SEARCH, stop="pause_turn"),
    # https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool#retrieve-generated-files
    "a file that code made": message(
        {"type": "container_upload", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"},
        text("Here is your plot."),
        container={"id": "container_011CPR5CNjB747bTd36fQLFk", "expires_at": "2026-11-27T21:00:00Z"},
    ),
    # https://platform.claude.com/docs/en/agents-and-tools/tool-use/programmatic-tool-calling#example-workflow
    "a call that code made": message(
        tool_use("toolu_01", "query_database", {"sql": "SELECT 1"})
        | {"caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_01A2B3C4"}},
        stop="tool_use",
    ),
    "full usage": message(text("ok"), usage=FULL_USAGE),
}


_CLAUDE = "https://platform.claude.com/docs/en"
_THINKING = f"{_CLAUDE}/build-with-claude/extended-thinking"
_TESTS = "anthropic 2.14: tests/lib/streaming/fixtures"
SOURCES: dict[str, str] = {
    "text": f"{_TESTS}/basic_response.txt",
    "nothing": f"{_CLAUDE}/build-with-claude/handling-stop-reasons#empty-responses-with-end_turn",
    "empty text": f"{_CLAUDE}/build-with-claude/handling-stop-reasons#empty-responses-with-end_turn",
    "thinking, then text": _THINKING,
    "redacted and interleaved thinking with tools": f"{_THINKING}#interleaved-thinking",
    "parallel tools, one without arguments": f"{_TESTS}/tool_use_response.txt",
    "citations of a document": f"{_CLAUDE}/build-with-claude/citations",
    "web search": f"{_CLAUDE}/agents-and-tools/tool-use/web-search-tool#response",
    "refused": f"{_CLAUDE}/build-with-claude/handling-stop-reasons#refusal",
    "too long": f"{_CLAUDE}/build-with-claude/handling-stop-reasons#max_tokens",
    "stopped by a sequence": f"{_CLAUDE}/build-with-claude/handling-stop-reasons#stop_sequence",
    "context exhausted": f"{_CLAUDE}/build-with-claude/handling-stop-reasons#model_context_window_exceeded",
    "paused": f"{_CLAUDE}/build-with-claude/handling-stop-reasons#pause_turn",
    "a file that code made": f"{_CLAUDE}/agents-and-tools/tool-use/code-execution-tool#retrieve-generated-files",
    "a call that code made": f"{_CLAUDE}/agents-and-tools/tool-use/programmatic-tool-calling#example-workflow",
    "full usage": f"{_CLAUDE}/build-with-claude/prompt-caching#tracking-cache-performance",
}
"""Name of an answer -> where its shape is from."""


def stream_of(answer: Json, *, pieces: int = 4) -> bytes:
    """The event stream of a message."""
    return b"".join(_sse(event) for event in events_of(answer, pieces))


def _sse(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def events_of(answer: Json, pieces: int = 4) -> Iterator[Json]:
    usage = answer["usage"]
    first = {name: value for name, value in usage.items() if name not in _LATE} | {"output_tokens": 1}
    start = {**answer, "content": [], "stop_reason": None, "stop_sequence": None, "usage": first}
    start.pop("stop_details", None)
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(answer["content"]):
        yield {"type": "content_block_start", "index": index, "content_block": _begun(block)}
        if index == 0:
            yield {"type": "ping"}
        for delta in _deltas(block, pieces):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    told = {name: answer[name] for name in ("stop_reason", "stop_sequence", "stop_details") if name in answer}
    late = {name: value for name, value in usage.items() if name in _LATE}
    yield {"type": "message_delta", "delta": told, "usage": late}
    yield {"type": "message_stop"}


_LATE = ("output_tokens", "output_tokens_details", "server_tool_use")


def _begun(block: Json) -> Json:
    begins: dict[str, Json] = {
        "text": {"text": ""} | ({"citations": []} if "citations" in block else {}),
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
        "server_tool_use": {"input": {}},
    }
    return block | begins.get(block["type"], {})


def _deltas(block: Json, pieces: int) -> Iterator[Json]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": piece} for piece in _cut(block["text"], pieces))
        yield from ({"type": "citations_delta", "citation": citation} for citation in block.get("citations", ()))
    elif block["type"] == "thinking":
        yield from ({"type": "thinking_delta", "thinking": piece} for piece in _cut(block["thinking"], pieces))
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"].endswith("tool_use"):
        yield {"type": "input_json_delta", "partial_json": ""}
        told = json.dumps(block["input"]) if block["input"] else ""
        yield from ({"type": "input_json_delta", "partial_json": piece} for piece in _cut(told, pieces))


def _cut(value: str, pieces: int) -> list[str]:
    size = max(1, -(-len(value) // pieces))
    return [value[i : i + size] for i in range(0, len(value), size)]


def error(kind: str, text: str) -> Json:
    # https://platform.claude.com/docs/en/api/errors#error-shapes
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}
