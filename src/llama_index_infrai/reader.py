"""``InfraiAudioReader``: recordings as documents, one for each passage that was said, with its times."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from fsspec import AbstractFileSystem
from llama_index.core.readers.base import BasePydanticReader
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo
from llama_index.core.utils import get_tqdm_iterable
from pydantic import Field
from tqdm import tqdm

from infrai_core import ConfigError, Segment, TranscriptReply
from infrai_core.params import MediaRef
from llama_index_infrai._connection import Routed, options_of
from llama_index_infrai._convert import kind_of

_OPTIONS = ("model", "vendor", "prefer", "max_cost_multiplier", "session_id", "vendor_options", "language")
_DOING = "Transcribing"
_NOT_EMBEDDED = ["start_s", "end_s", "language", "file_path", "url"]

T = TypeVar("T")
Recording: TypeAlias = str | PurePath | bytes
"""A file, an ``http(s)`` URL (handed to the service, not fetched here), or the bytes themselves."""


class InfraiAudioReader(Routed, BasePydanticReader):
    """Transcribes recordings into documents that say when each was said.

    Each passage is a ``Document`` with ``start_s`` and ``end_s`` (seconds from the beginning), ``language``, and
    ``file_path`` and ``file_name`` or ``url`` in its metadata, linked to the one before and after it; times and paths
    are not embedded. Ids are stable, ``<recording>#t=<start>,<end>``, so that a document store sees what it knows.
    A model without segments gives one document without times; a recording in which nothing is said gives none.

    Works by itself and as ``SimpleDirectoryReader(..., file_extractor={".mp3": InfraiAudioReader()})``. Raises
    ``ValueError`` for another kind of URL, ``OSError`` for a file that cannot be read, and what a call raises.
    """

    is_remote: bool = Field(default=True, frozen=True)
    language: str | None = Field(default=None, description="Language spoken, such as en or zh; None: found out.")
    passage_s: float | None = Field(
        default=None, gt=0, description="Join neighbouring segments up to this many seconds; None: one each."
    )
    num_workers: int = Field(default=4, ge=1, description="Recordings at a time when several are read (async).")

    @classmethod
    def class_name(cls) -> str:
        return "InfraiAudioReader"

    def lazy_load_data(
        self,
        file: Recording | Sequence[Recording],
        extra_info: dict[str, Any] | None = None,
        fs: AbstractFileSystem | None = None,
        show_progress: bool = False,
    ) -> Iterable[Document]:
        """The documents of one recording or several, each recording transcribed when it is its turn.

        ``extra_info`` goes into every document's metadata; ``fs`` is where the files are, when not on this machine.
        """
        for recording in get_tqdm_iterable(_each(file), show_progress, _DOING):
            reply = self._client.asr(_media(recording, fs), **options_of(self, _OPTIONS, {}))
            yield from self._documents(recording, reply, extra_info)

    async def alazy_load_data(
        self,
        file: Recording | Sequence[Recording],
        extra_info: dict[str, Any] | None = None,
        fs: AbstractFileSystem | None = None,
        show_progress: bool = False,
    ) -> Iterable[Document]:
        """The same as ``aload_data``: LlamaIndex's signature has no asynchronous iteration."""
        return await self.aload_data(file, extra_info, fs, show_progress)

    async def aload_data(
        self,
        file: Recording | Sequence[Recording],
        extra_info: dict[str, Any] | None = None,
        fs: AbstractFileSystem | None = None,
        show_progress: bool = False,
    ) -> list[Document]:
        """The documents in the order of the recordings, of which ``num_workers`` are transcribed at a time.

        When one fails the others are cancelled.
        """
        recordings, gate = _each(file), asyncio.Semaphore(self.num_workers)
        with tqdm(total=len(recordings), desc=_DOING, disable=not show_progress) as progress:

            async def read(recording: Recording) -> list[Document]:
                async with gate:
                    media = await asyncio.to_thread(_media, recording, fs)
                    reply = await self._aclient.asr(media, **options_of(self, _OPTIONS, {}))
                progress.update()
                return self._documents(recording, reply, extra_info)

            found = await _all(read(recording) for recording in recordings)
        return [document for documents in found for document in documents]

    def _documents(
        self, recording: Recording, reply: TranscriptReply, extra_info: dict[str, Any] | None
    ) -> list[Document]:
        about = {**_about(recording), **_set_ones({"language": reply.language}), **(extra_info or {})}
        name = partial(_id, recording)
        said = [segment for segment in reply.segments or () if segment.text.strip()]
        if not said:
            return [_document(reply.text, about, name(""))] if reply.text.strip() else []
        passages = _joined(said, self.passage_s or 0)
        return _linked([_passage(passage, about, name(_fragment(passage))) for passage in passages])


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order; the first failure cancels the rest."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # until all of them have let go


# -- where it comes from -------------------------------------------------------------------------------------------


def _each(file: Recording | Sequence[Recording]) -> Sequence[Recording]:
    """Raises ``ConfigError`` for what is no recording."""
    recordings = [file] if isinstance(file, str | PurePath | bytes) or not isinstance(file, Iterable) else list(file)
    for recording in recordings:
        if not isinstance(recording, str | PurePath | bytes):
            raise ConfigError(f"file: came {kind_of(recording)}; allowed are a path, an http(s) URL, bytes, or several")
    return recordings


def _is_url(recording: Recording) -> bool:
    """Raises ``ValueError`` for a URL that is not http(s)."""
    scheme = urlsplit(recording).scheme if isinstance(recording, str) and "://" in recording else ""
    if scheme not in ("", "http", "https"):
        raise ValueError(f"{recording!r}: allowed are files, bytes and http(s) URLs")
    return bool(scheme)


def _media(recording: Recording, fs: AbstractFileSystem | None) -> MediaRef:
    if isinstance(recording, bytes):
        return recording
    if _is_url(recording):
        return {"url": str(recording)}
    content: bytes = Path(recording).read_bytes() if fs is None else fs.cat_file(str(recording))
    return content


def _about(recording: Recording) -> dict[str, Any]:
    if isinstance(recording, bytes):
        return {}
    if _is_url(recording):
        return {"url": str(recording)}
    return {"file_path": str(recording), "file_name": Path(recording).name}


def _id(recording: Recording, fragment: str) -> str | None:
    return None if isinstance(recording, bytes) else f"{recording}{fragment}"


# -- documents -----------------------------------------------------------------------------------------------------


def _joined(segments: Sequence[Segment], longest_s: float) -> list[Segment]:
    """Neighbouring segments as one where both together last no longer than ``longest_s``."""
    found: list[Segment] = []
    for segment in segments:
        if found and segment.end - found[-1].start <= longest_s:
            last = found.pop()
            segment = Segment(start=last.start, end=segment.end, text=f"{last.text.strip()} {segment.text.strip()}")
        found.append(segment)
    return found


def _fragment(segment: Segment) -> str:
    """The passage's place in the recording, as in W3C's Media Fragments URI."""
    return f"#t={segment.start:g},{segment.end:g}"


def _passage(segment: Segment, about: dict[str, Any], id_: str | None) -> Document:
    return _document(segment.text.strip(), {**about, "start_s": segment.start, "end_s": segment.end}, id_)


def _document(text: str, metadata: dict[str, Any], id_: str | None) -> Document:
    hidden = [name for name in _NOT_EMBEDDED if name in metadata]
    return Document(text=text, metadata=metadata, excluded_embed_metadata_keys=hidden, **_set_ones({"id_": id_}))


def _linked(documents: list[Document]) -> list[Document]:
    for before, after in pairwise(documents):
        before.relationships[NodeRelationship.NEXT] = RelatedNodeInfo(node_id=after.node_id)
        after.relationships[NodeRelationship.PREVIOUS] = RelatedNodeInfo(node_id=before.node_id)
    return documents


def _set_ones(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
