"""``Infrai``: a LlamaIndex LLM over the client."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    MessageRole,
    ToolCallBlock,
)
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.instrumentation.events.llm import (
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.program.utils import FlexibleModel
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from llama_index.core.tools.types import BaseTool
from llama_index.core.types import PydanticProgramMode
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel, Field

from infrai_core import AsyncChatStream, ConfigError, ModelInfo
from infrai_core.facts import facts_of
from infrai_core.params import CacheStrategy, Task
from infrai_core.schema import check_tools
from infrai_core.unchecked import unchecked
from llama_index_infrai._connection import Routed, options_of
from llama_index_infrai._convert import checked_messages, kind_of, messages_of
from llama_index_infrai._progress import (
    AsyncResponses,
    calls_of,
    completion_of,
    completions,
    response_of,
    responses,
)
from llama_index_infrai._report import (
    Batches,
    areported,
    areported_stream,
    discreet,
    reported,
    reported_stream,
    spanless,
)
from llama_index_infrai._structured import Ask, AsyncObjects, by_schema, by_tool, objects

M = TypeVar("M", bound=BaseModel)
dispatcher = get_dispatcher(__name__)
_logger = logging.getLogger(__name__)
_selection = unchecked(ToolSelection, "tool_id", "tool_name", "tool_kwargs")

_OPTIONS = (
    "model",
    "vendor",
    "task",
    "prefer",
    "max_cost_multiplier",
    "cache_strategy",
    "session_id",
    "vendor_options",
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "reasoning_effort",
    "user",
)
_SHOWN = ("vendor", "task", "prefer", "max_cost_multiplier", "cache_strategy", "temperature", "max_tokens")
"""Options that events may show; user and session ids, headers and vendor options stay out."""


class Infrai(Routed, FunctionCallingLLM):
    """One routed, multi-vendor model: chat, streams, tools, structured answers and media.

    ``Infrai()`` reads the key from ``INFRAI_API_KEY`` or the credentials file; ``Infrai.embedded()`` needs none.
    Every routing and sampling field can also be given per call, and the call wins; what is not set is not sent.

    Responses: ``raw`` is a plain dictionary with ``usage`` (OpenAI's names) and ``metadata`` (``cost_usd`` as Decimal
    or None, ``vendor``, ``model``, ``request_id``), on a stream's last response too; ``additional_kwargs`` has the
    token counts and, in streams, ``thinking_delta``. ``ledger`` sums all calls. Closing a stream closes its HTTP
    response at once. Errors are those of ``infrai_core.errors``; a cut stream raises ``StreamInterrupted``.
    """

    task: Task | None = Field(default=None, description="general, reasoning, coding or long_context.")
    cache_strategy: CacheStrategy | None = Field(default=None, description="vendor, infrai or none.")
    batch_mode: bool | None = Field(default=None, description="Run chats as batch jobs at a discount; no streams.")
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, description="Longest answer, in tokens.")
    stop: str | list[str] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    user: str | None = Field(default=None, description="Id of the end user.")
    context_window: int | None = Field(
        default=None, ge=1, description="Tokens the model takes, where this package does not know the model."
    )
    function_calling: bool | None = Field(
        default=None, description="Whether the model takes tools, where this package does not know the model."
    )

    @classmethod
    def class_name(cls) -> str:
        return "infrai_llm"

    # -- facts -----------------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> LLMMetadata:
        """Facts of the model; without a pinned one, the common ground of those that a route may pick.

        ``num_output`` (what prompts must leave free) is ``max_tokens``, or else the model's longest answer, but at
        most a quarter of the context. An unknown model has LlamaIndex's default context unless ``context_window``
        is set, and counts as one that takes tools unless ``function_calling`` says no.
        """
        facts = self._facts()
        context = self.context_window or facts.context_window or DEFAULT_CONTEXT_WINDOW
        reserve = min(facts.max_output_tokens or context, context // 4)
        return LLMMetadata(
            context_window=context,
            num_output=self.max_tokens or reserve,
            is_chat_model=True,
            is_function_calling_model=self._takes_tools(facts),
            model_name=self.model or "auto",
            system_role=MessageRole.SYSTEM,
        )

    def _facts(self) -> ModelInfo:
        return facts_of(self.model)

    def _takes_tools(self, facts: ModelInfo) -> bool:
        if self.function_calling is not None:
            return self.function_calling
        is_known = bool(facts.abilities or facts.context_window)
        return "tools" in facts.abilities or not is_known

    def to_payload(self) -> dict[str, Any]:
        """What events may show of this LLM: its facts and routing, no secret and no id of a user."""
        return {**super().to_payload(), **options_of(self, _SHOWN, {})}

    # -- calls -----------------------------------------------------------------------------------------------------

    def _chat_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return options_of(self, (*_OPTIONS, "batch_mode"), given)

    def _stream_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        options = self._chat_options(given)
        if options.pop("batch_mode", False):
            raise ConfigError("batch_mode=True: a batch job cannot stream; pass batch_mode=False to this call")
        return options

    def _chat(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> ChatResponse:
        return response_of(self._client.chat(messages_of(messages), **self._chat_options(given)))

    async def _achat(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> ChatResponse:
        return response_of(await self._aclient.chat(messages_of(messages), **self._chat_options(given)))

    def _stream(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> Batches[ChatResponse]:
        return responses(self._client.stream_chat(messages_of(messages), **self._stream_options(given)))

    def _astream(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> AsyncChatStream:
        return self._aclient.stream_chat(messages_of(messages), **self._stream_options(given))

    def _prompted(self, prompt: str, formatted: bool) -> list[ChatMessage]:
        if not isinstance(prompt, str):
            raise ConfigError(f"prompt: came {kind_of(prompt)}; allowed is a string")
        text = prompt if formatted or self.completion_to_prompt is None else self.completion_to_prompt(prompt)
        return [ChatMessage(role=MessageRole.USER, content=text)]

    # -- the eight endpoints ---------------------------------------------------------------------------------------
    # Not decorated by LlamaIndex's callbacks but handed to them: see ``_report``.

    @discreet
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """A whole answer to messages."""
        checked_messages(messages)
        return reported(llm_chat_callback, self, messages, kwargs, lambda: self._chat(messages, kwargs))

    @discreet
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """A whole answer to messages."""
        checked_messages(messages)
        return await areported(llm_chat_callback, self, messages, kwargs, lambda: self._achat(messages, kwargs))

    @discreet
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """A whole answer to a prompt, sent as one user message."""
        messages = self._prompted(prompt, formatted)
        return reported(
            llm_completion_callback, self, prompt, kwargs, lambda: completion_of(self._chat(messages, kwargs))
        )

    @discreet
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """A whole answer to a prompt, sent as one user message."""

        messages = self._prompted(prompt, formatted)

        async def answer() -> CompletionResponse:
            return completion_of(await self._achat(messages, kwargs))

        return await areported(llm_completion_callback, self, prompt, kwargs, answer)

    @discreet
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        """The answer as it grows; each response holds all of it so far, ``delta`` what is new."""
        checked_messages(messages)
        return reported_stream(llm_chat_callback, self, messages, kwargs, self._stream(messages, kwargs))

    @discreet
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        """The answer as it grows; each response holds all of it so far, ``delta`` what is new."""
        checked_messages(messages)
        stream = AsyncResponses(self._astream(messages, kwargs), lambda response: response)
        return await areported_stream(llm_chat_callback, self, messages, kwargs, stream)

    @discreet
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Generator[CompletionResponse, None, None]:
        """The answer to a prompt as it grows."""
        stream = completions(self._stream(self._prompted(prompt, formatted), kwargs))
        return reported_stream(llm_completion_callback, self, prompt, kwargs, stream)

    @discreet
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse, None]:
        """The answer to a prompt as it grows."""
        stream = AsyncResponses(self._astream(self._prompted(prompt, formatted), kwargs), completion_of)
        return await areported_stream(llm_completion_callback, self, prompt, kwargs, stream)

    # -- tools -----------------------------------------------------------------------------------------------------

    @spanless
    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: Sequence[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Arguments of ``chat``. ``tool_choice`` (also the name of a tool) stands before ``tool_required``; the
        given lists are not changed; without tools nothing about tools is sent. Raises ``ConfigError`` for what is no
        tool, two tools of one name, and a choice that is none of them."""
        messages = list(chat_history or ())
        if user_msg is not None:
            messages.append(ChatMessage(content=user_msg) if isinstance(user_msg, str) else user_msg)
        checked_messages(messages)
        if not tools:
            return {"messages": messages, **kwargs}
        asked: dict[str, Any] = {"tools": _described(tools)}
        choice = _tool_choice(tool_choice, tool_required, [tool["function"]["name"] for tool in asked["tools"]])
        if choice is not None:
            asked["tool_choice"] = choice
        if not allow_parallel_tool_calls:
            asked["parallel_tool_calls"] = False
        return {"messages": messages, **asked, **kwargs}

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """The response with its first tool call only, unless several are allowed: not every vendor can be told."""
        return response if allow_parallel_tool_calls else _with_one_call(response)

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """The tool calls of a response; of a stream's responses too, with the arguments that can be read so far.

        Raises ``ValueError`` when there is none, unless ``error_on_no_tool_call`` is false. Arguments that are not a
        JSON object in the end are logged and stand under ``unreadable_arguments``: the tool is not run without them.
        """
        found = [_selection(id_, name, arguments) for id_, name, arguments in calls_of(response.message)]
        if not found and error_on_no_tool_call:
            raise ValueError(f"the model called no tool; it wrote: {response.message.content!r}")
        return found

    if not TYPE_CHECKING:  # they are LlamaIndex's own
        predict_and_call = discreet(FunctionCallingLLM.predict_and_call)
        apredict_and_call = discreet(FunctionCallingLLM.apredict_and_call)

    # -- structured answers ----------------------------------------------------------------------------------------

    def _ask(
        self,
        output_cls: type[M],
        prompt: PromptTemplate,
        llm_kwargs: Mapping[str, Any] | None,
        prompt_args: Mapping[str, Any],
    ) -> Ask[M] | None:
        """How to ask for an object, or None to leave it to LlamaIndex (other program modes, models without tools)."""
        if not (isinstance(output_cls, type) and issubclass(output_cls, BaseModel)):
            raise ConfigError(f"output_cls={output_cls!r}: allowed is a class of pydantic's BaseModel")
        if not isinstance(prompt, BasePromptTemplate):
            raise ConfigError(f"prompt: came {kind_of(prompt)}; allowed is a template, such as PromptTemplate(…)")
        mode, facts = self.pydantic_program_mode, self._facts()
        by_default = mode == PydanticProgramMode.DEFAULT
        native = by_default and "structured" in facts.abilities
        tools = (by_default or mode == PydanticProgramMode.FUNCTION) and self._takes_tools(facts)
        if not native and not tools:
            return None
        messages = self._extend_messages(prompt.format_messages(llm=self, **prompt_args))
        return (by_schema if native else by_tool)(output_cls, messages, llm_kwargs or {})

    @discreet
    def structured_predict(
        self,
        output_cls: type[M],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> M:
        """An object of ``output_cls``. Raises ``ValueError`` (pydantic's error among them) for an unfit answer."""
        ask = self._ask(output_cls, prompt, llm_kwargs, prompt_args)
        if ask is None:
            plain: M = super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return plain
        _started(output_cls, prompt, prompt_args)
        return _ended(ask.read(self.chat(ask.messages, **ask.options)))

    @discreet
    async def astructured_predict(
        self,
        output_cls: type[M],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> M:
        """An object of ``output_cls``. Raises ``ValueError`` (pydantic's error among them) for an unfit answer."""
        ask = self._ask(output_cls, prompt, llm_kwargs, prompt_args)
        if ask is None:
            plain: M = await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
            return plain
        _started(output_cls, prompt, prompt_args)
        return _ended(ask.read(await self.achat(ask.messages, **ask.options)))

    def _structured_stream_call(
        self,
        output_cls: type[M],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[M | list[M] | FlexibleModel | list[FlexibleModel], None, None]:
        ask = self._ask(output_cls, prompt, llm_kwargs, prompt_args)
        if ask is None:
            return super()._structured_stream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        return objects(ask, self.stream_chat(ask.messages, **ask.options))

    async def _structured_astream_call(
        self,
        output_cls: type[M],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[M | list[M] | FlexibleModel | list[FlexibleModel], None]:
        ask = self._ask(output_cls, prompt, llm_kwargs, prompt_args)
        if ask is None:
            return await super()._structured_astream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        stream = await self.astream_chat(ask.messages, **ask.options)
        return AsyncObjects(ask, stream)  # type: ignore[return-value]  # LlamaIndex iterates over it, and no more


def _described(tools: Sequence[Any]) -> list[dict[str, Any]]:
    """The tools as a request describes them."""
    for place, tool in enumerate(tools):
        if not isinstance(tool, BaseTool):
            raise ConfigError(
                f"tools[{place}]: came {kind_of(tool)}; "
                "allowed are LlamaIndex tools, such as FunctionTool.from_defaults(…)"
            )
    described = [tool.metadata.to_openai_tool(skip_length_check=True) for tool in tools]
    for tool, shown in zip(tools, described, strict=True):
        # LlamaIndex shows some names otherwise than it looks them up by when the model calls them.
        shown["function"]["name"] = tool.metadata.name
    check_tools(described)
    return described


_MODES = ("auto", "none", "required")


def _tool_choice(given: Any, required: bool, names: Sequence[str]) -> str | dict[str, Any] | None:
    if given is None:
        return "required" if required else None
    if isinstance(given, Mapping):
        return dict(given)
    if given in _MODES:
        return str(given)
    if given not in names:
        raise ConfigError(f"tool_choice={given!r}: allowed are {', '.join((*_MODES, *names))}")
    return {"type": "function", "function": {"name": given}}


def _with_one_call(response: ChatResponse) -> ChatResponse:
    message = response.message
    calls = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if len(calls) < 2:
        return response
    _logger.warning("the model called %d tools where one is allowed; the first is kept", len(calls))
    blocks = [block for block in message.blocks if not isinstance(block, ToolCallBlock) or block is calls[0]]
    extra = {**message.additional_kwargs, "tool_calls": message.additional_kwargs.get("tool_calls", [])[:1]}
    one = ChatMessage(role=message.role, blocks=blocks, additional_kwargs=extra)
    return response.model_copy(update={"message": one})


def _started(output_cls: type[BaseModel], prompt: PromptTemplate, prompt_args: dict[str, Any]) -> None:
    dispatcher.event(LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args))


def _ended(found: M) -> M:
    dispatcher.event(LLMStructuredPredictEndEvent(output=found))
    return found
