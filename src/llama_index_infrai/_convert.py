"""LlamaIndex messages -> the client's messages, and replies -> LlamaIndex messages: one table per direction.

A content block that no mapping knows raises ``UnsupportedContent`` by name; nothing is dropped. URLs are handed on as
they are and never downloaded here; files given by ``path`` are read.
"""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from io import IOBase
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.utils import resolve_binary

from infrai_core import ConfigError, UnsupportedContent

Part = dict[str, Any]
Message = dict[str, Any]

_ROLES: dict[MessageRole, str] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "developer",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}

# -- requests ------------------------------------------------------------------------------------------------------


def checked_messages(messages: Any) -> None:
    """Raises ``ConfigError`` for what is no sequence of messages, before anything is reported or sent."""
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence):
        raise ConfigError(f"messages: came {kind_of(messages)}; allowed is a sequence of ChatMessage")
    for place, message in enumerate(messages):
        if not isinstance(message, ChatMessage):
            raise ConfigError(f"messages[{place}]: came {kind_of(message)}; allowed is a ChatMessage")


def kind_of(value: Any) -> str:
    """What came, for an error."""
    return f"an object of type {type(value).__name__}" if value is not None else "None"


def messages_of(messages: Sequence[ChatMessage]) -> list[Message]:
    """The client's messages, with ``parts``. The given messages are not changed.

    Raises ``UnsupportedContent`` for a block without a mapping, ``ConfigError`` for a tool message without its call.
    """
    return [_message(message) for message in messages]


def _message(message: ChatMessage) -> Message:
    role = _ROLES[message.role]
    if role == "tool":
        return {"role": role, "parts": [_tool_result(message)]}
    parts = _spoken(message) if role == "assistant" else parts_of(message.blocks)
    shaped: Message = {"role": role, "parts": parts or [{"type": "text", "text": ""}]}
    name = message.additional_kwargs.get("name")
    return {**shaped, "name": name} if name else shaped


def _spoken(message: ChatMessage) -> list[Part]:
    """The parts of a model's message: those of its blocks, and in their places those that no block could carry."""
    others = [dict(part) for part in message.additional_kwargs.get(OTHER_PARTS, ())]
    waiting = [(part.pop(AFTER_BLOCKS, 0), part) for part in others]
    placed: list[Part] = []
    for place, block in enumerate(message.blocks):
        placed += [part for after, part in waiting if after == place]
        placed += _parts(block)
    placed += [part for after, part in waiting if after >= len(message.blocks)]
    parts = [*_with_annotations(placed), *_legacy_calls(message)]
    _keep_written_arguments(parts, message)
    signatures = message.additional_kwargs.get(SIGNATURES) or {}
    return [{**part, **signatures.get(signed_key(part), {})} for part in parts] if signatures else parts


def parts_of(blocks: Sequence[Any]) -> list[Part]:
    """The parts of content blocks, in order."""
    return _with_annotations([part for block in blocks for part in _parts(block)])


def _parts(block: Any) -> list[Part]:
    for kind, convert in _REQUEST.items():
        if isinstance(block, kind):
            return convert(block)
    known = ", ".join(kind.__name__ for kind in _REQUEST)
    raise UnsupportedContent(f"content of type {type(block).__name__} has no mapping; known are {known}")


def _tool_result(message: ChatMessage) -> Part:
    extra = message.additional_kwargs
    call_id = extra.get("tool_call_id") or extra.get("name")
    if not call_id:
        raise ConfigError('a tool message needs additional_kwargs={"tool_call_id": …}: the id of the answered call')
    result: Part = {"type": "tool_result", "tool_call_id": call_id, "parts": parts_of(message.blocks)}
    return {**result, "is_error": bool(extra["is_error"])} if "is_error" in extra else result


def _thinking(block: ThinkingBlock) -> list[Part]:
    known = {name: block.additional_information.get(name) for name in _SIGNATURE}
    return [{"type": "reasoning", "text": block.content or "", **_set_ones(known)}]


def _tool_call(block: ToolCallBlock) -> list[Part]:
    given = block.tool_kwargs
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    id_ = block.tool_call_id or block.tool_name
    return [{"type": "tool_call", "id": id_, "name": block.tool_name, "arguments": arguments}]


def _citation(block: CitationBlock) -> list[Part]:
    """What was cited, marked so that ``_with_annotations`` can hang it on the text before."""
    where = block.additional_location_info
    known = {"source": block.source or None, "title": block.title or None, "quote": _quote(block), **where}
    return [{"type": _ANNOTATION, "annotation": {"type": "citation", **_set_ones(known)}, "cited": block.cited_content}]


def _quote(block: CitationBlock) -> str | None:
    return block.cited_content.text if isinstance(block.cited_content, TextBlock) else None


_ANNOTATION = "annotation"


def _with_annotations(parts: list[Part]) -> list[Part]:
    """Citations become annotations of the text part before them; one that stands alone gives its cited content."""
    placed: list[Part] = []
    for part in parts:
        if part["type"] != _ANNOTATION:
            placed.append(part)
        elif placed and placed[-1]["type"] == "text":
            placed[-1].setdefault("annotations", []).append(part["annotation"])
        else:
            placed += _parts(part["cited"])
            placed[-1]["annotations"] = [part["annotation"]]
    return placed


def _citable(block: CitableBlock) -> list[Part]:
    """The wire has no citable documents: title and source go before the content as text."""
    heading = f"[{block.title} | {block.source}]"
    return [{"type": "text", "text": heading}, *parts_of(block.content)]


def _image(block: ImageBlock) -> list[Part]:
    source = _source(block.image, block.path, block.url, block.image_mimetype, "ImageBlock")
    return [{"type": "image", **source, **_set_ones({"detail": block.detail})}]


def _audio(block: AudioBlock) -> list[Part]:
    return [{"type": "audio", **_source(block.audio, block.path, block.url, _audio_mime(block.format), "AudioBlock")}]


def _video(block: VideoBlock) -> list[Part]:
    source = _source(block.video, block.path, block.url, block.video_mimetype, "VideoBlock")
    if block.fps is not None:
        raise UnsupportedContent("VideoBlock.fps: the protocol has no place for a frame rate; leave it out")
    return [{"type": "video", **source, **_set_ones({"detail": block.detail})}]


def _document(block: DocumentBlock) -> list[Part]:
    source = _source(block.data, block.path, block.url, block.document_mimetype, "DocumentBlock")
    return [{"type": "file", **source, **_set_ones({"filename": block.title})}]


_AUDIO_MIMES = {"mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "pcm": "audio/pcm", "m4a": "audio/mp4"}


def _audio_mime(format_: str | None) -> str | None:
    return _AUDIO_MIMES.get(format_, f"audio/{format_}") if format_ else None


def _source(data: bytes | IOBase | None, path: Any, url: Any, mime: str | None, what: str) -> Part:
    """``{"base64" | "url", "mime"?}`` of a media block."""
    content = _content(data)
    if content:
        # The block stored its bytes as base64; a block that skipped validation may hold them raw.
        encoded = resolve_binary(raw_bytes=content, as_base64=True).read()
        return {"base64": encoded.decode(), **_set_ones({"mime": mime})}
    if path:
        encoded = base64.b64encode(Path(path).read_bytes())
        known = mime or mimetypes.guess_type(str(path))[0]
        return {"base64": encoded.decode(), **_set_ones({"mime": known})}
    if url:
        return _link(str(url), mime)
    raise UnsupportedContent(f"{what}: it has neither data nor path nor url")


def _content(data: bytes | IOBase | None) -> bytes | None:
    if not isinstance(data, IOBase):
        return data
    data.seek(0)
    content: bytes = data.read()
    return content


def _link(url: str, mime: str | None) -> Part:
    head, comma, data = url.partition(",")
    if url.startswith("data:") and comma and head.endswith(";base64"):
        named = head.removeprefix("data:").partition(";")[0]
        return {"base64": data, **_set_ones({"mime": named or mime})}
    return {"url": url, **_set_ones({"mime": mime})}


def _set_ones(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


_REQUEST: dict[type, Callable[[Any], list[Part]]] = {
    TextBlock: lambda block: [{"type": "text", "text": block.text}],
    ImageBlock: _image,
    AudioBlock: _audio,
    VideoBlock: _video,
    DocumentBlock: _document,
    ThinkingBlock: _thinking,
    ToolCallBlock: _tool_call,
    CachePoint: lambda block: [{"type": "cache_point", "ttl": block.cache_control.ttl}],
    CitationBlock: _citation,
    CitableBlock: _citable,
}
"""Block class -> its parts on the wire (docs/protocol.md, section 3)."""


# -- legacy tool calls ---------------------------------------------------------------------------------------------


def _legacy_calls(message: ChatMessage) -> list[Part]:
    """Calls that stand only in ``additional_kwargs["tool_calls"]``, as older integrations write them."""
    if any(isinstance(block, ToolCallBlock) for block in message.blocks):
        return []
    return [_legacy_call(call) for call in message.additional_kwargs.get("tool_calls") or ()]


def _legacy_call(call: Any) -> Part:
    given = call if isinstance(call, Mapping) else getattr(call, "model_dump", lambda: None)()
    function = given.get("function") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(function, Mapping):
        raise UnsupportedContent(f"additional_kwargs['tool_calls'] holds a {type(call).__name__}, not a function call")
    name = function.get("name") or ""
    arguments = function.get("arguments") or "{}"
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"type": "tool_call", "id": given.get("id") or name, "name": name, "arguments": written}


def _keep_written_arguments(parts: list[Part], message: ChatMessage) -> None:
    """Sends arguments as the model wrote them while they still mean the same: vendors' prompt caches compare text."""
    written = {
        call["id"]: call["function"].get("arguments")
        for call in message.additional_kwargs.get("tool_calls") or ()
        if isinstance(call, Mapping) and call.get("id") and isinstance(call.get("function"), Mapping)
    }
    for part in parts:
        text = written.get(part.get("id")) if part["type"] == "tool_call" else None
        if isinstance(text, str) and _means(text) == _means(part["arguments"]):
            part["arguments"] = text


def _means(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def legacy_call(id_: str, name: str, arguments: str) -> dict[str, Any]:
    """A tool call as core's structured streaming and chat engines look for it in ``additional_kwargs``."""
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


# -- replies -------------------------------------------------------------------------------------------------------

OTHER_PARTS = "other_parts"
"""Key of ``additional_kwargs`` for parts that no block can carry (calls of tools that ran at the vendor); they are
sent back with the message."""
AFTER_BLOCKS = "after_blocks"
"""Key of such a part: how many blocks of the message stand before it."""
SIGNATURES = "signatures"
"""Key of ``additional_kwargs`` for what a vendor signed of calls, texts and media, which their blocks have no place
for: it goes back to the vendor and model that made it. By ``signed_key``."""
_SIGNATURE = ("opaque", "vendor", "model")


def signed_key(part: Part) -> str:
    """What a signature belongs to, as long as that is unchanged: a call by its id, anything else by its content."""
    if part["type"] == "tool_call":
        return str(part.get("id"))
    content = next((str(part[name]) for name in ("text", "base64", "url") if part.get(name)), "")
    return f"{part['type']}:{sha256(content.encode(errors='replace')).hexdigest()[:16]}"


def signature_of(part: Mapping[str, Any]) -> dict[str, Any]:
    """What a part, or a piece of one, says of its signature."""
    return {name: part[name] for name in _SIGNATURE if part.get(name) is not None}


def thinking_block(part: Part) -> ThinkingBlock:
    """A reasoning part; its signature stays with it, to be sent back to the vendor and model that made it."""
    known = {name: part.get(name) for name in _SIGNATURE}
    return ThinkingBlock(content=part.get("text") or None, additional_information=_set_ones(known))


def citation_blocks(annotations: Sequence[Mapping[str, Any]], text: str) -> list[CitationBlock]:
    """The citations of a text."""
    return [_citation_block(annotation, text) for annotation in annotations]


def _citation_block(annotation: Mapping[str, Any], text: str) -> CitationBlock:
    source = str(annotation.get("source") or annotation.get("url") or "")
    quote = annotation.get("quote") or text[annotation.get("start") or 0 : annotation.get("end")]
    places = {name: value for name, value in annotation.items() if type(value) is int}
    return CitationBlock(
        cited_content=TextBlock(text=str(quote)),
        source=source,
        title=str(annotation.get("title") or source),
        additional_location_info=places,
    )


def media_blocks(part: Part) -> list[Any] | None:
    """The blocks of a media part, or None for a part that no block can carry."""
    make = _REPLY.get(part["type"])
    return None if make is None else make(part)


def _data(part: Part) -> bytes | None:
    return base64.b64decode(part["base64"]) if part.get("base64") else None


def _audio_blocks(part: Part) -> list[Any]:
    format_ = {mime: name for name, mime in _AUDIO_MIMES.items()}.get(part.get("mime") or "")
    sound = AudioBlock(audio=_data(part), url=part.get("url"), format=format_)
    return [sound, TextBlock(text=part["transcript"])] if part.get("transcript") else [sound]


_REPLY: dict[str, Callable[[Part], list[Any]]] = {
    "image": lambda p: [ImageBlock(image=_data(p), url=p.get("url"), image_mimetype=p.get("mime"))],
    "audio": _audio_blocks,
    "video": lambda p: [VideoBlock(video=_data(p), url=p.get("url"), video_mimetype=p.get("mime"))],
    "file": lambda p: [
        DocumentBlock(data=_data(p), url=p.get("url"), title=p.get("filename"), document_mimetype=p.get("mime"))
    ],
}
"""Media part -> its blocks; text, reasoning and tool calls grow piece by piece and stand in ``_progress``."""
