"""Wire parts as parts of a Gemini ``Content`` (https://ai.google.dev/api/caching#Part), one function per type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from infrai_runtime.failure import Failure

Part = Mapping[str, Any]
Sent = dict[str, Any]

UNSIGNED = "skip_thought_signature_validator"
"""What stands for the signature of a call that Gemini did not make, so that a conversation may come from elsewhere:
https://ai.google.dev/gemini-api/docs/thought-signatures#faqs"""

_FETCHED = re.compile(
    r"https://(?:generativelanguage\.googleapis\.com/|(?:www\.|m\.)?youtube\.com/watch|youtu\.be/)|gs://"
)


def vendor_fetches(part: Part) -> bool:
    """Whether Gemini's service has or fetches the URL of a part by itself: its own files, Cloud Storage, YouTube
    (https://ai.google.dev/gemini-api/docs/file-input-methods)."""
    return _FETCHED.match(str(part["url"])) is not None


@dataclass(slots=True)
class Conversation:
    """What is known of a conversation while its parts are converted."""

    modern: bool
    warnings: list[str]
    names: dict[str, str] = field(default_factory=dict)
    """Id of a tool call -> the tool: a result has to name it."""

    def parts(self, parts: Sequence[Part], path: str) -> list[Sent]:
        """A message's parts; ``path`` names it in errors."""
        return [
            made for index, part in enumerate(parts) for made in _PARTS[part["type"]](part, f"{path}.{index}", self)
        ]


def _signed(part: Part, made: Sent) -> Sent:
    opaque = part.get("opaque")
    return made | {"thoughtSignature": opaque} if isinstance(opaque, str) else made


def _text(part: Part, path: str, known: Conversation) -> Iterator[Sent]:
    made = _signed(part, {"text": part["text"]})
    if part["text"] or "thoughtSignature" in made:
        yield made


def _reasoning(part: Part, path: str, known: Conversation) -> Iterator[Sent]:
    """Summaries of thoughts are not read back; only a signature is worth sending."""
    if isinstance(part.get("opaque"), str):
        yield _signed(part, {"text": part.get("text", ""), "thought": True})


def _tool_call(part: Part, path: str, known: Conversation) -> Iterator[Sent]:
    known.names[part["id"]] = part["name"]
    call = {"id": part["id"], "name": part["name"], "args": arguments(part["arguments"])}
    yield _signed(part, {"functionCall": call})


def arguments(text: str) -> dict[str, Any]:
    """Arguments as the object that the API wants; broken ones stay readable."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {"INVALID_JSON": text}
    return value if isinstance(value, dict) else {"INVALID_JSON": text}


def _tool_result(part: Part, path: str, known: Conversation) -> Iterator[Sent]:
    call_id = part["tool_call_id"]
    if call_id not in known.names:
        raise Failure(
            "INVALID_REQUEST",
            f"{path}.tool_call_id: came {call_id!r}, which no tool call before it has",
            param=f"{path}.tool_call_id",
        )
    inner = known.parts(part["parts"], f"{path}.parts")
    media = [made for made in inner if "text" not in made]
    response = _response("\n".join(made["text"] for made in inner if "text" in made), bool(part.get("is_error")))
    result: Sent = {"id": call_id, "name": known.names[call_id], "response": response}
    if known.modern and media:
        result["parts"] = media
    yield {"functionResponse": result}
    yield from () if known.modern else media


def _response(text: str, failed: bool) -> dict[str, Any]:
    """The API wants an object; a tool's own one is given as it is."""
    if failed:
        return {"error": text}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"output": text}
    return value if isinstance(value, dict) else {"output": value}


def _media(part: Part, path: str, known: Conversation) -> Iterator[Sent]:
    if "url" in part:
        mime = {"mimeType": part["mime"]} if part.get("mime") else {}
        yield _signed(part, {"fileData": {**mime, "fileUri": part["url"]}})
    else:
        yield _signed(part, {"inlineData": {"mimeType": part["mime"], "data": part["base64"]}})


def _cache_point(part: Part, path: str, known: Conversation) -> Iterator[Sent]:
    """Gemini caches what requests begin with alike by itself (https://ai.google.dev/gemini-api/docs/caching)."""
    yield from ()


def _server_tool(part: Part, path: str, known: Conversation) -> Iterator[Sent]:
    native = part.get("native")
    if isinstance(native, Mapping) and native.keys() & _TOLD_ONLY:
        return  # what was found stands in the text; the API does not take it back
    if not isinstance(native, Mapping) or not native or native.keys() & _OUR_OWN:
        refused = ", ".join(sorted(_OUR_OWN))
        raise Failure(
            "INVALID_REQUEST", f"{path}.native: missing, or a part with one of {refused}", param=f"{path}.native"
        )
    yield _signed(part, dict(native))


_TOLD_ONLY = frozenset({"groundingMetadata", "urlContextMetadata"})
_OUR_OWN = frozenset({"text", "thoughtSignature", "functionCall", "functionResponse", "inlineData", "fileData"})
"""What parts of ours become; only others go back as they came."""

_PARTS: dict[str, Callable[[Part, str, Conversation], Iterator[Sent]]] = {
    "text": _text,
    "refusal": _text,
    "reasoning": _reasoning,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "image": _media,
    "audio": _media,
    "video": _media,
    "file": _media,
    "cache_point": _cache_point,
    "server_tool_call": _server_tool,
    "server_tool_result": _server_tool,
}
