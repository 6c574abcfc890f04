"""Generated files, kept for a while behind links that cannot be guessed or stretched."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.settings import Settings
from infrai_runtime.sign import Signer

SUFFIX = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/pcm": ".pcm",
}
_MIME = {suffix: mime for mime, suffix in reversed(SUFFIX.items())} | {".bin": "application/octet-stream"}
_ID = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{2,4}")
SWEEP_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Stored:
    """A kept file: its id, its link, and when the link ends (seconds since the epoch)."""

    id: str
    url: str
    expires_at: float


class Blobs:
    """Files under ``<home>/media``, readable by their owner only, removed when their time is over."""

    def __init__(self, settings: Settings, signer: Signer, now: Callable[[], float] = time.time) -> None:
        self._directory = settings.home / "media"
        self._settings = settings
        self._signer = signer
        self._now = now
        self._next_sweep = 0.0

    async def put(self, data: bytes, mime: str, about: Mapping[str, Any], project_id: str) -> Stored:
        """Keeps a file; ``about`` and the project are kept beside it."""
        name = secrets.token_hex(16) + SUFFIX.get(mime, ".bin")
        expires = self._now() + self._settings.media_ttl_s
        note = {"mime": mime, "about": dict(about), "project_id": project_id, "expires_at": expires}
        await asyncio.to_thread(self._write, name, data, note)
        return Stored(name, self._url(name, int(expires)), expires)

    def _url(self, name: str, expires: int) -> str:
        if self._settings.public_url is None:
            return (self._directory / name).as_uri()
        signature = self._signer.mac(f"media:{name}:{expires}")
        return f"{self._settings.public_url}/v1/media/{name}?expires={expires}&signature={signature}"

    async def open(self, name: str, expires: str, signature: str) -> tuple[Path, str]:
        """The path and MIME type of a file, for its signed link. Raises UNAUTHORIZED and NOT_FOUND."""
        if not self._signer.matches(f"media:{name}:{expires}", signature):
            raise Failure("UNAUTHORIZED", "the link is not valid")
        if float(expires) <= self._now():
            raise Failure("UNAUTHORIZED", "the link has expired")
        path = self._directory / name
        if not _ID.fullmatch(name) or not path.is_file():
            raise Failure("NOT_FOUND", "the file is gone")
        return path, _MIME.get(path.suffix, "application/octet-stream")

    def _write(self, name: str, data: bytes, note: Mapping[str, Any]) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweep()
        for suffix, content in (("", data), (".json", json.dumps(note).encode())):
            descriptor = os.open(self._directory / (name + suffix), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)

    def _sweep(self) -> None:
        """Removes what has expired, once in a while."""
        now = self._now()
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_EVERY_S
        for path in self._directory.iterdir():
            # Every process may sweep, and each sees only names that another may just have removed.
            try:
                if path.stat().st_mtime + self._settings.media_ttl_s <= now:
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue
