from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infrai_core.testing import Answer, Script
from llama_index_infrai import Infrai, InfraiEmbedding


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all: the embedded runtime of a process keeps the one that it started with."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def own_home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the real credentials."""
    for name in ("INFRAI_API_KEY", "INFRAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INFRAI_HOME", str(shared_home))


@pytest.fixture(autouse=True)
def closed_loop() -> Iterator[None]:
    """LlamaIndex's synchronous methods run on the thread's event loop, and would make one that nobody closes."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


Scripted = Callable[..., tuple[Any, Script]]


@pytest.fixture
def scripted() -> Scripted:
    """``scripted(*answers, **options)`` gives an LLM and the script that answers it."""

    def make(*answers: Answer, **options: Any) -> tuple[Infrai, Script]:
        script = Script(answers)
        return Infrai(api_key="ifr_secret_key", transport=script, **options), script

    return make


@pytest.fixture
def scripted_embedding() -> Scripted:
    """The same for an embedding model."""

    def make(*answers: Answer, **options: Any) -> tuple[InfraiEmbedding, Script]:
        script = Script(answers)
        return InfraiEmbedding(api_key="ifr_secret_key", transport=script, **options), script

    return make


# Building any agent: `workflows` walks over all attributes of a pydantic object, the deprecated ones too. A ReAct agent
# asks its context what that context warns about. LlamaIndex and OpenInference write objects by pydantic's old method.
_OF_LLAMA_INDEX = (
    "ignore:The `json` method is deprecated",
    "ignore:is_running called from within a step:DeprecationWarning",
    "ignore:The `__fields(_set)?__` attribute is deprecated:DeprecationWarning",
    "ignore:Accessing the 'model_(computed_)?fields' attribute on the instance:DeprecationWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets pass the warnings that LlamaIndex itself causes; every other one stays an error."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for rule in _OF_LLAMA_INDEX:
                item.add_marker(pytest.mark.filterwarnings(rule))
