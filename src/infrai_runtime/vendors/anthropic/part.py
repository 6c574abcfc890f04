"""Wire parts as content blocks of the Messages API: one small function per type of part.

Block shapes: https://platform.claude.com/docs/en/api/messages (``content`` of a message).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.material import decoded

Part = Mapping[str, Any]
Block = dict[str, Any]

IMAGE_MIMES = ("image/jpeg", "image/png", "image/gif", "image/webp")
PDF = "application/pdf"
TEXT_MIMES = ("text/", "application/json", "application/xml", "application/yaml")
_CITATIONS = frozenset(
    {
        "char_location",
        "page_location",
        "content_block_location",
        "search_result_location",
        "web_search_result_location",
    }
)
_BAD_ID = re.compile(r"[^a-zA-Z0-9_-]")
_UNMARKABLE = frozenset({"thinking", "redacted_thinking"})
_ABOUT_A_CALL = ("caller", "toolset_name")
_OUR_OWN = frozenset(
    {
        *("text", "thinking", "redacted_thinking", "tool_use", "tool_result", "server_tool_use"),
        *("image", "document", "search_result"),
    }
)
"""Blocks that parts of ours become; only others go back as they came."""


def vendor_fetches(part: Part) -> bool:
    """Whether Claude's service fetches the URL of a part by itself: images and PDFs over https, nothing else."""
    if not str(part["url"]).startswith("https://"):
        return False
    return part["type"] == "image" or (part["type"] == "file" and part.get("mime") == PDF)


def blocks(parts: Sequence[Part], path: str, warnings: list[str]) -> list[Block]:
    """The blocks of a message's parts; ``path`` names it in errors. Cache points mark the block before them."""
    made: list[Block] = []
    for index, part in enumerate(parts):
        if part["type"] == "cache_point":
            _mark(made, part, f"{path}.{index}", warnings)
        else:
            made += _BLOCKS[part["type"]](part, f"{path}.{index}", warnings)
    return made


def _mark(made: list[Block], point: Part, path: str, warnings: list[str]) -> None:
    last = next((block for block in reversed(made) if block["type"] not in _UNMARKABLE), None)
    if last is None:
        warnings.append(f"{path}: a cache point needs something before it in its message; it was left out")
    else:
        last["cache_control"] = cache_control(point.get("ttl"))


def cache_control(ttl: str | None = None) -> Block:
    """A mark up to which the prompt is cached; the API takes 5m and 1h."""
    return {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}


def _text(part: Part, path: str, warnings: list[str]) -> Iterator[Block]:
    """The API refuses blank text."""
    if part["text"].strip():
        cited = [note["native"] for note in part.get("annotations", ()) if _is_citation(note)]
        yield {"type": "text", "text": part["text"], **({"citations": cited} if cited else {})}


def _is_citation(note: Any) -> bool:
    native = note.get("native") if isinstance(note, Mapping) else None
    return isinstance(native, Mapping) and native.get("type") in _CITATIONS


def _reasoning(part: Part, path: str, warnings: list[str]) -> Iterator[Block]:
    opaque = part.get("opaque")
    if isinstance(opaque, str):
        yield {"type": "thinking", "thinking": part.get("text", ""), "signature": opaque}
    elif isinstance(opaque, Mapping) and "redacted_thinking" in opaque:
        yield {"type": "redacted_thinking", "data": opaque["redacted_thinking"]}
    else:
        warnings.append(f"{path}: reasoning without a signature of this vendor; it was left out")


def _tool_call(part: Part, path: str, warnings: list[str]) -> Iterator[Block]:
    opaque = part.get("opaque")
    about = {name: opaque[name] for name in _ABOUT_A_CALL if name in opaque} if isinstance(opaque, Mapping) else {}
    called = {"id": tool_id(part["id"]), "name": part["name"], "input": arguments(part["arguments"])}
    yield {"type": "tool_use", **called, **about}


def arguments(text: str) -> dict[str, Any]:
    """Arguments as the object that the API wants; broken ones stay readable, as its documentation proposes
    (https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming)."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {"INVALID_JSON": text}
    return value if isinstance(value, dict) else {"INVALID_JSON": text}


def tool_id(given: str) -> str:
    """An id in the letters that the API allows; ids of other vendors may have more."""
    return _BAD_ID.sub("_", given)


def _tool_result(part: Part, path: str, warnings: list[str]) -> Iterator[Block]:
    content = blocks(part["parts"], f"{path}.parts", warnings)
    yield {
        "type": "tool_result",
        "tool_use_id": tool_id(part["tool_call_id"]),
        **({"content": content} if content else {}),
        **({"is_error": True} if part.get("is_error") else {}),
    }


def _image(part: Part, path: str, warnings: list[str]) -> Iterator[Block]:
    if "url" in part:
        yield {"type": "image", "source": {"type": "url", "url": part["url"]}}
    else:
        yield {"type": "image", "source": _base64(part, IMAGE_MIMES, path)}


def _base64(part: Part, mimes: Sequence[str], path: str) -> Block:
    if part["mime"] not in mimes:
        raise _unreadable(path, part["mime"], mimes)
    return {"type": "base64", "media_type": part["mime"], "data": part["base64"]}


def _file(part: Part, path: str, warnings: list[str]) -> Iterator[Block]:
    mime = part.get("mime", PDF)
    if mime.startswith("image/"):
        yield from _image(part, path, warnings)
    else:
        title = {"title": part["filename"]} if part.get("filename") else {}
        yield {"type": "document", "source": _document(part, mime, path), **title}


def _document(part: Part, mime: str, path: str) -> Block:
    if "url" in part:
        return {"type": "url", "url": part["url"]}
    if mime.startswith(TEXT_MIMES):
        text = decoded(part["base64"], f"{path}.base64").decode("utf-8-sig", "replace")
        return {"type": "text", "media_type": "text/plain", "data": text}
    return _base64(part, (PDF,), path)


def _heard(part: Part, path: str, warnings: list[str]) -> Iterator[Block]:
    """Claude hears and watches nothing; what somebody wrote down of it, it reads."""
    if not part.get("transcript"):
        raise Failure(
            "UNSUPPORTED_CAPABILITY",
            f"{path}: Claude takes no {part['type']}; give its transcript, or leave the vendor open",
            param=path,
        )
    yield {"type": "text", "text": part["transcript"]}


def _refusal(part: Part, path: str, warnings: list[str]) -> Iterator[Block]:
    yield from _text(part, path, warnings)


def _server_tool_call(part: Part, path: str, warnings: list[str]) -> Iterator[Block]:
    yield {
        "type": "server_tool_use",
        "id": part.get("id"),
        "name": part.get("name"),
        "input": arguments(part.get("arguments", "{}")),
        **{name: part[name] for name in _ABOUT_A_CALL if name in part},
    }


def _server_tool_result(part: Part, path: str, warnings: list[str]) -> Iterator[Block]:
    native = part.get("native")
    if not isinstance(native, Mapping) or not isinstance(native.get("type"), str) or native["type"] in _OUR_OWN:
        raise Failure(
            "INVALID_REQUEST", f"{path}.native: missing, or no result of a server tool", param=f"{path}.native"
        )
    yield dict(native)


def _unreadable(path: str, mime: str, allowed: Sequence[str]) -> Failure:
    return Failure("INVALID_REQUEST", f"{path}: Claude reads {', '.join(allowed)}, came {mime}", param=path)


_BLOCKS: dict[str, Callable[[Part, str, list[str]], Iterator[Block]]] = {
    "text": _text,
    "reasoning": _reasoning,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "image": _image,
    "file": _file,
    "audio": _heard,
    "video": _heard,
    "refusal": _refusal,
    "server_tool_call": _server_tool_call,
    "server_tool_result": _server_tool_result,
}
