"""LangChain messages -> messages of the wire, and replies of the wire -> LangChain messages.

One table per direction, from the type of a block to a small function. What comes in starts from
``message.content_blocks``, which LangChain has already brought into its standard form. A block of a type that no row
knows raises ``InfraiUnsupportedContent`` with its name. Who served a reply, and its usage, is in ``_served``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import dropwhile
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages import content as standard

from infrai_core import ChatReply
from langchain_infrai._served import metadata_of, usage_of
from langchain_infrai.errors import InfraiConfigError, InfraiUnsupportedContent

Part = dict[str, Any]
Block = dict[str, Any]
Given = Mapping[str, Any]

MEDIA = ("image", "audio", "video", "file")
_PLAIN = frozenset({"text", "tool_call", "tool_call_chunk", "invalid_tool_call"})
"""Blocks that need no list: text is the content, tool calls have a field of their own."""
HAS_REFUSAL = "refusal" in standard.KNOWN_BLOCK_TYPES
"""Whether LangChain has a block for refusals (from 1.7.5)."""
STANDARD = {"output_version": "v1"}
"""What of ``response_metadata`` says that a list of blocks is LangChain's standard, so that the models of other
packages can go on with the message."""


# -- messages -> wire ----------------------------------------------------------------------------------------------


def wire_messages(messages: Sequence[BaseMessage], cached: Any = None) -> list[dict[str, Any]]:
    """The messages as ``{"role", "parts", "name"?}``, with a cache point after them where ``cached`` is given
    (``{"type": "ephemeral", "ttl"?}``, as ``cache_control`` of a block).

    Raises ``InfraiUnsupportedContent`` that names the message's place and the type of message or block it cannot carry.
    """
    wire = [_wire_message(message, place) for place, message in enumerate(messages)]
    if wire and cached:
        wire[-1]["parts"] += _cache_point({"cache_control": cached})
    return wire


def _wire_message(message: BaseMessage, place: int) -> dict[str, Any]:
    try:
        role, parts = _role(message), _message_parts(message)
    except InfraiUnsupportedContent as error:
        raise InfraiUnsupportedContent(f"messages.{place}: {error.message}") from None
    name = {"name": message.name} if message.name and role != "tool" else {}
    return {"role": role, **name, "parts": parts or [{"type": "text", "text": ""}]}


_ROLES: dict[type[BaseMessage], str] = {
    SystemMessage: "system",
    HumanMessage: "user",
    AIMessage: "assistant",
    ToolMessage: "tool",
}


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    for kind, role in _ROLES.items():
        if isinstance(message, kind):
            return role
    raise InfraiUnsupportedContent(
        f"a message of type {message.type!r}; known are system, human, ai, tool and chat messages"
    )


def _message_parts(message: BaseMessage) -> list[Part]:
    if isinstance(message, ToolMessage):
        return [_tool_result_part(message)]
    if isinstance(message.content, str) and not isinstance(message, AIMessage):
        return wire_parts([message.content])  # what content_blocks comes to, at a tenth of its price
    parts = wire_parts(message.content_blocks)
    if isinstance(message, AIMessage):
        parts = [*_spoken(message), *parts]
        parts += _missing_calls(message, {part.get("id") for part in parts if part["type"] == "tool_call"})
        return list(_distinct_calls(parts))
    return parts


def _spoken(message: AIMessage) -> list[Part]:
    """What ``ChatOpenAI`` keeps of an answer in sound beside its empty content: the words go back, as at that API."""
    audio = message.additional_kwargs.get("audio")
    words = audio.get("transcript") if isinstance(audio, Mapping) else None
    return [{"type": "text", "text": words}] if words and not message.content else []


def _tool_result_part(message: ToolMessage) -> Part:
    error = {"is_error": True} if message.status == "error" else {}
    parts = wire_parts(message.content_blocks)
    return {"type": "tool_result", "tool_call_id": message.tool_call_id, "parts": parts, **error}


def _missing_calls(message: AIMessage, present: set[Any]) -> list[Part]:
    """Calls that stand only in the message's fields: invalid ones always do, others in some providers' messages."""
    calls: list[Given] = [*message.tool_calls, *message.invalid_tool_calls]
    return [_call_part(call) for call in calls if call.get("id") not in present]


def _distinct_calls(parts: Iterable[Part]) -> Iterable[Part]:
    """Some providers' messages say a call twice, in the content and in ``tool_calls``; the first one stays."""
    seen = set()
    for part in parts:
        if part["type"] == "tool_call":
            if part["id"] in seen:
                continue
            seen.add(part["id"])
        yield part


def wire_parts(blocks: Iterable[Given | str]) -> list[Part]:
    """Standard content blocks as wire parts. Raises ``InfraiUnsupportedContent`` for a block that no row knows."""
    return [part for block in blocks for part in _block_parts(block)]


def _block_parts(block: Given | str) -> list[Part]:
    if isinstance(block, str):
        return [{"type": "text", "text": block}]
    kind = str(block.get("type"))
    convert = _TO_WIRE.get(kind)
    if convert is None:
        raise InfraiUnsupportedContent(f"content of type {kind!r}; known are {', '.join(sorted(_TO_WIRE))}")
    return [*convert(block), *_cache_point(block)]


def _cache_point(block: Given) -> list[Part]:
    """``cache_control`` of any block (Anthropic's way to mark a cached prefix) is a point after it on the wire."""
    control = block.get("cache_control") or (block.get("extras") or {}).get("cache_control")
    if not control:
        return []
    if not isinstance(control, Mapping) or control.get("type") != "ephemeral":
        raise InfraiConfigError(f"cache_control={control!r}: allowed is {{'type': 'ephemeral', 'ttl'?: '5m' or '1h'}}")
    return [{"type": "cache_point", **_picked(control, ("ttl",))}]


def _text_part(block: Given) -> list[Part]:
    if not isinstance(block.get("text"), str):
        raise InfraiUnsupportedContent(
            f"content of type 'text': its text is {block.get('text')!r}; allowed is a string"
        )
    notes = [_wire_annotation(note) for note in block.get("annotations") or ()]
    return [{"type": "text", "text": block["text"], **({"annotations": notes} if notes else {}), **_signature(block)}]


def _signature(block: Given) -> dict[str, Any]:
    """What a vendor signed, and which one. Only our own: another provider's means nothing to the vendor that reads it
    here."""
    return _picked(block.get("extras") or {}, ("opaque", "vendor", "model"))


_CITATION = {"start": "start_index", "end": "end_index", "quote": "cited_text", "source": "title", "url": "url"}
"""Wire -> LangChain, for citations."""


def _wire_annotation(note: Given) -> Part:
    if note.get("type") != "citation":
        return dict(note.get("value") or note)
    named = {ours: note[theirs] for ours, theirs in _CITATION.items() if note.get(theirs) is not None}
    return {"type": "citation", **named, **(note.get("extras") or {})}


def _reasoning_part(block: Given) -> list[Part]:
    return [{"type": "reasoning", "text": block.get("reasoning") or "", **_signature(block)}]


def _call_part(call: Given) -> Part:
    given = call.get("args")
    # Written as the model wrote it where that is known; else once, here.
    arguments = given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)
    named = {"id": call.get("id") or "", "name": call.get("name") or ""}
    return {"type": "tool_call", **named, "arguments": arguments, **_signature(call)}


def _media_part(block: Given) -> list[Part]:
    kind = block["type"]
    where = {name: block[name] for name in ("url", "base64") if block.get(name)}
    if len(where) != 1:
        named = " by file_id" if block.get("file_id") else ""
        raise InfraiUnsupportedContent(f"content of type {kind!r}{named}: allowed is one of url and base64")
    more = _picked({**(block.get("extras") or {}), **block}, ("filename", "transcript", "detail"))
    mime = {"mime": block["mime_type"]} if block.get("mime_type") else {}
    return [{"type": kind, **where, **mime, **more, **_signature(block)}]


def _document_part(block: Given) -> list[Part]:
    """A plain text document: its title and context are lines before the text."""
    if not block.get("text"):
        return _media_part({**block, "type": "file"})
    lines = [block.get("title"), block.get("context"), block["text"]]
    return [{"type": "text", "text": "\n".join(line for line in lines if line)}]


def _server_tool_part(block: Given) -> list[Part]:
    # Our own blocks keep the wire's fields in extras; another provider's cannot be replayed at this service's vendors.
    extras = block.get("extras") or {}
    if not extras.get("vendor"):
        raise InfraiUnsupportedContent(f"content of type {block['type']!r} of another provider")
    return [{"type": block["type"], **extras}]


def _non_standard_part(block: Given) -> list[Part]:
    value = block.get("value") or {}
    kind = str(value.get("type"))
    convert = _NON_STANDARD.get(kind)
    if convert is None:
        raise InfraiUnsupportedContent(f"content of type {kind!r}; no row of the conversion knows it")
    return [*convert(value), *_cache_point(value)]


def _search_result_part(value: Given) -> list[Part]:
    """Anthropic's search result: its title and source are lines before the text."""
    texts = (block.get("text") for block in value.get("content") or ())
    return [
        {"type": "text", "text": "\n".join(line for line in (value.get("title"), value.get("source"), *texts) if line)}
    ]


def _anthropic_result_part(value: Given) -> list[Part]:
    content = value.get("content") or ""
    shown = ToolMessage(content=content, tool_call_id=str(value.get("tool_use_id")))
    error = {"is_error": True} if value.get("is_error") else {}
    return [{**_tool_result_part(shown), **error}]


_TO_WIRE: dict[str, Callable[[Given], list[Part]]] = {
    "text": _text_part,
    "text-plain": _document_part,
    "reasoning": _reasoning_part,
    "refusal": lambda b: [{"type": "refusal", "text": b.get("refusal") or ""}],
    "tool_call": lambda b: [_call_part(b)],
    "tool_call_chunk": lambda b: [_call_part({**b, "args": b.get("args") or "{}"})],
    "invalid_tool_call": lambda b: [_call_part({**b, "args": b.get("args") or ""})],
    "server_tool_call": _server_tool_part,
    "server_tool_result": _server_tool_part,
    "non_standard": _non_standard_part,
    **dict.fromkeys(MEDIA, _media_part),
}
_NON_STANDARD: dict[str, Callable[[Given], list[Part]]] = {
    "refusal": lambda v: [{"type": "refusal", "text": v.get("refusal") or ""}],
    "tool_use": lambda v: [_call_part({**v, "args": v.get("input")})],
    "tool_result": _anthropic_result_part,
    "thinking": lambda v: [{"type": "reasoning", "text": v.get("thinking") or ""}],
    "redacted_thinking": lambda v: [],  # only its own provider can read it
    "search_result": _search_result_part,
    "custom_tool_call_output": lambda v: [{"type": "text", "text": str(v.get("output") or "")}],
    "json": lambda v: [{"type": "text", "text": json.dumps(v.get("json"), ensure_ascii=False)}],
    "cache_point": lambda v: [{"type": "cache_point", **_picked(v, ("ttl",))}],
}
"""Blocks outside LangChain's standard that people do send: Anthropic's, results of tools, our cache points."""


def _picked(given: Given, names: Iterable[str]) -> dict[str, Any]:
    return {name: given[name] for name in names if given.get(name) is not None}


# -- wire -> messages ----------------------------------------------------------------------------------------------


def message_of(reply: ChatReply) -> AIMessage:
    """The reply as a message.

    ``content`` is a string while the reply is text and then tool calls; citations then stand in
    ``additional_kwargs["annotations"]`` and count from the start of that string, and what a vendor signed of it in
    ``["signatures"]``. With anything else in the reply (reasoning, media, a refusal, text after a call), ``content`` is
    the ordered list of blocks. ``content_blocks`` is the same either way.
    """
    blocks = [block_of(part.model_dump(exclude_none=True)) for part in reply.parts]
    plain = is_plain(blocks)
    text, notes = joined(blocks)
    beside = {"annotations": notes, "signatures": signatures(blocks)} if plain else {}
    return AIMessage(
        content=text if plain else blocks,  # type: ignore[arg-type]  # list is invariant: blocks are dicts
        additional_kwargs={name: value for name, value in beside.items() if value},
        tool_calls=_calls(blocks, "tool_call"),
        invalid_tool_calls=_calls(blocks, "invalid_tool_call"),
        usage_metadata=usage_of(reply.usage),
        response_metadata=metadata_of(reply) | ({} if plain else STANDARD),
        id=reply.id,
    )


def is_plain(blocks: Iterable[Block]) -> bool:
    """Whether these blocks fit a message whose content is a string: texts, and calls after them."""
    kinds = [block["type"] for block in blocks]
    return _PLAIN.issuperset(kinds) and "text" not in dropwhile("text".__eq__, kinds)


def joined(blocks: Iterable[Block]) -> tuple[str, list[Block]]:
    """The text of text blocks as one string, and their annotations with places in that string."""
    text, notes = "", []
    for block in blocks:
        if block["type"] == "text":
            notes += shifted(block.get("annotations") or (), len(text))
            text += block["text"]
    return text, notes


def signatures(blocks: Iterable[Block]) -> dict[str, Block]:
    """What belongs to a text or a call beside its content, by the call's id or ``text:<place>``."""
    found = {}
    for place, block in enumerate(blocks):
        if block.get("extras"):
            found[_signed_key(block, block.get("index", place))] = block["extras"]
    return found


def _signed_key(block: Block, place: int) -> str:
    return f"{TEXT_KEY}{place}" if block["type"] == "text" else str(block.get("id"))


TEXT_KEY = "text:"


def shifted(notes: Iterable[Block], by: int) -> list[Block]:
    """Annotations with their places moved ``by`` characters to the right."""
    places = ("start_index", "end_index")
    return [{**note, **{name: note[name] + by for name in places if name in note}} for note in notes]


def _calls(blocks: Iterable[Block], kind: str) -> list[Any]:
    fields = ("name", "args", "id", "error")
    return [{n: b[n] for n in fields if n in b} | {"type": kind} for b in blocks if b["type"] == kind]


def block_of(part: Given) -> Block:
    """A wire part as a standard block. A part that this version does not know becomes a ``non_standard`` block."""
    return _TO_BLOCK.get(str(part["type"]), _unknown_block)(part)


def _text_block(part: Given) -> Block:
    notes = [_annotation(note) for note in part.get("annotations") or ()]
    block = {"type": "text", "text": part.get("text") or "", **({"annotations": notes} if notes else {})}
    return {**block, **_extras(part, ("text", "annotations"))}


def _annotation(note: Given) -> Block:
    flat = {**note, **note["url_citation"]} if isinstance(note.get("url_citation"), Mapping) else note
    if flat.get("type") not in ("citation", "url_citation"):
        return {"type": "non_standard_annotation", "value": dict(note)}
    known = {theirs: flat[ours] for ours, theirs in _CITATION.items() if flat.get(ours) is not None}
    known |= _picked(flat, _CITATION.values())  # an OpenAI-shaped service's names are LangChain's names
    return {"type": "citation", **known, **_extras(flat, (*_CITATION, *_CITATION.values(), "url_citation"))}


def _reasoning_block(part: Given) -> Block:
    text = {"reasoning": part["text"]} if "text" in part else {}
    return {"type": "reasoning", **text, **_extras(part, ("text",))}


def _tool_call_block(part: Given) -> Block:
    block = called(part.get("id"), part.get("name"), part.get("arguments"))
    return {**block, **_extras(part, ("id", "name", "arguments"))}


def called(id_: str | None, name: str | None, arguments: str | None) -> Block:
    """A tool call; an invalid one, with the text that the model wrote, where that is not a JSON object."""
    named = {"id": id_, "name": name or ""}
    text = arguments or "{}"
    try:
        args = json.loads(text, strict=False)  # like LangChain's own: a line break inside a string is one
    except (ValueError, RecursionError) as error:
        return {"type": "invalid_tool_call", **named, "args": text, "error": f"arguments are not JSON: {error}"}
    if not isinstance(args, dict):
        return {"type": "invalid_tool_call", **named, "args": text, "error": "arguments are not a JSON object"}
    return {"type": "tool_call", **named, "args": args}


def _media_block(part: Given) -> Block:
    mime = {"mime_type": part["mime"]} if part.get("mime") else {}
    return {
        "type": part["type"],
        **_picked(part, ("url", "base64")),
        **mime,
        **_extras(part, ("url", "base64", "mime")),
    }


def _refusal_block(part: Given) -> Block:
    block = {"type": "refusal", "refusal": part.get("text") or "", **_extras(part, ("text",))}
    # langchain-core before 1.7.5 has no refusal block.
    return block if HAS_REFUSAL else {"type": "non_standard", "value": block}


def _server_call_block(part: Given) -> Block:
    args = _maybe_object(part.get("arguments", part.get("args", part.get("input"))))
    return {
        "type": "server_tool_call",
        "id": part.get("id") or "",
        "name": part.get("name") or "",
        "args": args,
        **_extras(part, ()),
    }


def _server_result_block(part: Given) -> Block:
    status = "error" if part.get("is_error") else "success"
    output = _picked(part, ("output",))
    call_id = part.get("tool_call_id") or part.get("id") or ""
    return {"type": "server_tool_result", "tool_call_id": call_id, "status": status, **output, **_extras(part, ())}


def _maybe_object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _unknown_block(part: Given) -> Block:
    return {"type": "non_standard", "value": {n: v for n, v in part.items() if n not in ("index", "done")}}


def _extras(part: Given, used: Iterable[str]) -> dict[str, Any]:
    skipped = {*used, "type", "index", "done"}
    rest = {name: value for name, value in part.items() if name not in skipped and value is not None}
    return {"extras": rest} if rest else {}


_TO_BLOCK: dict[str, Callable[[Given], Block]] = {
    "text": _text_block,
    "reasoning": _reasoning_block,
    "tool_call": _tool_call_block,
    "refusal": _refusal_block,
    "server_tool_call": _server_call_block,
    "server_tool_result": _server_result_block,
    **dict.fromkeys(MEDIA, _media_block),
}
