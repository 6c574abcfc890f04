"""``infrai demo``: documents, indexes, streamed answers with sources, and agents, offline."""

from __future__ import annotations

import argparse
import os
import time
from importlib.util import find_spec
from typing import Any

from infrai_cli.demo import document, fetch, question
from infrai_cli.demo.stage import Stage
from infrai_cli.package import install
from infrai_core import ConfigError
from infrai_core.config import EMBEDDED

DEFAULT_EMBEDDING = "infrai-keyword-1024"
"""The documents are English and Chinese: the keyword index finds both, MiniLM knows only English."""

_NEEDED = ("orjson", "starlette", "langchain", "llama_index.core")
"""A module of each extra that it shows."""

_ABOUT = """\
Reads this project's own pages (English) and the service's reference page (Chinese), and then:
  1  splits them into passages
  2  LlamaIndex: an index and a query engine; streamed answers with their sources
  3  LangChain: a vector store and a chain; streamed answers with their sources
  4  LangChain: an agent that calls tools
  5  LlamaIndex: an agent that calls a tool
  6  shows what every call used and cost

All of it runs inside this process: no key, no account, no other service. The answers come from a small
extractive model that quotes what it finds and says so when it finds nothing; it is not a language model.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to ask, with which models."""
    parser.description = _ABOUT
    parser.add_argument("--ask", action="append", metavar="QUESTION", help="ask this instead; may be given again")
    parser.add_argument("--quick", action="store_true", help="two questions each")
    parser.add_argument(
        "--minilm", action="store_true", help="fetch the English sentence model (84 MB, once) and show what it adds"
    )
    parser.add_argument(
        "--embedding",
        default=DEFAULT_EMBEDDING,
        metavar="MODEL",
        help=f"embedding model (default: {DEFAULT_EMBEDDING})",
    )
    parser.add_argument("--model", metavar="MODEL", help="chat model (default: the router decides)")
    parser.add_argument(
        "--base-url", default=EMBEDDED, metavar="URL", help="another service; it may need a key (default: embedded)"
    )


def run(args: Any) -> int:
    """Shows everything; raises where a step did not do what it says."""
    begun = time.perf_counter()
    _check_packages()
    if args.base_url == EMBEDDED:
        from infrai_runtime.vendors.configuration import LOCAL

        os.environ["INFRAI_VENDORS"] = LOCAL  # it promises to be offline, whatever keys this machine has
    fetching = fetch.begin() if args.minilm else None
    texts = document.texts(document.folder())
    stage = Stage(document.passages(texts), args.base_url, args.embedding, args.model)
    _tell_documents(stage)
    try:
        from infrai_cli.demo import agents, chain, compare, llama  # the frameworks take some seconds to load
    finally:
        fetched = fetch.end(fetching)
    asked = question.chosen(args.ask, quick=args.quick)
    index = llama.show(stage, asked.llama)
    chain.show(stage, asked.chain)
    agents.show_langchain(stage, texts)
    agents.show_llama(stage, index)
    if fetched:
        compare.show(stage)
    stage.tell_calls(time.perf_counter() - begun)
    return 0


def _check_packages() -> None:
    """Raises before anything is done, for all that is missing at once."""
    missing = [module for module in _NEEDED if find_spec(module) is None]
    if missing:
        raise ConfigError(f"the demo needs packages that are not installed: {', '.join(missing)}. {install('all')}")


def _tell_documents(stage: Stage) -> None:
    stage.heading("Documents")
    for file in dict.fromkeys(passage.file for passage in stage.passages):
        count = sum(passage.file == file for passage in stage.passages)
        print(f"  {file:<28} {count:>3} passages")
    print(f"  {'together':<28} {len(stage.passages):>3} passages; embedding model {stage.embedding}, {stage.base_url}")
