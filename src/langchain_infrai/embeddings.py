"""``InfraiEmbeddings``: vectors that all come from one model."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any, Literal, Self

import anyio
from langchain_core.embeddings import Embeddings
from pydantic import AliasChoices, Field, PrivateAttr

from infrai_core import EmbedReply
from infrai_core.locks import lock
from infrai_core.tokens import estimate
from langchain_infrai._bar import bar
from langchain_infrai._connection import Routed
from langchain_infrai.errors import AS_LANGCHAIN, InfraiConfigError, InfraiProtocolError

Vectors = list[list[float]]
Kind = Literal["query", "document"]


class Pin:
    """The model and dimension that the first answer had; every later one must have the same."""

    def __init__(self, model: str | None = None, dimensions: int | None = None) -> None:
        self._lock = lock()
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


class InfraiEmbeddings(Routed, Embeddings):
    """Embeddings from one model: the one given, or the one that the service chose for the first call.

    Later calls stay with it, also after a failover; an answer from another model or of another dimension raises
    ``InfraiProtocolError``. Many texts go in batches; the order stays. ``ledger`` has tokens and cost.

    >>> from langchain_infrai import InfraiEmbeddings
    >>> InfraiEmbeddings.embedded().embed_query("red apple")  # doctest: +SKIP
    """

    dimensions: int | None = Field(default=None, ge=1, le=65536)
    """Length of the vectors, for models that can shorten them."""
    asymmetric: bool = False
    """True: the model is told which texts are queries and which are documents, where it embeds the two differently.
    Index and queries need the same setting."""
    encoding_format: Literal["base64", "float"] = "base64"
    """How vectors travel: base64 is a third of the bytes and a tenth of the work; both are read."""
    batch_size: int = Field(default=128, ge=1, validation_alias=AliasChoices("batch_size", "chunk_size"))
    """Most texts of one request."""
    batch_tokens: int = Field(default=100_000, ge=1)
    """Most tokens of one request, as estimated; a longer text goes alone."""
    max_concurrency: int = Field(default=4, ge=1)
    """Most requests at the same time, of one asynchronous call."""
    show_progress_bar: bool = False
    """A bar over the texts of ``embed_documents`` (needs tqdm)."""

    _pin: Pin = PrivateAttr(default_factory=Pin)

    @property
    def pinned_model(self) -> str | None:
        """The id of the model that the vectors so far came from; None before the first call. Store it with an index
        and give it as ``model`` when you open that index again."""
        return self._pin.model

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; one with another model or other dimensions is pinned anew."""
        twin = super().model_copy(update=update, deep=deep)
        if {"model", "dimensions"} & set(update or ()):
            twin._pin = Pin()
        return twin

    def embed_documents(self, texts: list[str]) -> Vectors:
        """One vector per text, in order. Raises rather than give back fewer; ``InfraiConfigError``, before anything is
        sent, for what is no text or empty."""
        texts = _checked_texts(texts)
        found: Vectors = []
        with self._progress(len(texts)) as done:
            for batch in self._batches(texts):
                found += self._embed(batch, "document")
                done(len(batch))
        return found

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        _check_text("text", text)
        return self._embed([text], "query")[0]

    async def aembed_documents(self, texts: list[str]) -> Vectors:
        """The same, up to ``max_concurrency`` requests at a time; the first error ends the others."""
        texts = _checked_texts(texts)
        batches = list(self._batches(texts))
        found: list[Vectors] = [[] for _ in batches]
        gate = anyio.CapacityLimiter(self.max_concurrency)
        with self._progress(len(texts)) as done:

            async def fill(place: int) -> None:
                async with gate:
                    found[place] = await self._aembed(batches[place], "document")
                    done(len(batches[place]))

            first = 0
            if batches and self._pin.dimensions is None:
                await fill(0)  # alone: it decides the model that the others ask for
                first = 1
            await _together(partial(fill, place) for place in range(first, len(batches)))
        return list(chain.from_iterable(found))

    async def aembed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        _check_text("text", text)
        return (await self._aembed([text], "query"))[0]

    # -- requests --------------------------------------------------------------------------------------------------

    def _embed(self, texts: Sequence[str], kind: Kind) -> Vectors:
        with AS_LANGCHAIN:
            return self._checked(self.client.embed(texts, **self._arguments(kind)), texts)

    async def _aembed(self, texts: Sequence[str], kind: Kind) -> Vectors:
        with AS_LANGCHAIN:
            return self._checked(await self.async_client.embed(texts, **self._arguments(kind)), texts)

    def _checked(self, reply: EmbedReply, texts: Sequence[str]) -> Vectors:
        if len(reply.embeddings) != len(texts):
            raise InfraiProtocolError(f"{len(texts)} texts were sent, {len(reply.embeddings)} vectors came back")
        self._pin.check(reply)
        return reply.embeddings

    def _arguments(self, kind: Kind) -> dict[str, Any]:
        return {
            **self._routing(),
            "model": self.model or self._pin.model,
            "input_type": kind if self.asymmetric else None,
            "dimensions": self.dimensions,
            "encoding_format": self.encoding_format,
        }

    @contextmanager
    def _progress(self, total: int) -> Iterator[Callable[[int], Any]]:
        """What to call with every number of texts that is done."""
        if not self.show_progress_bar:
            yield lambda count: None
            return
        with bar("show_progress_bar", total, "text", "embedding") as shown:
            yield shown.update

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


def _checked_texts(texts: Iterable[str]) -> list[str]:
    """The texts as a list; an empty one has no vector at any vendor, so that one among many would lose them all."""
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise InfraiConfigError(f"texts: came {type(texts).__name__}, allowed is a list of texts")
    found = list(texts)
    for place, text in enumerate(found):
        _check_text(f"texts[{place}]", text)
    return found


def _check_text(name: str, text: Any) -> None:
    if not (isinstance(text, str) and text):
        raise InfraiConfigError(f"{name}: came {text!r}, allowed is a text that is not empty")


async def _together(tasks: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Runs the tasks at the same time; the first error ends the others and is raised as itself."""
    try:
        async with anyio.create_task_group() as group:
            for task in tasks:
                group.start_soon(task)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
