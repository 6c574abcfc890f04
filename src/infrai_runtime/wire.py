"""The native surface: envelopes, server-sent events, and results as reply data (docs/protocol.md, sections 2 to 4).

Everything here is plain dictionaries and bytes; the OpenAI-shaped surface is ``openai_surface``. Both are a
``Surface``, so that the service does not know which is spoken.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from infrai_core.errors import CODES
from infrai_runtime.assembly import flat
from infrai_runtime.failure import Failure
from infrai_runtime.request import Ask
from infrai_runtime.vendors.base import Fragment

Json = dict[str, Any]

JSON = "application/json"
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


class Frames(Protocol):
    """Turns the events of one streamed answer into frames."""

    def fragment(self, fragment: Fragment) -> bytes:
        """The frame of a fragment."""

    def end(self, data: Json, metadata: Json) -> bytes:
        """The last frames of a whole answer, with its end mark."""

    def error(self, failure: Failure, metadata: Json) -> bytes:
        """The frame of a failure after the first byte; nothing follows it."""


class Surface(Protocol):
    """One way to speak: how replies, streams and errors look."""

    name: str

    def reply(self, ask: Ask, data: Json, metadata: Json) -> tuple[str, bytes]:
        """The media type and the body of a reply."""

    def frames(self, answer_id: str, model: str, include_usage: bool) -> Frames:
        """The frame writer of one stream."""

    def failure(self, failure: Failure, metadata: Json) -> bytes:
        """The body of an error."""


def dumps(value: Any) -> bytes:
    """JSON as bytes; keys in the order given."""
    return orjson.dumps(value)


def status_of(failure: Failure) -> int:
    """The HTTP status of a failure."""
    rule = CODES.get(failure.code)
    return rule.status if rule else 500


def is_retryable(failure: Failure) -> bool:
    """Whether the same call may go well later."""
    rule = CODES.get(failure.code)
    return bool(rule and rule.retryable)


def error_of(failure: Failure) -> Json:
    """The ``error`` object of the envelope."""
    error = {"code": failure.code, "message": failure.message, "retryable": is_retryable(failure)}
    more = {"hint": failure.hint, "param": failure.param, "retry_after": failure.retry_after_s}
    return error | {name: value for name, value in more.items() if value is not None}


def envelope(data: Any, metadata: Json) -> Json:
    """A success of the native surface."""
    return {"ok": True, "data": data, "error": None, "metadata": metadata}


def failed(failure: Failure, metadata: Json) -> Json:
    """A failure of the native surface; attempts of the failure are part of the metadata."""
    rows = {"attempts": list(failure.attempts)} if failure.attempts else {}
    return {"ok": False, "data": None, "error": error_of(failure), "metadata": metadata | rows}


def frame(value: Any, event: str | None = None) -> bytes:
    """One server-sent event."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + orjson.dumps(value) + b"\n\n"


class ToolIndex:
    """Part index -> place among the tool calls, which is what the flat view counts."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}

    def place(self, part_index: int) -> int:
        """The place of the tool call that is part ``part_index``."""
        return self._places.setdefault(part_index, len(self._places))


def flat_delta(fragment: Fragment, tools: ToolIndex) -> Json:
    """The OpenAI-shaped view of a fragment; empty for a fragment that has none."""
    part = fragment.part
    kind = part.get("type")
    if kind == "tool_call":
        call = _call_delta(part, tools.place(fragment.index))
        return {"tool_calls": [call]} if len(call) > 1 else {}
    name = _FLAT_NAMES.get(kind)
    return {name: part["text"]} if name and part.get("text") else {}


_FLAT_NAMES: dict[Any, str] = {"text": "content", "reasoning": "reasoning", "refusal": "refusal"}


def _call_delta(part: Mapping[str, Any], place: int) -> Json:
    function = {name: part[name] for name in ("name", "arguments") if part.get(name) is not None}
    head = {"id": part["id"], "type": "function"} if part.get("id") else {}
    return {"index": place, **head, **({"function": function} if function else {})}


class NativeFrames:
    """Frames of the native surface."""

    def __init__(self, answer_id: str, model: str) -> None:
        self._id = answer_id
        self._model = model
        self._tools = ToolIndex()
        self._begun = False

    def fragment(self, fragment: Fragment) -> bytes:
        """``delta.parts`` with the fragment, and its flat view."""
        delta = flat_delta(fragment, self._tools) | {"parts": [{"index": fragment.index, **fragment.part}]}
        role = {} if self._begun else {"role": "assistant"}
        self._begun = True
        return frame({"delta": role | delta, "finish_reason": None, "index": fragment.choice})

    def end(self, data: Json, metadata: Json) -> bytes:
        """The last frame with usage and metadata, and the end mark."""
        last = {"delta": {}, "finish_reason": data["finish_reason"], "index": 0, "id": self._id, "model": self._model}
        return frame(last | {"usage": data["usage"], "metadata": metadata}) + DONE

    def error(self, failure: Failure, metadata: Json) -> bytes:
        """``event: error`` with an envelope."""
        return frame(failed(failure, metadata), "error")


class Native:
    """The native surface."""

    name = "native"

    def reply(self, ask: Ask, data: Json, metadata: Json) -> tuple[str, bytes]:
        """The envelope of a reply."""
        return JSON, orjson.dumps(envelope(data, metadata))

    def frames(self, answer_id: str, model: str, include_usage: bool) -> Frames:
        """Native frames; usage is always there."""
        return NativeFrames(answer_id, model)

    def failure(self, failure: Failure, metadata: Json) -> bytes:
        """The envelope of an error."""
        return orjson.dumps(failed(failure, metadata))


def answer_data(parts: Sequence[Json], finish_reason: str) -> Json:
    """One answer: its parts, their flat views, and why it ended."""
    return {"parts": list(parts), **flat(parts), "finish_reason": finish_reason}


def chat_data(
    answer_id: str,
    model: str,
    parts: Sequence[Json],
    finish_reason: str,
    usage: Json,
    others: Sequence[tuple[Sequence[Json], str]] = (),
) -> Json:
    """Reply data of chat and vision. Where several answers were asked for, all of them stand in ``choices`` too."""
    first = answer_data(parts, finish_reason)
    more = {"choices": [first, *(answer_data(*other) for other in others)]} if others else {}
    return {"id": answer_id, "model": model, **first, "usage": usage, **more}


def encoded(vectors: Sequence[Sequence[float]], encoding_format: str) -> list[Any]:
    """Vectors as lists of floats, or as base64 of little-endian float32."""
    if encoding_format == "base64":
        return [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in vectors]
    return [list(vector) for vector in vectors]
