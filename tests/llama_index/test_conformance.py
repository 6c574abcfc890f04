"""The published conformance suites over our own classes: embedded, and against scripted answers on a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    BaseContentBlock,
    CachePoint,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    ThinkingBlock,
)
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM

from llama_index_infrai import Infrai, InfraiEmbedding
from llama_index_infrai.testing import EmbeddingTests, LLMTests, OpenAIEmbeddingWireTests, OpenAIWireTests

pytest.importorskip("infrai_runtime.embedded", reason="the runtime's extra is not installed")
SECRETS = {"api_key": "ifr_conformance_key", "headers": {"x-token": "hidden-conformance-token"}}


def let_go(component: Any) -> None:
    """Closes the connections of both worlds."""
    component.close()
    asyncio.run(component.aclose())


class TestEmbedded(LLMTests):
    @property
    def llm_class(self) -> type[LLM]:
        return Infrai

    @property
    def llm_params(self) -> dict[str, Any]:
        return {"base_url": "embedded", "model": "infrai-offline", **SECRETS}

    @property
    def refuses_unknown_arguments(self) -> bool:
        return True

    @property
    def supported_blocks(self) -> set[type[BaseContentBlock]]:
        return {ImageBlock, AudioBlock, DocumentBlock, CachePoint, CitableBlock, CitationBlock, ThinkingBlock}


class TestOpenAIDialect(OpenAIWireTests):
    @property
    def llm_class(self) -> type[LLM]:
        return Infrai

    def connection(self, url: str, key: str) -> dict[str, Any]:
        return {"base_url": url, "api_key": key, "dialect": "openai"}

    def close(self, llm: Any) -> None:
        let_go(llm)


class TestEmbeddedEmbedding(EmbeddingTests):
    @property
    def embedding_class(self) -> type[BaseEmbedding]:
        return InfraiEmbedding

    @property
    def embedding_params(self) -> dict[str, Any]:
        return {"base_url": "embedded", "model": "infrai-keyword-1024", **SECRETS}

    @property
    def other_model_params(self) -> dict[str, Any]:
        return {"model": "infrai-keyword-256"}

    @property
    def refuses_unknown_arguments(self) -> bool:
        return True


class TestEmbeddingOpenAIDialect(OpenAIEmbeddingWireTests):
    @property
    def embedding_class(self) -> type[BaseEmbedding]:
        return InfraiEmbedding

    def connection(self, url: str, key: str) -> dict[str, Any]:
        return {"base_url": url, "api_key": key, "dialect": "openai"}

    def close(self, embedding: Any) -> None:
        let_go(embedding)
