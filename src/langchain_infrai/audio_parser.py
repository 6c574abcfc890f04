"""``InfraiAudioParser``: recordings as documents."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from langchain_core.document_loaders import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from infrai_core import TranscriptReply
from infrai_core.root import mime_of
from langchain_infrai._connection import Routed
from langchain_infrai._served import served
from langchain_infrai.errors import AS_LANGCHAIN, InfraiConfigError


class InfraiAudioParser(Routed, BaseBlobParser):
    """Transcribes recordings: a document per segment, with ``start`` and ``end`` in seconds, or one for each.

    Every document's metadata has ``source``, ``language``, ``model_name``, ``vendor`` and what the blob's own
    metadata held; the first one of a recording has its ``cost_usd`` too. The blob is the program's own choice: what it
    names is read.

    >>> from langchain_core.documents.base import Blob
    >>> from langchain_infrai import InfraiAudioParser
    >>> InfraiAudioParser.embedded().parse(Blob.from_path("talk.mp3"))  # doctest: +SKIP
    """

    mode: Literal["segments", "single"] = "segments"
    """``segments``: a document per segment, where the model gives them; ``single``: one per recording."""
    language: str | None = None
    """Language spoken, such as ``en``; None: the model finds out."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """The documents of a recording, in order."""
        media = _media(blob)
        with AS_LANGCHAIN:
            reply = self.client.asr(media, **self._arguments())
        yield from self._documents(blob, reply)

    async def alazy_parse(self, blob: Blob) -> AsyncIterator[Document]:
        """The same from an event loop."""
        media = await asyncio.to_thread(_media, blob)
        with AS_LANGCHAIN:
            reply = await self.async_client.asr(media, **self._arguments())
        for document in self._documents(blob, reply):
            yield document

    async def aparse(self, blob: Blob) -> list[Document]:
        """``parse`` from an event loop."""
        return [document async for document in self.alazy_parse(blob)]

    def _arguments(self) -> dict[str, Any]:
        return {**self._routing(), "language": self.language}

    def _documents(self, blob: Blob, reply: TranscriptReply) -> Iterator[Document]:
        facts = served(reply)
        cost = {name: facts[name] for name in ("cost_usd", "usage") if name in facts}
        shared = {"source": blob.source, "language": reply.language}
        shared |= {name: facts[name] for name in ("model_name", "vendor", "request_id") if name in facts}
        known = {**blob.metadata, **{name: value for name, value in shared.items() if value is not None}}
        if self.mode == "single" or not reply.segments:
            yield Document(reply.text, metadata={**known, **cost})
            return
        for place, segment in enumerate(reply.segments):
            times = {"start": segment.start, "end": segment.end, "segment": place}
            yield Document(segment.text, metadata={**known, **times, **({} if place else cost)})


def _media(blob: Blob) -> dict[str, str]:
    """The recording as the service takes it. Its bytes are read: a blob's path is on this machine. Raises
    ``InfraiConfigError`` for a recording without any."""
    mime = blob.mimetype or (mime_of(str(blob.path)) if blob.path else None)
    content = base64.b64encode(blob.as_bytes()).decode()
    if not content:
        raise InfraiConfigError(f"blob: {blob.source or 'it'} is empty")
    return {"base64": content, **({"mime": mime} if mime else {})}
