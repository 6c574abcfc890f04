"""The caller's place in a trace, for services that go on with it (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import sys


def traceparent() -> str | None:
    """The header of the current OpenTelemetry span; None outside of one, and in a process that does not use
    OpenTelemetry, which is never imported for this."""
    opentelemetry = sys.modules.get("opentelemetry.trace")
    if opentelemetry is None:
        return None
    here = opentelemetry.get_current_span().get_span_context()
    if not here.is_valid:
        return None
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"
