"""Answers of the Messages API as our events, streamed or whole.

Stream events: https://platform.claude.com/docs/en/build-with-claude/streaming#event-types. A whole message is read as
the events that would have brought it, so there is one reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from infrai_runtime.vendors.base import Event, Finish, Fragment, Note, unknown_reason
from infrai_runtime.vendors.service_tier import tier_of

Json = Mapping[str, Any]

SEARCHED = "Claude bills its web searches apart; where the catalogue has no price for them, cost_usd is without them"
PAUSED = "the vendor paused a long turn; send the reply back as it is to let it go on"
COMPACTED = "the vendor stopped after it had compacted the conversation; send the reply back as it is to let it go on"
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "length",
    "compaction": "length",
    "refusal": "content_filter",
}
"""https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons; ``compaction``:
https://platform.claude.com/docs/en/build-with-claude/compaction"""
_TO_GO_ON = {"pause_turn": PAUSED, "compaction": COMPACTED}
_WITHOUT_A_NOTE = frozenset({"compaction", "container_upload"})
"""Blocks that are known and have no part of their own: they are kept as they came."""


@dataclass(slots=True)
class _Open:
    """A block whose end has not come: its place among our parts, its type there, and what only its end may tell."""

    index: int
    kind: str
    grows: str
    input: Any = None
    grown: int = 0
    citations: list[Json] = field(default_factory=list)
    kept: dict[str, Any] | None = None
    """The block itself, where no part of ours says what it holds."""


class Reader:
    """Takes a message's events in order and gives ours; ``end`` gives the last, when the end mark came.

    ``answer_tool`` is the name of the tool whose arguments are the answer. Raises KeyError, TypeError and the like for
    what is not in the API's shape.
    """

    def __init__(self, vendor: str, answer_tool: str | None = None) -> None:
        self._vendor = vendor
        self._answer_tool = answer_tool
        self._open: dict[int, _Open] = {}
        self._parts = 0
        self._called = False
        self._model: str | None = None
        self._usage: dict[str, Any] = {}
        self._reason: str | None = None
        self._explained: str | None = None
        self._container: Json = {}

    @property
    def usage(self) -> dict[str, Any] | None:
        """What the message has used so far, as the API says."""
        return usage_of(self._usage)

    @property
    def finished(self) -> bool:
        """Whether the message has said why it ended."""
        return self._reason is not None

    def feed(self, event: Json) -> Iterator[Event]:
        """The events that this one brings. Those that the reader does not know are passed over, as the API asks."""
        take = _TAKES.get(event["type"])
        if take is not None:
            yield from take(self, event)

    def whole(self, message: Json) -> Iterator[Event]:
        """The events of a message that came in one piece."""
        yield from self._begin({"message": message})
        for index, block in enumerate(message["content"]):
            yield from self._start({"index": index, "content_block": block})
            yield from self._stop({"index": index})
        yield from self._message_delta({"delta": message})
        yield from self.end()

    # -- the message ---------------------------------------------------------------------------------------------------

    def _begin(self, event: Json) -> Iterator[Event]:
        self._model = event["message"].get("model")
        self._add_usage(event["message"].get("usage"))
        self._container = event["message"].get("container") or {}
        yield from ()

    def _message_delta(self, event: Json) -> Iterator[Event]:
        self._add_usage(event.get("usage"))
        self._reason = event["delta"].get("stop_reason") or self._reason
        details = event["delta"].get("stop_details") or {}
        self._explained = details.get("explanation") or details.get("category")
        self._container = event["delta"].get("container") or self._container
        yield from ()

    def _add_usage(self, usage: Json | None) -> None:
        """The counts of later events are totals and replace earlier ones."""
        self._usage.update({name: value for name, value in (usage or {}).items() if value is not None})

    def end(self) -> Iterator[Event]:
        """The events that close the answer."""
        if self._reason == "refusal" and self._explained:
            yield Fragment(self._parts, {"type": "refusal", "text": self._explained, "done": True})
        yield from (Note(warning=warning) for warning in self._warnings())
        usage = self.usage
        if usage and "search_units" in usage:
            yield Note(warning=SEARCHED)
        yield Finish(self._finish_reason(), usage, self._model)

    def _warnings(self) -> Iterator[str]:
        if self._reason in _TO_GO_ON:
            yield _TO_GO_ON[self._reason]
        if self._reason is not None and self._reason not in _REASONS:
            yield unknown_reason(self._reason)
        if "id" in self._container:
            until = self._container.get("expires_at")
            yield f"the vendor's container {self._container['id']!r} lasts until {until}; its option container names it"

    def _finish_reason(self) -> str:
        reason = _REASONS.get(self._reason or "end_turn", "stop")
        return "stop" if reason == "tool_calls" and not self._called else reason

    # -- its blocks ----------------------------------------------------------------------------------------------------

    def _start(self, event: Json) -> Iterator[Event]:
        block = event["content_block"]
        kind = "answer" if block.get("name") == self._answer_tool and self._answer_tool else block["type"]
        begin = _BLOCKS.get(kind) or (_tool_result if kind.endswith("_tool_result") else _kept)
        if begin is _kept and kind not in _WITHOUT_A_NOTE:
            yield Note(warning=f"the reply has a part of type {kind!r}, which this version does not know; it is kept")
        part, grows = begin(block, self._vendor)
        self._called = self._called or part["type"] == "tool_call"
        opened = self._open[event["index"]] = _Open(self._parts, part["type"], grows, block.get("input"))
        opened.citations += block.get("citations") or ()
        opened.kept = dict(block) if begin is _kept else None
        self._parts += 1
        opened.grown = len(part.get(grows, ""))
        yield Fragment(opened.index, part)

    def _delta(self, event: Json) -> Iterator[Event]:
        opened, delta = self._open.get(event["index"]), event["delta"]
        if opened is None:
            return
        if delta["type"] == "citations_delta":
            opened.citations.append(delta["citation"])
        elif delta["type"] == "signature_delta":
            yield Fragment(opened.index, {"type": opened.kind, "opaque": delta["signature"]})
        elif opened.kept is not None:
            _grow(opened.kept, delta)
        elif delta["type"] in _GROWS:
            yield from self._grown(opened, delta[_GROWS[delta["type"]]])
        else:
            yield Note(warning=f"the reply has a {delta['type']!r}, which this version does not know; left out")

    def _grown(self, opened: _Open, text: str) -> Iterator[Event]:
        if text:
            opened.grown += len(text)
            yield Fragment(opened.index, {"type": opened.kind, opened.grows: text})

    def _stop(self, event: Json) -> Iterator[Event]:
        opened = self._open.pop(event["index"], None)
        if opened is None:
            return
        if opened.input is not None and not opened.grown:  # no argument was streamed: there are none, or all came whole
            yield from self._grown(opened, orjson.dumps(opened.input).decode())
        notes = [annotation(citation, opened.grown) for citation in opened.citations]
        late = {"annotations": notes, "native": opened.kept}
        rest = {name: value for name, value in late.items() if value}
        yield Fragment(opened.index, {"type": opened.kind, **rest, "done": True})


_TAKES: dict[str, Callable[[Reader, Json], Iterator[Event]]] = {
    "message_start": Reader._begin,
    "content_block_start": Reader._start,
    "content_block_delta": Reader._delta,
    "content_block_stop": Reader._stop,
    "message_delta": Reader._message_delta,
}
_GROWS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""Delta that makes a part grow -> where its text is."""


# -- blocks: the part that begins, and the field of it that grows ------------------------------------------------------

Begun = tuple[dict[str, Any], str]


def _text(block: Json, vendor: str) -> Begun:
    return {"type": "text", "text": block.get("text", "")}, "text"


def _thinking(block: Json, vendor: str) -> Begun:
    signature = {"opaque": block["signature"]} if block.get("signature") else {}
    return {"type": "reasoning", "text": block.get("thinking", ""), **signature}, "text"


def _redacted(block: Json, vendor: str) -> Begun:
    return {"type": "reasoning", "text": "", "opaque": {"redacted_thinking": block["data"]}}, "text"


def _tool_use(block: Json, vendor: str) -> Begun:
    about = _who_called(block)
    signed = {"opaque": about} if about else {}
    return {"type": "tool_call", "id": block["id"], "name": block["name"], "arguments": "", **signed}, "arguments"


def _who_called(block: Json) -> dict[str, Any]:
    """What has to go back with a call that the model did not make directly: the code that made it, its toolset
    (https://platform.claude.com/docs/en/agents-and-tools/tool-use/programmatic-tool-calling)."""
    caller = block.get("caller") or {}
    told = {"caller": dict(caller)} if caller.get("type", "direct") != "direct" else {}
    return told | ({"toolset_name": block["toolset_name"]} if block.get("toolset_name") else {})


def _server_tool_use(block: Json, vendor: str) -> Begun:
    ids = {"id": block["id"], "name": block["name"], "vendor": vendor}
    return {"type": "server_tool_call", **ids, "arguments": "", **_who_called(block)}, "arguments"


def _tool_result(block: Json, vendor: str) -> Begun:
    name = block["type"].removesuffix("_tool_result")
    ids = {"id": block["tool_use_id"], "name": name, "vendor": vendor}
    return {"type": "server_tool_result", **ids, "native": dict(block)}, "text"


def _kept(block: Json, vendor: str) -> Begun:
    """A block that no part of ours can hold. What it says comes with its end, in ``native``, and goes back as it is."""
    return {"type": "server_tool_result", "name": block["type"], "vendor": vendor}, "text"


def _grow(block: dict[str, Any], delta: Json) -> None:
    """Adds a delta to a kept block: texts grow, other values are replaced."""
    for name, value in delta.items():
        before = block.get(name)
        if name != "type" and value is not None:
            block[name] = before + value if isinstance(before, str) and isinstance(value, str) else value


def _answer(block: Json, vendor: str) -> Begun:
    return {"type": "text", "text": ""}, "text"


_BLOCKS: dict[str, Callable[[Json, str], Begun]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "server_tool_use": _server_tool_use,
    "answer": _answer,
}


def annotation(citation: Json, length: int) -> dict[str, Any]:
    """A citation as the wire has it: it stands for the whole text block, which is ``length`` characters long."""
    known = {
        "title": citation.get("document_title") or citation.get("title"),
        "url": citation.get("url"),
        "source": citation.get("source"),
        "quote": citation.get("cited_text"),
    }
    set_ones = {name: value for name, value in known.items() if value}
    return {"type": "citation", "start": 0, "end": length, **set_ones, "native": dict(citation)}


def usage_of(usage: Json) -> dict[str, Any] | None:
    """Usage in the OpenAI meaning. Here ``input_tokens`` are those that no cache had, and thinking is output already:
    https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance"""
    if not usage:
        return None
    cached, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    prompt = usage.get("input_tokens", 0) + (cached or 0) + (written or 0)
    completion = usage.get("output_tokens", 0)
    inputs = {"cached_tokens": cached, "cache_write_tokens": written, "cache_write_1h_tokens": _long_written(usage)}
    outputs = {"reasoning_tokens": (usage.get("output_tokens_details") or {}).get("thinking_tokens")}
    searches = (usage.get("server_tool_use") or {}).get("web_search_requests")
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        **_details("prompt_tokens_details", inputs),
        **_details("completion_tokens_details", outputs),
        **({"search_units": searches} if searches else {}),
        **tier_of(_tier(usage)),
    }


def _tier(usage: Json) -> str | None:
    """What makes this message cost something else than the list says: fast mode, a tier, where it was worked on
    (https://platform.claude.com/docs/en/about-claude/pricing)."""
    if usage.get("speed") == "fast":
        return "fast"
    return "us" if usage.get("inference_geo") == "us" else usage.get("service_tier")


def _long_written(usage: Json) -> int | None:
    """Tokens written for an hour, which cost more than those written for five minutes."""
    return (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or None


def _details(name: str, counts: Json) -> dict[str, Any]:
    known = {key: value for key, value in counts.items() if value is not None}
    return {name: known} if known else {}
