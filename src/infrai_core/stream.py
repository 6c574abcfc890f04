"""Bytes of a streamed answer -> chunks. Framing, end marks, in-band errors and stalls are decided here, without I/O;
the two iterators in ``client`` only move bytes."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from infrai_core.accumulate import Accumulator, FlatReader
from infrai_core.dialect.openai import metadata_of
from infrai_core.envelope import Headers, error_from, header_metadata
from infrai_core.errors import InfraiError, ProtocolError, StreamInterrupted, Timeout
from infrai_core.models import ChatChunk, Metadata
from infrai_core.parse import parsed
from infrai_core.sse import Decoder, Event

_NO_REASON = (
    "the stream has its end mark but no finish_reason, so that it was cut before it came here; for a server that never"
    ' says why it ends: the runtime takes it as a vendor with finish_reason = "optional"'
)


class ChunkReader:
    """Reads one streamed answer.

    ``feed`` gives the chunks that new bytes complete; ``end`` is called when the bytes end. ``done`` is true after
    the end mark. Raises the ``StatusError`` of an in-band error, ``StreamInterrupted`` (with what came so far) for a
    stream without an end mark or without a reason why it ended, ``Timeout`` when no event came for ``idle_timeout_s``
    while comments kept it open. An error that stands behind chunks in the same bytes waits in ``failure`` until those
    chunks were given out.
    """

    def __init__(self, headers: Headers, idle_timeout_s: float, now_s: float) -> None:
        self.done = False
        self.failure: InfraiError | None = None
        self.so_far = Accumulator()
        self.headers = headers
        self._idle_s = idle_timeout_s
        self._last_event_s = now_s
        self._decoder = Decoder()
        self._flat = FlatReader()
        self._native: bool | None = None
        self._held: ChatChunk | None = None  # OpenAI's finish chunk, until the usage chunk that may follow it

    def feed(self, data: bytes, now_s: float) -> list[ChatChunk]:
        """The chunks that these bytes complete, in order."""
        events = self._decoder.feed(data)
        if events:
            self._last_event_s = now_s
        elif now_s - self._last_event_s > self._idle_s:
            raise Timeout(f"the stream brought nothing but keep-alives for {self._idle_s:g} s")
        return self._chunks(events)

    def end(self) -> list[ChatChunk]:
        """The last chunks, at the end of the bytes."""
        chunks = self._chunks(self._decoder.end())
        if not self.done:
            raise StreamInterrupted("the stream ended before its end mark", self.so_far.reply())
        return chunks

    def _chunks(self, events: list[Event]) -> list[ChatChunk]:
        chunks: list[ChatChunk] = []
        for event in events:
            if self.done:
                break
            try:
                chunk = self._chunk(event)
            except InfraiError as error:
                if not chunks:
                    raise
                self.failure = error
                break
            if chunk is not None:
                self.so_far.add(chunk)
                chunks.append(chunk)
        return chunks

    def _chunk(self, event: Event) -> ChatChunk | None:
        data = event.data
        if event.event == "message" and data.startswith('{"delta"'):  # as nearly all are
            return self._whole(_validated(data))
        if data == "[DONE]":
            return self._ended()
        if event.event == "error" or data.startswith('{"error"'):
            raise error_from(200, data, self.headers)
        return self._tolerant(data) if event.event == "message" else None

    def _ended(self) -> ChatChunk | None:
        """The last chunk, at the end mark. Gateways send the mark also when what they read from broke off, and then
        nothing has said why the answer ended."""
        held, self._held = self._held, None
        if not ((held and held.finish_reason) or self.so_far.finish_reason):
            if held is not None:
                self.so_far.add(held)
            raise StreamInterrupted(_NO_REASON, self.so_far.reply())
        self.done = True
        return held

    def _tolerant(self, data: str) -> ChatChunk | None:
        """Frames whose fields stand in another order, and OpenAI's."""
        try:
            frame = parsed(data)
        except ValueError:
            raise ProtocolError("a chunk of the stream is not JSON") from None
        if not isinstance(frame, dict):
            raise ProtocolError("a chunk of the stream is not a JSON object")
        if frame.get("error") or frame.get("ok") is False:
            raise error_from(200, data, self.headers)
        if "choices" in frame:
            return self._openai(frame)
        return self._whole(_validated(frame)) if "delta" in frame else None

    def _whole(self, chunk: ChatChunk) -> ChatChunk:
        if chunk.delta.parts is None:
            chunk.delta.parts = self._flat.parts(chunk.delta.__dict__ | (chunk.delta.model_extra or {}))
        return chunk

    def _openai(self, frame: dict[str, Any]) -> ChatChunk | None:
        """OpenAI's chunk. The finish chunk waits for the usage chunk after it (empty ``choices``), so that usage and
        metadata ride on the last chunk here too."""
        choice = (frame["choices"] or [{}])[0]
        usage, meta = frame.get("usage"), frame.get("infrai")
        delta = choice.get("delta") or {}
        fields = {name: frame.get(name) for name in ("id", "model", "usage")}
        parts = delta.get("parts") or self._flat.parts(delta)
        finish = choice.get("finish_reason")
        chunk = _validated({**fields, "delta": {**delta, "parts": parts}, "finish_reason": finish})
        if usage or meta or chunk.finish_reason:
            more = dict(meta or {})
            chunk.delta.parts = [*(chunk.delta.parts or ()), *self._flat.completed(more.pop("parts", None) or ())]
            return self._hold(chunk, {**metadata_of(frame), **header_metadata(self.headers), **more})
        return chunk if chunk.delta.parts or chunk.delta.role else None

    def _hold(self, chunk: ChatChunk, metadata: dict[str, Any]) -> ChatChunk | None:
        held = self._held
        chunk.metadata = Metadata.model_validate(metadata)
        if held is not None:
            chunk.finish_reason = chunk.finish_reason or held.finish_reason
            chunk.usage = chunk.usage or held.usage
            chunk.delta.parts = [*(held.delta.parts or ()), *(chunk.delta.parts or ())]
            chunk.delta.content = "".join(filter(None, (held.delta.content, chunk.delta.content))) or None
            chunk.delta.tool_calls = [*(held.delta.tool_calls or ()), *(chunk.delta.tool_calls or ())] or None
        self._held = chunk
        return None


def _validated(data: str | dict[str, Any]) -> ChatChunk:
    try:
        return ChatChunk.model_validate_json(data) if isinstance(data, str) else ChatChunk.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ProtocolError(f"a chunk of the stream is not valid: {where}: {first['msg']}") from None
