"""What both dialects share: body and options apart, parts from flat fields, vectors from either encoding."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infrai_core.errors import ProtocolError

if TYPE_CHECKING:
    from infrai_core.service import ModelList

_OPTIONS = frozenset({"timeout_seconds", "idempotency_key", "extra_headers", "extra_body"})


def split(params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(body fields, call options) of parameters that are nobody else's."""
    if _OPTIONS.isdisjoint(params):
        return params, {}
    options = {name: params[name] for name in _OPTIONS & params.keys()}
    return {name: value for name, value in params.items() if name not in options}, options


def model_list(data: dict[str, Any]) -> ModelList:
    """The models of a service, which ``facts`` learns on the way."""
    from infrai_core.facts import learn  # it reads files, and only this call needs it
    from infrai_core.service import ModelList

    found = ModelList.model_validate(data)
    learn(found.data)
    return found


def with_parts(data: dict[str, Any]) -> dict[str, Any]:
    """The same chat answer with ``parts``: its own, or ones made from the flat fields. The flat fields go: they are
    derived from the parts."""
    if data.get("parts") is None:
        data["parts"] = parts_from_flat(data)
    for name in _FLAT & data.keys():
        del data[name]
    return data


_FLAT = frozenset({"content", "text", "tool_calls", "reasoning", "refusal", "reasoning_content"})
ANSWERS = _FLAT | {"parts", "finish_reason"}
"""Fields of which a chat answer has at least one, be it empty."""


def parts_from_flat(flat: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Parts in their usual order: reasoning, text, refusal, tool calls. ``text`` stands for ``content`` [seed];
    ``reasoning_content`` is how several OpenAI-shaped vendors name reasoning."""
    parts: list[dict[str, Any]] = []
    reasoning = flat.get("reasoning") or flat.get("reasoning_content")
    if isinstance(reasoning, str) and reasoning:
        parts.append({"type": "reasoning", "text": reasoning})
    content = flat.get("content", flat.get("text"))
    parts += _text_parts(content, flat.get("annotations"))
    if flat.get("refusal"):
        parts.append({"type": "refusal", "text": flat["refusal"]})
    parts += [_call_part(call) for call in flat.get("tool_calls") or ()]
    return parts


def _text_parts(content: Any, annotations: Any) -> list[dict[str, Any]]:
    if isinstance(content, list):
        return [dict(part) for part in content]
    if not content:
        return []
    return [{"type": "text", "text": content, **({"annotations": annotations} if annotations else {})}]


def _call_part(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    arguments = function.get("arguments") or "{}"
    return {
        "type": "tool_call",
        "id": call.get("id") or "",
        "name": function.get("name") or "",
        "arguments": arguments,
    }


def decoded_vectors(data: Mapping[str, Any]) -> list[list[float]]:
    """Vectors in input order from ``embeddings`` or OpenAI's ``data[].embedding``, as numbers or base64 float32.

    Raises ``ProtocolError`` where there are none, where their places are not each once, and where they are empty or of
    several lengths.
    """
    rows = data.get("embeddings")
    vectors = [_vector(row) for row in (_placed(data.get("data")) if rows is None else rows)]
    lengths = {len(vector) for vector in vectors}
    if len(lengths) > 1 or 0 in lengths:
        raise ProtocolError(f"the answer to embed has vectors of {', '.join(map(str, sorted(lengths)))} numbers")
    return vectors


def _placed(rows: Any) -> list[Any]:
    """What stands in OpenAI's rows, in the order of their ``index`` where they have one."""
    if not isinstance(rows, list):
        raise ProtocolError("the answer to embed has no embeddings")
    places = [row.get("index", place) for place, row in enumerate(rows)]
    found = {place: row.get("embedding") for place, row in zip(places, rows, strict=True)}
    if set(found) != set(range(len(rows))):
        raise ProtocolError(f"the answer to embed has rows of index {', '.join(map(str, places))}")
    return [found[place] for place in range(len(rows))]


def _vector(row: Any) -> list[float]:
    try:
        return _from_base64(row) if isinstance(row, str) else list(map(float, row))
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"an embedding is neither numbers nor base64 of float32 numbers: {error}") from None


def _from_base64(text: str) -> list[float]:
    data = base64.b64decode(text, validate=True)
    numpy = sys.modules.get("numpy")  # a little faster; not worth its import where nobody else needs it
    if numpy is not None:
        vector: list[float] = numpy.frombuffer(data, "<f4").tolist()
        return vector
    numbers = array("f", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
