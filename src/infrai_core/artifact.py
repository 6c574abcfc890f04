"""The media of an agent's tools: what they made, by names that a model can pass from one tool to the next."""

from __future__ import annotations

import base64
import os
from typing import Any
from urllib.parse import urlsplit

from infrai_core.locks import lock
from infrai_core.root import Root, mime_of, new_name

MAX_KEPT_BYTES = 256 * 1024 * 1024
"""How much media is kept in memory when there is no directory; the oldest goes first."""


class Artifacts:
    """Keeps what tools make and finds what a model names.

    A model may name an ``http(s)`` URL, which is handed to the service and not fetched here, or an artifact: a name
    that ``keep`` returned. With ``root_dir`` artifacts are files of that directory, and every other file of it may be
    named too; without it they stay in memory and no file of this machine can be named. Thread-safe.
    """

    def __init__(self, root_dir: str | os.PathLike[str] | None = None, *, max_bytes: int = MAX_KEPT_BYTES) -> None:
        """Raises ``ConfigError`` when ``root_dir`` is no directory."""
        self.root = None if root_dir is None else Root(root_dir)
        self._max_bytes = max_bytes
        self._kept: dict[str, bytes] = {}
        self._lock = lock()

    def keep(self, content: bytes, stem: str, mime: str) -> str:
        """Keeps the content and returns its new name, such as ``image-5f0c91ab.png``."""
        name = new_name(stem, mime)
        if self.root is not None:
            self.root.write(content, name)
        else:
            self._remember(name, content)
        return name

    def _remember(self, name: str, content: bytes) -> None:
        with self._lock:
            self._kept[name] = content
            size = sum(map(len, self._kept.values()))
            while size > self._max_bytes and len(self._kept) > 1:
                size -= len(self._kept.pop(next(iter(self._kept))))

    def read(self, name: str) -> bytes:
        """The content of an artifact or of a file of the directory. Raises ``ValueError`` for any other name."""
        if self.root is not None:
            return self.root.read(name)
        with self._lock:
            if name not in self._kept:
                raise ValueError(f"{name!r}: allowed are http(s) URLs and names that the tools gave")
            return self._kept[name]

    def media(self, reference: str) -> dict[str, str]:
        """``{"url"}`` of a web address, ``{"base64", "mime"?}`` of an artifact or a file of the directory.

        Raises ``ValueError`` for any other name and any other kind of URL.
        """
        if not isinstance(reference, str):  # a model writes what it likes
            raise ValueError(f"{reference!r}: allowed are http(s) URLs and {self._what()}")
        scheme = urlsplit(reference).scheme
        if scheme in ("http", "https"):
            return {"url": reference}
        if scheme:
            raise ValueError(f"{reference!r}: allowed are http(s) URLs and {self._what()}")
        content = base64.b64encode(self.read(reference)).decode()
        mime = mime_of(reference)
        return {"base64": content, **({"mime": mime} if mime else {})}

    def _what(self) -> str:
        return "names that the tools gave" if self.root is None else "files of the tools' directory"

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {"root": self.root, "_max_bytes": self._max_bytes, "_kept": dict(self._kept)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=lock())

    def __deepcopy__(self, memo: dict[int, Any]) -> Artifacts:
        return self  # a copied tool still finds what the original made
