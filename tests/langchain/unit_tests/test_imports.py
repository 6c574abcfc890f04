"""What the package shows, and what it costs to import."""

from __future__ import annotations

import subprocess
import sys

import langchain_infrai


def test_the_public_names() -> None:
    assert {"ChatInfrai", "InfraiEmbeddings", "InfraiToolkit", "get_infrai_callback"} <= set(langchain_infrai.__all__)
    assert all(hasattr(langchain_infrai, name) for name in langchain_infrai.__all__)
    assert not hasattr(langchain_infrai, "InfraiNothing")


def test_importing_it_loads_nothing_that_only_other_calls_need() -> None:
    later = ("infrai_core.replies", "infrai_core.service", "infrai_core.report", "langchain_infrai._batch")
    code = f"import langchain_infrai, sys; print([name for name in {later!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_it_loads_neither_the_runtime_nor_heavy_packages() -> None:
    heavy = ("infrai_runtime", "llama_index", "aiohttp", "starlette", "PIL", "torch", "openai", "tiktoken")
    code = f"""
import sys
import langchain_core.language_models.chat_models
theirs = set(sys.modules)  # LangSmith's client loads aiohttp where httpx-aiohttp is installed
import langchain_infrai
print([name for name in {heavy!r} if name in sys.modules.keys() - theirs])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_it_asks_nothing_of_the_network() -> None:
    asked = ("socket.connect", "socket.getaddrinfo", "socket.sendto")
    code = f"""
import sys
sys.addaudithook(lambda event, _: sys.exit(event) if event in {asked!r} else None)
import langchain_infrai
[getattr(langchain_infrai, name) for name in langchain_infrai.__all__]
langchain_infrai.ChatInfrai(api_key="key", model="gpt-5").profile
"""
    subprocess.run([sys.executable, "-c", code], check=True)
