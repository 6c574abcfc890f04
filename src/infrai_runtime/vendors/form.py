"""Multipart bodies as bytes, so that the same body can be sent again with another key."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form."""

    name: str
    filename: str
    data: bytes
    mime: str = "application/octet-stream"


def multipart(fields: Iterable[tuple[str, str]], uploads: Iterable[Upload] = ()) -> tuple[bytes, str]:
    """The body of a form and its content type (RFC 7578)."""
    boundary = secrets.token_hex(16)
    pieces: list[bytes] = []
    for name, value in fields:
        pieces.append(_head(boundary, f'name="{_quoted(name)}"') + value.encode())
    for upload in uploads:
        named = f'name="{_quoted(upload.name)}"; filename="{_quoted(upload.filename)}"'
        pieces.append(_head(boundary, named, upload.mime) + upload.data)
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"\r\n".join(pieces), f"multipart/form-data; boundary={boundary}"


def _head(boundary: str, named: str, mime: str | None = None) -> bytes:
    kind = f"\r\nContent-Type: {_quoted(mime)}" if mime else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {named}{kind}\r\n\r\n".encode()


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
