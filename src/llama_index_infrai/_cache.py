"""A cache of embeddings that keeps models apart.

LlamaIndex looks vectors up by the text alone, so that two models with one store would get each other's vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.storage.kvstore.types import DEFAULT_COLLECTION, BaseKVStore

_for_queries: ContextVar[bool] = ContextVar("infrai_for_queries", default=False)


@contextmanager
def queries() -> Iterator[None]:
    """What is looked up and kept in this block are queries, which some models embed otherwise than texts."""
    token = _for_queries.set(True)
    try:
        yield
    finally:
        _for_queries.reset(token)


class ModelCache(BaseKVStore):
    """A view of ``store`` for one model: every key is preceded by ``scope``, and in ``queries`` by that too.

    While ``scope`` is None (no model was named and none has answered yet) nothing is found.
    """

    def __init__(self, store: BaseKVStore, scope: str | None = None) -> None:
        self.store = store
        self.scope = scope

    def _key(self, key: str) -> str:
        if self.scope is None:
            raise ValueError("the embedding model is not known yet, so there is nothing to store its vectors under")
        return f"{self.scope}|query|{key}" if _for_queries.get() else f"{self.scope}|{key}"

    def put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        self.store.put(self._key(key), val, collection)

    async def aput(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        await self.store.aput(self._key(key), val, collection)

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        return None if self.scope is None else self.store.get(self._key(key), collection)

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        return None if self.scope is None else await self.store.aget(self._key(key), collection)

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        return self._own(self.store.get_all(collection))

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        return self._own(await self.store.aget_all(collection))

    def _own(self, rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        head = f"{self.scope}|"
        return {key.removeprefix(head): row for key, row in rows.items() if self.scope and key.startswith(head)}

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        return self.scope is not None and self.store.delete(self._key(key), collection)

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        return self.scope is not None and await self.store.adelete(self._key(key), collection)
