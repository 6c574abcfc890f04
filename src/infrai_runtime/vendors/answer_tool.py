"""A tool whose arguments are the answer: how a structured answer is had from a model without a mode for it.

Its call comes out as text, so a caller cannot tell the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infrai_runtime.failure import Failure

Schema = dict[str, Any]

ABOUT = "Gives the final answer. Call it once, with the whole answer as its arguments."
_NAME = "give_answer"
_ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}


@dataclass(frozen=True, slots=True)
class AnswerTool:
    """The tool: its name, what it says about itself, and the schema of its arguments."""

    name: str
    about: str
    schema: Schema


def answer_tool(form: Mapping[str, Any], taken: list[str]) -> AnswerTool:
    """The tool for a ``response_format``, under a name that no tool of the caller has."""
    name = _NAME
    while name in taken:
        name += "_"
    described = form.get("json_schema", {})
    about = " ".join(filter(None, (ABOUT, described.get("description"))))
    return AnswerTool(name, about, dict(described.get("schema") or _ANY_OBJECT))


def wants_json(request: Mapping[str, Any]) -> bool:
    """Whether the answer is to be JSON, with or without a schema."""
    return request.get("response_format", {}).get("type") in ("json_object", "json_schema")


def schema_of(request: Mapping[str, Any]) -> Schema | None:
    """The schema that the answer has to follow, where one is given."""
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema")
    return dict(schema) if schema is not None else None


def tool_names(request: Mapping[str, Any]) -> list[str]:
    """The names of the caller's tools."""
    return [function["name"] for function in functions_of(request.get("tools", ()))]


def functions_of(tools: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What the caller's tools say of themselves, for a vendor that knows functions alone. Raises UNSUPPORTED_CAPABILITY
    for another kind of tool."""
    return [_function(tool, f"tools.{place}.type") for place, tool in enumerate(tools)]


def _function(tool: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    if tool["type"] != "function":
        message = f"{path}: came {tool['type']!r}, this vendor has function only"
        raise Failure("UNSUPPORTED_CAPABILITY", message, param=path)
    function: Mapping[str, Any] = tool["function"]
    return function
