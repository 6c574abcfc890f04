"""Tools and tool choices as the wire has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_infrai.errors import InfraiConfigError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

Tool: TypeAlias = "Mapping[str, Any] | type | Callable[..., Any] | BaseTool"

_CHOICES = {"any": "required", "required": "required", "auto": "auto", "none": "none"}


def wire_tools(tools: Sequence[Tool], strict: bool | None) -> list[dict[str, Any]]:
    """The tools, OpenAI-shaped."""
    return [convert_to_openai_tool(tool, strict=strict) for tool in tools]


def wire_tool_choice(choice: str | bool | Mapping[str, Any] | None, tools: Sequence[Mapping[str, Any]]) -> Any:
    """A tool choice as LangChain people write it, in the wire's form; None leaves it to the model.

    Raises ``InfraiConfigError`` for the name of a tool that is not among ``tools``.
    """
    if isinstance(choice, Mapping):
        return dict(choice)
    if choice is None or choice is False:
        return None
    if choice is True:
        return "required"
    if choice in _CHOICES:
        return _CHOICES[choice]
    names = [tool["function"]["name"] for tool in tools if "function" in tool]
    if choice not in names:
        allowed = ", ".join([*_CHOICES, *names])
        raise InfraiConfigError(f"tool_choice={choice!r}: allowed are {allowed}, True, False or a dictionary")
    return {"type": "function", "function": {"name": choice}}
