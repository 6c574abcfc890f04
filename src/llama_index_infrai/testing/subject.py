"""What is tested, and what it can do: the properties that a user of the suites overrides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.base.llms.types import BaseContentBlock
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM

from llama_index_infrai.testing.suite import Suite, secrets_in


class LLMSuite(Suite):
    """The LLM under test. ``llm_class`` and mostly ``llm_params`` must be given; the rest says what it can do."""

    @property
    def llm_class(self) -> type[LLM]:
        """The class under test."""
        raise NotImplementedError("llm_class: the suite needs the class to test")

    @property
    def llm_params(self) -> dict[str, Any]:
        """Its constructor arguments. Those with ``key``, ``token``, ``secret`` or ``password`` in their name, and
        all headers, must not show up in dumps and events."""
        return {}

    @property
    def question(self) -> str:
        """A prompt that the model answers by some text."""
        return "What is 6 times 7?"

    @property
    def returns_usage(self) -> bool:
        """Whether token counts come with every answer."""
        return True

    @property
    def knows_its_context(self) -> bool:
        """Whether ``metadata`` has the real context window, and not LlamaIndex's default of 3,900."""
        return True

    @property
    def refuses_unknown_arguments(self) -> bool:
        """Whether the constructor refuses a misspelt argument, as it should."""
        return False

    @property
    def has_tool_calling(self) -> bool:
        """Whether the model calls tools."""
        return issubclass(self.llm_class, FunctionCallingLLM)

    @property
    def has_parallel_tool_calls(self) -> bool:
        """Whether the model calls several tools at once when it may."""
        return self.has_tool_calling

    @property
    def has_structured_output(self) -> bool:
        """Whether the model can fill a pydantic class."""
        return True

    @property
    def supported_blocks(self) -> set[type[BaseContentBlock]]:
        """Content blocks that user messages may hold, beside text. Every other one must be refused by name."""
        return set()

    def make(self, **options: Any) -> Any:
        """An LLM of the class under test; ``options`` win over ``llm_params``."""
        return self.llm_class(**{**self.llm_params, **options})

    @pytest.fixture
    def llm(self) -> Iterator[Any]:
        """A fresh LLM for each test."""
        made = self.make()
        yield made
        self.close(made)

    @property
    def secrets(self) -> list[str]:
        """Texts that no dump, event or error may show."""
        return secrets_in(self.llm_params)


class EmbeddingSuite(Suite):
    """The embedding model under test."""

    @property
    def embedding_class(self) -> type[BaseEmbedding]:
        """The class under test."""
        raise NotImplementedError("embedding_class: the suite needs the class to test")

    @property
    def embedding_params(self) -> dict[str, Any]:
        """Its constructor arguments; see ``LLMSuite.llm_params`` about secrets."""
        return {}

    @property
    def other_model_params(self) -> dict[str, Any] | None:
        """Arguments that choose another model with other vectors; None where there is only one."""
        return None

    @property
    def refuses_unknown_arguments(self) -> bool:
        """Whether the constructor refuses a misspelt argument, as it should."""
        return False

    def make(self, **options: Any) -> Any:
        """An embedding model of the class under test; ``options`` win over ``embedding_params``."""
        return self.embedding_class(**{**self.embedding_params, **options})

    @pytest.fixture
    def embedding(self) -> Iterator[Any]:
        """A fresh embedding model for each test."""
        made = self.make()
        yield made
        self.close(made)

    @property
    def secrets(self) -> list[str]:
        """Texts that no dump or event may show."""
        return secrets_in(self.embedding_params)
