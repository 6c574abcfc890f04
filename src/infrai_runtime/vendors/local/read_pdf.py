"""The text layer of PDF documents, through pypdf. Scanned pages have none."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.package import load

MOST_PAGES = 500
MOST_CHARACTERS = 400_000


def text_of(data: bytes) -> str:
    """The text of the pages, a blank line between two; at most ``MOST_PAGES`` pages and ``MOST_CHARACTERS``.

    Raises INVALID_REQUEST for bytes that are no readable PDF, NO_VENDOR_AVAILABLE when pypdf is not installed.
    """
    pypdf = load("pypdf", extra="local", package="pypdf", what="Reading a PDF")
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        return "\n\n".join(_pages(pypdf.PdfReader(io.BytesIO(data))))[:MOST_CHARACTERS]
    except (pypdf.errors.PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # What a broken file does inside the reader is not documented; none of these is the caller's program's fault.
        raise Failure("INVALID_REQUEST", f"the PDF cannot be read: {error or type(error).__name__}") from error


def _pages(document: object) -> Iterator[str]:
    length = 0
    for page in document.pages[:MOST_PAGES]:  # type: ignore[attr-defined]  # pypdf is loaded late
        text = page.extract_text().strip()
        length += len(text)
        if text:
            yield text
        if length > MOST_CHARACTERS:
            return
