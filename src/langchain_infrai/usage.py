"""What chains and agents use and cost: a callback handler, and a context manager around it.

Chat models report through LangChain's callbacks; embeddings, tools, rerank and transcription, for which LangChain has
no such channel, report from the client itself. Both feed one ``Ledger``, which makes all sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers.context import register_configure_hook

from infrai_core import Budget, BudgetSpent, ConfigError, Entry, Ledger, Metadata, Usage
from infrai_core.tokens import estimate
from infrai_core.usage import LedgerView, entry_of
from langchain_infrai._listening import Listener, Several, opened
from langchain_infrai._served import PROVIDER
from langchain_infrai.errors import InfraiBudgetSpent, InfraiConfigError

_MOST_OPEN_RUNS = 100_000
"""Runs that were started and never ended (their process was killed) are forgotten from here on."""
_STEP_TAGS = ("seq:step:", "map:key:", "graph:step:", "langsmith:")
"""Tags that LangChain itself puts on the steps of a chain."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A chat model's run that has begun: what it belongs to, and what it sent."""

    root: str
    tags: Mapping[str, str]
    messages: Sequence[BaseMessage] = field(repr=False)
    model: str | None


class InfraiUsageCallbackHandler(LedgerView, Listener):
    """Totals of tokens, cost, latency, attempts and cache hits, by model, vendor, capability, tag and run.

    Give it to a call, a chain or a model as a callback, or use ``get_infrai_callback``. Each chat answer is counted
    once, whole or streamed; a stream that was broken off with estimated tokens and no cost; an answer from LangChain's
    own cache as a cache hit that used nothing. Embeddings, tools, rerank and transcription inside a chain count as
    well; outside of any chain only ``get_infrai_callback`` sees them. A run is one outermost call with all that it
    caused. Other vendors' chat models count too, with unknown cost.

    With ``budget_usd`` the next call after the budget is spent raises ``InfraiBudgetSpent``, before anything is sent.
    ``print`` shows a table, a notebook HTML. Several threads and event loops may share one handler.
    """

    raise_error = True  # a spent budget must stop the call
    run_inline = True  # in the call's own task: order is kept, and no thread is taken

    def __init__(self, *, budget_usd: Decimal | float | str | None = None, ledger: Ledger | None = None) -> None:
        """``ledger``: where to book, for handlers that share sums. Raises ``InfraiConfigError`` for a wrong budget."""
        self.ledger = Ledger() if ledger is None else ledger
        self.budget = None if budget_usd is None else _budget(budget_usd, self.ledger)
        self._roots: dict[UUID, UUID] = {}
        self._runs: dict[UUID, _Run] = {}

    # -- the client's own reports ----------------------------------------------------------------------------------

    def check_budget(self) -> None:
        """Raises ``InfraiBudgetSpent`` when there is a budget and nothing of it is left."""
        try:
            if self.budget is not None:
                self.budget.check()
        except BudgetSpent as spent:
            raise InfraiBudgetSpent(spent.message, spent.limit_usd, spent.spent_usd) from None

    def book(self, entry: Entry, parent_run_id: UUID | None = None, tags: Sequence[str] = ()) -> None:
        """Books a call that LangChain knows nothing of, as part of the run that it was made in."""
        run = None if parent_run_id is None else str(self._roots.get(parent_run_id, parent_run_id))
        self.ledger.record(replace(entry, run=run, tags={**entry.tags, **_named(tags)}))

    # -- LangChain's events ----------------------------------------------------------------------------------------

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Checks the budget and notes what the run belongs to."""
        self.check_budget()
        root = run_id if parent_run_id is None else self._roots.get(parent_run_id, parent_run_id)
        model = (metadata or {}).get("ls_model_name")
        _note(self._runs, run_id, _Run(str(root), _named(tags or ()), messages[0], model))

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Books an answer."""
        run = self._runs.pop(run_id, None)  # none: it was booked already
        message = _message(response)
        if run is not None and message is not None:
            entry = _unused(message) if _is_cached(message) else _entry(message)
            self.ledger.record(replace(entry, run=run.root, tags=run.tags, model=entry.model or run.model))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Books what was received of a stream that broke or was left; a call that brought nothing is not booked."""
        run = self._runs.pop(run_id, None)
        message = _message(kwargs.get("response"))
        if run is not None and message is not None:
            self.ledger.record(_aborted(message, run))

    def _begin(self, *args: Any, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        """Notes which outermost run this one belongs to."""
        if parent_run_id is not None:
            _note(self._roots, run_id, self._roots.get(parent_run_id, parent_run_id))

    def _end(self, *args: Any, run_id: UUID, **kwargs: Any) -> None:
        """Forgets the run."""
        self._roots.pop(run_id, None)

    on_chain_start = on_tool_start = on_retriever_start = _begin
    on_chain_end = on_tool_end = on_retriever_end = _end
    on_chain_error = on_tool_error = on_retriever_error = _end


def _budget(usd: Decimal | float | str, ledger: Ledger) -> Budget:
    try:
        return Budget(usd, ledger)
    except ConfigError:
        raise InfraiConfigError(f"budget_usd={usd!r}: allowed is an amount above 0") from None


def _note(runs: dict[UUID, Any], run_id: UUID, value: Any) -> None:
    runs[run_id] = value
    if len(runs) > _MOST_OPEN_RUNS:
        runs.pop(next(iter(runs)), None)


def _named(tags: Sequence[str]) -> dict[str, str]:
    return {tag: "" for tag in tags if not tag.startswith(_STEP_TAGS)}


# -- messages -> entries -------------------------------------------------------------------------------------------


def _message(response: LLMResult | None) -> AIMessage | None:
    """The answer of a chat model; None where there is none."""
    generations = [generation for group in response.generations for generation in group] if response else []
    first = generations[0] if generations else None
    message = first.message if isinstance(first, ChatGeneration) else None
    return message if isinstance(message, AIMessage) else None


def _is_cached(message: AIMessage) -> bool:
    """Whether LangChain's own cache gave the answer: it then sets this cost, an integer, and nobody else does."""
    used: Mapping[str, Any] = message.usage_metadata or {}
    return type(used.get("total_cost")) is int and used["total_cost"] == 0


def _unused(message: AIMessage) -> Entry:
    """An answer from LangChain's cache: no request, no tokens, no cost."""
    whole = _entry(message)
    return replace(
        whole, prompt_tokens=0, completion_tokens=0, cost_usd=Decimal(0), latency_ms=None, cache_hit=True, attempts=0
    )


def _entry(message: AIMessage) -> Entry:
    facts, used = message.response_metadata, message.usage_metadata
    provider = facts.get("model_provider")
    tokens = {"prompt_tokens": used["input_tokens"], "completion_tokens": used["output_tokens"]} if used else {}
    if provider != PROVIDER:
        return entry_of("chat", Usage(**tokens), Metadata(vendor=provider), model=facts.get("model_name"))
    own = facts.get("infrai") or {}
    served = {name: facts[name] for name in _SERVED if name in facts}
    metadata = Metadata(**served, model=facts.get("model_name"), attempts=own.get("attempts") or [])
    return entry_of("chat", Usage(**tokens, estimated=own.get("estimated")), metadata)


_SERVED = ("vendor", "cost_usd", "latency_ms", "cache_hit", "request_id")


def _aborted(message: AIMessage, run: _Run) -> Entry:
    whole = _entry(message)
    return replace(
        whole,
        model=whole.model or run.model,
        prompt_tokens=sum(estimate(sent.text) for sent in run.messages),
        completion_tokens=estimate(message.text),
        cost_usd=None,
        outcome="aborted",
        estimated=True,
        run=run.root,
        tags=run.tags,
    )


# -- blocks --------------------------------------------------------------------------------------------------------

register_configure_hook(opened, inheritable=True)  # once: LangChain keeps every registration for ever


def _handed_on(event: str) -> Callable[..., None]:
    def hand_on(self: Several, *args: Any, **kwargs: Any) -> None:
        for member in self.members:
            getattr(member, event)(*args, **kwargs)

    return hand_on


for _event in [name for name in vars(InfraiUsageCallbackHandler) if name.startswith("on_")]:
    setattr(Several, _event, _handed_on(_event))


@contextmanager
def get_infrai_callback(
    *, budget_usd: Decimal | float | str | None = None, ledger: Ledger | None = None
) -> Iterator[InfraiUsageCallbackHandler]:
    """Counts everything inside the ``with`` block, also in the tasks that it starts and in the threads of LangChain and
    asyncio. A thread of your own has no context: start it with ``contextvars.copy_context().run``, or use LangChain's
    ``ContextThreadPoolExecutor``.

    Chains, agents, embeddings and tools need no callback of their own. Blocks may stand inside each other: the outer
    one counts what the inner one does.

    >>> from langchain_infrai import ChatInfrai, get_infrai_callback
    >>> with get_infrai_callback(budget_usd=0.5) as usage:  # doctest: +SKIP
    ...     ChatInfrai.embedded().invoke("Hello")
    >>> print(usage)  # doctest: +SKIP
    """
    outer = opened.get()
    handler = InfraiUsageCallbackHandler(budget_usd=budget_usd, ledger=ledger)
    around = () if outer is None else outer.members if isinstance(outer, Several) else (outer,)
    token = opened.set(Several([handler, *around]) if around else handler)
    try:
        yield handler
    finally:
        opened.reset(token)
