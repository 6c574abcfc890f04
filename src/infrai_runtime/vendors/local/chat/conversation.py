"""The messages of a request, read once into what the rest of the model asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Part = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What one tool call gave back."""

    call_id: str
    name: str
    arguments: dict[str, Any]
    text: str
    is_error: bool


@dataclass(frozen=True)
class Turn:
    """One message as text: its role and what was said."""

    role: str
    text: str


@dataclass(frozen=True)
class Conversation:
    """``request`` is the last user message, ``earlier`` the turns before it, ``system`` all instructions.

    ``results`` are the tool results after the last user message, ``old_results`` those before it. ``attached`` is what
    was made of all media, ``brought`` of those in the last user message; ``undescribed`` are the types of the rest.
    """

    system: str
    earlier: tuple[Turn, ...]
    request: str
    results: tuple[Result, ...]
    old_results: tuple[Result, ...]
    attached: tuple[Turn, ...]
    brought: tuple[Turn, ...]
    undescribed: tuple[str, ...]


def read(messages: Sequence[Mapping[str, Any]]) -> Conversation:
    """The conversation in ``messages``."""
    last = max((i for i, message in enumerate(messages) if message.get("role") == "user"), default=len(messages))
    request = _text(messages[last]) if last < len(messages) else ""
    media = _media(messages)
    return Conversation(
        system="\n\n".join(_text(m) for m in messages if m.get("role") in ("system", "developer") and _text(m)),
        earlier=tuple(
            Turn(str(m["role"]), _text(m)) for m in messages[:last] if m.get("role") in ("user", "assistant")
        ),
        request=request,
        results=tuple(_results(messages[:last], messages[last:])),
        old_results=tuple(_results((), messages[:last])),
        attached=_descriptions(media),
        brought=_descriptions(_media(messages[last : last + 1])),
        undescribed=tuple(str(part["type"]) for part in media if not part.get("described")),
    )


_MEDIA = ("image", "audio", "file", "video")


def _media(messages: Sequence[Mapping[str, Any]]) -> list[Part]:
    return [part for message in messages for part in _parts(message) if part.get("type") in _MEDIA]


def _descriptions(media: Sequence[Part]) -> tuple[Turn, ...]:
    return tuple(Turn(str(part["type"]), str(part["described"])) for part in media if part.get("described"))


def prompt_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """All that the model was given to read, for the token estimate."""
    return "\n".join(text for message in messages for part in _parts(message) for text in _readable(part))


def _readable(part: Part) -> list[str]:
    inner = [text for child in _children(part) for text in _readable(child)]
    return [str(part[key]) for key in ("text", "described", "name", "arguments") if part.get(key)] + inner


def _parts(message: Mapping[str, Any]) -> Sequence[Part]:
    return [part for part in message.get("parts") or () if isinstance(part, Mapping)]


def _children(part: Part) -> Sequence[Part]:
    return [child for child in part.get("parts") or () if isinstance(child, Mapping)]


def _text(message: Mapping[str, Any]) -> str:
    return "\n".join(str(part.get("text") or "") for part in _parts(message) if part.get("type") == "text").strip()


def _results(before: Sequence[Mapping[str, Any]], messages: Sequence[Mapping[str, Any]]) -> list[Result]:
    calls = {
        str(part.get("id")): part
        for message in (*before, *messages)
        for part in _parts(message)
        if part.get("type") == "tool_call"
    }
    results = [part for message in messages for part in _parts(message) if part.get("type") == "tool_result"]
    return [_result(part, calls.get(str(part.get("tool_call_id")), {})) for part in results]


def _result(part: Part, call: Part) -> Result:
    text = "\n".join(str(child.get("text") or child.get("described") or "") for child in _children(part)).strip()
    return Result(
        call_id=str(part.get("tool_call_id")),
        name=str(call.get("name") or part.get("name") or "tool"),
        arguments=_arguments(call.get("arguments")),
        text=text or str(part.get("text") or ""),
        is_error=bool(part.get("is_error")),
    )


def _arguments(raw: object) -> dict[str, Any]:
    """A call's arguments; what is not a JSON object counts as none."""
    try:
        value = json.loads(raw) if isinstance(raw, str) else raw
    except ValueError:
        return {}
    return dict(value) if isinstance(value, Mapping) else {}
