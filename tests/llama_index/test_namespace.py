from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest

import llama_index_infrai

LEAVES = {
    "llama_index.llms.infrai": "Infrai",
    "llama_index.embeddings.infrai": "InfraiEmbedding",
    "llama_index.tools.infrai": "InfraiToolSpec",
    "llama_index.readers.infrai": "InfraiAudioReader",
    "llama_index.postprocessor.infrai": "InfraiRerank",
}
SOURCE = Path(llama_index_infrai.__file__).parents[1]


@pytest.mark.parametrize(("module", "name"), LEAVES.items())
def test_both_imports_give_the_same_class(module: str, name: str) -> None:
    assert getattr(import_module(module), name) is getattr(llama_index_infrai, name)


@pytest.mark.parametrize("module", LEAVES)
def test_every_leaf_says_that_it_is_typed(module: str) -> None:
    assert (files(module) / "py.typed").is_file()


def test_the_shared_namespaces_have_no_init_file() -> None:
    shared = [SOURCE / "llama_index", *(SOURCE / "llama_index").iterdir()]
    assert len(shared) == 1 + len(LEAVES)
    assert [path for path in shared if (path / "__init__.py").exists()] == []


def test_importing_it_asks_nothing_of_the_network() -> None:
    asked = ("socket.connect", "socket.getaddrinfo", "socket.sendto")
    code = f"""
import sys
sys.addaudithook(lambda event, _: sys.exit(event) if event in {asked!r} else None)
import llama_index_infrai
made = [getattr(llama_index_infrai, name) for name in llama_index_infrai.__all__]
llama_index_infrai.Infrai(api_key="key", model="gpt-5").metadata
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_core_is_still_found_when_our_source_comes_first() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); "
        "import llama_index.llms.infrai, llama_index.embeddings.infrai, llama_index.tools.infrai, llama_index.core; "
        "print('infrai_runtime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
