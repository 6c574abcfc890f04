"""Our chat request as the body of OpenAI's ``/chat/completions``, with the vendor's differences."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infrai_runtime.tool import named
from infrai_runtime.vendors.answer_tool import functions_of
from infrai_runtime.vendors.base import Call, Request
from infrai_runtime.vendors.openai_like import schema
from infrai_runtime.vendors.openai_like.message import Writer
from infrai_runtime.vendors.openai_like.row import PROTECTED, Row

Json = dict[str, Any]


@dataclass(slots=True)
class Draft:
    """A body, and what the caller should know of it."""

    body: Json
    warnings: list[str]


def drafted(request: Request, call: Call, row: Row, model: str) -> Draft:
    """The body of a chat. ``request["messages"]`` has its media in a form that the vendor takes."""
    request = _without_a_choice(request) if "tool_choice" in row.refuses else request
    writer = Writer(row, call.mark_cache)
    body: Json = {"model": model, "messages": writer.messages(request["messages"])}
    warnings = writer.warnings
    for name, value in request.items():
        if name in _NOT_FIELDS:
            continue
        if name in row.refuses or _is_fixed(name, row, model, request):
            warnings.append(f"{name}: {call.model} has no such option here; not used")
        else:
            _WRITE.get(name, _plain)(body, name, value, row, warnings)
    for name, value in request["passthrough"].items() if "passthrough" in request else ():
        if name in PROTECTED:
            warnings.append(f"{name}: not a caller's to set; not used")
        elif _is_fixed(name, row, model, request):
            warnings.append(f"{name}: {call.model} has no such option here; not used")
        else:
            body[name] = value
    body |= call.options
    if call.stream:
        body["stream"] = True
        if row.stream_usage:
            body["stream_options"] = {"include_usage": True}
    return Draft(body, warnings)


_SAMPLING = frozenset({"temperature", "top_p"})
_STOPS = frozenset({"stop", "presence_penalty", "frequency_penalty"})
_NOT_FIELDS = frozenset({"messages", "passthrough"})


def _without_a_choice(request: Request) -> Request:
    """For a vendor without ``tool_choice``: tools that may not be called are not shown, and one that has to be called
    is the only one that is shown."""
    choice = request.get("tool_choice")
    if choice == "none":
        return {name: value for name, value in request.items() if name not in ("tools", "tool_choice")}
    if not isinstance(choice, Mapping):
        return request
    return {**request, "tools": [tool for tool in request["tools"] if named(tool) == named(choice)]}


def _is_fixed(name: str, row: Row, model: str, request: Request) -> bool:
    """Whether the model does not take an option while it thinks."""
    pattern = row.fixed_sampling if name in _SAMPLING else row.fixed_stops if name in _STOPS else ""
    if not pattern or request.get("reasoning_effort") == "none":
        return False
    return re.match(pattern, model.rpartition("/")[2]) is not None


# -- one field each ------------------------------------------------------------------------------------------------


def _plain(body: Json, name: str, value: Any, row: Row, warnings: list[str]) -> None:
    body[row.names.get(name, name)] = value


def _tools(body: Json, name: str, value: Any, row: Row, warnings: list[str]) -> None:
    if not row.custom_tools:
        functions_of(value)
    written = list(schema.tools(value, row.strict_tools))
    warnings += [warning for _, warning in written if warning]
    if written:
        body["tools"] = [tool for tool, _ in written]


def _tool_choice(body: Json, name: str, value: Any, row: Row, warnings: list[str]) -> None:
    body["tool_choice"] = row.required_tool if value == "required" else value


def _response_format(body: Json, name: str, value: Mapping[str, Any], row: Row, warnings: list[str]) -> None:
    if value["type"] == "json_schema" and row.structured == "schema":
        body["response_format"], warning = schema.response_format(value)
        warnings += [warning] if warning else []
    elif value["type"] == "json_schema":
        body["response_format"] = {"type": "json_object"}
        body["messages"] = instructed(body["messages"], schema.instructions(value))
    elif value["type"] == "json_object":
        body["response_format"] = {"type": "json_object"}
        if row.structured == "object" and not _says_json(body["messages"]):  # their JSON mode demands the word
            body["messages"] = instructed(body["messages"], schema.instructions(value))


def _says_json(messages: list[Json]) -> bool:
    return any("json" in str(message.get("content", "")).lower() for message in messages)


def instructed(messages: list[Json], text: str) -> list[Json]:
    """The messages with more instructions at the end of the first system message."""
    first = messages[0] if messages else {}
    if first.get("role") == "system" and isinstance(first["content"], str):
        return [first | {"content": f"{first['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _effort(body: Json, name: str, value: str, row: Row, warnings: list[str]) -> None:
    off = value == "none"
    if row.effort == "reasoning.effort":
        body["reasoning"] = {"effort": value}
    elif row.effort == "thinking" or (row.effort == "effort_or_off" and off):
        body["thinking"] = {"type": "disabled" if off else "enabled"}
    else:
        body["reasoning_effort"] = value


def _choices(body: Json, name: str, value: int, row: Row, warnings: list[str]) -> None:
    body["n"] = value


_Write = Callable[[Json, str, Any, Row, list[str]], None]
_WRITE: dict[str, _Write] = {
    "tools": _tools,
    "tool_choice": _tool_choice,
    "response_format": _response_format,
    "reasoning_effort": _effort,
    "choices": _choices,
}
