"""What the capabilities beside chat answer: vectors, images, speech, transcripts, tokens and ranks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import anyio
from pydantic import Field, PrivateAttr, SkipValidation

from infrai_core.models import Reply, Usage, Value


class EmbedReply(Reply):
    """One vector per input, in input order; ``model`` is the model that made them."""

    # Checked where they are decoded: pydantic would look at every number once more.
    embeddings: Annotated[list[list[float]], SkipValidation]
    model: str | None = None
    usage: Usage | None = None

    @property
    def dimensions(self) -> int:
        """Length of the vectors (0 when there is none)."""
        return len(self.embeddings[0]) if self.embeddings else 0


class Readable(Value):
    """A generated file that came inside the reply (``b64``) or as a short-lived link.

    The link is fetched without the API key and only from the service itself, a public address, or, with the embedded
    runtime, from its own media directory. Raises ``ConnectionFailed`` when it cannot be read.
    """

    b64: str | None = Field(default=None, repr=False)
    _origin: str | None = PrivateAttr(default=None)

    @property
    def link(self) -> str | None:
        """Where the file is."""
        return None

    def read(self) -> bytes:
        """The bytes of the file."""
        from infrai_core.media import read

        return read(self.b64, self.link, self._origin)

    async def aread(self) -> bytes:
        """The bytes of the file, from an event loop."""
        from infrai_core.media import aread

        return await aread(self.b64, self.link, self._origin)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the file to ``path`` and returns it."""
        target = Path(path)
        target.write_bytes(self.read())
        return target

    async def asave(self, path: str | os.PathLike[str]) -> Path:
        """Writes the file to ``path`` and returns it, from an event loop."""
        data = await self.aread()
        target = Path(path)
        await anyio.Path(target).write_bytes(data)
        return target


class Media(Readable):
    """A generated image; ``url`` is a short-lived link."""

    url: str | None = None
    mime: str | None = None

    @property
    def link(self) -> str | None:
        """Where the file is."""
        return self.url


class ImageReply(Reply):
    """Generated images, in order."""

    images: list[Media]
    model: str | None = None
    usage: Usage | None = None

    def _files(self) -> Sequence[Readable]:
        return self.images


class SpeechReply(Readable, Reply):
    """Generated speech: a short-lived link or, asked for ``inline``, the bytes as base64."""

    audio_url: str | None = None
    format: str | None = None
    model: str | None = None
    usage: Usage | None = None

    @property
    def link(self) -> str | None:
        """Where the file is."""
        return self.audio_url

    def _files(self) -> Sequence[Readable]:
        return (self,)


class Segment(Value):
    """A piece of a transcript; ``start`` and ``end`` in seconds."""

    start: float
    end: float
    text: str


class TranscriptReply(Reply):
    """What was said, with segments where the model gives them."""

    text: str
    language: str | None = None
    segments: list[Segment] | None = None
    model: str | None = None
    usage: Usage | None = None


class RealtimeToken(Reply):
    """A short-lived token for one realtime session; ``expires_at`` is RFC 3339 in UTC.

    ``url`` is where to connect with it, where it is a vendor's own token.
    """

    session_id: str
    token: str
    expires_at: str
    ice_servers: list[dict[str, Any]] = Field(default_factory=list)
    url: str | None = None


class Ranked(Value):
    """A candidate's place in the input and its score (higher is better)."""

    index: int
    relevance_score: float


class RerankReply(Reply):
    """Candidates by relevance, best first."""

    results: list[Ranked]
    model: str | None = None
    usage: Usage | None = None
