"""``ChatInfrai``: LangChain's chat model on a routed, multi-vendor service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import AliasChoices, Field, model_validator

from infrai_core import AsyncChatStream, ChatReply, ChatStream
from infrai_core.facts import facts_of
from infrai_core.params import CacheStrategy, Task
from infrai_core.tokens import estimate
from langchain_infrai._batching import Batching
from langchain_infrai._blocks import register
from langchain_infrai._connection import ROUTING, Routed
from langchain_infrai._convert import message_of, wire_messages
from langchain_infrai._events import StreamedEvents
from langchain_infrai._profile import profile_of
from langchain_infrai._served import PROVIDER, output_of, outputs_of, traced
from langchain_infrai._stream import StreamedMessage
from langchain_infrai._tools import Method, Schema, Tool, wire_tool_choice, wire_tools
from langchain_infrai._unheard import Unheard
from langchain_infrai._version import __version__
from langchain_infrai.errors import AS_LANGCHAIN, InfraiConfigError

if TYPE_CHECKING:
    from langchain_protocol.protocol import MessagesData

register()

_SENT = (
    *ROUTING,
    "task",
    "cache_strategy",
    "batch_mode",
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "reasoning_effort",
    "user",
    "extra_body",
)
"""Fields that go with every call, under the same name."""
CONFIGURABLE = (*(name for name in _SENT if name != "extra_body"), "timeout", "max_retries")
"""Fields that a configuration may set at each call."""
_SPELLINGS = {
    "model_name": "model",
    "stop_sequences": "stop",
    "max_completion_tokens": "max_tokens",
    "timeout": "timeout_seconds",
    "request_timeout": "timeout_seconds",
}
"""Other names under which a call may give an argument."""
_NOT_SENT = frozenset(
    {
        "stream",
        "ls_structured_output_format",
        "structured_output_format",
        "cache_control",
        "max_retries",
        "idle_timeout",
    }
)
"""Arguments of a call that are LangChain's own, the one that marks the messages, and those of the client."""
_MESSAGE_TOKENS = 4
"""What the frame of a message costs about, in tokens."""
_MEDIA_TOKENS = 800
"""What an image, sound or file counts in an estimate: vendors bill some hundred to some thousand tokens for one."""


class ChatInfrai(Batching, Unheard, BaseChatModel, Routed):
    """A chat model that routes every call to a fitting vendor and model.

    Without ``model`` the router decides (``task``, ``prefer``); the model that answered is in
    ``response_metadata["model_name"]``, its vendor in ``["vendor"]``, what it cost in ``["cost_usd"]``, and
    ``usage_metadata`` is on every answer and on the last chunk of every stream. ``ledger`` sums over all calls.
    Routing, sampling, ``timeout``, ``idle_timeout`` and ``max_retries`` can also be given to a call, where they win:
    ``invoke(…, prefer="cheapest")``. A call takes more: ``idempotency_key``, ``extra_headers``, ``cache_control`` (a
    vendor may cache everything up to the last message).
    Errors are LangChain's and ours at once, see ``langchain_infrai.errors``.

    >>> from langchain_infrai import ChatInfrai
    >>> model = ChatInfrai.embedded(temperature=0)
    >>> model.invoke("What is 6 times 7?").text  # doctest: +SKIP
    """

    # ``model`` may also be ``auto``, ``cheapest``, ``balanced`` or ``smartest``.
    task: Task | None = None
    """``general``, ``reasoning``, ``coding`` or ``long_context``."""
    cache_strategy: CacheStrategy | None = None
    """``vendor``, ``infrai`` or ``none``."""
    batch_mode: bool | None = None
    """True: every call runs as a batch job, at a discount, and waits for it; a stream then is one chunk."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(
        default=None, ge=1, validation_alias=AliasChoices("max_tokens", "max_completion_tokens")
    )
    stop: list[str] | str | None = Field(default=None, validation_alias=AliasChoices("stop", "stop_sequences"))
    seed: int | None = None
    reasoning_effort: str | None = None
    user: str | None = None
    """Your name for the end user, for the vendor's abuse checks."""
    extra_body: dict[str, Any] | None = None
    """More body fields for every call; they win over the others."""
    streaming: bool | None = None
    """True: ``invoke`` streams too, for callbacks that want tokens. False: ``stream`` gives the whole answer."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self.__dict__.pop("_serialized", None)

    def __copy__(self) -> Self:
        twin = super().__copy__()
        twin.__dict__.pop("_serialized", None)
        return twin

    @model_validator(mode="after")
    def _set_infrai_version(self) -> Self:
        self._add_version("langchain-infrai", __version__)
        return self

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return "infrai-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {**self._fields(), "base_url": self.base_url, "dialect": self.dialect}

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Fields that are replaced by the name of their environment variable when the model is serialised."""
        return {"api_key": "INFRAI_API_KEY"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """True: ``dumpd`` and ``load`` work; the key is not part of the result."""
        return True

    def _resolve_model_profile(self) -> ModelProfile | None:
        return profile_of(facts_of(self.model))

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        sent = self._arguments(stop, kwargs)
        params = LangSmithParams(ls_provider=PROVIDER, ls_model_name=sent.get("model") or "auto", ls_model_type="chat")
        if sent.get("temperature") is not None:
            params["ls_temperature"] = sent["temperature"]
        if sent.get("max_tokens") is not None:
            params["ls_max_tokens"] = sent["max_tokens"]
        if stops := sent.get("stop"):
            params["ls_stop"] = stops if isinstance(stops, list) else [stops]
        return params

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """What traces and callbacks see of a call: all but its headers, which may carry secrets."""
        shown = {name: value for name, value in kwargs.items() if name != "extra_headers"}
        params: dict[str, Any] = super()._get_invocation_params(stop, **shown)
        return params

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """The key in LangChain's caches, which may be kept: of headers it holds a digest."""
        if (headers := kwargs.get("extra_headers")) is not None:
            kwargs["extra_headers"] = sha256(repr(headers).encode(errors="replace")).hexdigest()
        return super()._get_llm_string(stop, **kwargs)

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        return outputs_of(llm_outputs, self.model or "auto")

    # -- calls -----------------------------------------------------------------------------------------------------

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(self._reply(messages, stop, kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(await self._areply(messages, stop, kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if self._is_batched(kwargs):
            yield _whole(_result(self._reply(messages, stop, kwargs)))
            return
        reader = StreamedMessage(as_blocks=self.output_version == "v1")
        with self._opened(messages, stop, kwargs) as stream:
            while chunks := stream.read():
                for chunk in chunks:
                    if (piece := reader.read(chunk)) is not None:
                        yield piece
            yield from reader.end(stream.so_far)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if self._is_batched(kwargs):
            yield _whole(_result(await self._areply(messages, stop, kwargs)))
            return
        reader = StreamedMessage(as_blocks=self.output_version == "v1")
        async with self._aopened(messages, stop, kwargs) as stream:
            while chunks := await stream.read():
                for chunk in chunks:
                    if (piece := reader.read(chunk)) is not None:
                        yield piece
            for piece in reader.end(stream.so_far):
                yield piece

    def _stream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[MessagesData]:
        """What ``stream_events(version="v3")`` gives out, straight from the wire."""
        events = StreamedEvents()
        if self._is_batched(kwargs):
            yield from events.whole(self._reply(messages, stop, kwargs))
            return
        with self._opened(messages, stop, kwargs) as stream:
            while chunks := stream.read():
                for chunk in chunks:
                    yield from events.read(chunk, lambda: stream.metadata)
            yield from events.end(stream.so_far)

    async def _astream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[MessagesData]:
        """The same from an event loop."""
        events = StreamedEvents()
        if self._is_batched(kwargs):
            for event in events.whole(await self._areply(messages, stop, kwargs)):
                yield event
            return
        async with self._aopened(messages, stop, kwargs) as stream:
            while chunks := await stream.read():
                for chunk in chunks:
                    for event in events.read(chunk, lambda: stream.metadata):
                        yield event
            for event in events.end(stream.so_far):
                yield event

    # -- requests --------------------------------------------------------------------------------------------------

    def _reply(self, messages: Sequence[BaseMessage], stop: list[str] | None, given: Mapping[str, Any]) -> ChatReply:
        with AS_LANGCHAIN:
            client = self._client_for(self.client, given)
            reply: ChatReply = client.chat(self._wire(messages, given), **self._arguments(stop, given))
        return reply

    async def _areply(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, given: Mapping[str, Any]
    ) -> ChatReply:
        with AS_LANGCHAIN:
            client, wire = self._client_for(self.async_client, given), self._wire(messages, given)
            if self._is_batched(given):
                from langchain_infrai._batch import current

                if (job := current()) is not None:
                    request = client.batch_request(wire, **self._streamed(stop, given))
                    replied: ChatReply = client.batch_reply(await job[0].row(job[1], request))
                    return replied
            reply: ChatReply = await client.chat(wire, **self._arguments(stop, given))
        return reply

    def _opened(self, messages: Sequence[BaseMessage], stop: list[str] | None, given: Mapping[str, Any]) -> ChatStream:
        with AS_LANGCHAIN:
            client = self._client_for(self.client, given)
            stream: ChatStream = client.stream_chat(self._wire(messages, given), **self._streamed(stop, given))
        return stream

    def _aopened(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, given: Mapping[str, Any]
    ) -> AsyncChatStream:
        with AS_LANGCHAIN:
            client = self._client_for(self.async_client, given)
            stream: AsyncChatStream = client.stream_chat(self._wire(messages, given), **self._streamed(stop, given))
        return stream

    def _wire(self, messages: Sequence[BaseMessage], given: Mapping[str, Any]) -> list[dict[str, Any]]:
        return wire_messages(messages, given.get("cache_control"))

    def _is_batched(self, given: Mapping[str, Any]) -> bool:
        """Whether the call runs as a batch job: such an answer comes whole, also where a stream was asked for."""
        return bool(given.get("batch_mode", self.batch_mode))

    def _streamed(self, stop: list[str] | None, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in self._arguments(stop, given).items() if name != "batch_mode"}

    def _fields(self) -> dict[str, Any]:
        return {name: value for name in _SENT if (value := getattr(self, name)) not in (None, [])}

    def _arguments(self, stop: list[str] | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """What is sent with a call: the fields, under them what the call gives."""
        given = {_SPELLINGS.get(name, name): value for name, value in kwargs.items() if name not in _NOT_SENT}
        stops = {"stop": stop} if stop else {}
        return {**self._fields(), **given, **stops}

    # -- tools and structured output -------------------------------------------------------------------------------

    def bind_tools(
        self,
        tools: Sequence[Tool],
        *,
        tool_choice: str | bool | Mapping[str, Any] | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools: LangChain tools, functions, pydantic classes, typed dictionaries or JSON schemas.

        ``tool_choice``: ``auto``, ``none``, ``any`` / ``required`` / True, the name of a tool, or a dictionary.
        ``strict``: arguments follow the schema exactly. Raises ``ConfigError`` for a choice that is no tool.
        """
        wire = wire_tools(tools, strict)
        options = {
            "tool_choice": wire_tool_choice(tool_choice, wire),
            "parallel_tool_calls": parallel_tool_calls,
        }
        given = {name: value for name, value in options.items() if value is not None}
        return self.bind(tools=wire, **given, **kwargs)

    def with_structured_output(
        self,
        schema: Schema | None = None,
        *,
        method: Method = "function_calling",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """The model with answers that follow ``schema`` (pydantic class, typed dictionary or JSON schema).

        Gives an instance of a pydantic class, else a dictionary; with ``include_raw`` a dictionary of ``raw``,
        ``parsed`` and ``parsing_error``. ``method`` is ``function_calling``, ``json_schema`` or ``json_mode`` (the
        prompt must then describe the form). A refusal raises ``ModelRefusalError``. Raises ``ConfigError`` for an
        unknown method.
        """
        from langchain_infrai._structure import structured

        return structured(self, schema, method=method, include_raw=include_raw, strict=strict, **kwargs)

    # -- tokens ----------------------------------------------------------------------------------------------------

    def get_num_tokens(self, text: str) -> int:
        """An estimate of the tokens of a text, without a vocabulary (``custom_get_token_ids`` wins)."""
        return len(self.custom_get_token_ids(text)) if self.custom_get_token_ids else estimate(text)

    def get_token_ids(self, text: str) -> list[int]:
        """The ids of ``custom_get_token_ids``. Raises ``InfraiConfigError`` without it: every model has a vocabulary of
        its own, and a router none."""
        if self.custom_get_token_ids is None:
            raise InfraiConfigError(
                "token ids need custom_get_token_ids; get_num_tokens estimates without a vocabulary"
            )
        return self.custom_get_token_ids(text)

    def get_num_tokens_from_messages(self, messages: Sequence[BaseMessage], tools: Sequence[Tool] | None = None) -> int:
        """An estimate of the tokens of messages and tools. Media count a flat number each."""
        in_tools = self.get_num_tokens(json.dumps(wire_tools(tools, None))) if tools else 0
        return in_tools + sum(
            _MESSAGE_TOKENS + sum(map(self._part_tokens, message["parts"])) for message in wire_messages(messages)
        )

    def _part_tokens(self, part: Mapping[str, Any]) -> int:
        if part.get("url") or part.get("base64"):
            return _MEDIA_TOKENS
        texts = (part.get(name) or "" for name in ("text", "name", "arguments"))
        return sum(map(self.get_num_tokens, texts)) + sum(map(self._part_tokens, part.get("parts", ())))


def _result(reply: ChatReply) -> ChatResult:
    answer = ChatGeneration(message=message_of(reply), generation_info=traced(reply))
    return ChatResult(generations=[answer], llm_output=output_of(reply))


def _whole(result: ChatResult) -> ChatGenerationChunk:
    """A whole answer as the only chunk of a stream."""
    [generation] = result.generations
    assert isinstance(generation.message, AIMessage)
    fields = {name: value for name, value in generation.message if name != "type"}
    message = AIMessageChunk(**fields, chunk_position="last")
    return ChatGenerationChunk(message=message, generation_info=generation.generation_info)
