"""The two clients: ``Infrai`` and ``AsyncInfrai``, thin shells around the same flows."""

from __future__ import annotations

import copy
import time
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar, Unpack, overload

import anyio
import httpx
from pydantic import BaseModel, SecretStr

from infrai_core import config as settings
from infrai_core import models as m
from infrai_core.chat_stream import AsyncChatStream, ChatStream
from infrai_core.config import ClientOptions, Config
from infrai_core.dialect import Surface, native
from infrai_core.dialect import openai as openai_shaped
from infrai_core.direct import Request
from infrai_core.envelope import opened
from infrai_core.errors import ConfigError, InfraiError, twin_of
from infrai_core.lines import LineReader, Rows
from infrai_core.operation import Operation
from infrai_core.params import (
    BatchableChatParams,
    BatchOptions,
    ChatParams,
    EmbedParams,
    ImageParams,
    MediaRef,
    Prompt,
    RealtimeParams,
    RerankParams,
    SpeechParams,
    TranscribeParams,
    VisionParams,
    checked,
    without_secrets,
)
from infrai_core.protocol import (
    Acquire,
    Flow,
    Response,
    Wait,
    book,
    call,
    chat_from_batch,
    open_lines,
    open_stream,
    record,
    row_opened,
    wait_for_batch,
)
from infrai_core.structured import Form, parsed_chat
from infrai_core.transport import (
    MAPPED_ERRORS,
    AsyncPool,
    SyncPool,
    Transport,
    asend,
    send,
)
from infrai_core.usage import Ledger

T = TypeVar("T")
P = TypeVar("P", bound=BaseModel)

_DIALECTS: dict[str, Surface] = {"native": native, "openai": openai_shaped}


class _Client:
    """What both clients are made of: configuration, options, pickling."""

    def __init__(self, api_key: str | SecretStr | None, http_client: Any, options: Mapping[str, Any]) -> None:
        """A client. Does no I/O.

        ``api_key`` is found in the environment or the credentials file when not given. ``http_client`` is an httpx
        client to send with; its hooks, proxies and mounts are kept. The other options are those of ``ClientOptions``.
        Raises ``ConfigError`` for a missing or wrong setting and for an unknown option.
        """
        given = checked(ClientOptions, options)
        settings.check_options(given)
        self._check_http_client(http_client)
        self._options: dict[str, Any] = {"api_key": api_key, "http_client": http_client, **given}
        self._http_client = http_client
        self._transport: Transport | None = given.pop("transport", None)
        self.config: Config = settings.resolve(api_key=api_key, **given)
        self._ops = _DIALECTS[self.config.dialect]

    @property
    def ledger(self) -> Ledger:
        """What the calls of this client (and of those made by ``with_options``) used and cost."""
        return self.config.ledger

    def with_options(self, **options: Unpack[ClientOptions]) -> Self:
        """A client with some constructor options changed; it shares connections and, unless given, the ledger.

        Raises ``ConfigError`` for an option that the constructor does not know.
        """
        given: dict[str, Any] = {**self._options, "ledger": self.ledger, **options}
        return type(self)(**given)

    _http_clients: ClassVar[type[Any]]
    """The class of httpx that can send for this one."""

    def _check_http_client(self, given: Any) -> None:
        if given is not None and not isinstance(given, self._http_clients):
            allowed = self._http_clients.__name__
            raise ConfigError(
                f"http_client: came an object of type {type(given).__name__}; allowed is an httpx.{allowed}"
            )

    def _twin(self, error: InfraiError) -> InfraiError:
        """The error as the class that the caller asked for."""
        return twin_of(error, self.config.error_classes)

    def batch_request(self, messages: Prompt, **params: Unpack[ChatParams]) -> dict[str, Any]:
        """A chat as a request for ``batch_submit``. Nothing is sent."""
        return self._ops.batch_request(messages, params)

    def batch_reply(self, row: Mapping[str, Any]) -> m.ChatReply:
        """The reply of a chat in a batch job from its row of the results; books it in ``ledger``. Raises the
        ``StatusError`` of a row that failed."""
        try:
            reply = self._ops.batch_reply(row_opened(row))
        except InfraiError as error:
            raise self._twin(error) from None
        record("chat", self.config, reply)
        return reply

    def _rows(self, response: Response) -> LineReader | list[dict[str, Any]]:
        """What reads an open answer, or the rows of one that came whole."""
        if response.content is None:
            return LineReader(response.headers.get("x-infrai-total-count"))
        found = opened(response.content, response.headers, "batch")
        rows: list[dict[str, Any]] = found.get("results", found.get("data")) or []
        return rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.config.base_url!r}, dialect={self.config.dialect!r})"

    def __copy__(self) -> Self:
        return self.with_options()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Within a process the copy keeps key, connections and ledger: only its headers are its own.
        return self.with_options(headers=copy.deepcopy(dict(self.config.headers), memo))

    def __reduce__(self) -> tuple[Any, ...]:
        if self._http_client is not None:
            raise ConfigError("a client with an injected http_client cannot be pickled; give base_url and options")
        if self._transport is not None:
            raise ConfigError("a client with a transport of its own cannot be pickled; give base_url and options")
        # The base URL is pinned: the other process must not send elsewhere than this one.
        options = {**self._options, "base_url": self.config.base_url, "ledger": self.ledger}
        if not self.config.pickle_key:
            options |= {"api_key": None, "headers": without_secrets(self.config.headers)}
        return _rebuild, (type(self), options)


def _rebuild(kind: type[_Client], options: dict[str, Any]) -> _Client:
    return kind(**options)


class Infrai(_Client):
    """The synchronous client. Safe to share between threads; survives forks; a context manager.

    Every reply has ``metadata`` (cost, vendor, model, latency, request id, attempts), and every call is booked in
    ``ledger``. Errors: see ``infrai_core.errors``.
    """

    _http_clients = httpx.Client

    def __init__(
        self,
        api_key: str | SecretStr | None = None,
        *,
        http_client: httpx.Client | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(api_key, http_client, options)
        self._pool = SyncPool(self.config.root)
        weakref.finalize(self, self._pool.forget)

    __init__.__doc__ = _Client.__init__.__doc__

    # -- driving ---------------------------------------------------------------------------------------------------

    def _call(self, op: Operation[T]) -> T:
        return self._drive(call(op, self.config))

    def _drive(self, flow: Flow[T]) -> T:
        try:
            step = next(flow)
            while True:
                response = None
                try:
                    if isinstance(step, Request):
                        response = send(self._http_client or self._transport or self._pool.get(), step)
                    else:
                        self._wait(step)
                except InfraiError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(response)
        except StopIteration as stop:
            value: T = stop.value
            return value
        except InfraiError as error:
            raise self._twin(error) from error.__cause__

    def _wait(self, step: Wait | Acquire) -> None:
        if isinstance(step, Wait):
            time.sleep(step.seconds)
        else:
            step.limiter.acquire(step.tokens)

    # -- capabilities ----------------------------------------------------------------------------------------------

    @overload
    def chat(self, messages: Prompt, *, parse: None = None, **params: Unpack[BatchableChatParams]) -> m.ChatReply: ...
    @overload
    def chat(
        self, messages: Prompt, *, parse: type[P], repair: bool = True, **params: Unpack[BatchableChatParams]
    ) -> m.ParsedReply[P]: ...
    def chat(
        self,
        messages: Prompt,
        *,
        parse: type[P] | None = None,
        repair: bool = True,
        **params: Unpack[BatchableChatParams],
    ) -> m.ChatReply | m.ParsedReply[P]:
        """A whole answer to a prompt string or messages.

        With ``parse`` (a pydantic class) the answer is asked for in that schema and comes validated in
        ``reply.parsed``; raises ``ParseFailed`` when it does not fit. One that does not fit is asked for once more,
        with what is wrong with it, under the same ``max_cost_multiplier``, unless ``repair`` is false, a budget is
        spent, or the answer was refused or cut off: ``metadata`` (cost, attempts) and ``usage`` are then of both calls.
        With ``batch_mode=True`` the call runs as a batch job at a discount and this waits for it; it is not repaired.
        """
        if parse is not None:
            return self._chat_parsed(messages, params, Form(parse), repair)
        op = self._ops.chat(messages, params)
        return self._chat_batched(op) if params.get("batch_mode") else self._call(op)

    def _chat_parsed(
        self, messages: Prompt, params: Mapping[str, Any], form: Form[P], repair: bool
    ) -> m.ParsedReply[P]:
        if params.get("batch_mode"):
            asked = {**params, "response_format": form.response_format}
            return form.read(self._chat_batched(self._ops.chat(messages, asked)))
        return self._drive(parsed_chat(self._ops.chat, messages, params, form, self.config, repair))

    def _chat_batched(self, op: Operation[m.ChatReply]) -> m.ChatReply:
        record = self._call(_batch_of_one(op))
        record = self.batch_wait(record.batch_id)
        reply = chat_from_batch(record, self.batch_results(record.batch_id).results, op.read)
        book(op, self.config, reply)
        return reply

    def stream_chat(self, messages: Prompt, **params: Unpack[ChatParams]) -> ChatStream:
        """A streamed answer: iterate the result for ``ChatChunk``s. See the stream's own description."""
        op = self._ops.stream_chat(messages, params)
        return ChatStream(op, self.config, lambda: self._drive(open_stream(op, self.config)), self._twin)

    def embed(self, input: str | Sequence[str], **params: Unpack[EmbedParams]) -> m.EmbedReply:
        """One vector per text, in order. The reply names the model; vectors of two models must not be mixed."""
        return self._call(self._ops.embed(input, params))

    def image(self, prompt: str, **params: Unpack[ImageParams]) -> m.ImageReply:
        """Images for a prompt; ``reply.images[0].save(path)`` writes one to a file."""
        return self._call(self._ops.image(prompt, params))

    def vision(self, prompt: str, images: Sequence[MediaRef], **params: Unpack[VisionParams]) -> m.ChatReply:
        """An answer to a prompt about images."""
        return self._call(self._ops.vision(prompt, images, params))

    def tts(self, input: str, **params: Unpack[SpeechParams]) -> m.SpeechReply:
        """Speech for a text; ``reply.save(path)`` writes it to a file."""
        return self._call(self._ops.tts(input, params))

    def asr(self, audio: MediaRef, **params: Unpack[TranscribeParams]) -> m.TranscriptReply:
        """A transcript of audio, with segments in seconds where the model gives them."""
        return self._call(self._ops.asr(audio, params))

    def realtime_token(self, **params: Unpack[RealtimeParams]) -> m.RealtimeToken:
        """A short-lived token for one realtime voice session."""
        return self._call(self._ops.realtime_token(params))

    def rerank(self, query: str, candidates: Sequence[str], **params: Unpack[RerankParams]) -> m.RerankReply:
        """Candidates by relevance to the query, best first."""
        return self._call(self._ops.rerank(query, candidates, params))

    def models(self, capability: str | None = None) -> m.ModelList:
        """The models of the service, of one capability where given."""
        return self._call(self._ops.models(capability))

    def vendors(self) -> m.VendorList:
        """The vendors of a runtime: what each can do, which keys and models rest after failures, and for how long."""
        return self._call(self._ops.vendors())

    def account(self) -> m.Account:
        """The balance of the account."""
        return self._call(self._ops.account())

    def activate(self) -> m.Activation:
        """A new project with trial credit and its key (needs no key)."""
        return self._call(self._ops.activate())

    # -- batch jobs ------------------------------------------------------------------------------------------------

    def batch_submit(self, requests: Rows, **options: Unpack[BatchOptions]) -> m.BatchRecord:
        """Submits ``{"capability", "body"}`` requests as one job. More than 1,000, or an iterator's, are sent line by
        line while they are made, in constant memory; an iterator is sent once, without a retry."""
        return self._call(self._ops.batch_submit(requests, options))

    def batch_status(self, batch_id: str) -> m.BatchRecord:
        """How far a job is."""
        return self._call(self._ops.batch_status(batch_id))

    def batch_results(self, batch_id: str) -> m.BatchResults:
        """One envelope per request of a job, in order."""
        return self._call(self._ops.batch_results(batch_id))

    def batch_rows(self, batch_id: str) -> Iterator[dict[str, Any]]:
        """The envelopes of ``batch_results`` one by one, in constant memory. Raises ``ProtocolError`` when the answer
        is cut short."""
        response = self._drive(open_lines(self._ops.batch_lines(batch_id), self.config))
        reader = self._rows(response)
        if isinstance(reader, list):
            yield from reader
            return
        try:
            with MAPPED_ERRORS:
                for piece in response.handle.pieces():
                    yield from reader.feed(piece)
                yield from reader.end()
        except InfraiError as error:
            raise self._twin(error) from error.__cause__
        finally:
            response.handle.close()

    def batch_cancel(self, batch_id: str) -> m.BatchRecord:
        """Stops a job; what is done stays done."""
        return self._call(self._ops.batch_cancel(batch_id))

    def batch_list(self) -> m.BatchList:
        """The jobs of the project."""
        return self._call(self._ops.batch_list())

    def batch_wait(
        self,
        batch_id: str,
        *,
        poll_s: float = 2.0,
        timeout_s: float | None = None,
        progress: Callable[[m.BatchRecord], None] | None = None,
    ) -> m.BatchRecord:
        """Waits until a job is done, asking soon at first and later every ``poll_s`` seconds.

        ``progress`` is called with each record. Raises ``Timeout`` after ``timeout_s`` seconds.
        """
        status = self._ops.batch_status(batch_id)
        return self._drive(wait_for_batch(status, self.config, poll_s=poll_s, timeout_s=timeout_s, progress=progress))

    # -- life ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Lets go of the shared connections; the last client of a base URL closes them. Can be used again after."""
        self._pool.close()

    def __enter__(self) -> Infrai:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncInfrai(_Client):
    """The asynchronous client, for asyncio and trio. One instance serves several event loops and threads.

    Every reply has ``metadata`` (cost, vendor, model, latency, request id, attempts), and every call is booked in
    ``ledger``. Errors: see ``infrai_core.errors``.
    """

    _http_clients = httpx.AsyncClient

    def __init__(
        self,
        api_key: str | SecretStr | None = None,
        *,
        http_client: httpx.AsyncClient | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(api_key, http_client, options)
        self._pool = AsyncPool(self.config.root)
        weakref.finalize(self, self._pool.forget)

    __init__.__doc__ = _Client.__init__.__doc__

    # -- driving ---------------------------------------------------------------------------------------------------

    def _call(self, op: Operation[T]) -> Coroutine[Any, Any, T]:
        return self._drive(call(op, self.config))

    async def _drive(self, flow: Flow[T]) -> T:
        try:
            step = next(flow)
            while True:
                response = None
                try:
                    if isinstance(step, Request):
                        response = await asend(self._http_client or self._transport or await self._pool.get(), step)
                    else:
                        await self._wait(step)
                except InfraiError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(response)
        except StopIteration as stop:
            value: T = stop.value
            return value
        except InfraiError as error:
            raise self._twin(error) from error.__cause__

    async def _wait(self, step: Wait | Acquire) -> None:
        if isinstance(step, Wait):
            await anyio.sleep(step.seconds)
        else:
            await step.limiter.async_acquire(step.tokens)

    # -- capabilities ----------------------------------------------------------------------------------------------

    @overload
    async def chat(
        self, messages: Prompt, *, parse: None = None, **params: Unpack[BatchableChatParams]
    ) -> m.ChatReply: ...
    @overload
    async def chat(
        self, messages: Prompt, *, parse: type[P], repair: bool = True, **params: Unpack[BatchableChatParams]
    ) -> m.ParsedReply[P]: ...
    async def chat(
        self,
        messages: Prompt,
        *,
        parse: type[P] | None = None,
        repair: bool = True,
        **params: Unpack[BatchableChatParams],
    ) -> m.ChatReply | m.ParsedReply[P]:
        if parse is not None:
            return await self._chat_parsed(messages, params, Form(parse), repair)
        op = self._ops.chat(messages, params)
        return await (self._chat_batched(op) if params.get("batch_mode") else self._call(op))

    async def _chat_parsed(
        self, messages: Prompt, params: Mapping[str, Any], form: Form[P], repair: bool
    ) -> m.ParsedReply[P]:
        if params.get("batch_mode"):
            asked = {**params, "response_format": form.response_format}
            return form.read(await self._chat_batched(self._ops.chat(messages, asked)))
        return await self._drive(parsed_chat(self._ops.chat, messages, params, form, self.config, repair))

    async def _chat_batched(self, op: Operation[m.ChatReply]) -> m.ChatReply:
        record = await self._call(_batch_of_one(op))
        record = await self.batch_wait(record.batch_id)
        results = await self.batch_results(record.batch_id)
        reply = chat_from_batch(record, results.results, op.read)
        book(op, self.config, reply)
        return reply

    def stream_chat(self, messages: Prompt, **params: Unpack[ChatParams]) -> AsyncChatStream:
        op = self._ops.stream_chat(messages, params)
        opener = partial(self._open, op)
        return AsyncChatStream(op, self.config, opener, self._twin)

    async def _open(self, op: Operation[Any]) -> Response:
        return await self._drive(open_stream(op, self.config))

    async def embed(self, input: str | Sequence[str], **params: Unpack[EmbedParams]) -> m.EmbedReply:
        return await self._call(self._ops.embed(input, params))

    async def image(self, prompt: str, **params: Unpack[ImageParams]) -> m.ImageReply:
        return await self._call(self._ops.image(prompt, params))

    async def vision(self, prompt: str, images: Sequence[MediaRef], **params: Unpack[VisionParams]) -> m.ChatReply:
        return await self._call(self._ops.vision(prompt, images, params))

    async def tts(self, input: str, **params: Unpack[SpeechParams]) -> m.SpeechReply:
        return await self._call(self._ops.tts(input, params))

    async def asr(self, audio: MediaRef, **params: Unpack[TranscribeParams]) -> m.TranscriptReply:
        return await self._call(self._ops.asr(audio, params))

    async def realtime_token(self, **params: Unpack[RealtimeParams]) -> m.RealtimeToken:
        return await self._call(self._ops.realtime_token(params))

    async def rerank(self, query: str, candidates: Sequence[str], **params: Unpack[RerankParams]) -> m.RerankReply:
        return await self._call(self._ops.rerank(query, candidates, params))

    async def models(self, capability: str | None = None) -> m.ModelList:
        return await self._call(self._ops.models(capability))

    async def vendors(self) -> m.VendorList:
        return await self._call(self._ops.vendors())

    async def account(self) -> m.Account:
        return await self._call(self._ops.account())

    async def activate(self) -> m.Activation:
        return await self._call(self._ops.activate())

    # -- batch jobs ------------------------------------------------------------------------------------------------

    async def batch_submit(self, requests: Rows, **options: Unpack[BatchOptions]) -> m.BatchRecord:
        return await self._call(self._ops.batch_submit(requests, options))

    async def batch_status(self, batch_id: str) -> m.BatchRecord:
        return await self._call(self._ops.batch_status(batch_id))

    async def batch_results(self, batch_id: str) -> m.BatchResults:
        return await self._call(self._ops.batch_results(batch_id))

    async def batch_rows(self, batch_id: str) -> AsyncIterator[dict[str, Any]]:
        response = await self._drive(open_lines(self._ops.batch_lines(batch_id), self.config))
        reader = self._rows(response)
        if isinstance(reader, list):
            for row in reader:
                yield row
            return
        try:
            with MAPPED_ERRORS:
                async for piece in response.handle.pieces():
                    for row in reader.feed(piece):
                        yield row
                for row in reader.end():
                    yield row
        except InfraiError as error:
            raise self._twin(error) from error.__cause__
        finally:
            await response.handle.aclose()

    async def batch_cancel(self, batch_id: str) -> m.BatchRecord:
        return await self._call(self._ops.batch_cancel(batch_id))

    async def batch_list(self) -> m.BatchList:
        return await self._call(self._ops.batch_list())

    async def batch_wait(
        self,
        batch_id: str,
        *,
        poll_s: float = 2.0,
        timeout_s: float | None = None,
        progress: Callable[[m.BatchRecord], None] | None = None,
    ) -> m.BatchRecord:
        status = self._ops.batch_status(batch_id)
        return await self._drive(
            wait_for_batch(status, self.config, poll_s=poll_s, timeout_s=timeout_s, progress=progress)
        )

    # -- life ------------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Lets go of the shared connections; the last client of a base URL closes them. Can be used again after."""
        await self._pool.aclose()

    async def __aenter__(self) -> AsyncInfrai:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _share_docstrings() -> None:
    """The asynchronous methods do what their synchronous twins do; the words are written once."""
    for name, method in vars(Infrai).items():
        twin = vars(AsyncInfrai).get(name)
        if callable(twin) and not twin.__doc__:
            twin.__doc__ = method.__doc__


_share_docstrings()


def _batch_of_one(op: Operation[m.ChatReply]) -> Operation[m.BatchRecord]:
    """The chat as a batch job: the service answers 202 with a batch record instead of the reply."""
    return Operation("batch", op.method, op.path, m.BatchRecord.model_validate, op.body, options=op.options)
