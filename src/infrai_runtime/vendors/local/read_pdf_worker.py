"""pypdf in a process of its own: a PDF file becomes ``{text}`` or ``{error}``. Run by ``worker_child.py``."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from typing import Any


def start(most_pages: str, most_characters: str, most_bytes: str) -> Callable[[dict[str, Any], bytes], Any]:
    """The reader, with its bounds; ``most_bytes`` are those of the process's memory, where the system can hold it to
    that."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    _bound(int(most_bytes))

    def read(head: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        try:
            reader = pypdf.PdfReader(io.BytesIO(data))
            text = "\n\n".join(_pages(reader, int(most_pages), int(most_characters)))[: int(most_characters)]
        except MemoryError:
            return {"error": "it takes too much memory"}, b""
        except (pypdf.errors.PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            # What a broken file does inside the reader is not documented; none of these is a fault of ours.
            return {"error": str(error) or type(error).__name__}, b""
        return {"text": text}, b""

    return read


def _bound(most_bytes: int) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    except (ImportError, ValueError, OSError):
        pass  # the time limit holds everywhere


def _pages(document: Any, most_pages: int, most_characters: int) -> Iterator[str]:
    length = 0
    for page in document.pages[:most_pages]:
        text = page.extract_text().strip()
        length += len(text)
        if text:
            yield text
        if length > most_characters:
            return
