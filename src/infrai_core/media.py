"""Reading generated files: from the reply itself, the embedded runtime's directory, or over the guarded fetcher."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio

from infrai_core.config import home
from infrai_core.errors import ConnectionFailed, ProtocolError
from infrai_core.fetch import Fetcher, FetchFailed, FetchRefused

MAX_BYTES = 256 * 1024 * 1024
TIMEOUT_S = 60.0


def read(b64: str | None, link: str | None, origin: str | None) -> bytes:
    """The bytes of a generated file; ``origin`` is the host of the service, which may be on this machine."""
    local = _local(b64, link)
    if isinstance(local, bytes):
        return local
    if isinstance(local, Path):
        return _read_file(local)
    try:
        return _fetcher(origin).get_sync(_link(link), max_bytes=MAX_BYTES, timeout_s=TIMEOUT_S).data
    except (FetchRefused, FetchFailed) as error:
        raise ConnectionFailed(f"the generated file cannot be fetched: {error}") from error


async def aread(b64: str | None, link: str | None, origin: str | None) -> bytes:
    """The same from an event loop."""
    local = _local(b64, link)
    if isinstance(local, bytes):
        return local
    if isinstance(local, Path):
        return await anyio.to_thread.run_sync(_read_file, local)
    try:
        return (await _fetcher(origin).get(_link(link), max_bytes=MAX_BYTES, timeout_s=TIMEOUT_S)).data
    except (FetchRefused, FetchFailed) as error:
        raise ConnectionFailed(f"the generated file cannot be fetched: {error}") from error


def _local(b64: str | None, link: str | None) -> bytes | Path | None:
    if b64 is not None:
        try:
            return base64.b64decode(b64, validate=True)
        except binascii.Error:
            raise ProtocolError("the generated file is not valid base64") from None
    return _media_file(link) if link and link.startswith("file:") else None


def _media_file(link: str) -> Path:
    """A file of the embedded runtime. A reply must not be able to name any other file of this machine."""
    path = Path(unquote(urlsplit(link).path)).resolve()
    media = (home() / "media").resolve()
    if not path.is_relative_to(media):
        raise ProtocolError("the reply names a local file outside the runtime's media directory")
    return path


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConnectionFailed(f"the generated file has expired or cannot be read ({error.strerror})") from None


def _link(link: str | None) -> str:
    if not link:
        raise ProtocolError("the reply has neither a link nor the file itself")
    return link


def _fetcher(origin: str | None) -> Fetcher:
    return Fetcher(allow=lambda host, ip: host == origin)
