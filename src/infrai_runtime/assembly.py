"""Fragments of an answer put together, and the flat views that are derived from its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infrai_core.tokens import estimate
from infrai_runtime.vendors.base import Event, Finish, Fragment, Note

Part = dict[str, Any]

_APPENDED = frozenset({"text", "arguments"})
_EXTENDED = frozenset({"annotations"})


class Assembly:
    """Takes a chat's events in order; at any moment it says what came so far."""

    def __init__(self) -> None:
        self._parts: dict[int, Part] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}
        self.finish: Finish | None = None
        self.warnings: list[str] = []
        self.invented: list[str] = []

    def add(self, event: Event) -> None:
        """Takes the next event."""
        if isinstance(event, Fragment):
            self._grow(event.index, event.part)
        elif isinstance(event, Note):
            self.warnings += [event.warning] if event.warning else []
            self.invented += event.invented
        else:
            self.finish = event

    def _grow(self, index: int, fragment: Mapping[str, Any]) -> None:
        part = self._parts.setdefault(index, {})
        for name, value in fragment.items():
            if value is None or name == "done":
                continue
            if name in _APPENDED:
                part.setdefault(name, "")
                self._pieces.setdefault((index, name), []).append(value)
            else:
                part[name] = [*part.get(name, ()), *value] if name in _EXTENDED else value

    @property
    def parts(self) -> list[Part]:
        """The parts so far, in order."""
        for (index, name), pieces in self._pieces.items():
            self._parts[index][name] = "".join(pieces)
        return [self._parts[index] for index in sorted(self._parts)]

    @property
    def finish_reason(self) -> str:
        """Why the answer ended."""
        return self.finish.reason if self.finish else "stop"


def text_of(parts: Iterable[Mapping[str, Any]], kind: str = "text") -> str | None:
    """The joined text of all parts of one type; None when there is none."""
    found = [part.get("text") or "" for part in parts if part.get("type") == kind]
    return "".join(found) if found else None


def tool_calls_of(parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tool calls, OpenAI-shaped."""
    return [
        {
            "id": part["id"],
            "type": "function",
            "function": {"name": part["name"], "arguments": part.get("arguments", "")},
        }
        for part in parts
        if part.get("type") == "tool_call"
    ]


def flat(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``content``, ``tool_calls``, ``reasoning`` and ``refusal`` of an answer."""
    calls = tool_calls_of(parts)
    return {
        "content": text_of(parts),
        "tool_calls": calls or None,
        "reasoning": text_of(parts, "reasoning"),
        "refusal": text_of(parts, "refusal"),
    }


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
