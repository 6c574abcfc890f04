# ruff: noqa: RUF012  # properties may be given as plain class attributes
"""The conformance suites over somebody else's classes: llama-index-llms-openai-like and -embeddings-openai-like.

``scripts/conformance`` makes an environment for it and runs it. What fails is what those packages do not do; nothing is
marked as expected here, so that the list stays true when they change.
"""

import os
from typing import Any

import pytest
from llama_index.core.base.llms.types import AudioBlock, DocumentBlock, ImageBlock
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

from llama_index_infrai.testing import LLMTests, OpenAIEmbeddingWireTests, OpenAIWireTests

URL = os.environ.get("CONFORMANCE_BASE_URL")


class TestOpenAILike(OpenAIWireTests):
    llm_class = OpenAILike
    llm_params = {
        "model": "scripted",
        "is_chat_model": True,
        "is_function_calling_model": True,
        "context_window": 32_000,
        "max_tokens": None,
        "timeout": 10.0,
    }
    supported_blocks = {ImageBlock, AudioBlock, DocumentBlock}
    patience_s = 2.0


class TestOpenAILikeServed(LLMTests):
    """Against a real service: give its address in ``CONFORMANCE_BASE_URL`` (``infrai serve``, for one)."""

    llm_class = OpenAILike
    llm_params = {**TestOpenAILike.llm_params, "model": "auto", "api_base": URL, "api_key": "a-key-of-the-example"}
    supported_blocks = {ImageBlock, AudioBlock, DocumentBlock}

    @pytest.fixture(autouse=True)
    def service_is_there(self) -> None:
        if not URL:
            pytest.skip("no service is named in CONFORMANCE_BASE_URL")


class TestOpenAILikeEmbedding(OpenAIEmbeddingWireTests):
    embedding_class = OpenAILikeEmbedding
    embedding_params: dict[str, Any] = {"model_name": "scripted", "timeout": 10.0}
    patience_s = 2.0
