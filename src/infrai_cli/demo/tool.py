"""The tools of the agents. Each notes its calls, so that the demo can show that they were really made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infrai_cli.screen import cut, paint
from infrai_core import InfraiError


@dataclass(frozen=True, slots=True)
class Made:
    """One call of a tool."""

    name: str
    arguments: dict[str, Any]
    result: str


@dataclass
class Calls:
    """What was called, in order."""

    made: list[Made] = field(default_factory=list)

    def watched(self, tool: Callable[..., str]) -> Callable[..., str]:
        """The tool, whose calls are noted and shown."""

        @functools.wraps(tool)
        def called(**arguments: Any) -> str:
            result = tool(**arguments)
            self.made.append(Made(tool.__name__, arguments, result))
            shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            told = paint(f"    tool {tool.__name__}({shown})\n      -> {cut(result, 90)}", "dim")
            print(told + "\n", end="", flush=True)  # in one piece: tools run in threads
            return result

        return called

    def check(self, *names: str) -> None:
        """Raises ``InfraiError`` unless exactly these tools were called, in any order."""
        called = sorted(made.name for made in self.made)
        if called != sorted(names):
            raise InfraiError(f"the agent called the tools {called or 'none'}; expected were {sorted(names)}")


def counter(texts: Mapping[str, str]) -> Callable[..., str]:
    """A tool that counts words."""

    def count_words(file: str) -> str:
        """Count the words of one of the documents.

        Args:
            file: name of the document, such as docs/protocol.md
        """
        found = [text for name, text in texts.items() if name.endswith(file)]
        return f"{file} has {len(found[0].split())} words" if found else f"there is no document {file}"

    return count_words


def token_cost(tokens: int, usd_per_million: float) -> str:
    """What a number of tokens costs, in USD.

    Args:
        tokens: number of tokens
        usd_per_million: price of a million tokens, in USD
    """
    return f"{tokens} tokens cost {tokens * usd_per_million / 1_000_000:g} USD"


def asker(answer: Callable[[str], tuple[str, str]]) -> Callable[..., str]:
    """A tool that answers from the documents; ``answer`` gives the answer and its source."""

    def ask_documents(question: str) -> str:
        """Answer a question from the documents.

        Args:
            question: the question
        """
        text, source = answer(question)
        return f"{text} [{source}]"

    return ask_documents
