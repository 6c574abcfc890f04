"""``InfraiEmbedding``: a LlamaIndex embedding model over the client."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Self
from weakref import WeakKeyDictionary

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.storage.kvstore.types import BaseKVStore
from pydantic import Field, PrivateAttr, model_validator

from infrai_core import ConfigError, EmbedReply, ProtocolError
from infrai_core.facts import ALIASES
from infrai_core.locks import lock
from llama_index_infrai._cache import ModelCache, queries
from llama_index_infrai._connection import Routed, options_of
from llama_index_infrai._together import batch, together

_OPTIONS = ("vendor", "prefer", "max_cost_multiplier", "session_id", "vendor_options", "dimensions", "encoding_format")
_WORKERS = 4
_UNNAMED = (None, "unknown", "auto")


Kind = Literal["query", "document"]
_GET_QUERY: Callable[..., list[float]] = inspect.unwrap(BaseEmbedding.get_query_embedding)
_AGET_QUERY: Callable[..., Awaitable[list[float]]] = inspect.unwrap(BaseEmbedding.aget_query_embedding)
_GET_BATCH: Callable[..., list[list[float]]] = inspect.unwrap(BaseEmbedding.get_text_embedding_batch)
_AGET_BATCH: Callable[..., Awaitable[list[list[float]]]] = inspect.unwrap(BaseEmbedding.aget_text_embedding_batch)


class InfraiEmbedding(Routed, BaseEmbedding):
    """Embeddings by one model, whichever the service served first.

    The model that answers the first call is pinned (``pinned_model``, ``pinned_dimensions``), asked for by name from
    then on, and kept in pickles and copies; an answer of another model or length raises ``ProtocolError``, since its
    vectors could not be compared. For an index that is kept, name ``model`` from the start.

    One HTTP call per batch of ``embed_batch_size`` texts, at most ``num_workers`` at a time in each event loop. The
    vectors of an ``embeddings_cache`` are kept apart by model and dimensions. ``ledger`` sums tokens and cost, which
    LlamaIndex's embedding events do not carry.

    Where a model embeds queries otherwise than texts, ``asymmetric=True`` tells it which is which; a model that is told
    by words gets ``query_instruction`` and ``text_instruction`` in front. The cache keeps both apart.
    """

    model: str | None = Field(
        default=None, min_length=1, frozen=True, description="A model id; without it the service chooses."
    )
    model_name: str = Field(default="auto", frozen=True, description="The same as model.")
    dimensions: int | None = Field(
        default=None, ge=1, le=65536, frozen=True, description="Length of the vectors, where a model can choose."
    )
    asymmetric: bool = Field(default=False, frozen=True, description="Say whether a text is a query or a document.")
    query_instruction: str | None = Field(default=None, frozen=True, description="Words in front of each query.")
    text_instruction: str | None = Field(default=None, frozen=True, description="Words in front of each text.")
    encoding_format: Literal["base64", "float"] = Field(
        default="base64",
        exclude=True,
        description="How vectors travel; base64 is half the bytes and a fraction of the work.",
    )
    embed_batch_size: int = Field(default=100, gt=0, le=2048, description="Texts per HTTP call.")
    num_workers: int | None = Field(
        default=_WORKERS, ge=1, description="HTTP calls at a time from one event loop; None: 4."
    )
    embeddings_cache: Any = Field(default=None, exclude=True, repr=False, description="A key-value store of vectors.")
    pinned_model: str | None = Field(
        default=None, min_length=1, exclude=True, description="The model that served the first call."
    )
    pinned_dimensions: int | None = Field(default=None, ge=1, exclude=True, description="Length of its vectors.")

    _lock: threading.Lock = PrivateAttr(default_factory=lock)
    _gates: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[int, asyncio.Semaphore]] = PrivateAttr(
        default_factory=WeakKeyDictionary
    )

    @classmethod
    def class_name(cls) -> str:
        return "InfraiEmbedding"

    @model_validator(mode="before")
    @classmethod
    def _one_name(cls, given: Any) -> Any:
        """``model`` and LlamaIndex's ``model_name`` mean the same."""
        if not isinstance(given, dict):
            return given
        model, name = given.get("model"), given.get("model_name")
        named = None if name in _UNNAMED else name
        if model is not None and named is not None and model != named:
            raise ConfigError(f"model={model!r} and model_name={named!r}: allowed is one name for the model")
        chosen = named if model is None else model
        return {**given, "model": chosen, "model_name": "auto" if chosen is None else chosen}

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        cache = self.embeddings_cache
        if isinstance(cache, BaseKVStore):
            # Of its own, also in a copy: each follows its own model.
            self.embeddings_cache = ModelCache(cache.store if isinstance(cache, ModelCache) else cache)
        self._name_cache()

    def to_payload(self) -> dict[str, Any]:
        """What events may show of this model: no secret."""
        return {**super().to_payload(), "model_name": self.pinned_model or self.model_name}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; one with another model or other dimensions is pinned anew."""
        changed = dict(update or {})
        if {"model", "model_name", "dimensions"} & changed.keys():
            unpinned = {"pinned_model": None, "pinned_dimensions": None}
            named = {"model": None, "model_name": "auto"} if {"model", "model_name"} & changed.keys() else {}
            changed = {**unpinned, **named, **changed}
        return super().model_copy(update=changed, deep=deep)

    # -- pinning ---------------------------------------------------------------------------------------------------

    def _options(self, kind: Kind) -> dict[str, Any]:
        input_type = kind if self.asymmetric else None
        return options_of(self, _OPTIONS, {"model": self.pinned_model or self.model, "input_type": input_type})

    def _accepted(self, reply: EmbedReply, count: int) -> list[list[float]]:
        """The vectors, after the check that they are of the pinned model."""
        if len(reply.embeddings) != count:
            raise ProtocolError(f"the service sent {len(reply.embeddings)} embeddings for {count} texts")
        served = reply.model or reply.metadata.model or self.pinned_model or self.model
        with self._lock:
            self.pinned_model = self.pinned_model or served
            self.pinned_dimensions = self.pinned_dimensions or self.dimensions or reply.dimensions
            self._name_cache()
        self._check("model", self.pinned_model, served)
        for vector in reply.embeddings:
            self._check("dimensions", self.pinned_dimensions, len(vector))
        return reply.embeddings

    def _check(self, what: str, pinned: Any, got: Any) -> None:
        if got != pinned:
            raise ProtocolError(
                f"the embedding {what} changed from {pinned!r} to {got!r}: their vectors cannot be compared. "
                "Name a model that the service keeps, and embed the index anew"
            )

    def _name_cache(self) -> None:
        """Vectors are cached under the model's name, as soon as it is known."""
        if isinstance(self.embeddings_cache, ModelCache):
            model = self.pinned_model or (None if self.model in ALIASES else self.model)
            self.embeddings_cache.scope = model and "|".join((model, *self._vectors_depend_on()))

    def _vectors_depend_on(self) -> list[str]:
        told = (self.text_instruction, self.query_instruction)
        return [str(self.dimensions or "full"), *(text or "" for text in told if any(told))]

    # -- calls -----------------------------------------------------------------------------------------------------

    def _embed(self, texts: list[str], kind: Kind) -> list[list[float]]:
        return self._accepted(self._client.embed(self._instructed(texts, kind), **self._options(kind)), len(texts))

    async def _aembed(self, texts: list[str], kind: Kind) -> list[list[float]]:
        async with self._gate():
            reply = await self._aclient.embed(self._instructed(texts, kind), **self._options(kind))
        return self._accepted(reply, len(texts))

    def _instructed(self, texts: list[str], kind: Kind) -> list[str]:
        _check_texts("text", texts)
        words = self.query_instruction if kind == "query" else self.text_instruction
        return [f"{words} {text}" for text in texts] if words else texts

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._embed(texts, "document")

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        async with batch():
            return await self._aembed(texts, "document")

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._embed([text], "document")[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aembed([text], "document"))[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embed([query], "query")[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return (await self._aembed([query], "query"))[0]

    # LlamaIndex's own methods are called without their span: these have it.

    def get_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[list[float]]:
        """The vectors of texts, in their order."""
        return _GET_BATCH(self, _listed(texts), show_progress, **kwargs)

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[list[float]]:
        """The vectors of texts, in their order. When one batch fails the others are not sent, or cancelled."""
        with together():
            return await _AGET_BATCH(self, _listed(texts), show_progress, **kwargs)

    # LlamaIndex looks queries up among the texts.

    def get_query_embedding(self, query: str) -> list[float]:
        """The vector of a query."""
        with self._cached_as_query():
            return _GET_QUERY(self, query)

    async def aget_query_embedding(self, query: str) -> list[float]:
        """The vector of a query."""
        with self._cached_as_query():
            return await _AGET_QUERY(self, query)

    def _cached_as_query(self) -> AbstractContextManager[None]:
        differ = self.asymmetric or self.query_instruction != self.text_instruction
        return queries() if differ else nullcontext()

    def _gate(self) -> asyncio.Semaphore:
        """Of the running event loop. LlamaIndex starts all batches at once where ``num_workers`` is 1."""
        loop = asyncio.get_running_loop()
        with self._lock:
            workers = self.num_workers or _WORKERS
            known, gate = self._gates.get(loop, (0, None))
            if gate is None or known != workers:
                gate = asyncio.Semaphore(workers)
                self._gates[loop] = (workers, gate)
        return gate


def _listed(texts: Any) -> list[str]:
    """Raises ``ConfigError`` for a single text, whose characters would be embedded, and for what is no text."""
    if isinstance(texts, str):
        raise ConfigError("texts: came a string; allowed is a list of strings")
    found = list(texts)
    _check_texts("texts[{}]", found)
    return found


def _check_texts(name: str, texts: list[Any]) -> None:
    """An empty text has no vector at any vendor; one among many would lose them all."""
    for place, text in enumerate(texts):
        if not isinstance(text, str) or not text:
            raise ConfigError(f"{name.format(place)}: came {text!r}; allowed is a text that is not empty")
