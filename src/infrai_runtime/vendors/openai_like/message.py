"""Our messages as OpenAI's (https://platform.openai.com/docs/api-reference/chat/create)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.material import Material, as_text, decoded, is_text
from infrai_runtime.vendors.openai_like.row import Row

Part = Mapping[str, Any]
Json = dict[str, Any]

_MEDIA = frozenset({"image", "audio", "video", "file"})
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")


class Writer:
    """Writes the messages of one request for one vendor. ``warnings`` says what could not be sent."""

    def __init__(self, row: Row, mark_cache: bool) -> None:
        self._row = row
        self._mark_cache = mark_cache and row.marks_cache
        self.warnings: list[str] = []

    def messages(self, messages: Sequence[Mapping[str, Any]]) -> list[Json]:
        """All messages, in order. Raises UNSUPPORTED_CAPABILITY for a medium that the vendor does not read."""
        written: list[Json] = []
        for index, message in enumerate(messages):
            role, parts, name = message["role"], message["parts"], self._name(message)
            if len(parts) == 1 and parts[0]["type"] == "text" and role != "tool":  # as nearly all are
                written.append({"role": role, "content": parts[0]["text"], **name})
            else:
                written += _ROLES[role](self, parts, f"messages.{index}.parts", name)
        return written

    def _name(self, message: Mapping[str, Any]) -> Json:
        return {"name": message["name"]} if self._row.user_names and "name" in message else {}

    # -- one role each

    def system(self, parts: Sequence[Part], path: str, name: Json) -> list[Json]:
        """Instructions."""
        return [{"role": "system", "content": self._content(parts, path), **name}]

    def user(self, parts: Sequence[Part], path: str, name: Json) -> list[Json]:
        """What a person said. Results of tools among it are messages of their own, before it."""
        said = _text_alone(parts)
        if said is not None:
            return [{"role": "user", "content": said, **name}]
        rest = [part for part in parts if part["type"] != "tool_result"]
        results = self.tool(parts, path, {}) if len(rest) < len(parts) else []
        return [*results, {"role": "user", "content": self._content(rest, path), **name}] if rest else results

    def assistant(self, parts: Sequence[Part], path: str, name: Json) -> list[Json]:
        """What the model said."""
        said: dict[str, list[Part]] = {}
        for part in parts:
            said.setdefault(part["type"], []).append(part)
        message: Json = {"role": "assistant", "content": _joined(said.get("text", ()), "text"), **name}
        refusal = _joined(said["refusal"], "refusal") if "refusal" in said else None
        if refusal:
            message["refusal"] = refusal
        if "tool_call" in said:
            message["tool_calls"] = [self._call(part) for part in said["tool_call"]]
        if "reasoning" in said and self._row.reasoning_back:
            _REASONING[self._row.reasoning_back](message, said["reasoning"])
        for kind in sorted(_MEDIA & said.keys()):
            self.warnings.append(f"{path}: {kind} of an earlier answer is not sent back")
        if message["content"] is None and not refusal and "tool_call" not in said:
            message["content"] = ""
        return [message]

    def tool(self, parts: Sequence[Part], path: str, name: Json) -> list[Json]:
        """Results of tools. They are text here, so their media follow in a message of the user."""
        written: list[Json] = []
        media: list[Part] = []
        for part in parts:
            if part["type"] != "tool_result":
                continue
            text = _joined(part["parts"], "text", "\n") or ""
            if part.get("is_error") and not text.lower().startswith("error"):
                text = f"Error: {text}"
            media += [inner for inner in part["parts"] if inner["type"] in _MEDIA]
            written.append({"role": "tool", "tool_call_id": self._call_id(part["tool_call_id"]), "content": text})
        if media:
            written.append({"role": "user", "content": [self._part(part, path) for part in media]})
        return written

    # -- parts

    def _content(self, parts: Sequence[Part], path: str) -> str | list[Json]:
        """A string where there is only text, as every server takes that."""
        said = _text_alone(parts)
        if said is not None:
            return said
        marked = self._mark_cache and any(part["type"] == "cache_point" for part in parts)
        if not marked and all(part["type"] in ("text", "cache_point") for part in parts):
            return _joined(parts, "text", "\n") or ""
        written: list[Json] = []
        for index, part in enumerate(parts):
            if part["type"] != "cache_point":
                written.append(self._part(part, f"{path}.{index}"))
            elif marked and written:
                written[-1]["cache_control"] = {"type": "ephemeral"} | ({"ttl": part["ttl"]} if "ttl" in part else {})
        return written

    def _part(self, part: Part, path: str) -> Json:
        write = _PARTS.get(part["type"])
        if write is None:
            raise Failure("INVALID_REQUEST", f"{path}.type: {part['type']!r} has no place in this message", param=path)
        if part["type"] == "file" and (text := _text_of_file(part)) is not None:
            return {"type": "text", "text": text}
        if part["type"] in _MEDIA and part["type"] not in self._row.reads:
            message = f"{path}: this vendor does not read {part['type']}"
            raise Failure("UNSUPPORTED_CAPABILITY", message, param=path)
        return write(part)

    def _call(self, part: Part) -> Json:
        if part.get("custom"):
            custom = {"name": part["name"], "input": part.get("arguments") or ""}
            return {"id": self._call_id(part["id"]), "type": "custom", "custom": custom}
        function = {"name": part["name"], "arguments": part.get("arguments") or "{}"}
        return {"id": self._call_id(part["id"]), "type": "function", "function": function}

    def _call_id(self, given: str) -> str:
        return short_id(given) if self._row.short_call_ids else given


_ROLES: dict[str, Callable[[Writer, Sequence[Part], str, Json], list[Json]]] = {
    "system": Writer.system,
    "user": Writer.user,
    "assistant": Writer.assistant,
    "tool": Writer.tool,
}


def _text_alone(parts: Sequence[Part]) -> str | None:
    """The text of parts that are nothing else; None for others."""
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return "\n".join(texts) if texts and len(texts) == len(parts) else None


def _joined(parts: Sequence[Part], kind: str, between: str = "") -> str | None:
    """The pieces of a model's text make it up as they are; of others, each text stands by itself."""
    texts = [part["text"] for part in parts if part["type"] == kind]
    return between.join(texts) if texts else None


def short_id(given: str) -> str:
    """The same nine letters and digits for the same id."""
    if _SHORT_ID.fullmatch(given):
        return given
    digest = hashlib.sha256(given.encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:9])


# -- parts: https://platform.openai.com/docs/guides/images-vision, .../audio, .../pdf-files


def _url(part: Part) -> str:
    return (
        part["url"]
        if "url" in part
        else f"data:{part.get('mime') or 'application/octet-stream'};base64,{part['base64']}"
    )


def _image(part: Part) -> Json:
    detail = {"detail": part["detail"]} if "detail" in part else {}
    return {"type": "image_url", "image_url": {"url": _url(part), **detail}}


def _audio(part: Part) -> Json:
    kind = str(part.get("mime") or "audio/wav").partition("/")[2]
    form = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "mp4": "m4a"}.get(kind, kind)
    return {"type": "input_audio", "input_audio": {"data": part["base64"], "format": form}}


def _file(part: Part) -> Json:
    return {"type": "file", "file": {"filename": part.get("filename") or "document.pdf", "file_data": _url(part)}}


def _video(part: Part) -> Json:
    return {"type": "video_url", "video_url": {"url": _url(part)}}


def _text(part: Part) -> Json:
    return {"type": "text", "text": part["text"]}


_PARTS: dict[str, Callable[[Part], Json]] = {
    "text": _text,
    "refusal": _text,
    "image": _image,
    "audio": _audio,
    "file": _file,
    "video": _video,
}


def _text_of_file(part: Part) -> str | None:
    """The text of a file that is text, which every model reads."""
    if "base64" not in part or part.get("mime") == "application/pdf":
        return None
    found = Material(decoded(part["base64"], "file"), part.get("mime") or "")
    if not is_text(found):
        return None
    name = f"{part['filename']}:\n" if part.get("filename") else ""
    return name + as_text(found)


# -- reasoning that goes back


def _text_field(name: str) -> Callable[[Json, list[Part]], None]:
    def put(message: Json, reasoning: list[Part]) -> None:
        message[name] = "".join(part.get("text") or "" for part in reasoning)

    return put


def _details(message: Json, reasoning: list[Part]) -> None:
    """https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks"""
    rows = [row for part in reasoning if isinstance(part.get("opaque"), list) for row in part["opaque"]]
    if rows:
        message["reasoning_details"] = rows
    else:
        _text_field("reasoning")(message, reasoning)


def _thinking(message: Json, reasoning: list[Part]) -> None:
    """https://docs.mistral.ai/capabilities/reasoning"""
    thoughts = [{"type": "thinking", "thinking": [{"type": "text", "text": p.get("text") or ""}]} for p in reasoning]
    said = [{"type": "text", "text": message["content"]}] if message["content"] else []
    message["content"] = [*thoughts, *said]


_REASONING: dict[str, Callable[[Json, list[Part]], None]] = {
    "reasoning_content": _text_field("reasoning_content"),
    "reasoning": _text_field("reasoning"),
    "reasoning_details": _details,
    "content": _thinking,
}
