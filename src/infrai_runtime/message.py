"""Messages of a request in their one inner form: ``{"role", "name"?, "parts": [wire parts]}``.

Accepted are a prompt string, OpenAI messages (string content, or the content parts ``text``, ``image_url``,
``input_audio``, ``file``, ``refusal``; ``tool_calls``; role ``tool``) and messages with ``parts``. Where a message has
``parts``, its flat fields are views of them and are not read. Errors name the path, such as
``messages.2.content.0.type``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.field import (
    Field,
    Kind,
    Table,
    anything,
    check_table,
    choice,
    flag,
    integer,
    list_of,
    refuse,
    text,
    unknown_field,
)

Message = dict[str, Any]
Part = dict[str, Any]

ROLES = ("system", "developer", "user", "assistant", "tool")
_FLAT = frozenset({"content", "tool_calls", "reasoning", "refusal", "audio", "tool_call_id"})
_IGNORED = frozenset({"id", "annotations", "reasoning_content"})
KNOWN = _FLAT | _IGNORED | {"role", "name", "parts"}
"""The fields of a message."""
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,(.*)", re.DOTALL)

# -- wire parts ----------------------------------------------------------------------------------------------------

_TEXT = Field(text(), "the text")
_ANNOTATIONS = Field(list_of(anything()), "citations")
_MEDIA: Table = {
    "url": Field(text(empty=False), "where the data is: http, https or data URL"),
    "base64": Field(text(empty=False), "the data"),
    "mime": Field(text(empty=False), "media type such as image/png"),
    "filename": Field(text(), "name of the file"),
    "transcript": Field(text(), "what is said in it"),
    "detail": Field(text(), "how closely to look: auto, low, high"),
}
_ANY = Kind(lambda value, path: value, {})


def _tool_result_parts(value: Any, path: str) -> list[Part]:
    return [{"type": "text", "text": value}] if isinstance(value, str) else parts(value, path)


_SIGNED: Table = {
    "opaque": Field(_ANY, "the vendor's signature"),
    "vendor": Field(text(), "the vendor that made it"),
    "model": Field(text(), "the model that made it"),
}
_SERVER_TOOL: Table = {
    "id": Field(text(), "id of the call"),
    "name": Field(text(), "the tool"),
    "vendor": Field(text(), "the vendor that ran it"),
}
PART_FIELDS: dict[str, Table] = {
    "text": {"text": Field(text(), "the text", required=True), "annotations": _ANNOTATIONS, **_SIGNED},
    "reasoning": {"text": _TEXT, **_SIGNED},
    "tool_call": {
        "id": Field(text(empty=False), "id of the call", required=True),
        "name": Field(text(empty=False), "the tool", required=True),
        "arguments": Field(text(), "JSON text"),
        "custom": Field(flag(), "a custom tool: its arguments are any text"),
        **_SIGNED,
    },
    "tool_result": {
        "tool_call_id": Field(text(empty=False), "the call it answers", required=True),
        "parts": Field(Kind(_tool_result_parts, {"type": "array"}), "what the tool gave back"),
        "is_error": Field(flag(), "the tool failed"),
    },
    "image": _MEDIA | _SIGNED,
    "audio": _MEDIA
    | {"id": Field(text(), "the vendor's name of it"), "expires_at": Field(integer(), "how long the vendor keeps it")},
    "video": _MEDIA,
    "file": _MEDIA,
    "refusal": {"text": Field(text(), "what the model said", required=True)},
    "server_tool_call": _SERVER_TOOL,
    "server_tool_result": _SERVER_TOOL,
    "cache_point": {"ttl": Field(text(), "such as 5m")},
}
MEDIA_TYPES = frozenset({"image", "audio", "video", "file"})
_OPEN_TYPES = frozenset({"server_tool_call", "server_tool_result"})


def parts(value: Any, path: str) -> list[Part]:
    """Checked wire parts; OpenAI content parts among them are converted."""
    if not isinstance(value, list):
        raise refuse(path, value, "a list of parts")
    found: list[Part] = []
    for index, item in enumerate(value):
        if isinstance(item, dict) and "cache_control" in item:
            found += _marked(item, f"{path}.{index}")
        else:
            found.append(part(item, f"{path}.{index}"))
    return found


def _marked(value: Mapping[str, Any], path: str) -> list[Part]:
    """A part with the mark of a prompt cache as OpenRouter and other gateways have it
    (https://openrouter.ai/docs/features/prompt-caching), and ours behind it."""
    plain = part({name: field for name, field in value.items() if name != "cache_control"}, path)
    if value["cache_control"] is None:
        return [plain]
    mark = check_table(_CACHE_CONTROL, _object(value["cache_control"], path), f"{path}.cache_control.")
    return [plain, {"type": "cache_point"} | {name: mark[name] for name in ("ttl",) if name in mark}]


def _object(value: Any, path: str) -> Mapping[str, Any]:
    checked: Mapping[str, Any] = anything().check(value, f"{path}.cache_control")
    return checked


_CACHE_CONTROL: Table = {
    "type": Field(choice(("ephemeral",)), "its kind", required=True),
    "ttl": Field(text(), "such as 5m"),
}


def part(value: Any, path: str) -> Part:
    """One checked wire part."""
    if isinstance(value, str):
        return {"type": "text", "text": value}
    if not isinstance(value, dict):
        raise refuse(path, value, "an object with a type, or a string")
    kind = value.get("type")
    if kind in _FROM_OPENAI and (kind not in PART_FIELDS or kind in value):
        return _FROM_OPENAI[kind](value, path)
    if kind not in PART_FIELDS:
        raise refuse(f"{path}.type", kind, f"one of {', '.join(sorted({*PART_FIELDS, *_FROM_OPENAI}))}")
    return _wire_part(str(kind), value, path)


def _wire_part(kind: str, value: Mapping[str, Any], path: str) -> Part:
    given = {name: field for name, field in value.items() if name != "type"}
    if kind in _OPEN_TYPES:
        return {"type": kind, **given}
    checked = check_table(PART_FIELDS[kind], given, f"{path}.")
    return {"type": kind, **(_media(checked, path) if kind in MEDIA_TYPES else _completed(kind, checked))}


def _completed(kind: str, checked: Part) -> Part:
    return _DEFAULTS.get(kind, {}) | checked


_DEFAULTS: dict[str, Part] = {"tool_call": {"arguments": "{}"}, "tool_result": {"parts": []}, "reasoning": {"text": ""}}


def media(value: Any, path: str) -> Part:
    """A checked media reference: ``{"url"}`` or ``{"base64", "mime"?}``; a string is a URL."""
    given = {"url": value} if isinstance(value, str) else value
    if not isinstance(given, dict):
        raise refuse(path, value, 'a URL, {"url"} or {"base64", "mime"?}')
    return _media(check_table(_MEDIA, {n: v for n, v in given.items() if n != "type"}, f"{path}."), path)


def _media(checked: Part, path: str) -> Part:
    if ("url" in checked) == ("base64" in checked):
        raise Failure("INVALID_REQUEST", f"{path}: give either url or base64, exactly one of them", param=path)
    return checked | _opened(checked.get("url", ""))


def _opened(url: str) -> Part:
    """A base64 data URL as its data, so that vendors see one form."""
    found = _DATA_URL.fullmatch(url) if url.startswith("data:") else None
    return {"url": None, "base64": found[2]} | ({"mime": found[1]} if found[1] else {}) if found else {}


# -- OpenAI content parts ------------------------------------------------------------------------------------------


def _image_url(value: Mapping[str, Any], path: str) -> Part:
    inner = value.get("image_url")
    given = {"url": inner} if isinstance(inner, str) else inner
    return {"type": "image", **_dropped_none(media(given, f"{path}.image_url"))}


def _video_url(value: Mapping[str, Any], path: str) -> Part:
    """As OpenRouter, vLLM, Zhipu and DashScope have it (https://openrouter.ai/docs/features/multimodal/videos)."""
    inner = value.get("video_url")
    given = {"url": inner} if isinstance(inner, str) else inner
    return {"type": "video", **_dropped_none(media(given, f"{path}.video_url"))}


def _input_audio(value: Mapping[str, Any], path: str) -> Part:
    fields: Table = {
        "data": Field(text(empty=False), "base64 audio", required=True),
        "format": Field(text(empty=False), "such as wav or mp3"),
    }
    inner = value.get("input_audio")
    if not isinstance(inner, dict):
        raise refuse(f"{path}.input_audio", inner, "an object with data and format")
    checked = check_table(fields, inner, f"{path}.input_audio.")
    return {"type": "audio", "base64": checked["data"], "mime": f"audio/{checked.get('format', 'wav')}"}


def _file(value: Mapping[str, Any], path: str) -> Part:
    inner = value.get("file")
    if not isinstance(inner, dict):
        raise refuse(f"{path}.file", inner, "an object with file_data and filename")
    if "file_id" in inner:
        raise Failure(
            "INVALID_REQUEST",
            f"{path}.file.file_id: stored files are not kept here; send file_data",
            param=f"{path}.file.file_id",
        )
    fields: Table = {
        "file_data": Field(text(empty=False), "a data URL or base64", required=True),
        "filename": Field(text(), "name of the file"),
    }
    checked = check_table(fields, inner, f"{path}.file.")
    data = checked["file_data"]
    reference = {"url": data} if data.startswith(("data:", "http:", "https:")) else {"base64": data}
    name = {"filename": checked["filename"]} if "filename" in checked else {}
    return {"type": "file", **_dropped_none(_media({**reference, **name}, f"{path}.file"))}


def _refusal(value: Mapping[str, Any], path: str) -> Part:
    return {"type": "refusal", "text": text().check(value.get("refusal"), f"{path}.refusal")}


def _dropped_none(value: Part) -> Part:
    return {name: field for name, field in value.items() if field is not None}


_FROM_OPENAI: dict[Any, Callable[[Mapping[str, Any], str], Part]] = {
    "image_url": _image_url,
    "video_url": _video_url,
    "input_audio": _input_audio,
    "file": _file,
    "refusal": _refusal,
}

# -- messages ------------------------------------------------------------------------------------------------------


def messages(value: Any, path: str = "messages") -> list[Message]:
    """The messages of a request in their inner form. A string is one user message."""
    if isinstance(value, str):
        return [{"role": "user", "parts": [{"type": "text", "text": value}]}]
    if not isinstance(value, list) or not value:
        raise refuse(path, value, "a prompt string or a list of at least one message")
    return [message(item, f"{path}.{index}") for index, item in enumerate(value)]


def message(value: Any, path: str) -> Message:
    """One message in its inner form."""
    if not isinstance(value, dict):
        raise refuse(path, value, "an object with role and content or parts")
    role = value.get("role")
    if role not in ROLES:
        raise refuse(f"{path}.role", role, f"one of {', '.join(ROLES)}")
    if not value.keys() <= KNOWN:
        unknown = next((name for name, field in value.items() if name not in KNOWN and field is not None), None)
        if unknown is not None:
            raise unknown_field(f"{path}.{unknown}", unknown, KNOWN)
    given = value.get("parts")
    found = parts(given, f"{path}.parts") if given is not None else _flat_parts(value, path)
    name = {"name": text().check(value["name"], f"{path}.name")} if value.get("name") is not None else {}
    return {"role": "system" if role == "developer" else role, **name, "parts": [_dropped_none(p) for p in found]}


def _flat_parts(value: Mapping[str, Any], path: str) -> list[Part]:
    content = _content(value.get("content"), f"{path}.content")
    if value["role"] == "tool":
        call_id = text(empty=False).check(value.get("tool_call_id"), f"{path}.tool_call_id")
        return [{"type": "tool_result", "tool_call_id": call_id, "parts": content}]
    calls = _tool_calls(value.get("tool_calls"), f"{path}.tool_calls")
    refusal = value.get("refusal")
    said = [{"type": "refusal", "text": text().check(refusal, f"{path}.refusal")}] if refusal is not None else []
    said += _spoken(value.get("audio"), f"{path}.audio")
    unsaid = not content and not calls and not said and value.get("content") is None
    if unsaid and not (value["role"] == "assistant" and "content" in value):  # an answer may have been empty
        raise refuse(f"{path}.content", None, "a string or a list of parts")
    return [*content, *said, *calls]


def _spoken(value: Any, path: str) -> list[Part]:
    """An earlier spoken answer in its words: its sound is kept, for an hour, by the vendor that made it alone."""
    if value is None:
        return []
    words = value.get("transcript") if isinstance(value, dict) else None
    if not isinstance(words, str):
        raise refuse(path, value, "an object with the transcript of the answer; an id alone is not kept here")
    return [{"type": "text", "text": words}]


def _content(value: Any, path: str) -> list[Part]:
    if value is None:
        return []
    return [{"type": "text", "text": value}] if isinstance(value, str) else parts(value, path)


def _tool_calls(value: Any, path: str) -> list[Part]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise refuse(path, value, "a list of tool calls")
    return [_tool_call(call, f"{path}.{index}") for index, call in enumerate(value)]


def _tool_call(value: Any, path: str) -> Part:
    custom = isinstance(value, dict) and value.get("type") == "custom"
    kind, said = ("custom", "input") if custom else ("function", "arguments")
    called = value.get(kind) if isinstance(value, dict) else None
    if not isinstance(called, dict):
        raise refuse(path, value, f'an object {{"id", "type": "{kind}", "{kind}": {{"name", "{said}"}}}}')
    part = {
        "type": "tool_call",
        "id": text(empty=False).check(value.get("id"), f"{path}.id"),
        "name": text(empty=False).check(called.get("name"), f"{path}.{kind}.name"),
        "arguments": text().check(called.get(said, "" if custom else "{}"), f"{path}.{kind}.{said}"),
    }
    return part | ({"custom": True} if custom else {})


def needed_abilities(found: list[Message]) -> set[str]:
    """What a model must be able to do to read these messages: vision, audio, video, pdf, custom_tools."""
    parts = [part for item in found for part in all_parts(item)]
    kinds = {(part["type"], part.get("mime")) for part in parts}
    custom = {"custom_tools"} if any(part.get("custom") for part in parts) else set()
    return custom | {_ABILITY.get((kind, mime), _ABILITY.get((kind, None), "")) for kind, mime in kinds} - {""}


def all_parts(holder: Mapping[str, Any]) -> list[Part]:
    """The parts of a message, and those inside tool results."""
    found = list(holder.get("parts", ()))
    for part in found:  # grows meanwhile
        if "parts" in part:
            found += part["parts"]
    return found


_ABILITY: dict[tuple[str, str | None], str] = {
    ("image", None): "vision",
    ("audio", None): "audio",
    ("video", None): "video",
    ("file", "application/pdf"): "pdf",
}
