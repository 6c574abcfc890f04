"""``InfraiEmbeddings``: vectors that all come from one model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import anyio
from langchain_core.embeddings import Embeddings
from pydantic import Field, PrivateAttr

from infrai_core import EmbedReply
from infrai_core.params import Prefer
from infrai_core.tokens import estimate
from langchain_infrai._connection import Connection
from langchain_infrai.errors import InfraiProtocolError

Vectors = list[list[float]]


class Pin:
    """The model and dimension that the first answer had; every later one must have the same."""

    def __init__(self, model: str | None = None, dimensions: int | None = None) -> None:
        self._lock = threading.Lock()
        self.model = model
        self.dimensions = dimensions

    def check(self, reply: EmbedReply) -> None:
        """Takes the first answer's model and dimension; raises ``InfraiProtocolError`` when a later one differs."""
        served = reply.metadata.model or reply.model
        with self._lock:
            if self.dimensions is None:
                self.model, self.dimensions = served, reply.dimensions
            elif (served, reply.dimensions) != (self.model, self.dimensions):
                raise InfraiProtocolError(
                    f"the embedding model changed from {self.model} ({self.dimensions} dimensions) to {served} "
                    f"({reply.dimensions} dimensions); vectors of two models cannot be compared"
                )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pin)

    __hash__ = None  # type: ignore[assignment]  # equal, mutable pins have no hash

    def __reduce__(self) -> tuple[Any, ...]:
        return Pin, (self.model, self.dimensions)


class InfraiEmbeddings(Connection, Embeddings):
    """Embeddings from one model: the one given, or the one that the service chose for the first call.

    Later calls stay with it, also after a failover; an answer from another model or of another dimension raises
    ``InfraiProtocolError``. Many texts go in batches; the order stays. ``ledger`` has tokens and cost.

    >>> from langchain_infrai import InfraiEmbeddings
    >>> InfraiEmbeddings.embedded().embed_query("red apple")  # doctest: +SKIP
    """

    model: str | None = Field(default=None, alias="model_name")
    """A model id; None: the service's default, pinned at first use."""
    vendor: str | None = None
    """A vendor to stay with."""
    prefer: Prefer | None = None
    max_cost_multiplier: float | None = None
    session_id: str | None = None
    vendor_options: dict[str, dict[str, Any]] | None = None
    dimensions: int | None = Field(default=None, ge=1)
    """Length of the vectors, for models that can shorten them."""
    batch_size: int = Field(default=128, ge=1)
    """Most texts of one request."""
    batch_tokens: int = Field(default=100_000, ge=1)
    """Most tokens of one request, as estimated; a longer text goes alone."""
    max_concurrency: int = Field(default=4, ge=1)
    """Most requests at the same time, of one asynchronous call."""

    _pin: Pin = PrivateAttr(default_factory=Pin)

    def embed_documents(self, texts: list[str]) -> Vectors:
        """One vector per text, in order."""
        return [vector for batch in self._batches(texts) for vector in self._embed(batch)]

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return self._embed([text])[0]

    async def aembed_documents(self, texts: list[str]) -> Vectors:
        """One vector per text, in order; up to ``max_concurrency`` requests at a time."""
        batches = list(self._batches(texts))
        found: list[Vectors] = [[] for _ in batches]
        gate = anyio.CapacityLimiter(self.max_concurrency)

        async def fill(place: int) -> None:
            async with gate:
                found[place] = await self._aembed(batches[place])

        first = 0
        if batches and self._pin.dimensions is None:
            await fill(0)  # alone: it decides the model that the others ask for
            first = 1
        await _together(partial(fill, place) for place in range(first, len(batches)))
        return list(chain.from_iterable(found))

    async def aembed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return (await self._aembed([text]))[0]

    # -- requests --------------------------------------------------------------------------------------------------

    def _embed(self, texts: Sequence[str]) -> Vectors:
        return self._checked(self.client.embed(texts, **self._arguments()), texts)

    async def _aembed(self, texts: Sequence[str]) -> Vectors:
        return self._checked(await self.async_client.embed(texts, **self._arguments()), texts)

    def _checked(self, reply: EmbedReply, texts: Sequence[str]) -> Vectors:
        if len(reply.embeddings) != len(texts):
            raise InfraiProtocolError(f"{len(texts)} texts were sent, {len(reply.embeddings)} vectors came back")
        self._pin.check(reply)
        return reply.embeddings

    def _arguments(self) -> dict[str, Any]:
        names = ("vendor", "prefer", "max_cost_multiplier", "session_id", "vendor_options", "dimensions")
        model = self.model or self._pin.model
        return {"model": model, **{name: getattr(self, name) for name in names}}

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        tokens = 0
        for text in texts:
            more = estimate(text)
            if batch and (len(batch) == self.batch_size or tokens + more > self.batch_tokens):
                yield batch
                batch, tokens = [], 0
            batch.append(text)
            tokens += more
        if batch:
            yield batch


async def _together(tasks: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Runs the tasks at the same time; the first error ends the others and is raised as itself."""
    try:
        async with anyio.create_task_group() as group:
            for task in tasks:
                group.start_soon(task)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
