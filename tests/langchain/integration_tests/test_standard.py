"""LangChain's standard integration tests, on the runtime in this process with its offline models."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests

from langchain_infrai import ChatInfrai, InfraiEmbeddings


class TestChatInfrai(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatInfrai

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"base_url": "embedded", "model": "infrai-offline", "temperature": 0}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {}

    @property
    def model_override_value(self) -> str:
        return "infrai-offline-fast"

    # supports_json_mode stays off: the suite asks for keys that only the prompt names, and the offline model takes its
    # keys from a schema. Media stay off: the suite fetches its samples from the network; test_embedded.py has its own.

    @pytest.mark.xfail(reason="the offline model leaves a value empty that no text marks as such ('a Pirate greeting')")
    def test_bind_runnables_as_tools(self, model: BaseChatModel) -> None:
        super().test_bind_runnables_as_tools(model)

    @pytest.mark.xfail(reason="the offline model reads 'San Francisco, CA' as a list of two places and calls twice")
    def test_agent_loop(self, model: BaseChatModel) -> None:
        super().test_agent_loop(model)

    @pytest.mark.xfail(reason="the offline model takes the translation in brackets for the name")
    def test_unicode_tool_call_integration(self, model: BaseChatModel, **options: Any) -> None:
        super().test_unicode_tool_call_integration(model, **options)


class TestInfraiEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return InfraiEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"base_url": "embedded"}
