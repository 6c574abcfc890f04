"""Prompts as callers write them -> messages as each dialect sends them. Pure, checked before any I/O."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from infrai_core.errors import ConfigError, UnsupportedContent
from infrai_core.models import PART_TYPES, Value
from infrai_core.params import MediaRef, Prompt, several

ROLES = ("system", "developer", "user", "assistant", "tool")
_OPENAI_PARTS = frozenset({"text", "image_url", "input_audio", "file", "refusal", "video_url"})

Message = dict[str, Any]


def messages_of(prompt: Prompt) -> list[Message]:
    """The messages of a prompt; a string is one user message.

    Raises ``ConfigError`` for an empty prompt or a wrong role, ``UnsupportedContent`` for a part of unknown type.
    """
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if not isinstance(prompt, Sequence) or isinstance(prompt, bytes):
        raise ConfigError(f"messages: allowed is a string or a list of messages, not {type(prompt).__name__}")
    if not prompt:
        raise ConfigError("messages: came an empty list, allowed is at least one message")
    return [_message(message, i) for i, message in enumerate(prompt)]


def _message(given: Any, place: int) -> Message:
    if not isinstance(given, Mapping):
        if not isinstance(given, Value):
            raise ConfigError(f"messages.{place}: allowed is a message dictionary, not {type(given).__name__}")
        given = given.model_dump(exclude_none=True)
    message = dict(given)
    if message.get("role") not in ROLES:
        raise ConfigError(f"messages.{place}.role={message.get('role')!r}: allowed are {', '.join(ROLES)}")
    if "parts" in message:
        message["parts"] = [_part(p, f"messages.{place}.parts.{i}", PART_TYPES) for i, p in enumerate(message["parts"])]
    elif isinstance(message.get("content"), list | tuple):
        known = _OPENAI_PARTS | PART_TYPES
        message["content"] = [
            _part(p, f"messages.{place}.content.{i}", known) for i, p in enumerate(message["content"])
        ]
    return message


def _part(part: Any, where: str, known: frozenset[str]) -> dict[str, Any]:
    if isinstance(part, Value):
        part = part.model_dump(exclude_none=True)
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    if not isinstance(part, Mapping) or kind not in known:
        raise UnsupportedContent(f"{where}: content of type {kind!r}; known are {', '.join(sorted(known))}")
    return dict(part)


# -- media ---------------------------------------------------------------------------------------------------------


def media_of(ref: MediaRef, name: str) -> dict[str, Any]:
    """``{"url"}`` or ``{"base64", "mime"?}`` for any way to name media. Raises ``ConfigError`` naming ``name``."""
    if isinstance(ref, bytes | bytearray):
        return {"base64": base64.b64encode(ref).decode()}
    if isinstance(ref, str):
        return _from_data_url(ref, name) if ref.startswith("data:") else {"url": ref}
    if isinstance(ref, Mapping) and bool(ref.get("url")) != bool(ref.get("base64")):
        return {k: v for k, v in ref.items() if v is not None}
    raise ConfigError(f"{name}: allowed is a URL, bytes, or a dictionary with one of url and base64")


def images_of(refs: Iterable[MediaRef]) -> list[dict[str, Any]]:
    """The images of a request. Raises ``ConfigError`` naming the one that is none."""
    return [media_of(ref, f"images.{i}") for i, ref in enumerate(several("images", refs, "images"))]


def _from_data_url(url: str, name: str) -> dict[str, Any]:
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma or not head.endswith(";base64"):
        raise ConfigError(f"{name}: a data: URL must be base64-encoded")
    mime = head.removesuffix(";base64").partition(";")[0]
    return {"base64": data, **({"mime": mime} if mime else {})}


def media_bytes(media: Mapping[str, Any], name: str) -> bytes:
    """The bytes of ``{"base64"}`` media. Raises ``ConfigError`` when it has only a link or is not base64."""
    try:
        return base64.b64decode(media["base64"], validate=True)
    except KeyError:
        raise ConfigError(f"{name}: this dialect takes bytes or base64, not a link") from None
    except (binascii.Error, ValueError):
        raise ConfigError(f"{name}.base64 is not valid base64") from None


# -- OpenAI-shaped messages (https://platform.openai.com/docs/api-reference/chat/create) ---------------------------


def openai_messages(messages: Sequence[Message]) -> list[Message]:
    """The same messages in OpenAI's shape. Raises ``UnsupportedContent`` for what that shape cannot carry."""
    return [shaped for message in messages for shaped in _openai_message(message)]


def _openai_message(message: Message) -> list[Message]:
    if "parts" not in message:
        return [message]
    rest = {k: v for k, v in message.items() if k != "parts"}
    parts = message["parts"]
    results = [_openai_result(p) for p in parts if p["type"] == "tool_result"]
    calls = [_openai_call(p) for p in parts if p["type"] == "tool_call"]
    content = [_openai_part(p) for p in parts if p["type"] not in _ELSEWHERE]
    if results and not content and not calls:
        return results
    # The pieces of a model's text make it up as they are; of others, each text stands by itself.
    between = "" if message["role"] == "assistant" else "\n"
    shaped = {**rest, "content": _plain(content, between) if content else None}
    if calls:
        shaped |= {"tool_calls": calls, **_openai_reasoning(parts)}
    if any(p["type"] == "cache_point" or p.get("opaque") for p in parts):
        shaped["parts"] = parts  # no flat field holds these; a service that knows parts reads them first
    return [*results, shaped]


_ELSEWHERE = frozenset({"tool_result", "tool_call", "reasoning", "cache_point"})


def _openai_reasoning(parts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What led to tool calls: models that think between their calls want it back, others must not see it again
    (https://api-docs.deepseek.com/guides/thinking_mode)."""
    text = "".join(p.get("text") or "" for p in parts if p["type"] == "reasoning")
    return {"reasoning_content": text} if text else {}


def _plain(content: list[dict[str, Any]], between: str) -> Any:
    """Text alone goes as a string: every OpenAI-shaped service takes that."""
    only_text = all(part["type"] == "text" for part in content)
    return between.join(part["text"] for part in content) if only_text else content


def _openai_result(part: Mapping[str, Any]) -> Message:
    content = [_openai_part(p) for p in part.get("parts", ())]
    return {"role": "tool", "tool_call_id": part["tool_call_id"], "content": _plain(content, "\n")}


def _openai_call(part: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": part["name"], "arguments": part["arguments"]}
    return {"id": part["id"], "type": "function", "function": function}


def _data_url(part: Mapping[str, Any]) -> str:
    return part.get("url") or f"data:{part.get('mime') or 'application/octet-stream'};base64,{part['base64']}"


def _openai_audio(part: Mapping[str, Any]) -> dict[str, Any]:
    if not part.get("base64"):
        raise UnsupportedContent("audio by url: the openai dialect carries audio only as base64")
    kind = (part.get("mime") or "audio/wav").partition("/")[2]
    format_ = {"mpeg": "mp3", "x-wav": "wav"}.get(kind, kind)
    return {"type": "input_audio", "input_audio": {"data": part["base64"], "format": format_}}


def _openai_image(part: Mapping[str, Any]) -> dict[str, Any]:
    detail = {"detail": part["detail"]} if part.get("detail") else {}
    return {"type": "image_url", "image_url": {"url": _data_url(part), **detail}}


def _openai_file(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "file", "file": {"filename": part.get("filename") or "file", "file_data": _data_url(part)}}


def _unsupported(part: Mapping[str, Any]) -> dict[str, Any]:
    raise UnsupportedContent(f"the openai dialect has no place for content of type {part['type']!r}")


_OPENAI_PART: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "text": lambda p: {"type": "text", "text": p["text"]},
    "image": _openai_image,
    "audio": _openai_audio,
    "file": _openai_file,
    "refusal": lambda p: {"type": "refusal", "refusal": p["text"]},
}


def _openai_part(part: Mapping[str, Any]) -> dict[str, Any]:
    return _OPENAI_PART.get(part["type"], _unsupported)(part)
