"""The reply of the on-machine chat model: its parts, its stop sequences and its token limit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from infrai_core.tokens import estimate

from .excerpt import Heard

if TYPE_CHECKING:
    from .proof import Held

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True)
class Answer:
    """One finished reply.

    ``parts`` are wire parts (text, tool_call). ``invented`` holds dotted paths of values that no input supported,
    such as ``tool_calls.0.arguments.unit`` or ``content.age``. ``quotes`` has the words of the input that every other
    value was read from, by its path or that of a list or object around it; the only value that a schema allows has
    none. ``grounded`` is True when the text stands in the input, False when the model had to say that it does not
    know, None where the question does not arise.
    Token counts are estimates.
    """

    parts: list[dict[str, Any]]
    finish_reason: FinishReason
    invented: list[str] = field(default_factory=list)
    quotes: dict[str, str] = field(default_factory=dict)
    grounded: bool | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Draft:
    """What one way of answering made, before stop sequences and token limits; ``held`` are the values in its parts."""

    parts: list[dict[str, Any]]
    held: Sequence[Held] = ()
    grounded: bool | None = None


def text_part(text: str, annotations: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A text part of the wire."""
    return {"type": "text", "text": text, "annotations": annotations} if annotations else {"type": "text", "text": text}


def say(text: str, grounded: bool | None = None) -> Draft:
    """A draft of plain text."""
    return Draft([text_part(text)], grounded=grounded)


def call_part(name: str, arguments: Mapping[str, Any], salt: str = "") -> dict[str, Any]:
    """A tool_call part; its id is made from its content and ``salt``, so that the same input gives the same id."""
    text = json.dumps(arguments, ensure_ascii=False)
    digest = hashlib.sha256(f"{salt}\0{name}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
    return {"type": "tool_call", "id": f"call_{digest[:12]}", "name": name, "arguments": text}


def finish(draft: Draft, *, prompt: str, stop: Sequence[str], max_tokens: int | None) -> Answer:
    """The answer of a draft: cut before the first stop sequence, then at ``max_tokens`` (finish reason length).

    What its values hold is listed as invented or quoted from ``prompt``, here and nowhere else.
    """
    parts = [_stopped(part, stop) for part in draft.parts]
    parts, cut = _limited(parts, max_tokens)
    heard = Heard(prompt)
    judged = [
        (_where(part, at), held.judged(heard)) for at, (part, held) in enumerate(zip(parts, draft.held, strict=False))
    ]
    invented = [_within(where, path) for where, verdict in judged for path in verdict.listed]
    return Answer(
        parts=parts,
        finish_reason=_reason(parts, cut),
        invented=invented,
        quotes={_within(where, path): words for where, one in judged for path, words in one.quotes.items()},
        grounded=not invented if draft.held and "text" in draft.parts[0] else draft.grounded,
        prompt_tokens=estimate(prompt),
        completion_tokens=sum(_size(part) for part in parts),
    )


def _where(part: Mapping[str, Any], at: int) -> str:
    return "content" if "text" in part else f"tool_calls.{at}.arguments"


def _within(where: str, path: str) -> str:
    return f"{where}.{path}" if path else where


def _reason(parts: list[dict[str, Any]], cut: bool) -> FinishReason:
    if cut:
        return "length"
    return "tool_calls" if any(part["type"] == "tool_call" for part in parts) else "stop"


def _stopped(part: dict[str, Any], stop: Sequence[str]) -> dict[str, Any]:
    places = [at for sequence in stop if sequence and (at := part.get("text", "").find(sequence)) >= 0]
    return _shortened(part, min(places)) if places else part


def _shortened(part: dict[str, Any], end: int) -> dict[str, Any]:
    """The part's first ``end`` characters with the annotations that still lie inside."""
    text = part["text"][:end]
    kept = [
        {**note, "end": min(note["end"], end), "quote": text[note["start"] : note["end"]]}
        for note in part.get("annotations", ())
        if note["start"] < end
    ]
    return {**text_part(text, kept), "type": part["type"]}


def _size(part: dict[str, Any]) -> int:
    return estimate(part["text"]) if "text" in part else estimate(part["name"]) + estimate(part["arguments"])


def _limited(parts: list[dict[str, Any]], most: int | None) -> tuple[list[dict[str, Any]], bool]:
    """Parts that fit into ``most`` tokens. A text is cut; a tool call that does not fit is left out whole."""
    if most is None:
        return parts, False
    kept: list[dict[str, Any]] = []
    for part in parts:
        size = _size(part)
        if size > most:
            return ([*kept, _shortened(part, _fitting(part["text"], most))] if "text" in part else kept), True
        kept.append(part)
        most -= size
    return kept, False


def _fitting(text: str, most: int) -> int:
    """How many characters of ``text`` fit into ``most`` tokens."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if estimate(text[:middle]) <= most else (low, middle - 1)
    return low
