"""The multipart form of ``/v1/audio/transcriptions`` as the fields of a transcription."""

from __future__ import annotations

import base64
import sys
from collections.abc import AsyncGenerator
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from infrai_runtime.failure import Failure
from infrai_runtime.wire import Json


class _Parser(MultiPartParser):
    """Keeps files in memory, where the whole form is already: else each of many parts is a temporary file that is open,
    and there has to be a disk for them."""

    spool_max_size = max_file_size = sys.maxsize  # the older of Starlette's names


async def form_fields(content_type: str, raw: bytes) -> Json:
    """Text fields, ``name[]`` as a list; the file is ``audio``. Raises INVALID_REQUEST for a broken form."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield raw

    headers = Headers({"content-type": content_type})
    try:
        form = await _Parser(headers, stream(), max_part_size=len(raw) + 1).parse()
    except (MultiPartException, KeyError) as error:
        raise Failure("INVALID_REQUEST", f"the form could not be read: {error}", param="body") from error
    fields: Json = {}
    for name, value in form.multi_items():
        if name.endswith("[]"):
            fields.setdefault(name[:-2], []).append(await _value(value))
        else:
            fields[name] = await _value(value)
    await form.close()
    if "file" not in fields:
        raise Failure("INVALID_REQUEST", "file is missing: the audio to transcribe", param="file")
    return {("audio" if name == "file" else name): value for name, value in fields.items()}


async def _value(value: UploadFile | str) -> Any:
    if isinstance(value, str):
        return value
    mime = {"mime": value.content_type} if value.content_type else {}
    return {"base64": base64.b64encode(await value.read()).decode(), **mime}
