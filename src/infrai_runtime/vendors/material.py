"""The bytes behind a media reference, and what they are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infrai_core.fetch import FetchFailed, FetchRefused, mime_of
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Request

MAX_MEDIA_BYTES = 32 * 1024 * 1024
MAX_REQUEST_MEDIA_BYTES = 64 * 1024 * 1024
MAX_TEXT_CHARACTERS = 400_000
MEDIA_TYPES = frozenset({"image", "audio", "video", "file"})

_TEXT_MIMES = ("text/", "application/json", "application/xml", "application/yaml", "application/x-yaml")
_KIND_OF_MIME = {"image": "image", "audio": "audio", "video": "video"}


@dataclass(frozen=True, slots=True)
class Material:
    """Bytes and what they are: as declared, else as their first bytes say."""

    data: bytes
    mime: str


async def material(reference: Mapping[str, Any], call: Call, path: str, max_bytes: int = MAX_MEDIA_BYTES) -> Material:
    """The bytes of ``{"url"}`` or ``{"base64", "mime"?}``. URLs go through the call's guarded fetcher only.

    Raises INVALID_REQUEST with ``path`` when they cannot be had.
    """
    if "base64" in reference:
        data = decoded(reference["base64"], f"{path}.base64")
        return Material(data, reference.get("mime") or mime_of(data))
    limit_s = max(0.001, call.deadline_s)
    try:
        fetched = await call.fetcher.get(reference["url"], max_bytes=max_bytes, timeout_s=limit_s)
    except (FetchRefused, FetchFailed) as error:
        raise Failure(
            "INVALID_REQUEST", f"{path}.url could not be fetched: {error.reason}", param=f"{path}.url"
        ) from error
    return Material(fetched.data, reference.get("mime") or fetched.mime)


async def inlined(request: Request, call: Call, vendor_fetches: Callable[[Mapping[str, Any]], bool]) -> Request:
    """The request with every medium of its messages in a form that a vendor takes: base64 with its type, or a URL that
    the vendor fetches by itself.

    What is fetched for a request is bounded together. Raises INVALID_REQUEST for what cannot be had.
    """
    messages = request["messages"]
    if not call.media or not _hold_media(messages):
        return request
    carried = _Carried(call, vendor_fetches)
    held = [
        {**message, "parts": await carried.parts(message["parts"], f"messages.{index}.parts")}
        for index, message in enumerate(messages)
    ]
    return {**request, "messages": held}


def _hold_media(holders: Iterable[Mapping[str, Any]]) -> bool:
    """Whether messages, or results of tools, hold a medium."""
    for holder in holders:
        for part in holder["parts"]:
            if part["type"] in MEDIA_TYPES or (part["type"] == "tool_result" and _hold_media((part,))):
                return True
    return False


class _Carried:
    """Brings the media of one request, one after the other, within one bound."""

    def __init__(self, call: Call, vendor_fetches: Callable[[Mapping[str, Any]], bool]) -> None:
        self._call = call
        self._vendor_fetches = vendor_fetches
        self._left = MAX_REQUEST_MEDIA_BYTES

    async def parts(self, parts: Sequence[Mapping[str, Any]], path: str) -> list[Mapping[str, Any]]:
        return [await self._part(part, f"{path}.{index}") for index, part in enumerate(parts)]

    async def _part(self, part: Mapping[str, Any], path: str) -> Mapping[str, Any]:
        if "parts" in part:
            return {**part, "parts": await self.parts(part["parts"], f"{path}.parts")}
        if part["type"] not in MEDIA_TYPES or ("url" in part and self._vendor_fetches(part)):
            return part
        return part if "base64" in part and part.get("mime") else await self._inline(part, path)

    async def _inline(self, part: Mapping[str, Any], path: str) -> Mapping[str, Any]:
        found = await material(part, self._call, path, min(MAX_MEDIA_BYTES, self._left))
        self._left -= len(found.data)
        rest = {name: value for name, value in part.items() if name != "url"}
        return {**rest, "base64": base64.b64encode(found.data).decode(), "mime": found.mime}


def decoded(text: str, path: str) -> bytes:
    """The bytes of a base64 text; line breaks and the URL-safe alphabet are fine."""
    compact = "".join(text.split()).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except binascii.Error as error:
        raise Failure("INVALID_REQUEST", f"{path}: not base64 ({error})", param=path) from error


def kind_of(part: Mapping[str, Any], found: Material) -> str:
    """What a media part really is: a file may be an image, a sound, a text or a PDF."""
    if part["type"] != "file":
        return str(part["type"])
    if found.data.startswith(b"%PDF") or found.mime == "application/pdf":
        return "pdf"
    return _KIND_OF_MIME.get(found.mime.split("/")[0], "text" if is_text(found) else "file")


def is_text(found: Material) -> bool:
    """Whether these bytes are readable as text, by their type or because they are UTF-8 without control bytes."""
    if found.mime.startswith(_TEXT_MIMES):
        return True
    try:
        return "\0" not in found.data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def as_text(found: Material) -> str:
    """A text file's text, at most ``MAX_TEXT_CHARACTERS``; bytes that are not UTF-8 are replaced."""
    return found.data.decode("utf-8-sig", "replace")[:MAX_TEXT_CHARACTERS]
