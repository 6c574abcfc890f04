"""The bytes behind a media reference, and what they are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infrai_core.fetch import FetchFailed, FetchRefused, mime_of
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call

MAX_MEDIA_BYTES = 32 * 1024 * 1024
MAX_TEXT_CHARACTERS = 400_000

_TEXT_MIMES = ("text/", "application/json", "application/xml", "application/yaml", "application/x-yaml")
_KIND_OF_MIME = {"image": "image", "audio": "audio", "video": "video"}


@dataclass(frozen=True, slots=True)
class Material:
    """Bytes and what they are: as declared, else as their first bytes say."""

    data: bytes
    mime: str


async def material(reference: Mapping[str, Any], call: Call, path: str) -> Material:
    """The bytes of ``{"url"}`` or ``{"base64", "mime"?}``. URLs go through the call's guarded fetcher only.

    Raises INVALID_REQUEST with ``path`` when they cannot be had.
    """
    if "base64" in reference:
        data = decoded(reference["base64"], f"{path}.base64")
        return Material(data, reference.get("mime") or mime_of(data))
    limit_s = max(0.001, call.deadline_s)
    try:
        fetched = await call.fetcher.get(reference["url"], max_bytes=MAX_MEDIA_BYTES, timeout_s=limit_s)
    except (FetchRefused, FetchFailed) as error:
        raise Failure(
            "INVALID_REQUEST", f"{path}.url could not be fetched: {error.reason}", param=f"{path}.url"
        ) from error
    return Material(fetched.data, reference.get("mime") or fetched.mime)


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
