"""A JSON schema that stands in a prompt as the form of the answer, as output parsers of frameworks write it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BEFORE = re.compile(r"\bschema\b[^{}\n]{0,60}\s*(?:`{3}\w*\s*)?(?=\{)", re.IGNORECASE)
_DEMAND = re.compile(
    r"\b(?:output|return|respond|reply|answer|write|produce|generate|format(?:ted)?|conform\w*|fill)\b"
    r"[^\n{}]{0,80}\b(?:json|schema)\b",
    re.IGNORECASE,
)
_ABOUT = re.compile(r"^.*\b(?:json|schema)\b.*$", re.IGNORECASE | re.MULTILINE)
_MOST = 20
"""How many places are looked at, from the end."""
_FENCE = re.compile(r"^[ \t]*`{3}\w*[ \t]*$", re.MULTILINE)


def shown_schema(prompt: str) -> tuple[dict[str, Any], str] | None:
    """The last schema of an object that ``prompt`` shows and wants answers to have, and ``prompt`` without it and the
    lines about it, which are no facts. None where it shows none, or only speaks of one."""
    if not _DEMAND.search(prompt):
        return None
    for lead in [*_BEFORE.finditer(prompt)][: -_MOST - 1 : -1]:
        before, text = prompt[: lead.end()], _single_braces(prompt[lead.end() :])
        schema, end = _object(text)
        if _is_schema(schema):
            rest = _ABOUT.sub("", f"{before}\n{text[end:]}")
            return schema, _FENCE.sub("", rest).strip()
    return None


def _single_braces(text: str) -> str:
    """The text as it was before it was made fit for ``str.format``: LlamaIndex sends its schemas so."""
    return text.replace("{{", "{").replace("}}", "}") if text.startswith("{{") else text


def _object(text: str) -> tuple[Any, int]:
    """The JSON value that ``text`` begins with, and its end; None where there is none."""
    try:
        return json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None, 0


def _is_schema(value: Any) -> bool:
    properties = value.get("properties") if isinstance(value, Mapping) else None
    return isinstance(properties, Mapping) and all(isinstance(one, Mapping) for one in properties.values())
