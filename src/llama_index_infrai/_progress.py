"""A reply, whole or as far as it has streamed, as LlamaIndex's ``ChatResponse``.

One reducer serves both: a whole reply is a stream of one chunk. Tool calls stand twice in each message, as
``ToolCallBlock`` and in ``additional_kwargs["tool_calls"]``: LlamaIndex reads the first in agents and the second in
structured streaming.
"""

from __future__ import annotations

import logging
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)

from infrai_core import AsyncChatStream, ChatChunk, ChatReply, ChatStream, Metadata, Usage
from infrai_core.unchecked import unchecked
from llama_index_infrai._convert import (
    AFTER_BLOCKS,
    OTHER_PARTS,
    SIGNATURES,
    citation_blocks,
    legacy_call,
    media_blocks,
    signature_of,
    signed_key,
    thinking_block,
)
from llama_index_infrai._partial_json import PartialObject, whole
from llama_index_infrai._report import Batches

T = TypeVar("T")
_logger = logging.getLogger(__name__)

_text_block = unchecked(TextBlock, "text")
_call_block = unchecked(ToolCallBlock, "tool_call_id", "tool_name", "tool_kwargs")
_message = unchecked(ChatMessage, "role", "blocks", "additional_kwargs")
_response = unchecked(ChatResponse, "message", "delta", "raw", "logprobs", "additional_kwargs")
_completion = unchecked(CompletionResponse, "text", "additional_kwargs", "raw", "logprobs", "delta")


_TEXT_ALONE = 3
"""How many fields a piece has that brings nothing but more of a text: index, type and the text."""


# -- parts that grow -----------------------------------------------------------------------------------------------


class _Growing(Protocol):
    def add(self, fragment: Mapping[str, Any]) -> None: ...
    def blocks(self, done: bool) -> list[Any]: ...
    def signature(self) -> tuple[str, dict[str, Any]]: ...


@dataclass
class _Text:
    """Text parts that stand side by side: one block, since LlamaIndex joins the text of blocks by line breaks."""

    text: str = ""
    annotations: list[dict[str, Any]] = field(default_factory=list)
    signed: dict[str, Any] = field(default_factory=dict)

    def add(self, fragment: Mapping[str, Any]) -> None:
        self.text += fragment.get("text") or ""
        self.annotations += fragment.get("annotations") or ()
        if len(fragment) > _TEXT_ALONE:
            self.signed |= signature_of(fragment)

    def blocks(self, done: bool) -> list[Any]:
        text = _text_block(self.text)
        return [text, *citation_blocks(self.annotations, self.text)] if self.annotations else [text]

    def signature(self) -> tuple[str, dict[str, Any]]:
        return signed_key({"type": "text", "text": self.text}), self.signed


@dataclass
class _Reasoning:
    part: dict[str, Any] = field(default_factory=dict)

    def add(self, fragment: Mapping[str, Any]) -> None:
        text = self.part.get("text", "") + (fragment.get("text") or "")
        self.part |= {name: value for name, value in fragment.items() if value is not None}
        self.part["text"] = text

    def blocks(self, done: bool) -> list[Any]:
        return [thinking_block(self.part)]

    def signature(self) -> tuple[str, dict[str, Any]]:
        return "", {}  # its block has a place for it


@dataclass
class _Call:
    """A tool call. While it streams its arguments are what can be read so far; done, they are what they mean, or
    the text itself when that is no JSON object."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    reader: PartialObject = field(default_factory=PartialObject)
    closed: bool = False
    signed: dict[str, Any] = field(default_factory=dict)

    def add(self, fragment: Mapping[str, Any]) -> None:
        self.id = self.id or fragment.get("id") or ""
        self.name = self.name or fragment.get("name") or ""
        piece = fragment.get("arguments") or ""
        self.arguments += piece
        self.reader.feed(piece)
        self.closed = self.closed or bool(fragment.get("done"))
        if len(fragment) > _TEXT_ALONE:
            self.signed |= signature_of(fragment)

    def blocks(self, done: bool) -> list[Any]:
        given: dict[str, Any] | str = self.reader.value()
        if done or self.closed:
            read = whole(self.arguments)
            given = self.arguments if read is None else read
        return [_call_block(self.id, self.name, given)]

    def signature(self) -> tuple[str, dict[str, Any]]:
        return self.id, self.signed

    def legacy(self) -> dict[str, Any]:
        return legacy_call(self.id, self.name, self.arguments)


@dataclass
class _Whole:
    """A part that comes in one piece: media, or a kind that no block can carry."""

    part: dict[str, Any] = field(default_factory=dict)

    def add(self, fragment: Mapping[str, Any]) -> None:
        known = {name: value for name, value in fragment.items() if name not in ("index", "done")}
        self.part |= {name: value for name, value in known.items() if value is not None}

    def blocks(self, done: bool) -> list[Any]:
        return media_blocks(self.part) or []

    def other(self) -> dict[str, Any] | None:
        return dict(self.part) if media_blocks(self.part) is None else None

    def signature(self) -> tuple[str, dict[str, Any]]:
        return signed_key(self.part), {} if self.other() else signature_of(self.part)


_GROWING: dict[str, Callable[[], _Growing]] = {
    "text": _Text,
    "refusal": _Text,
    "reasoning": _Reasoning,
    "tool_call": _Call,
}


# -- the whole -----------------------------------------------------------------------------------------------------


class Progress:
    """Takes the chunks of one reply; ``add`` gives the response as it stands after each."""

    def __init__(self) -> None:
        self.done = False
        self._homes: dict[int, int] = {}  # part index -> the place where it is kept; neighbouring texts share one
        self._places: list[int] = []
        self._parts: dict[int, _Growing] = {}
        self._blocks: dict[int, list[Any]] = {}
        self._calls: list[_Call] = []  # of the parts those that stand beside the blocks too, in their order
        self._wholes: list[_Whole] = []
        self._refusal = ""
        self._facts: dict[str, Any] = {}

    def add(self, chunk: ChatChunk) -> ChatResponse:
        """The response after this chunk; ``delta`` is the text that it brought."""
        fragments = chunk.delta.parts or []
        self.done = chunk.finish_reason is not None or chunk.usage is not None or chunk.metadata is not None
        touched = {self._add(fragment) for fragment in fragments}
        for place in self._places if self.done else touched:
            self._blocks[place] = self._parts[place].blocks(self.done)
        if self.done or chunk.id or chunk.model:
            self._facts |= _facts(chunk)
        extra: dict[str, Any] = _counts(chunk.usage) if chunk.usage is not None else {}
        said, thought = _new_text(fragments)
        if thought:
            extra["thinking_delta"] = thought
        return _response(self._message(), said, dict(self._facts), None, extra)

    def _add(self, fragment: Mapping[str, Any]) -> int:
        index, kind = fragment["index"], fragment["type"]
        if kind == "refusal":
            self._refusal += fragment.get("text") or ""
        if index not in self._homes:
            self._begin(index, kind)
        place = self._homes[index]
        self._parts[place].add(fragment)
        return place

    def _begin(self, index: int, kind: str) -> None:
        before = self._homes.get(index - 1)
        if before is not None and kind in ("text", "refusal") and isinstance(self._parts[before], _Text):
            self._homes[index] = before
            return
        self._homes[index] = index
        self._parts[index] = part = _GROWING.get(kind, _Whole)()
        insort(self._places, index)
        if isinstance(part, _Call | _Whole):
            parts = [self._parts[place] for place in self._places]
            self._calls = [part for part in parts if isinstance(part, _Call)]
            self._wholes = [part for part in parts if isinstance(part, _Whole)]

    def _message(self) -> ChatMessage:
        blocks = [block for place in self._places for block in self._blocks.get(place, ())]
        return _message(MessageRole.ASSISTANT, blocks, self._beside())

    def _beside(self) -> dict[str, Any]:
        """What stands beside the blocks."""
        beside: dict[str, Any] = {}
        if self._calls:
            beside["tool_calls"] = [call.legacy() for call in self._calls]
        if others := self._others():
            beside[OTHER_PARTS] = others
        if self.done and (signatures := self._signatures()):
            beside[SIGNATURES] = signatures
        if self._refusal:
            beside["refusal"] = self._refusal
        return beside

    def _others(self) -> list[dict[str, Any]]:
        """The parts that no block carries, with their places among the blocks."""
        found, before = [], 0
        for place in self._places if self._wholes else ():
            part = self._parts[place]
            if isinstance(part, _Whole) and (other := part.other()):
                found.append({**other, AFTER_BLOCKS: before})
            before += len(self._blocks.get(place, ()))
        return found

    def _signatures(self) -> dict[str, dict[str, Any]]:
        found = (self._parts[place].signature() for place in self._places)
        return {key: signed for key, signed in found if "opaque" in signed}


_END = ChatChunk(finish_reason="stop")


def responses(stream: ChatStream) -> Batches[ChatResponse]:
    """The responses of a stream; closing this closes the HTTP response. The last one is complete in itself."""
    progress = Progress()
    with stream:
        while chunks := stream.read():
            yield map(progress.add, chunks)
        if not progress.done:  # a service that ends its stream without a finish reason
            yield [progress.add(_END)]


class AsyncResponses(Generic[T]):
    """The same from an event loop, each as ``shown`` makes it. No generator: a loop that ends closes all of them at
    once, and would close one twice that stands inside another."""

    def __init__(self, stream: AsyncChatStream, shown: Callable[[ChatResponse], T]) -> None:
        self._stream = stream
        self._shown = shown
        self._progress = Progress()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Iterable[T]:
        if chunks := await self._stream.read():
            return map(self._shown, map(self._progress.add, chunks))
        if self._progress.done:
            raise StopAsyncIteration
        return [self._shown(self._progress.add(_END))]

    async def aclose(self) -> None:
        """Closes the HTTP response."""
        await self._stream.aclose()


def response_of(reply: ChatReply) -> ChatResponse:
    """A whole reply. ``raw`` is a plain dictionary: id, model, finish_reason, ``usage`` with OpenAI's names,
    ``metadata`` with cost_usd (Decimal or None), vendor and model. Token counts stand in ``additional_kwargs`` too."""
    parts = [{"index": i, **part.model_dump(exclude_none=True)} for i, part in enumerate(reply.parts)]
    chunk = ChatChunk.model_validate(
        {
            "delta": {"parts": parts},
            "finish_reason": reply.finish_reason or "stop",
            "id": reply.id,
            "model": reply.model,
            "usage": reply.usage,
            "metadata": reply.metadata,
        }
    )
    response = Progress().add(chunk)
    response.delta = None
    response.additional_kwargs.pop("thinking_delta", None)
    return response


def completion_of(response: ChatResponse) -> CompletionResponse:
    """The same as a completion; the response's dictionaries are not shared."""
    return _completion(
        text=response.message.content or "",
        additional_kwargs={**response.message.additional_kwargs, **response.additional_kwargs},
        raw=response.raw,
        logprobs=None,
        delta=response.delta,
    )


def completions(stream: Batches[ChatResponse]) -> Batches[CompletionResponse]:
    """The responses of a stream as completions; closing this closes the stream."""
    with closing(stream):
        for batch in stream:
            yield map(completion_of, batch)


def _new_text(fragments: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What was said and what was thought in these fragments."""
    said = thought = ""
    for fragment in fragments:
        kind, text = fragment["type"], fragment.get("text")
        if text and kind in ("text", "refusal"):
            said += text
        elif text and kind == "reasoning":
            thought += text
    return said, thought


def _facts(chunk: ChatChunk) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": chunk.id, "model": chunk.model, "finish_reason": chunk.finish_reason}
    if chunk.model is None and chunk.metadata is not None:
        facts["model"] = chunk.metadata.model
    known = {name: value for name, value in facts.items() if value is not None}
    if chunk.usage is not None:
        known["usage"] = chunk.usage.model_dump(exclude_none=True)
    if chunk.metadata is not None:
        known["metadata"] = _metadata(chunk.metadata)
    return known


def _metadata(metadata: Metadata) -> dict[str, Any]:
    return {"cost_usd": None, **metadata.model_dump(exclude_none=True)}


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def _counts(usage: Usage) -> dict[str, int]:
    values = {name: getattr(usage, name, None) for name in _COUNTS}
    return {name: value for name, value in values.items() if value is not None}


def calls_of(message: ChatMessage) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(id, name, arguments) of each tool call of a message. Arguments that are no JSON object in the end, such as those
    that were cut off, are logged and given under names that no tool has: it refuses them, and the model is told."""
    for block in message.blocks:
        if isinstance(block, ToolCallBlock):
            yield block.tool_call_id or "", block.tool_name, _arguments(block)


def _arguments(block: ToolCallBlock) -> dict[str, Any]:
    given = block.tool_kwargs
    read = whole(given) if isinstance(given, str) else given
    if read is None:
        _logger.warning("the arguments of tool call %r are no JSON object; the tool will refuse them", block.tool_name)
        # Two of them: a single one LlamaIndex hands to a tool of one parameter, whatever it is called.
        return {"unreadable_arguments": given, "unreadable_because": "they are no JSON object, or were cut off"}
    return read
