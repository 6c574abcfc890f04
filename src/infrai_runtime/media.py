"""Generated files on their way into a reply: kept for a while behind a signed link, and inline where asked."""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from infrai_runtime.request import Ask
from infrai_runtime.store.blob import Blobs
from infrai_runtime.vendors.base import File
from infrai_runtime.wire import Json

log = logging.getLogger("infrai_runtime")


async def keep(blobs: Blobs, ask: Ask, project: str, files: Sequence[File]) -> Json:
    """What the files add to the reply's data."""
    return await _KEPT[ask.capability](blobs, ask, project, files)


async def _kept(blobs: Blobs, ask: Ask, project: str, file: File) -> Json:
    try:
        url = (await blobs.put(file.data, file.mime, dict(file.about), project)).url
    except OSError as error:  # it is paid: a disk that is full must not take it away, to be made and paid again
        log.error("a file could not be kept, and is inside its answer: %s", error)
        return {"url": f"data:{file.mime};base64,{_base64(file)}", "mime": file.mime, "b64": _base64(file)}
    return {"url": url, "mime": file.mime, **({"b64": _base64(file)} if ask.inline else {})}


def _base64(file: File) -> str:
    return base64.b64encode(file.data).decode()


async def _images(blobs: Blobs, ask: Ask, project: str, files: Sequence[File]) -> Json:
    return {"images": [dict(file.about) | await _kept(blobs, ask, project, file) for file in files]}


async def _speech(blobs: Blobs, ask: Ask, project: str, files: Sequence[File]) -> Json:
    kept = await _kept(blobs, ask, project, files[0])
    return {"audio_url": kept.pop("url"), **files[0].about, **kept}


_KEPT: Mapping[str, Callable[[Blobs, Ask, str, Sequence[File]], Awaitable[Json]]] = {"image": _images, "tts": _speech}
