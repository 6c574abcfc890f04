"""What LlamaIndex reports: its events and its callbacks, as lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llama_index.core.callbacks import CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.event_handlers import BaseEventHandler
from pydantic import Field


class Events(BaseEventHandler):
    """Keeps every event."""

    seen: list[Any] = Field(default_factory=list)

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.seen.append(event)

    def of(self, *kinds: type[BaseEvent]) -> list[Any]:
        """The events of these classes, in order."""
        return [event for event in self.seen if isinstance(event, kinds)]


@contextmanager
def handling(handler: BaseEventHandler) -> Iterator[None]:
    """The handler on the root dispatcher, and off it again."""
    root = get_dispatcher()
    root.add_event_handler(handler)
    try:
        yield
    finally:
        root.event_handlers.remove(handler)


class Callbacks(BaseCallbackHandler):
    """Keeps ``("start" | "end", event type, payload)`` of every callback."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.seen: list[tuple[str, CBEventType, dict[Any, Any]]] = []

    def on_event_start(self, event_type: CBEventType, payload: Any = None, event_id: str = "", **_: Any) -> str:
        self.seen.append(("start", event_type, payload or {}))
        return event_id

    def on_event_end(self, event_type: CBEventType, payload: Any = None, event_id: str = "", **_: Any) -> None:
        self.seen.append(("end", event_type, payload or {}))

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing to do."""

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None:
        """Nothing to do."""
