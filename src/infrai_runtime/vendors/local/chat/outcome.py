"""Tells what tools gave back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import quote
from .answer import Draft, say
from .conversation import Conversation, Result
from .passage import reading
from .rank import Similarity
from .word import has_cjk

_LONG = 400
_MOST_FACTS = 40


def told(conversation: Conversation, similarity: Similarity | None, thorough: bool) -> Draft | None:
    """An answer from the results of the calls that this request led to; None where there are none."""
    results = conversation.results
    if not results:
        return None
    if any(len(result.text) > _LONG for result in results if not result.is_error):
        found = quote.answer(reading(conversation), similarity=similarity, thorough=thorough)
        if found is not None and not any(result.is_error for result in results):
            return found
    chinese = has_cjk(conversation.request)
    kept = _final(results)
    if len(kept) == 1:
        return say(_one(kept[0], chinese), not kept[0].is_error)
    return say("\n".join(_line(result, chinese) for result in kept), not any(r.is_error for r in kept))


def _final(results: tuple[Result, ...]) -> list[Result]:
    """Without results that only fed a later call."""
    return [
        result
        for at, result in enumerate(results)
        if not any(_feeds(result, later) for later in results[at + 1 :]) or result.is_error
    ]


def _feeds(result: Result, later: Result) -> bool:
    values = {str(value) for value in later.arguments.values()}
    return not result.is_error and any(_same(result.text, value) for value in values)


def _same(text: str, value: str) -> bool:
    if text.strip() == value:
        return True
    try:
        return float(text) == float(value)
    except ValueError:
        return False


def _one(result: Result, chinese: bool) -> str:
    if result.is_error:
        return _failed(result, chinese)
    text = readable(result.text)
    if not text:
        return f"工具 {result.name} 没有返回内容。" if chinese else f"The tool {result.name} gave back nothing."
    if len(text.split()) <= 3 and "\n" not in text:
        return f"结果是 {text}。" if chinese else f"The result is {text.rstrip('.')}."
    return text


def _line(result: Result, chinese: bool) -> str:
    if result.is_error:
        return _failed(result, chinese)
    given = ", ".join(str(value) for value in result.arguments.values() if isinstance(value, str | int | float))
    return f"{result.name}({given}): {readable(result.text)}"


def _failed(result: Result, chinese: bool) -> str:
    reason = readable(result.text) or "no reason given"
    if chinese:
        return f"工具 {result.name} 报告了错误：{reason}。因此我无法据此回答。"
    return f"The tool {result.name} reported an error: {reason.rstrip('.')}. I cannot answer from it."


def readable(text: str) -> str:
    """A tool's text for reading: JSON becomes 'key: value' pairs, anything else stays."""
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()
    if isinstance(value, Mapping | list):
        return "; ".join(f"{key}: {item}" if key else str(item) for key, item in facts(value)) or text.strip()
    return str(value) if not isinstance(value, bool) else text.strip()


def facts(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """The leaves of a JSON value as (dotted path, scalar), at most forty."""
    found: list[tuple[str, Any]] = []
    _collect(value, path, found, 0)
    return found


def _collect(value: Any, path: str, found: list[tuple[str, Any]], depth: int) -> None:
    if len(found) >= _MOST_FACTS or depth > 12:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect(item, f"{path}.{key}" if path else str(key), found, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _collect(item, path, found, depth + 1)
    else:
        found.append((path, value))
