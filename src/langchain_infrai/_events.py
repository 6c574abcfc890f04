"""Chunks of a streamed answer -> events of LangChain's content-block protocol (``stream_events(version="v3")``).

The events come straight from the wire: no message chunk is made in between, each block has its own life, and a block
that the service closes is finished then, not at the end of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from infrai_core import ChatChunk, ChatReply, Metadata
from infrai_core.models import Delta
from langchain_infrai._convert import Block, called
from langchain_infrai._served import PROVIDER, metadata_of, usage_of
from langchain_infrai._stream import BlockReader, joined_block

if TYPE_CHECKING:
    from langchain_protocol.protocol import MessagesData

_DELTAS = {
    "text": ("text-delta", "text"),
    "reasoning": ("reasoning-delta", "reasoning"),
    "tool_call_chunk": ("tool-call-delta", "args"),
}
"""Block type -> type of its deltas, and the field that grows."""
_LATE = frozenset({"annotations", "extras", "index", "base64", "args", "output", "value"})
"""What a block has only when it is finished, because it is large or grows."""


class StreamedEvents:
    """Turns the chunks of one answer into protocol events."""

    def __init__(self) -> None:
        self._reader = BlockReader()
        self._started = False
        self._places: dict[int, int] = {}
        self._open: dict[int, list[Block]] = {}
        self._done: set[int] = set()

    def read(self, chunk: ChatChunk, served: Callable[[], Metadata]) -> Iterator[MessagesData]:
        """The events of this chunk; ``served`` tells what is known by now of who answers."""
        pieces = self._reader.read(chunk)
        if pieces and not self._started:
            yield from self._start(chunk.id, served().model)
        for piece in pieces:
            yield from self._piece(piece)
        done = [fragment["index"] for fragment in chunk.delta.parts or () if fragment.get("done")]
        if done:
            self._done.update(done)
            yield from self._finish(self._done)

    def end(self, reply: ChatReply) -> Iterator[MessagesData]:
        """The closing events, from the whole reply."""
        yield from self._start(reply.id, reply.model)
        for piece in self._reader.rest():
            yield from self._piece(piece)
        yield from self._finish(self._open.keys())
        usage = usage_of(reply.usage)
        counted = {"usage": usage} if usage else {}
        yield _event("message-finish", **counted, metadata=metadata_of(reply))

    def whole(self, reply: ChatReply) -> Iterator[MessagesData]:
        """All events of an answer that came at once."""
        parts = [{**part.model_dump(exclude_none=True), "index": at} for at, part in enumerate(reply.parts)]
        yield from self.read(ChatChunk(id=reply.id, delta=Delta(parts=parts)), lambda: reply.metadata)
        yield from self.end(reply)

    def _start(self, id_: str | None, model: str | None) -> Iterator[MessagesData]:
        if not self._started:
            self._started = True
            named = {"model": model} if model else {}
            yield _event("message-start", role="ai", id=id_ or "", metadata={"provider": PROVIDER, **named})

    def _piece(self, piece: Block) -> Iterator[MessagesData]:
        index = piece["index"]
        if index not in self._open:
            self._open[index] = []
            self._places[index] = len(self._places)
            yield _event("content-block-start", index=self._places[index], content=_skeleton(piece))
        self._open[index].append(piece)
        delta = _delta(piece)
        if delta is not None:
            yield _event("content-block-delta", index=self._places[index], delta=delta)

    def _finish(self, done: Container[int]) -> Iterator[MessagesData]:
        """Ends the blocks that are done, in their order: LangChain lists tool calls in the order in which they end."""
        for index in list(self._open):
            if index not in done:
                return
            block = joined_block(self._open.pop(index))
            yield _event("content-block-finish", index=self._places[index], content=_final(block))


def _event(name: str, **fields: Any) -> MessagesData:
    return cast("MessagesData", {"event": name, **fields})


def _skeleton(piece: Block) -> Block:
    """A block before its content: what it is, and for a call which one."""
    kept = {name: value for name, value in piece.items() if name not in _LATE}
    grows = _DELTAS.get(piece["type"])
    empty: Mapping[str, Any] = {grows[1]: ""} if grows else {}
    return {**kept, **empty}


def _delta(piece: Block) -> Block | None:
    known = _DELTAS.get(piece["type"])
    if known is None or not piece.get(known[1]):
        return None
    return {"type": known[0], known[1]: piece[known[1]]}


def _final(block: Block) -> Block:
    rest = {name: value for name, value in block.items() if name != "index"}
    if block["type"] == "tool_call_chunk":
        extras = {"extras": block["extras"]} if block.get("extras") else {}
        return {**called(block["id"], block["name"], block["args"]), **extras}
    if block["type"] == "refusal":
        # LangChain's event stream has no place for a refusal block: it would be lost.
        return {"type": "non_standard", "value": rest}
    return rest
