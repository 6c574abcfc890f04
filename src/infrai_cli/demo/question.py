"""What the demo asks: some questions whose answers stand in the documents, and one whose answer does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_LLAMA = (
    "How often are keep-alive comment lines sent?",
    "prefer 优化轴有哪些取值?",
    "What is cost_usd when the cost is unknown?",
    "Who painted the ceiling of the Sistine Chapel?",
)
_CHAIN = (
    "Does a pinned vendor fail over to another one?",
    "相对主供应商的故障切换成本上限是哪个参数?",
    "How many activations are allowed in a minute?",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions for LlamaIndex and for LangChain."""

    llama: Sequence[str]
    chain: Sequence[str]


def chosen(own: Sequence[str] | None, *, quick: bool) -> Asked:
    """The caller's own questions, or the demo's, in English and Chinese; with ``quick`` two each.

    The chain is asked its first question twice: the second answer comes from the cache.
    """
    llama, chain = (own, own) if own else (_LLAMA, _CHAIN)
    if quick:
        llama, chain = llama[:2], chain[:2]
    return Asked(llama, [*chain, chain[0]])
