"""Tools and tool choices as the wire has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from infrai_core.renamed import Renamed
from infrai_core.schema import check_tool
from langchain_infrai.errors import AS_LANGCHAIN, InfraiConfigError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
else:
    from langchain_core.runnables import Runnable as BaseTool  # a tool is one, and tools cost milliseconds of import

# LangChain reads the hints of a model's methods when it runs: these names must exist where they are used.
Tool: TypeAlias = Mapping[str, Any] | type | Callable[..., Any] | BaseTool
Schema: TypeAlias = Mapping[str, Any] | type
Method = Literal["function_calling", "json_schema", "json_mode"]

_CHOICES = {"any": "required", "required": "required", "auto": "auto", "none": "none"}
_OF_SEVERAL = ("allowed_tools", "custom")
"""Dictionaries that go to the service as they are, which checks the names in them."""


def wire_tools(tools: Iterable[Tool], strict: bool | None) -> list[dict[str, Any]]:
    """The tools, OpenAI-shaped. Raises ``InfraiConfigError`` for what LangChain cannot make a tool of, a name that no
    vendor takes, and arguments that are no object. A name that two tools have is refused when the model is called:
    LangChain's standard suite binds such."""
    if not isinstance(tools, Iterable) or isinstance(tools, str | Mapping | BaseModel):
        raise InfraiConfigError(f"tools: came {type(tools).__name__}, allowed is a list of tools")
    return [_wire_tool(tool, strict, f"tools.{place}") for place, tool in enumerate(tools)]


def _wire_tool(tool: Tool, strict: bool | None, field: str) -> dict[str, Any]:
    with convertible(field):
        wire = convert_to_openai_tool(tool, strict=strict)
    with AS_LANGCHAIN:
        check_tool(wire, field)
    return wire


def convertible(field: str) -> Renamed:
    """Raises what LangChain says of a tool or schema that it cannot convert as ``InfraiConfigError`` with its name."""

    def told(error: Exception) -> InfraiConfigError | None:
        known = isinstance(error, TypeError | ValueError)
        return InfraiConfigError(f"{field}: {' '.join(str(error).split())}") if known else None

    return Renamed(told)


def wire_tool_choice(choice: str | bool | Mapping[str, Any] | None, tools: Sequence[Mapping[str, Any]]) -> Any:
    """A tool choice as LangChain people write it, in the wire's form; None leaves it to the model.

    Raises ``InfraiConfigError`` for the name of a tool that is not among ``tools``.
    """
    if choice is None or choice is False:
        return None
    if isinstance(choice, Mapping) and choice.get("type") in _OF_SEVERAL:
        return dict(choice)
    said = _said(choice) if isinstance(choice, Mapping) else "required" if choice is True else choice
    if isinstance(said, str) and said in _CHOICES:
        return _CHOICES[said]
    names = [tool["function"]["name"] for tool in tools if "function" in tool]
    if said not in names:
        allowed = ", ".join([*_CHOICES, *names])
        raise InfraiConfigError(f"tool_choice={choice!r}: allowed are {allowed}, True, False or a dictionary of these")
    return {"type": "function", "function": {"name": said}}


def _said(choice: Mapping[str, Any]) -> Any:
    """What a dictionary of OpenAI's or Anthropic's form chooses: the name of a tool, or one of ``_CHOICES``."""
    function = choice.get("function")
    named = function if isinstance(function, Mapping) else choice
    return named.get("name") or choice.get("type")
