"""Our messages -> LangChain's standard content blocks, for ``message.content_blocks``."""

from __future__ import annotations

from itertools import takewhile
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.block_translators import register_translator
from langchain_core.messages.content import ContentBlock

from langchain_infrai._convert import TEXT_KEY, Block
from langchain_infrai._served import PROVIDER


def content_blocks(message: AIMessage) -> list[ContentBlock]:
    """The blocks of a message or chunk of ours: content in its order, citations on their text, every tool call once."""
    blocks = _content(message)
    calls = _pending_calls(message) if _is_pending(message) else _settled_calls(message)
    placed = [_settled(block, calls) for block in blocks]
    present = {key for block in placed if (key := _call_key(block))}
    found = placed + [call for call in calls if _call_key(call) not in present]
    signatures = message.additional_kwargs.get("signatures")
    if signatures and not _is_pending(message):
        _sign(found, signatures)
    return cast("list[ContentBlock]", found)


def _sign(blocks: list[Block], signatures: dict[str, Block]) -> None:
    """Puts back what a vendor signed of a string and of calls beside it: of the string's texts the last one counts."""
    texts = [key for key in signatures if key.startswith(TEXT_KEY)]
    keys = {id(block): str(block.get("id")) for block in blocks}
    string = next((block for block in blocks if block["type"] == "text"), None)
    keys[id(string)] = max(texts, key=lambda key: int(key.removeprefix(TEXT_KEY)), default="")
    for block in blocks:
        extras = signatures.get(keys[id(block)])
        if extras:
            block["extras"] = {**block.get("extras", {}), **extras}


def _content(message: AIMessage) -> list[Block]:
    # BaseMessage's own reading: standard blocks stay, strings become text.
    blocks = [dict(block) for block in super(AIMessage, message).content_blocks]
    strings = list(takewhile(lambda piece: isinstance(piece, str), message.content))
    if strings and isinstance(message.content, list):  # a stream that began as a string
        text = "".join(map(str, strings))
        blocks[: len(strings)] = [{"type": "text", "text": text}] if text else []
    notes = message.additional_kwargs.get("annotations")
    if notes:
        _annotate(blocks, notes)
    return blocks


def _annotate(blocks: list[Block], notes: list[Any]) -> None:
    """Citations beside a string belong to the one text that the string is."""
    text = next((block for block in blocks if block["type"] == "text"), None)
    if text is None:
        blocks.insert(0, {"type": "text", "text": "", "annotations": list(notes)})
    else:
        text["annotations"] = [*text.get("annotations", ()), *notes]


def _is_pending(message: AIMessage) -> bool:
    return isinstance(message, AIMessageChunk) and message.chunk_position != "last"


def _pending_calls(message: AIMessage) -> list[Block]:
    chunks = message.tool_call_chunks if isinstance(message, AIMessageChunk) else []
    return [{"type": "tool_call_chunk", **{n: v for n, v in chunk.items() if n != "type"}} for chunk in chunks]


def _settled_calls(message: AIMessage) -> list[Block]:
    calls: list[Any] = [*message.tool_calls, *message.invalid_tool_calls]
    return [{n: v for n, v in call.items() if v is not None or n != "error"} for call in calls]


def _call_key(block: Block) -> tuple[str, Any] | None:
    """What tells one call from another: its place while it grows (later pieces have no id), then its id."""
    if block["type"] == "tool_call_chunk":
        return "index", block.get("index")
    return ("id", block.get("id")) if block["type"] in ("tool_call", "invalid_tool_call") else None


def _settled(block: Block, calls: list[Block]) -> Block:
    """A growing call in the content of a whole message is the call that it became."""
    if block["type"] != "tool_call_chunk":
        return block
    grown = (call for call in calls if call["type"] != "tool_call_chunk" and call["id"] == block.get("id"))
    extras = {"extras": block["extras"]} if block.get("extras") else {}
    return next(({**call, **extras} for call in grown), block)


def register() -> None:
    """Tells LangChain how to read our messages."""
    register_translator(PROVIDER, content_blocks, content_blocks)
