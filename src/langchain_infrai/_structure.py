"""Structured output: how a schema is asked for, and how the answer is read.

Imported when it is first asked for: LangChain's parsers cost more to import than the chat model itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from langchain_core import output_parsers
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import openai_tools
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_openai_function, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import RootModel, create_model

from infrai_core.schema import ROOT, allowed_name, is_held, object_schema
from langchain_infrai._convert import called
from langchain_infrai._tools import Method, Schema, convertible
from langchain_infrai.errors import HAS_REFUSAL_ERROR, InfraiConfigError, ModelRefusalError


class Structure(NamedTuple):
    """One way to ask for structured output: tools or other call arguments, and the parser of the answer."""

    tools: list[Schema]
    arguments: dict[str, Any]
    parser: Runnable[Any, Any]


def structure(method: str, schema: Schema | None, strict: bool | None) -> Structure:
    """How to ask for this schema. Raises ``InfraiConfigError`` for an unknown method or a missing schema."""
    make = _METHODS.get(method) if isinstance(method, str) else None
    if make is None:
        raise InfraiConfigError(f"method={method!r}: allowed are {', '.join(_METHODS)}")
    if schema is None and method != "json_mode":
        raise InfraiConfigError(f"schema: method={method!r} needs one; only json_mode works without")
    asked, inside = _held(_inside_a_tool(schema))
    if inside and method == "json_mode":
        raise InfraiConfigError("schema: answers in json_mode are objects, and this describes none; use another method")
    made = make(asked, strict)
    if inside:
        made = made._replace(parser=made.parser | RunnableGenerator(_unheld, _aunheld))
    options = {"method": method} if strict is None else {"method": method, "strict": strict}
    traced = {"ls_structured_output_format": {"kwargs": options, "schema": schema}} if schema is not None else {}
    return made._replace(arguments={**made.arguments, **traced})


def _inside_a_tool(schema: Any) -> Any:
    """The function of a tool in OpenAI's form, which LangChain takes for a schema too; anything else as it is."""
    is_tool = isinstance(schema, Mapping) and schema.get("type") == "function"
    return schema["function"] if is_tool and isinstance(schema.get("function"), Mapping) else schema


def _held(schema: Any) -> tuple[Any, bool]:
    """The schema as one of an object, because vendors take no other; True where it then stands in the object's only
    field, ``root``."""
    if isinstance(schema, Mapping):
        inner = schema.get("parameters", schema)
        if not isinstance(inner, Mapping) or not is_held(inner):
            return schema, False
        held = object_schema(inner)
        return ({**schema, "parameters": held} if "parameters" in schema else held), True
    if isinstance(schema, type) and issubclass(schema, RootModel) and is_held(schema.model_json_schema()):
        return create_model(schema.__name__, __doc__=schema.__doc__, root=(schema, ...)), True
    return schema, False


def _unheld(found: Iterator[Any]) -> Iterator[Any]:
    for one in found:
        yield from _root(one)


async def _aunheld(found: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for one in found:
        for root in _root(one):
            yield root


def _root(found: Any) -> list[Any]:
    """What stands in the object; nothing where a growing answer has not come so far."""
    if isinstance(found, Mapping):
        return [found[ROOT]] if ROOT in found else []
    return [] if found is None else [found.root]


def _function_calling(schema: Any, strict: bool | None) -> Structure:
    with convertible("schema"):
        function = convert_to_openai_tool(schema, strict=strict)["function"]
    name = allowed_name(function["name"])
    tool = {"type": "function", "function": {**function, "name": name}}
    arguments = {"tool_choice": name, "parallel_tool_calls": False, "strict": strict}
    if _is_pydantic(schema):
        own_names = {name: function["name"]}
        return Structure(
            [tool], arguments, PydanticToolsParser(tools=[schema], first_tool_only=True, own_names=own_names)
        )
    return Structure([tool], arguments, JsonOutputKeyToolsParser(key_name=name, first_tool_only=True))


def _json_schema(schema: Any, strict: bool | None) -> Structure:
    with convertible("schema"):
        function = convert_to_openai_function(schema, strict=strict)
    named = {
        "name": allowed_name(function["name"]),
        "schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    more = {name: function[name] for name in ("description", "strict") if function.get(name) is not None}
    format_ = {"type": "json_schema", "json_schema": {**named, **more}}
    return Structure([], {"response_format": format_}, _content_parser(schema))


def _json_mode(schema: Any, strict: bool | None) -> Structure:
    if strict is not None:
        raise InfraiConfigError(f"strict={strict!r}: json_mode has no schema to be strict about; allowed is None")
    return Structure([], {"response_format": {"type": "json_object"}}, _content_parser(schema))


def _content_parser(schema: Any) -> Runnable[Any, Any]:
    return PydanticOutputParser(pydantic_object=schema) if _is_pydantic(schema) else JsonOutputParser()


class _Whole:
    """Before a parser of LangChain, which closes what is open: lets no answer through that was cut off, and reads the
    end of a stream as strictly as an answer that came at once."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """As the parser; raises ``OutputParserException`` for an answer that ended at ``max_tokens``."""
        message = _message(result)
        if message is not None and message.response_metadata.get("finish_reason") == "length":
            raise OutputParserException("the answer was cut off at max_tokens", llm_output=message.text)
        whole = not partial or _has_ended(message)
        return super().parse_result(result, partial=not whole)  # type: ignore[misc]  # the parser's


class _Called(_Whole):
    """Before a parser of calls, which gives None for an answer without the call that was asked for."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """As the parser; raises ``OutputParserException`` where the call is missing or its arguments do not fit."""
        message = _message(result)
        try:
            found = super().parse_result(result, partial=partial)
        except OutputParserException:
            raise
        except ValueError as error:  # pydantic's, of either version
            raise OutputParserException(f"the arguments do not fit the schema: {error}") from error
        if found is None and message is not None and (not partial or _has_ended(message)):
            raise OutputParserException(_missing(message), llm_output=message.text)
        return found


def _message(result: list[Generation]) -> AIMessage | None:
    message = result[0].message if isinstance(result[0], ChatGeneration) else None
    return message if isinstance(message, AIMessage) else None


def _has_ended(message: AIMessage | None) -> bool:
    return message is not None and "finish_reason" in message.response_metadata


def _missing(message: AIMessage) -> str:
    """What came instead of the call."""
    errors = [called(None, None, call["args"]).get("error") for call in message.invalid_tool_calls]
    names = [call["name"] for call in message.tool_calls]
    came = errors or ([f"it called {', '.join(names)}"] if names else ["it answered with text"])
    return f"the model did not call the tool of the schema: {came[0]}"


# Their names are LangChain's, because traces show them.
class PydanticToolsParser(_Called, openai_tools.PydanticToolsParser):
    own_names: dict[str, str]
    """Name of a tool as it was sent -> that of its class."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """As LangChain's, which knows the classes by their own names."""
        return super().parse_result([self._renamed(generation) for generation in result], partial=partial)

    def _renamed(self, generation: Generation) -> Generation:
        if not isinstance(generation, ChatGeneration) or not isinstance(generation.message, AIMessage):
            return generation
        calls = [
            {**call, "name": self.own_names.get(call["name"], call["name"])} for call in generation.message.tool_calls
        ]
        return ChatGeneration(message=generation.message.model_copy(update={"tool_calls": calls}))


class JsonOutputKeyToolsParser(_Called, openai_tools.JsonOutputKeyToolsParser): ...


_OfContent: Any = output_parsers  # mypy cannot follow the type variable of these two


class JsonOutputParser(_Whole, _OfContent.JsonOutputParser): ...  # type: ignore[misc]  # see above


class PydanticOutputParser(_Whole, _OfContent.PydanticOutputParser): ...  # type: ignore[misc]  # see above


def _is_pydantic(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


_METHODS: dict[str, Callable[[Any, bool | None], Structure]] = {
    "function_calling": _function_calling,
    "json_schema": _json_schema,
    "json_mode": _json_mode,
}


def structured(
    model: Any,
    schema: Schema | None,
    *,
    method: Method = "function_calling",
    include_raw: bool = False,
    strict: bool | None = None,
    **arguments: Any,
) -> Runnable[Any, Any]:
    """The model, asked for this schema, and its answers read."""
    made = structure(method, schema, strict)
    tools = [*made.tools, *(arguments.pop("tools", None) or ())]
    arguments = {**made.arguments, **arguments}
    asked = model.bind_tools(tools, **arguments) if tools else model.bind(**arguments)
    return parsed(asked, made.parser, include_raw)


def parsed(model: Runnable[Any, AIMessage], parser: Runnable[Any, Any], include_raw: bool) -> Runnable[Any, Any]:
    """The model followed by the parser; with ``include_raw`` ``{"raw", "parsed", "parsing_error"}``."""
    reader = parser if HAS_REFUSAL_ERROR else RunnableGenerator(_refused, _arefused) | parser
    if not include_raw:
        return model | reader
    good = RunnablePassthrough.assign(parsed=itemgetter("raw") | reader, parsing_error=lambda _: None)
    bad = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | good.with_fallbacks([bad], exception_key="parsing_error")


def _refused(messages: Iterator[AIMessage]) -> Iterator[AIMessage]:
    for message in messages:
        yield _not_refused(message)


async def _arefused(messages: AsyncIterator[AIMessage]) -> AsyncIterator[AIMessage]:
    async for message in messages:
        yield _not_refused(message)


def _not_refused(message: AIMessage) -> AIMessage:
    """The message; raises ``ModelRefusalError`` when it holds a refusal, as newer parsers of LangChain do."""
    for block in message.content_blocks:
        if block["type"] == "non_standard" and block["value"].get("type") == "refusal":
            reason = block["value"].get("refusal")
            raise ModelRefusalError(f"the model refused: {reason}", raw_message=message)
    return message
