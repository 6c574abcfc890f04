"""What LlamaIndex's LLMs and embedding models cost, on one server of fixed answers: ours and its peers.

``python -m benchmarks.llama_index`` makes an environment of its own for the peers (once, with network), measures all
in turns, prints tables and writes ``docs/benchmarks/llama_index.md`` and its plot. ``--without-peers`` compares with
the floor only.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import langchain
from benchmarks.contender import (
    Found,
    Rounds,
    Work,
    beside_best,
    contenders,
    environment,
    measured,
    ratio,
    smallest,
)
from benchmarks.fixed_server import CHUNKS, fixed_server
from benchmarks.page import Target, command, costs_table, plot, targets_table, versions, write_page

PEERS = (
    "llama-index-core>=0.14.10,<0.15",
    "llama-index-llms-openai-like",
    "llama-index-embeddings-openai-like",
    "llama-index-llms-litellm",
    "llama-index-embeddings-litellm",
    "mcp",  # litellm does not install it and cannot call tools without it
    "numpy",
)
NAMES = {
    "raw httpx": "plain httpx",
    "infrai_core": "infrai_core",
    "minimal": "minimal LLM",
    "infrai": "Infrai",
    "infrai, openai dialect": "Infrai, openai dialect",
    "openai-like": "OpenAILike",
    "litellm": "LiteLLM",
}
"""Contender -> what it is called in tables."""
THEIRS = ("openai-like", "litellm")
PROMPT = "What is the capital of France?"
CALLS = 20
LONG = 4000


# -- the contenders ------------------------------------------------------------------------------------------------


def work(name: str, url: str) -> Work:
    """What a contender does for each task."""
    return _CONTENDERS[name](url) if name in _CONTENDERS else langchain.work(name, url)


_loop = asyncio.new_event_loop()


def _chats(llm: Any) -> dict[str, tuple[Callable[[], object], int]]:
    """The tasks of any LLM."""
    return {
        "invoke": (lambda: llm.chat(_messages()), 1),
        "ainvoke": (lambda: _loop.run_until_complete(_times(CALLS, lambda: llm.achat(_messages()))), CALLS),
        "stream": (lambda: _drain(llm.stream_chat(_messages())), CHUNKS),
        "astream": (lambda: _loop.run_until_complete(_adrain(llm.astream_chat(_messages()))), CHUNKS),
    }


def _tasks(make: Callable[[str], Any], embedding: Any, agent_sizes: tuple[int, ...]) -> Work:
    """The tasks of an LLM, where ``make(kind)`` gives one for an answer of the server, and of an embedding model."""
    return {
        **_chats(make("plain")),
        **{f"agent {size}": (_agent(make(f"args-{size}"), size), 1) for size in agent_sizes},
        "embed": (lambda: embedding.get_text_embedding_batch(langchain.TEXTS), 1),
    }


def _messages() -> list[Any]:
    from llama_index.core.llms import ChatMessage

    return [ChatMessage(content=PROMPT)]


async def _times(count: int, call: Callable[[], Awaitable[Any]]) -> None:
    for _ in range(count):
        await call()


def _drain(stream: Iterator[Any]) -> None:
    for _ in stream:
        pass


async def _adrain(stream: Awaitable[AsyncIterator[Any]]) -> None:
    async for _ in await stream:
        pass


def _agent(llm: Any, size: int) -> Callable[[], None]:
    """Reads a streamed tool call as ``FunctionAgent`` does: the tool calls of every response."""
    from llama_index.core.tools import FunctionTool

    tool = FunctionTool.from_defaults(fn=write)

    async def read() -> None:
        calls: Any = []
        async for response in await llm.astream_chat_with_tools([tool], user_msg=PROMPT):
            calls = llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        written = calls[0].tool_kwargs["text"]
        assert written == "word " * (size - 2), f"{type(llm).__name__} lost a part of the arguments"

    return lambda: _loop.run_until_complete(read())


def write(text: str) -> str:
    """Writes a text down."""
    return text


def _infrai(url: str, dialect: Any = "native") -> Work:
    from llama_index_infrai import Infrai, InfraiEmbedding

    def options(kind: str) -> dict[str, Any]:
        return {"base_url": f"{url}/{kind}/v1", "api_key": "k", "model": "m", "dialect": dialect}

    sizes = (1000, LONG, 2 * LONG)
    return _tasks(
        lambda kind: Infrai(**options(kind)), InfraiEmbedding(**options("plain"), embed_batch_size=2048), sizes
    )


def _openai_like(url: str) -> Work:
    from llama_index.embeddings.openai_like import OpenAILikeEmbedding
    from llama_index.llms.openai_like import OpenAILike

    def llm(kind: str) -> Any:
        abilities = {"is_chat_model": True, "is_function_calling_model": True, "context_window": 128_000}
        return OpenAILike(model="m", api_base=f"{url}/{kind}/v1", api_key="k", **abilities)

    embedding = OpenAILikeEmbedding(model_name="m", api_base=f"{url}/plain/v1", api_key="k", embed_batch_size=2048)
    return _tasks(llm, embedding, (1000,))


def _litellm(url: str) -> Work:
    import litellm
    from llama_index.embeddings.litellm import LiteLLMEmbedding
    from llama_index.llms.litellm import LiteLLM

    # It gives up when a hundred chunks in a row are the same, as those of the fixed stream are.
    litellm.REPEATED_STREAMING_CHUNK_LIMIT = 10**9

    def llm(kind: str) -> Any:
        # A model that it knows: it calls no tools with others.
        return LiteLLM(model="openai/gpt-4o", api_base=f"{url}/{kind}/v1", api_key="k")

    embedding = LiteLLMEmbedding(model_name="openai/m", api_base=f"{url}/plain/v1", api_key="k", embed_batch_size=2048)
    return _tasks(llm, embedding, (1000,))


def _minimal(url: str) -> Work:
    from benchmarks.minimal_llm import MinimalLLM

    return _chats(MinimalLLM(url=f"{url}/plain/v1/chat/completions"))


_CONTENDERS: dict[str, Callable[[str], Work]] = {
    "minimal": _minimal,
    "infrai": _infrai,
    "infrai, openai dialect": lambda url: _infrai(url, "openai"),
    "openai-like": _openai_like,
    "litellm": _litellm,
}


# -- the comparison ------------------------------------------------------------------------------------------------

TASKS: dict[str, tuple[str, int]] = {
    "invoke": ("chat, µs per call", 40),
    "ainvoke": ("achat, µs per call", 25),
    "stream": ("stream_chat, µs per coalesced chunk", 10),
    "astream": ("astream_chat, µs per coalesced chunk", 10),
    "agent 1000": ("agent, 1,000 argument chunks, µs", 5),
    f"agent {LONG}": (f"agent, {LONG:,} argument chunks, µs", 12),
    f"agent {2 * LONG}": (f"agent, {2 * LONG:,} argument chunks, µs", 12),
    "embed": ("2,048 embeddings of 1,536 dimensions, µs", 8),
    "decode": ("decoding 2,048 embeddings alone, µs", 8),
}
"""Task -> title, rounds."""
_IN_TURNS = ((f"agent {LONG}", f"agent {2 * LONG}"),)


def targets(found: Rounds) -> list[Target]:
    """The budgets of the adapter, as far as their measures are there."""
    ours = {task: costs["infrai"] for task, costs in found.items() if "infrai" in costs}
    short, long = ours[f"agent {LONG}"], ours[f"agent {2 * LONG}"]
    return [
        *_beside_peers("chat, times the best peer", "invoke", found, 0.5),
        *_beside_peers("achat, times the best peer", "ainvoke", found, 0.5),
        ("stream_chat, µs per coalesced chunk", min(ours["stream"]), 40),
        ("astream_chat, µs per coalesced chunk", min(ours["astream"]), 40),
        (f"agent, {LONG:,} argument chunks, s", min(short) / 1e6, 0.25),
        (f"agent, {2 * LONG:,} chunks to {LONG:,}", ratio(long, short), 2.1),
        ("embeddings, times plain httpx", ratio(ours["embed"], found["embed"]["raw httpx"]), 1.15),
        *_beside_peers("embeddings, times the best peer", "embed", found, 1 / 1.3),
    ]


def _beside_peers(what: str, task: str, found: Rounds, most: float) -> list[Target]:
    is_ = beside_best(found[task], THEIRS)
    return [] if is_ is None else [(what, is_, most)]


def main(quick: bool = False, peers: bool = True) -> dict[str, Any]:
    """Measures, prints tables, and returns the numbers."""
    python = str(environment("llama-index-peers", PEERS)) if peers else sys.executable
    names = [name for name in NAMES if peers or name not in THEIRS]
    with fixed_server() as url, contenders(python, "benchmarks.llama_index", names, url) as running:
        rounds = measured(running, TASKS, quick, _IN_TURNS)
    found, goals = smallest(rounds), targets(rounds)
    print("\n" + _costs_table(found) + "\n\n" + targets_table(goals))
    return {"cpu_us": found, "targets": goals, "versions": versions(python, _PACKAGES)}


_PACKAGES = (
    "llama-index-core",
    "llama-index-llms-openai-like",
    "llama-index-embeddings-openai-like",
    "llama-index-llms-litellm",
    "llama-index-embeddings-litellm",
    "openai",
    "litellm",
)


def _costs_table(found: Found) -> str:
    return costs_table(found, {task: row[0] for task, row in TASKS.items()}, NAMES)


# -- the page and the plot -----------------------------------------------------------------------------------------

_PLOTTED = {
    "invoke": "chat",
    "stream": "streamed chunk",
    "agent 1000": "agent, 1,000 chunks",
    "embed": "2,048 embeddings",
}


def write_all(result: Mapping[str, Any], directory: Path) -> None:
    """Writes the page ``llama_index.md`` and its plot ``llama_index.png``."""
    plot(result["cpu_us"], _PLOTTED, NAMES, directory / "llama_index.png")
    lines = [
        "Made by `python -m benchmarks.llama_index`; method: [benchmarks/README.md](../../benchmarks/README.md).",
        "CPU time of the client's process, all in one run against one server of fixed answers; compare ratios, not the",
        "microseconds of two machines. The table has the cheapest batch of each contender; the ratios below it are",
        "medians over the rounds. `agent` reads a streamed tool call as `FunctionAgent` does: the calls of every",
        "response. The peers' cost grows with the square of the chunks, so they run the short one only. The minimal",
        "LLM shows LlamaIndex's own machinery, which checks every response and makes an event of each, also where",
        "nobody listens. Infrai checks no value of its own again and makes the events that somebody listens to.",
    ]
    costs = _costs_table(result["cpu_us"])
    write_page(
        directory / "llama_index.md", "LlamaIndex, measured", lines, costs, result["targets"], result["versions"]
    )


run = partial(command, "llama_index", __doc__, main, write_all)

if __name__ == "__main__":
    raise SystemExit(run())
