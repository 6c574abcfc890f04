"""What LlamaIndex pipelines use and cost: a handler for the instrumentation dispatcher, and one that keeps a budget.

Our classes report every call from the client itself, once: events come twice for structured answers, carry no usage
for embeddings, and do not come at all for streams that were left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Self

from llama_index.core.callbacks import CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMCompletionEndEvent
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.dispatcher import active_instrument_tags
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import BaseSpan, active_span_id
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from pydantic import Field, PrivateAttr

from infrai_core import Budget, Entry, Ledger
from infrai_core.budget import Spending
from infrai_core.locks import lock
from infrai_core.usage import LedgerView

_KEPT = 10_000
"""How many spans and foreign answers are remembered."""


class InfraiUsageHandler(LedgerView, BaseEventHandler):
    """Totals of tokens, cost, latency and attempts by model, vendor, capability, tag and run, whatever object called.

    >>> from llama_index_infrai import Infrai, InfraiUsageHandler
    >>> with InfraiUsageHandler() as usage:  # doctest: +SKIP
    ...     Infrai.embedded().complete("Hello")
    >>> print(usage)  # doctest: +SKIP

    The ``with`` block listens to the whole process; so does ``get_dispatcher().add_event_handler(handler)``, for good
    and without runs. Every call of our classes counts once: chats whole, streamed, structured or by an agent, streams
    that were broken off (estimated tokens, no cost), embeddings, rerank, transcription, tools. Chats of other
    integrations count too, where their response has usage, with unknown cost. ``instrument_tags({...})`` become tags.
    A run is the outermost span that a call was made in: one query, one agent (a streaming query engine asks the model
    only when its answer is read: that is a run of its own). Worker processes have handlers of their own. Safe to share
    between threads and event loops.
    """

    ledger: Ledger = Field(default_factory=Ledger, description="Where everything is booked; may be shared.")

    _spans: _Outermost = PrivateAttr(default_factory=lambda: _Outermost())
    _known: _Recent = PrivateAttr(default_factory=lambda: _Recent())

    @classmethod
    def class_name(cls) -> str:
        return "InfraiUsageHandler"

    # -- listening -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        root = get_dispatcher()
        root.add_event_handler(self)
        root.add_span_handler(self._spans)
        return self

    def __exit__(self, *failure: object) -> None:
        root = get_dispatcher()
        root.event_handlers = [handler for handler in root.event_handlers if handler is not self]
        root.span_handlers = [handler for handler in root.span_handlers if handler is not self._spans]

    def book(self, entry: Entry) -> None:
        """Books a call of ours with the tags and the run that it was made in."""
        span = active_span_id.get()
        if span is not None:
            self._known.add(span)
        self._record(entry, span, active_instrument_tags.get())

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Books the answer of another integration's LLM; ours were booked when the call was made."""
        if not isinstance(event, LLMChatEndEvent | LLMCompletionEndEvent) or event.span_id in self._known:
            return
        entry = _foreign(getattr(event.response, "raw", None))
        # Some integrations report one answer as a chat and as a completion.
        if entry is not None and (entry.request_id is None or self._known.add(entry.request_id)):
            self._record(entry, event.span_id, event.tags)

    def _record(self, entry: Entry, span: str | None, tags: Mapping[str, Any]) -> None:
        named = {**entry.tags, **{name: str(value) for name, value in tags.items()}}
        self.ledger.record(replace(entry, tags=named, run=span and self._spans.of(span), span=span))


def publish(entry: Entry) -> None:
    """Gives a call of ours to every usage handler that listens. An observer of all our clients."""
    for handler in _listening():
        handler.book(entry)


def _listening() -> Iterator[InfraiUsageHandler]:
    dispatcher = get_dispatcher("llama_index_infrai")
    for place in (dispatcher, dispatcher.root):
        yield from (handler for handler in place.event_handlers if isinstance(handler, InfraiUsageHandler))


class _Recent:
    """The last names that were added. Thread-safe."""

    def __init__(self) -> None:
        self._lock = lock()
        self._names: dict[str, None] = {}

    def add(self, name: str) -> bool:
        """Whether the name is new."""
        with self._lock:
            is_new = name not in self._names
            self._names[name] = None
            if len(self._names) > _KEPT:
                del self._names[next(iter(self._names))]
            return is_new

    def __contains__(self, name: object) -> bool:
        return name in self._names


class _Outermost(BaseSpanHandler[BaseSpan]):
    """Knows the outermost span of the last spans."""

    _outermost: dict[str, str] = PrivateAttr(default_factory=dict)

    def of(self, span: str) -> str:
        """The outermost span around this one."""
        return self._outermost.get(span, span)

    def new_span(self, id_: str, *args: Any, parent_span_id: str | None = None, **kwargs: Any) -> None:
        """Notes where a span belongs. No object is kept for it, so that nothing has to be forgotten at its end."""
        with self.lock:
            self._outermost[id_] = id_ if parent_span_id is None else self.of(parent_span_id)
            if len(self._outermost) > _KEPT:
                del self._outermost[next(iter(self._outermost))]

    def prepare_to_exit_span(self, id_: str, *args: Any, **kwargs: Any) -> None:
        """Nothing to do."""

    def prepare_to_drop_span(self, id_: str, *args: Any, **kwargs: Any) -> None:
        """Nothing to do."""


# -- answers of other integrations ---------------------------------------------------------------------------------

_PROMPT = ("prompt_tokens", "input_tokens", "prompt_token_count")
_COMPLETION = ("completion_tokens", "output_tokens", "candidates_token_count")


def _foreign(raw: Any) -> Entry | None:
    """The entry of a vendor's own response; None where it has no usage."""
    usage = _get(raw, "usage") or _get(raw, "usage_metadata")
    if not usage:
        return None
    return Entry(
        capability="chat",
        vendor=None,
        model=_get(raw, "model"),
        prompt_tokens=_count(usage, _PROMPT),
        completion_tokens=_count(usage, _COMPLETION),
        cost_usd=None,
        latency_ms=None,
        cache_hit=False,
        request_id=_get(raw, "id"),
    )


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _count(usage: Any, names: tuple[str, ...]) -> int:
    found = (_get(usage, name) for name in names)
    return next((int(count) for count in found if count is not None), 0)


# -- the budget ----------------------------------------------------------------------------------------------------

_CALLS = (CBEventType.LLM, CBEventType.EMBEDDING, CBEventType.RERANKING)


class InfraiBudgetHandler(BaseCallbackHandler):
    """A callback handler that raises ``BudgetSpent`` before the next call once the known costs reach ``budget_usd``.

    >>> Settings.callback_manager = CallbackManager([InfraiBudgetHandler(0.5, usage)])  # doctest: +SKIP

    ``usage`` is what counts: an ``InfraiUsageHandler`` that listens, or the ``ledger`` of one component. It stops LLM
    calls, embeddings and rerank of every integration, before anything is sent; event handlers cannot, since LlamaIndex
    swallows what they raise. The last call may go over the budget by its own cost. To stop the calls of one component
    wherever it is used, give that ``hooks=[Budget(...)]``. Raises ``ConfigError`` when the budget is no amount above 0.
    """

    def __init__(self, budget_usd: Decimal | float | str, usage: Spending) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self.budget = Budget(budget_usd, usage)

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Raises ``BudgetSpent`` before a call when nothing is left."""
        if event_type in _CALLS:
            self.budget.check()
        return event_id

    def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None:
        """Nothing: costs are booked by what counts."""

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing to do."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Nothing to do."""
