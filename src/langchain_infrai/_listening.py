"""Who counts the calls that LangChain's callbacks do not know: embeddings, tools, rerank, transcription.

LangChain keeps the callbacks of the running chain in a context variable; the handlers among them that count usage are
asked before such a call and told after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.runnables.config import var_child_runnable_config

from infrai_core import Entry, InfraiError
from infrai_core.budget import may_cost
from infrai_core.config import AttemptInfo


class Listener(BaseCallbackHandler, ABC):
    """A callback handler that counts usage."""

    @abstractmethod
    def check_budget(self) -> None:
        """Raises to stop a call before it is sent."""

    @abstractmethod
    def book(self, entry: Entry, parent_run_id: UUID | None = None, tags: Sequence[str] = ()) -> None:
        """Counts a call that LangChain knows nothing of, as part of the run that it was made in."""


class Several(BaseCallbackHandler):
    """Hands events on to the handlers of blocks that stand inside each other."""

    raise_error = True
    run_inline = True

    def __init__(self, members: Sequence[Listener]) -> None:
        self.members = members


opened: ContextVar[Listener | Several | None] = ContextVar("infrai_usage", default=None)
"""What counts everything that happens here, whatever callbacks a chain has."""


class Gate:
    """The client's hook: asks the listeners before a call that may cost something."""

    def before(self, attempt: AttemptInfo) -> None:
        """Raises what a listener raises."""
        if may_cost(attempt):
            for listener in _listeners(_manager()):
                listener.check_budget()

    def after(self, attempt: AttemptInfo, status: int | None, error: InfraiError | None) -> None:
        """Nothing: ``report`` tells what came."""


def report(entry: Entry) -> None:
    """The client's observer: tells the listeners of a call. Chat answers reach them by LangChain's own events."""
    if entry.capability == "chat":
        return
    manager = _manager()
    parent, tags = (manager.parent_run_id, manager.tags) if manager is not None else (None, [])
    for listener in _listeners(manager):
        listener.book(entry, parent, tags)


def _manager() -> BaseCallbackManager | None:
    """The callbacks of the running chain, or None outside of one."""
    config = var_child_runnable_config.get()
    callbacks = config.get("callbacks") if config else None
    return callbacks if isinstance(callbacks, BaseCallbackManager) else None


def _listeners(manager: BaseCallbackManager | None) -> Iterable[Listener]:
    """Each listener once."""
    here = opened.get()
    if here is None and manager is None:
        return ()
    handlers = [*(manager.handlers if manager is not None else ()), here]
    return {id(listener): listener for handler in handlers for listener in _members(handler)}.values()


def _members(handler: BaseCallbackHandler | None) -> Iterator[Listener]:
    if isinstance(handler, Several):
        yield from handler.members
    elif isinstance(handler, Listener):
        yield handler
