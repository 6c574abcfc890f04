"""A directory that a model may name files in, and nothing outside it."""

from __future__ import annotations

import mimetypes
import os
import secrets
from pathlib import Path

from infrai_core.errors import ConfigError

MAX_BYTES = 64 * 1024 * 1024
"""The largest file that is read: no service takes a bigger request."""

EXTENSIONS = {
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/L16": ".pcm",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
}
"""File name endings of the media that services make; Python's own table differs from system to system."""
_MIMES = {extension: mime for mime, extension in EXTENSIONS.items()}


class Root:
    """Reads and writes files of one directory, for names that nobody has checked.

    Names are relative to the directory. ``ValueError`` refuses every other one before anything is opened: absolute
    names, ``..`` and symbolic links that lead out, directories, pipes and devices. It tells the name and never what
    lies outside. Raises ``ConfigError`` when ``path`` is no directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).resolve()
        if not os.fspath(path) or not self.path.is_dir():  # "" would be wherever the program was started
            raise ConfigError(f"root_dir={str(path)!r}: there is no such directory")

    def inside(self, name: str) -> Path:
        """The file of that name. Raises ``ValueError`` when it is missing, no file, or elsewhere."""
        if "\0" in name:
            raise ValueError(f"{name!r}: a file name has no zero byte")
        try:
            path = (self.path / name).resolve()
            if not path.is_relative_to(self.path):
                raise ValueError(f"{name!r} is outside the tools' directory")
            found = path.is_file()
        except (OSError, RuntimeError):  # too long a name, a link to itself
            found = False
        if not found:
            raise ValueError(f"{name!r}: there is no such file in the tools' directory")
        return path

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises ``ValueError`` as ``inside`` does, and above ``MAX_BYTES``."""
        path = self.inside(name)
        try:
            # The name was resolved: a link in its place now was put there since.
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ValueError(f"{name!r} cannot be read ({error.strerror})") from None
        if len(content) > MAX_BYTES:
            raise ValueError(f"{name!r} is larger than {MAX_BYTES // 1024**2} MiB")
        return content

    def write(self, content: bytes, name: str) -> None:
        """Writes a new file; one that exists is never overwritten (``ValueError``)."""
        if Path(name).name != name or name in ("", ".."):
            raise ValueError(f"{name!r}: allowed is a plain file name")
        try:
            with (self.path / name).open("xb") as file:
                file.write(content)
        except FileExistsError:
            raise ValueError(f"{name!r} exists already in the tools' directory") from None


def new_name(stem: str, mime: str) -> str:
    """A file name that is not in use: ``speech-5f0c91ab.mp3``."""
    extension = EXTENSIONS.get(mime) or mimetypes.guess_extension(mime) or ".bin"
    return f"{stem}-{secrets.token_hex(4)}{extension}"


def mime_of(name: str) -> str | None:
    """The media type that a file name tells, or None."""
    return _MIMES.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0]
