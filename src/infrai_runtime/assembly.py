"""Fragments of an answer put together, and the flat views that are derived from its parts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infrai_core.tokens import estimate
from infrai_runtime.vendors.base import Event, Finish, Fragment, Note, Origins

Part = dict[str, Any]

_APPENDED = frozenset({"text", "arguments", "transcript", "base64"})
_EXTENDED = frozenset({"annotations", "logprobs"})


class _Answer:
    """One answer in the making: its parts by their index."""

    def __init__(self) -> None:
        self._parts: dict[int, Part] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}

    def grow(self, index: int, fragment: Mapping[str, Any]) -> None:
        """Adds a fragment."""
        part = self._parts.get(index)
        if part is None:
            part = self._parts[index] = {}
            if "done" not in fragment and None not in fragment.values():
                part |= fragment
                return
        for name, value in fragment.items():
            if value is None or name == "done":
                continue
            if name in _APPENDED and name in part:
                self._pieces.setdefault((index, name), [part[name]]).append(value)
            elif name in _EXTENDED and name in part:
                part[name] = [*part[name], *value]
            else:
                part[name] = value

    def parts(self) -> list[Part]:
        """The parts so far, in order."""
        for (index, name), pieces in self._pieces.items():
            self._parts[index][name] = _joined_base64(pieces) if name == "base64" else "".join(pieces)
        return [self._parts[index] for index in sorted(self._parts)]


def _joined_base64(pieces: Sequence[str]) -> str:
    """Pieces that were encoded one by one may be padded, and then are no base64 when put together."""
    if not any(piece.endswith("=") for piece in pieces[:-1]):
        return "".join(pieces)
    return base64.b64encode(b"".join(map(base64.b64decode, pieces))).decode()


class Assembly:
    """Takes a chat's events in order; at any moment it says what came so far."""

    def __init__(self) -> None:
        self._answers: dict[int, _Answer] = {0: _Answer()}
        self.finish: Finish | None = None
        self.warnings: list[str] = []
        self.origins: Origins = {}

    def add(self, event: Event) -> None:
        """Takes the next event."""
        if isinstance(event, Fragment):
            answer = self._answers.get(event.choice)
            if answer is None:
                answer = self._answers[event.choice] = _Answer()
            answer.grow(event.index, event.part)
        elif isinstance(event, Note):
            self._note(event)
        else:
            self.finish = event

    def _note(self, note: Note) -> None:
        if note.warning:
            self.warnings.append(note.warning)
        if note.invented:
            self.origins["invented"] = [*self.origins.get("invented", ()), *note.invented]
        if note.quotes:
            self.origins["quotes"] = {**self.origins.get("quotes", {}), **note.quotes}

    @property
    def parts(self) -> list[Part]:
        """The parts of the first answer so far, in order."""
        return self._answers[0].parts()

    @property
    def finish_reason(self) -> str:
        """Why the first answer ended."""
        return self.finish.reason if self.finish else "stop"

    def others(self) -> list[tuple[list[Part], str]]:
        """Parts and finish reason of every further answer, in order."""
        if len(self._answers) == 1:
            return []
        reasons = self.finish.others if self.finish else {}
        rows = sorted(self._answers.items())[1:]
        return [(answer.parts(), reasons.get(choice, "stop")) for choice, answer in rows]


def _call(part: Mapping[str, Any]) -> dict[str, Any]:
    name, said = part["name"], part.get("arguments", "")
    if part.get("custom"):
        return {"id": part["id"], "type": "custom", "custom": {"name": name, "input": said}}
    return {"id": part["id"], "type": "function", "function": {"name": name, "arguments": said}}


def flat(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``content``, ``tool_calls``, ``reasoning`` and ``refusal`` of an answer: the joined texts of all parts of a type
    and the calls in OpenAI's shape, each None when there is none."""
    seen: dict[str, Any] = {"content": None, "tool_calls": None, "reasoning": None, "refusal": None}
    for part in parts:
        view = _VIEWS.get(part.get("type"))
        if view == "tool_calls":
            seen[view] = [*(seen[view] or ()), _call(part)]
        elif view is not None:
            seen[view] = (seen[view] or "") + (part.get("text") or "")
    return seen


_VIEWS: dict[Any, str] = {
    "text": "content",
    "tool_call": "tool_calls",
    "reasoning": "reasoning",
    "refusal": "refusal",
}
"""Type of a part -> where it stands in the flat view."""


def estimated_usage(prompt_tokens: int, parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Usage for a vendor that did not say, or for an answer that was cut; marked as estimated."""
    written = "".join(str(part.get(name) or "") for part in parts for name in ("text", "name", "arguments"))
    completion = estimate(written)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": prompt_tokens + completion,
        "estimated": True,
    }
