"""A directory that a model may name files in, and nothing outside it."""

from __future__ import annotations

import base64
import mimetypes
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from infrai_core import ConfigError

_EXTENSIONS = {
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/ogg": ".ogg",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
}


class Root:
    """Reads and writes files of one directory. Raises ``ConfigError`` when ``path`` is none."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        if not self.path.is_dir():
            raise ConfigError(f"root_dir={str(path)!r}: there is no such directory")

    def media(self, reference: str) -> dict[str, str]:
        """``{"url"}`` for a web address, ``{"base64", "mime"?}`` of a file inside the directory.

        Raises ``ValueError`` for a file outside it, one that cannot be read, or another kind of URL.
        """
        scheme = urlsplit(reference).scheme
        if scheme in ("http", "https"):
            return {"url": reference}
        if scheme:
            raise ValueError(f"{reference!r}: allowed are http(s) URLs and files of the tools' directory")
        content = self.inside(reference).read_bytes()
        mime = mimetypes.guess_type(reference)[0]
        return {"base64": base64.b64encode(content).decode(), **({"mime": mime} if mime else {})}

    def inside(self, name: str) -> Path:
        """The file of that name. Raises ``ValueError`` when it is missing or (also through links) elsewhere."""
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path):
            raise ValueError(f"{name!r} is outside the tools' directory")
        if not path.is_file():
            raise ValueError(f"{name!r}: there is no such file in the tools' directory")
        return path

    def write(self, content: bytes, stem: str, mime: str) -> str:
        """Writes a new file and returns its name; an existing file is never overwritten."""
        extension = _EXTENSIONS.get(mime) or mimetypes.guess_extension(mime) or ".bin"
        name = f"{stem}-{secrets.token_hex(4)}{extension}"
        with (self.path / name).open("xb") as file:
            file.write(content)
        return name
