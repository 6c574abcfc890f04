"""An operation: what to send and how to read the answer, as a pure value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from infrai_core.lines import Upload

T = TypeVar("T")


class Operation(NamedTuple, Generic[T]):
    """One logical call.

    ``read`` makes the typed reply from the opened answer (data with ``metadata``), or, with ``raw``, from the bytes
    and headers. ``chunk`` makes a chunk dictionary from the data of one stream event. ``form`` is a multipart body:
    name -> text or (filename, bytes, mime). ``upload`` is a body of lines. ``accept`` is the media type of a streamed
    answer.
    """

    capability: str
    method: str
    path: str
    read: Callable[[dict[str, Any]], T]
    body: Mapping[str, Any] | None = None
    form: Mapping[str, str | tuple[str, bytes, str]] | None = None
    options: Mapping[str, Any] = MappingProxyType({})
    stream: bool = False
    upload: Upload | None = None
    accept: str = "text/event-stream"
    raw: Callable[[bytes, Mapping[str, str]], T] | None = None
