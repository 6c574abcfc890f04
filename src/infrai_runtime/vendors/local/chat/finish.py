"""Stop sequences and the token limit, applied to a finished draft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infrai_core.tokens import estimate

from .answer import Answer, Draft, FinishReason, text_part


def finish(draft: Draft, *, prompt: str, stop: Sequence[str], max_tokens: int | None) -> Answer:
    """The answer of a draft: cut before the first stop sequence, then at ``max_tokens`` (finish reason length)."""
    parts = [_stopped(part, stop) for part in draft.parts]
    parts, cut = _limited(parts, max_tokens)
    return Answer(
        parts=parts,
        finish_reason=_reason(parts, cut),
        invented=draft.invented,
        grounded=draft.grounded,
        prompt_tokens=estimate(prompt),
        completion_tokens=sum(_size(part) for part in parts),
    )


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
