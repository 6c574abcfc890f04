"""Tools and schemas as every vendor takes them. Pure, checked before any I/O.

The narrowest of the vendors' rules hold, so that a call can go to any of them: names of
https://platform.openai.com/docs/api-reference/chat/create (``tools``), an object at the root of a schema
(https://platform.openai.com/docs/guides/structured-outputs#root-objects-must-not-be-anyof-and-must-be-an-object).
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from infrai_core.errors import ConfigError
from infrai_core.parse import parsed
from infrai_core.wellformed import malformed

TOOL_NAME = "[a-zA-Z0-9_-]{1,128}"
"""A pattern. OpenAI takes 64 characters, others 128."""
_TOOL_NAME = re.compile(TOOL_NAME)
ALLOWED_TOOL_NAME = "a name of 1 to 128 letters of a-z, digits, _ and -"
ALLOWED_ARGUMENTS = "'object', the arguments by their names"
ROOT = "root"
"""The only field of an object that stands for something else."""


def check_tools(tools: Sequence[Mapping[str, Any]]) -> None:
    """Raises ``ConfigError`` that names the place of a tool no vendor would take, or whose name another one has."""
    seen: set[tuple[str, str]] = set()
    for place, tool in enumerate(tools):
        check_tool(tool, f"tools.{place}")
        kind, described = _described(tool)
        if described is None:
            continue
        if (kind, described["name"]) in seen:
            came = f"tools.{place}.{kind}.name={described['name']!r}"
            raise ConfigError(f"{came}: came twice; a model tells tools apart by their names")
        seen.add((kind, described["name"]))


def check_tool(tool: Mapping[str, Any], field: str) -> None:
    """Raises ``ConfigError`` for a tool whose name no vendor takes, or whose arguments are no object."""
    kind, described = _described(tool)
    if described is None:
        return
    name, arguments = described.get("name"), not_an_object(described.get("parameters"))
    if not is_tool_name(name):
        raise ConfigError(f"{field}.{kind}.name={reprlib.repr(name)}: allowed is {ALLOWED_TOOL_NAME}")
    if arguments is not None:
        raise ConfigError(f"{field}.{kind}.parameters.type={arguments!r}: allowed is {ALLOWED_ARGUMENTS}")
    if (wrong := malformed(described.get("parameters") or {})) is not None:
        place = f"{field}.{kind}.parameters.{wrong.place}"
        raise ConfigError(f"{place}={reprlib.repr(wrong.came)}: allowed is {wrong.allowed}")


def _described(tool: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    """The type of a tool and what it is; None for one of the service's own, which has no description."""
    kind = str(tool.get("type"))
    described = tool.get(kind)
    return kind, described if isinstance(described, Mapping) else None


def is_tool_name(name: Any) -> TypeGuard[str]:
    """Whether a tool may be called so."""
    return isinstance(name, str) and _TOOL_NAME.fullmatch(name) is not None


def not_an_object(schema: Any) -> Any:
    """The type of a schema that says it is not that of an object, else None."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return None if kind == "object" else kind


def allowed_name(name: str) -> str:
    """The name as vendors allow names: a title may have spaces, and that of a generic class has brackets."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", name)[:64]


def is_held(schema: Mapping[str, Any]) -> bool:
    """Whether ``object_schema`` has to put what this describes into an object: it may be something else."""
    root = _resolved(schema)
    return not_an_object(root) is not None or ("properties" not in root and not _ANY_TYPE.isdisjoint(root))


_ANY_TYPE = frozenset({"anyOf", "oneOf", "allOf", "enum", "const", "not", "$ref"})
"""Words of schemas that need no type beside them."""


def object_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with an object at its root. What is none stands in the only field, ``root``; ``unheld`` takes it out.
    A class that holds itself is a bare reference, which becomes what it refers to."""
    if not is_held(schema):
        return _resolved(schema)
    inner = {name: value for name, value in schema.items() if name != "$defs"}
    defined = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    held = {"type": "object", "properties": {ROOT: inner}, "required": [ROOT], "additionalProperties": False}
    return held | {name: schema[name] for name in ("title", "description") if name in schema} | defined


def _resolved(schema: Mapping[str, Any]) -> dict[str, Any]:
    defined = schema.get("$defs", {}).get(str(schema.get("$ref", "")).removeprefix("#/$defs/"))
    return {**defined, "$defs": schema["$defs"]} if defined else dict(schema)


def unheld(text: str) -> str:
    """What stands under ``root`` in this JSON text, as JSON; the text itself where a model left the object out."""
    try:
        found = parsed(text)
    except ValueError:
        return text  # whoever reads it says what is wrong
    return json.dumps(found[ROOT]) if isinstance(found, dict) and found.keys() == {ROOT} else text
