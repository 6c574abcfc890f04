"""Sees the instrumentation events and callbacks of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index_instrumentation import get_dispatcher


class Watch(BaseCallbackHandler):
    """What was reported: ``events`` of the dispatcher, ``starts`` and ``ends`` of the callback manager."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.events: list[BaseEvent] = []
        self.starts: list[tuple[CBEventType, Any]] = []
        self.ends: list[tuple[CBEventType, Any]] = []

    def named(self, *names: str) -> list[Any]:
        """The events of these classes, in order."""
        return [event for event in self.events if event.class_name() in names]

    def callbacks(self, kind: CBEventType) -> tuple[int, int]:
        """How many starts and ends of a kind the callback manager told."""
        return tuple(sum(one == kind for one, _ in side) for side in (self.starts, self.ends))  # type: ignore[return-value]  # of two

    def text(self) -> str:
        """All of it as text."""
        return f"{self.events!r} {self.starts!r} {self.ends!r}"

    def on_event_start(
        self, event_type: CBEventType, payload: Any = None, event_id: str = "", parent_id: str = "", **kwargs: Any
    ) -> str:
        self.starts.append((event_type, payload))
        return event_id

    def on_event_end(self, event_type: CBEventType, payload: Any = None, event_id: str = "", **kwargs: Any) -> None:
        self.ends.append((event_type, payload))

    def start_trace(self, trace_id: str | None = None) -> None: ...

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None: ...


class _Listener(BaseEventHandler):
    heard: list[BaseEvent]

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.heard.append(event)


@contextmanager
def watching(component: Any) -> Iterator[Watch]:
    """Watches the root dispatcher, and the component's own callback manager."""
    watch = Watch()
    listener = _Listener.model_construct(heard=watch.events)
    root, before = get_dispatcher(), component.callback_manager
    root.add_event_handler(listener)
    component.callback_manager = CallbackManager([watch])
    try:
        yield watch
    finally:
        component.callback_manager = before
        root.event_handlers.remove(listener)
