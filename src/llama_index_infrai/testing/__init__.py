"""A conformance suite for LlamaIndex LLMs and embedding models: pytest classes to subclass, for any integration.

>>> from llama_index_infrai.testing import LLMTests  # doctest: +SKIP
>>> class TestMyLLM(LLMTests):
...     llm_class = MyLLM
...     llm_params = {"model": "m", "api_key": "k"}
...     supported_blocks = {ImageBlock}

``LLMTests`` and ``EmbeddingTests`` ask the model itself, whatever it talks to. ``OpenAIWireTests`` and
``OpenAIEmbeddingWireTests`` are for classes that speak OpenAI's HTTP surface: a scripted server shows them what vendors
really send, and sees what they send. What a model cannot do is said by properties; a test that an integration cannot
pass yet is marked ``xfail`` with a reason, and cannot be dropped otherwise. Needs pytest, and no plugin of it.
"""

from infrai_core.extra import needing

with needing("testing", "pytest"):
    import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("suite", "answer", "tool", "structured", "block", "embedding", "wire"))
)

from llama_index_infrai.testing.answer import AnswerTests, LifeTests, UsageTests  # noqa: E402  # after the rewrite hook
from llama_index_infrai.testing.block import BlockTests  # noqa: E402
from llama_index_infrai.testing.embedding import EmbeddingTests  # noqa: E402
from llama_index_infrai.testing.structured import StructuredTests  # noqa: E402
from llama_index_infrai.testing.tool import ToolTests  # noqa: E402
from llama_index_infrai.testing.wire import OpenAIEmbeddingWireTests, OpenAIWireTests  # noqa: E402


class LLMTests(AnswerTests, UsageTests, LifeTests, ToolTests, StructuredTests, BlockTests):
    """Everything that an LLM must do, whatever it talks to."""


__all__ = ["EmbeddingTests", "LLMTests", "OpenAIEmbeddingWireTests", "OpenAIWireTests"]
