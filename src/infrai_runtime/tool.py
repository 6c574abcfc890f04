"""What a request says of tools: which there are, and which of them may or must be called.

https://platform.openai.com/docs/api-reference/chat/create (``tools``, ``tool_choice``). The native surface has
functions; the OpenAI surface also has custom tools, whose input is a text and not JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infrai_core.schema import ALLOWED_ARGUMENTS, ALLOWED_TOOL_NAME, TOOL_NAME, is_tool_name, not_an_object
from infrai_runtime.failure import Failure
from infrai_runtime.field import (
    Field,
    Fields,
    Kind,
    choice,
    either,
    flag,
    json_schema,
    list_of,
    one_of_types,
    refuse,
    table,
    text,
)

Body = dict[str, Any]
Tool = Mapping[str, Any]

MOST_TOOLS = 128


def _tool_name() -> Kind:
    def check(value: Any, path: str) -> str:
        if not is_tool_name(value):
            raise refuse(path, value, ALLOWED_TOOL_NAME)
        return str(value)

    return Kind(check, {"type": "string", "pattern": f"^{TOOL_NAME}$"})


def _arguments() -> Kind:
    """JSON Schema of arguments, which vendors take by their names."""
    some = json_schema("JSON Schema of the arguments")

    def check(value: Any, path: str) -> Any:
        schema = some.check(value, path)
        if (kind := not_an_object(schema)) is not None:
            raise refuse(f"{path}.type", kind, ALLOWED_ARGUMENTS)
        return schema

    return Kind(check, some.schema)


_NAME = Field(_tool_name(), "what it is called", required=True)
_FUNCTION: Fields = {
    "name": _NAME,
    "description": Field(text(), "what it does"),
    "parameters": Field(_arguments(), "JSON Schema of the arguments"),
    "strict": Field(flag(), "arguments must follow the schema"),
}
_GRAMMAR: Fields = {
    "syntax": Field(choice(("lark", "regex")), "how the grammar is written", required=True),
    "definition": Field(text(empty=False), "the grammar", required=True),
}
_FORMATS: dict[str, Fields] = {"text": {}, "grammar": {"grammar": Field(table(_GRAMMAR), "the grammar", required=True)}}
_CUSTOM: Fields = {
    "name": _NAME,
    "description": Field(text(), "what it does"),
    "format": Field(one_of_types(_FORMATS), "what its input is, default any text"),
}
_DEFINED = {"function": _FUNCTION, "custom": _CUSTOM}
_NAMED: dict[str, Fields] = {"function": {"name": _NAME}, "custom": {"name": _NAME}}
_FUNCTIONS_ONLY = ("function",)
_ALL = ("function", "custom")


def _of_types(tables: Mapping[str, Fields], types: Sequence[str]) -> Kind:
    """``{"type": T, T: {…}}``, for each of the types."""
    return one_of_types({name: {name: Field(table(tables[name]), f"the {name}", required=True)} for name in types})


def _each_once(tools: Kind) -> Kind:
    """Tools that a model can tell apart."""

    def check(value: Any, path: str) -> Any:
        seen: set[tuple[str, str]] = set()
        for place, tool in enumerate(checked := tools.check(value, path)):
            which = (tool["type"], named(tool))
            if which in seen:
                raise refuse(f"{path}.{place}.{tool['type']}.name", named(tool), "a name that no other tool has")
            seen.add(which)
        return checked

    return Kind(check, tools.schema)


def _allowed(types: Sequence[str]) -> Fields:
    inner: Fields = {
        "mode": Field(choice(("auto", "required")), "whether one of them has to be called", required=True),
        "tools": Field(list_of(_of_types(_NAMED, types), low=1, high=MOST_TOOLS), "which", required=True),
    }
    return {"allowed_tools": Field(table(inner), "the tools that may be called", required=True)}


def _choice(types: Sequence[str]) -> Kind:
    named = {name: {name: Field(table(_NAMED[name]), "which", required=True)} for name in types}
    return either(
        choice(("auto", "none", "required")),
        one_of_types({**named, "allowed_tools": _allowed(types)}),
        allowed='auto, none, required or {"type": "function", "function": {"name"}}'
        ', or {"type": "allowed_tools", "allowed_tools": {"mode", "tools"}}',
    )


def _fields(types: Sequence[str], about: str) -> Fields:
    return {
        "tools": Field(_each_once(list_of(_of_types(_DEFINED, types), high=MOST_TOOLS)), about),
        "tool_choice": Field(_choice(types), "whether and which tool to call"),
    }


FUNCTIONS = _fields(_FUNCTIONS_ONLY, "functions that the model may call")
"""The fields of the native surface."""
FUNCTIONS_AND_CUSTOM = _fields(_ALL, "functions and custom tools that the model may call")
"""Those of the OpenAI surface."""


def named(tool: Tool) -> str:
    """The name of a tool, or of the tool that a choice names."""
    return str(tool[tool["type"]]["name"])


def is_custom(tool: Tool) -> bool:
    """Whether its input is a text."""
    return bool(tool["type"] == "custom")


def narrowed(body: Body) -> Body:
    """The body with the tools that may be called and no others, which says ``allowed_tools`` to every vendor. Raises
    INVALID_REQUEST where ``tool_choice`` demands a tool that is not there."""
    chosen = body.get("tool_choice")
    if chosen is None or chosen in ("auto", "none"):
        return body
    tools: Sequence[Tool] = body.get("tools", ())
    if not tools:
        raise Failure("INVALID_REQUEST", f"tools is missing: tool_choice {_said(chosen)} needs it", param="tools")
    if chosen == "required":
        return body
    if chosen["type"] != "allowed_tools":
        _find(chosen, tools, "tool_choice")
        return body
    allowed = chosen["allowed_tools"]
    path = "tool_choice.allowed_tools.tools"
    kept = {_find(tool, tools, f"{path}.{place}") for place, tool in enumerate(allowed["tools"])}
    return body | {"tools": [tools[place] for place in sorted(kept)], "tool_choice": allowed["mode"]}


def _said(chosen: Any) -> str:
    return repr(chosen if isinstance(chosen, str) else chosen["type"])


def _find(wanted: Tool, tools: Sequence[Tool], path: str) -> int:
    """The place of a tool among those of the request."""
    kind, name = wanted["type"], named(wanted)
    found = next((n for n, tool in enumerate(tools) if (tool["type"], named(tool)) == (kind, name)), None)
    if found is None:
        there = ", ".join(named(tool) for tool in tools if tool["type"] == kind)
        raise refuse(f"{path}.{kind}.name", name, f"a {kind} of tools: {there or 'there is none'}")
    return found
