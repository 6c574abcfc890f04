"""What LangChain's chat models and embeddings cost, on one server of fixed answers: ours and its peers.

``python -m benchmarks.langchain`` makes an environment of its own for the peers (once, with network), measures all in
turns, prints tables and writes ``docs/benchmarks/langchain.md`` and its plot. ``--without-peers`` compares with the
floor only.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contender import (
    Found,
    Rounds,
    Work,
    beside_best,
    contenders,
    environ,
    environment,
    measured,
    over,
    ratio,
    smallest,
)
from benchmarks.fixed_server import CHUNKS, PACED_CHUNKS, fixed_server
from benchmarks.measure import import_cost_ms
from benchmarks.page import Target, command, costs_table, plot, targets_table, versions, write_page

PEERS = ("langchain-openai", "langchain-openrouter", "langchain-litellm", "numpy")
NAMES = {
    "raw httpx": "plain httpx",
    "infrai_core": "infrai_core",
    "minimal": "minimal BaseChatModel",
    "infrai": "ChatInfrai",
    "openai": "ChatOpenAI",
    "openrouter": "ChatOpenRouter",
    "litellm": "ChatLiteLLM",
}
"""Contender -> what it is called in tables."""
THEIRS = ("openai", "openrouter", "litellm")
PROMPT = "What is the capital of France?"
MESSAGES = [{"role": "user", "content": PROMPT}]
TEXTS = [f"text number {i} of a corpus" for i in range(2048)]
CALLS = 20


# -- the contenders ------------------------------------------------------------------------------------------------


def work(name: str, url: str) -> Work:
    """What a contender does for each task."""
    return _CONTENDERS[name](url)


_loop = asyncio.new_event_loop()


def _chat_work(make: Callable[[str], Any]) -> dict[str, tuple[Callable[[], object], int]]:
    """The tasks of a chat model; ``make(kind)`` gives one for an answer of the server."""
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.runnables import RunnableConfig

    plain, paced = make("plain"), make("paced")
    hearing: RunnableConfig = {"callbacks": [BaseCallbackHandler()]}
    few, many = make("args-1000"), make("args-2000")
    return {
        "invoke": (lambda: plain.invoke(PROMPT), 1),
        "ainvoke": (lambda: _loop.run_until_complete(_times(CALLS, lambda: plain.ainvoke(PROMPT))), CALLS),
        "stream": (lambda: _drain(plain.stream(PROMPT)), CHUNKS),
        "astream": (lambda: _loop.run_until_complete(_adrain(plain.astream(PROMPT))), CHUNKS),
        "invoke heard": (lambda: plain.invoke(PROMPT, hearing), 1),
        "stream heard": (lambda: _drain(plain.stream(PROMPT, hearing)), CHUNKS),
        "paced": (lambda: _drain(paced.stream(PROMPT)), PACED_CHUNKS),
        "arguments 1000": (lambda: _drain(few.stream(PROMPT)), 1000),
        "arguments 2000": (lambda: _drain(many.stream(PROMPT)), 2000),
        "construct": (lambda: [make("plain") for _ in range(20)], 20),
    }


async def _times(count: int, call: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    for _ in range(count):
        await call()


def _drain(stream: Iterator[Any]) -> None:
    for _ in stream:
        pass


async def _adrain(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


def _infrai(url: str) -> Work:
    from langchain_infrai import ChatInfrai, InfraiEmbeddings

    embeddings = InfraiEmbeddings(base_url=f"{url}/plain/v1", api_key="k", model="m", batch_size=2048)
    return {
        **_chat_work(lambda kind: ChatInfrai(base_url=f"{url}/{kind}/v1", api_key="k", model="m")),
        "embed": (lambda: embeddings.embed_documents(TEXTS), 1),
    }


def _openai(url: str) -> Work:
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    embeddings = OpenAIEmbeddings(
        base_url=f"{url}/plain/v1",
        api_key="k",
        model="m",
        chunk_size=2048,
        check_embedding_ctx_length=False,
    )
    made = _chat_work(lambda kind: ChatOpenAI(base_url=f"{url}/{kind}/v1", api_key="k", model="m", stream_usage=True))
    return {**made, "embed": (lambda: embeddings.embed_documents(TEXTS), 1)}


def _openrouter(url: str) -> Work:
    from langchain_openrouter import ChatOpenRouter

    made = _chat_work(lambda kind: ChatOpenRouter(base_url=f"{url}/{kind}/v1", api_key="k", model="m"))
    made["construct"] = (lambda: ChatOpenRouter(base_url=f"{url}/plain/v1", api_key="k", model="m"), 1)
    return made


def _litellm(url: str) -> Work:
    from langchain_litellm import ChatLiteLLM, LiteLLMEmbeddings

    embeddings = LiteLLMEmbeddings(model="openai/m", api_key="k", api_base=f"{url}/plain/v1")
    made = _chat_work(lambda kind: ChatLiteLLM(model="openai/m", api_key="k", api_base=f"{url}/{kind}/v1"))
    # It gives up when a hundred chunks in a row are the same, as those of the fixed stream are.
    import litellm

    litellm.REPEATED_STREAMING_CHUNK_LIMIT = 10**9
    return {**made, "embed": (lambda: embeddings.embed_documents(TEXTS), 1)}


def _minimal(url: str) -> Work:
    from benchmarks.minimal_chat import MinimalChat

    return _chat_work(lambda kind: MinimalChat(url=f"{url}/{kind}/v1/chat/completions"))


def _raw(url: str) -> Work:
    import httpx

    client = httpx.Client()

    def stream(kind: str) -> None:
        target = f"{url}/{kind}/v1/chat/completions"
        with client.stream("POST", target, json={"messages": MESSAGES, "stream": True}) as response:
            for line in response.iter_lines():
                if line and line != "data: [DONE]":
                    json.loads(line[6:])

    def embed() -> None:
        _decoded(client.post(f"{url}/plain/v1/embeddings", json={"input": TEXTS, "encoding_format": "base64"}).content)

    return {
        "invoke": (lambda: client.post(f"{url}/plain/v1/chat/completions", json={"messages": MESSAGES}).json(), 1),
        "stream": (lambda: stream("plain"), CHUNKS),
        "paced": (lambda: stream("paced"), PACED_CHUNKS),
        "embed": (embed, 1),
    }


def _decoded(content: bytes) -> list[list[float]]:
    """The least that has to be done with an answer of packed vectors."""
    import numpy

    rows = json.loads(content)["data"]
    return [numpy.frombuffer(base64.b64decode(row["embedding"]), "<f4").tolist() for row in rows]


def _core(url: str) -> Work:
    from benchmarks.fixed_server import embeddings
    from infrai_core import Infrai

    plain, paced = (Infrai("k", base_url=f"{url}/{kind}/v1") for kind in ("plain", "paced"))
    packed = embeddings(len(TEXTS), True, False)
    return {
        "invoke": (lambda: plain.chat(PROMPT), 1),
        "stream": (lambda: _drain(iter(plain.stream_chat(PROMPT))), CHUNKS),
        "paced": (lambda: _drain(iter(paced.stream_chat(PROMPT))), PACED_CHUNKS),
        "decode": (lambda: _decoded(packed), 1),
    }


_CONTENDERS: dict[str, Callable[[str], Work]] = {
    "raw httpx": _raw,
    "infrai_core": _core,
    "minimal": _minimal,
    "infrai": _infrai,
    "openai": _openai,
    "openrouter": _openrouter,
    "litellm": _litellm,
}

IMPORTS = {
    "infrai": "from langchain_infrai import ChatInfrai",
    "openai": "from langchain_openai import ChatOpenAI",
    "openrouter": "from langchain_openrouter import ChatOpenRouter",
    "litellm": "from langchain_litellm import ChatLiteLLM",
}
FLOOR_IMPORT = "import httpx, langchain_core.language_models.chat_models"


# -- the comparison ------------------------------------------------------------------------------------------------

TASKS: dict[str, tuple[str, int]] = {
    "invoke": ("invoke, µs per call", 40),
    "ainvoke": ("ainvoke, µs per call", 25),
    "stream": ("stream, µs per coalesced chunk", 9),
    "astream": ("astream, µs per coalesced chunk", 9),
    "invoke heard": ("invoke with a callback, µs per call", 40),
    "stream heard": ("stream with a callback, µs per coalesced chunk", 9),
    "paced": ("stream, µs per chunk a millisecond apart", 25),
    "arguments 1000": ("tool call, µs per argument fragment of 1,000", 12),
    "arguments 2000": ("tool call, µs per argument fragment of 2,000", 12),
    "embed": ("2,048 embeddings of 1,536 dimensions, µs", 24),
    "decode": ("decoding 2,048 embeddings alone, µs", 24),
    "construct": ("a new instance, µs", 12),
}
"""Task -> title, rounds."""
_IN_TURNS = (("arguments 1000", "arguments 2000"), ("embed", "decode"))


def imports(python: str, names: list[str], runs: int) -> dict[str, float]:
    """CPU milliseconds of each import beyond langchain-core and httpx; in turns, the smallest of the runs."""
    costs: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(runs):
        for name in names:
            costs[name].append(import_cost_ms(IMPORTS[name], FLOOR_IMPORT, python=python, environment=environ()))
    return {name: min(costs[name]) for name in names}


def targets(found: Rounds, import_ms: Mapping[str, float]) -> list[Target]:
    """The budgets of the adapter, as far as their measures are there."""
    ours = {task: costs["infrai"] for task, costs in found.items() if "infrai" in costs}
    rows: list[Target] = []
    for task in ("invoke", "ainvoke"):
        rows.append((f"{task}, times the minimal model", ratio(ours[task], found[task]["minimal"]), 1.2))
        rows += _beside_peers(task, found, 0.5)
    for task in ("stream", "astream"):
        rows.append((f"{task}, µs per coalesced chunk", min(ours[task]), 40))
        rows += _beside_peers(task, found, 0.4)
    rows.append(("paced stream, µs per chunk over infrai_core", over(ours["paced"], found["paced"]["infrai_core"]), 25))
    rows.append(("embeddings, times decoding alone", ratio(ours["embed"], found["decode"]["infrai_core"]), 1.15))
    rows.append(("embeddings, times plain httpx", ratio(ours["embed"], found["embed"]["raw httpx"]), 1.15))
    rows.append(("a new instance, ms", min(ours["construct"]) / 1000, 0.3))
    growth = 2 * ratio(ours["arguments 2000"], ours["arguments 1000"])
    rows.append(("tool arguments, cost of 2,000 fragments to 1,000", growth, 2.1))
    return [*rows, ("import beyond langchain-core and httpx, ms", import_ms["infrai"], 60)]


def _beside_peers(task: str, found: Rounds, most: float) -> list[Target]:
    is_ = beside_best(found[task], THEIRS)
    return [] if is_ is None else [(f"{task}, times the best peer", is_, most)]


def main(quick: bool = False, peers: bool = True) -> dict[str, Any]:
    """Measures, prints tables, and returns the numbers."""
    python = str(environment("langchain-peers", PEERS)) if peers else sys.executable
    names = [name for name in NAMES if peers or name not in THEIRS]
    with fixed_server() as url, contenders(python, "benchmarks.langchain", names, url) as running:
        rounds = measured(running, TASKS, quick, _IN_TURNS)
    import_ms = imports(python, [name for name in IMPORTS if name in names], 1 if quick else 5)
    found, goals, paced = smallest(rounds), targets(rounds, import_ms), rounds["paced"]
    print("\n" + _costs_table(found, import_ms))
    print("\n" + targets_table(goals))
    return {
        "cpu_us": found,
        "lone_chunk_us": {
            "minimal": over(paced["minimal"], paced["raw httpx"]),
            "infrai": over(paced["infrai"], paced["infrai_core"]),
        },
        "import_ms": import_ms,
        "targets": goals,
        "versions": versions(python, _PACKAGES),
    }


def _costs_table(found: Found, import_ms: Mapping[str, float]) -> str:
    names = [name for name in NAMES if any(name in costs for costs in found.values())]
    last = ("import beyond core and httpx, ms", *(f"{import_ms[n]:,.0f}" if n in import_ms else "" for n in names))
    return costs_table(found, {task: row[0] for task, row in TASKS.items()}, NAMES, last)


_PACKAGES = ("langchain-core", "langchain-openai", "langchain-openrouter", "langchain-litellm", "openai", "litellm")


# -- the page and the plot -----------------------------------------------------------------------------------------


def write(result: Mapping[str, Any], directory: Path) -> None:
    """Writes the page ``langchain.md`` and its plot ``langchain.png``."""
    lone = result["lone_chunk_us"]
    plot(result["cpu_us"], _PLOTTED, NAMES, directory / "langchain.png")
    lines = [
        "Made by `python -m benchmarks.langchain`; method: [benchmarks/README.md](../../benchmarks/README.md).",
        "CPU time of the client's process, all in one run against one server of fixed answers; compare ratios, not the",
        "microseconds of two machines. The table has the cheapest batch of each contender; the ratios and differences",
        "below it are medians over the rounds. Nobody listens but where a callback is named; with one, `ChatInfrai`",
        "answers and streams through LangChain's own way, too. A lone chunk pays for what it runs through with cold",
        f"caches: {lone['minimal']:.0f} µs in the minimal model over plain httpx, "
        f"{lone['infrai']:.0f} µs in ChatInfrai over infrai_core.",
    ]
    costs = _costs_table(result["cpu_us"], result["import_ms"])
    write_page(directory / "langchain.md", "LangChain, measured", lines, costs, result["targets"], result["versions"])


_PLOTTED = {"invoke": "invoke", "ainvoke": "ainvoke", "stream": "streamed chunk", "embed": "2,048 embeddings"}


run = partial(command, "langchain", __doc__, main, write)

if __name__ == "__main__":
    raise SystemExit(run())
