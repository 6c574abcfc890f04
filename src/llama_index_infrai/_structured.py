"""Structured answers: by the model's own JSON schema mode where it has one, else by a tool that must be called."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.program.utils import FlexibleModel, create_flexible_model
from pydantic import BaseModel, ValidationError

from infrai_core.schema import ROOT, allowed_name, is_held, object_schema, unheld
from llama_index_infrai._partial_json import PartialObject

M = TypeVar("M", bound=BaseModel)


class Preview(Protocol):
    """Reads what a structured answer holds so far from each response of a stream."""

    def __call__(self, response: ChatResponse) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Ask(Generic[M]):
    """How to ask for an object of a class: the messages, the options of the call, and how to read the answer.

    ``read`` raises ``ValueError`` (pydantic's ``ValidationError`` among them) for an answer that does not fit.
    ``preview`` makes a reader of partial answers, for one stream each. Vendors answer with objects only: what is none
    ``is_held`` by the field ``root`` of one.
    """

    output_cls: type[M]
    messages: list[ChatMessage]
    options: dict[str, Any] = field(default_factory=dict)
    read: Callable[[ChatResponse], M] = field(kw_only=True)
    preview: Callable[[], Preview] = field(kw_only=True)
    is_held: bool = field(kw_only=True)


def by_schema(output_cls: type[M], messages: Sequence[ChatMessage], options: Mapping[str, Any]) -> Ask[M]:
    """Asks for JSON of the class's schema."""
    schema = output_cls.model_json_schema()
    form = {"name": allowed_name(output_cls.__name__), "schema": object_schema(schema)}
    held = is_held(schema)
    asked = {**_without_tools(options), "response_format": {"type": "json_schema", "json_schema": form}}

    def read(response: ChatResponse) -> M:
        return _object(output_cls, response.message.content or "", response, held)

    return Ask(output_cls, list(messages), asked, read=read, preview=_TextPreview, is_held=held)


def by_tool(output_cls: type[M], messages: Sequence[ChatMessage], options: Mapping[str, Any]) -> Ask[M]:
    """Makes the model call a tool whose parameters are the class's fields. ``tool_choice`` may be given."""
    name, schema = allowed_name(output_cls.__name__), output_cls.model_json_schema()
    parameters, held = object_schema(schema), is_held(schema)
    about = parameters.get("description") or f"The answer: {name}."
    described = {"name": name, "description": about, "parameters": parameters}
    tool = {"type": "function", "function": described}
    chosen = options.get("tool_choice") or "required"
    asked = {**_without_tools(options), "tools": [tool], "tool_choice": chosen, "parallel_tool_calls": False}

    def read(response: ChatResponse) -> M:
        call = _first_call(response)
        if call is None:
            raise ValueError(f"the model was to call {output_cls.__name__}, but wrote: {response.message.content!r}")
        # As JSON, also what is read already: a strict class takes dates, say, from JSON text but not from a string.
        written = call.tool_kwargs if isinstance(call.tool_kwargs, str) else json.dumps(call.tool_kwargs)
        return _object(output_cls, "" if written == "{}" and _is_cut_off(response) else written, response, held)

    return Ask(output_cls, list(messages), asked, read=read, preview=lambda: _call_preview, is_held=held)


def _object(output_cls: type[M], written: str, response: ChatResponse, held: bool) -> M:
    try:
        return output_cls.model_validate_json(unheld(written) if held else written)
    except ValidationError as error:
        if _is_cut_off(response):
            raise ValueError(
                "the answer was cut off, at max_tokens or at the model's own limit, and is no whole object"
            ) from error
        raise


def _is_cut_off(response: ChatResponse) -> bool:
    return isinstance(response.raw, Mapping) and response.raw.get("finish_reason") == "length"


_TOOL_OPTIONS = ("tool_choice", "tool_required", "allow_parallel_tool_calls", "tools")


def _without_tools(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _TOOL_OPTIONS}


def _first_call(response: ChatResponse) -> ToolCallBlock | None:
    return next((block for block in response.message.blocks if isinstance(block, ToolCallBlock)), None)


def _call_preview(response: ChatResponse) -> Mapping[str, Any]:
    call = _first_call(response)
    return call.tool_kwargs if call is not None and isinstance(call.tool_kwargs, dict) else {}


class _TextPreview:
    """Reads the JSON text of a stream, each piece once."""

    def __init__(self) -> None:
        self._reader = PartialObject()

    def __call__(self, response: ChatResponse) -> Mapping[str, Any]:
        self._reader.feed(response.delta or "")
        return self._reader.value()


# -- streams -------------------------------------------------------------------------------------------------------


class _Objects(Generic[M]):
    """Partial answers -> partial objects: of the class itself as soon as the fields fit, else of a flexible copy."""

    def __init__(self, ask: Ask[M]) -> None:
        self._ask = ask
        self._preview = ask.preview()
        self._flexible = create_flexible_model(ask.output_cls)
        self._last: ChatResponse | None = None

    def add(self, response: ChatResponse) -> M | FlexibleModel:
        self._last = response
        found = self._preview(response)
        try:
            return self._ask.output_cls.model_validate(found.get(ROOT) if self._ask.is_held else found)
        except ValidationError:
            return self._flexible.model_validate(found)

    def end(self) -> M:
        """The whole object, by the rules of an answer that was not streamed."""
        if self._last is None:
            raise ValueError("the stream brought no answer")
        return self._ask.read(self._last)


def objects(ask: Ask[M], stream: Generator[ChatResponse, None, None]) -> Generator[M | FlexibleModel, None, None]:
    """Partial objects, at last the whole one. Raises ``ValueError`` at the end when the answer does not fit."""
    found = _Objects(ask)
    try:
        for response in stream:
            yield found.add(response)
        yield found.end()
    finally:
        stream.close()


class AsyncObjects(Generic[M]):
    """The same from an event loop. No generator: a loop that ends closes all of them at once, and would close the
    stream twice that stands inside."""

    def __init__(self, ask: Ask[M], stream: AsyncGenerator[ChatResponse, None]) -> None:
        self._found = _Objects(ask)
        self._stream = stream
        self._is_whole = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> M | FlexibleModel:
        if self._is_whole:
            raise StopAsyncIteration
        try:
            response = await anext(self._stream)
        except StopAsyncIteration:
            self._is_whole = True
            return self._found.end()
        try:
            return self._found.add(response)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Closes the stream."""
        await self._stream.aclose()
