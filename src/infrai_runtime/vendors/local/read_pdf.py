"""The text layer of PDF documents, through pypdf. Scanned pages have none.

A few kilobytes of a PDF can stand for gigabytes and for hours of work, so it is read in a process of its own, which has
little memory and is killed when it is late.
"""

from __future__ import annotations

from importlib.util import find_spec

from infrai_runtime.failure import Failure, missing_extra
from infrai_runtime.vendors.local.worker import Worker

MOST_PAGES = 500
MOST_CHARACTERS = 400_000
MOST_BYTES = 1024 * 1024 * 1024
LIMIT_S = 20.0


def text_of(data: bytes, limit_s: float = LIMIT_S) -> str:
    """The text of the pages, a blank line between two; at most ``MOST_PAGES`` pages and ``MOST_CHARACTERS``.

    Raises INVALID_REQUEST for bytes that are no readable PDF, VENDOR_TIMEOUT after ``limit_s``, NO_VENDOR_AVAILABLE
    when pypdf is not installed.
    """
    answer, _ = _READER.ask({}, data, limit_s)
    if "error" in answer:
        raise Failure("INVALID_REQUEST", f"the PDF cannot be read: {answer['error']}")
    return str(answer["text"])


def _arguments() -> list[str]:
    if find_spec("pypdf") is None:
        raise missing_extra("local", "pypdf", "Reading a PDF")
    return [str(MOST_PAGES), str(MOST_CHARACTERS), str(MOST_BYTES)]


_READER = Worker("read_pdf_worker.py", "PDF reading", _arguments)
