"""LangChain's standard integration tests, on the runtime in this process with its offline models."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests

from langchain_infrai import ChatInfrai, InfraiEmbeddings
from tests.core.wall import DONE, LAST, STREAM_HEAD, Play, Wall, frame, ok, text_frame
from tests.langchain.integration_tests.conftest import Service

USAGE = {
    "prompt_tokens": 90,
    "completion_tokens": 40,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20, "audio_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 25, "audio_tokens": 5},
}


class TestChatInfrai(ChatModelIntegrationTests):
    fields: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _service(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        type(self).fields = service.fields
        for name, value in service.environ.items():
            monkeypatch.setenv(name, value)

    @pytest.fixture
    def vcr(self) -> SimpleNamespace:
        """Nothing is recorded: the answers of ``test_stream_time`` come from the runtime itself."""
        return SimpleNamespace(responses=["the runtime's"])

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatInfrai

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**self.fields, "model": "infrai-offline"}

    @property
    def model_override_value(self) -> str:
        return "infrai-offline-fast"

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True

    @property
    def supports_video_inputs(self) -> bool:
        return False  # of the offline model; the adapter takes video blocks, see test_convert_in.py

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def enable_vcr_tests(self) -> bool:
        return True

    @property
    def supported_usage_metadata_details(self) -> dict[str, Any]:
        kinds = ["audio_input", "audio_output", "reasoning_output", "cache_read_input", "cache_creation_input"]
        return {"invoke": kinds, "stream": kinds}

    # The offline model has no cache, reasoning or sound to count: a service of the wire that has them plays these.

    def invoke_with_audio_input(self, *, stream: bool = False) -> AIMessage:
        return _counted(stream)

    def invoke_with_audio_output(self, *, stream: bool = False) -> AIMessage:
        return _counted(stream)

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        return _counted(stream)

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        return _counted(stream)

    def invoke_with_cache_creation_input(self, *, stream: bool = False) -> AIMessage:
        return _counted(stream)


def _counted(stream: bool) -> AIMessage:
    """An answer with every count that the wire knows."""
    whole = ok({"model": "m", "parts": [{"type": "text", "text": "hi"}], "finish_reason": "stop", "usage": USAGE})
    pieces = [STREAM_HEAD, text_frame("hi"), frame({**LAST, "usage": USAGE, "metadata": {"model": "m"}}), DONE]
    with Wall([Play(pieces) if stream else whole]) as wall:
        model = ChatInfrai(api_key="k", base_url=wall.url)
        return model.invoke("hello", stream=stream)


class TestInfraiEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return InfraiEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"base_url": "embedded"}
