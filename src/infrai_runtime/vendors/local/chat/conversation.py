"""The messages of a request, read once into what the rest of the model asks for, and the keys that a prompt names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .word import words

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


_MOST_KEYS = 40
_NAME = r"[A-Za-z_][\w-]{0,39}"
_QUOTED = rf"(?:'{_NAME}'|\"{_NAME}\"|`{_NAME}`)"
_AND = r"\s*(?:,\s*(?:and\s+|or\s+)?|\s(?:and|or|&)\s|[、和与及])\s*"
_KEYS = r"(?:(?:keys?|fields?|propert(?:y|ies)|attributes?)\b|字段|键)"
_SHAPE = re.compile(
    r"\b(?:json|object|form|format|shape|structure|schema|template|like|as)\b[^{}\n]{0,60}\s*$", re.IGNORECASE
)
_EXAMPLE = re.compile(r"\{[^{}]{3,2000}\}")
_PAIR = re.compile(rf"[\"']?({_NAME})[\"']?\s*:\s*([^,\n}}]*)")
_BEFORE = re.compile(rf"({_QUOTED}(?:{_AND}{_QUOTED})*)\s*(?:as\s+)?(?:the\s+)?{_KEYS}", re.I)
_AFTER = re.compile(
    rf"{_KEYS}(?:\s+(?:named|called|are|is|of)\b)?\s*[:：]?\s*"
    rf"((?:{_QUOTED}|{_NAME})(?:{_AND}(?:{_QUOTED}|{_NAME}))*)(?=\s*(?:[.;:。；：)\n]|$))",
    re.I,
)
_NO_KEY = words("a an the and or of for with that in to it no any each all only exactly")


def wanted_keys(prompt: str) -> dict[str, Any] | None:
    """A JSON schema of the keys that ``prompt`` names, all required; None where it names none."""
    properties = _by_example(prompt) or {name: {"type": "string"} for name in _by_name(prompt)}
    if not properties:
        return None
    return {"type": "object", "properties": properties, "required": list(properties)}


def without_keys(prompt: str) -> str:
    """The prompt without the words and the example that name the keys: they are no facts."""
    found = _example(prompt)
    rest = prompt[: found.start()] + prompt[found.end() :] if found else prompt
    return _AFTER.sub("", _BEFORE.sub("", rest))


def _example(prompt: str) -> re.Match[str] | None:
    """An object that is shown as a form to fill: the words before it say so, and it is not itself the data."""
    return next((m for m in _EXAMPLE.finditer(prompt) if _SHAPE.search(prompt[: m.start()])), None)


def _by_example(prompt: str) -> dict[str, Any]:
    found = _example(prompt)
    pairs = _PAIR.findall(found.group()[1:]) if found else []
    return {name: {"type": _type_of(sample.strip())} for name, sample in pairs[:_MOST_KEYS]}


def _type_of(sample: str) -> str:
    word = sample.strip("\"'<>[] ").lower()
    if word in ("number", "float", "int", "integer") or re.fullmatch(r"-?\d+(?:\.\d+)?", sample):
        return "number"
    return "boolean" if word in ("true", "false", "bool", "boolean") else "string"


def _by_name(prompt: str) -> list[str]:
    lists = [match.group(1) for pattern in (_BEFORE, _AFTER) for match in pattern.finditer(prompt)]
    names = [name for text in lists for name in re.findall(_NAME, text) if name.lower() not in _NO_KEY]
    return list(dict.fromkeys(names))[:_MOST_KEYS]
