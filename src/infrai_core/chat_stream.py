"""Streamed answers as iterators: a shared half that decides, and two thin shells that move bytes."""

from __future__ import annotations

import asyncio
import contextvars
import select
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from functools import partial
from types import TracebackType
from typing import Any

import httpx
from anyio import NoEventLoopError
from anyio.lowlevel import current_token

from infrai_core import usage
from infrai_core.config import Config
from infrai_core.direct import Answer, AsyncAnswer
from infrai_core.envelope import header_metadata
from infrai_core.errors import InfraiError, ProtocolError, StreamInterrupted, Timeout
from infrai_core.loop import asyncio_loop
from infrai_core.models import ChatChunk, ChatReply, Metadata, Usage
from infrai_core.operation import Operation
from infrai_core.protocol import Response
from infrai_core.stream import ChunkReader
from infrai_core.tokens import estimate, estimate_request

DRAIN_S = 0.25
"""How long the end of the body may take after the end mark, so that the connection can be used again."""


class _BaseStream:
    """What both kinds of stream know: the chunks that are ready, whether it ended, and how it is booked."""

    def __init__(self, op: Operation[Any], config: Config, twin: Callable[[InfraiError], InfraiError]) -> None:
        self._op = op
        self._config = config
        self._twin = twin
        self._ready: deque[ChatChunk] = deque()
        self._reader: ChunkReader | None = None
        self._closed = False
        self._booked = False
        self._failure: InfraiError | None = None
        self._context = contextvars.copy_context()

    @property
    def so_far(self) -> ChatReply:
        """The reply as far as it was received."""
        return self._reader.so_far.reply() if self._reader else ChatReply()

    def _whole(self) -> ChatReply:
        """The reply of a stream that was read to its end. Raises what broke it, also when asked again."""
        if self._failure is not None or self.left:
            raise self._twin(self._failure or StreamInterrupted("the stream was closed before its end", self.so_far))
        return self.so_far

    @property
    def left(self) -> bool:
        """Whether the caller closed it before its end."""
        return self._closed and self._failure is None and not (self._reader and self._reader.done)

    @property
    def metadata(self) -> Metadata:
        """What is known of how the call is served: the headers' facts at first, all of it after the last chunk."""
        if self._reader is None:
            return Metadata()
        return self._reader.so_far.metadata or Metadata.model_validate(header_metadata(self._reader.headers))

    def _begin(self, response: Response) -> ChunkReader:
        self._reader = ChunkReader(response.headers, self._config.idle_timeout_s, time.monotonic())
        return self._reader

    def _take(self, reader: ChunkReader, data: bytes | None) -> list[ChatChunk]:
        """The chunks that these bytes (None: their end) complete. An error that waited behind chunks comes first."""
        if reader.failure is not None:
            raise reader.failure
        chunks = reader.end() if data is None else reader.feed(data, time.monotonic())
        if reader.done:
            self._book_whole(reader)
        return chunks

    def _all_ready(self) -> list[ChatChunk]:
        """The chunks that are ready, given out."""
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def _failed(self, error: Exception) -> InfraiError:
        """The error that the caller sees for one that broke the stream; it is kept for who asks for the reply again."""
        self._failure = self._as_ours(error)
        return self._failure

    def _as_ours(self, error: Exception) -> InfraiError:
        if isinstance(error, httpx.TimeoutException):
            return Timeout(f"the stream brought nothing for {self._config.idle_timeout_s:g} s")
        if isinstance(error, httpx.DecodingError):
            return ProtocolError(f"the stream cannot be decoded: {error}")
        if isinstance(error, InfraiError):
            return error
        return StreamInterrupted(f"the connection broke in the middle of the stream: {error}", self.so_far)

    def _book_whole(self, reader: ChunkReader) -> None:
        self._booked = True
        said, tags = reader.so_far, self._config.tags
        self._record(
            usage.noted(self._op.capability, said.usage or Usage(), self.metadata, model=said.model, tags=tags)
        )

    def _book_aborted(self) -> None:
        """A stream that was broken off is paid for all the same: its tokens are estimated and marked."""
        if self._booked or self._reader is None or sys.is_finalizing():  # then nobody reads a ledger any more
            return
        self._booked = True
        served = self.metadata
        text = self.so_far
        self._record(
            partial(
                usage.Entry,
                capability=self._op.capability,
                vendor=served.vendor,
                model=served.model or text.model,
                prompt_tokens=estimate_request({**(self._op.body or {}), "max_tokens": None}),
                completion_tokens=estimate(text.content + (text.reasoning or "")),
                cost_usd=None,
                latency_ms=None,
                cache_hit=False,
                request_id=served.request_id,
                outcome="aborted",
                estimated=True,
                tags=dict(self._config.tags),
            )
        )

    def _record(self, noted: Callable[[], usage.Entry]) -> None:
        """Books in the context of the call: where the stream ends, the caller's tags and spans may be others."""
        self._context.run(self._config.record, noted)


_READ_ERRORS = (httpx.TransportError, httpx.StreamError, InfraiError)


class ChatStream(_BaseStream):
    """A streamed answer. Nothing is sent until it is iterated or entered.

    Iterating gives ``ChatChunk``s as they arrive; leaving the loop early, ``close`` and the end of the ``with`` block
    close the HTTP response at once. ``reply()`` reads to the end and returns the whole ``ChatReply``. Raises
    ``StreamInterrupted`` when the stream is cut, the ``StatusError`` of an in-band error, ``Timeout`` when it stalls.
    """

    def __init__(
        self,
        op: Operation[Any],
        config: Config,
        opener: Callable[[], Response],
        twin: Callable[[InfraiError], InfraiError],
    ) -> None:
        super().__init__(op, config, twin)
        self._opener = opener
        self._answer: Answer | None = None
        self._bytes: Iterator[bytes] = iter(())

    def __iter__(self) -> Iterator[ChatChunk]:
        # A generator of its own: a loop that is left drops it, and dropping it closes the response.
        try:
            while chunks := self.read():
                self._ready += chunks
                while self._ready:
                    yield self._ready.popleft()
        finally:
            self.close()

    def __next__(self) -> ChatChunk:
        if not self._ready:
            self._ready += self.read()
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    def read(self) -> list[ChatChunk]:
        """The chunks that are there, or else those that the next bytes complete; none at the end. What many chunks in
        one go cost is less than in a loop over single ones."""
        if self._ready:
            return self._all_ready()
        while not self._closed:
            reader = self._reader or self._open()
            try:
                chunks = self._take(reader, None if reader.failure else next(self._bytes, None))
            except _READ_ERRORS as error:
                self.close()
                raise self._twin(self._failed(error)) from error
            if reader.done:
                return self._finish(chunks)
            if chunks:
                return chunks
        return []

    def reply(self) -> ChatReply:
        """Reads to the end; the whole reply, whatever was iterated before. Raises ``StreamInterrupted`` when the stream
        was left or closed before its end: what came is in ``so_far``."""
        for _ in self:
            pass
        return self._whole()

    def open(self) -> ChatStream:
        """Sends the request, unless it was sent. Raises what a call raises."""
        if self._reader is None and not self._closed:
            self._open()
        return self

    def _open(self) -> ChunkReader:
        response = self._opener()
        self._answer = response.handle
        self._bytes = response.handle.pieces()
        return self._begin(response)

    def _finish(self, chunks: list[ChatChunk]) -> list[ChatChunk]:
        """Ends the answer; its last chunks are given out, or stay to be given out when this is interrupted."""
        self._ready += chunks
        self._drain()
        self.close()
        return self._all_ready()

    def _drain(self) -> None:
        """Reads the end of the body when it is already there, so that the connection can be used again."""
        assert self._answer is not None
        socket = self._answer.socket
        try:
            if socket is None or select.select([socket], [], [], 0)[0]:
                next(self._bytes, None)
        except (OSError, ValueError, httpx.HTTPError):
            return  # the answer is complete; how its connection ends does not matter

    def close(self) -> None:
        """Closes the HTTP response now. What was received stays in ``so_far``."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._answer is not None:
                self._answer.close()
        finally:
            self._book_aborted()

    def __enter__(self) -> ChatStream:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncChatStream(_BaseStream):
    """A streamed answer. Nothing is sent until it is iterated or entered.

    Iterating gives ``ChatChunk``s as they arrive; leaving the loop early, ``aclose`` and the end of the ``async with``
    block close the HTTP response. ``await reply()`` reads to the end and returns the whole ``ChatReply``. Raises
    ``StreamInterrupted`` when the stream is cut, the ``StatusError`` of an in-band error, ``Timeout`` when it stalls.
    """

    def __init__(
        self,
        op: Operation[Any],
        config: Config,
        opener: Callable[[], Awaitable[Response]],
        twin: Callable[[InfraiError], InfraiError],
    ) -> None:
        super().__init__(op, config, twin)
        self._opener = opener
        self._answer: AsyncAnswer | None = None
        self._bytes: AsyncIterator[bytes]
        self._token: object = None  # the event loop that the response belongs to

    def __aiter__(self) -> AsyncIterator[ChatChunk]:
        # An object of its own: a loop that is left drops it, and dropping it closes the response.
        return _Iteration(self)

    async def __anext__(self) -> ChatChunk:
        if not self._ready:
            self._ready += await self.read()
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def read(self) -> list[ChatChunk]:
        """The chunks that are there, or else those that the next bytes complete; none at the end. What many chunks in
        one go cost is less than in a loop over single ones."""
        if self._ready:
            return self._all_ready()
        while not self._closed:
            reader = self._reader or await self._open()
            try:
                chunks = self._take(reader, None if reader.failure else await anext(self._bytes, None))
            except _READ_ERRORS as error:
                await self.aclose()
                raise self._twin(self._failed(error)) from error
            if reader.done:
                return await self._finish(chunks)
            if chunks:
                return chunks
        return []

    async def reply(self) -> ChatReply:
        """Reads to the end; the whole reply, whatever was iterated before. Raises ``StreamInterrupted`` when the stream
        was left or closed before its end: what came is in ``so_far``."""
        async for _ in self:
            pass
        return self._whole()

    async def open(self) -> AsyncChatStream:
        """Sends the request, unless it was sent. Raises what a call raises."""
        if self._reader is None and not self._closed:
            await self._open()
        return self

    async def _open(self) -> ChunkReader:
        response = await self._opener()
        self._token = _here()
        self._answer = response.handle
        self._bytes = response.handle.pieces()
        return self._begin(response)

    async def _finish(self, chunks: list[ChatChunk]) -> list[ChatChunk]:
        """Ends the answer; its last chunks are given out, or stay to be given out when this is interrupted."""
        self._ready += chunks
        assert self._answer is not None
        await self._answer.drain(DRAIN_S)  # so that the connection can be used again
        await self.aclose()
        return self._all_ready()

    def _abandon(self) -> None:
        """Closes the response soon, from where nothing can be awaited: a loop over the stream was left."""
        if not self._closed and self._token is not None:
            _run_soon(self._token, self.aclose)

    async def aclose(self) -> None:
        """Closes the HTTP response now. What was received stays in ``so_far``."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._answer is not None:
                await self._answer.aclose()
        finally:
            self._book_aborted()

    async def __aenter__(self) -> AsyncChatStream:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Iteration:
    """One ``async for`` over a stream."""

    def __init__(self, stream: AsyncChatStream) -> None:
        self._stream = stream

    def __aiter__(self) -> _Iteration:
        return self

    async def __anext__(self) -> ChatChunk:
        return await self._stream.__anext__()

    async def aclose(self) -> None:
        """Closes the stream."""
        await self._stream.aclose()

    def __del__(self) -> None:
        self._stream._abandon()


_closing: set[asyncio.Task[None]] = set()
"""Keeps the tasks that close abandoned streams alive until they are done."""


def _here() -> object:
    """The event loop that runs here. Raises ``NoEventLoopError`` where none does."""
    return asyncio_loop() or current_token()


def _run_soon(token: object, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs ``close`` in the loop that ``token`` names, if that is the one running here; else its end closes all."""
    try:
        if _here() != token:
            return
    except NoEventLoopError:
        return
    trio = sys.modules.get("trio")
    if trio is not None and isinstance(getattr(token, "native_token", token), trio.lowlevel.TrioToken):
        trio.lowlevel.spawn_system_task(close)
        return
    task = asyncio.get_running_loop().create_task(close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)
