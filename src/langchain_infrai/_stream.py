"""Chunks of a streamed answer -> content blocks, and those -> LangChain message chunks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils.json import parse_partial_json

from infrai_core import ChatChunk, ChatReply, ToolCallPart
from infrai_core.unchecked import unchecked
from langchain_infrai._convert import (
    HAS_REFUSAL,
    STANDARD,
    Block,
    block_of,
    called,
    is_plain,
    shifted,
    signatures,
)
from langchain_infrai._served import PROVIDER, metadata_of, traced, usage_of

_GROWING = {"text": "text", "reasoning": "text", "tool_call": "arguments"} | (
    {"refusal": "text"} if HAS_REFUSAL else {}
)
"""Part type -> the field that arrives in pieces. All other fields of such a part go out once, when it is complete,
because LangChain joins repeated text and fails on repeated numbers."""
_AT_ONCE = frozenset({"index", "type", "done", "annotations"})
_TEXT_ALONE = 3
"""How many fields a piece of text has that brings nothing else: index, type and text."""
_NO_CALL: dict[str, Any] = {"id": None, "name": None, "args": ""}
_TEXTS = ("text", "reasoning", "refusal", "args")
_STOPS = ("]", "}", '"]', '"}', '""]', '""}')
"""Ends after which no text of arguments can be made whole: one of these closes what is not open."""

_text_chunk = unchecked(AIMessageChunk, "content", "id", "response_metadata")
_generation = unchecked(ChatGenerationChunk, "text", "message")


class BlockReader:
    """Turns the chunks of one answer into pieces of content blocks; ``index`` says which block a piece belongs to.

    Whatever the chunks were, a list has at most one piece of a block: LangChain joins the pieces of two lists, but not
    two pieces of one.
    """

    def __init__(self) -> None:
        self.held: dict[int, dict[str, Any]] = {}
        """What goes out when its part is complete."""
        self.calls: dict[int, str | None] = {}
        """The calls that began, and their ids."""

    def read(self, chunk: ChatChunk) -> list[Block]:
        """What this chunk adds."""
        parts = chunk.delta.parts or ()
        if len(parts) == 1 and not self.held:
            part = parts[0]
            if len(part) == _TEXT_ALONE and part["type"] == "text" and (text := part.get("text")):
                return [{"type": "text", "text": text, "index": part["index"]}]
        return _one_per_block(block for fragment in parts for block in self._blocks(fragment))

    def rest(self) -> list[Block]:
        """What was held back until the end."""
        return _one_per_block(self._complete(None))

    def _blocks(self, fragment: Mapping[str, Any]) -> Iterator[Block]:
        index, kind = fragment["index"], fragment["type"]
        yield from self._complete(index)
        grows = _GROWING.get(kind)
        rest = {n: v for n, v in fragment.items() if n not in _AT_ONCE and n != grows and v is not None}
        if kind == "tool_call":
            yield self._call(fragment, rest)
        elif grows and (fragment.get(grows) or fragment.get("annotations")):
            yield _piece(fragment, grows)
        if rest:
            self._hold(index, kind, rest)
        if fragment.get("done"):
            yield from self._take(index)

    def _call(self, fragment: Mapping[str, Any], rest: dict[str, Any]) -> Block:
        """A piece of a tool call: id and name on its first piece only."""
        index = fragment["index"]
        named = {name: rest.pop(name, None) for name in ("id", "name")}
        if index in self.calls:
            named = {}
        self.calls.setdefault(index, named.get("id"))
        more = {**named, "args": fragment.get("arguments") or "", "index": index}
        return {"type": "tool_call_chunk", **_NO_CALL, **more}

    def _hold(self, index: int, kind: str, rest: Mapping[str, Any]) -> None:
        held = self.held.setdefault(index, {"type": kind})
        joined = {"text": held.get("text", "") + rest["text"]} if "text" in rest else {}
        held.update({**rest, **joined})

    def _complete(self, before: int | None) -> Iterator[Block]:
        """What was held back of parts before this one; of all parts for None."""
        for index in [i for i in self.held if before is None or i < before]:
            yield from self._take(index)

    def _take(self, index: int) -> Iterator[Block]:
        part = self.held.pop(index, None)
        if part is None:
            return
        if part["type"] == "tool_call":
            more = {name: value for name, value in part.items() if name != "type"}
            yield {"type": "tool_call_chunk", **_NO_CALL, "extras": more, "index": index}
        else:
            yield {**block_of(part), "index": index}


def _piece(fragment: Mapping[str, Any], grows: str) -> Block:
    shown = {"type": fragment["type"], grows: fragment.get(grows) or ""}
    if fragment.get("annotations"):
        shown["annotations"] = fragment["annotations"]
    return {**block_of(shown), "index": fragment["index"]}


def _one_per_block(pieces: Iterable[Block]) -> list[Block]:
    found: dict[int, list[Block]] = {}
    for piece in pieces:
        found.setdefault(piece["index"], []).append(piece)
    return [joined_block(ones) for ones in found.values()]


def joined_block(pieces: Sequence[Block]) -> Block:
    """The pieces of one block as one: texts joined, everything else added."""
    if len(pieces) == 1:
        return pieces[0]
    whole: Block = {}
    for piece in pieces:
        whole.update({name: value for name, value in piece.items() if value is not None or name not in whole})
    for name in _TEXTS:
        if name in whole:
            whole[name] = "".join(piece.get(name) or "" for piece in pieces)
    notes = [note for piece in pieces for note in piece.get("annotations") or ()]
    extras = {name: value for piece in pieces for name, value in (piece.get("extras") or {}).items()}
    return {**whole, **({"annotations": notes} if notes else {}), **({"extras": extras} if extras else {})}


def _stop(arguments: str) -> str:
    """What to add to arguments that are no JSON object so that LangChain takes them for such; empty where it does.

    Its reader of growing calls closes what is open, and would run a call that was cut off with half its arguments.
    """
    if called(None, None, arguments)["type"] == "tool_call":
        return ""
    return next(end for end in ("", *_STOPS) if not _reads(arguments + end))


def _reads(arguments: str) -> bool:
    """Whether LangChain makes an object of this."""
    try:
        return isinstance(parse_partial_json(arguments), dict)
    except (ValueError, RecursionError):
        return False


def _generated(message: AIMessageChunk) -> ChatGenerationChunk:
    text = message.content
    return _generation(text if isinstance(text, str) else message.text, message)


class StreamedMessage:
    """Turns the chunks of one answer into message chunks that LangChain can add up.

    Text is a plain string until a part comes that needs a block (reasoning, media, a refusal, text after a call); from
    then on, and always with ``as_blocks``, content is a list of blocks with the index of their part. What began in the
    string ends there; calls that stood beside it take their place in the list. The last chunk alone carries usage, cost
    and the other metadata.
    """

    def __init__(self, as_blocks: bool = False) -> None:
        self._as_blocks = as_blocks
        self._reader = BlockReader()
        self._began = False
        self._id: str | None = None
        self._began_as_string = False
        self._lengths = defaultdict[int, int](int)  # of the texts in the string
        self._beside = defaultdict[int, list[Block]](list)  # the pieces of calls beside the string

    def read(self, chunk: ChatChunk) -> ChatGenerationChunk | None:
        """What this chunk adds; None when it brings no content."""
        parts = chunk.delta.parts
        if not self._began:
            self._name(chunk.id)
        # Nearly all are a piece of text and nothing else. No function is asked whether: a chunk that comes alone finds
        # the caches cold, where a call costs several times as much.
        if parts and len(parts) == 1 and not self._as_blocks and not self._reader.held:
            part = parts[0]
            if (
                len(part) == _TEXT_ALONE
                and part["type"] == "text"
                and (text := part.get("text"))
                and not (self._beside and part["index"] not in self._lengths)
            ):
                self._lengths[part["index"]] += len(text)
                return _generation(text, _text_chunk(text, self._id, {"model_provider": PROVIDER}))
        blocks = self._reader.read(chunk)
        return _generated(self._message(blocks)) if blocks else None

    def _name(self, id_: str | None) -> None:
        """All chunks of a message have one id, because graphs and pages tell messages apart by it: the one that the
        first chunk has. A service that tells its own at the end is too late, and LangChain gives them one."""
        self._began, self._id = True, id_

    def end(self, reply: ChatReply) -> Iterator[ChatGenerationChunk]:
        """The closing chunks, from the whole reply: what was held back, then the last one. What was held back has a
        chunk of its own, because LangChain takes a call in the last chunk for a whole one."""
        if not self._began:
            self._name(reply.id)
        held = _one_per_block([*self._reader.rest(), *self._stops(reply)])
        if held:
            yield _generated(self._message(held))
        last = self._message(
            [],
            response_metadata=metadata_of(reply) | (STANDARD if self._is_standard(reply) else {}),
            usage_metadata=usage_of(reply.usage),
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last, generation_info=traced(reply))

    def _is_standard(self, reply: ChatReply) -> bool:
        """Whether the chunks add up to a list of standard blocks: without the string that they began with, and without
        calls that are none, which stay in pieces."""
        calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
        are_calls = all(called(None, None, call.arguments)["type"] == "tool_call" for call in calls)
        return self._as_blocks and not self._began_as_string and are_calls

    def _stops(self, reply: ChatReply) -> Iterator[Block]:
        calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
        for index, call in zip(sorted(self._reader.calls), calls, strict=False):
            if stop := _stop(call.arguments):
                yield {"type": "tool_call_chunk", **_NO_CALL, "args": stop, "index": index}

    def _message(self, blocks: list[Block], **fields: Any) -> AIMessageChunk:
        moved: list[Block] = []
        if not self._as_blocks and not self._fits_the_string(blocks):
            self._as_blocks = True
            self._began_as_string = bool(self._lengths or self._beside)
            moved = [joined_block(pieces) for pieces in self._beside.values()]
            self._beside.clear()
        inside = [block for block in blocks if self._as_blocks and block["index"] not in self._lengths]
        text, beside = self._string([block for block in blocks if block not in inside])
        inside = [*moved, *inside]
        calls = [
            tool_call_chunk(name=b["name"], args=b["args"], id=b["id"], index=b["index"])
            for b in blocks
            if b["type"] == "tool_call_chunk"
        ]
        return AIMessageChunk(
            content=[text, *inside] if text and inside else inside or text,
            id=self._id,
            tool_call_chunks=calls,
            additional_kwargs={name: value for name, value in beside.items() if value},
            **{"response_metadata": {"model_provider": PROVIDER}, **fields},
        )

    def _fits_the_string(self, blocks: list[Block]) -> bool:
        return is_plain(blocks) and not any(map(self._follows_a_call, blocks))

    def _follows_a_call(self, block: Mapping[str, Any]) -> bool:
        """Whether this is a text that began after a call: a string would put it before."""
        return bool(self._beside) and block["type"] == "text" and block["index"] not in self._lengths

    def _string(self, blocks: list[Block]) -> tuple[str, dict[str, Any]]:
        """Text as a string; beside it annotations, with their places in the whole text, and signatures."""
        text, notes = "", []
        for block in blocks:
            if block["type"] == "text":
                before = sum(length for index, length in self._lengths.items() if index < block["index"])
                notes += shifted(block.get("annotations") or (), before)
                self._lengths[block["index"]] += len(block["text"])
                text += block["text"]
            else:
                self._beside[block["index"]].append(block)
        named = [{**block, "id": self._reader.calls.get(block["index"])} for block in blocks]
        return text, {"annotations": notes, "signatures": signatures(named)}
