"""Messages of a request in their one inner form: ``{"role", "name"?, "parts": [wire parts]}``.

Accepted are a prompt string, OpenAI messages (string content, or the content parts ``text``, ``image_url``,
``input_audio``, ``file``, ``refusal``; ``tool_calls``; role ``tool``) and messages with ``parts``. Where a message has
``parts``, its flat fields are views of them and are not read. Errors name the path, such as
``messages.2.content.0.type``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from infrai_runtime.failure import Failure
from infrai_runtime.field import (
    Field,
    Fields,
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
_WORDS_ALONE = frozenset({"role", "content"})
_IGNORED = frozenset({"id", "annotations", "reasoning_content"})
KNOWN = _FLAT | _IGNORED | {"role", "name", "parts"}
"""The fields of a message."""
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,(.*)", re.DOTALL)

# -- wire parts ----------------------------------------------------------------------------------------------------

_STRING, _NON_EMPTY, _OBJECT = text(), text(empty=False), anything()
_TEXT = Field(_STRING, "the text")
_ANNOTATIONS = Field(list_of(_OBJECT), "citations")
_MEDIA: Fields = {
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


_SIGNED: Fields = {
    "opaque": Field(_ANY, "the vendor's signature"),
    "vendor": Field(text(), "the vendor that made it"),
    "model": Field(text(), "the model that made it"),
}
_SERVER_TOOL: Fields = {
    "id": Field(text(), "id of the call"),
    "name": Field(text(), "the tool"),
    "vendor": Field(text(), "the vendor that ran it"),
}
_PART_FIELDS: dict[str, Fields] = {
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
PART_FIELDS = {kind: Table(fields) for kind, fields in _PART_FIELDS.items()}
"""Type of a part -> its other fields."""
MEDIA_TYPES = frozenset({"image", "audio", "video", "file"})
_OPEN_TYPES = frozenset({"server_tool_call", "server_tool_result"})
OWNED = _OPEN_TYPES | {"reasoning"}
"""What its maker alone can read again, signed or not."""
_MAKER = frozenset(_SIGNED)


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
    checked: Mapping[str, Any] = _OBJECT.check(value, f"{path}.cache_control")
    return checked


_CACHE_CONTROL = Table(
    {"type": Field(choice(("ephemeral",)), "its kind", required=True), "ttl": Field(text(), "such as 5m")}
)


def part(value: Any, path: str) -> Part:
    """One checked wire part."""
    if isinstance(value, str):
        return {"type": "text", "text": value}
    if not isinstance(value, dict):
        raise refuse(path, value, "an object with a type, or a string")
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise refuse(f"{path}.type", kind, f"one of {', '.join(sorted(_TYPES))}")
    if kind in _FROM_OPENAI and (kind not in PART_FIELDS or kind in value):
        return _FROM_OPENAI[kind](value, path)
    return _wire_part(kind, value, path)


def _wire_part(kind: str, value: Mapping[str, Any], path: str) -> Part:
    given = {name: field for name, field in value.items() if name != "type"}
    if kind in _OPEN_TYPES:
        return {"type": kind} | {name: field for name, field in given.items() if field is not None}
    checked = check_table(PART_FIELDS[kind], given, f"{path}.")
    return {"type": kind, **(_media(checked, path) if kind in MEDIA_TYPES else _completed(kind, checked))}


def _completed(kind: str, checked: Part) -> Part:
    return _DEFAULTS.get(kind, {}) | checked


_DEFAULTS: dict[str, Part] = {"tool_call": {"arguments": "{}"}, "tool_result": {"parts": []}, "reasoning": {"text": ""}}


_REFERENCE = Table(_MEDIA)


def media(value: Any, path: str) -> Part:
    """A checked media reference: ``{"url"}`` or ``{"base64", "mime"?}``; a string is a URL."""
    given = {"url": value} if isinstance(value, str) else value
    if not isinstance(given, dict):
        raise refuse(path, value, 'a URL, {"url"} or {"base64", "mime"?}')
    return _media(check_table(_REFERENCE, {n: v for n, v in given.items() if n != "type"}, f"{path}."), path)


def _media(checked: Part, path: str) -> Part:
    if ("url" in checked) == ("base64" in checked):
        raise Failure("INVALID_REQUEST", f"{path}: give either url or base64, exactly one of them", param=path)
    found = _DATA_URL.fullmatch(checked["url"]) if checked.get("url", "").startswith("data:") else None
    return checked if found is None else _opened(checked, found)


def _opened(checked: Part, found: re.Match[str]) -> Part:
    """A base64 data URL as its data, so that vendors see one form."""
    rest = {name: field for name, field in checked.items() if name != "url"}
    return rest | {"base64": found[2]} | ({"mime": found[1]} if found[1] else {})


# -- OpenAI content parts ------------------------------------------------------------------------------------------


def _image_url(value: Mapping[str, Any], path: str) -> Part:
    inner = value.get("image_url")
    given = {"url": inner} if isinstance(inner, str) else inner
    return {"type": "image", **media(given, f"{path}.image_url")}


def _video_url(value: Mapping[str, Any], path: str) -> Part:
    """As OpenRouter, vLLM, Zhipu and DashScope have it (https://openrouter.ai/docs/features/multimodal/videos)."""
    inner = value.get("video_url")
    given = {"url": inner} if isinstance(inner, str) else inner
    return {"type": "video", **media(given, f"{path}.video_url")}


_INPUT_AUDIO = Table(
    {
        "data": Field(text(empty=False), "base64 audio", required=True),
        "format": Field(text(empty=False), "such as wav or mp3"),
    }
)


def _input_audio(value: Mapping[str, Any], path: str) -> Part:
    inner = value.get("input_audio")
    if not isinstance(inner, dict):
        raise refuse(f"{path}.input_audio", inner, "an object with data and format")
    checked = check_table(_INPUT_AUDIO, inner, f"{path}.input_audio.")
    return {"type": "audio", "base64": checked["data"], "mime": f"audio/{checked.get('format', 'wav')}"}


_FILE = Table(
    {
        "file_data": Field(text(empty=False), "a data URL or base64", required=True),
        "filename": Field(text(), "name of the file"),
    }
)


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
    checked = check_table(_FILE, inner, f"{path}.file.")
    data = checked["file_data"]
    reference = {"url": data} if data.startswith(("data:", "http:", "https:")) else {"base64": data}
    name = {"filename": checked["filename"]} if "filename" in checked else {}
    return {"type": "file", **_media({**reference, **name}, f"{path}.file")}


def _refusal(value: Mapping[str, Any], path: str) -> Part:
    return {"type": "refusal", "text": _STRING.check(value.get("refusal"), f"{path}.refusal")}


_FROM_OPENAI: dict[str, Callable[[Mapping[str, Any], str], Part]] = {
    "image_url": _image_url,
    "video_url": _video_url,
    "input_audio": _input_audio,
    "file": _file,
    "refusal": _refusal,
}
_TYPES = frozenset({*PART_FIELDS, *_FROM_OPENAI})

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
    inner = "system" if role == "developer" else role
    if value.keys() == _WORDS_ALONE and isinstance(value["content"], str) and role != "tool":
        return {"role": inner, "parts": [{"type": "text", "text": value["content"]}]}
    if not value.keys() <= KNOWN:
        unknown = next((name for name, field in value.items() if name not in KNOWN and field is not None), None)
        if unknown is not None:
            raise unknown_field(f"{path}.{unknown}", unknown, KNOWN)
    given = value.get("parts")
    found = parts(given, f"{path}.parts") if given is not None else _flat_parts(value, path)
    if value.get("name") is None:
        return {"role": inner, "parts": found}
    return {"role": inner, "name": _STRING.check(value["name"], f"{path}.name"), "parts": found}


def _flat_parts(value: Mapping[str, Any], path: str) -> list[Part]:
    content = _content(value.get("content"), f"{path}.content")
    if value["role"] == "tool":
        call_id = _NON_EMPTY.check(value.get("tool_call_id"), f"{path}.tool_call_id")
        return [{"type": "tool_result", "tool_call_id": call_id, "parts": content}]
    calls = _tool_calls(value.get("tool_calls"), f"{path}.tool_calls")
    refusal = value.get("refusal")
    said = [{"type": "refusal", "text": _STRING.check(refusal, f"{path}.refusal")}] if refusal is not None else []
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
        "id": _NON_EMPTY.check(value.get("id"), f"{path}.id"),
        "name": _NON_EMPTY.check(called.get("name"), f"{path}.{kind}.name"),
        "arguments": _STRING.check(called.get(said, "" if custom else "{}"), f"{path}.{kind}.{said}"),
    }
    return part | ({"custom": True} if custom else {})


class Contents(NamedTuple):
    """What messages hold: all texts in the order in which they are read; the parts that are more than a text, those
    inside tool results among them; of these, the ones that not every model reads: media, and calls of custom tools; and
    the parts that may say who made them."""

    texts: list[str]
    others: list[Part]
    demanding: list[Part]
    signed: list[Part]


def contents(found: Sequence[Message]) -> Contents:
    """What checked messages hold."""
    held = Contents([], [], [], [])
    for item in found:
        _add(item["parts"], held)
        if "name" in item:
            held.texts.append(item["name"])
    return held


def _add(parts: Sequence[Part], held: Contents) -> None:
    for part in parts:
        kind = part["type"]
        if kind == "text":
            held.texts.append(part["text"])
            if len(part) > 2:
                held.signed.append(part)
            continue
        if kind == "cache_point":
            continue
        held.others.append(part)
        if kind in MEDIA_TYPES or "custom" in part:
            held.demanding.append(part)
        if kind in OWNED or not _MAKER.isdisjoint(part):
            held.signed.append(part)
        if kind == "tool_result":
            _add(part["parts"], held)
        elif kind == "tool_call":
            held.texts.extend((part["name"], part["arguments"]))
        else:
            _add_texts(part, held.texts)


def _add_texts(value: Any, texts: list[str]) -> None:
    """The texts in what may be anything, as the fields of a vendor's own tool are."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list):
        for item in value:
            _add_texts(item, texts)
    elif isinstance(value, dict):
        for name in _READ_OF_PART:
            if name in value:
                _add_texts(value[name], texts)


_READ_OF_PART = ("parts", "text", "name", "arguments")


def needed_abilities(parts: Collection[Part]) -> set[str]:
    """What a model must be able to do to read these parts: vision, audio, video, pdf, custom_tools."""
    return {ability for part in parts if (ability := _needed(part)) is not None}


def _needed(part: Part) -> str | None:
    kind: str = part["type"]
    if kind == "tool_call":
        return "custom_tools" if part.get("custom") else None
    if kind == "file":
        return "pdf" if part.get("mime") == "application/pdf" else None
    return _ABILITY.get(kind)


_ABILITY = {"image": "vision", "audio": "audio", "video": "video"}
